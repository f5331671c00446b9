"""What it is worth to count what is read, and what becomes of names in a prompt.

Each text is learned as `charrnn train` does with `--epochs` and `--hidden`, once for
each seed, and its held-out part is scored by the network, by the n-grams, by both, and
by both where the counts go on in what is read (`--adapt`), with other weights of what
is read beside the usual one. A weight is compiled into kernels: each one has processes
of its own, and a directory of its own for their kernels. The network's share is tried
in other ways, too: the fitted one everywhere, not divided where what was read knows a
longer context than the training text (see `charrnn.kernels.blending`); the one that
suits the text best; and some that are learned on the way.

Then a story (`story.txt`, written for this) is the prompt of a model that has never
seen the names of its people and places, and is continued with adapting and without.
The model is that of the text called "lovecraft", whose manner the story has:

    python benchmarks/adapting.py tinyshakespeare=FILE lovecraft=FILE names=FILE

A text called "names" has a document in each line. `--models DIRECTORY` keeps the
checkpoints and the weights' kernels, and uses those that it has; `--seeds N` trains
that many of each text.
"""

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from copying import Parts, parts_of, quick_text, train
from reporting import Report, at_most, cell, new_parser
from weighing import adapted_loss

import charrnn
from charrnn.inspection.diversity import COPIED, measure_diversity
from charrnn.kernels.growth import WEIGHT
from charrnn.training.kneser_ney import Probabilities

#: What a count of the text that is read is worth, beside one of the training text.
WEIGHTS = (1, 2, 3, 4)

STORY = Path(__file__).parent / "story.txt"

#: Its people, places and things, none of which has a name in any other text.
NAMES = (
    "Ambrecht", "Corvenmouth", "Gallowmere", "Hesperleigh", "Jorrimy", "Lindreth",
    "Nacreth", "Ostrick", "Othmuriel", "Quennet", "Skarrowfell", "Thibbard",
    "Tolvenny", "Umbraskar", "Vessalorn", "Yskelle",
)  # fmt: skip

#: How often a name has been read before it is looked at what it costs.
READ = 3

#: Texts whose models continue the story: one with its manner, and the one of a run
#: that only shows that the script works.
CONTINUE = ("lovecraft", "quick")

TEMPERATURES = (0.7, 0.8)

#: How the story is continued, and by which options.
KINDS: dict[str, tuple[str, ...]] = {
    "network": ("--blend", "1"),
    "blended": (),
    "adapting": ("--adapt",),
    "adapting to its output, too": ("--adapt", "--adapt-output"),
}

#: Samples of each kind, and characters of each.
SAMPLES, LENGTH = 40, 1000

#: Characters of a continuation that are shown.
SHOWN = 400

#: Where learned shares tell apart how network and counts have predicted a character,
#: in nats; the characters that the fitted share is worth; and those that count.
STEPS, KNOWN, MEMORY = (-1.0, -0.2, 0.2, 1.0), 30.0, 1000.0

#: Characters that are scored to see how long it takes, rounds of it, and what
#: adapting may take of a blend's time.
TIMED, ROUNDS, TARGET = 100_000, 5, 1.2

#: Losses may differ by so much between processes.
CLOSE = 1e-6

#: A word that begins with a capital, and has an end: the last one may be cut off.
CAPITALIZED = re.compile(r"\b[A-Z][A-Za-z]+(?=[^A-Za-z])")


@dataclass(frozen=True)
class Losses:
    """One text: its held-out part in nats, means over the seeds."""

    text: str
    characters: int  # held out
    networks: str
    seeds: int
    network: float
    ngrams: float
    share: float  # the network's
    blended: float
    spread: float | None  # of that, highest less lowest; None for one seed
    adapted: tuple[float, ...]  # by weight, in the order of `weights`
    weights: tuple[int, ...]


def _adapted(weight: int) -> Callable[[Losses], str]:
    """Write the loss at one weight."""
    return lambda row: cell(
        dict(zip(row.weights, row.adapted, strict=True)).get(weight), ".4f"
    )


