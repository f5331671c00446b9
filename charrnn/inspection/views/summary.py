"""The view ``summary``: what a checkpoint is, and how it came about."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from charrnn.inspection.blocks import Block, Column, Facts, Table
from charrnn.inspection.view import View
from charrnn.inspection.wording import number, plural, shape, size

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.summary import Loss, Summary


class SummaryView(View["Summary"]):
    """Configuration, training, losses, corpus and file, then the tensors."""

    name = "summary"
    about = "what the checkpoint is, and how it came about"
    page = 1

    def compute(self, checkpoint: "InspectedCheckpoint") -> "Summary":
        """Read the manifest, and hash the file."""
        from charrnn.inspection.summary import summarize

        return summarize(checkpoint.file)

    def blocks(self, data: "Summary") -> Iterator[Block]:
        """Show facts, then the tensors."""
        pairs = [*_model(data), *_training(data), *_losses(data), *_corpus(data)]
        yield Facts([*pairs, *_file(data)])
        tensors = data.tensors
        columns = [
            Column("tensor", [tensor.name for tensor in tensors]),
            Column("shape", [shape(tensor.shape) for tensor in tensors], "right"),
            Column("parameters", [f"{t.parameters:,}" for t in tensors], "right"),
        ]
        yield Table(columns, "tensors")


VIEW = SummaryView()


def _model(data: "Summary") -> Iterator[tuple[str, str]]:
    """Say what sort of network it is."""
    model = data.model
    activation = f", {model.activation}" if model.cell == "rnn" else ""
    norm = "" if model.norm == "none" else f", {model.norm} norm"
    layers, units = plural(model.layers, "layer"), plural(model.hidden, "unit")
    noun = "byte" if data.unit == "byte" else "character"
    yield "model", f"{model.cell}{activation}, {layers} of {units}{norm}"
    yield "parameters", f"{data.parameters:,}"
    yield "vocabulary", plural(model.vocab_size, noun)


def _training(data: "Summary") -> Iterator[tuple[str, str]]:
    """Say how far the model was trained, and how."""
    run = data.training
    if run is None:
        yield "training", "none stored: weights only"
        return
    epochs = f"{number(data.epochs)} epochs"
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


def _losses(data: "Summary") -> Iterator[tuple[str, str]]:
    """Say each loss in nats and bits."""
    named_losses = {
        "loss": data.train_loss,
        "validation": data.val_loss,
        "best": data.best_val_loss,
    }
    for label, loss in named_losses.items():
        if loss is not None:
            yield label, _loss(loss)


def _loss(loss: "Loss") -> str:
    """Write a loss in both units."""
    when = "" if loss.step is None else f", at step {loss.step:,}"
    return f"{loss.nats:.4f} nats, {loss.bits:.4f} bits per character{when}"


def _corpus(data: "Summary") -> Iterator[tuple[str, str]]:
    """Say what the model was trained on."""
    corpus = data.corpus
    yield "corpus", ", ".join(corpus.files) or "-"
    yield "", f"{plural(corpus.characters, 'character')}, {size(corpus.bytes)}"
    yield "", f"sha256 {corpus.sha256}"


def _file(data: "Summary") -> Iterator[tuple[str, str]]:
    """Say what the file is."""
    yield "file", f"{size(data.file.bytes)}, format {data.file.format}"
    yield "", f"sha256 {data.file.sha256}"
