"""How much of a text is copied into samples, by temperature and the network's share.

Blending a network with the n-grams of its text must not turn samples into quotation.
So each text is learned once, as `charrnn train` does with `--epochs` and `--hidden`,
and sampled with the share that training found best (`--blend auto`), with the network
alone, with the n-grams alone, and half way from auto to either. What counts is the
part of the text that was trained on; the held-out part is measured like a sample, to
show how much any other text by the same hand has in common with it:

    python benchmarks/copying.py tinyshakespeare=FILE lovecraft=FILE names=FILE

A text called "names" has a document in each line: what counts there are whole lines.
`--models DIRECTORY` keeps the checkpoints, and uses those that it has.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from reporting import Report, cell, new_parser

import charrnn
from charrnn.checkpoint import load
from charrnn.corpus import ReadOptions, read_corpus, split
from charrnn.inspection.diversity import COPIED, measure_diversity
from charrnn.vocab import Vocab

#: Texts whose lines are documents.
OF_LINES = ("names",)

TEMPERATURES = (0.5, 0.7, 0.8, 1.0)

#: Samples of each kind, and characters of each.
SAMPLES, LENGTH = 10, 2000

#: The part that is held out, as `charrnn train` holds it out by default.
HELD_OUT = 0.1

#: What a share is called that training has fitted.
AUTO = "auto"


@dataclass(frozen=True)
class Row:
    """Samples of one text, temperature and share; or the held-out text."""

    text: str
    temperature: float | None  # None for the held-out text
    kind: str  # of the share: see `shares`
    share: float | None  # the network's
    seen: float | None  # share of the 20-grams that stand in the training text
    longest: int  # characters of the longest span that stands there
    repeated: float | None  # share of the 20-grams that stood in the samples before
    lines: float | None  # share of the lines that stand there, where they are documents


COLUMNS = {
    "text, temperature": lambda row: f"{row.text}, {cell(row.temperature, '.1f')}",
    "what": lambda row: row.kind,
    "network": lambda row: cell(row.share, ".0%"),
    f"{COPIED}-grams seen": lambda row: cell(row.seen, ".2%"),
    "longest copy": lambda row: cell(row.longest),
    "repeated": lambda row: cell(row.repeated, ".2%"),
    "lines seen": lambda row: cell(row.lines, ".1%"),
}


@dataclass(frozen=True)
class Parts:
    """A text, as training divides it."""

    name: str
    vocab: Vocab
    fitted: float  # the network's share, as training has found it
    trained: str
    held_out: str

    def row(
        self, texts: Sequence[str], kind: str, at: tuple[float, float] | None
    ) -> Row:
        """Measure samples.

        Parameters
        ----------
        texts : sequence of str
        kind : str
        at : (float, float), optional
            Temperature and share that they were sampled with.
        """
        with tempfile.TemporaryDirectory() as directory:
            corpus = Path(directory, "trained.txt")
            corpus.write_text(self.trained, "utf-8", newline="")
            found = measure_diversity(texts, self.vocab, corpus=[str(corpus)])
        if (overlap := found.overlap) is None:
            sys.exit("nothing was compared with the training text")
        return Row(
            text=self.name,
            temperature=at and at[0],
            kind=kind,
            share=at and at[1],
            seen=overlap.seen,
            longest=overlap.longest_copy.characters,
            repeated=found.measures.repetition,
            lines=self._lines_seen(texts) if self.name in OF_LINES else None,
        )

    def _lines_seen(self, texts: Sequence[str]) -> float:
        """Compute the share of whole lines that stand in the training text."""
        known = set(self.trained.splitlines())
        # The last line of a sample may have been cut off.
        lines = [line for text in texts for line in text.splitlines()[:-1]]
        return sum(line in known for line in lines) / max(1, len(lines))


def parts_of(name: str, path: Path, checkpoint: Path) -> Parts:
    """Divide a text as the training of a checkpoint has divided it."""
    loaded = load(checkpoint)
    lines = name in OF_LINES
    ids = read_corpus((str(path),), ReadOptions(vocab=loaded.vocab, lines=lines)).ids
    newline = loaded.vocab.encode("\n")[0] if lines else None
    head, tail = split(ids, HELD_OUT, lines_newline_id=newline)
    if loaded.memory is None or not np.array_equal(loaded.memory.ids, head):
        sys.exit(f"{checkpoint} has been trained on another text than {path}")
    texts = (loaded.vocab.decode(part) for part in (head, tail))
    return Parts(name, loaded.vocab, loaded.memory.share, *texts)


def train(
    name: str, path: Path, output: Path, options: argparse.Namespace, *more: str
) -> None:
    """Run the command, with more options perhaps, unless its checkpoint is there."""
    if output.exists():
        return
    lines = ["--lines"] if name in OF_LINES else []
    subprocess.run(
        [sys.executable, "-m", "charrnn", "train", path, "-o", output, "-q",
         "--no-keep-best", "--epochs", str(options.epochs), *lines,
         "--hidden", str(options.hidden), "--threads", str(options.threads), *more],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def shares(fitted: float) -> dict[str, float]:
    """Name the network's shares that are tried."""
    return {
        "network": 1.0,
        "half way to the network": (1 + fitted) / 2,
        AUTO: fitted,
        "half way to n-grams": fitted / 2,
        "n-grams": 0.0,
    }


