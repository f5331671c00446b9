"""Small networks put together from the kernels, as a test needs them.

Input, cell and product kernels are those that train the text model; a test
brings the loss on top.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.cells import cell_of
from charrnn.kernels import rnn
from charrnn.kernels.cells import kernels_of
from charrnn.kernels.inputs import Inputs, characters, projected, scatter
from charrnn.kernels.matmul import (
    Packed,
    add_affine_gradient,
    multiply,
    new_packed,
    pack,
)
from charrnn.kernels.optimizers import SGD, Rule, Update, apply
from charrnn.kernels.recurrence import loops
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.threads import row_cuts

Array = NDArray[Any]


def packed(W: Array) -> Packed:
    """Panels of a matrix with a row per output unit."""
    n, K = W.shape
    panels = new_packed(n, K, W.dtype)
    pack(np.ascontiguousarray(W), panels)
    return panels


def descend(theta: Array, gradient: Array, lr: float) -> None:
    """Step down a gradient, W = W - lr dW, in place."""
    none = np.zeros(0)
    rule = Rule(SGD, 0.0, 0.0, 0.0)
    apply(theta.reshape(-1), gradient.reshape(-1), none, none, rule, Update(lr))


def elman(Wh: Array, z: Array) -> Any:
    """Run a tanh layer over a window of input projections, from a zero state."""
    T, B, H = z.shape
    tape = rnn.new_tape(T, B, H, z.dtype)
    tape.z[:] = z
    return run_elman(Wh, projected(z.dtype), tape)


def run_elman(Wh: Array, inputs: Inputs, tape: Any) -> Any:
    """Run a tanh layer over the inputs; the tape."""
    T, B, _ = tape.z.shape
    weights = Recurrent(packed(Wh).forward, np.zeros(0))
    forward = loops(kernels_of(cell_of("rnn"))).forward
    forward(weights, inputs, tape, np.zeros((T, B), np.uint8), row_cuts(B, 1))
    return tape


def elman_backward(Wh: Array, tape: Any, dy: Array) -> Array:
    """Carry the gradient of the outputs back; that of the recurrent weights."""
    T, B, H = dy.shape
    weights, dWh = Recurrent(packed(Wh).backward, np.zeros(0)), np.zeros((H, H))
    resets, cuts = np.zeros((T, B), np.uint8), row_cuts(B, 1)
    backward = loops(kernels_of(cell_of("rnn"))).backward
    backward(weights, projected(dy.dtype), tape, dy, resets, cuts, 0, T)
    h_prev = tape.states[0, :T].reshape(T * B, H)
    rnn.add_gradients(tape, slice(0, T * B), h_prev, dWh, np.zeros(0), 1)
    return dWh


def softmax(logits: Array) -> Array:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@dataclass
class ManyToOne:
    """A tanh layer over words, and a linear output of its last state."""

    W: Array  # (V, H): by word
    U: Array  # (H, H)
    b: Array  # (H,)
    V: Array  # (outputs, H)
    c: Array  # (outputs,)

    @classmethod
    def new(cls, words: int, hidden: int, outputs: int, seed: int) -> "ManyToOne":
        """Random weights."""
        rng = np.random.default_rng(seed)
        return cls(
            rng.normal(0, 0.5, (words, hidden)),
            rng.normal(0, 0.5, (hidden, hidden)),
            np.zeros(hidden),
            rng.normal(0, 0.5, (outputs, hidden)),
            np.zeros(outputs),
        )

    def forward(self, ids: NDArray[np.int32]) -> tuple[Any, Array]:
        """Read phrases (T, B); the tape and the outputs (B, outputs)."""
        T, B = ids.shape
        tape = rnn.new_tape(T, B, len(self.U), np.float64)
        run_elman(self.U, characters(ids, self.W, self.b), tape)
        out = np.tile(self.c, (B, 1))
        multiply(tape.y[-1], packed(self.V).forward, out, True)
        return tape, out

    def gradients(self, ids: NDArray[np.int32], dout: Array, tape: Any) -> Any:
        """Gradients of all weights from that of the outputs."""
        d = ManyToOne(*(np.zeros_like(a) for a in vars(self).values()))
        add_affine_gradient(dout, tape.y[-1], d.V, d.c, 1)
        dy = np.zeros_like(tape.y)
        multiply(dout, packed(self.V).backward, dy[-1], False)
        d.U = elman_backward(self.U, tape, dy)
        scatter(ids.reshape(-1), tape.z.reshape(ids.size, -1), d.W, d.b, 1)
        return d

    def descend(self, d: "ManyToOne", lr: float) -> None:
        """W = W - lr dW for all of them."""
        for name, weight in vars(self).items():
            descend(weight, getattr(d, name), lr)
