"""Choosing the next character of one sample: filters, then one draw.

The order is fixed: bias, pattern, n-gram, temperature, top-k, typical, top-p, min-p,
renormalize, draw. Everything is in float64, from logits less their maximum, so
that no temperature overflows. Each filter sees what the ones before it left,
and at least one character always stays. A filter at its neutral setting does
nothing at all: the defaults are the model's own distribution.

Ranks are by what a filter asks for, and equal ones go by id, the lowest first.
"""

from typing import NamedTuple

import numpy as np

from charrnn.arrays import Flags, Floats, Ids, Longs
from charrnn.kernels.activations import exp64
from charrnn.kernels.copies import UNKNOWN, fingerprint, first_at
from charrnn.kernels.jit import jit
from charrnn.kernels.shared import shared

#: Of whole numbers with 64 bits: the lowest, and all bits but that of the sign.
_LOWEST, _WITHOUT_SIGN = -(2**63), 2**63 - 1

#: Below this temperature the likeliest character is taken.
GREEDY_BELOW = 1e-4


#: The smallest number above 0: no weight is less.
SMALLEST = 5e-324


class Copies(NamedTuple):
    """N-grams of a corpus, none of which must come."""

    length: int
    contexts: Longs  # (M,) fingerprints of all that precedes, sorted
    followers: Longs  # (M,) what follows each in the corpus


class Pattern(NamedTuple):
    """A pattern that texts are to match, and how far each row of a batch has come."""

    following: Ids  # (S, V) the state behind each character; -1 where none may come
    distance: Ids  # (S,) the fewest characters to a state where a text may end
    nearest: Ids  # (S,) the least distance of a state behind each
    end: int  # the character that ends a text where it may not come; -1 for none
    states: Ids  # (B,) of the rows; -1 where a text has ended
    left: Longs  # (B,) how many characters each row may still have
    row: Longs  # (1,) the row whose character is chosen


class Filters(NamedTuple):
    """Settings of all filters; each comment names the neutral one.

    What is seldom asked for is None otherwise: kernels are then compiled without it.
    """

    bias: Floats  # (V,) float64 added to the logits, -inf bans; all 0
    no_repeat: int | None  # length of n-grams that must not come again; None or 0
    temperature: float  # 1
    top_k: int  # how many stay; V or more
    typical: float  # share of the probability; 1
    top_p: float  # share of the probability; 1
    min_p: float  # share of the likeliest one's probability; 0
    no_copy: Copies | None = None  # None
    pattern: Pattern | None = None  # None


class Scratch(NamedTuple):
    """Room to work on one character, used again for the next."""

    scores: Floats  # (V,) float64: logits, biased
    weights: Floats  # (V,) float64: in proportion to the probabilities
    costs: Floats  # (V,) float64: what a filter takes the lowest of


def new_scratch(V: int) -> Scratch:
    """Room for a vocabulary of V characters."""
    return Scratch(np.empty(V), np.empty(V), np.empty(V))


@jit
def _total(weights: Floats) -> float:
    """Add all weights up."""
    total = 0.0
    for v in range(weights.size):
        total += weights[v]
    return total


@shared
def _keep_cheapest(scratch: Scratch, wanted: float, by_weight: bool) -> None:
    """Keep the fewest characters, lowest costs first, that make up enough.

    Equal costs go by id, and the one that crosses the mark stays. Instead of
    sorting, the cost at the mark is found by bisection: each step adds up all
    that is below the middle, in one loop without a branch.

    Parameters
    ----------
    scratch : Scratch
        Weights of what is left out become 0.
    wanted : float
        A number of characters, or a weight.
    by_weight : bool
        Which of the two.
    """
    _, weights, costs = scratch
    lowest, high = np.inf, -np.inf
    inside = 0  # characters between low and high
    for v in range(costs.size):
        if weights[v] > 0:
            lowest, high = min(lowest, costs[v]), max(high, costs[v])
            inside += 1
    low, below = lowest - 1, 0.0  # what there is up to low
    wanted = max(wanted, SMALLEST)  # one stays also if nothing is asked for
    # The lowest cost is tried first: the way down to a zero would be long.
    middle = lowest
    while inside > 1:
        count, weight = 0, 0.0
        for v in range(costs.size):
            cheap = costs[v] <= middle and weights[v] > 0
            count += cheap
            weight += weights[v] if cheap else 0.0
        found = weight if by_weight else float(count)
        if found >= wanted:
            high = middle
            if middle == lowest:
                break
        else:
            low, below = middle, found
        inside = 0
        for v in range(costs.size):
            inside += low < costs[v] <= high and weights[v] > 0
        middle = low + (high - low) / 2
        if not low < middle < high:
            break  # only equal costs are left
    for v in range(costs.size):
        if costs[v] > low and weights[v] > 0:
            if costs[v] <= high and below < wanted:
                below += weights[v] if by_weight else 1.0
            else:
                weights[v] = 0


