"""The processes that train together, as one of them finds them."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from charrnn.config import DistributedMode
from charrnn.launcher import Launched, joins
from charrnn.processors import resolve_threads
from charrnn.training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Company:
    """The ranks that train together.

    Parameters
    ----------
    ranks : Ranks
    threads : (number, warning)
        Of each; the warning says why there are fewer than were asked for, or is None.
    leads : bool
        Whether this is the first rank of its machine.
    notes : tuple of str
        What ranks there are.
    warnings : tuple of str
        What is wrong with where they are.
    killed_soon : bool
        Whether their launcher kills them soon after it has asked them to end.
    """

    ranks: Ranks
    threads: tuple[int, str | None]
    leads: bool = True
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    killed_soon: bool = False

    def leaders_first(self, task: Callable[[], object]) -> None:
        """Do something on the first rank of every machine, and then on the others."""
        self.ranks.leaders_first(task, leads=self.leads)


def meet(mode: DistributedMode, threads: int | None, how: Launched) -> Company:
    """Find the processes to train with, if there are any.

    Parameters
    ----------
    mode : str
        The option `distributed`.
    threads : int or None
        That each is to use, if that was asked for.
    how : Launched
        How this process was started.

    Raises
    ------
    MissingComponentError
        There are others, and no MPI to reach them by.
    DistributedError
        There are others, and MPI does not see them.
    """
    if not joins(mode, how):
        return Company(ALONE, resolve_threads(threads))
    from charrnn.training import mpi  # optional

    ranks = mpi.join(how)
    found = mpi.place(ranks)
    if threads is None and not os.environ.get("CHARRNN_THREADS"):
        threads = found.threads
    resolved = resolve_threads(threads)
    crowding = found.crowding(resolved[0])
    all_threads, crowdings = zip(*ranks.gather((resolved[0], crowding)), strict=True)
    crowdings = tuple(filter(None, dict.fromkeys(crowdings)))
    ranks.spins = found.spins(crowded=bool(crowdings))
    return Company(
        ALONE if ranks.size == 1 else ranks,
        resolved,
        found.leads,
        (found.description(all_threads),),
        crowdings,
        how.by_open_mpi,
    )
