"""What a page needs for walking through a text, character by character.

The numbers are those of the views: bits of ``surprise``, guesses of ``next``
and activations of ``neurons``, the last for all units at once. So many are
rounded to steps that fit a byte; a step is a power of ten, so that what the
page shows is the view's number rounded to so many decimals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids
from charrnn.cells import cell_of
from charrnn.config import UnitName
from charrnn.errors import SOME_TEXT, CorpusError
from charrnn.inspection import SignalName
from charrnn.inspection.neurons import Best, Neurons
from charrnn.inspection.predictions import Position, predict
from charrnn.inspection.records import ViewData
from charrnn.inspection.surprise import Surprise, symbols
from charrnn.inspection.view import SHOWN

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.textmodel import TextModel

#: Characters at most: each is an element of the page.
MOST_CHARACTERS = 20_000

#: Activations at most, a byte each: the page then has about 5 MB.
MOST_VALUES = 1 << 22

#: Finest step: 0.01, so that what lies between -1 and 1 fits a byte.
FINEST = -2


@dataclass(frozen=True)
class Units:
    """What all units of a layer did at every character, in one signal."""

    layer: int
    signal: SignalName
    step: int  # power of ten that a value's unit stands for
    values: NDArray[np.int8]  # (H, N)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be explored; the views that were asked for say it."""

    guesses: int = 0  # how many at each character
    signals: tuple[SignalName, ...] = ()
    layers: tuple[int, ...] = ()
    keep: int | None = None  # characters at most


@dataclass(frozen=True)
class Exploration:
    """A text with what is known of each of its characters."""

    unit: UnitName
    characters: int  # of the whole text
    text: str  # its beginning
    bits: tuple[float | None, ...] | None
    guesses: tuple[Position, ...]
    hidden: int
    units: tuple[Units, ...]
    best: tuple[Best, ...]  # by the signal below
    signal: SignalName
    start: tuple[int, int]  # the layer and unit to look at first
    #: Of pairs, which characters are scored; the others were only read.
    scored: tuple[bool, ...] | None = None


def explore_views(
    checkpoint: "InspectedCheckpoint", found: Mapping[str, ViewData]
) -> Exploration | None:
    """Explore a text as far as the views that were made of it ask for.

    Parameters
    ----------
    found : mapping of str to ViewData
        The data of views, by what they say that they `explores`.

    Returns
    -------
    Exploration or None
        None if no view is about single characters of a text.
    """
    options, config = checkpoint.options, checkpoint.file.model
    bits, units = found.get("bits"), found.get("units")
    if not (found and checkpoint.characters):
        return None
    one = None if options.signal == "h" else options.signal
    layers = range(config.layers) if options.layer is None else [options.layer]
    wish = Wish(
        guesses=options.top if "guesses" in found else 0,
        signals=((one,) if one else cell_of(config.cell).signals) if units else (),
        layers=tuple(layers) if units else (),
        keep=options.limit(SHOWN),
    )
    explored = explore(
        checkpoint.predictor,
        checkpoint.head(room_for(wish, config.hidden)),
        wish,
        surprise=bits if isinstance(bits, Surprise) else None,
        neurons=units if isinstance(units, Neurons) else None,
    )
    return replace(explored, characters=checkpoint.characters)


def room_for(wish: Wish, hidden: int) -> int:
    """Tell of how many characters a page can hold what is wished for."""
    values = len(wish.signals) * len(wish.layers) * hidden
    room = min(MOST_CHARACTERS, MOST_VALUES // values if values else MOST_CHARACTERS)
    return max(1, room if wish.keep is None else min(room, wish.keep))


def explore(
    model: "TextModel",
    ids: Ids,
    wish: Wish,
    *,
    surprise: Surprise | None = None,
    neurons: Neurons | None = None,
) -> Exploration:
    """Read the beginning of a text and keep what was wished for.

    Parameters
    ----------
    ids : (N,) int array
        The text.
    surprise : Surprise, optional
        The view of the same text, with as many characters at least.
    neurons : Neurons, optional
        The view, which says which units tell most.

    Raises
    ------
    CorpusError
        The text is empty.
    """
    if not ids.size:
        msg = "the text is empty: nothing to explore"
        raise CorpusError(msg, hint=SOME_TEXT)
    hidden = model.network.config.hidden
    read = ids[: room_for(wish, hidden)]
    first = neurons.neurons[0] if neurons and neurons.neurons else None
    guesses: tuple[Position, ...] = ()
    if wish.guesses:
        found = predict(model, read, top=wish.guesses)
        guesses = found.positions
    return Exploration(
        unit=model.vocab.unit,
        characters=ids.size,
        text=symbols(model.vocab, read),
        bits=surprise.char_bits[: read.size] if surprise else None,
        guesses=guesses,
        hidden=hidden,
        units=_units(model, read, wish) if wish.signals else (),
        best=neurons.best if neurons else (),
        signal=neurons.signal if neurons else "h",
        start=(first.layer, first.unit) if first else (0, 0),
        scored=tuple(model.documents.scored(read).tolist()) if model.of_pairs else None,
    )


def _units(model: "TextModel", ids: Ids, wish: Wish) -> tuple[Units, ...]:
    """Round what all units did, signal by signal."""
    parts = model.signals(ids, wish.signals)
    layers = list(wish.layers)
    values = np.concatenate([part[layers] for part in parts], axis=2)
    return tuple(
        Units(layer, signal, *_rounded(values[k, s].T))
        for k, layer in enumerate(layers)
        for s, signal in enumerate(wish.signals)
    )


def _rounded(values: Floats) -> tuple[int, NDArray[np.int8]]:
    """Round values to the finest power of ten of which each has at most 127."""
    # Without a limit a network that overflows would have no step.
    exact = np.nan_to_num(values.astype(np.float64), posinf=1e38, neginf=-1e38)
    most = float(np.abs(exact).max())
    step = FINEST
    while np.rint(_steps(most, step)) > np.iinfo(np.int8).max:
        step += 1
    return step, np.rint(_steps(exact, step)).astype(np.int8)


def _steps(values: "NDArray[np.float64] | float", step: int) -> NDArray[np.float64]:
    """Count steps in values, without rounding twice: powers above 1 are exact."""
    return np.asarray(values / 10.0**step if step > 0 else values * 10.0**-step)
