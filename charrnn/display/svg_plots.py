"""The charts of single views, as wide as a drawing or a page has room."""

from collections.abc import Iterator

from charrnn.display.svg import GAP, Figure, tiled
from charrnn.display.svg_charts import Series, histogram, line_chart, scatter
from charrnn.display.views import tensor_title
from charrnn.inspection.diversity import Distinct, Diversity
from charrnn.inspection.gates import CLOSED, OPEN, Gate, Gates
from charrnn.inspection.history import History
from charrnn.inspection.memory import Memory
from charrnn.inspection.weights import Distribution, Weights

#: Pixels in which two charts have no room beside each other.
NARROW = 480


def share_of(width: int, count: int) -> int:
    """Tell how wide a chart is of which `count` stand in a row."""
    return (width - (count - 1) * GAP) // count if width > NARROW else width


def history_charts(view: History, width: int) -> Iterator[Figure]:
    """Draw the losses, and learning rate and gradient below them."""
    names = {"loss": "training", "val_loss": "validation"}
    losses = [_metric(view, key, name) for key, name in names.items()]
    losses = [series for series in losses if series.ys]
    if losses:
        yield line_chart(losses, "step", "loss, nats per character", width=width)
    others = {"lr": "learning rate", "grad_norm": "norm of the gradient"}
    charts = [
        line_chart([series], "step", name, width=share_of(width, 2), height=180)
        for key, name in others.items()
        if (series := _metric(view, key, name)).ys
    ]
    if charts:
        yield tiled(charts, width)


def _metric(view: History, key: str, name: str) -> Series:
    """Take one metric as a curve over the steps where it was measured."""
    pairs = [
        (point.step, getattr(point, key))
        for point in view.points
        if point.step is not None and getattr(point, key) is not None
    ]
    return Series(name, [step for step, _ in pairs], [value for _, value in pairs])


def weights_charts(view: Weights, width: int) -> Iterator[Figure]:
    """Draw the distribution of every tensor."""
    each = share_of(width, 3)
    bars = [histogram(_named(t), t.histogram, t.min, t.max, each) for t in view.tensors]
    yield tiled(bars, width)


def _named(tensor: Distribution) -> str:
    """Name a tensor, or a gate with the tensor that it is part of."""
    gate = tensor_title(tensor).strip()
    return gate if gate == tensor.tensor else f"{tensor.tensor}, {gate}"


def gates_charts(view: Gates, width: int) -> Iterator[Figure]:
    """Draw a dot for every unit of a gate: how often it is open, how often closed."""
    if view.gates:
        yield tiled(
            [_saturation(gate, share_of(width, 3)) for gate in view.gates], width
        )


def _saturation(gate: Gate, width: int) -> Figure:
    """Draw the units of one gate."""
    dots = [
        (above, below, f"unit {unit}: {above:.1%} open, {below:.1%} closed")
        for unit, (above, below) in enumerate(
            zip(gate.shares_above, gate.shares_below, strict=True)
        )
    ]
    return scatter(
        dots,
        f"above {OPEN}",
        f"share of time below {CLOSED}",
        name=f"layer {gate.layer}, gate {gate.gate}",
        width=width,
        height=240,
    )


def memory_charts(view: Memory, width: int) -> Iterator[Figure]:
    """Draw the gradient of every layer by lag, and the bits by length of context."""
    norms = [
        Series(f"layer {item.layer}", range(len(item.norms)), item.norms)
        for item in view.layers
    ]
    lag, context = "characters back", "characters of context"
    if norms:
        yield line_chart(
            norms, lag, "norm of the gradient, dL(t)/dh(t-k)", log_y=True, width=width
        )
    if view.contexts:
        lengths = [item.characters for item in view.contexts]
        bits = [item.bits_per_char for item in view.contexts]
        curve = Series("bits", lengths, bits)
        yield line_chart(
            [curve], context, "bits per character", log_x=True, width=width
        )


def diversity_charts(view: Diversity, width: int) -> Iterator[Figure]:
    """Draw how many of the n-grams are different ones, by their length."""
    name = "samples" if view.source == "samples" else "text"
    curves = [_distinct(name, view.measures.character_grams)]
    if view.overlap is not None:
        same = view.overlap.same_size.character_grams
        curves.append(_distinct("corpus, as much of it", same))
    yield line_chart(
        curves, "characters", "share of n-grams that are different", width=width
    )


def _distinct(name: str, grams: tuple[Distinct, ...]) -> Series:
    """Take the shares out of counts by length."""
    return Series(name, [item.n for item in grams], [item.share for item in grams])
