"""N-grams: against counting in dictionaries, against sums by hand, and by laws."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from charrnn.training.kneser_ney import MAX_ORDER, Texts, losses, probabilities

pytestmark = pytest.mark.small

Gram = tuple[int, ...]


def texts(
    train: ArrayLike,
    held_out: ArrayLike,
    vocab_size: int,
    before: int = 0,
    newline: int | None = None,
) -> Texts:
    dtype = np.min_scalar_type(vocab_size - 1)
    return Texts(
        train=np.array(train, dtype),
        held_out=np.array(held_out, dtype),
        vocab_size=vocab_size,
        before=before,
        newline=newline,
    )


def documents(ids: Sequence[int], before: int, newline: int | None) -> list[Gram]:
    """Part a text into documents, each with what stands before it."""
    parted: list[list[int]] = [[before]]
    for i in ids:
        parted[-1].append(i)
        if i == newline:
            parted.append([i])
    return [tuple(document) for document in parted]


class Dictionaries:
    """The model as the paper has it: counts in dictionaries, one n-gram at a time."""

    def __init__(self, given: Texts) -> None:
        self.vocab_size = given.vocab_size
        self.raw: Counter[Gram] = Counter()
        self.lower: Counter[Gram] = Counter()
        before: defaultdict[Gram, set[int]] = defaultdict(set)
        for document in documents(given.train.tolist(), given.before, given.newline):
            for end in range(2, len(document) + 1):
                for begin in range(max(0, end - MAX_ORDER), end):
                    gram = document[begin:end]
                    self.raw[gram] += 1
                    if begin:
                        before[gram].add(document[begin - 1])
                    else:
                        self.lower[gram] += 1
        self.lower.update({gram: len(lefts) for gram, lefts in before.items()})

    def discount(self, counts: Counter[Gram], order: int, count: int) -> float:
        """Find D of a count, by the equations of the paper."""
        of_counts = Counter(c for gram, c in counts.items() if len(gram) == order)
        n1, n2, n3, n4 = (of_counts[c] for c in (1, 2, 3, 4))
        estimates = [0.5, 1.0, 1.5]
        if n1 and n2 and n3 and n4:
            y = n1 / (n1 + 2 * n2)
            found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
            if min(found) > 0:
                estimates = found
        return estimates[min(count, 3) - 1] if count else 0.0

    def probability(self, context: Gram, symbol: int, order: int) -> float:
        """Find p(symbol | context) by a model of an order."""
        counts, p = self.raw, 1 / self.vocab_size
        if order == 0:
            return p
        p = self.below(context, symbol, order - 1)
        return self.mixed(counts, context, symbol, order, p)

    def below(self, context: Gram, symbol: int, order: int) -> float:
        """Find it by one of the orders that are below the model's."""
        if order == 0:
            return 1 / self.vocab_size
        p = self.below(context, symbol, order - 1)
        return self.mixed(self.lower, context, symbol, order, p)

    def mixed(
        self, counts: Counter[Gram], context: Gram, symbol: int, order: int, p: float
    ) -> float:
        """Mix what was counted with the order below."""
        if len(context) < order - 1:
            return p
        history = context[len(context) - order + 1 :]
        after = {s: counts[(*history, s)] for s in range(self.vocab_size)}
        total = sum(after.values())
        if not total:
            return p
        D = {c: self.discount(counts, order, c) for c in set(after.values())}
        kept_back = sum(D[c] for c in after.values())
        own = after[symbol]
        return (own - D[own]) / total + kept_back / total * p

    def probabilities(self, given: Texts) -> list[list[float]]:
        """Find those of a held-out text, by order."""
        found: list[list[float]] = [[] for _ in range(MAX_ORDER)]
        for document in documents(given.held_out.tolist(), given.before, given.newline):
            for end in range(1, len(document)):
                for order in range(1, MAX_ORDER + 1):
                    p = self.probability(document[:end], document[end], order)
                    found[order - 1].append(p)
        return found


def agree(given: Texts) -> None:
    """Compare with the dictionaries."""
    expected = Dictionaries(given).probabilities(given)
    found = list(probabilities(given))

    assert len(found) == MAX_ORDER
    for order in range(MAX_ORDER):
        np.testing.assert_allclose(found[order], expected[order], 0, 1e-12)


@st.composite
def small_texts(draw: st.DrawFn) -> Texts:
    """Few symbols, some in the held-out text only, often repeated; maybe in lines."""
    V = draw(st.integers(1, 5))
    symbols = st.integers(0, V - 1)
    phrase = draw(st.lists(symbols, min_size=1, max_size=6))
    train = draw(st.lists(symbols, min_size=1, max_size=60))
    train += draw(st.integers(0, 9)) * phrase
    held_out = draw(st.lists(symbols, max_size=12)) + phrase
    newline = draw(st.sampled_from([None, 0]))
    before = 0 if newline is not None else draw(symbols)
    return texts(train, held_out, V, before, newline)


@given(small_texts())
def test_counting_in_dictionaries_gives_the_same(given: Texts) -> None:
    agree(given)


@pytest.mark.parametrize("newline", [None, 0])
def test_enough_text_for_discounts(
    newline: int | None, rng: np.random.Generator
) -> None:
    """Orders 3 to 6 have n-grams that stand there 1, 2, 3 and 4 times."""
    skewed = np.minimum(rng.geometric(0.4, 1200) - 1, 5).tolist()

    agree(texts(skewed[:1100], skewed[1100:], 7, 0, newline))


