"""Small checkpoints and models of random values, which all tests use."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import parameters
from charrnn.checkpoint import (
    Checkpoint,
    CorpusFingerprint,
    Remembered,
    Row,
    TrainingState,
    expected_moments,
    expected_tensors,
    save,
)
from charrnn.config import (
    CellName,
    ModelConfig,
    NormName,
    OptimizerName,
    TrainConfig,
    UnitName,
)
from charrnn.vocab import Vocab

if TYPE_CHECKING:
    from charrnn.textmodel import TextModel

TEXT = "the sea, the sea!\nold houses by the sea.\n"

#: Pairs, of which some inputs have two outputs, and some outputs come again.
PAIRS_TEXT = "the sea\tsea\nsea\tsea\nold\told\nold\tol d\nhouses\thous e\na\tsea\n"

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
    pairs: bool = False,
    seed: int = 0,
    files: tuple[str, ...] = ("sea.txt",),
    sha256: str = "ab" * 32,
    **model: Any,
) -> Checkpoint:
    """Make a checkpoint as a run on a text leaves it, with random weights.

    Without an optimizer it holds the weights alone.
    """
    vocab = make_vocab(text, unit)
    settings: dict[str, Any] = {"cell": "lstm", "hidden": 5, "layers": 2} | model
    config = ModelConfig(vocab_size=vocab.size, **settings)
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        return rng.normal(0, 0.7, shape).astype(np.float32)

    run, moments, state = None, {}, None
    if optimizer is not None:
        train = TrainConfig(
            optimizer=optimizer, batch_size=3, lines=lines, pairs=pairs, seed=7
        )
        run = TrainingState(train, step=30, epoch=1, best_val_loss=2.75, best_step=20)
        size = parameters.size(config)
        moments = {name: draw(size) for name in expected_moments(optimizer)}
        state = draw(*parameters.state_shape(config, 3))
    return Checkpoint(
        model=config,
        vocab=vocab,
        parameters={n: draw(*s) for n, s in parameters.shapes(config).items()},
        statistics={
            p.name: np.square(draw(*p.shape)) for p in parameters.statistics(config)
        },
        corpus=CorpusFingerprint(files, len(text.encode()), len(text), sha256),
        training=run,
        moments=moments,
        state=state,
        history=HISTORY if history is None else history,
        pairs=pairs and run is None,
    )


def model_of(checkpoint: Checkpoint, vocab: Vocab | None = None) -> "TextModel":
    """Make a checkpoint's model ready to run, with another vocabulary if given one."""
    from charrnn.network import Network  # Numba, which most tests do without
    from charrnn.textmodel import TextModel

    network = Network(checkpoint.model)
    network.load(checkpoint.parameters | checkpoint.statistics)
    training = checkpoint.training
    kind = {"lines": checkpoint.lines, "pairs": checkpoint.pairs}
    if training is not None:
        kind = {"lines": training.config.lines, "pairs": training.config.pairs}
    return TextModel.of(network, vocab or checkpoint.vocab, **kind)


def write_checkpoint(path: Path, *arguments: Any, **options: Any) -> Path:
    """Save what `make_checkpoint` makes."""
    save(path, make_checkpoint(*arguments, **options))
    return path


#: Names of files may hold bytes that are no text.
CORPUS = CorpusFingerprint(("a.txt", "b\udce9.txt"), 1234, 1200, "ab" * 32)
#: What two steps of training tell.
SHORT_HISTORY: list[Row] = [
    {"step": 10, "epoch": 0.5, "loss": 2.5, "lr": 1e-3},
    {"step": 20, "epoch": 1.0, "loss": 1 / 3, "val_loss": 2.25, "lr": 1e-3},
]


def any_checkpoint(
    cell: CellName = "lstm",
    optimizer: OptimizerName | None = "adam",
    hidden: int = 3,
    layers: int = 2,
    symbols: str = "\nab\u2603\U0001f600",
    norm: NormName = "none",
    lags: tuple[int, ...] = (1,),
) -> Checkpoint:
    """Make a checkpoint that fills every field of the format with odd values.

    Without an optimizer it holds the weights alone.
    """
    model = ModelConfig(
        vocab_size=len(symbols),
        cell=cell,
        hidden=hidden,
        layers=layers,
        norm=norm,
        lags=lags,
    )
    training = optimizer and TrainingState(
        TrainConfig(batch_size=2, optimizer=optimizer, steps=100, lr=1e-3 / 3),
        step=20,
        epoch=1,
        window=7,
        progress=0.125,
        best_val_loss=2.25,
        best_step=20,
        recent={"loss": 1 / 3},
    )
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.standard_normal(shape, np.float32)
        for name, shape in expected_tensors(model, training or None).items()
    }
    return Checkpoint(
        model=model,
        vocab=Vocab(symbols, tuple(range(1, len(symbols) + 1))),
        parameters={name: tensors[name] for name in parameters.shapes(model)},
        corpus=CORPUS,
        training=training or None,
        statistics={p.name: tensors[p.name] for p in parameters.statistics(model)},
        moments={n: tensors[n] for n in expected_moments(optimizer)}
        if optimizer
        else {},
        state=tensors.get("state"),
        history=[dict(row) for row in SHORT_HISTORY],
    )


#: Characters of the model of text: several lengths in UTF-8, and a newline.
SYMBOLS = "\n '.CTabcdehnostué☃😀"


def write_sampled(
    path: Path,
    *,
    unit: UnitName = "char",
    symbols: str = SYMBOLS,
    hidden: int = 7,
    spread: float = 1.0,
    remembered: str = "",
    share: float = 0.25,
    remembers: bool = False,
    pairs: bool = False,
) -> Path:
    """Save a model whose samples are varied and depend on their past.

    It has a memory of a text if one is given, and may be one of pairs.
    """
    if unit == "byte":
        symbols = "".join(map(chr, range(256)))
    model = ModelConfig(vocab_size=len(symbols), hidden=hidden, layers=2)
    rng = np.random.default_rng(5)
    arrays = {
        name: rng.normal(0, spread, shape).astype(np.float32)
        for name, shape in parameters.shapes(model).items()
    }
    vocab = Vocab(symbols, tuple(range(1, len(symbols) + 1)), unit)
    corpus = CorpusFingerprint(("a.txt",), 100, 100, "0" * 64)
    checkpoint = Checkpoint(
        model, vocab, arrays, corpus, remembers=remembers, pairs=pairs
    )
    if remembered:
        ids = vocab.encode(remembered).astype(np.uint8)
        checkpoint.memory = Remembered(ids=ids, order=4, share=share)
    save(path, checkpoint)
    return path
