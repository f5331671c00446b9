"""Weights in panels: both directions, at every remainder of squares and panels."""

from typing import Any

import numpy as np
import pytest

from charrnn.kernels.packing import Packed, layer_of, new_packed, pack
from tests.kernels.test_matmul import Guarded, panels_of

pytestmark = pytest.mark.small

SIZES = [1, 5, 15, 16, 17, 31, 32, 33, 48, 65, 70]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", SIZES)
def test_pack(rng: np.random.Generator, dtype: Any, n: int) -> None:
    """Packing fills the panels of both directions, and writes nowhere else."""
    for K in SIZES:
        guarded = Guarded()
        matrix = guarded(rng.standard_normal((n, K)).astype(dtype))
        packed = Packed(*map(guarded, new_packed(n, K, dtype)))
        pack(matrix, packed)

        assert (packed.forward == panels_of(matrix.T)).all()
        assert (packed.backward == panels_of(matrix)).all()
        guarded.check()


@pytest.mark.parametrize("width", [4, 8, 16])
def test_narrower_panels(rng: np.random.Generator, width: int) -> None:
    """Other machines have smaller vectors, and panels of fewer columns than here."""
    for n, K in ((1, 1), (16, 16), (17, 33), (40, 20)):
        guarded = Guarded()
        matrix = guarded(rng.standard_normal((n, K)).astype(np.float32))
        sizes = ((-(-n // width), K, width), (-(-K // width), n, width))
        packed = Packed(*(guarded(np.zeros(size, np.float32)) for size in sizes))
        pack(matrix, packed)

        for panels, whole in zip(packed, (matrix.T, matrix), strict=True):
            for j, panel in enumerate(panels):
                columns = whole[:, j * width : (j + 1) * width]
                assert (panel[:, : columns.shape[1]] == columns).all()
                assert not panel[:, columns.shape[1] :].any()
        guarded.check()


def test_bits_are_copied() -> None:
    """Every number comes out as it was: NaN, infinity, and what is below normal."""
    matrix = np.full((32, 32), np.float32(np.inf))
    matrix[::2, ::3], matrix[1::2, ::3] = np.nan, np.float32(1e-40)
    packed = new_packed(32, 32, np.float32)
    pack(matrix, packed)

    assert packed.forward.tobytes() == panels_of(matrix.T).tobytes()
    assert packed.backward.tobytes() == panels_of(matrix).tobytes()


def test_layer_of(rng: np.random.Generator) -> None:
    """One matrix of several is packed where it stands."""
    one = new_packed(20, 7, np.float32)
    stacked = Packed(*(np.zeros((3, *panels.shape), np.float32) for panels in one))
    matrix = rng.standard_normal((20, 7)).astype(np.float32)
    pack(matrix, layer_of(stacked, 1))

    assert (stacked.forward[1] == panels_of(matrix.T)).all()
    assert (stacked.backward[1] == panels_of(matrix)).all()
    assert not stacked.forward[[0, 2]].any()
    assert not stacked.backward[[0, 2]].any()
