"""Models whose layers are normalized: equations, gradients, running averages."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import config as numba_config

from charrnn import parameters
from charrnn.cells import names
from charrnn.config import CellName, ModelConfig, NormName
from charrnn.network import Network
from charrnn.normalization import MOMENTUM
from charrnn.parameters import Parameters
from charrnn.windows import Window
from tests import reference
from tests.gradcheck import assert_same_gradient, numeric_gradient
from tests.test_network import Case, with_threads

small = pytest.mark.small

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="NumPy's product rounds by shape"
)

#: All different, so that no axis can be taken for another.
T, B, H, V = 4, 5, 3, 6

cells = pytest.mark.parametrize("cell", names())
norms = pytest.mark.parametrize("norm", ["layer", "batch"])
depths = pytest.mark.parametrize("layers", [1, 2])

Build = Callable[..., Network]


@pytest.fixture
def build(rng: np.random.Generator) -> Build:
    """Build a network with random parameters and running averages."""

    def make(
        cell: CellName,
        norm: NormName,
        layers: int = 2,
        *,
        hidden: int = H,
        dtype: Any = np.float64,
    ) -> Network:
        shape: dict[str, Any] = {"vocab_size": V, "hidden": hidden, "layers": layers}
        network = Network(ModelConfig(cell=cell, norm=norm, **shape), dtype=dtype)
        network.theta[:] = rng.normal(0, 0.5, network.theta.size)
        for name, average in network.norm.running.items():
            low = 0.05 if name.endswith("var") else -0.5
            average[:] = rng.uniform(low, 0.5, hidden)
        network.pack()
        return network

    return make


def case_of(network: Network, rng: np.random.Generator, **options: Any) -> Case:
    """Draw a window with resets, an ignored target and dropout's noise."""
    sizes = options.pop("sizes", (T, B))
    return Case(rng, network, sizes, layers=network.config.layers, **options)


def expected_losses(
    network: Network, case: Case, *, training: bool, keep: Any = 1.0
) -> tuple[Any, Any]:
    """Losses (T, B) and the state after the window, by the equations."""
    logits, after = reference.model_logits(
        network.tensors,
        network.config.cell,
        case.ids,
        case.resets,
        case.state,
        keep=keep,
        norm=network.config.norm,
        training=training,
    )
    losses = reference.cross_entropy(logits.reshape(T * B, V), case.targets.ravel())
    return losses.reshape(T, B), after


@small
@cells
@norms
@depths
def test_evaluation_is_the_equations(
    build: Build, cell: CellName, norm: NormName, layers: int, rng: Any
) -> None:
    """Batch normalization takes running averages; the state is not normalized."""
    network = build(cell, norm, layers)
    case = case_of(network, rng)
    state = case.state.copy()
    found = network.losses(case.window, state)
    expected, after = expected_losses(network, case, training=False)

    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(state, after, rtol=1e-10)


@small
@cells
@norms
@depths
def test_loss_in_training_is_the_equations(
    build: Build, cell: CellName, norm: NormName, layers: int, rng: Any
) -> None:
    """Batch normalization takes the window; dropout comes after it."""
    network = build(cell, norm, layers)
    case = case_of(network, rng)
    loss, _, state = case.gradient(network, case.noise)
    losses, after = expected_losses(network, case, training=True, keep=case.keep())

    assert loss == pytest.approx(losses.sum() / (T * B - 1), rel=1e-11)
    np.testing.assert_allclose(state, after, rtol=1e-10)


@small
@cells
@norms
@depths
def test_every_parameters_gradient_is_the_central_difference(
    build: Build, cell: CellName, norm: NormName, layers: int, rng: Any
) -> None:
    """With resets, an ignored target and dropout."""
    network = build(cell, norm, layers)
    case = case_of(network, rng)
    _, dtheta, _ = case.gradient(network, case.noise)
    gradients = Parameters(dtheta, network.config).by_name

    def loss() -> float:
        network.pack()
        return case.gradient(network, case.noise)[0]

    assert {"layer0.gain", "layer0.shift"} <= gradients.keys()
    for name, weight in network.weights.items():
        assert_same_gradient(gradients[name], numeric_gradient(loss, weight), name)


