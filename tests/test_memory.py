"""A memory: against the yardstick's n-grams, against sums by hand, and by laws."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from charrnn.config import UnitName
from charrnn.memory import Memory, Reading, blend_of, blended_costs
from charrnn.training.kneser_ney import Texts, probabilities
from charrnn.vocab import Vocab
from charrnn.windows import Documents
from tests.factories import TEXT, make_vocab

pytestmark = pytest.mark.small

Array = NDArray[Any]


def memory(
    ids: ArrayLike,
    vocab_size: int,
    order: int = 8,
    before: int = 0,
    newline: int | None = None,
    share: float = 0.5,
) -> Memory:
    dtype = np.min_scalar_type(vocab_size - 1)
    return Memory(
        ids=np.array(ids, dtype),
        order=order,
        share=share,
        vocab_size=vocab_size,
        before=before,
        newline=newline,
    )


def by_yardstick(counted: Memory, ids: ArrayLike) -> Array:
    """Probabilities of a text as the numpy code finds them."""
    texts = Texts(
        train=counted.ids,
        held_out=np.array(ids, np.min_scalar_type(counted.vocab_size)),
        vocab_size=counted.vocab_size,
        before=counted.before,
        newline=counted.newline,
    )
    *_, last = probabilities(texts, counted.order)
    return last


def agree(counted: Memory, ids: ArrayLike) -> None:
    """Compare with the yardstick, and look whether distributions are some."""
    text = np.array(ids, np.int32)
    found, rows = counted.probabilities(text), counted.distributions(text)

    np.testing.assert_allclose(found, by_yardstick(counted, text), 1e-12)
    np.testing.assert_allclose(rows[np.arange(len(text)), text], found, 1e-12)
    np.testing.assert_allclose(rows.sum(axis=1), 1, 0, 1e-12)
    assert (rows > 0).all()


@st.composite
def small_texts(draw: st.DrawFn) -> tuple[Memory, list[int]]:
    """Few symbols, some never counted, often repeated; maybe in lines."""
    V = draw(st.integers(1, 5))
    symbols = st.integers(0, V - 1)
    phrase = draw(st.lists(symbols, min_size=1, max_size=6))
    train = draw(st.lists(symbols, min_size=1, max_size=60))
    train += draw(st.integers(0, 9)) * phrase
    text = draw(st.lists(symbols, max_size=12)) + phrase
    newline = draw(st.sampled_from([None, 0]))
    before = 0 if newline is not None else draw(symbols)
    return memory(train, V, draw(st.integers(1, 12)), before, newline), text


@given(small_texts())
def test_the_yardstick_says_the_same(case: tuple[Memory, list[int]]) -> None:
    agree(*case)


@pytest.mark.parametrize("newline", [None, 0])
@pytest.mark.parametrize("order", [1, 2, 3, 7, 8, 12])
def test_enough_text_for_discounts(
    order: int, newline: int | None, rng: np.random.Generator
) -> None:
    """Orders 3 to 6 have n-grams that stand there 1, 2, 3 and 4 times."""
    skewed = np.minimum(rng.geometric(0.4, 1200) - 1, 5).tolist()

    agree(memory(skewed[:1100], 7, order, 0, newline), skewed[1100:])


@pytest.mark.parametrize("newline", [None, 9])
def test_thousands_of_characters(newline: int | None, rng: np.random.Generator) -> None:
    """As a text in Chinese has them: every one once, and phrases again and again."""
    every = rng.permutation(5000)
    phrases = rng.choice(every[:4000].reshape(-1, 10), 300).ravel()
    train = np.concatenate([every, phrases[:2500]])
    text = np.concatenate([every[4990:], phrases[2480:2540], [9, 9], phrases[:20]])

    agree(memory(train, 5000, 8, 9, newline), text)


@pytest.mark.parametrize("unit", ["char", "byte"])
@pytest.mark.parametrize("lines", [False, True])
def test_texts_as_vocabularies_have_them(unit: UnitName, lines: bool) -> None:
    """What was seen, what was seen elsewhere, and what never was."""
    vocab = make_vocab(TEXT + "☃\n", unit)
    newline = vocab.newline_id
    assert newline is not None
    ids = vocab.encode(TEXT + "☃\n" + TEXT)
    counted = memory(ids, vocab.size, 8, newline, newline if lines else None)

    agree(counted, vocab.encode("the ☃sea ☃☃ zesuoh\n\nthe sea", "skip"))


DEGENERATE = {
    "one character": ([0], [0, 0], 1, None),
    "one of many": ([3], [0, 3, 3], 4, None),
    "one over and over": ([1] * 50, [1] * 20, 2, None),
    "nothing but empty lines": ([0] * 20, [0, 0, 1, 0], 2, 0),
    "no line ends": ([1, 2] * 20, [1, 2, 0, 1, 2], 3, 0),
}


@pytest.mark.parametrize("case", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("order", [1, 2, 8])
def test_degenerate_texts(case: Any, order: int) -> None:
    train, text, V, newline = case

    agree(memory(train, V, order, 0, newline), text)


def test_by_hand() -> None:
    """One character is all that was seen, once: half of it is kept back."""
    one, two = (
        memory([0], 2, order).probabilities(np.array([0, 1])) for order in (1, 2)
    )

    assert one.tolist() == [0.5 + 0.5 * 0.5, 0.5 * 0.5]
    assert two.tolist() == [0.5 + 0.5 * 0.75, 0.5 * 0.25]


@pytest.mark.parametrize(("newline", "same"), [(0, True), (None, False)])
def test_lines_are_documents(newline: int | None, same: bool) -> None:
    """What a line ended with says nothing about the next one."""
    a, b, c, end = 1, 2, 3, 0
    counted = memory([a, b, end, b, c, end] * 3, 4, 8, end, newline)
    p, q = (counted.distributions(np.array([last, end, b])) for last in (b, c))

    assert (p[2] == q[2]).all() == same


def test_nothing_is_asked_of_an_empty_text() -> None:
    counted = memory([0, 1, 0], 2)

    assert counted.probabilities(np.zeros(0, np.uint8)).shape == (0,)
    assert counted.distributions(np.zeros(0, np.uint8)).shape == (0, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"ids": np.zeros(0, np.uint8)},
        {"ids": np.zeros((2, 2), np.uint8)},
        {"ids": np.array([0, 3], np.uint8)},
        {"ids": np.array([-1, 1], np.int32)},
        {"order": 0},
        {"order": 33},
        {"share": -0.1},
        {"share": 1.1},
        {"share": math.nan},
        {"before": -1},
        {"before": 3},
        {"newline": 3},
        {"newline": -1},
    ],
    ids=str,
)
def test_what_kernels_rely_on_is_checked(changes: dict[str, Any]) -> None:
    """They themselves look at nothing."""
    whole = memory([0, 1, 2], 3)
    with pytest.raises(ValueError, match=r"shape|order|share|ids"):
        replace(whole, **changes)


def test_another_share_is_counted_once() -> None:
    counted = memory([0, 1, 0], 2, share=0.7)
    other = counted.with_share(0.25)

    assert (counted.share, other.share) == (0.7, 0.25)
    assert other.tables is counted.tables
    assert "tables" not in vars(memory([0, 1, 0], 2).with_share(1.0))


def parts_of(ids: Array, cuts: list[int]) -> Iterator[tuple[Array, Array]]:
    """Cut a text into inputs and the targets behind them."""
    inputs, targets = np.split(ids[:-1], cuts), np.split(ids[1:], cuts)
    return zip(inputs, targets, strict=True)


VOCABULARIES = {
    "with": Vocab("\nabcd", (1, 2, 3, 4, 5)),
    "without": Vocab("abcde", (5, 2, 3, 4, 1)),
}


@pytest.mark.parametrize("vocab", VOCABULARIES.values(), ids=VOCABULARIES)
@pytest.mark.parametrize("cuts", [[], [1], [1, 2, 3], [40], [7, 8, 30, 59]])
def test_a_text_may_be_read_in_parts(
    vocab: Vocab, cuts: list[int], rng: np.random.Generator
) -> None:
    """Contexts reach back over the cuts, and not beyond the beginning."""
    documents = Documents.of(vocab, lines=False)
    ids = rng.integers(0, 5, 61).astype(np.int32)
    counted = memory(ids[::-1], 5, 8, documents.stand_in, share=0.25)
    blend = blend_of(counted, documents)
    # A vocabulary without a newline has nothing read before its texts.
    text = ids if documents.before is None else ids[1:]
    if documents.before is not None:
        ids[0] = documents.before
    nats, network = rng.random(60), rng.dirichlet(np.ones(5), 60)
    p, rows = counted.probabilities(text)[-60:], counted.distributions(text)[-60:]
    reading, again = Reading(blend), Reading(blend)
    costs, blended, at = [], [], 0
    for inputs, targets in parts_of(ids, cuts):
        here = slice(at, at + len(inputs))
        costs.append(reading.costs(nats[here], inputs, targets)[0])
        blended.append(again.distributions(network[here], inputs))
        at = here.stop

    expected = -np.log(0.25 * np.exp(-nats) + 0.75 * p)
    np.testing.assert_allclose(np.concatenate(costs), expected, 1e-12)
    np.testing.assert_allclose(
        np.concatenate(blended), 0.25 * network + 0.75 * rows, 1e-12
    )


def test_what_is_not_wanted_is_read_all_the_same() -> None:
    """Distributions may be asked for from some place on."""
    documents = Documents.of(VOCABULARIES["with"], lines=False)
    ids = np.array([0, 1, 2, 3, 1, 2, 3, 1], np.int32)
    blend = blend_of(memory(ids[1:], 5, 4, share=0.0), documents)
    network = np.full((8, 5), 0.2)
    whole = Reading(blend).distributions(network, ids)
    reading = Reading(blend)

    assert reading.distributions(network[:0], ids[:5]).shape == (0, 5)
    np.testing.assert_array_equal(
        reading.distributions(network[:2], ids[5:]), whole[-2:]
    )


def test_a_network_alone_is_left_as_it_is() -> None:
    documents = Documents.of(VOCABULARIES["with"], lines=False)
    ids, nats, rows = np.zeros(1, np.int32), np.ones(1), np.ones((1, 5))
    for counted in (None, memory([1, 2], 5, share=1.0)):
        reading = Reading(blend_of(counted, documents))
        assert reading.costs(nats, ids, ids)[0] is nats
        assert reading.distributions(rows, ids) is rows


def test_costs_of_a_blend() -> None:
    """They lie between those of both, and are never below 0."""
    nats, p = np.log([4.0, 2.0, 1.0]), np.array([0.75, 0.5, 1 + 1e-16])
    expected = np.log([1 / (0.4 * 0.25 + 0.6 * 0.75), 2, 1])

    found = blended_costs(0.4, nats, p)

    np.testing.assert_allclose(found, expected, 1e-12)
    assert (found >= 0).all()
    np.testing.assert_array_equal(
        blended_costs(0.0, np.full(1, np.inf), p[:1]), -np.log(p[:1])
    )
