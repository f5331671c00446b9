"""A job of training: everything that a run works on, ready to begin."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charrnn.arrays import PackedIds
from charrnn.checkpoint import Checkpoint, CorpusFingerprint, Remembered
from charrnn.corpus import Corpus
from charrnn.errors import Message
from charrnn.network import Network
from charrnn.pairs import Pairs
from charrnn.textmodel import TextModel
from charrnn.training.baselines import MAX_NGRAM, Baselines, measure
from charrnn.training.history import History
from charrnn.training.kneser_ney import NGram, Texts
from charrnn.training.texts import documents_of
from charrnn.training.trainer import Trainer
from charrnn.vocab import Vocab
from charrnn.windows import Documents

#: Pairs of a text among which some are found to be shown, at most.
SHOWN = 1000


@dataclass(frozen=True, kw_only=True)
class Job:
    """The texts, the network on its way through them, and how it went so far."""

    trainer: Trainer
    vocab: Vocab  # of the network, which may know more characters than the text has
    corpus: Corpus  # the text as it was read, before some of it was held out
    fingerprint: CorpusFingerprint
    held_out: PackedIds | None  # the validation text, (N,)
    not_validated: str | None = None  # why there is none though it was wanted
    history: History
    notes: list[str]  # what the user should know about the texts and the options

    def __post_init__(self) -> None:
        """Let notes name fields as Python does."""
        self.notes[:] = [Message(note) for note in self.notes]

    @property
    def documents(self) -> Documents:
        """How texts and documents begin."""
        return documents_of(self.vocab, self.trainer.config)

    @property
    def of_pairs(self) -> bool:
        """Whether the text is one of pairs."""
        return self.documents.separator is not None

    @cached_property
    def held_out_pairs(self) -> Pairs | None:
        """The pairs that are held out, if the text is one of pairs."""
        if self.held_out is None or not self.of_pairs:
            return None
        return Pairs.of(self.held_out, self.vocab)

    @cached_property
    def pairs_to_show(self) -> Pairs:
        """The pairs that are held out; where none are, the first ones of the text."""
        if self.held_out_pairs:
            return self.held_out_pairs
        ids = self.trainer.streams.ids
        ends = np.flatnonzero(ids == self.documents.start)[:SHOWN]
        return Pairs.of(ids[: ends[-1] + 1], self.vocab)

    def texts(self, train: PackedIds, held_out: PackedIds) -> Texts:
        """Say of two texts of the run how one is counted and the other scored."""
        context_only = {}
        if self.of_pairs:
            scored = self.documents.scored
            context_only = {"scored": scored(held_out), "likewise": scored(train)}
        return Texts(
            train=train,
            held_out=held_out,
            vocab_size=self.trainer.network.config.vocab_size,
            before=self.documents.stand_in,
            newline=self.documents.start,
            **context_only,
        )

    @property
    def countable(self) -> bool:
        """Whether the texts are short enough for their n-grams to be counted."""
        held_out = 0 if self.held_out is None else len(self.held_out)
        return len(self.trainer.streams.ids) + held_out <= MAX_NGRAM

    def model(
        self, network: Network, remembered: Remembered | None = None
    ) -> TextModel:
        """Put a network of the run together with what the run knows of its text.

        Parameters
        ----------
        remembered : Remembered, optional
            The text itself, for its n-grams to be counted.
        """
        model = TextModel(network, self.vocab, self.documents, self.fingerprint)
        return model if remembered is None else model.remembering(remembered)

    def baselines(
        self,
        stopped: Callable[[], bool] = lambda: False,
        ngram: NGram | None = None,
    ) -> Baselines | None:
        """Score the held-out text by simpler means; see `baselines.measure`.

        Parameters
        ----------
        stopped : callable
        ngram : NGram, optional
            That of the text, if it has been counted already.

        Returns
        -------
        Baselines or None
            None if nothing is held out, or if `stopped` said yes.
        """
        if self.held_out is None:
            return None
        texts = self.texts(self.trainer.streams.ids, self.held_out)
        return measure(texts, stopped, ngram)

    def checkpoint(self) -> Checkpoint:
        """Gather all that a file keeps; arrays are shared, not copied."""
        return self.trainer.checkpoint(self.vocab, self.fingerprint, self.history.rows)
