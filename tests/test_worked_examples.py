"""The five tutorials behind this project, recomputed by its kernels.

Input, cell and product kernels are those that train the text model; only the
loss on top is a test's own. The tutorials multiply row vectors by their
matrices; ours are stored a row per output unit, layer 0's by character.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn import parameters
from charrnn.config import ModelConfig
from charrnn.kernels import lstm, rnn
from charrnn.kernels.activations import TANH
from charrnn.kernels.inputs import gather, project, scatter
from charrnn.kernels.matmul import (
    Packed,
    add_affine_gradient,
    multiply,
    new_packed,
    pack,
)
from charrnn.kernels.optimizers import ADAM, SGD, Update, apply
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.threads import row_cuts
from charrnn.model import Model
from tests import reference
from tests.gradcheck import assert_same_gradient, numeric_gradient

pytestmark = pytest.mark.small

Array = NDArray[Any]


def packed(W: Array) -> Packed:
    """Panels of a matrix with a row per output unit."""
    panels = new_packed(*W.shape, W.dtype)
    pack(np.ascontiguousarray(W), panels)
    return panels


def descend(theta: Array, gradient: Array, lr: float) -> None:
    """Step down a gradient, W = W - lr dW, in place."""
    none = np.zeros(0)
    plain = Update(SGD, lr, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0, 1.0, np.inf)
    apply(theta.reshape(-1), gradient.reshape(-1), none, none, plain)


def elman(Wh: Array, z: Array) -> Any:
    """Run a tanh layer over a window of input projections, from a zero state."""
    T, B, H = z.shape
    tape = rnn.new_tape(T, B, H, z.dtype, TANH)
    tape.z[:] = z
    weights = Recurrent(packed(Wh), np.zeros(0))
    rnn.forward(weights, tape, np.zeros((T, B), np.uint8), row_cuts(B, 1))
    return tape


def elman_backward(Wh: Array, tape: Any, dy: Array) -> Array:
    """Carry the gradient of the outputs back; that of the recurrent weights."""
    T, B, H = dy.shape
    weights, dWh = Recurrent(packed(Wh), np.zeros(0)), np.zeros((H, H))
    rnn.backward(weights, tape, dy, np.zeros((T, B), np.uint8), row_cuts(B, 1))
    h_prev = tape.states[0, :T].reshape(T * B, H)
    add_affine_gradient(tape.dzh.reshape(T * B, H), h_prev, dWh, np.zeros(0), 1)
    return dWh


class Reversing:
    """A: a network that hears 1, 3, 5 and then says 5, 3, 1 (Sakryukin)."""

    def __init__(self) -> None:
        self.Ws = np.array([[-0.75, 0.50], [-0.25, 0.00], [0.25, 0.25]])
        self.Bs = np.array([0.50, 0.35])
        self.U = np.array([[0.10, -0.25], [0.50, 0.50]])
        self.Wo = np.array([[-0.90, 0.45, 0.00], [0.15, 0.25, 0.10]])
        self.Bo = np.array([0.80, 0.60, -0.25])
        heard = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
        silent = [[0, 0, 0]] * 3
        self.inputs = np.array(heard, float)
        self.targets = np.array([*silent, [1, 0, 1], [0, 1, 1], [0, 0, 1]], float)
        #: Outputs count at steps 4, 5 and 6.
        self.counts = np.array([0, 0, 0, 1, 1, 1.0])[:, None]

    def forward(self) -> tuple[Any, Array]:
        """Run all six steps; the tape and the outputs (6, 3)."""
        z = np.empty((6, 2))
        project(self.inputs, packed(self.Ws.T).forward, self.Bs, z, 1)
        tape = elman(self.U.T, z[:, None])
        o = np.tile(self.Bo, (6, 1))
        multiply(tape.y[:, 0], packed(self.Wo.T).forward, o, True)
        return tape, reference.sigmoid(o)

    def loss(self, only_ones: bool) -> float:
        """The article's loss, -y log o; or the whole binary cross-entropy."""
        _, p = self.forward()
        y = self.targets
        zeros = 0 if only_ones else (1 - y) * np.log(1 - p)
        return float(-(self.counts * (y * np.log(p) + zeros)).sum())

    def gradients(self, only_ones: bool) -> dict[str, Array]:
        """Gradients under the article's names, in its orientation."""
        tape, p = self.forward()
        y = self.targets
        do = self.counts * (y * (p - 1) if only_ones else p - y)
        dWo, dBo = np.zeros((3, 2)), np.zeros(3)
        dWs, dBs = np.zeros((2, 3)), np.zeros(2)
        add_affine_gradient(do, tape.y[:, 0], dWo, dBo, 1)
        dh = np.empty((6, 2))
        multiply(do, packed(self.Wo.T).backward, dh, False)
        dU = elman_backward(self.U.T, tape, dh[:, None])
        add_affine_gradient(tape.z[:, 0], self.inputs, dWs, dBs, 1)
        return {"Wo": dWo.T, "Bo": dBo, "Ws": dWs.T, "Bs": dBs, "U": dU.T}

    def learn(self, only_ones: bool) -> None:
        """One step of gradient descent with learning rate 0.5."""
        for name, gradient in self.gradients(only_ones).items():
            weight = getattr(self, name)
            descend(weight, np.ascontiguousarray(gradient), 0.5)


