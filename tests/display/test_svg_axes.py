"""Axes: every value has a place, and labels are few and round."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.display.svg_axes import Axis, tick_text

NUMBERS = st.floats(-1e300, 1e300)


@given(st.lists(NUMBERS, max_size=9))
def test_every_value_stands_within_the_axis(values: list[float]):
    axis = Axis.around(values, 10, 110)

    assert all(10 - 1e-6 <= axis.place(value) <= 110 + 1e-6 for value in values)


@given(st.lists(st.floats(1e-300, 1e300), max_size=9))
def test_every_positive_value_stands_within_a_logarithmic_axis(values: list[float]):
    axis = Axis.around(values, 110, 10, log=True)

    assert all(10 - 1e-6 <= axis.place(value) <= 110 + 1e-6 for value in values)


@given(st.lists(NUMBERS, max_size=9), st.integers(2, 12), st.booleans())
def test_labels_rise_within_the_axis(values: list[float], most: int, log: bool):
    axis = Axis.around(values, 0, 100, log=log)
    ticks = axis.ticks(most)

    assert all(a < b for a, b in pairwise(ticks))
    assert len(ticks) <= (most if log else 2 * most + 2)
    assert all(-0.01 <= axis.place(tick) <= 100.01 for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "most", "log", "ticks"),
    [
        (0, 10, 5, False, [0, 2, 4, 6, 8, 10]),
        (1.9, 3.6, 5, False, [2, 2.5, 3, 3.5]),
        (0, 1, 4, False, [0, 0.25, 0.5, 0.75, 1]),
        (3, 400, 9, True, [5, 10, 20, 50, 100, 200]),
        (1e-8, 1, 9, True, [10.0**n for n in range(-8, 1)]),
        (1e-8, 1, 5, True, [1e-8, 1e-6, 1e-4, 1e-2, 1]),
    ],
)
def test_labels_are_round(low, high, most, log, ticks):
    assert Axis(low, high, 0, 1, log).ticks(most) == pytest.approx(ticks)


def test_a_single_value_stands_in_the_middle():
    for value in (0.0, 5.0, -3.0):
        assert Axis.around([value], 0, 100).place(value) == pytest.approx(50)
    assert Axis.around([5.0], 0, 100, log=True).place(5) == pytest.approx(50)


def test_a_logarithmic_axis_has_no_place_for_zero():
    axis = Axis.around([0, 1, 10, math.inf, math.nan], 0, 1, log=True)

    assert (axis.low, axis.high) == (1, 10)
    assert [axis.has(v) for v in (0, -1, 5, None, math.nan)] == [
        False,
        False,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (250, "250"),
        (9000, "9000"),
        (25000, "25k"),
        (2500000, "2.5M"),
        (0.002, "0.002"),
        (1e-5, "1e-5"),
        (2e9, "2e9"),
        (-0.5, "-0.5"),
    ],
)
def test_labels_are_short(value: float, text: str):
    assert tick_text(value) == text
