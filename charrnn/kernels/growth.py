"""Counts that go on: what is read is counted beside the text of the tables.

The n-grams of a text that is being read are added to those of the text that was
trained on, as if both were one text, and predict with them (`kernels.ngrams` has the
formula). The tables stay as they are: what is added stands in a tree of its own,
which grows by a character at a time, and a context has two nodes, one in each. The
discounts are those of the tables.

A new n-gram counts, below the highest order, once for each different character
before it. So a longer n-gram that has been there before adds nothing to the shorter
ones, and counting goes down from the longest context as far as something is new.

What was read lately says more of what follows than as much text of long ago: each
count of it is `WEIGHT` of the tables'.
"""

from typing import NamedTuple

import numpy as np

from charrnn.arrays import Floats, Ids, Longs
from charrnn.kernels.jit import jit
from charrnn.kernels.ngrams import FIRST, LEAF, NONE, Tables

#: What a count of the text that is read is worth. Of 1 to 4, blended with a network,
#: 3 makes up to 0.003 nats less on held-out texts of 20,000 to 260,000 characters, and
#: 0.002 more on one of 5,500: `benchmarks/adapting.py` tries them.
WEIGHT = 2

#: What stands in an empty slot.
EMPTY = -1

#: A number with bits everywhere, by which the lower half of a key is scattered over
#: the slots: 2^29 divided by the golden ratio. The product fits into 64 bits.
_SCATTER, _HALF = 0x13C6EF37, 0xFFFFFFFF


class Growth(NamedTuple):
    """A tree of contexts that grows, with room for K of them and E counts.

    A node that has nothing counted yet leads to longer ones. Node 0 is the empty
    context.
    """

    used: Ids  # (2,) how many nodes there are, and how many counts
    keys: Longs  # (S,) what stands in each slot, or EMPTY; S is a power of two
    slots: Ids  # (S,) the node or the count that a key stands for
    totals: Floats  # (K,) float64: what is added to the totals of a context
    kept: Floats  # (K,) float64: what is added to the part that is kept back
    last: Ids  # (K,) the latest count of each node, or NONE
    symbols: Ids  # (E,) what follows
    known: Ids  # (E,) how often it does by the tables
    counts: Ids  # (E,) what is added to that
    earlier: Ids  # (E,) the count of the same node before, or NONE


def new_growth(nodes: int, counts: int) -> Growth:
    """Make room for so many contexts, beside the empty one, and so many counts."""
    return Growth(
        used=np.array([1, 0], np.int32),
        keys=np.full(_slots(nodes + counts), EMPTY, np.int64),
        slots=np.empty(_slots(nodes + counts), np.int32),
        totals=np.zeros(nodes + 1),
        kept=np.zeros(nodes + 1),
        last=np.full(nodes + 1, NONE, np.int32),
        **{
            name: np.empty(counts, np.int32)
            for name in ("symbols", "known", "counts", "earlier")
        },
    )


def _slots(entries: int) -> int:
    """Choose a number of slots, of which at least half stay empty."""
    return 1 << (2 * entries + 1).bit_length()


#: Nothing that was read is counted.
NO_GROWTH = new_growth(0, 0)


def copied(growth: Growth) -> Growth:
    """Copy all of it, to go on by itself."""
    own = {name: array.copy() for name, array in growth._asdict().items()}
    return growth._replace(**own)


def enlarged(growth: Growth, nodes: int, counts: int) -> Growth:
    """Make sure that there is room for so many contexts and counts more.

    Returns
    -------
    Growth
        The same one, or a copy with twice the room that it needs.
    """
    K, E = growth.used.tolist()
    if K + nodes <= growth.totals.size and E + counts <= growth.symbols.size:
        return growth
    larger = new_growth(2 * (K + nodes), 2 * (E + counts))
    larger.used[:] = growth.used
    for name in ("totals", "kept", "last"):
        getattr(larger, name)[:K] = getattr(growth, name)[:K]
    for name in ("symbols", "known", "counts", "earlier"):
        getattr(larger, name)[:E] = getattr(growth, name)[:E]
    _move(growth, larger)
    return larger


@jit(inlined_early=True)
def slot_of(growth: Growth, key: np.int64) -> int:
    """Find the slot that a key stands in, or the empty one where it belongs."""
    keys, mask = growth.keys, growth.keys.size - 1
    at = int(((key & _HALF) * _SCATTER >> 20) ^ (key >> 32)) & mask
    while keys[at] != EMPTY and keys[at] != key:
        at = (at + 1) & mask
    return at


