"""How views of many numbers look: ``memory``, ``diversity`` and ``compare``."""

import math
from collections.abc import Iterator, Sequence

from rich.text import Text

from charrnn.display.sparkline import sparkline
from charrnn.display.symbols import Look, shown_text
from charrnn.display.tables import Column, facts, line, number, plural, table
from charrnn.inspection.compare import Compared, Comparison
from charrnn.inspection.diversity import COPIED, Distinct, Diversity, Measures, Overlap
from charrnn.inspection.memory import LayerMemory, Memory
from charrnn.inspection.summary import Loss

#: Cells of the longest bar.
BAR = 24

#: Cells of a checkpoint's name that are left whole.
NAME = 32

#: Characters of a repeated or copied span that are shown.
SPAN = 160


def draw_memory(view: Memory, look: Look) -> Iterator[Text]:
    """Draw gradients by lag, then losses by length of context."""
    yield line("gradient of a loss, by lag", "bold")
    yield from facts([(f"layer {m.layer}", memory_words(m)) for m in view.layers], look)
    for item in view.layers:
        logs = [math.log10(norm) if norm > 0 else None for norm in item.norms]
        curve = sparkline(logs, look.width - 13, ascii_only=look.ascii)
        yield line(f"  layer {item.layer:<5}").append(curve, "cyan")
    yield line(f"  logarithm of the norm, lag 0 to {view.max_lag}", "dim")
    yield line()
    yield from table(lag_columns(view), look)
    yield line(f"  norm of dL_t/dh_(t-lag), {view.gradients} places", "dim")
    yield line()
    yield line("loss, by length of context", "bold")
    yield from table(context_columns(view, look), look)
    yield line(f"  means over {plural(view.scored, 'character')}", "dim")


def memory_words(item: LayerMemory) -> str:
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


def lag_columns(view: Memory) -> list[Column]:
    """List norms by lag, a column a layer."""
    lags = shown_lags(view.max_lag)
    return [
        Column("lag", [f"{lag}" for lag in lags], "right"),
        *(
            Column(
                f"layer {item.layer}",
                [f"{item.norms[lag]:.3g}" for lag in lags],
                "right",
                rank,
            )
            for rank, item in enumerate(view.layers)
        ),
    ]


def context_columns(view: Memory, look: Look) -> list[Column]:
    """List losses by length of context, as numbers and as bars."""
    bar, contexts = "#" if look.ascii else "█", view.contexts
    most = max(c.bits_per_char for c in contexts) or 1.0
    room = max(1, min(BAR, look.width - 24))
    bars = [bar * round(room * c.bits_per_char / most) for c in contexts]
    return [
        Column("context", [f"{c.characters:,}" for c in contexts], "right"),
        Column("bits/char", [f"{c.bits_per_char:.3f}" for c in contexts], "right"),
        Column("", bars, rank=1, style="cyan"),
    ]


def draw_diversity(view: Diversity, look: Look) -> Iterator[Text]:
    """Draw counts of n-grams, repetition, and what was copied."""
    look = look._replace(unit=view.unit)
    yield from facts(list(diversity_pairs(view, look)), look)
    yield line()
    yield from table(distinct_columns(view), look)
    if view.overlap is not None:
        yield line("  corpus: as much of its beginning as there is text", "dim")


def diversity_pairs(view: Diversity, look: Look) -> Iterator[tuple[str, str]]:
    """Label what was measured beside n-grams."""
    own, overlap = view.measures, view.overlap
    size = f"{plural(own.characters, 'character')}, {plural(own.words, 'word')}"
    drawn = f"{plural(view.samples, 'sample')} drawn at temperature 1, "
    yield "text", (drawn if view.source == "samples" else "") + size
    yield "compression", _beside(own, overlap, "compression")
    yield "repetition", f"{_beside(own, overlap, 'repetition')} of {COPIED}-grams"
    repeat = own.longest_repeat
    yield "longest repeat", _span(repeat.characters, repeat.text, look)
    if overlap is None:
        return
    files = ", ".join(shown_text(name, look) for name in overlap.files)
    yield "corpus", f"{plural(overlap.characters, 'character')}, {files}"
    yield "seen there", f"{number(overlap.seen, '.2%')} of {COPIED}-grams"
    copy = overlap.longest_copy
    yield "longest copy", _span(copy.characters, copy.text, look)


