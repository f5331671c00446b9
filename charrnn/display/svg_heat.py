"""Heat text as a figure: every character on the color of its number.

A bar under each character says the same without color, and the number itself
shows while the pointer rests on it. Numbers with a sign have bars that rise
from a middle line or hang from it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len

from charrnn.display.heat import Scale, level_of, wrapped
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

#: Pixels of the tallest bar, and from a row's top to the next one's.
BAR, PITCH = 10, 34


class Shade(NamedTuple):
    """How one number looks."""

    style: str  # the class of its color
    bar: float  # its height, from -1 to 1
    note: str  # the number itself


class ShadedLine(NamedTuple):
    """One line of a text, with what stands to its left."""

    label: str
    glyphs: Sequence[str]  # printable: see `symbols.visible`
    shades: Sequence[Shade]


@dataclass(frozen=True)
class _Cell:
    """A symbol in its row."""

    glyph: str
    shade: Shade

    @property
    def width(self) -> int:
        return cell_len(self.glyph)

    @property
    def space(self) -> bool:
        return self.glyph == " "


def heat_shade(bits: float) -> Shade:
    """Shade a number of bits, a level each."""
    level = level_of(bits)
    return Shade(f"h{level}", (level + 1) / LEVELS, f"{bits:.4f} bits")


def signed_shade(value: float, most: float = 1.0) -> Shade:
    """Shade a number between -`most` and `most`."""
    share = max(-1.0, min(1.0, value / most))
    level = round(share * SIDE)
    return Shade(f"{'n' if level < 0 else 'p'}{abs(level)}", share, f"{value:.4f}")


def scale_shade(value: float, scale: Scale) -> Shade:
    """Shade a number on a scale of a terminal's: with a sign, or by levels."""
    if scale.low < 0:
        return signed_shade(value, scale.high)
    level = scale.level(value)
    return Shade(f"h{level}", (level + 1) / LEVELS, f"{value:.4f}")


def heat_figure(
    lines: Iterable[ShadedLine], columns: int, *, signed: bool = False
) -> Figure:
    """Draw lines of heat text, wrapped to so many cells.

    Parameters
    ----------
    signed : bool
        Bars start from a middle line.
    """
    parts: list[str] = []
    y = 0
    for line in lines:
        indent = cell_len(line.label)
        cells = [
            _Cell(glyph, shade)
            for glyph, shade in zip(line.glyphs, line.shades, strict=True)
        ]
        left: Sequence[Glyph] = glyphs_of(line.label, 0, "d")
        for row in wrapped(cells, max(1, columns - indent)):
            body = [*text_row(left, 0), *_row(row, indent, signed)]
            parts.append(moved("".join(body), 0, y))
            left, y = (), y + PITCH
    return Figure(columns * CELL, y, "".join(parts))


def _row(row: Sequence[_Cell], indent: int, signed: bool) -> Iterator[str]:
    """Draw one row: colors, bars, letters."""
    cell, bars, glyphs = indent, [], []
    for entry in row:
        x, width = cell * CELL, entry.width * CELL
        place = {"x": x, "width": width, "height": ROW + BAR + 2}
        note = title(f"{entry.glyph} {entry.shade.note}")
        yield element("rect", note, entry.shade.style, **place)
        bars.append(_bar(x, width, entry.shade.bar, signed))
        glyphs.append(Glyph(entry.glyph, cell, entry.shade.style))
        cell += entry.width
    # Bars keep to a strip of their own, so that they look the same everywhere.
    strip = {"x": indent * CELL, "y": ROW, "width": (cell - indent) * CELL}
    yield element("rect", style="bg u", **strip, height=BAR + 2)
    yield element("path", style="k u", d="".join(bars))
    yield from text_row(glyphs, 0)


def _bar(x: int, width: int, bar: float, signed: bool) -> str:
    """Trace a bar with a gap to its neighbor."""
    size = BAR / 2 if signed else BAR
    foot = ROW + 1 + size
    return f"M{x} {num(foot)}h{width - 1}v{num(-size * bar or 0.5)}h{1 - width}z"


def heat_legend() -> Figure:
    """Explain the levels of surprise, one bit each."""
    names = [f"{n}+" if n == LEVELS - 1 else f"{n}" for n in range(LEVELS)]
    entries = [(name, f"h{n}", (n + 1) / LEVELS) for n, name in enumerate(names)]
    return _legend("bits", entries, signed=False)


def signed_legend(most: float = 1.0) -> Figure:
    """Explain the colors of numbers with a sign."""
    entries = []
    for n in (-2, -1, 0, 1, 2):
        shade = signed_shade(n / 2 * most, most)
        entries.append((f"{n / 2 * most:+.2g}" if n else "0", shade.style, shade.bar))
    return _legend("", entries, signed=True)


def unit_legend() -> Figure:
    """Explain the levels of what lies between 0 and 1."""
    entries = [(f"{n / LEVELS:.3g}", f"h{n}", (n + 1) / LEVELS) for n in range(LEVELS)]
    return _legend("", entries, signed=False)


def _legend(
    name: str, entries: Sequence[tuple[str, str, float]], *, signed: bool
) -> Figure:
    """Draw samples of a scale beside each other."""
    room = CELL * (max(len(text) for text, _, _ in entries) + 2)
    x = CELL * (len(name) + 2 if name else 0)
    parts = [label(0, 15, name, "d")] if name else []
    bars = []
    for text, style, bar in entries:
        place = {"x": x, "width": room, "height": ROW}
        parts.append(element("rect", style=style, **place))
        parts.append(label(x + room / 2, 15, text, f"{style} m"))
        bars.append(_bar(x, room, bar, signed))
        x += room
    parts.append(element("path", style="k", d="".join(bars)))
    return Figure(x, PITCH, "".join(parts))
