"""What a view is: one object that says what it needs, computes, and shows.

Its module has the data, how they are computed, and the class of the view. Numba
is imported only when the network runs.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from charrnn.inspection import TextNeed
from charrnn.inspection.blocks import EVERYWHERE, Block, Media, Rows
from charrnn.inspection.compiling import (
    compile_backward,
    compile_blend,
    compile_decoding,
    compile_forward,
    compile_generation,
)

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint, InspectedMixture
    from charrnn.inspection.records import ViewData

#: Characters that are shown one by one unless more are asked for.
SHOWN = 2000

#: The options of `inspect` that a view can be about.
OptionName = Literal[
    "top",
    "max_chars",
    "layer",
    "unit",
    "signal",
    "max_lag",
    "corpus",
    "held_out",
    "blend",
    "adapt",
    "mix",
]

D = TypeVar("D", bound="ViewData")


class Extent(NamedTuple):
    """How much of a text a view is about; None where that is all, or nothing."""

    shown: int | None = None  # characters that are shown one by one
    end: Literal["first", "last"] = "first"  # which ones
    measured: int | None = None  # the first ones, which its statistics are about
    total: int | None = None  # how many there are; if not given, those of the text
    #: What `shown` and `total` count, if not the characters of the text.
    called: str | None = None


class View(Generic[D]):
    """A view of one checkpoint, with or without a text.

    Attributes
    ----------
    name : str
        What the option ``view`` calls it.
    about : str
        One line that says what it shows.
    text : {"no", "optional", "required"}
        Whether it reads the text.
    runs : {"", "forward", "backward"}
        The kernels of the network that it runs on a text.
    generates : bool
        Whether it draws samples where no text is given.
    decodes : bool
        Whether it writes outputs of the inputs in a text, of a model of pairs.
    options : tuple of str
        The options of `inspect` that it is about.
    page : int
        Its place on a page for which no views are named; 0: it is not there.
    models : {"all", "running text", "pairs"}
        The models that it is about.
    begun : bool
        Whether it looks into a pair that has only begun, of a model of pairs.
    explores : str
        What the explorer of a page takes from its data: ``bits``, ``guesses``
        or ``units`` of every character.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    text: ClassVar[TextNeed] = "no"
    runs: ClassVar[Literal["", "forward", "backward"]] = ""
    generates: ClassVar[bool] = False
    decodes: ClassVar[bool] = False
    options: ClassVar[tuple[OptionName, ...]] = ()
    page: ClassVar[int] = 0
    models: ClassVar[Literal["all", "running text", "pairs"]] = "all"
    begun: ClassVar[bool] = False
    explores: ClassVar[Literal["", "bits", "guesses", "units"]] = ""

    def suits(self, checkpoint: "InspectedCheckpoint") -> bool:
        """Tell whether it is about such a model."""
        wanted = "pairs" if checkpoint.file.pairs else "running text"
        return self.models in ("all", wanted)

    def check(self, checkpoint: "InspectedCheckpoint") -> None:
        """Raise `OptionError` unless the checkpoint has what the options name."""

    def compile(self, checkpoint: "InspectedCheckpoint") -> None:
        """Build the model, and compile what `compute` will run."""
        if checkpoint.options.text is None:
            if self.generates:
                compile_generation(checkpoint.predictor)
            return
        if self.runs:
            compile_forward(checkpoint.model.network)
        if "blend" in self.options:
            compile_blend(checkpoint.predictor)
        if self.decodes and checkpoint.file.pairs:
            compile_decoding(checkpoint.predictor)
        if self.runs == "backward":
            compile_backward(checkpoint.model.network)

    def compute(self, checkpoint: "InspectedCheckpoint") -> D:
        """Compute the view's data.

        Raises
        ------
        CharRNNError
            The checkpoint is damaged, or the text or corpus cannot be used.
        """
        raise NotImplementedError

    def compute_mixed(self, mixture: "InspectedMixture") -> D:
        """Compute the data of several checkpoints that predict the text together.

        Asked only of a view of single checkpoints that is about the option ``mix``.
        """
        raise NotImplementedError

    def blocks(self, data: D) -> Iterable[Block]:
        """List what is drawn; the table of its rows unless a view knows better."""
        yield listed(data)

    def extent(self, data: D, characters: int) -> Extent:
        """Tell how much of a text of so many characters the data are about."""
        return Extent()


P = TypeVar("P")


class JointView(View[D], Generic[D, P]):
    """A view of all checkpoints together."""

    def describe(self, checkpoint: "InspectedCheckpoint") -> P:
        """Compute what is needed of one checkpoint."""
        raise NotImplementedError

    def join(self, parts: Sequence[P]) -> D:
        """Put the data together, in the order of the checkpoints."""
        raise NotImplementedError

    def with_mixture(self, data: D, mixture: "InspectedMixture") -> D:
        """Add what all checkpoints make of the text together."""
        return data

    def compute(self, checkpoint: "InspectedCheckpoint") -> D:
        """Compute the view of a single checkpoint."""
        return self.join([self.describe(checkpoint)])


AnyView = View[Any]


def listed(
    data: "ViewData", without: Sequence[str] = (), media: Media = EVERYWHERE
) -> Rows:
    """List the rows that the tab-separated form has, less some of their columns."""
    return Rows(data.columns, data.rows, without, media=media)
