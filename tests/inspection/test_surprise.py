import math

import numpy as np
import pytest

from charrnn.errors import CorpusError
from charrnn.inspection.records import as_json, tsv
from charrnn.inspection.surprise import (
    Surprise,
    SurpriseRows,
    measure_surprise,
)
from charrnn.predictor import Costs
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from charrnn.windows import Window
from tests.factories import PAIRS_TEXT, TEXT, make_checkpoint, model_of

CHECKPOINT = make_checkpoint()
VOCAB = CHECKPOINT.vocab
IDS = VOCAB.encode(TEXT * 8)


@pytest.fixture(scope="module")
def model() -> TextModel:
    return model_of(CHECKPOINT)


def measured(model: TextModel, *slices: np.ndarray, **options: int) -> Surprise:
    return measure_surprise(model.costs(slices), model.vocab, **options)


@pytest.fixture(scope="module")
def view(model: TextModel) -> Surprise:
    return measured(model, IDS)


def numbers(view: Surprise) -> list[float]:
    """Give the bits of the characters that are scored."""
    return [bits for bits in view.char_bits if bits is not None]


def whole_losses(model: TextModel, ids: np.ndarray, reset: bool = False) -> np.ndarray:
    """Losses of one window over the whole text, which a newline stands before."""
    inputs = np.concatenate([[VOCAB.newline_id], ids[:-1]]).astype(np.int32)[:, None]
    resets = (inputs == VOCAB.newline_id) & reset
    window = Window(inputs, ids[:, None], resets.astype(np.uint8))
    return model.network.losses(window, model.network.new_state(1))[:, 0]


def test_the_total_is_the_sum_of_the_models_losses(model: TextModel, view: Surprise):
    nats = whole_losses(model, IDS)

    assert view.nats == pytest.approx(nats.sum(), rel=1e-12)
    assert view.bits == pytest.approx(nats.sum() / math.log(2), rel=1e-12)
    assert view.perplexity == pytest.approx(math.exp(nats.mean()))
    assert view.char_bits == pytest.approx(nats / math.log(2), rel=1e-9)


def test_lines_and_characters_add_up_to_the_total(view: Surprise):
    assert sum(line.bits for line in view.lines) == pytest.approx(view.bits)
    assert sum(numbers(view)) == pytest.approx(view.bits)
    assert sum(line.characters for line in view.lines) == view.characters
    lengths = [len(line) for line in (TEXT * 8).splitlines(keepends=True)]
    assert [line.characters for line in view.lines] == lengths


def test_the_worst_come_first_and_say_where_they_stand(view: Surprise):
    lines = (TEXT * 8).splitlines(keepends=True)
    bits = sorted(numbers(view), reverse=True)

    assert [c.bits for c in view.worst] == bits[:5]
    for c in view.worst:
        assert lines[c.line - 1][c.column - 1] == c.char
        assert (TEXT * 8)[: c.position - 1].endswith(c.before)
        assert len(c.before) == min(24, c.position - 1)
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


def test_only_as_many_characters_as_wanted_are_kept(model: TextModel, view: Surprise):
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
def test_slices_change_nothing_at_all(model: TextModel, view: Surprise, cut: int):
    slices = [IDS[a : a + cut] for a in range(0, IDS.size, cut)]

    assert measured(model, *slices, IDS[:0]) == view


def test_rows_can_be_made_while_the_text_is_read(model: TextModel, view: Surprise):
    """They are those of the whole view, and no more of the text is read than shown."""
    rows = SurpriseRows(VOCAB, model.costs([IDS]))
    assert list(tsv(rows)) == list(tsv(view))

    def slices():
        yield IDS
        pytest.fail("read on")

    short = SurpriseRows(VOCAB, model.costs(slices()), 9)
    assert list(tsv(short)) == list(tsv(view))[:10]


