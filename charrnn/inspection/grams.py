"""The n-grams of a text, numbered, and where another text has them: exactly.

Two n-grams have the same number if and only if they are the same. Numbers of
length 2n are those of pairs of numbers of length n (Karp, Miller & Rosenberg
1972), and any length up to 2n is a pair whose halves overlap. So a corpus of
any size is looked through slice by slice, without a hash that could collide:
of each slice what stands in the text as a single character, of that what does
as a pair, as four, and so on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Longs
from charrnn.vocab import CodePoints

#: Of n-grams; -1 where the text has no such n-gram.
Numbers: TypeAlias = Longs

#: Pairs of up to so many possible numbers are looked up in a table.
DENSE = 1 << 22

#: Places in the table that tells most other pairs to be absent, a known pair:
#: one in so many of those that are absent gets through and is searched for.
SPARE = 32

#: Above all of Unicode: what parts texts, each border one of its own.
BORDER = 0x110000


class Pairs:
    """The pairs of numbers that a text has, with a number for each.

    Parameters
    ----------
    left, right : (N,) int arrays
    base : int
        All numbers, also those that are looked up, are from 0 to below it.
    """

    def __init__(self, left: Numbers, right: Numbers, base: int) -> None:
        self.base = base
        keys = left * self.base + right
        self.keys, numbers = np.unique(keys, return_inverse=True)
        self.numbers: Numbers = numbers.reshape(-1)
        self._dense = base**2 <= DENSE
        if self._dense:
            self._table = np.full(base**2, -1, np.int64)
            self._table[self.keys] = np.arange(len(self.keys))
            return
        bits = max(10, int(SPARE * len(self.keys)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._present = np.zeros(1 << bits, np.bool_)
        self._present[self._slots(self.keys)] = True

    def _slots(self, keys: Longs) -> NDArray[np.uint64]:
        """Spread keys over the table of those that may be present."""
        # 2**64 by the golden ratio (Knuth, vol. 3, 6.4): neighbors lie far apart.
        return (keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> self._shift

    def look_up(self, left: Numbers, right: Numbers) -> Numbers:
        """Give the numbers of pairs (N,); -1 for those that the text does not have."""
        found = np.full(len(left), -1, np.int64)
        if not self.keys.size:
            return found
        places = np.flatnonzero((left >= 0) & (right >= 0))
        keys = left[places] * self.base + right[places]
        if self._dense:
            found[places] = self._table[keys]
            return found
        likely = self._present[self._slots(keys)]
        places, keys = places[likely], keys[likely]
        n = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        same = self.keys[n] == keys
        found[places[same]] = n[same]
        return found


class Grams:
    """All n-grams of some texts; none reaches from one text into the next.

    Parameters
    ----------
    texts : sequence of (N,) arrays of code points
    """

    def __init__(self, texts: Sequence[CodePoints]) -> None:
        parts = [np.zeros(0, np.uint32)]
        for n, text in enumerate(texts):
            parts += [text, np.array([BORDER + n], np.uint32)]
        self.points = np.concatenate(parts)
        symbols, numbers = np.unique(self.points, return_inverse=True)
        borders = self.points >= BORDER
        self._numbers = {1: np.where(borders, -1, numbers.reshape(-1))}
        self._pairs: dict[int, Pairs] = {}
        symbols = symbols[symbols < BORDER]
        # By code point; the last place is for all that lie beyond.
        self._table = np.full(int(symbols.max(initial=0)) + 2, -1, np.int64)
        self._table[symbols] = np.arange(len(symbols))

    @property
    def longest_text(self) -> int:
        """Length of the longest text."""
        borders = np.flatnonzero(self.points >= BORDER)
        return int(np.diff(borders, prepend=-1).max(initial=1)) - 1

    def numbers(self, n: int) -> Numbers:
        """Give every place's n-gram a number; -1 where a text ends before it does."""
        if n not in self._numbers:
            half, shift = _halves(n)
            self._pairs[n], self._numbers[n] = joined(self.numbers(half), shift)
        return self._numbers[n]

    def pairs(self, n: int) -> Pairs:
        """Give what numbers an n-gram by its two halves; n is above 1."""
        self.numbers(n)
        return self._pairs[n]

    def count(self, n: int) -> tuple[int, int]:
        """Count the n-grams, and the distinct ones among them."""
        known = self.numbers(n)
        known = known[known >= 0]
        return len(known), len(np.unique(known))

    def repeats(self, n: int) -> bool:
        """Tell whether some n-gram stands at two places."""
        total, distinct = self.count(n)
        return distinct < total

    def span(self, numbers: Numbers, number: int, n: int) -> CodePoints:
        """Give back the n-gram that has a number."""
        place = int(np.flatnonzero(numbers == number)[0])
        return self.points[place : place + n]

    def look_up(self, points: CodePoints) -> "Slice":
        """Look at some of another text."""
        return Slice(self, {1: self._table.take(points, mode="clip")})


