"""What a page knows of a text: the numbers of the views, rounded."""

from pathlib import Path

import numpy as np
import pytest

from charrnn.cells import cell_of
from charrnn.checkpoint import CheckpointFile
from charrnn.errors import CorpusError
from charrnn.inspection import exploration
from charrnn.inspection.asked import ViewOptions
from charrnn.inspection.exploration import Wish, explore, explore_views, room_for
from charrnn.inspection.inspected import InspectedCheckpoint
from charrnn.inspection.neurons import Wanted, measure_neurons
from charrnn.inspection.registry import view_named
from charrnn.inspection.text import InspectedText
from tests.factories import PAIRS_TEXT, TEXT, write_checkpoint


@pytest.fixture(params=["lstm", "gru", "rnn"])
def checkpoint(request, tmp_path: Path):
    path = write_checkpoint(tmp_path / "m.npz", cell=request.param)
    with CheckpointFile(path) as file:
        checkpoint = InspectedCheckpoint(
            file, ViewOptions(text=InspectedText(TEXT), top=3)
        )
        checkpoint.count()
        yield checkpoint


def test_units_are_those_of_the_network_to_two_decimals(checkpoint):
    config = checkpoint.file.model
    signals = cell_of(config.cell).signals
    wish = Wish(signals=signals, layers=(1, 0))
    found = explore(checkpoint.model, checkpoint.head(None), wish)

    parts = list(checkpoint.model.signals(checkpoint.head(None), signals))
    exact = np.concatenate(parts, axis=2).astype(np.float64)
    assert [(u.layer, u.signal) for u in found.units] == [
        (layer, signal) for layer in (1, 0) for signal in signals
    ]
    for units in found.units:
        values = exact[units.layer, signals.index(units.signal)].T
        assert units.step == -2
        shown = [[f"{v / 100:.2f}" for v in row] for row in units.values.tolist()]
        wanted = [[f"{v + 0.0:.2f}" for v in row] for row in values.tolist()]
        assert shown == [[w.replace("-0.00", "0.00") for w in row] for row in wanted]


@pytest.mark.parametrize(
    ("scale", "step"), [(1.27, -2), (1.28, -1), (12.7, -1), (100, 0), (1e9, 7)]
)
def test_large_numbers_have_fewer_decimals(scale, step):
    values = np.array([[scale, -scale, scale / 3, 0.0]], np.float32)
    found, rounded = exploration._rounded(values)

    assert found == step
    assert rounded.dtype == np.int8
    assert np.abs(rounded * 10.0**step - values).max() <= 0.51 * 10.0**step


def test_what_is_not_finite_has_a_step_too():
    step, rounded = exploration._rounded(np.array([[np.inf, -np.inf, np.nan]]))

    assert rounded.tolist() == [[100, -100, 0]]
    assert step == 36


def test_views_say_what_is_explored(checkpoint):
    surprise, following = (
        view_named("surprise").compute(checkpoint),
        view_named("next").compute(checkpoint),
    )
    ids = checkpoint.head(None)
    neurons = measure_neurons(checkpoint.model, ids, Wanted(signal="h"))

    assert explore_views(checkpoint, {}) is None
    found = explore_views(checkpoint, {"bits": surprise})
    assert found is not None
    assert (found.text, found.bits) == (TEXT, surprise.char_bits)
    assert (found.guesses, found.units, found.best) == ((), (), ())
    found = explore_views(checkpoint, {"guesses": following, "units": neurons})
    assert found is not None
    assert found.bits is None
    assert found.guesses == following.positions
    assert (found.best, found.signal) == (neurons.best, "h")
    assert len(found.units) == 2 * len(cell_of(checkpoint.file.model.cell).signals)


def test_a_page_has_room_for_so_much(monkeypatch):
    monkeypatch.setattr(exploration, "MOST_CHARACTERS", 100)
    monkeypatch.setattr(exploration, "MOST_VALUES", 1000)

    assert room_for(Wish(), 9999) == 100
    assert room_for(Wish(keep=7), 9999) == 7
    assert room_for(Wish(signals=("h", "c"), layers=(0,)), 10) == 50
    assert room_for(Wish(signals=("h",), layers=(0, 1)), 9999) == 1


def test_of_a_long_text_the_beginning_is_explored(checkpoint, monkeypatch):
    monkeypatch.setattr(exploration, "MOST_CHARACTERS", 10)
    surprise = view_named("surprise").compute(checkpoint)
    found = explore_views(checkpoint, {"bits": surprise})

    assert found is not None
    assert (found.text, found.characters) == (TEXT[:10], len(TEXT))
    assert found.bits == surprise.char_bits[:10]


def test_an_empty_text_cannot_be_explored(checkpoint):
    with pytest.raises(CorpusError, match="empty"):
        explore(checkpoint.model, checkpoint.head(0), Wish())


def test_of_pairs_it_is_told_what_was_only_read(tmp_path):
    path = write_checkpoint(tmp_path / "p.npz", PAIRS_TEXT, pairs=True)
    with CheckpointFile(path) as file:
        options = ViewOptions(text=InspectedText(PAIRS_TEXT), top=3)
        checkpoint = InspectedCheckpoint(file, options)
        checkpoint.count()
        surprise = view_named("surprise").compute(checkpoint)
        following = view_named("next").compute(checkpoint)
        found = explore_views(checkpoint, {"bits": surprise, "guesses": following})

    assert found is not None
    assert found.scored is not None
    assert found.text == PAIRS_TEXT
    assert found.bits is not None
    assert [bits is not None for bits in found.bits] == list(found.scored)
    assert [bool(at.top) for at in found.guesses] == list(found.scored)
