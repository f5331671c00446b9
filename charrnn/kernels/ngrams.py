"""Counting n-grams, and what their counts say of the next character.

The model is interpolated modified Kneser-Ney smoothing (Chen and Goodman, "An
Empirical Study of Smoothing Techniques for Language Modeling", 1999). With h
the k - 1 characters before w, and h' the same without the first of them,

    p_k(w | h) = (c(hw) - D(c(hw)) + g(h) p_{k-1}(w | h')) / sum_v c(hv)
    g(h)       = sum_v D(c(hv))
    p_0(w)     = 1 / V

where c is how often hw stands in the text at the highest order, and after how
many different characters it stands there at the lower ones. A context that was
never seen is shortened. Every probability is positive, and those of a context
add up to one.

Contexts are the nodes of a tree: the children of a context are those that are
longer by one character before it. Sorted by what stands before them, read
backwards, all places of a text that share a context are neighbors, and so are
those of its children: one sort gives the whole tree, level by level. Of each
node the symbols that follow it are listed with their counts; a list is made of
those one level below, which makes counting different characters easy: a symbol
counts once for every child that it follows.
"""

from typing import NamedTuple

import numpy as np

from charrnn.arrays import Flags, Floats, Ids
from charrnn.kernels.activations import exp, log
from charrnn.kernels.jit import jit

#: In `Text.chars`, where there is no character; ids are larger by one.
NOTHING = 0

#: What stands for "none" among ids.
NONE = -1


class Text(NamedTuple):
    """A text as it is counted."""

    #: (order + N,) characters, larger by one: before place p, which is in
    #: ``chars[order + p]``, there are at least as many as an n-gram has.
    chars: Ids
    #: (N,) how many of them belong to the context of each place: less than
    #: the order, and not beyond the beginning of the place's document.
    reach: Flags


class Places(NamedTuple):
    """All places of a text, sorted by their contexts, read backwards."""

    at: Ids  # (N,)
    shared: Flags  # (N,) characters that the context has in common with the last one


class Tree(NamedTuple):
    """The contexts of a text, level after level: level k has those of k characters."""

    levels: Ids  # (order + 1,) the first node of each level, and their number K
    symbols: Ids  # (K,) the first character of each context, the only new one
    longer: Ids  # (K + 1,) the first of its children; they are sorted by symbol
    begins: Ids  # (K,) the first of its places, in the order of `Places`


class Level(NamedTuple):
    """What follows the contexts of one level, (E,) in all."""

    firsts: Ids  # (nodes + 1,) where the list of each node begins
    symbols: Ids  # (E,) what follows it
    counts: Ids  # (E,) how often; below the highest order, after how many


class Tables(NamedTuple):
    """All that is known of a text's n-grams, as it is looked up."""

    symbols: Ids  # (K,) as `Tree` has them
    longer: Ids  # (K + 1,) likewise
    totals: Floats  # (K,) float64: the sum of the counts of what follows
    kept: Floats  # (K,) float64: the part of it that is kept back for others
    firsts: Ids  # (K + 1,) as `Level` has them, of all levels
    followers: Ids  # (E,) likewise
    counts: Ids  # (E,) likewise
    discounts: Floats  # (order, 4) float64: D(0) to D(3 and more), by level
    vocab_size: int
    newline: int  # given where every line is a document; else NONE


class Blend(NamedTuple):
    """A network's predictions and those of the counts, as one distribution."""

    tables: Tables
    share: float  # the network's; 1 for the network alone
    #: What stands before a text, as far as the counts know, where nothing was read
    #: before it; else NONE.
    before: int


#: Tables of nothing.
_NO_TABLES = Tables(
    symbols=np.zeros(0, np.int32),
    longer=np.zeros(0, np.int32),
    totals=np.zeros(0),
    kept=np.zeros(0),
    firsts=np.zeros(0, np.int32),
    followers=np.zeros(0, np.int32),
    counts=np.zeros(0, np.int32),
    discounts=np.zeros((0, 4)),
    vocab_size=0,
    newline=NONE,
)

