"""One checkpoint under inspection, with what its views share.

The model is built, and Numba imported, when the first view asks for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from charrnn.arrays import Ids
from charrnn.checkpoint import CheckpointFile
from charrnn.config import UnknownPolicy
from charrnn.errors import field
from charrnn.inspection import MAX_LAG, SignalName, activations, diversity
from charrnn.inspection.activations import check_place
from charrnn.inspection.compare import Compared, compared, text_cost
from charrnn.inspection.diversity import draw_samples, measure_diversity
from charrnn.inspection.gates import measure_gates
from charrnn.inspection.history import read_history
from charrnn.inspection.memory import Places, measure_memory
from charrnn.inspection.network import (
    compile_backward,
    compile_forward,
    compile_generation,
    read_model,
)
from charrnn.inspection.neurons import Wanted, measure_neurons
from charrnn.inspection.predictions import predict
from charrnn.inspection.records import View
from charrnn.inspection.summary import summarize
from charrnn.inspection.surprise import (
    SurpriseRows,
    losses,
    measure_surprise,
    symbols,
)
from charrnn.inspection.system import examine_system
from charrnn.inspection.text import Text
from charrnn.inspection.vocabulary import list_symbols
from charrnn.inspection.weights import measure_weights
from charrnn.options import check_number
from charrnn.streams import initial_id

if TYPE_CHECKING:
    from charrnn.model import Model

#: Positions that ``next`` shows, and characters that ``surprise`` draws.
SHOWN = 2000

#: Characters that ``surprise`` lists one by one where nothing is drawn.
LISTED = 1_000_000

#: Characters that ``neurons`` draws for each unit, and lists where nothing is drawn.
SHOWN_BY_UNIT, LISTED_BY_UNIT = 400, 20_000

#: Characters of a long text that ``memory`` takes its places from.
REMEMBERED = 1 << 20


@dataclass(frozen=True)
class Settings:
    """What the options of ``inspect`` say about the data of its views."""

    text: Text | None = None
    unknown: UnknownPolicy = "error"
    max_chars: int | None = None  # None: a limit that suits the view; 0: all
    drawn: bool = True  # for people, not for programs
    rows_only: bool = False  # nothing but a view's rows is wanted, and once
    top: int = 5
    layer: int | None = None
    units: tuple[int, ...] = ()
    signal: SignalName = "h"
    max_lag: int = MAX_LAG
    corpus: tuple[str, ...] = ()
    processors: int = 1
    threads: int = 1

    def limit(self, default: int) -> int | None:
        """Tell how many characters a view may list; None is all."""
        return default if self.max_chars is None else self.max_chars or None


class Subject:
    """A checkpoint and the settings, able to make any view.

    Attributes
    ----------
    characters : int
        Length of the text in the checkpoint's vocabulary.
    strangers : int
        Characters of the text that the vocabulary does not have.
    """

    def __init__(self, file: CheckpointFile, settings: Settings) -> None:
        self.file = file
        self.settings = settings
        self.characters = self.strangers = 0

    @cached_property
    def model(self) -> "Model":
        """The network, ready to run."""
        return read_model(self.file, self.settings.threads)

    @property
    def text(self) -> Text:
        """The text, for those that cannot do without."""
        if self.settings.text is None:
            msg = "a view that reads a text was asked for without one"
            raise ValueError(msg)
        return self.settings.text

    def head(self, limit: int | None) -> Ids:
        """Encode the beginning of the text, or all of it."""
        return self.text.head(self.file.vocab, self.settings.unknown, limit)

    def check(self, names: tuple[str, ...]) -> None:
        """See whether this checkpoint can have these views, before Numba is imported.

        Raises
        ------
        OptionError
            It does not have a layer, unit or signal.
        CorpusError, InputError, VocabError
            The text cannot be used with it.
        """
        settings, config = self.settings, self.file.model
        if settings.layer is not None:
            check_number(field("layer"), settings.layer, low=0, high=config.layers - 1)
        if "neurons" in names:
            check_place(config, settings.signal, settings.layer, settings.units)
        if settings.text is not None:
            self.characters, self.strangers = settings.text.count(
                self.file.vocab, settings.unknown
            )

    def compile(self, name: str) -> None:
        """Build the model, and compile what a view will run."""
        if self.settings.text is not None and name != "diversity":
            compile_forward(self.model)
        if name == "memory":
            compile_backward(self.model)
        if name == "diversity" and self.settings.text is None:
            compile_generation(self.model, self.file.vocab)

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
        CharRNNError
            As `check`, or the corpus cannot be read.
        """
        return MAKERS[name](self)

    def compared(self) -> Compared:
        """Describe the checkpoint for the view ``compare``."""
        cost = None
        if self.settings.text is not None:
            ids = self.text.ids(self.file.vocab, self.settings.unknown)
            costs = losses(self.model, self.file.vocab, ids, documents=self.documents)
            cost = text_cost(costs, self.strangers)
        return compared(self.file.path, summarize(self.file), cost)


