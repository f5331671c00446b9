"""What the units of a network did while it read a text.

As in sampling the text stands after a newline, where the vocabulary has one,
and what belongs to a character is what the units held once they had read it.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from charrnn.arrays import Floats, Ids
from charrnn.cells import cell_of
from charrnn.config import ModelConfig, check_number
from charrnn.errors import OptionError
from charrnn.inspection import SignalName
from charrnn.windows import Window

if TYPE_CHECKING:
    from charrnn.stack import Passed
    from charrnn.textmodel import TextModel

#: Characters whose signals are handed on at a time.
SLICE = 256

#: Characters that statistics of units are made of: a few seconds.
MEASURED = 1 << 17


def check_place(
    config: ModelConfig, signal: str, layer: int | None, units: tuple[int, ...]
) -> None:
    """Raise `OptionError` unless a model has this signal, layer and these units."""
    known = cell_of(config.cell).signals
    if signal not in known:
        msg = f"--signal {signal}: a cell of type {config.cell} has none"
        raise OptionError(msg, hint=f"it has {', '.join(known)}")
    if layer is not None:
        check_number("--layer", layer, low=0, high=config.layers - 1)
    for unit in units:
        check_number("--unit", unit, low=0, high=config.hidden - 1)


def activations(
    model: "TextModel", ids: Ids, signals: tuple[SignalName, ...]
) -> Iterator[Floats]:
    """Read a text and yield, slice by slice, what all units did.

    Parameters
    ----------
    ids : (N,) int array
        The text.
    signals : tuple of str
        Some of the signals that the cell's record names, S of them.

    Yields
    ------
    (L, S, T, H) float array
        The signals of the next T characters; the caller's to keep.
    """
    state = model.network.new_state(1)
    # What the network did with the newline before the text belongs to no character.
    skipped, rest = int(model.documents.before is not None), None
    windows = model.read([ids], ahead=True)
    for window in (part for whole in windows for part in _documents(whole)):
        passed = model.network.forward(window, state)
        found = _signals(model, passed, signals)[:, :, skipped:]
        skipped = 0
        rest = found if rest is None else np.concatenate([rest, found], axis=2)
        while rest.shape[2] >= SLICE:
            yield rest[:, :, :SLICE]
            rest = rest[:, :, SLICE:]
    if rest is not None and rest.shape[2]:
        yield rest


def _documents(window: Window) -> Iterator[Window]:
    """Cut a window where documents begin.

    A state that is cleared is cleared in its place on the tape, where it was that of
    the character before: within one window, that character would seem to hold zeros.
    """
    begins = [0, *(np.flatnonzero(window.resets[1:, 0]) + 1), len(window.inputs)]
    for first, last in pairwise(begins):
        yield window.steps(first, last)


def _signals(
    model: "TextModel", passed: "Passed", signals: tuple[SignalName, ...]
) -> Floats:
    """Copy the signals of a window of one row out of its tapes, (L, S, T, H)."""
    config = model.network.config
    cell, hidden = cell_of(config.cell), config.hidden
    fields = {signal.name: signal.field for signal in cell.shown}
    layers = []
    for tape in passed.tapes:
        found = []
        for name in signals:
            if name == "h":
                found.append(tape.states[0, 1:, 0])
            elif name in fields:
                found.append(getattr(tape, fields[name])[:, 0])
            else:
                first = cell.gates.index(name) * hidden
                found.append(tape.z[:, 0, first : first + hidden])
        layers.append(np.stack(found))
    return np.stack(layers)
