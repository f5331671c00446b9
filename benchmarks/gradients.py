"""How gradients vanish and explode, and what helps: their norm against the lag.

Norms of dL_t / dh_{t-k} of one layer, k characters back, from the cells' own
backward kernels (`charrnn.inspection.memory`), as a mean over many places of the
text that comes with charrnn. First networks as they begin, with every
initializer and activation, and with links to earlier states (lags); then after
some hundred steps of training.

Then what that is good for, a copy task: three letters, so many blanks, a sign, and
the same three letters again, which alone are scored. How many of 1,000 new ones
come out right after so many steps of training does not depend on the machine.

    python benchmarks/gradients.py [--quick] [--json FILE] [--threads N]
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from reporting import Report, cell, new_parser

from charrnn.arrays import IGNORED
from charrnn.checkpoint import TrainingState
from charrnn.config import ActivationName, InitName, ModelConfig, TrainConfig
from charrnn.corpus import ReadOptions, read_corpus
from charrnn.inspection.memory import gradient_by_lag
from charrnn.streams import Streams
from charrnn.training.plan import peak_rate
from charrnn.training.trainer import Trainer, new_network
from charrnn.windows import Documents, Window

LAGS = (1, 10, 25, 50, 100)

#: Units, and steps of training.
HIDDEN, STEPS = 128, 600

#: The copy task: how many letters are copied, of how many different ones; after how
#: many blanks; in how many steps of how many sequences it is learned.
COPIED, LETTERS, DELAYS = 3, 8, (10, 20, 40, 60)
COPY_STEPS, COPY_BATCH, COPY_HIDDEN, JUDGED = 1000, 64, 64, 1000

TEXT = Path(__file__).parent.parent / "corpora" / "saltmarsh.txt"

#: Networks that are trained, and how.
TRAINED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rnn, tanh, no clipping": ({"cell": "rnn"}, {"grad_clip": 0.0}),
    "rnn, tanh, clipped at 1": ({"cell": "rnn"}, {"grad_clip": 1.0}),
    "rnn, tanh, lags 1,2,3": ({"cell": "rnn", "lags": (1, 2, 3)}, {}),
    "rnn, tanh, lags 1,4,16": ({"cell": "rnn", "lags": (1, 4, 16)}, {}),
    "rnn, tanh, layer norm": ({"cell": "rnn", "norm": "layer"}, {}),
    "rnn, tanh, batch norm": ({"cell": "rnn", "norm": "batch"}, {}),
    "rnn, relu, no clipping": (
        {"cell": "rnn", "activation": "relu"},
        {"grad_clip": 0.0},
    ),
    "rnn, relu, clipped at 1": ({"cell": "rnn", "activation": "relu"}, {}),
    "gru": ({"cell": "gru"}, {}),
    "gru, layer norm": ({"cell": "gru", "norm": "layer"}, {}),
    "lstm": ({"cell": "lstm"}, {}),
    "lstm, forget bias 0": ({"cell": "lstm"}, {"forget_bias": 0.0}),
    "lstm, lags 1,4,16": ({"cell": "lstm", "lags": (1, 4, 16)}, {}),
    "lstm, layer norm": ({"cell": "lstm", "norm": "layer"}, {}),
}

#: Networks that learn to copy.
COPYING: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "rnn, lags 1,2,3": {"cell": "rnn", "lags": (1, 2, 3)},
    "rnn, lags 1,4,16": {"cell": "rnn", "lags": (1, 4, 16)},
    "gru": {"cell": "gru"},
    "gru, lags 1,4,16": {"cell": "gru", "lags": (1, 4, 16)},
    "lstm": {"cell": "lstm"},
    "lstm, lags 1,4,16": {"cell": "lstm", "lags": (1, 4, 16)},
}


@dataclass(frozen=True)
class Row:
    """One network: norms at `LAGS`."""

    network: str
    norms: tuple[float, ...]
    loss: float | None  # of the last steps of training
    largest: float | None  # norm of a whole gradient in training, before clipping


def _norm(k: int) -> Any:
    return lambda row: cell(row.norms[k], ".1e")


COLUMNS = {
    "network": lambda row: row.network,
    **{f"lag {lag}": _norm(k) for k, lag in enumerate(LAGS)},
}
TRAINED_COLUMNS = COLUMNS | {
    "loss": lambda row: cell(row.loss, ".3f"),
    "largest norm": lambda row: cell(row.largest, ".1f"),
}


def measure(
    name: str,
    shape: dict[str, Any],
    given: dict[str, Any],
    steps: int,
    options: argparse.Namespace,
) -> Row:
    """Make a network, train it if there are steps, and follow its gradients."""
    corpus = read_corpus((str(TEXT),), ReadOptions())
    vocab = corpus.vocab
    config = ModelConfig(vocab_size=len(vocab), hidden=HIDDEN, **shape)
    before = Documents.of(vocab, lines=False).stand_in
    run = TrainConfig(**{"lr": peak_rate(config), "steps": max(1, steps), **given})
    model = new_network(config, run, options.threads)
    trainer = Trainer(
        model,
        Streams(corpus.ids, run.batch_size, run.seq_length, before),
        TrainingState(config=run),
    )
    results = [trainer.step(k / steps) for k in range(steps)]
    ids = corpus.ids[:20_000].astype(np.int32)
    norms = gradient_by_lag(model, ids, LAGS)
    return Row(
        network=name,
        norms=tuple(float(norm) for norm in norms),
        loss=float(np.mean([r.loss for r in results[-50:]])) if results else None,
        largest=max(r.grad_norm for r in results) if results else None,
    )


def fresh() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """List the networks that are measured as they begin."""
    for activation in get_args(ActivationName):
        for init in get_args(InitName):
            shape = {"cell": "rnn", "activation": activation}
            yield f"rnn, {activation}, {init}", shape, {"init": init}
    for lags in ((1, 2, 3), (1, 4, 16)):
        shown = ",".join(map(str, lags))
        yield f"rnn, tanh, auto, lags {shown}", {"cell": "rnn", "lags": lags}, {}
    for kind in ("gru", "lstm"):
        yield f"{kind}, auto", {"cell": kind}, {}


@dataclass(frozen=True)
class Copied:
    """One network: the share that it copies rightly after each of `DELAYS`."""

    network: str
    parameters: int
    exact: tuple[float, ...]


def _share(k: int) -> Any:
    return lambda row: cell(row.exact[k], ".1%")


COPY_COLUMNS = {
    "network": lambda row: row.network,
    "parameters": lambda row: cell(row.parameters),
    **{f"{delay} blanks": _share(k) for k, delay in enumerate(DELAYS)},
}


class CopyStreams:
    """Windows of the copy task, each of new sequences; see `charrnn.streams`."""

    windows = 1 << 40

    def __init__(self, delay: int) -> None:
        self.delay = delay

    def window(
        self, epoch: int, number: int, rows: slice | None = None, B: int = COPY_BATCH
    ) -> Window:
        """Draw B sequences, as documents that a window holds whole."""
        rng = np.random.default_rng([epoch, number])
        letters = rng.integers(0, LETTERS, (COPIED, B))
        blanks, sign = np.full((self.delay, B), LETTERS), np.full((1, B), LETTERS + 1)
        text = np.concatenate([letters, blanks, sign, letters]).astype(np.int32)
        inputs, targets = text[:-1].copy(), text[1:].copy()
        targets[:-COPIED] = IGNORED
        resets = np.zeros(inputs.shape, np.uint8)
        resets[0] = 1
        return Window(inputs, targets, resets)

    def carry_over(self, state: Any) -> None:
        """Do nothing: every window begins from nothing."""


def copy(delay: int, shape: dict[str, Any], steps: int, threads: int) -> Trainer:
    """Let a network learn to copy after so many blanks."""
    config = ModelConfig(vocab_size=LETTERS + 2, hidden=COPY_HIDDEN, **shape)
    run = TrainConfig(lr=peak_rate(config), batch_size=COPY_BATCH, steps=steps)
    streams: Any = CopyStreams(delay)
    position = TrainingState(config=run)
    trainer = Trainer(new_network(config, run, threads), streams, position)
    for k in range(steps):
        trainer.step(k / steps)
    return trainer


def exact_share(trainer: Trainer) -> float:
    """Tell how many new sequences a network copies rightly, letter by letter."""
    streams: Any = trainer.streams
    window = streams.window(1, 0, B=JUDGED)
    logits = trainer.network.logits(window, trainer.network.new_state(JUDGED))
    right = logits[-COPIED:].argmax(axis=2) == window.targets[-COPIED:]
    return float(right.all(axis=0).mean())


def measure_copying(
    name: str, shape: dict[str, Any], steps: int, threads: int
) -> Copied:
    """Let networks of one shape learn every delay."""
    trained = [copy(delay, shape, steps, threads) for delay in DELAYS]
    size = trained[0].network.theta.size
    return Copied(name, size, tuple(map(exact_share, trained)))


def main() -> None:
    """Print both tables, and write JSON if asked to."""
    options = new_parser(__doc__).parse_args()
    report = Report(options)
    add = report.table("As they begin", COLUMNS)
    for name, shape, given in list(fresh())[: 1 if options.quick else None]:
        add(measure(name, shape, given, 0, options))
    steps = 2 if options.quick else STEPS
    add = report.table(f"After {steps} steps", TRAINED_COLUMNS)
    for name, (shape, given) in list(TRAINED.items())[: 1 if options.quick else None]:
        add(measure(name, shape, given, steps, options))
    steps = 2 if options.quick else COPY_STEPS
    caption = f"Copied rightly after {steps} steps, by the blanks in between"
    add = report.table(caption, COPY_COLUMNS)
    for name, shape in list(COPYING.items())[: 1 if options.quick else None]:
        add(measure_copying(name, shape, steps, options.threads))
    report.write()


if __name__ == "__main__":
    main()
