"""A character n-gram model: what counting makes of a held-out text.

The model is the one that `charrnn.kernels.ngrams` describes, interpolated modified
Kneser-Ney smoothing. There the counts of one order are looked up to predict any
symbol; here those of all orders score one text, for the best order to be chosen.

Where a document begins, the context begins with what stands before it (see
`streams.initial_id`), and no n-gram reaches back further. One that begins
there has nothing before it to be different: it counts each time, at any order.

Sorted by what stands there, read backwards, all places of a text that end with
the same characters are neighbors. So one sort serves all orders.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Mask, PackedIds
from charrnn.memory import discounts

#: The highest order. A power of two: each sort doubles what it looks at.
MAX_ORDER = 8

#: What stands before a document's first context; the ids follow it.
NOTHING = 0

#: A probability for every held-out character, (M,).
Probabilities: TypeAlias = NDArray[np.float64]

#: Places in a text, and counts: enough for any text that we could hold.
Ints: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True)
class NGram:
    """How well an n-gram model does."""

    order: int
    loss: float  # nats per character


@dataclass(frozen=True, eq=False)
class Counted:
    """What n-grams of one order make of a held-out text."""

    ngram: NGram
    probabilities: Probabilities  # (M,), of the characters that are scored


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The text that is counted, and the one that is scored by its counts."""

    train: PackedIds  # (N,)
    held_out: PackedIds  # (M,), M >= 1
    vocab_size: int  # V; every id is below
    before: int  # what stands before the first character of both
    newline: int | None = None  # given where every line is a document
    #: (M,) and (N,), given where some characters are context only: which of the
    #: held-out text are scored, and which of the other text are like them.
    scored: Mask | None = None
    likewise: Mask | None = None


@dataclass(frozen=True)
class _Joined:
    """Both texts in one; ids are larger by one."""

    ids: PackedIds  # (N,)
    trained: NDArray[np.bool_]  # (N,) whether to count what ends there
    scored: NDArray[np.intp]  # (M,) places of the held-out characters, if scored
    newline: int | None


@dataclass(frozen=True)
class _Grams:
    """The different n-grams of one order, sorted."""

    first: Ints  # (K,) a place where each ends
    counts: Ints  # (K,) how often each stands in the training text
    within: NDArray[np.bool_]  # (K,) whether it lies within a document
    at: Ints  # (N,) which of them ends at each place


def losses(texts: Texts, max_order: int = MAX_ORDER) -> Iterator[NGram]:
    """Score the held-out text by n-gram models of order 1 to `max_order`.

    Takes as many bytes of memory for a character of both texts as
    `baselines.MAX_NGRAM` says. An order is found when it is asked for.
    """
    for counted in orders(texts, max_order):
        yield counted.ngram


def orders(texts: Texts, max_order: int = MAX_ORDER) -> Iterator[Counted]:
    """Count n-grams of order 1 to `max_order`, each when it is asked for."""
    for order, p in enumerate(probabilities(texts, max_order), 1):
        # Where only one character is possible, rounding may exceed 1.
        yield Counted(NGram(order, max(0.0, -float(np.log(p).mean()))), p)


def best_order(texts: Texts, stopped: Callable[[], bool]) -> Counted | None:
    """Find the order that suits the held-out text best; None if `stopped` says yes."""
    best = None
    for counted in orders(texts):
        if stopped():
            return None
        if best is None or counted.ngram.loss < best.ngram.loss:
            best = counted
    return best


def probabilities(texts: Texts, max_order: int = MAX_ORDER) -> Iterator[Probabilities]:
    """Yield the probability of every held-out character, order after order."""
    text = _joined(texts)
    lower: Probabilities = np.full(len(text.scored), 1 / texts.vocab_size)
    orders = _orders(text, max_order)
    contexts, grams = next(orders), next(orders)
    for longer in orders:
        yield _interpolated(text, contexts, grams, grams.counts, lower)
        counts = _continuations(grams, longer)
        lower = _interpolated(text, contexts, grams, counts, lower)
        contexts, grams = grams, longer
    yield _interpolated(text, contexts, grams, grams.counts, lower)


