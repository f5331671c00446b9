"""What a character is chosen by: the filters' settings, and random numbers.

The filters themselves are in `kernels.filters`, where generating calls them.
Everything about a sample depends on its own logits and its own random numbers:
sample i comes out the same alone and in a batch.
"""

import numpy as np
from numpy.random import Philox, SeedSequence
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids, Longs
from charrnn.config import SampleConfig
from charrnn.errors import OptionError, VocabError, field
from charrnn.kernels.copies import UNKNOWN, fingerprint_all
from charrnn.kernels.filters import (
    GREEDY_BELOW,
    Copies,
    Filters,
    new_scratch,
    weigh_rows,
)
from charrnn.vocab import Vocab


def is_greedy(config: SampleConfig) -> bool:
    """Tell whether the arg max is taken, so that no random number is needed."""
    return config.temperature < GREEDY_BELOW


def filters(
    config: SampleConfig,
    vocab_size: int,
    bias: NDArray[np.float64] | None = None,
    corpus: Ids | None = None,
) -> Filters:
    """Translate options into what the kernels take.

    Parameters
    ----------
    config : SampleConfig
    vocab_size : int
        V.
    bias : (V,) float64 array, optional
        See `logit_bias`.
    corpus : (N,) int array, optional
        The text that `SampleConfig.no_copy` speaks of; below 0 what is no
        character of the vocabulary.
    """
    plain = Filters(
        bias=np.zeros(vocab_size) if bias is None else bias,
        no_repeat=config.no_repeat,
        temperature=float(config.temperature),
        top_k=min(vocab_size, config.top_k or vocab_size),
        typical=1.0 if config.typical is None else float(config.typical),
        top_p=1.0 if config.top_p is None else float(config.top_p),
        min_p=0.0 if config.min_p is None else float(config.min_p),
    )
    if config.no_copy is None or corpus is None or corpus.size < config.no_copy:
        return plain
    contexts, followers = index(corpus.astype(np.int64), config.no_copy)
    return plain._replace(no_copy=Copies(config.no_copy, contexts, followers))


def index(corpus: Longs, n: int) -> tuple[Longs, Longs]:
    """Index a text by what precedes every character.

    Parameters
    ----------
    corpus : (N,) int array
        Below 0 what is no character of the vocabulary.
    n : int
        Length of the n-grams.

    Returns
    -------
    contexts : (M,) array
        Fingerprints of the n - 1 characters before, sorted.
    followers : (M,) array
        What follows each of them; every pair stands there once.
    """
    keys = np.empty(corpus.size - n + 2, np.int64)
    fingerprint_all(corpus, n - 1, keys)
    keys, following = keys[:-1], corpus[n - 1 :]
    usable = (keys != UNKNOWN) & (following >= 0)
    keys, following = keys[usable], following[usable]
    order = np.lexsort((following, keys))
    keys, following = keys[order], following[order]
    new = np.ones(keys.size, np.bool_)  # every pair once
    new[1:] = (keys[1:] != keys[:-1]) | (following[1:] != following[:-1])
    return keys[new], following[new]


def logit_bias(
    config: SampleConfig, vocab: Vocab, end: int | None = None
) -> NDArray[np.float64]:
    """Collect what is added to each logit, (V,): -inf for what is not allowed.

    Symbols outside the vocabulary change nothing: the model never writes them.

    Parameters
    ----------
    end : int, optional
        The symbol that ends an output of pairs. It need not be named to be allowed,
        or no output would end; to ban it, it has to be.

    Raises
    ------
    VocabError
        Nothing is left to choose from.
    OptionError
        The biases of a character add up to infinity.
    """
    bias = np.zeros(vocab.size)
    for symbol, value in config.logit_bias:
        at = vocab.id_of(symbol)
        if at is not None:
            with np.errstate(over="ignore"):
                bias[at] += value
    if np.isposinf(bias).any():
        msg = f"{field('logit_bias')} adds up to more than a number can hold"
        raise OptionError(msg, hint="100 is enough to force a character")
    unlimited = bias.copy()
    for at, symbol in enumerate(vocab.symbols):
        if symbol in config.ban or (
            config.allow is not None and symbol not in config.allow
        ):
            bias[at] = -np.inf
    if np.isneginf(bias).all():
        msg = "no character is left to choose from"
        options = f"{field('allow')}, {field('ban')} and {field('logit_bias')}"
        hint = f"{options} forbid every one that the model knows"
        raise VocabError(msg, hint=hint)
    if end is not None and vocab.symbols[end] not in config.ban:
        bias[end] = unlimited[end]
    return bias


def distribution(logits: Floats, config: SampleConfig) -> NDArray[np.float64]:
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
    weights: NDArray[np.float64] = np.empty(logits.shape)
    settings, nothing = filters(config, logits.shape[1]), np.zeros(0, np.int32)
    rows, scratch = np.ascontiguousarray(logits), new_scratch(logits.shape[1])
    if not weigh_rows(rows, nothing, settings, scratch, weights):
        raise nothing_to_choose()
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def nothing_to_choose() -> VocabError:
    """Say that a row of logits has a NaN, an infinity, or nothing but -inf."""
    msg = "no character can be chosen: the network's outputs are not finite"
    return VocabError(msg, hint="this model's weights are too large to be of use")


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
        self._streams: dict[int, Philox] = {}

    def take(self, sample: int, count: int) -> NDArray[np.float64]:
        """Take the next numbers of a sample, (count,), each in [0, 1).

        Each is the upper 53 bits of a raw 64-bit number, times 2**-53: every
        multiple of 2**-53 is equally likely, and 1 never comes.
        """
        stream = self._streams.get(sample)
        if stream is None:
            seed = SeedSequence(self.seed, spawn_key=(sample,))
            stream = self._streams[sample] = Philox(seed)
        raw = stream.random_raw(count) >> np.uint64(11)
        return raw.astype(np.float64) * 2.0**-53
