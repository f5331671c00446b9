"""Where the time of a training step goes, part by part.

Every function of the library that a step calls is wrapped with a clock while
the step runs; `parts` lists them. What no part accounts for is Python, NumPy
and the clocks themselves. Products are also shown by the arithmetic they need
and by the rate they reach, beside NumPy's sgemm, measured in turn.

    python benchmarks/breakdown.py [--model CELL-LxH ...] [--quick] [--json FILE]
        [--precision bfloat16] [--threads N]
"""

import argparse
import contextlib
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

from reporting import Report, cell, new_parser
from subjects import check_training, new_network, new_trainer
from timing import ONCE, SGEMM_SIZE, Rounds, Side, in_turn, limit_blas, sgemm

import charrnn.streams
from charrnn.cells import cell_of, names
from charrnn.config import ModelConfig
from charrnn.kernels import dropout, head, inputs, optimizers
from charrnn.network import Network
from charrnn.training.trainer import Trainer

V, B, T = 65, 64, 64

MODELS = ["lstm-1x128", "lstm-2x256", "lstm-1x512", "gru-2x256", "rnn-2x256"]
QUICK = ["lstm-2x16"]

#: What no part accounts for.
REST = "Python and everything else"


class Sizes(NamedTuple):
    """What the arithmetic of a step follows from."""

    N: int  # characters in a step
    L: int
    H: int
    GH: int  # gates times units
    V: int


class Part(NamedTuple):
    """One part of a step: a function, as one place of the library calls it."""

    label: str  # several parts with the same one are added up
    owner: Any  # a module, class or object
    name: str  # of the function in it
    flop: Callable[[Sizes], float] | None = None  # needed in a step, by products


def parts(network: Network) -> list[Part]:
    """List the parts: the one place to change when kernels change.

    Where one of these functions calls another one, the time is the outer one's.

    Parameters
    ----------
    network : Network
        Whose loops over time and products are in objects that can be changed.
    """
    layers = network.stack
    return [
        Part("data", charrnn.streams.Streams, "window"),
        Part("data", charrnn.streams.Streams, "carry_over"),
        # Both loops over time also read the inputs or carry them back: a lookup
        # for layer 0, a product for the others.
        Part("forward", layers.loops, "forward",
             lambda s: 2 * s.N * s.GH * s.H * (2 * s.L - 1)),
        Part("head", head, "loss_and_gradient",
             lambda s: 4 * s.N * s.V * s.H),
        Part("backward", layers.loops, "backward",
             lambda s: 2 * s.N * s.GH * s.H * (2 * s.L - 1)),
        Part("weight gradients, head", network.head_products, "add_gradient",
             lambda s: 2 * s.N * s.V * s.H),
        Part("weight gradients, inputs", layers.products, "add_gradient",
             lambda s: 2 * s.N * s.GH * s.H * (s.L - 1)),
        Part("weight gradients, recurrent", layers.kernels, "add_gradients",
             lambda s: 2 * s.N * s.GH * s.H * s.L),
        Part("one-hot scatter", inputs, "scatter"),
        Part("dropout", dropout, "drop"),
        Part("optimizer, norm", optimizers, "squared_norm"),
        Part("optimizer, apply", optimizers, "apply"),
        Part("packing", layers.products, "pack"),
        Part("packing", network.head_products, "pack"),
    ]  # fmt: skip


class Clock:
    """The time that each part takes in each of many steps.

    Parameters
    ----------
    trainer : Trainer
        Has taken a step, so that every kernel is compiled: compiled code must
        not meet a wrapped function.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.steps: list[dict[str, float]] = []  # seconds, a part each
        self._trainer = trainer
        network, layers = trainer.network, trainer.network.stack
        # Objects of this network alone, whose functions can be wrapped.
        own: list[Any] = [
            SimpleNamespace(**functions._asdict())
            for functions in (layers.loops, layers.products, network.head_products)
        ]
        layers.loops, layers.products, network.head_products = own
        self.parts = parts(network)
        self._current: dict[str, float] = {}
        self._inside = False  # of a part

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Wrap the functions of all parts for a while.

        Raises
        ------
        AttributeError
            There is no such function any more.
        """
        with contextlib.ExitStack() as stack:
            for part in self.parts:
                wrapped = self._wrap(part)
                stack.enter_context(mock.patch.object(part.owner, part.name, wrapped))
            yield

    def _wrap(self, part: Part) -> Callable[..., Any]:
        """Put a clock around one function."""
        function = getattr(part.owner, part.name)

        def timed(*arguments: Any, **named: Any) -> Any:
            if self._inside:
                return function(*arguments, **named)
            self._inside, began = True, time.perf_counter()
            result = function(*arguments, **named)
            self._current[part.label] += time.perf_counter() - began
            self._inside = False
            return result

        return timed

    def step(self) -> float:
        """Take one step and note where its time went; return its characters."""
        self._current = defaultdict(float)
        began = time.perf_counter()
        self._trainer.step(0.0)
        total = time.perf_counter() - began
        self._current[REST] = total - sum(self._current.values())
        self.steps.append(self._current)
        return T * B