def test_documents_begin_anew_at_every_newline(model: TextModel):
    lines = TextModel.of(model.network, VOCAB, lines=True)
    found = measured(lines, IDS)

    assert found.nats == pytest.approx(whole_losses(model, IDS, reset=True).sum())
    # So every copy of a line costs the same.
    assert found.lines[0].bits == pytest.approx(found.lines[2].bits)


def test_the_state_is_carried_through_a_long_text(model: TextModel):
    """However long: one unbroken window gives the same numbers."""
    ids = np.random.default_rng(0).integers(0, VOCAB.size, 9000).astype(np.int32)
    found = measured(model, ids)

    nats = whole_losses(model, ids)
    assert found.char_bits == pytest.approx(nats / math.log(2), rel=1e-5)
    assert found.nats == pytest.approx(nats.sum(), rel=1e-7)


def test_a_text_of_one_character_has_one_line(model: TextModel):
    for text in ("t", "\n"):
        found = measured(model, VOCAB.encode(text))

        assert (found.characters, len(found.lines)) == (1, 1)
        assert found.bits == found.lines[0].bits == found.worst[0].bits


def test_an_empty_text_is_an_error(model: TextModel):
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


def test_without_a_newline_there_is_one_line_that_begins_by_the_counts():
    """The first character costs its share, and is the first that is read."""
    vocab = Vocab(VOCAB.symbols.replace("\n", "\v"), VOCAB.counts)
    ids, model = vocab.encode("sea\vsea"), model_of(CHECKPOINT, vocab)
    found = measured(model, ids)
    window = Window.of_inputs(ids[:-1, None])._replace(targets=ids[1:, None])
    nats = model.network.losses(window, model.network.new_state(1))
    share = vocab.counts[ids[0]] / sum(vocab.counts)

    assert len(found.lines) == 1
    assert found.char_bits[0] == pytest.approx(-math.log2(share))
    assert found.nats == pytest.approx(nats.sum() - math.log(share))


@pytest.fixture(scope="module")
def of_pairs() -> TextModel:
    return model_of(make_checkpoint(PAIRS_TEXT, pairs=True))


def test_of_pairs_outputs_alone_are_scored(of_pairs: TextModel):
    ids = of_pairs.vocab.encode(PAIRS_TEXT)
    found = measured(of_pairs, ids, top=100)
    lines = PAIRS_TEXT.splitlines(keepends=True)
    outputs = [line.partition("\t")[2] for line in lines]

    assert found.text == PAIRS_TEXT
    assert found.characters == len(found.worst) == len("".join(outputs))
    assert found.nats == pytest.approx(of_pairs.mean_loss(ids) * found.characters)
    assert [line.characters for line in found.lines] == list(map(len, outputs))
    assert found.line_count == len(lines)
    assert found.input_ends == tuple(
        n for n, symbol in enumerate(PAIRS_TEXT, 1) if symbol == "\t"
    )
    none = [n for n, bits in enumerate(found.char_bits) if bits is None]
    assert len(none) + found.characters == len(PAIRS_TEXT)
    assert sum(numbers(found)) == pytest.approx(found.bits)
    for line, item in zip(lines, found.lines, strict=True):
        start = sum(map(len, lines[: item.line - 1]))
        given = line.index("\t") + 1
        assert none[:given] == list(range(start, start + given))
        del none[:given]


def test_inputs_cost_nothing_in_rows_either(of_pairs: TextModel):
    ids = of_pairs.vocab.encode(PAIRS_TEXT)
    found = measured(of_pairs, ids)
    rows = list(SurpriseRows(of_pairs.vocab, of_pairs.costs([ids])).rows())

    assert rows == list(found.rows())
    assert [row[2] for row in rows[:8]] == [None] * 8  # "the sea" and the tab


def test_how_pairs_are_cut_changes_nothing(of_pairs: TextModel):
    ids = of_pairs.vocab.encode(PAIRS_TEXT)
    parts = [ids[:3], ids[3:9], ids[9:10], ids[10:]]

    assert measured(of_pairs, *parts) == measured(of_pairs, ids)
