"""What ranks are good for: steps by several of them, a projection, and larger batches.

Six tables, in the order of these questions:

* How fast are ranks of one thread each, beside one process with as many threads, that
  read the same batch? An MPI launcher starts the ranks. Both sides take turns.
* How much processor time does a step take on either side, all ranks and threads added
  up? What else the machine does bears less on that than on the clock.
* What does a sum over the ranks of this machine take by itself?
* What would steps take on many machines? That is a projection, by the model below.
* How long is a save, for which a signal is kept waiting?
* What does a larger batch lose, after the same number of characters? That bounds what
  more ranks can gain.

    python benchmarks/distributed.py [--launcher "mpiexec -n"]

The model is of ranks that each read as many rows as one of them does here, so that the
batch grows with them. A step takes

    compute + messages * latency + 2 * (ranks - 1) / ranks * bytes / bandwidth
            + (ranks - 1) / ranks * bytes * adding

where the sum sends ``2 * ceil(log2(ranks))`` messages by halving and doubling, and
``2 * (ranks - 1)`` by a ring. ``compute`` is the step of one process with one thread
and the rows of one rank, and ``adding`` what it takes to add a byte of a float32 array
to another; both are measured here. Latency and bandwidth are assumed, see `NETWORKS`.
"""

import json
import math
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from reporting import Report, at_least, at_most, cell, new_parser

import charrnn
from charrnn.checkpoint import TrainingState
from charrnn.config import ModelConfig, TrainConfig
from charrnn.launcher import launched
from charrnn.streams import Streams
from charrnn.training.company import meet
from charrnn.training.output import FileOutput
from charrnn.training.ranks import Ranks
from charrnn.training.trainer import Trainer, new_network

#: Units of one layer, and rows and steps of a window.
WIDTHS, BATCH, STEPS, VOCABULARY = (128, 256, 512), 64, 64, 96
QUICK_WIDTHS = (16,)

#: Rounds of all sides, and seconds of each.
ROUNDS, SECONDS = 5, 2.0

#: How fast ranks should be, beside one process, from so many units on.
TARGET, TARGET_FROM = 0.9, 256

#: Sums of one size, of which the median counts.
SUMS = 200


class Network(NamedTuple):
    """What the projection assumes of a network."""

    latency: float  # seconds that a message takes
    bandwidth: float  # bytes a second


NETWORKS = {
    "1 Gbit/s": Network(50e-6, 1e9 / 8),
    "10 Gbit/s": Network(20e-6, 1e10 / 8),
    "100 Gbit/s": Network(3e-6, 1e11 / 8),
}
MANY = (8, 64, 512)

#: Units of a network of 10 million parameters, and seconds in which it is to be saved.
LARGE, SAVED_WITHIN = 1536, 3.0
QUICK_LARGE = 16
SAVES = 5

#: Batches that read the same characters; a rate of the smallest grows by the root of
#: the batch, as suits Adam.
BATCHES, CHARACTERS, RATE = (32, 128, 512, 2048), 4_000_000, 4e-3
QUICK_BATCHES, QUICK_CHARACTERS = (4, 8), 4_000

#: The text that comes with charrnn.
OURS = Path(__file__).parent.parent / "corpora" / "saltmarsh.txt"


@dataclass(frozen=True)
class Side:
    """One way to take a step."""

    ranks: int
    threads: int  # of each
    batch: int  # of all


@dataclass(frozen=True)
class Found:
    """Steps of one side in one round: medians, in seconds."""

    parameters: int
    step: float
    reduce: float  # of it, in sums, and waiting for other ranks
    processor: float  # of all ranks and threads
    alone: float  # a sum of the same size by itself


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


