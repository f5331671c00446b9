"""Numbers as small bars in a line of text."""

import math
from collections.abc import Sequence

#: Eight levels, the lowest first.
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "_.-:=+*#"

LEVELS = len(BLOCKS)


def levels(*, ascii_only: bool = False) -> str:
    """Give the characters that stand for the eight levels."""
    return ASCII_LEVELS if ascii_only else BLOCKS


def sparkline(
    values: Sequence[float | None], width: int, *, ascii_only: bool = False
) -> str:
    """Draw values from left to right, scaled from their least to their greatest.

    Parameters
    ----------
    values : sequence
        What is None or not finite is skipped.
    width : int
        Cells at most. More values than that are averaged in groups.

    Returns
    -------
    str
        As many cells as there are values, or `width`. A group without a value
        repeats the one before it; blank before the first.
    """
    groups = averaged(values, width)
    known = [value for value in groups if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    characters = levels(ascii_only=ascii_only)
    line, last = [], " "
    for value in groups:
        if value is not None:
            last = characters[level(value, low, high)]
        line.append(last)
    return "".join(line)


def level(value: float, low: float, high: float) -> int:
    """Place a value on the scale of eight levels from `low` to `high`."""
    # Halved, the distance of two floats cannot overflow.
    span = high / 2 - low / 2
    if not span > 0:
        return 0
    return min(LEVELS - 1, int((value / 2 - low / 2) / span * LEVELS))


def averaged(values: Sequence[float | None], width: int) -> list[float | None]:
    """Average values in at most `width` groups that follow one another.

    A group without a finite value is None.
    """
    count = min(width, len(values))
    groups: list[float | None] = []
    for n in range(count):
        part = values[n * len(values) // count : (n + 1) * len(values) // count]
        known = [v for v in part if v is not None and math.isfinite(v)]
        # Divided first: the sum of large values could overflow.
        groups.append(sum(v / len(known) for v in known) if known else None)
    return groups
