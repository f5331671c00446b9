"""How gradients vanish and explode, and what helps: their norm against the lag.

Norms of dL_t / dh_{t-k} of one layer, k characters back, from the cells' own
backward kernels (`charrnn.inspection.memory`), as a mean over many places of the
text that comes with charrnn. First networks as they begin, with every
initializer and activation; then after some hundred steps of training.

    python benchmarks/gradients.py [--quick] [--json FILE] [--threads N]
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from reporting import Report, cell, new_parser

from charrnn.checkpoint import TrainingState
from charrnn.config import ActivationName, InitName, ModelConfig, TrainConfig
from charrnn.corpus import ReadOptions, read_corpus
from charrnn.inspection.memory import gradient_by_lag
from charrnn.streams import Streams
from charrnn.training.plan import peak_rate
from charrnn.training.trainer import Trainer, new_network
from charrnn.windows import Documents

LAGS = (1, 10, 25, 50, 100)

#: Units, and steps of training.
HIDDEN, STEPS = 128, 600

TEXT = Path(__file__).parent.parent / "corpora" / "saltmarsh.txt"

#: Networks that are trained, and how.
TRAINED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rnn, tanh, no clipping": ({"cell": "rnn"}, {"grad_clip": 0.0}),
    "rnn, tanh, clipped at 1": ({"cell": "rnn"}, {"grad_clip": 1.0}),
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
    "lstm, layer norm": ({"cell": "lstm", "norm": "layer"}, {}),
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
    for kind in ("gru", "lstm"):
        yield f"{kind}, auto", {"cell": kind}, {}


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
    report.write()


if __name__ == "__main__":
    main()
