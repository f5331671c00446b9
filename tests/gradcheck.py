"""Gradients by central differences, to hold backpropagation against."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A difference of 2e-6 in float64: its error is about 1e-10 of the loss.
EPS = 1e-6

#: Largest disagreement, relative to the largest number of the gradient.
RTOL = 1e-6


def numeric_gradient(
    loss: Callable[[], float], x: NDArray[Any], eps: float = EPS
) -> NDArray[np.float64]:
    """Central differences of a loss with respect to every element of an array.

    Parameters
    ----------
    loss : callable
        Computes the loss from the present contents of `x`, with no memory of
        earlier calls.
    x : float64 array, contiguous
        Changed element by element, and restored.
    """
    gradient = np.zeros_like(x)
    flat, out = x.reshape(-1), gradient.reshape(-1)
    for k in range(flat.size):
        kept = flat[k]
        flat[k] = kept + eps
        above = loss()
        flat[k] = kept - eps
        below = loss()
        flat[k] = kept
        out[k] = (above - below) / (2 * eps)
    return gradient


def assert_same_gradient(
    found: NDArray[Any], numeric: NDArray[Any], name: str = "gradient"
) -> None:
    """Fail unless two gradients agree to RTOL of the largest number in them."""
    scale = np.abs(numeric).max()
    error = np.abs(found - numeric).max() / scale if scale else np.abs(found).max()

    assert found.shape == numeric.shape
    assert scale > 0, f"{name}: a gradient of zeros shows nothing"
    assert error <= RTOL, f"{name}: relative error {error:.1e}"
