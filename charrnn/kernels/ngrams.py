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

Most contexts stand at one place only. The shortest of these is a leaf, and what
is longer is not stored: the text itself tells how far it goes, and all that
follows is the symbol at that place, once. That saves a third of the tables at
order 8, and two thirds at order 12.
"""

from typing import NamedTuple

import numpy as np

from charrnn.arrays import Flags, Floats, Ids
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
    leaves: Ids  # (K,) the only place of a leaf; else NONE
    followers: Ids  # (K,) what stands there


class Level(NamedTuple):
    """What follows the contexts of one level, (E,) in all, but for leaves."""

    firsts: Ids  # (nodes + 1,) where the list of each node begins
    symbols: Ids  # (E,) what follows it
    counts: Ids  # (E,) how often; below the highest order, after how many


class Tables(NamedTuple):
    """All that is known of a text's n-grams, as it is looked up."""

    text: Text
    #: (K + 1, 4) of each context its SYMBOL, its LONGER ones and its LEAF, as `Tree`
    #: has them, and the FIRST of its list. Side by side they come out of memory at
    #: once, for which a look-up mostly waits.
    nodes: Ids
    followers: Ids  # (E,) what follows each context, list after list
    counts: Ids  # (E,) how often; below the highest order, after how many
    discounts: Floats  # (order, 4) float64: D(0) to D(3 and more), by level
    single: Floats  # (V,) float64: probabilities without any context
    newline: int  # given where every line is a document; else NONE


#: Counters of a sort, at most, unless the alphabet needs more: 32 KB.
_COUNTERS = 8192

#: Columns of `Tables.nodes`.
SYMBOL, LONGER, LEAF, FIRST = range(4)


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


@jit(parallel=False, allocates=True)
def sort_places(
    text: Text, order: int, vocab_size: int, places: Ids, spare: Ids
) -> None:
    """Sort all places of a text by their contexts, the nearest character first.

    A stable sort by counting, again and again: by the farthest characters of a
    context first, and by as many at a time as leave the counters in the cache. It
    works for any alphabet.

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
    N, base = places.size, vocab_size + 1
    width, size = 1, base
    while width < order - 1 and size * base <= _COUNTERS:
        width, size = width + 1, size * base
    room = np.zeros(size, np.int32)
    for p in range(N):
        places[p] = p
    source, target = places, spare
    back, passes = order - 1, 0
    while back > 0:
        near = max(0, back - width) + 1
        room[:] = 0
        for p in range(N):
            room[_key(text, order, p, near, back, base)] += 1
        total = 0
        for c in range(size):
            total, room[c] = total + room[c], total
        for i in range(N):
            p = source[i]
            c = _key(text, order, p, near, back, base)
            target[room[c]] = p
            room[c] += 1
        source, target = target, source
        back, passes = near - 1, passes + 1
    if passes % 2:
        for i in range(N):
            places[i] = spare[i]


@jit(inlined_early=True)
def _key(text: Text, order: int, p: int, near: int, far: int, base: int) -> int:
    """Join some characters of the context of a place, the nearest one first."""
    chars, reach = text
    key = 0
    for back in range(near, far + 1):
        key = key * base + (chars[order + p - back] if back <= reach[p] else NOTHING)
    return key


@jit(inlined_early=True)
def _deepest(text: Text, places: Places, i: int) -> int:
    """Find the level of the longest context of a place that is stored: its leaf's."""
    shared = int(places.shared[i])
    if i + 1 < places.shared.size:
        shared = max(shared, int(places.shared[i + 1]))
    return min(shared + 1, int(text.reach[places.at[i]]))


