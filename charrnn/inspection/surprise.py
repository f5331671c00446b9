"""The view ``surprise``: -log2 p of every character of a text.

The text is read from its beginning with the state carried along, after a
newline (or, where the vocabulary has none, after its commonest symbol). Up to
`EXACT` characters that is one pass, character by character, and the numbers
are those of `Model.losses`. A longer text is read in pieces side by side, as
for validation (`charrnn.evaluation`), many times as fast; its first characters
in each piece then differ by a few ten-thousandths of a bit.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids
from charrnn.config import UnitName
from charrnn.errors import CorpusError
from charrnn.inspection.records import Cell, View, escaped
from charrnn.streams import initial_id
from charrnn.vocab import Vocab

if TYPE_CHECKING:
    from charrnn.model import Model

Places: TypeAlias = NDArray[np.signedinteger[Any]]

#: Characters read one by one: a few seconds.
EXACT = 1 << 17

#: Characters handed to the network at a time.
SLICE = 256

#: Characters that stand before a surprising one, to know it by.
CONTEXT = 24

LN2 = math.log(2)


@dataclass(frozen=True, slots=True)
class LineSurprise:
    """One line, the newline that ends it included."""

    line: int  # from 1
    characters: int
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


@dataclass(frozen=True)
class Surprise(View):
    """What a text costs under a model.

    Totals, lines and the worst are about the whole text, `text` and
    `char_bits` about as much of its beginning as was asked for.
    """

    columns: ClassVar[tuple[str, ...]] = ("line", "column", "bits", "char")

    unit: UnitName
    characters: int
    bits: float
    nats: float
    bits_per_char: float
    nats_per_char: float
    perplexity: float
    exact: bool  # one unbroken pass
    lines: tuple[LineSurprise, ...]
    worst: tuple[CharSurprise, ...]  # the worst first
    text: str
    char_bits: tuple[float, ...]

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a character of `text`."""
        line, column = 1, 1
        for char, bits in zip(self.text, self.char_bits, strict=True):
            yield line, column, bits, escaped(char, self.unit)
            column += 1
            if char == "\n":
                line, column = line + 1, 1


def measure_surprise(
    model: "Model",
    vocab: Vocab,
    ids: Ids,
    *,
    documents: bool = False,
    top: int = 5,
    keep: int | None = None,
) -> Surprise:
    """Read a text and add up what each of its characters costs.

    Parameters
    ----------
    ids : (N,) int array
        The text.
    documents : bool
        The model was trained on lines as documents: the state is cleared at
        every newline, as it was then.
    top : int
        How many of the worst characters to name.
    keep : int, optional
        How many characters to give one by one; all if not given. Memory
        beyond that is a few bytes a character and some for each line.

    Raises
    ------
    CorpusError
        The text is empty.
    """
    if not ids.size:
        msg = "the text is empty: nothing to predict"
        raise CorpusError(msg)
    newline = vocab.newline_id
    totals = _Totals(ids, newline, top, ids.size if keep is None else keep)
    reset = newline if documents else None
    for places, nats in losses(model, ids, initial_id(vocab), reset):
        totals.add(places, nats)
    return totals.result(vocab)


def losses(
    model: "Model", ids: Ids, before: int, newline: int | None
) -> Iterator[tuple[Places, Floats]]:
    """Yield the loss of every character once, with the place it belongs to.

    Parameters
    ----------
    before : int
        What stands before the first character.
    newline : int, optional
        Where given, the state is cleared wherever this id is the input.
    """
    if ids.size > EXACT:
        yield from _losses_in_pieces(model, ids, before, newline)
        return
    inputs = np.concatenate([[before], ids[:-1]]).astype(np.int32)[:, None]
    resets = (inputs == newline).astype(np.uint8)
    state = model.new_state(1)
    for a in range(0, ids.size, SLICE):
        part = slice(a, a + SLICE)
        targets = ids[part, None]
        nats = model.losses(inputs[part], targets, resets[part], state)
        yield np.arange(a, a + len(targets)), nats[:, 0]


