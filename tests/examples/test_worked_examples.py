"""The five tutorials behind this project, recomputed by its kernels.

The networks are those of `charrnn.examples`. Figures are stated here once more, so
that no program can change its own, and gradients are held against central
differences of the loss.
"""

import re
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.examples import EXAMPLES, colors, generator, hello, reversing, sentiment
from charrnn.examples.layers import (
    DenseLayer,
    Descent,
    Layer,
    RecurrentLayer,
    SoftmaxLayer,
    central_differences,
    sigmoid,
    softmax,
)
from charrnn.network import Network
from charrnn.windows import Window
from tests import reference
from tests.gradcheck import assert_same_gradient, numeric_gradient


@pytest.mark.small
def test_a_states_and_outputs() -> None:
    """Six states and three outputs, to the article's four decimals."""
    found, outputs = reversing.Reverser().forward()
    states = [
        [0.6351, 0.5370], [0.6816, 0.6105], [0.3570, 0.8440],
        [0.7432, 0.5933], [0.7019, 0.4308], [0.6559, 0.3713],
    ]  # fmt: skip
    expected = [
        [0.5548, 0.7470, 0.4525], [0.5580, 0.7357, 0.4485], [0.5660, 0.7287, 0.4470],
    ]  # fmt: skip

    np.testing.assert_array_equal(found.round(4), states)
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

    found = reversing.Reverser().backward()
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        np.testing.assert_array_equal(gradient.round(3), expected[name], name)


@pytest.mark.small
@pytest.mark.parametrize("only_ones", [True, False])
def test_a_gradients_are_central_differences(only_ones: bool) -> None:
    """Both losses' gradients, for every weight."""
    network = reversing.Reverser(only_ones=only_ones)
    for name, gradient in network.backward().items():
        numeric = numeric_gradient(network.loss, network.weights[name])
        assert_same_gradient(gradient, numeric, name)


@pytest.mark.small
@pytest.mark.parametrize(
    ("only_ones", "before", "after"), [(True, 3.2963, 1.3627), (False, 7.6263, 4.9142)]
)
def test_a_one_step_of_descent(only_ones: bool, before: float, after: float) -> None:
    """The loss before and after a step, as the article has it and in full."""
    network = reversing.Reverser(only_ones=only_ones)
    assert round(network.loss(), 4) == before

    network.learn()
    assert round(network.loss(), 4) == after


@pytest.mark.small
def test_b_the_untrained_network_says_h() -> None:
    """States, logits and probabilities after "he", to the article's digits."""
    states, logits = hello.Speller().forward("he")

    expected = [[0.693168, 0.899554, 0.802119], [0.936534, 0.949104, 0.762341]]
    np.testing.assert_array_equal(states.round(6), expected)
    np.testing.assert_array_equal(
        logits[1].round(6), [1.906075, 1.137792, 0.956664, 1.274228]
    )
    np.testing.assert_array_equal(
        softmax(logits[1]).round(4), [0.4197, 0.1947, 0.1624, 0.2231]
    )


@pytest.mark.small
def test_b_is_what_the_text_model_computes() -> None:
    """The network that texts are trained with, given these weights: same numbers."""
    network = Network(ModelConfig(vocab_size=4, cell="rnn", hidden=3), dtype=np.float64)
    network.load(
        {
            "layer0.Wx": np.ascontiguousarray(hello.Wx.T),
            "layer0.Wh": hello.Wh,
            "head.Wy": hello.Wy,
            "layer0.b": hello.b,
            "head.by": np.zeros(4),
        }
    )
    window = Window.of_inputs(hello.spell("he"))
    logits = network.logits(window, network.new_state(1))[:, 0]
    states = network.workspace(2, 1).hidden(0)[:, 0]

    expected = hello.Speller().forward("he")
    np.testing.assert_allclose(states, expected[0], rtol=1e-14)
    np.testing.assert_allclose(logits, expected[1], rtol=1e-14)


@pytest.mark.small
def test_b_gradients_are_central_differences() -> None:
    """Those of the loss on "hello", for every weight of both layers."""
    network, letters = hello.Speller(), hello.spell("hell")

    def loss() -> float:
        h = network.read.forward(letters)
        return network.predict.loss_and_gradient(h, hello.spell("ello"))[0]

    h = network.read.forward(letters)
    _, dh = network.predict.loss_and_gradient(h, hello.spell("ello"))
    network.read.backward(dh)
    found = [dict(layer.gradients) for layer in (network.read, network.predict)]
    for layer, gradients in zip((network.read, network.predict), found, strict=True):
        assert_gradients(layer, gradients, loss)


def test_b_training_repairs_it() -> None:
    """After training on "hello" it says l after "he", then l, then o."""
    network = hello.Speller()
    network.train()

    said = network.forward("hell")[1]
    assert "".join(hello.LETTERS[i] for i in said.argmax(axis=1)) == "ello"
    assert (softmax(said).max(axis=1) > 0.9).all()


