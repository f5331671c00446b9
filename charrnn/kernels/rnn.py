"""Vanilla recurrent network (Elman 1990): one step, and its gradient.

    z = x Wx^T + b + h_prev Wh^T      pre-activation, (B, H)
    h = f(z)                          f: tanh, sigmoid, relu or leaky relu

``x Wx^T + b`` comes from `inputs`; the steps add the recurrent part. The loops
over time are `recurrence`'s, and what every cell's module has stands in `cells`.
"""

from typing import Any, NamedTuple

import numpy as np

from charrnn.arrays import Floats
from charrnn.kernels.activations import CODES, activate_row, slope
from charrnn.kernels.jit import jit
from charrnn.kernels.matmul import add_affine_gradient, multiply
from charrnn.kernels.recurrent import Recurrent


class Tape(NamedTuple):
    """One window of T steps: what the way forward leaves for the way back."""

    z: Floats  # (T, B, H): input projection; then f(z); then the gradient of z
    states: Floats  # (1, T + 1, B, H): h before each input, after the last one
    y: Floats  # (T, B, H): outputs; h after each input until normalized, dropped
    dstates: Floats  # (1, B, H): gradient of h on its way back
    activation: int  # code of f, see `activations`


def new_tape(T: int, B: int, H: int, dtype: Any, activation: str = "tanh") -> Tape:
    """Make room for one window of a network with this activation f."""
    return Tape(
        z=np.zeros((T, B, H), dtype),
        states=np.zeros((1, T + 1, B, H), dtype),
        y=np.zeros((T, B, H), dtype),
        dstates=np.zeros((1, B, H), dtype),
        activation=CODES[activation],
    )


@jit(inlined_early=True)
def step(
    Wh: Floats, activation: int, z: Floats, h_prev: Floats, h: Floats, y: Floats
) -> None:
    """Advance all rows by one input.

    Parameters
    ----------
    Wh : (P, H, W) float array
        Panels of ``Packed.forward``.
    activation : int
    z : (B, H) float array
        On entry ``x Wx^T + b``; on exit f(z).
    h_prev : (B, H) float array
    h, y : (B, H) float array
        Written: the new state, twice.
    """
    B, H = h.shape
    multiply(h_prev, Wh, z, True)
    for n in range(B):
        activate_row(activation, z[n])
        for j in range(H):
            h[n, j] = z[n, j]
            y[n, j] = z[n, j]


@jit(inlined_early=True)
def step_backward(
    Wh: Floats, activation: int, z: Floats, dy: Floats, dh: Floats
) -> None:
    """Carry gradients back through one `step`.

    Parameters
    ----------
    Wh : (P, H, W) float array
        Panels of ``Packed.backward``.
    activation : int
    z : (B, H) float array
        On entry f(z), as `step` left it; on exit the gradient of z.
    dy : (B, H) float array
        Gradient of the output y.
    dh : (B, H) float array
        On entry the gradient of h from later steps; on exit that of h_prev.
    """
    B, H = dh.shape
    for n in range(B):
        for j in range(H):
            # h = y = f(z)
            z[n, j] = (dh[n, j] + dy[n, j]) * slope(activation, z[n, j])
    # z += h_prev Wh^T
    multiply(z, Wh, dh, False)


@jit
def advance(weights: Recurrent, tape: Tape, t: int, a: int, b: int) -> None:
    """Take `step` t of a tape for rows a to b, whose inputs have been read.

    The tape may be of any length: training runs along it, generating has one of a
    single step.
    """
    z, states, y, _, activation = tape
    h, Wh = states[0], weights.Wh
    step(Wh, activation, z[t, a:b], h[t, a:b], h[t + 1, a:b], y[t, a:b])


@jit
def retreat(weights: Recurrent, tape: Tape, t: int, a: int, b: int, dy: Floats) -> None:
    """Take `step_backward` t of a tape for rows a to b, from the gradient of y."""
    z, _, _, dstates, activation = tape
    step_backward(weights.Wh, activation, z[t, a:b], dy, dstates[0, a:b])


def add_gradients(
    tape: Tape, rows: slice, h_prev: Floats, dWh: Floats, d_own: Floats, workers: int
) -> None:
    """Add the gradient of the recurrent weights; a vanilla cell has no others.

    Parameters
    ----------
    tape : Tape
        As `retreat` left it.
    rows : slice
        Some steps of all rows, in arrays of shape (T * B, ...).
    h_prev : (n, H) float array
        The states before these steps.
    dWh : (H, H) float array
        Accumulated into.
    d_own : (0,) float array
    """
    # z += h_prev Wh^T
    dz = tape.z.reshape(-1, tape.z.shape[2])[rows]
    add_affine_gradient(dz, h_prev, dWh, d_own, workers)
