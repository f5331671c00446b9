"""How each view of ``inspect`` looks in an SVG or on a page.

`figures` takes a view's data, whichever it is. What has no figure of its own is
drawn as in a terminal.
"""

from collections.abc import Iterator
from functools import singledispatch

from charrnn.display.reading import heat_lines, surprise_facts, surprise_tables
from charrnn.display.svg import CELL, GAP, Figure, tiled
from charrnn.display.svg_charts import Series, histogram, line_chart
from charrnn.display.svg_heat import (
    ShadedLine,
    heat_figure,
    heat_legend,
    heat_shade,
)
from charrnn.display.svg_lines import lines_figure
from charrnn.display.symbols import Look, shown_text, visible
from charrnn.display.tables import line
from charrnn.display.views import draw, history_table, tensor_title
from charrnn.inspection.history import History
from charrnn.inspection.records import View
from charrnn.inspection.surprise import Surprise
from charrnn.inspection.weights import Distribution, Weights

#: Cells of a row: as wide as a page of code, and some.
COLUMNS = 96

#: Pixels in which two charts have no room beside each other.
NARROW = 480


@singledispatch
def figures(view: View, look: Look) -> Iterator[Figure]:
    """Draw a view, part by part, within ``look.width`` cells."""
    yield lines_figure(draw(view, look), look.width)


@figures.register
def surprise_figures(view: Surprise, look: Look) -> Iterator[Figure]:
    """Draw totals, the text on its heat, and the worst."""
    look = look._replace(unit=view.unit)
    yield lines_figure(surprise_facts(view, look), look.width)
    if view.text:
        yield heat_legend()
        lines = (
            ShadedLine(
                line.label,
                [visible(symbol, look) for symbol in line.symbols],
                [heat_shade(bits) for bits in line.values],
            )
            for line in heat_lines(view)
        )
        yield heat_figure(lines, look.width)
    yield lines_figure(surprise_tables(view, look), look.width)


@figures.register
def history_figures(view: History, look: Look) -> Iterator[Figure]:
    """Draw a chart of the losses, two smaller ones below, and the table."""
    if not view.points:
        yield lines_figure(draw(view, look), look.width)
        return
    yield from history_charts(view, look.width * CELL)
    yield lines_figure(history_table(view, look), look.width)


def history_charts(view: History, width: int) -> Iterator[Figure]:
    """Draw the losses, and learning rate and gradient below them."""
    names = {"loss": "training", "val_loss": "validation"}
    losses = [_metric(view, key, name) for key, name in names.items()]
    losses = [series for series in losses if series.ys]
    if losses:
        yield line_chart(losses, "step", "loss, nats per character", width=width)
    others = {"lr": "learning rate", "grad_norm": "norm of the gradient"}
    each = (width - GAP) // 2 if width > NARROW else width
    charts = [
        line_chart([series], "step", name, width=each, height=180)
        for key, name in others.items()
        if (series := _metric(view, key, name)).ys
    ]
    if charts:
        yield tiled(charts, width)


def _metric(view: History, key: str, name: str) -> Series:
    """Take one metric as a curve over the steps where it was measured."""
    pairs = [
        (point.step, getattr(point, key))
        for point in view.points
        if point.step is not None and getattr(point, key) is not None
    ]
    return Series(name, [step for step, _ in pairs], [value for _, value in pairs])


@figures.register
def weights_figures(view: Weights, look: Look) -> Iterator[Figure]:
    """Draw the table, and the distribution of every tensor."""
    yield lines_figure(draw(view, look), look.width)
    yield from weights_charts(view, look.width * CELL)


def weights_charts(view: Weights, width: int) -> Iterator[Figure]:
    """Draw the distribution of every tensor."""
    each = (width - 2 * GAP) // 3 if width > NARROW else width
    bars = [histogram(_named(t), t.histogram, t.min, t.max, each) for t in view.tensors]
    yield tiled(bars, width)


def _named(tensor: Distribution) -> str:
    """Name a tensor, or a gate with the tensor that it is part of."""
    gate = tensor_title(tensor).strip()
    return gate if gate == tensor.tensor else f"{tensor.tensor}, {gate}"


def heading(name: str, path: str, look: Look) -> Figure:
    """Draw what stands above a view: its name and its checkpoint's."""
    row = line(name, "bold").append(f"  {shown_text(path, look)}", "not bold dim")
    row.truncate(look.width, overflow="ellipsis")
    return lines_figure([row], look.width)
