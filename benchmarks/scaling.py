"""How the cost of training and sampling grows with every size, and where it jumps.

One size at a time is varied around an LSTM of one layer, 256 units and 65
characters, trained with batch 64 and window 64. Each configuration has a
process of its own, whose largest resident memory is its own too; those of one
table take turns, so that they meet the same machine. A configuration that
takes over 1.3 times its neighbor's time for the same arithmetic is a cliff. An
odd network of every cell is compared with float64 first.

"Of peak" is the arithmetic that is needed beside the machine's measured peak in that
precision, and "of bandwidth" the bytes that have to be read and written, if every
array of a step is no further than memory: tapes twice, weights with what belongs to
them once a step; in sampling the weights once a character. See `peaks`.

    python benchmarks/scaling.py [--quick] [--json FILE] [--threads N]
"""

# The modules that do the work are imported by the processes alone: a process
# begins with the largest memory that the one it comes from had.
import multiprocessing
import resource
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from reporting import Report, cell, new_parser
from timing import ONCE, Rate, Rounds, take_turn

from charrnn import parameters
from charrnn.cells import names
from charrnn.config import CellName, ModelConfig, PrecisionName, SampleConfig

if TYPE_CHECKING:
    from peaks import Peaks

Work: TypeAlias = Literal["train", "sample"]

#: How processes start: from nothing, so that nothing is inherited.
SPAWN = multiprocessing.get_context("spawn")

#: Time for the same arithmetic, as a multiple of the neighbor's, that is a cliff.
CLIFF = 1.3


@dataclass(frozen=True)
class Point:
    """One configuration."""

    work: Work
    hidden: int = 256
    layers: int = 1
    batch: int = 64  # or samples at once
    window: int = 64
    vocab_size: int = 65
    threads: int = 2
    cell: CellName = "lstm"
    precision: PrecisionName = "float32"

    @property
    def passes(self) -> int:
        """How often a character goes over every weight: forward, and back twice."""
        return 3 if self.work == "train" else 1

    @property
    def shape(self) -> tuple[int, int]:
        """Window and batch: (T, B)."""
        return self.window, self.batch

    @property
    def model(self) -> ModelConfig:
        """The network."""
        return ModelConfig(
            vocab_size=self.vocab_size,
            cell=self.cell,
            layers=self.layers,
            hidden=self.hidden,
        )


TITLES: dict[Work, str] = {"train": "A training step", "sample": "Sampling"}

NOUNS = {
    "hidden": "units",
    "layers": "layers",
    "batch": "batch, or samples at once",
    "window": "window",
    "vocab_size": "characters in the vocabulary",
    "threads": "threads",
}

#: What is varied, in the order of the tables.
TRAINING: dict[str, list[int]] = {
    "hidden": [32, 63, 64, 65, 127, 128, 129, 255, 256, 257, 512, 1024, 2048],
    "layers": [1, 2, 3, 4],
    "batch": [1, 2, 3, 4, 8, 16, 31, 32, 33, 64, 65, 128, 256],
    "window": [16, 32, 64, 128, 256],
    "vocab_size": [27, 65, 256, 1000, 5000, 10_000],
    "threads": [1, 2],
}
#: The same in bfloat16, where the processor has it.
NARROW: dict[str, list[int]] = {
    "hidden": [64, 128, 129, 256, 512, 1024, 2048],
    "layers": [1, 2, 3],
    "batch": [1, 4, 16, 64, 256],
}
SAMPLING: dict[str, list[int]] = {
    "hidden": [32, 64, 128, 256, 512, 1024, 2048],
    "vocab_size": [27, 65, 256, 1000, 5000, 10_000],
    "batch": [1, 4, 16, 64, 256],
}
QUICK: dict[str, list[int]] = {"hidden": [16, 17], "batch": [3, 4]}


class Facts(NamedTuple):
    """What a worker knows when it is done."""

    threads: int  # in force
    weights: int  # that a character is multiplied by
    traffic: float  # bytes that are read and written for a character, at least
    imported: int  # bytes of memory with everything imported, before the model
    largest: int  # bytes of memory at most