#: The network alone.
ALONE = Blend(_NO_TABLES, 1.0, NONE)


class Mixing(NamedTuple):
    """Room to blend one row, used again for the next."""

    nodes: Ids  # (order,)
    p: Floats  # (V,) float64


@jit(parallel=False)
def reaches(ids: Ids, order: int, newline: int, reach: Flags) -> None:
    """Find how far the context of every place of a text reaches back.

    Parameters
    ----------
    ids : (N,) int array
    order : int
    newline : int
        Given where every line is a document; else NONE.
    reach : (N,) uint8 array
        Written; see `Text`.
    """
    found = 1
    for p in range(ids.size):
        reach[p] = min(found, order - 1)
        found = 1 if ids[p] == newline else found + 1


@jit(parallel=False)
def sort_places(
    text: Text, order: int, vocab_size: int, places: Ids, spare: Ids
) -> None:
    """Sort all places of a text by their contexts, the nearest character first.

    A stable sort by counting for every character of a context, the farthest one
    first: it costs the same for any alphabet.

    Parameters
    ----------
    text : Text
    order : int
    vocab_size : int
    places : (N,) int32 array
        Written.
    spare : (N,) int32 array
        Room to work in.
    """
    chars, reach = text
    N = places.size
    for p in range(N):
        places[p] = p
    source, target = places, spare
    room = np.zeros(vocab_size + 1, np.int32)
    for back in range(order - 1, 0, -1):
        room[:] = 0
        for p in range(N):
            room[chars[order + p - back] if back <= reach[p] else NOTHING] += 1
        total = 0
        for c in range(room.size):
            total, room[c] = total + room[c], total
        for i in range(N):
            p = source[i]
            c = chars[order + p - back] if back <= reach[p] else NOTHING
            target[room[c]] = p
            room[c] += 1
        source, target = target, source
    if order % 2 == 0:  # an odd number of passes
        for i in range(N):
            places[i] = spare[i]


@jit(parallel=False)
def compare_neighbors(
    text: Text, order: int, places: Ids, shared: Flags, levels: Ids
) -> None:
    """Find what each context has in common with the last one, and count contexts.

    Parameters
    ----------
    text : Text
    order : int
    places : (N,) int32 array
        Sorted.
    shared : (N,) uint8 array
        Written; see `Places`.
    levels : (order + 1,) int32 array
        Written; see `Tree`.
    """
    chars, reach = text
    levels[:] = 0
    levels[1] = 1
    for i in range(places.size):
        p, same = places[i], 0
        if i:
            q = places[i - 1]
            most = min(reach[p], reach[q])
            while same < most and (
                chars[order + p - same - 1] == chars[order + q - same - 1]
            ):
                same += 1
        shared[i] = same
        for k in range(same + 1, reach[p] + 1):
            levels[k + 1] += 1
    for k in range(order):
        levels[k + 1] += levels[k]


@jit(parallel=False)
def grow(text: Text, order: int, places: Places, tree: Tree) -> None:
    """Write all nodes of the tree; its levels are known.

    Parameters
    ----------
    text : Text
    order : int
    places : Places
    tree : Tree
        Written, but for its levels.
    """
    chars, reach = text
    levels, symbols, longer, begins = tree
    following = levels.copy()  # the next node of each level
    symbols[0], longer[0], begins[0] = NONE, levels[1], 0
    for i in range(places.at.size):
        p = places.at[i]
        for k in range(places.shared[i] + 1, reach[p] + 1):
            node = following[k]
            following[k] = node + 1
            symbols[node] = chars[order + p - k] - 1
            longer[node] = following[k + 1]
            begins[node] = i
    longer[symbols.size] = symbols.size


