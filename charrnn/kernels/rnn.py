"""Vanilla recurrent network (Elman 1990): one step, and its gradient.

    z = x Wx^T + b + h_prev Wh^T      pre-activation, (B, H)
    h = f(z)                          f: tanh, sigmoid, relu or leaky relu

``x Wx^T + b`` comes from `inputs`; the steps add the recurrent part. The loops
over time are `recurrence`'s, and what every cell's module has stands in `cells`.
"""

from typing import Any, NamedTuple

from charrnn.arrays import Floats, Ids, aligned_zeros
from charrnn.kernels.activations import CODES, activate_row, slope
from charrnn.kernels.jit import jit
from charrnn.kernels.lagged import own_state
from charrnn.kernels.matmul import add_affine_gradient, multiply
from charrnn.kernels.products import AddGradient
from charrnn.kernels.recurrent import Recurrent


class Tape(NamedTuple):
    """One window of T steps: what the way forward leaves for the way back."""

    z: Floats  # (T, B, H): input projection; then f(z); then the gradient of z
    states: Floats  # (1, T + 1, B, H): h before each input, after the last one
    dstates: Floats  # (1, B, H): gradient of h on its way back
    activation: int  # code of f, see `activations`
    lags: Ids | None  # what each step sees, and on the way back; see `lagged.Links`
    seen: Floats
    dseen: Floats
    reach: Ids | None
    past: Floats | None
    pending: Floats | None


def new_tape(T: int, B: int, H: int, dtype: Any, activation: str = "tanh") -> Tape:
    """Make room for one window of a network with this activation f."""
    states = aligned_zeros((1, T + 1, B, H), dtype)
    dstates = aligned_zeros((1, B, H), dtype)
    return Tape(
        z=aligned_zeros((T, B, H), dtype),
        states=states,
        dstates=dstates,
        activation=CODES[activation],
        **own_state(states, dstates)._asdict(),
    )


@jit(inlined_early=True)
def step(Wh: Floats, activation: int, z: Floats, seen: Floats, h: Floats) -> None:
    """Advance all rows by one input.

    Parameters
    ----------
    Wh : (P, KH, W) float array
        Panels of ``Packed.forward``.
    activation : int
    z : (B, H) float array
        On entry ``x Wx^T + b``; on exit f(z).
    seen : (B, KH) float array
        The states that the step sees, h_prev first; often nothing else.
    h : (B, H) float array
        Written: the new state.
    """
    B, H = h.shape
    multiply(seen, Wh, z, True)
    for n in range(B):
        activate_row(activation, z[n])
        for j in range(H):
            h[n, j] = z[n, j]


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
    dh : (B, KH) float array
        On entry the gradient of h from later steps, in the first H columns; on exit
        that of all that `step` saw.
    """
    B, H = dy.shape
    for n in range(B):
        for j in range(H):
            # h = y = f(z)
            z[n, j] = (dh[n, j] + dy[n, j]) * slope(activation, z[n, j])
    # z += seen Wh^T
    multiply(z, Wh, dh, False)


@jit
def advance(weights: Recurrent, tape: Tape, t: int, a: int, b: int) -> None:
    """Take `step` t of a tape for rows a to b, whose inputs have been read.

    The tape may be of any length: training runs along it, generating has one of a
    single step.
    """
    z, seen, h = tape.z, tape.seen, tape.states[0]
    step(weights.Wh, tape.activation, z[t, a:b], seen[t, a:b], h[t + 1, a:b])


@jit
def retreat(weights: Recurrent, tape: Tape, t: int, a: int, b: int, dy: Floats) -> None:
    """Take `step_backward` t of a tape for rows a to b, from the gradient of y."""
    step_backward(weights.Wh, tape.activation, tape.z[t, a:b], dy, tape.dseen[a:b])


def add_gradients(
    tape: Tape, rows: slice, seen: Floats, dWh: Floats, d_own: Floats, workers: int,
    add: AddGradient = add_affine_gradient,
) -> None:  # fmt: skip
    """Add the gradient of the recurrent weights; a vanilla cell has no others.

    Parameters
    ----------
    tape : Tape
        As `retreat` left it.
    rows : slice
        Some steps of all rows, in arrays of shape (T * B, ...).
    seen : (n, KH) float array
        The states that these steps saw.
    dWh : (H, KH) float array
        Accumulated into.
    d_own : (0,) float array
    add : callable
        Adds what the network's products are made of: `products.Products`.
    """
    # z += seen Wh^T
    dz = tape.z.reshape(-1, tape.z.shape[2])[rows]
    add(dz, seen, dWh, d_own, workers)
