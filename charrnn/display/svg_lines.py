"""Lines as they are drawn in a terminal, as a figure.

What `display.views` draws is kept cell by cell: styles become classes, and
bars made of block characters become rectangles, which no font breaks up.
"""

from collections.abc import Iterable, Iterator
from functools import cache

from rich.cells import cell_len
from rich.text import Text

from charrnn.display.heat import style_of
from charrnn.display.sparkline import BLOCKS, LEVELS
from charrnn.display.svg import CELL, ROW, Figure, Glyph, element, num, text_row

#: Pixels of a full bar; what is left of the row parts it from the one above.
BAR = 16

#: Classes for the words that styles are made of.
CLASSES = {"bold": "b", "dim": "d", "cyan": "a"}


def lines_figure(lines: Iterable[Text], columns: int) -> Figure:
    """Draw lines of styled text.

    Parameters
    ----------
    columns : int
        Cells of the widest line.
    """
    parts: list[str] = []
    y = 0
    for line in lines:
        parts += _line(line, y)
        y += ROW
    return Figure(columns * CELL, y, "".join(parts))


def _line(line: Text, y: int) -> Iterator[str]:
    """Draw one line: what lies behind it, its bars, its text."""
    glyphs: list[Glyph] = []
    bars: dict[str, list[str]] = {}
    for cell, width, text, style in _cells(line):
        if style[:1] == "h":
            place = {"x": cell * CELL, "y": y, "width": width * CELL, "height": ROW}
            yield element("rect", style=style, **place)
        if text in BLOCKS:
            bars.setdefault(style or "a", []).append(_bar(text, cell, y))
        else:
            glyphs.append(Glyph(text, cell, style))
    for style, shapes in bars.items():
        # A bar in faint ink is a shape, not a text.
        yield element("path", style="k" if style == "d" else style, d="".join(shapes))
    yield from text_row(glyphs, y)


def _bar(block: str, cell: int, y: int) -> str:
    """Trace the bar that a block character stands for."""
    height = BAR * (BLOCKS.index(block) + 1) / LEVELS
    return f"M{cell * CELL} {num(y + ROW)}h{CELL}v-{num(height)}h-{CELL}z"


def _cells(line: Text) -> Iterator[tuple[int, int, str, str]]:
    """List a line's glyphs: first cell, cells, text, class."""
    styles = [str(line.style)] * len(line.plain)
    for span in line.spans:
        for n in range(span.start, min(span.end, len(styles))):
            styles[n] = f"{styles[n]} {span.style}"
    cell = 0
    waiting: tuple[int, int, str, str] | None = None
    for symbol, style in zip(line.plain, styles, strict=True):
        width = cell_len(symbol)
        if width == 0 and waiting:
            start, cells, text, kept = waiting
            waiting = start, cells, text + symbol, kept
            continue
        if waiting:
            yield waiting
        waiting = cell, width, symbol, _class(style)
        cell += width
    if waiting:
        yield waiting


@cache
def _class(style: str) -> str:
    """Find the class for a style of rich's, the last word on each matter winning."""
    for heat, level in _heat_levels():
        if style.endswith(heat):
            return level
    words = style.split()
    wanted: set[str] = set()
    for word, before in zip(words, ["", *words], strict=False):
        if before == "not":
            wanted.discard(word)
        elif word != "not":
            wanted.add(word)
    return " ".join(CLASSES[word] for word in CLASSES if word in wanted)


@cache
def _heat_levels() -> tuple[tuple[str, str], ...]:
    """List the styles of heat with the classes of their levels."""
    return tuple((style_of(n), f"h{n}") for n in range(1, LEVELS))
