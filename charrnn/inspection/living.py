"""A network as a page holds it, which runs it in a browser: facts and weights.

Weights are stored as float32, as float16 or as int8, matrices alone: vectors are few,
and stay float32. Of int8 every row has a scale of its own, so that its largest number
becomes 127. Batch normalization is folded into a gain and a shift a unit, as
generating has it.

The page runs the network alone. What a memory adds is not in it.
"""

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn import parameters
from charrnn.arrays import Floats, Ids
from charrnn.cells import cell_of
from charrnn.config import SampleConfig
from charrnn.errors import OptionError, field
from charrnn.inspection import LivePrecision
from charrnn.kernels.normalization import EPS
from charrnn.network import Network
from charrnn.vocab import Vocab

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.textmodel import TextModel

#: Characters of the text that a page opens with, at most.
MOST_CHARACTERS = 20_000

#: Characters that say what rounding costs, at most.
COMPARED = 20_000

#: Characters that say too little, so that the text in the checkpoint is read instead.
FEW = 1_000

#: Characters that a model writes for that where it has no text at all.
WRITTEN = 2_000

#: Cells that the page's program knows.
CELLS = ("rnn", "gru", "lstm")

#: The largest number of an int8.
LARGEST = 127

#: Bytes at whose multiples arrays begin.
ALIGNED = 4


class Stored(NamedTuple):
    """One array as bytes, and the numbers that the page makes of them."""

    kind: LivePrecision
    data: bytes
    values: Floats


@dataclass(frozen=True)
class Agreement:
    """What storing weights with fewer bits costs, in bits per character."""

    characters: int
    of: Literal["text", "memory", "sample"]  # the text that says so
    exact: float
    rounded: float


@dataclass(frozen=True)
class Living:
    """What a page holds of a model."""

    facts: dict[str, Any]
    weights: str  # all arrays, in base64
    vocab: Vocab
    text: str  # what the page opens with, in symbols
    precision: LivePrecision
    agreement: Agreement | None  # None for float32, which costs nothing
    parameters: int
    remembers: bool  # whether the model has a memory, which the page has not


def bring_to_life(
    checkpoint: "InspectedCheckpoint", precision: LivePrecision
) -> Living:
    """Make of a checkpoint what its page holds.

    Parameters
    ----------
    checkpoint : InspectedCheckpoint
        With the text that the page opens with, if it has one.
    precision : {"float32", "float16", "int8"}
        How the numbers of matrices are stored.

    Raises
    ------
    OptionError
        The program of the page does not know the model's cell.
    """
    cell = checkpoint.file.model.cell
    if cell not in CELLS:
        msg = f"{field('live')} has no program for the cell {cell}"
        hint = f"it has one for {', '.join(CELLS)}"
        raise OptionError(msg, where=str(checkpoint.file.path), hint=hint)
    options, model = checkpoint.options, checkpoint.model
    ids = np.zeros(0, np.int32)
    if options.text is not None:
        room = options.limit(MOST_CHARACTERS)
        keep = MOST_CHARACTERS if room is None else min(room, MOST_CHARACTERS)
        ids = checkpoint.head(keep)
    stored = {name: store(values, precision) for name, values in tensors(model).items()}
    agreement = None
    if precision != "float32":
        agreement = _agreement(checkpoint, rounded(model, stored), ids)
    places, data = _joined(stored)
    return Living(
        facts=facts(model, places),
        weights=base64.b64encode(data).decode(),
        vocab=model.vocab,
        text=model.vocab.decode(ids),
        precision=precision,
        agreement=agreement,
        parameters=model.network.theta.size,
        remembers=checkpoint.file.memory is not None,
    )


def tensors(model: "TextModel") -> dict[str, Floats]:
    """List the arrays that a page needs, normalization as generating applies it."""
    network = model.network
    found = dict(network.weights)
    if network.config.norm == "batch":
        _, gain, shift = network.norm.inference()
        for k in range(network.config.layers):
            found |= {f"layer{k}.gain": gain[k], f"layer{k}.shift": shift[k]}
    return found


