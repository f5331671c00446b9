from typing import Any

import numpy as np
import pytest

from charrnn.errors import CorpusError, OptionError
from charrnn.inspection.gates import AROUND, measure_gates
from charrnn.inspection.records import as_json, tsv
from charrnn.textmodel import TextModel
from tests.factories import PAIRS_TEXT, TEXT, make_checkpoint, model_of


def loaded(cell: str) -> TextModel:
    return model_of(make_checkpoint(cell=cell))


@pytest.mark.parametrize(("cell", "names"), [("gru", "ru"), ("lstm", "ifo")])
def test_means_and_shares_are_those_of_the_activations(cell, names):
    model = loaded(cell)
    ids = model.vocab.encode(TEXT * 9)
    view = measure_gates(model, ids)
    parts = model.signals(ids, tuple(names))
    x = np.concatenate(list(parts), axis=2)  # (L, S, T, H)

    assert [(g.layer, g.gate) for g in view.gates] == [
        (k, name) for k in range(2) for name in names
    ]
    for n, gate in enumerate(view.gates):
        values = x[n // len(names), n % len(names)]
        assert gate.means == pytest.approx(values.mean(axis=0), rel=1e-5)
        assert gate.shares_below == pytest.approx((values < 0.1).mean(axis=0))
        assert gate.shares_above == pytest.approx((values > 0.9).mean(axis=0))
        assert gate.mean == pytest.approx(values.mean(), rel=1e-5)
        assert gate.below == pytest.approx((values < 0.1).mean())
        assert gate.above == pytest.approx((values > 0.9).mean())
    # The random gates do saturate: otherwise this would show nothing.
    assert 0 < max(gate.below for gate in view.gates) < 1
    assert 0 < max(gate.above for gate in view.gates) < 1


def test_a_vanilla_cell_has_no_gates():
    model = loaded("rnn")

    assert measure_gates(model, model.vocab.encode(TEXT)).gates == ()


def test_one_layer_can_be_asked_for():
    model = loaded("gru")
    view = measure_gates(model, model.vocab.encode("t"), layer=1)

    assert [g.layer for g in view.gates] == [1, 1]
    with pytest.raises(OptionError, match="layer"):
        measure_gates(model, model.vocab.encode("t"), layer=2)


def test_an_empty_text_is_an_error():
    model = loaded("gru")
    with pytest.raises(CorpusError, match="empty"):
        measure_gates(model, model.vocab.encode(""))


def test_a_long_text_is_measured_at_its_beginning(monkeypatch):
    model = loaded("lstm")
    monkeypatch.setattr("charrnn.inspection.gates.MEASURED", 7)
    long = measure_gates(model, model.vocab.encode(TEXT))
    short = measure_gates(model, model.vocab.encode(TEXT[:7]))

    assert (long.characters, long.measured) == (len(TEXT), 7)
    assert long.gates == short.gates


def test_rows_and_json_have_the_same_numbers():
    model = loaded("lstm")
    view = measure_gates(model, model.vocab.encode(TEXT))
    header, *rows = [line.split("\t") for line in tsv(view)]

    assert header == ["layer", "gate", "unit", "mean", "below", "above"]
    assert len(rows) == 2 * 3 * 5
    gates = as_json(view)["gates"]
    means = [value for gate in gates for value in gate["means"]]
    assert [float(row[3]) for row in rows] == means


@pytest.mark.parametrize("cut", [len(PAIRS_TEXT), len(PAIRS_TEXT) - 5, 4])
def test_of_pairs_reading_and_writing_are_told_apart(cut: int):
    """Also where the text ends inside an output, and inside an input."""
    model = model_of(make_checkpoint(PAIRS_TEXT, pairs=True))
    text = PAIRS_TEXT[:cut]
    ids = model.vocab.encode(text)
    view = measure_gates(model, ids)
    parts = model.signals(ids, ("i", "f", "o"))
    x = np.concatenate(list(parts), axis=2).mean(axis=3)  # (L, S, T)
    places: list[int | None] = []
    for line in text.splitlines(keepends=True):
        end = line.find("\t")
        places += [n - end if end >= 0 else None for n in range(len(line))]

    def mean(gate: int, chosen: list[int]) -> Any:
        values = x[gate // 3, gate % 3, chosen]
        return pytest.approx(values.mean(), rel=1e-5) if chosen else None

    assert view.offsets == tuple(range(-AROUND, AROUND + 1))
    for n, gate in enumerate(view.gates):
        read = [t for t, place in enumerate(places) if place is None or place <= 0]
        written = [t for t in range(len(text)) if t not in read]
        assert gate.reading == mean(n, read)
        assert gate.writing == mean(n, written)
        assert gate.around is not None
        for offset, found in zip(view.offsets, gate.around, strict=True):
            at = [t for t, place in enumerate(places) if place == offset]
            assert found == mean(n, at)


def test_running_text_has_no_ends_of_inputs():
    model = loaded("lstm")
    view = measure_gates(model, model.vocab.encode(TEXT))

    assert view.offsets is None
    assert {(g.reading, g.writing, g.around) for g in view.gates} == {(None,) * 3}
