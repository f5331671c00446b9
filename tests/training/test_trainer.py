"""One step: what it changes, what it depends on, and what it leaves alone."""

import math
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint import CorpusFingerprint, TrainingState
from charrnn.config import CellName, ModelConfig, NormName, OptimizerName, TrainConfig
from charrnn.streams import Streams
from charrnn.training.trainer import Trainer, new_network
from charrnn.vocab import Vocab
from charrnn.windows import Window

#: The largest of float32's numbers.
FARTHEST = np.finfo(np.float32).max

IDS = np.tile(np.array([0, 3, 1, 4, 1, 5, 2, 2, 4], np.uint8), 9)


def trainer_of(
    *,
    cell: CellName = "lstm",
    hidden: int = 8,
    norm: NormName = "none",
    threads: int = 1,
    **options: Any,
) -> Trainer:
    """Build a trainer on 81 characters: 6 windows of 4 x 4 an epoch."""
    config = TrainConfig(**{"batch_size": 4, "seq_length": 4, "steps": 50, **options})
    shape = ModelConfig(vocab_size=6, cell=cell, hidden=hidden, norm=norm)
    network = new_network(shape, config, threads)
    streams = Streams(IDS, config.batch_size, config.seq_length, before=0)
    return Trainer(network, streams, TrainingState(config=config))


def contents(trainer: Trainer) -> list[bytes]:
    """Everything that a step may change, bit for bit."""
    arrays = [*trainer.network.tensors.values(), trainer.state]
    arrays += trainer.optimizer.moments.values()
    arrays += [trainer.average.theta] if trainer.average is not None else []
    return [a.tobytes() for a in arrays] + [repr(trainer.position).encode()]


def take(trainer: Trainer, count: int) -> list[float]:
    """Take some steps; their losses."""
    results = (trainer.step(trainer.position.step / 50) for _ in range(count))
    return [result.loss for result in results if result.loss is not None]


GOLDEN: dict[CellName, list[float]] = {
    "lstm": [
        1.89508, 1.85675, 1.78248, 1.75483, 1.76192, 1.70278, 1.69167, 1.65847,
        1.63860, 1.65782, 1.77181, 1.26708, 1.66558, 1.63732, 1.61398, 1.71438,
        1.65380, 1.19037, 1.56285, 1.54628,
    ],
    "gru": [
        1.82490, 1.70645, 1.72277, 1.65599, 1.62029, 1.40748, 1.54997, 1.46709,
        1.47280, 1.47168, 1.43692, 1.11758, 1.42806, 1.26134, 1.25569, 1.32292,
        1.21380, 0.73627, 1.16804, 1.07317,
    ],
    "rnn": [
        1.71442, 1.63131, 1.48239, 1.38975, 1.28583, 1.48379, 1.51428, 1.10499,
        1.07897, 0.95885, 1.02203, 0.95350, 1.24143, 0.89209, 0.81969, 0.86422,
        0.82927, 0.66881, 1.14560, 0.74129,
    ],
}  # fmt: skip


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_losses_are_those_of_the_past(cell: CellName) -> None:
    """Twenty losses at a fixed seed, over three epochs, with most options in use.

    They change only when the arithmetic does, which must be on purpose.
    """
    trainer = trainer_of(
        cell=cell, lr=0.02, warmup=0.02, dropout=0.1, weight_decay=0.1, seed=7
    )

    np.testing.assert_allclose(take(trainer, 20), GOLDEN[cell], rtol=1e-3)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("threads", [1, 2])
def test_restored_snapshot_leads_to_the_same_place(
    threads: int, norm: NormName
) -> None:
    """Again and again: a snapshot is not touched by what comes after it."""
    trainer = trainer_of(
        dropout=0.3, weight_dropout=0.2, ema=0.9, threads=threads, norm=norm
    )
    take(trainer, 5)
    snapshot, before = trainer.snapshot(), contents(trainer)
    take(trainer, 4)
    after = contents(trainer)

    for _ in range(2):
        trainer.restore(snapshot)
        assert contents(trainer) == before
        take(trainer, 4)
        assert contents(trainer) == after


