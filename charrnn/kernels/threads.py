"""How many threads the kernels use, and how rows are cut for them.

A step of training is a dozen parallel kernels with a few microseconds of
Python in between. GNU's OpenMP keeps its threads spinning between them for
milliseconds, which is fine alone and ruinous in company: with one other busy
process on two cores an empty kernel took 8,000 us instead of 1, because the
spinning thread holds the processor that the other thread needs. Threads that
sleep at once cost 7 us a kernel and half of short kernels' speed. A short spin
(some tens of microseconds) has the good side of both.

Kernels may be called from several of Python's threads at once, each with scratch of
its own; Numba's own threading layer, which would end the process, is guarded here. A
process that was forked from one whose threads had started has none of them, and GNU's
OpenMP would wait for them for ever. Numba ends every child of the process that has
loaded OpenMP, whether there were threads or not. So whoever calls kernels asks
`lost_by_fork` first.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numba
import numpy as np

from charrnn.arrays import Ids
from charrnn.kernels.blocks import ROWS

#: Turns that a waiting thread of GNU's OpenMP spins before it sleeps.
_SPIN = "5000"

#: The variable that says so. The library reads it once, when it is loaded.
_SPIN_VARIABLE = "GOMP_SPINCOUNT"


class _Threads:
    """What this process knows of Numba's threads."""

    def __init__(self) -> None:
        self.starting = threading.Lock()
        #: Held in kernels where only one thread of Python's may be at a time.
        self.alone = threading.RLock()
        self.loaded_by = 0  # the process that loaded the threading layer
        self.several = False  # whether more than one was ever wanted
        self.lost = False  # whether this process was forked and cannot have them

    def note_fork(self) -> None:
        """Find out, in a process that was just forked, what is left of the threads."""
        ended = self.several or os.getppid() == self.loaded_by
        self.lost = sys.platform == "linux" and _layer() == "omp" and ended
        # Whichever thread held a lock, it is not in this process.
        self.starting, self.alone = threading.Lock(), threading.RLock()


def _layer() -> str | None:
    """Name the threading layer, if it has been loaded."""
    try:
        name: str = numba.threading_layer()
    except ValueError:
        return None
    return name


_threads = _Threads()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_threads.note_fork)


def lost_by_fork() -> bool:
    """Tell whether kernels would end this process, as it has lost their threads."""
    return _threads.lost


def start() -> str:
    """Load the threading layer, if that has not been done, and return its name.

    Raises
    ------
    ValueError
        The layer that was asked for cannot be had.
    """
    if (name := _layer()) is not None:
        return name
    with _threads.starting:
        ours = not {_SPIN_VARIABLE, "OMP_WAIT_POLICY"} & os.environ.keys()
        if ours:
            os.environ[_SPIN_VARIABLE] = _SPIN
        try:
            numba.get_num_threads()
            _threads.loaded_by = os.getpid()
        finally:
            if ours:  # programs that this one starts have a choice of their own
                del os.environ[_SPIN_VARIABLE]
    return str(numba.threading_layer())


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
        start()
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
    with _threads.alone if start() == "workqueue" else nullcontext():
        before = numba.get_num_threads()
        _threads.several = _threads.several or threads > 1
        numba.set_num_threads(threads)
        try:
            yield
        finally:
            numba.set_num_threads(before)


def row_cuts(B: int, threads: int) -> Ids:
    """Cut B rows into a block per thread, as even as whole groups of rows allow.

    A block of the matrix product takes ROWS rows at a time, or half as many,
    and less than half of it saves little time. So blocks end at a multiple of
    half a group, unless there are too few rows for all threads.

    Returns
    -------
    (S + 1,) int array
        Where blocks begin and end; S is at most `threads`.
    """
    half = ROWS // 2
    unit = half if threads * half <= B else 1
    units = -(-B // unit)
    blocks = min(threads, units)
    cuts = [min(B, units * s // blocks * unit) for s in range(blocks + 1)]
    return np.array(cuts, np.int32)
