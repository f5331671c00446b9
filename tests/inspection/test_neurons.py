"""Units and what they follow: planted signals, and correlations by hand."""

import json

import numpy as np
import pytest

from charrnn import textmodel, windows
from charrnn.cells import cell_of
from charrnn.config import ModelConfig
from charrnn.errors import CorpusError, OptionError
from charrnn.inspection.features import FEATURES, features
from charrnn.inspection.neurons import (
    Moments,
    Neurons,
    Wanted,
    measure_neurons,
    unit_values,
)
from charrnn.inspection.records import as_json, tsv
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.windows import Window
from tests import reference
from tests.factories import (
    PAIRS_TEXT,
    TEXT,
    make_checkpoint,
    make_vocab,
    model_of,
)

LONG_QUOTES = (
    "He said: “it is a long way to the sea, and no way back” and went (slowly).\n"
    "Nobody answered. “The tide comes in at five,\nand at six it is too late” she"
    " said, 12 times.\n\n"
) * 7
VOCAB = make_vocab(LONG_QUOTES)
PLANTED = 4


@pytest.fixture(scope="module")
def model() -> TextModel:
    """Build a network in which one unit latches at quotation marks."""
    config = ModelConfig(vocab_size=VOCAB.size, cell="rnn", hidden=7, layers=2)
    network = Network(config)
    rng = np.random.default_rng(3)
    network.theta[:] = rng.normal(0, 0.4, network.theta.size)
    Wx, Wh = network.weights["layer0.Wx"], network.weights["layer0.Wh"]
    Wx[:, PLANTED] = 0
    Wx[VOCAB.symbols.index("“"), PLANTED] = 9
    Wx[VOCAB.symbols.index("”"), PLANTED] = -9
    Wh[PLANTED] = 0
    Wh[PLANTED, PLANTED] = 3
    network.weights["layer0.b"][PLANTED] = 0
    network.pack()
    return TextModel.of(network, VOCAB)


def by_hand(model: TextModel, text: str) -> np.ndarray:
    """States of all layers after every character, (L, N, H), by the equations."""
    weights = {name: w.astype(np.float64) for name, w in model.network.weights.items()}
    ids = np.concatenate([VOCAB.encode("\n"), VOCAB.encode(text)])
    x, found = np.eye(VOCAB.size)[ids][:, None], []
    resets, none = np.zeros((ids.size, 1)), np.zeros(0)
    for k in range(2):
        Wx = weights[f"layer{k}.Wx"]
        zx = x @ (Wx if k == 0 else Wx.T) + weights[f"layer{k}.b"]
        state = np.zeros((1, 1, 7))
        x, _ = reference.run("rnn", zx, state, resets, weights[f"layer{k}.Wh"], none)
        found.append(x[1:, 0])
    return np.stack(found)


def test_the_planted_unit_is_found_with_the_correlation_computed_by_hand(model):
    view = measure_neurons(model, VOCAB.encode(LONG_QUOTES), Wanted())
    h = by_hand(model, LONG_QUOTES)
    inside, quoted = [], False
    for char in LONG_QUOTES:
        quoted = (quoted or char == "“") and char != "”"
        inside.append(quoted)
    correlations = [
        [np.corrcoef(h[k, :, u], inside)[0, 1] for u in range(7)] for k in range(2)
    ]

    best = next(item for item in view.best if item.feature == "quotes")
    assert (best.layer, best.unit) == (0, PLANTED)
    assert np.abs(correlations).argmax() == PLANTED
    assert best.correlation is not None
    assert best.correlation == pytest.approx(correlations[0][PLANTED], abs=1e-5)
    assert best.correlation > 0.9
    # From the very same activations it is the same but for rounding.
    (values,) = unit_values(model, VOCAB.encode(LONG_QUOTES), "h", [(0, PLANTED)])
    same = np.corrcoef(values, inside)[0, 1]
    assert best.correlation == pytest.approx(same, rel=1e-12)
    assert view.neurons[0].follows == "quotes"
    assert view.neurons[0].values == pytest.approx(values, abs=0)


