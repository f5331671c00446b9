"""The view ``compare``: several checkpoints side by side.

What each of them is, how it was trained and how far it got; and, where a text
is given, what that costs under each.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.config import ActivationName, CellName, MixMode, NormName, UnitName
from charrnn.errors import SOME_TEXT, CorpusError
from charrnn.escapes import table_cell
from charrnn.inspection.blocks import Block, Column, Note, Table
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.summary import Loss, Summary, summarize
from charrnn.inspection.surprise import LN2
from charrnn.inspection.view import JointView
from charrnn.inspection.wording import EVALUATED_OUTPUTS, number
from charrnn.pairs import Accuracy, Pairs

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint, InspectedMixture
    from charrnn.predictor import Costs

#: Characters of a checkpoint's name that are left whole.
NAME = 32

#: What stands in the place of a checkpoint's name for all of them together.
MIXTURE = "mixture"


@dataclass(frozen=True, slots=True)
class TextCost:
    """What a text costs under one model."""

    characters: int  # of its vocabulary: bytes for a model of bytes
    unknown: int  # characters of the text that it does not know
    nats: float
    bits: float
    bits_per_char: float
    #: Where the counts went on in the text: what it costs by those that do not.
    static_bits_per_char: float | None = None
    #: Of pairs, how many of the text's outputs are written right; see `Accuracy`.
    exact: float | None = None
    error_rate: float | None = None
    #: The network's share in what predicted the text, beside the n-grams of a memory.
    network_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Compared:
    """One checkpoint."""

    checkpoint: str
    cell: CellName
    activation: ActivationName
    layers: int
    hidden: int
    norm: NormName
    parameters: int
    unit: UnitName
    vocabulary: int
    steps: int | None  # None: weights only
    epochs: float | None
    train_loss: Loss | None
    val_loss: Loss | None
    best_val_loss: Loss | None
    corpus_characters: int
    corpus_sha256: str
    text: TextCost | None
    #: Of pairs, how many held-out outputs were right when they were written last.
    exact: float | None = None
    error_rate: float | None = None


@dataclass(frozen=True)
class Comparison(ViewData):
    """Checkpoints, in the order in which they were named."""

    columns = (
        "checkpoint",
        "cell",
        "layers",
        "hidden",
        "norm",
        "parameters",
        "vocabulary",
        "steps",
        "epochs",
        "loss",
        "val_loss",
        "best_val_loss",
        "characters",
        "unknown",
        "bits",
        "bits_per_char",
        "exact",
        "error_rate",
        "text_exact",
        "text_error_rate",
    )

    checkpoints: tuple[Compared, ...]

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a checkpoint; losses in nats per character.

        What begins with ``text`` is about the text, what else is of pairs about what
        training has held out.
        """
        for item in self.checkpoints:
            losses = (item.train_loss, item.val_loss, item.best_val_loss)
            cost = item.text
            yield (
                table_cell(item.checkpoint),
                item.cell,
                item.layers,
                item.hidden,
                item.norm,
                item.parameters,
                item.vocabulary,
                item.steps,
                item.epochs,
                *(None if loss is None else loss.nats for loss in losses),
                None if cost is None else cost.characters,
                None if cost is None else cost.unknown,
                None if cost is None else cost.bits,
                None if cost is None else cost.bits_per_char,
                item.exact,
                item.error_rate,
                None if cost is None else cost.exact,
                None if cost is None else cost.error_rate,
            )


@dataclass(frozen=True, slots=True)
class MixtureCost:
    """What a text costs under all of them together."""

    weights: tuple[float, ...]  # they add up to 1
    mode: MixMode
    vocabulary: int
    characters: int  # of the text
    unknown: int  # characters of it that no model knows, or by logarithms one does not
    nats: float
    bits: float
    bits_per_char: float


@dataclass(frozen=True)
class MixedComparison(Comparison):
    """Checkpoints, and the mixture of them."""

    mixture: MixtureCost

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a checkpoint, and a last one for the mixture."""
        yield from Comparison.rows(self)
        cost = self.mixture
        known: dict[str, Cell] = {
            "checkpoint": MIXTURE,
            "vocabulary": cost.vocabulary,
            "characters": cost.characters,
            "unknown": cost.unknown,
            "bits": cost.bits,
            "bits_per_char": cost.bits_per_char,
        }
        yield tuple(known.get(name) for name in self.columns)


def compared(path: Path, summary: Summary, text: TextCost | None) -> Compared:
    """Take from a checkpoint's summary what others can be compared by."""
    model = summary.model
    return Compared(
        checkpoint=str(path),
        cell=model.cell,
        activation=model.activation,
        layers=model.layers,
        hidden=model.hidden,
        norm=model.norm,
        parameters=summary.parameters,
        unit=summary.unit,
        vocabulary=model.vocab_size,
        steps=summary.steps,
        epochs=summary.epochs,
        train_loss=summary.train_loss,
        val_loss=summary.val_loss,
        best_val_loss=summary.best_val_loss,
        corpus_characters=summary.corpus.characters,
        corpus_sha256=summary.corpus.sha256,
        text=text,
        exact=summary.exact,
        error_rate=summary.error_rate,
    )


def text_cost(costs: "Iterable[Costs]", unknown: int) -> TextCost:
    """Add up what a text costs: what is scored of it.

    Parameters
    ----------
    costs : iterable of Costs
        The whole text, from `surprise.losses`.
    unknown : int
        How many of its characters had to be skipped or replaced.

    Raises
    ------
    CorpusError
        The text is empty.
    """
    characters, nats, fixed = 0, 0.0, None
    for part in costs:
        characters += len(part.ids) if part.scored is None else int(part.scored.sum())
        nats += float(part.nats.sum())
        if part.fixed is not None:
            fixed = (fixed or 0.0) + float(part.fixed.sum())
    if not characters:
        msg = "the text is empty: nothing to predict"
        raise CorpusError(msg, hint=SOME_TEXT)
    static = None if fixed is None else fixed / LN2 / characters
    bits = nats / LN2
    return TextCost(characters, unknown, nats, bits, bits / characters, static)


