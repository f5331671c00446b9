"""The products of a step by themselves: rows of a batch by matrices, again and again.

What a layer multiplies by at every step is the same matrices. Small ones stay in a
core's cache from step to step; large ones are fetched anew, and how well that is hidden
shows here: rates by size, in float32 and bfloat16, and beside them NumPy's sgemm. Every
thread has rows of its own and reads the same matrices, as in training. Of each size the
product by the last matrix is first compared with NumPy's in float64. A call from Python
is part of what is timed: of a single row's products some percent.

    python benchmarks/products.py [--quick] [--json FILE] [--threads N]
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from reporting import Report, cell, new_parser, ratio
from timing import ONCE, Rounds, Side, in_turn, limit_blas, sgemm

from charrnn.config import PrecisionName
from charrnn.errors import MissingComponentError
from charrnn.kernels.matmul import multiply
from charrnn.kernels.packing import Packed
from charrnn.network import products_of

#: Rows of a thread, depth, columns, and how many matrices take turns.
SIZES = [
    (32, 128, 512, 1),
    (32, 256, 1024, 1),
    (32, 512, 2048, 1),
    (32, 512, 2048, 3),
    (32, 2048, 512, 3),
    (32, 1024, 4096, 3),
    (4, 256, 1024, 1),
    (2, 256, 1024, 1),
    (1, 256, 1024, 1),
]
QUICK = [(8, 16, 64, 2)]

#: Operations of a turn, about: long beside waking the threads for it.
WORK = 4e9

PRECISIONS: tuple[PrecisionName, ...] = ("float32", "bfloat16")


@dataclass(frozen=True)
class Row:
    """The rates of one size, in operations a second of all threads together."""

    rows: int
    depth: int
    columns: int
    matrices: int
    float32: float
    bfloat16: float | None  # None where the processor has none
    sgemm: float


COLUMNS: dict[str, Callable[[Row], str]] = {
    "rows a thread": lambda row: cell(row.rows),
    "depth x columns": lambda row: f"{row.depth} x {row.columns}",
    "matrices": lambda row: cell(row.matrices),
    "float32, GFLOP/s": lambda row: cell(row.float32 / 1e9),
    "sgemm": lambda row: cell(row.sgemm / 1e9),
    "of sgemm": lambda row: cell(ratio(row.float32, row.sgemm), ".0%"),
    "bfloat16, GFLOP/s": lambda row: cell(row.bfloat16 and row.bfloat16 / 1e9),
}


def new_side(
    size: tuple[int, int, int, int],
    precision: PrecisionName,
    pool: ThreadPoolExecutor,
    threads: int,
    *,
    quick: bool,
) -> Side:
    """Make the work of all of a pool's threads, and check what one of them computes.

    Raises
    ------
    MissingComponentError
        This machine does not have the precision.
    """
    rows, depth, columns, matrices = size
    rng, products = np.random.default_rng(0), products_of(precision)
    packed: list[Packed] = []
    for _ in range(matrices):
        W = rng.standard_normal((columns, depth), np.float32)
        packed.append(products.new_packed(columns, depth, W.dtype))
        products.pack(W, packed[-1])
    inputs = rng.standard_normal((threads, rows, depth), np.float32)
    sums = np.zeros((threads, rows, columns), np.float32)
    multiply(inputs[0], packed[-1].forward, sums[0], False)
    exact = inputs[0].astype(np.float64) @ W.T.astype(np.float64)
    # Sums of float32; and both sides rounded to half of 2^-8 of themselves.
    part = depth * np.finfo(np.float32).eps + (precision == "bfloat16") * 2.0**-8
    if not (np.abs(sums[0] - exact) <= part * (np.abs(inputs[0]) @ np.abs(W.T))).all():
        msg = f"a product in {precision} of {depth} x {columns} is wrong"
        raise AssertionError(msg)
    work = 2.0 * rows * depth * columns * matrices
    times = 1 if quick else max(1, int(WORK / work))

    def one(thread: int) -> float:
        for _ in range(times):
            for weights in packed:
                multiply(inputs[thread], weights.forward, sums[thread], False)
        return times * work

    return lambda: sum(pool.map(one, range(threads)))


def main() -> None:
    """Time all sizes, print the table, and write JSON if asked to."""
    options = new_parser(__doc__).parse_args()
    limit_blas(options.threads)
    report = Report(options)
    add = report.table(f"Products on {options.threads} threads", COLUMNS)
    rounds = ONCE if options.quick else Rounds(5, 0.2)
    with ThreadPoolExecutor(options.threads) as pool:
        for size in QUICK if options.quick else SIZES:
            sides = {"sgemm": sgemm(64) if options.quick else sgemm()}
            for precision in PRECISIONS:
                with suppress(MissingComponentError):
                    sides[precision] = new_side(
                        size, precision, pool, options.threads, quick=options.quick
                    )
            for side in sides.values():
                side()
            found = {name: rate.median for name, rate in in_turn(sides, rounds).items()}
            narrow = found.get("bfloat16")
            add(Row(*size, found["float32"], narrow, found["sgemm"]))
    report.write()


if __name__ == "__main__":
    main()