LOSSES = {
    "text": lambda row: row.text,
    "held out": lambda row: cell(row.characters),
    "network": lambda row: row.networks,
    "seeds": lambda row: cell(row.seeds),
    "network alone": lambda row: cell(row.network, ".4f"),
    "n-grams alone": lambda row: cell(row.ngrams, ".4f"),
    "share": lambda row: cell(row.share, ".2f"),
    "blended": lambda row: cell(row.blended, ".4f"),
    "spread": lambda row: cell(row.spread, ".4f"),
    **{f"adapting, weight {weight}": _adapted(weight) for weight in WEIGHTS},
}


@dataclass(frozen=True)
class Shares:
    """One text, scored with counts that go on, by the network's share; in nats."""

    text: str
    fitted: float  # the share that training found for counts that stay
    loss: float  # with that
    divided: float  # as charrnn does: with less of it where what was read knows more
    best: float  # the share that this text itself is likeliest by
    best_loss: float
    learned_loss: float  # with shares that are learned on the way: see `learned_costs`


SHARES = {
    "text": lambda row: row.text,
    "share, as trained": lambda row: cell(row.fitted, ".2f"),
    "nats": lambda row: cell(row.loss, ".4f"),
    "divided": lambda row: cell(row.divided, ".4f"),
    "best share": lambda row: cell(row.best, ".2f"),
    "nats with it": lambda row: cell(row.best_loss, ".4f"),
    "learned shares": lambda row: cell(row.learned_loss, ".4f"),
}


@dataclass(frozen=True)
class Speed:
    """Scoring a text, in processor time of one thread."""

    text: str
    characters: int
    blended: float  # microseconds a character
    adapting: float
    ratio: float  # median over the rounds


SPEED = {
    "text": lambda row: row.text,
    "characters": lambda row: cell(row.characters),
    "blended, µs a character": lambda row: cell(row.blended, ".2f"),
    "adapting": lambda row: cell(row.adapting, ".2f"),
    "times": lambda row: cell(row.ratio, ".2f"),
    "target": lambda _: at_most(TARGET),
}


@dataclass(frozen=True)
class Names:
    """What becomes of the story's names at one temperature, in samples of one kind."""

    temperature: float | None  # None for the story itself
    kind: str
    rate: float  # names in 1,000 characters
    distinct: float  # different ones in a sample, on average
    returned: int  # different ones in all samples
    new: int  # capitalized words that are not in the training text
    spelt: float | None  # share of those that are names of the story
    repeated: float  # share of 20-grams that stood in the same sample before
    quoted: float | None  # share of 20-grams that stand in the story
    sample: str


NAMES_KEPT = {
    "temperature": lambda row: cell(row.temperature, ".1f"),
    "continued by": lambda row: row.kind,
    "names in 1,000 characters": lambda row: cell(row.rate, ".2f"),
    "different ones in a sample": lambda row: cell(row.distinct, ".1f"),
    "in all": lambda row: cell(row.returned),
    "new capitalized words": lambda row: cell(row.new),
    "of these its names": lambda row: cell(row.spelt, ".0%"),
    f"{COPIED}-grams repeated": lambda row: cell(row.repeated, ".2%"),
    "out of the story": lambda row: cell(row.quoted, ".2%"),
}


@dataclass(frozen=True)
class Story:
    """What the story costs one way of predicting it, in nats; means."""

    kind: str
    loss: float  # of a character
    begin: float  # of the first letter of a name that was read `READ` times or more
    rest: float  # of its other letters together


STORY_COSTS = {
    "predicted by": lambda row: row.kind,
    "a character": lambda row: cell(row.loss, ".4f"),
    "a name's first letter": lambda row: cell(row.begin, ".2f"),
    "the rest of the name": lambda row: cell(row.rest, ".2f"),
}


@dataclass(frozen=True)
class Learned:
    """A text and the models that have learned it."""

    name: str
    models: Mapping[Path, Parts]  # by checkpoint, one for each seed

    @property
    def first(self) -> tuple[Path, Parts]:
        """The model of the first seed, and its text."""
        return next(iter(self.models.items()))


