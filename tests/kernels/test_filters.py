"""Filters and draws: the definitions, and the laws they imply."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.random import Philox, SeedSequence
from numpy.typing import NDArray

from charrnn.kernels.filters import (
    Filters,
    choose,
    draw,
    new_scratch,
    weigh,
    weigh_rows,
)
from tests import reference

pytestmark = pytest.mark.small

Array = NDArray[np.float64]

#: Nothing has been written yet.
NOTHING = np.zeros(0, np.int32)

#: Filters that the definition knows.
SETTINGS = (
    *("bias", "no_repeat", "temperature", "top_k"),
    *("typical", "top_p", "min_p"),
)

#: What rounding may decide is not a law.
UNDECIDED = 1e-9

#: Logarithms that the exponential turns into powers of two, exactly.
LN2 = math.log(2)

#: Few values, so that ties are common; -inf, but never nothing else.
logit_values = st.floats(-30, 30, width=32) | st.sampled_from([-1.0, 0.0, 2.0])
impossible = st.just(-math.inf)
shares = st.floats(0, 1, exclude_min=True)
uniforms = st.sampled_from([0.0, 0.5, 1 - 2**-53]) | st.floats(0, 1, exclude_max=True)


@st.composite
def logit_rows(draw_: st.DrawFn, size: int | None = None) -> Array:
    """Logits (V,) of which one at least is finite."""
    count = draw_(st.integers(1, 12)) if size is None else size
    logits = draw_(arrays(np.float64, count, elements=logit_values | impossible))
    if not np.isfinite(logits).any():
        logits[draw_(st.integers(0, count - 1))] = 1
    return logits


@st.composite
def filters_of(draw_: st.DrawFn, V: int, *, biased: bool = True) -> Filters:
    """Set all filters, each of them neutral every now and then."""
    bias = st.sampled_from([0.0, 0.0, 0.5, -2.0, 10.0])
    temperatures = st.sampled_from([1e-3, 0.5, 1.0, 1.0, 2.0, 1e6])
    return Filters(
        bias=draw_(arrays(np.float64, V, elements=bias)) if biased else np.zeros(V),
        no_repeat=draw_(st.integers(0, 4)),
        temperature=draw_(temperatures),
        top_k=draw_(st.integers(1, 14)),
        typical=draw_(st.just(1.0) | shares),
        top_p=draw_(st.just(1.0) | shares),
        min_p=draw_(st.just(0.0) | st.floats(0, 1)),
    )


def only(V: int, **settings: Any) -> Filters:
    """All filters at their neutral settings, but for some."""
    neutral = Filters(
        bias=np.zeros(V),
        no_repeat=0,
        temperature=1.0,
        top_k=V,
        typical=1.0,
        top_p=1.0,
        min_p=0.0,
    )
    return neutral._replace(**settings)


def by_definition(
    logits: Any, filters: Filters, recent: Any = NOTHING
) -> tuple[list[float], float]:
    """Work out what the filters leave, and how close a decision was."""
    settings = {name: getattr(filters, name) for name in SETTINGS}
    return reference.filtered(logits, recent, **settings)


def weights_of(
    logits: Any, filters: Filters | None = None, recent: Any = NOTHING
) -> Array:
    """Let the kernel work it out; in proportion to the probabilities."""
    row = np.asarray(logits, np.float64)
    scratch = new_scratch(row.size)
    best = weigh(row, np.asarray(recent, np.int32), filters or only(row.size), scratch)
    assert best >= 0
    weights: Array = np.asarray(scratch.weights, np.float64)
    return weights


def distribution(
    logits: Any, filters: Filters | None = None, recent: Any = NOTHING
) -> Array:
    """Let the kernel work it out; as probabilities."""
    weights = weights_of(logits, filters, recent)
    return weights / weights.sum()


def kept(logits: Any, recent: Any = NOTHING, **settings: Any) -> list[int]:
    """Characters that are left."""
    weights = weights_of(logits, only(len(logits), **settings), recent)
    return [int(v) for v in np.flatnonzero(weights)]


def ids_of(text: str) -> list[int]:
    """Spell a text with the letters a, b, c...; a dot is before its beginning."""
    return [-1 if letter == "." else ord(letter) - ord("a") for letter in text]


@given(st.data())
def test_distribution_equals_its_definition(data: st.DataObject) -> None:
    """All filters together, wherever no rounding decides."""
    logits = data.draw(logit_rows())
    filters = data.draw(filters_of(logits.size))
    some = st.integers(-1, min(2, logits.size - 1))
    recent = data.draw(st.lists(some, max_size=12))
    expected, margin = by_definition(logits, filters, recent)
    assume(margin > UNDECIDED)

    found = distribution(logits, filters, recent)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("seed", range(20))
def test_long_distribution_equals_its_definition(seed: int) -> None:
    """As many characters as a model has, and each filter somewhere in between."""
    rng = np.random.default_rng(seed)
    logits, recent = rng.normal(0, 2, 97), rng.integers(-1, 97, 40)
    filters = Filters(
        bias=np.where(rng.random(97) < 0.1, -np.inf, rng.normal(size=97)),
        no_repeat=int(rng.integers(0, 3)),
        temperature=rng.uniform(0.7, 2),
        top_k=int(rng.integers(20, 97)),
        typical=rng.uniform(0.5, 1),
        top_p=rng.uniform(0.3, 1),
        min_p=rng.uniform(0, 0.1),
    )
    expected, margin = by_definition(logits, filters, recent)

    assert margin > UNDECIDED
    found = distribution(logits, filters, recent)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@given(st.data())
def test_somebody_stays_and_never_what_is_impossible(data: st.DataObject) -> None:
    """The likeliest, unless it is not typical."""
    logits = data.draw(logit_rows())
    filters = data.draw(filters_of(logits.size, biased=False))
    weights = weights_of(logits, filters)

    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    assert (weights[np.isneginf(logits)] == 0).all()
    assert weights.any()
    if filters.typical == 1:
        # Logits too close for their probabilities to differ are equally likely.
        neutral = filters._replace(top_k=logits.size, top_p=1.0, min_p=0.0)
        before = weights_of(logits, neutral)
        assert weights[before == before.max()].any()


@given(logit_rows())
def test_neutral_settings_are_the_softmax(logits: Array) -> None:
    powers = np.exp(logits - logits.max())

    np.testing.assert_allclose(
        distribution(logits), powers / powers.sum(), rtol=4e-15, atol=1e-300
    )


@given(logit_rows(), st.integers(12, 2**62))
def test_filters_that_keep_all_change_no_bit(logits: Array, k: int) -> None:
    neutral = only(logits.size, top_k=k)

    np.testing.assert_array_equal(weights_of(logits, neutral), weights_of(logits))


@given(st.data())
def test_a_bias_is_added(data: st.DataObject) -> None:
    """Every filter sees the sum; minus infinity bans."""
    logits = data.draw(logit_rows())
    settings = data.draw(filters_of(logits.size))
    bias = settings.bias.copy()
    bias[data.draw(st.integers(0, logits.size - 1))] = -np.inf
    assume(np.isfinite(logits + bias).any())

    np.testing.assert_array_equal(
        weights_of(logits, settings._replace(bias=bias)),
        weights_of(logits + bias, settings._replace(bias=np.zeros(bias.size))),
    )


@given(logit_rows(), st.integers(1, 14))
def test_top_k_keeps_exactly_k_and_the_lowest_ids_of_ties(
    logits: Array, k: int
) -> None:
    """Fewer only where fewer are possible."""
    scores = logits - logits.max()
    order = sorted(range(logits.size), key=lambda v: (-scores[v], v))[:k]

    assert kept(logits, top_k=k) == sorted(v for v in order if logits[v] > -np.inf)


def test_top_k_ranks_what_temperature_makes_equal() -> None:
    """Logits so close, and so hot, that both weigh 1 are still no tie."""
    assert kept([0, 1e-11, -5], temperature=1e6, top_k=1) == [1]


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.0, [1]),
        (1e-300, [1]),
        (0.5, [1]),
        (0.500001, [1, 2]),
        (0.75, [1, 2]),
        (0.76, [0, 1, 2]),
        (0.9999, [0, 1, 2, 3]),
    ],
)
def test_top_p_keeps_the_smallest_prefix_that_reaches_p(
    p: float, expected: list[int]
) -> None:
    """The one that crosses p stays; of equal ones the lower id goes first."""
    shares = [-2 * LN2, 0, -LN2, -2 * LN2]  # 1/8, 1/2, 1/4, 1/8

    assert kept(shares, top_p=p) == expected


@given(logit_rows(), shares)
def test_top_p_cannot_do_with_fewer(logits: Array, p: float) -> None:
    """What is kept reaches p, and without the least of it does not."""
    chosen, all_p = kept(logits, top_p=p), distribution(logits)
    order = sorted(range(logits.size), key=lambda v: (-all_p[v], v))

    assert chosen == sorted(order[: len(chosen)])
    assert all_p[order[: len(chosen)]].sum() >= p * (1 - 1e-14)
    assert all_p[order[: len(chosen) - 1]].sum() < p * (1 + 1e-14)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, [2]),
        (1e-300, [2]),
        (0.24, [2]),
        (0.26, [1, 2]),
        (0.74, [1, 2]),
        (0.76, [0, 1, 2]),
        (0.9999, [0, 1, 2, 3]),
    ],
)
def test_typical_keeps_what_surprises_as_much_as_the_mean(
    share: float, expected: list[int]
) -> None:
    """Of 3, 1, 2, 3 bits, 1.75 in the mean: first that of 2, then that of 1."""
    shares = [-2 * LN2, 0, -LN2, -2 * LN2]

    assert kept(shares, typical=share) == expected


def test_typical_may_drop_the_likeliest() -> None:
    """One of 45 % among many: it surprises less than the mean."""
    logits = np.log([0.45] + [0.05] * 11)

    assert kept(logits, typical=0.2) == [1, 2, 3, 4]
    assert kept(logits, typical=0.2, top_k=1) == [0]


@pytest.mark.parametrize("share", [1e-9, 0.3, 0.6, 0.99])
def test_typical_takes_equal_ones_by_id(share: float) -> None:
    """What is impossible has no part in the mean, nor in the ranks."""
    logits = [-np.inf, 4, 4, -np.inf, 4, 4]
    count = math.ceil(share * 4)

    assert kept(logits, typical=share) == [1, 2, 4, 5][:count]


def test_min_p_keeps_what_is_exactly_on_the_mark() -> None:
    logits = [0, -2 * LN2, -2.0001 * LN2, -np.inf]

    assert kept(logits, min_p=0.25) == [0, 1]
    assert kept([1, 0, 1, 0.9999], min_p=1.0) == [0, 2]


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.5, "typical": 0.7},
        {"temperature": 2.0, "top_p": 0.55},
        {"temperature": 2.0, "min_p": 0.45},
        {"top_k": 3, "typical": 0.45},
        {"top_k": 4, "top_p": 0.82},
        {"typical": 0.35, "top_p": 0.55},
        {"typical": 0.35, "min_p": 0.45},
        {"top_p": 0.7, "min_p": 0.3},
    ],
    ids="-".join,
)
def test_each_filter_sees_what_the_one_before_it_left(
    settings: dict[str, Any],
) -> None:
    """Of these pairs every one would leave something else the other way round."""
    logits = np.log([0.02, 0.39, 0.26, 0.15, 0.11, 0.07]).tolist()
    expected, margin = reference.filtered(logits, **settings)

    assert margin > UNDECIDED
    np.testing.assert_allclose(distribution(logits, only(6, **settings)), expected)


@given(logit_rows(), st.integers(1, 14), st.integers(1, 14))
def test_top_k_nests(logits: Array, one: int, other: int) -> None:
    small, large = sorted((one, other))

    assert set(kept(logits, top_k=small)) <= set(kept(logits, top_k=large))


@pytest.mark.parametrize("name", ["typical", "top_p", "min_p"])
@given(logits=logit_rows(), one=shares, other=shares)
def test_shares_nest(name: str, logits: Array, one: float, other: float) -> None:
    """The more is asked for, the more is kept; for min-p it is the fewer."""
    small, large = sorted((one, other), reverse=name == "min_p")

    assert set(kept(logits, **{name: small})) <= set(kept(logits, **{name: large}))


@given(
    st.lists(st.integers(-900, 900), min_size=1, max_size=12, unique=True), st.data()
)
def test_renumbered_characters_keep_their_probability(
    hundredths: list[int], data: st.DataObject
) -> None:
    """Only ties may look at the ids, and these logits have none."""
    logits = np.array(hundredths) / 100
    filters = data.draw(filters_of(logits.size, biased=False))._replace(no_repeat=0)
    assume(by_definition(logits, filters)[1] > UNDECIDED)
    order = data.draw(st.permutations(range(logits.size)))

    renumbered = distribution(logits[order], filters)
    expected = distribution(logits, filters)[order]
    np.testing.assert_allclose(renumbered, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("recent", "n", "banned"),
    [
        ("abcab", 3, "c"),
        ("abcab", 2, "c"),
        ("abcab", 1, "abc"),
        ("abcab", 4, ""),
        ("abcabdab", 3, "cd"),
        ("aaaa", 3, "a"),
        ("aa", 3, ""),
        ("ab", 2, ""),
        ("a", 1, "a"),
        ("a", 2, ""),
        ("", 1, ""),
        ("", 3, ""),
        ("ab", 9, ""),
        ("..ab.ab", 3, ""),
        (".ab.a", 3, ""),
        ("b.abb.a", 4, ""),
        ("..a.a", 2, ""),
        (".aa", 2, "a"),
    ],
)
def test_an_n_gram_does_not_come_again(recent: str, n: int, banned: str) -> None:
    """Dots, ids below 0, stand before the text began and match nothing."""
    left = kept([0.0] * 5, ids_of(recent), no_repeat=n)

    assert left == [v for v in range(5) if v not in ids_of(banned)]


@given(st.lists(st.integers(-1, 2), max_size=30), st.integers(1, 5))
def test_n_gram_ban_by_hand(recent: list[int], n: int) -> None:
    """What is left completes no n-gram of the text; what is banned does."""
    left = kept([0.0] * 4, recent, no_repeat=n)  # 3 has never been there

    for v in range(4):
        text = [*recent, v]
        before = [text[i : i + n] for i in range(len(recent) - n + 1)]
        fresh = -1 in text[-n:] or len(text) < n or text[-n:] not in before
        assert (v in left) == fresh


def test_a_ban_of_everything_bans_nothing() -> None:
    """Neither where the only others are impossible; probabilities stay."""
    logits = np.log([0.5, 0.3, 0.2])

    assert kept(logits, ids_of("abc"), no_repeat=1) == [0, 1, 2]
    np.testing.assert_array_equal(
        weights_of(logits, only(3, no_repeat=1), ids_of("abc")), weights_of(logits)
    )
    assert kept([1, 2, -np.inf], ids_of("ab"), no_repeat=1) == [0, 1]
    assert kept([1, 2, -np.inf], ids_of("a"), no_repeat=1) == [1]


def test_bans_come_before_ranks() -> None:
    """What is banned is not counted among the k, nor among the share p."""
    logits = np.log([0.4, 0.3, 0.2, 0.1])

    assert kept(logits, ids_of("a"), no_repeat=1, top_k=2) == [1, 2]
    assert kept(logits, ids_of("a"), no_repeat=1, top_p=0.6) == [1, 2]
    assert kept(logits, bias=np.array([-np.inf, 0, 0, 0]), top_k=2) == [1, 2]


def test_bias_comes_before_the_ban() -> None:
    """Where the bias leaves nothing else, the n-gram's ban does not count."""
    bias = np.array([0.0, -np.inf, -np.inf])

    assert kept([0.0] * 3, ids_of("a"), no_repeat=1, bias=bias) == [0]