def test_threads_change_nothing() -> None:
    one, two = (
        trainer_of(dropout=0.3, weight_dropout=0.3, ema=0.9, hidden=9, threads=threads)
        for threads in (1, 2)
    )

    assert take(one, 8) == take(two, 8)
    assert contents(one) == contents(two)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad", "sgd"])
def test_every_optimizer_learns(cell: CellName, optimizer: Any) -> None:
    lr = {"adam": 0.02, "rmsprop": 0.01, "adagrad": 0.1, "sgd": 1.0}[optimizer]
    trainer = trainer_of(cell=cell, optimizer=optimizer, lr=lr, schedule="constant")
    losses = take(trainer, 48)

    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_warming_up_changes_nothing(norm: NormName) -> None:
    trainer = trainer_of(dropout=0.5, weight_dropout=0.5, ema=0.9, norm=norm)
    take(trainer, 3)
    before = contents(trainer)
    trainer.warm_up()

    assert contents(trainer) == before


@pytest.mark.parametrize("broken", [(math.nan, 1.0), (1.0, math.nan), (1.0, math.inf)])
def test_a_step_that_is_not_finite_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, broken: tuple[float, float]
) -> None:
    """Whether it is the loss or the gradient: weights and moments stay."""
    trainer = trainer_of()
    take(trainer, 2)

    def fail(*arguments: Any) -> float:
        dtheta = arguments[2]
        dtheta[3] = broken[1]
        return broken[0]

    monkeypatch.setattr(trainer.network, "loss_and_gradient", fail)
    before = contents(trainer)
    result = trainer.step(0.0)

    assert not result.finite
    assert contents(trainer) == before


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "rmsprop", "adam"])
def test_a_step_that_ruins_a_weight_is_not_finite(
    monkeypatch: pytest.MonkeyPatch, optimizer: OptimizerName, place: int
) -> None:
    """An input weight of a gate, too, which no loss would ever tell of."""
    trainer = trainer_of(optimizer=optimizer, schedule="constant", warmup=0.0, lr=1e37)
    monkeypatch.setattr(trainer.network, "loss_and_gradient", gradient_of(1.0))
    before, place_before = contents(trainer), trainer.snapshot()
    trainer.network.theta[place] = -FARTHEST
    result = trainer.step(0.0)

    assert (result.loss, math.isfinite(result.grad_norm)) == (1.0, True)
    assert not result.finite
    assert np.isinf(trainer.network.theta[place])
    trainer.restore(place_before)
    assert contents(trainer) == before
    assert trainer.step(0.0).finite
    assert trainer.position.step == 1


