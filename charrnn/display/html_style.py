"""The style sheet of a page: its own rules, those of drawings, and all colors."""

from collections.abc import Iterator
from functools import cache
from importlib import resources

from charrnn.display.sparkline import LEVELS
from charrnn.display.svg_style import (
    DARK,
    FONT,
    LIGHT,
    SIDE,
    Theme,
    backgrounds,
    ink_on,
    style_sheet,
)

#: Pixels of the tallest bar under a character.
BAR = 10


@cache
def page_style() -> str:
    """Write the rules of a page, in one scheme and then in the other."""
    dark = "".join(_colors(DARK))
    return "\n".join(
        [
            style_sheet(),
            f":root{{--mono:{FONT}}}",
            asset("html_page.css"),
            "".join(_bars()),
            "".join(_colors(LIGHT)),
            f"@media(prefers-color-scheme:dark){{{dark}}}",
        ]
    )


def asset(name: str) -> str:
    """Read a file that stands beside this module."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _colors(theme: Theme) -> Iterator[str]:
    """Name a scheme's colors, and color the levels of heat text."""
    names = ("background", "ink", "faint", "rule", "accent")
    values = ";".join(f"--{name}:{getattr(theme, name)}" for name in names)
    yield f":root{{{values}}}"
    for name, color in backgrounds(theme).items():
        yield f".c.{name}{{--fill:{color};--on:{ink_on(color)}}}"


def _bars() -> Iterator[str]:
    """Size the bar of every level; those with a sign start in the middle."""
    for n in range(LEVELS):
        yield f".c.h{n}{{--at:0px;--bar:{BAR * (n + 1) / LEVELS:g}px}}"
    for n in range(SIDE + 1):
        size = max(1.0, BAR / 2 * n / SIDE)
        yield f".c.p{n}{{--at:{BAR / 2:g}px;--bar:{size:.3g}px}}"
        if n:
            yield f".c.n{n}{{--at:{BAR / 2 - size:.3g}px;--bar:{size:.3g}px}}"
