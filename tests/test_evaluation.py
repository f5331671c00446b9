"""The loss of a text: every character once, as in one unbroken pass."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn import evaluation
from charrnn.arrays import IGNORED, PackedIds
from charrnn.config import CellName, ModelConfig
from charrnn.evaluation import mean_loss, pieces
from charrnn.network import Network

NewNetwork = Callable[..., Network]

NEWLINE = 0


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let short texts be read in several pieces."""
    monkeypatch.setattr(evaluation, "MIN_PIECE", 64)


def text_of(length: int, seed: int = 3) -> PackedIds:
    """Random ids below 6; a fifth of them newlines."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, 6, length)
    return np.where(rng.random(length) < 0.2, NEWLINE, ids).astype(np.uint8)


def unbroken(model: Network, ids: PackedIds, newline: int | None) -> float:
    """Take the loss by its definition: one stream, from beginning to end."""
    wide = ids.astype(np.int32)
    inputs = np.concatenate([[5], wide[:-1]]).astype(np.int32)[:, None]
    resets = np.zeros(inputs.shape, np.uint8)
    resets[0] = 1
    if newline is not None:
        resets |= (inputs == newline).astype(np.uint8)
    losses = model.losses(inputs, wide[:, None], resets, model.new_state(1))
    return float(losses.sum()) / len(ids)


def scored(
    ids: PackedIds, before: int, newline: int | None
) -> Iterator[tuple[int, int, int]]:
    """List what is scored: piece, input and target, in the order of the windows."""
    for window in pieces(ids, before, newline):
        for t, b in np.argwhere(window.targets != IGNORED):
            yield int(b), int(window.inputs[t, b]), int(window.targets[t, b])


@given(
    length=st.integers(1, 700),
    shortest=st.integers(1, 90),
    most=st.integers(1, 9),
    warm_up=st.integers(0, 70),
    lines=st.booleans(),
)
def test_every_character_is_scored_once(
    length: int, shortest: int, most: int, warm_up: int, lines: bool
) -> None:
    """After the one before it, in order, in whatever pieces."""
    ids = text_of(length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "MIN_PIECE", shortest)
        patch.setattr(evaluation, "MAX_PIECES", most)
        patch.setattr(evaluation, "WARM_UP", warm_up)
        found = list(scored(ids, 5, NEWLINE if lines else None))
    by_piece = sorted(found, key=lambda item: item[0])
    inputs = [item[1] for item in by_piece]
    targets = [item[2] for item in by_piece]

    assert targets == ids.tolist()
    assert inputs == [5, *ids[:-1].tolist()]


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("length", [1, 63, 64, 500, 2048, 3001])
def test_pieces_score_as_one_pass(
    new_network: NewNetwork, cell: CellName, length: int
) -> None:
    """By the end of its warm-up a piece's state is that of the unbroken pass."""
    model = new_network(ModelConfig(vocab_size=6, cell=cell, hidden=8))
    ids = text_of(length)

    assert mean_loss(model, ids, 5) == pytest.approx(
        unbroken(model, ids, None), abs=1e-5
    )


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_lines_need_no_long_warm_up(
    new_network: NewNetwork, monkeypatch: pytest.MonkeyPatch, cell: CellName
) -> None:
    """Their states are cleared: all that counts is that a warm-up spans a line."""
    monkeypatch.setattr(evaluation, "MIN_PIECE", 64)
    monkeypatch.setattr(evaluation, "WARM_UP", 60)
    model = new_network(ModelConfig(vocab_size=6, cell=cell, hidden=8, layers=2))
    ids = text_of(2000)
    assert np.diff(np.flatnonzero(ids == NEWLINE)).max() < 60

    assert mean_loss(model, ids, 5, NEWLINE) == pytest.approx(
        unbroken(model, ids, NEWLINE), rel=1e-12
    )
    assert mean_loss(model, ids, 5, NEWLINE) != pytest.approx(mean_loss(model, ids, 5))


@pytest.mark.usefixtures("_small")
def test_threads_and_workspaces_change_nothing(new_network: NewNetwork) -> None:
    config = ModelConfig(vocab_size=6, hidden=9)
    one, two = new_network(config), Network(config, threads=2)
    two.load(dict(one.weights))
    ids = text_of(1500)

    assert mean_loss(one, ids, 5) == mean_loss(two, ids, 5) == mean_loss(one, ids, 5)


def test_loss_of_a_model_that_knows_nothing(new_network: NewNetwork) -> None:
    """Equal logits: the logarithm of the vocabulary's size."""
    model = new_network(ModelConfig(vocab_size=6, hidden=8))
    model.theta[:] = 0
    model.pack()

    assert mean_loss(model, text_of(100), 5) == pytest.approx(math.log(6), rel=1e-6)


def test_evaluation_keeps_weights_and_states(new_network: NewNetwork) -> None:
    """It works on a state of its own."""
    model = new_network(ModelConfig(vocab_size=6, hidden=8))
    before: NDArray[np.float32] = model.theta.copy()
    mean_loss(model, text_of(300), 5)

    np.testing.assert_array_equal(model.theta, before)
