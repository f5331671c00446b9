"""Heat text: a text whose characters carry a number each.

The number is shown twice: as the background's color, one hue from dull to
glowing (or, where numbers have a sign, from blue over nothing to red), and as a
bar of eight levels underneath, so that nothing is lost without color, on a light
or a dark background, or to a color-blind reader. Neither can tell more than a
level: exact numbers are in tables.
"""

import colorsys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from charrnn.display.sparkline import LEVELS, levels
from charrnn.display.symbols import Look, fit, shown_text, visible
from charrnn.display.tables import line
from charrnn.inspection.blocks import BITS, Heat, HeatLine, Scale

#: Orange: apart from all that terminals use for meaning, and safe for the
#: color-blind, who see the saturation and the brightness grow.
HUE = 28 / 360

#: Blue and red: apart for all kinds of color blindness.
COLD, WARM = 215 / 360, 4 / 360

#: The line between what is only read and what is written, and the same in ASCII.
PARTING, ASCII_PARTING = "\u2502", "|"

#: A row is broken at a space if that leaves at most this share of it empty.
RAGGED = 1 / 3


class Patch(NamedTuple):
    """A symbol of a text as it is drawn, and its number."""

    glyph: str
    width: int
    space: bool  # a row may end with it
    value: float | None


def style_of(level: int) -> str:
    """Give the style of a level, 0 to 7; the lowest has none."""
    if level == 0:
        return ""
    share = level / (LEVELS - 1)
    rgb = colorsys.hls_to_rgb(HUE, 0.44 + 0.08 * share, 0.1 + 0.9 * share**1.5)
    red, green, blue = (round(255 * part) for part in rgb)
    return f"#000000 on #{red:02x}{green:02x}{blue:02x}"


def signed_style_of(level: int) -> str:
    """Give the style of a level below (0 to 3) or above (4 to 7) zero."""
    half = LEVELS // 2
    share = (level - half + 0.5) / half  # -7/8 to 7/8
    if abs(share) < 1 / half:
        return ""
    hue = COLD if share < 0 else WARM
    rgb = colorsys.hls_to_rgb(hue, 0.82 - 0.3 * abs(share), 0.35 + 0.6 * abs(share))
    red, green, blue = (round(255 * part) for part in rgb)
    return f"#000000 on #{red:02x}{green:02x}{blue:02x}"


def level_of(value: float, scale: Scale) -> int:
    """Place a number; what lies beyond the ends, or is none, goes to an end."""
    if not value < scale.high:
        return LEVELS - 1
    share = (value - scale.low) / (scale.high - scale.low)
    return max(0, min(LEVELS - 1, int(share * LEVELS // 1)))


def style_on(scale: Scale, level: int) -> str:
    """Give the style of a level of a scale."""
    return signed_style_of(level) if scale.signed else style_of(level)


def heat(block: Heat, look: Look) -> Iterator[Text]:
    """Draw a legend, a caption if there is one, and the text."""
    look = look._replace(unit=block.unit)
    yield line("  ").append_text(legend(block.scale, look))
    if block.caption:
        yield line(f"  {shown_text(block.caption, look)}", "dim")
        yield line()
    yield from heat_text(block.lines, look, block.scale)


def heat_text(
    lines: Iterable[HeatLine], look: Look, scale: Scale = BITS
) -> Iterator[Text]:
    """Draw lines of heat text, wrapped to the width, each with its bars.

    Yields
    ------
    Text
        Rows of the text and rows of bars in turn, all within ``look.width``.
    """
    for part in lines:
        label, indent = part.label, cell_len(part.label)
        for row in rows(part, look):
            yield from _drawn(fit(label, indent), row, look, scale)
            label = ""


def rows(part: HeatLine, look: Look) -> Iterator[Sequence[Patch]]:
    """Cut a line into rows that fit, after a space where one is not too far back."""
    width = max(1, look.width - cell_len(part.label))
    glyphs = [visible(symbol, look) for symbol in part.symbols]
    parting = Patch(ASCII_PARTING if look.ascii else PARTING, 1, False, None)
    cells: list[Patch] = []
    for n, glyph in enumerate(glyphs):
        if n in part.parted:
            cells.append(parting)
        blank = part.symbols[n] == " "
        cells.append(Patch(glyph, cell_len(glyph), blank, part.values[n]))
    start = 0
    while start < len(cells):
        end, used, space = start, 0, start
        while end < len(cells) and used + cells[end].width <= width:
            used += cells[end].width
            end += 1
            if cells[end - 1].space and used >= width * (1 - RAGGED):
                space = end
        if end < len(cells) and space > start:
            end = space
        # A symbol wider than the whole row gets one of its own.
        end = max(end, start + 1)
        yield cells[start:end]
        start = end


def _drawn(
    label: str, row: Sequence[Patch], look: Look, scale: Scale
) -> Iterator[Text]:
    """Draw one row of symbols, and the bars under it."""
    bars = levels(ascii_only=look.ascii)
    text = line(label)
    text.stylize("dim")
    below = line(" " * cell_len(label))
    for cell in row:
        if cell.value is None:
            text.append(cell.glyph, "dim")
            below.append(" " * cell.width)
            continue
        level = level_of(cell.value, scale)
        text.append(cell.glyph, style_on(scale, level))
        below.append(bars[level] * cell.width, "dim")
    yield text
    yield below


def legend(scale: Scale, look: Look) -> Text:
    """Explain the levels: by their numbers, or between the ends of their scale."""
    bars = levels(ascii_only=look.ascii)
    if scale.name:
        text = line(f"{shown_text(scale.name, look)}  ")
        for level, bar in enumerate(bars):
            name = level_name(scale, level)
            text.append(f" {bar} {name} ", style_on(scale, level))
        return text
    text = line(f"{scale.low:+.2f} ")
    for level, bar in enumerate(bars):
        text.append(f" {bar} ", style_on(scale, level))
    return text.append(f" {scale.high:+.2f}")


def level_name(scale: Scale, level: int) -> str:
    """Name a level by where it begins; the last one of a count has no end."""
    start = scale.low + level * (scale.high - scale.low) / LEVELS
    return f"{start:.3g}" + ("+" if scale.name and level == LEVELS - 1 else "")
