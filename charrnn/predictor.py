"""What predicts texts: it writes them, and tells what they cost, in characters.

A model is one that does, and a mixture of models is another. What they have in common
is how a text becomes ids, what an option means, and what is an error.
"""

import warnings
from abc import ABC, abstractmethod
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self, Unpack

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids, Mask
from charrnn.config import SampleConfig, UnknownPolicy
from charrnn.errors import SOME_TEXT, CorpusError, OptionError, field
from charrnn.generation import begin
from charrnn.generation.asked import Asked, asked
from charrnn.keywords import SampleOptions
from charrnn.lineends import LineEnds
from charrnn.pairs import END, PairFormat, PairReader, encode_input
from charrnn.reading import check_text
from charrnn.vocab import Vocab
from charrnn.windows import Documents

#: What a text is to a model of pairs.
WHOLE_PAIRS = "write an input, a tab and its output, line by line"


class Costs(NamedTuple):
    """Some characters in a row, and what each of them costs."""

    ids: Ids  # (n,)
    nats: Floats  # (n,) float64: -log p; 0 where nothing is scored
    #: (n,) float64: the same by counts that do not go on, where the model adapts.
    fixed: Floats | None = None
    #: (n,) bool: which of them are scored. None if all are, as in running text; of
    #: pairs, those of the outputs and their newlines.
    scored: Mask | None = None

    def only(self, scored: Mask) -> "Costs":
        """Say that some of the characters alone are scored: the others cost nothing."""
        fixed = None if self.fixed is None else np.where(scored, self.fixed, 0.0)
        return Costs(self.ids, np.where(scored, self.nats, 0.0), fixed, scored)


