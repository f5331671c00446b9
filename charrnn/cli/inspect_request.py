"""What `inspect` is asked for: its options, checked together."""

from dataclasses import dataclass

from charrnn.cli.inspect_files import Output, check_outputs
from charrnn.cli.inspect_options import InspectOptions
from charrnn.errors import OptionError
from charrnn.inspection import OPTIONAL_TEXT_VIEWS, TEXT_VIEWS, VIEWS


@dataclass(frozen=True, kw_only=True)
class Request(InspectOptions):
    """What is to be shown, and in which form."""

    views: tuple[str, ...]  # those that were asked for, or what is shown instead

    def __post_init__(self) -> None:
        """Check each option and what cannot go together."""
        for name in self.views:
            if name not in VIEWS:
                msg = f"--view {name} is unknown"
                raise OptionError(msg, hint=f"one of {', '.join(VIEWS)}")
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

    def _check_text(self) -> None:
        """Refuse a view without its text, and a text that nothing reads."""
        if self.text is not None and self.text_file is not None:
            msg = "--text cannot be combined with --text-file"
            raise OptionError(msg, hint="give one text")
        given = self.text is not None or self.text_file is not None
        readers = [name for name in self.views if name in TEXT_VIEWS]
        if readers and not given:
            msg = f"--view {readers[0]} needs a text"
            hint = "give one with --text TEXT or --text-file PATH; - is standard input"
            raise OptionError(msg, hint=hint)
        if given and not (readers or OPTIONAL_TEXT_VIEWS & set(self.views)):
            option = "--text" if self.text is not None else "--text-file"
            msg = f"{option} is given, but no view that reads a text"
            able = sorted(TEXT_VIEWS | OPTIONAL_TEXT_VIEWS)
            raise OptionError(msg, hint=f"add --view {' or --view '.join(able)}")

    def _check_uses(self) -> None:
        """Refuse options of a view that is not asked for: they would do nothing."""
        uses = {
            "--layer": (self.layer is not None, ("neurons", "gates", "memory")),
            "--unit": (bool(self.units), ("neurons",)),
            "--signal": (self.signal != InspectOptions.signal, ("neurons",)),
            "--max-lag": (self.max_lag != InspectOptions.max_lag, ("memory",)),
            "--corpus": (bool(self.corpus), ("diversity",)),
        }
        for option, (given, views) in uses.items():
            if given and not set(views) & set(self.views):
                msg = f"{option} is given, but no view that it is about"
                raise OptionError(msg, hint=f"add --view {' or --view '.join(views)}")

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
    def outputs(self) -> tuple[Output, ...]:
        """The files that are to be written."""
        named = {"--svg": self.svg, "--html": self.html}
        return tuple(Output(o, name) for o, name in named.items() if name is not None)
