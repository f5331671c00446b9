"""The view ``compare``: several checkpoints side by side."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from charrnn.inspection.blocks import Block, Column, Note, Table
from charrnn.inspection.view import JointView
from charrnn.inspection.wording import number

if TYPE_CHECKING:
    from charrnn.inspection.compare import Compared, Comparison
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.summary import Loss

#: Characters of a checkpoint's name that are left whole.
NAME = 32


class CompareView(JointView["Comparison", "Compared"]):
    """Checkpoints below each other; losses in bits per character."""

    name = "compare"
    about = "checkpoints side by side, and what a text costs under each"
    text = "optional"
    runs = "forward"
    page = 10

    def describe(self, checkpoint: "InspectedCheckpoint") -> "Compared":
        """Take what checkpoints can be compared by; read the text, if there is one."""
        from charrnn.inspection.compare import compared, text_cost
        from charrnn.inspection.summary import summarize
        from charrnn.inspection.surprise import losses

        file, options, cost = checkpoint.file, checkpoint.options, None
        if options.text is not None:
            ids = options.text.ids(file.vocab, options.unknown)
            documents = checkpoint.documents
            costs = losses(checkpoint.model, file.vocab, ids, documents=documents)
            cost = text_cost(costs, checkpoint.out_of_vocabulary)
        return compared(file.path, summarize(file), cost)

    def join(self, parts: "Sequence[Compared]") -> "Comparison":
        """Put the checkpoints into one table."""
        from charrnn.inspection.compare import Comparison

        return Comparison(tuple(parts))

    def blocks(self, data: "Comparison") -> Iterator[Block]:
        """Show a row a checkpoint."""
        yield Table(_columns(data.checkpoints), "checkpoints")
        yield Note("bits per character; a byte is one in a model of bytes")


VIEW = CompareView()


def _columns(items: "Sequence[Compared]") -> list[Column]:
    """List what tells checkpoints apart; the text's bits if there is one."""
    names = [item.checkpoint for item in items]
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


def _model(item: "Compared") -> str:
    """Name a model's cell and size."""
    norm = "" if item.norm == "none" else f" {item.norm} norm"
    return f"{item.cell} {item.layers}x{item.hidden}{norm}"


def _bits(loss: "Loss | None") -> str:
    """Write a loss in bits."""
    return number(None if loss is None else loss.bits, ".4f")
