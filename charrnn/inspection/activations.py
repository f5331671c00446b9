"""What the units of a network did while it read a text.

As in sampling the text stands after a newline, where the vocabulary has one,
and what belongs to a character is what the units held once they had read it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from charrnn.arrays import Floats, Ids
from charrnn.config import GATES, CellName, ModelConfig
from charrnn.errors import OptionError, field
from charrnn.inspection import SignalName
from charrnn.options import check_number
from charrnn.streams import document_starts
from charrnn.vocab import Vocab

if TYPE_CHECKING:
    from charrnn.model import Model, Workspace

#: What can be seen of each cell: h, tanh(c), and the gates between 0 and 1.
SIGNALS: dict[CellName, tuple[SignalName, ...]] = {
    "rnn": ("h",),
    "gru": ("h", "r", "u"),
    "lstm": ("h", "c", "i", "f", "o"),
}

#: The signals that open and close something.
GATE_SIGNALS: dict[CellName, tuple[SignalName, ...]] = {
    cell: tuple(name for name in names if name not in ("h", "c"))
    for cell, names in SIGNALS.items()
}

#: Characters handed to the network at a time.
SLICE = 256

#: Characters that statistics of units are made of: a few seconds.
MEASURED = 1 << 17


def check_place(
    config: ModelConfig, signal: str, layer: int | None, units: tuple[int, ...]
) -> None:
    """Raise `OptionError` unless a model has this signal, layer and these units."""
    known = SIGNALS[config.cell]
    if signal not in known:
        msg = f"{field('signal', signal)}: a cell of type {config.cell} has none"
        raise OptionError(msg, hint=f"it has {', '.join(known)}")
    if layer is not None:
        check_number(field("layer"), layer, low=0, high=config.layers - 1)
    for unit in units:
        check_number(field("unit"), unit, low=0, high=config.hidden - 1)


def activations(
    model: "Model",
    vocab: Vocab,
    ids: Ids,
    signals: tuple[SignalName, ...],
    *,
    documents: bool = False,
) -> Iterator[Floats]:
    """Read a text and yield, slice by slice, what all units did.

    Parameters
    ----------
    ids : (N,) int array
        The text.
    signals : tuple of str
        S of those in `SIGNALS`.
    documents : bool
        Whether every line is a document, as the model was trained.

    Yields
    ------
    (L, S, T, H) float array
        Of the next T characters; the caller's to keep.
    """
    newline, state = vocab.newline_id, model.new_state(1)
    starts = newline if documents else None
    if newline is not None:
        lead = np.full((1, 1), newline, np.int32)
        model.forward(lead, document_starts(lead, starts), state, training=False)
    for a in range(0, ids.size, SLICE):
        part = ids[a : a + SLICE, None]
        resets = document_starts(part, starts)
        space = model.forward(part, resets, state, training=False)
        yield _signals(model, space, signals)


def _signals(
    model: "Model", space: "Workspace", signals: tuple[SignalName, ...]
) -> Floats:
    """Copy the signals of a window of one row out of its tapes, (L, S, T, H)."""
    hidden, gates = model.config.hidden, GATES[model.config.cell]
    layers = []
    for tape in space.tapes:
        found = []
        for name in signals:
            if name == "h":
                found.append(tape.states[0, 1:, 0])
            elif name == "c":
                found.append(tape.tanh_c[:, 0])
            else:
                first = gates.index(name) * hidden
                found.append(tape.z[:, 0, first : first + hidden])
        layers.append(np.stack(found))
    return np.stack(layers)
