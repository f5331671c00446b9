"""Characters per second of sampling: beside PyTorch, many at once, filtered, served.

Ours is the loop behind ``charrnn sample``: the network, the filters, the draw,
symbols instead of numbers, and the search for stop texts. PyTorch's, in
inference mode, feeds a character, applies softmax and draws; it is measured
with one thread and with --threads, and the faster counts; so is ONNX Runtime, in
float32 and int8. JAX's loop is compiled as a whole. Our float32 is first compared
with float64 on the text that it generates; then all sides of a table row are timed
in turn. "chars/s" is ours by default, "int8" with ``--precision int8``, beside which
the last two ratios stand. The others are optional (the extra "bench"), and so is what
reads patterns. One table has models that write together, one asks a process of
``charrnn sample --serve``, and the last one types a line, which is completed.

    python benchmarks/sample_speed.py [--quick] [--json FILE] [--threads N]
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import jax_loop
import onnx_loop
import pytorch
from reporting import Report, at_least, at_most, cell, new_parser, ratio
from subjects import check_sampling, first_piece, new_network, new_vocab, sampling
from timing import ONCE, Rounds, Side, in_turn

from charrnn.config import CellName, ModelConfig, SampleConfig
from charrnn.generation.completion import COUNT, LENGTH, Completer
from charrnn.textmodel import TextModel

V, TEMPERATURE = 65, 0.8

#: Cell, layers, units, and the least multiple of PyTorch's rate.
MODELS: list[tuple[CellName, int, int, float | None]] = [
    ("lstm", 2, 128, 20.0),
    ("gru", 1, 256, 9.0),
    ("lstm", 2, 512, 8.0),
    ("lstm", 1, 256, None),
    ("rnn", 1, 256, None),
]
QUICK: list[tuple[CellName, int, int, float | None]] = [
    ("lstm", 2, 16, None),
    ("gru", 1, 16, None),
]

#: Samples at once, and the least multiple of the rate of one.
SAMPLES: dict[int, float | None] = {1: None, 4: None, 16: None, 64: 10.0, 256: None}

#: Characters of a long prompt.
PROMPT = 1000

#: Every filter's setting where its cost is measured. Those that the library
#: does not have are left out.
FILTERS = {"top_k": 40, "typical": 0.9, "top_p": 0.9, "min_p": 0.05}

#: A pattern that everything matches: what it costs to follow one.
PATTERN = "(?s).*"

#: Characters of an answer; requests one by one, and all at once.
ANSWER, ASKED, WAITING = 40, 50, 5000

#: The most time to the first answer of a warm start, and to each that follows, in ms;
#: and the least rate of answers where many requests are waiting.
FIRST_MS, NEXT_MS, ANSWERS = 1000, 20, 1000

#: Characters of a line that is typed, and the most time that a key may take, in ms.
TYPED, KEY_MS = 60, 30

#: Layers and units of networks that complete it.
COMPLETING, QUICK_COMPLETING = ((1, 256), (2, 1024)), ((1, 16),)

#: The most time that filters may take, as a multiple of none.
FILTERS_TARGET = 1.25

#: What the names of PyTorch's sides begin with.
TORCH = "torch "


@dataclass(frozen=True)
class Speed:
    """One model, one sample; rates in characters per second."""

    cell: str
    layers: int
    hidden: int
    rate: float
    spread: float  # (highest - lowest) / median of the rounds
    torch: float | None
    torch_spread: float | None
    torch_settings: str | None  # with which PyTorch is fastest
    target: float | None
    int8: float  # ours, with --precision int8
    onnx: float | None  # ONNX Runtime with the number of threads that is faster
    onnx_int8: float | None
    jax: float | None
    first_ms: float  # from no prompt to the first piece
    prompted_ms: float  # from a prompt of PROMPT characters


@dataclass(frozen=True)
class Batch:
    """One model, several samples at once."""

    cell: str
    layers: int
    hidden: int
    samples: int
    rate: float  # characters per second, all samples together
    spread: float
    times_one: float
    target: float | None


@dataclass(frozen=True)
class Filtering:
    """One setting of the filters."""

    filters: str
    rate: float  # characters per second
    spread: float
    times_none: float  # time, as a multiple of that of no filter


@dataclass(frozen=True)
class Mixing:
    """Several models that write one text, or some side by side."""

    models: int
    samples: int
    rate: float  # characters per second, all samples together
    spread: float
    times_one: float  # time for each of the models, as a multiple of one alone


@dataclass(frozen=True)
class Served:
    """A process that answers requests, each with ANSWER characters."""

    model: str
    first_ms: float  # from its start, kernels compiled, to the first answer
    next_ms: float  # from a request to its answer, one by one: the median
    rate: float  # answers per second, where all requests wait


@dataclass(frozen=True)
class Completed:
    """A line that is completed while it is typed: medians of its keys."""

    model: str
    read_ms: float  # to read a further character
    back_ms: float  # to take one back
    offered_ms: float  # to read one, and to write what may follow


def name_of(row: Speed | Batch) -> str:
    """Write a model's name."""
    return f"{row.cell} {row.layers} x {row.hidden}"


