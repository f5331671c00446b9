"""A view from outside the package: what it takes to add one is in this file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from charrnn.inspection.blocks import (
    Bars,
    Block,
    Chart,
    Column,
    Facts,
    Guess,
    Guesses,
    Heading,
    Heat,
    HeatLine,
    Histogram,
    Note,
    Scale,
    Scatter,
    Series,
    Sparks,
    Table,
    Tiles,
)
from charrnn.inspection.inspected import InspectedCheckpoint
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.registry import register
from charrnn.inspection.view import Extent, View


@dataclass(frozen=True)
class Vowels(ViewData):
    """Which characters of a text are vowels."""

    columns: ClassVar[tuple[str, ...]] = ("position", "vowel")

    text: str
    vowels: tuple[int, ...]

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a character."""
        return enumerate(self.vowels, 1)


class VowelView(View[Vowels]):
    """A view with a block of every kind."""

    name = "vowels"
    about = "which characters are vowels"
    text = "required"
    options = ("max_lag", "max_chars")
    page = 5

    def compute(self, checkpoint: InspectedCheckpoint) -> Vowels:
        """Look at every character that the options let it list."""
        ids = checkpoint.head(checkpoint.options.limit(20))
        text = checkpoint.file.vocab.decode(ids)
        return Vowels(text, tuple(int(c in "aeiou") for c in text))

    def blocks(self, data: Vowels) -> Iterator[Block]:
        """Show them in all ways."""
        shares, places = [float(v) for v in data.vowels], range(len(data.text))
        yield Heading("every <kind>", "of block")
        yield Facts([("vowels", f"{sum(data.vowels)}"), ("file", "\x1b[31m\u202e<b>")])
        columns: list[Column | Bars | Sparks] = [
            Column("char", list(data.text), symbols=True),
            Bars(shares, 4),
            Sparks("both", [[v, 1 - v] for v in data.vowels]),
        ]
        yield Table(columns, "characters")
        yield Note("vowels & others")
        curve = Chart([Series("vowels", places, shares)], "position", "is a vowel")
        bars = Histogram("how often", [1, 2], 0.0, 1.0)
        dots = Scatter("where", [(0.5, 0.5, "a dot")], "x", "y")
        yield curve
        yield Tiles([curve, bars, dots], 3, "again")
        yield Heat([HeatLine("1 ", data.text, shares)], Scale(-1.0, 1.0))
        yield Guesses([Guess(c, 1.0, "ab") for c in data.text])

    def extent(self, data: Vowels, characters: int) -> Extent:
        """Tell how many characters are listed."""
        return Extent(len(data.text))


VIEW = VowelView()


def make_known() -> None:
    """Register the view: all that it takes."""
    register(VIEW)
