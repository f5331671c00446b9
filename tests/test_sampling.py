"""Settings as options have them, and random numbers; the laws they imply.

What the filters do is tested where they are, in ``kernels/test_filters.py``.
"""

import math
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
from charrnn.kernels.filters import choose, draw, new_scratch
from charrnn.sampling import (
    Randomness,
    distribution,
    filters,
    is_greedy,
    nothing_to_choose,
)
from tests import reference

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


def by_hand(row: NDArray[Any], config: SampleConfig) -> list[float]:
    """One row's distribution, filter after filter, with lists and loops."""
    p, margin = reference.filtered(
        row.tolist(),
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=1.0 if config.top_p is None else config.top_p,
        min_p=config.min_p or 0.0,
    )
    assert margin > 1e-9
    return p


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(20))
def test_distribution_equals_its_definition(seed: int, dtype: Any) -> None:
    """All filters together, on logits of a size that no rounding decides."""
    rng = default_rng(seed)
    logits = (rng.normal(size=(3, 17)) * 2).astype(dtype)
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
def test_neutral_settings_are_the_softmax(logits: Logits) -> None:
    """And no setting at all is the same, bit for bit."""
    neutral = SampleConfig(top_k=logits.shape[1], top_p=1.0, min_p=0.0)

    plain = distribution(logits, SampleConfig())

    np.testing.assert_array_equal(distribution(logits, neutral), plain)
    np.testing.assert_allclose(plain, softmax(logits), rtol=4e-15, atol=1e-300)


@pytest.mark.parametrize("k", [2, 3, 2**31, 2**63 - 1, 2**63, 10**30])
def test_a_k_beyond_the_vocabulary_keeps_all(k: int) -> None:
    """However large it is."""
    logits = np.array([[0, 1]], dtype=np.float32)

    np.testing.assert_array_equal(
        distribution(logits, SampleConfig(top_k=k)),
        distribution(logits, SampleConfig()),
    )


@pytest.mark.parametrize("number", [1, np.float32(1), np.int64(1)])
def test_settings_of_any_type_of_number_are_understood(number: Any) -> None:
    """What options are read as does not matter to the kernel."""
    logits = np.array([[0, 1, 1]], dtype=np.float32)
    config = SampleConfig(temperature=number, top_p=number, min_p=number)

    assert distribution(logits, config).tolist() == [[0, 0.5, 0.5]]
    for name in ("temperature", "typical", "top_p", "min_p"):
        assert type(getattr(filters(config, 3), name)) is float


def test_top_k_ranks_what_temperature_makes_equal() -> None:
    """Logits so close, and so hot, that both weigh 1 are still no tie."""
    logits = np.array([[0, 1e-11, -5]], dtype=np.float32)

    p = distribution(logits, SampleConfig(temperature=1e6, top_k=1))

    assert p.tolist() == [[0, 1, 0]]


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
def test_greedy_is_the_first_arg_max(temperature: float) -> None:
    logits = np.array([[1, 3, 3, -np.inf], [0, -1, -2, 0]], dtype=np.float32)
    config = SampleConfig(temperature=temperature)

    assert is_greedy(config)
    assert distribution(logits, config).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize("temperature", [1e-4, 1e-3, 1.0, 1e6, 1e300])
def test_no_temperature_overflows(temperature: float) -> None:
    """The suite turns warnings into errors; float32 goes to 3.4e38."""
    big = np.finfo(np.float32).max
    logits = np.array([[big, -big, 0, -np.inf], [0, 1, -1, 2]], dtype=np.float32)
    config = SampleConfig(temperature=temperature)

    p = distribution(logits, config)

    assert not is_greedy(config)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert p[0, 3] == 0


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("row", [[1, np.nan], [np.inf, 1], [-np.inf, -np.inf]])
def test_rows_without_a_choice_are_refused(
    row: list[float], temperature: float
) -> None:
    logits = np.array([[0, 1], row], dtype=np.float32)
    config = SampleConfig(temperature=temperature)

    with pytest.raises(VocabError, match=str(nothing_to_choose())):
        distribution(logits, config)


def test_draws_follow_the_distribution() -> None:
    """Chi-square with 7 degrees of freedom stays below its 1 - 1e-4 quantile."""
    logits = default_rng(3).normal(size=(1, 10)).astype(np.float32)
    config = SampleConfig(temperature=0.9, top_k=8)
    p = distribution(logits, config)[0]
    random = Randomness(11)
    # One stream in time and many streams side by side, half each.
    u = np.concatenate(
        [random.take(0, 10_000), *(random.take(i, 50) for i in range(1, 201))]
    )

    drawn = [draw(p, number) for number in u.tolist()]

    observed = np.bincount(drawn, minlength=10)
    assert (observed[p == 0] == 0).all()
    expected = u.size * p[p > 0]
    assert expected.size == 8
    assert u.size == 20_000
    chi_square = ((observed[p > 0] - expected) ** 2 / expected).sum()
    assert chi_square < 29.9


@given(logit_arrays(), configs, st.integers(0, 2**63 - 1))
def test_choosing_is_drawing_from_the_distribution(
    logits: Logits, config: SampleConfig, seed: int
) -> None:
    """As far as no rounding of the sum decides."""
    V, nothing = logits.shape[1], np.zeros(0, np.int32)
    settings, scratch = filters(config, V), new_scratch(V)
    row = logits[0].astype(np.float64)
    u = float(Randomness(seed).take(0, 1)[0])
    chosen = choose(row, nothing, settings, u, scratch)

    p = distribution(logits[:1], config)[0]
    below = math.fsum(p[:chosen])
    assert p[chosen] > 0
    assert below - 1e-12 <= u <= below + p[chosen] + 1e-12


def test_numbers_are_those_of_the_contract() -> None:
    """Each is (raw >> 11) * 2**-53 of Philox, seeded with child i of the seed."""
    children, random = SeedSequence(42).spawn(3), Randomness(42)

    for sample in (2, 0):
        raw = Philox(children[sample]).random_raw(100)
        expected = [(int(number) >> 11) * 2.0**-53 for number in raw]
        assert random.take(sample, 100).tolist() == expected


@pytest.mark.parametrize("largest", [0, 2**64 - 1])
def test_numbers_are_at_least_0_and_below_1(
    monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    """Whatever Philox comes up with."""

    class Stuck:
        def __init__(self, seed: SeedSequence) -> None:
            pass

        def random_raw(self, count: int) -> NDArray[np.uint64]:
            return np.full(count, largest, np.uint64)

    monkeypatch.setattr("charrnn.sampling.Philox", Stuck)

    assert Randomness(0).take(0, 2).tolist() == [1 - 2**-53 if largest else 0.0] * 2


@given(st.lists(st.tuples(st.sampled_from([3, 5]), st.integers(0, 70)), max_size=12))
def test_a_stream_is_the_same_in_one_go_and_in_pieces(
    takes: list[tuple[int, int]],
) -> None:
    """And does not notice the others: sample 3 alone, or with sample 5."""
    random, got = Randomness(7), np.zeros(0)
    for sample, count in takes:
        numbers = random.take(sample, count)
        assert numbers.shape == (count,)
        if sample == 3:
            got = np.concatenate([got, numbers])

    np.testing.assert_array_equal(got, Randomness(7).take(3, got.size))
    assert len(set(got.tolist())) == got.size


def test_seeds_and_samples_differ() -> None:
    firsts = [
        Randomness(seed).take(sample, 1)[0]
        for seed in (0, 1, 2**63 - 1)
        for sample in (0, 1, 65_535)
    ]

    assert len(set(firsts)) == 9
