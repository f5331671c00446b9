"""The loss of a text: every character once, as in one unbroken pass."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn import windows
from charrnn.arrays import IGNORED, PackedIds
from charrnn.config import CellName, ModelConfig
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from charrnn.windows import Documents, Window

NewNetwork = Callable[..., Network]

NEWLINE = 0

#: What is read before a text is the character 5; a line ends with 0.
VOCAB = Vocab("\nabcde", (1,) * 6)
RUNNING = Documents(before=5, stand_in=5)
LINES = Documents(before=5, stand_in=5, start=NEWLINE)
#: Nothing is read before a text; windows have the character 5 in its place.
UNREAD = Documents(before=None, stand_in=5)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let short texts be read in several pieces."""
    monkeypatch.setattr(windows, "MIN_PIECE", 64)


def text_of(length: int, seed: int = 3) -> PackedIds:
    """Random ids below 6; a fifth of them newlines."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, 6, length)
    return np.where(rng.random(length) < 0.2, NEWLINE, ids).astype(np.uint8)


def loss_of(network: Network, ids: PackedIds, documents: Documents = RUNNING) -> float:
    """Compute the mean loss of a text under a network."""
    return TextModel(network, VOCAB, documents).mean_loss(ids)


def unbroken(network: Network, ids: PackedIds, newline: int | None) -> float:
    """Take the loss by its definition: one stream, from beginning to end."""
    wide = ids.astype(np.int32)
    inputs = np.concatenate([[5], wide[:-1]]).astype(np.int32)[:, None]
    resets = np.zeros(inputs.shape, np.uint8)
    resets[0] = 1
    if newline is not None:
        resets |= (inputs == newline).astype(np.uint8)
    window = Window(inputs, wide[:, None], resets)
    return float(network.losses(window, network.new_state(1)).sum()) / len(ids)


def scored(ids: PackedIds, documents: Documents) -> Iterator[tuple[int, int, int]]:
    """List what is scored: piece, input and target, in the order of the windows."""
    for window in documents.pieces(ids):
        for t, b in np.argwhere(window.targets != IGNORED):
            yield int(b), int(window.inputs[t, b]), int(window.targets[t, b])


@given(
    length=st.integers(1, 700),
    shortest=st.integers(1, 90),
    most=st.integers(1, 9),
    warm_up=st.integers(0, 70),
    documents=st.sampled_from([RUNNING, LINES, UNREAD]),
)
def test_every_character_is_scored_once(
    length: int, shortest: int, most: int, warm_up: int, documents: Documents
) -> None:
    """After the one before it, in order, in whatever pieces.

    But for the first one, where nothing is read that it could come after.
    """
    ids = text_of(length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "MIN_PIECE", shortest)
        patch.setattr(windows, "MAX_PIECES", most)
        patch.setattr(windows, "WARM_UP", warm_up)
        found = list(scored(ids, documents))
    by_piece = sorted(found, key=lambda item: item[0])
    inputs = [item[1] for item in by_piece]
    targets = [item[2] for item in by_piece]

    assert targets == ids[documents.first :].tolist()
    assert inputs == [5, *ids[:-1].tolist()][documents.first :]


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("length", [1, 63, 64, 500, 2048, 3001])
def test_pieces_score_as_one_pass(
    new_network: NewNetwork, cell: CellName, length: int
) -> None:
    """By the end of its warm-up a piece's state is that of the unbroken pass."""
    network = new_network(ModelConfig(vocab_size=6, cell=cell, hidden=8))
    ids = text_of(length)

    assert loss_of(network, ids) == pytest.approx(
        unbroken(network, ids, None), abs=1e-5
    )


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_lines_need_no_long_warm_up(
    new_network: NewNetwork, monkeypatch: pytest.MonkeyPatch, cell: CellName
) -> None:
    """Their states are cleared: all that counts is that a warm-up spans a line."""
    monkeypatch.setattr(windows, "MIN_PIECE", 64)
    monkeypatch.setattr(windows, "WARM_UP", 60)
    network = new_network(ModelConfig(vocab_size=6, cell=cell, hidden=8, layers=2))
    ids = text_of(2000)
    assert np.diff(np.flatnonzero(ids == NEWLINE)).max() < 60

    assert loss_of(network, ids, LINES) == pytest.approx(
        unbroken(network, ids, NEWLINE), rel=1e-12
    )
    assert loss_of(network, ids, LINES) != pytest.approx(loss_of(network, ids))


@pytest.mark.usefixtures("_small")
def test_threads_and_workspaces_change_nothing(new_network: NewNetwork) -> None:
    config = ModelConfig(vocab_size=6, hidden=9)
    one, two = new_network(config), Network(config, threads=2)
    two.load(dict(one.weights))
    ids = text_of(1500)

    assert loss_of(one, ids) == loss_of(two, ids) == loss_of(one, ids)


def test_loss_of_a_model_that_knows_nothing(new_network: NewNetwork) -> None:
    """Equal logits: the logarithm of the vocabulary's size."""
    network = new_network(ModelConfig(vocab_size=6, hidden=8))
    network.theta[:] = 0
    network.pack()

    assert loss_of(network, text_of(100)) == pytest.approx(math.log(6), rel=1e-6)


def test_evaluation_keeps_weights_and_states(new_network: NewNetwork) -> None:
    """It works on a state of its own."""
    network = new_network(ModelConfig(vocab_size=6, hidden=8))
    before: NDArray[np.float32] = network.theta.copy()
    loss_of(network, text_of(300))

    np.testing.assert_array_equal(network.theta, before)
