"""A job of training: everything that a run works on, ready to begin."""

from collections.abc import Callable
from dataclasses import dataclass

from charrnn.arrays import PackedIds
from charrnn.checkpoint import Checkpoint, CorpusFingerprint
from charrnn.corpus import Corpus
from charrnn.errors import Message
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.training.baselines import Baselines, measure
from charrnn.training.history import History
from charrnn.training.kneser_ney import Texts
from charrnn.training.trainer import Trainer
from charrnn.vocab import Vocab
from charrnn.windows import Documents


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
        return Documents.of(self.vocab, lines=self.trainer.config.lines)

    def model(self, network: Network) -> TextModel:
        """Put a network of the run together with what the run knows of its text."""
        return TextModel(network, self.vocab, self.documents, self.fingerprint)

    def baselines(
        self, stopped: Callable[[], bool] = lambda: False
    ) -> Baselines | None:
        """Score the held-out text by simpler means; see `baselines.measure`.

        Returns
        -------
        Baselines or None
            None if nothing is held out, or if `stopped` said yes.
        """
        if self.held_out is None:
            return None
        texts = Texts(
            train=self.trainer.streams.ids,
            held_out=self.held_out,
            vocab_size=self.trainer.network.config.vocab_size,
            before=self.documents.stand_in,
            newline=self.documents.start,
        )
        return measure(texts, stopped)

    def checkpoint(self) -> Checkpoint:
        """Gather all that a file keeps; arrays are shared, not copied."""
        return self.trainer.checkpoint(self.vocab, self.fingerprint, self.history.rows)
