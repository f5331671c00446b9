"""Vanilla recurrent network (Elman 1990): one step, its gradient, the loops.

    z = x Wx^T + b + h_prev Wh^T      pre-activation, (B, H)
    h = f(z)                          f: tanh, sigmoid, relu or leaky relu

``x Wx^T + b`` comes from `inputs`; the steps add the recurrent part.

Every cell offers the same names: `GATES`, `STATES`, `Tape`, `new_tape`,
`step` beside `step_backward`, `advance`, and the loops `forward` and `backward`.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from charrnn.arrays import Flags, Floats, Ids
from charrnn.kernels.activations import activate_row, slope
from charrnn.kernels.inputs import Inputs, carry_back, read
from charrnn.kernels.jit import jit
from charrnn.kernels.matmul import multiply
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.resets import clear

GATES = 1
STATES = 1


class Tape(NamedTuple):
    """One window of T steps: what `forward` leaves behind for `backward`."""

    z: Floats  # (T, B, H): input projection; then f(z); then the gradient of z
    dzh: Floats  # (T, B, H): gradient of the recurrent product; here z itself
    states: Floats  # (1, T + 1, B, H): h before each input, after the last one
    y: Floats  # (T, B, H): outputs; h after each input until normalised, dropped
    dstates: Floats  # (1, B, H): gradient of h on its way back
    activation: int  # code of f, see `activations`


def new_tape(T: int, B: int, H: int, dtype: Any, activation: int) -> Tape:
    """Room for one window."""
    z = np.zeros((T, B, H), dtype)
    return Tape(
        z=z,
        dzh=z,
        states=np.zeros((1, T + 1, B, H), dtype),
        y=np.zeros((T, B, H), dtype),
        dstates=np.zeros((1, B, H), dtype),
        activation=activation,
    )


@jit(spliced=True)
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


@jit(spliced=True)
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
def advance(Wh: Floats, bh: Floats, tape: Tape, t: int, a: int, b: int) -> None:
    """Take `step` t of a tape for rows a to b, whose inputs have been read.

    Parameters
    ----------
    Wh : (P, H, W) float array
        Panels of ``Packed.forward``.
    bh : (H,) float array
        Bias of the recurrent product, for the GRU alone.
    tape : Tape
        Of any length: training runs along it, generating has one of a step.
    """
    z, _, states, y, _, activation = tape
    h = states[0]
    step(Wh, activation, z[t, a:b], h[t, a:b], h[t + 1, a:b], y[t, a:b])


@jit(parallel=True)
def forward(
    weights: Recurrent, inputs: Inputs, tape: Tape, resets: Flags, cuts: Ids
) -> None:
    """Run a window, from the state in ``states[:, 0]`` to ``states[:, T]``.

    Parameters
    ----------
    weights : Recurrent
    inputs : Inputs
    tape : Tape
        On entry states[:, 0] holds the state, and z the input projection if
        the inputs are `inputs.projected`; all but the gradients are written.
    resets : (T, B) uint8 array
        Rows whose state is cleared before the step.
    cuts : (S + 1,) int array
        Where the rows are cut into blocks for the threads. The result does
        not depend on it.
    """
    z, h = tape.z, tape.states[0]
    Wh, bh = weights.Wh.forward, weights.bh
    for s in prange(cuts.size - 1):
        a, b = cuts[s], cuts[s + 1]
        for t in range(z.shape[0]):
            clear(resets[t, a:b], h[t, a:b])
            read(inputs, t, a, b, z[t, a:b])
            advance(Wh, bh, tape, t, a, b)


@jit(parallel=True)
def backward(
    weights: Recurrent, inputs: Inputs, tape: Tape, dy: Floats, resets: Flags,
    cuts: Ids, first: int, last: int,
) -> None:  # fmt: skip
    """Carry gradients back from step `last` to `first` (truncated BPTT).

    Parameters
    ----------
    weights, inputs, tape, resets, cuts
        As `forward` left them. On exit ``tape.z`` holds the gradient of the
        input projection, ``tape.dzh`` that of the recurrent product, and
        ``tape.dstates`` that of the state before the window.
    dy : (last - first, B, H) float array
        Gradient of these steps' outputs; on exit that of the outputs of the layer
        below, if there is one.
    first, last : int
        Which steps: a window is gone through in one call or several, from its
        end to its beginning, and what each call leaves can be used at once.
    """
    z, _, _, _, dstates, activation = tape
    Wh, dh = weights.Wh.backward, dstates[0]
    for s in prange(cuts.size - 1):
        a, b = cuts[s], cuts[s + 1]
        if last == z.shape[0]:
            dh[a:b] = 0
        for t in range(last - 1, first - 1, -1):
            step_backward(Wh, activation, z[t, a:b], dy[t - first, a:b], dh[a:b])
            clear(resets[t, a:b], dh[a:b])
            carry_back(inputs, z[t, a:b], dy[t - first, a:b])