def _joined(texts: Texts) -> _Joined:
    """Put both texts into one, each behind nothing and its first context."""
    dtype = np.min_scalar_type(texts.vocab_size)
    before = np.array([NOTHING, texts.before + 1], dtype)
    parts = [before, texts.train, before, texts.held_out]
    ids: PackedIds = np.concatenate(parts, dtype=dtype)
    counted = slice(2, 2 + len(texts.train))
    scored = slice(len(ids) - len(texts.held_out), len(ids))
    ids[counted] += 1
    ids[scored] += 1
    trained = np.zeros(len(ids), bool)
    trained[counted] = True
    newline = None if texts.newline is None else texts.newline + 1
    places = np.arange(scored.start, scored.stop)
    if texts.scored is not None:
        places = places[texts.scored]
    return _Joined(ids, trained, places, newline)


def _sorted_places(ids: PackedIds, length: int) -> Ints:
    """Sort the places of a text by as many characters, read backwards from each.

    Keys of 64 bits hold as many characters as fit, then the ranks of the first
    and the second half of twice as many.
    """
    width = int(ids.max()).bit_length()
    known = 1
    keys = ids.astype(np.uint64)
    while known < length and 2 * known * width <= 64:
        keys = _doubled(keys, known, known * width)
        known *= 2
    places = np.argsort(keys)
    while known < length:
        ranks = np.empty_like(keys)
        ranks[places] = np.cumsum(_changes(keys[places]))
        keys = _doubled(ranks, known, 32)
        known *= 2
        places = np.argsort(keys)
    return places.astype(np.int32)


def _doubled(keys: NDArray[np.uint64], known: int, width: int) -> NDArray[np.uint64]:
    """Put behind each key that of so many places earlier; where none is, 0."""
    longer = keys << np.uint64(width)
    longer[known:] |= keys[:-known]
    return longer


def _changes(values: NDArray[np.unsignedinteger]) -> NDArray[np.bool_]:
    """Tell which values differ from the one before; the first does."""
    changes = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes


def _orders(text: _Joined, max_order: int) -> Iterator[_Grams]:
    """Yield the n-grams of every order, from the empty one on."""
    ids, N = text.ids, len(text.ids)
    places = _sorted_places(ids, max_order)
    counted = np.zeros(N + 1, np.int32)
    np.cumsum(text.trained[places], out=counted[1:])
    begins = np.zeros(N, bool)
    begins[0] = True
    within = np.ones(N, bool)
    left = np.full(N, NOTHING, ids.dtype)
    for order in range(max_order + 1):
        if order:
            # Only the first and the last character of one may be a newline
            # where lines are documents, so here the second, and not the last.
            if order > 2 and text.newline is not None:
                within &= left != text.newline
            left = ids.take(places - (order - 1), mode="clip")
            within &= left != NOTHING
            begins |= _changes(left)
        starts = np.flatnonzero(begins)
        at = np.empty(N, np.int32)
        at[places] = np.cumsum(begins, dtype=np.int32) - np.int32(1)
        counts = np.diff(counted[np.append(starts, N)])
        yield _Grams(places[starts], counts, within[starts], at)


def _continuations(grams: _Grams, longer: _Grams) -> Ints:
    """Count the different characters before each n-gram, (K,).

    Parameters
    ----------
    longer : _Grams
        Those of the next order.
    """
    counts = np.where(longer.within, longer.counts > 0, longer.counts)
    sums: Ints = np.add.reduceat(counts, longer.at[grams.first])
    return sums


def _interpolated(
    text: _Joined, contexts: _Grams, grams: _Grams, counts: Ints, lower: Probabilities
) -> Probabilities:
    """Give the held-out characters their probabilities at one order.

    Parameters
    ----------
    contexts : _Grams
        Those of the order before.
    counts : (K,) int array
        What counts for each n-gram.
    lower : (M,) float array
        Probabilities at the order before.
    """
    seen = np.flatnonzero(grams.within & (counts > 0))
    D = discounts(counts[seen])
    of = contexts.at[grams.first[seen] - 1]
    size = len(contexts.first)
    totals = np.bincount(of, counts[seen], size)
    kept_back = np.bincount(of, D[np.minimum(counts[seen], 3)], size)
    gram, context = grams.at[text.scored], contexts.at[text.scored - 1]
    # No context that reaches out of its document has anything counted.
    known = np.flatnonzero(totals[context] > 0)
    gram, context = gram[known], context[known]
    c = counts[gram]
    p = lower.copy()
    p[known] = (c - D[np.minimum(c, 3)] + kept_back[context] * p[known]) / totals[
        context
    ]
    return p
