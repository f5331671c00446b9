"""Activations: the error table of the module, the ends of the range, slopes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.kernels import activations
from charrnn.kernels.activations import (
    activate,
    exp,
    exp64,
    log,
    sigmoid,
    slope,
    tanh,
)
from charrnn.kernels.jit import jit
from tests import reference
from tests.gradcheck import EPS

pytestmark = pytest.mark.small

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="without the JIT these are NumPy's functions"
)

CODES = {
    "tanh": activations.TANH,
    "sigmoid": activations.SIGMOID,
    "relu": activations.RELU,
    "leaky-relu": activations.LEAKY_RELU,
}


# Loops, as the kernels have them, so that the vectorized code is what is tested.
@jit
def _exp_all(x: Any, out: Any) -> None:
    for k in range(x.size):
        out[k] = exp(x[k])


@jit
def _exp64_all(x: Any, out: Any) -> None:
    for k in range(x.size):
        out[k] = exp64(x[k])


@jit
def _log_all(x: Any, out: Any) -> None:
    for k in range(x.size):
        out[k] = log(x[k])


@jit
def _sigmoid_all(x: Any, out: Any) -> None:
    for k in range(x.size):
        out[k] = sigmoid(x[k])


@jit
def _tanh_all(x: Any, out: Any) -> None:
    for k in range(x.size):
        out[k] = tanh(x[k])


@jit
def _activate_all(code: int, x: Any, out: Any) -> None:
    for k in range(x.size):
        out[k] = activate(code, x[k])


@jit
def _slope_all(code: int, y: Any, out: Any) -> None:
    for k in range(y.size):
        out[k] = slope(code, y[k])


Loop = Callable[[Any, Any], None]


def apply(loop: Callable[..., None], *args: Any) -> NDArray[Any]:
    """Run a loop over an array, its last argument; what it writes."""
    out = np.full_like(args[-1], np.nan)
    loop(*args, out)
    return out


def ulps(found: NDArray[Any], exact: NDArray[np.float64]) -> float:
    """Largest error, in units of the last place of the exact float32."""
    unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    return float((np.abs(found.astype(np.float64) - exact) / unit).max())


def dense(low: float, high: float) -> NDArray[np.float32]:
    """Draw up a million float32 numbers, and many tiny ones of both signs."""
    even = np.linspace(low, high, 1_000_001)
    tiny = np.geomspace(1e-37, 1, 100_000)
    x = np.concatenate([even, tiny, -tiny])
    return x[(x >= low) & (x <= high)].astype(np.float32)


@compiled_only
@pytest.mark.parametrize(
    ("loop", "exact", "low", "high", "bound"),
    [
        (_exp_all, np.exp, -87, 87, 2),
        (_log_all, np.log, 2**-120, 1.5, 3),
        (_log_all, np.log, 2**-126, 1e38, 3),
        (_sigmoid_all, reference.sigmoid, -15, 87, 4),
        (_sigmoid_all, lambda x: np.exp(x) / (1 + np.exp(x)), -87, 0, 4),
        (_tanh_all, np.tanh, -20, 20, 8),
    ],
    ids=["exp", "log", "log-high", "sigmoid", "sigmoid-low", "tanh"],
)
def test_errors_of_the_table(
    loop: Loop, exact: Callable[..., Any], low: float, high: float, bound: float
) -> None:
    """No float32 of a dense grid is off by more than the docstring says."""
    x = dense(low, high)

    assert ulps(apply(loop, x), exact(x.astype(np.float64))) <= bound


@compiled_only
@pytest.mark.parametrize("loop", [_exp_all, _sigmoid_all, _tanh_all])
def test_one_number_gets_the_bits_of_a_vector(loop: Loop) -> None:
    """Where in a vector a number stands, or in none, changes no more than the table.

    Vector division may be an estimate with a refinement, scalar division is
    not; so the last digit may differ, and nothing else.
    """
    x = np.linspace(-12, 12, 160, dtype=np.float32)
    alone = np.concatenate([apply(loop, x[k : k + 1]) for k in range(x.size)])

    np.testing.assert_array_max_ulp(apply(loop, x), alone, maxulp=2)


@compiled_only
def test_exp_is_clamped() -> None:
    """Beyond 87, float32 exponentials stay finite and normal."""
    x = np.array([-np.inf, -1e30, -87, 87, 1e30, np.inf], np.float32)
    y = apply(_exp_all, x)

    assert (y[:3] == y[2]).all()
    assert (y[3:] == y[3]).all()
    assert np.isfinite(y).all()
    assert y.min() >= np.finfo(np.float32).tiny


@compiled_only
def test_exp64() -> None:
    """In float64, too, no number is off by more than the table says."""
    x = np.concatenate([np.linspace(-708, 708, 200_001), np.linspace(-1, 1, 100_001)])
    exact = np.exp(x.astype(np.longdouble))
    unit = np.spacing(np.exp(x))

    assert (np.abs(apply(_exp64_all, x) - exact) <= 2 * unit).all()


def test_exp64_of_what_is_impossible_is_zero() -> None:
    """A weight of 0 stays one; NaN comes out as NaN."""
    x = np.array([-np.inf, -800, np.nan, 0])

    np.testing.assert_array_equal(apply(_exp64_all, x), [0, 0, np.nan, 1])


@compiled_only
def test_log_is_clamped() -> None:
    """What is no normal number has the logarithm of the smallest that is one."""
    x = np.array([2**-126, 1e-40, 0, -1, -np.inf, 1], np.float32)
    y = apply(_log_all, x)

    assert (y[:5] == np.float32(-126 * np.log(2))).all()
    assert y[5] == 0


@pytest.mark.parametrize("loop", [_exp_all, _sigmoid_all, _tanh_all])
def test_nan_comes_out_as_nan(loop: Loop) -> None:
    """A NaN spoils its own place and no other."""
    x = np.linspace(-3, 3, 40, dtype=np.float32)
    x[[0, 7, 39]] = np.nan

    assert (np.isnan(apply(loop, x)) == np.isnan(x)).all()
    assert (np.isnan(apply(_log_all, np.abs(x) + 1)) == np.isnan(x)).all()


@pytest.mark.parametrize("code", CODES.values(), ids=CODES.keys())
def test_activate_keeps_nan(code: int) -> None:
    """The rectifiers do not turn NaN into zero either."""
    x = np.full(40, np.nan, np.float32)

    assert np.isnan(apply(_activate_all, code, x)).all()


def test_limits_at_infinity() -> None:
    """The bounded functions reach their bounds and never pass them."""
    x = np.array([-np.inf, -50, 50, np.inf], np.float32)

    assert apply(_tanh_all, x).tolist() == [-1, -1, 1, 1]
    np.testing.assert_allclose(apply(_sigmoid_all, x[1:]), [0, 1, 1], atol=1e-20)
    if not numba_config.DISABLE_JIT:  # NumPy warns of the overflow
        assert 0 <= apply(_sigmoid_all, x[:1])[0] < 1e-37


@compiled_only
def test_tanh_is_bounded_and_odd() -> None:
    """|tanh| <= 1 everywhere, and tanh(-x) = -tanh(x) to the bit."""
    x = dense(-20, 20)
    y = apply(_tanh_all, x)

    assert np.abs(y).max() == 1
    assert (apply(_tanh_all, -x) == -y).all()


@compiled_only
@pytest.mark.parametrize("loop", [_exp_all, _sigmoid_all, _tanh_all])
def test_monotone_up_to_rounding(loop: Loop) -> None:
    """A larger x never gives a result smaller by more than the error bound."""
    x = np.linspace(-30, 30, 500_001, dtype=np.float32)
    y = apply(loop, x)

    assert (np.diff(y) >= -8 * np.spacing(np.abs(y[1:]))).all()
    assert (np.diff(y[::1000]) >= 0).all()


@pytest.mark.parametrize("name", CODES)
def test_activate_is_the_named_function(name: str) -> None:
    """In float64 the four activations are the textbook's, to the last digits."""
    x = np.linspace(-6, 6, 101)

    found = apply(_activate_all, CODES[name], x)
    np.testing.assert_allclose(found, reference.ACTIVATIONS[name](x), rtol=1e-14)


