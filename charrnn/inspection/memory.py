"""The view ``memory``: how far back a network remembers.

Two measures, both against the number of characters gone back:

* the norm of dL_t/dh_{t-k}, the gradient of one character's loss with respect
  to what a layer held k characters earlier. Where it vanishes nothing can be
  learned over that distance (Hochreiter 1991, Bengio et al. 1994);
* the bits that a character costs when only the last n characters were read,
  from a state of zeros.

The gradient is that of the cells' own backward kernels, put in at one step and
carried back one step at a time. It counts every path: through the layer's own
recurrence and through the layers above.

Of pairs both are about characters of outputs, and no state is older than its pair: so
it is told in how many of the places a state so far back has read but the input.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import IGNORED, Floats, Ids
from charrnn.counting import plural
from charrnn.errors import SOME_TEXT, CheckpointError, CorpusError
from charrnn.inspection import MAX_LAG
from charrnn.inspection.blocks import (
    PAGE,
    PICTURED,
    STILL,
    TERMINAL,
    Bars,
    Block,
    Chart,
    Column,
    Facts,
    Heading,
    Note,
    Series,
    Table,
)
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.view import Extent, View, listed
from charrnn.pairs import offsets
from charrnn.windows import Documents, Window

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.network import Network
    from charrnn.stack import Passed

Array: TypeAlias = NDArray[np.float64]

#: Characters read before the first lag, so that the state is one of the text.
WARM_UP = 64

#: Characters of the text whose loss is followed back.
GRADIENTS = 256

#: Characters read side by side at most, and how many numbers of one layer's
#: gates a window may hold: 64 MB, however large the model is.
ROWS, ROOM = 64, 1 << 24

#: Characters that are scored after every length of context.
SCORED = 2048

LN2 = math.log(2)

#: Characters of a long text that places are taken from.
REMEMBERED = 1 << 20

#: Cells of the longest bar.
BAR = 24


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """How the gradient of a character's loss fades on its way back in one layer."""

    layer: int
    norms: tuple[float, ...]  # of dL_t/dh_{t-k} for k = 0, 1, ..., the mean over t
    decay: float | None  # factor per character: a line through log norms, k >= 1
    half_life: float | None  # k - 1 at half the norm at k = 1; None: not reached


@dataclass(frozen=True, slots=True)
class ContextBits:
    """What characters cost after so many characters of context."""

    characters: int
    bits_per_char: float