@jit(parallel=False)
def compare_neighbors(text: Text, places: Places, levels: Ids) -> None:
    """Find what each context has in common with the last one, and count nodes.

    Parameters
    ----------
    text : Text
    places : Places
        What contexts share is written.
    levels : (order + 1,) int32 array
        Written; see `Tree`.
    """
    chars, reach = text
    order = levels.size - 1
    for i in range(places.at.size):
        p, same = places.at[i], 0
        if i:
            q = places.at[i - 1]
            most = min(reach[p], reach[q])
            while same < most and (
                chars[order + p - same - 1] == chars[order + q - same - 1]
            ):
                same += 1
        places.shared[i] = same
    levels[:] = 0
    levels[1] = 1
    for i in range(places.at.size):
        for k in range(int(places.shared[i]) + 1, _deepest(text, places, i) + 1):
            levels[k + 1] += 1
    for k in range(order):
        levels[k + 1] += levels[k]


@jit(parallel=False, allocates=True)
def grow(text: Text, places: Places, tree: Tree, alone: Ids) -> None:
    """Write all nodes of the tree; its levels are known.

    Parameters
    ----------
    text : Text
    places : Places
    tree : Tree
        Written, but for its levels.
    alone : (order,) int32 array
        Written: how many contexts of each level stand at one place only, be they
        stored or not.
    """
    chars, reach = text
    levels, symbols, longer, begins, leaves, followers = tree
    order, N = levels.size - 1, places.at.size
    following = levels.copy()  # the next node of each level
    symbols[0], longer[0], begins[0], leaves[0] = NONE, levels[1], 0, NONE
    alone[:] = 0
    for i in range(N):
        p, shared = places.at[i], int(places.shared[i])
        after = int(places.shared[i + 1]) if i + 1 < N else 0
        for k in range(shared + 1, _deepest(text, places, i) + 1):
            node = following[k]
            following[k] = node + 1
            symbols[node] = chars[order + p - k] - 1
            longer[node] = following[k + 1]
            begins[node] = i
            leaves[node] = p if k > after else NONE
            followers[node] = chars[order + p] - 1
        for k in range(max(shared, after) + 1, int(reach[p]) + 1):
            alone[k] += 1
    longer[symbols.size] = symbols.size


@jit(parallel=False, allocates=True)
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
        if tree.leaves[node] >= 0:
            continue
        found = 0
        i = tree.begins[node]
        # The places whose contexts end here come before those with longer ones.
        while i < N and (k == order - 1 or reach[places.at[i]] == k):
            if i > tree.begins[node] and places.shared[i] < k:
                break
            found = _count(chars[order + places.at[i]] - 1, counts, touched, found)
            i += 1
        for child in range(tree.longer[node], tree.longer[node + 1]):
            if tree.leaves[child] >= 0:
                found = _count(tree.followers[child], counts, touched, found)
                continue
            for e in range(below.firsts[child - last], below.firsts[child - last + 1]):
                found = _count(below.symbols[e], counts, touched, found)
        for j in range(found):
            w = touched[j]
            level.symbols[size], level.counts[size] = w, counts[w]
            counts[w] = 0
            size += 1
    level.firsts[last - first] = size
    return size


@jit(inlined_early=True)
def _count(w: int, counts: Ids, touched: Ids, found: int) -> int:
    """Count a symbol; return how many different ones there are."""
    if counts[w] == 0:
        touched[found] = w
        found += 1
    counts[w] += 1
    return found


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
        Written: the node of each, and for what is longer than a leaf that leaf.

    Returns
    -------
    int
        How many there are: at least 1.
    """
    chars, reach = tables.text
    node, found, last = 0, 1, False
    nodes[0] = 0
    while found < nodes.size and not last:
        symbol = read[read.size - found] if found <= read.size else NONE
        last = symbol < 0 or symbol == tables.newline
        if symbol < 0:
            symbol = before
        leaf = tables.nodes[node, LEAF]
        if leaf >= 0:
            if found > reach[leaf] or chars[nodes.size + leaf - found] != symbol + 1:
                break
        else:
            low, high = tables.nodes[node, LONGER], tables.nodes[node + 1, LONGER]
            end = high
            while low < high:
                middle = (low + high) // 2
                if tables.nodes[middle, SYMBOL] < symbol:
                    low = middle + 1
                else:
                    high = middle
            if low == end or tables.nodes[low, SYMBOL] != symbol:
                break
            node = low
        nodes[found] = node
        found += 1
    return found
