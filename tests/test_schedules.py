"""Schedules: bounds, shapes and ends; warm-up laid over them."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import ScheduleName, TrainConfig
from charrnn.schedules import CYCLES, FLOOR, TROUGH, factor, learning_rate

NAMES: tuple[ScheduleName, ...] = get_args(ScheduleName)
FALLING: tuple[ScheduleName, ...] = ("step", "exponential", "linear", "cosine")
SMOOTH: tuple[ScheduleName, ...] = ("exponential", "linear", "cosine", "cyclic")

progresses = st.floats(0, 1)


@given(st.sampled_from(NAMES), progresses)
def test_factor_is_positive_and_at_most_the_peak(
    name: ScheduleName, progress: float
) -> None:
    assert FLOOR - 1e-12 <= factor(name, progress) <= 1


@given(st.sampled_from(FALLING), progresses, progresses)
def test_falling_schedules_never_rise(
    name: ScheduleName, one: float, other: float
) -> None:
    early, late = sorted((one, other))

    assert factor(name, early) >= factor(name, late)


@given(st.sampled_from(SMOOTH), st.floats(0, 1 - 1e-6))
def test_smooth_schedules_do_not_jump(name: ScheduleName, progress: float) -> None:
    """No slope is steeper than that of the first cyclic rise, 2 CYCLES (1 - TROUGH)."""
    change = factor(name, progress + 1e-6) - factor(name, progress)

    assert abs(change) <= 2 * CYCLES * 1e-6


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("constant", 1, 1),
        ("step", 1, 0.125),
        ("exponential", 1, FLOOR),
        ("linear", 1, FLOOR),
        ("cosine", 1, FLOOR),
        ("cyclic", TROUGH, TROUGH),
    ],
)
def test_ends(name: ScheduleName, start: float, end: float) -> None:
    assert factor(name, 0) == pytest.approx(start)
    assert factor(name, 1) == pytest.approx(end)


@given(st.sampled_from(NAMES), st.floats(-10, 10))
def test_progress_outside_the_run_counts_as_its_end(
    name: ScheduleName, beyond: float
) -> None:
    inside = min(max(beyond, 0.0), 1.0)

    assert factor(name, beyond) == factor(name, inside)


def test_step_halves_at_its_marks() -> None:
    at = [0.49, 0.5, 0.69, 0.7, 0.89, 0.9]

    assert [factor("step", p) for p in at] == [1, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_half_way_values() -> None:
    """Linear and cosine pass the mean of their ends, exponential the geometric."""
    assert factor("linear", 0.5) == pytest.approx((1 + FLOOR) / 2)
    assert factor("cosine", 0.5) == pytest.approx((1 + FLOOR) / 2)
    assert factor("exponential", 0.5) == pytest.approx(FLOOR**0.5)
    assert factor("cosine", 0.25) > factor("linear", 0.25)
    assert factor("cosine", 0.75) < factor("linear", 0.75)


def test_cyclic_peaks_halve_above_the_trough() -> None:
    peaks = [factor("cyclic", (cycle + 0.5) / CYCLES) for cycle in range(CYCLES)]
    troughs = [factor("cyclic", cycle / CYCLES) for cycle in range(CYCLES + 1)]

    assert peaks[0] == pytest.approx(1)
    heights = [peak - TROUGH for peak in peaks]
    assert heights[1:] == pytest.approx([height / 2 for height in heights[:-1]])
    assert troughs == pytest.approx([TROUGH] * (CYCLES + 1))


def rates(config: TrainConfig, total: int, known: bool = True) -> list[float]:
    """Learning rate of every step of a run."""
    steps = total if known else None
    return [learning_rate(config, s, s / total, steps) for s in range(total)]


@pytest.mark.parametrize("warmup", [0.1, 10])
def test_warmup_rises_in_equal_steps_to_the_peak(warmup: float) -> None:
    """A tenth of a hundred steps and ten steps are the same warm-up."""
    config = TrainConfig(lr=0.5, warmup=warmup, schedule="linear")

    rate = rates(config, 100)

    assert rate[:10] == pytest.approx([0.05 * (s + 1) for s in range(10)])
    assert rate[10] == pytest.approx(0.5)
    assert rate[10:] == sorted(rate[10:], reverse=True)


def test_warmup_longer_than_the_run_rises_to_its_end() -> None:
    config = TrainConfig(lr=1.0, warmup=40, schedule="cosine")

    assert rates(config, 20) == pytest.approx([(s + 1) / 40 for s in range(20)])


def test_schedule_runs_over_what_the_warmup_leaves() -> None:
    config = TrainConfig(lr=1.0, warmup=20, schedule="cosine")

    assert learning_rate(config, 20, 0.2, 100) == pytest.approx(1)
    assert learning_rate(config, 60, 0.6, 100) == pytest.approx(factor("cosine", 0.5))
    assert learning_rate(config, 100, 1.0, 100) == pytest.approx(FLOOR)


def test_without_warmup_the_first_step_has_the_peak_rate() -> None:
    config = TrainConfig(lr=0.3, warmup=0, schedule="cosine")

    assert learning_rate(config, 0, 0.0, 50) == 0.3
    assert learning_rate(config, 0, 0.0, None) == 0.3


@pytest.mark.parametrize("warmup", [0.25, 5])
def test_runs_of_unknown_length_warm_up_too(warmup: float) -> None:
    config = TrainConfig(lr=1.0, warmup=warmup, schedule="constant")

    rate = rates(config, 20, known=False)

    assert 0 < rate[0] < 0.5
    assert rate[:6] == sorted(rate[:6])
    assert rate[5:] == [1.0] * 15


def test_share_of_warmup_follows_progress_not_steps() -> None:
    """A time limit that ends a long run early does not make it all warm-up."""
    config = TrainConfig(lr=1.0, warmup=0.02, schedule="constant")

    assert learning_rate(config, 500, 0.5, 1_000_000) == 1


def test_cyclic_warms_up_to_its_trough() -> None:
    config = TrainConfig(lr=1.0, warmup=10, schedule="cyclic")

    rate = rates(config, 1000)

    assert rate[9] == pytest.approx(TROUGH)
    assert rate[10] == pytest.approx(TROUGH)
    assert max(rate) == pytest.approx(1, rel=0.01)


@given(
    st.sampled_from(NAMES),
    st.one_of(st.floats(0, 1), st.integers(1, 300)),
    st.integers(1, 200),
    st.booleans(),
)
def test_rate_is_positive_and_at_most_the_peak(
    name: ScheduleName, warmup: float, total: int, known: bool
) -> None:
    """Whatever the warm-up: also one that is longer than the run."""
    config = TrainConfig(lr=0.7, warmup=warmup, schedule=name)

    assert all(0 < rate <= 0.7 for rate in rates(config, total, known))
