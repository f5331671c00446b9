import math

import numpy as np
import pytest

from charrnn.errors import CorpusError
from charrnn.inspection import surprise
from charrnn.inspection.records import as_json, tsv
from charrnn.inspection.surprise import Surprise, measure_surprise
from charrnn.model import Model
from charrnn.streams import initial_id
from charrnn.vocab import Vocab
from tests.inspection.support import TEXT, make_checkpoint

CHECKPOINT = make_checkpoint()
VOCAB = CHECKPOINT.vocab
IDS = VOCAB.encode(TEXT * 8)


@pytest.fixture(scope="module")
def model() -> Model:
    model = Model(CHECKPOINT.model)
    model.load(CHECKPOINT.parameters)
    return model


@pytest.fixture(scope="module")
def view(model: Model) -> Surprise:
    return measure_surprise(model, VOCAB, IDS)


def whole_losses(model: Model, ids: np.ndarray, reset: bool = False) -> np.ndarray:
    """Losses of one window over the whole text."""
    inputs = np.concatenate([[initial_id(VOCAB)], ids[:-1]]).astype(np.int32)[:, None]
    resets = (inputs == VOCAB.newline_id) & reset
    return model.losses(
        inputs, ids[:, None], resets.astype(np.uint8), model.new_state(1)
    )[:, 0]


def test_the_total_is_the_sum_of_the_models_losses(model: Model, view: Surprise):
    nats = whole_losses(model, IDS)

    assert view.exact
    assert view.nats == pytest.approx(nats.sum(), rel=1e-12)
    assert view.bits == pytest.approx(nats.sum() / math.log(2), rel=1e-12)
    assert view.perplexity == pytest.approx(math.exp(nats.mean()))
    assert view.char_bits == pytest.approx(nats / math.log(2), rel=1e-9)


def test_lines_and_characters_add_up_to_the_total(view: Surprise):
    assert sum(line.bits for line in view.lines) == pytest.approx(view.bits)
    assert sum(view.char_bits) == pytest.approx(view.bits)
    assert sum(line.characters for line in view.lines) == view.characters
    lengths = [len(line) for line in (TEXT * 8).splitlines(keepends=True)]
    assert [line.characters for line in view.lines] == lengths


def test_the_worst_come_first_and_say_where_they_stand(view: Surprise):
    lines = (TEXT * 8).splitlines(keepends=True)
    bits = sorted(view.char_bits, reverse=True)

    assert [c.bits for c in view.worst] == bits[:5]
    for c in view.worst:
        assert lines[c.line - 1][c.column - 1] == c.char
        assert (TEXT * 8)[: c.position - 1].endswith(c.before)
        assert view.char_bits[c.position - 1] == c.bits


def test_rows_and_json_have_the_same_numbers(view: Surprise):
    header, *rows = [line.split("\t") for line in tsv(view)]
    found = as_json(view)

    assert header == ["line", "column", "bits", "char"]
    assert [float(row[2]) for row in rows] == found["char_bits"]
    assert [row[3] for row in rows[:3]] == list("the")
    assert rows[17][:2] == ["1", "18"]
    assert rows[17][3] == "\\n"
    assert rows[18][:2] == ["2", "1"]


def test_only_as_many_characters_as_wanted_are_kept(model: Model, view: Surprise):
    short = measure_surprise(model, VOCAB, IDS, keep=10, top=2)

    assert short.text == TEXT[:10]
    assert short.char_bits == view.char_bits[:10]
    assert (short.bits, short.lines) == (view.bits, view.lines)
    assert short.worst == view.worst[:2]


def test_documents_begin_anew_at_every_newline(model: Model):
    found = measure_surprise(model, VOCAB, IDS, documents=True)

    assert found.nats == pytest.approx(whole_losses(model, IDS, reset=True).sum())
    # So every copy of a line costs the same.
    assert found.lines[0].bits == pytest.approx(found.lines[2].bits)


def test_long_texts_are_read_in_pieces(model: Model, monkeypatch):
    """Each character once, and in its place; the state has warmed up."""
    ids = np.random.default_rng(0).integers(0, VOCAB.size, 9000).astype(np.int32)
    exact = measure_surprise(model, VOCAB, ids)
    monkeypatch.setattr(surprise, "EXACT", 1000)
    pieces = measure_surprise(model, VOCAB, ids)

    assert not pieces.exact
    assert pieces.bits == pytest.approx(exact.bits, rel=1e-4)
    assert pieces.char_bits == pytest.approx(exact.char_bits, abs=0.05)
    assert [c.position for c in pieces.worst] == [c.position for c in exact.worst]


def test_a_text_of_one_character_has_one_line(model: Model):
    for text in ("t", "\n"):
        found = measure_surprise(model, VOCAB, VOCAB.encode(text))

        assert (found.characters, len(found.lines)) == (1, 1)
        assert found.bits == found.lines[0].bits == found.worst[0].bits


def test_an_empty_text_is_an_error(model: Model):
    with pytest.raises(CorpusError, match="empty"):
        measure_surprise(model, VOCAB, VOCAB.encode(""))


def test_without_a_newline_there_is_one_line_after_the_commonest_symbol(model: Model):
    vocab = Vocab(VOCAB.symbols.replace("\n", "\v"), VOCAB.counts)
    ids = vocab.encode("sea\vsea")
    found = measure_surprise(model, vocab, ids)
    inputs = np.concatenate([[initial_id(vocab)], ids[:-1]]).astype(np.int32)
    zeros = np.zeros((ids.size, 1), np.uint8)
    nats = model.losses(inputs[:, None], ids[:, None], zeros, model.new_state(1))

    assert len(found.lines) == 1
    assert found.nats == pytest.approx(nats.sum())
