"""Validation loss for the minutes spent: the defaults, beside yardsticks and PyTorch.

Every run is the command as a user gives it, `charrnn train TEXT --time T`, with
nothing else chosen; the tail of 10 % is held out and scored in one pass. Times
are of training steps, not of compiling, evaluating or saving. What is scored is the
network alone, the n-grams of the training text alone, and the blend of both, which is
what such a checkpoint predicts by; and, apart from these static losses, the blend
whose counts go on in the tail as it is read (`--adapt`). "copied" is the share of the
20-grams of blended samples at temperature 0.8 that stand in the training text, beside
that of the held-out tail. A table of its own has the models of all seeds, mixed with
equal weights (`charrnn.mix`), beside the mean of the single ones. Texts are given as
NAME=FILE, and those that have targets are told by their names:

    python benchmarks/quality.py tinyshakespeare=FILE lovecraft=FILE names=FILE

`--times 10s,60s` and `--seeds N` choose other runs for all texts; `--svg FILE`
draws validation loss against time. `--pytorch` trains the same LSTM with
PyTorch, under the same schedule and for the same times (the extra "bench").
"""

# isort: off
import pytorch  # before charrnn: see there

# isort: on
import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from reporting import Report, at_most, cell, new_parser

import charrnn
from charrnn.checkpoint import load
from charrnn.corpus import ReadOptions, read_corpus, split
from charrnn.durations import parse_duration
from charrnn.inspection.diversity import measure_diversity
from charrnn.network import Network
from charrnn.vocab import Vocab
from charrnn.windows import Documents, Window

#: Targets of the blend in nats, by text and time; texts of lines are marked.
TARGETS: dict[str, dict[str, float]] = {
    "tinyshakespeare": {"10s": 1.465, "60s": 1.42, "5m": 1.38, "10m": 1.37},
    "lovecraft": {"10s": 1.26, "60s": 1.23, "5m": 1.18, "15m": 1.165},
    "lovecraft55k": {"60s": 1.62},
    "names": {"60s": 2.12},
}
OF_LINES = ("names",)

#: Of the network alone, and of a blend that adapts.
NETWORK_TARGETS = {"tinyshakespeare": {"60s": 1.50, "5m": 1.43, "10m": 1.42}}
ADAPTING_TARGETS = {"tinyshakespeare": {"5m": 1.325}}

#: Samples that are looked through for copies: how many, and characters of each.
SAMPLES, LENGTH = 10, 2000

#: Times for texts without targets, and for the comparison with PyTorch.
OTHER_TIMES = ("60s",)
PYTORCH_TIMES = ("30s", "60s", "120s")

#: The network of that comparison, and what both sides are told.
COMPARED = {"hidden": 256, "layers": 1, "batch_size": 32, "seq_length": 64}

#: Characters of a window that begins with nothing, as nanoGPT scores them.
COLD = 256

#: The sample of each long run.
SAMPLE = ["-n", "400", "-t", "0.7", "--seed", "1", "-p", "", "--no-echo"]


@dataclass(frozen=True)
class Row:
    """One text and time: losses in nats, means over the seeds."""

    text: str
    time: str
    seeds: int
    network: str
    loss: float  # of the network alone
    ngram: float | None  # of the best n-grams alone
    blended: float | None
    spread: float  # of the blend or the network: highest less lowest
    share: float | None  # the network's in the blend
    order: float | None
    adapting: float | None
    copied: float | None  # share of 20-grams
    copied_held_out: float | None
    target: float | None
    best: float  # of all evaluations of a run
    train: float
    epochs: float
    rate: float  # characters a second
    cold: float | None  # windows of COLD characters, each from a state of zeros
    samples: dict[str, str]  # of the last seed, by the network's share
    curves: list[list[tuple[float, float]]] = field(repr=False)  # seconds, nats


def beside(value: float | None, targets: dict[str, dict[str, float]], row: Row) -> str:
    """Write a loss, with its target behind it where there is one."""
    target = targets.get(row.text, {}).get(row.time)
    shown = cell(value, ".4f")
    return shown if target is None else f"{shown} ({at_most(target)})"


