"""Colors: readable in both schemes, and told apart without seeing hues."""

from itertools import pairwise

import pytest

from charrnn.display.svg_style import (
    DARK,
    DASHES,
    LIGHT,
    Theme,
    backgrounds,
    contrast,
    ink_on,
    luminance,
    scale,
    style_sheet,
)

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_a_scale_begins_and_ends_with_its_stops():
    colors = list(scale(("#000000", "#ff0000", "#ffffff"), 4))

    assert colors == ["#000000", "#800000", "#ff0000", "#ff8080", "#ffffff"]


@THEMES
def test_text_is_readable_on_every_level(theme: Theme):
    colors = backgrounds(theme)

    assert len(colors) == 8 + 7 + 8
    assert min(contrast(ink_on(color), color) for color in colors.values()) >= 4.5
    for color in (theme.ink, theme.faint, theme.accent, *theme.series):
        assert contrast(color, theme.background) >= 4.5


@THEMES
@pytest.mark.parametrize("side", ["h", "n", "p"])
def test_levels_leave_the_background_step_by_step(theme: Theme, side: str):
    """Brightness alone tells them apart, whatever hues somebody sees."""
    levels = [c for name, c in backgrounds(theme).items() if name[0] == side]
    distances = [contrast(color, theme.background) for color in levels]

    assert distances == sorted(distances)
    assert min(b / a for a, b in pairwise(distances)) > 1.04
    assert distances[-1] > 5


@THEMES
def test_heat_has_one_hue_and_signs_have_two(theme: Theme):
    def parts(color: str) -> list[int]:
        return [int(color[n : n + 2], 16) for n in (1, 3, 5)]

    colors = backgrounds(theme)
    for n in range(2, 8):
        red, green, blue = parts(colors[f"h{n}"])
        assert red > green > blue
        red, green, blue = parts(colors[f"p{n}"])
        assert red > max(green, blue)
        red, green, blue = parts(colors[f"n{n}"])
        assert blue > green > red


def test_lines_differ_without_color():
    assert len(set(DASHES)) == len(DASHES) == len(LIGHT.series) == len(DARK.series)


def test_both_schemes_are_in_the_sheet():
    light, dark = style_sheet().split("@media(prefers-color-scheme:dark){")

    assert f".bg{{fill:{LIGHT.background}}}" in light
    assert f".bg{{fill:{DARK.background}}}" in dark
    assert luminance(LIGHT.background) > 0.9 > 0.1 > luminance(DARK.background)
    assert "url(" not in light + dark
