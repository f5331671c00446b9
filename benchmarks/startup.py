"""How long commands take from the shell, with compiled kernels and without.

Whole processes are timed, each with an exit code and an output to show that it
did its work. A cold cache is a new directory: what the first run takes longer
than the next ones, which find its kernels there, is compilation.

    python benchmarks/startup.py [--quick] [--json FILE] [--threads N]
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from reporting import Report, at_most, cell, new_parser
from timing import Rounds, Side, in_turn

ROOT = Path(__file__).parent.parent

CELLS = ("lstm", "gru", "rnn")

#: The text to train on: short, so that a few steps read it.
CHARACTERS, SYMBOLS = 20_000, "\n" + "".join(map(chr, range(32, 96)))

#: Characters that the warm sample writes.
LENGTH = 200

#: Seconds that compiling may take. A cold command may take so long to its first step.
TRAINING_TARGET, SAMPLING_TARGET = 12.0, 6.0

#: Seconds of a training in whose course sampling's kernels are compiled, and seconds
#: that the first sample may take after it.
TRAINING, FIRST_SAMPLE_TARGET = "60s", 1.5


class Command(NamedTuple):
    """One command line, and how to tell that it did its work."""

    arguments: tuple[str, ...]  # after "charrnn"
    expected: Callable[[str], bool]  # of what it writes to stdout
    target: float  # seconds: from the shell, or to compile

    @property
    def shown(self) -> str:
        """The command without its directories."""
        words = ("charrnn", *self.arguments)
        return " ".join(Path(word).name if "/" in word else word for word in words)


@dataclass(frozen=True)
class Warm:
    """A command whose kernels are compiled."""

    command: str
    seconds: float
    spread: float  # (highest - lowest) / median of the rounds
    target: float


@dataclass(frozen=True)
class Cold:
    """A command that has to compile its kernels."""

    command: str
    cold: float  # seconds
    warm: float  # seconds, the next time
    target: float
    compiled: int  # functions that were compiled

    @property
    def compiling(self) -> float:
        """Seconds of compilation."""
        return self.cold - self.warm


WARM: dict[str, Callable[[Warm], str]] = {
    "command": lambda row: f"`{row.command}`",
    "seconds": lambda row: cell(row.seconds, ".2f"),
    "spread": lambda row: cell(row.spread, ".0%"),
    "target": lambda row: at_most(row.target),
}
COLD: dict[str, Callable[[Cold], str]] = {
    "command": lambda row: f"`{row.command}`",
    "cold, s": lambda row: cell(row.cold, ".1f"),
    "warm, s": lambda row: cell(row.warm, ".1f"),
    "compiling, s": lambda row: cell(row.compiling, ".1f"),
    "target": lambda row: at_most(row.target),
    "functions": lambda row: cell(row.compiled),
}


def run(command: Command, cache: Path | None = None) -> float:
    """Run a command, and return the seconds that it took.

    Parameters
    ----------
    cache : Path, optional
        Where compiled kernels are kept, if not at the user's usual place.

    Raises
    ------
    RuntimeError
        It failed, or did not write what it should.
    """
    environment = dict(os.environ)
    if cache is not None:
        environment["CHARRNN_CACHE_DIR"] = str(cache)
        environment.pop("NUMBA_CACHE_DIR", None)  # would go before ours
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", *command.arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    taken = time.perf_counter() - began
    if done.returncode != 0 or not command.expected(done.stdout):
        msg = (
            f"{command.shown} ended with {done.returncode}: {done.stdout}{done.stderr}"
        )
        raise RuntimeError(msg)
    return taken


def train_command(kind: str, text: Path, options: list[str]) -> Command:
    """Train a few steps and save beside the text."""
    path = checkpoint(kind, text.parent)
    arguments = ("train", str(text), "--cell", kind, "--steps", "3", "-f", "-o")
    return Command(
        (*arguments, str(path), *options),
        lambda written: written.strip() == str(path) and path.exists(),
        TRAINING_TARGET,
    )


def measure_after_training(
    kind: str, text: Path, cache: Path, options: list[str], rounds: Rounds
) -> Cold:
    """Train for a while with an empty cache, and time the first sample after it."""
    trained = train_command(kind, text, options)
    steps = trained.arguments.index("--steps")
    arguments = list(trained.arguments)
    arguments[steps : steps + 2] = ["--time", TRAINING]
    run(trained._replace(arguments=tuple(arguments)), cache)
    path = checkpoint(kind, text.parent)
    sample = sample_command(path, 1, FIRST_SAMPLE_TARGET, options)
    return measure_cold(sample, cache, rounds)


def checkpoint(kind: str, directory: Path) -> Path:
    """Name the checkpoint of a cell."""
    return directory / f"{kind}.npz"


def sample_command(
    path: Path, length: int, target: float, options: list[str]
) -> Command:
    """Write some characters, and a newline unless they end in one."""
    arguments = ("sample", str(path), "-n", str(length), "--seed", "0", *options)
    return Command(
        arguments,
        lambda written: len(written) - written.endswith("\n") in (length - 1, length),
        target,
    )


def warm_commands(kind: str, directory: Path, options: list[str]) -> list[Command]:
    """List what is timed with compiled kernels, on the checkpoint of one cell."""
    path = checkpoint(kind, directory)
    return [
        Command(("--version",), lambda written: written.startswith("charrnn "), 0.25),
        Command(("--help",), lambda written: "sample" in written, 0.25),
        Command(("inspect", str(path)), lambda written: kind in written.lower(), 0.4),
        sample_command(path, LENGTH, 1.0, options),
    ]


def measure_cold(command: Command, cache: Path, rounds: Rounds) -> Cold:
    """Run a command with an empty cache, then again."""
    cold = run(command, cache)
    compiled = len(list(cache.rglob("*.nbi")))  # an index each
    warm = in_turn({"warm": side(command, cache)}, rounds)["warm"]
    return Cold(command.shown, cold, 1 / warm.median, command.target, compiled)


def side(command: Command, cache: Path) -> Side:
    """Make a side of a command; its work is 1."""

    def work() -> float:
        run(command, cache)
        return 1

    return work


def main() -> None:
    """Time the commands, print two tables, and write JSON if asked to."""
    options = new_parser(__doc__).parse_args()
    report = Report(options)
    cells, rounds = (
        (CELLS[-1:], Rounds(1, 0)) if options.quick else (CELLS, Rounds(5, 0))
    )
    threads = ["--threads", str(options.threads)]
    size = ["--hidden", "16"] if options.quick else []
    with tempfile.TemporaryDirectory() as name:
        text, caches = Path(name, "text.txt"), Path(name, "caches")
        drawn = np.random.default_rng(0).choice(list(SYMBOLS), CHARACTERS)
        text.write_text("".join(drawn), "utf-8")
        add = report.table("With an empty cache", COLD)
        for kind in cells:
            train = train_command(kind, text, [*size, *threads])
            if options.quick:  # compiling for a training takes longest
                run(train)
            else:
                add(measure_cold(train, caches / f"train-{kind}", rounds))
        for kind in cells:
            path = checkpoint(kind, text.parent)
            sample = sample_command(path, 1, SAMPLING_TARGET, threads)
            add(measure_cold(sample, caches / f"sample-{kind}", rounds))
        if not options.quick:
            add = report.table("The first sample after a training", COLD)
            for kind in cells:
                cache = caches / f"after-{kind}"
                add(measure_after_training(kind, text, cache, threads, rounds))
        add = report.table("With compiled kernels", WARM)
        commands = warm_commands(cells[0], text.parent, threads)
        cache = caches / f"sample-{cells[0]}"
        found = in_turn({c.shown: side(c, cache) for c in commands}, rounds)
        for command in commands:
            rate = found[command.shown]
            add(Warm(command.shown, 1 / rate.median, rate.spread, command.target))
    report.write()


if __name__ == "__main__":
    main()