@shared
def _mark_repeats(recent: Ids, n: int, banned: Flags) -> None:
    """Mark every character that would complete an n-gram seen before."""
    N = recent.size
    if n == 1:
        for at in range(N):
            if recent[at] >= 0:
                banned[recent[at]] = 1
        return
    if n > N or recent[N - 1] < 0:
        return
    last = recent[N - 1]
    for at in range(n - 2, N - 1):
        if recent[at] != last:  # nearly always: kept apart from the rest
            continue
        same = recent[at + 1] >= 0
        for back in range(1, n - 1):
            same = same and recent[at - back] == recent[N - 1 - back] >= 0
        if same:
            banned[recent[at + 1]] = 1


@shared
def _mark_copies(recent: Ids, copies: Copies, banned: Flags) -> None:
    """Mark every character that would complete an n-gram of the corpus."""
    length, contexts = copies.length - 1, copies.contexts
    if recent.size < length:
        return
    wanted = fingerprint(recent[recent.size - length :])
    if wanted == UNKNOWN:
        return
    place = first_at(contexts, wanted)
    while place < contexts.size and contexts[place] == wanted:
        banned[copies.followers[place]] = 1
        place += 1


@shared(allocates=True)
def _ban_ngrams(
    scores: Floats, recent: Ids, no_repeat: int | None, copies: Copies | None
) -> bool:
    """Ban what `Filters.no_repeat` and `Filters.no_copy` forbid.

    Returns
    -------
    bool
        False if nothing is banned, for that nothing is forbidden or all would be.
    """
    if no_repeat is None and copies is None:
        return False
    banned = np.zeros(scores.size, np.uint8)
    if no_repeat is not None and no_repeat > 0:
        _mark_repeats(recent, no_repeat, banned)
    if copies is not None:
        _mark_copies(recent, copies, banned)
    left = False
    for v in range(scores.size):
        left = left or (not banned[v] and scores[v] > -np.inf)
    if left:
        for v in range(scores.size):
            if banned[v]:
                scores[v] = -np.inf
    return left


@jit
def turn_to(pattern: Pattern | None, row: int) -> None:
    """Say which row's character is chosen next."""
    if pattern is not None:
        pattern.row[0] = row


@shared
def _keep_to(scores: Floats, pattern: Pattern | None) -> None:
    """Ban what a pattern does not allow next, and nothing where a text has ended.

    It has ended, too, where nothing but its end could come.
    """
    if pattern is None:
        return
    row = pattern.row[0]
    state, left = pattern.states[row], pattern.left[row]
    if state < 0:
        return
    if pattern.nearest[state] >= left:
        pattern.states[row] = -1
        return
    may_end = pattern.distance[state] == 0
    for v in range(scores.size):
        behind = pattern.following[state, v]
        if behind >= 0:
            if pattern.distance[behind] >= left:
                scores[v] = -np.inf
        elif not (may_end and v == pattern.end):
            scores[v] = -np.inf


@shared
def _follow(pattern: Pattern | None, chosen: int) -> None:
    """Take a row to the state behind what was chosen."""
    if pattern is None:
        return
    row = pattern.row[0]
    if pattern.states[row] >= 0 and chosen >= 0:
        pattern.states[row] = pattern.following[pattern.states[row], chosen]
        pattern.left[row] -= 1


@jit(inlined_early=True)
def _peak(scores: Floats) -> int:
    """Find the arg max, of equal ones the lowest id; -1 if it is not finite.

    With the lower bits of negative numbers inverted, the bits of float64 numbers
    compare as whole numbers just as the numbers do (and -0 is less than 0). LLVM makes
    vector code of their maximum, as it does not of numbers one of which may be a NaN.
    """
    bits, highest, strange = scores.view(np.int64), np.int64(_LOWEST), 0
    for v in range(scores.size):
        ordered = bits[v] ^ ((bits[v] >> 63) & _WITHOUT_SIGN)
        highest = max(highest, ordered)
        strange += scores[v] != scores[v]
    if strange > 0:
        return -1
    best = scores.size
    for v in range(scores.size):
        ordered = bits[v] ^ ((bits[v] >> 63) & _WITHOUT_SIGN)
        best = min(best, v if ordered == highest else scores.size)
    return best if np.isfinite(scores[best]) else -1


