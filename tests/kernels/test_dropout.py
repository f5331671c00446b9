"""Dropout: the mean is kept, and both ways see the same mask."""

import numpy as np
import pytest
from numba import config as numba_config

from charrnn.kernels.dropout import drop

pytestmark = pytest.mark.small


def test_mean_is_kept_exactly() -> None:
    """Over all 256 bytes of noise, dropped and scaled ones still average one."""
    for threshold in (0, 1, 64, 128, 255):
        x = np.ones((1, 256), np.float32)
        drop(x, np.arange(256, dtype=np.uint8)[None], threshold, 1)

        assert np.count_nonzero(x == 0) == threshold
        np.testing.assert_allclose(x.mean(dtype=np.float64), 1, rtol=1e-6)


def test_same_mask_both_ways(rng: np.random.Generator) -> None:
    """The gradient is dropped and scaled exactly where the outputs were."""
    noise = rng.integers(0, 256, (12, 5), dtype=np.uint8)
    x, dx = rng.normal(size=(12, 5)), rng.normal(size=(12, 5))
    y, dy = x.copy(), dx.copy()

    drop(y, noise, 77, 1)
    drop(dy, noise, 77, 1)
    keep = np.where(noise < 77, 0.0, 256 / (256 - 77))
    np.testing.assert_allclose(y, x * keep, rtol=1e-15)
    np.testing.assert_allclose(dy, dx * keep, rtol=1e-15)


def test_threshold_zero_is_the_identity(rng: np.random.Generator) -> None:
    """No dropout changes no bit."""
    x = rng.normal(size=(12, 5)).astype(np.float32)
    y = x.copy()
    drop(y, rng.integers(0, 256, x.shape, dtype=np.uint8), 0, 1)

    assert (y == x).all()


def test_workers_do_not_matter(rng: np.random.Generator) -> None:
    """However the rows are shared out, every row is treated once."""
    x = rng.normal(size=(13, 5)).astype(np.float32)
    noise = rng.integers(0, 256, x.shape, dtype=np.uint8)
    results = []
    for workers in (1, 2, 3, 20):
        results.append(x.copy())
        drop(results[-1], noise, 100, workers)

    assert all((y == results[0]).all() for y in results)


@pytest.mark.skipif(numba_config.DISABLE_JIT, reason="NumPy warns of NaN * 0")
def test_nan_is_not_hidden() -> None:
    """A NaN stays one even where it is dropped, so that divergence shows."""
    x = np.full((1, 4), np.nan, np.float32)
    drop(x, np.array([[0, 90, 180, 255]], np.uint8), 128, 1)

    assert np.isnan(x).all()