def test_every_best_unit_is_the_one_that_numpy_finds(model):
    ids = VOCAB.encode(LONG_QUOTES)
    view = measure_neurons(model, ids, Wanted())
    places = [(k, u) for k in range(2) for u in range(7)]
    values = unit_values(model, ids, "h", places)
    followed = features(LONG_QUOTES)

    found = {item.feature: item for item in view.best}
    # Nothing in this text has braces, indentation or a tab.
    assert set(FEATURES) - set(found) == {"depth", "indentation", "output"}
    for name in set(FEATURES) & set(found):
        column = followed[:, FEATURES.index(name)]
        exact = [np.corrcoef(row, column)[0, 1] for row in values]
        n = int(np.abs(exact).argmax())
        assert (found[name].layer, found[name].unit) == places[n]
        assert found[name].correlation == pytest.approx(exact[n], rel=1e-9)
    n = int(values.std(axis=1).argmax())
    assert (found["variance"].layer, found["variance"].unit) == places[n]
    assert found["variance"].std == pytest.approx(values[n].std(), rel=1e-9)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_signals_are_those_of_the_equations(cell):
    """Layer by layer: the gates open h, and tanh(c) times o is h."""
    model = model_of(make_checkpoint(cell=cell))
    ids = model.vocab.encode(TEXT * 9)
    names = cell_of(cell).signals
    parts = list(model.signals(ids, names))
    found = dict(zip(names, np.concatenate(parts, axis=2).swapaxes(0, 1), strict=True))
    lead = np.concatenate([model.vocab.encode("\n"), ids])[:, None]
    network = model.network
    space = network.forward(Window.of_inputs(lead), network.new_state(1))

    assert found["h"].shape == (2, ids.size, 5)
    for k in range(2):
        assert found["h"][k] == pytest.approx(space.outputs[k][1:, 0], abs=1e-6)
        assert np.abs(found["h"]).max() <= 1
        if cell == "lstm":
            opened = found["o"][k] * found["c"][k]
            assert opened == pytest.approx(found["h"][k], abs=1e-6)
            c = space.tapes[k].states[1, :, 0]
            kept = found["f"][k] * c[1:-1]
            g = space.tapes[k].z[1:, 0, 15:]
            assert kept + found["i"][k] * g == pytest.approx(c[2:], abs=1e-5)
        if cell == "gru":
            h, n = space.tapes[k].states[0, :, 0], space.tapes[k].z[1:, 0, 10:]
            u = found["u"][k]
            assert (1 - u) * n + u * h[1:-1] == pytest.approx(found["h"][k], abs=1e-5)


def test_the_state_is_carried_through_all_slices(model, monkeypatch):
    ids = VOCAB.encode(LONG_QUOTES)
    whole = measure_neurons(model, ids, Wanted())
    monkeypatch.setattr(textmodel, "SLICE", 7)
    monkeypatch.setattr(windows, "STEPS", 5)
    parts = measure_neurons(model, ids, Wanted())

    assert parts.neurons[0].values == whole.neurons[0].values
    assert parts.neurons[0].correlation == pytest.approx(
        whole.neurons[0].correlation, rel=1e-12
    )


def test_documents_begin_anew_at_every_newline(model):
    ids = VOCAB.encode("He said\n" * 2)
    place = [(0, 0)]
    (running,) = unit_values(model, ids, "h", place)
    by_line = TextModel.of(model.network, VOCAB, lines=True)
    (lines,) = unit_values(by_line, ids, "h", place)

    assert lines[:8] == pytest.approx(lines[8:], abs=0)
    assert running[:8] != pytest.approx(running[8:], abs=1e-9)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_at_a_lines_end_units_show_what_they_held(cell):
    """Not the zeros that came after: the newline ends its own line.

    A line alone is read from the same zeros: its signals are the same.
    """
    text = "the sea\nold houses\n\nthe sea\n"
    model = model_of(make_checkpoint(cell=cell, lines=True))
    names = cell_of(cell).signals

    def read(text: str) -> np.ndarray:
        parts = list(model.signals(model.vocab.encode(text), names))
        return np.concatenate(parts, axis=2)

    lines = [read(line) for line in text.splitlines(keepends=True)]
    found = read(text)
    np.testing.assert_array_equal(found, np.concatenate(lines, axis=2))
    ends = [n for n, char in enumerate(text) if char == "\n"]
    assert np.abs(found[:, 0][:, ends]).min() > 0


