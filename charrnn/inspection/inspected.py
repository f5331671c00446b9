"""One checkpoint under inspection, with what its views share.

The model is built, and Numba imported, when the first view asks for it.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from charrnn.arrays import Ids
from charrnn.checkpoint import CheckpointFile
from charrnn.errors import field
from charrnn.inspection.compiling import (
    compile_backward,
    compile_forward,
    compile_generation,
)
from charrnn.inspection.text import Text
from charrnn.inspection.view import AnyView, ViewOptions
from charrnn.options import check_number

if TYPE_CHECKING:
    from charrnn.textmodel import TextModel


class InspectedCheckpoint:
    """A checkpoint and the options that views of it are made with.

    Attributes
    ----------
    characters : int
        Length of the text in the checkpoint's vocabulary; 0 before `check`.
    out_of_vocabulary : int
        Characters of the text that the vocabulary does not have.
    """

    def __init__(self, file: CheckpointFile, options: ViewOptions) -> None:
        self.file = file
        self.options = options
        self.characters = self.out_of_vocabulary = 0

    @cached_property
    def model(self) -> "TextModel":
        """The model, ready to run."""
        from charrnn.textmodel import TextModel  # Numba: a third of a second

        return TextModel.read_from(self.file, threads=self.options.threads)

    @property
    def text(self) -> Text:
        """The text, for those that cannot do without."""
        if self.options.text is None:
            msg = "a view that reads a text was asked for without one"
            raise ValueError(msg)
        return self.options.text

    def head(self, limit: int | None) -> Ids:
        """Encode the beginning of the text, or all of it."""
        return self.text.head(self.file.vocab, self.options.unknown, limit)

    def check(self, views: Sequence[AnyView]) -> None:
        """See whether this checkpoint can have these views, before Numba is imported.

        Raises
        ------
        OptionError
            It does not have a layer, unit or signal.
        CorpusError, InputError, VocabError
            The text cannot be used with it.
        """
        options, config = self.options, self.file.model
        if options.layer is not None:
            check_number(field("layer"), options.layer, low=0, high=config.layers - 1)
        for view in views:
            view.check(self)
        if options.text is not None:
            self.characters, self.out_of_vocabulary = options.text.count(
                self.file.vocab, options.unknown
            )

    def compile(self, view: AnyView) -> None:
        """Build the model, and compile what a view will run."""
        if self.options.text is None:
            if view.generates:
                compile_generation(self.model)
            return
        if view.runs:
            compile_forward(self.model.network)
        if view.runs == "backward":
            compile_backward(self.model.network)
