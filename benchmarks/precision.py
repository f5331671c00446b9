"""What weights of fewer bits cost a text, and how much faster it is made.

Bits per character are those of the last 100,000 characters of a text, read by the very
kernel that makes texts, 64 parts of it side by side. The speed is that of one sample
and of 64, with one thread and with --threads.

    python benchmarks/precision.py [CHECKPOINT TEXT ...] [--quick] [--json FILE]

Checkpoints should be trained on the rest of their texts: what is held out by default
is longer than what is read here. Without any, one is trained for a minute.
"""

import argparse
import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from reporting import Report, at_most, cell, new_parser
from subjects import sampling
from timing import ONCE, Rounds, in_turn

import charrnn
from charrnn.arrays import Ids
from charrnn.config import CellName, ModelConfig, SampleConfig, WeightsName
from charrnn.generation import surprise
from charrnn.generation.sampler import Sampler
from charrnn.kernels.blending import ALONE
from charrnn.textmodel import TextModel

PRECISIONS: tuple[WeightsName, ...] = get_args(WeightsName)

#: Characters of a text that are scored, and in how many parts side by side.
HELD_OUT, PARTS = 100_000, 64

#: Bits per character that a precision may cost, to be chosen by default.
LIMITS: dict[WeightsName, float] = {"bfloat16": 0.001, "int8": 0.01}

#: Cell, layers and units of the networks that are timed.
MODELS: list[tuple[CellName, int, int]] = [
    ("lstm", 2, 128),
    ("gru", 1, 256),
    ("lstm", 1, 256),
    ("lstm", 1, 384),
    ("lstm", 2, 256),
    ("gru", 1, 512),
    ("lstm", 1, 512),
    ("gru", 2, 512),
    ("lstm", 2, 512),
    ("lstm", 1, 1024),
]
QUICK: list[tuple[CellName, int, int]] = [("lstm", 2, 16)]

TRAINED = Path(__file__).parent.parent / "corpora" / "saltmarsh.txt"


@dataclass(frozen=True)
class Quality:
    """One model and its text, in one precision."""

    model: str
    precision: str
    bits: float  # per character
    more: float  # than float32
    limit: float | None


@dataclass(frozen=True)
class Speed:
    """One network in one precision; rates in characters per second."""

    model: str
    precision: str
    megabytes: float  # of the weights of its layers
    alone: float  # one sample, one thread
    alone_spread: float
    helped: float  # one sample, --threads
    helped_spread: float
    many: float  # 64 samples, --threads
    times_float32: float  # of one sample, with as many threads as are best


QUALITY: dict[str, Callable[[Quality], str]] = {
    "model": lambda row: row.model,
    "precision": lambda row: row.precision,
    "bits per character": lambda row: cell(row.bits, ".5f"),
    "more than float32": lambda row: cell(row.more, "+.5f"),
    "limit": lambda row: at_most(row.limit),
}
SPEED: dict[str, Callable[[Speed], str]] = {
    "model": lambda row: row.model,
    "precision": lambda row: row.precision,
    "MB": lambda row: cell(row.megabytes, ".1f"),
    "1 thread, chars/s": lambda row: cell(row.alone),
    "spread": lambda row: cell(row.alone_spread, ".0%"),
    "helped": lambda row: cell(row.helped),
    "its spread": lambda row: cell(row.helped_spread, ".0%"),
    "64 samples": lambda row: cell(row.many),
    "times float32": lambda row: cell(row.times_float32, ".2f"),
}