def assert_gradients(layer: Layer, gradients, loss) -> None:
    """Hold all gradients of a layer against central differences."""
    assert gradients.keys() == layer.weights.keys()
    for name, weight in layer.weights.items():
        assert_same_gradient(gradients[name], numeric_gradient(loss, weight), name)


@pytest.mark.small
def test_c_first_gradients_are_central_differences() -> None:
    """Those of W, U and V, and of the biases, before the first step."""
    network = colors.new_network(seed=0)
    colors.backward(network)

    for layer in network.layers:
        assert_gradients(layer, dict(layer.gradients), lambda: colors.loss(network))


def test_c_colors_come_out_exactly() -> None:
    """Plain gradient descent, until rounding gives the very colors."""
    network = colors.new_network()
    colors.train(network)

    expected = np.array([[0, 128, 0], [0, 0, 255], [255, 165, 0]], float)
    np.testing.assert_array_equal(network.forward(colors.PHRASES).round(), expected)


@pytest.mark.small
def test_d_gradients_are_central_differences() -> None:
    """All weights of the untrained network, over all twelve reviews."""
    network, ids = sentiment.new_network(), sentiment.read(*sentiment.REVIEWS)
    sentiment.backward(network, ids, sentiment.LIKED)

    def loss() -> float:
        return sentiment.loss(network, ids, sentiment.LIKED)

    for layer in network.layers:
        assert_gradients(layer, dict(layer.gradients), loss)


def test_d_every_review_is_judged_right() -> None:
    """After training, liked is above one half and not liked below."""
    network, liked = sentiment.new_network(), sentiment.LIKED
    sentiment.train(network)

    p = sigmoid(network.forward(sentiment.read(*sentiment.REVIEWS)))
    assert ((p > 0.5) == (liked == 1)).all()
    assert np.abs(p - liked).max() < 0.1


@pytest.mark.small
@pytest.mark.parametrize("review", ["fun fun fun", "so so dull", "never dull once"])
def test_d_input_gradient_is_the_sum_over_the_steps(review: str) -> None:
    """Three paths from the loss to the input weights, each a product of its own."""
    network = sentiment.new_network()
    liked = np.array([[sentiment.REVIEWS[review]]], float)
    terms = sentiment.terms(network, review)

    sentiment.backward(network, sentiment.read(review), liked)
    found = network.recurrent.gradients["Wx"]
    np.testing.assert_allclose(found, sum(terms), rtol=1e-12, atol=1e-15)
    assert len(terms) == 3
    assert all(np.abs(term).max() > 1e-3 for term in terms)


@pytest.mark.small
@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5])
def test_d_vanilla_gradient_is_a_power_of_the_radius(radius: float) -> None:
    """After k steps back it has fallen, stayed or grown: it is radius^k."""
    for k in (1, 5, 10, 20, 40):
        assert sentiment.reach("rnn", radius, k) == pytest.approx(radius**k, rel=1e-3)


@pytest.mark.small
def test_d_lstm_gradient_falls_far_more_slowly() -> None:
    """With forget bias 1 a tenfold fall takes the LSTM three times as long.

    From 10 to 40 steps back the vanilla cell of radius 0.5 loses nine orders of
    magnitude; the LSTM, whose cell state keeps sigmoid(1) = 0.73 a step and
    more, less than three.
    """
    reach = sentiment.reach
    vanilla = reach("rnn", 0.5, 10) / reach("rnn", 0.5, 40)
    gated = reach("lstm", 0.5, 10) / reach("lstm", 0.5, 40)

    assert vanilla > 1e9
    assert gated < 1e3
    assert reach("lstm", 0.5, 40) > 1e7 * reach("rnn", 0.5, 40)