def _predictions(subject: Subject) -> View:
    """Make the view ``next``."""
    settings = subject.settings
    return predict(
        subject.model,
        subject.file.vocab,
        subject.head(None),
        documents=subject.documents,
        top=settings.top,
        keep=settings.limit(SHOWN),
    )


def _surprise(subject: Subject) -> View:
    """Make the view ``surprise``, or only its rows."""
    settings, vocab = subject.settings, subject.file.vocab
    ids = subject.text.ids(vocab, settings.unknown)
    costs = losses(subject.model, vocab, ids, documents=subject.documents)
    if settings.rows_only and subject.characters:
        return SurpriseRows(vocab, costs, settings.max_chars or None)
    keep = settings.limit(SHOWN if settings.drawn else LISTED)
    return measure_surprise(costs, vocab, top=settings.top, keep=keep)


def _neurons(subject: Subject) -> View:
    """Make the view ``neurons``."""
    settings = subject.settings
    keep = settings.limit(SHOWN_BY_UNIT if settings.drawn else LISTED_BY_UNIT)
    wanted = Wanted(
        signal=settings.signal,
        layer=settings.layer,
        units=settings.units,
        top=settings.top,
        keep=keep,
    )
    read = None if keep is None else max(keep, activations.MEASURED)
    view = measure_neurons(
        subject.model,
        subject.file.vocab,
        subject.head(read),
        wanted,
        documents=subject.documents,
    )
    return replace(view, characters=subject.characters)


def _gates(subject: Subject) -> View:
    """Make the view ``gates``."""
    view = measure_gates(
        subject.model,
        subject.file.vocab,
        subject.head(activations.MEASURED),
        layer=subject.settings.layer,
        documents=subject.documents,
    )
    return replace(view, characters=subject.characters)


def _memory(subject: Subject) -> View:
    """Make the view ``memory``."""
    vocab = subject.file.vocab
    start = vocab.newline_id if subject.documents else None
    places = Places(subject.head(REMEMBERED), initial_id(vocab), start)
    return measure_memory(
        subject.model,
        places,
        max_lag=subject.settings.max_lag,
        layer=subject.settings.layer,
    )


def _diversity(subject: Subject) -> View:
    """Make the view ``diversity``, of the text or of samples."""
    vocab, drawn = subject.file.vocab, subject.settings.text is None
    if drawn:
        texts = draw_samples(subject.model, vocab, documents=subject.documents)
    else:
        texts = [symbols(vocab, subject.head(diversity.MEASURED))]
    return measure_diversity(texts, vocab, drawn=drawn, corpus=subject.settings.corpus)


#: How each view of one checkpoint is made.
MAKERS: dict[str, Callable[[Subject], View]] = {
    "summary": lambda subject: summarize(subject.file),
    "vocab": lambda subject: list_symbols(subject.file.vocab),
    "history": lambda subject: read_history(subject.file.history),
    "weights": lambda subject: measure_weights(subject.file),
    "next": _predictions,
    "surprise": _surprise,
    "neurons": _neurons,
    "gates": _gates,
    "memory": _memory,
    "diversity": _diversity,
    "system": lambda subject: examine_system(
        subject.settings.processors, subject.settings.threads
    ),
}
