"""Whether a launcher of MPI programs has started this process as one of several.

Launchers say so in variables, each in its own. What counts is how many processes were
started together. The size of an allocation is something else: a batch script under
Slurm is one process, however many processors it was given.

A process that has joined the others has to leave them before it ends, and those may
have to end with it: `leave` sees to that, for whoever ends the process.

Nothing here imports an MPI library, or anything else that takes time.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Names(NamedTuple):
    """What one family of launchers calls its numbers."""

    family: str  # as a message names it
    size: str  # how many processes were started together
    rank: str  # which of them this one is
    rank_here: str  # the same among those on this machine


#: What Open MPI's launcher and library are called.
OPEN_MPI = "Open MPI"

#: The nearest launcher first: an MPI library's own may have been called in a step of
#: Slurm's, whose variables its processes inherit.
FAMILIES = (
    Names(
        OPEN_MPI,
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_RANK",
    ),
    Names("PMI (MPICH, Intel MPI)", "PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID"),
    Names("Slurm", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"),
)

#: Launchers that speak PMIx alone say which process this is, and not of how many.
PMIX_RANK = "PMIX_RANK"


@dataclass(frozen=True)
class Launched:
    """How this process was started, as its launcher's variables tell.

    Parameters
    ----------
    size : int or None
        Processes that were started together, this one included; None where a launcher
        does not tell.
    rank : int
        Which of them this is, from 0.
    rank_here : int
        The same among those on this machine, as far as that is told.
    by : str
        What says so: a family of launchers and its variable.
    """

    size: int | None = 1
    rank: int = 0
    rank_here: int = 0
    by: str = ""

    @property
    def together(self) -> bool:
        """Whether others were started with it, as far as one can tell."""
        return self.size is None or self.size > 1

    @property
    def by_open_mpi(self) -> bool:
        """Whether it was Open MPI's launcher, which kills soon after it asks to end."""
        return self.by.startswith(OPEN_MPI)


def launched(variables: Mapping[str, str] = os.environ) -> Launched:
    """Read how this process was started.

    Parameters
    ----------
    variables : mapping of str
        The environment.
    """
    for names in FAMILIES:
        size = _count(variables.get(names.size))
        if size:
            rank = _count(variables.get(names.rank)) or 0
            here = _count(variables.get(names.rank_here))
            here = rank if here is None else here
            return Launched(size, rank, here, f"{names.family}, {names.size}={size}")
    only = _count(variables.get(PMIX_RANK))
    if only is not None:
        return Launched(None, only, only, f"PMIx, {PMIX_RANK}={only}")
    return Launched()


def joins(mode: str, how: Launched) -> bool:
    """Tell whether a process is to train together with others.

    Parameters
    ----------
    mode : str
        The option `distributed`.
    """
    return mode == "mpi" or (mode == "auto" and how.together)


def _count(text: str | None) -> int | None:
    """Read a number from 0; None where there is none."""
    return int(text) if text and text.isascii() and text.isdigit() else None


class _Joined:
    """What this process knows of the job that it has joined, if any."""

    #: Leaves the others: told an exit code, and whether all of them end in order.
    leave: Callable[[int, bool], None] | None = None
    in_order = False


_joined = _Joined()


def join_by(leave: Callable[[int, bool], None]) -> None:
    """Note that this process has joined others, and how it leaves them.

    Parameters
    ----------
    leave : callable
        Told an exit code, and whether all of them end for a reason that all know. If
        they do not, and the code is not 0, it has to end all of them.
    """
    _joined.leave = leave


def end_in_order() -> None:
    """Note that all processes are about to end, for a reason that all of them know."""
    _joined.in_order = True


def leave(code: int) -> bool:
    """Leave the others, if there are any, before this process ends.

    Parameters
    ----------
    code : int
        What the process ends with.

    Returns
    -------
    bool
        Whether there were any.
    """
    if _joined.leave is None:
        return False
    _joined.leave(code, _joined.in_order)
    return True
