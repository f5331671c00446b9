"""What ranks are good for: steps by several of them, a projection, and larger batches.

Three tables. The first times steps of the same global batch by one process with all
threads and by ranks of one thread each, which an MPI launcher starts in turn with the
other side, and shows how much of a step its sum over the ranks takes. The second
projects steps to many machines from the model below. The third trains on the same
number of characters with growing batches: what a larger batch loses bounds what more
ranks can gain.

    python benchmarks/distributed.py [--launcher "mpiexec -n"]

The model is of ranks that each read as many rows as here, so that the batch grows with
them. A step takes

    compute + latency * 2 * ceil(log2(ranks))
            + 2 * (ranks - 1) / ranks * bytes / bandwidth

where ``compute`` is that of one rank with one thread, measured here, and the rest is
an Allreduce by halving and doubling: each rank sends and receives its gradient twice,
less its own share of it. ``latency`` (50 us) and the bandwidth are assumed; what an
Allreduce takes between processes of this machine is measured in the first table.
"""

import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from reporting import Report, cell, new_parser

import charrnn
from charrnn.checkpoint import TrainingState
from charrnn.config import ModelConfig, TrainConfig
from charrnn.launcher import launched
from charrnn.streams import Streams
from charrnn.training.ranks import ALONE, Ranks
from charrnn.training.trainer import Trainer, new_network

#: Units of one layer, and rows and steps of a window.
WIDTHS, BATCH, STEPS, VOCABULARY = (128, 256, 512), 32, 64, 96
QUICK_WIDTHS = (16,)

#: Rounds of each side, and seconds of each.
ROUNDS, SECONDS = 5, 3.0

#: What the projection assumes: seconds that a message takes, and networks in bytes.
LATENCY = 50e-6
NETWORKS = {"1 Gbit/s": 1e9 / 8, "10 Gbit/s": 1e10 / 8, "100 Gbit/s": 1e11 / 8}
MANY = (8, 64, 512)

#: Batches that read the same characters; a rate of `BATCH` rows grows by the root of
#: the batch, as suits Adam.
BATCHES, CHARACTERS, RATE = (32, 128, 512, 2048), 4_000_000, 4e-3
QUICK_BATCHES, QUICK_CHARACTERS = (4, 8), 4_000

#: The text that comes with charrnn.
OURS = Path(__file__).parent.parent / "corpora" / "saltmarsh.txt"


@dataclass(frozen=True)
class StepRow:
    """Steps of one network by both sides."""

    hidden: int
    parameters: int
    together: float  # seconds of one process with all threads
    ranks: float | None  # of as many ranks of one thread
    reduce: float | None  # seconds of it for the sum

    @property
    def share(self) -> float | None:
        """How fast ranks are, beside one process."""
        return None if self.ranks is None else self.together / self.ranks


STEP_COLUMNS = {
    "units": lambda row: cell(row.hidden),
    "parameters": lambda row: cell(row.parameters),
    "1 rank x 2 threads, ms": lambda row: cell(1e3 * row.together, ".2f"),
    "2 ranks x 1 thread, ms": lambda row: cell(row.ranks and 1e3 * row.ranks, ".2f"),
    "speed of ranks": lambda row: cell(row.share, ".0%"),
    "Allreduce, ms": lambda row: cell(row.reduce and 1e3 * row.reduce, ".2f"),
    "its share": lambda row: cell(row.reduce and row.reduce / row.ranks, ".0%"),
}


class Timing:
    """Times the sums of ranks, whose `reduce` it takes the place of."""

    def __init__(self, ranks: Ranks) -> None:
        self._reduce = ranks.reduce
        self.seconds = 0.0

    def __call__(self, array: Any) -> None:
        """Put the sum of all ranks' arrays into everyone's, and take the time."""
        began = time.perf_counter()
        self._reduce(array)
        self.seconds += time.perf_counter() - began


def measured(hidden: int, batch: int, threads: int, seconds: float) -> dict[str, float]:
    """Time the steps of this process, or of the ranks that it belongs to."""
    how = launched()
    ranks: Ranks = ALONE
    if how.together:
        from charrnn.training import mpi

        joined = mpi.join(how)
        mpi.place(joined)
        ranks = joined
    timing = Timing(ranks)
    ranks.reduce = timing  # type: ignore[method-assign]
    shape = ModelConfig(vocab_size=VOCABULARY, hidden=hidden)
    config = TrainConfig(batch_size=batch, seq_length=STEPS)
    rng = np.random.default_rng(0)
    text = rng.integers(0, VOCABULARY, 8 * batch * STEPS, np.uint8)
    streams = Streams(text, batch, STEPS, 0)
    network = new_network(shape, config, threads)
    trainer = Trainer(network, streams, TrainingState(config=config), ranks)
    steps: list[tuple[float, float]] = []
    for _ in range(3):
        trainer.step(0.0)
    until = time.perf_counter() + seconds
    while ranks.share(time.perf_counter() < until):
        before, began = timing.seconds, time.perf_counter()
        trainer.step(0.0)
        took = time.perf_counter() - began
        steps.append((took, timing.seconds - before))
    took, spent = min(steps)
    return {"step": took, "reduce": spent, "parameters": float(network.theta.size)}