@given(small_texts(), st.data())
def test_what_may_follow_adds_up_to_one(given: Texts, data: st.DataObject) -> None:
    """After any context, whatever the order."""
    V = given.vocab_size
    context = data.draw(st.lists(st.integers(0, V - 1), max_size=10))
    total = np.zeros(MAX_ORDER)
    for symbol in range(V):
        held_out = [*context, symbol]
        one = texts(given.train.tolist(), held_out, V, given.before, given.newline)
        last = np.array([p[-1] for p in probabilities(one)])
        assert (last > 0).all()
        total += last

    np.testing.assert_allclose(total, 1, 0, 1e-12)


@pytest.mark.parametrize("vocab_size", [15, 16, 255, 256, 257, 5000, 65_536, 1_114_112])
def test_names_of_characters_do_not_matter(
    vocab_size: int, rng: np.random.Generator
) -> None:
    """Nor how many of them fit into a key. The vocabulary's size does."""
    V = vocab_size
    names = np.array([V - 1, 3, V // 2 + 1, 0, V - 2, 7])
    few = np.minimum(rng.geometric(0.4, 700) - 1, 5)
    many = names[few]
    for before, newline in ((2, None), (1, 1)):
        renamed = None if newline is None else int(names[newline])
        a = texts(few[:500], few[500:], V, before, newline)
        b = texts(many[:500], many[500:], V, int(names[before]), renamed)
        for p, q in zip(probabilities(a), probabilities(b), strict=True):
            np.testing.assert_allclose(p, q, 1e-13)


def test_thousands_of_characters(rng: np.random.Generator) -> None:
    """As a text in Chinese has them: every one once, and phrases again and again."""
    every = rng.permutation(5500)
    phrases = rng.choice(every[:4000].reshape(-1, 10), 300).ravel()
    train = np.concatenate([every[:5000], phrases[:2500]])
    held_out = np.concatenate([every[5000:5020], phrases[2500:]])
    found = list(losses(texts(train, held_out, 5500)))
    single, best = found[0].loss, min(ngram.loss for ngram in found)

    assert [ngram.order for ngram in found] == list(range(1, MAX_ORDER + 1))
    assert 7 < single < math.log(5500)
    assert best < 3


def test_by_hand() -> None:
    """One character is all that was seen, once: half of it is kept back."""
    one, two, *_ = probabilities(texts([0], [0, 1], 2))

    assert one.tolist() == [0.5 + 0.5 * 0.5, 0.5 * 0.5]
    assert two.tolist() == [0.5 + 0.5 * 0.75, 0.5 * 0.25]


def test_discounts_by_hand() -> None:
    """10, 4, 2 and 1 characters stand in the text 1, 2, 3 and 4 times."""
    counts = [1] * 10 + [2] * 4 + [3] * 2 + [4]
    train = np.repeat(np.arange(17), counts)
    (p,) = probabilities(texts(train, range(18), 18), max_order=1)
    Y = 10 / 18
    D = [0, 1 - 2 * Y * 4 / 10, 2 - 3 * Y * 2 / 4, 3 - 4 * Y * 1 / 2]
    kept_back = 10 * D[1] + 4 * D[2] + 3 * D[3]
    expected = [(c - D[min(c, 3)] + kept_back / 18) / len(train) for c in [*counts, 0]]

    np.testing.assert_allclose(p, expected, 1e-14)


@pytest.mark.parametrize(("newline", "same"), [(0, True), (None, False)])
def test_lines_are_documents(newline: int | None, same: bool) -> None:
    """What a line ended with says nothing about the next one."""
    a, b, c, end = 1, 2, 3, 0
    train = [a, b, end, b, c, end] * 3
    (*_, p), (*_, q) = (
        probabilities(texts(train, [last, end, b], 4, end, newline)) for last in (b, c)
    )

    assert (p[2] == q[2]) == same


DEGENERATE = {
    "one character": ([0], [0], 1),
    "one distinct character": ([0] * 100, [0] * 10, 1),
    "one character, the other held out": ([0], [1], 2),
    "two": ([0, 1], [1, 0], 2),
    "ten": ([0, 1, 2, 0, 1, 2, 3, 3, 3, 0], [4, 0, 1, 2], 5),
    "all unseen": ([0] * 20, [1] * 20, 300),
    "all different": (range(900), range(900, 1000), 1000),
}


@pytest.mark.parametrize("newline", [None, 0])
@pytest.mark.parametrize("given", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_texts(
    given: tuple[Sequence[int], Sequence[int], int], newline: int | None
) -> None:
    found = list(losses(texts(*given, 0, newline)))

    assert all(math.isfinite(ngram.loss) for ngram in found)
    assert all(ngram.loss >= 0 for ngram in found)
    if given[2] == 1:
        assert [str(ngram.loss) for ngram in found] == ["0.0"] * MAX_ORDER


def test_random_text_teaches_nothing(rng: np.random.Generator) -> None:
    """Nothing is less than the entropy; believing in chance costs a little."""
    ids = rng.integers(0, 256, 40_000)
    for ngram in losses(texts(ids[:36_000], ids[36_000:], 256)):
        assert math.log(256) - 0.02 < ngram.loss < math.log(256) + 0.5


def test_repetition_is_found(rng: np.random.Generator) -> None:
    """A tail that stood before costs little, once n-grams are long enough."""
    ids = rng.integers(0, 64, 20_000)
    found = list(losses(texts(ids, ids[:5000], 64)))

    assert found[0].loss == pytest.approx(math.log(64), abs=0.02)
    assert found[-1].loss < 0.75
