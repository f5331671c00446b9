"""How the views of single units look: ``neurons`` and ``gates``."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from charrnn.display.heat import (
    HeatLine,
    Scale,
    heat_text,
    scale_ends,
    signed_scale,
    style_of,
)
from charrnn.display.sparkline import sparkline
from charrnn.display.symbols import Look
from charrnn.display.tables import Column, line, number, plural, table
from charrnn.inspection.gates import CLOSED, OPEN, Gate, Gates
from charrnn.inspection.neurons import Neuron, Neurons

#: Bars of a histogram of the units' means.
BINS = 12

#: Units named as the most open and the most closed of a gate.
NAMED = 3

SIGNAL_NAMES = {
    "h": "output h",
    "c": "tanh of the cell c",
    "i": "input gate i",
    "f": "forget gate f",
    "o": "output gate o",
    "r": "reset gate r",
    "u": "update gate u",
}


def draw_neurons(view: Neurons, look: Look) -> Iterator[Text]:
    """Draw what units follow, then the text as each of them saw it."""
    look = look._replace(unit=view.unit)
    name = SIGNAL_NAMES[view.signal]
    yield line(f"  {name}, {plural(view.measured, 'character')}")
    yield line()
    yield from table(best_columns(view, look), look)
    for neuron in view.neurons:
        scale = unit_scale(view, neuron)
        yield line()
        yield neuron_title(neuron)
        yield line(f"  mean {neuron.mean:+.3f}, deviation {neuron.std:.3f}", "dim")
        yield line("  ").append_text(scale_ends(scale, look))
        yield from heat_text(unit_lines(view.text, neuron.values), look, scale)


def best_columns(view: Neurons, look: Look) -> list[Column]:
    """List the unit that follows each feature most closely."""
    bar, best = "#" if look.ascii else "█", view.best
    strengths = [abs(item.correlation or 0.0) for item in best]
    return [
        Column("follows", [item.feature for item in best]),
        Column("layer", [f"{item.layer}" for item in best], "right"),
        Column("unit", [f"{item.unit}" for item in best], "right"),
        Column("correlation", [number(b.correlation, "+.3f") for b in best], "right"),
        Column("deviation", [f"{item.std:.3f}" for item in best], "right", 2),
        Column("", [bar * round(20 * share) for share in strengths], rank=1),
    ]


def neuron_title(neuron: Neuron) -> Text:
    """Say which unit it is, and what it follows."""
    follows = "varies most" if neuron.follows == "variance" else ""
    if neuron.correlation is not None:
        follows = f"{neuron.follows} {neuron.correlation:+.3f}"
    title = line(f"layer {neuron.layer}, unit {neuron.unit}", "bold")
    return title.append(f"  {follows}", "not bold")


def unit_scale(view: Neurons, neuron: Neuron) -> Scale:
    """Choose a scale for a unit: around zero, but for gates from 0 to 1."""
    if view.signal not in ("h", "c"):
        return Scale(0.0, 1.0, style_of)
    return signed_scale(max((abs(value) for value in neuron.values), default=0) or 1.0)


def unit_lines(text: str, values: Sequence[float]) -> Iterator[HeatLine]:
    """Cut a text into lines, with what a unit did at each character."""
    start = 0
    for part in text.split("\n"):
        end = min(len(text), start + len(part) + 1)
        if start < end:
            yield HeatLine("  ", text[start:end], values[start:end])
        start = end


def draw_gates(view: Gates, look: Look) -> Iterator[Text]:
    """Draw how open every gate is, and the units that are always so."""
    if not view.gates:
        yield line("  a vanilla cell has no gates", "dim")
        return
    yield line(f"  means over {plural(view.measured, 'character')}")
    yield line()
    yield from table(gate_columns(view.gates, look), look)
    yield line(f"  closed: below {CLOSED}; open: above {OPEN}", "dim")
    yield line()
    yield line("units most often open and closed", "bold")
    gates = view.gates
    columns = [
        Column("layer", [f"{gate.layer}" for gate in gates], "right"),
        Column("gate", [gate.gate for gate in gates]),
        Column("open", [_most(gate.shares_above) for gate in gates], shrinks=True),
        Column("closed", [_most(gate.shares_below) for gate in gates], rank=1),
    ]
    yield from table(columns, look)


def gate_columns(gates: Sequence[Gate], look: Look) -> list[Column]:
    """List the gates with their means, saturation, and their units' means."""
    bars = [_histogram(gate.means, look) for gate in gates]
    return [
        Column("layer", [f"{gate.layer}" for gate in gates], "right"),
        Column("gate", [gate.gate for gate in gates]),
        Column("mean", [f"{gate.mean:.3f}" for gate in gates], "right"),
        Column("closed", [f"{gate.below:.1%}" for gate in gates], "right"),
        Column("open", [f"{gate.above:.1%}" for gate in gates], "right"),
        Column("units, 0 to 1", bars, rank=1, style="cyan"),
    ]


def _histogram(means: Sequence[float], look: Look) -> str:
    """Draw how many units have which mean."""
    counts = [0] * BINS
    for mean in means:
        counts[min(BINS - 1, int(mean * BINS))] += 1
    return sparkline(counts, BINS, ascii_only=look.ascii)


def _most(shares: Sequence[float]) -> str:
    """Name the units with the largest shares."""
    ranked = sorted(range(len(shares)), key=lambda unit: -shares[unit])[:NAMED]
    return ", ".join(f"{unit}: {shares[unit]:.0%}" for unit in ranked)
