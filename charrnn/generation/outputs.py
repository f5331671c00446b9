"""What a model of pairs is given, and what it gives: inputs and outputs.

An input is read with the separator behind it; an output is written up to a newline,
which belongs to it and is counted in what it costs, but is not shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from charrnn.arrays import Ids
from charrnn.config import SampleConfig
from charrnn.generation.batch import Generation
from charrnn.generation.beam import Search
from charrnn.generation.sampler import Model
from charrnn.generation.samples import Piece
from charrnn.pairs import END


class Generating(Protocol):
    """Texts under way, whatever makes them."""

    def pieces(self) -> Iterator[Piece]:
        """Generate; the last piece of each text says why it ended."""

    def interrupt(self) -> Iterator[Piece]:
        """Yield the last pieces of all texts that have not ended."""


class Outputs:
    """The outputs of a model of pairs, made of the lines that it writes.

    Parameters
    ----------
    lines : Generating
        Each text of it is a line, with its end.
    """

    def __init__(self, lines: Generating) -> None:
        self._lines = lines

    def pieces(self) -> Iterator[Piece]:
        """Generate every output; its nats include those of its newline."""
        return _without_ends(self._lines.pieces())

    def interrupt(self) -> Iterator[Piece]:
        """Yield the last pieces of all outputs that have not ended."""
        return _without_ends(self._lines.interrupt())


def _without_ends(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Take the newlines away that texts end with."""
    for piece in pieces:
        yield replace(piece, text=piece.text.removesuffix(END))


def begin(
    model: Model,
    prompts: Sequence[Ids],
    config: SampleConfig,
    *,
    scored: bool = True,
    **options: Any,
) -> Generating:
    """Begin to write what is asked for: a text, outputs, or the likeliest outputs.

    Parameters
    ----------
    model : Model
    prompts : sequence of (N,) int arrays
    config : SampleConfig
        As `config.settle` has made it for a model of this kind.
    scored : bool
        Whether pieces say how likely they are, and which others are.
    **options
        See `Generation`.
    """
    if config.beam is not None:
        return Search(model, prompts, config, listed=scored)
    generation = Generation(model, prompts, config, scored=scored, **options)
    return generation if model.documents.separator is None else Outputs(generation)
