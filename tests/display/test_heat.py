import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import Color
from rich.style import Style

from charrnn.display.heat import heat_text, legend, level_of, style_of
from charrnn.display.sparkline import ASCII_LEVELS, BLOCKS
from charrnn.display.symbols import Look, shown_text
from charrnn.inspection.blocks import BITS, HeatLine

TEXTS = st.text(
    st.sampled_from("ab c漢字\n\t\x1b\u0301\U0001f44d") | st.characters(), max_size=60
)


def drawn(symbols: str, values: list[float], look: Look, label: str = "") -> list[str]:
    lines = heat_text([HeatLine(label, symbols, values)], look)
    return [line.plain for line in lines]


def test_every_symbol_has_a_bar_as_wide_as_itself():
    look = Look(width=20)

    assert drawn("a漢\n", [0.5, 3.2, 99.0], look) == ["a漢␊", "▁▄▄█"]
    assert drawn("a\n", [1, 7], look._replace(ascii=True)) == ["a\\n", ".##"]


def test_the_label_stands_before_the_first_row_only():
    rows = drawn("abcdef", [0] * 6, Look(width=5), label="1 ")

    assert rows == ["1 abc", "  ▁▁▁", "  def", "  ▁▁▁"]


def test_rows_break_after_a_space_if_one_is_near():
    rows = drawn("the sea, the sea", [0] * 16, Look(width=11))

    assert rows[::2] == ["the sea, ", "the sea"]
    assert drawn("a bcdefghij", [0] * 11, Look(width=8))[::2] == ["a bcdefg", "hij"]


@given(TEXTS, st.integers(12, 40), st.booleans())
def test_any_text_fits_the_width_and_nothing_is_lost(
    text: str, width: int, plain: bool
):
    look = Look(width=width, ascii=plain)
    rows = drawn(text, [float(n % 9) for n in range(len(text))], look)

    assert all(cell_len(row) <= width for row in rows)
    assert all(row.isprintable() for row in rows)
    assert "".join(rows[::2]) == shown_text(text, look)
    for symbols, bars in zip(rows[::2], rows[1::2], strict=True):
        assert cell_len(symbols) == len(bars)
        assert set(bars) <= set(ASCII_LEVELS if plain else BLOCKS)


@pytest.mark.parametrize(
    ("value", "level"),
    [(0, 0), (0.99, 0), (1, 1), (6.99, 6), (7, 7), (1e9, 7), (math.inf, 7), (-1, 0)],
)
def test_a_level_is_one_bit(value: float, level: int):
    assert level_of(value, BITS) == level


def test_what_is_no_number_is_hottest():
    assert level_of(math.nan, BITS) == 7


def test_colors_are_of_one_hue_and_readable_under_black():
    """Contrast by WCAG 2: at least 4.5 for normal text."""
    assert style_of(0) == ""
    luminances = []
    for level in range(1, 8):
        color = Style.parse(style_of(level)).bgcolor
        assert isinstance(color, Color)
        assert color.triplet is not None
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (part / 255 for part in color.triplet)
        ]
        assert color.triplet.red >= color.triplet.green >= color.triplet.blue
        luminances.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])

    assert min((light + 0.05) / 0.05 for light in luminances) >= 4.5
    assert luminances == sorted(luminances)


def test_the_legend_names_all_levels():
    assert legend(BITS, Look()).plain.split()[1::2] == list(BLOCKS)
    assert legend(BITS, Look(ascii=True)).plain.isascii()


def test_what_has_no_number_has_no_bar_and_no_color():
    line = HeatLine("", "ab\tc", [None, None, None, 7.0], parted=(3,))
    text, below = heat_text([line], Look(20))

    assert (text.plain, below.plain) == ("ab␉│c", "    █")
    assert [span.style for span in text.spans[:-1]] == ["dim"] * 4
    assert text.spans[-1].style == style_of(7)
    rows = [row.plain for row in heat_text([line], Look(20, ascii=True))]
    assert rows == ["ab\\t|c", "     #"]
