"""A text with what was expected at each place of it below, in bands."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from charrnn.display.heat import legend, level_of, style_of
from charrnn.display.sparkline import levels
from charrnn.display.symbols import Look, fit, named, visible
from charrnn.display.tables import line
from charrnn.inspection.blocks import BITS, Guess, Guesses

#: Cells of the widest character; what is wider is written by its number.
WIDE = 2


def guesses(block: Guesses, look: Look) -> Iterator[Text]:
    """Draw places side by side, in as many bands as the width makes needed."""
    look = look._replace(unit=block.unit)
    yield line("  ").append_text(legend(BITS, look))
    if not block.places:
        return
    top = max(len(place.expected) for place in block.places)
    label = max(len("text"), len(str(top))) + 2
    band: list[tuple[Guess, int]] = []
    used = label + 2
    for place in block.places:
        shown = (place.symbol, *place.expected)
        width = max(cell_len(_cell(char, look)) for char in shown)
        width += width > WIDE  # apart from its neighbors
        if band and used + width > look.width:
            yield from _band(band, label, top, look)
            band, used = [], label + 2
        band.append((place, width))
        used += width
    yield from _band(band, label, top, look)


def _cell(symbol: str, look: Look) -> str:
    """Show a symbol in a narrow column: a space must be seen, but stay small."""
    return "_" if look.ascii and symbol == " " else named(symbol, look)


def _band(
    band: Sequence[tuple[Guess, int]], label: int, top: int, look: Look
) -> Iterator[Text]:
    """Draw one band: the text, its bars, and a row for every rank."""
    bars = levels(ascii_only=look.ascii)
    text = line(fit("  text", label + 2))
    below = line(" " * (label + 2))
    for place, width in band:
        glyph = visible(place.symbol, look)
        room = cell_len(glyph)
        if place.bits is None:
            text.append(fit(glyph, width), "dim")
            below.append(" " * width)
            continue
        level = level_of(place.bits, BITS)
        text.append(glyph, style_of(level)).append(" " * (width - room))
        below.append(fit(bars[level] * room, width), "dim")
    yield line()
    yield text
    yield below
    for rank in range(top):
        row = line(f"  {rank + 1:>{label - 2}}  ", "dim")
        for place, width in band:
            if not place.expected:
                row.append(" " * width)
                continue
            char = place.expected[rank]
            hit = char == place.symbol
            row.append(fit(_cell(char, look), width), "not dim bold" if hit else "")
        yield row
