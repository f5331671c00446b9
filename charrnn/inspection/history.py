"""The view ``history``: the metrics of training, by step.

Speed is not among them: a checkpoint holds no wall-clock time, so that the
same run gives the same bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import ClassVar

from charrnn.checkpoint import Row
from charrnn.inspection.records import Cell, ViewData, finite


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at one step; None where nothing was."""

    step: int | None
    epoch: float | None
    loss: float | None  # nats per character, of the training text
    val_loss: float | None
    lr: float | None
    grad_norm: float | None  # before clipping


@dataclass(frozen=True)
class History(ViewData):
    """All rows that the checkpoint kept, in the order of their steps."""

    columns: ClassVar[tuple[str, ...]] = (
        "step",
        "epoch",
        "loss",
        "val_loss",
        "lr",
        "grad_norm",
    )

    points: tuple[Point, ...]

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a step."""
        return map(astuple, self.points)

    def column(self, name: str) -> list[float | None]:
        """Take one metric out of all points."""
        return [getattr(point, name) for point in self.points]


def read_history(rows: Sequence[Row]) -> History:
    """Bring the rows of a checkpoint into one form, gaps and all."""
    return History(tuple(map(_point, rows)))


def _point(row: Row) -> Point:
    """Take the known columns of a row. What is not finite counts as missing."""
    values = {name: finite(row.get(name)) for name in History.columns}
    step = values.pop("step")
    return Point(step=None if step is None else int(step), **values)
