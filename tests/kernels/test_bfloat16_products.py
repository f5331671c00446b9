"""Products in bfloat16: every remainder of rows, columns and depth, in all forms.

What is expected is NumPy's product in float64 of numbers that are rounded to bfloat16
before. All arrays stand between guard cells of NaN, as in `test_matmul`.
"""

from typing import Any

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.kernels.bfloat16 import narrow_all, round_all, widen_all
from charrnn.kernels.bfloat16_products import COLUMNS as PACKED_COLUMNS
from charrnn.kernels.bfloat16_products import SLICE, VECTOR_COLUMNS
from charrnn.kernels.blocks import ROWS as BLOCK_ROWS
from charrnn.kernels.matmul import multiply
from charrnn.kernels.packing import Packed
from charrnn.kernels.products import Products, bfloat16_products
from charrnn.kernels.rows import KEPT_BYTES
from charrnn.kernels.threads import limited, usable
from tests.bfloat16 import FORMS
from tests.kernels.test_matmul import Guarded

Array = NDArray[Any]

#: Whole tiles and vectors, the least and the most that fills one in part; groups of
#: rows of every block; an odd depth, whose last number has no partner.
ROWS = (1, 2, 3, 5, 8, 16, 17, 31, 32, 33, 49)
COLUMNS, DEPTHS = (1, 15, 16, 17, 31, 32, 33, 65), (1, 2, 31, 32, 33, 70)

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="NumPy's product rounds by shape"
)


@pytest.fixture(params=FORMS)
def products(request: pytest.FixtureRequest) -> Products:
    """Every form that this machine has, the emulation among them."""
    return bfloat16_products(request.param)


def random(rng: np.random.Generator, *shape: int) -> Array:
    """Random numbers in float32."""
    return rng.normal(size=shape).astype(np.float32)


def exact(x: Array) -> Array:
    """Round to bfloat16, for products in float64."""
    out = np.empty_like(x)
    round_all(np.ascontiguousarray(x), out)
    return out.astype(np.float64)


def bound(a: Array, b: Array) -> Array:
    """How far sums in float32 may be off, number by number."""
    return (len(b) + 4) * 2.0**-23 * (np.abs(a) @ np.abs(b) + 1)


def packed(products: Products, guarded: Guarded, W: Array) -> Packed:
    """Pack a matrix (n, K); the 16-bit panels have no NaN to guard them."""
    n, K = W.shape
    panels = products.new_packed(n, K, W.dtype)
    products.pack(guarded(W), panels)
    return panels


def test_products_both_ways(products: Products, rng: np.random.Generator) -> None:
    """They are those of rounded numbers, and nothing else is touched."""
    for n, K in zip(COLUMNS * 3, DEPTHS * 4, strict=True):
        W, guarded = random(rng, n, K), Guarded()
        panels = packed(products, guarded, W)
        for m in ROWS:
            for accumulate in (False, True):
                x, z = guarded(random(rng, m, K)), guarded(random(rng, m, n))
                dz, dx = guarded(random(rng, m, n)), guarded(random(rng, m, K))
                z_before, dx_before = (c * accumulate for c in (z, dx))
                ahead = exact(x) @ exact(W).T + z_before
                back = exact(dz) @ exact(W) + dx_before
                multiply(x, panels.forward, z, accumulate)
                multiply(dz, panels.backward, dx, accumulate)

                assert (np.abs(z - ahead) <= bound(exact(x), exact(W).T)).all()
                assert (np.abs(dx - back) <= bound(exact(dz), exact(W))).all()
        guarded.check()


@compiled_only
def test_a_row_alone_has_the_same_bits(
    products: Products, rng: np.random.Generator
) -> None:
    """However many rows are multiplied at once, and whatever stands in the others."""
    W, x = random(rng, 70, 75), random(rng, 50, 75)
    panels = packed(products, Guarded(), W)
    whole, begin = random(rng, 50, 70), 0
    start = whole.copy()
    multiply(x, panels.forward, whole, True)
    for m in (1, 2, 5, 9, 33):
        part = start[begin : begin + m].copy()
        multiply(x[begin : begin + m], panels.forward, part, True)

        assert (part == whole[begin : begin + m]).all()
        begin += m
    assert begin == len(x)