def learned(
    name: str, path: Path, models: Path, options: argparse.Namespace
) -> Learned:
    """Train a network on a text with every seed, unless the checkpoints are there."""
    found = {}
    for seed in range(options.seeds):
        checkpoint = models / f"{name}-{seed}.npz"
        train(name, path, checkpoint, options, "--seed", str(seed))
        found[checkpoint] = parts_of(name, path, checkpoint)
    return Learned(name, found)


def losses(text: Learned, weights: Sequence[int], models: Path, threads: int) -> Losses:
    """Score the held-out part by every model of a text, with every weight.

    Parameters
    ----------
    text : Learned
    weights : sequence of int
    models : Path
        Where each weight has a directory for its kernels.
    threads : int
    """
    alone: list[tuple[float, float, float]] = []
    adapted: list[list[float]] = [[] for _ in weights]
    shares, network = [], ""
    for checkpoint, parts in text.models.items():
        model, read = charrnn.load(checkpoint, threads=threads), parts.held_out
        alone.append(
            (model.loss(read, blend=1), model.loss(read, blend=0), model.loss(read))
        )
        held_out = checkpoint.with_suffix(".txt")
        held_out.write_text(read, "utf-8", newline="")
        for weight, found in zip(weights, adapted, strict=True):
            cache = models / f"weight-{weight}"
            found.append(adapted_loss(checkpoint, held_out, weight, cache, threads))
            if (
                weight == WEIGHT
                and abs(found[-1] - model.loss(read, adapt=True)) > CLOSE
            ):
                sys.exit(f"{text.name}: another process finds another loss")
        shares.append(parts.fitted)
        config = model.network.config
        network = f"{config.cell} {config.layers} x {config.hidden}"
    network_alone, ngrams, blended = zip(*alone, strict=True)
    return Losses(
        text=text.name,
        characters=len(text.first[1].held_out),
        networks=network,
        seeds=len(text.models),
        network=statistics.mean(network_alone),
        ngrams=statistics.mean(ngrams),
        share=statistics.mean(shares),
        blended=statistics.mean(blended),
        spread=max(blended) - min(blended) if len(blended) > 1 else None,
        adapted=tuple(map(statistics.mean, adapted)),
        weights=tuple(weights),
    )


def learned_costs(p: Probabilities, q: Probabilities, share: float) -> Probabilities:
    """Score a text by shares that are learned while it is read.

    There is one for each answer to how the character before was predicted: far better
    by the network than by the counts, better, alike, worse, far worse. Each is the
    mean of how likely it was, of the characters that followed, that the network was
    right and not the counts; `KNOWN` characters of the share that was fitted count as
    read before, and after `MEMORY` characters older ones begin to be forgotten.

    Parameters
    ----------
    p, q : (N,) float64 array
        How likely each character is by the network and by the counts.
    share : float
        The fitted one.

    Returns
    -------
    (N,) float64 array
        What each character costs, in nats.
    """
    sums, characters = ([x] * (len(STEPS) + 1) for x in (KNOWN * share, KNOWN))
    found, now = [], len(STEPS) // 2
    for network, counts in zip(p.tolist(), q.tolist(), strict=True):
        weighed = sums[now] / characters[now] * network
        both = weighed + (1 - sums[now] / characters[now]) * counts
        found.append(-math.log(both))
        sums[now] += weighed / both
        characters[now] += 1
        if characters[now] > MEMORY:
            sums[now] *= MEMORY / characters[now]
            characters[now] = MEMORY
        now = bisect(STEPS, math.log(network / counts))
    return np.array(found)


