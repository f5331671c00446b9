"""What a model knows by counting: the n-grams of the text that it was trained on.

A memory holds the text itself, as ids, and counts it when it is first asked. A
network knows what follows in general, and counts know what stood there: blended,
they predict better than either.

                    Text --> Places --> Tree --> Levels --> Tables
    ids, order -->   the      sorted    of        what       what is
                     text               contexts  follows    looked up
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids, PackedIds
from charrnn.kernels import blending, ngrams
from charrnn.kernels.blending import ALONE, Blend
from charrnn.kernels.growth import NO_GROWTH, copied, enlarged
from charrnn.kernels.ngrams import (
    FIRST,
    LEAF,
    LONGER,
    NONE,
    SYMBOL,
    Level,
    Places,
    Tables,
    Text,
    Tree,
)
from charrnn.windows import Documents

#: The highest order. Contexts beyond tell next to nothing, and their lengths are
#: bytes.
MAX_ORDER = 32

#: Characters that can be counted. Nodes are numbered in 32 bits, and a text may
#: have half as many of them as its length times the order.
MAX_SIZE = 2**26

#: Characters of a text that are counted as it is read, at most: they take up to 150
#: bytes each.
MOST_LEARNED = 1_000_000

#: D(0), D(1), D(2), D(3 and more) where a text has too little to estimate them.
FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])


@dataclass(frozen=True, eq=False, kw_only=True)
class Memory:
    """A text, to be counted, and how much of a blend the counts are.

    Its probabilities are those of interpolated modified Kneser-Ney smoothing; see
    `charrnn.kernels.ngrams`. Where a document begins, a context begins with what
    stands before it, and no n-gram reaches back further.

    A million characters take one core 0.2 s to count at order 8. The tables take 5
    to 31 bytes a character (43 of English prose at order 12), 35 to 60 while they are
    made, even where a text is random and has 70,000 distinct characters.
    """

    ids: PackedIds  # (N,) the text that is counted, N >= 1
    order: int  # the longest n-grams; from 1 to `MAX_ORDER`
    share: float  # the network's, in [0, 1], in a blend of both
    vocab_size: int  # V; every id is below
    before: int  # the id that stands before a document
    newline: int | None = None  # given where every line is a document

    def __post_init__(self) -> None:
        """Check what kernels rely on.

        Raises
        ------
        ValueError
            A number is out of range, or there is nothing to count.
        """
        ids, V = self.ids, self.vocab_size
        if ids.ndim != 1 or not 1 <= ids.size <= MAX_SIZE:
            msg = f"a text of shape {ids.shape} cannot be counted"
            raise ValueError(msg)
        if not 1 <= self.order <= MAX_ORDER:
            msg = f"the order is {self.order}, not from 1 to {MAX_ORDER}"
            raise ValueError(msg)
        if not 0 <= self.share <= 1:
            msg = f"the share is {self.share}, not from 0 to 1"
            raise ValueError(msg)
        others = (self.before, self.before if self.newline is None else self.newline)
        lowest, highest = min(int(ids.min()), *others), max(int(ids.max()), *others)
        if not 0 <= lowest <= highest < V:
            msg = f"ids are from {lowest} to {highest}, with {V} symbols"
            raise ValueError(msg)

    @cached_property
    def tables(self) -> Tables:
        """The counts, as kernels read them; made when they are first asked for."""
        text = _text(self)
        places = _sorted(text, self.order, self.vocab_size)
        tree, alone = _grown(text, self.order, places)
        levels = _counted(text, places, tree, self.vocab_size)
        return _joined(text, tree, alone, levels, self)

    def with_share(self, share: float) -> "Memory":
        """Give the same memory with another share of the network.

        It is counted once for both.
        """
        other = replace(self, share=share)
        if share < 1:
            other.__dict__["tables"] = self.tables
        return other

    def probabilities(self, ids: PackedIds | Ids) -> NDArray[np.float64]:
        """Compute the probability of every character of a text, (M,).

        Parameters
        ----------
        ids : (M,) int array
            A text, read from its beginning.
        """
        found: NDArray[np.float64] = np.zeros(len(ids))
        blending.score(self._alone, _as_ids(ids), 0, found)
        return found

    def distributions(self, ids: PackedIds | Ids) -> NDArray[np.float64]:
        """Compute the probability of every symbol at every place of a text, (M, V).

        Parameters
        ----------
        ids : (M,) int array
            A text, read from its beginning: row i is what may stand at its place i.
        """
        found: NDArray[np.float64] = np.zeros((len(ids), self.vocab_size))
        blending.fill_rows(self._alone, _as_ids(ids[:-1]), 0, found)
        return found

    @property
    def _alone(self) -> Blend:
        """The counts without a network."""
        return Blend(self.tables, None, 0.0, self.before, learns=False)

    def opening(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Blend what is known of a text's first character where none is read before.

        Parameters
        ----------
        shares : (V,) float64 array
            Of the characters in the corpus: no network predicts the first one.
        """
        (counts,) = self.distributions(np.zeros(1, np.int32))
        return self.share * shares + (1 - self.share) * counts


