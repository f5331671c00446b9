"""How each view of ``inspect`` looks in an SVG or on a page.

`figures` takes a view's data, whichever it is. What has no figure of its own is
drawn as in a terminal.
"""

from collections.abc import Iterator
from functools import singledispatch

from charrnn.display.measures import context_columns, lag_columns, memory_words
from charrnn.display.svg import CELL, Figure, tiled
from charrnn.display.svg_lines import lines_figure
from charrnn.display.svg_plots import (
    diversity_charts,
    gates_charts,
    history_charts,
    memory_charts,
    weights_charts,
)
from charrnn.display.svg_texts import neurons_figures, surprise_figures
from charrnn.display.symbols import Look, shown_text
from charrnn.display.tables import facts, line, table
from charrnn.display.views import draw, history_table
from charrnn.inspection.diversity import Diversity
from charrnn.inspection.gates import Gates
from charrnn.inspection.history import History
from charrnn.inspection.memory import Memory
from charrnn.inspection.records import View
from charrnn.inspection.weights import Weights

#: Cells of a row: as wide as a page of code, and some.
COLUMNS = 96


@singledispatch
def figures(view: View, look: Look) -> Iterator[Figure]:
    """Draw a view, part by part, within ``look.width`` cells."""
    yield lines_figure(draw(view, look), look.width)


figures.register(surprise_figures)
figures.register(neurons_figures)


@figures.register
def history_figures(view: History, look: Look) -> Iterator[Figure]:
    """Draw a chart of the losses, two smaller ones below, and the table."""
    if not view.points:
        yield lines_figure(draw(view, look), look.width)
        return
    yield from history_charts(view, look.width * CELL)
    yield lines_figure(history_table(view, look), look.width)


@figures.register
def weights_figures(view: Weights, look: Look) -> Iterator[Figure]:
    """Draw the table, and the distribution of every tensor."""
    yield lines_figure(draw(view, look), look.width)
    yield from weights_charts(view, look.width * CELL)


@figures.register
def gates_figures(view: Gates, look: Look) -> Iterator[Figure]:
    """Draw how the units of every gate are saturated, and the means."""
    yield lines_figure(draw(view, look), look.width)
    yield from gates_charts(view, look.width * CELL)


@figures.register
def memory_figures(view: Memory, look: Look) -> Iterator[Figure]:
    """Draw gradients by lag, bits by context, and the numbers."""
    words = [(f"layer {item.layer}", memory_words(item)) for item in view.layers]
    yield lines_figure(facts(words, look), look.width)
    yield from memory_charts(view, look.width * CELL)
    half = look._replace(width=look.width // 2 - 1)
    tables = lag_columns(view), context_columns(view, half)
    drawn = [lines_figure(table(columns, half), half.width) for columns in tables]
    yield tiled(drawn, look.width * CELL)


@figures.register
def diversity_figures(view: Diversity, look: Look) -> Iterator[Figure]:
    """Draw the numbers, and how many n-grams differ."""
    yield lines_figure(draw(view, look), look.width)
    yield from diversity_charts(view, look.width * CELL)


def heading(name: str, path: str, look: Look) -> Figure:
    """Draw what stands above a view: its name and its checkpoint's."""
    row = line(name, "bold").append(f"  {shown_text(path, look)}", "not bold dim")
    row.truncate(look.width, overflow="ellipsis")
    return lines_figure([row], look.width)
