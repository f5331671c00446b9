"""Heat text as a figure: every character on the color of its number.

A bar under each character says the same without color, and the number itself
shows while the pointer rests on it. Numbers with a sign have bars that rise
from a middle line or hang from it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from charrnn.display.heat import Patch, level_name, level_of, rows
from charrnn.display.sparkline import LEVELS
from charrnn.display.svg import (
    CELL,
    ROW,
    Figure,
    Glyph,
    element,
    glyphs_of,
    label,
    moved,
    num,
    text_row,
    title,
)
from charrnn.display.svg_style import SIDE
from charrnn.display.symbols import Look
from charrnn.inspection.blocks import Heat, Scale

#: Pixels of the tallest bar, and from a row's top to the next one's.
BAR, PITCH = 10, 34


class Shade(NamedTuple):
    """How one number looks."""

    style: str  # the class of its color
    bar: float  # its height, from -1 to 1
    note: str  # the number itself


def shade(value: float, scale: Scale) -> Shade:
    """Shade a number: by its share of a signed scale, else by its level."""
    note = f"{value:.4f} {scale.name}".strip()
    if scale.signed:
        share = max(-1.0, min(1.0, value / scale.high))
        step = round(share * SIDE)
        return Shade(f"{'n' if step < 0 else 'p'}{abs(step)}", share, note)
    level = level_of(value, scale)
    return Shade(f"h{level}", (level + 1) / LEVELS, note)


def heat_figure(block: Heat, look: Look) -> Figure:
    """Draw lines of heat text, wrapped to the width.

    Bars of a scale with a sign start from a middle line.
    """
    look = look._replace(unit=block.unit)
    parts: list[str] = []
    y = 0
    for line in block.lines:
        indent, left = cell_len(line.label), glyphs_of(line.label, 0, "d")
        for row in rows(line, look):
            body = [*text_row(left, 0), *_row(row, indent, block.scale)]
            parts.append(moved("".join(body), 0, y))
            left, y = [], y + PITCH
    return Figure(look.width * CELL, y, "".join(parts))


def _row(row: Sequence[Patch], indent: int, scale: Scale) -> Iterator[str]:
    """Draw one row: colors, bars, letters."""
    place, bars, glyphs = indent, [], []
    for cell in row:
        x, width = place * CELL, cell.width * CELL
        if cell.value is None:
            glyphs.append(Glyph(cell.glyph, place, "d"))
            place += cell.width
            continue
        found = shade(cell.value, scale)
        note = title(f"{cell.glyph} {found.note}")
        size = {"width": width, "height": ROW + BAR + 2}
        yield element("rect", note, found.style, x=x, **size)
        bars.append(_bar(x, width, found.bar, scale.signed))
        glyphs.append(Glyph(cell.glyph, place, found.style))
        place += cell.width
    # Bars keep to a strip of their own, so that they look the same everywhere.
    strip = {"x": indent * CELL, "y": ROW, "width": (place - indent) * CELL}
    yield element("rect", style="bg u", **strip, height=BAR + 2)
    yield element("path", style="k u", d="".join(bars))
    yield from text_row(glyphs, 0)


def _bar(x: int, width: int, bar: float, signed: bool) -> str:
    """Trace a bar with a gap to its neighbor."""
    size = BAR / 2 if signed else BAR
    foot = ROW + 1 + size
    return f"M{x} {num(foot)}h{width - 1}v{num(-size * bar or 0.5)}h{1 - width}z"


def legend(scale: Scale) -> Figure:
    """Draw samples of a scale beside each other, each with the number it is for."""
    if scale.signed:
        values = [n / 2 * scale.high for n in (-2, -1, 0, 1, 2)]
        entries = [(f"{v:+.2g}" if v else "0", shade(v, scale)) for v in values]
    else:
        step = (scale.high - scale.low) / LEVELS
        entries = [
            (level_name(scale, n), shade(scale.low + n * step, scale))
            for n in range(LEVELS)
        ]
    room = CELL * (max(len(text) for text, _ in entries) + 2)
    x = CELL * (len(scale.name) + 2 if scale.name else 0)
    parts = [label(0, 15, scale.name, "d")] if scale.name else []
    bars = []
    for text, sample in entries:
        place = {"x": x, "width": room, "height": ROW}
        parts.append(element("rect", style=sample.style, **place))
        parts.append(label(x + room / 2, 15, text, f"{sample.style} m"))
        bars.append(_bar(x, room, sample.bar, scale.signed))
        x += room
    parts.append(element("path", style="k", d="".join(bars)))
    return Figure(x, PITCH, "".join(parts))
