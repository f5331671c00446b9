"""Axes of charts: where a value stands, and which values are written beside it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

#: Steps between labels, times a power of ten.
NICE = (1, 2, 2.5, 5, 10)

#: Values closer together than this part of their size are one value to a chart.
TOO_CLOSE = 1e-12

#: Below is zero, and above nothing is drawn: arithmetic has some room left.
TINY, HUGE = 1e-300, 1e300


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(
        cls, values: Iterable[float], start: float, end: float, *, log: bool = False
    ) -> "Axis":
        """Choose an axis on which all values stand.

        Parameters
        ----------
        values : iterable
            Those that no axis has a place for do not count.
        """
        known = [value for value in values if _fits(value, log)]
        low, high = min(known, default=1.0), max(known, default=1.0)
        if log:
            if high <= low * (1 + TOO_CLOSE):
                low, high = low / 2, high * 2
            return cls(low, high, start, end, log)
        size = max(abs(low), abs(high))
        if high - low <= TOO_CLOSE * size or size < TINY:
            room = size / 2 if size >= TINY else 0.5
            low, high = low - room, high + room
        return cls(low, high, start, end)

    def has(self, value: float | None) -> bool:
        """Tell whether a value has a place here."""
        return value is not None and _fits(value, self.log)

    def place(self, value: float) -> float:
        """Find the pixel of a value."""
        if self.log:
            low, high, at = map(math.log, (self.low, self.high, value))
            share = (at - low) / (high - low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Choose about `most` round values within the axis, two at least."""
        if self.log:
            return _log_ticks(self.low, self.high, most)
        found: list[float] = []
        while len(found) < 2:
            step = _step((self.high - self.low) / most)
            first = math.ceil(self.low / step - 1e-9)
            last = math.floor(self.high / step + 1e-9)
            found = [n * step for n in range(first, last + 1)]
            most *= 2
        return found


def _fits(value: float, log: bool) -> bool:
    """Tell whether a value can be placed; with `log` only those above zero can."""
    return abs(value) <= HUGE and (value >= TINY or not log)


def _step(least: float) -> float:
    """Find the smallest nice number that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((n * power for n in NICE if n * power >= least * (1 - 1e-9)), least)


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Choose powers of ten, with twos and fives between them where there is room."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    edge = 1 + 1e-9
    for factors in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**p for p in powers for f in factors]
        kept = [tick for tick in found if low / edge <= tick <= high * edge]
        if len(kept) <= most:
            return kept
    return kept[:: math.ceil(len(kept) / most)]


def tick_text(value: float) -> str:
    """Write a round value, short: thousands and smaller parts without zeros."""
    size = abs(value)
    if size and not 1e-4 <= size < 1e7:
        return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e").replace("+", "")
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e6 if unit == 'M' else 1e3):.4g}{unit}"
    return f"{value:.6g}"
