"""What is expected next: by counts, and by a network and counts together.

    p = share * softmax(logits) + (1 - share) * p of the n-grams

The n-grams are those of the tables and, where a text is counted as it is read, those
of its growth: the counts of both are added up, context by context, and interpolated
as `kernels.ngrams` says. Of a distribution only what follows a known context is
looked at, so that a row costs little more than the network's head.

A text that adapts the counts has names and turns of its own, and in the middle of one
the network, which has never seen it, says next to nothing, while the counts are sure.
So its share is less where the longest context that was read before is d characters
longer than the longest that was trained on: share / (1 + d). benchmarks/README.md has
what that is worth.

What a kernel is compiled for is told by the types of the tables and of the growth:
where there is None, nothing of what they would need is compiled. Numba sees that of a
function's own arguments only, which is why both are handed over apart.
"""

from typing import NamedTuple

import numpy as np

from charrnn.arrays import Floats, Ids
from charrnn.kernels.activations import exp, log
from charrnn.kernels.growth import (
    EMPTY,
    Growth,
    count,
    count_of,
    follow,
    follower_of,
    key_of,
    slot_of,
)
from charrnn.kernels.jit import jit
from charrnn.kernels.ngrams import FIRST, LEAF, NONE, Tables, find
from charrnn.kernels.shared import shared


class Blend(NamedTuple):
    """A network's predictions and those of the counts, as one distribution."""

    tables: Tables | None  # None for the network alone
    growth: Growth | None  # None where no text is ever counted as it is read
    #: The network's, where what is read knows no longer context; 1 for it alone.
    share: float
    #: What stands before a text, as far as the counts know, where nothing was read
    #: before it; else NONE.
    before: int
    learns: bool  # whether what is chosen is counted, too

    @property
    def order(self) -> int:
        """How long n-grams are; 0 for the network alone."""
        return 0 if self.tables is None else len(self.tables.discounts)

    @property
    def counting(self) -> tuple[Tables, Growth | None, float, int, bool]:
        """All of it, with tables for certain.

        Raises
        ------
        ValueError
            The network is alone.
        """
        if self.tables is None:
            msg = "nothing was counted"
            raise ValueError(msg)
        return self.tables, self.growth, self.share, self.before, self.learns


#: The network alone.
ALONE = Blend(None, None, 1.0, NONE, False)


class Contexts(NamedTuple):
    """Room for the contexts of one place, used again for the next."""

    nodes: Ids  # (order,) those of the tables
    path: Ids  # (order,) those of the growth


@jit(inlined_early=True)
def new_contexts(tables: Tables) -> Contexts:
    """Make room for the contexts of n-grams as long as those of the tables."""
    order = tables.discounts.shape[0]
    return Contexts(np.empty(order, np.int32), np.empty(order, np.int32))


@jit(inlined_early=True)
def _sums(counts: Ids, D: Floats) -> tuple[float, float]:
    """Add up the counts of what follows a context, and what is kept back of them."""
    total, ones, twos = np.int32(0), np.int32(0), np.int32(0)
    for e in range(counts.size):
        total += counts[e]
        ones += np.int32(counts[e] == 1)
        twos += np.int32(counts[e] == 2)
    more = counts.size - ones - twos
    return float(total), ones * D[1] + twos * D[2] + more * D[3]


@jit(inlined_early=True)
def _added(D: Floats, growth: Growth, e: int) -> float:
    """Tell what a count adds to the discounted one of the tables."""
    known = growth.known[e]
    both = known + growth.counts[e]
    return (both - D[min(both, 3)]) - (known - D[min(known, 3)])


@jit(inlined_early=True)
def fill(
    tables: Tables,
    growth: Growth | None,
    contexts: Contexts,
    found: int,
    grown: int,
    p: Floats,
) -> None:
    """Fill a row with the probabilities of what follows.

    Parameters
    ----------
    tables : Tables
    growth : Growth or None
    contexts : Contexts
    found : int
        How many of them the tables know.
    grown : int
        How many of them the growth knows, which may be none.
    p : (V,) float64 array
        Written.
    """
    nodes, path = contexts
    for v in range(p.size):
        p[v] = 0
    left = 1.0  # what the longer contexts leave to the shorter ones
    for k in range(max(found, grown) - 1, -1 if grown else 0, -1):
        D, total, kept = tables.discounts[k], 0.0, 0.0
        leaf, first, last = NONE, 0, 0
        if k < found:
            leaf = tables.nodes[nodes[k], LEAF]
            if leaf >= 0:
                total, kept = 1.0, D[1]
            else:
                first = tables.nodes[nodes[k], FIRST]
                last = tables.nodes[nodes[k] + 1, FIRST]
                total, kept = _sums(tables.counts[first:last], D)
        if growth is not None and k < grown:
            total += growth.totals[path[k]]
            kept += growth.kept[path[k]]
        if total == 0:
            continue
        scale = left / total
        if leaf >= 0:
            p[follower_of(tables, leaf)] += scale * (1 - D[1])
        followers, counts = tables.followers[first:last], tables.counts[first:last]
        for e in range(counts.size):
            p[followers[e]] += scale * (counts[e] - D[min(counts[e], 3)])
        if growth is not None and k < grown:
            e = growth.last[path[k]]
            while e != NONE:
                p[growth.symbols[e]] += scale * _added(D, growth, e)
                e = growth.earlier[e]
        left = scale * kept
    for v in range(p.size):
        p[v] += left / p.size if grown else left * tables.single[v]


