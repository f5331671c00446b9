"""The view ``next``: the likeliest next characters, after a text and in it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from charrnn.inspection.blocks import (
    STILL,
    Bars,
    Block,
    Column,
    Guess,
    Guesses,
    Heading,
    Table,
)
from charrnn.inspection.view import SHOWN, Extent, View
from charrnn.inspection.wording import number, plural

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.predictions import Choice, Predictions

#: Cells of the longest bar of a probability.
BAR = 30


class NextView(View["Predictions"]):
    """What may come next, and below the text what was expected in it."""

    name = "next"
    about = "the likeliest characters after the text, and at every place of it"
    text = "required"
    runs = "forward"
    options = ("top", "max_chars")
    page = 6
    explores = "guesses"

    def compute(self, checkpoint: "InspectedCheckpoint") -> "Predictions":
        """Read the text and list what the model expects."""
        from charrnn.inspection.predictions import predict

        options = checkpoint.options
        return predict(
            checkpoint.model,
            checkpoint.file.vocab,
            checkpoint.head(None),
            documents=checkpoint.documents,
            top=options.top,
            keep=options.limit(SHOWN),
        )

    def blocks(self, data: "Predictions") -> Iterator[Block]:
        """Show what comes after the text; what is within, a page's explorer has."""
        where = f"after {plural(data.characters, 'character')}"
        where = where if data.characters else "at the beginning"
        yield Heading(where, f"entropy {data.entropy:.2f} bits")
        yield Table(_choices(data.after), "what comes after the text", data.unit)
        if data.positions:
            yield Heading("expected in the text, the likeliest first", media=STILL)
            places = [
                Guess(at.char, at.bits, "".join(choice.char for choice in at.top))
                for at in data.positions
            ]
            yield Guesses(places, data.unit, media=STILL)

    def extent(self, data: "Predictions", characters: int) -> Extent:
        """Count the positions."""
        return Extent(len(data.positions), "last")


VIEW = NextView()


def _choices(choices: "Sequence[Choice]") -> list[Column | Bars]:
    """List characters with their probabilities, as numbers and as bars."""
    most = max(choice.probability for choice in choices)
    return [
        Column("rank", [f"{n}" for n in range(1, len(choices) + 1)], "right"),
        Column("char", [choice.char for choice in choices], symbols=True),
        Column("share", [f"{choice.probability:.2%}" for choice in choices], "right"),
        Column("bits", [number(choice.bits, ".2f") for choice in choices], "right"),
        Bars([choice.probability / most for choice in choices], BAR),
    ]
