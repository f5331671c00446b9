"""The view ``summary``: what a checkpoint is, and how it came about.

Everything is in the manifest but the file's hash, for which its bytes pass
by once.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.cells import cell_of
from charrnn.checkpoint import CheckpointFile, CorpusFingerprint
from charrnn.config import ModelConfig, TrainConfig, UnitName
from charrnn.counting import plural
from charrnn.inspection.blocks import Block, Column, Facts, Table
from charrnn.inspection.records import ViewData, finite
from charrnn.inspection.view import View
from charrnn.inspection.wording import EVALUATED_OUTPUTS, byte_size, number, shape
from charrnn.parameters import Shape, shapes, size

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint


@dataclass(frozen=True)
class TensorSize:
    """A tensor of parameters and how large it is."""

    name: str
    shape: Shape
    parameters: int


@dataclass(frozen=True)
class Loss:
    """A mean loss per character, in both units, and when it was measured."""

    nats: float
    bits: float
    step: int | None


@dataclass(frozen=True)
class MemoryFacts:
    """The training text, stored to be counted: it can be read out of the file."""

    characters: int
    bytes: int  # of the file
    order: int  # the longest n-grams
    share: float  # the network's, in a blend with what they say


@dataclass(frozen=True)
class FileFacts:
    """The checkpoint as a file."""

    path: str
    format: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Summary(ViewData):
    """One checkpoint, less its tensors' values."""

    model: ModelConfig
    unit: UnitName
    parameters: int
    tensors: tuple[TensorSize, ...]
    steps: int | None  # None: weights only
    epochs: float | None
    train_loss: Loss | None
    val_loss: Loss | None
    best_val_loss: Loss | None
    training: TrainConfig | None
    corpus: CorpusFingerprint
    memory: MemoryFacts | None
    file: FileFacts
    pairs: bool = False  # whether it is a model of pairs
    #: Of pairs, how many held-out outputs were right when they were written last.
    exact: float | None = None
    error_rate: float | None = None


def summarize(file: CheckpointFile) -> Summary:
    """Gather what the manifest says, and hash the file."""
    run = file.training
    return Summary(
        model=file.model,
        unit=file.vocab.unit,
        parameters=size(file.model),
        tensors=tuple(
            TensorSize(name, shape, math.prod(shape))
            for name, shape in shapes(file.model).items()
        ),
        steps=run.step if run else None,
        epochs=_epochs(file),
        train_loss=_last_loss(file, "loss"),
        val_loss=_last_loss(file, "val_loss"),
        best_val_loss=_loss(run.best_val_loss, run.best_step) if run else None,
        training=run.config if run else None,
        corpus=file.corpus,
        memory=_stored_memory(file),
        file=FileFacts(
            path=str(file.path),
            format=file.format_version,
            bytes=file.size,
            sha256=file.sha256(),
        ),
        pairs=file.pairs,
        exact=_last(file, "exact"),
        error_rate=_last(file, "error_rate"),
    )


def _stored_memory(file: CheckpointFile) -> MemoryFacts | None:
    """Take what the manifest says of the memory; nothing of it is read."""
    if (entry := file.memory) is None:
        return None
    size = entry.member.nbytes
    return MemoryFacts(entry.characters, size, entry.order, entry.share)


def _epochs(file: CheckpointFile) -> float | None:
    """Tell how often the text was read: from the history, with its fraction."""
    for row in reversed(file.history):
        if (epoch := finite(row.get("epoch"))) is not None:
            return epoch
    return file.training.epoch if file.training else None


def _last_loss(file: CheckpointFile, name: str) -> Loss | None:
    """Find the last value of a column of the history."""
    for row in reversed(file.history):
        if (value := row.get(name)) is not None:
            step = row.get("step")
            return _loss(value, None if step is None else int(step))
    return None


def _last(file: CheckpointFile, name: str) -> float | None:
    """Find the last value of a column of the history."""
    found = (finite(row.get(name)) for row in reversed(file.history))
    return next((value for value in found if value is not None), None)


def _loss(nats: float | None, step: int | None) -> Loss | None:
    """Give a loss in both units, if there is one."""
    return None if nats is None else Loss(nats, nats / math.log(2), step)