def _losses_in_pieces(
    model: "Model", ids: Ids, before: int, newline: int | None
) -> Iterator[tuple[Places, Floats]]:
    """Yield what `losses` does, many pieces of the text at a time."""
    from charrnn.evaluation import pieces  # imports Numba

    # Cut the same way, a text of its own places tells where each target is.
    cuts = pieces(np.arange(ids.size, dtype=np.uint32), 0, None)
    state = None
    for window in pieces(ids.astype(np.uint32), before, newline):
        places = next(cuts).targets
        if state is None:
            state = model.new_state(places.shape[1])
        nats = model.losses(*window, state)
        scored = places >= 0
        yield places[scored], nats[scored]


class _Totals:
    """Sums by line, the worst characters and the first ones, as losses come in."""

    def __init__(self, ids: Ids, newline: int | None, top: int, keep: int) -> None:
        self.ids = ids
        none = np.zeros(0, np.int64)
        newlines = none if newline is None else np.flatnonzero(ids == newline)
        # A line ends with its newline, the last one with the text.
        ends = newlines + 1
        open_end = not ends.size or ends[-1] < ids.size
        self.ends = np.append(ends, ids.size) if open_end else ends
        self.nats = np.zeros(len(self.ends))
        self.first = np.zeros(min(keep, ids.size))
        self.top = top
        self.worst: tuple[Places, Floats] = none, np.zeros(0)

    def add(self, places: Places, nats: Floats) -> None:
        """Take in some losses, each in its place."""
        np.add.at(self.nats, np.searchsorted(self.ends, places, "right"), nats)
        early = places < len(self.first)
        self.first[places[early]] = nats[early]
        places = np.concatenate([self.worst[0], places])
        nats = np.concatenate([self.worst[1], nats])
        # The worst first, of equal ones the earlier; what is no number is worst.
        badness = np.where(np.isnan(nats), np.inf, nats)
        order = np.lexsort((places, -badness))[: self.top]
        self.worst = places[order], nats[order]

    def result(self, vocab: Vocab) -> Surprise:
        """Put everything together when the whole text was read."""
        count, nats = self.ids.size, float(self.nats.sum())
        worst = zip(*(array.tolist() for array in self.worst), strict=True)
        return Surprise(
            unit=vocab.unit,
            characters=count,
            bits=nats / LN2,
            nats=nats,
            bits_per_char=nats / LN2 / count,
            nats_per_char=nats / count,
            perplexity=float(np.exp(min(nats / count, 709.0))),  # 1e308 at most
            exact=count <= EXACT,
            lines=tuple(self._lines()),
            worst=tuple(self._char(vocab, *found) for found in worst),
            text=symbols(vocab, self.ids[: len(self.first)]),
            char_bits=tuple((self.first / LN2).tolist()),
        )

    def _lines(self) -> Iterator[LineSurprise]:
        """List what every line cost."""
        lengths = np.diff(self.ends, prepend=0).tolist()
        bits = (self.nats / LN2).tolist()
        for n, (length, total) in enumerate(zip(lengths, bits, strict=True), 1):
            yield LineSurprise(n, length, total, total / length)

    def _char(self, vocab: Vocab, place: int, nats: float) -> CharSurprise:
        """Say where a character stands."""
        line = int(np.searchsorted(self.ends, place, "right"))
        start = int(self.ends[line - 1]) if line else 0
        return CharSurprise(
            position=place + 1,
            line=line + 1,
            column=place - start + 1,
            char=symbols(vocab, self.ids[place : place + 1]),
            bits=nats / LN2,
            before=symbols(vocab, self.ids[max(0, place - CONTEXT) : place]),
        )


def symbols(vocab: Vocab, ids: Ids) -> str:
    """Write ids as symbols, one character each: of bytes their Latin-1 ones."""
    return "".join([vocab.symbols[i] for i in ids.tolist()])
