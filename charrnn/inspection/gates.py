"""The view ``gates``: how far each gate stands open, unit by unit.

A gate that is nearly always below 0.1 or above 0.9 is saturated: it has made up
its mind. A forget gate above 0.9 keeps its cell over many characters, one below
0.1 has it live in the present (Karpathy et al. 2015).

Of pairs it also tells what gates do while an input is read and while its output is
written, and, character by character, around the place where the one ends.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from charrnn.arrays import Floats, Ids
from charrnn.cells import cell_of
from charrnn.counting import plural
from charrnn.errors import SOME_TEXT, CorpusError
from charrnn.inspection import SignalName
from charrnn.inspection.blocks import (
    PAGE,
    PICTURED,
    Block,
    Chart,
    Column,
    Heading,
    Note,
    Scatter,
    Series,
    Sparks,
    Table,
    Tiles,
)
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.units import (
    MEASURED,
    check_place,
)
from charrnn.inspection.view import Extent, View, listed
from charrnn.inspection.wording import number
from charrnn.pairs import offsets

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.textmodel import TextModel

#: A gate counts as closed below, and as open above.
CLOSED, OPEN = 0.1, 0.9

#: Characters on either side of the end of an input, of pairs.
AROUND = 8

#: Bars of a histogram of the units' means.
BINS = 12

#: Units named as the most open and the most closed of a gate.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate of one layer: means over the text, of all units and of each."""

    layer: int
    gate: SignalName
    mean: float
    below: float  # share of characters and units below CLOSED
    above: float  # share above OPEN
    means: tuple[float, ...]  # by unit
    shares_below: tuple[float, ...]
    shares_above: tuple[float, ...]
    reading: float | None = None  # the mean in inputs, of pairs
    writing: float | None = None  # the mean in outputs
    around: tuple[float | None, ...] | None = None  # the mean at each of the offsets


@dataclass(frozen=True)
class Gates(ViewData):
    """All gates of all layers; none for a vanilla cell, which has none."""

    columns = ("layer", "gate", "unit", "mean", "below", "above")

    characters: int
    measured: int  # how many of them, from the beginning, these are means of
    gates: tuple[Gate, ...]
    #: Of pairs, characters from the end of their inputs: 0 is the separator.
    offsets: tuple[int, ...] | None = None

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a unit of a gate."""
        for gate in self.gates:
            numbers = zip(gate.means, gate.shares_below, gate.shares_above, strict=True)
            for unit, shares in enumerate(numbers):
                yield gate.layer, gate.gate, unit, *shares


def measure_gates(
    model: "TextModel",
    ids: Ids,
    *,
    layer: int | None = None,
) -> Gates:
    """Read a text and count how often every gate was open or closed.

    Parameters
    ----------
    ids : (N,) int array
        The text.
    layer : int, optional
        The layer to look at; all if not given.

    Raises
    ------
    CorpusError
        The text is empty.
    OptionError
        There is no such layer.
    """
    config = model.network.config
    check_place(config, "h", layer, ())
    if not ids.size:
        msg = "the text is empty: no gate has anything to do"
        raise CorpusError(msg, hint=SOME_TEXT)
    names, read = cell_of(config.cell).switches, ids[:MEASURED]
    sums = np.zeros((3, config.layers, len(names), config.hidden))
    phases = _Phases(model, read, (config.layers, len(names)))
    if names:
        for part in model.signals(read, names):
            sums[0] += part.sum(axis=2, dtype=np.float64)
            sums[1] += (part < CLOSED).sum(axis=2)
            sums[2] += (part > OPEN).sum(axis=2)
            phases.add(part)
    layers = range(config.layers) if layer is None else [layer]
    gates = tuple(_gates(sums / read.size, names, layers))
    return Gates(
        characters=ids.size,
        measured=read.size,
        gates=tuple(map(phases.complete, gates, _places(layers, len(names)))),
        offsets=phases.offsets,
    )


def _places(layers: Iterable[int], gates: int) -> Iterator[tuple[int, int]]:
    """List layer and place among the layer's gates, in the order of `_gates`."""
    return ((k, g) for k in layers for g in range(gates))


