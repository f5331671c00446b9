"""What a view is: one object that says what it needs, computes, and shows.

Its module has the data, how they are computed, and the class of the view. Numba
is imported only when the network runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from charrnn.config import UnknownPolicy
from charrnn.inspection import MAX_LAG, SignalName, TextNeed
from charrnn.inspection.blocks import EVERYWHERE, Block, Media, Rows

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.records import ViewData
    from charrnn.inspection.text import Text

#: Characters that are shown one by one unless more are asked for.
SHOWN = 2000

#: The options of `inspect` that a view can be about.
OptionName = Literal["top", "max_chars", "layer", "unit", "signal", "max_lag", "corpus"]

D = TypeVar("D", bound="ViewData")


@dataclass(frozen=True)
class ViewOptions:
    """What the options of ``inspect`` say about the data of its views."""

    text: "Text | None" = None
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


class Extent(NamedTuple):
    """How much of a text a view is about; None where that is all, or nothing."""

    shown: int | None = None  # characters that are shown one by one
    end: Literal["first", "last"] = "first"  # which ones
    measured: int | None = None  # the first ones, which its statistics are about


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
    options : tuple of str
        The options of `inspect` that it is about.
    page : int
        Its place on a page for which no views are named; 0: it is not there.
    explores : str
        What the explorer of a page takes from its data: ``bits``, ``guesses``
        or ``units`` of every character.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    text: ClassVar[TextNeed] = "no"
    runs: ClassVar[Literal["", "forward", "backward"]] = ""
    generates: ClassVar[bool] = False
    options: ClassVar[tuple[OptionName, ...]] = ()
    page: ClassVar[int] = 0
    explores: ClassVar[Literal["", "bits", "guesses", "units"]] = ""

    def check(self, checkpoint: "InspectedCheckpoint") -> None:
        """Raise `OptionError` unless the checkpoint has what the options name."""

    def compute(self, checkpoint: "InspectedCheckpoint") -> D:
        """Compute the view's data.

        Raises
        ------
        CharRNNError
            The checkpoint is damaged, or the text or corpus cannot be used.
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

    def compute(self, checkpoint: "InspectedCheckpoint") -> D:
        """Compute the view of a single checkpoint."""
        return self.join([self.describe(checkpoint)])


AnyView = View[Any]


def listed(
    data: "ViewData", without: Sequence[str] = (), media: Media = EVERYWHERE
) -> Rows:
    """List the rows that the tab-separated form has, less some of their columns."""
    return Rows(data.columns, data.rows, without, media=media)