class SummaryView(View[Summary]):
    """Configuration, training, losses, corpus and file, then the tensors."""

    name = "summary"
    about = "what the checkpoint is, and how it came about"
    page = 1

    def compute(self, checkpoint: "InspectedCheckpoint") -> Summary:
        """Read the manifest, and hash the file."""
        return summarize(checkpoint.file)

    def blocks(self, data: Summary) -> Iterator[Block]:
        """Show facts, then the tensors."""
        pairs = [*_model(data), *_training(data), *_losses(data), *_corpus(data)]
        yield Facts([*pairs, *_memory(data), *_file(data)])
        tensors = data.tensors
        columns = [
            Column("tensor", [tensor.name for tensor in tensors]),
            Column("shape", [shape(tensor.shape) for tensor in tensors], "right"),
            Column("parameters", [f"{t.parameters:,}" for t in tensors], "right"),
        ]
        yield Table(columns, "tensors")


def _model(data: Summary) -> Iterator[tuple[str, str]]:
    """Say what sort of network it is."""
    model = data.model
    has_activation = "activation" in cell_of(model.cell).settings
    activation = f", {model.activation}" if has_activation else ""
    norm = "" if model.norm == "none" else f", {model.norm} norm"
    layers, units = plural(model.layers, "layer"), plural(model.hidden, "unit")
    noun = "byte" if data.unit == "byte" else "character"
    lags = "" if model.lags == (1,) else f", lags {','.join(map(str, model.lags))}"
    yield "model", f"{model.cell}{activation}, {layers} of {units}{lags}{norm}"
    yield "parameters", f"{data.parameters:,}"
    yield "vocabulary", plural(model.vocab_size, noun)
    if data.pairs:
        yield "writes", "outputs of inputs: a model of pairs"


def _training(data: Summary) -> Iterator[tuple[str, str]]:
    """Say how far the model was trained, and how."""
    run = data.training
    if run is None:
        yield "training", "none stored: weights only"
        return
    epochs = f"{number(data.epochs)} {'epoch' if data.epochs == 1 else 'epochs'}"
    yield "trained", f"{plural(data.steps or 0, 'step')}, {epochs}"
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


def _losses(data: Summary) -> Iterator[tuple[str, str]]:
    """Say each loss in nats and bits."""
    named_losses = {
        "loss": data.train_loss,
        "validation": data.val_loss,
        "best": data.best_val_loss,
    }
    for label, loss in named_losses.items():
        if loss is not None:
            yield label, _loss_words(loss)
    if data.exact is not None and data.error_rate is not None:
        rates = f"{data.exact:.2%} exactly right, {data.error_rate:.2%} errors"
        yield "outputs", f"{rates} per character"
        yield "", EVALUATED_OUTPUTS


def _loss_words(loss: Loss) -> str:
    """Write a loss in both units."""
    when = "" if loss.step is None else f", at step {loss.step:,}"
    return f"{loss.nats:.4f} nats, {loss.bits:.4f} bits per character{when}"


def _corpus(data: Summary) -> Iterator[tuple[str, str]]:
    """Say what the model was trained on."""
    corpus = data.corpus
    yield "corpus", ", ".join(corpus.files) or "-"
    yield "", f"{plural(corpus.characters, 'character')}, {byte_size(corpus.bytes)}"
    yield "", f"sha256 {corpus.sha256}"


def _memory(data: Summary) -> Iterator[tuple[str, str]]:
    """Say that the training text is in the file, and what is made of it."""
    memory = data.memory
    if memory is None:
        return
    size = f"{plural(memory.characters, 'character')}, {byte_size(memory.bytes)}"
    yield "memory", f"contains the training text, in recoverable form: {size}"
    rest = f"{1 - memory.share:.1%} {memory.order}-grams of the text"
    yield "", f"predicts by {memory.share:.1%} network, {rest}"


def _file(data: Summary) -> Iterator[tuple[str, str]]:
    """Say what the file is."""
    yield "file", f"{byte_size(data.file.bytes)}, format {data.file.format}"
    yield "", f"sha256 {data.file.sha256}"


VIEW = SummaryView()
