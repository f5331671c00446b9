"""Views that color a text, as figures: ``surprise`` and ``neurons``."""

from collections.abc import Iterator

from charrnn.display.reading import heat_lines, surprise_facts, surprise_tables
from charrnn.display.svg import Figure
from charrnn.display.svg_heat import (
    ShadedLine,
    heat_figure,
    heat_legend,
    heat_shade,
    scale_shade,
    signed_legend,
    unit_legend,
)
from charrnn.display.svg_lines import lines_figure
from charrnn.display.symbols import Look, visible
from charrnn.display.tables import line, plural, table
from charrnn.display.units import (
    SIGNAL_NAMES,
    best_columns,
    neuron_title,
    unit_lines,
    unit_scale,
)
from charrnn.inspection.neurons import Neurons
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
    """Draw which units follow what, and the text as each of them saw it."""
    look = look._replace(unit=view.unit)
    name = SIGNAL_NAMES[view.signal]
    about = line(f"  {name}, correlated over {plural(view.measured, 'character')}")
    yield lines_figure([about, *table(best_columns(view, look), look)], look.width)
    for neuron in view.neurons:
        scale = unit_scale(view, neuron)
        measures = f"  mean {neuron.mean:+.3f}, deviation {neuron.std:.3f}"
        yield lines_figure([neuron_title(neuron), line(measures, "dim")], look.width)
        signed = scale.low < 0
        yield signed_legend(scale.high) if signed else unit_legend()
        lines = (
            ShadedLine(
                part.label,
                [visible(symbol, look) for symbol in part.symbols],
                [scale_shade(value, scale) for value in part.values],
            )
            for part in unit_lines(view.text, neuron.values)
        )
        yield heat_figure(lines, look.width, signed=signed)
