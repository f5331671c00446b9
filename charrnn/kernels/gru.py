"""Gated recurrent unit: one step, and its gradient.

    z = x Wx^T + b                    input projection, (B, 3H)
    zh = h_prev Wh^T                  recurrent product, (B, 3H)
    r, u = sigmoid(z_r + zh_r, z_u + zh_u)      reset and update gates
    n = tanh(z_n + r * (zh_n + bhn))            candidate
    h = (1 - u) * n + u * h_prev                hidden state

The cell of Cho et al. (2014), with the reset gate after the product as in
cuDNN, PyTorch and Keras (``reset_after=True``), so that weights can be
compared with theirs. Gates are stored in the order r, u, n, a
block of H columns each. Because r stands between the recurrent product and
the candidate, the gradients of z and of zh differ in n, and the tape has both.
"""

from typing import Any, NamedTuple

from charrnn.arrays import Floats, Ids, aligned_zeros
from charrnn.kernels.activations import ONE, sigmoid, tanh
from charrnn.kernels.jit import jit
from charrnn.kernels.lagged import own_state
from charrnn.kernels.matmul import add_affine_gradient, multiply
from charrnn.kernels.narrow_tape import Kept
from charrnn.kernels.products import AddGradient
from charrnn.kernels.recurrent import Recurrent


class Tape(NamedTuple):
    """One window of T steps: what the way forward leaves for the way back."""

    z: Floats  # (T, B, 3H): input projection; then the gates; then its gradient
    z16: Kept | None  # the same in 16 bits, z being (1, B, 3H): see `narrow_tape`
    zh: Floats  # (T, B, 3H): recurrent product, its n with bias; then its gradient
    states: Floats  # (1, T + 1, B, H): h before each input, after the last one
    dstates: Floats  # (1, B, H): gradient of h on its way back
    lags: Ids | None  # what each step sees, and on the way back; see `lagged.Links`
    seen: Floats
    dseen: Floats
    reach: Ids | None
    past: Floats | None
    pending: Floats | None


def new_tape(T: int, B: int, H: int, dtype: Any) -> Tape:
    """Make room for one window."""
    states = aligned_zeros((1, T + 1, B, H), dtype)
    dstates = aligned_zeros((1, B, H), dtype)
    return Tape(
        z=aligned_zeros((T, B, 3 * H), dtype),
        z16=None,
        zh=aligned_zeros((T, B, 3 * H), dtype),
        states=states,
        dstates=dstates,
        **own_state(states, dstates)._asdict(),
    )


@jit(inlined_early=True)
def step(
    Wh: Floats, bhn: Floats, z: Floats, zh: Floats, seen: Floats, h: Floats
) -> None:
    """Advance all rows by one input.

    Parameters
    ----------
    Wh : (P, KH, W) float array
        Panels of ``Packed.forward``.
    bhn : (H,) float array
    z : (B, 3H) float array
        On entry ``x Wx^T + b``; on exit the gates.
    zh : (B, 3H) float array
        Written: the recurrent product; its n part with bhn.
    seen : (B, KH) float array
        The states that the step sees, h_prev first; often nothing else.
    h : (B, H) float array
        Written: the new state.
    """
    B, H = h.shape
    multiply(seen, Wh, zh, False)
    for n in range(B):
        z_r, z_u, z_n = z[n, :H], z[n, H : 2 * H], z[n, 2 * H :]
        zh_r, zh_u, zh_n = zh[n, :H], zh[n, H : 2 * H], zh[n, 2 * H :]
        for j in range(H):
            r, u = sigmoid(z_r[j] + zh_r[j]), sigmoid(z_u[j] + zh_u[j])
            recurrent = zh_n[j] + bhn[j]
            candidate = tanh(z_n[j] + r * recurrent)
            h_j = candidate + u * (seen[n, j] - candidate)
            z_r[j], z_u[j], z_n[j] = r, u, candidate
            zh_n[j] = recurrent
            h[n, j] = h_j


@jit(inlined_early=True)
def step_backward(
    Wh: Floats, z: Floats, zh: Floats, seen: Floats, dy: Floats, dh: Floats
) -> None:
    """Carry gradients back through one `step`.

    Parameters
    ----------
    Wh : (P, 3H, W) float array
        Panels of ``Packed.backward``.
    seen : (B, KH) float array
        As `step` had it.
    z, zh : (B, 3H) float array
        On entry as `step` left them; on exit the gradients of z and of zh.
    dy : (B, H) float array
        Gradient of the output y.
    dh : (B, KH) float array
        On entry the gradient of h from later steps, in the first H columns, and zeros;
        on exit that of all that `step` saw.
    """
    B, H = dy.shape
    for n in range(B):
        z_r, z_u, z_n = z[n, :H], z[n, H : 2 * H], z[n, 2 * H :]
        zh_r, zh_u, zh_n = zh[n, :H], zh[n, H : 2 * H], zh[n, 2 * H :]
        for j in range(H):
            r, u, candidate = z_r[j], z_u[j], z_n[j]
            # h = y = (1 - u) * n + u * h_prev
            dh_j = dh[n, j] + dy[n, j]
            du = dh_j * (seen[n, j] - candidate)
            dn = dh_j * (ONE - u)
            dh[n, j] = dh_j * u
            # n = tanh(z_n + r * zh_n)
            dz_n = dn * (ONE - candidate * candidate)
            dr = dz_n * zh_n[j]
            # r, u = sigmoid(z_r + zh_r, z_u + zh_u)
            dz_r, dz_u = dr * r * (ONE - r), du * u * (ONE - u)
            z_r[j], z_u[j], z_n[j] = dz_r, dz_u, dz_n
            zh_r[j], zh_u[j], zh_n[j] = dz_r, dz_u, dz_n * r
    # zh = seen Wh^T, beside the direct path u * h_prev
    multiply(zh, Wh, dh, True)


@jit
def advance(weights: Recurrent, tape: Tape, t: int, a: int, b: int) -> None:
    """Take `step` t of a tape for rows a to b; see `rnn.advance`."""
    z, zh = tape.z[t % tape.z.shape[0], a:b], tape.zh[t, a:b]
    seen, h = tape.seen[t, a:b], tape.states[0, t + 1, a:b]
    step(weights.Wh, weights.own, z, zh, seen, h)


@jit
def retreat(weights: Recurrent, tape: Tape, t: int, a: int, b: int, dy: Floats) -> None:
    """Take `step_backward` t of a tape for rows a to b, from the gradient of y."""
    z, zh = tape.z[t % tape.z.shape[0], a:b], tape.zh[t, a:b]
    step_backward(weights.Wh, z, zh, tape.seen[t, a:b], dy, tape.dseen[a:b])


def add_gradients(
    tape: Tape, rows: slice, seen: Floats, dWh: Floats, dbhn: Floats, workers: int,
    add: AddGradient = add_affine_gradient,
) -> None:  # fmt: skip
    """Add the gradients of Wh, (3H, KH), and of bhn, (H,); see `rnn.add_gradients`."""
    # zh = seen Wh^T, and bhn added to its n, the last H columns
    dzh = tape.zh.reshape(-1, tape.zh.shape[2])[rows]
    add(dzh, seen, dWh, dbhn, workers)
