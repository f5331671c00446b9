"""Views that color a text, as figures: ``surprise`` and ``neurons``."""

from collections.abc import Iterator

from charrnn.display.reading import heat_lines, surprise_facts, surprise_tables
from charrnn.display.svg import Figure
from charrnn.display.svg_heat import (
    ShadedLine,
    heat_figure,
    heat_legend,
    heat_shade,
    signed_legend,
    signed_shade,
)
from charrnn.display.svg_lines import lines_figure
from charrnn.display.symbols import Look, visible
from charrnn.display.tables import Column, line, number, table
from charrnn.inspection.neurons import Neuron, Neurons
from charrnn.inspection.surprise import Surprise


def surprise_figures(view: Surprise, look: Look) -> Iterator[Figure]:
    """Draw totals, the text on its heat, and the worst."""
    look = look._replace(unit=view.unit)
    yield lines_figure(surprise_facts(view, look), look.width)
    if view.text:
        yield heat_legend()
        lines = (
            ShadedLine(
                line.label,
                [visible(symbol, look) for symbol in line.symbols],
                [heat_shade(bits) for bits in line.values],
            )
            for line in heat_lines(view)
        )
        yield heat_figure(lines, look.width)
    yield lines_figure(surprise_tables(view, look), look.width)


def neurons_figures(view: Neurons, look: Look) -> Iterator[Figure]:
    """Draw which units follow what, and the text on the activation of each."""
    look = look._replace(unit=view.unit)
    yield lines_figure(table(best_columns(view), look), look.width)
    if not view.text:
        return
    most = max((abs(v) for n in view.neurons for v in n.values), default=0.0)
    most = max(1.0, most)
    yield signed_legend(most)
    for neuron in view.neurons:
        heading = line(neuron_title(neuron, view.signal), "bold")
        yield lines_figure([heading], look.width)
        lines = _signed_lines(view.text, neuron, look, most)
        yield heat_figure(lines, look.width, signed=True)


def _signed_lines(
    text: str, neuron: Neuron, look: Look, most: float
) -> Iterator[ShadedLine]:
    """Cut a text into lines, each character with what a unit did there."""
    start = 0
    for part in _lines(text):
        end = start + len(part)
        shades = [signed_shade(value, most) for value in neuron.values[start:end]]
        yield ShadedLine("  ", [visible(symbol, look) for symbol in part], shades)
        start = end


def _lines(text: str) -> list[str]:
    """Cut a text behind its newlines, and nowhere else."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def neuron_title(neuron: Neuron, signal: str) -> str:
    """Name a unit and say what it does."""
    name = f"layer {neuron.layer}, unit {neuron.unit}, {signal}"
    how = "" if neuron.correlation is None else f" {neuron.correlation:+.3f}"
    return (
        f"{name}: {neuron.follows}{how}, mean {neuron.mean:.3f}, std {neuron.std:.3f}"
    )


def best_columns(view: Neurons) -> list[Column]:
    """List the unit that follows each feature most closely."""
    best = view.best
    return [
        Column("follows", [item.feature for item in best]),
        Column("layer", [str(item.layer) for item in best], "right"),
        Column("unit", [str(item.unit) for item in best], "right"),
        Column("correlation", [number(b.correlation, "+.3f") for b in best], "right"),
        Column("std", [number(item.std, ".3f") for item in best], "right"),
    ]
