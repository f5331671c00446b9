"""What `inspect` is asked for: its options, checked together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.cli.inspect_files import OutputFile, check_outputs
from charrnn.cli.inspect_options import InspectOptions
from charrnn.errors import OptionError
from charrnn.inspection.registry import names, text_need, users

if TYPE_CHECKING:
    from charrnn.inspection.view import OptionName


#: Where all views are named.
_VIEWS = "charrnn inspect --help names all views"

#: The view of a text that says most about it in least room.
USUAL_READER = "surprise"


@dataclass(frozen=True, kw_only=True)
class Request(InspectOptions):
    """What is to be shown, and in which form."""

    views: tuple[str, ...]  # those that were asked for, or what is shown instead

    def __post_init__(self) -> None:
        """Check each option and what cannot go together."""
        for name in self.views:
            if name not in names():
                from difflib import get_close_matches  # of use in an error only

                msg = f"there is no view {name!r}"
                near = get_close_matches(name.lower(), names(), n=1)
                hint = f"is --view {near[0]} meant?" if near else _VIEWS
                raise OptionError(msg, hint=hint)
        super().__post_init__()
        if self.json and self.plain:
            msg = "--json cannot be combined with --plain"
            raise OptionError(msg, hint="choose one of the two forms")
        streams = {
            "--json": self.json,
            "--plain": self.plain,
            "--verify": self.verify,
        }
        check_outputs(self.outputs, [name for name, used in streams.items() if used])
        self._check_text()
        self._check_uses()
        if self.mix and self.html is not None:
            msg = "--html cannot be combined with --mix"
            hint = "a page explores one model; --svg draws what a mixture makes of it"
            raise OptionError(msg, hint=hint)

    def _check_text(self) -> None:
        """Refuse a view without its text, and a text that nothing reads."""
        if self.text is not None and self.text_file is not None:
            msg = "--text cannot be combined with --text-file"
            raise OptionError(msg, hint="give one text")
        given = self.text is not None or self.text_file is not None
        needs = {name: text_need(name) for name in self.views}
        needy = [name for name, need in needs.items() if need == "required"]
        if needy and not given:
            msg = f"--view {needy[0]} needs a text"
            hint = "give one with --text TEXT or --text-file PATH; - is standard input"
            raise OptionError(msg, hint=hint)
        if given and self.live is None and set(needs.values()) <= {"no"}:
            option = "--text" if self.text is not None else "--text-file"
            msg = f"{option} is given, but no view that reads a text"
            hint = f"add one, such as --view {USUAL_READER}; {_VIEWS}"
            raise OptionError(msg, hint=hint)

    def _check_uses(self) -> None:
        """Refuse options of a view that is not asked for: they would do nothing."""
        given: dict[OptionName, bool] = {
            "top": self.top != InspectOptions.top,
            "layer": self.layer is not None,
            "unit": bool(self.units),
            "signal": self.signal != InspectOptions.signal,
            "max_lag": self.max_lag != InspectOptions.max_lag,
            "corpus": bool(self.corpus),
            "held_out": self.held_out,
            "blend": self.blend != InspectOptions.blend,
            "adapt": self.adapt,
            "mix": bool(self.mix),
        }
        for option, used in given.items():
            if used and not set(users(option)) & set(self.views):
                name = f"--{option.replace('_', '-')}"
                msg = f"{name} is given, but no view that it is about"
                hint = f"add --view {' or --view '.join(users(option))}"
                raise OptionError(msg, hint=hint)

    @property
    def units(self) -> tuple[int, ...]:
        """The units that were asked for, each of them once."""
        return tuple(dict.fromkeys(self.unit))

    @property
    def drawn(self) -> bool:
        """Whether people are to read it."""
        return bool(self.outputs) or not (self.json or self.plain)

    @property
    def listed(self) -> bool:
        """Whether views show characters one by one: a page alone does it itself."""
        return self.html is None or self.json or self.plain or self.svg is not None

    @property
    def outputs(self) -> tuple[OutputFile, ...]:
        """The files that are to be written."""
        named = {"--svg": self.svg, "--html": self.html, "--live": self.live}
        return tuple(
            OutputFile(o, name) for o, name in named.items() if name is not None
        )