@jit(parallel=False)
def _move(growth: Growth, larger: Growth) -> None:
    """Put all keys into the slots of a larger table."""
    for at in range(growth.keys.size):
        key = growth.keys[at]
        if key != EMPTY:
            to = slot_of(larger, key)
            larger.keys[to], larger.slots[to] = key, growth.slots[at]


@jit(inlined_early=True)
def key_of(node: int, symbol: int, vocab_size: int, counted: int) -> np.int64:
    """Give a number to what stands before or behind the context of a node.

    Parameters
    ----------
    counted : int
        1 for a symbol behind it, which is counted; 0 for one before it, which
        makes a longer context.
    """
    return (np.int64(node) * vocab_size + symbol) * 2 + counted


@jit(inlined_early=True)
def follow(
    tables: Tables, growth: Growth, read: Ids, before: int, path: Ids, grows: bool
) -> int:
    """Find the contexts that were read before; see `ngrams.find`.

    Parameters
    ----------
    tables, read, before
        See `ngrams.find`.
    growth : Growth
    path : (order,) int32 array
        Written: the node of each context, from the empty one on.
    grows : bool
        Whether contexts that are new are added, so that something can be counted
        behind them: a context alone says nothing. There must be room for as many
        nodes more as n-grams are long.

    Returns
    -------
    int
        How many contexts there are, with the empty one.
    """
    path[0] = 0
    found, last = 1, False
    while found < path.size and not last:
        symbol = read[read.size - found] if found <= read.size else NONE
        last = symbol < 0 or symbol == tables.newline
        if symbol < 0:
            symbol = before
        if symbol < 0:
            break
        key = key_of(path[found - 1], symbol, tables.single.size, 0)
        at = slot_of(growth, key)
        if growth.keys[at] == EMPTY:
            if not grows:
                break
            node = growth.used[0]
            growth.used[0] = node + 1
            growth.keys[at], growth.slots[at] = key, node
            growth.totals[node] = growth.kept[node] = 0
            growth.last[node] = NONE
        path[found] = growth.slots[at]
        found += 1
    return found


@jit(inlined_early=True)
def follower_of(tables: Tables, leaf: int) -> int:
    """Look up what follows a context that stands at one place only."""
    return tables.text.chars[tables.discounts.shape[0] + leaf] - 1


@jit(inlined_early=True)
def count_of(tables: Tables, node: int, symbol: int) -> int:
    """Look up how often a symbol follows a context by the tables."""
    leaf = tables.nodes[node, LEAF]
    if leaf >= 0:
        return int(follower_of(tables, leaf) == symbol)
    for e in range(tables.nodes[node, FIRST], tables.nodes[node + 1, FIRST]):
        if tables.followers[e] == symbol:
            return tables.counts[e]
    return 0


@jit(inlined_early=True)
def count(
    tables: Tables,
    nodes: Ids,
    found: int,
    growth: Growth,
    path: Ids,
    reach: int,
    symbol: int,
) -> None:
    """Count a symbol behind what was read.

    Parameters
    ----------
    tables : Tables
    nodes : (order,) int32 array
        The contexts by the tables, as many as `found` says; see `ngrams.find`.
    found : int
    growth : Growth
        Has room for as many counts more as n-grams are long.
    path : (order,) int32 array
        The contexts as `follow` finds them, as many as `reach` says.
    reach : int
    symbol : int
    """
    for k in range(reach - 1, -1, -1):
        node = path[k]
        key = key_of(node, symbol, tables.single.size, 1)
        at = slot_of(growth, key)
        if growth.keys[at] == EMPTY:
            e = growth.used[1]
            growth.used[1] = e + 1
            growth.keys[at], growth.slots[at] = key, e
            growth.symbols[e], growth.counts[e] = symbol, 0
            growth.known[e] = count_of(tables, nodes[k], symbol) if k < found else 0
            growth.earlier[e], growth.last[node] = growth.last[node], e
        e = growth.slots[at]
        D, old = tables.discounts[k], growth.known[e] + growth.counts[e]
        growth.counts[e] += WEIGHT
        growth.totals[node] += WEIGHT
        growth.kept[node] += D[min(old + WEIGHT, 3)] - D[min(old, 3)]
        if old > 0:
            break
