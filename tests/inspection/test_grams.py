"""n-grams and spans that two texts share, against a search by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.inspection import grams
from charrnn.inspection.grams import Grams, Search, longest_repeat
from charrnn.vocab import code_points, from_code_points

#: Few letters, so that spans recur; some beyond ASCII.
TEXTS = st.text("abé漢", max_size=60)


def all_grams(texts: list[str], n: int) -> list[str]:
    return [text[i : i + n] for text in texts for i in range(len(text) - n + 1)]


def search(
    texts: list[str], corpus: list[str], length: int, cut: int = 7
) -> tuple[float | None, Search]:
    found = Search(Grams([code_points(text) for text in texts]), length)
    for part in corpus:
        points = code_points(part)
        found.read(points[a : a + cut] for a in range(0, len(points), cut))
    return found.finish(), found


@given(st.lists(TEXTS, max_size=3), st.integers(1, 9))
def test_the_same_number_means_the_same_n_gram(texts, n):
    found = Grams([code_points(text) for text in texts])
    numbers = found.numbers(n)
    expected = all_grams(texts, n)

    known = numbers[numbers >= 0].tolist()
    assert len(known) == len(expected)
    assert len(set(zip(known, expected, strict=True))) == len(set(expected))
    assert len(set(known)) == len(set(expected))
    assert found.count(n) == (len(expected), len(set(expected)))


@given(st.lists(TEXTS, max_size=3))
def test_the_longest_repeat_is_the_one_found_by_hand(texts):
    length, span = longest_repeat(Grams([code_points(text) for text in texts]))

    def repeats(n: int) -> bool:
        found = all_grams(texts, n)
        return len(set(found)) < len(found)

    longest = max((n for n in range(1, 61) if repeats(n)), default=0)
    assert length == len(span) == longest
    if length:
        assert all_grams(texts, length).count(from_code_points(span)) > 1


@pytest.mark.parametrize("dense", [0, 1 << 22])
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=2),
    corpus=st.lists(TEXTS, max_size=3),
    length=st.integers(1, 6),
    cut=st.integers(1, 30),
)
def test_shares_and_longest_spans_are_those_found_by_hand(
    dense, texts, corpus, length, cut
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grams, "DENSE", dense)
        share, found = search(texts, corpus, length, cut)
    own, others = all_grams(texts, length), set(all_grams(corpus, length))
    common = [
        n for n in range(1, 61) if set(all_grams(texts, n)) & set(all_grams(corpus, n))
    ]

    seen = [gram in others for gram in own]
    assert share == (pytest.approx(np.mean(seen)) if own else None)
    assert found.longest == len(found.span) == max(common, default=0)
    span = from_code_points(found.span)
    assert any(span in text for text in texts)
    assert not span or any(span in part for part in corpus)


def test_long_copies_are_found_to_the_character():
    rng = np.random.default_rng(5)
    corpus = "".join(rng.choice(list("abcdefgh "), 50_000))
    for size in (19, 20, 21, 39, 40, 41, 333):
        text = "X" + corpus[777 : 777 + size] + "Y" * 30
        share, found = search([text], [corpus], 20, cut=997)

        assert found.longest == size
        assert from_code_points(found.span) == corpus[777 : 777 + size]
        assert share == max(0, size - 19) / (len(text) - 19)


def test_nothing_is_copied_across_the_border_of_two_texts():
    text = "abcdefghijklmnopqrstuvwxyz"
    _, found = search([text], [text[:13], text[13:]], 4)
    _, split = search([text[:13], text[13:]], [text], 4)

    assert found.longest == split.longest == 13