@jit(parallel=False)
def count_level(
    k: int,
    text: Text,
    places: Places,
    tree: Tree,
    below: Level,
    level: Level,
    vocab_size: int,
) -> int:
    """List what follows the contexts of a level.

    Parameters
    ----------
    k : int
        Which one. At the last one symbols count as often as they stand there; at
        the others once for every character before, and where the document begins
        with the context, each time.
    text : Text
    places : Places
    tree : Tree
    below : Level
        The next one, of longer contexts; of no use at the last one.
    level : Level
        Written: its lists have room for as many symbols as there are places.
    vocab_size : int

    Returns
    -------
    int
        How many symbols are listed.
    """
    chars, reach = text
    order, N = tree.levels.size - 1, places.at.size
    first, last = tree.levels[k], tree.levels[k + 1]
    counts, touched = np.zeros(vocab_size, np.int32), np.empty(vocab_size, np.int32)
    size = 0
    for node in range(first, last):
        level.firsts[node - first] = size
        found = 0
        i = tree.begins[node]
        # The places whose contexts end here come before those with longer ones.
        while i < N and (k == order - 1 or reach[places.at[i]] == k):
            if i > tree.begins[node] and places.shared[i] < k:
                break
            w = chars[order + places.at[i]] - 1
            if counts[w] == 0:
                touched[found] = w
                found += 1
            counts[w] += 1
            i += 1
        if k < order - 1:
            a = tree.longer[node] - last
            b = tree.longer[node + 1] - last
            for e in range(below.firsts[a], below.firsts[b]):
                w = below.symbols[e]
                if counts[w] == 0:
                    touched[found] = w
                    found += 1
                counts[w] += 1
        for j in range(found):
            w = touched[j]
            level.symbols[size], level.counts[size] = w, counts[w]
            counts[w] = 0
            size += 1
    level.firsts[last - first] = size
    return size


#: D(0), D(1), D(2), D(3 and more) where a text has too little to estimate them.
_FALLBACK = (0.0, 0.5, 1.0, 1.5)


@jit(parallel=False)
def discount_level(level: Level, D: Floats, totals: Floats, kept: Floats) -> None:
    """Find what is taken away from the counts of a level, and what that adds up to.

    Parameters
    ----------
    level : Level
        Its lists have no more room than they need.
    D : (4,) float64 array
        Written: D(0) to D(3 and more), from how many n-grams count 1 to 4. The
        fallback where that cannot be done: some do not occur, or what is kept
        back would not be positive.
    totals, kept : (nodes,) float64 array
        Written; see `Tables`.
    """
    of_counts = np.zeros(6)
    for e in range(level.counts.size):
        of_counts[min(level.counts[e], 5)] += 1
    fine = True
    D[0] = 0
    for i in range(1, 5):
        fine = fine and of_counts[i] > 0
    if fine:
        y = of_counts[1] / (of_counts[1] + 2 * of_counts[2])
        for i in range(1, 4):
            D[i] = i - (i + 1) * y * of_counts[i + 1] / of_counts[i]
            fine = fine and D[i] > 0
    if not fine:
        for i in range(4):
            D[i] = _FALLBACK[i]
    for node in range(totals.size):
        total, back = 0, 0.0
        for e in range(level.firsts[node], level.firsts[node + 1]):
            total += level.counts[e]
            back += D[min(level.counts[e], 3)]
        totals[node], kept[node] = total, back


@jit(inlined_early=True)
def find(tables: Tables, read: Ids, before: int, nodes: Ids) -> int:
    """Find the contexts, from the empty one to the longest that was ever seen.

    Parameters
    ----------
    tables : Tables
    read : (n,) int array
        What was read last, in the order of time; below 0 where there is nothing.
    before : int
        What then stands before the first one, though it was not read; or NONE.
    nodes : (order,) int32 array
        Written.

    Returns
    -------
    int
        How many there are: at least 1.
    """
    node, found, back = 0, 1, 1
    nodes[0] = 0
    while found < nodes.size:
        symbol = read[read.size - back] if back <= read.size else NONE
        last = symbol < 0 or symbol == tables.newline
        if symbol < 0:
            symbol = before
        low, high = tables.longer[node], tables.longer[node + 1]
        end = high
        while low < high:
            middle = (low + high) // 2
            if tables.symbols[middle] < symbol:
                low = middle + 1
            else:
                high = middle
        if low == end or tables.symbols[low] != symbol:
            break
        node = low
        nodes[found] = node
        found, back = found + 1, back + 1
        if last:
            break
    return found