@jit(inlined_early=True)
def look_up_one(
    tables: Tables,
    growth: Growth | None,
    contexts: Contexts,
    found: int,
    grown: int,
    symbol: int,
) -> float:
    """Find the probability of one symbol; see `fill`."""
    nodes, path = contexts
    p, left = 0.0, 1.0
    for k in range(max(found, grown) - 1, -1 if grown else 0, -1):
        D, total, kept, n = tables.discounts[k], 0.0, 0.0, 0
        if k < found:
            if tables.nodes[nodes[k], LEAF] >= 0:
                total, kept = 1.0, D[1]
            else:
                first = tables.nodes[nodes[k], FIRST]
                last = tables.nodes[nodes[k] + 1, FIRST]
                total, kept = _sums(tables.counts[first:last], D)
            n = count_of(tables, nodes[k], symbol)
        if growth is not None and k < grown:
            total += growth.totals[path[k]]
            kept += growth.kept[path[k]]
            at = slot_of(growth, key_of(path[k], symbol, tables.single.size, 1))
            if growth.keys[at] != EMPTY:
                n += growth.counts[growth.slots[at]]
        if total == 0:
            continue
        p += left / total * (n - D[min(n, 3)])
        left *= kept / total
    return p + (left / tables.single.size if grown else left * tables.single[symbol])


@jit(inlined_early=True)
def share_at(
    growth: Growth | None, share: float, contexts: Contexts, found: int, grown: int
) -> float:
    """Find the network's share at one place; see the module.

    Parameters
    ----------
    growth : Growth or None
    share : float
        Where no context was read before that is longer than those of the tables.
    contexts : Contexts
    found, grown : int
        How many of them tables and growth know.
    """
    if growth is None:
        return share
    # The longest contexts may have been made, and nothing counted behind them yet.
    while grown > found and growth.totals[contexts.path[grown - 1]] == 0:
        grown -= 1
    return share / (1 + max(0, grown - found))


@shared(allocates=True)
def mix(
    tables: Tables | None,
    growth: Growth | None,
    share: float,
    before: int,
    read: Ids,
    logits: Floats,
) -> None:
    """Turn a network's logits into those of the blend: ln p.

    Parameters
    ----------
    tables, growth, share, before
        Of `Blend`; the share is below 1. Without tables nothing is done.
    read : (n,) int array
        What was read last; see `ngrams.find`.
    logits : (V,) float array
        Changed. NaN, all of them, if there is a NaN or an infinity above 0.
    """
    if tables is None:
        return
    contexts, p, grown = new_contexts(tables), np.empty(logits.size), 0
    found = find(tables, read, before, contexts.nodes)
    if growth is not None and growth.used[1]:
        grown = follow(tables, growth, read, before, contexts.path, False)
    fill(tables, growth, contexts, found, grown, p)
    network = share_at(growth, share, contexts, found, grown)
    # Each loop does one thing, without a branch: LLVM makes vector code of them.
    peak = logits[0]
    for v in range(1, logits.size):
        peak = max(peak, logits[v])
    total = logits.dtype.type(0)
    for v in range(logits.size):
        power = exp(logits[v] - peak)
        logits[v] = power
        total += power
    scale = network / total
    for v in range(logits.size):
        logits[v] = scale * logits[v] + (1 - network) * p[v]
    for v in range(logits.size):
        logits[v] = log(logits[v])


@shared(allocates=True)
def learn(
    tables: Tables | None, growth: Growth | None, before: int, read: Ids, symbol: int
) -> None:
    """Count what stands behind what was read.

    Parameters
    ----------
    tables, growth, before
        Of `Blend`. The growth has room for as many contexts and counts more as
        n-grams are long; without one nothing is done.
    read : (n,) int array
        What was read last; see `ngrams.find`.
    symbol : int
    """
    if tables is None or growth is None:
        return
    nodes, path = new_contexts(tables)
    found = find(tables, read, before, nodes)
    reach = follow(tables, growth, read, before, path, True)
    count(tables, nodes, found, growth, path, reach, symbol)


