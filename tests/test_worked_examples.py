"""The five tutorials behind this project, recomputed by its kernels.

Input, cell and product kernels are those that train the text model; only the
loss on top is a test's own. The tutorials multiply row vectors by their
matrices; ours are stored a row per output unit, layer 0's by character.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.cells import cell_of
from charrnn.config import ModelConfig
from charrnn.kernels import inputs
from charrnn.kernels.cells import kernels_of
from charrnn.kernels.matmul import add_affine_gradient, multiply
from charrnn.kernels.optimizers import ADAM, Rule, Update, apply
from charrnn.kernels.recurrence import loops
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.threads import row_cuts
from charrnn.network import Network
from charrnn.windows import Window
from tests import reference
from tests.gradcheck import assert_same_gradient, numeric_gradient
from tests.networks import (
    ManyToOne,
    descend,
    elman,
    elman_backward,
    packed,
    softmax,
)

Array = NDArray[Any]


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
        heard = inputs.outputs_below(self.inputs[None], packed(self.Ws.T), self.Bs)
        inputs.read(heard, 0, 0, 6, z)
        tape = elman(self.U.T, z[:, None])
        o = np.tile(self.Bo, (6, 1))
        multiply(tape.y[:, 0], packed(self.Wo.T).forward, o, True)
        return tape, reference.sigmoid(o)

    def loss(self, only_ones: bool) -> float:
        """Sum -y log o, as the article does, or the whole binary cross-entropy."""
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


@pytest.mark.small
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


@pytest.mark.small
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


@pytest.mark.small
@pytest.mark.parametrize("only_ones", [True, False])
def test_a_gradients_are_central_differences(only_ones: bool) -> None:
    """Both losses' gradients, for every weight."""
    network = Reversing()
    for name, gradient in network.gradients(only_ones).items():
        numeric = numeric_gradient(
            lambda: network.loss(only_ones), getattr(network, name)
        )
        assert_same_gradient(gradient, numeric, name)


@pytest.mark.small
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
def hello() -> Network:
    """B: the letters h, e, l, o with the weights of the pictures (Didwania)."""
    config = ModelConfig(vocab_size=4, cell="rnn", hidden=3)
    network = Network(config, dtype=np.float64)
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
    network.load(named)
    return network


LETTERS = "helo"


def spell(text: str) -> NDArray[np.int32]:
    """Ids (T, 1) of a text."""
    return np.array([[LETTERS.index(letter)] for letter in text], np.int32)


@pytest.mark.small
def test_b_the_untrained_network_says_h(hello: Network) -> None:
    """States, logits and probabilities after "he", to the article's digits."""
    state = hello.new_state(1)
    logits = hello.logits(Window.of_inputs(spell("he")), state)[1, 0]
    states = hello.workspace(2, 1).tapes[0].y[:, 0]

    expected = [[0.693168, 0.899554, 0.802119], [0.936534, 0.949104, 0.762341]]
    np.testing.assert_array_equal(states.round(6), expected)
    np.testing.assert_array_equal(
        logits.round(6), [1.906075, 1.137792, 0.956664, 1.274228]
    )
    np.testing.assert_array_equal(
        softmax(logits).round(4), [0.4197, 0.1947, 0.1624, 0.2231]
    )


def test_b_training_repairs_it(hello: Network) -> None:
    """After training on "hello" it says l after "he", then l, then o."""
    m, v = np.zeros((2, hello.theta.size))
    window = Window.of_inputs(spell("hell"))._replace(targets=spell("ello"))
    for step in range(1, 201):
        dtheta = np.zeros_like(hello.theta)
        hello.loss_and_gradient(window, hello.new_state(1), dtheta)
        corrections = 1 / (1 - 0.9**step), 1 / (1 - 0.999**step)
        rule, update = Rule(ADAM, 0.9, 0.999, 1e-8), Update(0.05, *corrections)
        apply(hello.theta, dtheta, m, v, rule, update)
        hello.pack()

    said = hello.logits(window, hello.new_state(1))[:, 0]
    assert "".join(LETTERS[i] for i in said.argmax(axis=1)) == "ello"
    assert (softmax(said).max(axis=1) > 0.9).all()


