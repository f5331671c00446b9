"""Processes that train one network together, and the one that trains alone.

Each of them, a *rank*, reads a block of every batch's streams and holds all of the
network. They add up what they have found of the gradient and take the same step. What
they need of each other is this small interface: rank, size, `reduce`, `gather`,
`barrier`, and two ways to do something that may fail. A process that trains alone has
the same interface, which costs it nothing: `ALONE`. `charrnn.training.mpi` has the
one whose ranks may be on several machines.

Ranks stay together as long as all of them call the same methods in the same order. So
nobody may decide by something that the others do not know: not by a clock, not by a
signal, not by a file. What is decided by is reduced or gathered before.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from charrnn.errors import CharRNNError, OptionError, field
from charrnn.generation import Stopped

T = TypeVar("T")

#: Answers whether somebody wants an end.
Asked = Callable[[], bool]


def nobody() -> bool:
    """Want no end."""
    return False


@dataclass(frozen=True)
class _Outcome(Generic[T]):
    """What came of something that may have failed."""

    value: T | None = None
    error: BaseException | None = None

    @classmethod
    def of(cls, task: Callable[[], T]) -> "_Outcome[T]":
        """Do something; a mistake of the user, or an end that was asked for, is kept.

        Anything else is nobody's to agree on, and ends the rank.
        """
        try:
            return cls(task())
        except (CharRNNError, Stopped, MemoryError) as error:
            if is_agreed(error):  # the others have it, and wait for nothing
                raise
            return cls(error=error)


class Ranks(ABC):
    """What ranks need of each other.

    Attributes
    ----------
    rank : int
        Which one this is, from 0.
    size : int
        How many there are.
    """

    rank: int
    size: int

    @abstractmethod
    def reduce(self, array: NDArray[Any]) -> None:
        """Put the sum of all ranks' arrays into everyone's.

        Parameters
        ----------
        array : float array
            Contiguous, of the same shape everywhere; changed in place.
        """

    @abstractmethod
    def gather(self, value: T) -> list[T]:
        """Collect what every rank has, in the order of ranks, for everyone."""

    @abstractmethod
    def share(self, value: T) -> T:
        """Give everyone what the first rank has."""

    @abstractmethod
    def barrier(self, asked: Asked = nobody) -> None:
        """Wait until all have come here, and leave the processor to the others.

        Parameters
        ----------
        asked : callable
            Asked while one waits; a yes is brought to the first rank, where
            `asked_by_others` has it.
        """

    @abstractmethod
    def asked_by_others(self) -> bool:
        """Tell the first rank whether one that waits for it wants an end.

        A yes stays one until the next `barrier`.
        """

    @property
    def name(self) -> str:
        """How a message calls this rank."""
        return f"rank {self.rank} of {self.size}"

    def rows(self, batch_size: int) -> slice:
        """Say which streams of a batch are this rank's.

        Raises
        ------
        OptionError
            They cannot be shared out evenly.
        """
        check_batch(batch_size, self.size)
        own = batch_size // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def first(self, task: Callable[[Asked], T], asked: Asked = nobody) -> T:
        """Let the first rank do something alone, and everybody know what came of it.

        Parameters
        ----------
        task : callable
            Called there, with what tells it whether any rank wants an end.
        asked : callable
            Whether this rank wants an end.

        Raises
        ------
        CharRNNError, Stopped, MemoryError
            Everywhere, where it was raised there.
        """
        outcome: _Outcome[T] = _Outcome()
        if self.rank == 0:
            outcome = _Outcome.of(
                lambda: task(lambda: asked() or self.asked_by_others())
            )
        self.barrier(asked)
        outcome = self.share(outcome)
        if outcome.error is not None:
            raise agreed(outcome.error)
        return outcome.value  # type: ignore[return-value]

    def collect(self, task: Callable[[], T]) -> list[T]:
        """Do something on every rank, and give everyone what came of it, by rank.

        Raises
        ------
        CharRNNError, Stopped, MemoryError
            Everywhere: that of the first rank that failed. It names the rank, unless
            all have failed.
        """
        outcomes = self.gather(_Outcome.of(task))
        _raise_first([outcome.error for outcome in outcomes])
        return [outcome.value for outcome in outcomes]  # type: ignore[misc]

    def together(self, task: Callable[[], T]) -> T:
        """Do something on every rank, and give each what came of its own.

        Raises
        ------
        CharRNNError, Stopped, MemoryError
            As from `collect`.
        """
        outcome = _Outcome.of(task)
        # As `collect` does: a rank that has failed may meet others that collect
        # something on their way through the same task.
        others = self.gather(_Outcome[T](error=outcome.error))
        _raise_first([other.error for other in others])
        return outcome.value  # type: ignore[return-value]

    def leaders_first(self, task: Callable[[], object], *, leads: bool) -> None:
        """Do something on the first rank of every machine, and then on the others.

        Parameters
        ----------
        leads : bool
            Whether this rank is the first one on its machine.
        """
        self.collect(lambda: leads and task() and None)
        self.collect(lambda: not leads and task() and None)


def _raise_first(errors: list[BaseException | None]) -> None:
    """Raise the first error of any rank, if there is one."""
    failed = [rank for rank, error in enumerate(errors) if error is not None]
    if not failed:
        return
    error = errors[failed[0]]
    if isinstance(error, CharRNNError) and len(failed) < len(errors):
        which = f"rank {failed[0]} of {len(errors)}"
        error.where = f"{error.where}, {which}" if error.where else which
    raise agreed(error)  # type: ignore[arg-type]


class Alone(Ranks):
    """One process that trains by itself."""

    rank, size = 0, 1

    def reduce(self, array: NDArray[Any]) -> None:
        """Have the sum already."""

    def gather(self, value: T) -> list[T]:
        """Have all that there is."""
        return [value]

    def share(self, value: T) -> T:
        """Have it already."""
        return value

    def barrier(self, asked: Asked = nobody) -> None:
        """Wait for nobody."""

    def asked_by_others(self) -> bool:
        """Have no others."""
        return False

    def first(self, task: Callable[[Asked], T], asked: Asked = nobody) -> T:
        """Do it."""
        return task(asked)

    def collect(self, task: Callable[[], T]) -> list[T]:
        """Do it."""
        return [task()]

    def together(self, task: Callable[[], T]) -> T:
        """Do it."""
        return task()

    def leaders_first(self, task: Callable[[], object], *, leads: bool) -> None:
        """Do it."""
        task()


ALONE = Alone()

#: Marks an error that every rank has, so that all of them may end in order.
_AGREED = "_agreed_by_ranks"


def agreed(error: BaseException) -> BaseException:
    """Note of an error that every rank has it."""
    setattr(error, _AGREED, True)
    return error


def is_agreed(error: BaseException) -> bool:
    """Tell whether every rank has an error."""
    return getattr(error, _AGREED, False)


def nearest_batches(batch_size: int, ranks: int) -> list[int]:
    """List the batch sizes next to one that so many ranks can share out."""
    below = batch_size // ranks * ranks
    return [each for each in (below, below + ranks) if each]


def check_batch(batch_size: int, ranks: int) -> None:
    """Raise `OptionError` if a batch cannot be shared out evenly among the ranks."""
    if batch_size % ranks:
        near = [
            field("batch_size", each) for each in nearest_batches(batch_size, ranks)
        ]
        msg = (
            f"{field('batch_size')} {batch_size:,} cannot be divided by {ranks:,} ranks"
        )
        is_or_are = "is" if len(near) == 1 else "are"
        raise OptionError(msg, hint=f"the nearest {is_or_are} {' and '.join(near)}")
