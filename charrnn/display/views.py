"""How each view of ``inspect`` looks in a terminal.

`draw` takes a view's data, whichever it is, and yields lines of styled text
that fit the width. Whoever wants them elsewhere (in an SVG, say) feeds the
same lines to another console.
"""

import math
from collections.abc import Iterable, Iterator
from functools import singledispatch

from rich.text import Text

from charrnn import cells
from charrnn.display.measures import draw_comparison, draw_diversity, draw_memory
from charrnn.display.reading import draw_predictions, draw_surprise
from charrnn.display.sparkline import averaged, sparkline
from charrnn.display.symbols import Look, named, shown_text
from charrnn.display.tables import Column, facts, line, number, plural, size, table
from charrnn.display.units import draw_gates, draw_neurons
from charrnn.inspection.history import History
from charrnn.inspection.records import View
from charrnn.inspection.summary import Loss, Summary
from charrnn.inspection.system import System
from charrnn.inspection.vocabulary import Vocabulary
from charrnn.inspection.weights import Distribution, Weights

#: Rows of a long history that are shown.
ROWS = 16

LN2 = math.log(2)


@singledispatch
def draw(view: View, look: Look) -> Iterator[Text]:
    """Draw a view, line by line."""
    msg = f"no drawing for {type(view).__name__}"
    raise TypeError(msg)


draw.register(draw_surprise)
draw.register(draw_predictions)
draw.register(draw_neurons)
draw.register(draw_gates)
draw.register(draw_memory)
draw.register(draw_diversity)
draw.register(draw_comparison)


@draw.register
def draw_summary(view: Summary, look: Look) -> Iterator[Text]:
    """Draw the summary: facts, then the tensors."""
    yield from facts(list(summary_pairs(view, look)), look)
    yield line()
    columns = [
        Column("tensor", [tensor.name for tensor in view.tensors]),
        Column("shape", [_shape(tensor.shape) for tensor in view.tensors], "right"),
        Column("parameters", [f"{t.parameters:,}" for t in view.tensors], "right"),
    ]
    yield from table(columns, look)


def summary_pairs(view: Summary, look: Look) -> Iterator[tuple[str, str]]:
    """Label what a summary says, less the tensors."""
    model = view.model
    has_activation = "activation" in cells.cell_of(model.cell).settings
    activation = f", {model.activation}" if has_activation else ""
    norm = "" if model.norm == "none" else f", {model.norm} norm"
    layers, units = plural(model.layers, "layer"), plural(model.hidden, "unit")
    noun = "byte" if view.unit == "byte" else "character"
    yield "model", f"{model.cell}{activation}, {layers} of {units}{norm}"
    yield "parameters", f"{view.parameters:,}"
    yield "vocabulary", plural(model.vocab_size, noun)
    yield from _training(view)
    yield from _losses(view)
    yield from _corpus(view, look)
    yield "file", f"{size(view.file.bytes)}, format {view.file.format}"
    yield "", f"sha256 {view.file.sha256}"


def _training(view: Summary) -> Iterator[tuple[str, str]]:
    """Say how far the model was trained, and how."""
    run = view.training
    if run is None:
        yield "training", "none stored: weights only"
        return
    epochs = f"{number(view.epochs)} epochs"
    yield "trained", f"{plural(view.steps or 0, 'step')}, {epochs}"
    decay = f", weight decay {run.weight_decay:g}" if run.weight_decay else ""
    yield (
        "optimizer",
        f"{run.optimizer}, learning rate {run.lr:g}, {run.schedule}{decay}",
    )
    rows = plural(run.batch_size, "line" if run.lines else "stream")
    yield "batch", f"{rows} of {plural(run.seq_length, 'step')}"
    clip = f"clipping by {run.clip_mode} {run.grad_clip:g}"
    yield (
        "regularized",
        f"dropout {run.dropout:g}, {clip if run.grad_clip else 'no clipping'}",
    )
    yield "seed", str(run.seed)


def _losses(view: Summary) -> Iterator[tuple[str, str]]:
    """Say each loss in nats and bits."""
    named_losses = {
        "loss": view.train_loss,
        "validation": view.val_loss,
        "best": view.best_val_loss,
    }
    for label, loss in named_losses.items():
        if loss is not None:
            yield label, _loss(loss)


def _loss(loss: Loss) -> str:
    """Write a loss in both units."""
    when = "" if loss.step is None else f", at step {loss.step:,}"
    return f"{loss.nats:.4f} nats, {loss.bits:.4f} bits per character{when}"


def _corpus(view: Summary, look: Look) -> Iterator[tuple[str, str]]:
    """Say what the model was trained on."""
    corpus = view.corpus
    files = ", ".join(shown_text(name, look) for name in corpus.files)
    yield "corpus", files or "-"
    yield "", f"{plural(corpus.characters, 'character')}, {size(corpus.bytes)}"
    yield "", f"sha256 {shown_text(corpus.sha256, look)}"


def _shape(shape: Iterable[int]) -> str:
    """Write the lengths of the axes."""
    return " x ".join(map(str, shape))


