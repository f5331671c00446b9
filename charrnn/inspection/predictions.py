"""The view ``next``: the likeliest next characters, after a text and in it.

What is said about the end of the text is what `charrnn sample` would draw the
first character from at temperature 1, and what stands under a position is
the same for the text up to there.

Of pairs, what comes next is asked inside an output: after an input and its separator,
and after each character of an output. What is expected inside an input nobody has
learned.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Ids
from charrnn.config import UnitName
from charrnn.counting import plural
from charrnn.escapes import table_cell
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
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.surprise import symbols
from charrnn.inspection.view import SHOWN, Extent, View
from charrnn.inspection.wording import number
from charrnn.pairs import input_ends
from charrnn.vocab import Vocab

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.textmodel import TextModel


#: (V,): a probability for every symbol.
Distribution: TypeAlias = NDArray[np.float64]

#: Cells of the longest bar of a probability.
BAR = 30


@dataclass(frozen=True, slots=True)
class Choice:
    """One character that may come next."""

    char: str
    probability: float
    bits: float  # -log2 of it


@dataclass(frozen=True, slots=True)
class Position:
    """A character of the text, and what the model expected in its place.

    A character of an input, of a model of pairs, was only read: it has no numbers.
    """

    position: int  # from 1
    char: str
    probability: float | None
    bits: float | None
    rank: int | None  # 1: the model would have guessed it
    top: tuple[Choice, ...]  # the likeliest first


@dataclass(frozen=True)
class Predictions(ViewData):
    """The likeliest characters after a text, and at its last positions."""

    columns = ("position", "rank", "char", "probability", "bits", "actual")

    unit: UnitName
    characters: int
    after: tuple[Choice, ...]
    entropy: float  # bits, of what comes after
    positions: tuple[Position, ...]
    #: Of pairs, those of the positions at which inputs end.
    input_ends: tuple[int, ...] | None = None

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a choice; `actual` is empty behind the end of the text."""
        for at in self.positions:
            yield from self._rows(at.position, at.top, table_cell(at.char, self.unit))
        yield from self._rows(self.characters + 1, self.after, None)

    def _rows(
        self, position: int, top: tuple[Choice, ...], actual: str | None
    ) -> Iterator[tuple[Cell, ...]]:
        """Give the choices at one position."""
        for rank, choice in enumerate(top, 1):
            char = table_cell(choice.char, self.unit)
            yield position, rank, char, choice.probability, choice.bits, actual


def predict(
    model: "TextModel",
    ids: Ids,
    *,
    top: int = 5,
    keep: int | None = None,
) -> Predictions:
    """Read a text and list what the model expects at each position.

    Parameters
    ----------
    ids : (N,) int array
        The text; may be empty.
    top : int
        Choices at a position.
    keep : int, optional
        How many positions, the last ones of the text; all if not given.
    """
    vocab = model.vocab
    first = 0 if keep is None else max(0, ids.size - keep)
    positions = []
    text = symbols(vocab, ids[first:])
    rows = distributions(model, ids, first)
    scored = model.documents.scored(ids) if model.of_pairs else np.ones(ids.size, bool)
    for n, (char, id_) in enumerate(zip(text, ids[first:].tolist(), strict=True)):
        p = next(rows)
        if not scored[first + n]:
            positions.append(Position(first + n + 1, char, None, None, None, ()))
            continue
        positions.append(
            Position(
                position=first + n + 1,
                char=char,
                probability=float(p[id_]),
                bits=_bits(float(p[id_])),
                # Of equal ones the lower id goes first, as in sampling.
                rank=1 + int((p > p[id_]).sum() + (p[:id_] == p[id_]).sum()),
                top=_choices(p, vocab, top),
            )
        )
    last = next(rows)
    ends = tuple(first + end for end in input_ends(text))
    return Predictions(
        unit=vocab.unit,
        characters=ids.size,
        after=_choices(last, vocab, top),
        entropy=_entropy(last),
        positions=tuple(positions),
        input_ends=ends if model.of_pairs else None,
    )


def distributions(model: "TextModel", ids: Ids, first: int) -> Iterator[Distribution]:
    """Yield the distribution (V,) of the character at each place, from `first` on.

    The last one is that after the text.
    """
    return chain.from_iterable(model.predicted([ids], first))


def _choices(p: Distribution, vocab: Vocab, top: int) -> tuple[Choice, ...]:
    """Take the likeliest characters, of equal ones the lowest ids first."""
    order = np.argsort(-p, kind="stable")[:top]
    found = zip(symbols(vocab, order.astype(np.int32)), p[order].tolist(), strict=True)
    return tuple(Choice(char, share, _bits(share)) for char, share in found)


def _entropy(p: Distribution) -> float:
    """Add up the bits that a character is expected to cost."""
    return abs(float((p * np.log2(p, where=p > 0, out=p * 0)).sum()))


def _bits(p: float) -> float:
    """Turn a probability into the bits that it costs; of 1 into 0, not -0."""
    return abs(math.log2(p)) if p > 0 else math.inf


class NextView(View[Predictions]):
    """What may come next, and below the text what was expected in it."""

    name = "next"
    about = "the likeliest characters after the text, and at every place of it"
    text = "required"
    runs = "forward"
    options = ("top", "max_chars", "blend", "adapt")
    page = 6
    explores = "guesses"
    begun = True

    def compute(self, checkpoint: "InspectedCheckpoint") -> Predictions:
        """Read the text and list what the model expects."""
        options, ids = checkpoint.options, checkpoint.head(None)
        if checkpoint.file.pairs and not options.begun:
            ids = ids[:-1]  # back into the last output, whatever other views read
        return predict(
            checkpoint.predictor,
            ids,
            top=options.top,
            keep=options.limit(SHOWN),
        )

    def blocks(self, data: Predictions) -> Iterator[Block]:
        """Show what comes after the text; what is within, a page's explorer has."""
        where = f"after {plural(data.characters, 'character')}"
        where = where if data.characters else "at the beginning"
        yield Heading(where, f"entropy {data.entropy:.2f} bits")
        yield Table(_choice_columns(data.after), "what comes after the text", data.unit)
        if data.positions:
            yield Heading("expected in the text, the likeliest first", media=STILL)
            places = [
                Guess(at.char, at.bits, "".join(choice.char for choice in at.top))
                for at in data.positions
            ]
            yield Guesses(places, data.unit, media=STILL)

    def extent(self, data: Predictions, characters: int) -> Extent:
        """Count the positions."""
        return Extent(len(data.positions), "last", total=data.characters)


def _choice_columns(choices: Sequence[Choice]) -> list[Column | Bars]:
    """List characters with their probabilities, as numbers and as bars."""
    most = max(choice.probability for choice in choices)
    return [
        Column("rank", [f"{n}" for n in range(1, len(choices) + 1)], "right"),
        Column("char", [choice.char for choice in choices], symbols=True),
        Column("share", [f"{choice.probability:.2%}" for choice in choices], "right"),
        Column("bits", [number(choice.bits, ".2f") for choice in choices], "right"),
        Bars([choice.probability / most for choice in choices], BAR),
    ]


VIEW = NextView()