class Reading:
    """A text on its way past network and memory, whose predictions are blended.

    Parameters
    ----------
    blend : Blend
        Of a network that is alone everything stays as it is. One that learns counts
        what is read, as far as `MOST_LEARNED` characters.
    """

    def __init__(self, blend: Blend) -> None:
        self._blend = blend
        self._adapts = blend.learns
        self._order = blend.order
        self._before = np.zeros(0, np.int32)  # what was read, as far as needed
        self._learned = 0

    @property
    def learns(self) -> bool:
        """Whether what is read is counted."""
        return self._blend.learns

    @property
    def blend(self) -> Blend:
        """What kernels blend the network's next predictions with."""
        return self._blend

    def costs(
        self, network: Floats, inputs: Ids, targets: Ids
    ) -> tuple[Floats, Floats | None]:
        """Read some characters, and compute what those behind them cost.

        Parameters
        ----------
        network : (n,) float64 array
            What they cost the network, in nats.
        inputs : (n,) int array
            At least one character.
        targets : (n,) int array
            What stands behind each: the inputs but for the first, and one more.

        Returns
        -------
        costs : (n,) float64 array
            Nats.
        fixed : (n,) float64 array or None
            The same by counts that do not go on, if these do.
        """
        if self._blend.share == 1:
            return network, None
        read, first = self._next(inputs)
        ids = np.append(read, targets[-1:])
        p = np.exp(-network.astype(np.float64))
        own = p.copy() if self._adapts else p
        blending.score(self._blend, ids, first, p)
        if not self._adapts:
            return _costs(p), None
        fixed = self._blend._replace(growth=None, learns=False)
        blending.score(fixed, ids, first, own)
        return _costs(p), _costs(own)

    def distributions(
        self, network: NDArray[np.float64], inputs: Ids
    ) -> NDArray[np.float64]:
        """Read some characters, and compute what may stand behind the last of them.

        Parameters
        ----------
        network : (m, V) float64 array
            What the network expects behind the last m, which may be none.
        inputs : (n,) int array
            At least one character.

        Returns
        -------
        (m, V) float64 array
        """
        if self._blend.share == 1:
            return network
        p = network.copy()
        read, first = self._next(inputs)
        if not self._blend.learns:  # what is not asked for need not be looked up
            first = len(read) - len(network) + 1
        blending.fill_rows(self._blend, read, first, p)
        return p

    def read(self, inputs: Ids) -> None:
        """Read some characters, of which only the counts are told."""
        if self._blend.learns and len(inputs):
            tables = self._blend.counting[0]
            nothing: NDArray[np.float64] = np.empty((0, len(tables.single)))
            read, first = self._next(inputs)
            blending.fill_rows(self._blend, read, first, nothing)

    def _next(self, inputs: Ids) -> tuple[Ids, int]:
        """Put what was read before some characters before them, and go on.

        Returns
        -------
        read : (k + n,) int array
        first : int
            The place of what stands behind the first input: k + 1.
        """
        read = np.concatenate([self._before, inputs]).astype(np.int32)
        first = len(self._before) + 1
        self._before = read[-self._order :]
        self._make_room(len(inputs))
        return read, first

    def writing(self, characters: int) -> Blend:
        """Give what kernels blend with while so many characters are written."""
        self._make_room(characters)
        return self._blend

    def _make_room(self, characters: int) -> None:
        """Make room for so many characters to be counted, unless that is enough."""
        growth = self._blend.growth
        if growth is None or not self._blend.learns:
            return
        self._learned += characters
        room = characters * self._order
        self._blend = self._blend._replace(
            growth=enlarged(growth, room, room),
            learns=self._learned <= MOST_LEARNED,
        )

    def continued(self, *, learns: bool) -> "Reading":
        """Give a reading of its own to a text that goes on from here.

        Parameters
        ----------
        learns : bool
            Whether what follows is counted, too.
        """
        other, blend = copy(self), self._blend
        learns = learns and blend.learns
        if learns and blend.growth is not None:
            blend = blend._replace(growth=copied(blend.growth))
        other._blend = blend._replace(learns=learns)
        return other


