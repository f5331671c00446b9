"""The view ``neurons``: what single units follow in a text."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from charrnn.inspection import SIGNAL_NAMES
from charrnn.inspection.blocks import (
    STILL,
    Bars,
    Block,
    Column,
    Heading,
    Heat,
    HeatLine,
    Note,
    Scale,
    Table,
)
from charrnn.inspection.view import Extent, View
from charrnn.inspection.wording import number, plural

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.neurons import Neuron, Neurons

#: Characters that are drawn for each unit, and listed where nothing is drawn.
SHOWN, LISTED = 400, 20_000


class NeuronsView(View["Neurons"]):
    """What units follow, then the text as each of them saw it."""

    name = "neurons"
    about = "units that follow something in the text, and what they did"
    text = "required"
    runs = "forward"
    options = ("top", "max_chars", "layer", "unit", "signal")
    page = 7
    explores = "units"

    def check(self, checkpoint: "InspectedCheckpoint") -> None:
        """Refuse signals, layers and units that the model does not have."""
        from charrnn.inspection.activations import check_place

        options = checkpoint.options
        model = checkpoint.file.model
        check_place(model, options.signal, options.layer, options.units)

    def compute(self, checkpoint: "InspectedCheckpoint") -> "Neurons":
        """Read the text, find the units, and keep what they did."""
        from charrnn.inspection.activations import MEASURED
        from charrnn.inspection.neurons import Wanted, measure_neurons

        options = checkpoint.options
        keep = options.limit(SHOWN if options.drawn else LISTED)
        wanted = Wanted(
            signal=options.signal,
            layer=options.layer,
            units=options.units,
            top=options.top,
            keep=keep,
        )
        found = measure_neurons(
            checkpoint.model,
            checkpoint.file.vocab,
            checkpoint.head(None if keep is None else max(keep, MEASURED)),
            wanted,
            documents=checkpoint.documents,
        )
        return replace(found, characters=checkpoint.characters)

    def blocks(self, data: "Neurons") -> Iterator[Block]:
        """Show which units stand out, and, where no explorer does, what they did."""
        name = SIGNAL_NAMES[data.signal]
        yield Note(f"{name}, {plural(data.measured, 'character')}", faint=False)
        yield Table(_best(data), "units that stand out")
        for neuron in data.neurons:
            title = f"layer {neuron.layer}, unit {neuron.unit}"
            measures = f"mean {neuron.mean:+.3f}, deviation {neuron.std:.3f}"
            yield Heading(title, _follows(neuron), media=STILL)
            yield Note(measures, media=STILL)
            lines = list(_lines(data.text, neuron.values))
            yield Heat(lines, _scale(data, neuron), data.unit, media=STILL)

    def extent(self, data: "Neurons", characters: int) -> Extent:
        """Count the characters that are shown, and those that were measured."""
        return Extent(len(data.text), measured=data.measured)


VIEW = NeuronsView()


def _best(data: "Neurons") -> list[Column | Bars]:
    """List the unit that follows each feature most closely."""
    best = data.best
    return [
        Column("follows", [item.feature for item in best]),
        Column("layer", [f"{item.layer}" for item in best], "right"),
        Column("unit", [f"{item.unit}" for item in best], "right"),
        Column("correlation", [number(b.correlation, "+.3f") for b in best], "right"),
        Column("deviation", [f"{item.std:.3f}" for item in best], "right", 2),
        Bars([abs(item.correlation or 0.0) for item in best], 20),
    ]


def _follows(neuron: "Neuron") -> str:
    """Say what a unit follows."""
    if neuron.correlation is not None:
        return f"{neuron.follows} {neuron.correlation:+.3f}"
    return "varies most" if neuron.follows == "variance" else ""


def _scale(data: "Neurons", neuron: "Neuron") -> Scale:
    """Choose a scale for a unit: around zero, but for gates from 0 to 1."""
    if data.signal not in ("h", "c"):
        return Scale(0.0, 1.0)
    most = max((abs(value) for value in neuron.values), default=0) or 1.0
    return Scale(-most, most)


def _lines(text: str, values: Sequence[float]) -> Iterator[HeatLine]:
    """Cut a text into lines, with what a unit did at each character."""
    start = 0
    for part in text.split("\n"):
        end = min(len(text), start + len(part) + 1)
        if start < end:
            yield HeatLine("  ", text[start:end], values[start:end])
        start = end