@jit(inlined_early=True)
def _is_counted(learns: bool, before: int, i: int) -> bool:
    """Tell whether character i of a text is counted, once the text goes on.

    What is read before a text begins is not, unless it is the text's own.
    """
    return learns and (i > 0 or (i == 0 and before != NONE))


@jit(inlined_early=True)
def _look_up(
    tables: Tables,
    growth: Growth | None,
    before: int,
    read: Ids,
    grows: bool,
    contexts: Contexts,
) -> tuple[int, int, int]:
    """Find the contexts of a place, and make those that will be counted behind.

    Returns
    -------
    found : int
        How many contexts the tables know.
    grown : int
        How many the growth knows, as far as anything is counted at all.
    reach : int
        How many it has, with those that are new.
    """
    reach = grown = 0
    if growth is not None and (grows or growth.used[1]):
        reach = follow(tables, growth, read, before, contexts.path, grows)
        grown = reach if growth.used[1] else 0
    return find(tables, read, before, contexts.nodes), grown, reach


@jit(inlined_early=True)
def _count_one_before(
    tables: Tables, growth: Growth | None, before: int, learns: bool, ids: Ids, i: int
) -> None:
    """Count the character before the first place that is looked at, if any is."""
    if _is_counted(learns, before, i - 1):
        most = tables.discounts.shape[0]
        learn(tables, growth, before, ids[max(0, i - 1 - most) : i - 1], ids[i - 1])


@jit(parallel=False, allocates=True)
def _score(
    tables: Tables,
    growth: Growth | None,
    share: float,
    before: int,
    learns: bool,
    ids: Ids,
    first: int,
    p: Floats,
) -> None:
    """See `score`."""
    contexts, most = new_contexts(tables), tables.discounts.shape[0]
    _count_one_before(tables, growth, before, learns, ids, first)
    for i in range(first, ids.size):
        read = ids[max(0, i - most) : i]
        counted = i + 1 < ids.size and _is_counted(learns, before, i)
        found, grown, reach = _look_up(tables, growth, before, read, counted, contexts)
        q = look_up_one(tables, growth, contexts, found, grown, ids[i])
        network = share_at(growth, share, contexts, found, grown)
        p[i - first] = network * p[i - first] + (1 - network) * q
        if growth is not None and counted:
            count(tables, contexts.nodes, found, growth, contexts.path, reach, ids[i])


@jit(parallel=False, allocates=True)
def _fill_rows(
    tables: Tables,
    growth: Growth | None,
    share: float,
    before: int,
    learns: bool,
    ids: Ids,
    first: int,
    p: Floats,
) -> None:
    """See `fill_rows`."""
    contexts, most = new_contexts(tables), tables.discounts.shape[0]
    q, skipped = np.empty(p.shape[1]), ids.size + 1 - p.shape[0]
    _count_one_before(tables, growth, before, learns, ids, first)
    for i in range(first, ids.size + 1):
        read = ids[max(0, i - most) : i]
        counted = i < ids.size and _is_counted(learns, before, i)
        found, grown, reach = _look_up(tables, growth, before, read, counted, contexts)
        if i >= skipped:
            fill(tables, growth, contexts, found, grown, q)
            network = share_at(growth, share, contexts, found, grown)
            out = p[i - skipped]
            for v in range(q.size):
                out[v] = network * out[v] + (1 - network) * q[v]
        if growth is not None and counted:
            count(tables, contexts.nodes, found, growth, contexts.path, reach, ids[i])


def score(blend: Blend, ids: Ids, first: int, p: Floats) -> None:
    """Find the probability of every character of a text, from one on.

    Parameters
    ----------
    blend : Blend
        Not the network alone. If it learns, every character from the one before
        `first` on is counted, but for the last.
    ids : (N,) int array
    first : int
        What stands before it is the context of the first one.
    p : (N - first,) float64 array
        On entry by the network (0 where it has no share), on exit by both.
    """
    _score(*blend.counting, ids, first, p)


def fill_rows(blend: Blend, ids: Ids, first: int, p: Floats) -> None:
    """Find the probability of every symbol behind each part of a text.

    Parameters
    ----------
    blend : Blend
        Not the network alone. If it learns, every character from the one before
        place `first` on is counted.
    ids : (N,) int array
    first : int
        How many characters stand before the first place.
    p : (M, V) float64 array
        Of the last M of the N - first + 1 places: on entry by the network (0 where
        it has no share), on exit by both.
    """
    _fill_rows(*blend.counting, ids, first, p)