SPEED: dict[str, Callable[[Speed], str]] = {
    "model": name_of,
    "chars/s": lambda row: cell(row.rate),
    "spread": lambda row: cell(row.spread, ".0%"),
    "PyTorch": lambda row: cell(row.torch, missing="not installed"),
    "its spread": lambda row: cell(row.torch_spread, ".0%"),
    "its settings": lambda row: row.torch_settings or cell(None),
    "times": lambda row: cell(ratio(row.rate, row.torch), ".1f"),
    "target": lambda row: at_least(row.target),
    "int8": lambda row: cell(row.int8),
    "ONNX": lambda row: cell(row.onnx, missing="not installed"),
    "ONNX int8": lambda row: cell(row.onnx_int8, missing="not installed"),
    "JAX": lambda row: cell(row.jax, missing="not installed"),
    "int8 / ONNX int8": lambda row: cell(ratio(row.int8, row.onnx_int8), ".1f"),
    "int8 / JAX": lambda row: cell(ratio(row.int8, row.jax), ".1f"),
    "first piece, ms": lambda row: cell(row.first_ms, ".2f"),
    f"after {PROMPT:,} characters": lambda row: cell(row.prompted_ms, ".1f"),
}
BATCH: dict[str, Callable[[Batch], str]] = {
    "model": name_of,
    "samples": lambda row: cell(row.samples),
    "chars/s": lambda row: cell(row.rate),
    "spread": lambda row: cell(row.spread, ".0%"),
    "times one": lambda row: cell(row.times_one, ".1f"),
    "target": lambda row: at_least(row.target),
}
FILTERING: dict[str, Callable[[Filtering], str]] = {
    "filters": lambda row: row.filters,
    "chars/s": lambda row: cell(row.rate),
    "spread": lambda row: cell(row.spread, ".0%"),
    "time, times none": lambda row: cell(row.times_none, ".2f"),
    "target": lambda row: at_most(FILTERS_TARGET),
}

MIXING: dict[str, Callable[[Mixing], str]] = {
    "models": lambda row: cell(row.models),
    "samples": lambda row: cell(row.samples),
    "chars/s": lambda row: cell(row.rate),
    "spread": lambda row: cell(row.spread, ".0%"),
    "time a model, times one alone": lambda row: cell(row.times_one, ".2f"),
}

SERVED: dict[str, Callable[[Served], str]] = {
    "model": lambda row: row.model,
    "first answer, ms": lambda row: cell(row.first_ms),
    "at most": lambda row: cell(FIRST_MS),
    "then, ms": lambda row: cell(row.next_ms, ".1f"),
    "likewise": lambda row: cell(NEXT_MS),
    "answers/s of many": lambda row: cell(row.rate),
    "target": lambda row: at_least(ANSWERS),
}

COMPLETED: dict[str, Callable[[Completed], str]] = {
    "model": lambda row: row.model,
    "a character, ms": lambda row: cell(row.read_ms, ".2f"),
    "one back, ms": lambda row: cell(row.back_ms, ".2f"),
    "at most": lambda row: cell(KEY_MS),
    "all that is offered, ms": lambda row: cell(row.offered_ms, ".1f"),
}


def rivals(network: tuple[str, int, int, int], threads: int) -> dict[str, Side]:
    """Make the sides of what is installed beside PyTorch."""
    sides: dict[str, Side] = {}
    if onnx_loop.installed():
        for number in sorted({1, threads}):
            for kind in ("float32", "int8"):
                sides[f"onnx {kind} {number}"] = onnx_loop.sampling(
                    network, TEMPERATURE, number, int8=kind == "int8"
                )
    if jax_loop.installed():
        sides["jax"] = jax_loop.sampling(network, TEMPERATURE)
    return sides


def best_of(rates: dict[str, float], begin: str) -> float | None:
    """Find the highest rate of the sides whose names begin so; None without any."""
    found = (rate for name, rate in rates.items() if name.startswith(begin))
    return max(found, default=None)


