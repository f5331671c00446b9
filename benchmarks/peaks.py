"""What this machine can do at most, measured: multiply-adds, and bytes from memory.

The peak of a precision is the rate of our own product of matrices that a processor's
caches hold, on all threads at once: no layer can be faster, and NumPy's sgemm, a
yardstick from elsewhere, is beside it in other scripts. Bandwidth is the rate at
which all threads together look through arrays that no cache holds.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from timing import Rounds, Side, in_turn

from charrnn.config import PrecisionName
from charrnn.errors import MissingComponentError
from charrnn.kernels.matmul import multiply
from charrnn.network import products_of

#: Rows, depth and columns of the product: 256 KB of weights in float32.
ROWS, DEPTH, COLUMNS = 256, 256, 256

#: Bytes that every thread looks through: more than a cache has.
MEMORY = 1 << 28


class Peaks(NamedTuple):
    """Rates of the whole machine."""

    flops: dict[str, float]  # floating-point operations a second, by precision
    bandwidth: float  # bytes a second


def measure_peaks(threads: int, *, quick: bool) -> Peaks:
    """Measure the peaks; bfloat16 only where the processor has it."""
    sides: dict[str, Side] = {}
    with ThreadPoolExecutor(threads) as pool:
        precisions: tuple[PrecisionName, ...] = ("float32", "bfloat16")
        for precision in precisions:
            with suppress(MissingComponentError):
                work = [_product(precision) for _ in range(threads)]
                sides[precision] = _together(pool, work)
        size = MEMORY >> 8 if quick else MEMORY
        sides["memory"] = _together(pool, [_reading(size) for _ in range(threads)])
        for side in sides.values():
            side()  # compiles, and touches the memory
        found = in_turn(sides, Rounds(1, 0.05) if quick else Rounds(5, 0.4))
    rates = {name: rate.median for name, rate in found.items()}
    bandwidth = rates.pop("memory")
    return Peaks(rates, bandwidth)


def _together(pool: ThreadPoolExecutor, work: list[Callable[[], float]]) -> Side:
    """Let every thread do its own work."""
    return lambda: sum(done.result() for done in [pool.submit(one) for one in work])


def _product(precision: PrecisionName) -> Callable[[], float]:
    """Make a product of one thread; it gives the operations that it takes."""
    rng, products = np.random.default_rng(0), products_of(precision)
    W = rng.random((COLUMNS, DEPTH), np.float32)
    packed = products.new_packed(COLUMNS, DEPTH, W.dtype)
    products.pack(W, packed)
    a, c = rng.random((ROWS, DEPTH), np.float32), np.zeros((ROWS, COLUMNS), np.float32)
    times = 16

    def form() -> float:
        for _ in range(times):
            multiply(a, packed.forward, c, False)
        return 2.0 * times * ROWS * DEPTH * COLUMNS

    return form


def _reading(size: int) -> Callable[[], float]:
    """Make a search through so many bytes, by one thread; it gives their number."""
    numbers = np.ones(size // 4, np.float32)

    def read() -> float:
        numbers.max()
        return float(size)

    return read