def store(values: Floats, precision: LivePrecision) -> Stored:
    """Turn an array into bytes; a vector stays float32.

    What is too large for float16 becomes the largest number that it has.
    """
    values = np.ascontiguousarray(values, "<f4")
    if values.ndim == 1 or precision == "float32":
        return Stored("float32", values.tobytes(), values)
    if precision == "float16":
        most = float(np.finfo(np.float16).max)
        halves = np.clip(values, -most, most).astype("<f2")
        return Stored("float16", halves.tobytes(), halves.astype(np.float32))
    scales = (np.abs(values).max(axis=1) / LARGEST).astype("<f4")
    steps = np.where(scales > 0, scales, 1)[:, None]
    whole = np.rint(values / steps).astype(np.int8)
    data = _padded(whole.tobytes()) + scales.tobytes()
    return Stored("int8", data, whole * scales[:, None])


def rounded(model: "TextModel", stored: dict[str, Stored]) -> "TextModel":
    """Give the model as its page will have it."""
    given = model.network
    network = Network(given.config, dtype=given.dtype, threads=given.threads)
    matrices = {p.name for p in parameters.table(given.config) if p.decays}
    network.load(
        {
            name: stored[name].values if name in matrices else values
            for name, values in given.tensors.items()
        }
    )
    return replace(model, network=network)


def facts(model: "TextModel", places: list[dict[str, Any]]) -> dict[str, Any]:
    """Say what the page's program has to know, as `weights.js` names it."""
    config, documents = model.network.config, model.documents
    cell = cell_of(config.cell)
    opening = model.opening()
    if opening is not None:
        with np.errstate(divide="ignore"):  # a character never seen: never drawn
            logits = np.log(opening)
        opening = np.maximum(logits, np.finfo(np.float32).min)
    return {
        "symbols": model.vocab.symbols,
        "unit": model.vocab.unit,
        "cell": config.cell,
        "gates": cell.gates,
        "states": cell.states,
        "hidden": config.hidden,
        "layers": config.layers,
        "vocab": config.vocab_size,
        "norm": "affine" if config.norm == "batch" else config.norm,
        "activation": config.activation,
        "lags": config.lags,
        "eps": EPS,
        "before": documents.before,
        "start": documents.start,
        "separator": documents.separator,
        "opening": None if opening is None else opening.tolist(),
        "tensors": places,
    }


def _joined(stored: dict[str, Stored]) -> tuple[list[dict[str, Any]], bytes]:
    """Put all arrays one behind the other, and say where each is."""
    places, data = [], bytearray()
    for name, one in stored.items():
        shape = list(one.values.shape)
        place = {"name": name, "shape": shape, "kind": one.kind, "offset": len(data)}
        places.append(place)
        data += _padded(one.data)
    return places, bytes(data)


def _padded(data: bytes) -> bytes:
    """Fill bytes up, so that what follows begins where it may."""
    return data + bytes(-len(data) % ALIGNED)


def _agreement(
    checkpoint: "InspectedCheckpoint", rounded_model: "TextModel", ids: Ids
) -> Agreement:
    """Compare the model with its page's weights on a text."""
    model = checkpoint.model
    of: Literal["text", "memory", "sample"] = "text"
    found: NDArray[Any] = ids
    if ids.size < FEW and checkpoint.file.memory is not None:
        remembered = checkpoint.file.read_memory()
        if remembered is not None:
            of, found = "memory", remembered.ids
    if found.size < 2:
        of = "sample"
        config = SampleConfig(length=WRITTEN, seed=0, temperature=1.0)
        found = _written(model, config)
    compared = found[:COMPARED].astype(np.int32)
    exact, other = (one.mean_loss(compared) for one in (model, rounded_model))
    return Agreement(compared.size, of, exact / np.log(2), other / np.log(2))


def _written(model: "TextModel", config: SampleConfig) -> Ids:
    """Let a model write a text, as ids."""
    from charrnn.generation import begin

    pieces = begin(model, [np.zeros(0, np.int32)], config, scored=False).pieces()
    text = "".join(piece.text for piece in pieces)
    return model.vocab.look_up(np.array([ord(symbol) for symbol in text], np.uint32))
