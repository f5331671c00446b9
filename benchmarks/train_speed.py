"""Characters per second of a whole training step, beside PyTorch and JAX.

A step is forward, loss, backward, clipping and Adam, on random characters. Our
kernels are first compared with float64; then all sides and NumPy's sgemm are
timed in turn, round by round, and ratios are formed from the medians. PyTorch and JAX
are optional (the extra "bench"); without them their columns say so.

    python benchmarks/train_speed.py [--quick] [--json FILE] [--threads N]
"""

import argparse
from contextlib import suppress
from dataclasses import dataclass

import jax_loop
import pytorch
from reporting import Report, at_least, cell, new_parser, ratio
from subjects import check_training, new_network, training
from timing import ONCE, SGEMM_SIZE, Rounds, Side, in_turn, limit_blas, sgemm

from charrnn import parameters
from charrnn.config import CellName, ModelConfig
from charrnn.errors import MissingComponentError

V, B, T = 65, 64, 64

#: Cell, layers, units, and the least multiple of PyTorch's float32 rate.
MODELS: list[tuple[CellName, int, int, float | None]] = [
    ("lstm", 1, 128, 2.0),
    ("lstm", 1, 256, 2.2),
    ("lstm", 1, 512, 2.2),
    ("lstm", 2, 128, 1.7),
    ("lstm", 2, 256, 1.6),
    ("lstm", 2, 512, 1.4),
    ("lstm", 3, 512, 1.4),
    ("gru", 1, 128, 2.3),
    ("gru", 1, 512, 2.3),
    ("gru", 2, 256, 1.8),
    ("rnn", 1, 128, 2.5),
    ("rnn", 1, 512, 2.0),
    ("rnn", 2, 256, 2.0),
]
#: Least multiples of PyTorch's bfloat16 rate, in bfloat16.
BFLOAT16_TARGETS: dict[tuple[CellName, int, int], float] = {
    ("lstm", 1, 128): 1.6,
    ("lstm", 1, 512): 1.6,
    ("lstm", 2, 128): 1.6,
    ("lstm", 2, 512): 1.3,
    ("lstm", 3, 512): 1.3,
    ("gru", 2, 256): 2.0,
    ("rnn", 2, 256): 2.0,
}
QUICK: list[tuple[CellName, int, int, float | None]] = [
    ("lstm", 1, 16, None),
    ("gru", 1, 16, None),
]

MISSING = "not installed"


@dataclass(frozen=True)
class Row:
    """One model's figures; rates in characters per second."""

    cell: str
    layers: int
    hidden: int
    rate: float
    spread: float  # (highest - lowest) / median of the rounds
    needed_gflops: float  # 6 per weight and character, the one-hot product not
    sgemm_gflops: float
    target_of_sgemm: float | None
    torch_float32: float | None
    torch_spread: float | None  # in float32
    torch_bfloat16: float | None
    jax: float | None  # a jitted step in float32
    target_times: float | None
    bfloat16: float | None  # our rate in bfloat16; None where there is none
    target_bfloat16: float | None  # the least multiple of PyTorch's bfloat16

    @property
    def of_sgemm(self) -> float:
        """Share of the yardstick's rate that the needed arithmetic reaches."""
        return self.needed_gflops / self.sgemm_gflops


COLUMNS = {
    "model": lambda row: f"{row.cell} {row.layers} x {row.hidden}",
    "chars/s": lambda row: cell(row.rate),
    "spread": lambda row: cell(row.spread, ".0%"),
    "needed GFLOP/s": lambda row: cell(row.needed_gflops),
    "sgemm": lambda row: cell(row.sgemm_gflops),
    "of sgemm": lambda row: cell(row.of_sgemm, ".0%"),
    "target": lambda row: at_least(row.target_of_sgemm, ".0%"),
    "PyTorch float32": lambda row: cell(row.torch_float32, missing=MISSING),
    "its spread": lambda row: cell(row.torch_spread, ".0%"),
    "times": lambda row: cell(ratio(row.rate, row.torch_float32), ".2f"),
    "target times": lambda row: at_least(row.target_times, ".1f"),
    "PyTorch bfloat16": lambda row: cell(row.torch_bfloat16, missing=MISSING),
    "times bfloat16": lambda row: cell(ratio(row.rate, row.torch_bfloat16), ".2f"),
    "JAX": lambda row: cell(row.jax, missing=MISSING),
    "times JAX": lambda row: cell(ratio(row.rate, row.jax), ".2f"),
    "our bfloat16": lambda row: cell(row.bfloat16, missing="not on this processor"),
    "times PyTorch's": lambda row: cell(ratio(row.bfloat16, row.torch_bfloat16), ".2f"),
    "its target": lambda row: at_least(row.target_bfloat16, ".1f"),
}


def target_of_sgemm(hidden: int) -> float | None:
    """Least share of the yardstick's rate, by the width of the layers."""
    if hidden >= 256:
        return 0.8
    return 0.6 if hidden == 128 else None


def measure(
    model: tuple[CellName, int, int, float | None], options: argparse.Namespace
) -> Row:
    """Check one model, then time it on all sides."""
    kind, layers, hidden, target_times = model
    config = ModelConfig(vocab_size=V, cell=kind, layers=layers, hidden=hidden)
    ours = new_network(config, options.threads)
    check_training(ours)
    sides: dict[str, Side] = {
        "ours": training(ours, (T, B)),
        "sgemm": sgemm(64 if options.quick else SGEMM_SIZE),
    }
    with suppress(MissingComponentError):
        rounded = new_network(config, options.threads, "bfloat16")
        check_training(rounded)
        sides["ours, bfloat16"] = training(rounded, (T, B))
    if pytorch.installed():
        network = kind, layers, hidden, V
        for name, bfloat16 in (("float32", False), ("bfloat16", True)):
            sides[name] = pytorch.training(
                network, (T, B), options.threads, bfloat16=bfloat16
            )
    if jax_loop.installed():
        sides["jax"] = jax_loop.training((kind, layers, hidden, V), (T, B))
    found = in_turn(sides, ONCE if options.quick else Rounds(5, 1.0))
    rate = found["ours"]
    own16 = found.get("ours, bfloat16")
    torch32, torch16 = found.get("float32"), found.get("bfloat16")
    scan = found.get("jax")
    return Row(
        cell=kind,
        layers=layers,
        hidden=hidden,
        rate=rate.median,
        spread=rate.spread,
        needed_gflops=6 * parameters.multiplied(config) * rate.median / 1e9,
        sgemm_gflops=found["sgemm"].median / 1e9,
        target_of_sgemm=target_of_sgemm(hidden),
        torch_float32=torch32 and torch32.median,
        torch_spread=torch32 and torch32.spread,
        torch_bfloat16=torch16 and torch16.median,
        jax=scan and scan.median,
        target_times=target_times,
        bfloat16=own16 and own16.median,
        target_bfloat16=BFLOAT16_TARGETS.get((kind, layers, hidden)),
    )


def main() -> None:
    """Time the models, print a table, and write JSON if asked to."""
    options = new_parser(__doc__).parse_args()
    limit_blas(options.threads)
    report = Report(options)
    add = report.table(
        f"A training step: V {V}, batch {B}, window {T}, {options.threads} threads",
        COLUMNS,
    )
    for model in QUICK if options.quick else MODELS:
        add(measure(model, options))
    report.write()


if __name__ == "__main__":
    main()