#: C: the forest, the sea and the fire, and their colors (Oreshko).
PHRASES = np.array([[0, 0, 0], [1, 2, 3]], np.int32)
COLORS = np.array([[0, 128, 0], [0, 0, 255], [255, 165, 0]], float)


def color_loss(network: ManyToOne) -> float:
    """Mean squared error of the three colors."""
    return float(((network.forward(PHRASES)[1] - COLORS) ** 2).mean())


def color_gradients(network: ManyToOne) -> ManyToOne:
    """Its gradients."""
    tape, out = network.forward(PHRASES)
    return network.gradients(PHRASES, 2 * (out - COLORS) / COLORS.size, tape)


@pytest.mark.small
def test_c_first_gradients_are_central_differences() -> None:
    """Those of W, U and V, and of the biases, before the first step."""
    network = ManyToOne.new(words=4, hidden=6, outputs=3, seed=0)
    d = color_gradients(network)

    for name, weight in vars(network).items():
        numeric = numeric_gradient(lambda: color_loss(network), weight)
        assert_same_gradient(getattr(d, name), numeric, name)


def test_c_colors_come_out_exactly() -> None:
    """Plain gradient descent, until rounding gives the very colors."""
    network = ManyToOne.new(words=4, hidden=6, outputs=3, seed=1)
    for _ in range(100):
        for _ in range(100):
            network.descend(color_gradients(network), lr=0.001)
        if (network.forward(PHRASES)[1].round() == COLORS).all():
            break

    np.testing.assert_array_equal(network.forward(PHRASES)[1].round(), COLORS)


#: D: reviews of three words, liked or not (after Sachinsoni). Some turn on one
#: word, some on a negation two words before it, some repeat a word.
REVIEWS = {
    "truly lovely film": 1,
    "simply great fun": 1,
    "warm clever story": 1,
    "not bad really": 1,
    "never dull once": 1,
    "fun fun fun": 1,
    "truly awful film": 0,
    "simply no fun": 0,
    "cold clumsy story": 0,
    "not great really": 0,
    "never funny once": 0,
    "so so dull": 0,
}
WORDS = sorted({word for review in REVIEWS for word in review.split()})
LIKED = np.array(list(REVIEWS.values()), float)[:, None]


def read(*reviews: str) -> NDArray[np.int32]:
    """Ids (3, B) of the words of reviews."""
    return np.array([[WORDS.index(w) for w in r.split()] for r in reviews], np.int32).T


def log_loss(network: ManyToOne, ids: NDArray[np.int32], liked: Array) -> float:
    """-y log p - (1 - y) log(1 - p), summed over the reviews."""
    p = reference.sigmoid(network.forward(ids)[1])
    return float(-(liked * np.log(p) + (1 - liked) * np.log(1 - p)).sum())


def review_gradients(
    network: ManyToOne, ids: NDArray[np.int32], liked: Array
) -> ManyToOne:
    """Gradients of the log loss; behind a sigmoid it is p - y."""
    tape, out = network.forward(ids)
    return network.gradients(ids, reference.sigmoid(out) - liked, tape)


@pytest.mark.small
def test_d_gradients_are_central_differences() -> None:
    """All weights of the untrained network, over all twelve reviews."""
    network, ids = ManyToOne.new(len(WORDS), 4, 1, seed=2), read(*REVIEWS)
    d = review_gradients(network, ids, LIKED)

    for name, weight in vars(network).items():
        numeric = numeric_gradient(lambda: log_loss(network, ids, LIKED), weight)
        assert_same_gradient(getattr(d, name), numeric, name)


def test_d_every_review_is_judged_right() -> None:
    """After training, liked is above one half and not liked below."""
    network, ids = ManyToOne.new(len(WORDS), 4, 1, seed=2), read(*REVIEWS)
    for _ in range(500):
        network.descend(review_gradients(network, ids, LIKED), lr=0.1)

    p = reference.sigmoid(network.forward(ids)[1])
    assert ((p > 0.5) == (LIKED == 1)).all()
    assert np.abs(p - LIKED).max() < 0.1