class _Phases:
    """Means over inputs, over outputs, and at each place around the end of an input.

    Parameters
    ----------
    ids : (N,) int array
        The text; what is made of one that is not of pairs is nothing.
    shape : (L, G)
    """

    def __init__(self, model: "TextModel", ids: Ids, shape: tuple[int, int]) -> None:
        self.offsets = tuple(range(-AROUND, AROUND + 1)) if model.of_pairs else None
        self._from_end = offsets(ids, model.documents) if model.of_pairs else None
        self._start = 0
        self._sums = np.zeros((*shape, 2 * AROUND + 3))
        self._counts = np.zeros(2 * AROUND + 3)

    def add(self, part: Floats) -> None:
        """Take in what the gates did at the next characters, (L, G, T, H)."""
        if self._from_end is None:
            return
        here = self._from_end[self._start : self._start + part.shape[2], None]
        around = here == np.arange(-AROUND, AROUND + 1)
        member = np.concatenate([here <= 0, here > 0, around], axis=1).astype(float)
        self._sums += part.mean(axis=3, dtype=np.float64) @ member
        self._counts += member.sum(axis=0)
        self._start += part.shape[2]

    def complete(self, gate: Gate, place: tuple[int, int]) -> Gate:
        """Give a gate, whose sums stand at a place, its means."""
        if self._from_end is None:
            return gate
        pairs = zip(self._sums[place].tolist(), self._counts.tolist(), strict=True)
        means = (total / count if count else None for total, count in pairs)
        reading, writing, *around = means
        return replace(gate, reading=reading, writing=writing, around=tuple(around))


def _gates(
    shares: Floats, names: tuple[SignalName, ...], layers: Iterable[int]
) -> Iterator[Gate]:
    """Name the mean and the shares below and above, (3, L, G, H)."""
    for k in layers:
        for g, name in enumerate(names):
            mean, below, above = shares[:, k, g].mean(axis=1).tolist()
            means, closed, opened = map(tuple, shares[:, k, g].tolist())
            yield Gate(k, name, mean, below, above, means, closed, opened)


class GatesView(View[Gates]):
    """How open every gate is, and the units that are always so."""

    name = "gates"
    about = "how often every gate stood open or closed"
    text = "required"
    runs = "forward"
    options = ("layer",)
    page = 8

    def compute(self, checkpoint: "InspectedCheckpoint") -> Gates:
        """Read the text and count."""
        found = measure_gates(
            checkpoint.model,
            checkpoint.head(MEASURED),
            layer=checkpoint.options.layer,
        )
        return replace(found, characters=checkpoint.characters)

    def blocks(self, data: Gates) -> Iterator[Block]:
        """Show how saturated the gates are, and the most extreme units."""
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
        yield Table(_gate_columns(data.gates), "gates")
        yield Note(f"closed: below {CLOSED}; open: above {OPEN}")
        if data.offsets is not None:
            yield from _around(data.gates, data.offsets)
        yield Heading("units most often open and closed")
        yield Table(_extremes(data.gates), "units most often open and closed")
        yield listed(data, media=PAGE)

    def extent(self, data: Gates, characters: int) -> Extent:
        """Count the characters that were read."""
        return Extent(measured=data.measured)


def _dots(gate: Gate) -> Iterator[tuple[float, float, str]]:
    """Place every unit by how often it is open, and how often closed."""
    shares = zip(gate.shares_above, gate.shares_below, strict=True)
    for unit, (above, below) in enumerate(shares):
        yield above, below, f"unit {unit}: {above:.1%} open, {below:.1%} closed"


def _around(gates: Sequence[Gate], offsets: Sequence[int]) -> Iterator[Block]:
    """Show what gates do around the end of an input, layer by layer."""
    yield Heading("where the input ends", f"0 is the separator, {AROUND} on each side")
    for layer in dict.fromkeys(gate.layer for gate in gates):
        curves = [
            Series(f"{gate.gate}, layer {layer}", offsets, gate.around or ())
            for gate in gates
            if gate.layer == layer
        ]
        yield Chart(curves, "characters from the end of the input", "mean of the gate")


def _gate_columns(gates: Sequence[Gate]) -> list[Column | Sparks]:
    """List the gates with their means, saturation, and their units' means."""
    phases = [
        Column(name, [number(getattr(g, name), ".3f") for g in gates], "right", 1)
        for name in ("reading", "writing")
        if any(getattr(gate, name) is not None for gate in gates)
    ]
    return [
        *_name_columns(gates),
        Column("mean", [f"{gate.mean:.3f}" for gate in gates], "right"),
        *phases,
        Column("closed", [f"{gate.below:.1%}" for gate in gates], "right"),
        Column("open", [f"{gate.above:.1%}" for gate in gates], "right"),
        Sparks("units, 0 to 1", [_histogram(gate.means) for gate in gates]),
    ]


def _extremes(gates: Sequence[Gate]) -> list[Column]:
    """List the units that are most often open, and most often closed."""
    return [
        *_name_columns(gates),
        Column("open", [_most(gate.shares_above) for gate in gates], shrinks=True),
        Column("closed", [_most(gate.shares_below) for gate in gates], rank=1),
    ]


def _name_columns(gates: Sequence[Gate]) -> list[Column]:
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


VIEW = GatesView()
