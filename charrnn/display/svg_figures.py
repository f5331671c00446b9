"""Blocks as figures of an SVG: charts and heat text; the rest as in a terminal."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from charrnn.display.svg import CELL, GAP, Figure, tiled
from charrnn.display.svg_charts import chart, histogram, scatter
from charrnn.display.svg_heat import heat_figure, legend
from charrnn.display.svg_lines import lines_figure
from charrnn.display.symbols import Look, shown_text
from charrnn.display.tables import line
from charrnn.display.terminal import stacked
from charrnn.inspection.blocks import (
    Block,
    Chart,
    Drawable,
    Heat,
    Histogram,
    Scatter,
    Tiles,
    shown_on,
)

#: Cells of a row: as wide as a page of code, and some.
COLUMNS = 96

#: Pixels in which two charts have no room beside each other.
NARROW = 480

#: Pixels of the height of curves that stand beside others.
LOW = 180


def figures(blocks: Iterable[Block], look: Look) -> Iterator[Figure]:
    """Draw blocks below each other, within ``look.width`` cells."""
    shown = shown_on("drawing", blocks)
    for pictured, run in groupby(shown, _is_picture):
        if pictured:
            for block in run:
                yield from pictures(block, look)
        else:
            yield lines_figure(stacked(run, look), look.width)


def _is_picture(block: Drawable) -> bool:
    """Tell what is drawn anew from what looks as in a terminal."""
    return isinstance(block, Chart | Histogram | Scatter | Tiles | Heat)


def pictures(block: Drawable, look: Look) -> Iterator[Figure]:
    """Draw one block as wide as there is room."""
    width = look.width * CELL
    match block:
        case Chart():
            yield chart(block, width)
        case Histogram() | Scatter():
            yield _tile(block, min(width, NARROW))
        case Tiles() if block.charts:
            across = block.across if width > NARROW else 1
            each = (width - (across - 1) * GAP) // across
            yield tiled([_tile(one, each) for one in block.charts], width)
        case Heat() if block.lines:
            yield legend(block.scale)
            if block.caption:
                caption = line(f"  {shown_text(block.caption, look)}", "dim")
                yield lines_figure([caption], look.width)
            yield heat_figure(block, look)
        case Tiles() | Heat():
            return
        case _:
            yield lines_figure(stacked([block], look), look.width)


def _tile(block: Chart | Histogram | Scatter, width: int) -> Figure:
    """Draw a chart among others."""
    match block:
        case Chart():
            return chart(block, width, LOW)
        case Histogram():
            return histogram(block, width)
        case Scatter():
            return scatter(block, width)


def heading(name: str, path: str, look: Look) -> Figure:
    """Draw what stands above a view: its name and its checkpoint's."""
    row = line(name, "bold").append(f"  {shown_text(path, look)}", "not bold dim")
    row.truncate(look.width, overflow="ellipsis")
    return lines_figure([row], look.width)