def bits(model: TextModel, ids: Ids, precision: WeightsName) -> float:
    """Compute the bits per character of a text, each part read from its beginning."""
    parts = min(PARTS, len(ids) // 2)
    steps = len(ids) // parts
    text = ids[: steps * parts].reshape(parts, steps).T
    sampler = Sampler(model, SampleConfig(precision=precision))
    state = np.repeat(model.network.new_state(1), parts, axis=2)
    room = sampler.new_step_room(parts)
    logits = np.empty((1, parts, model.vocab.size), np.float32)
    known, u = np.ones(parts, np.int32), np.zeros((1, parts))
    total = 0.0
    for t in range(steps - 1):
        column = np.stack([text[t], text[t]]).astype(np.int32)
        sampler.generate(
            sampler.weights, room, state, column, known, u, ALONE, sampler.filters,
            sampler.start, logits,
        )  # fmt: skip
        total += surprise(logits[0], text[t + 1]).sum()
    return total / ((steps - 1) * parts) / math.log(2)


def qualities(name: str, model: TextModel, text: str) -> Iterator[Quality]:
    """Score the end of a text in every precision."""
    ids = model.vocab.encode(text[-HELD_OUT:], "skip")
    exact = 0.0
    for precision in PRECISIONS:
        found = bits(model, ids, precision)
        exact = found if precision == "float32" else exact
        limit = LIMITS.get(precision)
        yield Quality(name, precision, found, found - exact, limit)


def speeds(
    model: tuple[CellName, int, int], options: argparse.Namespace, rounds: Rounds
) -> Iterator[Speed]:
    """Time one network in every precision, all sides in turn."""
    kind, layers, hidden = model
    config = ModelConfig(vocab_size=65, cell=kind, layers=layers, hidden=hidden)
    ways = {
        "alone": (1, 1),
        "helped": (1, options.threads),
        "many": (64, options.threads),
    }
    sides = {
        f"{precision} {way}": sampling(
            config,
            SampleConfig(temperature=0.8, num_samples=samples, precision=precision),
            threads,
        )
        for precision in PRECISIONS
        for way, (samples, threads) in ways.items()
    }
    found = in_turn(sides, rounds)
    best = {
        p: max(found[f"{p} alone"].median, found[f"{p} helped"].median)
        for p in PRECISIONS
    }
    rows = 3 * hidden if kind == "gru" else 4 * hidden if kind == "lstm" else hidden
    weights = (2 * layers - 1) * rows * hidden
    for precision, size in zip(PRECISIONS, (4, 2, 1), strict=True):
        alone, helped = found[f"{precision} alone"], found[f"{precision} helped"]
        yield Speed(
            model=f"{kind} {layers} x {hidden}",
            precision=precision,
            megabytes=weights * size / 1e6,
            alone=alone.median,
            alone_spread=alone.spread,
            helped=helped.median,
            helped_spread=helped.spread,
            many=found[f"{precision} many"].median,
            times_float32=best[precision] / best["float32"],
        )


def models(options: argparse.Namespace) -> Iterator[tuple[str, TextModel, str]]:
    """Load the models that are named, with their texts, or train one."""
    for path, text in zip(options.given[::2], options.given[1::2], strict=True):
        model = charrnn.load(path, threads=options.threads)
        yield Path(path).name, model, Path(text).read_text("utf-8")
    if not options.given:
        with tempfile.TemporaryDirectory() as directory:
            output = Path(directory) / "model.npz"
            if options.quick:
                run = charrnn.train(TRAINED, output=output, hidden=16, steps=5)
            else:
                run = charrnn.train(TRAINED, output=output, time=60)
            for _ in run:
                pass
            yield TRAINED.stem, charrnn.load(output), TRAINED.read_text("utf-8")


def main() -> None:
    """Score and time every precision, print two tables, and write JSON if asked to."""
    parser = new_parser(__doc__)
    parser.add_argument("given", nargs="*", metavar="CHECKPOINT TEXT")
    options = parser.parse_args()
    if len(options.given) % 2:
        parser.error("every checkpoint needs a text")
    report = Report(options)
    add = report.table("Bits per character of a text's end", QUALITY)
    for name, model, text in models(options):
        for quality in qualities(name, model, text):
            add(quality)
    add = report.table(f"Samples: V 65, {options.threads} threads at most", SPEED)
    for network in QUICK if options.quick else MODELS:
        for speed in speeds(
            network, options, ONCE if options.quick else Rounds(7, 0.3)
        ):
            add(speed)
    report.write()


if __name__ == "__main__":
    main()
