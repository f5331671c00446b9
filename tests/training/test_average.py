"""Averaged weights: a network of their own, with statistics made from them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.config import SampleConfig
from charrnn.generation import Generation
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.training import average as average_module
from charrnn.training.average import Average, batch_statistics
from charrnn.training.trainer import Trainer
from charrnn.vocab import Vocab
from charrnn.windows import Window
from tests.training.test_trainer import contents, take, trainer_of


def averaging(**options: Any) -> Trainer:
    """Make a trainer that averages, and has taken some steps."""
    trainer = trainer_of(norm="batch", ema=0.9, lr=0.05, **options)
    take(trainer, 9)
    return trainer


def outputs(network: Network, windows: list[Window]) -> list[NDArray[np.floating[Any]]]:
    """Compute what the only layer puts out, before it is normalized: (N, H) each."""
    plain = Network(replace(network.config, norm="none"))
    for name, values in plain.weights.items():
        values[...] = network.weights[name]
    plain.pack()
    state, found = plain.new_state(windows[0].inputs.shape[1]), []
    for window in windows:
        space = plain.forward(window, state, training=True)
        found.append(space.outputs[0].reshape(window.inputs.size, -1).copy())
    return found


def test_statistics_are_those_of_the_averaged_weights() -> None:
    """Means over windows, but for the first one, of their means and variances."""
    trainer = averaging()
    averaged, windows = trainer.averaged, list(trainer._last_windows())
    parts = outputs(averaged, windows)[1:]
    sizes = [len(part) for part in parts]
    mean = np.average([p.mean(axis=0) for p in parts], axis=0, weights=sizes)
    var = np.average([p.var(axis=0) for p in parts], axis=0, weights=sizes)
    running, latest = averaged.norm.running, batch_statistics(trainer.network, windows)

    assert len(parts) > 1
    np.testing.assert_allclose(running["layer0.running_mean"], mean, atol=1e-5)
    np.testing.assert_allclose(running["layer0.running_var"], var, rtol=1e-3)
    assert (latest["layer0.running_mean"] != running["layer0.running_mean"]).any()


def test_a_single_window_counts_itself() -> None:
    trainer = averaging()
    window = trainer.streams.window(0, 0)
    found = batch_statistics(trainer.averaged, [window])

    assert set(found) == set(trainer.averaged.norm.running)
    assert all(np.isfinite(values).all() for values in found.values())


@pytest.mark.promise(name="exact")
def test_statistics_depend_on_the_position_alone() -> None:
    """Not on whether, or how often, anybody has looked before."""
    looked, left = averaging(), trainer_of(norm="batch", ema=0.9, lr=0.05)
    for _ in range(9):
        left.averaged  # noqa: B018 - looking is what it is about
        take(left, 1)

    for name, values in looked.averaged.tensors.items():
        np.testing.assert_array_equal(values, left.averaged.tensors[name])


def test_looking_at_the_average_changes_nothing_that_a_step_reads() -> None:
    trainer, undisturbed = averaging(dropout=0.2), averaging(dropout=0.2)
    before = contents(trainer)
    averaged = trainer.averaged
    averaged.losses(trainer.streams.window(0, 0), averaged.new_state(4))

    assert contents(trainer) == before
    assert take(trainer, 3) == take(undisturbed, 3)


def test_a_sample_that_is_left_unfinished_gives_nothing_back() -> None:
    """The generator that makes it may be closed at any time, or never."""
    trainer, undisturbed = averaging(), averaging()
    vocab = Vocab("\nabcde", (1,) * 6)
    model = TextModel.of(trainer.averaged, vocab)
    generation = Generation(model, [vocab.encode("")], SampleConfig())
    pieces = generation.pieces()
    next(pieces)

    assert take(trainer, 5) == take(undisturbed, 5)
    del pieces
    assert contents(trainer) == contents(undisturbed)


def test_what_follows_from_the_weights_is_made_when_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once after a step, however often it is asked for; not in the steps."""
    made: list[int] = []
    real = average_module.batch_statistics

    def counted(network: Network, windows: Any) -> Any:
        made.append(1)
        return real(network, windows)

    monkeypatch.setattr(average_module, "batch_statistics", counted)
    trainer = averaging()
    assert not made
    assert trainer.averaged is trainer.averaged
    assert len(made) == 1
    take(trainer, 1)
    assert trainer.averaged is not trainer.network
    assert len(made) == 2
    trainer.restore(trainer.snapshot())
    assert trainer.averaged is not trainer.network
    assert len(made) == 3


def test_an_average_begins_as_a_copy() -> None:
    network = trainer_of(norm="batch").network
    average = Average(network, 0.5)
    network.theta[...] = 7.0

    assert not (average.theta == 7.0).any()
    average.update(network.theta, 1)
    assert not (average.theta == 7.0).any()
    assert (average.theta > 6.0).all()  # 9 parts of 10 are new at first
