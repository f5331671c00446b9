"""Drawings as SVG: elements, rows of text on a grid, and whole files.

A drawing is a stack of figures, each a width, a height and the elements in
it. Text stands in cells of one width, glyph by glyph, so that wide and
combining characters and fonts of any sort keep the columns. A file loads
nothing, and the same figures give the same bytes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len

from charrnn.display.svg_style import style_sheet
from charrnn.escapes import code_escape

#: Pixels of a cell and of a row of text, and from a row's top to its letters' feet.
CELL, ROW, FOOT = 8, 20, 15

#: Pixels around everything, and between two figures.
MARGIN, GAP = 16, 16

#: Pictures of a newline and a tab that more fonts have than a terminal's.
ARROWS = {0x240A: "\u21b5", 0x2409: "\u21e5"}

#: What XML cannot hold, even escaped.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Figure(NamedTuple):
    """Elements in a frame whose upper left corner is the origin."""

    width: float
    height: float
    body: str


class Glyph(NamedTuple):
    """What stands in one place of a row."""

    text: str  # printable: see `symbols.visible`
    cell: int  # where it begins
    style: str = ""  # classes of the style sheet


def escape(text: str) -> str:
    r"""Write a text into XML; what that cannot hold becomes ``\xHH`` or ``\uHHHH``."""
    text = FORBIDDEN.sub(lambda found: code_escape(found[0]), text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;")


def num(value: float) -> str:
    """Write a coordinate, to a hundredth of a pixel."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(
    name: str, content: str = "", /, style: str = "", **attributes: float | str
) -> str:
    """Write an element; `content` is XML already, attributes are not.

    A trailing underscore and underscores for dashes are undone in the
    attributes' names.
    """
    parts = [name]
    if style:
        parts.append(f'class="{escape(style)}"')
    for key, value in attributes.items():
        shown = escape(value) if isinstance(value, str) else num(value)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{shown}"')
    opening = " ".join(parts)
    return f"<{opening}>{content}</{name}>" if content else f"<{opening}/>"


def label(x: float, y: float, text: str, style: str = "") -> str:
    """Write a short text of our own; with the style e or m it ends or centers at x."""
    return element("text", escape(text), style, x=x, y=y)


def title(text: str) -> str:
    """Write what is shown while the pointer rests on the element around it."""
    return element("title", escape(text))


def moved(content: str, x: float, y: float) -> str:
    """Put elements somewhere else."""
    return element("g", content, transform=f"translate({num(x)},{num(y)})")


def text_row(glyphs: Iterable[Glyph], y: float, x: float = 0) -> Iterator[str]:
    """Write glyphs in their cells, one element for each style.

    Parameters
    ----------
    y : float
        Top of the row.
    """
    seen = [
        glyph._replace(text=glyph.text.translate(ARROWS))
        for glyph in glyphs
        if not glyph.text.isspace()
    ]
    for style, same in groupby(sorted(seen, key=_style), _style):
        simple, spans = [], []
        for glyph in same:
            # Positions are listed by UTF-16 unit: only what is one may share a list.
            if len(glyph.text) == 1 and glyph.text < "\u0300":
                simple.append(glyph)
            else:
                place = num(x + glyph.cell * CELL)
                spans.append(element("tspan", escape(glyph.text), x=place))
        text = escape("".join(glyph.text for glyph in simple))
        places = " ".join(num(x + glyph.cell * CELL) for glyph in simple)
        if simple:
            yield element("text", text, style, x=places, y=y + FOOT)
        if spans:
            yield element("text", "".join(spans), style, y=y + FOOT)


def _style(glyph: Glyph) -> str:
    return glyph.style


def glyphs_of(text: str, cell: int = 0, style: str = "") -> list[Glyph]:
    """Lay out a printable text from a cell on, marks with what they sit on."""
    found: list[Glyph] = []
    for symbol in text:
        width = cell_len(symbol)
        if width == 0 and found:
            found[-1] = found[-1]._replace(text=found[-1].text + symbol)
        else:
            found.append(Glyph(symbol, cell, style))
        cell += width
    return found


def stacked(figures: Sequence[Figure], gap: float = GAP) -> Figure:
    """Put figures below each other."""
    y, parts = 0.0, []
    for figure in figures:
        parts.append(moved(figure.body, 0, y) if y else figure.body)
        y += figure.height + gap
    width = max((figure.width for figure in figures), default=0)
    return Figure(width, max(0.0, y - gap), "".join(parts))


def tiled(figures: Sequence[Figure], width: float, gap: float = GAP) -> Figure:
    """Put figures of one size beside each other, in rows no wider than `width`."""
    most = max((figure.width for figure in figures), default=1.0)
    columns = max(1, int((width + gap) // (most + gap)))
    rows = []
    for start in range(0, len(figures), columns):
        row = figures[start : start + columns]
        parts = [moved(one.body, n * (most + gap), 0) for n, one in enumerate(row)]
        height = max(one.height for one in row)
        rows.append(Figure(len(row) * (most + gap) - gap, height, "".join(parts)))
    return stacked(rows, gap)


def inline(figure: Figure, name: str) -> str:
    """Write a figure for a page that has the style sheet.

    Parameters
    ----------
    name : str
        Says to those who cannot see it what it shows.
    """
    return element(
        "svg",
        figure.body,
        viewBox=f"0 0 {num(figure.width)} {num(figure.height)}",
        width=figure.width,
        height=figure.height,
        role="img",
        aria_label=name,
    )


def document(figures: Sequence[Figure], name: str) -> str:
    """Write a whole file."""
    content = stacked(figures)
    width, height = content.width + 2 * MARGIN, content.height + 2 * MARGIN
    body = (
        title(name)
        + element("style", escape(style_sheet()).replace("&quot;", '"'))
        + element("rect", style="bg", width=width, height=height)
        + moved(content.body, MARGIN, MARGIN)
    )
    svg = element(
        "svg",
        body,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {num(width)} {num(height)}",
        width=width,
        height=height,
        role="img",
    )
    return svg + "\n"
