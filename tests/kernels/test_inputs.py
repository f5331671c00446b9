"""Layer inputs: gather is a one-hot product, project a dense one."""

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.kernels.blocks import ROWS
from charrnn.kernels.inputs import gather, project, project_backward, scatter
from charrnn.kernels.matmul import add_affine_gradient
from charrnn.kernels.threads import use_threads
from tests.gradcheck import assert_same_gradient, numeric_gradient
from tests.networks import packed

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


def test_gather_is_a_one_hot_product(
    rng: np.random.Generator, ids: NDArray[np.int32]
) -> None:
    """Looking up a row is what multiplying by a one-hot vector gives."""
    Wx, b, z = normal(rng, V, GH), normal(rng, GH), np.full((N, GH), np.nan)
    gather(Wx, b, ids, z, 1)

    np.testing.assert_allclose(z, np.eye(V)[ids] @ Wx + b, rtol=1e-15)


def test_scatter_is_the_gradient_of_gather(
    rng: np.random.Generator, ids: NDArray[np.int32]
) -> None:
    """Every weight's and bias's gradient is the central difference."""
    Wx, b = normal(rng, V, GH), normal(rng, GH)
    z, dz = np.empty((N, GH)), normal(rng, N, GH)
    dWx, db = np.zeros_like(Wx), np.zeros_like(b)
    scatter(ids, dz, dWx, db, 1)

    def loss() -> float:
        gather(Wx, b, ids, z, 1)
        return float((z * dz).sum())

    assert_same_gradient(dWx, numeric_gradient(loss, Wx), "Wx")
    assert_same_gradient(db, numeric_gradient(loss, b), "b")
    assert (dWx[0] == 0).all()


def test_project_is_a_product(rng: np.random.Generator) -> None:
    """Inputs are multiplied by Wx^T, and the bias is added."""
    x, Wx, b = normal(rng, N, D), normal(rng, GH, D), normal(rng, GH)
    z = np.full((N, GH), np.nan)
    project(x, packed(Wx).forward, b, z, 1)

    np.testing.assert_allclose(z, x @ Wx.T + b, rtol=1e-12)


def test_project_backward_is_its_gradient(rng: np.random.Generator) -> None:
    """The gradients of inputs, weights and bias are central differences."""
    x, Wx, b = normal(rng, N, D), normal(rng, GH, D), normal(rng, GH)
    z, dz = np.empty((N, GH)), normal(rng, N, GH)
    dx, dWx, db = np.full_like(x, np.nan), np.zeros_like(Wx), np.zeros_like(b)
    project_backward(dz, packed(Wx).backward, dx, 1)
    add_affine_gradient(dz, x, dWx, db, 1)

    def loss() -> float:
        project(x, packed(Wx).forward, b, z, 1)
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


@pytest.mark.skipif(numba_config.DISABLE_JIT, reason="NumPy's product rounds by shape")
@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, 9 * ROWS + 3])
def test_workers_do_not_matter(rng: np.random.Generator, rows: int) -> None:
    """The bits are the same for any number of workers, more than rows included."""
    use_threads(2)
    f = np.float32
    ids = rng.integers(0, V, rows).astype(np.int32)
    x, Wx = normal(rng, rows, D).astype(f), normal(rng, GH, D).astype(f)
    table, b = normal(rng, V, GH).astype(f), normal(rng, GH).astype(f)
    dz, panels = normal(rng, rows, GH).astype(f), packed(Wx)
    results = []
    for workers in (1, 2, 3, 40):
        looked_up, z, dx = np.empty((rows, GH), f), np.empty((rows, GH), f), x.copy()
        dtable, db = np.zeros_like(table), np.zeros_like(b)
        gather(table, b, ids, looked_up, workers)
        scatter(ids, dz, dtable, db, workers)
        project(x, panels.forward, b, z, workers)
        project_backward(dz, panels.backward, dx, workers)
        results.append((looked_up, dtable, db, z, dx))

    for other in results[1:]:
        for found, expected in zip(other, results[0], strict=True):
            assert (found == expected).all()
