"""What a model knows by counting: the n-grams of the text that it was trained on.

A memory holds the text itself, as ids, and counts it when it is first asked. A
network knows what follows in general, and counts know what stood there: blended,
they predict better than either.

                    Text --> Places --> Tree --> Levels --> Tables
    ids, order -->   the      sorted    of        what       what is
                     text               contexts  follows    looked up
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids, PackedIds
from charrnn.kernels import ngrams
from charrnn.kernels.ngrams import (
    ALONE,
    NONE,
    Blend,
    Level,
    Places,
    Tables,
    Text,
    Tree,
)
from charrnn.windows import Documents


@dataclass(frozen=True, eq=False, kw_only=True)
class Memory:
    """A text, to be counted, and how much of a blend the counts are.

    Its probabilities are those of interpolated modified Kneser-Ney smoothing; see
    `charrnn.kernels.ngrams`. Where a document begins, a context begins with what
    stands before it, and no n-gram reaches back further.
    """

    ids: PackedIds  # (N,) the text that is counted, N >= 1
    order: int  # the longest n-grams; from 1 to `MAX_ORDER`
    share: float  # the network's, in [0, 1], in a blend of both
    vocab_size: int  # V; every id is below
    before: int  # the id that stands before a document
    newline: int | None = None  # given where every line is a document

    @cached_property
    def tables(self) -> Tables:
        """The counts, as kernels read them; made when they are first asked for."""
        newline = NONE if self.newline is None else self.newline
        text = _text(self.ids, self.order, self.before, newline)
        places, tree = _sorted(text, self.order, self.vocab_size)
        levels = _counted(text, places, tree, self.vocab_size)
        return _joined(tree, levels, self.vocab_size, newline)

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
        found: NDArray[np.float64] = np.empty(len(ids))
        ngrams.score(self.tables, _as_ids(ids), 0, self.before, found)
        return found

    def distributions(self, ids: PackedIds | Ids) -> NDArray[np.float64]:
        """Compute the probability of every symbol at every place of a text, (M, V).

        Parameters
        ----------
        ids : (M,) int array
            A text, read from its beginning: row i is what may stand at its place i.
        """
        found: NDArray[np.float64] = np.empty((len(ids), self.vocab_size))
        ngrams.fill_rows(self.tables, _as_ids(ids), 0, self.before, found)
        return found

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
        Of a network that is alone everything stays as it is.
    """

    def __init__(self, blend: Blend) -> None:
        self._blend = blend
        self._order = len(blend.tables.discounts)
        self._before = np.zeros(0, np.int32)  # what was read, as far as needed

    def costs(self, network: Floats, inputs: Ids, targets: Ids) -> Floats:
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
        (n,) float64 array
            Nats.
        """
        if self._blend.share == 1:
            return network
        p: NDArray[np.float64] = np.empty(len(targets))
        read, first = self._read(inputs)
        ids = np.append(read, targets[-1:])
        ngrams.score(self._blend.tables, ids, first, self._blend.before, p)
        return blended_costs(self._blend.share, network, p)

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
        share, tables = self._blend.share, self._blend.tables
        if share == 1:
            return network
        read, _ = self._read(inputs)
        p: NDArray[np.float64] = np.empty(network.shape)
        first = len(read) - len(network) + 1
        ngrams.fill_rows(tables, read, first, self._blend.before, p)
        return share * network + (1 - share) * p

    def _read(self, inputs: Ids) -> tuple[Ids, int]:
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
        return read, first


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
    p = share * np.exp(-network.astype(np.float64)) + (1 - share) * counts
    # Where both are certain, rounding may exceed 1.
    return np.maximum(0.0, -np.log(p))


def blend_of(memory: Memory | None, documents: Documents) -> Blend:
    """Give what kernels blend a network's predictions with.

    Parameters
    ----------
    memory : Memory or None
        Without one, the network is alone.
    documents : Documents
        What is read before a text. The counts know what stands there also where
        nothing is read.
    """
    if memory is None or memory.share == 1:
        return ALONE
    before = memory.before if documents.before is None else NONE
    return Blend(memory.tables, float(memory.share), before)


def _as_ids(ids: PackedIds | Ids) -> Ids:
    """Give ids as kernels read them."""
    return np.ascontiguousarray(ids, np.int32)


def _text(ids: PackedIds, order: int, before: int, newline: int) -> Text:
    """Put before a text what its first n-grams begin with."""
    chars = np.full(order + len(ids), ngrams.NOTHING, np.int32)
    chars[order:] = ids
    chars[order - 1] = before
    chars[order - 1 :] += 1
    reach = np.empty(len(ids), np.uint8)
    ngrams.reaches(chars[order:], order, newline + 1, reach)
    return Text(chars, reach)


def _sorted(text: Text, order: int, vocab_size: int) -> tuple[Places, Tree]:
    """Sort the places of a text, and grow the tree of their contexts."""
    N = len(text.reach)
    at, spare = np.empty(N, np.int32), np.empty(N, np.int32)
    ngrams.sort_places(text, order, vocab_size, at, spare)
    places = Places(at, np.empty(N, np.uint8))
    levels = np.empty(order + 1, np.int32)
    ngrams.compare_neighbors(text, order, at, places.shared, levels)
    K = int(levels[-1])
    tree = Tree(
        levels, np.empty(K, np.int32), np.empty(K + 1, np.int32), np.empty(K, np.int32)
    )
    ngrams.grow(text, order, places, tree)
    return places, tree


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


def _joined(
    tree: Tree, levels: Sequence[Level], vocab_size: int, newline: int
) -> Tables:
    """Join all levels."""
    K = len(tree.symbols)
    totals, kept = np.empty(K), np.empty(K)
    discounts = np.empty((len(levels), 4))
    firsts, size = np.empty(K + 1, np.int32), 0
    for k, level in enumerate(levels):
        nodes = slice(tree.levels[k], tree.levels[k + 1])
        ngrams.discount_level(level, discounts[k], totals[nodes], kept[nodes])
        firsts[nodes] = level.firsts[:-1] + size
        size += len(level.symbols)
    firsts[K] = size
    return Tables(
        symbols=tree.symbols,
        longer=tree.longer,
        totals=totals,
        kept=kept,
        firsts=firsts,
        followers=np.concatenate([level.symbols for level in levels]),
        counts=np.concatenate([level.counts for level in levels]),
        discounts=discounts,
        vocab_size=vocab_size,
        newline=newline,
    )
