"""Samples on their way from prompts to the writer that shows them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from charrnn.cli.notes import Meter
from charrnn.cli.prompts import PromptText
from charrnn.cli.writers import Writer
from charrnn.config import SampleConfig

if TYPE_CHECKING:
    from charrnn.arrays import Ids
    from charrnn.generation import Generating, Piece
    from charrnn.predictor import Predictor


class Showing:
    """A model that continues one batch of prompts after another, for all to see.

    Parameters
    ----------
    model : Predictor
    config : SampleConfig
        Its texts in symbols.
    encode : callable
        Gives a prompt's ids, slice by slice.
    corpus : (N,) int array, optional
        The text that is not to be copied.
    learns : bool
        Whether a model that adapts counts in what it writes, too.
    scored : bool
        Whether it is told how likely samples are.
    """

    def __init__(
        self,
        model: "Predictor",
        config: SampleConfig,
        encode: "Callable[[PromptText], Iterator[Ids]]",
        *,
        corpus: "Ids | None",
        learns: bool,
        scored: bool,
    ) -> None:
        self._model, self._config, self._encode = model, config, encode
        self._corpus, self._learns, self._scored = corpus, learns, scored
        self._begun = 0  # prompts whose samples have been begun

    def begin(self, prompts: Sequence[PromptText]) -> "Generating":
        """Put together what generates; a single prompt is read in slices.

        Samples are numbered behind those of all batches before.
        """
        import numpy as np

        from charrnn.generation import Request, begin  # imports Numba

        config = self._config
        ids = [self._encode(prompt) for prompt in prompts]
        alone = len(prompts) == 1 and config.beam is None
        first, requests = self._begun, None
        self._begun += len(prompts)
        if first:
            each = config.num_samples * config.best_of
            numbers = range(first * each, self._begun * each, each)
            requests = [Request(config, number) for number in numbers]
        nothing = np.zeros(0, np.int32)
        generation = begin(
            self._model,
            [nothing] if alone else [np.concatenate(list(slices)) for slices in ids],
            config,
            lead=ids[0] if alone else (),
            scored=self._scored,
            corpus=self._corpus,
            learns=self._learns,
            requests=requests,
        )
        return _Later(generation, first * config.num_samples) if first else generation

    def show(
        self,
        generation: "Generating",
        writer: Writer,
        meter: Meter,
        on_ready: Callable[[], None],
    ) -> None:
        """Generate the first batch and show it; when interrupted, show what there is.

        Parameters
        ----------
        on_ready : callable
            Called when all kernels have run once, before anything is shown.
        """
        pieces, started = meter.watch(generation.pieces()), False
        try:
            # Made before the prompt is echoed: a note on stderr that kernels are
            # being compiled must not stand in the middle of the prompt's line.
            first = next(pieces, None)
            on_ready()
            started = True
            writer.start()
            if first is not None:
                writer.take(first)
            for piece in pieces:
                writer.take(piece)
        except KeyboardInterrupt:
            if not started:
                writer.start()
            writer.interrupt(generation.interrupt())
            raise

    def go_on(
        self, batches: Iterator[Sequence[PromptText]], writer: Writer, meter: Meter
    ) -> None:
        """Generate and show all further batches, likewise."""
        for prompts in batches:
            generation = self.begin(prompts)
            writer.expect(prompts)
            try:
                for piece in meter.watch(generation.pieces()):
                    writer.take(piece)
            except KeyboardInterrupt:
                writer.interrupt(generation.interrupt())
                raise
        writer.end()


class _Later:
    """The samples of a later batch, numbered behind those of all before.

    Parameters
    ----------
    generation : Generating
    first : int
        How many samples there were before.
    """

    def __init__(self, generation: "Generating", first: int) -> None:
        self._generation, self._first = generation, first

    def pieces(self) -> "Iterator[Piece]":
        """Generate; see `Generating`."""
        return map(self._numbered, self._generation.pieces())

    def interrupt(self) -> "Iterator[Piece]":
        """Yield the last pieces of all samples that have not ended."""
        return map(self._numbered, self._generation.interrupt())

    def _numbered(self, piece: "Piece") -> "Piece":
        """Give a piece the number that its sample has among all."""
        return replace(piece, sample=piece.sample + self._first)