@dataclass(frozen=True)
class Row:
    """One part of one model's step; medians over the steps."""

    model: str
    part: str
    seconds: float
    share: float
    gflop: float | None  # needed by products
    sgemm_gflops: float  # GFLOP/s

    @property
    def gflops(self) -> float | None:
        """GFLOP/s."""
        return self.gflop and self.gflop / self.seconds


COLUMNS: dict[str, Callable[[Row], str]] = {
    "part": lambda row: row.part,
    "ms": lambda row: cell(1e3 * row.seconds, ",.3f"),
    "share": lambda row: cell(row.share, ".1%"),
    "GFLOP": lambda row: cell(row.gflop, ",.3f"),
    "GFLOP/s": lambda row: cell(row.gflops),
    "of sgemm": lambda row: cell(row.gflops and row.gflops / row.sgemm_gflops, ".0%"),
}


def rows(
    name: str, clock: Clock, config: ModelConfig, sgemm_gflops: float
) -> list[Row]:
    """Sum the steps up, in the order of `parts`, with the total at the end."""
    GH = len(cell_of(config.cell).gates) * config.hidden
    sizes = Sizes(T * B, config.layers, config.hidden, GH, config.vocab_size)
    gflop = {
        part.label: (part.flop and part.flop(sizes) / 1e9) or None
        for part in clock.parts
    }
    seconds = {
        label: statistics.median(step.get(label, 0.0) for step in clock.steps)
        for label in [*gflop, REST]
    }
    total = statistics.median(sum(step.values()) for step in clock.steps)
    gflop["total"] = sum(filter(None, gflop.values()))
    seconds["total"] = total
    return [
        Row(name, label, taken, taken / total, gflop.get(label), sgemm_gflops)
        for label, taken in seconds.items()
        if taken  # not: dropout, inputs of a single layer
    ]


def measure(name: str, config: ModelConfig, options: argparse.Namespace) -> list[Row]:
    """Check one model, then time the parts of its steps, and the yardstick."""
    model = new_network(config, options.threads, options.precision)
    check_training(model)
    clock = Clock(new_trainer(model, T, B))
    sides: dict[str, Side] = {
        "steps": clock.step,
        "sgemm": sgemm(64 if options.quick else SGEMM_SIZE),
    }
    with clock.installed():
        found = in_turn(sides, ONCE if options.quick else Rounds(5, 1.0))
    return rows(name, clock, config, found["sgemm"].median / 1e9)


def read_model(name: str) -> ModelConfig:
    """Read a model's name, such as ``lstm-2x256``.

    Raises
    ------
    ValueError
        It is not of that form, or there is no such cell.
    """
    match = re.fullmatch(r"(\w+)-(\d+)x(\d+)", name)
    if match is None or match[1] not in names():
        raise ValueError(name)
    return ModelConfig(
        vocab_size=V,
        cell=match[1],
        layers=int(match[2]),
        hidden=int(match[3]),
    )


def main() -> None:
    """Time the parts, print a table a model, and write JSON if asked to."""
    parser = new_parser(__doc__)
    parser.add_argument("--model", action="append", metavar="CELL-LxH")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32"
    )
    options = parser.parse_args()
    limit_blas(options.threads)
    report = Report(options)
    for name in options.model or (QUICK if options.quick else MODELS):
        found = measure(name, read_model(name), options)
        add = report.table(
            f"A step of {name} in {options.precision}: V {V}, batch {B}, window {T}, "
            f"{options.threads} threads; sgemm {found[0].sgemm_gflops:,.0f} GFLOP/s",
            COLUMNS,
        )
        for row in found:
            add(row)
    report.write()


if __name__ == "__main__":
    main()
