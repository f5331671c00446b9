"""Blocks as parts of a page: facts, tables, and charts for wide and narrow windows."""

from collections.abc import Iterable, Iterator
from typing import assert_never

from charrnn.counting import plural
from charrnn.display.html_tags import tag, text
from charrnn.display.svg import CELL, inline
from charrnn.display.svg_figures import pictures
from charrnn.display.symbols import Look, shown_text
from charrnn.display.tables import column_cells
from charrnn.errors import field
from charrnn.inspection.blocks import (
    Block,
    Chart,
    Column,
    Drawable,
    Facts,
    Guesses,
    Heading,
    Heat,
    Histogram,
    Note,
    Scatter,
    Table,
    Tiles,
    shown_on,
)

#: Cells of a drawing in a wide window and in a narrow one.
WIDE, NARROW = 608 // CELL, 320 // CELL

#: Text on a page is not cut to a width.
LOOK = Look(width=1 << 20)

#: Rows of a table at most: what is longer is for --plain and --json.
ROWS = 4000

#: Rows of a table that is shown at once; a longer one unfolds.
UNFOLDED = 40


def sections(blocks: Iterable[Block]) -> Iterator[str]:
    """Write blocks, those that are meant for a page."""
    for block in shown_on("page", blocks):
        match block:
            case Heading():
                detail = tag("span", f" {_shown(block.detail)}", style="faint")
                yield tag("h3", _shown(block.text), detail if block.detail else "")
            case Note():
                style = "faint" if block.faint else ""
                yield tag("p", _shown(block.text), style=style)
            case Facts():
                yield facts(block)
            case Table():
                yield table(block)
            case Chart():
                yield _drawn(block, block.y)
            case Histogram() | Scatter() | Tiles():
                yield _drawn(block, block.name)
            case Heat() | Guesses():
                yield _drawn(block, "the text")
            case _:
                assert_never(block)


def _shown(content: str, look: Look = LOOK) -> str:
    """Write a text of a block into HTML."""
    return text(shown_text(content, look))


def facts(block: Facts) -> str:
    """Write labels and what they say."""
    look = LOOK._replace(unit=block.unit)
    rows = [
        tag(
            "tr",
            tag("th", _shown(label), scope="row"),
            tag("td", _shown(value, look)),
        )
        for label, value in block.pairs
    ]
    return tag("table", *rows, style="wrap")


def table(block: Table) -> str:
    """Write a table that scrolls in its own frame, folded away if it is long.

    Bars and small histograms stay out: a page has charts.
    """
    look = LOOK._replace(unit=block.unit)
    columns = [column for column in block.columns if isinstance(column, Column)]
    styles = ["number" if column.align == "right" else "" for column in columns]
    heads = [
        tag("th", _shown(column.title), style=style, scope="col")
        for column, style in zip(columns, styles, strict=True)
    ]
    cells = [column_cells(column, look) for column in columns]
    rows = list(zip(*cells, strict=True))
    written = [tag("tr", *map(_cell, row, styles)) for row in rows[:ROWS]]
    frame = tag(
        "div",
        tag("table", tag("tr", *heads), *written),
        style="scroll",
        tabindex=0,
        role="region",
        aria_label=block.name,
    )
    if len(written) > UNFOLDED:
        summary = f"{block.name} ({len(written):,} rows)"
        frame = tag("details", tag("summary", text(summary)), frame)
    if len(rows) <= ROWS:
        return frame
    left_out = plural(len(rows) - ROWS, "row")
    more = f"and {left_out} more: see {field('plain')}"
    return frame + tag("p", more, style="faint")


def _cell(content: str, style: str) -> str:
    """Write a cell."""
    return tag("td", text(content), style=style)


def _drawn(block: Drawable, name: str) -> str:
    """Draw a block for wide windows and for narrow ones.

    Parameters
    ----------
    name : str
        Says to those who cannot see it what it shows.
    """
    return "".join(
        tag(
            "div",
            *(inline(one, name) for one in pictures(block, Look(columns))),
            style=style,
        )
        for style, columns in (("wide", WIDE), ("narrow", NARROW))
    )