def measure_speed(
    model: tuple[CellName, int, int, float | None],
    options: argparse.Namespace,
    rounds: Rounds,
) -> Speed:
    """Check one model, then time it beside PyTorch, and its start."""
    kind, layers, hidden, target = model
    config = ModelConfig(vocab_size=V, cell=kind, layers=layers, hidden=hidden)
    ours, vocab = new_network(config, 1), new_vocab(V)
    check_sampling(ours, vocab)
    sample = SampleConfig(temperature=TEMPERATURE)
    sides: dict[str, Side] = {"ours": sampling(config, sample, options.threads)}
    if pytorch.installed():
        network = kind, layers, hidden, V
        for number in sorted({1, options.threads}):
            for onednn in (True, False):
                name = f"{TORCH}{number}{'' if onednn else ' without oneDNN'}"
                sides[name] = pytorch.sampling(
                    network, TEMPERATURE, number, onednn=onednn
                )
    rounded = SampleConfig(temperature=TEMPERATURE, precision="int8")
    sides["int8"] = sampling(config, rounded, options.threads)
    sides |= rivals((kind, layers, hidden, V), options.threads)
    found = in_turn(sides, rounds)
    rate, int8 = found.pop("ours"), found.pop("int8")
    others = {
        name: found.pop(name).median for name in [*found] if not name.startswith(TORCH)
    }
    settings = max(found, key=lambda name: found[name].median, default=None)
    best = None if settings is None else found[settings]
    prompt = (vocab.symbols * PROMPT)[:PROMPT]
    starts = in_turn(
        {text: first_piece(ours, vocab, text) for text in ("", prompt)},
        Rounds(rounds.number, rounds.seconds / 5),
    )
    return Speed(
        cell=kind,
        layers=layers,
        hidden=hidden,
        rate=rate.median,
        spread=rate.spread,
        torch=best and best.median,
        torch_spread=best and best.spread,
        torch_settings=settings and settings.removeprefix(TORCH),
        target=target,
        int8=int8.median,
        onnx=best_of(others, "onnx float32"),
        onnx_int8=best_of(others, "onnx int8"),
        jax=best_of(others, "jax"),
        first_ms=1e3 / starts[""].median,
        prompted_ms=1e3 / starts[prompt].median,
    )


def measure_batches(
    model: tuple[CellName, int, int, float | None],
    options: argparse.Namespace,
    rounds: Rounds,
) -> list[Batch]:
    """Time one model with more and more samples at once, in turn."""
    kind, layers, hidden, _ = model
    config = ModelConfig(vocab_size=V, cell=kind, layers=layers, hidden=hidden)
    sides = {}
    for samples in SAMPLES:
        sample = SampleConfig(temperature=TEMPERATURE, num_samples=samples)
        sides[str(samples)] = sampling(config, sample, options.threads)
    found = in_turn(sides, rounds)
    return [
        Batch(
            cell=kind,
            layers=layers,
            hidden=hidden,
            samples=samples,
            rate=found[str(samples)].median,
            spread=found[str(samples)].spread,
            times_one=found[str(samples)].median / found["1"].median,
            target=target,
        )
        for samples, target in SAMPLES.items()
    ]


def measure_filters(
    hidden: int, options: argparse.Namespace, rounds: Rounds
) -> list[Filtering]:
    """Time an LSTM with each filter alone and with all of them, in turn."""
    config = ModelConfig(vocab_size=V, cell="lstm", layers=1, hidden=hidden)
    known = {field.name for field in fields(SampleConfig)}
    filters = {name: value for name, value in FILTERS.items() if name in known}
    settings: dict[str, dict[str, Any]] = {"none": {}}
    for name, value in {"temperature": TEMPERATURE, **filters}.items():
        settings[f"{name} {value}"] = {name: value}
    if find_spec("greenery") is not None:
        settings[f"pattern {PATTERN}"] = {"pattern": PATTERN}
    settings["all together"] = {"temperature": TEMPERATURE, **filters}
    sides = {
        name: sampling(config, SampleConfig(**setting), options.threads)
        for name, setting in settings.items()
    }
    found = in_turn(sides, rounds)
    none = found["none"].median
    return [
        Filtering(name, rate.median, rate.spread, none / rate.median)
        for name, rate in found.items()
    ]


def measure_mixtures(
    hidden: int, options: argparse.Namespace, rounds: Rounds
) -> list[Mixing]:
    """Time one to three LSTMs that write together, beside one alone, in turn."""
    config = ModelConfig(vocab_size=V, cell="lstm", layers=1, hidden=hidden)
    rows = []
    for samples in (1, 64):
        sample = SampleConfig(temperature=TEMPERATURE, num_samples=samples)
        sides = {
            str(models): sampling(config, sample, options.threads, models)
            for models in range(4)
        }
        found = in_turn(sides, rounds)
        alone = found["0"].median
        for models in (1, 2, 3):
            rate = found[str(models)]
            times = alone / rate.median / models
            rows.append(Mixing(models, samples, rate.median, rate.spread, times))
    return rows