@dataclass(frozen=True)
class Memory(ViewData):
    """Gradients by lag of each layer, and losses by length of context."""

    columns = ("measure", "layer", "lag", "value")

    characters: int
    max_lag: int
    gradients: int  # how many characters' losses were followed back
    scored: int  # how many were scored after every length of context
    layers: tuple[LayerMemory, ...]
    contexts: tuple[ContextBits, ...]  # the shortest first
    #: Of pairs, by lag: the share of the places where the input, and nothing of the
    #: output, had been read so many characters earlier.
    in_input: tuple[float, ...] | None = None

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a number: ``gradient`` by lag, ``bits`` by context."""
        for item in self.layers:
            for lag, norm in enumerate(item.norms):
                yield "gradient", item.layer, lag, norm
        for context in self.contexts:
            yield "bits", None, context.characters, context.bits_per_char


@dataclass(frozen=True)
class Places:
    """Characters of a text with what was read before them.

    Parameters
    ----------
    ids : (N,) int array
        The text.
    documents : Documents
        How texts and documents begin.
    """

    ids: Ids
    documents: Documents = Documents(before=0, stand_in=0)  # noqa: RUF009 - frozen

    @cached_property
    def scored(self) -> NDArray[np.int64]:
        """The places of outputs, in a text of pairs."""
        return np.flatnonzero(self.documents.scored(self.ids))

    @property
    def of_pairs(self) -> bool:
        """Whether only some places are scored."""
        return self.documents.separator is not None

    def limits(self, lag: int) -> tuple[int, int]:
        """Shorten a lag and a length of context to what the text has room for.

        Of pairs the longest one has: from its last character back to the newline
        before it, after which nothing is known.
        """
        if not self.of_pairs:
            lag = min(lag, len(self.ids) // 2)
            return lag, lag
        ends = np.flatnonzero(self.ids == self.documents.start)
        longest = int(np.diff(ends, prepend=-1, append=len(self.ids)).max())
        return min(lag, longest - 1), min(lag, longest)

    def pick(self, count: int, lag: int) -> NDArray[np.int64]:
        """Spread places over the text, each at least `lag` characters into it.

        Of pairs, over the outputs, however near to the beginning.
        """
        if self.of_pairs:
            count = min(count, len(self.scored))
            chosen = np.linspace(0, len(self.scored) - 1, count).round()
            return self.scored[chosen.astype(np.int64)]
        last = len(self.ids) - 1
        count = min(count, last - lag + 1)
        return np.linspace(lag, last, count).round().astype(np.int64)

    def parts(
        self, network: "Network", places: NDArray[np.int64], T: int
    ) -> list[NDArray[np.int64]]:
        """Cut places into groups whose windows of T steps have room."""
        gates = len(network.stack.cell.gates) * network.config.hidden
        rows = max(1, min(ROWS, ROOM // (T * gates)))
        return np.array_split(places, -(-len(places) // rows))

    def in_input(self, places: NDArray[np.int64], max_lag: int) -> tuple[float, ...]:
        """Tell in which share of the places a state so far back knew inputs alone."""
        ends, lags = offsets(self.ids, self.documents), np.arange(max_lag + 1)
        starts = np.flatnonzero(self.ids == self.documents.start) + 1
        first = np.append(0, starts)[np.searchsorted(starts, places, side="right")]
        read = places[:, None] - 1 - lags  # what was read last, (n, max_lag + 1)
        inside = (read >= first[:, None]) & (ends.take(read, mode="clip") <= 0)
        return tuple(inside.mean(axis=0).tolist())

    def window(self, places: NDArray[np.int64], T: int) -> Window:
        """Read T characters up to each of B places, the last targets (T, B)."""
        return self.documents.window(self.ids, places + np.arange(1 - T, 1)[:, None])


def measure_memory(
    network: "Network",
    places: Places,
    *,
    max_lag: int = MAX_LAG,
    layer: int | None = None,
) -> Memory:
    """Follow gradients back through a text, and shorten its context.

    Parameters
    ----------
    places : Places
        The text. One shorter than twice `max_lag` lowers it.
    layer : int, optional
        The layer to look at; all if not given.

    Raises
    ------
    CorpusError
        The text is empty.
    CheckpointError
        The weights are so large that gradients or losses overflow.
    """
    count = len(places.ids)
    if not count or (places.of_pairs and not len(places.scored)):
        msg = "the text is empty: nothing to remember"
        raise CorpusError(msg, hint=SOME_TEXT)
    max_lag, longest = places.limits(max_lag)
    scored = places.pick(SCORED, max_lag)
    with np.errstate(all="ignore"):
        norms = gradient_norms(network, places, max_lag)
        lengths = _lengths(longest)
        bits = [bits_after(network, places, scored, n) for n in lengths]
    if not (np.isfinite(norms).all() and np.isfinite(bits).all()):
        msg = "the weights are so large that gradients overflow"
        raise CheckpointError(
            msg, hint="its training diverged; the other views show it"
        )
    layers = range(len(norms)) if layer is None else [layer]
    return Memory(
        characters=count,
        max_lag=max_lag,
        gradients=norms.shape[2],
        scored=len(scored),
        layers=tuple(_faded(k, norms[k].mean(axis=1)) for k in layers),
        contexts=tuple(map(ContextBits, lengths, bits)),
        in_input=places.in_input(places.pick(GRADIENTS, max_lag), max_lag)
        if places.of_pairs
        else None,
    )


def gradient_by_lag(
    network: "Network",
    ids: Ids,
    lags: int | Sequence[int] = MAX_LAG,
    *,
    layer: int = -1,
    samples: int = GRADIENTS,
) -> Array:
    """Mean norm of dL_t/dh_{t-k} over places of a text, for any network.

    Needs no checkpoint: a network whose parameters have just been drawn will do.

    Parameters
    ----------
    ids : (N,) int array
        A text in the network's vocabulary, longer than the largest lag.
    lags : int or sequence of int
        Which k; of a number all from 0 to it.
    layer : int
        Whose state h is; the last one's if not given.
    samples : int
        Over how many t the mean is taken.

    Returns
    -------
    (len(lags),) float array
    """
    wanted = list(range(lags + 1)) if isinstance(lags, int) else list(lags)
    norms = gradient_norms(network, Places(ids), max(wanted), samples)
    return norms[layer].mean(axis=1)[wanted]


def gradient_norms(
    network: "Network", places: Places, max_lag: int, samples: int = GRADIENTS
) -> Array:
    """Norm of dL_t/dh_{t-k} at every layer, for many t.

    Parameters
    ----------
    max_lag : int
        The largest k.
    samples : int
        How many t, spread over the text.

    Returns
    -------
    (L, max_lag + 1, S) float array
        S is `samples`, or as many as the text has room for.

    Raises
    ------
    ValueError
        The text is not longer than `max_lag`.
    """
    if len(places.ids) <= max_lag:
        msg = f"a text of {plural(len(places.ids), 'character')} has no lag {max_lag}"
        raise ValueError(msg)
    chosen, T = places.pick(samples, max_lag), WARM_UP + max_lag + 1
    parts = [
        _followed(network, places.window(rows, T), max_lag)
        for rows in places.parts(network, chosen, T)
    ]
    return np.concatenate(parts, axis=2)


def _followed(network: "Network", window: Window, max_lag: int) -> Array:
    """Follow the gradient of a window's last losses back; (L, max_lag + 1, B)."""
    T, B = window.inputs.shape
    passed = network.forward(window, network.new_state(B))
    norms = np.zeros((network.config.layers, max_lag + 1, B))
    scale = np.ones(B)
    dy = network.loss_gradient(passed.y[-B:], window.targets[-1])
    lag = 0

    def note(k: int, dh: Floats) -> None:
        """Measure the gradient of what layer k held at this lag."""
        # The gradient of h at a step is the sum of two: dh comes from the layer
        # above at this step, dstates from this layer at the next step.
        later = 0 if lag == 0 else passed.tapes[k].dstates[0]
        norms[k, lag] = np.linalg.norm((dh[0] + later).astype(float), axis=1)

    for lag in range(max_lag + 1):
        step = T - 1 - lag
        network.backward(passed, range(step, step + 1), dy, note)
        norms[:, lag] *= scale
        scale *= _rescaled(passed)
        dy = np.zeros_like(dy)
    return norms


