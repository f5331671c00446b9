"""Optimizers: each rule against its formula, clipping, decay, threads."""

from typing import Any

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.kernels.optimizers import (
    ADAGRAD,
    ADAM,
    CHUNK,
    RMSPROP,
    SGD,
    Formula,
    Update,
    apply,
    squared_norm,
)
from charrnn.kernels.threads import limited, usable
from tests import reference

pytestmark = pytest.mark.small

RULES = {"sgd": SGD, "adagrad": ADAGRAD, "rmsprop": RMSPROP, "adam": ADAM}

LR, BETA1, BETA2, EPS = 0.01, 0.9, 0.99, 1e-8

Array = NDArray[Any]

#: Beyond two whole chunks, and odd; without the JIT a few numbers must do.
LONG = 37 if numba_config.DISABLE_JIT else 2 * CHUNK + 1237

rules = pytest.mark.parametrize("rule", RULES)


def update(rule: str, step: int = 1, **changes: Any) -> tuple[Formula, Update]:
    """Build the rule, and the numbers of one step, counted from 1."""
    plain = Update(LR)
    if rule == "adam":
        plain = Update(LR, 1 / (1 - BETA1**step), 1 / (1 - BETA2**step))
    return Formula(RULES[rule], BETA1, BETA2, EPS), plain._replace(**changes)


def moments(rule: str, size: int, dtype: Any = np.float64) -> tuple[Array, Array]:
    """First and second moments, empty where the rule has none."""
    return (
        np.zeros(size if rule == "adam" else 0, dtype),
        np.zeros(0 if rule == "sgd" else size, dtype),
    )


@rules
def test_five_steps_follow_the_formula(rng: np.random.Generator, rule: str) -> None:
    """Parameters after five steps with new gradients are those of the equations."""
    theta = rng.normal(size=17)
    expected, m_exact, v_exact = theta.copy(), np.zeros(17), np.zeros(17)
    m, v = moments(rule, 17)
    for step in range(1, 6):
        g = rng.normal(size=17)
        apply(theta, g, m, v, *update(rule, step))
        expected, m_exact, v_exact = reference.optimize(
            rule, expected, g, m_exact, v_exact,
            lr=LR, beta1=BETA1, beta2=BETA2, eps=EPS, step=step,
        )  # fmt: skip

    np.testing.assert_allclose(theta, expected, rtol=1e-13)
    np.testing.assert_allclose(m, m_exact[: m.size], rtol=1e-13)
    np.testing.assert_allclose(v, v_exact[: v.size], rtol=1e-13)


@rules
@pytest.mark.skipif(numba_config.DISABLE_JIT, reason="too long without the JIT")
def test_every_number_of_many_chunks(rng: np.random.Generator, rule: str) -> None:
    """All parameters of a size that no chunk divides move, each by its formula."""
    theta, g = rng.normal(size=(2, LONG))
    zeros, before = np.zeros(LONG), theta.copy()
    apply(theta, g, *moments(rule, LONG), *update(rule))
    expected, _, _ = reference.optimize(
        rule, before, g, zeros, zeros, lr=LR, beta1=BETA1, beta2=BETA2, eps=EPS, step=1
    )

    np.testing.assert_allclose(theta, expected, rtol=1e-12, atol=1e-12)


@rules
def test_gradient_is_left_alone(rng: np.random.Generator, rule: str) -> None:
    """Clipping happens on the way; the gradient itself is only read."""
    theta, g = rng.normal(size=(2, 17))
    before = g.copy()
    apply(theta, g, *moments(rule, 17), *update(rule, scale=0.1, limit=0.05))

    assert (g == before).all()


@rules
def test_decay_shrinks_the_leading_part_only(
    rng: np.random.Generator, rule: str
) -> None:
    """Decoupled decay multiplies the matrices by 1 - decay and spares the biases."""
    decayed = LONG - 6
    theta, g = rng.normal(size=LONG), np.zeros(LONG)
    before = theta.copy()
    apply(theta, g, *moments(rule, LONG), *update(rule, decay=0.25, decayed=decayed))

    np.testing.assert_allclose(theta[:decayed], 0.75 * before[:decayed], rtol=1e-15)
    assert (theta[decayed:] == before[decayed:]).all()


@rules
def test_decay_is_not_part_of_the_gradient(rng: np.random.Generator, rule: str) -> None:
    """A step with decay is the decay, then the step without it; moments agree."""
    theta, g = rng.normal(size=(2, 17))
    other = theta * 0.9
    first, second = moments(rule, 17), moments(rule, 17)
    apply(theta, g, *first, *update(rule, decay=0.1, decayed=17))
    apply(other, g, *second, *update(rule))

    np.testing.assert_allclose(theta, other, rtol=1e-13)
    for found, expected in zip(first, second, strict=True):
        assert (found == expected).all()


