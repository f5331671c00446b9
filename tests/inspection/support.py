"""Small checkpoints with random weights, for all tests of `inspect`."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import parameters
from charrnn.cells import cell_of
from charrnn.checkpoint import (
    Checkpoint,
    CorpusFingerprint,
    Row,
    TrainingState,
    expected_moments,
    save,
)
from charrnn.config import ModelConfig, OptimizerName, TrainConfig, UnitName
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab

TEXT = "the sea, the sea!\nold houses by the sea.\n"

HISTORY: list[Row] = [
    {"step": 10, "epoch": 0.5, "loss": 3.0, "lr": 0.004, "grad_norm": 0.5},
    {"step": 20, "epoch": 1.0, "loss": 2.5, "lr": 0.003, "grad_norm": 0.25},
    {"step": 20, "epoch": 1.0, "val_loss": 2.75},
    {"step": 30, "epoch": 1.5, "loss": 2.0, "lr": 2e-05, "grad_norm": 0.125},
]


def make_vocab(text: str, unit: UnitName = "char") -> Vocab:
    """Count the symbols of a text; for bytes those of its UTF-8."""
    if unit == "byte":
        text = text.encode().decode("latin-1")
    counts = Counter(text)
    symbols = "".join(sorted(counts))
    return Vocab(symbols, tuple(counts[s] for s in symbols), unit)


def make_checkpoint(
    text: str = TEXT,
    *,
    unit: UnitName = "char",
    optimizer: OptimizerName | None = "adam",
    history: list[Row] | None = None,
    lines: bool = False,
    seed: int = 0,
    files: tuple[str, ...] = ("sea.txt",),
    sha256: str = "ab" * 32,
    **model: Any,
) -> Checkpoint:
    """Make a checkpoint of random weights; without an optimizer weights only."""
    vocab = make_vocab(text, unit)
    settings: dict[str, Any] = {"cell": "lstm", "hidden": 5, "layers": 2} | model
    config = ModelConfig(vocab_size=vocab.size, **settings)
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        return rng.normal(0, 0.7, shape).astype(np.float32)

    run, moments, state = None, {}, None
    if optimizer is not None:
        train = TrainConfig(optimizer=optimizer, batch_size=3, lines=lines, seed=7)
        run = TrainingState(train, step=30, epoch=1, best_val_loss=2.75, best_step=20)
        size = parameters.size(config)
        moments = {name: draw(size) for name in expected_moments(optimizer)}
        state = draw(config.layers, len(cell_of(config.cell).states), 3, config.hidden)
    return Checkpoint(
        model=config,
        vocab=vocab,
        parameters={n: draw(*s) for n, s in parameters.shapes(config).items()},
        statistics={
            n: np.square(draw(*s)) for n, s in parameters.statistics(config).items()
        },
        corpus=CorpusFingerprint(files, len(text.encode()), len(text), sha256),
        training=run,
        moments=moments,
        state=state,
        history=HISTORY if history is None else history,
    )


def model_of(checkpoint: Checkpoint, vocab: Vocab | None = None) -> TextModel:
    """Make a checkpoint's model ready to run, with another vocabulary if given one."""
    network = Network(checkpoint.model)
    network.load(checkpoint.parameters | checkpoint.statistics)
    training = checkpoint.training
    lines = training is not None and training.config.lines
    return TextModel.of(network, vocab or checkpoint.vocab, lines=lines)


def write_checkpoint(path: Path, *arguments: Any, **options: Any) -> Path:
    """Save what `make_checkpoint` makes."""
    save(path, make_checkpoint(*arguments, **options))
    return path
