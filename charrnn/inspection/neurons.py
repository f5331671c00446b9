"""The view ``neurons``: what single units follow in a text.

Every unit is correlated (Pearson) with every feature of the text
(`charrnn.inspection.features`). Units are then picked that tell most: of each
feature the one with the strongest correlation, and the one that varies most.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Ids
from charrnn.config import UnitName
from charrnn.counting import plural
from charrnn.errors import SOME_TEXT, CorpusError
from charrnn.escapes import table_cell
from charrnn.inspection import SIGNAL_NAMES, SignalName
from charrnn.inspection.blocks import (
    STILL,
    Bars,
    Block,
    Column,
    Heading,
    Heat,
    HeatLine,
    Note,
    Scale,
    Table,
)
from charrnn.inspection.features import FEATURES, features
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.surprise import cut_lines, symbols
from charrnn.inspection.units import (
    MEASURED,
    check_place,
)
from charrnn.inspection.view import Extent, View
from charrnn.inspection.wording import number
from charrnn.pairs import input_ends

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.textmodel import TextModel

Array: TypeAlias = NDArray[np.float64]

#: A layer and a unit in it, both from 0.
Place: TypeAlias = tuple[int, int]

#: Characters that are drawn for each unit, and listed where nothing is drawn.
SHOWN, LISTED = 400, 20_000


@dataclass(frozen=True, slots=True)
class Best:
    """The unit that follows a feature most closely, or that varies most."""

    feature: str  # one of FEATURES, or "variance"
    layer: int
    unit: int
    correlation: float | None  # None for "variance"
    std: float


@dataclass(frozen=True, slots=True)
class Neuron:
    """One unit, and what it did at every character of the text that is shown."""

    layer: int
    unit: int
    follows: str  # the feature it is picked for, or correlates with most
    correlation: float | None  # with that feature
    mean: float
    std: float
    correlations: dict[str, float | None]  # None: feature or unit never changes
    values: tuple[float, ...]


@dataclass(frozen=True)
class Neurons(ViewData):
    """The units that tell most about a text.

    Correlations are about the first `measured` characters, `text` and the
    units' values about as many as were asked for.
    """

    columns = ("layer", "unit", "feature", "correlation", "position", "char", "value")

    unit: UnitName
    signal: SignalName
    characters: int
    measured: int
    best: tuple[Best, ...]  # in the order of FEATURES, then the variance
    neurons: tuple[Neuron, ...]  # the most telling first
    text: str
    #: Of pairs, the positions in `text` at which their inputs end, from 1.
    input_ends: tuple[int, ...] | None = None

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a unit and character."""
        chars = [table_cell(char, self.unit) for char in self.text]
        for n in self.neurons:
            what = n.layer, n.unit, n.follows, n.correlation
            values = zip(chars, n.values, strict=True)
            for position, (char, value) in enumerate(values, 1):
                yield *what, position, char, value


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which units are to be looked at, and by which of their signals."""

    signal: SignalName = "h"
    layer: int | None = None  # None: all of them
    units: tuple[int, ...] = ()  # given: these, of one layer, and no search
    top: int = 5  # how many the search picks
    keep: int | None = None  # characters that are shown; None is all


class Moments:
    """Means, variances and covariances of units and features, slice by slice.

    Sums of squares about the means so far are merged (Chan et al. 1983), which
    loses nothing where values are large and hardly vary.
    """

    def __init__(self, units: int, features: int) -> None:
        self.count = 0
        self.means = np.zeros(units), np.zeros(features)
        self.squares = np.zeros(units), np.zeros(features)
        self.products = np.zeros((units, features))

    def add(self, x: Array, f: Array) -> None:
        """Take in what units (T, U) did and what features (T, F) were."""
        new = len(x)
        weight = self.count * new / (self.count + new)
        shifts, centered = [], []
        for k, values in enumerate((x, f)):
            mean = values.mean(axis=0)
            apart = values - mean
            shift = mean - self.means[k]
            self.squares[k][:] += (apart**2).sum(axis=0) + shift**2 * weight
            self.means[k][:] += shift * new / (self.count + new)
            shifts.append(shift)
            centered.append(apart)
        self.products += centered[0].T @ centered[1] + np.outer(*shifts) * weight
        self.count += new

    def correlations(self) -> Array:
        """Correlate units with features, (U, F); NaN where one never changes."""
        # A unit that never changes may still differ by rounding.
        noise = 1e-24 * self.count * (1 + self.means[0] ** 2)
        squares = np.where(self.squares[0] > noise, self.squares[0], 0.0)
        scale = np.sqrt(np.outer(squares, self.squares[1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(scale > 0, self.products / scale, np.nan)

    def deviations(self) -> Array:
        """Compute the standard deviations of the units, (U,)."""
        return np.sqrt(self.squares[0] / self.count)


def measure_neurons(model: "TextModel", ids: Ids, wanted: Wanted) -> Neurons:
    """Read a text, find the units that follow something in it, and show them.

    Parameters
    ----------
    ids : (N,) int array
        The text.

    Raises
    ------
    CorpusError
        The text is empty.
    OptionError
        The model has no such signal, layer or unit.
    """
    config, vocab = model.network.config, model.vocab
    check_place(config, wanted.signal, wanted.layer, wanted.units)
    if not ids.size:
        msg = "the text is empty: no unit has anything to do"
        raise CorpusError(msg, hint=SOME_TEXT)
    layers = range(config.layers) if wanted.layer is None else [wanted.layer]
    places = [(k, u) for k in layers for u in range(config.hidden)]
    text = symbols(vocab, ids[:MEASURED])
    moments = Moments(len(places), len(FEATURES))
    followed, start = features(text), 0
    signal = (wanted.signal,)
    for part in model.signals(ids[:MEASURED], signal):
        x = np.concatenate([part[k, 0] for k in layers], axis=1).astype(np.float64)
        moments.add(x, followed[start : start + len(x)])
        start += len(x)
    best = tuple(_best(moments, places))
    picked = _picked(best, wanted, config.layers)
    shown = ids if wanted.keep is None else ids[: wanted.keep]
    drawn = symbols(vocab, shown)
    values = unit_values(model, shown, wanted.signal, list(picked))
    return Neurons(
        unit=vocab.unit,
        signal=wanted.signal,
        characters=ids.size,
        measured=len(text),
        best=best,
        neurons=tuple(_neurons(moments, places, picked, values)),
        text=drawn,
        input_ends=input_ends(drawn) if model.of_pairs else None,
    )


def unit_values(
    model: "TextModel", ids: Ids, signal: SignalName, places: Sequence[Place]
) -> Array:
    """Read a text and keep what some units did, (len(places), N)."""
    layers = np.array([k for k, _ in places], np.int64)
    units = np.array([u for _, u in places], np.int64)
    parts = [np.zeros((0, len(places)))]
    for part in model.signals(ids, (signal,)):
        by_time = part[:, 0].transpose(1, 0, 2)  # (T, L, H)
        parts.append(by_time[:, layers, units].astype(np.float64))
    return np.concatenate(parts).T


def _best(moments: Moments, places: Sequence[Place]) -> Iterator[Best]:
    """Name the unit that follows each feature most closely, the first if several do.

    A feature that never changes in the text, or that no unit changes with, has
    none.
    """
    found, stds = moments.correlations(), moments.deviations()
    strength = np.nan_to_num(np.abs(found), nan=-1.0)
    for f, name in enumerate(FEATURES):
        n = int(strength[:, f].argmax())
        if strength[n, f] >= 0:
            yield Best(name, *places[n], float(found[n, f]), float(stds[n]))
    n = int(stds.argmax())
    yield Best("variance", *places[n], None, float(stds[n]))


def _picked(
    best: Sequence[Best], wanted: Wanted, layers: int
) -> dict[Place, str | None]:
    """Choose units, each with the feature that it is there for."""
    if wanted.units:
        layer = layers - 1 if wanted.layer is None else wanted.layer
        return {(layer, unit): None for unit in wanted.units}
    picked: dict[Place, str | None] = {}
    for item in sorted(best, key=lambda item: -abs(item.correlation or 0.0)):
        picked.setdefault((item.layer, item.unit), item.feature)
    return dict(list(picked.items())[: wanted.top])


def _neurons(
    moments: Moments,
    places: Sequence[Place],
    picked: dict[Place, str | None],
    values: Array,
) -> Iterator[Neuron]:
    """Put together what is known of each picked unit."""
    found, stds = moments.correlations(), moments.deviations()
    for (place, feature), row in zip(picked.items(), values, strict=True):
        n = places.index(place)
        known = {
            name: None if math.isnan(value) else value
            for name, value in zip(FEATURES, found[n].tolist(), strict=True)
        }
        if feature is None:
            feature = max(FEATURES, key=lambda name: abs(known[name] or 0.0))
        yield Neuron(
            layer=place[0],
            unit=place[1],
            follows=feature,
            correlation=known.get(feature),
            mean=float(moments.means[0][n]),
            std=float(stds[n]),
            correlations=known,
            values=tuple(row.tolist()),
        )


class NeuronsView(View[Neurons]):
    """What units follow, then the text as each of them saw it."""

    name = "neurons"
    about = "units that follow something in the text, and what they did"
    text = "required"
    runs = "forward"
    options = ("top", "max_chars", "layer", "unit", "signal")
    page = 7
    explores = "units"

    def check(self, checkpoint: "InspectedCheckpoint") -> None:
        """Refuse signals, layers and units that the model does not have."""
        options = checkpoint.options
        model = checkpoint.file.model
        check_place(model, options.signal, options.layer, options.units)

    def compute(self, checkpoint: "InspectedCheckpoint") -> Neurons:
        """Read the text, find the units, and keep what they did."""
        options = checkpoint.options
        keep = options.limit(SHOWN if options.drawn else LISTED)
        wanted = Wanted(
            signal=options.signal,
            layer=options.layer,
            units=options.units,
            top=options.top,
            keep=keep,
        )
        found = measure_neurons(
            checkpoint.model,
            checkpoint.head(None if keep is None else max(keep, MEASURED)),
            wanted,
        )
        return replace(found, characters=checkpoint.characters)

    def blocks(self, data: Neurons) -> Iterator[Block]:
        """Show which units stand out, and, where no explorer does, what they did."""
        name = SIGNAL_NAMES.get(data.signal, data.signal)
        yield Note(f"{name}, {plural(data.measured, 'character')}", faint=False)
        yield Table(_best_columns(data), "units that stand out")
        for neuron in data.neurons:
            title = f"layer {neuron.layer}, unit {neuron.unit}"
            measures = f"mean {neuron.mean:+.3f}, deviation {neuron.std:.3f}"
            yield Heading(title, _follows(neuron), media=STILL)
            yield Note(measures, media=STILL)
            lines = list(_lines(data, neuron.values))
            yield Heat(lines, unit_scale(data, neuron), data.unit, media=STILL)

    def extent(self, data: Neurons, characters: int) -> Extent:
        """Count the characters that are shown, and those that were measured."""
        return Extent(len(data.text), measured=data.measured)


def _best_columns(data: Neurons) -> list[Column | Bars]:
    """List the unit that follows each feature most closely."""
    best = data.best
    return [
        Column("follows", [item.feature for item in best]),
        Column("layer", [f"{item.layer}" for item in best], "right"),
        Column("unit", [f"{item.unit}" for item in best], "right"),
        Column("correlation", [number(b.correlation, "+.3f") for b in best], "right"),
        Column("deviation", [f"{item.std:.3f}" for item in best], "right", 2),
        Bars([abs(item.correlation or 0.0) for item in best], 20),
    ]


def _follows(neuron: Neuron) -> str:
    """Say what a unit follows."""
    if neuron.correlation is not None:
        return f"{neuron.follows} {neuron.correlation:+.3f}"
    return "varies most" if neuron.follows == "variance" else ""


def unit_scale(data: Neurons, neuron: Neuron) -> Scale:
    """Choose a scale for a unit: around zero, but for gates from 0 to 1."""
    if data.signal not in ("h", "c"):
        return Scale(0.0, 1.0)
    most = max((abs(value) for value in neuron.values), default=0) or 1.0
    return Scale(-most, most)


def _lines(data: Neurons, values: Sequence[float]) -> Iterator[HeatLine]:
    """Cut the text into lines, with what a unit did at each character."""
    for part in cut_lines(data.text):
        line = data.text[part]
        parted = () if data.input_ends is None else input_ends(line)
        yield HeatLine("  ", line, values[part], parted)


VIEW = NeuronsView()
