"""Normalization: the equations, their gradients, and sums that do not move."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.kernels import normalization
from charrnn.kernels.normalization import AFFINE, COLUMNS, LAYER, NONE, ROWS, NormTape
from tests import reference
from tests.gradcheck import assert_same_gradient, numeric_gradient

pytestmark = pytest.mark.small

Array = NDArray[Any]

norms = pytest.mark.parametrize("norm", ["layer", "batch"])

#: Rows and units, all different: one block, and several with a rest.
SIZES = [(7, 5), (2 * ROWS + 3, COLUMNS + 6)]

sizes = pytest.mark.parametrize("sizes", SIZES)


class Case:
    """Outputs of a layer to be normalized, and the gradient of what comes out."""

    def __init__(
        self, rng: np.random.Generator, norm: str, sizes: tuple[int, int], dtype: Any
    ) -> None:
        N, H = sizes
        self.norm = norm
        self.x, self.dy = (rng.normal(0.3, 0.5, sizes).astype(dtype) for _ in range(2))
        self.gain, self.shift = (rng.normal(1, 1, H).astype(dtype) for _ in range(2))
        per = N if norm == "layer" else H
        self.tape = NormTape(np.full(sizes, 7, dtype), np.full(per, 7, dtype))
        self.mean, self.var = np.full((2, H), 7, dtype)

    def forward(self, workers: int = 1) -> Array:
        """Normalize a copy of x."""
        y = self.x.copy()
        if self.norm == "layer":
            normalization.layer_forward(y, self.gain, self.shift, self.tape, workers)
        else:
            normalization.batch_forward(
                y, self.gain, self.shift, self.tape, self.mean, self.var
            )
        return y

    def backward(self) -> tuple[Array, Array, Array]:
        """Gradients of x, gain and shift after `forward`, added to ones."""
        dx, dgain, dshift = (
            self.dy.copy(), np.ones_like(self.gain), np.ones_like(self.gain)
        )  # fmt: skip
        back: Callable[..., None] = getattr(normalization, f"{self.norm}_backward")
        back(dx, self.gain, self.tape, dgain, dshift)
        return dx, dgain, dshift

    def expected(self) -> Array:
        """Normalize x as the equations say, all rows at once."""
        x, gain, shift = (a.astype(float) for a in (self.x, self.gain, self.shift))
        return reference.normalized(x[None], self.norm, gain, shift)[0]


@norms
@sizes
def test_outputs_are_the_equations(
    rng: np.random.Generator, norm: str, sizes: tuple[int, int]
) -> None:
    """In float64 to the last digits, in float32 to its own."""
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        case = Case(rng, norm, sizes, dtype)

        np.testing.assert_allclose(
            case.forward(), case.expected(), rtol=tolerance, atol=tolerance
        )


@sizes
def test_statistics_of_a_window_are_told(
    rng: np.random.Generator, sizes: tuple[int, int]
) -> None:
    case = Case(rng, "batch", sizes, np.float64)
    case.forward()

    np.testing.assert_allclose(case.mean, case.x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(case.var, case.x.var(0), rtol=1e-12)


@norms
def test_gradients_are_central_differences(rng: np.random.Generator, norm: str) -> None:
    """Of x, gain and shift, under a weighted sum of the outputs."""
    case = Case(rng, norm, SIZES[0], np.float64)
    case.forward()
    found = case.backward()

    def loss() -> float:
        return float((case.forward() * case.dy).sum())

    for name, gradient in zip(("x", "gain", "shift"), found, strict=True):
        numeric = numeric_gradient(loss, getattr(case, name))
        added = gradient if name == "x" else gradient - 1
        assert_same_gradient(added, numeric, name)


@norms
def test_gradients_of_many_blocks_are_the_equations(
    rng: np.random.Generator, norm: str
) -> None:
    """Written out with plain means."""
    case = Case(rng, norm, SIZES[1], np.float64)
    case.forward()
    dx, dgain, dshift = case.backward()
    axis = 1 if norm == "layer" else 0
    xhat, _, var = reference.standardized(case.x, axis)
    d = case.dy * case.gain
    along = xhat * (d * xhat).mean(axis, keepdims=True)
    expected = (d - d.mean(axis, keepdims=True) - along) / np.sqrt(var + 1e-5)

    np.testing.assert_allclose(dx, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dgain, 1 + (case.dy * xhat).sum(0), rtol=1e-10)
    np.testing.assert_allclose(dshift, 1 + case.dy.sum(0), rtol=1e-10)


@norms
def test_threads_do_not_matter(rng: np.random.Generator, norm: str) -> None:
    """Every bit of outputs and gradients is the same."""
    case, threads = Case(rng, norm, SIZES[1], np.float32), numba.get_num_threads()
    results = []
    try:
        for count, workers in ((1, 1), (1, 3), (2, 2)):
            numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
            results.append([case.forward(workers), *case.tape, *case.backward()])
    finally:
        numba.set_num_threads(threads)

    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_rows_are_normalized_in_parts(rng: np.random.Generator) -> None:
    """The gradient of x needs no other row, and those of the weights add up."""
    whole = Case(rng, "layer", SIZES[1], np.float64)
    whole.forward()
    dx, dgain, dshift = whole.backward()
    cut, parts = ROWS + 9, [np.zeros_like(whole.gain) for _ in range(2)]
    found = whole.dy.copy()
    for rows in (slice(cut, None), slice(0, cut)):
        tape = NormTape(*(a[rows] for a in whole.tape))
        normalization.layer_backward(found[rows], whole.gain, tape, *parts)

    np.testing.assert_array_equal(found, dx)
    np.testing.assert_allclose(parts[0] + 1, dgain, rtol=1e-12)
    np.testing.assert_allclose(parts[1] + 1, dshift, rtol=1e-12)


def test_without_a_way_back_outputs_are_the_same(rng: np.random.Generator) -> None:
    """Generating normalizes rows with the same code, and keeps nothing."""
    case = Case(rng, "layer", SIZES[1], np.float64)
    x, y = case.x.copy(), case.x.copy()
    normalization.normalize_rows(LAYER, x, case.gain, case.shift)
    np.testing.assert_allclose(x, case.forward(), rtol=1e-13, atol=1e-15)

    x = case.x.copy()
    normalization.normalize_rows(AFFINE, x, case.gain, case.shift)
    normalization.scale_and_shift(y, case.gain, case.shift, 3)
    expected = case.x * case.gain + case.shift
    np.testing.assert_allclose(x, expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(x, y, rtol=1e-13, atol=1e-15)

    x, nothing = case.x.copy(), np.zeros(0)
    normalization.normalize_rows(NONE, x, nothing, nothing)
    np.testing.assert_array_equal(x, case.x)


@norms
def test_what_does_not_vary_is_only_shifted(norm: str) -> None:
    """No division by zero: a silent layer, or one row, gives the shift."""
    case = Case(np.random.default_rng(0), norm, (1, 4), np.float32)
    case.x[:] = 0.25

    np.testing.assert_allclose(case.forward()[0], case.shift, rtol=1e-6)
    assert np.isfinite(case.backward()[0]).all()


@norms
@pytest.mark.skipif(numba_config.DISABLE_JIT, reason="NumPy warns of NaN")
def test_nan_is_not_hidden(rng: np.random.Generator, norm: str) -> None:
    """It spreads to all that is normalized with it, so that divergence shows."""
    case = Case(rng, norm, SIZES[0], np.float32)
    case.x[2, 3] = np.nan
    y = case.forward()

    assert np.isnan(y[2] if norm == "layer" else y[:, 3]).all()
    assert np.isnan(y).sum() == (5 if norm == "layer" else 7)


def test_parts_of_a_window_are_normalized_as_the_whole(
    rng: np.random.Generator,
) -> None:
    """What `batch_forward` and `batch_backward` do to all rows, from sums of parts."""
    case = Case(rng, "batch", SIZES[1], np.float64)
    expected = case.forward()
    expected_dx = case.dy.copy()
    N, H = case.x.shape
    whole = np.zeros((2, H))
    normalization.batch_backward(expected_dx, case.gain, case.tape, *whole)
    parts = slice(0, 50), slice(50, N)
    y, dx = case.x.copy(), case.dy.copy()
    tapes = [NormTape(np.zeros_like(y[p]), np.zeros(H)) for p in parts]

    sums = np.full((len(parts), 2, H), np.nan)
    for part, own in zip(parts, sums, strict=True):
        normalization.unit_sums(y[part], own)
    mean, squares = sums.sum(axis=0) / N
    var = squares - mean * mean
    for part, tape in zip(parts, tapes, strict=True):
        normalization.standardize(y[part], case.gain, case.shift, tape, mean, var, 2)
    for part, tape, own in zip(parts, tapes, sums, strict=True):
        normalization.unit_gradient_sums(dx[part], tape, own)
    dgain, dshift = sums.sum(axis=0)
    for part, tape in zip(parts, tapes, strict=True):
        normalization.standardize_backward(
            dx[part], case.gain, tape, dgain / N, dshift / N, 2
        )

    np.testing.assert_allclose([mean, var], [case.mean, case.var], rtol=1e-12)
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose([dgain, dshift], whole, rtol=1e-9)
    np.testing.assert_allclose(dx, expected_dx, rtol=1e-9, atol=1e-12)