COLUMNS = {
    "text, time": lambda row: f"{row.text}, {row.time}",
    "network": lambda row: row.network,
    "chars/s": lambda row: cell(row.rate),
    "epochs": lambda row: cell(row.epochs, ".1f"),
    "training": lambda row: cell(row.train, ".3f"),
    "network alone": lambda row: beside(row.loss, NETWORK_TARGETS, row),
    "n-grams alone": lambda row: cell(row.ngram, ".4f"),
    "blended": lambda row: beside(row.blended, TARGETS, row),
    "spread": lambda row: cell(row.spread, ".3f"),
    "share": lambda row: cell(row.share, ".2f"),
    "order": lambda row: cell(row.order, ".1f"),
    "adapting": lambda row: beside(row.adapting, ADAPTING_TARGETS, row),
    "copied, held out": lambda row: (
        f"{cell(row.copied, '.2%')}, {cell(row.copied_held_out, '.2%')}"
    ),
    "cold windows": lambda row: cell(row.cold, ".4f"),
}


@dataclass(frozen=True)
class Ensemble:
    """The models of all seeds as one: static losses in nats."""

    text: str
    time: str
    seeds: int
    single: float  # the mean of what the tail costs each, blended
    linear: float  # their mixture
    log: float
    single_network: float  # the same of the networks alone
    linear_network: float
    log_network: float


ENSEMBLE = {
    "text, time": lambda row: f"{row.text}, {row.time}",
    "models": lambda row: cell(row.seeds),
    "one, blended": lambda row: cell(row.single, ".4f"),
    "all, linear": lambda row: cell(row.linear, ".4f"),
    "all, log": lambda row: cell(row.log, ".4f"),
    "one network alone": lambda row: cell(row.single_network, ".4f"),
    "all networks, linear": lambda row: cell(row.linear_network, ".4f"),
    "all networks, log": lambda row: cell(row.log_network, ".4f"),
}


@dataclass(frozen=True)
class Trained:
    """What one run has left behind: its records, and what its checkpoint predicts."""

    model: charrnn.TextModel
    tail: str  # the text held out
    records: list[dict[str, Any]]
    adapting: float | None
    copied: float | None
    copied_held_out: float | None
    cold: float | None
    samples: dict[str, str]

    @property
    def end(self) -> dict[str, Any]:
        """The last record."""
        return self.records[-1]

    @property
    def score(self) -> float:
        """The loss of what the checkpoint predicts by."""
        blend = self.end["blend"]
        return float(self.end["val_loss"] if blend is None else blend["loss"])


