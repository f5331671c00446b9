"""How many threads to use: as asked, as the environment says, or all there are."""

import os
import threading

from charrnn.errors import OptionError, field
from charrnn.surroundings import NUMBA_THREADS, THREADING_LAYER


def available_processors() -> int:
    """Count the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: int) -> None:
    """Raise `OptionError` unless a number of threads is at least 1."""
    if threads < 1:
        msg = f"{field('threads')} must be at least 1, not {threads}"
        raise OptionError(msg, hint="leave it away to use all processors")


def check_variables() -> None:
    """Check what Numba reads of the environment, which it would fail with.

    Raises
    ------
    OptionError
        A variable is no number, or no threading layer.
    """
    NUMBA_THREADS.check("NUMBA_NUM_THREADS")
    THREADING_LAYER.check("NUMBA_THREADING_LAYER")


def resolve_threads(asked: int | None) -> tuple[int, str | None]:
    """Settle the number of threads; warn if fewer than were asked for.

    What is asked for goes before ``CHARRNN_THREADS``, which goes before the number
    of processors that this process may run on. ``NUMBA_NUM_THREADS`` bounds them
    all, and so does the number of threads that the system lets start.

    Raises
    ------
    OptionError
        The number is below 1; or a variable is no number, or no threading layer.
    """
    if asked is not None:
        check_threads(asked)
    if asked is None and (variable := os.environ.get("CHARRNN_THREADS")):
        asked = int(NUMBA_THREADS.check("CHARRNN_THREADS") or variable)
    check_variables()
    allowed, why = available_processors(), "processors to use"
    most = NUMBA_THREADS.check("NUMBA_NUM_THREADS")
    if most is not None and int(most) < allowed:
        allowed, why = int(most), "allowed by NUMBA_NUM_THREADS"
    threads = allowed if asked is None else min(asked, allowed)
    if (started := startable(threads)) < threads:
        limit = "a limit of processes: ulimit -u, or that of a container"
        return started, f"{threads} threads wanted, {started} can be started ({limit})"
    if asked is not None and asked > threads:
        return threads, f"{asked} threads asked for, {threads} {why}"
    return threads, None


def startable(threads: int) -> int:
    """Try how many of so many threads can be had, at least the one that there is.

    The library beneath the kernels ends the process when the system refuses it a
    thread. One more than it needs is tried: commands have a thread that waits.
    """
    if threads == 1:
        return 1
    ended = threading.Event()
    waiting: list[threading.Thread] = []
    try:
        for _ in range(threads):
            thread = threading.Thread(target=ended.wait, daemon=True)
            thread.start()
            waiting.append(thread)
    except RuntimeError:
        return max(1, len(waiting))
    finally:
        ended.set()
        for thread in waiting:
            thread.join()
    return threads