def test_greedy_looks_at_bans() -> None:
    """And at the bias, but at no other filter."""
    scratch = new_scratch(3)
    filters = only(3, temperature=0.0, no_repeat=1, bias=np.array([0, 2.0, 0]))
    logits = np.array([1.0, 0, 2.5])

    assert choose(logits, NOTHING, filters, 0.9, scratch) == 2
    assert choose(logits, np.array([2], np.int32), filters, 0.9, scratch) == 1
    assert scratch.weights.tolist() == [0, 1, 0]


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 9.99e-5])
@given(logits=logit_rows(), u=uniforms, data=st.data())
def test_greedy_is_the_first_arg_max(
    temperature: float, logits: Array, u: float, data: st.DataObject
) -> None:
    """Whatever the random number and the other filters are."""
    filters = data.draw(filters_of(logits.size))._replace(temperature=temperature)
    scratch = new_scratch(logits.size)
    best = int(np.argmax(logits + filters.bias))

    assert choose(logits, NOTHING, filters, u, scratch) == best
    assert scratch.weights.tolist() == [float(v == best) for v in range(logits.size)]


@pytest.mark.parametrize("temperature", [1e-300, 1e-4, 1e-3, 1.0, 1e6, 1e300])
def test_no_temperature_overflows(temperature: float) -> None:
    """The suite turns warnings into errors; float32 goes to 3.4e38."""
    big = float(np.finfo(np.float32).max)

    for logits in ([big, -big, 0, -np.inf], [0, 1, -1, 2]):
        p = distribution(logits, only(4, temperature=temperature))
        assert p.sum() == pytest.approx(1)
        assert p[np.argmax(logits)] == p.max()
        assert (p[np.isneginf(logits)] == 0).all()


