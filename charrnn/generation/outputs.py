"""What a model of pairs is given, and what it gives: inputs and outputs.

An input is read with the separator behind it; an output is written up to a newline,
which belongs to it and is counted in what it costs, but is not shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

from charrnn.arrays import Ids
from charrnn.config import SampleConfig, SamplePrecision
from charrnn.generation.batch import Generation
from charrnn.generation.beam import Search
from charrnn.generation.greedy import decode
from charrnn.generation.sampler import AnyModel, Model
from charrnn.generation.samples import FinishReason, Piece
from charrnn.pairs import END
from charrnn.vocab import from_code_points

#: Outputs of a column that are written side by side: the first ones show soon.
AT_ONCE = 1024


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


class Column:
    """Outputs of many inputs, the likeliest character at every step, unscored.

    Parameters
    ----------
    model : Model
    prompts : sequence of (N,) int arrays
        Inputs, each with its separator.
    length : int
        Characters of an output, at most.
    precision : str
        See `config.SampleConfig`.
    """

    def __init__(
        self,
        model: Model,
        prompts: Sequence[Ids],
        length: int,
        precision: SamplePrecision,
    ) -> None:
        self._model, self._prompts, self._length = model, prompts, length
        self._precision = precision
        self._shown = 0  # outputs that have come as pieces

    def pieces(self) -> Iterator[Piece]:
        """Write every output, in one piece."""
        points = self._model.vocab.points
        for a in range(0, len(self._prompts), AT_ONCE):
            inputs = [prompt[:-1] for prompt in self._prompts[a : a + AT_ONCE]]
            for ids in decode(
                self._model, inputs, self._length, precision=self._precision
            ):
                number, self._shown = self._shown, self._shown + 1
                ended = len(ids) < self._length
                finish: FinishReason = "lines" if ended else "length"
                yield Piece(number, from_code_points(points[ids]), finish=finish)

    def interrupt(self) -> Iterator[Piece]:
        """Yield an empty piece for each output that has not been written."""
        for number in range(self._shown, len(self._prompts)):
            yield Piece(number, "", finish="interrupted")


def _is_plain(model: AnyModel, config: SampleConfig) -> bool:
    """Tell whether outputs are wanted that depend on nothing but model and input."""
    plain = SampleConfig(
        temperature=0.0,
        lines=1,
        length=config.length,
        seed=config.seed,
        precision=config.precision,
    )
    of_pairs = model.documents.separator is not None
    learns = model.reading().learns
    return of_pairs and config == plain and config.length > 0 and not learns


def begin(
    model: AnyModel,
    prompts: Sequence[Ids],
    config: SampleConfig,
    *,
    scored: bool = True,
    **options: Any,
) -> Generating:
    """Begin to write what is asked for: a text, outputs, or the likeliest outputs.

    Parameters
    ----------
    model : TextModel or Mixture
    prompts : sequence of (N,) int arrays
    config : SampleConfig
        As `config.settle` has made it for a model of this kind.
    scored : bool
        Whether pieces say how likely they are, and which others are.
    **options
        See `Generation`.
    """
    if config.beam is not None:
        # Only a model alone is one of pairs.
        return Search(cast(Model, model), prompts, config, listed=scored)
    plain = len(prompts) > 1 and not scored and _is_plain(model, config)
    if plain and options.get("requests") is None:
        column = cast(Model, model)
        return Column(column, prompts, config.length, config.precision)
    generation = Generation(model, prompts, config, scored=scored, **options)
    return generation if model.documents.separator is None else Outputs(generation)