class Worker:
    """A configuration in a process of its own, ready to work."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self._process = process
        self._pipe = pipe

    def turn(self, seconds: float) -> float:
        """Work for some seconds; return characters per second."""
        self._pipe.send(seconds)
        found: float = self._pipe.recv()
        return found

    def end(self) -> Facts:
        """End the process and return what it knows."""
        self._pipe.send(None)
        facts: Facts = self._pipe.recv()
        self._process.join()
        return facts


def serve(point: Point, pipe: Connection) -> None:
    """Do what a `Worker` asks for, in its process."""
    import subjects

    imported = largest_memory()
    if point.work == "train":
        model = subjects.new_network(point.model, point.threads, point.precision)
        threads, side = model.threads, subjects.training(model, point.shape)
        tape = sum(
            array.nbytes
            for array in model.stack.new_tape(*point.shape)
            if hasattr(array, "nbytes")
        )
        # Weights, gradient, both moments and the average are read and written, and
        # panels written and read.
        once = model.theta.nbytes * 2 * 6
        traffic = (2 * tape * point.layers + once) / (point.window * point.batch)
    else:
        sample = SampleConfig(num_samples=point.batch)
        threads = point.threads
        side = subjects.sampling(point.model, sample, point.threads)
        traffic = 4.0 * parameters.multiplied(point.model) / point.batch
    pipe.send("ready")
    while (seconds := pipe.recv()) is not None:
        pipe.send(take_turn(side, seconds))
    weights = parameters.multiplied(point.model)
    pipe.send(Facts(threads, weights, traffic, imported, largest_memory()))


def check(kind: CellName, threads: int) -> None:
    """Compare an odd network of one cell with float64, in a process."""
    from subjects import check_sampling, check_training, new_network, new_vocab

    model = new_network(
        ModelConfig(vocab_size=27, cell=kind, hidden=33, layers=2), threads
    )
    check_training(model)
    check_sampling(model, new_vocab(27))


def largest_memory() -> int:
    """Bytes that were resident in this process at most so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextmanager
def started(points: Sequence[Point]) -> Iterator[list[Worker]]:
    """Start a worker for every configuration, one after another."""
    workers = []
    with ExitStack() as stack:
        for point in points:
            pipe, end = SPAWN.Pipe()
            process = SPAWN.Process(target=serve, args=(point, end), daemon=True)
            process.start()
            end.close()  # so that a dead worker is noticed: EOFError
            stack.callback(process.terminate)
            pipe.recv()
            workers.append(Worker(process, pipe))
        yield workers


@dataclass(frozen=True)
class Row:
    """One configuration's figures."""

    work: str
    varied: str
    value: int
    rate: float  # characters per second
    spread: float  # (highest - lowest) / median of the rounds
    picoseconds: float  # of a thread, per multiply-add that is needed
    neighbor: int  # the value that this one is compared with
    times_neighbor: float  # picoseconds
    of_peak: float | None  # what is needed, beside what the machine can do
    of_bandwidth: float
    memory: int  # bytes, less what the imports take

    @property
    def cliff(self) -> bool:
        """Whether the cost jumps here."""
        return self.times_neighbor > CLIFF


@dataclass(frozen=True)
class Limit:
    """One of the machine's peaks."""

    what: str
    rate: float


LIMITS: dict[str, Callable[[Limit], str]] = {
    "limit": lambda row: row.what,
    "rate": lambda row: cell(row.rate, ",.1f"),
}

COLUMNS: dict[str, Callable[[Row], str]] = {
    "value": lambda row: cell(row.value, "d"),
    "chars/s": lambda row: cell(row.rate),
    "spread": lambda row: cell(row.spread, ".0%"),
    "ps per multiply-add": lambda row: cell(row.picoseconds, ",.2f"),
    "times neighbor's": lambda row: f"{row.times_neighbor:.2f} of {row.neighbor}",
    "cliff": lambda row: "cliff" if row.cliff else "",
    "of peak": lambda row: cell(row.of_peak, ".0%"),
    "of bandwidth": lambda row: cell(row.of_bandwidth, ".0%"),
    "memory, MB": lambda row: cell(row.memory / 1e6, ",.1f"),
}


def with_size(base: Point, name: str, value: int) -> Point:
    """Change one size of a configuration."""
    change: dict[str, Any] = {name: value}
    return replace(base, **change)


