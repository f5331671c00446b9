import math

from hypothesis import given
from hypothesis import strategies as st

from charrnn.display.sparkline import ASCII_LEVELS, BLOCKS, averaged, level, sparkline

VALUES = st.lists(st.none() | st.floats())


def test_rising_values_rise():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == BLOCKS
    assert sparkline([7, 6, 5, 4, 3, 2, 1, 0], 8, ascii_only=True) == ASCII_LEVELS[::-1]


def test_more_values_than_cells_are_averaged():
    assert averaged([0, 2, 4, 6], 2) == [1, 5]
    assert sparkline([0, 2, 4, 6], 2) == "▁█"


def test_a_gap_repeats_what_came_before_and_is_blank_at_the_beginning():
    assert sparkline([None, 0, None, math.nan, 1], 5) == " ▁▁▁█"


def test_a_flat_line_is_low():
    assert sparkline([3, 3, 3], 3) == "▁▁▁"


@given(VALUES, st.integers(1, 40))
def test_any_values_fit_the_width(values: list[float | None], width: int):
    line = sparkline(values, width)
    known = [v for v in values if v is not None and math.isfinite(v)]

    assert len(line) == (min(width, len(values)) if known else 0)
    assert set(line) <= set(BLOCKS + " ")


@given(*[st.floats(allow_nan=False, allow_infinity=False)] * 3)
def test_levels_are_in_range_and_in_order(a: float, b: float, c: float):
    low, middle, high = sorted((a, b, c))

    assert 0 <= level(low, low, high) <= level(middle, low, high)
    assert level(middle, low, high) <= level(high, low, high) <= 7
