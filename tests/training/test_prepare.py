"""How a new run begins: its configuration, its notes, what it refuses."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.durations import Every
from charrnn.errors import CorpusError, OptionError
from charrnn.training.output import FileOutput
from charrnn.training.plan import Material, make_plan, nominal_speed, peak_rate
from charrnn.training.prepare import memory_estimate
from tests.training.support import (
    TEXT,
    checkpoint_bytes,
    finish,
    prepared,
    run_of,
)


def test_options_that_are_not_given_have_measured_values(tmp_path: Path) -> None:
    names = ("lr", "dropout", "weight_dropout", "ema", "patience")
    left: dict[str, Any] = dict.fromkeys(names)
    network = {"hidden": None, "cell": None, "norm": None}
    made = prepared(tmp_path / "t.txt", model=network, **left)
    train, vocab = made.trainer.streams.ids, made.vocab
    shape, config = make_plan(
        Material(len(train), len(vocab)),
        {},
        {"batch_size": 4, "seq_length": 8, "val_fraction": 0.2},
        nominal_speed,
    )

    assert made.trainer.network.config == shape
    assert made.trainer.config == config
    assert (config.steps, config.time) == (None, None)


@pytest.mark.parametrize("limit", ["steps", "time", "epochs"])
def test_a_limit_that_is_given_is_the_only_one(tmp_path: Path, limit: str) -> None:
    value = 1e-6 if limit == "time" else 7  # not enough for all passes
    given: dict[str, Any] = {limit: value}
    config = prepared(tmp_path / "t.txt", **given).trainer.config
    limits = {name: getattr(config, name) for name in ("steps", "time", "epochs")}

    assert limits == {"steps": None, "time": None, "epochs": None} | given


@pytest.mark.parametrize("steps", [400, 4000])
def test_rate_follows_from_the_network_and_the_run(tmp_path: Path, steps: int) -> None:
    model = {"hidden": 12, "layers": 3}
    made = prepared(tmp_path / "t.txt", model=model, lr=None, steps=steps)
    shape = ModelConfig(vocab_size=9, cell="gru", hidden=12, layers=3)

    assert made.trainer.config.lr == peak_rate(shape, steps)


def test_short_text_reduces_what_was_not_asked_for(tmp_path: Path) -> None:
    made = prepared(tmp_path / "t.txt", "abcdefghij" * 3, batch_size=None, seq_length=9)
    config = made.trainer.config

    assert (config.batch_size, config.seq_length) == (3, 9)
    assert any("batch_size=3" in note for note in made.notes)


def test_window_longer_than_the_text_is_refused_if_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="shorter than one window") as caught:
        prepared(tmp_path / "t.txt", "abcde" * 4, seq_length=21, val_fraction=0.0)
    assert caught.value.hint == (
        "leave seq_length away to have it fit; the most is seq_length=20"
    )


@pytest.mark.parametrize(("lines", "noun"), [(False, "characters"), (True, "lines")])
def test_more_streams_than_the_text_has(tmp_path: Path, lines: bool, noun: str) -> None:
    """Of characters, or of lines, if asked for."""
    with pytest.raises(CorpusError, match=f"more streams .* {noun}"):
        prepared(
            tmp_path / "t.txt",
            "abcd\n" * 4,
            seq_length=1,
            batch_size=21,
            val_fraction=0.0,
            lines=lines,
        )


def test_network_that_fits_no_checkpoint_is_refused_before_it_is_made(
    tmp_path: Path,
) -> None:
    """It would take tens of gigabytes first."""
    with pytest.raises(OptionError, match="parameters does not fit"):
        prepared(tmp_path / "t.txt", model={"hidden": 8192, "layers": 16})


def test_same_seed_same_beginning(tmp_path: Path) -> None:
    def beginning(**options: Any) -> bytes:
        made = prepared(tmp_path / "t.txt", **options)
        return made.trainer.network.theta.tobytes()

    assert beginning(seed=5) == beginning(seed=5, threads=2)
    assert beginning(seed=5) != beginning(seed=6)


def test_beginning_is_ready_to_be_used(tmp_path: Path) -> None:
    """Weights are packed: the first loss is that of an even guess."""
    made = prepared(tmp_path / "t.txt", steps=1)
    loss = made.trainer.step(0.0).loss

    assert loss == pytest.approx(np.log(len(made.vocab)), rel=0.1)


def test_fingerprint_names_files_without_their_directories(tmp_path: Path) -> None:
    corpus = prepared(tmp_path / "t.txt").fingerprint

    assert corpus.files == ("t.txt",)
    assert corpus.characters == len(TEXT)


@pytest.mark.parametrize(
    "options",
    [
        {"model": {"cell": "lstm", "hidden": 128}},
        {"model": {"cell": "gru", "hidden": 96, "layers": 3}, "dropout": 0.2},
        {"model": {"cell": "rnn", "hidden": 160}, "batch_size": 16, "seq_length": 16},
        {"optimizer": "sgd", "batch_size": 8, "model": {"hidden": 96}},
        {"model": {"hidden": 192, "layers": 2}, "ema": 0.9, "optimizer": "sgd"},
        {"model": {"hidden": 192}, "ema": 0.9, "weight_dropout": 0.2},
        {"model": {"hidden": 128, "norm": "batch"}, "ema": 0.9, "seq_length": 64},
        {"model": {"cell": "rnn", "hidden": 128, "norm": "layer"}, "batch_size": 64},
        {"model": {"cell": "rnn", "hidden": 160, "layers": 3}, "lines": True},
        {"model": {"cell": "rnn", "hidden": 160, "layers": 3}, "dropout": 0.2},
        {"model": {"cell": "gru", "hidden": 128, "layers": 2}, "precision": "bfloat16"},
    ],
)
def test_memory_is_estimated(tmp_path: Path, options: dict[str, Any]) -> None:
    """Within a fifth of the most that is allocated during a run.

    Averaged weights and the packed copies of all weights count as well.
    """

    def run() -> None:
        made = prepared(tmp_path / "t.txt", epochs=1.1, **options)
        if tracemalloc.is_tracing():
            tracemalloc.reset_peak()  # reading takes memory of its own
        with FileOutput(tmp_path / "m.npz", replace=True) as output:
            finish(run_of(made, output, eval_every=Every(steps=1)))

    run()  # compiles, which is not counted
    tracemalloc.start()
    run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # Of a job that has not run: what it makes room for later counts already.
    made = prepared(tmp_path / "t.txt", epochs=1.1, **options)
    estimate = memory_estimate(made, adds_to_best=True)
    assert estimate == pytest.approx(most, rel=0.2)


def test_finished_run_is_a_function_of_the_request(tmp_path: Path) -> None:
    def result() -> bytes:
        made = prepared(tmp_path / "t.txt", steps=12, lines=True, dropout=0.1)
        finish(run_of(made))
        checkpoint = made.checkpoint()
        return checkpoint_bytes(checkpoint)

    assert result() == result()
