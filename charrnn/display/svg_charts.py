"""Charts as SVG: curves over an axis, and bars."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from charrnn.display.svg import (
    CELL,
    ROW,
    Figure,
    Glyph,
    element,
    glyphs_of,
    label,
    num,
    text_row,
    title,
)
from charrnn.display.svg_axes import Axis, tick_text
from charrnn.display.svg_style import DASHES
from charrnn.display.symbols import Look, shown_text
from charrnn.inspection.blocks import Chart, Histogram, Scatter, Series

#: Up to so many points of a curve are marked one by one.
MARKED = 64

#: Pixels of a sample of a line in the legend.
SAMPLE = 28


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What is written on a chart."""

    title: str = ""
    x: str = ""
    y: str = ""


@dataclass(frozen=True)
class _Plot:
    """The frame that curves are drawn in."""

    x: Axis
    y: Axis
    width: float
    parts: list[str] = field(default_factory=list)

    def points(self, series: Series) -> Iterator[tuple[float, float] | None]:
        """Give the data that has a place, and None where there is a gap."""
        for x, y in zip(series.xs, series.ys, strict=True):
            fits = y is not None and self.x.has(x) and self.y.has(y)
            yield (x, y) if fits and y is not None else None


def chart(block: Chart, width: int = 760, height: int = 260) -> Figure:
    """Draw curves over a common axis, told apart by color and by dashes.

    Those without a point that can be shown are left out; on a logarithmic axis
    what is not above zero is a gap.
    """
    labels = Labels(x=block.x, y=block.y)
    head = _heading(labels, [s.name for s in block.series], width)
    size, logs = (width, head.height, height), (block.log_x, block.log_y)
    plot = _frame(block.series, labels, size, logs)
    for n, one in enumerate(block.series):
        plot.parts.extend(_curve(plot, one, n % len(DASHES)))
    return Figure(width, height, head.body + "".join(plot.parts))


def scatter(block: Scatter, width: int = 240, height: int = 240) -> Figure:
    """Draw dots in the unit square, each with a note that says what it is."""
    labels = Labels(title=block.name, x=block.x, y=block.y)
    head = _heading(labels, [], width)
    upward = Axis(0, 1, height - 2.3 * ROW, head.height + ROW / 2)
    plot = _grid(
        labels,
        upward,
        width,
        height,
        lambda left: Axis(0, 1, left + CELL, width - CELL),
    )
    for x, y, note in block.dots:
        place = {"cx": plot.x.place(x), "cy": plot.y.place(y), "r": 3}
        plot.parts.append(element("circle", title(note), "dot", **place))
    return Figure(width, height, head.body + "".join(plot.parts))


def _heading(labels: Labels, names: Sequence[str], width: float) -> Figure:
    """Write the title, the label of the upward axis, and a legend of several curves."""
    parts: list[str] = []
    y = 0
    for text, style in ((labels.title, "b"), (labels.y, "d")):
        if text:
            parts += text_row(_glyphs(text, style), y)
            y += ROW
    if len(names) > 1:
        x = 0.0
        for n, name in enumerate(names):
            room = SAMPLE + (len(name) + 3) * CELL
            if x and x + room > width:
                x, y = 0.0, y + ROW
            style = f"line s{n % len(DASHES)}"
            line = f"M{num(x)} {y + ROW / 2:.0f}h{SAMPLE}"
            parts.append(element("path", style=style, d=line))
            parts += text_row(_glyphs(name), y, x + SAMPLE + CELL)
            x += room
        y += ROW
    return Figure(width, y, "".join(parts))


def _frame(
    series: Sequence[Series],
    labels: Labels,
    size: tuple[int, float, int],
    logs: tuple[bool, bool],
) -> _Plot:
    """Choose the axes, and draw a grid with its labels."""
    width, top, height = size
    top, bottom = top + ROW / 2, height - (2.3 if labels.x else 1.3) * ROW
    xs = [x for s in series for x, y in zip(s.xs, s.ys, strict=True) if _known(x, y)]
    ys = [y for s in series for x, y in zip(s.xs, s.ys, strict=True) if _known(x, y)]
    values = [y for y in ys if y is not None]
    y_axis = Axis.around(values, bottom, top, log=logs[1])
    return _grid(
        labels,
        y_axis,
        width,
        height,
        lambda left: Axis.around(xs, left + CELL, width - CELL, log=logs[0]),
    )


