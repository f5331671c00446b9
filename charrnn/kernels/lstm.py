"""Long short-term memory: one step, and its gradient.

    z = x Wx^T + b + h_prev Wh^T      pre-activations, (B, 4H)
    i, f, o = sigmoid(z_i, z_f, z_o)  input, forget and output gates
    g = tanh(z_g)                     candidate
    c = f * c_prev + i * g            cell state
    h = o * tanh(c)                   hidden state

(Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.)

``x Wx^T + b`` comes from `inputs`; the steps add the recurrent part. Gates are
stored in the order i, f, o, g, a block of H columns each. A forget bias of 1
is an initial value of b. The loops over time are `recurrence`'s.
"""

from typing import Any, NamedTuple

from charrnn.arrays import Floats, Ids, aligned_zeros
from charrnn.kernels.activations import ONE, sigmoid, tanh
from charrnn.kernels.jit import jit
from charrnn.kernels.lagged import own_state
from charrnn.kernels.matmul import add_affine_gradient, multiply
from charrnn.kernels.narrow_tape import Kept, gradient_of_z
from charrnn.kernels.products import AddGradient
from charrnn.kernels.recurrent import Recurrent


class Tape(NamedTuple):
    """One window of T steps: what the way forward leaves for the way back."""

    z: Floats  # (T, B, 4H): input projection; then the gates; then their gradients
    z16: Kept | None  # the same in 16 bits, z being (1, B, 4H): see `narrow_tape`
    states: Floats  # (2, T + 1, B, H): h and c before each input, after the last
    dstates: Floats  # (2, B, H): gradients of h and c on their way back
    lags: Ids | None  # what each step sees, and on the way back; see `lagged.Links`
    seen: Floats
    dseen: Floats
    reach: Ids | None
    past: Floats | None
    pending: Floats | None


def new_tape(T: int, B: int, H: int, dtype: Any) -> Tape:
    """Make room for one window."""
    states = aligned_zeros((2, T + 1, B, H), dtype)
    dstates = aligned_zeros((2, B, H), dtype)
    return Tape(
        z=aligned_zeros((T, B, 4 * H), dtype),
        z16=None,
        states=states,
        dstates=dstates,
        **own_state(states, dstates)._asdict(),
    )


@jit(inlined_early=True)
def step(
    Wh: Floats,
    z: Floats,
    before: tuple[Floats, Floats],
    after: tuple[Floats, Floats],
) -> None:
    """Advance all rows by one input.

    Parameters
    ----------
    Wh : (P, KH, W) float array
        Panels of ``Packed.forward``.
    z : (B, 4H) float array
        On entry ``x Wx^T + b``; on exit the gates.
    before : pair of float arrays, (B, KH) and (B, H)
        The states h that the step sees, h_prev first and often nothing else; and
        c_prev.
    after : pair of (B, H) float arrays
        Written: h and c.
    """
    seen, c_prev = before
    h, c = after
    B, H = h.shape
    multiply(seen, Wh, z, True)
    for n in range(B):
        z_i, z_f, z_o, z_g = (
            z[n, :H],
            z[n, H : 2 * H],
            z[n, 2 * H : 3 * H],
            z[n, 3 * H :],
        )
        c_before, c_after, h_after = c_prev[n], c[n], h[n]
        for j in range(H):
            i, f, o = sigmoid(z_i[j]), sigmoid(z_f[j]), sigmoid(z_o[j])
            g = tanh(z_g[j])
            c_j = f * c_before[j] + i * g
            z_i[j], z_f[j], z_o[j], z_g[j] = i, f, o, g
            c_after[j] = c_j
            h_after[j] = o * tanh(c_j)


@jit(inlined_early=True)
def step_backward(
    Wh: Floats, z: Floats, c_prev: Floats, dy: Floats, dh: Floats, dc: Floats
) -> None:  # fmt: skip
    """Carry gradients back through one `step`.

    Its c is computed again: on the tape, a document that begins at the next step may
    have cleared it.

    Parameters
    ----------
    Wh : (P, 4H, W) float array
        Panels of ``Packed.backward``.
    c_prev : (B, H) float array
        As `step` had it.
    z : (B, 4H) float array
        On entry the gates, as `step` left them; on exit the gradient of z.
    dy : (B, H) float array
        Gradient of the output y.
    dh : (B, KH) float array
        On entry the gradient of h from later steps, in the first H columns; on exit
        that of all that `step` saw.
    dc : (B, H) float array
        On entry the gradient of c from later steps; on exit that of c_prev.
    """
    B, H = dy.shape
    for n in range(B):
        z_i, z_f, z_o, z_g = (
            z[n, :H],
            z[n, H : 2 * H],
            z[n, 2 * H : 3 * H],
            z[n, 3 * H :],
        )
        for j in range(H):
            i, f, o, g = z_i[j], z_f[j], z_o[j], z_g[j]
            squashed = tanh(f * c_prev[n, j] + i * g)
            # h = y = o * tanh(c)
            dh_j = dh[n, j] + dy[n, j]
            do = dh_j * squashed
            dc_j = dc[n, j] + dh_j * o * (ONE - squashed * squashed)
            # c = f * c_prev + i * g
            di = dc_j * g
            df = dc_j * c_prev[n, j]
            dg = dc_j * i
            dc[n, j] = dc_j * f
            # i, f, o = sigmoid(z_i, z_f, z_o); g = tanh(z_g)
            z_i[j] = di * i * (ONE - i)
            z_f[j] = df * f * (ONE - f)
            z_o[j] = do * o * (ONE - o)
            z_g[j] = dg * (ONE - g * g)
    # z += seen Wh^T
    multiply(z, Wh, dh, False)


@jit
def advance(weights: Recurrent, tape: Tape, t: int, a: int, b: int) -> None:
    """Take `step` t of a tape for rows a to b; see `rnn.advance`."""
    z, states = tape.z[t % tape.z.shape[0], a:b], tape.states
    before = tape.seen[t, a:b], states[1, t, a:b]
    after = states[0, t + 1, a:b], states[1, t + 1, a:b]
    step(weights.Wh, z, before, after)


@jit
def retreat(weights: Recurrent, tape: Tape, t: int, a: int, b: int, dy: Floats) -> None:
    """Take `step_backward` t of a tape for rows a to b, from the gradient of y."""
    z, c_prev = tape.z[t % tape.z.shape[0], a:b], tape.states[1, t, a:b]
    step_backward(weights.Wh, z, c_prev, dy, tape.dseen[a:b], tape.dstates[1, a:b])


def add_gradients(
    tape: Tape, rows: slice, seen: Floats, dWh: Floats, d_own: Floats, workers: int,
    add: AddGradient = add_affine_gradient,
) -> None:  # fmt: skip
    """Add the gradient of the recurrent weights, (4H, KH); see `rnn.add_gradients`."""
    # z += seen Wh^T
    dz = gradient_of_z(tape).reshape(-1, tape.z.shape[2])[rows]
    add(dz, seen, dWh, d_own, workers)
