"""Mixtures: what texts cost them, beside a plain computation, and what they are."""

import pickle
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.config import Mixing
from charrnn.errors import CorpusError, CountsError, OptionError, VocabError
from charrnn.mixture import Mixture
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from tests.mixing import made, mixed_by

#: Models of other cells, sizes and characters; some know what was counted.
SETS: dict[str, list[TextModel]] = {
    "alike": [made("\nabcde", seed=1), made("\nabcde", seed=2)],
    "other": [
        made("\nabcde", seed=1, share=0.4),
        made("\nacdfg", "gru", seed=2, hidden=7, layers=1),
    ],
    "lines": [
        made("\nabc", "gru", seed=1, lines=True, share=0.5),
        made("\nabcd", seed=2, lines=True),
    ],
    "without": [made("abcd", seed=3, share=0.3), made("abde", "gru", seed=4)],
    "mixed": [made("abcd", seed=3, share=0.3), made("\nabde", "gru", seed=4)],
}

models_of = pytest.mark.parametrize("models", SETS.values(), ids=SETS)
modes = pytest.mark.parametrize("mode", ["linear", "log"])


@models_of
@modes
def test_characters_cost_what_a_plain_computation_says(
    models: list[TextModel], mode: Any
) -> None:
    mixture = charrnn.mix(models, [0.7, 0.3], mode)
    rng = np.random.default_rng(0)
    text = "".join(rng.choice([*mixture.vocab.symbols], 40))
    wanted = [
        -np.log(mixed_by(models, [0.7, 0.3], mode, text[:n])[symbol])
        for n, symbol in enumerate(text)
    ]

    found = mixture.surprise(text)

    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)
    # Without a newline nobody predicts the first one.
    counted = found[mixture.documents.first :]
    assert mixture.loss(text) == pytest.approx(counted.mean())


@modes
def test_probabilities_of_all_characters_add_up(mode: Any) -> None:
    mixture = charrnn.mix(SETS["other"], mode=mode)
    costs = [mixture.surprise("ac" + symbol)[-1] for symbol in mixture.vocab.symbols]

    assert np.exp(-np.array(costs)).sum() == pytest.approx(1)


def test_linear_knows_what_any_knows_and_log_what_all_know() -> None:
    models = SETS["other"]

    assert charrnn.mix(models).vocab.symbols == "\nabcdefg"
    assert charrnn.mix(models, mode="log").vocab.symbols == "\nacd"
    with pytest.raises(VocabError, match="not in the vocabulary: 'b'"):
        charrnn.mix(models, mode="log").surprise("ab")
    # A weight of 0 leaves a model out, with all that it knows.
    assert charrnn.mix(models, [0, 2]).vocab == models[1].vocab
    strangers = made("abc"), made("xyz")
    with pytest.raises(VocabError, match="no character in common"):
        charrnn.mix(strangers, mode="log")
    charrnn.mix(strangers).sample(length=5)


def test_what_no_model_knows_next_costs_infinity() -> None:
    """A linear mixture of models that cannot be, at that place, all know it not."""
    models = [made("abc", seed=1), made("abd", seed=2)]
    models[0].network.weights["head.by"][2] = -3e38
    models[0].network.pack()

    assert charrnn.mix(models).surprise("abc")[-1] == np.inf


@pytest.mark.parametrize("cut", [1, 7, 256, 1000])
def test_cuts_of_a_long_text_change_nothing(cut: int) -> None:
    """Longer than what is read at a time, and with much that one does not know."""
    mixture = charrnn.mix(SETS["other"], "1,2")
    rng = np.random.default_rng(1)
    ids = rng.integers(0, mixture.vocab.size, 900).astype(np.int32)
    ids[300:700] = mixture.vocab.symbols.index("b")  # unknown to the second one
    slices = [ids[at : at + cut] for at in range(0, len(ids), cut)]

    whole = np.concatenate([part.nats for part in mixture.costs([ids])])
    found = [*mixture.costs(slices)]

    np.testing.assert_array_equal(np.concatenate([p.ids for p in found]), ids)
    np.testing.assert_array_equal(np.concatenate([p.nats for p in found]), whole)


