"""How the views that read a text look: ``surprise`` and ``next``."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from charrnn.display.heat import HeatLine, heat_text, legend, level_of, style_of
from charrnn.display.sparkline import levels
from charrnn.display.symbols import Look, fit, named, shown_text, visible
from charrnn.display.tables import Column, facts, line, number, plural, table
from charrnn.inspection.predictions import Choice, Position, Predictions
from charrnn.inspection.surprise import Surprise

#: Cells of the longest bar of a probability.
BAR = 30

#: Cells of context shown before a surprising symbol.
CONTEXT = 20

#: Cells of the widest character; what is wider is written by its number.
WIDE = 2


def draw_surprise(view: Surprise, look: Look) -> Iterator[Text]:
    """Draw totals, the worst, and the text itself, hotter where it surprised."""
    look = look._replace(unit=view.unit)
    yield from surprise_facts(view, look)
    if view.text:
        yield line()
        yield line("  ").append_text(legend(look))
        yield line("  left of the text: line, mean bits per character", "dim")
        yield line()
        yield from heat_text(heat_lines(view), look)
    yield line()
    yield from surprise_tables(view, look)


def surprise_facts(view: Surprise, look: Look) -> Iterator[Text]:
    """Draw the totals."""
    yield from facts(surprise_pairs(view), look)


def surprise_pairs(view: Surprise) -> list[tuple[str, str]]:
    """Label the totals."""
    return [
        (
            "text",
            f"{plural(view.characters, 'character')}, "
            f"{plural(view.line_count, 'line')}",
        ),
        ("bits", f"{view.bits:,.2f}, {view.bits_per_char:.4f} per character"),
        ("nats", f"{view.nats:,.2f}, {view.nats_per_char:.4f} per character"),
        ("perplexity", f"{view.perplexity:.4g}"),
    ]


def surprise_tables(view: Surprise, look: Look) -> Iterator[Text]:
    """Draw the characters and lines that were hardest to predict."""
    look = look._replace(unit=view.unit)
    yield line("most surprising characters", "bold")
    yield from table(worst_char_columns(view, look), look)
    if view.line_count > 1:
        yield line()
        yield line("most surprising lines", "bold")
        yield from table(worst_line_columns(view), look)


def worst_char_columns(view: Surprise, look: Look) -> list[Column]:
    """List the characters that were hardest to predict."""
    worst = view.worst
    return [
        Column("line", [f"{c.line:,}" for c in worst], "right"),
        Column("column", [f"{c.column:,}" for c in worst], "right"),
        Column("bits", [f"{c.bits:.2f}" for c in worst], "right"),
        Column("char", [named(c.char, look) for c in worst]),
        Column("after", [_context(c.before, look) for c in worst], rank=1),
    ]


def _context(before: str, look: Look) -> str:
    """Show as much of the end of a text as has room."""
    while cell_len(text := shown_text(before, look)) > CONTEXT:
        before = before[1:]
    return text


def heat_lines(view: Surprise) -> Iterator[HeatLine]:
    """Cut the text into lines, each labeled with its number and mean bits."""
    digits = len(f"{view.line_count}")
    start = 0
    for entry in view.lines:
        end = min(start + entry.characters, len(view.text))
        if start == end:
            return
        label = f"  {entry.line:>{digits}} {entry.bits_per_char:5.2f}  "
        yield HeatLine(label, view.text[start:end], view.char_bits[start:end])
        start = end


def worst_line_columns(view: Surprise) -> list[Column]:
    """List the lines that were hardest to predict."""
    worst = view.worst_lines
    return [
        Column("line", [f"{entry.line:,}" for entry in worst], "right"),
        Column("characters", [f"{entry.characters:,}" for entry in worst], "right"),
        Column("bits", [f"{entry.bits:,.2f}" for entry in worst], "right"),
        Column("per char", [f"{entry.bits_per_char:.2f}" for entry in worst], "right"),
    ]


def draw_predictions(view: Predictions, look: Look) -> Iterator[Text]:
    """Draw what may come next, and below the text what was expected in it."""
    look = look._replace(unit=view.unit)
    where = f"after {plural(view.characters, 'character')}"
    where = where if view.characters else "at the beginning"
    yield line(f"{where}  ", "bold").append(
        f"entropy {view.entropy:.2f} bits", "not bold dim"
    )
    yield from table(choice_columns(view.after, look), look)
    if view.positions:
        yield line()
        yield line("expected in the text, the likeliest first", "bold")
        yield line("  bits").append_text(_without_title(legend(look)))
        yield from _bands(view.positions, look)


def _without_title(text: Text) -> Text:
    """Drop the first word of the legend, which already stands there."""
    return text[len("bits") :]


def choice_columns(choices: Sequence[Choice], look: Look) -> list[Column]:
    """List characters with their probabilities, as numbers and as bars."""
    most = max(choice.probability for choice in choices)
    bar = "#" if look.ascii else "█"
    room = max(1, min(BAR, look.width - 34))
    bars = [bar * max(0, round(room * c.probability / most)) for c in choices]
    return [
        Column("rank", [f"{n}" for n in range(1, len(choices) + 1)], "right"),
        Column("char", [named(choice.char, look) for choice in choices]),
        Column("share", [f"{choice.probability:.2%}" for choice in choices], "right"),
        Column("bits", [number(choice.bits, ".2f") for choice in choices], "right"),
        Column("", bars, rank=1, style="cyan"),
    ]


def _bands(positions: Sequence[Position], look: Look) -> Iterator[Text]:
    """Draw positions side by side, in as many bands as the width makes needed."""
    top = len(positions[0].top)
    label = max(len("text"), len(str(top))) + 2
    band: list[tuple[Position, int]] = []
    used = label + 2
    for position in positions:
        shown = [position.char, *(choice.char for choice in position.top)]
        width = max(cell_len(_cell(char, look)) for char in shown)
        width += width > WIDE  # apart from its neighbors
        if band and used + width > look.width:
            yield from _band(band, label, look)
            band, used = [], label + 2
        band.append((position, width))
        used += width
    yield from _band(band, label, look)


def _cell(symbol: str, look: Look) -> str:
    """Show a symbol in a narrow column: a space must be seen, but stay small."""
    return "_" if look.ascii and symbol == " " else named(symbol, look)


def _band(
    band: Sequence[tuple[Position, int]], label: int, look: Look
) -> Iterator[Text]:
    """Draw one band: the text, its bars, and a row for every rank."""
    bars = levels(ascii_only=look.ascii)
    text = line(fit("  text", label + 2))
    below = line(" " * (label + 2))
    for position, width in band:
        level = level_of(position.bits)
        glyph = visible(position.char, look)
        room = cell_len(glyph)
        text.append(glyph, style_of(level)).append(" " * (width - room))
        below.append(fit(bars[level] * room, width), "dim")
    yield line()
    yield text
    yield below
    for rank in range(len(band[0][0].top)):
        row = line(f"  {rank + 1:>{label - 2}}  ", "dim")
        for position, width in band:
            char = position.top[rank].char
            hit = char == position.char
            row.append(fit(_cell(char, look), width), "not dim bold" if hit else "")
        yield row
