"""What is expected next: by counts, and by a network and counts together.

    p = share * softmax(logits) + (1 - share) * p of the n-grams

The n-grams are those of the tables and, where a text is counted as it is read, those
of its growth: the counts of both are added up, context by context, and interpolated
as `kernels.ngrams` says. Of a distribution only what follows a known context is
looked at, so that a row costs little more than the network's head.
"""

from typing import NamedTuple

import numpy as np

from charrnn.arrays import Floats, Ids
from charrnn.kernels.activations import exp, log
from charrnn.kernels.growth import (
    EMPTY,
    NO_GROWTH,
    Growth,
    count,
    count_of,
    follow,
    follower_of,
    grow,
    key_of,
    slot_of,
)
from charrnn.kernels.jit import jit
from charrnn.kernels.ngrams import FIRST, LEAF, NO_TABLES, NONE, Tables, find


class Blend(NamedTuple):
    """A network's predictions and those of the counts, as one distribution."""

    tables: Tables
    growth: Growth
    share: float  # the network's; 1 for the network alone
    #: What stands before a text, as far as the counts know, where nothing was read
    #: before it; else NONE.
    before: int
    learns: bool  # whether what is chosen is counted, too


#: The network alone.
ALONE = Blend(NO_TABLES, NO_GROWTH, 1.0, NONE, False)


class Contexts(NamedTuple):
    """Room for the contexts of one place, used again for the next."""

    nodes: Ids  # (order,) those of the tables
    path: Ids  # (order,) those of the growth


class Mixing(NamedTuple):
    """Room to blend one row, used again for the next."""

    contexts: Contexts
    p: Floats  # (V,) float64


@jit(inlined_early=True)
def new_contexts(tables: Tables) -> Contexts:
    """Make room for the contexts of n-grams as long as those of the tables."""
    order = tables.discounts.shape[0]
    return Contexts(np.empty(order, np.int32), np.empty(order, np.int32))


@jit(inlined_early=True)
def new_mixing(blend: Blend, V: int) -> Mixing:
    """Make room for a vocabulary of V characters."""
    return Mixing(new_contexts(blend.tables), np.empty(V))


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
    growth: Growth,
    contexts: Contexts,
    found: int,
    grown: int,
    p: Floats,
) -> None:
    """Fill a row with the probabilities of what follows.

    Parameters
    ----------
    tables : Tables
    growth : Growth
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
        if k < grown:
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
        if k < grown:
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
    growth: Growth,
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
        if k < grown:
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
def mix(blend: Blend, read: Ids, logits: Floats, room: Mixing) -> None:
    """Turn a network's logits into those of the blend: ln p.

    Parameters
    ----------
    blend : Blend
        Its share is below 1.
    read : (n,) int array
        What was read last; see `ngrams.find`.
    logits : (V,) float array
        Changed. NaN, all of them, if there is a NaN or an infinity above 0.
    room : Mixing
    """
    (nodes, path), p = room
    tables, growth = blend.tables, blend.growth
    found, grown = find(tables, read, blend.before, nodes), 0
    if growth.used[1]:
        grown = follow(tables, growth, read, blend.before, path)
    fill(tables, growth, room.contexts, found, grown, p)
    # Each loop does one thing, without a branch: LLVM makes vector code of them.
    peak = logits[0]
    for v in range(1, logits.size):
        peak = max(peak, logits[v])
    total = logits.dtype.type(0)
    for v in range(logits.size):
        power = exp(logits[v] - peak)
        logits[v] = power
        total += power
    scale = blend.share / total
    for v in range(logits.size):
        logits[v] = scale * logits[v] + (1 - blend.share) * p[v]
    for v in range(logits.size):
        logits[v] = log(logits[v])


@jit(inlined_early=True)
def learn(blend: Blend, read: Ids, symbol: int, contexts: Contexts) -> None:
    """Count what stands behind what was read.

    Parameters
    ----------
    blend : Blend
        Its growth has room for as many contexts and counts more as n-grams are long.
    read : (n,) int array
        What was read last; see `ngrams.find`.
    symbol : int
    contexts : Contexts
        Room to work in.
    """
    tables, growth = blend.tables, blend.growth
    nodes, path = contexts
    found = find(tables, read, blend.before, nodes)
    reach = grow(tables, growth, read, blend.before, path)
    count(tables, nodes, found, growth, path, reach, symbol)


@jit(inlined_early=True)
def _read(blend: Blend, ids: Ids, i: int, contexts: Contexts) -> tuple[int, int]:
    """Find the contexts of a place; if the blend learns, count what stands before it.

    What is read before a text begins is not counted, unless it is the text's own.

    Returns
    -------
    found, grown : int
        How many contexts the tables and the growth know.
    """
    tables, growth, most = blend.tables, blend.growth, contexts.nodes.size
    if blend.learns and (i > 1 or (i == 1 and blend.before != NONE)):
        learn(blend, ids[max(0, i - 1 - most) : i - 1], ids[i - 1], contexts)
    read, grown = ids[max(0, i - most) : i], 0
    if growth.used[1]:
        grown = follow(tables, growth, read, blend.before, contexts.path)
    return find(tables, read, blend.before, contexts.nodes), grown


@jit(parallel=False)
def score(blend: Blend, ids: Ids, first: int, p: Floats) -> None:
    """Find the probability of every character of a text by the counts, from one on.

    Parameters
    ----------
    blend : Blend
        If it learns, every character from the one before `first` on is counted, but
        for the last.
    ids : (N,) int array
    first : int
        What stands before it is the context of the first one.
    p : (N - first,) float64 array
        Written.
    """
    tables, growth, contexts = blend.tables, blend.growth, new_contexts(blend.tables)
    for i in range(first, ids.size):
        found, grown = _read(blend, ids, i, contexts)
        p[i - first] = look_up_one(tables, growth, contexts, found, grown, ids[i])


@jit(parallel=False)
def fill_rows(blend: Blend, ids: Ids, first: int, p: Floats) -> None:
    """Find the probability of every symbol behind each part of a text by the counts.

    Parameters
    ----------
    blend : Blend
        If it learns, every character from the one before place `first` on is counted.
    ids : (N,) int array
    first : int
        How many characters stand before the first place.
    p : (M, V) float64 array
        Written: of the last M of the N - first + 1 places.
    """
    tables, growth, contexts = blend.tables, blend.growth, new_contexts(blend.tables)
    for i in range(first, ids.size + 1):
        found, grown = _read(blend, ids, i, contexts)
        row = i - (ids.size + 1 - p.shape[0])
        if row >= 0:
            fill(tables, growth, contexts, found, grown, p[row])
