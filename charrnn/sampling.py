"""Choosing the next character: filters, one random number, one draw.

Everything is a pure function of arrays with a leading axis N, one row a
sample, and rows never meet: sample i comes out the same alone and in a batch.
The order is fixed: temperature, top-k, top-p, min-p, renormalize, draw. Each
filter sees what the ones before it left, and says which characters stay; the
likeliest always does. A filter whose setting is neutral is not run at all, so
that the defaults give the model's own distribution, bit for bit.

Random numbers are not drawn inside: `Randomness` hands them in, one a
character and sample.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Philox, SeedSequence
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids
from charrnn.config import SampleConfig
from charrnn.errors import VocabError

#: (N, V): probabilities, or weights in proportion to them.
Weights: TypeAlias = NDArray[np.float64]

#: (N, V): which characters stay.
Kept: TypeAlias = NDArray[np.bool_]

#: Below this temperature the likeliest character is taken.
GREEDY_BELOW = 1e-4

#: Random numbers fetched at a time from each stream.
BLOCK = 64


def is_greedy(config: SampleConfig) -> bool:
    """Tell whether the arg max is taken, so that no random number is needed."""
    return config.temperature < GREEDY_BELOW


def choose(
    logits: Floats,
    config: SampleConfig,
    random: "Randomness",
    samples: Iterable[int] | None = None,
) -> Ids:
    """Choose one character for every row of logits.

    Parameters
    ----------
    logits : (N, V) float array
        What the model says about the next character. -inf is impossible.
    random : Randomness
        Not touched when greedy.
    samples : iterable of int, optional
        Which sample each row belongs to; 0 to N - 1 if not given.

    Returns
    -------
    (N,) int32 array
        Character ids.

    Raises
    ------
    VocabError
        As `distribution`.
    """
    if is_greedy(config):
        return likeliest(logits)
    probabilities = distribution(logits, config)
    who = range(len(probabilities)) if samples is None else samples
    return draw(probabilities, random.uniform(who))


def distribution(logits: Floats, config: SampleConfig) -> Weights:
    """Turn logits into the probabilities that a character is drawn by.

    Parameters
    ----------
    logits : (N, V) float array
        -inf is a probability of 0.

    Returns
    -------
    (N, V) float64 array
        Every row sums to 1. Greedy: 1 for the arg max and 0 elsewhere.

    Raises
    ------
    VocabError
        A row has a NaN, an infinity, or nothing but -inf.
    """
    if is_greedy(config):
        probabilities = np.zeros(logits.shape)
        probabilities[np.arange(len(logits)), likeliest(logits)] = 1.0
        return probabilities
    weights = heated(logits, config.temperature)
    # Neither temperature nor the exponential changes the order, but they may
    # round different logits to the same weight: ranks are taken from logits.
    if config.top_k is not None and config.top_k < logits.shape[1]:
        weights *= keep_top_k(logits, config.top_k)
    if config.top_p is not None and config.top_p < 1:
        weights *= keep_top_p(weights, config.top_p)
    if config.min_p:
        weights *= keep_min_p(weights, config.min_p)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def likeliest(logits: Floats) -> Ids:
    """Take the arg max of every row, (N,); of equal ones the lowest id."""
    ids = logits.argmax(axis=1)
    _check_finite(logits[np.arange(len(ids)), ids])
    return ids.astype(np.int32)


def heated(logits: Floats, temperature: float) -> Weights:
    """Weigh every character by ``exp(logit / temperature)``, the best by 1.

    The maximum is subtracted before the division, so that no temperature
    overflows: the exponents are 0 or negative.
    """
    # Row by row in memory: sums of a transposed array would round differently.
    scores = logits.astype(np.float64, order="C")
    peak = scores.max(axis=1, keepdims=True)
    _check_finite(peak)
    scores -= peak
    if temperature != 1:
        scores /= temperature
    return np.exp(scores, out=scores)


def _check_finite(peaks: NDArray[np.floating[Any]]) -> None:
    """Raise `VocabError` unless every row has something to choose from.

    The maximum of a row tells all: NaN and inf win it, and -inf only if alone.
    """
    finite = np.isfinite(peaks)
    if not finite.all():
        msg = f"no character can be chosen: the highest logit is {peaks[~finite][0]}"
        raise VocabError(msg, hint="this model's weights are too large to be of use")


def keep_top_k(scores: Floats, k: int) -> Kept:
    """Keep exactly the k highest, of equal ones those with the lowest ids.

    Parameters
    ----------
    scores : (N, V) float array
        Anything that grows with the probability.
    """
    rows, order = _descending(scores)
    kept = np.zeros(scores.shape, dtype=np.bool_)
    kept[rows, order[:, :k]] = True
    return kept


def keep_top_p(weights: Weights, p: float) -> Kept:
    """Keep the fewest likeliest that together reach the share p of all weight.

    The one that crosses p stays. Equal weights go by id, lowest first.
    """
    rows, order = _descending(weights)
    mass = weights[rows, order].cumsum(axis=1)
    short_of_p = (mass < p * mass[:, -1:]).sum(axis=1, keepdims=True)
    kept = np.empty(weights.shape, dtype=np.bool_)
    kept[rows, order] = np.arange(weights.shape[1]) <= short_of_p
    return kept


def keep_min_p(weights: Weights, m: float) -> Kept:
    """Keep what is at least m times as likely as the likeliest."""
    return weights >= m * weights.max(axis=1, keepdims=True)


def _descending(scores: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sort every row, highest first and then by id; as a pair of indices."""
    rows = np.arange(len(scores))[:, np.newaxis]
    return rows, np.argsort(-scores, axis=1, kind="stable")


