"""How much dropout a network can use: its size against the text's, and the passes.

Dropout keeps a network from learning its text by heart. One that is far too small
for that has nothing to be kept from, and only learns more slowly. Every run of this
grid trains one network on the beginning of a text for so many passes, at shares of
the dropout that so many passes would have a large network take
(`plan.dropout_by_passes`), and scores the held-out tail. Runs are counted in passes
and not in seconds: the losses are the same on every machine of a kind, and beside
whatever else it does.

    python benchmarks/capacity.py [TEXT ...] --record FILE

What the record has is not run again, so that the grid, which takes hours, can be
stopped and gone on with.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reporting import Report, cell, new_parser

import charrnn
from charrnn import parameters
from charrnn.config import ModelConfig
from charrnn.training.plan import dropout_by_passes

#: Shares of the dropout for passes alone.
SHARES = (0.0, 0.5, 1.0)

#: Characters, cell, units, layers, passes: in this order, the first ones being what
#: tells most.
GRID = (
    (100_000, "lstm", 32, 1, 20.0),
    (100_000, "lstm", 64, 1, 20.0),
    (100_000, "lstm", 96, 1, 20.0),
    (100_000, "lstm", 128, 1, 20.0),
    (20_000, "lstm", 32, 1, 40.0),
    (20_000, "lstm", 64, 1, 40.0),
    (400_000, "lstm", 64, 1, 10.0),
    (400_000, "lstm", 128, 1, 10.0),
    (100_000, "rnn", 64, 1, 20.0),
    (100_000, "gru", 64, 1, 20.0),
    (100_000, "lstm", 192, 1, 20.0),
    (20_000, "lstm", 128, 1, 40.0),
    (100_000, "lstm", 64, 2, 20.0),
    (100_000, "lstm", 64, 1, 60.0),
    (100_000, "lstm", 32, 1, 60.0),
    (1_000_000, "lstm", 64, 1, 15.0),
    (400_000, "lstm", 192, 1, 10.0),
    (1_000_000, "lstm", 128, 1, 10.0),
    (400_000, "rnn", 128, 1, 10.0),
    (400_000, "gru", 128, 1, 10.0),
    (1_000_000, "lstm", 256, 1, 6.0),
    (2_600_000, "lstm", 64, 1, 15.0),
    (2_600_000, "lstm", 128, 1, 8.0),
)
#: The text that comes with charrnn stands in for others.
OURS = Path(__file__).parent.parent / "corpora" / "saltmarsh.txt"

QUICK = ((3_000, "lstm", 8, 1, 4.0),)


@dataclass(frozen=True)
class Row:
    """One network on one text: its losses at `SHARES`, in nats."""

    text: str
    characters: int
    network: str
    passes: float
    weights: float  # for each character to train on
    dropout: float  # of outputs, at a share of 1
    losses: tuple[float, ...]

    @property
    def best(self) -> float:
        """The share that does best."""
        return SHARES[self.losses.index(min(self.losses))]


def _loss(n: int) -> Callable[[Row], str]:
    """Write the loss at one share."""
    return lambda row: cell(row.losses[n], ".4f")


COLUMNS = {
    "text": lambda row: row.text,
    "characters": lambda row: cell(row.characters),
    "network": lambda row: row.network,
    "passes": lambda row: cell(row.passes, "g"),
    "weights a character": lambda row: cell(row.weights, ".3f"),
    "dropout": lambda row: cell(row.dropout, ".2f"),
    **{f"x {share:g}": _loss(n) for n, share in enumerate(SHARES)},
    "best": lambda row: cell(row.best, "g"),
}


def loss(
    text: str,
    network: tuple[str, int, int],
    passes: float,
    rates: dict[str, float],
    options: argparse.Namespace,
) -> float:
    """Train one network; return its loss on the tail at the end."""
    kind, hidden, layers = network
    wanted: dict[str, Any] = {
        "cell": kind,
        "hidden": hidden,
        "layers": layers,
        "epochs": passes,
        "threads": options.threads,
        "seed": options.seed,
        "patience": 0,
        "memory": False,
        **rates,
    }
    *_, ended = charrnn.train(charrnn.Text(text), **wanted)
    if not isinstance(ended, charrnn.Ended) or ended.val_loss is None:
        msg = "the run has not come to its end"
        raise TypeError(msg)
    return ended.val_loss


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Go through the grid, text after text for each of its points."""
    known = {}
    if options.record is not None and options.record.exists():
        for line in options.record.read_text("utf-8").splitlines():
            *key, value = json.loads(line)
            known[tuple(key)] = value
    texts = {path.stem: path.read_text("utf-8") for path in options.texts}
    for size, kind, hidden, layers, passes in QUICK if options.quick else GRID:
        for name, text in texts.items():
            if len(text) < 0.9 * size:
                continue
            part = text[:size]
            trained = 0.9 * len(part)
            shape = ModelConfig(
                vocab_size=len(set(part)), cell=kind, hidden=hidden, layers=layers
            )
            full = dropout_by_passes(passes)
            losses = []
            for share in SHARES:
                key = (name, size, kind, hidden, layers, passes, share, options.seed)
                if key not in known:
                    rates = {k: round(share * rate, 3) for k, rate in full.items()}
                    network = (kind, hidden, layers)
                    known[key] = loss(part, network, passes, rates, options)
                    if options.record is not None:
                        with options.record.open("a", encoding="utf-8") as record:
                            record.write(json.dumps([*key, known[key]]) + "\n")
                losses.append(known[key])
            weights = parameters.size(shape) / trained
            what = f"{kind} {layers} x {hidden}"
            yield Row(
                name, len(part), what, passes, weights, full["dropout"], tuple(losses)
            )


def main() -> None:
    """Run the grid."""
    parser = new_parser(__doc__)
    parser.add_argument("texts", type=Path, nargs="*", metavar="TEXT")
    parser.add_argument("--record", type=Path, metavar="FILE", help="kept losses")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.texts:
        options.texts = [OURS]
    report = Report(options)
    add = report.table("Loss of the tail by the share of dropout, in nats", COLUMNS)
    for row in rows(options):
        add(row)
    report.write()


if __name__ == "__main__":
    main()
