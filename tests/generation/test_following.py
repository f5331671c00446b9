"""Texts along a pattern: they match it, and the model decides what it leaves open."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config import ModelConfig, SampleConfig
from charrnn.errors import OptionError, VocabError
from charrnn.generation import Generation, Piece
from charrnn.network import Network
from charrnn.patterns import FAR, automaton_of
from charrnn.sampling import Randomness, distribution
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from charrnn.windows import Window
from tests.test_patterns import expressions

VOCAB = Vocab("\n 1abé", (9, 1, 2, 5, 3, 2))
NO_NEWLINE = Vocab(" 1abcé", (1, 2, 5, 3, 2, 2))


@pytest.fixture(scope="module")
def network() -> Network:
    """Build a network whose texts are varied."""
    network = Network(ModelConfig(vocab_size=6, cell="lstm", hidden=5, layers=2))
    network.theta[:] = np.random.default_rng(3).normal(0, 1, network.theta.size)
    network.pack()
    return network


def written(
    network: Network, vocab: Vocab = VOCAB, prompt: str = "", **options: Any
) -> list[Piece]:
    """Write samples to their ends: each in one piece."""
    config = SampleConfig(**{"length": 30, **options})
    model = TextModel.of(network, vocab)
    generation = Generation(model, [vocab.encode(prompt)], config)
    found: dict[int, list[Piece]] = {}
    for piece in generation.pieces():
        found.setdefault(piece.sample, []).append(piece)
    assert all(pieces[-1].finish for pieces in found.values())
    return [
        Piece(n, "".join(piece.text for piece in found[n]), finish=found[n][-1].finish)
        for n in range(len(found))
    ]


@settings(max_examples=40)
@given(
    pattern=expressions,
    length=st.integers(0, 12),
    seed=st.integers(0, 5),
    newline=st.booleans(),
    greedy=st.booleans(),
)
def test_every_sample_matches(
    network: Network, pattern: str, length: int, seed: int, newline: bool, greedy: bool
) -> None:
    options: dict[str, Any] = {"temperature": 0.0 if greedy else 1.5, "no_repeat": 2}
    vocab = VOCAB if newline else NO_NEWLINE
    options |= {"pattern": pattern, "length": length, "seed": seed, "num_samples": 3}
    distance = automaton_of(pattern, vocab.symbols).distance[0]
    try:
        found = written(network, vocab, **options)
    except VocabError:
        assert distance == FAR or distance > length
        return

    assert distance <= length
    for piece in found:
        assert re.fullmatch(pattern, piece.text)
        assert len(piece.text) <= length
        assert piece.finish in ("pattern", "length")


def expected(
    network: Network, pattern: str, sample: int, length: int, seed: int
) -> str:
    """Write one sample in a plain loop, with Python's `re` in the place of automata.

    What may come next is found by trying all texts that are not too long.
    """
    matches = re.compile(pattern).fullmatch
    symbols = VOCAB.symbols

    def may_go_on(text: str) -> bool:
        waiting = [text]
        for _ in range(length - len(text) + 1):
            if any(matches(one) for one in waiting):
                return True
            waiting = [one + symbol for one in waiting for symbol in symbols]
        return False

    state, text, config = network.new_state(1), "", SampleConfig(length=length)
    read = 0  # a newline is read first
    for u in Randomness(seed).take(sample, length):
        window = Window.of_inputs(np.array([[read]], np.int32))
        logits = network.logits(window, state)[0].astype(np.float64)
        coming = [len(text) < length and may_go_on(text + s) for s in symbols]
        if not any(coming):
            break
        if matches(text):
            coming[0] = True
        logits[:, [not may for may in coming]] = -np.inf
        p = distribution(logits, config)[0]
        read = int(np.argmax(p.cumsum() > u))
        if symbols[read] == "\n" and not may_go_on(text + "\n"):
            break
        text += symbols[read]
    return text


@pytest.mark.parametrize("pattern", ["a[ab]*1?", "(a|é ){1,2}", "[^1]*", "a{2}|b"])
def test_choice_is_the_models_among_what_is_possible(
    network: Network, pattern: str
) -> None:
    """Drawn by the same random numbers from the model's distribution, conditioned."""
    samples = written(network, pattern=pattern, length=4, num_samples=12, seed=7)
    texts = [piece.text for piece in samples]

    assert texts == [expected(network, pattern, n, 4, 7) for n in range(12)]
    assert len(set(texts)) > 1


def test_newline_ends_and_is_not_printed(network: Network) -> None:
    """Also where the text could go on, and its cost is not the text's."""
    found = written(network, pattern="[ab]*", num_samples=40, length=25)
    reasons = {piece.finish for piece in found}

    assert "pattern" in reasons
    assert not any("\n" in piece.text for piece in found)
    assert len({len(piece.text) for piece in found}) > 3


def test_end_within_the_length(network: Network) -> None:
    (piece,) = written(network, NO_NEWLINE, pattern="(?:ab)*", length=5)
    assert (piece.text, piece.finish) == ("abab", "length")
    (piece,) = written(network, NO_NEWLINE, pattern="a{3}", length=5)
    assert (piece.text, piece.finish) == ("aaa", "pattern")


def test_pattern_goes_with_what_ends_and_bans(network: Network) -> None:
    (piece,) = written(network, pattern="[ab1]{20}", stop=("b", "1"), seed=2)
    assert set(piece.text) <= {"a"}
    assert piece.finish == "stop"
    (piece,) = written(network, pattern="[^1]{9}", ban="ab", prompt="ab1")
    assert set(piece.text) <= set("\n é")
    (piece,) = written(network, pattern="(?:a\n){3}", lines=2)
    assert (piece.text, piece.finish) == ("a\na\n", "lines")


@pytest.mark.parametrize("many", [1, 7])
def test_text_is_the_same_alone_and_in_company(network: Network, many: int) -> None:
    threaded = Network(network.config, threads=3)
    threaded.theta[:] = network.theta
    threaded.pack()
    few, more = (
        written(
            used,
            pattern=r"[ab]{2,9}(?: \w+)*",
            prompt="a1",
            num_samples=count,
            best_of=2,
        )
        for used, count in ((network, many), (threaded, 9))
    )
    assert few == more[:many]


def test_nothing_possible_is_said(network: Network) -> None:
    with pytest.raises(VocabError, match="at character 2"):
        written(network, pattern="ax")
    with pytest.raises(VocabError, match="has 9 characters"):
        written(network, pattern="a{9}", length=8)
    with pytest.raises(OptionError, match="lookaround"):
        written(network, pattern="(?=a)")