def shares(text: Learned, threads: int) -> Shares:
    """Try other shares of the network where counts go on, by the first seed's model."""
    checkpoint, parts = text.first
    model, read = charrnn.load(checkpoint, threads=threads), parts.held_out
    network = model.surprise(read, blend=1)
    counts = model.surprise(read, blend=0, adapt=True)
    p, q = np.exp(-network), np.exp(-counts)

    def loss(share: float) -> float:
        return -float(np.log(share * p + (1 - share) * q).mean())

    best = min(np.linspace(0.0, 1.0, 101).tolist(), key=loss)
    fitted = parts.fitted
    return Shares(
        text=text.name,
        fitted=fitted,
        loss=loss(fitted),
        divided=model.loss(read, adapt=True),
        best=best,
        best_loss=loss(best),
        learned_loss=float(learned_costs(p, q, fitted).mean()),
    )


def speed(text: Learned, characters: int) -> Speed:
    """Time the scoring of what is held out, as `inspect --view surprise` scores it."""
    checkpoint, parts = text.first
    model, read = charrnn.load(checkpoint, threads=1), parts.held_out[:characters]
    taken: dict[bool, list[float]] = {False: [], True: []}
    for adapt in taken:  # nothing is compiled or counted while it is timed
        model.surprise(read, adapt=adapt)
    for _ in range(ROUNDS):
        for adapt, found in taken.items():
            began = time.process_time()
            model.surprise(read, adapt=adapt)
            found.append((time.process_time() - began) / len(read) * 1e6)
    ratios = [b / a for a, b in zip(taken[False], taken[True], strict=True)]
    return Speed(
        text=text.name,
        characters=len(read),
        blended=statistics.median(taken[False]),
        adapting=statistics.median(taken[True]),
        ratio=statistics.median(ratios),
    )


def story_costs(text: Learned) -> Iterator[Story]:
    """Score the story, and its names apart."""
    checkpoint, parts = text.first
    model, story = charrnn.load(checkpoint, threads=1), STORY.read_text("utf-8")
    # Only what the model knows is scored.
    story = "".join(
        character for character in story if character in parts.vocab.symbols
    )
    network = model.surprise(story, blend=1)
    counts = model.surprise(story, blend=0, adapt=True)
    p, q = np.exp(-network), np.exp(-counts)
    ways = {
        "network": network,
        "blended": model.surprise(story),
        "adapting": model.surprise(story, adapt=True),
        "adapting, one share": -np.log(parts.fitted * p + (1 - parts.fitted) * q),
        "n-grams alone, adapting": counts,
        "adapting, learned shares": learned_costs(p, q, parts.fitted),
    }
    names = [
        found
        for name in NAMES
        for found in list(re.finditer(rf"\b{name}\b", story))[READ:]
    ]
    for kind, nats in ways.items():
        begins = [float(nats[name.start()]) for name in names]
        rests = [float(nats[name.start() + 1 : name.end()].sum()) for name in names]
        if names:
            loss = float(nats.mean())
            yield Story(kind, loss, statistics.mean(begins), statistics.mean(rests))


def capitalized(text: str) -> list[str]:
    """List the words of a text that begin with a capital, all spelt like names."""
    return [word.capitalize() for word in CAPITALIZED.findall(text)]


def continuations(
    checkpoint: Path, temperature: float, kind: str, size: tuple[int, int]
) -> list[str]:
    """Continue the story.

    Parameters
    ----------
    checkpoint : Path
    temperature : float
    kind : str
        One of `KINDS`.
    size : (int, int)
        How many samples, and characters of each.
    """
    count, length = size
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "sample", checkpoint, "--json", "-q",
         "--prompt-file", STORY, "--unknown", "skip", "--seed", "1",
         "-N", str(count), "-n", str(length), "-t", str(temperature), *KINDS[kind]],
        check=True, stdout=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    return [json.loads(line)["text"] for line in done.stdout.splitlines()]