def test_high_temperature_is_uniform_and_a_low_one_is_greedy() -> None:
    logits = [0.0, 1.0, 0.5]
    hot = distribution(logits, only(3, temperature=1e9))
    cold = distribution(logits, only(3, temperature=1e-3))

    np.testing.assert_allclose(hot, [1 / 3] * 3, rtol=1e-8)
    np.testing.assert_allclose(cold, [0, 1, 0], atol=1e-200)


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 0.0}, {"top_p": 0.5}], ids=str
)
@pytest.mark.parametrize(
    "row",
    [
        [1, np.nan, 2],
        [np.nan, 1, 2],
        [1, 2, np.nan],
        [np.nan] * 3,
        [np.inf, 1, 2],
        [1, 2, np.inf],
        [np.inf, np.nan, -np.inf],
        [-np.inf] * 3,
    ],
    ids=str,
)
def test_rows_without_a_choice_are_refused(
    row: list[float], settings: dict[str, Any]
) -> None:
    """A NaN, an infinity, or nothing but minus infinity; also beside good rows."""
    logits, filters = np.array([[0, 1, 0], row, [0, 1, 0]]), only(3, **settings)
    scratch, weights = new_scratch(3), np.empty((3, 3))

    assert weigh(logits[1], NOTHING, filters, scratch) == -1
    assert choose(logits[1], NOTHING, filters, 0.5, scratch) == -1
    assert not weigh_rows(logits, NOTHING, filters, scratch, weights)
    assert weigh_rows(logits[::2].copy(), NOTHING, filters, scratch, weights[:2])


