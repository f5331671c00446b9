"""How characters are chosen: what is asked for, made ready for a vocabulary."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn import sampling
from charrnn.arrays import Ids
from charrnn.config import RECENT, SampleConfig
from charrnn.generation.following import Course, Walk
from charrnn.kernels.filters import Filters
from charrnn.patterns import automaton_of
from charrnn.vocab import Vocab
from charrnn.windows import Documents


class Row(Protocol):
    """What is looked at of a text that is written in one row of a batch."""

    left: int  # characters that are still to be written; below 0 for no limit
    ended: bool
    walk: Walk | None  # how far it has come along a pattern, if there is one

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Take the row's next random numbers, (count,); zeros if it needs none."""


class Chooser:
    """What chooses among the characters of a vocabulary.

    Parameters
    ----------
    config : SampleConfig
        Its texts are made of the vocabulary's symbols.
    vocab : Vocab
    documents : Documents
        Of pairs: the separator does not come in an output, and the end may.
    corpus : (N,) int array, optional
        The text that ``config.no_copy`` speaks of; below 0 what is no
        character of the vocabulary.

    Attributes
    ----------
    past : int
        How many characters filters of n-grams look back.

    Raises
    ------
    OptionError, VocabError
        The settings cannot be, or leave nothing to choose from.
    """

    def __init__(
        self,
        config: SampleConfig,
        vocab: Vocab,
        documents: Documents,
        corpus: Ids | None,
    ) -> None:
        separator, start = documents.separator, documents.start
        end = None if separator is None else start
        bias = sampling.logit_bias(config, vocab, end)
        if separator is not None:
            # Written into a column, an output that has one would be two.
            bias[separator] = -np.inf
        self.filters = sampling.filters(config, vocab.size, bias, corpus)
        self.course: Course | None = None
        if config.pattern is not None:
            newline = vocab.newline_id
            if newline is not None and np.isneginf(bias[newline]):
                newline = None
            of_bytes = vocab.unit == "byte"
            automaton = automaton_of(config.pattern, vocab.symbols, of_bytes=of_bytes)
            self.course = Course(automaton, ~np.isneginf(bias), newline)
        self.past = RECENT if config.no_repeat or config.no_copy else 0

    def filters_of(self, rows: Sequence[Row]) -> Filters:
        """Give the filters of some rows, with how far each has come on its course."""
        if self.course is None:
            return self.filters
        walks = [row.walk for row in rows]
        return self.filters._replace(pattern=self.course.of_rows(walks))
