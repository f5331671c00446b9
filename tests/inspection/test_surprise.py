import math

import numpy as np
import pytest

from charrnn.errors import CorpusError
from charrnn.inspection.records import as_json, tsv
from charrnn.inspection.surprise import (
    Costs,
    Surprise,
    SurpriseRows,
    losses,
    measure_surprise,
    regular,
)
from charrnn.network import Network
from charrnn.streams import initial_id
from charrnn.vocab import Vocab
from tests.inspection.support import TEXT, make_checkpoint

CHECKPOINT = make_checkpoint()
VOCAB = CHECKPOINT.vocab
IDS = VOCAB.encode(TEXT * 8)


@pytest.fixture(scope="module")
def model() -> Network:
    model = Network(CHECKPOINT.model)
    model.load(CHECKPOINT.parameters)
    return model


def measured(
    model: Network, *slices: np.ndarray, documents: bool = False, **options: int
) -> Surprise:
    costs = losses(model, VOCAB, slices, documents=documents)
    return measure_surprise(costs, VOCAB, **options)


@pytest.fixture(scope="module")
def view(model: Network) -> Surprise:
    return measured(model, IDS)


def whole_losses(model: Network, ids: np.ndarray, reset: bool = False) -> np.ndarray:
    """Losses of one window over the whole text."""
    inputs = np.concatenate([[initial_id(VOCAB)], ids[:-1]]).astype(np.int32)[:, None]
    resets = (inputs == VOCAB.newline_id) & reset
    return model.losses(
        inputs, ids[:, None], resets.astype(np.uint8), model.new_state(1)
    )[:, 0]


def test_the_total_is_the_sum_of_the_models_losses(model: Network, view: Surprise):
    nats = whole_losses(model, IDS)

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


def test_only_as_many_characters_as_wanted_are_kept(model: Network, view: Surprise):
    short = measured(model, IDS, keep=20, top=2)

    assert short.text == (TEXT * 8)[:20]
    assert short.char_bits == view.char_bits[:20]
    # The second line begins in the text that was kept, the third does not.
    assert short.lines == view.lines[:2]
    assert (short.bits, short.line_count) == (view.bits, view.line_count)
    assert short.worst == view.worst[:2]
    assert short.worst_lines == view.worst_lines[:2]
    assert measured(model, IDS, keep=0).lines == ()


def test_the_worst_lines_are_the_dearest_a_character(view: Surprise):
    ranked = sorted(view.lines, key=lambda line: -line.bits_per_char)

    assert view.line_count == len(view.lines) == 16
    assert list(view.worst_lines) == ranked[:5]


@pytest.mark.parametrize("cut", [1, 7, 255, 256, 257])
def test_slices_change_nothing_at_all(model: Network, view: Surprise, cut: int):
    slices = [IDS[a : a + cut] for a in range(0, IDS.size, cut)]

    assert measured(model, *slices, IDS[:0]) == view


def test_texts_are_cut_anew_in_regular_slices():
    parts = [np.arange(3), np.arange(0), np.arange(3, 11), np.arange(11, 12)]
    slices = [part.astype(np.int32) for part in parts]

    assert [part.tolist() for part in regular(slices, 5)] == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
        [10, 11],
    ]


def test_rows_can_be_made_while_the_text_is_read(model: Network, view: Surprise):
    """They are those of the whole view, and no more of the text is read than shown."""
    rows = SurpriseRows(VOCAB, losses(model, VOCAB, [IDS]))
    assert list(tsv(rows)) == list(tsv(view))

    def slices():
        yield IDS
        pytest.fail("read on")

    short = SurpriseRows(VOCAB, losses(model, VOCAB, slices()), 9)
    assert list(tsv(short)) == list(tsv(view))[:10]


def test_documents_begin_anew_at_every_newline(model: Network):
    found = measured(model, IDS, documents=True)

    assert found.nats == pytest.approx(whole_losses(model, IDS, reset=True).sum())
    # So every copy of a line costs the same.
    assert found.lines[0].bits == pytest.approx(found.lines[2].bits)


def test_the_state_is_carried_through_a_long_text(model: Network):
    """However long: one unbroken window gives the same numbers."""
    ids = np.random.default_rng(0).integers(0, VOCAB.size, 9000).astype(np.int32)
    found = measured(model, ids)

    nats = whole_losses(model, ids)
    assert found.char_bits == pytest.approx(nats / math.log(2), rel=1e-5)
    assert found.nats == pytest.approx(nats.sum(), rel=1e-7)


def test_a_text_of_one_character_has_one_line(model: Network):
    for text in ("t", "\n"):
        found = measured(model, VOCAB.encode(text))

        assert (found.characters, len(found.lines)) == (1, 1)
        assert found.bits == found.lines[0].bits == found.worst[0].bits


def test_an_empty_text_is_an_error(model: Network):
    with pytest.raises(CorpusError, match="empty"):
        measured(model, VOCAB.encode(""))
    with pytest.raises(CorpusError, match="empty"):
        measured(model)


def test_what_is_no_number_is_worst():
    costs = [Costs(IDS[:3], np.array([1.0, math.nan, 2.0]))]
    found = measure_surprise(costs, VOCAB, top=2)

    assert [c.position for c in found.worst] == [2, 3]
    assert as_json(found)["bits"] is None


def test_of_equal_ones_the_first_is_worst():
    found = measure_surprise([Costs(IDS[:9], np.ones(9))], VOCAB, top=3)

    assert [c.position for c in found.worst] == [1, 2, 3]


def test_without_a_newline_there_is_one_line_after_the_commonest_symbol(model: Network):
    vocab = Vocab(VOCAB.symbols.replace("\n", "\v"), VOCAB.counts)
    ids = vocab.encode("sea\vsea")
    found = measure_surprise(losses(model, vocab, [ids]), vocab)
    inputs = np.concatenate([[initial_id(vocab)], ids[:-1]]).astype(np.int32)
    zeros = np.zeros((ids.size, 1), np.uint8)
    nats = model.losses(inputs[:, None], ids[:, None], zeros, model.new_state(1))

    assert len(found.lines) == 1
    assert found.nats == pytest.approx(nats.sum())