@rules
def test_clipping_by_norm_scales_the_gradient(
    rng: np.random.Generator, rule: str
) -> None:
    """A scale in the update is a gradient scaled beforehand."""
    theta, g = rng.normal(size=(2, 17))
    other = theta.copy()
    scale = 1 / np.linalg.norm(g)
    apply(theta, g, *moments(rule, 17), *update(rule, scale=scale))
    apply(other, g * scale, *moments(rule, 17), *update(rule))

    np.testing.assert_allclose(theta, other, rtol=1e-14)


@rules
def test_clipping_by_value_bounds_the_gradient(
    rng: np.random.Generator, rule: str
) -> None:
    """A limit in the update is a gradient clipped beforehand, on both sides."""
    theta, g = rng.normal(size=(2, 17))
    other = theta.copy()
    apply(theta, g, *moments(rule, 17), *update(rule, limit=0.3))
    apply(other, np.clip(g, -0.3, 0.3), *moments(rule, 17), *update(rule))

    assert (np.abs(g) > 0.3).any()
    np.testing.assert_allclose(theta, other, rtol=1e-14)


@pytest.mark.skipif(numba_config.DISABLE_JIT, reason="NumPy warns of inf * 0")
@rules
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 17, LONG - 1])
def test_a_parameter_that_is_not_finite_is_told(
    rule: str, bad: float, place: int
) -> None:
    """Wherever it stands; and where all are finite, that is told as well."""
    theta, g = np.ones((2, LONG), np.float32)
    assert apply(theta, g, *moments(rule, LONG, np.float32), *update(rule))
    theta[place] = bad

    assert not apply(theta, g, *moments(rule, LONG, np.float32), *update(rule))


@pytest.mark.skipif(numba_config.DISABLE_JIT, reason="NumPy warns of inf * 0")
@pytest.mark.parametrize("rule", ["adagrad", "rmsprop", "adam"])
@pytest.mark.parametrize("place", [0, 17, LONG - 1])
def test_a_second_moment_that_is_not_finite_is_told(rule: str, place: int) -> None:
    """Its parameter merely stops moving."""
    theta, g = np.ones((2, LONG), np.float32)
    m, v = moments(rule, LONG, np.float32)
    v[place] = np.inf

    assert not apply(theta, g, m, v, *update(rule))
    assert np.isfinite(theta).all()


def partial_sums(g: Array) -> Array:
    """Compute sums of squares, a chunk each."""
    partial = np.full(-(-g.size // CHUNK), np.nan)
    squared_norm(g, partial)
    return partial


@pytest.mark.parametrize("size", [1, 1023, 1025, LONG])
def test_squared_norm(rng: np.random.Generator, size: int) -> None:
    """The partial sums are those of the chunks, and exact to float32's rounding."""
    g = rng.normal(size=size).astype(np.float32)
    partial = partial_sums(g)
    squares = g.astype(np.float64) ** 2
    chunks = np.add.reduceat(squares, range(0, size, CHUNK))

    np.testing.assert_allclose(partial, chunks, rtol=1e-5)


@pytest.mark.skipif(numba_config.DISABLE_JIT, reason="NumPy warns of inf * inf")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1024, LONG - 1])
def test_squared_norm_is_not_finite_if_anything_is_not(bad: float, place: int) -> None:
    """A single NaN or infinity anywhere makes the norm not finite."""
    g = np.ones(LONG, np.float32)
    g[place] = bad

    assert not np.isfinite(partial_sums(g).sum())


@pytest.mark.skipif(numba_config.DISABLE_JIT, reason="there are no threads")
@rules
def test_threads_do_not_matter(rng: np.random.Generator, rule: str) -> None:
    """One thread and two leave the same bits, moments included."""
    theta0, g = rng.normal(size=(2, LONG)).astype(np.float32)
    results = []
    for threads in (1, 2):
        theta, (m, v) = theta0.copy(), moments(rule, LONG, np.float32)
        with limited(usable(threads)):
            for step in (1, 2):
                numbers = update(rule, step, decay=1e-3, decayed=LONG // 2)
                apply(theta, g, m, v, *numbers)
            norm = partial_sums(g)
        results.append([array.tobytes() for array in (theta, m, v, norm)])

    assert results[0] == results[1]
