"""Blocked products: every remainder of rows, columns and depth.

The emitted code has no bounds checks, so all arrays stand between guard cells:
NaN, which spoils any sum it enters, before and behind. They must neither get
into a result nor change.
"""

from typing import Any

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.kernels.blocks import ROWS as BLOCK_ROWS
from charrnn.kernels.matmul import COLUMNS as COPIED
from charrnn.kernels.matmul import (
    SLICE,
    add_affine_gradient,
    affine,
    multiply,
)
from charrnn.kernels.rows import KEPT_BYTES, new_panels, panel_width
from charrnn.kernels.threads import limited, usable

pytestmark = pytest.mark.small

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="NumPy's product rounds by shape"
)

Array = NDArray[Any]

#: One whole group of rows and its remainder on any machine, and every panel
#: edge of float32 and float64 at 16 to 64 bytes a vector.
ROWS, COLUMNS = range(1, 18), [*range(1, 71), 128, 135, 173]
DEPTHS = (1, 2, 3, 5, SLICE - 1, SLICE, SLICE + 1)

#: Guard cells at either end: an odd number, so that nothing is aligned.
GUARD = 71

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


class Guarded:
    """Contiguous arrays between guard cells of NaN."""

    def __init__(self) -> None:
        self.buffers: list[Array] = []

    def __call__(self, array: Array) -> Array:
        """Copy an array into a buffer of its own, with guards."""
        buffer = np.full(array.size + 2 * GUARD, np.nan, array.dtype)
        self.buffers.append(buffer)
        view = buffer[GUARD:-GUARD].reshape(array.shape)
        view[...] = array
        return view

    def check(self) -> None:
        """Fail if a guard has changed."""
        for buffer in self.buffers:
            assert np.isnan(buffer[:GUARD]).all()
            assert np.isnan(buffer[-GUARD:]).all()


def panels_of(matrix: Array) -> Array:
    """Panels of a matrix B (K, n): blocks of columns, the last one filled with 0."""
    depth, n = matrix.shape
    panels = new_panels(depth, n, matrix.dtype)
    width = panels.shape[2]
    for j, panel in enumerate(panels):
        columns = matrix[:, j * width : (j + 1) * width]
        panel[:, : columns.shape[1]] = columns
    return panels


def bound(a: Array, b: Array, dtype: Any) -> Array:
    """How far a product (m, K) times (K, n) may be off, number by number."""
    unit = np.finfo(dtype).eps
    return (len(b) + 2) * unit * (np.abs(a) @ np.abs(b) + 1)


def random(rng: np.random.Generator, dtype: Any, *shape: int) -> Array:
    """Random numbers of a type."""
    return rng.normal(size=shape).astype(dtype)


@dtypes
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("depth", DEPTHS)
def test_multiply(
    rng: np.random.Generator, dtype: Any, accumulate: bool, depth: int
) -> None:
    """C (+)= A B for every number of rows and columns, and nothing else is touched."""
    A, B = random(rng, dtype, ROWS[-1], depth), random(rng, dtype, depth, COLUMNS[-1])
    C = random(rng, dtype, ROWS[-1], COLUMNS[-1])
    exact = A.astype(np.float64) @ B.astype(np.float64)
    exact += C if accumulate else 0
    allowed = bound(A.astype(np.float64), B.astype(np.float64), dtype)
    for n in COLUMNS:
        guarded = Guarded()
        b = guarded(panels_of(B[:, :n]))
        for m in ROWS:
            a, c = guarded(A[:m]), guarded(C[:m, :n])
            multiply(a, b, c, accumulate)

            assert (np.abs(c - exact[:m, :n]) <= allowed[:m, :n]).all(), (m, n)
        guarded.check()


@dtypes
def test_multiply_by_more_than_a_cache_keeps(
    rng: np.random.Generator, dtype: Any
) -> None:
    """Panels are fetched meanwhile, and what would come after the last one."""
    n, rows = 173, 3 * BLOCK_ROWS
    depth = KEPT_BYTES // np.dtype(dtype).itemsize // n + 1
    guarded, B = Guarded(), random(rng, dtype, depth, n)
    a, c = guarded(random(rng, dtype, rows, depth)), guarded(np.zeros((rows, n), dtype))
    multiply(a, guarded(panels_of(B)), c, False)
    guarded.check()
    exact = a.astype(np.float64) @ B.astype(np.float64)

    assert (np.abs(c - exact) <= bound(a.astype(np.float64), B, dtype)).all()


@dtypes
def test_affine(rng: np.random.Generator, dtype: Any) -> None:
    """It is z = x W^T + b; what z held before does not count."""
    x, W, b = (random(rng, dtype, *shape) for shape in ((5, 19), (23, 19), (23,)))
    exact = x.astype(np.float64) @ W.T.astype(np.float64) + b
    guarded = Guarded()
    z = guarded(np.full((5, 23), np.nan, dtype))
    affine(guarded(x), guarded(panels_of(W.T)), guarded(b), z)

    allowed = bound(x.astype(np.float64), W.T.astype(np.float64), dtype)
    assert (np.abs(z - exact) <= allowed).all()
    guarded.check()