def test_a_bias_that_bans_all_is_refused() -> None:
    """Unlike the ban of n-grams, it is what the user wants."""
    filters = only(2, bias=np.array([-np.inf, -np.inf]))

    assert weigh(np.array([1.0, 2.0]), NOTHING, filters, new_scratch(2)) == -1


@given(st.data())
def test_what_is_given_is_left_alone(data: st.DataObject) -> None:
    """Logits, bias and text; and a used scratch is as good as a new one."""
    logits = data.draw(logit_rows())
    filters = data.draw(filters_of(logits.size))
    recent = np.zeros(5, np.int32)
    before = logits.copy(), filters.bias.copy()
    scratch = new_scratch(logits.size)
    for array in scratch:
        array[:] = 7
    weigh(logits, recent, filters, scratch)

    np.testing.assert_array_equal(logits, before[0])
    np.testing.assert_array_equal(filters.bias, before[1])
    assert not recent.any()
    np.testing.assert_array_equal(scratch.weights, weights_of(logits, filters, recent))


@given(st.data())
def test_a_row_of_many_equals_the_row_alone(data: st.DataObject) -> None:
    """Bit for bit."""
    V = data.draw(st.integers(1, 12))
    logits = np.array(data.draw(st.lists(logit_rows(V), min_size=1, max_size=4)))
    filters, recent = data.draw(filters_of(V)), np.arange(-2, 3, dtype=np.int32) % V
    weights = np.empty(logits.shape)

    assert weigh_rows(logits, recent, filters, new_scratch(logits.shape[1]), weights)
    alone = [weights_of(row, filters, recent) for row in logits]
    np.testing.assert_array_equal(weights, alone)