@pytest.mark.parametrize("name", CODES)
def test_slope_is_the_derivative(name: str) -> None:
    """The slope at f(x), found from f(x) alone, is the central difference."""
    x = np.linspace(-3, 3, 100)  # an even number: 0, the corner, is not among them
    f = reference.ACTIVATIONS[name]
    difference = (f(x + EPS) - f(x - EPS)) / (2 * EPS)

    found = apply(_slope_all, CODES[name], f(x))
    np.testing.assert_allclose(found, difference, atol=1e-9)


@pytest.mark.parametrize(("name", "expected"), [("relu", 0), ("leaky-relu", 1)])
def test_slope_at_the_corner(name: str, expected: float) -> None:
    """At 0 relu takes the slope of the left, leaky relu that of the right."""
    assert apply(_slope_all, CODES[name], np.zeros(1))[0] == expected


@compiled_only
@pytest.mark.parametrize(
    ("function", "arguments"),
    [(sigmoid, ()), (activate, (activations.RELU,)), (slope, (activations.RELU,))],
)
def test_float32_stays_float32(function: Any, arguments: tuple[int, ...]) -> None:
    """No branch makes the result of a float32 a float64, as ``x * 0`` would."""
    function(*arguments, np.float32(0.5))

    results = {
        str(signature.return_type)
        for signature in function.by_itself.nopython_signatures
        if str(signature.args[-1]) == "float32"
    }
    assert results == {"float32"}