@pytest.mark.parametrize("N", [1, 33, SLICE + 3])
def test_gradients(products: Products, N: int, rng: np.random.Generator) -> None:
    """They are added to what is there, whatever the number of threads.

    Some matrices are wider than what is packed at a time, and one is larger than what
    a cache is said to keep.
    """
    sizes = (1, 1), (33, 15), (96, 65), (17, 130), (VECTOR_COLUMNS + 41, 33)
    for M, n in (*sizes, (PACKED_COLUMNS + 9, KEPT_BYTES // 4 // PACKED_COLUMNS)):
        guarded, found = Guarded(), []
        dz, x = guarded(random(rng, N, M)), guarded(random(rng, N, n))
        before = random(rng, M, n), random(rng, M)
        for workers in (1, usable(2), 3):
            dW, db = (guarded(array) for array in before)
            with limited(usable(workers)):
                products.add_gradient(dz, x, dW, db, workers)
            found.append((dW.copy(), db.copy()))
        guarded.check()
        expected = exact(dz).T @ exact(x) + before[0]
        sums = dz.astype(np.float64).sum(axis=0) + before[1]

        for dW, db in found:
            assert (np.abs(dW - expected) <= bound(exact(dz).T, exact(x))).all()
            assert (np.abs(db - sums) <= (N + 4) * 2.0**-23 * (N + 1)).all()
            if not numba_config.DISABLE_JIT:
                assert (dW == found[0][0]).all()
                assert (db == found[0][1]).all()


@pytest.mark.parametrize("N", [1, 33, SLICE + 3])
def test_gradients_of_what_is_rounded_already(
    products: Products, N: int, rng: np.random.Generator
) -> None:
    """Given as the 16 bits of bfloat16, dz makes the sums that its numbers make."""
    for M, n in ((1, 1), (33, 15), (96, 65), (VECTOR_COLUMNS + 41, 33)):
        dz, x, bits = random(rng, N, M), random(rng, N, n), np.zeros((N, M), np.uint16)
        narrow_all(dz, bits)
        found = []
        for given in (bits, widen_all(bits)):
            dW, db = np.zeros((M, n), np.float32), np.zeros(M, np.float32)
            products.add_gradient(given, x, dW, db, 1)
            found.append((dW, db))

        assert (found[0][0] == found[1][0]).all()
        assert (found[0][1] == found[1][1]).all()
        assert found[0][0].any()


def test_products_with_more_than_a_cache_keeps(
    products: Products, rng: np.random.Generator
) -> None:
    """Panels are fetched meanwhile, and what would come after the last one."""
    n, rows = 173, 3 * BLOCK_ROWS
    W = random(rng, n, KEPT_BYTES // 2 // n + 3)
    guarded, x = Guarded(), random(rng, rows, W.shape[1])
    z = guarded(np.zeros((rows, n), np.float32))
    multiply(guarded(x), packed(products, guarded, W).forward, z, False)
    guarded.check()

    expected = exact(x) @ exact(W).T
    assert (np.abs(z - expected) <= bound(exact(x), exact(W).T)).all()


@compiled_only
def test_the_emulation_is_one_chain_of_sums(rng: np.random.Generator) -> None:
    """So its bits are the same everywhere: they are those of a loop in float32."""
    products = bfloat16_products("emulated")
    W, x = random(rng, 37, 45), random(rng, 5, 45)
    z = random(rng, 5, 37)
    sums = z.copy()
    multiply(x, packed(products, Guarded(), W).forward, z, True)
    narrow_x, narrow_W = (exact(a).astype(np.float32) for a in (x, W))
    for k in range(45):
        sums += narrow_x[:, k, None] * narrow_W[None, :, k]

    assert (z == sums).all()


def test_what_is_not_finite_stays_so(
    products: Products, rng: np.random.Generator
) -> None:
    """A run that diverges must be seen to, by its own rows alone."""
    panels = packed(products, Guarded(), random(rng, 20, 40))
    x, z = random(rng, 18, 40), np.zeros((18, 20), np.float32)
    x[3, 7], x[17, 39] = np.nan, np.inf
    multiply(x, panels.forward, z, False)
    ruined = ~np.isfinite(z)

    assert ruined[3].all()
    assert ruined[17].all()
    assert not np.delete(ruined, (3, 17), axis=0).any()
