"""How many threads the kernels use, and how rows are cut for them.

A step of training is a dozen parallel kernels with a few microseconds of
Python in between. GNU's OpenMP keeps its threads spinning between them for
milliseconds, which is fine alone and ruinous in company: with one other busy
process on two cores an empty kernel took 8,000 us instead of 1, because the
spinning thread holds the processor that the other thread needs. Threads that
sleep at once cost 7 us a kernel and half of short kernels' speed. A short spin
(some tens of microseconds) has the good side of both.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import numpy as np

from charrnn.arrays import Ids
from charrnn.kernels.blocks import ROWS

#: Turns that a waiting thread of GNU's OpenMP spins before it sleeps. The
#: library reads it when Numba first loads it, at the first parallel kernel.
_SPIN = "5000"

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN)


def usable(threads: int) -> int:
    """Bound a number of threads by what Numba was started with, and by 1."""
    return max(1, min(threads, numba.config.NUMBA_NUM_THREADS))


def missing_layer() -> str | None:
    """Say why the threading layer that was asked for cannot be had; None if it can.

    The layer that Numba chooses by itself is one that is there.
    """
    if numba.config.THREADING_LAYER == "default":
        return None
    try:
        numba.get_num_threads()
    except ValueError as error:
        return str(error).splitlines()[0]
    return None


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Let the kernels that are called inside use so many threads and no more.

    Parameters
    ----------
    threads : int
        As `usable` bounds it. Outside, the number is what it was before.
    """
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def row_cuts(B: int, threads: int) -> Ids:
    """Cut B rows into a block per thread, as even as whole groups of rows allow.

    A block of the matrix product takes ROWS rows at a time, or half as many,
    and less than half of it saves little time. So blocks end at a multiple of
    half a group.

    Returns
    -------
    (S + 1,) int array
        Where blocks begin and end; S is at most `threads`.
    """
    unit = ROWS // 2
    units = -(-B // unit)
    blocks = min(threads, units)
    cuts = [min(B, units * s // blocks * unit) for s in range(blocks + 1)]
    return np.array(cuts, np.int32)