@cells
@norms
def test_gradient_of_many_chunks_is_that_of_one(
    build: Build, cell: CellName, norm: NormName, rng: Any
) -> None:
    """However much is carried back at a time; batch normalization takes it all."""
    network = build(cell, norm)
    case = case_of(network, rng, sizes=(9, B))
    _, whole, _ = case.gradient(network, case.noise)
    space = network.workspace(9, B)
    assert space.chunk == 9
    if norm == "layer":
        space.chunk = 2
    _, parts, _ = case.gradient(network, case.noise)

    np.testing.assert_allclose(parts, whole, rtol=1e-9, atol=1e-15)


def test_batch_normalization_takes_the_whole_window_back() -> None:
    """Even where a chunk is otherwise much less."""
    shape: dict[str, Any] = {"vocab_size": 2, "cell": "lstm", "hidden": 128}
    chunks = {
        norm: Network(ModelConfig(norm=norm, **shape)).workspace(64, 64).chunk
        for norm in ("none", "layer", "batch")
    }

    assert chunks["none"] == chunks["layer"] < chunks["batch"] == 64


@compiled_only
@cells
@norms
def test_threads_do_not_matter(
    build: Build, cell: CellName, norm: NormName, rng: Any
) -> None:
    """Loss, gradient, state and averages have the same bits for one and two."""
    network = build(cell, norm, hidden=70, dtype=np.float32)
    case, results = case_of(network, rng, sizes=(15, 9)), []
    for threads in (1, 2):
        copy = with_threads(network, threads)
        results.append([*case.gradient(copy, case.noise)])
        copy.norm.update_running(3)
        results[-1] += copy.tensors.values()

    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@compiled_only
@cells
@norms
def test_cut_windows_are_one_text_in_evaluation(
    build: Build, cell: CellName, norm: NormName, rng: Any
) -> None:
    """Windows of 3, 1 and 5 steps give the losses of one of 9, bit for bit."""
    network = build(cell, norm, hidden=37, dtype=np.float32)
    case = case_of(network, rng, sizes=(9, B))
    whole, state = case.state.copy(), case.state.copy()
    expected = network.losses(case.window, whole)
    losses, begin = [], 0
    for length in (3, 1, 5):
        part = case.part(slice(begin, begin + length), slice(None))
        losses.append(network.losses(part, state))
        begin += length

    np.testing.assert_array_equal(np.concatenate(losses), expected)
    np.testing.assert_array_equal(state, whole)


@compiled_only
@cells
@norms
def test_a_row_alone_gets_the_same_bits_in_evaluation(
    build: Build, cell: CellName, norm: NormName, rng: Any
) -> None:
    """A text's loss does not depend on what is read beside it."""
    network = build(cell, norm, hidden=37, dtype=np.float32)
    case = case_of(network, rng)
    losses = network.losses(case.window, case.state.copy())
    for n in range(B):
        row = slice(n, n + 1)
        state = case.state[:, :, row].copy()
        alone = network.losses(case.part(slice(None), row), state)
        np.testing.assert_array_equal(alone, losses[:, row])


@small
@cells
def test_layer_normalization_is_the_same_in_training(
    build: Build, cell: CellName, rng: Any
) -> None:
    """Batch normalization is not, unless its averages are the window's own."""
    case = case_of(build(cell, "layer"), rng)

    def both(network: Network) -> tuple[float, float]:
        losses = network.losses(case.window, case.state.copy())
        return case.gradient(network)[0], losses.sum() / (T * B - 1)

    in_training, outside = both(build(cell, "layer"))
    assert in_training == pytest.approx(outside, rel=1e-12)
    network = build(cell, "batch")
    in_training, outside = both(network)
    assert in_training != pytest.approx(outside, rel=1e-3)
    network.norm.update_running(1)
    assert in_training == pytest.approx(both(network)[1], rel=1e-11)