def test_a_states_and_outputs() -> None:
    """Six states and three outputs, to the article's four decimals."""
    tape, outputs = Reversing().forward()
    states = [
        [0.6351, 0.5370], [0.6816, 0.6105], [0.3570, 0.8440],
        [0.7432, 0.5933], [0.7019, 0.4308], [0.6559, 0.3713],
    ]  # fmt: skip
    expected = [
        [0.5548, 0.7470, 0.4525], [0.5580, 0.7357, 0.4485], [0.5660, 0.7287, 0.4470],
    ]  # fmt: skip

    np.testing.assert_array_equal(tape.y[:, 0].round(4), states)
    np.testing.assert_array_equal(outputs[3:].round(4), expected)


def test_a_gradients() -> None:
    """Gradients summed over the three outputs, to three decimals."""
    expected = {
        "Wo": [[-0.331, -0.186, -1.157], [-0.264, -0.114, -0.768]],
        "Bo": [-0.445, -0.264, -1.652],
        "Ws": [[0.046, 0.008], [0.001, 0.017], [0.045, 0.031]],
        "Bs": [0.181, -0.269],
        "U": [[0.060, -0.153], [0.157, -0.190]],
    }

    for name, gradient in Reversing().gradients(only_ones=True).items():
        np.testing.assert_array_equal(gradient.round(3), expected[name], name)


@pytest.mark.parametrize("only_ones", [True, False])
def test_a_gradients_are_central_differences(only_ones: bool) -> None:
    """Both losses' gradients, for every weight."""
    network = Reversing()
    for name, gradient in network.gradients(only_ones).items():
        numeric = numeric_gradient(
            lambda: network.loss(only_ones), getattr(network, name)
        )
        assert_same_gradient(gradient, numeric, name)


@pytest.mark.parametrize(
    ("only_ones", "before", "after"), [(True, 3.2963, 1.3627), (False, 7.6263, 4.9142)]
)
def test_a_one_step_of_descent(only_ones: bool, before: float, after: float) -> None:
    """The loss before and after a step, as the article has it and in full."""
    network = Reversing()
    assert round(network.loss(only_ones), 4) == before

    network.learn(only_ones)
    assert round(network.loss(only_ones), 4) == after


@pytest.fixture
def hello() -> Model:
    """B: the letters h, e, l, o with the weights of the pictures (Didwania)."""
    config = ModelConfig(vocab_size=4, cell="rnn", hidden=3)
    model = Model(config, dtype=np.float64)
    Wx = [
        [0.287027, 0.846060, 0.572392, 0.486813],
        [0.902874, 0.871522, 0.691079, 0.189980],
        [0.537524, 0.092240, 0.558159, 0.491528],
    ]
    Wy = [
        [0.371680, 0.974829459, 0.830034886],
        [0.391410, 0.282585823, 0.659835709],
        [0.649850, 0.098215570, 0.334287084],
        [0.912660, 0.325816420, 0.144630018],
    ]
    named = {
        "layer0.Wx": np.array(Wx).T,
        "layer0.Wh": 0.427043 * np.eye(3),
        "head.Wy": np.array(Wy),
        "layer0.b": np.full(3, 0.567001),
        "head.by": np.zeros(4),
    }
    model.load(named)
    return model


