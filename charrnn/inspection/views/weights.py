"""The view ``weights``: how the values of every tensor are distributed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from charrnn.config import GATES
from charrnn.inspection.blocks import (
    PAGE,
    PICTURED,
    STILL,
    Block,
    Column,
    Histogram,
    Note,
    Sparks,
    Table,
    Tiles,
)
from charrnn.inspection.view import View, listed
from charrnn.inspection.wording import number, shape

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.weights import Distribution, Weights


class WeightsView(View["Weights"]):
    """The distribution of every tensor, gates below theirs."""

    name = "weights"
    about = "how the values of every tensor are distributed"
    page = 3

    def compute(self, checkpoint: "InspectedCheckpoint") -> "Weights":
        """Read and measure the tensors, one at a time."""
        from charrnn.inspection.weights import measure_weights

        return measure_weights(checkpoint.file)

    def blocks(self, data: "Weights") -> Iterator[Block]:
        """Show distributions, then their measures."""
        tensors = data.tensors
        bars = [Histogram(_full(t), t.histogram, t.min, t.max) for t in tensors]
        yield Tiles(bars, 3, "distribution of weights", media=PICTURED)

        def cells(name: str, form: str = ".3g") -> list[str]:
            """Write one measure of all tensors."""
            return [number(getattr(t, name), form) for t in tensors]

        columns: list[Column | Sparks] = [
            Column("tensor", [_short(t) for t in tensors]),
            Column("shape", [shape(t.shape) for t in tensors], "right", 6),
            Column("min", cells("min"), "right", 4),
            Column("mean", cells("mean"), "right", 3),
            Column("std", cells("std"), "right"),
            Column("max", cells("max"), "right", 4),
            Column("norm", cells("norm"), "right", 2),
            Column("radius", cells("spectral_radius", ".3f"), "right"),
            Sparks("min to max", [_in_pairs(t.histogram) for t in tensors]),
        ]
        yield Table(columns, "measures of tensors", media=STILL)
        yield listed(data, ["histogram"], PAGE)
        yield Note("radius: spectral radius of a recurrent block")


VIEW = WeightsView()


def _gate(tensor: "Distribution") -> str | None:
    """Name the gate that a part of a tensor belongs to."""
    known = {gate for gates in GATES.values() for gate in gates}
    return tensor.gate if tensor.gate in known else None


def _short(tensor: "Distribution") -> str:
    """Name a tensor, or a gate below its own."""
    gate = _gate(tensor)
    return f"  gate {gate}" if gate else tensor.tensor


def _full(tensor: "Distribution") -> str:
    """Name a tensor, or a gate with the tensor that it is part of."""
    gate = _gate(tensor)
    return f"{tensor.tensor}, gate {gate}" if gate else tensor.tensor


def _in_pairs(counts: tuple[int, ...]) -> list[int]:
    """Halve the bins of a histogram, so that it fits beside the numbers."""
    return [sum(counts[n : n + 2]) for n in range(0, len(counts), 2)]
