"""A model of text: what a text costs, and that everybody says the same of it."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint import CheckpointFile, load
from charrnn.config import ModelConfig, SampleConfig
from charrnn.errors import CountsError, OptionError
from charrnn.generation import Generation
from charrnn.inspection.predictions import distributions, predict
from charrnn.memory import Memory
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from charrnn.windows import Window
from tests.factories import TEXT, write_checkpoint

NewNetwork = Callable[..., Network]

WITH = Vocab("\nabcde", (1, 2, 3, 4, 5, 6))
WITHOUT = Vocab("abcdef", (0, 9, 0, 1, 0, 0))

vocabularies = pytest.mark.parametrize(
    "vocab", [WITH, WITHOUT], ids=["with", "without"]
)


def costs_of(model: TextModel, *slices: Any) -> tuple[list[int], list[float]]:
    """Characters of a text and what each costs."""
    parts = [*model.costs(slices)]
    ids = [index for part in parts for index in part.ids.tolist()]
    return ids, [nats for part in parts for nats in part.nats.tolist()]


def test_the_first_character_follows_the_counts(network32: Network) -> None:
    """Where nothing is read before it; of characters never seen all alike."""
    assert TextModel.of(network32, WITH).opening() is None
    assert TextModel.of(network32, WITH).opening_cost(2) == 0

    model = TextModel.of(network32, WITHOUT)
    opening = model.opening()
    assert opening is not None
    np.testing.assert_allclose(opening, [0, 0.9, 0, 0.1, 0, 0])
    assert model.opening_cost(1) == pytest.approx(-math.log(0.9))
    assert model.opening_cost(0) == math.inf
    unseen = TextModel.of(network32, Vocab("abcdef", (0,) * 6)).opening()
    assert unseen is not None
    np.testing.assert_allclose(unseen, 1 / 6)


def test_without_a_newline_the_text_itself_is_read_from_zeros(
    network32: Network,
) -> None:
    """The second character is predicted from the first and nothing else."""
    ids = WITHOUT.encode("bdbbdabc")
    found, nats = costs_of(TextModel.of(network32, WITHOUT), ids)
    window = Window.of_inputs(ids[:-1, None])._replace(targets=ids[1:, None])
    expected = network32.losses(window, network32.new_state(1))[:, 0]

    assert found == ids.tolist()
    assert nats == pytest.approx([-math.log(0.9), *expected])


def remembering(model: TextModel, share: float = 0.4) -> TextModel:
    """Give a model a memory of a text that has some phrases."""
    phrases = np.random.default_rng(8).integers(0, 6, (5, 6))
    memory = Memory(
        ids=np.tile(phrases, (8, 1)).ravel().astype(np.uint8),
        order=6,
        share=share,
        vocab_size=6,
        before=model.documents.stand_in,
        newline=model.documents.start,
    )
    return replace(model, memory=memory)


@vocabularies
@pytest.mark.parametrize("lines", [False, True])
def test_costs_are_the_same_however_a_text_is_cut(
    network32: Network, vocab: Vocab, lines: bool
) -> None:
    ids = np.random.default_rng(3).integers(0, 6, 600).astype(np.int32)
    ids[0] = 1
    alone, nothing = TextModel.of(network32, vocab, lines=lines), ids[:0]
    for model in (alone, remembering(alone)):
        whole = costs_of(model, ids)
        assert whole[0] == ids.tolist()
        for cuts in ([1], [0, 1, 2], [255, 256, 257, 512]):
            parts = np.split(ids, cuts)
            assert costs_of(model, nothing, *parts, nothing) == whole
        assert costs_of(model) == costs_of(model, nothing) == ([], [])


@vocabularies
@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("blended", [False, True])
def test_all_say_the_same_of_every_character(
    new_network: NewNetwork, vocab: Vocab, lines: bool, blended: bool
) -> None:
    """Costs, guesses, the loss of evaluation, and the nats of generating."""
    network = new_network(ModelConfig(vocab_size=6, cell="gru", hidden=5, layers=2))
    model = TextModel.of(network, vocab, lines=lines)
    if blended:
        model = remembering(model)
    generation = Generation(model, [vocab.encode("")], SampleConfig(length=60))
    pieces = list(generation.pieces())
    ids = vocab.encode("".join(piece.text for piece in pieces))
    _, nats = costs_of(model, ids)
    guesses = [(p.bits or 0) * math.log(2) for p in predict(model, ids).positions]
    first = model.documents.first

    assert len(nats) == 60
    assert sum(nats) == pytest.approx(sum(p.nats for p in pieces), rel=1e-5)
    assert nats == pytest.approx(guesses, rel=1e-4)
    text = vocab.decode(ids)
    assert model.loss(text) == pytest.approx(np.mean(nats[first:]), rel=1e-9)
    np.testing.assert_array_equal(model.surprise(text), nats)
    alone = costs_of(model.blended(1), ids)[1]
    assert model.mean_loss(ids.astype(np.uint8)) == pytest.approx(
        np.mean(alone[first:]), rel=1e-9
    )
    assert (nats != alone) == blended
    if lines and vocab is WITH:
        assert 0 in ids  # or there was no second line


@vocabularies
@pytest.mark.parametrize("lines", [False, True])
def test_a_blend_is_of_both(network32: Network, vocab: Vocab, lines: bool) -> None:
    """Share for share, from the first character on."""
    ids = np.random.default_rng(3).integers(0, 6, 300).astype(np.int32)
    ids[0] = 1
    model = remembering(TextModel.of(network32, vocab, lines=lines))
    assert model.memory is not None
    network = np.exp(-np.array(costs_of(model.blended(1), ids)[1]))
    counts = model.memory.probabilities(ids)

    for share in (0.0, 0.25, "0.25", 0.4, "auto"):
        found = costs_of(model.blended(share), ids)[1]
        part = 0.4 if share == "auto" else float(share)
        expected = -np.log(part * network + (1 - part) * counts)
        np.testing.assert_allclose(found, expected, 1e-6)
        text = vocab.decode(ids)
        np.testing.assert_array_equal(model.surprise(text, blend=share), found)
        assert model.loss(text, blend=share) == pytest.approx(
            np.mean(found[model.documents.first :]), rel=1e-6
        )
    rows = [*distributions(model, ids, 0)][:-1]
    found = costs_of(model, ids)[1]
    np.testing.assert_allclose(np.sum(rows, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(
        [-np.log(row[id_]) for row, id_ in zip(rows, ids, strict=True)], found, 1e-4
    )


def test_costs_of_a_long_text_by_the_network(network32: Network) -> None:
    """In pieces, as it is validated."""
    ids = np.random.default_rng(3).integers(0, 6, 5000).astype(np.int32)
    for vocab in (WITH, WITHOUT):
        model = TextModel.of(network32, vocab)
        first, found = model.documents.first, model.network_costs(ids)
        assert not found[:first].any()
        assert found[first:].mean() == pytest.approx(model.mean_loss(ids), rel=1e-12)
        np.testing.assert_allclose(
            found[first:2500], costs_of(model, ids)[1][first:2500]
        )
        blended = remembering(model)
        text = vocab.decode(ids)
        costs = costs_of(blended, ids)[1][first:]
        assert blended.loss(text) == pytest.approx(np.mean(costs), rel=1e-3)


def test_what_is_skipped_is_no_context(network32: Network) -> None:
    """A character that the model does not know might never have been there."""
    model = remembering(TextModel.of(network32, WITH))

    found = model.surprise("abXcdeXXab\nX", unknown="skip")

    np.testing.assert_array_equal(found, model.surprise("abcdeab\n"))


def test_a_blend_without_a_memory(network32: Network) -> None:
    """Is the network alone, and cannot be anything else."""
    model = TextModel.of(network32, WITH)

    for blend in ("auto", 1, "1.0"):
        assert model.blended(blend) is model
        assert model.sample(blend=blend, length=9, seed=1) == model.sample(
            length=9, seed=1
        )
    for predict_ in (model.sample, model.stream, model.loss, model.surprise):
        with pytest.raises(CountsError, match=r"blend=0\.5 needs a model") as caught:
            predict_("abc", blend=0.5)
        assert caught.value.hint is not None


def test_a_memory_knows_the_same_symbols(network32: Network) -> None:
    ids = np.zeros(3, np.uint8)
    memory = Memory(ids=ids, order=2, share=0.5, vocab_size=7, before=0)

    with pytest.raises(ValueError, match="7 symbols"):
        replace(TextModel.of(network32, WITH), memory=memory)


@pytest.mark.parametrize("blend", [-0.1, 1.5, np.nan, "half", ""])
def test_a_share_is_a_number_from_0_to_1(network32: Network, blend: Any) -> None:
    for model in (
        TextModel.of(network32, WITH),
        remembering(TextModel.of(network32, WITH)),
    ):
        with pytest.raises(OptionError, match="blend"):
            model.blended(blend)


def test_samples_are_blended(network32: Network) -> None:
    """As the share says; what was counted may be left out without naming it."""
    model = remembering(TextModel.of(network32, WITH), share=0.1)
    assert model.memory is not None
    texts = {
        share: model.sample(length=80, seed=4, blend=share)
        for share in ("auto", 0.1, 0.0, 1)
    }

    assert texts["auto"] == texts[0.1]
    assert len(set(texts.values())) == 3
    assert "".join(model.stream(length=80, seed=4)) == texts["auto"]
    bare = TextModel.of(network32, WITH)
    assert bare.sample(length=80, seed=4) == texts[1]
    known = WITH.decode(model.memory.ids.astype(np.int32))
    for blend in ("auto", 1):
        text = model.sample(length=80, seed=4, no_copy=4, blend=blend)
        assert not any(text[at : at + 4] in known for at in range(77))
    with pytest.raises(OptionError, match="no_copy needs corpus"):
        bare.sample(length=80, no_copy=4)
    with pytest.raises(OptionError, match="corpus does nothing without no_copy"):
        model.sample(length=80, corpus="t.txt")


def test_a_character_never_seen_does_not_make_a_loss_infinite(
    network32: Network,
) -> None:
    """It is no fault of the network, whose training would never have a best step."""
    model = TextModel.of(network32, WITHOUT)
    ids = WITHOUT.encode("abba")

    assert costs_of(model, ids)[1][0] == math.inf
    assert math.isfinite(model.mean_loss(ids.astype(np.uint8)))
    assert model.mean_loss(ids[:1].astype(np.uint8)) == 0


@pytest.mark.parametrize("lines", [False, True])
def test_a_checkpoint_has_all_of_it(tmp_path: Path, lines: bool) -> None:
    """Weights, running averages, vocabulary, and how documents begin."""
    path = write_checkpoint(tmp_path / "m.npz", norm="batch", lines=lines)
    whole = load(path)
    with CheckpointFile(path) as file:
        model = TextModel.read_from(file, threads=2)

    assert model.vocab == whole.vocab
    assert model.documents.before == whole.vocab.newline_id
    assert model.documents.start == (whole.vocab.newline_id if lines else None)
    for name, values in (whole.parameters | whole.statistics).items():
        np.testing.assert_array_equal(model.network.tensors[name], values)
    by_hand = Network(whole.model)
    by_hand.load(whole.parameters | whole.statistics)
    ids = whole.vocab.encode(TEXT)
    expected = TextModel.of(by_hand, whole.vocab, lines=lines)
    assert costs_of(model, ids) == costs_of(expected, ids)
