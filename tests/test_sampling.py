"""Filters and draws: the definitions, and the laws they imply."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.random import Philox, SeedSequence, default_rng
from numpy.typing import NDArray

from charrnn.config import SampleConfig
from charrnn.errors import VocabError
from charrnn.sampling import (
    BLOCK,
    Randomness,
    choose,
    distribution,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
)

Logits = NDArray[np.float32]

shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)

#: Few values, so that ties are common; -inf, but never a whole row of it.
logit_values = st.floats(-30, 30, width=32) | st.sampled_from([-1.0, 0.0, 2.0])
impossible = st.just(float("-inf"))


@st.composite
def logit_arrays(draw_: st.DrawFn) -> Logits:
    """(N, V) logits of which at least the first in every row is finite."""
    logits = draw_(arrays(np.float32, shapes, elements=logit_values | impossible))
    logits[:, 0] = np.where(np.isfinite(logits[:, 0]), logits[:, 0], 1)
    return logits


configs = st.builds(
    SampleConfig,
    temperature=st.sampled_from([1e-3, 0.5, 1.0, 2.0, 1e6]),
    top_k=st.none() | st.integers(1, 14),
    top_p=st.none() | st.floats(0, 1, exclude_min=True),
    min_p=st.none() | st.floats(0, 1),
)


def softmax(logits: Logits, temperature: float = 1.0) -> NDArray[np.float64]:
    """Softmax by its definition, a row at a time."""
    rows = []
    for row in logits.astype(np.float64):
        powers = [np.exp((x - max(row)) / temperature) for x in row]
        rows.append([power / sum(powers) for power in powers])
    return np.array(rows)


def by_hand(row: NDArray[Any], config: SampleConfig) -> NDArray[np.float64]:
    """One row's distribution, filter after filter, with lists and loops."""
    p = list(softmax(np.array([row]), config.temperature)[0])

    def keep(ids: list[int]) -> None:
        total = sum(p[i] for i in ids)
        p[:] = [p[i] / total if i in ids else 0.0 for i in range(len(p))]

    if config.top_k is not None:
        keep(sorted(range(len(p)), key=lambda i: (-row[i], i))[: config.top_k])
    if config.top_p is not None:
        prefix: list[int] = []
        for i in sorted(range(len(p)), key=lambda i: (-p[i], i)):
            prefix.append(i)
            if sum(p[i] for i in prefix) >= config.top_p:
                break
        keep(prefix)
    if config.min_p is not None:
        keep([i for i in range(len(p)) if p[i] >= config.min_p * max(p)])
    return np.array(p)


@pytest.mark.parametrize("seed", range(20))
def test_distribution_equals_its_definition(seed: int) -> None:
    """All filters together, on logits of a size that no rounding decides."""
    rng = default_rng(seed)
    logits = rng.normal(size=(3, 17)).astype(np.float32) * 2
    config = SampleConfig(
        temperature=rng.uniform(0.3, 2),
        top_k=int(rng.integers(1, 17)),
        top_p=rng.uniform(0.2, 1),
        min_p=rng.uniform(0, 0.3),
    )

    result = distribution(logits, config)

    assert result.dtype == np.float64
    expected = [by_hand(row, config) for row in logits]
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-15)


@given(logit_arrays(), configs)
def test_it_is_a_distribution(logits: Logits, config: SampleConfig) -> None:
    """Sums to one, keeps someone, and never what is impossible."""
    p = distribution(logits, config)

    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert (p >= 0).all()
    assert (p[np.isneginf(logits)] == 0).all()
    unfiltered = softmax(logits, config.temperature)
    best = unfiltered == unfiltered.max(axis=1, keepdims=True)
    assert (np.where(best, p, 0).sum(axis=1) > 0).all()


@given(logit_arrays())
def test_neutral_settings_are_the_softmax_bit_for_bit(logits: Logits) -> None:
    neutral = SampleConfig(top_k=logits.shape[1], top_p=1.0, min_p=0.0)

    plain = distribution(logits, SampleConfig())

    np.testing.assert_array_equal(distribution(logits, neutral), plain)
    np.testing.assert_allclose(plain, softmax(logits), rtol=1e-12)


@given(logit_arrays(), st.integers(1, 14))
def test_top_k_keeps_exactly_k_and_the_lowest_ids_of_ties(
    logits: Logits, k: int
) -> None:
    kept = keep_top_k(logits, k)

    for row, mask in zip(logits, kept, strict=True):
        expected = sorted(range(row.size), key=lambda i: (-row[i], i))[:k]
        assert list(np.flatnonzero(mask)) == sorted(expected)