class CompareView(JointView[Comparison, Compared]):
    """Checkpoints below each other; losses in bits per character."""

    name = "compare"
    about = "checkpoints side by side, and what a text costs under each"
    text = "optional"
    runs = "forward"
    decodes = True
    options = ("blend", "adapt", "mix")
    page = 10

    def describe(self, checkpoint: "InspectedCheckpoint") -> Compared:
        """Take what checkpoints can be compared by; read the text, if there is one."""
        file, options, cost = checkpoint.file, checkpoint.options, None
        if options.text is not None:
            ids = options.text.ids(checkpoint.form)
            costs, memory = checkpoint.predictor.costs(ids), checkpoint.predictor.memory
            cost = text_cost(costs, checkpoint.out_of_vocabulary)
            if memory is not None:
                cost = replace(cost, network_share=memory.share)
            if file.pairs:
                cost = _with_accuracy(cost, checkpoint)
        return compared(file.path, summarize(file), cost)

    def join(self, parts: Sequence[Compared]) -> Comparison:
        """Put the checkpoints into one table."""
        return Comparison(tuple(parts))

    def with_mixture(
        self, data: Comparison, mixture: "InspectedMixture"
    ) -> MixedComparison:
        """Read the text by all checkpoints together."""
        costs = mixture.predictor.costs(mixture.text.ids(mixture.form))
        cost = text_cost(costs, mixture.out_of_vocabulary)
        found = MixtureCost(
            weights=mixture.weights,
            mode=mixture.mixing.mix_mode,
            vocabulary=mixture.vocab.size,
            characters=cost.characters,
            unknown=cost.unknown,
            nats=cost.nats,
            bits=cost.bits,
            bits_per_char=cost.bits_per_char,
        )
        return MixedComparison(data.checkpoints, found)

    def blocks(self, data: Comparison) -> Iterator[Block]:
        """Show a row a checkpoint, and one for their mixture."""
        columns = _columns(data.checkpoints)
        if isinstance(data, MixedComparison):
            columns = _with_mixture(columns, data.mixture)
        yield Table(columns, "checkpoints")
        yield Note("bits per character; a byte is one in a model of bytes")
        costs = [item.text for item in data.checkpoints]
        if any(cost is not None and cost.network_share < 1 for cost in costs):
            yield Note("text: by network and n-grams, as samples; others: by networks")
        if any(_accuracy(item) is not None for item in data.checkpoints):
            of_text = any(item.text is not None for item in data.checkpoints)
            whose = "of the text" if of_text else EVALUATED_OUTPUTS
            yield Note(f"exact, errors per character: {whose}")


def _accuracy(item: Compared) -> Accuracy | None:
    """Take how many outputs are right: of the text if there is one."""
    source = item if item.text is None else item.text
    if source.exact is None or source.error_rate is None:
        return None
    return Accuracy(source.exact, source.error_rate)


def _with_accuracy(cost: TextCost, checkpoint: "InspectedCheckpoint") -> TextCost:
    """Write the outputs of a text of pairs, and count those that are right."""
    pairs = Pairs.of(checkpoint.pairs(), checkpoint.file.vocab)
    found = checkpoint.predictor.accuracy(pairs)
    return cost if found is None else replace(cost, **found._asdict())


def _columns(items: Sequence[Compared]) -> list[Column]:
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
    rates = [_accuracy(item) for item in items]
    if any(rates):
        exact = [number(r and r.exact, ".2%") for r in rates]
        errors = [number(r and r.error_rate, ".2%") for r in rates]
        columns.append(Column("exact", exact, "right"))
        columns.append(Column("errors", errors, "right"))
    costs = [item.text for item in items]
    if any(costs):
        bits = ["-" if c is None else f"{c.bits_per_char:.4f}" for c in costs]
        unknown = ["-" if c is None else f"{c.unknown:,}" for c in costs]
        columns.append(Column("text", bits, "right"))
        static = [None if c is None else c.static_bits_per_char for c in costs]
        if any(found is not None for found in static):
            shown = [number(found, ".4f") for found in static]
            columns.append(Column("unadapted", shown, "right"))
        if any(cost and cost.unknown for cost in costs):
            columns.append(Column("unknown", unknown, "right", 2))
    return columns


def _with_mixture(columns: Sequence[Column], mixture: MixtureCost) -> list[Column]:
    """Add a row for a mixture."""
    weights = ", ".join(f"{weight:.3g}" for weight in mixture.weights)
    known = {
        "checkpoint": MIXTURE,
        "model": f"{mixture.mode} {weights}",
        "symbols": f"{mixture.vocabulary:,}",
        "text": f"{mixture.bits_per_char:.4f}",
        "unknown": f"{mixture.unknown:,}",
    }
    return [
        replace(column, cells=[*column.cells, known.get(column.title, "-")])
        for column in columns
    ]


def _model(item: Compared) -> str:
    """Name a model's cell and size."""
    norm = "" if item.norm == "none" else f" {item.norm} norm"
    return f"{item.cell} {item.layers}x{item.hidden}{norm}"


def _bits(loss: Loss | None) -> str:
    """Write a loss in bits."""
    return number(None if loss is None else loss.bits, ".4f")


VIEW = CompareView()
