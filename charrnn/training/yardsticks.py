"""What simpler means make of the held-out text, to measure a loss against.

Bits per character throughout. A model that does not beat these has learned
nothing that was worth the time.
"""

import lzma
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import PackedIds

#: Characters counted at a time.
SLICE = 1 << 20

#: xz takes about half a second a megabyte; longer texts are not compressed.
MAX_XZ = 4_000_000


@dataclass(frozen=True)
class Yardsticks:
    """Bits per character of the held-out text."""

    order0: float  # by the frequencies of single characters
    xz: float | None  # added to the compressed training text; None if too long


def measure(train: PackedIds, held_out: PackedIds, vocab_size: int) -> Yardsticks:
    """Score a held-out text without a network.

    Parameters
    ----------
    train, held_out : (N,) unsigned arrays
        Character ids; both with at least one character.
    """
    # One more of each: a character may stand in the held-out text only.
    counts = _counts(train, vocab_size) + 1.0
    bits = -np.log2(counts / counts.sum())
    order0 = float(_counts(held_out, vocab_size) @ bits) / len(held_out)
    xz = None
    if len(train) + len(held_out) <= MAX_XZ:
        whole = np.concatenate([train, held_out]).tobytes()
        grown = len(lzma.compress(whole)) - len(lzma.compress(train.tobytes()))
        xz = 8 * grown / len(held_out)
    return Yardsticks(order0, xz)


def _counts(ids: PackedIds, vocab_size: int) -> NDArray[np.int64]:
    """Count every character, (V,), a slice at a time: NumPy widens what it counts."""
    counts = np.zeros(vocab_size, np.int64)
    for start in range(0, len(ids), SLICE):
        counts += np.bincount(ids[start : start + SLICE], minlength=vocab_size)
    return counts
