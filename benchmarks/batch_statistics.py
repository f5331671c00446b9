"""Batch normalization's statistics for averaged weights: which of them fit.

Networks are trained, and their weights averaged on the way. Every so often the
averaged ones are evaluated with means and variances from three sources:

- *latest*: running averages over the last ten windows or so, of what the latest
  weights made of them;
- *averaged*: those windows' statistics, averaged like the weights, with the same
  decay;
- *measured*: some windows of the text run through the averaged weights, which is
  what training does.

All losses are of the same weights: nothing of this changes how a network trains.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from reporting import Report, cell, new_parser

from charrnn.arrays import Floats, PackedIds
from charrnn.checkpoint import TrainingState
from charrnn.config import ModelConfig, TrainConfig
from charrnn.corpus import ReadOptions, read_corpus, split
from charrnn.normalization import MOMENTUM
from charrnn.streams import Streams
from charrnn.textmodel import TextModel
from charrnn.training.average import AVERAGING_START, STATISTICS_WINDOWS, Average
from charrnn.training.plan import peak_rate
from charrnn.training.trainer import Trainer, new_network
from charrnn.vocab import Vocab
from charrnn.windows import Documents

#: The text that is trained on; a tenth of it is held out.
TEXT = Path(__file__).parent.parent / "corpora" / "saltmarsh.txt"

#: Networks that are trained, and how.
NETWORKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gru": ({"cell": "gru"}, {}),
    "lstm, 2 layers, dropout": (
        {"cell": "lstm", "layers": 2},
        {"dropout": 0.25, "weight_dropout": 0.2},
    ),
    "rnn, 2 layers, dropout": ({"cell": "rnn", "layers": 2}, {"dropout": 0.2}),
}

#: Units a layer, decays of the averages, steps after which they are evaluated, and
#: how many seeds are tried.
HIDDEN, DECAYS, STEPS, SEEDS = 64, (0.99, 0.999), (100, 1000, 3000), 5

Statistics = dict[str, Floats]


@dataclass(frozen=True)
class Row:
    """The averaged weights of one network after so many steps, over all seeds."""

    network: str
    decay: float
    step: int
    latest: float  # mean loss, nats per character
    averaged: float  # mean difference from that
    averaged_spread: float  # standard deviation of the difference
    measured: float
    measured_spread: float


COLUMNS = {
    "network": lambda row: row.network,
    "decay": lambda row: cell(row.decay, "g"),
    "steps": lambda row: cell(row.step),
    "latest": lambda row: cell(row.latest, ".3f"),
    "averaged": lambda row: f"{row.averaged:+.4f} ± {row.averaged_spread:.4f}",
    "measured": lambda row: f"{row.measured:+.4f} ± {row.measured_spread:.4f}",
}


class Candidates:
    """Averaged weights of one run, and the first two kinds of statistics."""

    def __init__(self, trainer: Trainer, decay: float) -> None:
        self.average = Average(trainer.network, decay)
        running = trainer.network.norm.running
        self.latest = {name: values.copy() for name, values in running.items()}
        self.averaged = {name: values.copy() for name, values in running.items()}

    def follow(self, trainer: Trainer) -> None:
        """Take in the step that was just taken."""
        network, n = trainer.network, trainer.position.step
        decay = min(self.average.decay, n / (n + AVERAGING_START))
        self.average.update(network.theta, n)
        for name, values in network.norm.window.items():
            self.latest[name] += max(MOMENTUM, 1 / n) * (values - self.latest[name])
            self.averaged[name] += (1 - decay) * (values - self.averaged[name])

    def losses(
        self, trainer: Trainer, held_out: PackedIds, vocab: Vocab
    ) -> list[float]:
        """Evaluate with all three: latest, averaged, measured."""
        last = max(0, trainer.position.window - STATISTICS_WINDOWS - 1)
        windows = [
            trainer.streams.window(trainer.position.epoch, k)
            for k in range(last, last + STATISTICS_WINDOWS + 1)
        ]
        network = self.average.network(windows)
        model = TextModel.of(network, vocab)
        measured = model.mean_loss(held_out)
        found = []
        for statistics in (self.latest, self.averaged):
            for name, values in statistics.items():
                network.norm.running[name][...] = values
            found.append(model.mean_loss(held_out))
        return [*found, measured]


def measure(
    name: str, seed: int, steps: tuple[int, ...], options: argparse.Namespace
) -> Iterator[tuple[int, float, list[float]]]:
    """Train one network; yield step, decay and the three losses."""
    shape, given = NETWORKS[name]
    corpus = read_corpus((str(TEXT),), ReadOptions())
    train, held_out = split(corpus.ids, 0.1)
    config = ModelConfig(
        vocab_size=len(corpus.vocab), hidden=HIDDEN, norm="batch", **shape
    )
    run = TrainConfig(lr=peak_rate(config), steps=steps[-1], seed=seed, **given)
    network = new_network(config, run, options.threads)
    before = Documents.of(corpus.vocab, lines=False).stand_in
    streams = Streams(train, run.batch_size, run.seq_length, before, seed=seed)
    trainer = Trainer(network, streams, TrainingState(config=run))
    candidates = {decay: Candidates(trainer, decay) for decay in DECAYS}
    for step in range(1, steps[-1] + 1):
        trainer.step((step - 1) / steps[-1])
        for decay, candidate in candidates.items():
            candidate.follow(trainer)
            if step in steps:
                yield step, decay, candidate.losses(trainer, held_out, corpus.vocab)


def main() -> None:
    """Print the table, and write JSON if asked to."""
    options = new_parser(__doc__).parse_args()
    steps, seeds = ((2, 4), 2) if options.quick else (STEPS, SEEDS)
    report = Report(options)
    add = report.table("Validation loss of averaged weights, in nats", COLUMNS)
    for name in NETWORKS:
        found: dict[tuple[float, int], list[list[float]]] = {}
        for seed in range(seeds):
            for step, decay, losses in measure(name, seed, steps, options):
                found.setdefault((decay, step), []).append(losses)
        for (decay, step), tried in sorted(found.items()):
            latest, averaged, measured = np.array(tried).T
            others = [(averaged - latest).tolist(), (measured - latest).tolist()]
            spread = [figure for d in others for figure in (mean(d), stdev(d))]
            add(Row(name, decay, step, mean(latest.tolist()), *spread))
    report.write()


if __name__ == "__main__":
    main()
