"""The view ``surprise``: -log2 p of every character of a text.

The text is read once, from its beginning to its end, with the state carried
along, as sampling reads a prompt (`charrnn.windows.Documents`). It may be of
any size: it comes in slices, and what is kept of them is sums, the worst, and
as much of the beginning as was asked for. How it was cut changes nothing.

Of pairs only outputs are scored: an input costs nothing and is not counted.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappush, heappushpop
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from charrnn.arrays import Ids
from charrnn.config import UnitName
from charrnn.counting import plural
from charrnn.errors import SOME_TEXT, CorpusError
from charrnn.escapes import table_cell
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
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.view import SHOWN, Extent, View
from charrnn.pairs import input_ends
from charrnn.vocab import Vocab, from_code_points

if TYPE_CHECKING:
    from charrnn.inspection.inspected import (
        Inspected,
        InspectedCheckpoint,
        InspectedMixture,
    )
    from charrnn.predictor import Costs

#: Characters that stand before a surprising one, to know it by.
CONTEXT = 24

LN2 = math.log(2)

#: Characters that are listed one by one where nothing is drawn.
LISTED = 1_000_000

#: Cells of context shown before a surprising symbol.
SHOWN_CONTEXT = 20


@dataclass(frozen=True, slots=True)
class LineSurprise:
    """One line, the newline that ends it included."""

    line: int  # from 1
    characters: int  # that are scored
    bits: float
    bits_per_char: float


@dataclass(frozen=True, slots=True)
class CharSurprise:
    """One character and where it stands."""

    position: int  # from 1
    line: int
    column: int
    char: str
    bits: float
    before: str  # the characters that it came after


COLUMNS = ("line", "column", "bits", "char")


@dataclass(frozen=True)
class Surprise(ViewData):
    """What a text costs under a model.

    Totals and the worst are about the whole text; `text`, `char_bits` and
    `lines` about as much of its beginning as was asked for.
    """

    columns = COLUMNS

    unit: UnitName
    characters: int  # that are scored: of pairs, those of outputs
    line_count: int
    bits: float
    nats: float
    bits_per_char: float
    nats_per_char: float
    perplexity: float
    lines: tuple[LineSurprise, ...]  # those that begin in `text`
    worst: tuple[CharSurprise, ...]  # the worst first
    worst_lines: tuple[LineSurprise, ...]  # the dearest a character first
    text: str
    char_bits: tuple[float | None, ...]  # None: it is not scored
    #: Where the counts went on in the text: what it costs by those that do not.
    static_bits_per_char: float | None = None
    #: Of pairs, the positions in `text` at which their inputs end, from 1.
    input_ends: tuple[int, ...] | None = None

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a character of `text`."""
        line, column = 1, 1
        for char, bits in zip(self.text, self.char_bits, strict=True):
            yield line, column, bits, table_cell(char, self.unit)
            column += 1
            if char == "\n":
                line, column = line + 1, 1


@dataclass(frozen=True)
class SurpriseRows(ViewData):
    """The rows of `Surprise`, made while the text is read: none of it is kept."""

    columns = COLUMNS

    vocab: Vocab
    costs: "Iterator[Costs]"
    keep: int | None = None  # characters; all if not given

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a character. Can be asked for once."""
        line, column, left = 1, 1, self.keep
        for found in self.costs:
            shown = symbols(self.vocab, found.ids[:left])
            for char, bits in zip(shown, _bits(found, left), strict=True):
                yield line, column, bits, table_cell(char, self.vocab.unit)
                column += 1
                if char == "\n":
                    line, column = line + 1, 1
            if left is not None:
                left -= len(shown)
                if left == 0:
                    return


def measure_surprise(
    costs: "Iterable[Costs]", vocab: Vocab, *, top: int = 5, keep: int | None = None
) -> Surprise:
    """Add up what each character of a text costs.

    Parameters
    ----------
    costs : iterable of Costs
        The whole text, from `TextModel.costs`.
    top : int
        How many of the worst characters and lines to name.
    keep : int, optional
        How many characters to give one by one; all if not given. Memory
        beyond that does not grow with the text.

    Raises
    ------
    CorpusError
        The text is empty.
    """
    totals = _Totals(vocab, top, math.inf if keep is None else keep)
    for part in costs:
        totals.add(part)
    return totals.result()


def _bits(costs: "Costs", count: int | None = None) -> list[float | None]:
    """Give what the first characters cost in bits, None for those not scored."""
    bits: list[float | None] = (costs.nats[:count] / LN2).tolist()
    if costs.scored is None:
        return bits
    scored = costs.scored[:count].tolist()
    return [cost if is_ else None for cost, is_ in zip(bits, scored, strict=True)]


Thing = TypeVar("Thing")


class _Worst(Generic[Thing]):
    """The dearest of many things, as they come in; of equal ones the first."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[tuple[float, int, Thing]] = []

    @property
    def least(self) -> float:
        """What a thing must cost more than, to be among them."""
        full = len(self._heap) >= self._count
        return self._heap[0][0] if full else -math.inf

    def add(self, cost: float, place: int, thing: Thing) -> None:
        """Take a thing in. What costs no number is the worst of all."""
        entry = math.inf if math.isnan(cost) else cost, -place, thing
        if len(self._heap) < self._count:
            heappush(self._heap, entry)
        else:
            heappushpop(self._heap, entry)

    def ranked(self) -> tuple[Thing, ...]:
        """List them, the worst first."""
        return tuple(thing for *_, thing in sorted(self._heap, reverse=True))


