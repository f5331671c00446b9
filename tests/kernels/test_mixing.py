"""Mixing rows of several models: sums and products, written out in NumPy."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.kernels.mixing import Predicted, mix_rows

pytestmark = pytest.mark.small

#: What the characters of three models are to a mixture of five.
PLACES = ([0, 1, 2, 3, 4], [4, 2, 0], [1, -1, 0, 2])


def predicted(
    rows: int, places: Any, weights: Any, linear: bool
) -> tuple[Predicted, list[NDArray[np.float32]]]:
    """Draw what models expect, one of them with characters that cannot be."""
    rng = np.random.default_rng(3)
    logits = [rng.normal(0, 3, (rows, len(own))).astype(np.float32) for own in places]
    logits[0][0, 1] = -np.inf
    found = Predicted(
        logits=np.concatenate([each.ravel() for each in logits]),
        sizes=np.array([len(own) for own in places], np.int32),
        places=np.concatenate(places).astype(np.int32),
        weights=np.array(weights, np.float64),
        linear=linear,
    )
    return found, logits


def shares(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the softmax of rows."""
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("rows", [1, 4])
def test_probabilities_are_added_up(rows: int) -> None:
    """What a model does not know has probability 0 there."""
    weights = [0.5, 0.2, 0.3]
    given, logits = predicted(rows, PLACES, weights, linear=True)
    out = np.full((rows, 5), np.nan)
    mix_rows(given, out)

    wanted = np.zeros((rows, 5))
    for weight, own, places in zip(weights, logits, PLACES, strict=True):
        for place, p in zip(places, shares(own).T, strict=True):
            if place >= 0:
                wanted[:, place] += weight * p
    np.testing.assert_allclose(np.exp(out), wanted, rtol=1e-12, atol=1e-300)


def test_what_no_model_holds_possible_is_not() -> None:
    given, _ = predicted(1, PLACES[:2], [0.5, 0.5], linear=True)
    out = np.empty((1, 5))
    mix_rows(given, out)

    assert out[0, 1] == -np.inf  # the second one does not know it


def test_logarithms_are_added_up() -> None:
    """Of characters that all know; the constant is nothing to the softmax."""
    places, weights = ([0, 1, 2], [2, -1, 0, 1]), [0.3, 0.7]
    given, logits = predicted(3, places, weights, linear=False)
    out = np.empty((3, 3))
    mix_rows(given, out)

    ours, theirs = shares(logits[0]), shares(logits[1])[:, [2, 3, 0]]
    product = ours**0.3 * theirs**0.7
    product /= product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares(out), product, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("linear", [False, True])
def test_logits_of_one_model_are_its_own(linear: bool) -> None:
    """Bit for bit: what is chosen by them is what it would choose."""
    given, logits = predicted(2, [[2, 0, 1]], [1.0], linear=linear)
    out = np.empty((2, 3))
    mix_rows(given, out)

    np.testing.assert_array_equal(out, logits[0][:, [1, 2, 0]])


def test_far_away_logits_neither_overflow_nor_vanish() -> None:
    given, _ = predicted(1, ([0, 1, 2], [0, 1, 2]), [0.5, 0.5], linear=True)
    given.logits[:] = [3e38, 3e38, -3e38, -80, -90, -80]
    out = np.empty((1, 3))
    mix_rows(given, out)

    np.testing.assert_allclose(np.exp(out[0]), [0.5, 0.25, 0.25], rtol=1e-4)
