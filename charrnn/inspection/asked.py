"""What is asked of the views of a checkpoint."""

from dataclasses import dataclass

from charrnn.config import Share, UnknownPolicy
from charrnn.inspection import MAX_LAG, SignalName
from charrnn.inspection.text import InspectedText
from charrnn.pairs import USUAL, PairFormat


@dataclass(frozen=True)
class ViewOptions:
    """What the options of ``inspect`` say about the data of its views."""

    text: InspectedText | None = None
    unknown: UnknownPolicy = "error"
    pairs: PairFormat = USUAL  # how pairs stand in it, for a model of pairs
    begun: bool = False  # whether the last of them has only begun: no view minds
    max_chars: int | None = None  # None: a limit that suits the view; 0: all
    drawn: bool = True  # for people, not for programs
    rows_only: bool = False  # nothing but a view's rows is wanted, and once
    top: int = 5
    layer: int | None = None
    units: tuple[int, ...] = ()
    signal: SignalName = "h"
    max_lag: int = MAX_LAG
    corpus: tuple[str, ...] = ()
    held_out: bool = False  # of pairs, only those that training has held out
    blend: Share = "auto"
    adapt: bool = False
    processors: int = 1
    threads: int = 1

    def limit(self, default: int) -> int | None:
        """Tell how many characters a view may list; None is all."""
        return default if self.max_chars is None else self.max_chars or None
