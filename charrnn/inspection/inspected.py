"""One checkpoint under inspection, with what its views share.

The model is built, and Numba imported, when the first view asks for it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from charrnn.arrays import Ids
from charrnn.checkpoint import CheckpointFile
from charrnn.config import Mixing, needs_memory, no_memory
from charrnn.errors import OptionError, field
from charrnn.inspection.asked import ViewOptions
from charrnn.inspection.text import InspectedText, TextForm
from charrnn.mixing import Ingredient, mixed_vocab
from charrnn.options import check_number
from charrnn.pairs import USUAL
from charrnn.vocab import Vocab

if TYPE_CHECKING:
    from charrnn.mixture import Mixture
    from charrnn.predictor import Predictor
    from charrnn.textmodel import TextModel


class Inspected(ABC):
    """What predicts, and how it reads the text that views are made of.

    Parameters
    ----------
    vocab : Vocab
    of_pairs : bool
        Whether it is a model of pairs.
    options : ViewOptions

    Attributes
    ----------
    characters : int
        Length of the text in the vocabulary; 0 before `count`.
    out_of_vocabulary : int
        Characters of the text that the vocabulary does not have.
    """

    def __init__(self, vocab: Vocab, options: ViewOptions, *, of_pairs: bool) -> None:
        self.vocab, self.of_pairs, self.options = vocab, of_pairs, options
        self.characters = self.out_of_vocabulary = 0

    @property
    @abstractmethod
    def predictor(self) -> "Predictor":
        """What predicts the text."""

    @property
    def text(self) -> InspectedText:
        """The text, for those that cannot do without."""
        if self.options.text is None:
            msg = "a view that reads a text was asked for without one"
            raise ValueError(msg)
        return self.options.text

    @property
    def form(self) -> TextForm:
        """How it reads the text."""
        options = self.options
        pairs = options.pairs if self.of_pairs else None
        return TextForm(self.vocab, options.unknown, pairs, options.begun)

    def head(self, limit: int | None) -> Ids:
        """Encode the beginning of the text, or all of it."""
        return self.text.head(self.form, limit)

    def pairs(self) -> Ids:
        """Encode the text for comparing outputs with it; see `InspectedText.pairs`."""
        return self.text.pairs(self.form)

    def count(self) -> None:
        """Count the text's characters, and see whether they can be used.

        Raises
        ------
        CorpusError, InputError, VocabError
            The text cannot be used with this vocabulary.
        """
        if self.options.text is not None:
            found = self.options.text.count(self.form)
            self.characters, self.out_of_vocabulary = found


class InspectedCheckpoint(Inspected):
    """A checkpoint and the options that views of it are made with.

    Raises
    ------
    OptionError
        It does not have the layer that the options name, no memory to blend with, or
        is not of pairs, about which something was said.
    """

    def __init__(self, file: CheckpointFile, options: ViewOptions) -> None:
        super().__init__(file.vocab, options, of_pairs=file.pairs)
        self.file = file
        if options.layer is not None:
            last = file.model.layers - 1
            check_number(field("layer"), options.layer, low=0, high=last)
        if not file.pairs and options.pairs != USUAL:
            separated = options.pairs.separator != USUAL.separator
            name = field("pair_separator" if separated else "allow_empty")
            msg = f"{name} is about models of pairs, which this one is not"
            hint = f"leave {name} away: it reads a text as it is"
            raise OptionError(msg, where=str(file.path), hint=hint)
        wanted = needs_memory(options.blend, adapt=options.adapt)
        if wanted and file.memory is None:
            where = str(file.path)
            raise no_memory(options.blend, adapt=options.adapt, where=where)

    @cached_property
    def model(self) -> "TextModel":
        """The model, ready to run, without its memory."""
        from charrnn.textmodel import TextModel  # Numba: a third of a second

        threads = self.options.threads
        return TextModel.read_from(self.file, threads=threads, predicts=False)

    @cached_property
    def predictor(self) -> "TextModel":
        """The same, for what predicts: with its memory, as far as it is asked for."""
        if self.options.blend == 1 or (remembered := self.file.read_memory()) is None:
            return self.model
        return self.model.remembering(remembered).blended(
            self.options.blend, adapt=self.options.adapt
        )


class InspectedMixture(Inspected):
    """Several checkpoints that predict the text together.

    Parameters
    ----------
    checkpoints : sequence of InspectedCheckpoint
    options : ViewOptions
    mixing : Mixing

    Raises
    ------
    OptionError, VocabError
        They cannot be mixed; see `charrnn.mixing`.
    """

    def __init__(
        self,
        checkpoints: Sequence[InspectedCheckpoint],
        options: ViewOptions,
        mixing: Mixing,
    ) -> None:
        self.checkpoints, self.mixing = checkpoints, mixing
        files = [checkpoint.file for checkpoint in checkpoints]
        self.names = [str(file.path) for file in files]
        self.weights = mixing.weights(len(files))
        parts = [Ingredient(str(f.path), f.vocab, f.lines, f.pairs) for f in files]
        super().__init__(mixed_vocab(parts, mixing), options, of_pairs=False)

    @cached_property
    def predictor(self) -> "Mixture":
        """The mixture, ready to run."""
        from charrnn.mixture import Mixture  # Numba, as above

        models = [checkpoint.predictor for checkpoint in self.checkpoints]
        return Mixture(models, self.mixing, self.names)
