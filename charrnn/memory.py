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

from charrnn.arrays import Ids, PackedIds
from charrnn.kernels import ngrams
from charrnn.kernels.ngrams import NONE, Level, Places, Tables, Text, Tree


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
