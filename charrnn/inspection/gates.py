"""The view ``gates``: how far each gate stands open, unit by unit.

A gate that is nearly always below 0.1 or above 0.9 is saturated: it has made up
its mind. A forget gate above 0.9 keeps its cell over many characters, one below
0.1 has it live in the present (Karpathy et al. 2015).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from charrnn.arrays import Floats, Ids
from charrnn.errors import SOME_TEXT, CorpusError
from charrnn.inspection import SignalName
from charrnn.inspection.activations import (
    GATE_SIGNALS,
    MEASURED,
    activations,
    check_place,
)
from charrnn.inspection.records import Cell, ViewData
from charrnn.vocab import Vocab

if TYPE_CHECKING:
    from charrnn.model import Model

#: A gate counts as closed below, and as open above.
CLOSED, OPEN = 0.1, 0.9


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


@dataclass(frozen=True)
class Gates(ViewData):
    """All gates of all layers; none for a vanilla cell, which has none."""

    columns: ClassVar[tuple[str, ...]] = (
        "layer",
        "gate",
        "unit",
        "mean",
        "below",
        "above",
    )

    characters: int
    measured: int  # how many of them, from the beginning, these are means of
    gates: tuple[Gate, ...]

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a unit of a gate."""
        for gate in self.gates:
            numbers = zip(gate.means, gate.shares_below, gate.shares_above, strict=True)
            for unit, shares in enumerate(numbers):
                yield gate.layer, gate.gate, unit, *shares


def measure_gates(
    model: "Model",
    vocab: Vocab,
    ids: Ids,
    *,
    layer: int | None = None,
    documents: bool = False,
) -> Gates:
    """Read a text and count how often every gate was open or closed.

    Parameters
    ----------
    ids : (N,) int array
        The text.
    layer : int, optional
        The layer to look at; all if not given.
    documents : bool
        Whether every line is a document, as the model was trained.

    Raises
    ------
    CorpusError
        The text is empty.
    OptionError
        There is no such layer.
    """
    config = model.config
    check_place(config, "h", layer, ())
    if not ids.size:
        msg = "the text is empty: no gate has anything to do"
        raise CorpusError(msg, hint=SOME_TEXT)
    names, read = GATE_SIGNALS[config.cell], ids[:MEASURED]
    sums = np.zeros((3, config.layers, len(names), config.hidden))
    if names:
        for part in activations(model, vocab, read, names, documents=documents):
            sums[0] += part.sum(axis=2, dtype=np.float64)
            sums[1] += (part < CLOSED).sum(axis=2)
            sums[2] += (part > OPEN).sum(axis=2)
    layers = range(config.layers) if layer is None else [layer]
    return Gates(
        characters=ids.size,
        measured=read.size,
        gates=tuple(_gates(sums / read.size, names, layers)),
    )


def _gates(
    shares: Floats, names: tuple[SignalName, ...], layers: Iterable[int]
) -> Iterator[Gate]:
    """Name the mean and the shares below and above, (3, L, G, H)."""
    for k in layers:
        for g, name in enumerate(names):
            mean, below, above = shares[:, k, g].mean(axis=1).tolist()
            of_units = map(tuple, shares[:, k, g].tolist())
            yield Gate(k, name, mean, below, above, *of_units)
