"""Timing of several sides in turn, so that a change of the machine's speed meets all.

A side is a function that does some work and returns how much it was: its rate
is work per second. The sides of one comparison run one after another, round by
round; what counts is each side's median over the rounds.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeAlias, final

import numpy as np

#: Does some work and returns how much: characters, or operations.
Side: TypeAlias = Callable[[], float]

#: Seconds of peace before a side's turn. Threads of the side before go on
#: spinning for some milliseconds, on processors that this side needs.
REST = 0.05

#: Rows and columns of the matrices of the yardstick.
SGEMM_SIZE = 2048


class Rounds(NamedTuple):
    """How long to measure."""

    number: int
    seconds: float  # each side's turn, at least


#: For runs that only show that a script works.
ONCE = Rounds(1, 0.05)


@final
@dataclass(frozen=True)
class Rate:
    """Work per second over several rounds."""

    median: float
    spread: float  # (highest - lowest) / median

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Sum the rounds up."""
        values = list(values)
        median = statistics.median(values)
        return cls(median, (max(values) - min(values)) / median)


def take_turn(side: Side, seconds: float) -> float:
    """Let one side work for some seconds; return its rate."""
    time.sleep(REST)
    side()  # wakes the side's threads, and fills the caches
    work, began = 0.0, time.perf_counter()
    while (taken := time.perf_counter() - began) < seconds or not work:
        work += side()
    return work / taken


def in_turn(sides: Mapping[str, Side], rounds: Rounds) -> dict[str, Rate]:
    """Measure sides in turn; all must have run once, so that nothing compiles."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds.number):
        for name, side in sides.items():
            found[name].append(take_turn(side, rounds.seconds))
    return {name: Rate.of(values) for name, values in found.items()}


def sgemm(size: int = SGEMM_SIZE) -> Side:
    """Make the yardstick: NumPy's product of two square float32 matrices.

    Returns
    -------
    Side
        Its work is in floating-point operations.
    """
    rng = np.random.default_rng(0)
    a, b = (rng.random((size, size), np.float32) for _ in range(2))
    product = a @ b

    def multiply() -> float:
        np.matmul(a, b, out=product)
        return 2.0 * size**3

    return multiply


def limit_blas(threads: int) -> None:
    """Give NumPy's products this many threads, by starting the script again.

    OpenBLAS takes the number from the environment, when NumPy is imported.
    """
    wanted = {"OPENBLAS_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if not wanted.items() <= os.environ.items():
        arguments = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, arguments, os.environ | wanted)
