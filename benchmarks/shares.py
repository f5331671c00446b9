"""The network's share in a blend: as it is fitted, and as it is guessed without a fit.

Without a held-out text nothing shows how much a network knows that the n-grams of its
text do not, and training guesses it from the characters that the network has read
(`training.blending.usual_share`). Each row of this grid trains on the beginning of a
text with a held-out tail, as `charrnn train --epochs N` does by default, and shows the
fitted share beside the guess.

    python benchmarks/shares.py tinyshakespeare=FILE lovecraft=FILE names=FILE

A text called "names" has a document in each line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reporting import Report, cell, new_parser

import charrnn
from charrnn.training.blending import usual_share

#: Texts whose lines are documents.
OF_LINES = ("names",)

#: Characters, passes, and units: what is planned for so much reading, so that the
#: grid is the same on every machine.
GRID = (
    (20_000, 20.0, 64),
    (20_000, 80.0, 128),
    (60_000, 10.0, 96),
    (60_000, 40.0, 192),
    (200_000, 1.0, 64),
    (200_000, 5.0, 128),
    (200_000, 20.0, 192),
    (1_000_000, 0.3, 64),
    (1_000_000, 1.0, 128),
    (1_000_000, 5.0, 256),
)
QUICK = ((3_000, 2.0, 8),)

#: The text that comes with charrnn stands in for others.
OURS = Path(__file__).parent.parent / "corpora" / "saltmarsh.txt"


@dataclass(frozen=True)
class Row:
    """One run."""

    text: str
    characters: int
    epochs: float
    hidden: int
    network: float  # nats per held-out character
    ngrams: float
    both: float
    share: float  # as fitted
    usual: float  # as it would be guessed


COLUMNS = {
    "text": lambda row: row.text,
    "characters": lambda row: cell(row.characters),
    "passes": lambda row: cell(row.epochs, "g"),
    "units": lambda row: cell(row.hidden),
    "network": lambda row: cell(row.network, ".3f"),
    "n-grams": lambda row: cell(row.ngrams, ".3f"),
    "both": lambda row: cell(row.both, ".3f"),
    "fitted": lambda row: cell(row.share, ".2f"),
    "guessed": lambda row: cell(row.usual, ".2f"),
}


def rows(texts: dict[str, str], quick: bool, threads: int) -> Iterator[Row]:
    """Train one network after the other."""
    for characters, epochs, hidden in QUICK if quick else GRID:
        for name, text in texts.items():
            if len(text) < 0.9 * characters:
                continue
            part, lines = text[:characters], name in OF_LINES
            if lines:
                part = part[: part.rindex("\n") + 1]
            *_, end = charrnn.train(
                charrnn.Text(part), epochs=epochs, hidden=hidden, lines=lines,
                patience=0, threads=threads, keep_best=False,
            )  # fmt: skip
            if not isinstance(end, charrnn.Ended) or end.blend is None:
                msg = "the run has not come to its end"
                raise TypeError(msg)
            found = end.blend
            usual = usual_share(round(0.9 * len(part)), epochs, lines=lines)
            yield Row(
                name, len(part), epochs, hidden,
                found.network_loss or 0.0, found.ngram_loss or 0.0, found.loss or 0.0,
                found.share, usual,
            )  # fmt: skip


def main() -> None:
    """Run the grid."""
    parser = new_parser(__doc__)
    parser.add_argument("texts", nargs="*", metavar="NAME=FILE")
    options = parser.parse_args()
    files = dict(pair.split("=", 1) for pair in options.texts) or {"saltmarsh": OURS}
    texts = {name: Path(file).read_text("utf-8") for name, file in files.items()}
    report = Report(options)
    add = report.table("The network's share", COLUMNS)
    for row in rows(texts, options.quick, options.threads):
        add(row)
    report.write()


if __name__ == "__main__":
    main()