LETTERS = "helo"


def spell(text: str) -> NDArray[np.int32]:
    """Ids (T, 1) of a text."""
    return np.array([[LETTERS.index(letter)] for letter in text], np.int32)


def softmax(logits: Array) -> Array:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_b_the_untrained_network_says_h(hello: Model) -> None:
    """States, logits and probabilities after "he", to the article's digits."""
    state = hello.new_state(1)
    logits = hello.logits(spell("he"), state)[1, 0]
    states = hello.workspace(2, 1).tapes[0].y[:, 0]

    expected = [[0.693168, 0.899554, 0.802119], [0.936534, 0.949104, 0.762341]]
    np.testing.assert_array_equal(states.round(6), expected)
    np.testing.assert_array_equal(
        logits.round(6), [1.906075, 1.137792, 0.956664, 1.274228]
    )
    np.testing.assert_array_equal(
        softmax(logits).round(4), [0.4197, 0.1947, 0.1624, 0.2231]
    )


def test_b_training_repairs_it(hello: Model) -> None:
    """After training on "hello" it says l after "he", then l, then o."""
    m, v = np.zeros((2, hello.theta.size))
    resets = np.zeros((4, 1), np.uint8)
    for step in range(1, 201):
        dtheta = np.zeros_like(hello.theta)
        hello.loss_and_gradient(
            spell("hell"), spell("ello"), resets, hello.new_state(1), dtheta
        )
        corrections = 1 / (1 - 0.9**step), 1 / (1 - 0.999**step)
        update = Update(ADAM, 0.05, 0.9, 0.999, 1e-8, *corrections, 0.0, 0, 1.0, np.inf)
        apply(hello.theta, dtheta, m, v, update)
        hello.pack()

    said = hello.logits(spell("hell"), hello.new_state(1))[:, 0]
    assert "".join(LETTERS[i] for i in said.argmax(axis=1)) == "ello"
    assert (softmax(said).max(axis=1) > 0.9).all()


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
        z = np.empty((T * B, len(self.U)))
        gather(self.W, self.b, ids.reshape(-1), z, 1)
        tape = elman(self.U, z.reshape(T, B, -1))
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


#: C: the forest, the sea and the fire, and their colours (Oreshko).
PHRASES = np.array([[0, 0, 0], [1, 2, 3]], np.int32)
COLOURS = np.array([[0, 128, 0], [0, 0, 255], [255, 165, 0]], float)


def colour_loss(network: ManyToOne) -> float:
    """Mean squared error of the three colours."""
    return float(((network.forward(PHRASES)[1] - COLOURS) ** 2).mean())


def colour_gradients(network: ManyToOne) -> ManyToOne:
    """Its gradients."""
    tape, out = network.forward(PHRASES)
    return network.gradients(PHRASES, 2 * (out - COLOURS) / COLOURS.size, tape)


def test_c_first_gradients_are_central_differences() -> None:
    """Those of W, U and V, and of the biases, before the first step."""
    network = ManyToOne.new(words=4, hidden=6, outputs=3, seed=0)
    d = colour_gradients(network)

    for name, weight in vars(network).items():
        numeric = numeric_gradient(lambda: colour_loss(network), weight)
        assert_same_gradient(getattr(d, name), numeric, name)


def test_c_colours_come_out_exactly() -> None:
    """Plain gradient descent, until rounding gives the very colours."""
    network = ManyToOne.new(words=4, hidden=6, outputs=3, seed=0)
    for step in range(5000):
        network.descend(colour_gradients(network), lr=COLOUR_RATE)
        if step % 50 == 0 and (network.forward(PHRASES)[1].round() == COLOURS).all():
            break
    print(step, network.forward(PHRASES)[1])

    np.testing.assert_array_equal(network.forward(PHRASES)[1].round(), COLOURS)

import os
COLOUR_RATE = float(os.environ.get("CR", 0.01))
