"""How long a training takes to end when it is asked to.

A training is started, brought to where it should be surprised, and sent a
SIGTERM after a moment at random (a SIGINT does the same, but shells have it
ignored in the background). Two times are taken: until the last step that
it still finishes is reported, and until the process is gone, by that signal,
its state saved. Every file that is left is checked.

    python benchmarks/latency.py [--quick] [--json FILE] [--threads N] [--tries N]
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from reporting import Report, new_parser

from charrnn.checkpoint import load

#: Characters of the text: enough for an evaluation of half a minute.
CHARACTERS, SYMBOLS = 3_000_000, "\n" + "".join(map(chr, range(32, 96)))

LARGE = ("--hidden", "512", "--seq-length", "64")
SMALL = ("--hidden", "16", "--seq-length", "8")

#: Seconds that a step may still take, at the sizes that are usual.
TARGET = 0.2


@dataclass(frozen=True)
class Situation:
    """What a training is doing when the signal comes."""

    name: str
    options: tuple[str, ...]
    after: str | None  # the record after which it may come; None is the start
    moment: float  # seconds that it may come later
    times: int = 1  # how many such records
    cold: bool = False  # with no compiled kernels


def situations(sizes: Sequence[str]) -> Iterator[Situation]:
    """List what is measured."""
    rare = ("--eval-every", "0", "--save-every", "0")
    for batch in ("32", "64"):
        size = (*sizes, "--batch-size", batch)
        yield Situation(f"steps, batch {batch}", (*size, *rare), "step", 0.5, times=3)
    size = (*sizes, "--batch-size", "32")
    often = ("--eval-every", "1", "--save-every", "0")
    yield Situation("evaluation", (*size, *often), "step", 2.0)
    writing = ("--preview-every", "1", "--preview-chars", "1000000")
    yield Situation("preview", (*size, *rare, *writing), "step", 2.0)
    saving = ("--eval-every", "0", "--save-every", "1")
    yield Situation("saves", (*size, *saving), "save", 0.5, times=3)
    yield Situation("reading and compiling", (*size, *rare), None, 6.0, cold=True)


@dataclass(frozen=True)
class Latency:
    """What was found in one situation."""

    situation: str
    tries: int
    step_median: float | None  # seconds until the last step was reported
    step_worst: float | None
    gone_median: float  # seconds until the process was gone
    gone_worst: float


def shown(value: float | None) -> str:
    """Write seconds, or that there are none."""
    return "no step" if value is None else f"{value:.3f}"


COLUMNS = {
    "surprised at": lambda row: row.situation,
    "tries": lambda row: str(row.tries),
    "last step, s": lambda row: shown(row.step_median),
    f"worst (≤ {TARGET})": lambda row: shown(row.step_worst),
    "gone, s": lambda row: shown(row.gone_median),
    "worst": lambda row: shown(row.gone_worst),
}


def start(directory: Path, arguments: Sequence[str]) -> "subprocess.Popen[str]":
    """Start a training on the text, with records of every step."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    if "--cold" in arguments:
        environment["CHARRNN_CACHE_DIR"] = tempfile.mkdtemp(dir=directory)
    endless = ("--time", "9h", "--epochs", "1e9", "--val-fraction", "0.9")
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "charrnn", "train", "t.txt", "-f", *endless),
            *("--json", "--log-every", "1"),
            *(word for word in arguments if word != "--cold"),
        ],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_for(stream: IO[str], event: str, times: int) -> None:
    """Read records until one has come a few times."""
    for line in stream:
        times -= json.loads(line)["event"] == event
        if times == 0:
            return
    sys.exit("the training ended by itself")


def surprise(
    directory: Path, situation: Situation, threads: int, rng: random.Random
) -> tuple[float | None, float]:
    """Send one signal; seconds until the last step and until the end."""
    options = (*situation.options, "--threads", str(threads))
    process = start(directory, (*options, *["--cold"] * situation.cold))
    assert process.stdout is not None  # noqa: S101 - it was asked for
    if situation.after is None:
        while not (directory / ".t.npz.lock").exists():
            time.sleep(0.01)
    else:
        wait_for(process.stdout, situation.after, situation.times)
    time.sleep(rng.uniform(0, situation.moment))
    process.terminate()
    sent, last = time.monotonic(), None
    for line in process.stdout:
        if json.loads(line)["event"] == "step":
            last = time.monotonic() - sent
    code = process.wait()
    gone = time.monotonic() - sent
    if code != -signal.SIGTERM:
        sys.exit(f"{situation.name}: ended with {code}")
    if (directory / ".t.npz.lock").exists():
        sys.exit(f"{situation.name}: something is left behind")
    if situation.after is not None:
        load(directory / "t.npz")
    return last, gone


def middle(values: Sequence[float]) -> float:
    """Find the median, the upper one of two."""
    return sorted(values)[len(values) // 2]


def measure(directory: Path, situation: Situation, threads: int, tries: int) -> Latency:
    """Try a situation several times, each time at another moment."""
    rng = random.Random(0)  # noqa: S311 - not for secrets
    found = [surprise(directory, situation, threads, rng) for _ in range(tries)]
    steps = [last for last, _ in found if last is not None]
    gone = [seconds for _, seconds in found]
    return Latency(
        situation.name,
        tries,
        middle(steps) if steps else None,
        max(steps, default=None),
        middle(gone),
        max(gone),
    )


def main() -> None:
    """Measure every situation."""
    parser = new_parser(__doc__)
    parser.add_argument("--tries", type=int, default=20, metavar="N")
    options = parser.parse_args()
    report = Report(options)
    rng = random.Random(0)  # noqa: S311
    add = report.table(f"LSTM 1 x 512, window 64, {options.threads} threads", COLUMNS)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        count = 20_000 if options.quick else CHARACTERS
        text = "".join(rng.choices(SYMBOLS, k=count))
        (directory / "t.txt").write_text(text, newline="")
        tries = 1 if options.quick else options.tries
        for situation in situations(SMALL if options.quick else LARGE):
            if options.quick:
                situation = replace(situation, moment=situation.moment / 10)
            add(measure(directory, situation, options.threads, tries))
    report.write()


if __name__ == "__main__":
    main()
