"""Layer inputs: characters are a one-hot product, outputs below a dense one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.examples.layers import packed
from charrnn.kernels.bfloat16 import narrow_all, widen_all
from charrnn.kernels.blocks import ROWS
from charrnn.kernels.inputs import (
    carry_back,
    characters,
    outputs_below,
    projected,
    read,
    scatter,
)
from charrnn.kernels.matmul import add_affine_gradient
from charrnn.kernels.threads import limited, usable
from tests.gradcheck import assert_same_gradient, numeric_gradient

pytestmark = pytest.mark.small

#: Steps times streams, width below, gates times units, characters.
N, D, GH, V = 12, 7, 15, 6


def normal(rng: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    """Random numbers."""
    return rng.normal(size=shape)


@pytest.fixture
def ids(rng: np.random.Generator) -> NDArray[np.int32]:
    """Characters; one is there several times, one never."""
    return rng.integers(1, V, N).astype(np.int32)


def test_characters_are_a_one_hot_product(
    rng: np.random.Generator, ids: NDArray[np.int32]
) -> None:
    """Looking up a row is what multiplying by a one-hot vector gives."""
    Wx, b, z = normal(rng, V, GH), normal(rng, GH), np.full((N, GH), np.nan)
    read(characters(ids[None], Wx, b), 0, 0, N, z)

    np.testing.assert_allclose(z, np.eye(V)[ids] @ Wx + b, rtol=1e-15)


def test_a_step_and_its_rows_are_read(
    rng: np.random.Generator, ids: NDArray[np.int32]
) -> None:
    """Of a window (T, B) only the step and the rows that are asked for."""
    Wx, b, z = normal(rng, V, GH), normal(rng, GH), np.full((2, GH), np.nan)
    read(characters(ids.reshape(3, 4), Wx, b), 2, 1, 3, z)

    np.testing.assert_allclose(z, Wx[ids[9:11]] + b, rtol=1e-15)


def test_what_is_given_stays(rng: np.random.Generator) -> None:
    """Without inputs neither z nor the gradient below is touched."""
    z, dz, dx = normal(rng, N, GH), normal(rng, N, GH), normal(rng, N, D)
    before = z.copy(), dx.copy()
    read(projected(np.float64), 0, 0, N, z)
    carry_back(projected(np.float64), dz, dx)

    assert (z == before[0]).all()
    assert (dx == before[1]).all()


def test_scatter_is_the_gradient_of_looking_up(
    rng: np.random.Generator, ids: NDArray[np.int32]
) -> None:
    """Every weight's and bias's gradient is the central difference."""
    Wx, b = normal(rng, V, GH), normal(rng, GH)
    z, dz = np.empty((N, GH)), normal(rng, N, GH)
    dWx, db = np.zeros_like(Wx), np.zeros_like(b)
    scatter(ids, dz, dWx, db, 1)

    def loss() -> float:
        read(characters(ids[None], Wx, b), 0, 0, N, z)
        return float((z * dz).sum())

    assert_same_gradient(dWx, numeric_gradient(loss, Wx), "Wx")
    assert_same_gradient(db, numeric_gradient(loss, b), "b")
    assert (dWx[0] == 0).all()


def test_scatter_takes_bfloat16_for_what_it_is(
    rng: np.random.Generator, ids: NDArray[np.int32]
) -> None:
    """Numbers of 16 bits are added up as the float32 that they stand for."""
    bits = np.zeros((N, GH), np.uint16)
    narrow_all(normal(rng, N, GH).astype(np.float32), bits)
    found, expected = (
        (np.zeros((V, GH), np.float32), np.zeros(GH, np.float32)) for _ in range(2)
    )
    scatter(ids, bits, *found, 1)
    scatter(ids, widen_all(bits), *expected, 1)

    assert (found[0] == expected[0]).all()
    assert (found[1] == expected[1]).all()
    assert found[0].any()


def test_outputs_below_are_multiplied(rng: np.random.Generator) -> None:
    """Inputs are multiplied by Wx^T, and the bias is added."""
    x, Wx, b = normal(rng, N, D), normal(rng, GH, D), normal(rng, GH)
    z = np.full((N, GH), np.nan)
    read(outputs_below(x[None], packed(Wx), b), 0, 0, N, z)

    np.testing.assert_allclose(z, x @ Wx.T + b, rtol=1e-12)


def test_carry_back_is_its_gradient(rng: np.random.Generator) -> None:
    """The gradients of inputs, weights and bias are central differences."""
    x, Wx, b = normal(rng, N, D), normal(rng, GH, D), normal(rng, GH)
    z, dz = np.empty((N, GH)), normal(rng, N, GH)
    dx, dWx, db = np.full_like(x, np.nan), np.zeros_like(Wx), np.zeros_like(b)
    carry_back(outputs_below(x[None], packed(Wx), b), dz, dx)
    add_affine_gradient(dz, x, dWx, db, 1)

    def loss() -> float:
        read(outputs_below(x[None], packed(Wx), b), 0, 0, N, z)
        return float((z * dz).sum())

    assert_same_gradient(dx, numeric_gradient(loss, x), "x")
    assert_same_gradient(dWx, numeric_gradient(loss, Wx), "Wx")
    assert_same_gradient(db, numeric_gradient(loss, b), "b")


def test_gradients_are_added_up(
    rng: np.random.Generator, ids: NDArray[np.int32]
) -> None:
    """A second scatter comes on top of the first."""
    dz = normal(rng, N, GH)
    dWx, db = np.zeros((V, GH)), np.zeros(GH)
    scatter(ids, dz, dWx, db, 1)
    once = dWx.copy(), db.copy()
    scatter(ids, dz, dWx, db, 1)

    np.testing.assert_allclose(dWx, 2 * once[0], rtol=1e-14)
    np.testing.assert_allclose(db, 2 * once[1], rtol=1e-14)


@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, 9 * ROWS + 3])
@limited(usable(2))
def test_workers_do_not_matter(rng: np.random.Generator, rows: int) -> None:
    """The bits are the same for any number of workers, more than rows included."""
    ids = rng.integers(0, V, rows).astype(np.int32)
    dz = normal(rng, rows, GH).astype(np.float32)
    results = []
    for workers in (1, 2, 3, 40):
        table, db = np.zeros((V, GH), np.float32), np.zeros(GH, np.float32)
        scatter(ids, dz, table, db, workers)
        results.append(table.tobytes() + db.tobytes())

    assert len(set(results)) == 1