@dtypes
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("biased", ["none", "all", "last"])
@limited(1)
def test_add_affine_gradient(
    rng: np.random.Generator, dtype: Any, depth: int, biased: str
) -> None:
    """To dW is added dz^T x, to db the last sums of dz, for every shape of dW."""
    DZ, X = random(rng, dtype, depth, ROWS[-1]), random(rng, dtype, depth, COLUMNS[-1])
    start, db0 = random(rng, dtype, ROWS[-1], COLUMNS[-1]), random(rng, dtype, ROWS[-1])
    DZ64, X64 = DZ.astype(np.float64), X.astype(np.float64)
    exact = DZ64.T @ X64 + start
    allowed = bound(DZ64.T, X64, dtype)
    allowed_b = bound(DZ64.T, np.ones((depth, 1)), dtype)[:, 0]
    for n in COLUMNS:
        guarded = Guarded()
        x = guarded(X[:, :n])
        for m in ROWS:
            k = {"none": 0, "all": m, "last": (m + 1) // 3}[biased]
            dz, dW = guarded(DZ[:, :m]), guarded(start[:m, :n])
            db = guarded(db0[:k])
            add_affine_gradient(dz, x, dW, db, 1)

            assert (np.abs(dW - exact[:m, :n]) <= allowed[:m, :n]).all(), (m, n)
            sums = db0[:k] + DZ64[:, m - k : m].sum(axis=0)
            assert (np.abs(db - sums) <= allowed_b[m - k : m]).all(), (m, n)
        guarded.check()


@compiled_only
@pytest.mark.parametrize("depth", [3, SLICE + 1])
@limited(usable(2))
def test_workers_do_not_matter(rng: np.random.Generator, depth: int) -> None:
    """Any number of workers gives the same bits, also more than groups of rows."""
    for m in (1, 7, 16, 17, 40):
        dz, x = random(rng, np.float32, depth, m), random(rng, np.float32, depth, 37)
        for k in (0, m // 3, m):
            results = []
            for workers in (1, 2, 3, 9):
                guarded = Guarded()
                dW = guarded(np.zeros((m, 37), np.float32))
                db = guarded(np.zeros(k, np.float32))
                add_affine_gradient(guarded(dz), guarded(x), dW, db, workers)
                guarded.check()
                results.append((dW.tobytes(), db.tobytes()))

            assert len(set(results)) == 1, (m, k)


@compiled_only
@pytest.mark.parametrize("n", [37, KEPT_BYTES // 4 // COPIED])
@limited(usable(2))
def test_gradients_of_many_columns(rng: np.random.Generator, n: int) -> None:
    """Some dz has more than are copied at a time, and dW more than a cache keeps."""
    workers, depth = 2, SLICE + 1
    m = workers * (COPIED + 9)
    dz, x = random(rng, np.float32, depth, m), random(rng, np.float32, depth, n)
    guarded = Guarded()
    dW, db = (guarded(np.zeros(shape, np.float32)) for shape in ((m, n), (m,)))
    add_affine_gradient(guarded(dz), guarded(x), dW, db, workers)
    guarded.check()
    dz64, x64 = dz.astype(np.float64), x.astype(np.float64)

    assert (np.abs(dW - dz64.T @ x64) <= bound(dz64.T, x64, np.float32)).all()
    ones = np.ones((depth, 1))
    assert (
        np.abs(db - dz64.sum(axis=0)) <= bound(dz64.T, ones, np.float32)[:, 0]
    ).all()


@compiled_only
@dtypes
@pytest.mark.parametrize("accumulate", [False, True])
def test_a_row_alone_gets_the_same_bits(
    rng: np.random.Generator, dtype: Any, accumulate: bool
) -> None:
    """Every row of a product is the same alone as among 1 to 17 others."""
    # More columns than the panels that a single row takes at a time.
    A, b = random(rng, dtype, ROWS[-1], 19), panels_of(random(rng, dtype, 19, 173))
    C = random(rng, dtype, ROWS[-1], 173)
    alone = C.copy()
    for n in range(len(A)):
        multiply(A[n : n + 1], b, alone[n : n + 1], accumulate)

    for m in ROWS:
        together = C[:m].copy()
        multiply(A[:m], b, together, accumulate)
        assert (together == alone[:m]).all(), m


@compiled_only
@dtypes
def test_a_column_alone_gets_the_same_bits(
    rng: np.random.Generator, dtype: Any
) -> None:
    """The bits of a number do not depend on the columns beside it either."""
    A, B = random(rng, dtype, 11, 19), random(rng, dtype, 19, COLUMNS[-1])
    whole = np.empty((11, COLUMNS[-1]), dtype)
    multiply(A, panels_of(B), whole, False)

    for n in COLUMNS:
        part = np.empty((11, n), dtype)
        multiply(A, panels_of(B[:, :n]), part, False)
        assert (part == whole[:, :n]).all(), n


@compiled_only
def test_one_chain_of_multiply_adds(rng: np.random.Generator) -> None:
    """A number is summed in order along the depth: a cut product is the whole one."""
    A, B = random(rng, np.float32, 5, 40), random(rng, np.float32, 40, 9)
    whole, cut = np.empty((2, 5, 9), np.float32)
    multiply(A, panels_of(B), whole, False)
    multiply(np.ascontiguousarray(A[:, :13]), panels_of(B[:13]), cut, False)
    multiply(np.ascontiguousarray(A[:, 13:]), panels_of(B[13:]), cut, True)

    assert (cut == whole).all()


@dtypes
def test_panels_are_two_vectors_wide(dtype: Any) -> None:
    """A panel holds a power of two of columns, and enough panels all of them."""
    width = panel_width(dtype)

    assert width in {4, 8, 16, 32}
    assert new_panels(3, width, dtype).shape == (1, 3, width)
    assert new_panels(3, width + 1, dtype).shape == (2, 3, width)
