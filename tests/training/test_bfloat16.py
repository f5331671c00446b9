"""Training in bfloat16: its laws, in the emulation and in what this machine has."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import config as numba_config

from charrnn import parameters, processors, stack
from charrnn.cells import cell_of, names
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import Message, MissingComponentError
from charrnn.kernels.cells import can_be_narrow, kernels_of
from charrnn.kernels.products import PLAIN, bfloat16_products
from charrnn.network import Network
from charrnn.options import read
from charrnn.training.noise import random_stream
from charrnn.windows import Window
from tests.bfloat16 import FORMS
from tests.checkpoint.support import split
from tests.factories import make_checkpoint
from tests.training.support import (
    Recorder,
    Stop,
    checkpoint_bytes,
    finish,
    prepared,
    read_back,
    run_of,
    stop_after,
)

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="NumPy's product rounds by shape"
)

#: Beyond a tile and a vector each, with remainders.
SHAPE: dict[str, Any] = {"vocab_size": 21, "hidden": 37, "layers": 2}
T, B = 12, 35

#: Gradients may be off by so much of their length: a number is rounded by half of 2^-8
#: at most, some chains of products deep.
GRADIENT, LOSS = 0.02, 2e-3


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    """Every form that this machine has, the emulation among them."""
    found: str = request.param
    return found


@pytest.fixture(params=FORMS[:1] + FORMS[-1:] if len(FORMS) > 1 else FORMS)
def choose(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let runs be emulated, or take what this machine is fastest with."""
    if request.param == "emulated":
        monkeypatch.setenv(processors.EMULATE, "1")
    else:
        monkeypatch.delenv(processors.EMULATE, raising=False)
    found: str = request.param
    return found


def window(rng: np.random.Generator) -> Window:
    """Random characters, one of which is no target, and a beginning of a document."""
    ids = rng.integers(0, SHAPE["vocab_size"], (T + 1, B)).astype(np.int32)
    whole = Window.of_inputs(ids[:-1])._replace(targets=ids[1:].copy())
    whole.targets[1, 0] = -1
    whole.resets[2, 1] = 1
    return whole


def passed(config: ModelConfig, given: Window, **options: Any) -> tuple[Any, ...]:
    """Loss, gradient and state behind a window of a new network."""
    network = Network(config, **options)
    parameters.initialize(network.theta, config, "auto", 1.0, random_stream(0))
    network.pack()
    gradient, state = np.zeros_like(network.theta), network.new_state(B)
    loss = network.loss_and_gradient(given, state, gradient)
    return loss, gradient, state


def off(found: Any, exact: Any) -> float:
    """Tell how far a vector is off, as a share of its length."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


@pytest.mark.parametrize("cell", names())
def test_gradient_is_float64s_within_rounding(
    cell: str, form: str, rng: np.random.Generator
) -> None:
    """And it is rounded: what float32 makes of it is much nearer."""
    config = ModelConfig(cell=cell, **SHAPE)
    given = window(rng)
    exact_loss, exact, _ = passed(config, given, dtype=np.float64)
    loss, gradient, _ = passed(config, given, products=bfloat16_products(form))

    assert abs(loss - exact_loss) <= LOSS
    assert 1e-4 < off(gradient, exact) <= GRADIENT


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_half_the_tape_costs_less_than_rounding(
    cell: str, form: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient is off by a fifth more, at most, with gates in 16 bits between.

    The way forward does not read what is kept, so that no bit of it changes.
    """
    config, given = ModelConfig(cell=cell, **SHAPE), window(rng)
    products = bfloat16_products(form)
    _, exact, _ = passed(config, given, dtype=np.float64)
    narrow = passed(config, given, products=products)
    monkeypatch.setattr(stack, "can_be_narrow", lambda kernels: False)
    wide = passed(config, given, products=products)

    assert narrow[0] == wide[0]
    assert (narrow[2] == wide[2]).all()
    assert (narrow[1] != wide[1]).any()
    assert off(narrow[1], exact) <= 1.2 * off(wide[1], exact)


