"""Weights from another model: matched by character, whatever their order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint import save
from charrnn.errors import OptionError
from charrnn.parameters import table
from charrnn.training.job import Job
from tests.training.support import TEXT, finish, prepared, run_of

#: Some characters of TEXT, some before and some after them.
OTHER = TEXT.replace("o", "é").replace("d", "!") + "~\n"


@pytest.fixture(params=["lstm", "gru", "rnn", "gru, lags"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    """Train a model a little, and leave it in m.npz."""
    cell, _, lagged = request.param.partition(", ")
    shape = {"cell": cell, "layers": 2, "lags": (1, 2) if lagged else (1,)}
    made = prepared(tmp_path / "t.txt", model=shape, steps=5)
    finish(run_of(made))
    save(tmp_path / "m.npz", made.checkpoint())
    return made


def adopted(tmp_path: Path, text: str, **options: Any) -> Job:
    """Begin with the weights of m.npz."""
    return prepared(tmp_path / "o.txt", text, init_from=tmp_path / "m.npz", **options)


def test_same_characters_same_model(source: Job, tmp_path: Path) -> None:
    """A text of fewer characters changes nothing: what is known stays known."""
    made = adopted(tmp_path, "the old sea\n" * 40)

    assert made.vocab.symbols == source.vocab.symbols
    assert (
        made.trainer.network.theta.tobytes() == source.trainer.network.theta.tobytes()
    )
    assert made.notes == ["all characters are known to the model"]
    decoded = made.vocab.decode(made.trainer.streams.ids)
    assert ("the old sea\n" * 40).startswith(decoded)


def test_rows_follow_their_characters(source: Job, tmp_path: Path) -> None:
    """Old rows move, new ones are those that the seed gives a new model."""
    made = adopted(tmp_path, OTHER, seed=8)
    old, new = source.vocab, made.vocab
    shape = source.trainer.network.config
    options = {
        "cell": shape.cell,
        "layers": shape.layers,
        "lags": shape.lags,
    }
    extra = set(old.symbols) - set(OTHER)
    fresh = prepared(
        tmp_path / "f.txt", OTHER + "".join(sorted(extra)), model=options, seed=8
    )

    assert set(new.symbols) == set(old.symbols) | set(OTHER)
    assert fresh.vocab.symbols == new.symbols
    by_character = {
        p.name for p in table(made.trainer.network.config) if p.by_character
    }
    for name, weights in made.trainer.network.weights.items():
        was = source.trainer.network.weights[name]
        if name not in by_character:
            np.testing.assert_array_equal(weights, was)
            continue
        for symbol in new.symbols:
            i, j = new.symbols.index(symbol), old.symbols.find(symbol)
            first = fresh.trainer.network.weights[name][i]
            np.testing.assert_array_equal(weights[i], was[j] if j >= 0 else first)


def test_running_averages_are_taken_over(tmp_path: Path) -> None:
    """What batch normalization evaluates with belongs to the weights."""
    norm = {"norm": "batch", "layers": 2}
    first = prepared(tmp_path / "t.txt", model=norm, steps=3)
    finish(run_of(first))
    model = first.trainer.network
    save(tmp_path / "m.npz", first.checkpoint())
    made = adopted(tmp_path, OTHER).trainer.network

    assert made.config.norm == "batch"
    assert len(made.norm.running) == 4
    for name, average in made.norm.running.items():
        np.testing.assert_array_equal(average, model.norm.running[name])
        assert len(set(average.tolist())) > 1


def test_text_is_translated_and_counted(source: Job, tmp_path: Path) -> None:
    made = adopted(tmp_path, OTHER, val_fraction=0.0)
    vocab = made.vocab

    assert vocab.decode(made.trainer.streams.ids) == OTHER
    assert dict(zip(vocab.symbols, vocab.counts, strict=True)) == {
        symbol: OTHER.count(symbol) for symbol in vocab.symbols
    }


def test_everything_but_the_weights_is_new(source: Job, tmp_path: Path) -> None:
    made = adopted(tmp_path, TEXT, lr=0.003)
    position = made.trainer.position

    assert (position.step, position.best_val_loss, position.recent) == (0, None, {})
    assert not any(array.any() for array in made.trainer.optimizer.moments.values())
    assert not made.trainer.state.any()
    assert made.history.rows == []
    assert position.config.lr == 0.003


def test_new_characters_are_named(source: Job, tmp_path: Path) -> None:
    assert adopted(tmp_path, OTHER).notes == [
        "3 new characters: '!' U+0021, '~' U+007E, 'é' U+00E9"
    ]
    many = adopted(tmp_path, TEXT + "".join(map(chr, range(0x400, 0x420)))).notes[0]
    assert many.startswith("32 new characters: ")
    assert many.endswith(" and 22 more")


def test_adopted_model_can_be_trained(source: Job, tmp_path: Path) -> None:
    """Its weights are packed: its first loss is where the source left off."""
    made = adopted(tmp_path, TEXT, steps=2)
    fresh = prepared(tmp_path / "f.txt", steps=2)

    going_on, beginning = (job.trainer.step(0.0).loss for job in (made, fresh))
    assert going_on is not None
    assert beginning is not None
    assert going_on < beginning


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model": {"hidden": 9}}, "hidden 9 (it has 8)"),
        ({"model": {"layers": 1}}, "layers 1 (it has 2)"),
        ({"model": {"norm": "layer"}}, "norm layer (it has none)"),
        ({"read": {"unit": "byte"}}, "bytes"),
    ],
)
def test_conflicts_are_refused(
    source: Job, tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(OptionError) as caught:
        adopted(tmp_path, TEXT, **options)

    assert named in str(caught.value)
    assert caught.value.hint


def test_same_shape_again_is_no_conflict(source: Job, tmp_path: Path) -> None:
    cell = source.trainer.network.config.cell
    made = adopted(tmp_path, TEXT, model={"hidden": 8, "cell": cell})

    assert made.trainer.network.config == source.trainer.network.config