def blended_costs(
    share: float, network: Floats, counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute what characters cost a blend, in nats.

    Parameters
    ----------
    share : float
        The network's.
    network : (n,) float array
        What they cost the network, in nats.
    counts : (n,) float64 array
        How likely they are by the counts.
    """
    return _costs(share * np.exp(-network.astype(np.float64)) + (1 - share) * counts)


def _costs(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn probabilities into nats."""
    # Where network and counts are certain, rounding may exceed 1.
    return np.maximum(0.0, -np.log(p))


def blend_of(
    memory: Memory | None, documents: Documents, *, adapt: bool = False
) -> Blend:
    """Give what kernels blend a network's predictions with.

    Parameters
    ----------
    memory : Memory or None
        Without one, the network is alone.
    documents : Documents
        What is read before a text. The counts know what stands there also where
        nothing is read.
    adapt : bool
        Whether what is read is counted, too.
    """
    if memory is None or memory.share == 1:
        return ALONE
    before = memory.before if documents.before is None else NONE
    growth = NO_GROWTH if adapt else None
    return Blend(memory.tables, growth, float(memory.share), before, adapt)


def _as_ids(ids: PackedIds | Ids) -> Ids:
    """Give ids as kernels read them."""
    return np.ascontiguousarray(ids, np.int32)


def _text(memory: Memory) -> Text:
    """Put before a text what its first n-grams begin with."""
    ids, order = memory.ids, memory.order
    chars = np.full(order + len(ids), ngrams.NOTHING, np.int32)
    chars[order:] = ids
    chars[order - 1] = memory.before
    chars[order - 1 :] += 1
    newline = NONE if memory.newline is None else memory.newline + 1
    reach = np.empty(len(ids), np.uint8)
    ngrams.reaches(chars[order:], order, newline, reach)
    return Text(chars, reach)


def _sorted(text: Text, order: int, vocab_size: int) -> Places:
    """Sort the places of a text."""
    N = len(text.reach)
    at, spare = np.empty(N, np.int32), np.empty(N, np.int32)
    ngrams.sort_places(text, order, vocab_size, at, spare)
    return Places(at, np.empty(N, np.uint8))


def _grown(text: Text, order: int, places: Places) -> tuple[Tree, Ids]:
    """Grow the tree of contexts; also count those that stand at one place only."""
    levels, alone = np.empty(order + 1, np.int32), np.empty(order, np.int32)
    ngrams.compare_neighbors(text, places, levels)
    K = int(levels[-1])
    tree = Tree(levels, *(np.empty(size, np.int32) for size in (K, K + 1, K, K, K)))
    ngrams.grow(text, places, tree, alone)
    return tree, alone


def _counted(text: Text, places: Places, tree: Tree, vocab_size: int) -> list[Level]:
    """Count what follows every context, level after level."""
    N, found = len(places.at), []
    below = Level(*(np.zeros(1, np.int32) for _ in range(3)))
    for k in reversed(range(len(tree.levels) - 1)):
        nodes = int(tree.levels[k + 1] - tree.levels[k])
        sizes = nodes + 1, N, N
        room = Level(*(np.empty(size, np.int32) for size in sizes))
        size = ngrams.count_level(k, text, places, tree, below, room, vocab_size)
        below = Level(
            room.firsts, room.symbols[:size].copy(), room.counts[:size].copy()
        )
        found.append(below)
    return found[::-1]


def discounts(counts: Ids, alone: int = 0) -> NDArray[np.float64]:
    """Estimate D(0) to D(3 and more), (4,), from how many n-grams count 1 to 4.

    `FALLBACK` where that cannot be done: some do not occur, or what is kept
    back would not be positive.

    Parameters
    ----------
    counts : (E,) int array
        Of the n-grams of one order that were seen.
    alone : int
        How many more there are that are not listed: they count 1.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(np.float64)
    n[1] += alone
    if not n[1:5].all():
        return FALLBACK
    i = np.arange(4)
    D = i - (i + 1) * n[1] / (n[1] + 2 * n[2]) * n[i + 1] / np.maximum(n[i], 1)
    D[0] = 0
    return D if (D[1:] > 0).all() else FALLBACK


def _single(
    level: Level, D: NDArray[np.float64], vocab_size: int
) -> NDArray[np.float64]:
    """Compute the probabilities without any context, (V,)."""
    counts = np.zeros(vocab_size, np.int64)
    counts[level.symbols] = level.counts
    taken = D[np.minimum(counts, 3)]
    p: NDArray[np.float64] = counts - taken + taken.sum() / vocab_size
    return p / counts.sum()


def _joined(
    text: Text, tree: Tree, alone: Ids, levels: Sequence[Level], memory: Memory
) -> Tables:
    """Join all levels."""
    D = np.array(
        [discounts(level.counts, n) for level, n in zip(levels, alone, strict=True)]
    )
    nodes, size = np.empty((len(tree.longer), 4), np.int32), 0
    nodes[:-1, SYMBOL], nodes[:-1, LEAF] = tree.symbols, tree.leaves
    nodes[:, LONGER] = tree.longer
    for k, level in enumerate(levels):
        here = slice(tree.levels[k], tree.levels[k + 1])
        nodes[here, FIRST] = level.firsts[:-1] + size
        size += len(level.symbols)
    nodes[-1, [SYMBOL, LEAF, FIRST]] = NONE, NONE, size
    return Tables(
        text=text,
        nodes=nodes,
        followers=np.concatenate([level.symbols for level in levels]),
        counts=np.concatenate([level.counts for level in levels]),
        discounts=D,
        single=_single(levels[0], D[0], memory.vocab_size),
        newline=NONE if memory.newline is None else memory.newline,
    )
