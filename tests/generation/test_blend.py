"""Texts by a network and a memory together: the same as by a plain loop."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.config import ModelConfig, SampleConfig
from charrnn.generation import Generation, Piece
from charrnn.memory import Memory
from charrnn.network import Network
from charrnn.sampling import Randomness, distribution
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from charrnn.windows import Window

NewNetwork = Callable[..., Network]

WITH = Vocab("\nabcde", (9, 2, 3, 4, 5, 6))
WITHOUT = Vocab("abcdef", (0, 9, 0, 1, 0, 0))

vocabularies = pytest.mark.parametrize(
    "vocab", [WITH, WITHOUT], ids=["with", "without"]
)

#: Some settings under which much of the text decides what may come.
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cold": {"temperature": 0.5, "top_k": 3},
    "biased": {"logit_bias": (("b", 2.0),), "ban": "c"},
}


def model_of(
    network: Network, vocab: Vocab, *, share: float = 0.4, lines: bool = False
) -> TextModel:
    """Give a network a memory of some text, which has phrases."""
    rng = np.random.default_rng(4)
    phrases = rng.integers(0, vocab.size, (6, 7))
    ids = phrases[rng.integers(0, 6, 40)].ravel().astype(np.uint8)
    alone = TextModel.of(network, vocab, lines=lines)
    memory = Memory(
        ids=ids,
        order=5,
        share=share,
        vocab_size=vocab.size,
        before=alone.documents.stand_in,
        newline=alone.documents.start,
    )
    return replace(alone, memory=memory)


def one_at_a_time(
    model: TextModel, config: SampleConfig, prompt: str = "", sample: int = 0
) -> tuple[str, float]:
    """Write one sample in a plain loop: its text, and its nats."""
    memory, documents, vocab = model.memory, model.documents, model.vocab
    assert memory is not None
    state = model.network.new_state(1)
    opening = model.opening()
    expected = np.zeros(vocab.size) if opening is None else opening

    def read(index: int) -> NDArray[Any]:
        inputs = np.array([[index]], np.int32)
        window = Window.of_inputs(inputs)._replace(resets=documents.begins(inputs))
        z = model.network.logits(window, state)[0, 0].astype(np.float64)
        p = np.exp(z - z.max())
        return p / p.sum()

    ids = vocab.encode(prompt).tolist()
    for index in [*([] if documents.before is None else [documents.before]), *ids]:
        expected = read(index)
    text, nats = "", 0.0
    for u in Randomness(config.seed).take(sample, config.length):
        p = expected
        if ids or documents.before is not None:  # or the opening is blended already
            counted = memory.distributions(np.array([*ids, 0], np.int32))[-1]
            p = memory.share * expected + (1 - memory.share) * counted
        with np.errstate(divide="ignore"):
            logits = np.log(p)
        for symbol, bias in config.logit_bias:
            logits[vocab.symbols.index(symbol)] += bias
        for symbol in config.ban:
            if symbol in vocab.symbols:
                logits[vocab.symbols.index(symbol)] = -np.inf
        shown = distribution(logits[None], config)[0]
        chosen = int(np.argmax(shown.cumsum() > u))
        text += vocab.symbols[chosen]
        nats -= np.log(p[chosen])
        ids.append(chosen)
        expected = read(chosen)
    return text, nats


def written(pieces: Iterator[Piece], count: int = 1) -> tuple[list[str], list[float]]:
    """Put the pieces of each sample together."""
    texts, nats = [""] * count, [0.0] * count
    for piece in pieces:
        texts[piece.sample] += piece.text
        nats[piece.sample] += piece.nats
    return texts, nats


def generate(
    model: TextModel, config: SampleConfig, *prompts: str, **options: Any
) -> list[str]:
    """Write all samples to their end."""
    ids = [model.vocab.encode(prompt) for prompt in prompts or ("",)]
    generation = Generation(model, ids, config, **options)
    return written(generation.pieces(), len(ids) * config.num_samples)[0]


@pytest.fixture(params=["rnn", "gru", "lstm"])
def network(request: pytest.FixtureRequest, new_network: NewNetwork) -> Network:
    config = ModelConfig(vocab_size=6, cell=request.param, hidden=5, layers=2)
    return new_network(config)


@vocabularies
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("prompt", ["", "bad", "deadbeadabed" * 3])
def test_characters_are_those_of_a_loop(
    network32: Network, vocab: Vocab, prompt: str, settings: dict[str, Any]
) -> None:
    """The network's share and the memory's, then the filters, and one draw."""
    model = model_of(network32, vocab)
    config = SampleConfig(length=60, num_samples=3, seed=2, **settings)
    generation = Generation(model, [vocab.encode(prompt)], config)
    texts, nats = written(generation.pieces(), 3)

    for sample in range(3):
        text, cost = one_at_a_time(model, config, prompt, sample)
        assert texts[sample] == text
        assert nats[sample] == pytest.approx(cost, rel=1e-4)
    assert texts != generate(model.blended(1), config, prompt)


@pytest.mark.parametrize("lines", [False, True])
def test_every_cell_is_blended(network: Network, lines: bool) -> None:
    """With lines as documents, too: the counts know where one begins."""
    model = model_of(network, WITH, lines=lines)
    config = SampleConfig(length=80, seed=3)
    (text,) = generate(model, config)

    assert "\n" in text
    assert text == one_at_a_time(model, config)[0]


@vocabularies
def test_a_share_of_one_is_the_network_alone(network32: Network, vocab: Vocab) -> None:
    config = SampleConfig(length=60, num_samples=2, seed=7)
    model = model_of(network32, vocab, share=1.0)
    bare = TextModel.of(network32, vocab)

    assert generate(model, config) == generate(bare, config)
    assert model.memory is not None
    assert "tables" not in vars(model.memory)


def test_no_share_is_the_counts_alone(network: Network, network32: Network) -> None:
    """Whatever network stands beside them."""
    config = SampleConfig(length=60, seed=7)
    one, other = (model_of(n, WITH, share=0.0) for n in (network, network32))

    assert generate(one, config) == generate(other, config)


def test_samples_do_not_depend_on_others(new_network: NewNetwork) -> None:
    """Side by side, in threads, with prompts of their own."""
    config = SampleConfig(length=40, num_samples=5, seed=5)
    prompts = ["dead", "", "b", "deadbead" * 4]
    shape = ModelConfig(vocab_size=6, cell="gru", hidden=5)
    network = new_network(shape)
    model = model_of(network, WITH)
    found = generate(model, config, *prompts)

    for number, text in enumerate(found):
        assert text == one_at_a_time(model, config, prompts[number // 5], number)[0]
    threaded = Network(shape, threads=2)
    threaded.load(network.tensors)
    assert generate(model_of(threaded, WITH), config, *prompts) == found


def test_a_prompt_in_slices_is_the_same_prompt(network32: Network) -> None:
    model, config = model_of(network32, WITH), SampleConfig(length=40, num_samples=2)
    prompt = WITH.encode("dead\nbed\nbad\ncad\n" * 3)
    whole = generate(model, config, "dead\nbed\nbad\ncad\n" * 3)

    for cuts in ([1], [7], [5, 5, 6, 30], [prompt.size - 1], [0, prompt.size]):
        *lead, last = np.split(prompt, cuts)
        generation = Generation(model, [last], config, lead=lead)
        assert written(generation.pieces(), 2)[0] == whole


def test_filters_of_n_grams_see_as_much_as_ever(network32: Network) -> None:
    """What the counts look back over is less."""
    config = SampleConfig(length=100, no_repeat=3, temperature=1.5)
    (text,) = generate(model_of(network32, WITH), config)
    grams = [text[at : at + 3] for at in range(98)]

    assert len(set(grams)) == 98


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_the_memory_is_not_copied(network32: Network, share: float) -> None:
    """Its text is what `no_copy` speaks of, where there is no other."""
    model = model_of(network32, WITH, share=share)
    assert model.memory is not None
    known = model.memory.ids.astype(np.int32)
    config = SampleConfig(length=200, no_copy=4, seed=1)
    (text,) = generate(model, config)
    remembered = WITH.decode(known)

    assert not any(text[at : at + 4] in remembered for at in range(197))
    assert generate(model, config, corpus=known) == [text]
    assert generate(model, config, corpus=WITH.encode("abc")) != [text]


def test_scores_are_those_of_the_blend(network32: Network) -> None:
    """Of the best of several, and of the likeliest characters beside each."""
    model = model_of(network32, WITH)
    config = SampleConfig(length=30, best_of=4, logprobs=6, seed=3)
    (piece,) = Generation(model, [WITH.encode("bad")], config).pieces()
    every = SampleConfig(length=30, num_samples=4, seed=3)
    costs = [one_at_a_time(model, every, "bad", sample) for sample in range(4)]

    assert piece.text == min(costs, key=lambda each: each[1])[0]
    for score in piece.scores:
        likeliest = dict(score.top)
        assert sum(np.exp(-nats) for nats in likeliest.values()) == pytest.approx(1)
        assert likeliest[score.symbol] == pytest.approx(score.nats)
