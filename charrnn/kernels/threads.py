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

import numba
import numpy as np

from charrnn.arrays import Ids
from charrnn.kernels.blocks import ROWS

#: Turns that a waiting thread of GNU's OpenMP spins before it sleeps. The
#: library reads it when Numba first loads it, at the first parallel kernel.
_SPIN = "5000"

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN)


def use_threads(threads: int) -> int:
    """Set the number of threads, at most what Numba was started with.

    Returns
    -------
    int
        The number in force.
    """
    threads = max(1, min(threads, numba.config.NUMBA_NUM_THREADS))
    numba.set_num_threads(threads)
    return threads


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
