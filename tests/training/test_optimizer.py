"""The optimizer of a run: clipping, decay, moments, and what it says of a step."""

import math
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn import parameters
from charrnn.checkpoint import expected_moments
from charrnn.config import ModelConfig, OptimizerName, TrainConfig
from charrnn.network import Network
from charrnn.training.optimizer import Optimizer
from charrnn.training.trainer import new_network

Array = NDArray[np.float32]

SHAPE = ModelConfig(vocab_size=6, hidden=8)

optimizers = pytest.mark.parametrize("name", get_args(OptimizerName))


def made(**options: Any) -> tuple[Optimizer, Network]:
    """Make an optimizer for a small network."""
    config = TrainConfig(**options)
    network = new_network(SHAPE, config, 1)
    return Optimizer(config, network), network


def moved_by(gradient: float, **options: Any) -> tuple[Array, Array]:
    """Find how far a step of plain descent moves each parameter, and from where."""
    optimizer, network = made(optimizer="sgd", **options)
    before = network.theta.copy()
    gradients = np.full_like(before, gradient)
    moved = optimizer.step(network.theta, gradients, 0.5, 1)

    assert moved.finite
    expected = abs(gradient) * math.sqrt(before.size)
    assert moved.grad_norm == pytest.approx(expected, rel=1e-5)
    assert (gradients == np.float32(gradient)).all()
    return network.theta - before, before


def test_gradient_is_clipped_by_its_norm() -> None:
    moved, _ = moved_by(2.0, grad_clip=3.0)

    assert np.linalg.norm(moved) == pytest.approx(0.5 * 3.0, rel=1e-4)
    np.testing.assert_allclose(moved, -0.5 * 3.0 / math.sqrt(moved.size), rtol=1e-3)


def test_a_short_gradient_is_not_clipped() -> None:
    moved, _ = moved_by(2.0, grad_clip=1e4)

    np.testing.assert_allclose(moved, -1.0, rtol=1e-4)


def test_gradient_is_clipped_by_value() -> None:
    moved, _ = moved_by(-2.0, grad_clip=0.25, clip_mode="value")

    np.testing.assert_allclose(moved, 0.5 * 0.25, rtol=1e-4)


@pytest.mark.parametrize("mode", ["norm", "value"])
def test_clipping_is_off_at_zero(mode: str) -> None:
    moved, _ = moved_by(2.0, grad_clip=0.0, clip_mode=mode)

    np.testing.assert_allclose(moved, -1.0, rtol=1e-4)


def test_weight_decay_is_of_matrices_only() -> None:
    """It shrinks them by the rate times the decay; biases stay."""
    moved, before = moved_by(0.0, weight_decay=0.1)
    matrices = parameters.matrix_size(SHAPE)

    np.testing.assert_allclose(moved[:matrices], -0.05 * before[:matrices], atol=1e-6)
    assert not moved[matrices:].any()


def test_first_step_of_adam_is_as_long_as_the_rate() -> None:
    """Bias correction makes of any gradient its sign."""
    optimizer, network = made()
    before = network.theta.copy()
    optimizer.step(network.theta, np.full_like(before, -7e-4), 0.25, 1)

    np.testing.assert_allclose(network.theta - before, 0.25, rtol=1e-3)


@optimizers
def test_moments_are_those_that_a_checkpoint_has(name: OptimizerName) -> None:
    """In its order; each one takes part in the second step."""
    optimizer, network = made(optimizer=name)
    gradient = np.linspace(-1, 1, network.theta.size, dtype=np.float32)
    optimizer.step(network.theta, gradient, 0.1, 1)
    once = network.theta.copy()

    assert tuple(optimizer.moments) == expected_moments(name)
    assert all(moment.any() for moment in optimizer.moments.values())
    for missing in optimizer.moments:
        results = []
        for forget in (False, True):
            other, copy = made(optimizer=name)
            copy.theta[...] = once
            for key, moment in optimizer.moments.items():
                other.moments[key][...] = 0 if forget and key == missing else moment
            other.step(copy.theta, gradient, 0.1, 2)
            results.append(copy.theta)
        assert (results[0] != results[1]).any()


@optimizers
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_moves_nothing(
    name: OptimizerName, bad: float
) -> None:
    optimizer, network = made(optimizer=name, weight_decay=0.1)
    before = network.theta.copy()
    gradient = np.ones_like(before)
    gradient[3] = bad
    moved = optimizer.step(network.theta, gradient, 0.1, 1)

    assert not moved.finite
    assert not math.isfinite(moved.grad_norm)
    np.testing.assert_array_equal(network.theta, before)
    assert not any(moment.any() for moment in optimizer.moments.values())


@optimizers
def test_warming_up_moves_nothing(name: OptimizerName) -> None:
    optimizer, network = made(optimizer=name)
    before = network.theta.copy()
    optimizer.warm_up(np.ones_like(before))

    np.testing.assert_array_equal(network.theta, before)
    assert not any(moment.any() for moment in optimizer.moments.values())