def measure(
    name: str, path: Path, checkpoint: Path, size: tuple[int, int]
) -> Iterator[Row]:
    """Sample with every share at every temperature, and measure the samples.

    Parameters
    ----------
    name : str
    path : Path
        The text.
    checkpoint : Path
    size : (int, int)
        How many samples, and characters of each.
    """
    count, length = size
    parts, model = parts_of(name, path, checkpoint), charrnn.load(checkpoint)
    cuts = range(0, min(count * length, len(parts.held_out)), length)
    yield parts.row([parts.held_out[a : a + length] for a in cuts], "held out", None)
    for temperature in TEMPERATURES:
        for kind, share in shares(parts.fitted).items():
            texts = [
                model.sample(
                    length=length, temperature=temperature, blend=share, seed=seed
                )
                for seed in range(count)
            ]
            yield parts.row(texts, kind, (temperature, share))


def quick_text(directory: str) -> dict[str, Path]:
    """Write a little text, for a run that only shows that the script works."""
    path = Path(directory, "quick.txt")
    words = np.random.default_rng(0).choice(["sea ", "tide ", "ebb\n", "fog "], 2000)
    path.write_text("".join(words), "utf-8")
    return {"quick": path}


def check(rows: Sequence[Row]) -> None:
    """Exit where figures cannot be: n-grams alone copy spans as long as they are."""
    for row in rows:
        if row.kind == "n-grams" and row.longest == 0:
            sys.exit(f"{row.text}: n-grams have written nothing that stands there")
        if row.seen is not None and (row.seen > 0) != (row.longest >= COPIED):
            sys.exit(f"{row.text}: the longest copy belies the {COPIED}-grams")


def main() -> None:
    """Train, sample, print the table, and write JSON if asked to."""
    parser = new_parser(__doc__)
    parser.add_argument("texts", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--epochs", type=float, default=6, metavar="F")
    parser.add_argument("--hidden", type=int, default=128, metavar="N")
    parser.add_argument("--models", type=Path, metavar="DIRECTORY")
    options = parser.parse_args()
    report, size = Report(options), (SAMPLES, LENGTH)
    add = report.table("What samples copy, by temperature and share", COLUMNS)
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        texts = dict(pair.split("=", 1) for pair in options.texts)
        paths = {name: Path(file) for name, file in texts.items()}
        if options.quick:
            paths, options.hidden, options.epochs = quick_text(directory), 8, 1
            size = 2, 200
        models = options.models or Path(directory)
        for name, path in paths.items():
            checkpoint = models / f"{name}.npz"
            train(name, path, checkpoint, options)
            for row in measure(name, path, checkpoint, size):
                rows.append(row)
                add(row)
    check(rows)
    report.write()


if __name__ == "__main__":
    main()
