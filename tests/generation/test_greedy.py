"""Outputs of many inputs at once are those of each alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from charrnn.arrays import Ids
from charrnn.checkpoint import Remembered
from charrnn.config import ModelConfig, SampleConfig
from charrnn.generation import Generation, Stopped, decode
from charrnn.generation.greedy import ROWS
from charrnn.network import Network
from charrnn.pairs import Pairs
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab

NewNetwork = Callable[..., Network]

VOCAB = Vocab("\t\nabcd", (1, 2, 3, 4, 5, 6))
TAB, NEWLINE = 0, 1


def a_model(new_network: NewNetwork, **options: Any) -> TextModel:
    """Make a model of pairs that ends its outputs somewhere."""
    network = new_network(ModelConfig(vocab_size=len(VOCAB), hidden=12))
    rng = np.random.default_rng(3)
    network.theta[...] = rng.normal(0, 0.8, network.theta.size)
    network.parameters.by[NEWLINE] += 4
    network.pack()
    model = TextModel.of(network, VOCAB, pairs=True)
    if not options.get("memory"):
        return model
    text = VOCAB.encode("ab\tcd\nabc\tba\nd\tabcd\n" * 4).astype(np.uint8)
    return model.remembering(Remembered(ids=text, order=4, share=0.3))


def some_inputs(count: int) -> list[Ids]:
    """Draw inputs of many lengths, the empty one among them."""
    rng = np.random.default_rng(count)
    sizes = rng.integers(0, 12, count)
    return [rng.integers(2, 6, size).astype(np.int32) for size in sizes]


def slowly(model: TextModel, given: Ids, longest: int) -> list[int]:
    """Write one output as any text is sampled."""
    config = SampleConfig(temperature=0.0, length=longest, stop=("\n",))
    prompt = np.append(given, TAB).astype(np.int32)
    pieces = Generation(model, [prompt], config).pieces()
    return VOCAB.encode("".join(piece.text for piece in pieces)).tolist()


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_gives_what_each_input_gives_alone(
    new_network: NewNetwork, memory: bool, threads: int
) -> None:
    model = a_model(new_network, memory=memory)
    model.network.threads = threads
    inputs = some_inputs(ROWS + 40)
    outputs = [out.tolist() for out in decode(model, inputs, 30)]

    assert len({len(out) for out in outputs}) >= 3
    for given, output in list(zip(inputs, outputs, strict=True))[::20]:
        (alone,) = decode(model, [given], 30)
        assert alone.tolist() == output == slowly(model, given, 30)
    assert [out.tolist() for out in decode(model, inputs[::-1], 30)] == outputs[::-1]


def test_outputs_are_bounded(new_network: NewNetwork) -> None:
    model, inputs = a_model(new_network), some_inputs(30)
    whole, cut = decode(model, inputs, 40), decode(model, inputs, 2)

    assert [out.tolist()[:2] for out in whole] == [out.tolist() for out in cut]
    assert decode(model, inputs[:1], 0)[0].size == 0
    assert decode(model, []) == []


def test_each_output_has_a_limit_of_its_own(new_network: NewNetwork) -> None:
    model, inputs = a_model(new_network), some_inputs(30)
    whole, limits = decode(model, inputs, 40), [n % 4 for n in range(30)]
    cut = [out[:most].tolist() for out, most in zip(whole, limits, strict=True)]

    assert [out.tolist() for out in decode(model, inputs, limits)] == cut


def test_one_long_output_does_not_lengthen_the_others(new_network: NewNetwork) -> None:
    """A network that never ends one writes twice what each should have, and some."""
    model, inputs = a_model(new_network), some_inputs(4)
    model.network.parameters.by[NEWLINE] -= 100
    model.network.pack()
    right = [np.full(size, 2, np.int32) for size in (3, 500, 0, 7)]
    pairs = Pairs(tuple(inputs), tuple((one,) for one in right))

    assert [out.size for out in model.outputs(pairs)] == [14, 1008, 8, 22]


@pytest.mark.parametrize("threads", [1, 2])
def test_writing_outputs_ends_soon_when_asked_to(
    new_network: NewNetwork, threads: int
) -> None:
    """Also while one output is written that would be very long."""
    model, asked = a_model(new_network), list[bool]()
    model.network.parameters.by[NEWLINE] -= 100
    model.network.pack()
    model.network.threads = threads

    def stopped() -> bool:
        asked.append(True)
        return len(asked) > 3

    with pytest.raises(Stopped):
        decode(model, some_inputs(2), 10**9, stopped)
    assert len(asked) <= 3 + threads


def test_a_model_of_running_text_has_no_outputs(new_network: NewNetwork) -> None:
    network = new_network(ModelConfig(vocab_size=len(VOCAB), hidden=3))
    with pytest.raises(ValueError, match="not a model of pairs"):
        decode(TextModel.of(network, VOCAB), some_inputs(1))


def test_accuracy_is_that_of_the_outputs(new_network: NewNetwork) -> None:
    """What the model says is right by definition; one wrong one shows."""
    model, inputs = a_model(new_network), some_inputs(8)
    outputs = [(out,) for out in decode(model, inputs, 20)]
    pairs = Pairs(tuple(inputs), tuple(outputs))
    found = model.accuracy(pairs)

    assert found is not None
    assert (found.exact, found.error_rate) == (1.0, 0.0)
    wrong = Pairs(pairs.inputs, (*pairs.outputs[:-1], (np.full(30, 2, np.int32),)))
    found = model.accuracy(wrong)
    assert found is not None
    assert found.exact == 7 / 8
    assert found.error_rate > 0
    with pytest.raises(Stopped):
        model.accuracy(pairs, lambda: True)