def _rescaled(passed: "Passed") -> Array:
    """Bring the gradients of each row near 1, by a power of two; (B,) powers.

    All that follows is linear in them, so that nothing is rounded, and what
    vanishes or explodes does not leave the range of a float32.
    """
    states = passed.on_their_way
    largest = np.max([np.abs(d).max(axis=(0, 2)) for d in states], axis=0)
    _, exponents = np.frexp(np.where(np.isfinite(largest), largest, 1.0))
    for d in states:
        d *= np.ldexp(1.0, -exponents)[:, None].astype(d.dtype)
    powers: Any = np.ldexp(1.0, exponents)
    return powers


def _faded(layer: int, norms: Array) -> LayerMemory:
    """Describe how the norms of one layer fall."""
    return LayerMemory(layer, tuple(norms.tolist()), _decay(norms), _half_life(norms))


def _decay(norms: Array) -> float | None:
    """Fit the factor by which the norm changes from one lag to the next."""
    known = np.flatnonzero((norms > 0) & np.isfinite(norms))
    known = known[known >= 1]
    if len(known) < 2:
        return None
    slope = np.polyfit(known, np.log(norms[known]), 1)[0]
    return float(np.exp(slope))


def _half_life(norms: Array) -> float | None:
    """Find how many lags after the first the norm is half of what it is there."""
    if len(norms) < 3 or not norms[1] > 0:
        return None
    half = norms[1] / 2
    below = np.flatnonzero(norms[1:] <= half)
    if not below.size:
        return None
    k = int(below[0]) + 1
    if not norms[k] > 0:
        return float(k - 1)
    # Between two lags it falls by a constant factor.
    part = math.log(norms[k - 1] / half) / math.log(norms[k - 1] / norms[k])
    return k - 2 + part


def _lengths(max_lag: int) -> list[int]:
    """Lengths of context: powers of two, and the largest lag."""
    powers = [2**n for n in range(max(1, max_lag).bit_length())]
    return sorted({*powers, max(1, max_lag)})


