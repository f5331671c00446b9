"""Tables and lists of facts, as lines of text that fit a width.

Written for vocabularies of thousands of rows and for symbols of any width:
columns are measured once, in cells, and whole columns give way, the least
important first, where a terminal is too narrow for all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, chop_cells
from rich.text import Text

from charrnn.display.symbols import Look, fit

GAP = 2

#: Cells that stand before a table or a fact.
INDENT = 2


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str
    cells: Sequence[str]
    align: Literal["left", "right"] = "left"
    rank: int = 0  # 0 is always shown; the highest gives way first
    shrinks: bool = False  # may be cut to what is left, rather than give way
    style: str = ""

    @property
    def width(self) -> int:
        """Cells of the widest entry, the title included."""
        return max(map(cell_len, (self.title, *self.cells)))


def line(text: str = "", style: str = "") -> Text:
    """Make one line that is never wrapped, cut or read as markup."""
    return Text(text, style=style, no_wrap=True, overflow="ignore", end="")


def table(columns: Sequence[Column], look: Look) -> Iterator[Text]:
    """Draw a table, line by line, within the width.

    Yields
    ------
    Text
        The titles, the rows, and last, if some columns had no room, their
        names.
    """
    room = look.width - INDENT
    kept, widths = _fitted(columns, room)
    yield _row([column.title for column in kept], kept, widths, heading=True)
    for cells in zip(*(column.cells for column in kept), strict=True):
        yield _row(cells, kept, widths)
    if missing := [c.title for c in columns if c not in kept and c.title]:
        yield line(" " * INDENT + f"(wider: also {', '.join(missing)})", "dim")


def _fitted(columns: Sequence[Column], room: int) -> tuple[list[Column], list[int]]:
    """Choose columns that fit, and their widths."""
    kept = list(columns)
    while True:
        widths = [column.width for column in kept]
        excess = sum(widths) + GAP * (len(kept) - 1) - room
        for n, column in enumerate(kept):
            if excess > 0 and column.shrinks:
                smallest = min(widths[n], max(8, cell_len(column.title)))
                widths[n], excess = (
                    max(smallest, widths[n] - excess),
                    excess - (widths[n] - smallest),
                )
        last = max(kept, key=lambda column: column.rank)
        if excess <= 0 or last.rank == 0:
            return kept, widths
        kept.remove(last)


def _row(
    cells: Sequence[str],
    columns: Sequence[Column],
    widths: Sequence[int],
    *,
    heading: bool = False,
) -> Text:
    """Put the cells of a row beside each other."""
    text = line(" " * INDENT)
    for n, (cell, column, width) in enumerate(zip(cells, columns, widths, strict=True)):
        if n:
            text.append(" " * GAP)
        room = width - cell_len(cell)
        padded = " " * room + cell if column.align == "right" else fit(cell, width)
        text.append(padded, "bold" if heading else column.style)
    return text


def facts(pairs: Sequence[tuple[str, str]], look: Look) -> Iterator[Text]:
    """Draw labels and what they say, the latter folded into a column of its own."""
    indent = INDENT + max(cell_len(label) for label, _ in pairs) + GAP
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


def size(number: int) -> str:
    """Write a number of bytes, short and in full."""
    short, units = float(number), ["bytes", "kB", "MB", "GB"]
    while short >= 1000 and len(units) > 1:
        short /= 1000
        units.pop(0)
    full = f"{number:,} bytes"
    return full if units[0] == "bytes" else f"{short:.1f} {units[0]} ({full})"


def number(value: float | None, form: str = ".4g") -> str:
    """Write a number, or a dash where there is none."""
    return "-" if value is None else format(value, form)


def plural(count: int, noun: str) -> str:
    """Count something."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