class Predictor(ABC):
    """What predicts the next character of a text.

    `sample`, `stream`, `loss` and `surprise` take and give texts and plain arrays. A
    text's line ends are read as the vocabulary has them: CR LF is one character, LF,
    for a model that knows no CR. The other methods are what these are made of; they
    speak ids.
    """

    vocab: Vocab
    documents: Documents

    @property
    def of_pairs(self) -> bool:
        """Whether it writes outputs of inputs: see `charrnn.pairs`."""
        return self.documents.separator is not None

    @property
    def of_lines(self) -> bool:
        """Whether every line is a document to it."""
        return self.documents.start is not None and not self.of_pairs

    @property
    @abstractmethod
    def remembers(self) -> bool:
        """Whether it has a text of its training, for ``no_copy`` to speak of."""

    @abstractmethod
    def blended(self, blend: float | str = "auto", *, adapt: bool = False) -> Self:
        """Give the same with the network's share in its predictions chosen."""

    @abstractmethod
    def reading(self) -> Any:
        """Begin to read a text, for what is counted of it."""

    @abstractmethod
    def sampler(self, config: SampleConfig, corpus: Ids | None = None) -> Any:
        """Make ready to write; see `charrnn.generation.sampler.Sampler`."""

    @abstractmethod
    def costs(self, slices: Iterable[Ids]) -> Iterator[Costs]:
        """Read a text and yield what every character costs, in order.

        Parameters
        ----------
        slices : iterable of (n,) int arrays
            The text, cut anyhow.
        """

    @abstractmethod
    def mean_cost(self, ids: Ids) -> float:
        """Compute what the characters of a text that are scored cost on average.

        Parameters
        ----------
        ids : (N,) int array
            At least one character is scored; see `Documents.scored`.
        """

    def sample(self, prompt: str = "", **options: Unpack[SampleOptions]) -> str:
        """Write a text as the model would go on from a prompt.

        Parameters
        ----------
        prompt : str
            What the text begins with. It is not part of the result. Of a model of
            pairs, an input; the result is its output, without the newline.
        **options
            Those of ``charrnn sample`` that choose characters or end the text, with
            ``_`` for ``-``: ``length``, ``lines``, ``time``, ``stop``,
            ``include_stop``, ``temperature``, ``top_k``, ``top_p``, ``min_p``,
            ``typical``, ``no_repeat``, ``no_copy`` with ``corpus`` (the text of the
            memory, where there is one and no other is given), ``logit_bias``,
            ``allow``, ``ban``, ``best_of``, ``seed``, ``precision``, ``unknown``,
            ``blend``, ``adapt``, ``adapt_output``, and of a model of pairs ``beam``
            and ``allow_empty``. See
            `config.SampleConfig` and `config.Blending` for what they mean. The same
            seed gives the same text as the command line; without one every call
            gives another. What does nothing, such as a ``ban`` of characters that
            the model does not know, is warned of by a `UserWarning`.

        Returns
        -------
        str
            The new characters. Of a model of bytes, what is not UTF-8 is U+FFFD. Of a
            model of pairs, the output, by the likeliest characters unless a
            temperature or a filter is given.

        Raises
        ------
        OptionError
            An option is unknown or out of range, or the text would never end.
        VocabError
            The model does not know a character of the prompt (and ``unknown`` is
            "error"), or has nothing to choose from.
        CorpusError
            An input has a tab or a line end, or is empty.
        """
        wanted = self._asked(options)
        config = wanted.config
        if config.length < 0 and config.time is None and config.lines is None:
            msg = f"{field('length', -1)} would never end"
            hint = f"give {field('lines')} or {field('time')}, or use stream()"
            raise OptionError(msg, hint=hint)
        return "".join(self._predicting(wanted)._written(prompt, wanted))

    def stream(
        self, prompt: str = "", **options: Unpack[SampleOptions]
    ) -> Iterator[str]:
        """Write a text as `sample` does, and yield its pieces as they are made."""
        wanted = self._asked(options)
        return self._predicting(wanted)._written(prompt, wanted)

    def _predicting(self, wanted: Asked) -> Self:
        """Give the model as a caller wants it to predict."""
        blending = wanted.blending
        return self.blended(blending.blend, adapt=blending.adapt)

    def _asked(self, options: Mapping[str, Any]) -> Asked:
        """Read what a caller asks of a sample; warn of what does nothing."""
        wanted = asked(options, remembered=self.remembers, pairs=self.of_pairs)
        found = wanted.config.in_symbols(self.vocab.to_symbols)
        for message in found.in_vain(self.vocab.symbols, wanted.config.stop):
            warnings.warn(str(message), stacklevel=3)
        return wanted

    def _written(self, prompt: str, wanted: Asked) -> Iterator[str]:
        """Generate one sample, piece by piece."""
        copied = wanted.read_corpus(self.vocab)
        ids = self._prompt_ids(prompt, wanted)
        config = wanted.config.in_symbols(self.vocab.to_symbols)
        generation = begin(
            self,
            [ids],
            config,
            scored=False,
            corpus=copied,
            learns=wanted.blending.adapt_output,
        )
        if self.vocab.unit == "char":
            yield from (piece.text for piece in generation.pieces())
            return
        decoder = getincrementaldecoder("utf-8")("replace")
        for piece in generation.pieces():
            yield decoder.decode(piece.text.encode("latin-1"))
        yield decoder.decode(b"", final=True)

    def _prompt_ids(self, prompt: str, wanted: Asked) -> Ids:
        """Turn a prompt into ids: of pairs, an input with its separator."""
        separator = self.documents.separator
        if separator is None:
            return self._encode(prompt, wanted.unknown, "prompt")
        check_text(prompt, field("prompt"))
        given = encode_input(
            prompt, self.vocab, wanted.unknown, allow_empty=wanted.allow_empty
        )
        return np.append(given, separator).astype(np.int32)

    def _encode_scored(self, text: str, unknown: UnknownPolicy) -> Ids:
        """Turn a text that is to be scored into ids: of pairs, whole ones."""
        ids = self._encode(text, unknown)
        if not self.of_pairs:
            return ids
        # A pair that has an empty side is one, whatever a file of them is read for.
        reader = PairReader(field("text"), PairFormat(allow_empty=True))
        try:
            reader.convert(LineEnds(END).convert(text, final=True), final=True)
        except CorpusError as error:
            error.hint = WHOLE_PAIRS
            raise
        return ids

    def _encode(self, text: str, unknown: UnknownPolicy, name: str = "text") -> Ids:
        """Turn a text into ids, its line ends into those of the vocabulary."""
        check_text(text, field(name))
        return self.vocab.encode(self.vocab.adapted(text), unknown)

    def loss(
        self,
        text: str,
        *,
        blend: float | str = "auto",
        adapt: bool = False,
        unknown: UnknownPolicy = "error",
    ) -> float:
        """Compute what a character of a text costs on average, in nats.

        Of a model of pairs the characters of outputs and their newlines count, and
        inputs are only read: the text has lines of an input, a tab and an output.

        Of the network alone this is the validation loss that training would find of
        the text. Where the vocabulary has no newline, nothing stands before the first
        character: it does not count here, while `surprise` scores it by its share of
        the corpus.

        Parameters
        ----------
        text : str
            At least one character.
        blend : float or "auto"
            The network's share beside the memory's; see `blended`.
        adapt : bool
            Whether the counts go on in the text itself, as it is read.
        unknown : {"error", "skip", "replace"}
            What to do with characters that the model does not know.

        Raises
        ------
        CorpusError
            There is no character that the network predicts, or a line of a text for a
            model of pairs is no pair.
        OptionError
            The share is out of range.
        CountsError
            There is no memory to blend with.
        VocabError
            A character is unknown, and `unknown` is "error".
        """
        model = self.blended(blend, adapt=adapt)
        ids = self._encode_scored(text, unknown)
        if not ids.size:
            msg = "the text is empty: nothing to score"
            raise CorpusError(msg, hint=SOME_TEXT)
        if len(ids) == self.documents.first:
            msg = "nothing stands before the only character: nothing to predict"
            raise CorpusError(msg, hint="give two characters or more")
        if not self.documents.scored(ids).any():
            msg = "the text has no output: nothing to score"
            raise CorpusError(msg, hint=WHOLE_PAIRS)
        return model.mean_cost(ids)

    def surprise(
        self,
        text: str,
        *,
        blend: float | str = "auto",
        adapt: bool = False,
        unknown: UnknownPolicy = "error",
    ) -> NDArray[np.float64]:
        """Compute what each character of a text costs: -log p, in nats.

        Parameters
        ----------
        text : str
            For a model of pairs: an input, a tab and an output, line by line. What
            inputs cost is 0.
        blend : float or "auto"
            The network's share beside the memory's; see `blended`.
        adapt : bool
            Whether the counts go on in the text itself, as it is read.
        unknown : {"error", "skip", "replace"}

        Returns
        -------
        (N,) float64 array
            A number a character as it is read; of a model of bytes, a number a byte.
            Of pairs 0 where a character is only read, not scored.

        Raises
        ------
        CorpusError
            A line of a text for a model of pairs is no pair.
        OptionError
            The share is out of range.
        CountsError
            There is no memory to blend with.
        VocabError
            A character is unknown, and `unknown` is "error".
        """
        model = self.blended(blend, adapt=adapt)
        ids = self._encode_scored(text, unknown)
        return np.concatenate(
            [np.zeros(0), *(part.nats for part in model.costs([ids]))]
        ).astype(np.float64)
