"""What views show, as blocks: pure data that every renderer knows how to draw.

=========== ==============================================================
Heading     the name of what follows, and a detail beside it
Note        one line about what stands above or below it
Facts       labels and what they say
Table       columns of text, of bars, and of small histograms
Chart       curves over a common axis
Histogram   how often values fall into equal steps
Scatter     dots in the unit square
Tiles       charts of one size beside each other
Heat        a text with a number a character
Guesses     a text with what was expected at each place of it
Rows        a table that is made only where it is drawn
=========== ==============================================================

Texts are raw: whoever draws them escapes what cannot be shown. A block may be
meant for some media only, where a terminal says in a table what a page says
in a chart.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from charrnn.config import UnitName

Medium: TypeAlias = Literal["terminal", "drawing", "page"]
Media: TypeAlias = frozenset[Medium]
Align: TypeAlias = Literal["left", "right"]

EVERYWHERE: Media = frozenset({"terminal", "drawing", "page"})

#: Where there are pixels.
PICTURED: Media = frozenset({"drawing", "page"})

#: Where nothing unfolds, scrolls or answers a pointer.
STILL: Media = frozenset({"terminal", "drawing"})

PAGE: Media = frozenset({"page"})
TERMINAL: Media = frozenset({"terminal"})


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """What all blocks have in common: where they are drawn."""

    media: Media = EVERYWHERE


@dataclass(frozen=True)
class Heading(_Shown):
    """The name of what follows, and a detail beside it."""

    text: str
    detail: str = ""


@dataclass(frozen=True)
class Note(_Shown):
    """One line about what stands above or below it."""

    text: str
    faint: bool = True


@dataclass(frozen=True)
class Facts(_Shown):
    """Labels and what they say; one left empty goes on with the last."""

    pairs: Sequence[tuple[str, str]]
    unit: UnitName = "char"  # what the characters of the texts stand for


@dataclass(frozen=True)
class Column:
    """A column of text.

    Attributes
    ----------
    rank : int
        0 is always shown; where there is no room, the highest gives way first.
    shrinks : bool
        May be cut to what is left, rather than give way.
    symbols : bool
        The cells are single characters, blanks among them, which must be seen.
    tail : int
        Cells at most that are shown of the end of each text; 0 is all of it.
    """

    title: str
    cells: Sequence[str]
    align: Align = "left"
    rank: int = 0
    shrinks: bool = False
    faint: bool = False
    symbols: bool = False
    tail: int = 0


@dataclass(frozen=True)
class Bars:
    """A column of bars, each a share of the longest one there may be."""

    shares: Sequence[float]
    longest: int = 10  # cells
    rank: int = 1
    title: str = ""


@dataclass(frozen=True)
class Sparks:
    """A column of small histograms, a cell a count."""

    title: str
    counts: Sequence[Sequence[float | None]]
    rank: int = 1


AnyColumn: TypeAlias = Column | Bars | Sparks


@dataclass(frozen=True)
class Table(_Shown):
    """Columns of equal length."""

    columns: Sequence[AnyColumn]
    name: str  # what it lists
    unit: UnitName = "char"


@dataclass(frozen=True)
class Series:
    """A named curve; None and what is not finite are gaps."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]


@dataclass(frozen=True)
class Chart(_Shown):
    """Curves over a common axis; on a logarithmic one only positive values stand."""

    series: Sequence[Series]
    x: str
    y: str
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Histogram(_Shown):
    """How often values fall into equal steps from `low` to `high`."""

    name: str
    counts: Sequence[int]
    low: float
    high: float


@dataclass(frozen=True)
class Scatter(_Shown):
    """Dots in the unit square: x, y, and a note that says what each is."""

    name: str
    dots: Sequence[tuple[float, float, str]]
    x: str
    y: str


@dataclass(frozen=True)
class Tiles(_Shown):
    """Charts of one size, so many beside each other where there is room."""

    charts: Sequence[Chart | Histogram | Scatter]
    across: int
    name: str  # what they show together


class Scale(NamedTuple):
    """The numbers that eight equal levels stand for.

    With `low` below zero they go from one hue over nothing to another, else
    from nothing to one hue.
    """

    low: float
    high: float
    name: str = ""  # of what is counted; levels are then whole numbers of it

    @property
    def signed(self) -> bool:
        """Whether numbers have a sign."""
        return self.low < 0


#: A level a bit, the last one for all above.
BITS = Scale(0.0, 8.0, "bits")


class HeatLine(NamedTuple):
    """One line of a text, with what stands to its left."""

    label: str
    symbols: str  # a newline at the end is shown, too
    values: Sequence[float | None]  # one a symbol; None: it has no number
    parted: Collection[int] = ()  # the places that a line is drawn before, from 0


@dataclass(frozen=True)
class Heat(_Shown):
    """A text whose characters carry a number each."""

    lines: Sequence[HeatLine]
    scale: Scale = BITS
    unit: UnitName = "char"
    caption: str = ""


class Guess(NamedTuple):
    """A character of a text, and which ones were expected in its place."""

    symbol: str
    bits: float | None  # that it cost; None: it was only read
    expected: str  # the likeliest first; nothing in the place of what was only read


@dataclass(frozen=True)
class Guesses(_Shown):
    """A text with what was expected at each place of it."""

    places: Sequence[Guess]  # each with as many expected, if any
    unit: UnitName = "char"


@dataclass(frozen=True)
class Rows(_Shown):
    """A table of rows that are made when somebody draws it."""

    names: Sequence[str]  # of the columns
    rows: Callable[[], Iterable[tuple[str | int | float | None, ...]]]
    without: Sequence[str] = ()  # columns that are left out

    def table(self) -> Table:
        """Make the rows, numbers in as many digits as are looked at."""
        rows = list(self.rows())
        columns = []
        for n, name in enumerate(self.names):
            values = [row[n] for row in rows]
            known = next((value for value in values if value is not None), "")
            align: Align = "left" if isinstance(known, str) else "right"
            if name not in self.without:
                columns.append(Column(name, list(map(_cell, values)), align))
        return Table(columns, "rows")


def _cell(value: str | int | float | None) -> str:
    """Write one cell."""
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


OneBlock: TypeAlias = (
    Heading | Note | Facts | Table | Chart | Histogram | Scatter | Heat | Guesses
)

#: What can be drawn.
Drawable: TypeAlias = OneBlock | Tiles

Block: TypeAlias = Drawable | Rows


def shown_on(medium: Medium, blocks: Iterable[Block]) -> Iterator[Drawable]:
    """Leave out what is meant for other media, and make the rows of the rest."""
    for block in blocks:
        if medium in block.media:
            yield block.table() if isinstance(block, Rows) else block
