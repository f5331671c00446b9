"""What an option is: one record, at the field of a configuration.

A configuration is a frozen dataclass. Each of its fields that a user can set
is declared with :func:`option`, which keeps everything about it in one place:
the words of its help, its limits, its group, how it is read from text. What
needs to know options asks for the fields of a configuration (`entries_of`) or
of several (`OptionTable`): the checks of values (`check`), the reading of what
was given by name (`configure`), the command line and its documentation.

Nothing here imports numpy, so that the command line answers at once.
"""

import contextlib
import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from charrnn.errors import OptionError, field
from charrnn.escapes import shortened

T = TypeVar("T")

#: Under this key a field's metadata has its `Option`.
KEY = "option"

#: Characters of a value that a message shows.
SHOWN = 60

#: Numbers below this are exact as a float.
MAX_GUESS = 2**53

#: What stands for a value in help, where nothing better is said.
METAVARS: dict[type, str] = {int: "N", float: "F", str: "TEXT", Path: "PATH"}

#: How a message calls the values of a type.
NOUNS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "True or False",
    Path: "a path",
}


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise `OptionError` unless `value` is one of the choices.

    Parameters
    ----------
    name : str
        What the message calls the value: a field marked by `errors.field`, or words.
    """
    allowed = tuple(choices)
    if value not in allowed:
        msg = f"{name} is {value!r}, not one of {', '.join(allowed)}"
        raise OptionError(msg, hint=_nearest(name, str(value), allowed))


def _nearest(name: str, word: str, allowed: tuple[str, ...]) -> str:
    """Guess which word was meant, or say what works without any."""
    from difflib import get_close_matches  # of use in an error only

    near = get_close_matches(word.lower(), allowed, n=1)
    return f"is {near[0]} meant?" if near else _leave_away(name)


def _leave_away(name: str) -> str:
    """Say that nobody has to set a field."""
    return f"leave {name} away for its default"


def check_file_name(name: str, given: str) -> None:
    """Raise `OptionError` for a file that has no name, as of an empty variable.

    Parameters
    ----------
    name : str
        What the message calls it: a field marked by `errors.field`, or words.
    """
    if not given:
        msg = f"{name} is empty"
        raise OptionError(msg, hint="name a file; is a variable of the shell empty?")


def check_number(
    name: str,
    value: float,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
) -> None:
    """Raise `OptionError` unless `value` is finite and inside its limits.

    Parameters
    ----------
    name : str
        What the message calls the value: a field marked by `errors.field`, or words.
    low, high : float
        The limits, themselves allowed unless `open_low` or `open_high`.
    """

    def too_low(number: float) -> bool:
        return number <= low if open_low else number < low

    def too_high(number: float) -> bool:
        return number >= high if open_high else number > high

    # An integer of any length is finite, though no float may hold it.
    if not isinstance(value, int) and not math.isfinite(value):
        msg = f"{name} must be a finite number, not {value}"
        fit = [f"{n:g}" for n in (0.5, 20) if not (too_low(n) or too_high(n))]
        hint = f"write a number such as {', or '.join(fit)}" if fit else None
        raise OptionError(msg, hint=hint or _leave_away(name))
    if too_low(value) or too_high(value):
        bounds = []
        if low > -math.inf:
            bounds.append(f"above {low}" if open_low else f"at least {low}")
        if high < math.inf:
            bounds.append(f"below {high}" if open_high else f"at most {high}")
        # In full: rounded, a value just outside would look allowed.
        shown = str(value)
        if len(shown) > SHOWN:
            shown = f"a number of {len(shown):,} digits"
        msg = f"{name} must be {' and '.join(bounds)}, not {shown}"
        raise OptionError(msg, hint=_leave_away(name))


@dataclass(frozen=True)
class Option:
    """Everything about an option that its field's name, type and default do not say.

    Parameters
    ----------
    help : str
        One sentence or more; other fields are marked by `errors.field`.
    group : str
        The group of options that it is shown in.
    metavar : str, optional
        What stands for its value in help; by its type or its choices if not given.
    short : str, optional
        A letter that is enough at a command line.
    usual : str, optional
        What is used if it is not given, where that is not simply the field's
        default; empty if the help says it.
    low, high, open_low, open_high
        Limits of a number; see `check_number`.
    choices : callable, optional
        Lists the words that are allowed. A field whose type is a `Literal` needs
        none.
    parse : callable, optional
        Reads what was given, text or a value in Python, for which the second
        argument is a name in messages; by the field's type if not given.
    changeable : bool
        Whether a run that is resumed may change it.
    recorded : bool
        Whether what is made with it tells its value.
    needs : tuple of str
        Fields of which one must be given, too: without any it would do nothing.
    after : str, optional
        The field that it stands behind in help; by the order of the fields if not
        given.
    """

    help: str
    group: str
    _: dataclasses.KW_ONLY
    metavar: str | None = None
    short: str | None = None
    usual: str | None = None
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    choices: Callable[[], Iterable[str]] | None = None
    parse: Callable[[Any, str], Any] | None = None
    changeable: bool = False
    recorded: bool = False
    needs: tuple[str, ...] = ()
    after: str | None = None


def option(default: T, record: Option) -> T:
    """Declare a field of a dataclass as an option, with its default.

    Returns
    -------
    dataclasses.Field
        For the body of a dataclass only; its type is given as the default's, as
        `dataclasses.field` does.
    """
    return dataclasses.field(default=default, metadata={KEY: record})


@dataclass(frozen=True)
class Entry:
    """An option in its place: a field of a configuration, and its record."""

    name: str
    default: Any
    annotation: Any
    record: Option

    @property
    def type(self) -> Any:
        """The type of one value, such as `int` for ``int | None``.

        It is `str` for choices, and for a tuple the type of its items.
        """
        kind = self.annotation
        if get_origin(kind) in (Union, types.UnionType):
            kind = next(a for a in get_args(kind) if a is not type(None))
        if get_origin(kind) is tuple:
            kind = get_args(kind)[0]
        return str if get_origin(kind) is Literal else kind

    @property
    def is_path(self) -> bool:
        """Whether its value names a file."""
        return self.type is Path or self.metavar in ("PATH", "FILE")

    @property
    def many(self) -> bool:
        """Whether it may be given several times."""
        return isinstance(self.default, tuple)

    def is_set(self, given: Any) -> bool:
        """Whether what was given, as a value or as text, is not simply the default."""
        empty = isinstance(given, (list, tuple)) and not given
        if given is None or given is False or empty:
            return False
        return str(given) != str(self.default)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that are allowed; none where any value of the type is."""
        if self.record.choices is not None:
            return tuple(self.record.choices())
        is_word = get_origin(self.annotation) is Literal
        return get_args(self.annotation) if is_word else ()

    @property
    def metavar(self) -> str:
        """What stands for a value in help; empty for a flag."""
        if self.record.metavar is not None:
            return self.record.metavar
        return "|".join(self.choices) or METAVARS.get(self.type, "")

    @property
    def usual(self) -> str:
        """What is used if it is not given, in words; empty if there are none."""
        default = self.default
        if self.record.usual is not None:
            return self.record.usual
        if default is None or isinstance(default, (bool, tuple)):
            return ""
        return f"{default:g}" if isinstance(default, float) else str(default)

    def check(self, value: Any) -> None:
        """Raise `OptionError` unless a value is within limits, or a choice."""
        record = self.record
        # A service checks a configuration for every request, mostly of defaults.
        if value is None or value is self.default or self.many:
            return
        if self.choices:
            check_choice(field(self.name), value, self.choices)
        elif self.type in (int, float):
            check_number(
                field(self.name),
                value,
                low=record.low,
                high=record.high,
                open_low=record.open_low,
                open_high=record.open_high,
            )

    def read(self, given: Any) -> Any:
        """Make the field's value of what was given: a value in Python, or text.

        Raises
        ------
        OptionError
            It is of another type, or the text says nothing that can be read.
        """
        if self.record.parse is not None:
            return self.record.parse(given, field(self.name))
        if self.many:
            single = isinstance(given, (str, bytes)) or not isinstance(given, Iterable)
            return tuple(map(self._read_one, [given] if single else given))
        return self._read_one(given)

    def _read_one(self, given: Any) -> Any:
        """Make one value of what was given."""
        kind = self.type
        given = _of_numpy(given)
        if isinstance(given, str) and self.is_path:
            check_file_name(field(self.name), given)
        try:
            if isinstance(given, str):
                if kind is not bool and not (kind is Path and "\0" in given):
                    return kind(given)
            elif kind is int and isinstance(given, Integral):
                if not isinstance(given, bool):
                    return int(given)
            elif kind is float and isinstance(given, Real):
                if not isinstance(given, bool):
                    return float(given)
            elif isinstance(given, kind):
                return given
        except (ValueError, OverflowError):
            pass
        msg = f"{field(self.name)} must be {NOUNS[kind]}, not {shortened(repr(given))}"
        raise OptionError(msg, hint=self._number_meant(given))

    def _number_meant(self, given: Any) -> str:
        """Guess which number was meant by ``1e3``, ``1,000`` or ``0,5``."""
        whole, name = self.type is int, self.name
        if isinstance(given, (str, float)) and self.type in (int, float):
            text = str(given).replace(",", "" if whole else ".")
            with contextlib.suppress(ValueError):
                number = float(text)
                if not whole:
                    return f"is {field(name, number)} meant?"
                if number.is_integer() and abs(number) < MAX_GUESS:
                    return f"is {field(name, int(number))} meant?"
        return _leave_away(field(self.name))