def measure_service(hidden: int, *, quick: bool) -> Served:
    """Start a process that answers requests, and time its answers."""
    config = ModelConfig(vocab_size=V, cell="lstm", layers=1, hidden=hidden)
    vocab = new_vocab(V)
    prompt = vocab.symbols[-3:].encode() + b"\n"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "m.npz")
        TextModel.of(new_network(config, 1), vocab).save(path)
        words = [sys.executable, "-m", "charrnn", "sample", str(path), "--serve"]
        words += ["-q", "-n", str(ANSWER)]
        firsts, times = [], []
        for _ in range(2):  # the first may have to compile
            began = time.perf_counter()
            with subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as process:
                _ask(process, prompt)
                firsts.append(time.perf_counter() - began)
                times = [_ask(process, prompt) for _ in range(3 if quick else ASKED)]
                rate = _answers_a_second(process, prompt, 20 if quick else WAITING)
    return Served(f"lstm 1 x {hidden}", 1e3 * firsts[-1], 1e3 * median(times), rate)


def measure_completion(layers: int, hidden: int) -> Completed:
    """Type a line, take it back, and type it again with all that is offered.

    What is offered must be what a line that was there at once is offered.
    """
    config = ModelConfig(vocab_size=V, cell="lstm", layers=layers, hidden=hidden)
    vocab = new_vocab(V)
    model = TextModel.of(new_network(config, 1), vocab)
    greedy = SampleConfig(temperature=0.0)
    typed, offered = Completer(model, greedy), Completer(model, greedy)
    line = (vocab.symbols[1:] * TYPED)[:TYPED]
    offered.complete(line[:1])  # which may have to compile

    def key(completer: Completer, size: int, count: int) -> float:
        began = time.perf_counter()
        completer.complete(line[:size], count)
        return 1e3 * (time.perf_counter() - began)

    sizes = range(2, TYPED + 1)
    read = [key(typed, size, 0) for size in sizes]
    back = [key(typed, size, 0) for size in reversed(sizes)]
    found = [key(offered, size, COUNT) for size in sizes]
    if offered.complete(line) != Completer(model, greedy).complete(line):
        msg = "typing has changed what is offered"
        raise RuntimeError(msg)
    name = f"lstm {layers} x {hidden}"
    return Completed(name, median(read), median(back), median(found))


def _ask(process: "subprocess.Popen[bytes]", prompt: bytes) -> float:
    """Send a request and wait for its answer: the seconds that this takes."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError
    began = time.perf_counter()
    process.stdin.write(prompt)
    process.stdin.flush()
    process.stdout.readline()
    return time.perf_counter() - began


def _answers_a_second(
    process: "subprocess.Popen[bytes]", prompt: bytes, count: int
) -> float:
    """Send many requests at once: the rate of answers. Then nothing more is sent."""
    requests, answers = process.stdin, process.stdout
    if requests is None or answers is None:
        raise RuntimeError

    def send() -> None:
        requests.write(prompt * count)
        requests.close()

    sender = threading.Thread(target=send)
    began = time.perf_counter()
    sender.start()
    found = sum(1 for _ in answers)
    taken = time.perf_counter() - began
    sender.join()
    if found != count:
        msg = f"{found} answers to {count} requests"
        raise RuntimeError(msg)
    return count / taken


def main() -> None:
    """Time sampling, print five tables, and write JSON if asked to."""
    options = new_parser(__doc__).parse_args()
    report = Report(options)
    models, hidden = (QUICK, 16) if options.quick else (MODELS, 256)
    rounds = ONCE if options.quick else Rounds(5, 1.0)
    add = report.table(
        f"One sample: V {V}, temperature {TEMPERATURE}, at most {options.threads} "
        "threads",
        SPEED,
    )
    for model in models:
        add(measure_speed(model, options, rounds))
    add = report.table("Samples at once", BATCH)
    rounds = ONCE if options.quick else Rounds(5, 0.5)
    for model in models[:3]:  # those with a target
        for batch in measure_batches(model, options, rounds):
            add(batch)
    add = report.table(f"Filters: LSTM 1 x {hidden}", FILTERING)
    for filtering in measure_filters(hidden, options, rounds):
        add(filtering)
    add = report.table(f"Mixtures: LSTM 1 x {hidden}", MIXING)
    for mixing in measure_mixtures(hidden, options, rounds):
        add(mixing)
    add = report.table(f"Served: answers of {ANSWER} characters", SERVED)
    add(measure_service(hidden, quick=options.quick))
    add = report.table(
        f"Completed while it is typed: {COUNT} texts of up to {LENGTH} characters",
        COMPLETED,
    )
    for shape in QUICK_COMPLETING if options.quick else COMPLETING:
        add(measure_completion(*shape))
    report.write()


if __name__ == "__main__":
    main()
