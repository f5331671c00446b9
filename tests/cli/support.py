"""Small checkpoints on disk, and how to call the command on them."""

import sys
from pathlib import Path

import numpy as np

from charrnn.checkpoint import Checkpoint, CorpusFingerprint, save
from charrnn.config import ModelConfig, UnitName
from charrnn.parameters import shapes
from charrnn.vocab import Vocab

#: Characters of the model of text: several lengths in UTF-8, and a newline.
SYMBOLS = "\n '.CTabcdehnostué☃😀"

CORPUS = CorpusFingerprint(("a.txt",), 100, 100, "0" * 64)


def write_checkpoint(
    path: Path,
    *,
    unit: UnitName = "char",
    symbols: str = SYMBOLS,
    hidden: int = 7,
    spread: float = 1.0,
) -> Path:
    """Save an untrained model whose text is varied and depends on its past."""
    if unit == "byte":
        symbols = "".join(map(chr, range(256)))
    model = ModelConfig(vocab_size=len(symbols), hidden=hidden, layers=2)
    rng = np.random.default_rng(5)
    arrays = {
        name: rng.normal(0, spread, shape).astype(np.float32)
        for name, shape in shapes(model).items()
    }
    vocab = Vocab(symbols, tuple(range(1, len(symbols) + 1)), unit)
    save(path, Checkpoint(model, vocab, arrays, CORPUS))
    return path


def command(*arguments: str | Path) -> list[str]:
    """Spell out the command as a process of its own, by this very Python."""
    return [sys.executable, "-m", "charrnn", *map(str, arguments)]
