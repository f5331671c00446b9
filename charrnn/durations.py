"""Lengths of time and intervals, as a user writes them."""

import contextlib
import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from charrnn.errors import OptionError
from charrnn.options import SHOWN, check_number

#: The largest number of whatever is counted: a checkpoint holds integers of 64 bits.
MAX_COUNT = 2**63 - 1

#: The seconds of the longest duration, some 30 years.
MAX_SECONDS = 10**9

#: Digits that are looked at when a number of steps is read; Python refuses
#: thousands of them.
MAX_DIGITS = 30

#: Seconds in each unit that a duration may be written in.
DURATION_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

#: What people write for each unit, as regular expressions, the largest unit first.
SPELLINGS = {
    "d": "d|days?",
    "h": "h|hrs?|hours?",
    "m": "m|mins?|minutes?",
    "s": "s|secs?|seconds?",
}

#: A number, in any of Python's spellings, of one unit.
_ONE_UNIT = re.compile(
    r"(?P<number>.*?)\s*(?:"
    + "|".join(f"(?P<{unit}>{words})" for unit, words in SPELLINGS.items())
    + ")"
)

#: A duration in several units, the larger ones first.
_SEVERAL_UNITS = re.compile(
    "".join(
        rf"(?:(?P<{unit}>\d{{1,12}}(?:\.\d{{1,12}})?)(?:{words}))?"
        for unit, words in SPELLINGS.items()
    ),
    re.ASCII,
)


def duration_text(seconds: float) -> str:
    """Write about how long something takes, short at every size.

    `parse_duration` reads what this writes, unless nothing is left of it (``0s``).
    """
    if 0 < seconds < 1:
        # Two digits, down to a millisecond.
        return f"{max(0.001, round(seconds, 3)):.2g}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def exact_duration(seconds: float) -> str:
    """Write a duration in the largest unit that it fills, without rounding it.

    `parse_duration` makes the same number of what this writes.
    """
    for unit, length in reversed(DURATION_UNITS.items()):
        if seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds!r}s"


@dataclass(frozen=True, kw_only=True)
class Every:
    """How often something is done: by steps or by seconds of training.

    Exactly one of the two is set; both 0 means never.
    """

    steps: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Check that one unit is used."""
        check_number("an interval", self.steps, low=0, high=MAX_COUNT)
        check_number("an interval", self.seconds, low=0, high=MAX_SECONDS)
        if self.steps and self.seconds:
            msg = "an interval is either in steps or in seconds"
            raise ValueError(msg)

    def __bool__(self) -> bool:
        return bool(self.steps or self.seconds)

    def __str__(self) -> str:
        """Write it as `parse_every` reads it, in the largest unit that it fills."""
        return exact_duration(self.seconds) if self.seconds else str(self.steps)


def parse_duration(given: Any, name: str) -> float:
    """Read the seconds of a duration such as ``90s``, ``1m30s``, ``5min``, ``1.5h``.

    Parameters
    ----------
    given : str or float
        A number is one of seconds already.
    name : str
        What a message calls the duration.

    Raises
    ------
    OptionError
        It is not a positive number with one of the `SPELLINGS` of a unit behind it,
        nor several of them, the larger units first; or too long a time.
    """
    seconds = _seconds(given)
    if seconds is None:
        msg = f"{name} is {_shortened(given)}, which is not a duration"
        raise OptionError(msg, hint=_duration_meant(given))
    check_number(name, seconds, low=0, high=MAX_SECONDS, open_low=True)
    return seconds


def _duration_meant(given: Any) -> str:
    """Say how a duration is written; a number alone lacks its unit."""
    text = given.strip() if isinstance(given, str) else ""
    if re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text, re.ASCII):
        return f"add its unit: {text}s, {text}m or {text}h"
    return "write 90s, 30m, 2h or 1h30m"


def _seconds(given: Any) -> float | None:
    """Read a duration; None if it is none."""
    if not isinstance(given, str):
        is_number = isinstance(given, Real) and not isinstance(given, bool)
        return float(given) if is_number else None
    text = given.strip()
    if one := _ONE_UNIT.fullmatch(text):
        unit = next(unit for unit in DURATION_UNITS if one[unit])
        with contextlib.suppress(ValueError):
            return float(one["number"]) * DURATION_UNITS[unit]
    several = _SEVERAL_UNITS.fullmatch(text)
    if not text or several is None:
        return None
    units = DURATION_UNITS.items()
    return sum(float(several[unit]) * length for unit, length in units if several[unit])


def _shortened(given: Any) -> str:
    """Quote a value, as far as anybody would read it."""
    if not isinstance(given, str):
        return repr(given)
    return repr(given if len(given) <= SHOWN else given[:SHOWN] + "...")


def parse_every(given: Any, name: str) -> Every:
    """Read an interval in steps (``500``) or in time (``10m``); ``0`` is never.

    Parameters
    ----------
    given : str, int or Every
        A number is one of steps.
    name : str
        What a message calls the interval.

    Raises
    ------
    OptionError
        It is neither, or too large.
    """
    if isinstance(given, Every):
        return given
    if isinstance(given, Integral) and not isinstance(given, bool):
        check_number(name, int(given), low=0, high=MAX_COUNT)
        return Every(steps=int(given))
    digits = given.strip() if isinstance(given, str) else ""
    if digits.isdecimal():
        if len(digits) > MAX_DIGITS:
            msg = f"{name} is a number of {len(digits):,} digits"
            raise OptionError(msg, hint="0 is never")
        check_number(name, int(digits), low=0, high=MAX_COUNT)
        return Every(steps=int(digits))
    try:
        # A number that is not whole is neither: it gets no unit by itself.
        text = given if isinstance(given, str) else repr(given)
        return Every(seconds=parse_duration(text, name))
    except OptionError as error:
        error.hint = "write a number of steps, or a time such as 30s or 10m"
        raise