class _Totals:
    """Sums by line, the worst and the first characters, as losses come in."""

    def __init__(self, vocab: Vocab, top: int, keep: float) -> None:
        self.vocab = vocab
        self.newline = vocab.newline_id
        self.keep = keep
        self.read = self.characters = 0  # of the latter those that are scored
        self.of_pairs = False
        self.nats = 0.0
        self.fixed: float | None = None  # nats by counts that do not go on
        self.line, self.column = 1, 0  # of the last character
        self.line_characters, self.line_nats = 0, 0.0
        self.lines: list[LineSurprise] = []
        self.text: list[str] = []
        self.char_bits: list[float | None] = []
        self.worst: _Worst[CharSurprise] = _Worst(top)
        self.worst_lines: _Worst[LineSurprise] = _Worst(top)
        self.tail = np.zeros(0, np.int32)  # what came last, for contexts

    def add(self, costs: "Costs") -> None:
        """Take in the next characters."""
        ids = costs.ids
        if costs.fixed is not None:
            self.fixed = (self.fixed or 0.0) + float(costs.fixed.sum())
        left = int(max(0, min(self.keep - self.read, len(ids))))
        self.text.append(symbols(self.vocab, ids[:left]))
        self.char_bits += _bits(costs, left)
        self.of_pairs = self.of_pairs or costs.scored is not None
        read = np.concatenate([self.tail, ids])
        start, newline = 0, -1 if self.newline is None else self.newline
        ends = (np.flatnonzero(ids == newline) + 1).tolist()
        for end in [*ends, len(ids)]:
            self._add_to_line(read, costs, slice(start, end))
            if end > start and ids[end - 1] == newline:
                self._end_line()
            start = end
        self.nats += float(costs.nats.sum())
        self.tail = read[-CONTEXT:]

    def _add_to_line(self, read: Ids, costs: "Costs", part: slice) -> None:
        """Take in some of a line, which stands in what was read last."""
        shift, nats = len(self.tail) + part.start, costs.nats[part]
        scored = np.ones(len(nats), bool)
        if costs.scored is not None:
            scored = costs.scored[part]
        for n in np.flatnonzero(scored & ~(nats <= self.worst.least)).tolist():
            place = shift + n
            found = CharSurprise(
                position=self.read + n + 1,
                line=self.line,
                column=self.column + n + 1,
                char=symbols(self.vocab, read[place : place + 1]),
                bits=float(nats[n]) / LN2,
                before=symbols(self.vocab, read[max(0, place - CONTEXT) : place]),
            )
            self.worst.add(float(nats[n]), found.position, found)
        self.line_nats += float(nats.sum())
        self.column += len(nats)
        self.read += len(nats)
        self.line_characters += (count := int(scored.sum()))
        self.characters += count

    def _end_line(self) -> None:
        """Close a line, and begin the next one."""
        bits, length = self.line_nats / LN2, self.line_characters
        found = LineSurprise(self.line, length, bits, bits / max(1, length))
        self.worst_lines.add(found.bits_per_char, self.line, found)
        if self.read - self.column < self.keep:
            self.lines.append(found)
        self.line, self.column = self.line + 1, 0
        self.line_characters, self.line_nats = 0, 0.0

    def result(self) -> Surprise:
        """Put everything together when the whole text was read."""
        count, nats = self.characters, self.nats
        if not count:
            msg = "the text is empty: nothing to predict"
            raise CorpusError(msg, hint=SOME_TEXT)
        if self.column:  # the last line has no newline
            self._end_line()
        text = "".join(self.text)
        return Surprise(
            unit=self.vocab.unit,
            characters=count,
            line_count=self.line - 1,
            bits=nats / LN2,
            nats=nats,
            bits_per_char=nats / LN2 / count,
            nats_per_char=nats / count,
            perplexity=float(np.exp(min(nats / count, 709.0))),  # 1e308 at most
            lines=tuple(self.lines),
            worst=self.worst.ranked(),
            worst_lines=self.worst_lines.ranked(),
            text=text,
            char_bits=tuple(self.char_bits),
            static_bits_per_char=None
            if self.fixed is None
            else self.fixed / LN2 / count,
            input_ends=input_ends(text) if self.of_pairs else None,
        )