@draw.register
def draw_vocabulary(view: Vocabulary, look: Look) -> Iterator[Text]:
    """Draw every symbol with its share of the corpus."""
    look = look._replace(unit=view.unit)
    total = max(1, view.characters)
    most = max(1, max(symbol.count for symbol in view.symbols))
    bar = "#" if look.ascii else "█"
    symbols = view.symbols
    columns = [
        Column("id", [f"{s.index}" for s in symbols], "right", style="dim"),
        Column("char", [named(s.char, look) for s in symbols]),
        Column("code", [s.code_point for s in symbols]),
        Column("count", [f"{s.count:,}" for s in symbols], "right"),
        Column("share", [f"{s.count / total:.2%}" for s in symbols], "right", 2),
        Column("", [bar * round(10 * s.count / most) for s in symbols], "left", 3),
        Column("name", [s.name for s in symbols], rank=1, shrinks=True, style="dim"),
    ]
    yield from table(columns, look)


@draw.register
def draw_history(view: History, look: Look) -> Iterator[Text]:
    """Draw a line for every metric, and a table thinned to a screen."""
    if not view.points:
        yield line("  no history is stored", "dim")
        return
    for name in ("loss", "val_loss", "lr", "grad_norm"):
        yield from _curve(view, name, look)
    yield line()
    yield from history_table(view, look)


def history_table(view: History, look: Look) -> Iterator[Text]:
    """Draw the metrics of at most `ROWS` steps."""
    columns = [
        _column(view, "step", ",.0f", 0),
        _column(view, "epoch", ".2f", 3),
        _column(view, "loss", ".4f", 0),
        _column(view, "loss", ".4f", 1, bits=True),
        _column(view, "val_loss", ".4f", 0),
        _column(view, "val_loss", ".4f", 2, bits=True),
        _column(view, "lr", ".3g", 4),
        _column(view, "grad_norm", ".3g", 5),
    ]
    yield from table(columns, look)


def _curve(view: History, name: str, look: Look) -> Iterator[Text]:
    """Draw one metric as a sparkline between its first and last value."""
    values = view.column(name)
    known = [value for value in values if value is not None]
    if not known:
        return
    ends = f"{number(known[0])} .. {number(known[-1])}"
    note = f"least {number(min(known))}, most {number(max(known))}"
    room = look.width - 35
    text = line(f"  {name:<11}{ends:<22}{note if len(note) <= room else ''}")
    text.stylize("bold", 2, 13)
    yield text
    curve = sparkline(values, look.width - 13, ascii_only=look.ascii)
    yield line(" " * 13 + curve, "cyan")


def _column(
    view: History, name: str, form: str, rank: int, *, bits: bool = False
) -> Column:
    """Make a column of the table: of each stretch the last value there is."""
    values = view.column(name)
    count = min(ROWS, len(values))
    cells = []
    for n in range(count):
        part = values[n * len(values) // count : (n + 1) * len(values) // count]
        last = next((v for v in reversed(part) if v is not None), None)
        cells.append(number(last if last is None or not bits else last / LN2, form))
    title = f"{name.replace('loss', '')}bits" if bits else name
    return Column(title, cells, "right", rank)


@draw.register
def draw_weights(view: Weights, look: Look) -> Iterator[Text]:
    """Draw the distribution of every tensor, gates below theirs."""

    def cells(name: str, form: str = ".3g") -> list[str]:
        """Write one measure of all tensors."""
        return [number(getattr(t, name), form) for t in view.tensors]

    bars = [_bars(t, look) for t in view.tensors]
    columns = [
        Column("tensor", [tensor_title(t) for t in view.tensors]),
        Column("shape", [_shape(t.shape) for t in view.tensors], "right", 6),
        Column("min", cells("min"), "right", 4),
        Column("mean", cells("mean"), "right", 3),
        Column("std", cells("std"), "right"),
        Column("max", cells("max"), "right", 4),
        Column("norm", cells("norm"), "right", 2),
        Column("radius", cells("spectral_radius", ".3f"), "right"),
        Column("min to max", bars, rank=1, style="cyan"),
    ]
    yield from table(columns, look)
    yield line("  radius: spectral radius of a recurrent block", "dim")


def tensor_title(tensor: Distribution) -> str:
    """Name a tensor, or a gate below it."""
    known = {gate for name in cells.names() for gate in cells.cell_of(name).gates}
    gate = tensor.gate if tensor.gate in known else None
    return f"  gate {gate}" if gate else tensor.tensor


def _bars(tensor: Distribution, look: Look) -> str:
    """Draw a histogram in half its bins, so that it fits beside the numbers."""
    counts = averaged(tensor.histogram, len(tensor.histogram) // 2)
    return sparkline(counts, len(counts), ascii_only=look.ascii)


@draw.register
def draw_system(view: System, look: Look) -> Iterator[Text]:
    """Draw what charrnn runs on."""
    yield from facts(system_pairs(view, look), look)


def system_pairs(view: System, look: Look) -> list[tuple[str, str]]:
    """Label what charrnn runs on."""
    allowed = f"{view.processors_allowed} of {view.processors} allowed"
    cache = view.cache
    place = "none: no home directory" if cache.directory is None else cache.directory
    return [
        *((name, version or "missing") for name, version in view.versions.items()),
        ("platform", view.platform),
        ("processor", view.processor),
        ("vectors", " ".join(view.vectors) or "none known"),
        ("processors", f"{allowed}, {plural(view.threads, 'thread')} used"),
        ("threading", view.threading_layer),
        ("cache", shown_text(place, look)),
        ("", f"{plural(cache.files, 'file')}, {size(cache.bytes)}"),
        *(
            (name, shown_text(value, look) or "''")
            for name, value in view.environment.items()
        ),
    ]