def names_kept(
    parts: Parts, texts: Sequence[str], kind: str, temperature: float | None
) -> Names:
    """Look for the story's names in some continuations.

    Parameters
    ----------
    parts : Parts
        The text that the model has learned.
    texts : sequence of str
    kind : str
    temperature : float, optional
    """
    known = {word.lower() for word in re.findall("[A-Za-z]+", parts.trained)}
    kept = [Counter(w for w in capitalized(text) if w in NAMES) for text in texts]
    new = [w for text in texts for w in capitalized(text) if w.lower() not in known]
    total = sum(map(len, texts))
    alone = [measure_diversity([text], parts.vocab) for text in texts]
    overlap = measure_diversity(texts, parts.vocab, corpus=[str(STORY)]).overlap
    return Names(
        temperature=temperature,
        kind=kind,
        rate=1000 * sum(counts.total() for counts in kept) / total,
        distinct=statistics.mean(map(len, kept)),
        returned=len(set().union(*kept)),
        new=len(new),
        spelt=sum(word in NAMES for word in new) / len(new) if new else None,
        repeated=statistics.mean(found.measures.repetition or 0.0 for found in alone),
        quoted=None if overlap is None else overlap.seen,
        sample=texts[0][:SHOWN],
    )


def story_rows(
    text: Learned, temperatures: Sequence[float], size: tuple[int, int]
) -> Iterator[Names]:
    """Continue the story in every way at every temperature; first comes itself."""
    checkpoint, parts = text.first
    story = STORY.read_text("utf-8")
    counts, trained = Counter(capitalized(story)), set(capitalized(parts.trained))
    for name in NAMES:
        if counts[name] < 5 or name in trained:
            sys.exit(f"{name} is too rare in the story, or not new to {text.name}")
    cuts = range(0, len(story) - LENGTH + 1, LENGTH)
    itself = [story[a : a + LENGTH] for a in cuts]
    yield names_kept(parts, itself, "(the story itself)", None)
    for temperature in temperatures:
        for kind in KINDS:
            texts = continuations(checkpoint, temperature, kind, size)
            yield names_kept(parts, texts, kind, temperature)


def main() -> None:
    """Train, score, continue the story; print the tables, and write JSON if asked."""
    parser = new_parser(__doc__)
    parser.add_argument("texts", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--epochs", type=float, default=6, metavar="F")
    parser.add_argument("--hidden", type=int, default=128, metavar="N")
    parser.add_argument("--seeds", type=int, default=2, metavar="N")
    parser.add_argument("--models", type=Path, metavar="DIRECTORY")
    options = parser.parse_args()
    report, size = Report(options), (SAMPLES, LENGTH)
    weights: Sequence[int] = WEIGHTS
    with tempfile.TemporaryDirectory() as directory:
        given = dict(pair.split("=", 1) for pair in options.texts)
        paths = {name: Path(file) for name, file in given.items()}
        if options.quick:
            paths, options.hidden, options.epochs = quick_text(directory), 8, 1
            size, weights, options.seeds = (2, 200), (WEIGHT,), 1
        models = options.models or Path(directory)
        texts = [learned(name, path, models, options) for name, path in paths.items()]
        add = report.table("The held-out text, in nats", LOSSES)
        for text in texts:
            add(losses(text, weights, models, options.threads))
        add = report.table("The network's share where counts go on", SHARES)
        for text in texts:
            add(shares(text, options.threads))
        add = report.table("Time to score a text, one thread", SPEED)
        for text in texts:
            add(speed(text, TIMED))
        for text in texts:
            if text.name in CONTINUE:
                continue_story(report, text, size)
    report.write()


def continue_story(report: Report, text: Learned, size: tuple[int, int]) -> None:
    """Print what becomes of the story's names, and the beginnings of samples."""
    add_costs = report.table(
        f"The story, read by the model of {text.name}", STORY_COSTS
    )
    for costs in story_costs(text):
        add_costs(costs)
    title = f"The story, continued by the model of {text.name}"
    add = report.table(title, NAMES_KEPT)
    rows = []
    temperatures = TEMPERATURES[:1] if report.options.quick else TEMPERATURES
    for row in story_rows(text, temperatures, size):
        rows.append(row)
        add(row)
    for row in rows[1:]:
        print(f"\n{row.kind}, temperature {row.temperature}:\n\n```\n{row.sample}\n```")


if __name__ == "__main__":
    main()