@shared
def weigh(logits: Floats, recent: Ids, filters: Filters, scratch: Scratch) -> int:
    """Apply all filters: ``scratch.weights`` are in proportion to the probabilities.

    Parameters
    ----------
    logits : (V,) float array
        What the model says about the next character. -inf is impossible.
    recent : (N,) int array
        The last characters, below 0 where there was none yet.
    filters : Filters
    scratch : Scratch
        Written; for as many characters as there are logits, which nothing checks.

    Returns
    -------
    int
        The likeliest character; -1 if there is nothing to choose from: a NaN,
        an infinity, or nothing but -inf.
    """
    scores, weights, costs = scratch
    for v in range(scores.size):
        scores[v] = logits[v] + filters.bias[v]
    _keep_to(scores, filters.pattern)
    best = _peak(scores)
    if best < 0:
        return best
    if _ban_ngrams(scores, recent, filters.no_repeat, filters.no_copy):
        best = _peak(scores)
    if filters.temperature < GREEDY_BELOW:
        for v in range(weights.size):
            weights[v] = v == best
        return best
    peak, slope = scores[best], 1 / filters.temperature
    for v in range(scores.size):
        scores[v] = (scores[v] - peak) * slope
        weights[v] = exp64(scores[v])
    # The exponential may round different scores to one weight: the ranks of
    # top-k are those of the scores.
    if filters.top_k < scores.size:
        for v in range(costs.size):
            costs[v] = -scores[v]
        _keep_cheapest(scratch, float(filters.top_k), False)
    if filters.typical < 1:
        _cost_surprise(scratch)
        _keep_cheapest(scratch, filters.typical * _total(weights), True)
    if filters.top_p < 1:
        for v in range(costs.size):
            costs[v] = -weights[v]
        _keep_cheapest(scratch, filters.top_p * _total(weights), True)
    if filters.min_p > 0:
        largest = 0.0
        for v in range(weights.size):
            largest = max(largest, weights[v])
        limit = filters.min_p * largest
        for v in range(weights.size):
            if weights[v] < limit:
                weights[v] = 0
    return best


@jit(inlined_early=True)
def _cost_surprise(scratch: Scratch) -> None:
    """Set costs to how far -ln p is from its mean, the entropy."""
    scores, weights, costs = scratch
    total = _total(weights)
    normal, mean = np.log(total), 0.0
    for v in range(weights.size):
        if weights[v] > 0:
            mean += weights[v] / total * (normal - scores[v])
    for v in range(weights.size):
        costs[v] = abs(normal - scores[v] - mean) if weights[v] > 0 else np.inf


@jit(inlined_early=True)
def draw(weights: Floats, u: float) -> int:
    """Look u up in the inverse of the distribution, in vocabulary order.

    Parameters
    ----------
    weights : (V,) float64 array
        In proportion to the probabilities; at least one is above 0.
    u : float
        In [0, 1).

    Returns
    -------
    int
        A character; never one of probability 0.
    """
    wanted, mass, last = u * _total(weights), 0.0, 0
    for v in range(weights.size):
        if weights[v] > 0:
            mass += weights[v]
            last = v
            if mass > wanted:
                break
    return last


@shared
def choose(
    logits: Floats, recent: Ids, filters: Filters, u: float, scratch: Scratch
) -> int:
    """Choose one character; the parameters are those of `weigh` and `draw`.

    Returns
    -------
    int
        A character; -1 if there is nothing to choose from.
    """
    chosen = weigh(logits, recent, filters, scratch)
    if chosen >= 0 and not filters.temperature < GREEDY_BELOW:
        chosen = draw(scratch.weights, u)
    _follow(filters.pattern, chosen)
    return chosen


@jit(parallel=False)
def weigh_rows(
    logits: Floats, recent: Ids, filters: Filters, scratch: Scratch, weights: Floats
) -> bool:
    """Apply all filters to rows of logits.

    Parameters
    ----------
    logits : (N, V) float array
    recent : (M,) int array
        The last characters before each row, for filters of n-grams; see `weigh`.
    filters : Filters
    scratch : Scratch
        For V characters.
    weights : (N, V) float64 array
        Written: in proportion to the probabilities.

    Returns
    -------
    bool
        False if some row has nothing to choose from.
    """
    for n in range(logits.shape[0]):
        if weigh(logits[n], recent, filters, scratch) < 0:
            return False
        for v in range(logits.shape[1]):
            weights[n, v] = scratch.weights[v]
    return True
