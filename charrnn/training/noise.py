"""The random numbers of a run, each for one purpose, and those of some rows alone."""

import numpy as np

from charrnn.arrays import Flags

#: Bytes that Philox makes of one number of its counter.
UNIT = 32

#: To jump ahead takes as long as drawing so many bytes.
JUMP = 1 << 14


def random_stream(seed: int, *key: int) -> np.random.Generator:
    """Make random numbers for one purpose of a run, independent of all others."""
    seeds = np.random.SeedSequence(seed, spawn_key=key)
    return np.random.Generator(np.random.Philox(seeds))


def rows_of_noise(
    rng: np.random.Generator, shape: tuple[int, int, int], rows: slice
) -> Flags:
    """Draw random bytes (n, B, H), but only those of some of each B rows.

    They are the bytes that these rows have in the whole: Philox makes its numbers of a
    counter, so that those in between need not be drawn.

    Parameters
    ----------
    rng : numpy.random.Generator
        New, of Philox.
    shape : (n, B, H)
        Of the whole.
    rows : slice
        One after another, with a start and a stop.

    Returns
    -------
    (n, rows, H) uint8 array
    """
    n, B, H = shape
    own = rows.stop - rows.start
    bits = rng.bit_generator
    if (B - own) * H <= JUMP:
        whole = _drawn(bits, n * B * H).reshape(shape)
        return _fixed(np.ascontiguousarray(whole[:, rows]))
    begin = bits.state
    out = np.empty((n, own * H), np.uint8)
    for i in range(n):
        first = (i * B + rows.start) * H
        bits.state = begin
        bits.advance(first // UNIT)  # type: ignore[attr-defined]
        skipped = first % UNIT
        out[i] = _drawn(bits, skipped + own * H)[skipped:]
    return _fixed(out.reshape(n, own, H))


def _drawn(bits: np.random.BitGenerator, count: int) -> Flags:
    """Draw bytes from a generator of which whole words have been drawn.

    They are those of `numpy.random.Generator.bytes`, which takes four times as long.
    """
    words = bits.random_raw(-(-count // 8))
    return words.astype("<u8", copy=False).view(np.uint8)[:count]


def _fixed(noise: Flags) -> Flags:
    """Forbid to write to an array, so that kernels are compiled for one kind of it."""
    noise.flags.writeable = False
    return noise