def test_top_k_ranks_what_temperature_makes_equal() -> None:
    """Logits so close, and so hot, that both weigh 1 are still no tie."""
    logits = np.array([[0, 1e-11, -5]], dtype=np.float32)

    p = distribution(logits, SampleConfig(temperature=1e6, top_k=1))

    assert p.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize(
    ("p", "kept"),
    [
        (1e-300, [1]),
        (0.5, [1]),
        (0.500001, [1, 2]),
        (0.75, [1, 2]),
        (0.76, [0, 1, 2]),
        (0.9999, [0, 1, 2, 3]),
    ],
)
def test_top_p_keeps_the_smallest_prefix_that_reaches_p(
    p: float, kept: list[int]
) -> None:
    """The one that crosses p stays; of equal ones the lower id goes first."""
    weights = np.array([[0.125, 0.5, 0.25, 0.125]])

    assert list(np.flatnonzero(keep_top_p(weights, p))) == kept


def test_min_p_keeps_what_is_exactly_on_the_mark() -> None:
    weights = np.array([[1.0, 0.25, 0.2499, 0.0], [2.0, 0.5, 0.4, 2.0]])

    kept = keep_min_p(weights, 0.25)

    assert kept.tolist() == [[True, True, False, False], [True, True, False, True]]


@given(logit_arrays(), st.integers(1, 14), st.integers(1, 14))
def test_top_k_nests(logits: Logits, one: int, other: int) -> None:
    small, large = sorted((one, other))

    assert (keep_top_k(logits, small) <= keep_top_k(logits, large)).all()


@given(logit_arrays(), st.floats(0, 1), st.floats(0, 1))
def test_top_p_and_min_p_nest(logits: Logits, one: float, other: float) -> None:
    small, large = sorted((one, other))
    p = softmax(logits)

    assert (keep_top_p(p, small) <= keep_top_p(p, large)).all()
    assert (keep_min_p(p, small) >= keep_min_p(p, large)).all()


@given(
    st.lists(st.integers(-900, 900), min_size=1, max_size=12, unique=True),
    configs,
    st.data(),
)
def test_renumbered_characters_keep_their_probability(
    hundredths: list[int], config: SampleConfig, data: st.DataObject
) -> None:
    """Only ties may look at the ids, and these logits have none."""
    logits = np.array([hundredths], dtype=np.float32) / 100
    order = data.draw(st.permutations(range(len(hundredths))))

    renumbered = distribution(logits[:, order], config)

    expected = distribution(logits, config)[:, order]
    np.testing.assert_allclose(renumbered, expected, rtol=1e-12)


@given(logit_arrays(), configs)
def test_a_row_of_a_batch_equals_the_row_alone(
    logits: Logits, config: SampleConfig
) -> None:
    """Bit for bit, also when the batch lies in memory column by column."""
    batch = distribution(np.asfortranarray(logits), config)

    alone = [distribution(row[np.newaxis], config)[0] for row in logits]

    np.testing.assert_array_equal(batch, alone)


def test_logits_are_left_alone() -> None:
    logits = np.array([[1, 2, 3]], dtype=np.float64)

    distribution(logits, SampleConfig(temperature=0.5, top_k=1))

    assert logits.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 9.99e-5])
def test_greedy_is_the_first_arg_max_and_draws_nothing(temperature: float) -> None:
    logits = np.array([[1, 3, 3, -np.inf], [0, -1, -2, 0]], dtype=np.float32)
    config = SampleConfig(temperature=temperature)
    random = Randomness(0)

    assert choose(logits, config, random).tolist() == [1, 0]
    assert distribution(logits, config).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    np.testing.assert_array_equal(random.uniform([0]), Randomness(0).uniform([0]))


@pytest.mark.parametrize("temperature", [1e-4, 1e-3, 1.0, 1e6, 1e300])
def test_no_temperature_overflows(temperature: float) -> None:
    """The suite turns warnings into errors; float32 goes to 3.4e38."""
    big = np.finfo(np.float32).max
    logits = np.array([[big, -big, 0, -np.inf], [0, 1, -1, 2]], dtype=np.float32)

    p = distribution(logits, SampleConfig(temperature=temperature))

    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert p[0, 3] == 0


def test_high_temperature_is_uniform_and_a_low_one_is_greedy() -> None:
    logits = np.array([[0.0, 1.0, 0.5]], dtype=np.float32)

    hot = distribution(logits, SampleConfig(temperature=1e9))
    cold = distribution(logits, SampleConfig(temperature=1e-3))

    np.testing.assert_allclose(hot, [[1 / 3] * 3], rtol=1e-8)
    np.testing.assert_allclose(cold, [[0, 1, 0]], atol=1e-200)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("row", [[1, np.nan], [np.inf, 1], [-np.inf, -np.inf]])