def measured(hidden: int, batch: int, threads: int, seconds: float) -> Found:
    """Time the steps of this process, or of the ranks that it belongs to."""
    ranks = meet("auto", threads, launched()).ranks
    timing = Timing(ranks)
    ranks.reduce = timing  # type: ignore[method-assign]
    shape = ModelConfig(vocab_size=VOCABULARY, hidden=hidden)
    config = TrainConfig(batch_size=batch, seq_length=STEPS)
    rng = np.random.default_rng(0)
    text = rng.integers(0, VOCABULARY, 8 * batch * STEPS, np.uint8)
    streams = Streams(text, batch, STEPS, 0)
    network = new_network(shape, config, threads)
    trainer = Trainer(network, streams, TrainingState(config=config), ranks)
    steps, sums = [], []
    for _ in range(3):
        trainer.step(0.0)
    spent, until = time.process_time(), time.perf_counter() + seconds
    while ranks.share(time.perf_counter() < until):
        before, began = timing.seconds, time.perf_counter()
        trainer.step(0.0)
        steps.append(time.perf_counter() - began)
        sums.append(timing.seconds - before)
    spent = time.process_time() - spent
    return Found(
        parameters=network.theta.size,
        step=statistics.median(steps),
        reduce=statistics.median(sums),
        processor=sum(ranks.gather(spent)) / len(steps),
        alone=sum_seconds(ranks, network.theta.size),
    )


