"""The view ``summary``: what a checkpoint is, and how it came about.

Everything is in the manifest but the file's hash, for which its bytes pass
by once.
"""

import math
from dataclasses import dataclass

from charrnn.checkpoint import CheckpointFile, CorpusFingerprint
from charrnn.config import ModelConfig, TrainConfig, UnitName
from charrnn.inspection.records import ViewData, finite
from charrnn.parameters import Shape, shapes, size


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
    file: FileFacts


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
        file=FileFacts(
            path=str(file.path),
            format=file.format_version,
            bytes=file.size,
            sha256=file.sha256(),
        ),
    )


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


def _loss(nats: float | None, step: int | None) -> Loss | None:
    """Give a loss in both units, if there is one."""
    return None if nats is None else Loss(nats, nats / math.log(2), step)
