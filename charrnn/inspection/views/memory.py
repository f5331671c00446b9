"""The view ``memory``: how far back a network remembers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

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
from charrnn.inspection.view import Extent, View, listed
from charrnn.inspection.wording import plural

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.memory import LayerMemory, Memory

#: Characters of a long text that places are taken from.
REMEMBERED = 1 << 20

#: Cells of the longest bar.
BAR = 24


class MemoryView(View["Memory"]):
    """Gradients by lag, then losses by length of context."""

    name = "memory"
    about = "how far back gradients reach, and how much context helps"
    text = "required"
    runs = "backward"
    options = ("layer", "max_lag")
    page = 9

    def compute(self, checkpoint: "InspectedCheckpoint") -> "Memory":
        """Follow gradients back, and score characters by their context."""
        from charrnn.inspection.memory import Places, measure_memory
        from charrnn.streams import initial_id

        vocab, options = checkpoint.file.vocab, checkpoint.options
        start = vocab.newline_id if checkpoint.documents else None
        places = Places(checkpoint.head(REMEMBERED), initial_id(vocab), start)
        return measure_memory(
            checkpoint.model, places, max_lag=options.max_lag, layer=options.layer
        )

    def blocks(self, data: "Memory") -> Iterator[Block]:
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
        yield Heading("loss, by length of context")
        lengths = [item.characters for item in data.contexts]
        bits = [item.bits_per_char for item in data.contexts]
        curve = Series("bits per character", lengths, bits)
        axes = "characters of context", curve.name
        yield Chart([curve], *axes, log_x=True, media=PICTURED)
        yield Table(_contexts(data), "bits by length of context")
        yield Note(f"means over {plural(data.scored, 'character')}")
        yield listed(data, media=PAGE)

    def extent(self, data: "Memory", characters: int) -> Extent:
        """Count the characters that places were taken from."""
        return Extent(measured=data.characters)


VIEW = MemoryView()


def _fading(item: "LayerMemory") -> str:
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


def _lags(data: "Memory") -> list[Column]:
    """List norms by lag, a column a layer."""
    lags = shown_lags(data.max_lag)
    columns = [Column("lag", [f"{lag}" for lag in lags], "right")]
    for rank, item in enumerate(data.layers):
        norms = [f"{item.norms[lag]:.3g}" for lag in lags]
        columns.append(Column(f"layer {item.layer}", norms, "right", rank))
    return columns


def _contexts(data: "Memory") -> list[Column | Bars]:
    """List losses by length of context, as numbers and as bars."""
    contexts = data.contexts
    most = max(c.bits_per_char for c in contexts) or 1.0
    return [
        Column("context", [f"{c.characters:,}" for c in contexts], "right"),
        Column("bits/char", [f"{c.bits_per_char:.3f}" for c in contexts], "right"),
        Bars([c.bits_per_char / most for c in contexts], BAR),
    ]