def test_moments_are_exact_where_values_are_large():
    rng = np.random.default_rng(0)
    x = 1e6 + rng.normal(0, 1e-3, (500, 3))
    f = np.stack([x[:, 0] - 1e6, rng.integers(0, 2, 500)], axis=1)
    moments = Moments(3, 2)
    for part in np.array_split(np.arange(500), 9):
        moments.add(x[part], f[part])

    exact = np.corrcoef(np.concatenate([x - 1e6, f], axis=1).T)[:3, 3:]
    assert moments.correlations() == pytest.approx(exact, abs=1e-6)
    assert moments.deviations() == pytest.approx((x - 1e6).std(axis=0), rel=1e-6)


def test_what_never_changes_correlates_with_nothing(model):
    one = measure_neurons(model, VOCAB.encode("H"), Wanted())

    assert [item.feature for item in one.best] == ["variance"]
    assert set(one.neurons[0].correlations.values()) == {None}
    assert len(one.neurons[0].values) == 1
    json.dumps(as_json(one), allow_nan=False)


def test_units_are_shown_that_were_asked_for(model):
    ids = VOCAB.encode(LONG_QUOTES)
    view = measure_neurons(model, ids, Wanted(units=(5, PLANTED), layer=0))
    last = measure_neurons(model, ids, Wanted(units=(5,)))

    assert [(n.layer, n.unit) for n in view.neurons] == [(0, 5), (0, PLANTED)]
    assert view.neurons[1].follows == "quotes"
    assert all(item.layer == 0 for item in view.best)
    assert last.neurons[0].layer == 1


def test_only_as_many_characters_and_units_as_wanted_are_kept(model):
    ids = VOCAB.encode(LONG_QUOTES)
    whole = measure_neurons(model, ids, Wanted())
    short = measure_neurons(model, ids, Wanted(top=2, keep=10))

    assert short.best == whole.best
    assert (short.text, len(short.neurons)) == (LONG_QUOTES[:10], 2)
    assert short.neurons[0].values == whole.neurons[0].values[:10]


def test_a_long_text_is_measured_at_its_beginning(model, monkeypatch):
    monkeypatch.setattr("charrnn.inspection.neurons.MEASURED", 80)
    ids = VOCAB.encode(LONG_QUOTES)
    view = measure_neurons(model, ids, Wanted(keep=200))

    assert (view.measured, view.characters) == (80, ids.size)
    assert len(view.text) == len(view.neurons[0].values) == 200


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(signal="c"), "signal='c'"),
        (Wanted(layer=2), "layer must be at least 0 and at most 1"),
        (Wanted(units=(7,)), "unit must be at least 0 and at most 6"),
    ],
)
def test_what_the_model_does_not_have_is_an_error(model, wanted, message):
    with pytest.raises(OptionError, match=message):
        measure_neurons(model, VOCAB.encode("He"), wanted)


def test_an_empty_text_is_an_error(model):
    with pytest.raises(CorpusError, match="empty"):
        measure_neurons(model, VOCAB.encode(""), Wanted())


def test_rows_and_json_have_the_same_numbers(model):
    view: Neurons = measure_neurons(model, VOCAB.encode("He said: “i"), Wanted())
    header, *rows = [line.split("\t") for line in tsv(view)]
    found = as_json(view)

    assert header == list(Neurons.columns)
    values = [value for neuron in found["neurons"] for value in neuron["values"]]
    assert [float(row[-1]) for row in rows] == values
    assert [row[5] for row in rows[:3]] == ["H", "e", " "]
    assert float(rows[0][3]) == found["neurons"][0]["correlation"]


def test_of_pairs_it_is_told_where_inputs_end():
    model = model_of(make_checkpoint(PAIRS_TEXT, pairs=True))
    found = measure_neurons(model, model.vocab.encode(PAIRS_TEXT), Wanted(keep=14))

    assert found.text == PAIRS_TEXT[:14]  # the sea, a tab, sea
    assert found.input_ends == (8,)
    assert measured_running().input_ends is None


def measured_running() -> Neurons:
    model = model_of(make_checkpoint())
    return measure_neurons(model, model.vocab.encode(TEXT), Wanted())
