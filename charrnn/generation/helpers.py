"""Threads that help with the products of a single text of a large network.

Whether they do is found out while the text is made: they cost more than they bring
where another program has the processors. The text does not depend on it; see
`charrnn.kernels.team`.
"""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from statistics import median

from charrnn.kernels.generator import Inference

#: Seconds of a text before anybody helps: short texts are done, and what helpers run
#: need not be compiled for them.
AFTER = 0.2

#: Every so many slices the slower of both ways is tried again. One that has become the
#: faster one is taken after two such trials.
RETRIED = 32

#: Slices that a way is judged by, the last ones. It is their median that counts: a mean
#: in which one slice was slow, because this thread had no processor, kept the faster
#: way from being taken for seconds.
JUDGED = 3


class Helpers:
    """Helpers of one thread that makes a text, slice by slice.

    Parameters
    ----------
    weights : Inference
        What the thread makes it with.
    threads : int
        With the main one.
    """

    def __init__(self, weights: Inference, threads: int) -> None:
        self._weights, self._threads = weights, threads
        self._began = time.monotonic()
        self._slices = 0
        self._first: list[Future[None]] | None = None  # of the first slice helped with
        #: Seconds of a step in the last slices: without helpers, and with them.
        self._seconds: dict[bool, deque[float]] = {
            helped: deque(maxlen=JUDGED) for helped in (False, True)
        }

    @property
    def possible(self) -> bool:
        """Whether the weights are such that products can be shared."""
        room = getattr(self._weights.recurrent.Wh, "room", None)
        return self._threads > 1 and room is not None and room.board.size > 0

    @contextmanager
    def at_work(self, pool: Executor, steps: int) -> Iterator[None]:
        """Let helpers work, if that is likely to be faster, and note the time.

        Parameters
        ----------
        pool : Executor
            With a thread for each helper.
        steps : int
            That are taken inside.
        """
        if not self.possible or time.monotonic() < self._began + AFTER:
            yield
            return
        helped, began = self._next(), time.perf_counter()
        called = self._call(pool) if helped else []
        try:
            yield
        finally:
            self._dismiss()
        if helped and self._first is None:
            self._first = called  # who load their code meanwhile: this is no measure
        else:
            self._seconds[helped].append((time.perf_counter() - began) / steps)

    def _next(self) -> bool:
        """Choose whether the next slice is helped with."""
        self._slices += 1
        if not all(helper.done() for helper in self._first or ()):
            return False
        for helped in (True, False):
            if len(self._seconds[helped]) < JUDGED:
                return helped
        faster = median(self._seconds[True]) < median(self._seconds[False])
        return faster if self._slices % RETRIED else not faster

    def _call(self, pool: Executor) -> list[Future[None]]:
        """Put the slice's number on the board, and send for the helpers."""
        from charrnn.kernels.reduced import help_out  # of use to nobody else
        from charrnn.kernels.team import MOST_WORKERS, SLICE, WORKERS

        Wh, Wx = self._weights.recurrent.Wh, self._weights.Wx
        board, workers = Wh.room.board, min(self._threads, MOST_WORKERS)
        board[WORKERS], board[SLICE] = workers, self._slices
        return [
            pool.submit(help_out, Wh, Wx, self._slices, worker)
            for worker in range(1, workers)
        ]

    def _dismiss(self) -> None:
        """Let the helpers go: they see it when they look for the next job."""
        from charrnn.kernels.team import SLICE

        self._weights.recurrent.Wh.room.board[SLICE] = 0