@pytest.mark.small
@pytest.mark.parametrize("review", ["fun fun fun", "so so dull", "never dull once"])
def test_d_input_gradient_is_the_sum_over_the_steps(review: str) -> None:
    """Three paths from the loss to the input weights, each a product of its own.

    dL/dp dp/do3 do3/dw  +  dL/dp dp/do3 do3/do2 do2/dw  +  ... do2/do1 do1/dw
    """
    network, ids = ManyToOne.new(len(WORDS), 4, 1, seed=2), read(review)
    liked = np.array([[REVIEWS[review]]], float)
    tape, out = network.forward(ids)
    o1, o2, o3 = tape.y[:, 0]
    x1, x2, x3 = np.eye(len(WORDS))[ids[:, 0]]
    dL_do3 = (reference.sigmoid(out) - liked)[0] @ network.V
    # o = tanh(w x + U o_prev): the slopes, and what one state does to the next.
    f1, f2, f3 = (1 - o**2 for o in (o1, o2, o3))
    do3_do2, do2_do1 = f3[:, None] * network.U, f2[:, None] * network.U
    terms = [
        np.outer(x3, dL_do3 * f3),
        np.outer(x2, dL_do3 @ do3_do2 * f2),
        np.outer(x1, dL_do3 @ do3_do2 @ do2_do1 * f1),
    ]

    found = review_gradients(network, ids, liked).W
    np.testing.assert_allclose(found, sum(terms), rtol=1e-12, atol=1e-15)
    assert all(np.abs(term).max() > 1e-3 for term in terms)


def reach(name: str, radius: float, steps: int) -> float:
    """Norm of dL_t / dh_{t-k} for k steps, beside that of dL_t / dh_t.

    Inputs are so small that tanh is the identity. Every gate's recurrent matrix
    is `radius` times an orthogonal one, all of whose eigenvalues have that size.
    The LSTM has forget bias 1.
    """
    H, rng, cell = 16, np.random.default_rng(3), cell_of(name)
    kernels = kernels_of(cell)
    Wh = np.concatenate(
        [radius * np.linalg.qr(rng.normal(size=(H, H)))[0] for _ in cell.gates]
    )
    tape = kernels.new_tape(steps, 1, H, np.float64)
    tape.z[:] = 1e-12 * rng.normal(size=tape.z.shape)
    if name == "lstm":
        tape.z[:, :, H : 2 * H] += 1
    dy = np.zeros((steps, 1, H))
    dy[-1] = rng.normal(size=H)
    panels, own = packed(Wh), np.zeros(0)
    ahead, back = Recurrent(panels.forward, own), Recurrent(panels.backward, own)
    resets, cuts = np.zeros((steps, 1), np.uint8), row_cuts(1, 1)
    forward, backward = loops(kernels)
    nothing = inputs.projected(np.float64)
    forward(ahead, nothing, tape, resets, cuts)
    backward(back, nothing, tape, dy, resets, cuts, 0, steps)
    return float(np.linalg.norm(tape.dstates[0]) / np.linalg.norm(dy))


@pytest.mark.small
@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5])
def test_d_vanilla_gradient_is_a_power_of_the_radius(radius: float) -> None:
    """After k steps back it has fallen, stayed or grown: it is radius^k."""
    for k in (1, 5, 10, 20, 40):
        assert reach("rnn", radius, k) == pytest.approx(radius**k, rel=1e-3)


@pytest.mark.small
def test_d_lstm_gradient_falls_far_more_slowly() -> None:
    """With forget bias 1 a tenfold fall takes the LSTM three times as long.

    From 10 to 40 steps back the vanilla cell of radius 0.5 loses nine orders of
    magnitude; the LSTM, whose cell state keeps sigmoid(1) = 0.73 a step and
    more, less than three.
    """
    vanilla = reach("rnn", 0.5, 10) / reach("rnn", 0.5, 40)
    gated = reach("lstm", 0.5, 10) / reach("lstm", 0.5, 40)

    assert vanilla > 1e9
    assert gated < 1e3
    assert reach("lstm", 0.5, 40) > 1e7 * reach("rnn", 0.5, 40)
