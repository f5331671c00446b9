"""Doing something that is not cut short where this process is killed.

The launcher of Open MPI asks its processes to end, and kills them a quarter of a second
later: a large checkpoint takes longer to write. What it kills are the processes that
it has started, and the groups that they lead. A process that one of them has made, and
that leads a group of its own, is left to finish.
"""

import contextlib
import multiprocessing
import os
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NoReturn


def survive(task: Callable[[], object]) -> None:
    """Do something in a process of its own, and wait for it.

    Where no such process can be had, or where it ends and tells nothing, the task is
    done here.

    Parameters
    ----------
    task : callable
        Has this process's memory as it is now. It must neither compute with kernels
        nor speak to other ranks: their threads and connections are this process's.
        It may be done once more if it was broken off.

    Raises
    ------
    Exception
        What the task raised.
    """
    receiving, sending = multiprocessing.Pipe(duplex=False)
    with receiving:
        with sending:
            if (process := _fork()) == 0:
                _carry_out(task, sending)
        try:
            error: Exception | None = receiving.recv()
        except EOFError:  # there is no other process, or it was ended
            task()
            error = None
        finally:
            if process is not None:
                os.waitpid(process, 0)
    if error is not None:
        raise error


def _fork() -> int | None:
    """Make a copy of this process; None if there can be none.

    Returns
    -------
    int or None
        The number of the copy, which has a 0 here.
    """
    if not hasattr(os, "fork"):  # on Windows
        return None
    with warnings.catch_warnings(), contextlib.suppress(OSError):
        # Python warns of locks that other threads may hold. A task needs none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
    return None  # too little memory, or too many processes


def _carry_out(task: Callable[[], object], sending: Connection) -> NoReturn:
    """Be the other process: do it, tell what came of it, and end."""
    error: Exception | None = None
    try:
        os.setsid()
        try:
            task()
        except Exception as raised:
            error = raised
        sending.send(error)
    finally:
        os._exit(0)  # nothing that the other one cleans up is cleaned up here