def measure(
    varied: str, points: Mapping[int, Point], peaks: "Peaks", rounds: Rounds
) -> Iterator[Row]:
    """Time the configurations of one table in turn.

    Parameters
    ----------
    varied : str
        The size that the configurations differ in.
    points : dict
        By the value of that size.
    peaks : Peaks
        Of the machine.
    """
    rates: dict[int, list[float]] = {value: [] for value in points}
    with started(list(points.values())) as workers:
        for _ in range(rounds.number):
            for value, worker in zip(points, workers, strict=True):
                rates[value].append(worker.turn(rounds.seconds))
        facts = {
            value: worker.end() for value, worker in zip(points, workers, strict=True)
        }
    found = {value: Rate.of(rates[value]) for value in points}
    costs = {
        value: 1e12
        * facts[value].threads
        / (found[value].median * facts[value].weights * point.passes)
        for value, point in points.items()
    }
    for value, point in points.items():
        near, fact = neighbor(value, list(points)), facts[value]
        # One thread has its share of what all can do.
        part = fact.threads / max(other.threads for other in facts.values())
        peak = peaks.flops.get(point.precision)
        needed = 2 * found[value].median * fact.weights * point.passes
        yield Row(
            work=point.work,
            varied=varied,
            value=value,
            rate=found[value].median,
            spread=found[value].spread,
            picoseconds=costs[value],
            neighbor=near,
            times_neighbor=costs[value] / costs[near],
            of_peak=None if peak is None else needed / (peak * part),
            of_bandwidth=found[value].median * fact.traffic / peaks.bandwidth,
            memory=facts[value].largest - facts[value].imported,
        )


def neighbor(value: int, values: Sequence[int]) -> int:
    """Choose the nearest other value, and of two the larger."""
    others = [other for other in values if other != value]
    return min(others, key=lambda other: (abs(other - value), -other))


def check_cells(kinds: Iterable[CellName], threads: int) -> None:
    """Check odd networks, which compiles everything besides.

    Raises
    ------
    RuntimeError
        A check failed; what it found is on stderr.
    """
    for kind in kinds:
        process = SPAWN.Process(target=check, args=(kind, threads))
        process.start()
        process.join()
        if process.exitcode:
            msg = f"the {kind} network is off, or cannot be built"
            raise RuntimeError(msg)


def in_a_process(threads: int, *, quick: bool) -> "Peaks":
    """Measure the machine's peaks in a process of its own."""
    with SPAWN.Pool(1) as pool:
        found: Peaks = pool.apply(_peaks, (threads, quick))
    return found


def _peaks(threads: int, quick: bool) -> "Peaks":
    """Measure them, with what the main process does not import."""
    from peaks import measure_peaks

    return measure_peaks(threads, quick=quick)


def main() -> None:
    """Time all configurations, print a table a size, write JSON if asked to."""
    options = new_parser(__doc__).parse_args()
    report = Report(options)
    kinds, hidden, rounds = list(names()), 256, Rounds(3, 0.5)
    works: list[tuple[Work, PrecisionName, dict[str, list[int]]]] = [
        ("train", "float32", TRAINING),
        ("train", "bfloat16", NARROW),
        ("sample", "float32", SAMPLING),
    ]
    if options.quick:
        works = [(work, precision, QUICK) for work, precision, _ in works]
        rounds, kinds, hidden = ONCE, kinds[-1:], 16
    check_cells(kinds, options.threads)
    peaks = in_a_process(options.threads, quick=options.quick)
    add = report.table("What the machine can do", LIMITS)
    for name, flops in peaks.flops.items():
        add(Limit(f"{name}, GFLOP/s", flops / 1e9))
    add(Limit("memory, GB/s", peaks.bandwidth / 1e9))
    for work, precision, sizes in works:
        if precision not in peaks.flops:
            continue
        # Of samples, what a user meets: one.
        batch = 64 if work == "train" else 1
        base = Point(
            work,
            hidden=hidden,
            batch=batch,
            threads=options.threads,
            precision=precision,
        )
        for varied, values in sizes.items():
            points = {value: with_size(base, varied, value) for value in values}
            rounded = "" if precision == "float32" else f" in {precision}"
            title = f"{TITLES[work]}{rounded}: {NOUNS[varied]}"
            add = report.table(title, COLUMNS)
            for row in measure(varied, points, peaks, rounds):
                add(row)
    report.write()


if __name__ == "__main__":
    main()