@jit(inlined_early=True)
def fill(tables: Tables, nodes: Ids, found: int, p: Floats) -> None:
    """Fill a row with the probabilities of what follows.

    Parameters
    ----------
    tables : Tables
    nodes : (order,) int32 array
        The contexts, the empty one first.
    found : int
        How many there are.
    p : (V,) float64 array
        Written.
    """
    for v in range(p.size):
        p[v] = 0
    left = 1.0  # what the longer contexts leave to the shorter ones
    for k in range(found - 1, -1, -1):
        node = nodes[k]
        D, scale = tables.discounts[k], left / tables.totals[node]
        for e in range(tables.firsts[node], tables.firsts[node + 1]):
            count = tables.counts[e]
            p[tables.followers[e]] += scale * (count - D[min(count, 3)])
        left = scale * tables.kept[node]
    left /= p.size
    for v in range(p.size):
        p[v] += left


@jit(inlined_early=True)
def look_up_one(tables: Tables, nodes: Ids, found: int, symbol: int) -> float:
    """Find the probability of one symbol; see `fill`."""
    p, left = 0.0, 1.0
    for k in range(found - 1, -1, -1):
        node = nodes[k]
        D, scale = tables.discounts[k], left / tables.totals[node]
        for e in range(tables.firsts[node], tables.firsts[node + 1]):
            if tables.followers[e] == symbol:
                count = tables.counts[e]
                p += scale * (count - D[min(count, 3)])
                break
        left = scale * tables.kept[node]
    return p + left / tables.vocab_size


@jit(inlined_early=True)
def new_mixing(blend: Blend, V: int) -> Mixing:
    """Make room for a vocabulary of V characters."""
    return Mixing(np.empty(blend.tables.discounts.shape[0], np.int32), np.empty(V))


@jit(inlined_early=True)
def mix(blend: Blend, read: Ids, logits: Floats, room: Mixing) -> None:
    """Turn a network's logits into those of the blend: ln p.

    Parameters
    ----------
    blend : Blend
        Its share is below 1.
    read : (n,) int array
        What was read last; see `find`.
    logits : (V,) float array
        Changed. NaN, all of them, if there is a NaN or an infinity above 0.
    room : Mixing
    """
    nodes, p = room
    found = find(blend.tables, read, blend.before, nodes)
    fill(blend.tables, nodes, found, p)
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


@jit(parallel=False)
def score(tables: Tables, ids: Ids, first: int, before: int, p: Floats) -> None:
    """Find the probability of every character of a text, from one on.

    Parameters
    ----------
    tables : Tables
    ids : (N,) int array
    first : int
        What stands before it is the context of the first one.
    before : int
        What stands before the text, though it was not read; or NONE.
    p : (N - first,) float64 array
        Written.
    """
    most = tables.discounts.shape[0]
    nodes = np.empty(most, np.int32)
    for i in range(first, ids.size):
        found = find(tables, ids[max(0, i - most) : i], before, nodes)
        p[i - first] = look_up_one(tables, nodes, found, ids[i])


@jit(parallel=False)
def fill_rows(tables: Tables, ids: Ids, first: int, before: int, p: Floats) -> None:
    """Find the probability of every symbol behind each part of a text.

    Parameters
    ----------
    tables : Tables
    ids : (N,) int array
    first : int
        How many characters stand before the first place that is asked for.
    before : int
        What stands before the text, though it was not read; or NONE.
    p : (N - first + 1, V) float64 array
        Written.
    """
    most = tables.discounts.shape[0]
    nodes = np.empty(most, np.int32)
    for row in range(p.shape[0]):
        i = first + row
        found = find(tables, ids[max(0, i - most) : i], before, nodes)
        fill(tables, nodes, found, p[row])