def _grid(
    labels: Labels,
    y_axis: Axis,
    width: float,
    height: float,
    across: Callable[[float], Axis],
) -> _Plot:
    """Draw a grid with its labels.

    Parameters
    ----------
    across : callable
        Gives the axis across, which begins where labels of the other one end.
    """
    bottom, top = y_axis.start, y_axis.end
    marks = y_axis.ticks(max(2, int((bottom - top) // 24)))
    left = CELL * (1 + max((len(tick_text(mark)) for mark in marks), default=1))
    plot = _Plot(across(left), y_axis, width)
    for mark in marks:
        y = y_axis.place(mark)
        line = f"M{num(left)} {num(y)}H{num(width)}"
        plot.parts.append(element("path", style="rule", d=line))
        plot.parts.append(label(left - CELL, y + 4.5, tick_text(mark), "d e"))
    plot.parts.extend(_across(plot, bottom))
    if labels.x:
        plot.parts.append(label(width - CELL, height - 5, labels.x, "d e"))
    return plot


def _across(plot: _Plot, bottom: float) -> Iterator[str]:
    """Draw the labels of the axis across, those that do not touch each other."""
    span = plot.x.end - plot.x.start
    free = 0.0
    for mark in plot.x.ticks(max(2, int(span // 72))):
        x, text = plot.x.place(mark), tick_text(mark)
        half = len(text) * CELL / 2
        yield element("path", style="rule", d=f"M{num(x)} {num(bottom)}v5")
        middle = min(x, plot.width - half)
        if middle - half >= free:
            yield label(middle, bottom + ROW, text, "d m")
            free = middle + half + CELL


def _known(x: float, y: float | None) -> bool:
    """Tell whether a point can be drawn at all."""
    return y is not None and math.isfinite(x) and math.isfinite(y)


def _curve(plot: _Plot, series: Series, n: int) -> Iterator[str]:
    """Draw one curve, gap by gap, and its points if they are few."""
    points = list(plot.points(series))
    known = [point for point in points if point is not None]
    shapes = []
    for run in _runs(points):
        placed = _thinned([(plot.x.place(x), plot.y.place(y)) for x, y in run])
        shapes.append("M" + "L".join(f"{num(x)} {num(y)}" for x, y in placed))
    if not known:
        return
    first, last = known[0], known[-1]
    about = f"{series.name}: {first[1]:.4g} at {first[0]:.4g}"
    about += f" to {last[1]:.4g} at {last[0]:.4g}" if len(known) > 1 else ""
    yield element("path", title(about), f"line s{n}", d="".join(shapes))
    if len(known) <= MARKED:
        for x, y in known:
            about = f"{series.name} {y:.4f} at {x:.6g}"
            place = {"cx": plot.x.place(x), "cy": plot.y.place(y), "r": 2.5}
            yield element("circle", title(about), f"f{n}", **place)


def _runs(
    points: Sequence[tuple[float, float] | None],
) -> Iterator[list[tuple[float, float]]]:
    """Cut points at their gaps."""
    run: list[tuple[float, float]] = []
    for point in (*points, None):
        if point is not None:
            run.append(point)
        elif run:
            yield run
            run = []


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep of the points in a column of pixels the ends, the highest and the lowest."""
    kept: list[tuple[float, float]] = []
    start = 0
    for n in range(1, len(points) + 1):
        if n < len(points) and int(points[n][0]) == int(points[start][0]):
            continue
        column = points[start:n]
        low = min(range(len(column)), key=lambda k: column[k][1])
        high = max(range(len(column)), key=lambda k: column[k][1])
        kept += [column[k] for k in sorted({0, low, high, len(column) - 1})]
        start = n
    return kept


def histogram(block: Histogram, width: int = 240) -> Figure:
    """Draw how often values fall into equal steps."""
    foot, most = 3.2 * ROW, max(1, *block.counts)
    step = width / len(block.counts)
    low, high = block.low, block.high
    span = (high - low) / len(block.counts)
    parts = [*text_row(_glyphs(block.name, "b"), 0)]
    for n, count in enumerate(block.counts):
        bar = (foot - 1.3 * ROW) * count / most
        note = f"{low + n * span:.4g} to {low + (n + 1) * span:.4g}: {count:,}"
        place = {"x": n * step, "y": foot - bar, "width": step - 1, "height": bar}
        parts.append(element("rect", title(note), "a", **place))
    parts.append(element("path", style="rule", d=f"M0 {num(foot)}h{width}"))
    parts.append(label(0, foot + 15, f"{low:.3g}", "d"))
    parts.append(label(width, foot + 15, f"{high:.3g}", "d e"))
    return Figure(width, foot + ROW, "".join(parts))


def _glyphs(text: str, style: str = "") -> list[Glyph]:
    """Lay out a name; what is not printable is shown as elsewhere."""
    return glyphs_of(shown_text(text, Look()), 0, style)
