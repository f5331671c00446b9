import math

import numpy as np
import pytest

from charrnn.config import ModelConfig, SampleConfig
from charrnn.errors import VocabError
from charrnn.generation import Generation
from charrnn.inspection.predictions import Predictions, predict
from charrnn.inspection.records import as_json, tsv
from charrnn.inspection.surprise import measure_surprise
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from tests.factories import PAIRS_TEXT, TEXT, make_checkpoint, model_of

CHECKPOINT = make_checkpoint(cell="gru")
VOCAB = CHECKPOINT.vocab
NO_NEWLINE = Vocab(VOCAB.symbols.replace("\n", "\v"), VOCAB.counts)
LONG = TEXT * 13  # two slices


@pytest.fixture(scope="module")
def model() -> TextModel:
    return model_of(CHECKPOINT)


@pytest.fixture(scope="module", params=[VOCAB, NO_NEWLINE], ids=["newline", "none"])
def either(request) -> TextModel:
    """Build the model with a newline in its vocabulary, and without."""
    return model_of(CHECKPOINT, request.param)


def expected(model: TextModel, text: str) -> np.ndarray:
    """Ask what sampling would draw from after a text."""
    vocab = model.vocab
    config = SampleConfig(length=1, logprobs=vocab.size)
    (piece,) = Generation(model, [vocab.encode(text)], config).pieces()
    nats = dict(piece.scores[0].top)
    return np.exp([-nats[symbol] for symbol in vocab.symbols])


@pytest.mark.parametrize("text", ["", "t", "the sea", LONG.replace("\n", " ")])
def test_what_comes_after_is_what_sampling_draws_from(either: TextModel, text: str):
    vocab = either.vocab
    found = predict(either, vocab.encode(text), top=3)
    p = expected(either, text)
    order = np.argsort(-p, kind="stable")[:3]

    assert [c.char for c in found.after] == [vocab.symbols[i] for i in order]
    assert [c.probability for c in found.after] == pytest.approx(p[order], rel=1e-5)
    assert found.entropy == pytest.approx(-(p * np.log2(p)).sum(), rel=1e-5)


def test_each_position_is_what_would_come_after_the_text_so_far(either: TextModel):
    text, vocab = "the sea", either.vocab
    found = predict(either, vocab.encode(text), top=2)

    for n, position in enumerate(found.positions):
        before = predict(either, vocab.encode(text[:n]), top=2)
        assert [c.char for c in position.top] == [c.char for c in before.after]
        p = expected(either, text[:n])
        actual = vocab.symbols.index(text[n])
        assert position.probability == pytest.approx(p[actual], rel=1e-5)
        better, as_good = p > p[actual] * 1.0001, p > p[actual] * 0.9999
        assert better.sum() < position.rank <= as_good.sum()


def test_positions_cost_what_surprise_says(either: TextModel):
    """The first one, too, which without a newline comes by the counts."""
    vocab = either.vocab
    ids = vocab.encode(LONG.replace("\n", " ") if vocab is NO_NEWLINE else LONG)
    bits = [p.bits for p in predict(either, ids).positions]

    surprise = measure_surprise(either.costs([ids]), vocab)
    assert bits == pytest.approx(surprise.char_bits, rel=1e-4)


@pytest.mark.parametrize("keep", [0, 1, 7, 256, 300, len(LONG), 9999])
def test_only_the_last_positions_are_kept(either: TextModel, keep: int):
    ids = either.vocab.encode(LONG.replace("\n", " "))
    whole = predict(either, ids)
    part = predict(either, ids, keep=keep)

    kept = whole.positions[max(0, len(LONG) - keep) :]
    assert [p.position for p in part.positions] == [p.position for p in kept]
    assert [p.bits for p in part.positions] == pytest.approx([p.bits for p in kept])
    assert part.after[0].probability == pytest.approx(whole.after[0].probability)


def test_rows_and_json_have_the_same_numbers(model: TextModel):
    found: Predictions = predict(model, VOCAB.encode("a\n"), top=2)
    header, *rows = [line.split("\t") for line in tsv(found)]
    data = as_json(found)

    assert header == ["position", "rank", "char", "probability", "bits", "actual"]
    places = [("1", "a"), ("1", "a"), ("2", "\\n"), ("2", "\\n"), ("3", ""), ("3", "")]
    assert [(row[0], row[5]) for row in rows] == places
    top = data["positions"][0]["top"] + data["positions"][1]["top"] + data["after"]
    assert [float(row[3]) for row in rows] == [choice["probability"] for choice in top]


def test_more_choices_than_symbols_are_all_of_them(model: TextModel):
    found = predict(model, VOCAB.encode("a"), top=10_000)

    assert len(found.after) == VOCAB.size
    assert math.fsum(c.probability for c in found.after) == pytest.approx(1)


def test_without_counts_the_first_character_is_anything():
    vocab = Vocab(NO_NEWLINE.symbols, (0,) * VOCAB.size)
    found = predict(model_of(CHECKPOINT, vocab), vocab.encode(""), top=1)

    assert found.after[0].probability == pytest.approx(1 / VOCAB.size)


def test_a_certain_character_costs_nothing():
    """And not minus nothing, as the logarithm of 1 would have it."""
    sure = Vocab("a", (1,))
    one = Network(ModelConfig(vocab_size=1, hidden=2))
    one.pack()
    found = predict(TextModel.of(one, sure), sure.encode("a"))

    numbers = [found.entropy, found.after[0].bits, found.positions[0].bits]
    assert [str(number) for number in numbers] == ["0.0"] * 3


def test_a_network_that_overflows_is_refused():
    """Its weights are finite, as a checkpoint's must be; its logits are not."""
    sound = make_checkpoint(cell="rnn")
    broken = Network(sound.model)
    broken.load({k: np.full_like(v, 3e38) for k, v in sound.parameters.items()})

    with pytest.raises(VocabError, match="not finite"):
        predict(TextModel.of(broken, VOCAB), VOCAB.encode("the sea"))


def test_of_pairs_nothing_is_expected_inside_an_input():
    model = model_of(make_checkpoint(PAIRS_TEXT, pairs=True))
    ids = model.vocab.encode(PAIRS_TEXT)
    found = predict(model, ids, top=3)
    bits = measure_surprise(model.costs([ids]), model.vocab).char_bits

    assert [at.bits for at in found.positions] == pytest.approx(bits)
    for at in found.positions:
        known = (at.probability, at.rank, at.top or None)
        assert (at.bits is None) == (known == (None, None, None))
    rows = [line.split("\t") for line in tsv(found)][1:]
    places = [n for n, cost in enumerate(bits, 1) if cost is not None]
    assert [int(row[0]) for row in rows[::3]] == [*places, ids.size + 1]


def test_the_ends_of_inputs_are_those_of_the_positions():
    model = model_of(make_checkpoint(PAIRS_TEXT, pairs=True))
    ids = model.vocab.encode("sea\tsea\nold\told")

    assert predict(model, ids).input_ends == (4, 12)
    assert predict(model, ids, keep=6).input_ends == (12,)
    assert predict(model, ids, keep=2).input_ends == ()