def test_rows_without_a_choice_are_refused(
    row: list[float], temperature: float
) -> None:
    logits = np.array([[0, 1], row], dtype=np.float32)
    config = SampleConfig(temperature=temperature)

    with pytest.raises(VocabError, match="highest logit"):
        choose(logits, config, Randomness(0))
    with pytest.raises(VocabError, match="highest logit"):
        distribution(logits, config)


@pytest.mark.parametrize(
    ("u", "expected"), [(0.0, 1), (0.2499, 1), (0.25, 2), (0.75, 4), (1 - 2**-53, 4)]
)
def test_draw_is_the_inverse_distribution(u: float, expected: int) -> None:
    """A boundary belongs to the next character; impossible ones are passed over."""
    probabilities = np.array([[0.0, 0.25, 0.5, 0.0, 0.25, 0.0]])

    assert draw(probabilities, np.array([u])).tolist() == [expected]


@given(
    arrays(np.float64, shapes, elements=st.just(0.0) | st.floats(1e-3, 1)),
    st.sampled_from([0.0, 0.5, 1 - 2**-53]) | st.floats(0, 1, exclude_max=True),
)
def test_rounding_never_draws_an_impossible_character(
    weights: NDArray[np.float64], u: float
) -> None:
    """Also when the mass falls short of u by rounding, or by a thousandth."""
    weights[:, 0] += weights.sum(axis=1) == 0
    p = weights / weights.sum(axis=1, keepdims=True) * 0.999

    ids = draw(p, np.full(len(p), u))

    assert (p[np.arange(len(p)), ids] > 0).all()
    if u > 0.9995:
        last = [np.flatnonzero(row)[-1] for row in p]
        assert ids.tolist() == last


def test_draws_follow_the_distribution() -> None:
    """Chi-square with 7 degrees of freedom stays below its 1 - 1e-4 quantile."""
    logits = default_rng(3).normal(size=(1, 10)).astype(np.float32)
    config = SampleConfig(temperature=0.9, top_k=8)
    p = distribution(logits, config)[0]
    count, random = 20_000, Randomness(11)
    # One stream in time and many streams side by side, half each.
    u = np.concatenate(
        [
            [random.uniform([0])[0] for _ in range(count // 2)],
            *(random.uniform(range(1, 201)) for _ in range(count // 400)),
        ]
    )

    ids = draw(np.tile(p, (u.size, 1)), u)

    observed = np.bincount(ids, minlength=10)
    assert (observed[p == 0] == 0).all()
    expected = u.size * p[p > 0]
    assert expected.size == 8
    chi_square = ((observed[p > 0] - expected) ** 2 / expected).sum()
    assert chi_square < 29.9


def test_numbers_are_those_of_the_contract() -> None:
    """Each is (raw >> 11) * 2**-53 of Philox, seeded with child i of the seed."""
    children = SeedSequence(42).spawn(3)
    random = Randomness(42)

    for _ in range(2):
        random.uniform([0, 2])

    raw = Philox(children[2]).random_raw(3)
    assert random.uniform([2])[0] == (int(raw[2]) >> 11) * 2.0**-53


def test_a_stream_does_not_notice_the_others() -> None:
    """Sample 3 alone, in a batch, in any order, or while others have ended."""
    length = 2 * BLOCK + 3
    alone, batch = Randomness(7), Randomness(7)

    expected = [alone.uniform([3])[0] for _ in range(length)]
    got = [batch.uniform([5, 3, 0][: 2 + t % 2])[1] for t in range(length)]

    assert got == expected
    assert len(set(got)) == length
    assert all(0 <= u < 1 for u in got)


def test_chosen_characters_do_not_depend_on_the_batch() -> None:
    logits = default_rng(1).normal(size=(40, 5, 30)).astype(np.float32)
    config = SampleConfig(top_p=0.9)
    together, alone = Randomness(1), Randomness(1)

    batch = np.array([choose(step, config, together) for step in logits])
    fourth = [choose(step[4:], config, alone, samples=[4])[0] for step in logits]

    assert batch.dtype == np.int32
    assert batch[:, 4].tolist() == fourth
    assert len(set(fourth)) > 5


def test_seeds_differ() -> None:
    one, other = Randomness(0), Randomness(1)

    assert one.uniform([0])[0] != other.uniform([0])[0]