def train(path: Path, output: Path, *options: str) -> list[dict[str, Any]]:
    """Run the command; return its records."""
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "train", path, "-o", output, "-f", "-q",
         "--json", "--log-every", "0", *options],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def curve(records: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Pick seconds and validation losses."""
    return [(r["elapsed"], r["val_loss"]) for r in records if r["event"] == "eval"]


def cold_loss(path: Path, checkpoint: Path) -> float:
    """Score the tail in windows that know nothing of what came before."""
    loaded = load(checkpoint)
    corpus = read_corpus((str(path),), ReadOptions(vocab=loaded.vocab))
    _, tail = split(corpus.ids, 0.1)
    rows = (len(tail) - 1) // COLD
    inputs, targets = (
        tail[first : first + rows * COLD].reshape(rows, COLD).T.astype(np.int32)
        for first in (0, 1)
    )
    model = Network(loaded.model, threads=2)
    model.load(loaded.parameters | loaded.statistics)
    total = 0.0
    for a in range(0, rows, 64):
        ids, wanted = (
            np.ascontiguousarray(x[:, a : a + 64]) for x in (inputs, targets)
        )
        window = Window.of_inputs(ids)._replace(targets=wanted)
        losses = model.losses(window, model.new_state(ids.shape[1]))
        total += float(losses.sum())
    return total / (rows * COLD)


def copies(texts: list[str], vocab: Vocab, trained: str) -> float | None:
    """Compute the share of 20-grams that stand in the training text."""
    with tempfile.TemporaryDirectory() as directory:
        corpus = Path(directory, "trained.txt")
        corpus.write_text(trained, "utf-8", newline="")
        overlap = measure_diversity(texts, vocab, corpus=[str(corpus)]).overlap
    return None if overlap is None else overlap.seen


def run_one(path: Path, given: list[str], *, lines: bool, long: bool) -> Trained:
    """Train once, and look at what was learned.

    Parameters
    ----------
    given : list of str
        Options of ``charrnn train``.
    lines : bool
        Whether every line is a document.
    long : bool
        Whether windows without context are scored, too.
    """
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory, "model.npz")
        records = train(path, output, *given)
        model = charrnn.load(output)
        newline = model.documents.start if lines else None
        ids = read_corpus((str(path),), ReadOptions(vocab=model.vocab)).ids
        parts = split(ids, 0.1, lines_newline_id=newline)
        trained, tail = (
            "".join(model.vocab.symbols[i] for i in part) for part in parts
        )
        adapting = copied = copied_held_out = None
        if model.memory is not None:
            adapting = model.loss(tail, adapt=True)
            drawn = [
                model.sample(length=LENGTH, temperature=0.8, seed=seed)
                for seed in range(SAMPLES)
            ]
            copied = copies(drawn, model.vocab, trained)
            copied_held_out = copies([tail], model.vocab, trained)
        shares = ("auto", "1") if model.memory is not None else ("1",)
        samples = {share: sample(output, share) for share in shares}
        cold = cold_loss(path, output) if long else None
    return Trained(
        model, tail, records, adapting, copied, copied_held_out, cold, samples
    )


def sample(checkpoint: Path, share: str) -> str:
    """Sample as a user does."""
    command = [sys.executable, "-m", "charrnn", "sample", str(checkpoint), *SAMPLE]
    return subprocess.run(
        [*command, "--blend", share], check=True, capture_output=True, text=True
    ).stdout


def mixed(text: str, time: str, runs: list[Trained]) -> Ensemble:
    """Score the tail by the models of all seeds together, and by each."""
    models, tail = [run.model for run in runs], runs[0].tail
    linear, log = (charrnn.mix(models, mode=mode) for mode in ("linear", "log"))
    return Ensemble(
        text=text,
        time=time,
        seeds=len(runs),
        single=statistics.mean(model.loss(tail) for model in models),
        linear=linear.loss(tail),
        log=log.loss(tail),
        single_network=statistics.mean(model.loss(tail, blend=1) for model in models),
        linear_network=linear.loss(tail, blend=1),
        log_network=log.loss(tail, blend=1),
    )


def mean(values: Iterable[float | None]) -> float | None:
    """Average what there is; None if something is missing."""
    found = list(values)
    known = [value for value in found if value is not None]
    return statistics.mean(known) if len(known) == len(found) else None


def measure(
    text: str, path: Path, time: str, seeds: int, options: list[str]
) -> tuple[Row, Ensemble]:
    """Train with every seed, and sum up."""
    lines = text in OF_LINES
    long = parse_duration(time, "--time") >= 300 and not lines
    given = ["--time", time, *(["--lines"] if lines else []), *options]
    runs = [
        run_one(path, ["--seed", str(seed), *given], lines=lines, long=long)
        for seed in range(seeds)
    ]
    start, ends = runs[0].records[0], [run.end for run in runs]
    blends = [end["blend"] or {} for end in ends]
    scores = [run.score for run in runs]
    ngram = (ends[0]["yardsticks"] or {}).get("ngram")
    row = Row(
        text=text,
        time=time,
        seeds=seeds,
        network=f"{start['cell']} {start['layers']} x {start['hidden']}",
        loss=statistics.mean(end["val_loss"] for end in ends),
        ngram=ngram and ngram["loss"],
        blended=mean(blend.get("loss") for blend in blends),
        spread=max(scores) - min(scores),
        share=mean(blend.get("share") for blend in blends),
        order=mean(blend.get("order") for blend in blends),
        adapting=mean(run.adapting for run in runs),
        copied=mean(run.copied for run in runs),
        copied_held_out=runs[0].copied_held_out,
        target=TARGETS.get(text, {}).get(time),
        best=statistics.mean(end["best_val_loss"] for end in ends),
        train=statistics.mean(end["train_loss"] for end in ends),
        epochs=statistics.mean(end["epochs"] for end in ends),
        rate=statistics.mean(end["chars_per_second"] for end in ends),
        cold=mean(run.cold for run in runs),
        samples=runs[-1].samples,
        curves=[curve(run.records) for run in runs],
    )
    return row, mixed(text, time, runs)


@dataclass(frozen=True)
class Comparison:
    """The same LSTM on both sides, after the same time."""

    text: str
    time: str
    ours: float
    ours_plain: float  # without normalization, dropout and averaging
    theirs: float | None
    ours_epochs: float
    theirs_epochs: float | None


COMPARISON = {
    "text, time": lambda row: f"{row.text}, {row.time}",
    "ours": lambda row: cell(row.ours, ".4f"),
    "ours, the plain network": lambda row: cell(row.ours_plain, ".4f"),
    "PyTorch": lambda row: cell(row.theirs, ".4f", missing="not installed"),
    "epochs, ours": lambda row: cell(row.ours_epochs, ".1f"),
    "epochs, PyTorch": lambda row: cell(row.theirs_epochs, ".1f"),
}

#: Options that leave nothing but the network that PyTorch has.
PLAIN = ["--norm", "none", "--dropout", "0", "--weight-dropout", "0", "--ema", "0"]


def compare(text: str, path: Path, time: str, threads: int) -> Comparison:
    """Train the same LSTM on both sides."""
    shape = ["--cell", "lstm"]
    for name, value in COMPARED.items():
        shape += [f"--{name.replace('_', '-')}", str(value)]
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory, "model.npz")
        full, plain = (
            train(
                path, output, *shape, "--time", time, "--threads", str(threads), *more
            )
            for more in ([], PLAIN)
        )
    theirs: tuple[float, float] | None = None
    if pytorch.installed():
        corpus = read_corpus((str(path),), ReadOptions())
        texts = split(corpus.ids, 0.1)
        before = Documents.of(corpus.vocab, lines=False).stand_in
        seconds = parse_duration(time, "--time")
        theirs = pytorch.trained(
            texts, len(corpus.vocab), before, seconds, threads,
            COMPARED,
        )  # fmt: skip
    return Comparison(
        text, time, full[-1]["val_loss"], plain[-1]["val_loss"],
        theirs and theirs[0], full[-1]["epochs"], theirs and theirs[1],
    )  # fmt: skip


def wanted(options: argparse.Namespace, text: str) -> Iterator[str]:
    """List the times that a text is trained for."""
    if options.times:
        yield from options.times.split(",")
    else:
        yield from TARGETS.get(text, dict.fromkeys(OTHER_TIMES))


def draw(rows: list[Row], path: Path) -> None:
    """Draw validation loss against time, a curve for the first seed of each run."""
    from charrnn.display.svg import document
    from charrnn.display.svg_charts import chart
    from charrnn.inspection.blocks import Chart, Series

    series = [
        Series(f"{row.text}, {row.time}", *zip(*row.curves[0], strict=True))
        for row in rows
    ]
    axes = "seconds of training", "validation loss, nats"
    figure = chart(Chart(series, *axes, log_x=True))
    path.write_text(document([figure], "validation loss against time"), "utf-8")


def quick_text(directory: str) -> dict[str, Path]:
    """Write a little text, for a run that only shows that the script works."""
    path = Path(directory, "quick.txt")
    words = np.random.default_rng(0).choice(["sea ", "tide ", "ebb\n", "fog "], 2000)
    path.write_text("".join(words), "utf-8")
    return {"quick": path}


def main() -> None:
    """Train, print tables and samples, write JSON and a picture if asked to."""
    parser = new_parser(__doc__)
    parser.add_argument("texts", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--times", metavar="T,T", help="instead of those with targets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pytorch", action="store_true", help="compare with PyTorch")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the curves")
    options = parser.parse_args()
    report = Report(options)
    with tempfile.TemporaryDirectory() as directory:
        texts = dict(pair.split("=", 1) for pair in options.texts)
        paths = {name: Path(file) for name, file in texts.items()}
        more: list[str] = []
        if options.quick:
            paths, options.times, options.seeds = quick_text(directory), "0.3s", 1
            more = ["--hidden", "8"]
        if not options.pytorch:
            run(report, options, paths, more)
        else:
            add = report.table("The same LSTM, in nats", COMPARISON)
            for name, path in paths.items():
                for time in (options.times or ",".join(PYTORCH_TIMES)).split(","):
                    add(compare(name, path, time, options.threads))
    report.write()


def run(
    report: Report,
    options: argparse.Namespace,
    paths: dict[str, Path],
    more: list[str],
) -> None:
    """Train the defaults on every text, for every time."""
    add = report.table("Validation loss within a time, in nats", COLUMNS)
    rows, ensembles = [], []
    threads = ["--threads", str(options.threads)]
    for name, path in paths.items():
        for time in wanted(options, name):
            row, ensemble = measure(name, path, time, options.seeds, [*threads, *more])
            rows.append(row)
            ensembles.append(ensemble)
            add(row)
    add_ensemble = report.table("All seeds as one model, in nats", ENSEMBLE)
    for ensemble in ensembles:
        add_ensemble(ensemble)
    for row in rows:
        for share, text in row.samples.items():
            what = "the network alone" if share == "1" else "blended"
            print(f"\n{row.text}, {row.time}, temperature 0.7, {what}:\n\n{text}")
    if options.svg is not None:
        draw(rows, options.svg)
    if not all(math.isfinite(row.loss) for row in rows):
        sys.exit("a loss is not finite")


if __name__ == "__main__":
    main()