def call(
    words: list[str], hidden: int, batch: int, threads: int, seconds: float
) -> Any:
    """Have another process, or several, time steps; what the first one found."""
    arguments = ["--measure", f"{hidden},{batch},{threads},{seconds}"]
    done = subprocess.run(
        [*words, sys.executable, __file__, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return json.loads(done.stdout.splitlines()[-1])


def step_rows(launcher: list[str] | None, quick: bool) -> Iterator[StepRow]:
    """Time both sides in turn, in processes of their own; the fastest step counts."""
    rounds, seconds = (1, 0.05) if quick else (ROUNDS, SECONDS)
    for hidden in QUICK_WIDTHS if quick else WIDTHS:
        one, two = [], []
        for _ in range(rounds):
            one.append(call([], hidden, BATCH, 2, seconds))
            if launcher is not None:
                words = [*launcher, "2"]
                two.append(call(words, hidden, BATCH, 1, seconds))
        best = min(two, key=lambda found: found["step"], default=None)
        yield StepRow(
            hidden,
            int(one[0]["parameters"]),
            min(found["step"] for found in one),
            best and best["step"],
            best and best["reduce"],
        )


@dataclass(frozen=True)
class Projection:
    """A step of many ranks, as the model has it."""

    hidden: int
    network: str
    ranks: int
    compute: float  # seconds
    reduce: float

    @property
    def efficiency(self) -> float:
        """The share of a step that is not spent on the sum."""
        return self.compute / (self.compute + self.reduce)


PROJECTION_COLUMNS = {
    "units": lambda row: cell(row.hidden),
    "network": lambda row: row.network,
    "ranks": lambda row: cell(row.ranks),
    "batch": lambda row: cell(row.ranks * BATCH),
    "compute, ms": lambda row: cell(1e3 * row.compute, ".2f"),
    "Allreduce, ms": lambda row: cell(1e3 * row.reduce, ".2f"),
    "efficiency": lambda row: cell(row.efficiency, ".0%"),
    "times one rank": lambda row: cell(row.ranks * row.efficiency, ",.1f"),
}


def reduce_seconds(ranks: int, size: float, bandwidth: float) -> float:
    """Say what the model has for a sum of so many bytes."""
    messages = 2 * math.ceil(math.log2(ranks))
    return messages * LATENCY + 2 * (ranks - 1) / ranks * size / bandwidth


def projections(quick: bool) -> Iterator[Projection]:
    """Project from the step of one rank with one thread."""
    rounds, seconds = (1, 0.05) if quick else (ROUNDS, SECONDS)
    for hidden in QUICK_WIDTHS if quick else WIDTHS:
        found = [call([], hidden, BATCH, 1, seconds) for _ in range(rounds)]
        compute, size = min(each["step"] for each in found), 4 * found[0]["parameters"]
        for name, bandwidth in NETWORKS.items():
            for ranks in MANY:
                spent = reduce_seconds(ranks, size, bandwidth)
                yield Projection(hidden, name, ranks, compute, spent)


@dataclass(frozen=True)
class BatchRow:
    """A run with one batch size."""

    batch: int
    steps: int
    lr: float
    val_loss: float


BATCH_COLUMNS = {
    "batch": lambda row: cell(row.batch),
    "steps": lambda row: cell(row.steps),
    "rate": lambda row: cell(row.lr, ".1e"),
    "validation loss": lambda row: cell(row.val_loss, ".3f"),
}


def batch_rows(quick: bool, threads: int) -> Iterator[BatchRow]:
    """Read the same number of characters in batches of growing sizes."""
    text = charrnn.Text(OURS.read_text("utf-8"))
    characters = QUICK_CHARACTERS if quick else CHARACTERS
    length, hidden = (8, 8) if quick else (32, 128)
    for batch in QUICK_BATCHES if quick else BATCHES:
        rate = RATE * math.sqrt(batch / BATCH)
        steps = max(1, characters // (batch * length))
        *_, end = charrnn.train(
            text, hidden=hidden, batch_size=batch, seq_length=length, steps=steps,
            lr=rate, threads=threads, memory=False, patience=0, dropout=0.0,
            weight_dropout=0.0,
        )  # fmt: skip
        if not isinstance(end, charrnn.Ended) or end.val_loss is None:
            msg = "the run has not come to its end"
            raise TypeError(msg)
        yield BatchRow(batch, steps, rate, end.val_loss)


def main() -> None:
    """Measure, project and train."""
    parser = new_parser(__doc__)
    parser.add_argument("--launcher", metavar="WORDS", help="as 'mpiexec -n'")
    parser.add_argument("--measure", metavar="HIDDEN,BATCH,THREADS,SECONDS")
    options = parser.parse_args()
    if options.measure is not None:
        hidden, batch, threads, seconds = options.measure.split(",")
        found = measured(int(hidden), int(batch), int(threads), float(seconds))
        if launched().rank == 0:
            print(json.dumps(found))
        return
    launcher = None if options.launcher is None else shlex.split(options.launcher)
    report = Report(options)
    add = report.table(f"Steps of {BATCH} x {STEPS}, on two cores", STEP_COLUMNS)
    for row in step_rows(launcher, options.quick):
        add(row)
    add = report.table(f"Projected, {BATCH} rows a rank", PROJECTION_COLUMNS)
    for projection in projections(options.quick):
        add(projection)
    add = report.table("The same characters in larger batches", BATCH_COLUMNS)
    for run in batch_rows(options.quick, options.threads):
        add(run)
    report.write()


if __name__ == "__main__":
    main()