def _beside(own: Measures, overlap: Overlap | None, name: str) -> str:
    """Write a share, with the corpus's own beside it."""
    share = number(getattr(own, name), ".1%")
    if overlap is None:
        return share
    return f"{share} (corpus {number(getattr(overlap.same_size, name), '.1%')})"


def _span(characters: int, text: str, look: Look) -> str:
    """Show the beginning of a span, and say how long it is."""
    cut = "..." if characters > SPAN else ""
    shown = shown_text(text[:SPAN], look)
    return f"{plural(characters, 'character')}: {shown}{cut}" if text else "none"


def distinct_columns(view: Diversity) -> list[Column]:
    """List the shares of n-grams that are different ones."""
    rows = [*view.measures.character_grams, *view.measures.word_grams]
    nouns = ["character"] * len(view.measures.character_grams)
    nouns += ["word"] * len(view.measures.word_grams)
    names = [plural(item.n, noun) for item, noun in zip(rows, nouns, strict=True)]
    columns = [
        Column("n-grams of", names),
        Column("all", [f"{item.total:,}" for item in rows], "right", 2),
        Column("distinct", [f"{item.distinct:,}" for item in rows], "right", 1),
        Column("share", _shares(rows), "right"),
    ]
    if view.overlap is not None:
        same = view.overlap.same_size
        found = [*same.character_grams, *same.word_grams]
        columns.append(Column("corpus", _shares(found), "right"))
    return columns


def _shares(items: Sequence[Distinct]) -> list[str]:
    """Write the shares."""
    return [number(item.share, ".1%") for item in items]


def draw_comparison(view: Comparison, look: Look) -> Iterator[Text]:
    """Draw checkpoints below each other; losses in bits per character."""
    yield from table(comparison_columns(view.checkpoints, look), look)
    yield line("  bits per character; a byte is one in a model of bytes", "dim")


def comparison_columns(items: Sequence[Compared], look: Look) -> list[Column]:
    """List what tells checkpoints apart; the text's bits if there is one."""
    names = [shown_text(item.checkpoint, look) for item in items]
    columns = [
        # A name is cut only where it would push everything else out.
        Column("checkpoint", names, shrinks=max(map(len, names)) > NAME),
        Column("model", [_model(item) for item in items]),
        Column("parameters", [f"{i.parameters:,}" for i in items], "right", 4),
        Column("symbols", [f"{i.vocabulary:,}" for i in items], "right", 6),
        Column("steps", [number(i.steps, ",d") for i in items], "right", 5),
        Column("epochs", [number(i.epochs, ".2f") for i in items], "right", 7),
        Column("loss", [_bits(item.train_loss) for item in items], "right", 3),
        Column("val", [_bits(item.val_loss) for item in items], "right", 1),
        Column("best val", [_bits(item.best_val_loss) for item in items], "right", 2),
    ]
    costs = [item.text for item in items]
    if any(costs):
        bits = ["-" if c is None else f"{c.bits_per_char:.4f}" for c in costs]
        unknown = ["-" if c is None else f"{c.unknown:,}" for c in costs]
        columns.append(Column("text", bits, "right"))
        if any(cost and cost.unknown for cost in costs):
            columns.append(Column("unknown", unknown, "right", 2))
    return columns


def _model(item: Compared) -> str:
    """Name a model's cell and size."""
    norm = "" if item.norm == "none" else f" {item.norm} norm"
    return f"{item.cell} {item.layers}x{item.hidden}{norm}"


def _bits(loss: Loss | None) -> str:
    """Write a loss in bits."""
    return number(None if loss is None else loss.bits, ".4f")
