"""Fingerprints of n-grams: the same however they are come by; and bisection."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.kernels.copies import (
    _BASE_1,
    _BASE_2,
    _PRIME_1,
    _PRIME_2,
    UNKNOWN,
    fingerprint,
    fingerprint_all,
    first_at,
)

pytestmark = pytest.mark.small

Array = NDArray[np.int64]

#: Ids of small and large vocabularies, and what is not in them.
ids = st.integers(-1, 3) | st.integers(-5, 2**21)


def direct(gram: Array) -> int:
    """Compute a fingerprint in integers that know no overflow."""
    if (gram < 0).any():
        return UNKNOWN
    one = sum((int(x) + 1) * _BASE_1**i for i, x in enumerate(gram[::-1]))
    two = sum((int(x) + 1) * _BASE_2**i for i, x in enumerate(gram[::-1]))
    return one % _PRIME_1 * 2**31 + two % _PRIME_2


def rolling(text: Array, n: int) -> list[int]:
    out = np.full(text.size - n + 1, -99, np.int64)
    fingerprint_all(text, n, out)
    return out.tolist()


@given(st.lists(ids, min_size=1, max_size=40), st.data())
def test_rolling_fingerprints_are_the_direct_ones(
    text: list[int], data: st.DataObject
) -> None:
    """Of every n-gram, those with unknown characters too."""
    whole = np.array(text, np.int64)
    n = data.draw(st.integers(1, whole.size))
    expected = [direct(whole[i : i + n]) for i in range(whole.size - n + 1)]

    assert rolling(whole, n) == expected
    some = whole.astype(np.int32)
    found = [fingerprint(some[i : i + n]) for i in range(whole.size - n + 1)]
    assert found == expected


def test_fingerprints_of_a_long_text_do_not_drift(rng: np.random.Generator) -> None:
    """With the longest n-grams that there are, and with many ids."""
    text = rng.integers(0, 2**21, 2500)

    found = rolling(text, 2000)

    for place in (0, 1, 250, 499, 500):
        assert found[place] == direct(text[place : place + 2000])
    assert min(found) >= 0


def test_unknown_characters_spoil_just_the_n_grams_that_hold_them() -> None:
    text = np.array([0, 1, -1, 2, 3, 4, -1])
    known = [place for place, x in enumerate(rolling(text, 2)) if x != UNKNOWN]

    assert known == [0, 3, 4]
    assert rolling(text, 3)[3] == direct(text[3:6])
    assert rolling(np.array([-1]), 1) == [UNKNOWN]


def test_different_n_grams_have_different_fingerprints() -> None:
    """Of different lengths too: no id counts as nothing."""
    grams = [gram for n in (1, 2, 3, 4) for gram in product(range(6), repeat=n)]
    found = {fingerprint(np.array(gram, np.int32)) for gram in grams}

    assert len(found) == len(grams)


def test_no_characters_have_a_fingerprint_too() -> None:
    assert fingerprint(np.zeros(0, np.int32)) == 0


@given(st.lists(st.integers(-9, 9)), st.integers(-10, 10))
def test_bisection_finds_the_first_place(values: list[int], value: int) -> None:
    """Of equal ones the first; behind all that are below."""
    sorted_values = np.sort(np.array(values, np.int64))

    assert first_at(sorted_values, value) == np.searchsorted(sorted_values, value)


@pytest.mark.parametrize("value", [0, 2**31, 2**62 - 1])
def test_bisection_of_large_values(value: int) -> None:
    values = np.array([0, 2**31, 2**31, 2**62 - 1], np.int64)

    assert first_at(values, value) == values.tolist().index(value)