def test_e_the_same_text_is_written_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training and sampling are repeatable, and a new temperature says otherwise."""
    monkeypatch.setattr(generator, "STEPS", 20)
    written = []
    for _ in range(2):
        made = generator.begin(str(generator.TALE))
        assert len(list(generator.losses_of(made))) == 20
        written.append(generator.sample(made.model, 1.0))

    assert written[0] == written[1]
    assert len(written[0]) == generator.LENGTH
    assert generator.sample(made.model, 0.2) != written[0]


def test_e_the_tale_is_one_of_the_corpus() -> None:
    """What the wheel carries is the first tale of the text beside it."""
    corpus = generator.TALE.parents[2] / "corpora" / "saltmarsh.txt"
    tale = generator.TALE.read_text(encoding="utf-8")

    assert corpus.read_text(encoding="utf-8").startswith(tale)


GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@pytest.mark.small
@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("one_hot", [True, False])
def test_layers_follow_the_equations(
    cell: str, one_hot: bool, rng: np.random.Generator
) -> None:
    """Outputs are the oracle's; gradients are central differences, inputs' too."""
    T, B, D, H = 4, 3, 5, 2
    GH = GATES[cell] * H
    layer = RecurrentLayer(
        rng.normal(size=(D, GH)), rng.normal(size=(H, GH)), rng.normal(size=GH), cell
    )
    head = SoftmaxLayer(rng.normal(size=(H, 3)), rng.normal(size=3))
    targets = rng.integers(0, 3, (T, B)).astype(np.int32)
    targets[0, 0] = -1
    x = rng.integers(0, D, (T, B)) if one_hot else rng.normal(size=(T, B, D))

    def loss() -> float:
        return head.loss_and_gradient(layer.forward(x), targets)[0]

    Wx, Wh, b = layer.weights.values()
    zx = (np.eye(D)[x] if one_hot else x) @ Wx + b
    state = np.zeros((2 if cell == "lstm" else 1, B, H))
    y, _ = reference.run(cell, zx, state, np.zeros((T, B)), Wh.T, np.zeros(H))
    np.testing.assert_allclose(layer.forward(x), y, rtol=1e-12)
    expected = reference.cross_entropy(
        (y @ head.weights["W"] + head.weights["b"]).reshape(T * B, -1), targets.ravel()
    )
    found, dh = head.loss_and_gradient(layer.forward(x), targets)
    assert found == pytest.approx(expected.sum() / (T * B - 1), rel=1e-12)

    dx = layer.backward(dh)
    # Each loss that is computed below leaves gradients of its own.
    found_in = [(part, dict(part.gradients)) for part in (layer, head)]
    for part, gradients in found_in:
        assert_gradients(part, gradients, loss)
    if one_hot:
        assert dx is None
    else:
        assert dx is not None
        assert_same_gradient(dx, numeric_gradient(loss, x), "x")


@pytest.mark.small
def test_central_differences_put_the_weights_back() -> None:
    """The examples' own check finds a known gradient and leaves no trace."""
    W = np.array([[1.0, -2.0], [0.5, 3.0]])
    before = W.copy()

    found = central_differences(lambda: float((W**3).sum()), W)
    np.testing.assert_allclose(found, 3 * before**2, rtol=1e-8)
    np.testing.assert_array_equal(W, before)


@pytest.mark.small
def test_descent_is_w_minus_lr_dw(rng: np.random.Generator) -> None:
    """Also where a gradient is a turned view."""
    layer = DenseLayer(rng.normal(size=(3, 2)), rng.normal(size=2))
    layer.forward(rng.normal(size=(4, 3)))
    layer.backward(rng.normal(size=(4, 2)))
    expected = {k: W - 0.1 * layer.gradients[k] for k, W in layer.weights.items()}

    Descent(0.1).step(layer)
    for name, W in layer.weights.items():
        np.testing.assert_allclose(W, expected[name], rtol=1e-14)


#: Something of each program that its figures come from, made wrong.
WRONG: dict[str, tuple[str, object]] = {
    "reversing": ("Bs", reversing.Bs + 0.01),
    "hello": ("Wh", hello.Wh * 1.001),
    "colors": ("MOST_STEPS", 100),
    "sentiment": ("STEPS", 1),
    "generator": ("STEPS", 2),
}


def test_every_example_has_a_wrong_twin() -> None:
    """Whoever adds a program says how it could go wrong."""
    assert WRONG.keys() == EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_program_prints_its_figures_and_agrees(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0, every line within 80 columns, a page or so in all."""
    assert import_module(f"charrnn.examples.{name}").main() == 0

    lines = capsys.readouterr().out.splitlines()
    text = " ".join(lines)
    assert EXAMPLES[name].title in text
    assert "agrees" in text
    assert "differs" not in text
    assert re.fullmatch(r"All \d+ lines agree\.", lines[-1])
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 60


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_wrong_program_says_so(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight or a training that is not the article's: another exit code."""
    module = import_module(f"charrnn.examples.{name}")
    attribute, wrong = WRONG[name]
    monkeypatch.setattr(module, attribute, wrong)

    assert module.main() == 1
    out = capsys.readouterr().out
    assert "differs" in out
    assert re.search(r"\n[1-9]\d* of \d+ lines differ\.\n$", out)


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a module of the examples as a program."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_list_names_every_program() -> None:
    """Name, article and what it does; no kernel is imported for it."""
    code = (
        "import sys; from charrnn.examples.__main__ import main; "
        "main(); print('numba' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )

    assert done.stdout.splitlines()[-1] == "False"
    for example in EXAMPLES.values():
        assert all(part in done.stdout for part in example)


def test_programs_run_as_modules() -> None:
    """As the list says, with an exit code; a text that is not there is told."""
    listed, done = run("charrnn.examples"), run("charrnn.examples.reversing")
    missing = run("charrnn.examples.generator", "no/such/text.txt")

    assert (listed.returncode, done.returncode) == (0, 0)
    assert done.stdout.endswith("lines agree.\n")
    assert missing.returncode == 3
    assert missing.stderr == "no/such/text.txt does not exist\ncheck the path\n"