@small
def test_running_averages_are_a_plain_loop(build: Build, rng: Any) -> None:
    """The first windows count alike; later ones push the oldest out."""
    network = build("lstm", "batch", 1)
    mean, var = np.full((2, H), np.nan)
    for step in range(1, 41):
        case = case_of(network, rng)
        case.gradient(network)
        zx = network.weights["layer0.Wx"][case.ids] + network.weights["layer0.b"]
        y, _ = reference.run(
            "lstm",
            zx.astype(float),
            case.state[0].astype(float),
            case.resets,
            network.weights["layer0.Wh"].astype(float),
            np.zeros(0),
        )
        new = y.mean((0, 1)), y.var((0, 1))
        share = max(1 / step, MOMENTUM)
        mean = new[0] if step == 1 else (1 - share) * mean + share * new[0]
        var = new[1] if step == 1 else (1 - share) * var + share * new[1]
        network.norm.update_running(step)

    np.testing.assert_allclose(network.norm.running["layer0.running_mean"], mean)
    np.testing.assert_allclose(network.norm.running["layer0.running_var"], var)


@small
@norms
def test_only_following_moves_the_averages(
    build: Build, norm: NormName, rng: Any
) -> None:
    """Neither a window that comes to nothing nor an evaluation does."""
    network = build("gru", norm)
    case = case_of(network, rng)
    before = {name: average.copy() for name, average in network.norm.running.items()}
    case.gradient(network, case.noise)
    network.losses(case.window, case.state.copy())
    network.logits(Window.of_inputs(case.ids), case.state.copy())

    for name, average in network.norm.running.items():
        np.testing.assert_array_equal(average, before[name])
    assert bool(before) == (norm == "batch")


@small
@norms
def test_load_takes_averages_over_too(build: Build, norm: NormName, rng: Any) -> None:
    network, other = build("rnn", norm), build("rnn", norm)
    ids = rng.integers(0, V, (T, B), dtype=np.int32)
    other.load(network.tensors)
    expected = network.logits(Window.of_inputs(ids), network.new_state(B))

    np.testing.assert_array_equal(
        other.logits(Window.of_inputs(ids), other.new_state(B)), expected
    )
    if norm == "batch":
        with pytest.raises(ValueError, match="running_mean"):
            other.load(network.weights)


@small
def test_absurd_averages_show_in_what_comes_of_them(build: Build, rng: Any) -> None:
    """A file may hold any finite number: no warning, no crash, but a NaN."""
    network = build("gru", "batch", dtype=np.float32)
    network.norm.running["layer1.running_var"][:] = -3e38
    ids = rng.integers(0, V, (T, B), dtype=np.int32)

    assert np.isnan(network.logits(Window.of_inputs(ids), network.new_state(B))).all()


@norms
def test_first_values_leave_outputs_standard(norm: NormName) -> None:
    """Gain 1, shift 0, and averages of a standard distribution."""
    config = ModelConfig(vocab_size=V, norm=norm, hidden=H)
    network = Network(config)
    rng = np.random.default_rng(0)
    parameters.initialize(network.theta, config, "auto", 1.0, rng)

    assert (network.weights["layer0.gain"] == 1).all()
    assert (network.weights["layer0.shift"] == 0).all()
    firsts = {name: set(a.tolist()) for name, a in network.norm.running.items()}
    expected = {"layer0.running_mean": {0.0}, "layer0.running_var": {1.0}}
    assert firsts == (expected if norm == "batch" else {})


def test_weight_decay_spares_gain_and_shift() -> None:
    """They stand after the matrices."""
    for layers in (1, 2):
        plain = ModelConfig(vocab_size=V, layers=layers)
        normed = ModelConfig(vocab_size=V, layers=layers, norm="layer")

        assert parameters.matrix_size(normed) == parameters.matrix_size(plain)
        assert parameters.size(normed) == parameters.size(plain) + layers * 2 * 256
