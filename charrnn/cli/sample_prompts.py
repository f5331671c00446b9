"""Prompts as a model takes them: inputs with their separators, checked, and as ids."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.cli.prompts import PromptText, as_inputs
from charrnn.config import SampleInputs, UnknownPolicy
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.arrays import Ids
    from charrnn.vocab import Vocab


@dataclass(frozen=True)
class Prompts:
    """What becomes of prompts for one model.

    Parameters
    ----------
    vocab : Vocab
    pairs : bool
        Whether the model is one of pairs: then prompts are inputs.
    inputs : SampleInputs
        What may be among them.
    """

    vocab: "Vocab"
    pairs: bool
    inputs: SampleInputs

    def prepared(
        self, prompts: Sequence[PromptText], *, of_lines: bool, first: int = 0
    ) -> list[PromptText]:
        """Give inputs their separator; other prompts are left as they are.

        Parameters
        ----------
        of_lines : bool
            Whether each is a line, which an error numbers.
        first : int
            How many lines stand before them.

        Raises
        ------
        CorpusError
            An input has a tab or a line end, or is empty.
        """
        if not self.pairs:
            return list(prompts)
        allow_empty = self.inputs.allow_empty
        return as_inputs(
            prompts, of_lines=of_lines, allow_empty=allow_empty, first=first
        )

    def check(self, prompts: Sequence[PromptText], *, first: int = 0) -> int:
        """See whether the model knows the characters of prompts.

        Returns
        -------
        int
            How many unknown ones are left out or replaced.

        Raises
        ------
        VocabError
            It does not, and an error is made of that.
        CorpusError
            Nothing is left of an input.
        """
        from charrnn.pairs import empty_input  # imports NumPy

        lost, skips = 0, self.inputs.unknown == "skip"
        refuses_empty = self.pairs and not self.inputs.allow_empty
        for number, text in enumerate(prompts, start=first + 1):
            places, count = _unknown_places(text, self.vocab)
            lost += count
            error: CharRNNError | None = None
            if count and self.inputs.unknown == "error":
                error = self.vocab.not_encodable(places)
            elif count and skips and refuses_empty and count == len(text.text) - 1:
                error = empty_input()  # only its separator is known
            if error is not None:
                line = f", line {number:,}" if len(prompts) > 1 or first else ""
                error.where = f"the prompt{line}"
                raise error
        return lost

    def encode(self, prompt: PromptText) -> "Iterator[Ids]":
        """Turn a prompt's symbols into ids, slice by slice."""
        return _encode(prompt, self.vocab, self.inputs.unknown)


def _unknown_places(prompt: PromptText, vocab: "Vocab") -> tuple[dict[str, int], int]:
    """Find what a prompt has that the model does not know; see `Vocab`."""
    places: dict[str, int] = {}
    count = offset = 0
    for symbols in prompt:
        found, more = vocab.unknown_places(symbols)
        for symbol, place in found.items():
            places.setdefault(symbol, offset + place)
        count, offset = count + more, offset + len(symbols)
    return places, count


def _encode(
    prompt: PromptText, vocab: "Vocab", unknown: UnknownPolicy
) -> "Iterator[Ids]":
    """Turn a prompt's symbols into ids, slice by slice."""
    for symbols in prompt:
        if vocab.unit == "byte":
            yield vocab.encode_bytes(symbols.encode("latin-1"), unknown)
        else:
            yield vocab.encode(symbols, unknown)