def bits_after(
    network: "Network", places: Places, scored: NDArray[np.int64], context: int
) -> float:
    """Mean bits of characters after `context` characters, from a state of zeros."""
    nats = 0.0
    for rows in places.parts(network, scored, context):
        window = places.window(rows, context)
        window.targets[:-1] = IGNORED
        nats += float(network.losses(window, network.new_state(len(rows))).sum())
    return nats / len(scored) / LN2


class MemoryView(View[Memory]):
    """Gradients by lag, then losses by length of context."""

    name = "memory"
    about = "how far back gradients reach, and how much context helps"
    text = "required"
    runs = "backward"
    options = ("layer", "max_lag")
    page = 9

    def compute(self, checkpoint: "InspectedCheckpoint") -> Memory:
        """Follow gradients back, and score characters by their context."""
        model, options = checkpoint.model, checkpoint.options
        places = Places(checkpoint.head(REMEMBERED), model.documents)
        return measure_memory(
            model.network, places, max_lag=options.max_lag, layer=options.layer
        )

    def blocks(self, data: Memory) -> Iterator[Block]:
        """Show both measures, each as a curve and in numbers."""
        yield Heading("gradient of a loss, by lag")
        yield Facts([(f"layer {item.layer}", _fading(item)) for item in data.layers])
        norms = [
            Series(f"layer {item.layer}", range(len(item.norms)), item.norms)
            for item in data.layers
        ]
        axes = "characters back", "norm of the gradient, dL(t)/dh(t-k)"
        yield Chart(norms, *axes, log_y=True)
        scale = f"logarithm of the norm, lag 0 to {data.max_lag}"
        yield Note(scale, media=TERMINAL)
        yield Table(_lags(data), "gradient by lag", media=STILL)
        yield Note(f"norm of dL_t/dh_(t-lag), {data.gradients} places", media=STILL)
        if data.in_input is not None:
            yield Note("in the input: how often so far back nothing else was read")
            curve = Series("in the input", range(len(data.in_input)), data.in_input)
            share = "share of the places where the state had read inputs alone"
            yield Chart([curve], axes[0], share, media=PICTURED)
        yield Heading("loss, by length of context")
        lengths = [item.characters for item in data.contexts]
        bits = [item.bits_per_char for item in data.contexts]
        curve = Series("bits per character", lengths, bits)
        axes = "characters of context", curve.name
        yield Chart([curve], *axes, log_x=True, media=PICTURED)
        yield Table(_contexts(data), "bits by length of context")
        yield Note(f"means over {plural(data.scored, 'character')}")
        yield listed(data, media=PAGE)

    def extent(self, data: Memory, characters: int) -> Extent:
        """Count the characters that places were taken from."""
        return Extent(measured=data.characters)


def _fading(item: LayerMemory) -> str:
    """Say in words how a layer's gradient fades."""
    if item.decay is None:
        return "nothing to follow back"
    words = f"times {item.decay:.4g} a character"
    if item.half_life is not None:
        return f"{words}, half after {item.half_life:.3g}"
    return f"{words}, never down to half"


def shown_lags(most: int) -> list[int]:
    """Choose lags for a table: 0, 1, 2, 5, 10, 20, 50 and so on, and the last."""
    steps = [m * 10**e for e in range(9) for m in (1, 2, 5)]
    return [0, *(step for step in steps if step < most), *([most] if most else [])]


def _lags(data: Memory) -> list[Column]:
    """List norms by lag, a column a layer."""
    lags = shown_lags(data.max_lag)
    columns = [Column("lag", [f"{lag}" for lag in lags], "right")]
    for rank, item in enumerate(data.layers):
        norms = [f"{item.norms[lag]:.3g}" for lag in lags]
        columns.append(Column(f"layer {item.layer}", norms, "right", rank))
    if data.in_input is not None:
        shares = [f"{data.in_input[lag]:.0%}" for lag in lags]
        columns.append(Column("in the input", shares, "right"))
    return columns


def _contexts(data: Memory) -> list[Column | Bars]:
    """List losses by length of context, as numbers and as bars."""
    contexts = data.contexts
    most = max(c.bits_per_char for c in contexts) or 1.0
    return [
        Column("context", [f"{c.characters:,}" for c in contexts], "right"),
        Column("bits/char", [f"{c.bits_per_char:.3f}" for c in contexts], "right"),
        Bars([c.bits_per_char / most for c in contexts], BAR),
    ]


VIEW = MemoryView()
