"""The view ``history``: the metrics of training, by step.

Speed is not among them: a checkpoint holds no wall-clock time, so that the
same run gives the same bytes.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from charrnn.checkpoint import Row
from charrnn.inspection.blocks import (
    PAGE,
    STILL,
    Block,
    Chart,
    Column,
    Note,
    Series,
    Table,
    Tiles,
)
from charrnn.inspection.records import Cell, ViewData, finite
from charrnn.inspection.view import View, listed
from charrnn.inspection.wording import EVALUATED_OUTPUTS, number

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint

#: Rows of a long history that are shown where nothing scrolls.
ROWS = 16

LN2 = math.log(2)


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at one step; None where nothing was."""

    step: int | None
    epoch: float | None
    loss: float | None  # nats per character, of the training text
    val_loss: float | None
    lr: float | None
    grad_norm: float | None  # before clipping


@dataclass(frozen=True, slots=True)
class PairsPoint(Point):
    """The same of a run on pairs, with how many held-out outputs were right."""

    exact: float | None
    error_rate: float | None


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


@dataclass(frozen=True)
class PairsHistory(History):
    """The same of a run on pairs."""

    columns = (*History.columns, "exact", "error_rate")

    points: tuple[PairsPoint, ...]


def read_history(rows: Sequence[Row]) -> History:
    """Bring the rows of a checkpoint into one form, gaps and all."""
    if any("exact" in row for row in rows):
        found = (_values(row, PairsHistory.columns) for row in rows)
        return PairsHistory(tuple(PairsPoint(**values) for values in found))
    return History(tuple(Point(**_values(row, History.columns)) for row in rows))


def _values(row: Row, columns: Sequence[str]) -> dict[str, Any]:
    """Take the known columns of a row. What is not finite counts as missing."""
    values: dict[str, Any] = {name: finite(row.get(name)) for name in columns}
    step = values["step"]
    return values | {"step": None if step is None else int(step)}


class HistoryView(View[History]):
    """Losses, learning rate and norm of the gradient, as curves and in numbers."""

    name = "history"
    about = "loss, validation, learning rate and gradient by step"
    page = 2

    def compute(self, checkpoint: "InspectedCheckpoint") -> History:
        """Take the rows that the checkpoint kept."""
        return read_history(checkpoint.file.history)

    def blocks(self, data: History) -> Iterator[Block]:
        """Show curves, then a table, thinned where nothing scrolls."""
        if not data.points:
            yield Note("no history is stored")
            return
        losses = {"loss": "loss", "val_loss": "validation"}
        curves = [_curve(data, metric, name) for metric, name in losses.items()]
        curves = [curve for curve in curves if curve.ys]
        if curves:
            yield Chart(curves, "step", "loss, nats per character")
        if isinstance(data, PairsHistory):
            rates = {"exact": "exact", "error_rate": "error rate"}
            curves = [_curve(data, metric, name) for metric, name in rates.items()]
            yield Chart(curves, "step", "held-out outputs")
            yield Note(f"exact, error rate: {EVALUATED_OUTPUTS}")
        others = {"lr": "learning rate", "grad_norm": "gradient norm"}
        charts = [
            Chart([curve], "step", curve.name)
            for metric, name in others.items()
            if (curve := _curve(data, metric, name)).ys
        ]
        if charts:
            yield Tiles(charts, 2, "learning rate and gradient")
        yield _thinned(data)
        yield listed(data, media=PAGE)


def _curve(data: History, metric: str, name: str) -> Series:
    """Take one metric as a curve over the steps where it was measured."""
    pairs = [
        (point.step, value)
        for point, value in zip(data.points, data.column(metric), strict=True)
        if point.step is not None and value is not None
    ]
    return Series(name, [step for step, _ in pairs], [value for _, value in pairs])


def _thinned(data: History) -> Table:
    """List the metrics of at most `ROWS` steps."""
    rates = ("exact", "error_rate") if isinstance(data, PairsHistory) else ()
    columns = [
        _column(data, "step", ",.0f", 0),
        _column(data, "epoch", ".2f", 3),
        _column(data, "loss", ".4f", 0),
        _column(data, "loss", ".4f", 1, bits=True),
        _column(data, "val_loss", ".4f", 0),
        _column(data, "val_loss", ".4f", 2, bits=True),
        *(_column(data, name, ".2%", 1) for name in rates),
        _column(data, "lr", ".3g", 4),
        _column(data, "grad_norm", ".3g", 5),
    ]
    return Table(columns, "metrics by step", media=STILL)


def _column(
    data: History, metric: str, form: str, rank: int, *, bits: bool = False
) -> Column:
    """Make a column of the table: of each stretch the last value there is."""
    values = data.column(metric)
    count = min(ROWS, len(values))
    cells = []
    for n in range(count):
        part = values[n * len(values) // count : (n + 1) * len(values) // count]
        last = next((v for v in reversed(part) if v is not None), None)
        cells.append(number(last if last is None or not bits else last / LN2, form))
    title = f"{metric.replace('loss', '')}bits" if bits else metric
    return Column(title, cells, "right", rank)


VIEW = HistoryView()