@pytest.mark.parametrize("what", ["state", "averages of batches"])
def test_what_goes_with_the_weights_is_looked_at_too(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    trainer = trainer_of(norm="batch")
    take(trainer, 1)
    averages = next(iter(trainer.network.norm.running.values()))
    plain = gradient_of(1.0)

    def loss_and_gradient(*arguments: Any) -> float:
        (arguments[1] if what == "state" else averages)[0] = -math.inf
        return plain(*arguments)

    monkeypatch.setattr(trainer.network, "loss_and_gradient", loss_and_gradient)

    assert not trainer.step(0.0).finite


def gradient_of(value: float) -> Any:
    """Replace the model's gradient by one that is the same everywhere."""

    def loss_and_gradient(*arguments: Any) -> float:
        arguments[2][...] = value
        return 1.0

    return loss_and_gradient


def test_rate_after_a_rollback_is_scaled() -> None:
    trainer = trainer_of(schedule="constant", warmup=0.0, lr=0.1)
    trainer.position.lr_scale = 0.25

    assert trainer.step(0.0).lr == pytest.approx(0.025)


def test_dropout_depends_on_seed_and_step_only() -> None:
    """So a resumed run needs no state of a random generator."""
    trainer = trainer_of(dropout=0.25, seed=3)
    first = trainer._noise(16)
    take(trainer, 1)
    second = trainer._noise(16)
    trainer.position.step = 0
    again, other = trainer._noise(16), trainer_of(dropout=0.25, seed=4)._noise(16)

    assert first is not None
    assert second is not None
    assert again is not None
    assert other is not None
    assert first.threshold == 64
    np.testing.assert_array_equal(first.bytes, again.bytes)
    assert (first.bytes != second.bytes).any()
    assert (first.bytes != other.bytes).any()
    assert trainer_of()._noise(16) is None


def test_noise_of_weights_is_like_that_of_outputs_but_another() -> None:
    trainer = trainer_of(dropout=0.5, weight_dropout=0.25, seed=3)
    first, outputs = trainer._weight_noise(), trainer._noise(16)
    take(trainer, 1)
    second = trainer._weight_noise()

    assert first is not None
    assert second is not None
    assert outputs is not None
    assert first.threshold == 64
    assert first.bytes.shape == (1, 32, 8)
    assert (first.bytes != second.bytes).any()
    assert first.bytes.tobytes()[:64] != outputs.bytes.tobytes()[:64]
    assert trainer_of(dropout=0.5)._weight_noise() is None


def test_average_is_the_mean_that_its_definition_gives() -> None:
    """Short of memory at first, of the decay's later; the model has it on loan."""
    trainer = trainer_of(ema=0.6, lr=0.05)
    expected = trainer.network.theta.astype(np.float64)
    for n in range(1, 31):
        take(trainer, 1)
        decay = min(0.6, n / (n + 9))
        expected = decay * expected + (1 - decay) * trainer.network.theta
    latest, before = trainer.network.theta.copy(), contents(trainer)
    window = Window.of_inputs(np.array([[1, 2]], np.int32))
    state = trainer.network.new_state(2)

    assert trainer.average is not None
    np.testing.assert_allclose(trainer.average.theta, expected, rtol=1e-4, atol=1e-6)
    now = trainer.network.logits(window, state.copy())
    averaged = trainer.averaged
    assert averaged.theta.tobytes() == trainer.average.theta.tobytes()
    assert (averaged.logits(window, state.copy()) != now).any()
    assert trainer.network.theta.tobytes() == latest.tobytes()
    np.testing.assert_array_equal(trainer.network.logits(window, state.copy()), now)
    assert contents(trainer) == before


def test_checkpoint_has_the_average_and_what_goes_on_from_it() -> None:
    trainer = trainer_of(ema=0.9)
    take(trainer, 8)
    vocab = Vocab("abcdef", (1,) * 6)
    checkpoint = trainer.checkpoint(vocab, CorpusFingerprint((), 81, 81, "0"), [])
    tensors = checkpoint.tensors()
    first = tensors["layer0.Wh"]

    assert trainer.average is not None
    assert tensors["latest"].tobytes() == trainer.network.theta.tobytes()
    assert np.shares_memory(first, trainer.average.theta)
    assert (first != trainer.network.weights["layer0.Wh"]).any()
    np.testing.assert_array_equal(first, trainer.averaged.weights["layer0.Wh"])


def test_nothing_is_averaged_unless_asked_for() -> None:
    trainer = trainer_of()
    take(trainer, 2)

    assert trainer.averaged is trainer.network
    assert trainer.average is None


def test_epochs_are_counted_with_fraction() -> None:
    trainer = trainer_of()
    windows = trainer.streams.windows
    take(trainer, windows + 2)

    assert (trainer.position.epoch, trainer.position.window) == (1, 2)
    assert trainer.epochs == pytest.approx(1 + 2 / windows)


def test_total_steps_are_those_of_the_nearer_limit() -> None:
    windows = trainer_of().streams.windows

    assert trainer_of(steps=None).total_steps is None
    assert trainer_of(steps=5, epochs=9.0).total_steps == 5
    assert trainer_of(steps=500, epochs=9.0).total_steps == 9 * windows
    assert trainer_of(steps=None, epochs=1.5).total_steps == 3 * windows // 2
    assert trainer_of(steps=None, epochs=1e-6).total_steps == 1


def test_steps_on_an_earlier_text_do_not_count_as_epochs() -> None:
    trainer = trainer_of(steps=None, epochs=2.0)
    trainer.position.step, trainer.position.epoch = 1000, 0

    assert trainer.total_steps == 1000 + 2 * trainer.streams.windows
