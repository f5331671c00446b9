"""Options as keyword arguments: which there are, and what may stand for a value.

Every option is a field of a configuration's dataclass. A keyword argument of the
same name takes what the field holds, or what a user of the command line would
write: ``time=90.0`` or ``time="90s"``, ``eval_every=500`` or ``"10m"``,
``logit_bias={"e": -1.5}`` or ``["e=-1.5"]``.
"""

import operator
import os
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from charrnn.config import Every, parse_biases, parse_duration, parse_every
from charrnn.errors import OptionError, field

#: Options whose values a text can stand for in a way of its own.
PARSED: dict[str, Callable[[str, str], Any]] = {
    "time": parse_duration,
    "eval_every": parse_every,
    "save_every": parse_every,
}


def chosen(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read the fields of a dataclass out of keyword arguments.

    Parameters
    ----------
    kind : dataclass
    given : mapping
        Keyword arguments; those that are no fields are left alone, and those that
        are None are as if not given.

    Raises
    ------
    OptionError
        A value is not of the field's type.
    """
    hints = _hints(kind)
    return {
        name: as_value(name, value, hints[name])
        for name, value in given.items()
        if name in hints and value is not None
    }


def names(*kinds: type) -> tuple[str, ...]:
    """Name the fields of some dataclasses, each once."""
    return tuple(dict.fromkeys(f.name for kind in kinds for f in fields(kind)))


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `OptionError` if there is no option of a name that was given."""
    known = list(known)
    for name in given:
        if name not in known:
            from difflib import get_close_matches  # of use in an error only

            near = get_close_matches(name, known, n=1)
            msg = f"there is no option {name!r}"
            hint = f"is {field(near[0])} meant?" if near else "help() lists them"
            raise OptionError(msg, hint=hint, field=name)


def as_value(name: str, value: Any, hint: Any) -> Any:
    """Turn a keyword argument into what the field of that name holds.

    Parameters
    ----------
    name : str
    value : object
    hint : type hint
        The field's.

    Raises
    ------
    OptionError
        It is of another type.
    """
    if isinstance(value, str) and name in PARSED:
        return PARSED[name](value, field(name))
    if name == "logit_bias":
        return parse_biases(value)
    kinds = [kind for kind in _members(hint) if kind is not types.NoneType]
    for kind in kinds:
        fitting, found = _as_kind(value, kind)
        if fitting:
            return found
    wanted = " or ".join(_called(kind) for kind in kinds)
    msg = f"{field(name)} is {value!r}, which is not {wanted}"
    raise OptionError(msg, hint=f"leave {field(name)} away for its default", field=name)


def _as_kind(value: Any, kind: Any) -> tuple[bool, Any]:
    """Tell whether a value can be of a type, and give it as that."""
    if get_origin(kind) is tuple:
        parts = [value] if isinstance(value, str) else value
        if isinstance(parts, Iterable) and all(isinstance(p, str) for p in parts):
            return True, tuple(parts)
        return False, None
    if kind is Every and isinstance(value, int) and not isinstance(value, bool):
        return True, Every(steps=value)
    if kind is Path and isinstance(value, str | os.PathLike):
        return True, Path(value)
    if kind is bool or isinstance(value, bool):
        return (kind is bool and isinstance(value, bool)), value
    if kind is int:
        try:
            return True, operator.index(value)  # NumPy's integers are, too
        except TypeError:
            return False, None
    if kind is float:
        # No text: float("nan") is for those who mean it.
        fitting = hasattr(value, "__float__") and not isinstance(value, str)
        return fitting, float(value) if fitting else None
    words = get_args(kind)  # of a Literal
    if words or kind is str:
        return isinstance(value, str), value
    return isinstance(value, kind), value


def _members(hint: Any) -> tuple[Any, ...]:
    """List the types that a hint allows."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _called(kind: Any) -> str:
    """Name a type in a message."""
    if get_origin(kind) is tuple:
        return "a text, or several"
    if get_args(kind):
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return {
        bool: "True or False",
        int: "a whole number",
        float: "a number",
        str: "a text",
        Path: "a path",
        Every: "a number of steps, or a time such as 10m",
    }.get(kind, str(kind))


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Resolve the type hints of a dataclass, once."""
    return get_type_hints(kind)
