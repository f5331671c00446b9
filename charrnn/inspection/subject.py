"""One checkpoint under inspection, with what its views share.

The model is built, and Numba imported, when the first view asks for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from charrnn.arrays import Ids
from charrnn.checkpoint import CheckpointFile
from charrnn.config import UnknownPolicy
from charrnn.inspection.history import read_history
from charrnn.inspection.network import compile_forward, read_model
from charrnn.inspection.predictions import predict
from charrnn.inspection.records import View
from charrnn.inspection.summary import summarize
from charrnn.inspection.surprise import measure_surprise
from charrnn.inspection.system import examine_system
from charrnn.inspection.text import Text
from charrnn.inspection.vocabulary import list_symbols
from charrnn.inspection.weights import measure_weights

if TYPE_CHECKING:
    from charrnn.model import Model

#: Positions that ``next`` shows, and characters that ``surprise`` draws.
SHOWN = 2000

#: Characters that ``surprise`` lists one by one where nothing is drawn.
LISTED = 1_000_000


@dataclass(frozen=True)
class Settings:
    """What the options of ``inspect`` say about the data of its views."""

    text: Text | None = None
    unknown: UnknownPolicy = "error"
    max_chars: int | None = None  # None: a limit that suits the view; 0: all
    drawn: bool = True  # for people, not for programs
    top: int = 5
    processors: int = 1
    threads: int = 1

    def limit(self, default: int) -> int | None:
        """Tell how many characters a view may list; None is all."""
        return default if self.max_chars is None else self.max_chars or None


class Subject:
    """A checkpoint and the settings, able to make any view.

    Attributes
    ----------
    strangers : int
        Characters of the text that the vocabulary does not have, once a
        view has read it.
    """

    def __init__(self, file: CheckpointFile, settings: Settings) -> None:
        self.file = file
        self.settings = settings
        self.strangers = 0

    @cached_property
    def model(self) -> "Model":
        """The network, ready to run."""
        return read_model(self.file, self.settings.threads)

    @cached_property
    def ids(self) -> Ids:
        """The text in this checkpoint's vocabulary."""
        if self.settings.text is None:
            msg = "a view that reads a text was asked for without one"
            raise ValueError(msg)
        ids, self.strangers = self.settings.text.encode(
            self.file.vocab, self.settings.unknown
        )
        return ids

    def compile(self) -> None:
        """Build the model, and compile what its views will run."""
        compile_forward(self.model)

    @property
    def documents(self) -> bool:
        """Whether every line is a document, as the model was trained."""
        run = self.file.training
        return run is not None and run.config.lines

    def view(self, name: str) -> View:
        """Make one view.

        Raises
        ------
        CheckpointError
            A tensor is damaged.
        CorpusError, VocabError
            The text cannot be used with this checkpoint.
        """
        return MAKERS[name](self)


def _predictions(subject: Subject) -> View:
    """Make the view ``next``."""
    settings, ids = subject.settings, subject.ids
    return predict(
        subject.model,
        subject.file.vocab,
        ids,
        documents=subject.documents,
        top=settings.top,
        keep=settings.limit(SHOWN),
    )


def _surprise(subject: Subject) -> View:
    """Make the view ``surprise``."""
    settings, ids = subject.settings, subject.ids
    return measure_surprise(
        subject.model,
        subject.file.vocab,
        ids,
        documents=subject.documents,
        top=settings.top,
        keep=settings.limit(SHOWN if settings.drawn else LISTED),
    )


#: How each view is made. Texts are encoded before a model is built: a wrong
#: character must not have to wait.
MAKERS: dict[str, Callable[[Subject], View]] = {
    "summary": lambda subject: summarize(subject.file),
    "vocab": lambda subject: list_symbols(subject.file.vocab),
    "history": lambda subject: read_history(subject.file.history),
    "weights": lambda subject: measure_weights(subject.file),
    "next": _predictions,
    "surprise": _surprise,
    "system": lambda subject: examine_system(
        subject.settings.processors, subject.settings.threads
    ),
}
