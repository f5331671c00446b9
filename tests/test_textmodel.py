"""A model of text: what a text costs, and that everybody says the same of it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint import CheckpointFile, load
from charrnn.config import ModelConfig, SampleConfig
from charrnn.generation import Generation
from charrnn.inspection.predictions import predict
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


@vocabularies
@pytest.mark.parametrize("lines", [False, True])
def test_costs_are_the_same_however_a_text_is_cut(
    network32: Network, vocab: Vocab, lines: bool
) -> None:
    ids = np.random.default_rng(3).integers(0, 6, 600).astype(np.int32)
    ids[0] = 1
    model = TextModel.of(network32, vocab, lines=lines)
    whole = costs_of(model, ids)

    assert whole[0] == ids.tolist()
    nothing = ids[:0]
    for cuts in ([1], [0, 1, 2], [255, 256, 257, 512]):
        parts = np.split(ids, cuts)
        assert costs_of(model, nothing, *parts, nothing) == whole
    assert costs_of(model) == costs_of(model, nothing) == ([], [])


@vocabularies
@pytest.mark.parametrize("lines", [False, True])
def test_all_say_the_same_of_every_character(
    new_network: NewNetwork, vocab: Vocab, lines: bool
) -> None:
    """Costs, guesses, the loss of evaluation, and the nats of generating."""
    network = new_network(ModelConfig(vocab_size=6, cell="gru", hidden=5, layers=2))
    model = TextModel.of(network, vocab, lines=lines)
    generation = Generation(model, [vocab.encode("")], SampleConfig(length=60))
    pieces = list(generation.pieces())
    ids = vocab.encode("".join(piece.text for piece in pieces))
    _, nats = costs_of(model, ids)
    guesses = [p.bits * math.log(2) for p in predict(model, ids).positions]
    first = model.documents.first

    assert len(nats) == 60
    assert sum(nats) == pytest.approx(sum(p.nats for p in pieces), rel=1e-5)
    assert nats == pytest.approx(guesses, rel=1e-4)
    assert model.mean_loss(ids.astype(np.uint8)) == pytest.approx(
        np.mean(nats[first:]), rel=1e-9
    )
    if lines and vocab is WITH:
        assert 0 in ids  # or there was no second line


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
