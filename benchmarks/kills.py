"""Whether a training that is killed again and again loses anything.

A training is killed with SIGKILL at a moment at random, its files are read in
full, and it is resumed, until it comes to its end. Then its files must be, byte
for byte, those of a training that nobody disturbed. All of it is repeated,
with one plan after another, until so many kills are done.

    python benchmarks/kills.py [--quick] [--json FILE] [--threads N] [--kills N]
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from reporting import Report, new_parser

from charrnn.checkpoint import load

#: A save after every step, so that kills meet saves.
COMMON = (
    *("--steps", "100", "--eval-every", "10", "--save-every", "1", "--log-every", "1"),
    *("--batch-size", "4", "--seq-length", "8", "--val-fraction", "0.2", "--json"),
)

PLANS = {
    "LSTM, adam, dropout": "--cell lstm --hidden 24 --layers 2 --dropout 0.3",
    "GRU, rmsprop, lines": "--cell gru --hidden 16 --optimizer rmsprop --lines",
    "vanilla, adagrad, bytes": "--cell rnn --optimizer adagrad --unit byte",
    "LSTM, sgd, cyclic": "--hidden 8 --optimizer sgd --schedule cyclic --lr 0.3",
}

#: When the kill comes, counted from the first record: any time in this share of
#: what the undisturbed training took, so that a few kills come before the end.
SHARE = 0.5

FILES = ("t.npz", "t.best.npz")


@dataclass
class Tally:
    """What was tried with one plan, and what came of it."""

    plan: str
    runs: int = 0  # that came to their end
    kills: int = 0
    in_saves: int = 0  # kills that left an unfinished file
    checked: int = 0  # files that were read in full after a kill
    damaged: int = 0
    differing: int = 0  # runs whose last files were not the undisturbed ones


COLUMNS = {
    "plan": lambda row: row.plan,
    "kills": lambda row: str(row.kills),
    "while saving": lambda row: str(row.in_saves),
    "files checked": lambda row: str(row.checked),
    "damaged": lambda row: str(row.damaged),
    "runs": lambda row: str(row.runs),
    "other in the end": lambda row: str(row.differing),
}


def write_text(path: Path) -> None:
    """Write lines of words at random."""
    rng = random.Random(0)  # noqa: S311 - not for secrets
    words = ["sea", "the", "harbor", "tide", "an", "old", "house", "\n"]
    path.write_text(" ".join(rng.choices(words, k=500)) + "\n")


def start(directory: Path, plan: str, threads: int) -> "subprocess.Popen[bytes]":
    """Begin the plan, or go on with it if it has a file."""
    again = "--resume" if (directory / FILES[0]).exists() else "--force"
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "charrnn", "train", "t.txt", again),
            *(*COMMON, *PLANS[plan].split(), "--threads", str(threads)),
        ],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def run(
    directory: Path, plan: str, threads: int, moment: float | None = None
) -> float | None:
    """Run the plan on, perhaps killed after a moment.

    Returns
    -------
    seconds : float or None
        What it took from the first record; None if the kill came before the end.
    """
    process = start(directory, plan, threads)
    assert process.stdout is not None  # noqa: S101 - it was asked for
    process.stdout.readline()
    began = time.monotonic()
    if moment is not None:
        time.sleep(moment)
        process.kill()
    process.communicate()
    if process.returncode not in (0, -9):
        sys.exit(f"{plan}: ended with {process.returncode}")
    return time.monotonic() - began if process.returncode == 0 else None


def leftovers(directory: Path) -> list[Path]:
    """List files that a save did not come to finish."""
    return list(directory.glob(".*.tmp"))


def check(directory: Path, tally: Tally) -> None:
    """Read what a killed training has left."""
    tally.kills += 1
    tally.in_saves += bool(leftovers(directory))
    for name in FILES:
        if (directory / name).exists():
            tally.checked += 1
            try:
                load(directory / name)
            except Exception as error:  # whatever it is, it is counted
                print(f"{tally.plan}: {error!r}", file=sys.stderr)
                tally.damaged += 1


def disturb(
    directory: Path,
    tally: Tally,
    undisturbed: list[bytes],
    seconds: float,
    rng: random.Random,
) -> None:
    """Bring the plan to its end, through any number of kills."""
    for name in FILES:
        (directory / name).unlink(missing_ok=True)
    while True:
        # Whatever the number of threads, the bytes are the same.
        threads, moment = rng.choice((1, 2)), rng.uniform(0, SHARE * seconds)
        if run(directory, tally.plan, threads, moment) is not None:
            break
        check(directory, tally)
    tally.runs += 1
    last = [(directory / name).read_bytes() for name in FILES]
    tally.differing += last != undisturbed
    if leftovers(directory):
        sys.exit("an unfinished file was never removed")


def main() -> None:
    """Kill one plan after another until that was enough."""
    parser = new_parser(__doc__)
    parser.add_argument("--kills", type=int, default=240, metavar="N")
    options = parser.parse_args()
    kills = 2 if options.quick else options.kills
    plans = list(PLANS)[: 1 if options.quick else None]
    report = Report(options)
    add = report.table("Killed trainings", COLUMNS)
    rng = random.Random(os.getpid() if not options.quick else 0)  # noqa: S311
    failures = 0
    for plan in plans:
        with tempfile.TemporaryDirectory() as name:
            directory, tally = Path(name), Tally(plan)
            write_text(directory / "t.txt")
            seconds = run(directory, plan, options.threads)
            assert seconds is not None  # noqa: S101 - nobody kills it
            undisturbed = [(directory / file).read_bytes() for file in FILES]
            while tally.kills < kills / len(plans):
                disturb(directory, tally, undisturbed, seconds, rng)
            add(tally)
            failures += tally.damaged + tally.differing
    report.write()
    if failures:
        sys.exit(f"{failures} failures")


if __name__ == "__main__":
    main()
