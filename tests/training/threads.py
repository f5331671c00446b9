"""Ranks that are threads of one process: as MPI's, but quick to start."""

import pickle
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn.training.ranks import Asked, Ranks, nobody

T = TypeVar("T")

#: Seconds after which ranks that wait for each other are given up.
PATIENCE = 120.0


class Meeting:
    """Where the ranks of a job meet."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=PATIENCE)
        self.brought: list[Any] = [None] * size
        self.asked = threading.Event()


class ThreadRanks(Ranks):
    """One rank of a meeting.

    Attributes
    ----------
    calls : Counter
        How often each method has been called.
    """

    def __init__(self, meeting: Meeting, rank: int) -> None:
        self._meeting = meeting
        self.rank, self.size = rank, meeting.size
        self.calls: Counter[str] = Counter()

    def _exchange(self, value: Any) -> list[Any]:
        """Show all what everyone has, each with a copy of its own, as by a network."""
        self._meeting.brought[self.rank] = pickle.dumps(value)
        self._meeting.barrier.wait()
        found = [pickle.loads(each) for each in self._meeting.brought]  # noqa: S301
        self._meeting.barrier.wait()
        return found

    def reduce(self, array: NDArray[Any]) -> None:
        self.calls["reduce"] += 1
        parts = self._exchange(array)
        array[...] = np.sum(parts, axis=0, dtype=array.dtype)

    def gather(self, value: T) -> list[T]:
        self.calls["gather"] += 1
        return self._exchange(value)

    def share(self, value: T) -> T:
        found: T = self._exchange(value)[0]
        return found

    def barrier(self, asked: Asked = nobody) -> None:
        if asked():
            self._meeting.asked.set()
        self._meeting.barrier.wait()

    def asked_by_others(self) -> bool:
        return self._meeting.asked.is_set()


def on_ranks(size: int, program: Callable[[ThreadRanks], T]) -> list[T]:
    """Run a program on several ranks, and give what came of it, by rank.

    Raises
    ------
    BaseException
        What one of them raised; the others are left alone then.
    """
    meeting = Meeting(size)
    results: list[Any] = [None] * size
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            results[rank] = program(ThreadRanks(meeting, rank))
        except BaseException as error:
            if not isinstance(error, threading.BrokenBarrierError):
                errors.append(error)
            meeting.barrier.abort()

    threads = [
        threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
