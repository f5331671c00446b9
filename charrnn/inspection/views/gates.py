"""The view ``gates``: how far each gate stands open, unit by unit."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from charrnn.inspection.blocks import (
    PAGE,
    PICTURED,
    Block,
    Column,
    Heading,
    Note,
    Scatter,
    Sparks,
    Table,
    Tiles,
)
from charrnn.inspection.view import Extent, View, listed
from charrnn.inspection.wording import plural

if TYPE_CHECKING:
    from charrnn.inspection.gates import Gate, Gates
    from charrnn.inspection.inspected import InspectedCheckpoint

#: Bars of a histogram of the units' means.
BINS = 12

#: Units named as the most open and the most closed of a gate.
NAMED = 3


class GatesView(View["Gates"]):
    """How open every gate is, and the units that are always so."""

    name = "gates"
    about = "how often every gate stood open or closed"
    text = "required"
    runs = "forward"
    options = ("layer",)
    page = 8

    def compute(self, checkpoint: "InspectedCheckpoint") -> "Gates":
        """Read the text and count."""
        from charrnn.inspection.activations import MEASURED
        from charrnn.inspection.gates import measure_gates

        found = measure_gates(
            checkpoint.model,
            checkpoint.file.vocab,
            checkpoint.head(MEASURED),
            layer=checkpoint.options.layer,
            documents=checkpoint.documents,
        )
        return replace(found, characters=checkpoint.characters)

    def blocks(self, data: "Gates") -> Iterator[Block]:
        """Show how saturated the gates are, and the most extreme units."""
        from charrnn.inspection.gates import CLOSED, OPEN

        if not data.gates:
            yield Note("a vanilla cell has no gates")
            return
        yield Note(f"means over {plural(data.measured, 'character')}", faint=False)
        dots = [
            Scatter(
                f"layer {gate.layer}, gate {gate.gate}",
                list(_dots(gate)),
                f"above {OPEN}",
                f"share of time below {CLOSED}",
            )
            for gate in data.gates
        ]
        yield Tiles(dots, 3, "saturation of gates", media=PICTURED)
        yield Table(_gates(data.gates), "gates")
        yield Note(f"closed: below {CLOSED}; open: above {OPEN}")
        yield Heading("units most often open and closed")
        yield Table(_extremes(data.gates), "units most often open and closed")
        yield listed(data, media=PAGE)

    def extent(self, data: "Gates", characters: int) -> Extent:
        """Count the characters that were read."""
        return Extent(measured=data.measured)


VIEW = GatesView()


def _dots(gate: "Gate") -> Iterator[tuple[float, float, str]]:
    """Place every unit by how often it is open, and how often closed."""
    shares = zip(gate.shares_above, gate.shares_below, strict=True)
    for unit, (above, below) in enumerate(shares):
        yield above, below, f"unit {unit}: {above:.1%} open, {below:.1%} closed"


def _gates(gates: "Sequence[Gate]") -> list[Column | Sparks]:
    """List the gates with their means, saturation, and their units' means."""
    return [
        *_names(gates),
        Column("mean", [f"{gate.mean:.3f}" for gate in gates], "right"),
        Column("closed", [f"{gate.below:.1%}" for gate in gates], "right"),
        Column("open", [f"{gate.above:.1%}" for gate in gates], "right"),
        Sparks("units, 0 to 1", [_histogram(gate.means) for gate in gates]),
    ]


def _extremes(gates: "Sequence[Gate]") -> list[Column]:
    """List the units that are most often open, and most often closed."""
    return [
        *_names(gates),
        Column("open", [_most(gate.shares_above) for gate in gates], shrinks=True),
        Column("closed", [_most(gate.shares_below) for gate in gates], rank=1),
    ]


def _names(gates: "Sequence[Gate]") -> list[Column]:
    """Name the gates."""
    return [
        Column("layer", [f"{gate.layer}" for gate in gates], "right"),
        Column("gate", [gate.gate for gate in gates]),
    ]


def _histogram(means: Sequence[float]) -> list[int]:
    """Count how many units have which mean."""
    counts = [0] * BINS
    for mean in means:
        counts[min(BINS - 1, int(mean * BINS))] += 1
    return counts


def _most(shares: Sequence[float]) -> str:
    """Name the units with the largest shares."""
    ranked = sorted(range(len(shares)), key=lambda unit: -shares[unit])[:NAMED]
    return ", ".join(f"{unit}: {shares[unit]:.0%}" for unit in ranked)