def test_one_model_is_what_it_is_alone() -> None:
    """To rounding: it is scored in float64 here, and by a kernel in float32 alone."""
    one, other = SETS["other"]
    for mixture in (charrnn.mix([one, other], [1, 0]), charrnn.mix([one, one])):
        np.testing.assert_allclose(
            mixture.surprise("abcade"), one.surprise("abcade"), rtol=1e-5
        )


def test_a_mean_is_better_than_its_parts_on_average() -> None:
    """Jensen's inequality, for every character."""
    models, text = SETS["alike"], "abcdeedcbaab\nce"
    both = charrnn.mix(models).surprise(text)

    assert (both <= np.mean([m.surprise(text) for m in models], axis=0) + 1e-6).all()


def test_each_blends_and_adapts_as_it_does_alone() -> None:
    one = made("\nabc", seed=1, share=0.4)
    other = made("\nabc", "gru", seed=2, share=0.7)
    mixture, text = charrnn.mix([one, other]), "abcabcabccba\nabcabcab"
    for options in ({"blend": 1}, {"blend": 0.2}, {"adapt": True}):
        parts = [np.exp(-m.surprise(text, **options)) for m in (one, other)]
        wanted = -np.log(np.mean(parts, axis=0))
        found = mixture.surprise(text, **options)
        np.testing.assert_allclose(found, wanted, rtol=2e-5)

    assert mixture.blended() is mixture
    with pytest.raises(CountsError, match=r"blend=0\.5 needs a model with a memory"):
        charrnn.mix(SETS["alike"]).surprise("ab", blend=0.5)


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [(None, [0.5, 0.5]), ("1,3", [0.25, 0.75]), ((2, 2), [0.5, 0.5]), ([0, 9], [1])],
)
def test_weights_are_made_to_add_up(weights: Any, wanted: list[float]) -> None:
    assert charrnn.mix(SETS["alike"], weights).weights.tolist() == wanted


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1], "1 weight for 2 models"),
        ([1, 2, 3], "3 weights for 2 models"),
        ([1, -1], "from 0 on, not -1"),
        ([1, np.nan], "from 0 on, not nan"),
        ([np.inf, 1], "from 0 on, not inf"),
        ([0, 0], "a weight above 0"),
        ("a,b", "must be numbers"),
        (["x"], "must be numbers"),
    ],
)
def test_weights_that_cannot_be_are_named(weights: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        charrnn.mix(SETS["alike"], weights)


def test_models_that_do_not_go_together_are_named() -> None:
    text, lines = made("\nab"), made("\nab", lines=True)
    network, vocab = text.network, Vocab("\nab", (1, 1, 1), "byte")
    of_bytes = TextModel.of(network, vocab)
    pairs = TextModel.of(made("\t\na").network, Vocab("\t\na", (1, 1, 1)), pairs=True)
    for models, words in (
        ([text, of_bytes], "model 1 is a model of characters and model 2 one of bytes"),
        ([text, lines], "every line is a document to model 2, and to model 1"),
        ([pairs], "model 1 is a model of pairs"),
        ([text, pairs], "model 2 is a model of pairs"),
        ([], "needs a model"),
    ):
        with pytest.raises(OptionError, match=words):
            charrnn.mix(models)
    with pytest.raises(OptionError, match="'cubic', not one of linear, log"):
        charrnn.mix([text], mode="cubic")  # type: ignore[arg-type]


def test_a_mixture_can_be_named_and_sent_away() -> None:
    mixture = charrnn.mix(SETS["other"], "3,1")
    sent = pickle.loads(pickle.dumps(mixture))  # noqa: S301 - our own

    assert repr(mixture).startswith("<Mixture, linear: 0.75 x <TextModel")
    np.testing.assert_array_equal(sent.surprise("abg"), mixture.surprise("abg"))


def test_texts_that_cannot_be_scored() -> None:
    with pytest.raises(CorpusError, match="empty"):
        charrnn.mix(SETS["alike"]).loss("")
    assert charrnn.mix(SETS["alike"]).surprise("").size == 0
    assert Mixture(SETS["alike"], Mixing()).loss("a") > 0
