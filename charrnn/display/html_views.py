"""How each view of ``inspect`` looks on a page: facts, charts and tables."""

from collections.abc import Callable, Iterator, Sequence
from functools import singledispatch
from typing import Literal

from charrnn.display.html_tags import charts, facts_list, table, tag, text
from charrnn.display.measures import (
    comparison_columns,
    context_columns,
    distinct_columns,
    diversity_pairs,
    memory_words,
)
from charrnn.display.reading import (
    choice_columns,
    surprise_pairs,
    worst_char_columns,
    worst_line_columns,
)
from charrnn.display.svg import Figure
from charrnn.display.svg_plots import (
    diversity_charts,
    gates_charts,
    history_charts,
    memory_charts,
    weights_charts,
)
from charrnn.display.symbols import Look
from charrnn.display.tables import Column, plural
from charrnn.display.units import best_columns, gate_columns
from charrnn.display.views import summary_pairs, system_pairs
from charrnn.errors import field
from charrnn.inspection.compare import Comparison
from charrnn.inspection.diversity import Diversity
from charrnn.inspection.gates import Gates
from charrnn.inspection.history import History
from charrnn.inspection.memory import Memory
from charrnn.inspection.neurons import Neurons
from charrnn.inspection.predictions import Predictions
from charrnn.inspection.records import Cell, View
from charrnn.inspection.summary import Summary
from charrnn.inspection.surprise import Surprise
from charrnn.inspection.system import System
from charrnn.inspection.weights import Weights

#: Pixels of a chart in a wide window and in a narrow one.
WIDE, NARROW = 608, 320

#: Nothing on a page is cut to a width.
LOOK = Look(width=1 << 20)

#: Rows of a table at most: what is longer is for the forms `plain` and `json`.
ROWS = 4000


@singledispatch
def sections(view: View) -> Iterator[str]:
    """Write a view; one without a form of its own as the table of its rows."""
    yield rows_table(view)


def rows_table(view: View, without: Sequence[str] = ()) -> str:
    """Write the rows of the form `plain`, less some of their columns."""
    rows = list(view.rows())
    parts = [
        Column(name, [_cell(row[n]) for row in rows[:ROWS]], _align(rows, n))
        for n, name in enumerate(view.columns)
        if name not in without
    ]
    cut = len(rows) - ROWS
    note = f"and {plural(cut, 'row')} more: see {field('plain')}" if cut > 0 else ""
    return table(parts, "table") + (tag("p", note, style="faint") if note else "")


def _align(rows: Sequence[tuple[Cell, ...]], n: int) -> Literal["left", "right"]:
    """Put numbers to the right."""
    known = [row[n] for row in rows if row[n] is not None]
    return "right" if known and not isinstance(known[0], str) else "left"


def _cell(value: Cell) -> str:
    """Write one cell in as many digits as are looked at."""
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def both(draw: Callable[[int], Iterator[Figure]], name: str) -> str:
    """Draw charts for wide windows and for narrow ones."""
    return charts(list(draw(WIDE)), list(draw(NARROW)), name)


@sections.register
def summary_sections(view: Summary) -> Iterator[str]:
    """Write the facts, and the tensors below."""
    yield facts_list(list(summary_pairs(view, LOOK)))
    sizes = [
        Column("tensor", [t.name for t in view.tensors]),
        Column("shape", [" x ".join(map(str, t.shape)) for t in view.tensors], "right"),
        Column("parameters", [f"{t.parameters:,}" for t in view.tensors], "right"),
    ]
    yield table(sizes, "tensors")


@sections.register
def system_sections(view: System) -> Iterator[str]:
    """Write the facts."""
    yield facts_list(list(system_pairs(view, LOOK)))


@sections.register
def history_sections(view: History) -> Iterator[str]:
    """Write the curves and all steps."""
    if not view.points:
        yield tag("p", "no history is stored")
        return
    yield both(lambda width: history_charts(view, width), "training by step")
    yield rows_table(view)


@sections.register
def weights_sections(view: Weights) -> Iterator[str]:
    """Write the distributions, and their measures."""
    yield both(lambda width: weights_charts(view, width), "distribution of weights")
    yield rows_table(view, without=["histogram"])


@sections.register
def surprise_sections(view: Surprise) -> Iterator[str]:
    """Write totals and the worst; the text itself is in the explorer."""
    look = LOOK._replace(unit=view.unit)
    yield facts_list(surprise_pairs(view))
    yield tag("h3", "most surprising characters")
    yield table(worst_char_columns(view, look), "most surprising characters")
    if view.line_count > 1:
        yield tag("h3", "most surprising lines")
        yield table(worst_line_columns(view), "most surprising lines")


@sections.register
def predictions_sections(view: Predictions) -> Iterator[str]:
    """Write what comes after the text; what is within is in the explorer."""
    look = LOOK._replace(unit=view.unit)
    yield tag("p", text(f"entropy {view.entropy:.4f} bits"))
    yield table(choice_columns(view.after, look)[:-1], "what comes after the text")


@sections.register
def neurons_sections(view: Neurons) -> Iterator[str]:
    """Write which units stand out; what they do is in the explorer."""
    yield tag("p", text(f"of {view.signal}, in {plural(view.measured, 'character')}"))
    yield table(best_columns(view, LOOK)[:-1], "units that stand out")


@sections.register
def gates_sections(view: Gates) -> Iterator[str]:
    """Write how saturated gates are, and the numbers of every unit."""
    if not view.gates:
        yield tag("p", "a vanilla cell has no gates")
        return
    yield both(lambda width: gates_charts(view, width), "saturation of gates")
    yield table(gate_columns(view.gates, LOOK)[:-1], "gates")
    yield rows_table(view)


@sections.register
def memory_sections(view: Memory) -> Iterator[str]:
    """Write gradients and bits as curves, and half-lives."""
    yield both(lambda width: memory_charts(view, width), "memory")
    yield facts_list([(f"layer {m.layer}", memory_words(m)) for m in view.layers])
    yield table(context_columns(view, LOOK)[:-1], "bits by length of context")
    yield rows_table(view)


@sections.register
def diversity_sections(view: Diversity) -> Iterator[str]:
    """Write what repeats and what is copied, n-grams as a curve and in numbers."""
    yield facts_list(list(diversity_pairs(view, LOOK._replace(unit=view.unit))))
    yield both(lambda width: diversity_charts(view, width), "different n-grams")
    yield table(distinct_columns(view), "n-grams")


@sections.register
def comparison_sections(view: Comparison) -> Iterator[str]:
    """Write checkpoints below each other."""
    yield table(comparison_columns(view.checkpoints, LOOK), "checkpoints")
    yield tag("p", "losses in bits per character", style="faint")