def sum_seconds(ranks: Ranks, size: int) -> float:
    """Time the sum of so many float32 by itself."""
    array, taken = np.zeros(size, np.float32), []
    for _ in range(SUMS):
        ranks.barrier()
        began = time.perf_counter()
        ranks.reduce(array)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def call(launcher: list[str], hidden: int, side: Side, seconds: float) -> Found:
    """Have another process, or several, time steps; what the first one found."""
    arguments = f"{hidden},{side.batch},{side.threads},{seconds}"
    words = [*launcher, str(side.ranks)] if side.ranks > 1 else []
    done = subprocess.run(
        [*words, sys.executable, __file__, "--measure", arguments],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if done.returncode:
        sys.exit(f"{' '.join(words[:1]) or 'a step'} has failed:\n{done.stderr}")
    return Found(**json.loads(done.stdout.splitlines()[-1]))


@dataclass(frozen=True)
class StepRow:
    """Steps of one network by all sides: medians over the rounds, in seconds."""

    hidden: int
    parameters: int
    together: float  # one process with all threads
    apart: float | None  # as many ranks of one thread
    share: float | None  # how fast ranks are beside it, the median of the rounds'
    lowest: float | None  # of the same
    highest: float | None
    reduce: float | None  # of a step of ranks, in the sum
    alone: float | None  # the sum by itself
    part: float  # one process with one thread, and the rows of one rank
    processor_together: float
    processor_apart: float | None
    processor_part: float


def step_columns(count: int) -> dict[str, Any]:
    """Name the columns of the first table, for so many ranks or threads."""
    together, apart = f"1 rank x {count} threads", f"{count} ranks x 1 thread"
    return {
        "units": lambda row: cell(row.hidden),
        "parameters": lambda row: cell(row.parameters),
        f"{together}, ms": lambda row: cell(1e3 * row.together, ".2f"),
        f"{apart}, ms": lambda row: cell(row.apart and 1e3 * row.apart, ".2f"),
        "speed of ranks": lambda row: cell(row.share, ".0%"),
        "of rounds": lambda row: (
            "" if row.share is None else f"{row.lowest:.0%} to {row.highest:.0%}"
        ),
        "target": lambda row: (
            at_least(TARGET, ".0%") if row.hidden >= TARGET_FROM else at_least(None)
        ),
        "in Allreduce, ms": lambda row: cell(row.reduce and 1e3 * row.reduce, ".2f"),
        "its share": lambda row: cell(row.reduce and row.reduce / row.apart, ".1%"),
    }


PROCESSOR_COLUMNS = {
    "units": lambda row: cell(row.hidden),
    "one process, ms": lambda row: cell(1e3 * row.processor_together, ".2f"),
    "ranks, ms": lambda row: cell(
        row.processor_apart and 1e3 * row.processor_apart, ".2f"
    ),
    "more than one process": lambda row: cell(
        row.processor_apart and row.processor_apart / row.processor_together - 1, "+.0%"
    ),
}

SUM_COLUMNS = {
    "bytes": lambda row: cell(4 * row.parameters),
    "Allreduce, ms": lambda row: cell(row.alone and 1e3 * row.alone, ".3f"),
    "GB/s": lambda row: cell(row.alone and 4e-9 * row.parameters / row.alone, ".2f"),
}


def step_rows(launcher: list[str] | None, count: int, quick: bool) -> Iterator[StepRow]:
    """Time all sides in turn, in processes of their own."""
    rounds, seconds = (1, 0.05) if quick else (ROUNDS, SECONDS)
    together, part = Side(1, count, BATCH), Side(1, 1, BATCH // count)
    apart = Side(count, 1, BATCH)
    sides = [together, part] if launcher is None else [together, apart, part]
    for hidden in QUICK_WIDTHS if quick else WIDTHS:
        found: dict[Side, list[Found]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side in sides:
                found[side].append(call(launcher or [], hidden, side, seconds))
        yield step_row(hidden, found[together], found[part], found.get(apart, []))


def step_row(
    hidden: int, together: list[Found], part: list[Found], apart: list[Found]
) -> StepRow:
    """Sum the rounds up.

    Parameters
    ----------
    together, part : list of Found
        Of each round.
    apart : list of Found
        Likewise; empty where there is no launcher.
    """

    def median(rounds: list[Found], name: str) -> float:
        return statistics.median(getattr(each, name) for each in rounds)

    def of_ranks(name: str) -> float | None:
        return median(apart, name) if apart else None

    shares = [
        one.step / ranks.step for one, ranks in zip(together, apart, strict=False)
    ]
    return StepRow(
        hidden=hidden,
        parameters=together[0].parameters,
        together=median(together, "step"),
        apart=of_ranks("step"),
        share=statistics.median(shares) if shares else None,
        lowest=min(shares, default=None),
        highest=max(shares, default=None),
        reduce=of_ranks("reduce"),
        alone=of_ranks("alone"),
        part=median(part, "step"),
        processor_together=median(together, "processor"),
        processor_apart=of_ranks("processor"),
        processor_part=median(part, "processor"),
    )


@dataclass(frozen=True)
class Projection:
    """A step of many ranks, as the model has it."""

    hidden: int
    network: str
    ranks: int
    batch: int
    compute: float  # seconds
    tree: float  # of a sum by halving and doubling
    ring: float

    @property
    def efficiency(self) -> float:
        """The share of a step that is not spent on the sum, by the faster way."""
        return self.compute / (self.compute + min(self.tree, self.ring))


PROJECTION_COLUMNS = {
    "units": lambda row: cell(row.hidden),
    "network": lambda row: row.network,
    "ranks": lambda row: cell(row.ranks),
    "batch": lambda row: cell(row.batch),
    "compute, ms": lambda row: cell(1e3 * row.compute, ".2f"),
    "halving and doubling, ms": lambda row: cell(1e3 * row.tree, ".2f"),
    "ring, ms": lambda row: cell(1e3 * row.ring, ".2f"),
    "efficiency": lambda row: cell(row.efficiency, ".0%"),
    "times one rank": lambda row: cell(row.ranks * row.efficiency, ",.1f"),
}


def adding_seconds(size: int) -> float:
    """Time the addition of float32 arrays, in seconds a byte."""
    into, other, taken = np.zeros(size, np.float32), np.ones(size, np.float32), []
    for _ in range(SUMS):
        began = time.perf_counter()
        into += other
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) / into.nbytes


def reduce_seconds(
    ranks: int, messages: int, size: float, network: Network, adding: float
) -> float:
    """Say what the model has for a sum of so many bytes."""
    each = (ranks - 1) / ranks * size
    return messages * network.latency + 2 * each / network.bandwidth + each * adding


def projections(rows: list[StepRow], count: int) -> Iterator[Projection]:
    """Project from the step of one process with one thread and a rank's rows."""
    for row in rows:
        size, adding = 4 * row.parameters, adding_seconds(row.parameters)
        for name, network in NETWORKS.items():
            for ranks in MANY:
                tree, ring = 2 * math.ceil(math.log2(ranks)), 2 * (ranks - 1)
                yield Projection(
                    row.hidden,
                    name,
                    ranks,
                    ranks * (BATCH // count),
                    row.part,
                    reduce_seconds(ranks, tree, size, network, adding),
                    reduce_seconds(ranks, ring, size, network, adding),
                )


@dataclass(frozen=True)
class SaveRow:
    """Saves of a large network."""

    parameters: int
    size: int  # bytes of the file
    here: float  # seconds: by the process that trains
    survives: float  # by one that outlives it, as under Open MPI's launcher
    longest: float  # of all of them


SAVE_COLUMNS = {
    "parameters": lambda row: cell(row.parameters),
    "file, MB": lambda row: cell(row.size / 1e6),
    "save, s": lambda row: cell(row.here, ".2f"),
    "by a process that survives, s": lambda row: cell(row.survives, ".2f"),
    "the longest, s": lambda row: cell(row.longest, ".2f"),
    "target, s": lambda row: at_most(SAVED_WITHIN),
}


def save_row(quick: bool, threads: int) -> SaveRow:
    """Time saves of a large network, both ways in turn; the median counts."""
    text = charrnn.Text(OURS.read_text("utf-8"))
    run = charrnn.train(
        text, hidden=QUICK_LARGE if quick else LARGE, batch_size=8, seq_length=8,
        steps=1, threads=threads, memory=False,
    )  # fmt: skip
    checkpoint = run.job.checkpoint()
    taken: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "m.npz")
        for _ in range(1 if quick else SAVES):
            for survives, seconds in taken.items():
                with FileOutput(path, replace=True, survives=survives) as output:
                    began = time.perf_counter()
                    output.save(checkpoint, best=False, last=True)
                    seconds.append(time.perf_counter() - began)
        size = path.stat().st_size
    return SaveRow(
        run.job.trainer.network.theta.size,
        size,
        statistics.median(taken[False]),
        statistics.median(taken[True]),
        max(taken[False] + taken[True]),
    )


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
        rate = RATE * math.sqrt(batch / BATCHES[0])
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


def default_launcher() -> str | None:
    """Find the launcher beside this Python, or in the path; None without mpi4py."""
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
    found = shutil.which("mpiexec", path=path)
    return None if found is None or find_spec("mpi4py") is None else f"{found} -n"


def main() -> None:
    """Measure, project, save and train."""
    parser = new_parser(__doc__)
    parser.add_argument(
        "--launcher",
        metavar="WORDS",
        default=default_launcher(),
        help="as 'mpiexec -n'",
    )
    parser.add_argument("--measure", metavar="HIDDEN,BATCH,THREADS,SECONDS")
    options = parser.parse_args()
    if options.measure is not None:
        hidden, batch, threads, seconds = options.measure.split(",")
        found = measured(int(hidden), int(batch), int(threads), float(seconds))
        if launched().rank == 0:
            print(json.dumps(vars(found)))
        return
    launcher = None if options.launcher is None else shlex.split(options.launcher)
    report, count = Report(options), options.threads
    add = report.table(f"Steps of {BATCH} x {STEPS}", step_columns(count))
    rows = []
    for row in step_rows(launcher, count, options.quick):
        add(row)
        rows.append(row)
    for title, columns in (
        ("Processor time of a step", PROCESSOR_COLUMNS),
        ("A sum over the ranks of this machine", SUM_COLUMNS),
    ):
        add = report.table(title, columns)
        for row in rows:
            add(row)
    title = f"Projected, {BATCH // count} rows and 1 thread a rank"
    add = report.table(title, PROJECTION_COLUMNS)
    for projection in projections(rows, count):
        add(projection)
    report.table("Saves", SAVE_COLUMNS)(save_row(options.quick, count))
    add = report.table("The same characters in larger batches", BATCH_COLUMNS)
    for run in batch_rows(options.quick, count):
        add(run)
    report.write()


if __name__ == "__main__":
    main()