@pytest.mark.parametrize(
    ("u", "expected"), [(0.0, 1), (0.2499, 1), (0.25, 2), (0.75, 4), (1 - 2**-53, 4)]
)
@pytest.mark.parametrize("total", [1.0, 0.5, 2.0**70, 2.0**-900])
def test_draw_is_the_inverse_distribution(
    u: float, expected: int, total: float
) -> None:
    """A boundary belongs to the next character; impossible ones are passed over."""
    weights = total * np.array([0.0, 0.25, 0.5, 0.0, 0.25, 0.0])

    assert draw(weights, u) == expected


@given(
    arrays(
        np.float64,
        st.integers(1, 12),
        elements=st.sampled_from([0.0, 5e-324, 1e-300, 1e300]) | st.floats(1e-3, 1),
    ),
    uniforms,
)
def test_rounding_never_draws_an_impossible_character(weights: Array, u: float) -> None:
    """Also at the very end, and where all weights are tiny."""
    weights[0] += not weights.any()
    chosen = draw(weights, u)

    assert weights[chosen] > 0
    total, below = math.fsum(weights), math.fsum(weights[:chosen])
    assert below <= u * total * (1 + 1e-12)
    assert below + weights[chosen] >= u * total * (1 - 1e-12)


@given(st.data(), uniforms)
def test_choosing_is_weighing_and_drawing(data: st.DataObject, u: float) -> None:
    logits = data.draw(logit_rows())
    filters = data.draw(filters_of(logits.size))
    recent = np.zeros(3, np.int32)
    chosen = choose(logits, recent, filters, u, new_scratch(logits.size))

    assert chosen == draw(weights_of(logits, filters, recent), u)


def test_draws_follow_the_distribution(rng: np.random.Generator) -> None:
    """Chi-square with 7 degrees of freedom stays below its 1 - 1e-4 quantile."""
    logits, filters = rng.normal(size=10), only(10, temperature=0.9, top_k=8)
    p, scratch = distribution(logits, filters), new_scratch(10)
    raw = Philox(SeedSequence(11)).random_raw(20_000)
    drawn = [
        choose(logits, NOTHING, filters, u, scratch)
        for u in ((raw >> np.uint64(11)) * 2.0**-53).tolist()
    ]
    observed = np.bincount(drawn, minlength=10)
    expected = len(drawn) * p[p > 0]

    assert expected.size == 8
    assert (observed[p == 0] == 0).all()
    chi_square = ((observed[p > 0] - expected) ** 2 / expected).sum()
    assert chi_square < 29.9


def test_what_is_banned_must_be_finite_too() -> None:
    """A network that has overflown is refused, whatever an n-gram forbids."""
    settings = Filters(np.zeros(3), 1, 1.0, 3, 1.0, 1.0, 0.0)
    logits, recent = np.array([1.0, np.nan, 2.0]), np.array([1], np.int32)

    assert weigh(logits, recent, settings, new_scratch(3)) == -1
