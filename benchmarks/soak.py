"""Whether a long training keeps its memory and its files to itself.

A small network is trained as at a terminal, with its bar and its previews, an
evaluation every three seconds, a save every two and one more on request
(SIGUSR1) every minute. Once a second the resident memory, the threads and the
open files of the process are noted. In the end it is terminated, and the
file that it leaves is checked.

A second counts when it was watched: a run that is stopped for a while (SIGSTOP
to both processes) goes on and takes that much longer. It ends by SIGTERM: in the
background of a shell SIGINT is ignored, and a training leaves that as it is.

    python benchmarks/soak.py [--quick] [--json FILE] [--threads N] [--minutes M]
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from reporting import Report, new_parser

from charrnn.checkpoint import load

MODEL = ("--hidden", "64", "--batch-size", "16", "--seq-length", "32")
OFTEN = ("--eval-every", "3s", "--save-every", "2s", "--preview-every", "500")
PER_REQUEST = 60  # seconds

#: The text: long enough for an evaluation to be worth watching.
CHARACTERS = 400_000

#: Share of the run whose memory does not count: everything is there then.
WARM_UP = 0.2

#: Kilobytes an hour by which memory may seem to grow, for noise's sake.
SLOPE_TARGET = 1024.0


class Look(NamedTuple):
    """One look at the process."""

    seconds: float
    resident: float  # kB
    files: int
    threads: int


@dataclass(frozen=True)
class Soak:
    """What a whole run came to."""

    minutes: float
    steps: int
    evaluations: int
    saves: int
    requests: int
    resident_first: float  # MB, after the warm-up
    resident_last: float
    resident_peak: float
    slope: float  # kB an hour, least squares after the warm-up
    files: str  # fewest to most, after the warm-up
    threads: str


COLUMNS = {
    "minutes": lambda row: f"{row.minutes:.1f}",
    "steps": lambda row: f"{row.steps:,}",
    "evaluations": lambda row: f"{row.evaluations:,}",
    "saves": lambda row: f"{row.saves:,} ({row.requests} asked for)",
    "MB first, last, peak": lambda row: (
        f"{row.resident_first:.1f}, {row.resident_last:.1f}, {row.resident_peak:.1f}"
    ),
    "kB an hour": lambda row: f"{row.slope:+.0f} (≤ {SLOPE_TARGET:.0f})",
    "open files": lambda row: row.files,
    "threads": lambda row: row.threads,
}


def write_text(path: Path) -> None:
    """Write words at random, with line ends."""
    rng = np.random.default_rng(0)
    words = ["the", "old", "house", "by", "sea", "whispered", "again", "\n", "and"]
    text = " ".join(rng.choice(words, CHARACTERS // 5))
    path.write_text(text[:CHARACTERS])


def look(pid: int, began: float) -> Look:
    """Look at a process of a Linux system."""
    place = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", 1) for line in (place / "status").read_text().splitlines()
    )
    return Look(
        time.monotonic() - began,
        float(status["VmRSS"].split()[0]),
        len(list((place / "fd").iterdir())),
        int(status["Threads"]),
    )


def drain(terminal: int) -> None:
    """Read what a terminal is sent, until nobody writes any more."""
    try:
        while os.read(terminal, 65_536):
            pass
    except OSError:  # how a pseudo-terminal says so
        return


def train(directory: Path, seconds: int, threads: int) -> tuple[list[Look], int]:
    """Let a training run for so many seconds; what was seen, and saves asked for."""
    master, slave = os.openpty()
    arguments = (
        *(sys.executable, "-m", "charrnn", "train", "t.txt", *MODEL, *OFTEN),
        *("--threads", str(threads), "--time", "1000h", "--epochs", "1e9", "--json"),
    )
    with (directory / "records.jsonl").open("wb") as records:
        process = subprocess.Popen(
            arguments,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=records,
            stderr=slave,
            env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "80"},
        )
    os.close(slave)
    reader = threading.Thread(target=drain, args=(master,))
    reader.start()
    looks, requests, began = [], 0, time.monotonic()
    while not (directory / "t.npz").exists() and process.poll() is None:
        time.sleep(0.1)  # compiling
    for second in range(1, seconds + 1):
        time.sleep(1)
        looks.append(look(process.pid, began))
        if second % min(PER_REQUEST, seconds // 2) == 0:
            process.send_signal(signal.SIGUSR1)
            requests += 1
    process.terminate()
    try:
        code = process.wait(60)
    finally:
        process.kill()
        reader.join()
        os.close(master)
    if code != -signal.SIGTERM:
        sys.exit(f"the training ended with {code}")
    return looks, requests


def summed_up(directory: Path, looks: list[Look], requests: int) -> Soak:
    """Reduce a run to its figures."""
    lines = (directory / "records.jsonl").open(encoding="utf-8")
    records = [json.loads(line) for line in lines]
    events = [record["event"] for record in records]
    steps = records[-1]["steps"]
    left = load(directory / "t.npz").training
    if events[-1] != "end" or left is None or left.step != steps:
        sys.exit("the last checkpoint is not the last state")
    settled = looks[int(len(looks) * WARM_UP) :]
    times, resident, files, threads = (
        np.array(column) for column in zip(*settled, strict=True)
    )
    return Soak(
        minutes=len(looks) / 60,
        steps=steps,
        evaluations=events.count("eval"),
        saves=events.count("save"),
        requests=requests,
        resident_first=resident[0] / 1024,
        resident_last=resident[-1] / 1024,
        resident_peak=resident.max() / 1024,
        slope=float(np.polyfit(times / 3600, resident, 1)[0]),
        files=f"{files.min()}..{files.max()}",
        threads=f"{threads.min()}..{threads.max()}",
    )


def main() -> None:
    """Train for an hour, or as long as is asked for."""
    parser = new_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M")
    options = parser.parse_args()
    seconds = 4 if options.quick else round(options.minutes * 60)
    report = Report(options)
    add = report.table("One long training", COLUMNS)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_text(directory / "t.txt")
        add(summed_up(directory, *train(directory, seconds, options.threads)))
    report.write()


if __name__ == "__main__":
    main()