def _of_numpy(given: Any) -> Any:
    """Take a truth value of NumPy's, which is no number of Python's, for Python's.

    NumPy may not have been imported, and is not imported for this.
    """
    return bool(given) if type(given).__name__ in ("bool", "bool_") else given


def entries_of(kind: Any) -> tuple[Entry, ...]:
    """List the options of a configuration, in the order of its fields."""
    return _entries(kind)


@cache
def _entries(kind: Any) -> tuple[Entry, ...]:
    """List the options of a configuration; type hints take a while to look up."""
    hints = typing.get_type_hints(kind)
    return tuple(
        Entry(each.name, each.default, hints[each.name], each.metadata[KEY])
        for each in dataclasses.fields(kind)
        if KEY in each.metadata
    )


def check(configuration: Any) -> None:
    """Raise `OptionError` unless every option of a configuration is within limits."""
    for entry in entries_of(type(configuration)):
        entry.check(getattr(configuration, entry.name))


def read(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what was given for a configuration, as values of its fields.

    Parameters
    ----------
    given : mapping
        Values, or text, by the names of options. Those of other configurations are
        passed over, and None says nothing.
    """
    return {
        entry.name: entry.read(given[entry.name])
        for entry in entries_of(kind)
        if given.get(entry.name) is not None
    }


def configure(kind: type[T], given: Mapping[str, Any], **fields: Any) -> T:
    """Make a configuration of what was given, and of fields that are no options."""
    return kind(**(read(kind, given) | fields))


@dataclass(frozen=True)
class OptionTable:
    """The options of several configurations, as one command takes them.

    Parameters
    ----------
    kinds : tuple of type
        The configurations; no two have an option of the same name.
    groups : tuple of str
        The order of groups in help; others follow.
    elsewhere : mapping
        Names that somebody may well try, as they are options of a command, and what
        to do instead.
    """

    kinds: tuple[type, ...]
    groups: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @cached_property
    def entries(self) -> list[Entry]:
        """All options in the order of help: by group, then as they are declared."""
        found: dict[str, Entry] = {}
        for kind in self.kinds:
            for entry in entries_of(kind):
                if entry.name in found:
                    msg = f"two options are called {entry.name}"
                    raise ValueError(msg)
                found[entry.name] = entry
        ordered = [e for e in found.values() if e.record.after not in found]
        for entry in found.values():
            if entry.record.after in found:
                at = [e.name for e in ordered].index(entry.record.after)
                ordered.insert(at + 1, entry)
        groups = list(dict.fromkeys((*self.groups, *(e.record.group for e in ordered))))
        return sorted(ordered, key=lambda entry: groups.index(entry.record.group))

    def refuse_alone(self, given: Mapping[str, Any]) -> None:
        """Raise `OptionError` for an option that would do nothing by itself.

        Parameters
        ----------
        given : mapping
            Values, or text, by the names of options; None says nothing.
        """
        entries = {entry.name: entry for entry in self.entries}
        for entry in entries.values():
            partners = [name for name in entry.record.needs if name in entries]
            if not partners or not entry.is_set(given.get(entry.name)):
                continue
            if not any(entries[name].is_set(given.get(name)) for name in partners):
                wanted = " or ".join(map(field, partners))
                msg = f"{field(entry.name)} does nothing without {wanted}"
                hint = f"add {wanted}, or leave {field(entry.name)} away"
                raise OptionError(msg, hint=hint, field=entry.name)

    def refuse_unknown(self, names: Iterable[str]) -> None:
        """Raise `OptionError` for a name that no option has.

        The hint is the name that was probably meant.
        """
        from difflib import get_close_matches  # of use in an error only

        known = [entry.name for entry in self.entries]
        for name in names:
            if name in self.elsewhere:
                msg = f"{field(name)} is an option of the command line alone"
                raise OptionError(msg, hint=self.elsewhere[name])
            if name not in known:
                near = get_close_matches(name.lower().replace("-", "_"), known, n=1)
                msg = f"there is no option {field(name)}"
                hint = f"is {field(near[0])} meant?" if near else None
                raise OptionError(msg, hint=hint, field=name)
