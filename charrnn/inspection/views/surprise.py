"""The view ``surprise``: -log2 p of every character of a text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from charrnn.inspection.blocks import (
    STILL,
    Block,
    Column,
    Facts,
    Heading,
    Heat,
    HeatLine,
    Table,
)
from charrnn.inspection.view import SHOWN, Extent, View
from charrnn.inspection.wording import plural

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.surprise import Surprise, SurpriseRows

#: Characters that are listed one by one where nothing is drawn.
LISTED = 1_000_000

#: Cells of context shown before a surprising symbol.
CONTEXT = 20


class SurpriseView(View["Surprise | SurpriseRows"]):
    """Totals, the text itself, hotter where it surprised, and the worst."""

    name = "surprise"
    about = "what every character of the text costs, in bits"
    text = "required"
    runs = "forward"
    options = ("top", "max_chars")
    page = 5
    explores = "bits"

    def compute(self, checkpoint: "InspectedCheckpoint") -> "Surprise | SurpriseRows":
        """Read the text and add up its losses, or make only its rows."""
        from charrnn.inspection.surprise import (
            SurpriseRows,
            losses,
            measure_surprise,
        )

        options, vocab = checkpoint.options, checkpoint.file.vocab
        ids = checkpoint.text.ids(vocab, options.unknown)
        costs = losses(checkpoint.model, vocab, ids, documents=checkpoint.documents)
        if options.rows_only and checkpoint.characters:
            return SurpriseRows(vocab, costs, options.max_chars or None)
        keep = options.limit(SHOWN if options.drawn else LISTED)
        return measure_surprise(costs, vocab, top=options.top, keep=keep)

    def blocks(self, data: "Surprise | SurpriseRows") -> Iterator[Block]:
        """Show totals, the text (which a page's explorer has), and the worst."""
        from charrnn.inspection.surprise import SurpriseRows

        if isinstance(data, SurpriseRows):
            msg = "rows that are made while a text is read cannot be drawn"
            raise TypeError(msg)
        yield Facts(_totals(data))
        if data.text:
            caption = "left of the text: line, mean bits per character"
            lines = list(_lines(data))
            yield Heat(lines, unit=data.unit, caption=caption, media=STILL)
        yield Heading("most surprising characters")
        yield Table(_characters(data), "most surprising characters", data.unit)
        if data.line_count > 1:
            yield Heading("most surprising lines")
            yield Table(_worst_lines(data), "most surprising lines")

    def extent(self, data: "Surprise | SurpriseRows", characters: int) -> Extent:
        """Count the characters that are given one by one."""
        from charrnn.inspection.surprise import SurpriseRows

        if isinstance(data, SurpriseRows):  # they end where they were told to
            return Extent(min(data.keep or characters, characters))
        return Extent(len(data.text))


VIEW = SurpriseView()


def _totals(data: "Surprise") -> list[tuple[str, str]]:
    """Label the totals."""
    characters = plural(data.characters, "character")
    return [
        ("text", f"{characters}, {plural(data.line_count, 'line')}"),
        ("bits", f"{data.bits:,.2f}, {data.bits_per_char:.4f} per character"),
        ("nats", f"{data.nats:,.2f}, {data.nats_per_char:.4f} per character"),
        ("perplexity", f"{data.perplexity:.4g}"),
    ]


def _lines(data: "Surprise") -> Iterator[HeatLine]:
    """Cut the text into lines, each labeled with its number and mean bits."""
    digits = len(f"{data.line_count}")
    start = 0
    for entry in data.lines:
        end = min(start + entry.characters, len(data.text))
        if start == end:
            return
        label = f"  {entry.line:>{digits}} {entry.bits_per_char:5.2f}  "
        yield HeatLine(label, data.text[start:end], data.char_bits[start:end])
        start = end


def _characters(data: "Surprise") -> list[Column]:
    """List the characters that were hardest to predict."""
    worst = data.worst
    return [
        Column("line", [f"{c.line:,}" for c in worst], "right"),
        Column("column", [f"{c.column:,}" for c in worst], "right"),
        Column("bits", [f"{c.bits:.2f}" for c in worst], "right"),
        Column("char", [c.char for c in worst], symbols=True),
        Column("after", [c.before for c in worst], rank=1, tail=CONTEXT),
    ]


def _worst_lines(data: "Surprise") -> list[Column]:
    """List the lines that were hardest to predict."""
    worst = data.worst_lines
    return [
        Column("line", [f"{entry.line:,}" for entry in worst], "right"),
        Column("characters", [f"{entry.characters:,}" for entry in worst], "right"),
        Column("bits", [f"{entry.bits:,.2f}" for entry in worst], "right"),
        Column("per char", [f"{entry.bits_per_char:.2f}" for entry in worst], "right"),
    ]