def symbols(vocab: Vocab, ids: Ids) -> str:
    """Write ids as symbols, one character each: of bytes their Latin-1 ones."""
    return from_code_points(vocab.points[ids])


class SurpriseView(View[Surprise | SurpriseRows]):
    """Totals, the text itself, hotter where it surprised, and the worst."""

    name = "surprise"
    about = "what every character of the text costs, in bits"
    text = "required"
    runs = "forward"
    options = ("top", "max_chars", "blend", "adapt", "mix")
    page = 5
    explores = "bits"

    def compute(self, checkpoint: "InspectedCheckpoint") -> Surprise | SurpriseRows:
        """Read the text and add up its losses, or make only its rows."""
        return self._measured(checkpoint)

    def compute_mixed(self, mixture: "InspectedMixture") -> Surprise | SurpriseRows:
        """Read the text by several checkpoints together, likewise."""
        return self._measured(mixture)

    def _measured(self, checkpoint: "Inspected") -> Surprise | SurpriseRows:
        """Read the text by what predicts it."""
        options, vocab = checkpoint.options, checkpoint.vocab
        ids = checkpoint.text.ids(checkpoint.form)
        costs = checkpoint.predictor.costs(ids)
        if options.rows_only and checkpoint.characters:
            return SurpriseRows(vocab, costs, options.max_chars or None)
        keep = options.limit(SHOWN if options.drawn else LISTED)
        return measure_surprise(costs, vocab, top=options.top, keep=keep)

    def blocks(self, data: Surprise | SurpriseRows) -> Iterator[Block]:
        """Show totals, the text (which a page's explorer has), and the worst."""
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

    def extent(self, data: Surprise | SurpriseRows, characters: int) -> Extent:
        """Count the characters that are given one by one."""
        if isinstance(data, SurpriseRows):  # they end where they were told to
            return Extent(min(data.keep or characters, characters))
        return Extent(len(data.text))


def _totals(data: Surprise) -> list[tuple[str, str]]:
    """Label the totals."""
    characters = plural(data.characters, "character")
    size = f"{characters}, {plural(data.line_count, 'line')}"
    if data.input_ends is not None:
        size = f"{characters} of outputs, {plural(data.line_count, 'pair')}"
    facts = [
        ("text", size),
        ("bits", f"{data.bits:,.2f}, {data.bits_per_char:.4f} per character"),
        ("nats", f"{data.nats:,.2f}, {data.nats_per_char:.4f} per character"),
        ("perplexity", f"{data.perplexity:.4g}"),
    ]
    if data.static_bits_per_char is not None:
        static = f"{data.static_bits_per_char:.4f} bits per character"
        facts.append(("unadapted", static))
    return facts


def _lines(data: Surprise) -> Iterator[HeatLine]:
    """Cut the text into lines, each labeled with its number and mean bits."""
    digits = len(f"{data.line_count}")
    for entry, part in zip(data.lines, cut_lines(data.text), strict=False):
        label = f"  {entry.line:>{digits}} {entry.bits_per_char:5.2f}  "
        line = data.text[part]
        parted = () if data.input_ends is None else input_ends(line)
        yield HeatLine(label, line, data.char_bits[part], parted)


def cut_lines(text: str) -> Iterator[slice]:
    """Find the lines of a text, each with the newline that ends it."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield slice(start, end)
        start = end


def _characters(data: Surprise) -> list[Column]:
    """List the characters that were hardest to predict."""
    worst = data.worst
    return [
        Column("line", [f"{c.line:,}" for c in worst], "right"),
        Column("column", [f"{c.column:,}" for c in worst], "right"),
        Column("bits", [f"{c.bits:.2f}" for c in worst], "right"),
        Column("char", [c.char for c in worst], symbols=True),
        Column("after", [c.before for c in worst], rank=1, tail=SHOWN_CONTEXT),
    ]


def _worst_lines(data: Surprise) -> list[Column]:
    """List the lines that were hardest to predict."""
    worst = data.worst_lines
    return [
        Column("line", [f"{entry.line:,}" for entry in worst], "right"),
        Column("characters", [f"{entry.characters:,}" for entry in worst], "right"),
        Column("bits", [f"{entry.bits:,.2f}" for entry in worst], "right"),
        Column("per char", [f"{entry.bits_per_char:.2f}" for entry in worst], "right"),
    ]


VIEW = SurpriseView()
