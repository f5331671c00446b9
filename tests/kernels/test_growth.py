"""Counts that go on: against plain dictionaries, and by laws."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.kernels import blending, growth
from charrnn.kernels.blending import Blend
from charrnn.kernels.growth import WEIGHT
from charrnn.memory import Memory
from tests.counts import Dictionaries

pytestmark = pytest.mark.small

Array = NDArray[Any]


def memory(ids: list[int], V: int, order: int, newline: int | None) -> Memory:
    return Memory(
        ids=np.array(ids, np.min_scalar_type(V)), order=order, share=0.5,
        vocab_size=V, before=0, newline=newline,
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> tuple[Memory, list[int]]:
    """Make a text to count and one to read, often with phrases in common."""
    V = draw(st.integers(1, 5))
    symbols = st.integers(0, V - 1)
    phrase = draw(st.lists(symbols, min_size=1, max_size=6))
    trained = draw(st.lists(symbols, min_size=1, max_size=40)) + 2 * phrase
    text = draw(st.lists(symbols, max_size=12)) + 3 * phrase
    newline = draw(st.sampled_from([None, 0]))
    return memory(trained, V, draw(st.integers(1, 6)), newline), text


def learning(counted: Memory, room: int) -> Blend:
    """Make counts that go on, with room for so many characters."""
    room *= counted.order
    grown = growth.new_growth(room, room)
    return Blend(counted.tables, grown, 0.0, counted.before, learns=True)


def rows(counted: Memory, text: list[int]) -> Array:
    """Find what is expected at every place of a text, which is counted as well."""
    found = np.zeros((len(text) + 1, counted.vocab_size))
    ids = np.array(text, np.int32)
    blending.fill_rows(learning(counted, len(text)), ids, 0, found)
    return found[:-1]


@given(cases())
def test_dictionaries_say_the_same(case: tuple[Memory, list[int]]) -> None:
    counted, text = case
    plain, read = Dictionaries(counted), [counted.before]
    expected = []
    for symbol in text:
        expected.append(plain.row(read))
        plain.count(read, symbol, WEIGHT)
        read.append(symbol)
    found = rows(counted, text)

    np.testing.assert_allclose(found, expected, 1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, 0, 1e-12)
    assert (found > 0).all()


@given(cases())
def test_scores_are_those_of_the_rows(case: tuple[Memory, list[int]]) -> None:
    counted, text = case
    found = rows(counted, text)
    p, ids = np.zeros(len(text)), np.array(text, np.int32)
    blending.score(learning(counted, len(text)), ids, 0, p)

    np.testing.assert_allclose(p, found[np.arange(len(text)), text], 1e-12)


@given(cases())
def test_room_is_made_without_a_trace(case: tuple[Memory, list[int]]) -> None:
    """Nothing that was counted is lost when there is more to come."""
    counted, text = case
    whole, parts = np.zeros(len(text)), np.zeros(len(text))
    ids = np.array(text, np.int32)
    blending.score(learning(counted, len(text)), ids, 0, whole)
    blend = learning(counted, 0)
    for i in range(len(text)):
        assert blend.growth is not None
        grown = growth.enlarged(blend.growth, counted.order, counted.order)
        blend = blend._replace(growth=grown)
        blending.score(blend, ids[: i + 1], i, parts[i : i + 1])

    assert parts.tolist() == whole.tolist()


def test_what_was_read_is_expected_again() -> None:
    counted = memory([0, 1, 2, 3] * 9, 8, 4, None)
    name = [5, 6, 7, 4]
    p, ids = np.zeros(12), np.array(name * 3, np.int32)
    blending.score(learning(counted, 12), ids, 0, p)

    assert p[5:8].min() > 0.5 > p[1:4].max()