def joined(own: Numbers, shift: int) -> tuple[Pairs, Numbers]:
    """Tell longer n-grams of a text apart by two shorter ones each.

    Parameters
    ----------
    own : (N,) int array
        Numbers of n-grams by place, -1 where there is none.
    shift : int
        How far apart two of them are: at most n, so that nothing lies between.

    Returns
    -------
    pairs : Pairs
    longer : (N,) int array
        Numbers by place of the n-grams that are longer by `shift`.
    """
    right = np.append(own[shift:], np.full(min(shift, len(own)), -1))
    whole = (own >= 0) & (right >= 0)
    pairs = Pairs(own[whole], right[whole], int(own.max(initial=0)) + 1)
    longer = np.full(len(own), -1, np.int64)
    longer[whole] = pairs.numbers
    return pairs, longer


@dataclass
class Slice:
    """A slice of another text, with the numbers of what it shares with the first."""

    grams: Grams
    found: dict[int, Numbers] = field(default_factory=dict)

    def numbers(self, n: int) -> Numbers:
        """Give the numbers of the n-grams at all places but the last n - 1."""
        if n not in self.found:
            half, shift = _halves(n)
            short = self.numbers(half)
            if shift >= len(short):
                return np.zeros(0, np.int64)
            pairs = self.grams.pairs(n)
            self.found[n] = pairs.look_up(short[:-shift], short[shift:])
        return self.found[n]


def _halves(n: int) -> tuple[int, int]:
    """Say which shorter n-grams make up one, and how far apart they are."""
    half = 1 << (n - 1).bit_length() - 1
    return half, n - half


def longest_repeat(grams: Grams) -> tuple[int, CodePoints]:
    """Find the longest span that stands at two places, which may overlap."""
    low, high = 0, grams.longest_text + 1  # the length is in [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if grams.repeats(middle) else (low, middle)
    if low == 0:
        return 0, np.zeros(0, np.uint32)
    own = grams.numbers(low)
    numbers, counts = np.unique(own[own >= 0], return_counts=True)
    return low, grams.span(own, int(numbers[counts.argmax()]), low)


@dataclass
class Search:
    """What of a text stands in a larger one, whose slices come one by one.

    Parameters
    ----------
    grams : Grams
        The text.
    length : int
        n-grams of this length are counted.
    """

    grams: Grams
    length: int
    longest: int = 0
    span: CodePoints = field(default_factory=lambda: np.zeros(0, np.uint32))
    characters: int = 0  # of the larger text, borders between its parts included
    _places: list[Longs] = field(default_factory=list)
    _numbers: list[Numbers] = field(default_factory=list)

    def read(self, slices: Iterable[CodePoints]) -> None:
        """Look through one part of the larger text."""
        tail = np.zeros(0, np.uint32)
        for points in slices:
            window = np.concatenate([tail, points])
            self._look(window, self.characters - len(tail))
            self.characters += len(points)
            tail = window[max(0, len(window) - self.length + 1) :]
        self.characters += 1  # nothing stands across the border

    def _look(self, window: CodePoints, start: int) -> None:
        """Look through a slice that begins at a place of the whole."""
        part = self.grams.look_up(window)
        numbers = part.numbers(self.length)
        places = np.flatnonzero(numbers >= 0)
        self._places.append(places + start)
        self._numbers.append(numbers[places])
        # Shorter spans matter until one of the full length is found.
        while self.longest < self.length:
            longer = part.numbers(self.longest + 1)
            first = np.flatnonzero(longer >= 0)[:1]
            if not first.size:
                return
            self.longest += 1
            self.span = window[first[0] : first[0] + self.longest]

    def finish(self) -> float | None:
        """Settle `longest` and `span`.

        Returns
        -------
        float, optional
            The share of the text's n-grams that stand in the larger one; None
            if it has none of that length.
        """
        places = np.concatenate([np.zeros(0, np.int64), *self._places])
        numbers = np.concatenate([np.zeros(0, np.int64), *self._numbers])
        own = self.grams.numbers(self.length)
        if places.size:
            self._extend(Common(self.length, own, places, numbers))
        own = own[own >= 0]
        return float(np.isin(own, numbers).mean()) if own.size else None

    def _extend(self, common: "Common") -> None:
        """Find the longest span, given all those of the counted length."""
        while longer := common.longer(common.length):
            common = longer
        best, low, high = common, 0, common.length
        while high - low > 1:
            middle = (low + high) // 2
            if longer := common.longer(middle):
                best, low = longer, middle
            else:
                high = middle
        self.longest = best.length
        self.span = self.grams.span(best.own, int(best.numbers[0]), best.length)


@dataclass
class Common:
    """All n-grams of one length that two texts share."""

    length: int
    own: Numbers  # of the first text, by place
    places: Longs  # in the second text, rising
    numbers: Numbers  # the n-grams at these places

    def longer(self, shift: int) -> "Common | None":
        """Find those that are longer by `shift`, at most the length; None if none."""
        n = np.minimum(
            np.searchsorted(self.places, self.places + shift), len(self.places) - 1
        )
        whole = np.flatnonzero(self.places[n] == self.places + shift)
        pairs, own = joined(self.own, shift)
        found = pairs.look_up(self.numbers[whole], self.numbers[n[whole]])
        known = found >= 0
        if not known.any():
            return None
        places = self.places[whole[known]]
        return Common(self.length + shift, own, places, found[known])
