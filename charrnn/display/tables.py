"""Tables and lists of facts, as lines of text that fit a width.

Written for vocabularies of thousands of rows and for symbols of any width:
columns are measured once, in cells, and whole columns give way, the least
important first, where a terminal is too narrow for all of them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len, chop_cells
from rich.text import Text

from charrnn.display.sparkline import sparkline
from charrnn.display.symbols import Look, fit, named, shown_text
from charrnn.inspection.blocks import Align, AnyColumn, Bars, Column, Facts, Table

GAP = 2

#: Cells that stand before a table or a fact.
INDENT = 2

#: Cells that are left of a column that shrinks, and of bars.
LEAST = 8


class _Strip(NamedTuple):
    """A column whose cells can be shown, and what becomes of it without room."""

    title: str
    cells: Sequence[str]
    width: int
    align: Align = "left"
    rank: int = 0
    shrinks: bool = False
    style: str = ""
    shares: Sequence[float] | None = None  # of bars, which are drawn to fit


def line(text: str = "", style: str = "") -> Text:
    """Make one line that is never wrapped, cut or read as markup."""
    return Text(text, style=style, no_wrap=True, overflow="ignore", end="")


def table(block: Table, look: Look) -> Iterator[Text]:
    """Draw a table, line by line, within the width.

    Yields
    ------
    Text
        The titles, the rows, and last, if some columns had no room, their
        names, on as many lines as they need.
    """
    look = look._replace(unit=block.unit)
    strips = [_strip(column, look) for column in block.columns]
    kept = _fitted(strips, look.width - INDENT)
    yield _row([strip.title for strip in kept], kept, heading=True)
    drawn = [_bars(strip, look) if strip.shares else strip.cells for strip in kept]
    for cells in zip(*drawn, strict=True):
        yield _row(cells, kept)
    left = {strip.title for strip in kept}
    if missing := [s.title for s in strips if s.title and s.title not in left]:
        names = f"(wider: also {', '.join(missing)})"
        for part in folded(names, max(1, look.width - INDENT)):
            yield line(" " * INDENT + part, "dim")


def column_cells(column: Column, look: Look) -> list[str]:
    """Show the cells of a column of text."""
    if column.symbols:
        return ["".join(named(s, look) for s in cell) for cell in column.cells]
    if column.tail:
        return [_tail(cell, column.tail, look) for cell in column.cells]
    return [shown_text(cell, look) for cell in column.cells]


def _tail(text: str, most: int, look: Look) -> str:
    """Show as much of the end of a text as has room."""
    while cell_len(shown := shown_text(text, look)) > most:
        text = text[1:]
    return shown


def _strip(column: AnyColumn, look: Look) -> _Strip:
    """Turn a column into cells that can be shown."""
    title = shown_text(column.title, look)
    if isinstance(column, Column):
        cells = column_cells(column, look)
        style = "dim" if column.faint else ""
        shrinks = column.shrinks
        width = max(map(cell_len, (title, *cells)))
        return _Strip(title, cells, width, column.align, column.rank, shrinks, style)
    if isinstance(column, Bars):
        longest = round(column.longest * max(column.shares, default=0))
        width, shares = max(1, cell_len(title), longest), column.shares
        return _Strip(title, (), width, "left", column.rank, True, "cyan", shares)
    sparks = [
        sparkline(counts, len(counts), ascii_only=look.ascii)
        for counts in column.counts
    ]
    width = max(map(cell_len, (title, *sparks)))
    return _Strip(title, sparks, width, rank=column.rank, style="cyan")


def _bars(strip: _Strip, look: Look) -> list[str]:
    """Draw bars as wide as there is room."""
    most = max(strip.shares or (), default=0) or 1
    bar = "#" if look.ascii else "█"
    return [bar * round(strip.width * share / most) for share in strip.shares or ()]


def _fitted(strips: Sequence[_Strip], room: int) -> list[_Strip]:
    """Choose columns that fit, as wide as they can be."""
    kept = list(strips)
    while True:
        excess = sum(strip.width for strip in kept) + GAP * (len(kept) - 1) - room
        narrowed = []
        for strip in kept:
            least = min(strip.width, max(LEAST, cell_len(strip.title)))
            spare = min(max(0, excess), strip.width - least) if strip.shrinks else 0
            narrowed.append(strip._replace(width=strip.width - spare))
            excess -= spare
        last = max(kept, key=lambda strip: strip.rank)
        if excess <= 0 or last.rank == 0:
            return narrowed
        kept.remove(last)


def _row(
    cells: Sequence[str], strips: Sequence[_Strip], *, heading: bool = False
) -> Text:
    """Put the cells of a row beside each other."""
    text = line(" " * INDENT)
    for n, (cell, strip) in enumerate(zip(cells, strips, strict=True)):
        if n:
            text.append(" " * GAP)
        room = strip.width - cell_len(cell)
        padded = " " * room + cell if strip.align == "right" else fit(cell, strip.width)
        text.append(padded, "bold" if heading else strip.style)
    return text


def facts(block: Facts, look: Look) -> Iterator[Text]:
    """Draw labels and what they say, the latter folded into a column of its own."""
    look = look._replace(unit=block.unit)
    pairs = [tuple(shown_text(part, look) for part in pair) for pair in block.pairs]
    indent = INDENT + max((cell_len(label) for label, _ in pairs), default=0) + GAP
    room = max(8, look.width - indent)
    for label, value in pairs:
        for n, part in enumerate(folded(value, room)):
            text = line(fit(" " * INDENT + label if n == 0 else "", indent), "dim")
            yield text.append_text(Text(part, style="not dim"))


def folded(value: str, width: int) -> list[str]:
    """Break a text into lines of so many cells, between words if that can be."""
    lines: list[str] = []
    for word in value.split(" "):
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines += chop_cells(word, width) or [""]
    return lines
