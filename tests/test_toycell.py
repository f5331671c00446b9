"""A cell from outside: its file and one registration, and everything knows it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.__main__ import run
from charrnn.cells import Own, register, unregister
from charrnn.checkpoint import load
from charrnn.config import ModelConfig
from charrnn.errors import CheckpointError, OptionError
from charrnn.kernels import jit as policy
from charrnn.kernels import lstm
from charrnn.kernels.cells import kernels_of
from charrnn.network import Network
from charrnn.parameters import Parameters, initialize, shapes, size
from charrnn.training.plan import Material, make_plan, nominal_speed
from tests import reference, toycell
from tests.gradcheck import assert_same_gradient, numeric_gradient
from tests.test_network import Case
from tests.toycell import TOY
from tests.training.support import TEXT
from tests.training.test_resume_exactly import interrupted, undisturbed

T, B, H, V, L = 4, 3, 5, 6, 2

#: Runs a command in process: its output; the exit code has to be 0.
Command = Callable[..., str]


@pytest.fixture(autouse=True)
def _toy() -> Iterator[None]:
    """Let the toy be known in this file, and nowhere else."""
    register(TOY)
    yield
    unregister("toy")


@pytest.fixture
def charrnn(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Command:
    """Work beside t.txt."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text(TEXT)

    def call(*arguments: str) -> str:
        code = run(list(arguments))
        out, err = capsysbinary.readouterr()
        assert code == 0, err.decode()
        return out.decode()

    return call


def network_of(dtype: Any = np.float64, **options: Any) -> Network:
    """Build a network of two layers with random parameters."""
    config = ModelConfig(vocab_size=V, cell="toy", hidden=H, layers=L, **options)
    network = Network(config, dtype=dtype)
    network.theta[:] = np.random.default_rng(2).normal(0, 0.5, network.theta.size)
    network.pack()
    return network