def draw(probabilities: Weights, u: NDArray[np.float64]) -> Ids:
    """Look u up in the inverse of the distribution, in vocabulary order.

    Parameters
    ----------
    probabilities : (N, V) float64 array
        Rows that sum to 1, up to rounding.
    u : (N,) float64 array
        In [0, 1).

    Returns
    -------
    (N,) int32 array
        Character ids; never one of probability 0.
    """
    mass = probabilities.cumsum(axis=1)
    # Rounding may leave the whole mass at or below u. Then the last character
    # that added to it is meant: the first whose mass exceeds all below the top.
    below_top = np.nextafter(mass[:, -1], 0.0)
    reached = mass > np.minimum(u, below_top)[:, np.newaxis]
    return reached.argmax(axis=1).astype(np.int32)


class Randomness:
    """Uniform random numbers, a stream of its own for every sample.

    Sample i reads Philox seeded with child i of ``SeedSequence(seed)``. Streams
    are opened when first used, so nothing depends on how many samples there
    are, on which of them are still going, or on the batch they stand in.

    Parameters
    ----------
    seed : int
        0 or more.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[int, Iterator[float]] = {}

    def uniform(self, samples: Iterable[int]) -> NDArray[np.float64]:
        """Take the next number in [0, 1) of each of these samples, (N,)."""
        return np.array([next(self._stream(i)) for i in samples], dtype=np.float64)

    def _stream(self, sample: int) -> Iterator[float]:
        """Find the stream of a sample, or open it."""
        stream = self._streams.get(sample)
        if stream is None:
            stream = self._streams[sample] = uniforms(self.seed, sample)
        return stream


def uniforms(seed: int, sample: int) -> Iterator[float]:
    """Generate the random numbers of one sample, for as long as you iterate.

    Each is the upper 53 bits of a raw 64-bit number, times 2**-53: every
    multiple of 2**-53 in [0, 1) is equally likely, and 1 never comes.
    """
    philox = Philox(SeedSequence(seed, spawn_key=(sample,)))
    while True:
        raw = philox.random_raw(BLOCK)
        yield from ((raw >> 11) * 2.0**-53).tolist()