@pytest.mark.parametrize("cell", names())
def test_room_for_a_window_is_smaller(cell: str, form: str) -> None:
    """By half of the gates, where the cell can have it so."""
    config = ModelConfig(cell=cell, **SHAPE)
    plain, narrow = (
        Network(config, products=products).workspace(T, B).nbytes
        for products in (PLAIN, bfloat16_products(form))
    )
    a_step = len(cell_of(cell).gates) * SHAPE["hidden"] * B * 4
    saved = SHAPE["layers"] * (T // 2 - 1) * a_step

    assert plain - narrow == saved * can_be_narrow(kernels_of(cell_of(cell)))


@compiled_only
@pytest.mark.parametrize("cell", names())
def test_threads_change_no_bit(cell: str, form: str, rng: np.random.Generator) -> None:
    """Rows never meet, and sums over rows are in order."""
    config, given = ModelConfig(cell=cell, **SHAPE), window(rng)
    products = bfloat16_products(form)
    most = min(2, numba.config.NUMBA_NUM_THREADS)
    one, two = (passed(config, given, products=products, threads=n) for n in (1, most))

    assert one[0] == two[0]
    assert (one[1] == two[1]).all()
    assert (one[2] == two[2]).all()


@compiled_only
@pytest.mark.parametrize("cell", names())
def test_two_windows_are_one(cell: str, form: str, rng: np.random.Generator) -> None:
    """On the way forward a window that is cut in two leaves the same state."""
    config, given = ModelConfig(cell=cell, **SHAPE), window(rng)
    network = Network(config, products=bfloat16_products(form))
    parameters.initialize(network.theta, config, "auto", 1.0, random_stream(0))
    network.pack()
    whole, state = network.new_state(B), network.new_state(B)
    network.forward(given, whole, training=True)
    for part in (slice(0, 5), slice(5, T)):
        arrays: list[Any] = [np.ascontiguousarray(array[part]) for array in given]
        cut = Window(*arrays)
        network.forward(cut, state, training=True)

    assert (state == whole).all()


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_resumed_run_writes_the_same_file(
    tmp_path: Path, choose: str, ema: float
) -> None:
    """It goes on as it would have, with other threads; the file says its precision."""
    path, file = tmp_path / "t.txt", tmp_path / "m.npz"
    whole, parts, stop = Recorder(), Recorder(), Stop()
    plan: dict[str, Any] = {
        "precision": "bfloat16", "steps": 8, "ema": ema, "weight_dropout": 0.2,
    }  # fmt: skip
    finish(run_of(prepared(path, **plan), whole))
    stop_after(run_of(prepared(path, threads=2, **plan), parts, stop), stop, 3)
    file.write_bytes(parts.latest)
    finish(run_of(prepared(path, resume=file), parts))

    assert parts.latest == whole.latest
    stored = read_back(whole.latest).training
    assert stored is not None
    assert stored.config.precision == "bfloat16"


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Interrupt a run in bfloat16, and take the machine's products away."""
    monkeypatch.setenv(processors.EMULATE, "1")
    writer, stop, file = Recorder(), Stop(), tmp_path / "m.npz"
    made = prepared(tmp_path / "t.txt", precision="bfloat16", steps=8)
    stop_after(run_of(made, writer, stop), stop, 3)
    file.write_bytes(writer.latest)
    monkeypatch.delenv(processors.EMULATE)
    monkeypatch.setattr(processors, "instructions", lambda: frozenset({"avx2"}))
    return file


def test_a_precision_that_is_missing_is_said_so(tmp_path: Path, stored: Path) -> None:
    """A new run does not begin with it, and no run goes on in another one unasked."""
    for options in ({"precision": "bfloat16"}, {"resume": stored}):
        with pytest.raises(MissingComponentError, match="no products in bfloat16") as e:
            prepared(tmp_path / "t.txt", **options)
        assert "precision" in (e.value.hint or "")


def test_a_run_can_go_on_in_float32(tmp_path: Path, stored: Path) -> None:
    """If it is told to, and the change is reported."""
    job = prepared(tmp_path / "t.txt", resume=stored, precision="float32")

    assert job.trainer.network.products is PLAIN
    notes = [str(Message(note)) for note in job.notes]
    assert "precision: bfloat16 before, float32 now" in notes


def test_what_is_evaluated_is_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the weights of the run, as the checkpoint will be used."""
    monkeypatch.setenv(processors.EMULATE, "1")
    trainer = prepared(tmp_path / "t.txt", precision="bfloat16", steps=8).trainer
    trainer.step(0.0)
    evaluated = trainer.averaged

    assert evaluated.products is PLAIN
    assert (evaluated.theta == trainer.network.theta).all()


def test_auto_is_float32() -> None:
    """It has not been shown that bfloat16 learns as well."""
    assert read(TrainConfig, {"precision": "auto"})["precision"] == "float32"


def test_files_of_float32_say_nothing_new() -> None:
    """Theirs is the oldest version that has all that they say; bfloat16's is newer."""
    found = {}
    for precision in ("float32", "bfloat16"):
        checkpoint = make_checkpoint()
        assert checkpoint.training is not None
        config = replace(checkpoint.training.config, precision=precision)
        checkpoint.training = replace(checkpoint.training, config=config)
        found[precision] = split(checkpoint_bytes(checkpoint))[0]
    plain, rounded = found["float32"], found["bfloat16"]

    assert plain["version"] == "1.0"
    assert "precision" not in plain["training"]["config"]
    assert rounded["version"] == "1.3"
    assert rounded["training"]["config"].pop("precision") == "bfloat16"
    assert rounded["training"] == plain["training"]


@compiled_only
def test_packing_takes_no_more_threads_than_the_network_has(form: str) -> None:
    """Outside of steps, too."""
    products, seen = bfloat16_products(form), []

    def pack(matrix: Any, packed: Any) -> None:
        seen.append(numba.get_num_threads())
        products.pack(matrix, packed)

    config = ModelConfig(cell="lstm", **SHAPE)
    Network(config, products=products._replace(pack=pack), threads=1).pack()

    assert set(seen) == {1}
