"""What simpler means make of the held-out text, to measure a loss against.

Losses are nats per character. A model that does not beat single characters has
learned nothing; one that does not beat the n-gram has not learned what counting
finds in a second.
"""

import lzma
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import PackedIds
from charrnn.checkpoint.contents import MAX_REMEMBERED
from charrnn.training.kneser_ney import NGram, Texts, best_order

#: Characters looked at at a time.
SLICE = 1 << 20

#: xz takes about half a second a megabyte; longer texts are not compressed.
MAX_XZ = 4_000_000

#: xz counts in units of 4 bytes: of fewer characters the last one would decide.
MIN_XZ = 1000

#: Characters of both texts, at most, for n-grams to be counted: what is counted goes
#: into a checkpoint. A million of prose took one core 0.3 s and 50 MB; a million of
#: random text with 70,000 distinct characters, the worst case, 1.1 s and 135 MB.
MAX_NGRAM = MAX_REMEMBERED


@dataclass(frozen=True)
class Baselines:
    """Losses of the held-out text, in nats per character."""

    order0: float  # by the frequencies of single characters
    ngram: NGram | None  # of the order that does best
    xz: float | None  # added to the compressed training text
    notes: tuple[str, ...] = ()  # what was left out, and why


def measure(
    texts: Texts,
    stopped: Callable[[], bool] = lambda: False,
    ngram: NGram | None = None,
) -> Baselines | None:
    """Score a held-out text without a network.

    The order of the n-gram is the one that suits the held-out text best: a
    baseline should be as hard to beat as counting can make it.

    Parameters
    ----------
    texts : Texts
        Both with at least one character.
    stopped : callable
        Asked about twice a second whether to give up; must stay with a yes.
    ngram : NGram, optional
        The best one, if it has been counted before.

    Returns
    -------
    Baselines or None
        None if `stopped` said yes.
    """
    xz, notes = None, []
    characters = len(texts.train) + len(texts.held_out)
    if ngram is None and characters <= MAX_NGRAM:
        try:
            if (counted := best_order(texts, stopped)) is not None:
                ngram = counted.ngram
        except MemoryError:
            notes.append("n-gram skipped: there is too little memory")
    elif ngram is None:
        notes.append(_too_long("n-gram", MAX_NGRAM))
    if texts.scored is not None:
        pass  # what xz adds for an input cannot be told from what it adds for an output
    elif characters > MAX_XZ:
        notes.append(_too_long("xz", MAX_XZ))
    elif len(texts.held_out) < MIN_XZ:
        notes.append(f"xz skipped: fewer than {MIN_XZ:,} characters are held out")
    else:
        xz = _xz(texts, stopped)
    found = Baselines(_order0(texts), ngram, xz, tuple(notes))
    return None if stopped() else found


def _too_long(what: str, limit: int) -> str:
    """Say why something was left out."""
    return f"{what} skipped: the text is longer than {limit:,} characters"


def _order0(texts: Texts) -> float:
    """Score by the frequencies of single characters."""
    train, held_out = texts.train, texts.held_out
    if texts.scored is not None:
        train, held_out = train[texts.likewise], held_out[texts.scored]
    # One more of each: a character may stand in the held-out text only.
    counts = _counts(train, texts.vocab_size) + 1.0
    nats = np.log(counts.sum() / counts)
    scored = _counts(held_out, texts.vocab_size)
    return float(scored @ nats) / max(1, len(held_out))


def _counts(ids: PackedIds, vocab_size: int) -> NDArray[np.int64]:
    """Count every character, (V,), a slice at a time: NumPy widens what it counts."""
    counts = np.zeros(vocab_size, np.int64)
    for start in range(0, len(ids), SLICE):
        counts += np.bincount(ids[start : start + SLICE], minlength=vocab_size)
    return counts


def _xz(texts: Texts, stopped: Callable[[], bool]) -> float:
    """Score by what the held-out text adds to the compressed training text."""
    alone = _compressed([texts.train], stopped)
    both = _compressed([texts.train, texts.held_out], stopped)
    return (both - alone) * 8 * math.log(2) / len(texts.held_out)


def _compressed(parts: list[PackedIds], stopped: Callable[[], bool]) -> int:
    """Count the bytes that xz takes for a text."""
    xz = lzma.LZMACompressor()
    size = 0
    for part in parts:
        for start in range(0, len(part), SLICE):
            if stopped():
                return size
            size += len(xz.compress(part[start : start + SLICE].tobytes()))
    return size + len(xz.flush())
