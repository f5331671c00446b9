"""Blocks as lines of styled text that fit a terminal's width.

Whoever wants the same lines elsewhere (in an SVG, say) draws them there.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite, log10
from typing import assert_never

from rich.text import Text

from charrnn.display.guesses import guesses
from charrnn.display.heat import heat
from charrnn.display.sparkline import levels, sparkline
from charrnn.display.symbols import Look, shown_text
from charrnn.display.tables import facts, line, table
from charrnn.inspection.blocks import (
    Block,
    Chart,
    Drawable,
    Facts,
    Guesses,
    Heading,
    Heat,
    Histogram,
    Note,
    OneBlock,
    Scatter,
    Series,
    Table,
    Tiles,
    shown_on,
)
from charrnn.inspection.wording import number

#: Cells of a curve's name, and of its ends.
NAME, ENDS = 17, 22

#: Cells and rows of a scatter plot.
DOTS = 32, 8


def draw(blocks: Iterable[Block], look: Look) -> Iterator[Text]:
    """Draw blocks below each other, those that are meant for a terminal."""
    return stacked(shown_on("terminal", blocks), look)


def stacked(blocks: Iterable[Drawable], look: Look) -> Iterator[Text]:
    """Draw blocks with a blank line between those that do not belong together."""
    above: OneBlock | None = None
    titled = False  # nothing but notes since a heading
    for block in _one_by_one(blocks):
        curves = isinstance(block, Chart) and isinstance(above, Chart)
        apart = not (titled or curves or isinstance(block, Note))
        if above is not None and apart:
            yield line()
        yield from _drawn(block, look)
        titled = isinstance(block, Heading) or (titled and isinstance(block, Note))
        above = block


def _one_by_one(blocks: Iterable[Drawable]) -> Iterator[OneBlock]:
    """Take charts beside each other apart: lines have no room for that."""
    for block in blocks:
        if isinstance(block, Tiles):
            yield from block.charts
        else:
            yield block


def _drawn(block: OneBlock, look: Look) -> Iterator[Text]:
    """Draw one block."""
    match block:
        case Heading():
            yield _heading(block, look)
        case Note():
            style = "dim" if block.faint else ""
            yield line(f"  {shown_text(block.text, look)}", style)
        case Facts():
            yield from facts(block, look)
        case Table():
            yield from table(block, look)
        case Chart():
            for series in block.series:
                yield from _curve(series, block, look)
        case Histogram():
            yield from _histogram(block, look)
        case Scatter():
            yield from _scatter(block, look)
        case Heat():
            yield from heat(block, look)
        case Guesses():
            yield from guesses(block, look)
        case _:
            assert_never(block)


def _heading(block: Heading, look: Look) -> Text:
    """Draw a name, and a detail beside it."""
    title = line(shown_text(block.text, look), "bold")
    if not block.detail:
        return title
    return title.append(f"  {shown_text(block.detail, look)}", "not bold dim")


def _curve(series: Series, block: Chart, look: Look) -> Iterator[Text]:
    """Draw a curve as a sparkline below its first and its last value.

    All curves of a chart have a place for every x of any of them.
    """
    known = [y for y in series.ys if y is not None and isfinite(y)]
    if not known:
        return
    name = shown_text(series.name, look)
    ends = f"{number(known[0])} .. {number(known[-1])}"
    note = f"least {number(min(known))}, most {number(max(known))}"
    room = look.width - NAME - ENDS - 2
    text = line(f"  {name:<{NAME - 2}}{ends:<{ENDS}}{note * (len(note) <= room)}")
    text.stylize("bold", 2, 2 + len(name))
    yield text
    places = sorted({x for one in block.series for x in one.xs})
    found = dict(zip(series.xs, series.ys, strict=True))
    values = [found.get(x) for x in places]
    if block.log_y:
        values = [_logarithm(y) for y in values]
    curve = sparkline(values, look.width - NAME, ascii_only=look.ascii)
    yield line(" " * NAME).append(curve, "cyan")


def _logarithm(value: float | None) -> float | None:
    """Take the logarithm of what has one."""
    return log10(value) if value is not None and value > 0 else None


def _histogram(block: Histogram, look: Look) -> Iterator[Text]:
    """Draw counts between the least and the greatest value."""
    bars = sparkline(block.counts, look.width - NAME - ENDS, ascii_only=look.ascii)
    name = shown_text(block.name, look)
    text = line(f"  {name:<{NAME - 2}}{block.low:<9.3g} ")
    yield text.append(bars, "cyan").append(f" {block.high:.3g}")


def _scatter(block: Scatter, look: Look) -> Iterator[Text]:
    """Draw how many dots there are in every part of the unit square."""
    width, height = min(DOTS[0], look.width - 4), DOTS[1]
    counts = [[0] * width for _ in range(height)]
    for x, y, _ in block.dots:
        place = min(height - 1, max(0, int((1 - y) * height)))
        counts[place][min(width - 1, max(0, int(x * width)))] += 1
    most = max(map(max, counts)) or 1
    yield line(f"  {shown_text(block.name, look)}")
    for row in counts:
        yield line("  |").append(_density(row, most, look), "cyan").append("|")
    axes = f"across: {block.x}, up: {block.y}, 0 to 1"
    yield line(f"  {shown_text(axes, look)}", "dim")


def _density(counts: Sequence[int], most: int, look: Look) -> str:
    """Draw counts as levels, and nothing where there is nothing."""
    bars = levels(ascii_only=look.ascii)
    last = len(bars) - 1
    return "".join(bars[count * last // most] if count else " " for count in counts)
