"""What several models write together: the same as by a plain loop, and as alone."""

from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.config import Blending, SampleConfig
from charrnn.errors import OptionError
from charrnn.generation import Answering, Generation, Question
from charrnn.mixture import Mixture
from charrnn.textmodel import TextModel
from tests.mixing import drawn, made

ONE = made("\nabcde", seed=1, share=0.4)
OTHER = made("\nacdfg", "gru", seed=2, hidden=7, layers=1)
SETS: dict[str, list[TextModel]] = {
    "with": [ONE, OTHER],
    "without": [made("abcd", seed=3, share=0.3), made("abde", "gru", seed=4)],
    "mixed": [made("abcd", seed=3, share=0.3), made("\nabde", "gru", seed=4)],
    "lines": [
        made("\nabc", "gru", seed=1, lines=True, share=0.5),
        made("\nabcd", seed=2, lines=True),
    ],
}

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cold": {"temperature": 0.5, "top_k": 3},
    "nucleus": {"top_p": 0.8, "min_p": 0.05, "typical": 0.9},
    "biased": {"logit_bias": (("a", 2.0),), "ban": "d"},
}


def written(
    model: Mixture | TextModel, config: SampleConfig, *prompts: str, **options: Any
) -> tuple[list[str], list[float]]:
    """Write all samples to their end."""
    ids = [model.vocab.encode(prompt) for prompt in prompts or ("",)]
    generation = Generation(model, ids, config, **options)
    count = len(ids) * config.num_samples
    texts, nats = [""] * count, [0.0] * count
    for piece in generation.pieces():
        texts[piece.sample] += piece.text
        nats[piece.sample] = piece.total
    return texts, nats


@pytest.mark.parametrize("models", SETS.values(), ids=SETS)
@pytest.mark.parametrize("mode", ["linear", "log"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_characters_are_those_of_a_plain_loop(
    models: list[TextModel], mode: Any, settings: dict[str, Any]
) -> None:
    """Each expects by all that it knows of the text; then the filters, and one draw."""
    mixture = charrnn.mix(models, [0.7, 0.3], mode)
    known = set(mixture.vocab.symbols)
    prompt = "".join(symbol for symbol in "baddcgab" if symbol in known)
    config = SampleConfig(length=25, num_samples=2, seed=2, **settings)
    for text in ("", prompt):
        texts, nats = written(mixture, config, text)
        for sample in range(2):
            wanted, cost = drawn(models, [0.7, 0.3], mode, config, text, sample)
            assert texts[sample] == wanted
            assert nats[sample] == pytest.approx(cost, rel=1e-4)


#: What decides about a text beside the model; each has words in which it matters.
ALONE: dict[str, dict[str, Any]] = {
    "plain": {},
    "filtered": {"temperature": 0.7, "top_p": 0.9, "min_p": 0.02, "ban": "c"},
    "greedy": {"temperature": 0},
    "no_repeat": {"no_repeat": 4},
    "no_copy": {"no_copy": 4},
    "stop": {"stop": ("ab", "de"), "include_stop": True},
    "lines": {"lines": 2},
    "best_of": {"best_of": 3},
    "adapt": {"adapt": True},
    "adapt_output": {"adapt": True, "adapt_output": True},
    "blend": {"blend": 0.8},
}


@pytest.mark.parametrize("options", ALONE.values(), ids=ALONE)
@pytest.mark.parametrize("prompt", ["", "abcdeabcd\nab"])
def test_one_model_writes_what_it_writes_alone(
    options: dict[str, Any], prompt: str
) -> None:
    """With a weight of 0 for the other, or twice the same: the same text."""
    options = {"length": 70, "seed": 5} | options
    wanted = ONE.sample(prompt, **options)

    assert charrnn.mix([ONE, OTHER], [1, 0]).sample(prompt, **options) == wanted
    assert charrnn.mix([ONE, ONE]).sample(prompt, **options) == wanted
    assert "".join(charrnn.mix([ONE]).stream(prompt, **options)) == wanted


def test_one_model_rates_what_it_writes_as_it_does_alone() -> None:
    """Of one model the logits are its own, so that not a bit differs."""
    config = SampleConfig(length=50, num_samples=3, seed=1, logprobs=2)

    assert written(charrnn.mix([ONE, OTHER], [1, 0]), config) == written(ONE, config)


def test_samples_do_not_depend_on_others() -> None:
    """Side by side, with prompts of their own, some of which one does not know."""
    mixture = charrnn.mix([ONE, OTHER], [1, 2])
    config = SampleConfig(length=40, num_samples=2, seed=5)
    prompts = ["dead", "", "bbb", "gfbgfb\n" * 4]
    texts, _ = written(mixture, config, *prompts)

    for n, prompt in enumerate(prompts):
        alone = SampleConfig(length=40, num_samples=2 * n + 2, seed=5)
        assert texts[2 * n : 2 * n + 2] == written(mixture, alone, prompt)[0][-2:]


def test_a_text_may_be_longer_than_the_room_for_it() -> None:
    """What was read is kept behind a moving window, and so are the counts' contexts."""
    mixture = charrnn.mix([ONE, OTHER], [1, 0])
    both = charrnn.mix([ONE, ONE])
    wanted = ONE.sample("ab", length=900, seed=3)

    assert mixture.sample("ab", length=900, seed=3) == wanted
    assert both.sample("ab", length=900, seed=3) == wanted


def test_no_text_that_a_model_remembers_is_copied() -> None:
    """The texts of all memories count, and nothing across their borders."""
    other = made("\nacdfg", "gru", seed=2, hidden=7, layers=1, share=0.5)
    mixture = charrnn.mix([ONE, other])
    text = mixture.sample(length=300, seed=4, no_copy=3)
    for model in (ONE, other):
        assert model.memory is not None
        known = model.vocab.decode(model.memory.ids.astype(np.int32))
        assert not any(text[at : at + 3] in known for at in range(298))
    remembered = mixture.remembered()
    assert remembered is not None
    assert (remembered == -1).sum() == 2


def test_questions_are_answered_side_by_side() -> None:
    mixture = charrnn.mix([ONE, OTHER])
    answering = Answering(
        lambda wanted: mixture.blended(wanted.blend, adapt=wanted.adapt)
    )
    questions = [
        Question(
            mixture.vocab.encode(prompt),
            SampleConfig(length=length, seed=seed),
            Blending(),
        )
        for prompt, length, seed in (("ab", 20, 1), ("", 30, 2), ("gg", 10, 3))
    ]
    texts = [getattr(piece, "text", piece) for piece in answering.answers(questions)]

    assert texts == [
        mixture.sample("ab", length=20, seed=1),
        mixture.sample("", length=30, seed=2),
        mixture.sample("gg", length=10, seed=3),
    ]


def test_units_are_those_of_one_network() -> None:
    with pytest.raises(OptionError, match="set_unit cannot be combined"):
        charrnn.mix([ONE, OTHER]).sample(length=5, set_unit="0:1=0.5")


def test_a_pattern_is_followed_by_all() -> None:
    pytest.importorskip("greenery")
    options: dict[str, Any] = {"pattern": "(ab|c)*de{2,5}", "length": 60, "seed": 2}
    wanted = ONE.sample("", **options)

    assert charrnn.mix([ONE, ONE]).sample("", **options) == wanted
    text = charrnn.mix([ONE, OTHER]).sample("", **options)
    assert set(text) <= set("abcde")
