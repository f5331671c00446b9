"""A cell from outside the package: units that each learn how fast they forget.

    z = x Wx^T + b + h_prev Wh^T      pre-activation, (B, 2H)
    g, o = tanh(z_g), sigmoid(z_o)    what is new, and how much is shown
    s = sigmoid(keep)                 (H,): the share that a unit keeps, its own
    m = s * m_prev + (1 - s) * g      memory
    h = o * m                         hidden state

All that charrnn is told of it stands in `TOY`: `charrnn.cells.register(TOY)`.
"""

from typing import Any, NamedTuple

from charrnn.arrays import Floats, Ids, aligned_zeros
from charrnn.cells import Cell, Own, Signal
from charrnn.kernels.activations import ONE, sigmoid, tanh
from charrnn.kernels.jit import jit
from charrnn.kernels.lagged import own_state
from charrnn.kernels.matmul import add_affine_gradient, multiply
from charrnn.kernels.recurrent import Recurrent

TOY = Cell(
    name="toy",
    gates=("g", "o"),
    states=("h", "m"),
    own=(Own("keep", 1.5),),
    switches=("o",),
    shown=(Signal("m", "m"),),
    peak_rate=2e-2,
    kernels=__name__,
)


class Tape(NamedTuple):
    """One window of T steps: what the way forward leaves for the way back."""

    z: Floats  # (T, B, 2H): input projection; then the gates; then their gradients
    states: Floats  # (2, T + 1, B, H): h and m before each input, after the last
    dstates: Floats  # (2, B, H): gradients of h and m on their way back
    m: Floats  # (T, B, H): m after each input
    dkeep: Floats  # (T, B, H): each step's gradient of keep
    lags: Ids  # what each step sees, and on the way back; see `lagged.Links`
    seen: Floats
    dseen: Floats
    reach: Ids
    past: Floats
    pending: Floats


def new_tape(T: int, B: int, H: int, dtype: Any) -> Tape:
    """Make room for one window."""
    states = aligned_zeros((2, T + 1, B, H), dtype)
    dstates = aligned_zeros((2, B, H), dtype)
    return Tape(
        z=aligned_zeros((T, B, 2 * H), dtype),
        states=states,
        dstates=dstates,
        m=aligned_zeros((T, B, H), dtype),
        dkeep=aligned_zeros((T, B, H), dtype),
        **own_state(states, dstates)._asdict(),
    )


@jit(inlined_early=True)
def step(
    Wh: Floats,
    keep: Floats,
    z: Floats,
    before: tuple[Floats, Floats],
    after: tuple[Floats, Floats],
    shown: Floats,
) -> None:
    """Advance all rows by one input."""
    seen, m_prev = before
    h, m = after
    B, H = h.shape
    multiply(seen, Wh, z, True)
    for n in range(B):
        for j in range(H):
            g, o, s = tanh(z[n, j]), sigmoid(z[n, H + j]), sigmoid(keep[j])
            z[n, j], z[n, H + j] = g, o
            m[n, j] = s * m_prev[n, j] + (ONE - s) * g
            shown[n, j] = m[n, j]
            h[n, j] = o * m[n, j]


@jit(inlined_early=True)
def step_backward(
    Wh: Floats, keep: Floats, z: Floats, m_prev: Floats, m: Floats, dy: Floats,
    dh: Floats, dm: Floats, dkeep: Floats,
) -> None:  # fmt: skip
    """Carry gradients back through one `step`."""
    B, H = dy.shape
    for n in range(B):
        for j in range(H):
            g, o, s = z[n, j], z[n, H + j], sigmoid(keep[j])
            # h = y = o * m
            dh_j = dh[n, j] + dy[n, j]
            do = dh_j * m[n, j]
            dm_j = dm[n, j] + dh_j * o
            # m = s * m_prev + (1 - s) * g
            ds = dm_j * (m_prev[n, j] - g)
            dm[n, j] = dm_j * s
            dg = dm_j * (ONE - s)
            # s, o = sigmoid(keep), sigmoid(z_o); g = tanh(z_g)
            dkeep[n, j] = ds * s * (ONE - s)
            z[n, H + j] = do * o * (ONE - o)
            z[n, j] = dg * (ONE - g * g)
    # z += seen Wh^T
    multiply(z, Wh, dh, False)


@jit
def advance(weights: Recurrent, tape: Tape, t: int, a: int, b: int) -> None:
    """Take `step` t of a tape for rows a to b."""
    z, states, m = tape.z, tape.states, tape.m
    before = tape.seen[t, a:b], states[1, t, a:b]
    after = states[0, t + 1, a:b], states[1, t + 1, a:b]
    step(weights.Wh, weights.own, z[t, a:b], before, after, m[t, a:b])


@jit
def retreat(weights: Recurrent, tape: Tape, t: int, a: int, b: int, dy: Floats) -> None:
    """Take `step_backward` t of a tape for rows a to b."""
    z, states, m, dkeep = tape.z, tape.states, tape.m, tape.dkeep
    step_backward(
        weights.Wh, weights.own, z[t, a:b], states[1, t, a:b], m[t, a:b], dy,
        tape.dseen[a:b], tape.dstates[1, a:b], dkeep[t, a:b],
    )  # fmt: skip


def add_gradients(
    tape: Tape, rows: slice, seen: Floats, dWh: Floats, d_own: Floats, workers: int
) -> None:
    """Add the gradients of Wh, (2H, KH), and of keep, (H,)."""
    dz = tape.z.reshape(-1, tape.z.shape[2])[rows]
    add_affine_gradient(dz, seen, dWh, d_own[:0], workers)
    d_own += tape.dkeep.reshape(-1, d_own.size)[rows].sum(axis=0)