def layer_by_hand(
    weights: dict[str, NDArray[Any]], k: int, zx: NDArray[Any], case: Case
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Run layer k by the equations: outputs (T, B, H), last state (2, B, H)."""
    h, m = case.state[k]
    s, outputs = reference.sigmoid(weights[f"layer{k}.keep"]), []
    for z, flags in zip(zx, case.resets, strict=True):
        h, m = (np.where(flags[:, None], 0, array) for array in (h, m))
        z_g, z_o = np.split(z + h @ weights[f"layer{k}.Wh"].T, 2, axis=1)
        m = s * m + (1 - s) * np.tanh(z_g)
        h = reference.sigmoid(z_o) * m
        outputs.append(h)
    return np.stack(outputs), np.stack([h, m])


def test_losses_are_the_equations(rng: np.random.Generator) -> None:
    """Two layers, with resets, an ignored target and a state to begin with."""
    network = network_of()
    case, weights = Case(rng, network), network.weights
    state, after = case.state.copy(), []
    zx = weights["layer0.Wx"][case.ids] + weights["layer0.b"]
    for k in range(L):
        y, last = layer_by_hand(weights, k, zx, case)
        after.append(last)
        if k + 1 < L:
            zx = y @ weights[f"layer{k + 1}.Wx"].T + weights[f"layer{k + 1}.b"]
    logits = (y @ weights["head.Wy"].T + weights["head.by"]).reshape(T * B, V)
    expected = reference.cross_entropy(logits, case.targets.reshape(-1))

    losses = network.losses(case.window, state)
    np.testing.assert_allclose(losses.reshape(-1), expected, rtol=1e-11)
    np.testing.assert_allclose(state, np.stack(after), rtol=1e-11)


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("lags", [(1,), (1, 3)], ids=["", "1,3"])
def test_every_parameters_gradient_is_the_central_difference(
    rng: np.random.Generator, norm: str, lags: tuple[int, ...]
) -> None:
    """Its own, too, in both layers, with resets and dropout."""
    network = network_of(norm=norm, lags=lags)
    case = Case(rng, network)
    _, dtheta, _ = case.gradient(network, case.noise)
    gradients = Parameters(dtheta, network.config).by_name

    def loss() -> float:
        network.pack()
        return case.gradient(network, case.noise)[0]

    assert {"layer0.keep", "layer1.keep"} <= network.weights.keys()
    for name, weight in network.weights.items():
        assert_same_gradient(gradients[name], numeric_gradient(loss, weight), name)


SMALL = ["--hidden", "8", "--layers", "2", "--seq-length", "8", "--batch-size", "4"]


def test_the_command_line_trains_samples_resumes_and_looks_on(
    charrnn: Command,
) -> None:
    """Everything that can be done with a cell, from its name alone."""
    losses = [
        json.loads(line)
        for line in charrnn(
            *("train", "t.txt", "--cell", "toy", "-o", "m.npz", "--json", "-q"),
            *(*SMALL, "--steps", "60", "--log-every", "1"),
        ).splitlines()
    ]
    first, *_, last = [row["loss"] for row in losses if "loss" in row]
    assert last < 0.9 * first
    trained = load(Path("m.npz"))
    assert trained.model.cell == "toy"
    assert set(np.ravel(trained.parameters["layer1.keep"])) != {1.5}

    text = charrnn("sample", "m.npz", "-n", "40", "--seed", "1")
    assert len(text) >= 40
    assert text == charrnn("sample", "m.npz", "-n", "40", "--seed", "1")

    charrnn("train", "t.txt", "--resume", "-o", "m.npz", "--steps", "70", "-q")
    resumed = load(Path("m.npz"))
    assert resumed.training is not None
    assert resumed.training.step == 70

    assert "toy, 2 layers of 8 units" in charrnn("inspect", "m.npz")


@pytest.fixture
def beside_model(charrnn: Command) -> Command:
    """Work beside m.npz, too: little trained."""
    charrnn("train", "t.txt", "--cell", "toy", "-o", "m.npz", *SMALL, "--steps", "5")
    return charrnn


def inspected(charrnn: Command, view: str, *options: str) -> Any:
    """Look at a view of m.npz, with a text where it takes one."""
    text = [] if view == "weights" else ["--text", "the tide came back"]
    out = charrnn("inspect", "m.npz", "--view", view, *text, "--json", *options)
    return json.loads(out)["views"][view]


def test_its_signals_gates_memory_and_weights_can_be_looked_at(
    beside_model: Command,
) -> None:
    """Signals that only it has, by the equations that tie them together."""

    def values(signal: str) -> NDArray[Any]:
        options = ["--signal", signal, "--layer", "1", "--unit", "3"]
        (unit,) = inspected(beside_model, "neurons", *options)["neurons"]
        assert (unit["layer"], unit["unit"]) == (1, 3)
        return np.array(unit["values"])

    h, m, o = values("h"), values("m"), values("o")
    assert len(h) == len("the tide came back")
    assert m.std() > 0
    np.testing.assert_allclose(o * m, h, rtol=1e-5)

    gates = inspected(beside_model, "gates")["gates"]
    assert [(gate["layer"], gate["gate"]) for gate in gates] == [(0, "o"), (1, "o")]
    assert gates[1]["means"][3] == pytest.approx(o.mean(), rel=1e-5)
    memory = inspected(beside_model, "memory")
    assert [layer["layer"] for layer in memory["layers"]] == [0, 1]
    assert all(norm > 0 for layer in memory["layers"] for norm in layer["norms"][:3])
    tensors = inspected(beside_model, "weights")["tensors"]
    recurrent = [t["gate"] for t in tensors if t["tensor"] == "layer1.Wh"]
    assert recurrent == [None, "g", "o"]
    assert ["layer0.keep", [8]] in [[t["tensor"], t["shape"]] for t in tensors]


def test_a_resumed_run_is_the_undisturbed_one(tmp_path: Path) -> None:
    """Bit for bit, wherever it is interrupted, with batch norm and averages."""
    plan = {"model": {"cell": "toy", "layers": 2, "norm": "batch"}, "steps": 20}
    plan |= {"dropout": 0.3, "weight_dropout": 0.2, "ema": 0.9}
    whole = undisturbed(tmp_path / "t.txt", plan)

    assert interrupted(tmp_path / "t.txt", plan, 7, 12).latest == whole.latest


@pytest.mark.skipif(
    numba_config.DISABLE_JIT or policy.cache_directory() is None,
    reason="nothing is kept",
)
def test_nothing_of_it_is_kept_in_the_cache(beside_model: Command) -> None:
    """The cache would not notice an edit to what it is compiled with."""
    beside_model("sample", "m.npz", "-n", "5")
    directory = policy.cache_directory()
    assert directory is not None

    assert list(directory.glob("*/*.nbi"))
    assert list(directory.glob("*/*toy*")) == []


def test_the_plan_takes_its_rate_and_its_norm() -> None:
    """As the record says them, where the user says nothing."""
    normed = replace(TOY, norm="layer")
    for cell, norm in ((TOY, "none"), (normed, "layer")):
        unregister("toy")
        register(cell)
        model, long = {"cell": "toy", "hidden": H}, {"steps": 10_000}
        shape, train = make_plan(Material(10_000, V), model, long, nominal_speed)
        assert shape.norm == norm
        assert train.lr == 2e-2


def test_parameters_are_those_of_the_cell_that_is_registered_now() -> None:
    """Not of an earlier one by the same name, as in a notebook that is run again."""
    config = ModelConfig(vocab_size=V, cell="toy", hidden=H)
    assert "layer0.keep" in shapes(config)
    unregister("toy")
    register(replace(TOY, own=(Own("decay"), Own("rise", 0.5))))

    assert [name for name in shapes(config) if name.startswith("layer0")] == [
        *("layer0.Wx", "layer0.Wh", "layer0.b", "layer0.decay", "layer0.rise"),
    ]
    flat = np.zeros(size(config))
    initialize(flat, config, "auto", 1.0, np.random.default_rng(0))
    (layer,) = Parameters(flat, config).layers
    assert layer.own.tolist() == [0.0] * H + [0.5] * H


def test_without_its_registration_nobody_knows_it(beside_model: Command) -> None:
    """Neither the options nor a checkpoint that it wrote."""
    unregister("toy")
    try:
        with pytest.raises(OptionError, match="not one of rnn, gru, lstm"):
            ModelConfig(vocab_size=V, cell="toy")
        with pytest.raises(CheckpointError, match="toy"):
            load(Path("m.npz"))
    finally:
        register(TOY)


def test_a_tape_without_room_for_lags_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell need not know of them; who asks for some is told so."""
    fields = [name for name in toycell.Tape._fields if name != "pending"]
    monkeypatch.setattr(toycell.Tape, "_fields", tuple(fields))

    with pytest.raises(OptionError, match="kind toy sees no further state"):
        network_of(lags=(1, 3))
    network_of()


def test_a_tape_of_another_cell_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which kernels run goes by the kind of tape."""
    monkeypatch.setattr(toycell, "Tape", lstm.Tape)

    with pytest.raises(ValueError, match="a Tape of its own"):
        kernels_of(replace(TOY, name="other"))
