"""Characters per second of a whole training step, beside PyTorch on the same CPU.

A step is forward, loss, backward, clipping and Adam, on random characters. Our
kernels are first compared with themselves in float64, which the test suite
compares with the equations; then both sides are timed in turn, in one run, and
the ratio is formed from the medians. PyTorch is optional (the extra "bench");
without it its columns say so.

    python benchmarks/train_speed.py [--quick] [--json FILE] [--threads N]
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import parameters
from charrnn.checkpoint import TrainingState
from charrnn.config import GATES, CellName, ModelConfig, TrainConfig
from charrnn.model import Model
from charrnn.streams import Streams
from charrnn.training.trainer import Trainer, new_moments, random_stream

V, B, T = 65, 64, 64

#: Cell, layers, units.
MODELS: list[tuple[CellName, int, int]] = [
    ("lstm", 1, 128),
    ("lstm", 1, 256),
    ("lstm", 1, 512),
    ("lstm", 2, 128),
    ("lstm", 2, 256),
    ("lstm", 2, 512),
    ("lstm", 3, 512),
    ("gru", 1, 128),
    ("gru", 1, 512),
    ("gru", 2, 256),
    ("rnn", 1, 128),
    ("rnn", 1, 512),
    ("rnn", 2, 256),
]
QUICK: list[tuple[CellName, int, int]] = [("lstm", 1, 16), ("gru", 1, 16)]


@dataclass
class Row:
    """One model's figures."""

    cell: str
    layers: int
    hidden: int
    chars_per_second: float
    spread: float  # (slowest - fastest) / median of the rounds
    needed_gflops: float  # 6 per weight and character, the one-hot product not
    torch_float32: float | None = None
    torch_bfloat16: float | None = None


def text() -> np.ndarray[Any, Any]:
    """Random characters for an epoch of whole windows: every step counts B T."""
    return np.random.default_rng(0).integers(0, V, 4 * B * T, np.uint8)


def our_step(config: ModelConfig, threads: int) -> Callable[[], object]:
    """Make a training step of ours, checked against float64 and compiled."""
    model = Model(config, threads=threads)
    parameters.initialize(model.theta, config, "auto", 1.0, random_stream(0))
    model.pack()
    check(model, threads)
    run = TrainConfig(batch_size=B, seq_length=T, steps=10**9, lr=1e-3)
    trainer = Trainer(
        model,
        Streams(text(), B, T, 0),
        TrainingState(config=run),
        new_moments("adam", model.theta.size),
        model.new_state(B),
    )
    trainer.step(0.0)
    return lambda: trainer.step(0.0)


def check(model: Model, threads: int) -> None:
    """Compare loss and gradient of one window with float64.

    Raises
    ------
    RuntimeError
        They differ by more than rounding.
    """
    exact = Model(model.config, dtype=np.float64, threads=threads)
    exact.theta[...] = model.theta
    exact.pack()
    window = Streams(text()[: 5 * 8 + 1], 5, 8, 0).window(0, 0)
    found = []
    for m in (model, exact):
        gradient = np.zeros_like(m.theta)
        loss = m.loss_and_gradient(*window, m.new_state(5), gradient)
        found.append((loss, gradient))
    (loss, gradient), (exact_loss, exact_gradient) = found
    scale = np.abs(exact_gradient).max()
    worst = np.abs(gradient - exact_gradient).max() / scale
    if abs(loss - exact_loss) > 1e-5 or worst > 1e-4:
        msg = f"float32 is off: loss {loss - exact_loss:.1e}, gradient {worst:.1e}"
        raise RuntimeError(msg)


def torch_step(
    cell: str, layers: int, hidden: int, threads: int, *, bfloat16: bool
) -> Callable[[], object] | None:
    """Make the same step in PyTorch; None where it is not installed."""
    try:
        import torch  # optional: the extra "bench"
    except ImportError:
        return None
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
    embedding = torch.nn.Embedding(V, hidden)
    network = kind(hidden, hidden, layers)
    output = torch.nn.Linear(hidden, V)
    weights = [*embedding.parameters(), *network.parameters(), *output.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, fused=True)
    ids = torch.randint(0, V, (T + 1, B))
    state: list[Any] = [None]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            outputs, after = network(embedding(ids[:-1]), state[0])
            logits = output(outputs)
        loss = torch.nn.functional.cross_entropy(
            logits.float().reshape(-1, V), ids[1:].reshape(-1)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if isinstance(after, tuple):
            state[0] = tuple(a.detach() for a in after)
        else:
            state[0] = after.detach()

    step()
    return step


def rates(
    steps: dict[str, Callable[[], object]], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Characters per second of each side, a figure a round, in turn."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            step()  # wakes the threads of this side
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < seconds:
                step()
                count += 1
            found[name].append(count * B * T / (time.perf_counter() - began))
    return found


def measure(
    cell: CellName, layers: int, hidden: int, threads: int, *, quick: bool
) -> Row:
    """Time one model on all sides."""
    config = ModelConfig(vocab_size=V, cell=cell, layers=layers, hidden=hidden)
    steps: dict[str, Callable[[], object]] = {"ours": our_step(config, threads)}
    for name, bfloat16 in (("float32", False), ("bfloat16", True)):
        step = torch_step(cell, layers, hidden, threads, bfloat16=bfloat16)
        if step is not None:
            steps[name] = step
    found = rates(steps, 1 if quick else 5, 0.05 if quick else 1.0)
    medians = {name: statistics.median(values) for name, values in found.items()}
    ours = found["ours"]
    gates = len(GATES[cell])
    weights = parameters.matrix_size(config) - V * gates * hidden
    return Row(
        cell,
        layers,
        hidden,
        medians["ours"],
        (max(ours) - min(ours)) / medians["ours"],
        6 * weights * medians["ours"] / 1e9,
        medians.get("float32"),
        medians.get("bfloat16"),
    )


def sgemm_rate(size: int = 2048, rounds: int = 5) -> float:
    """GFLOP/s of NumPy's product of two square float32 matrices."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((size, size), np.float32) for _ in range(2))
    a @ b
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        a @ b
        taken.append(time.perf_counter() - began)
    return 2 * size**3 / statistics.median(taken) / 1e9


def main() -> None:
    """Time the models, print a table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="toy sizes, one round")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    sgemm = sgemm_rate(64 if options.quick else 2048)
    print(f"sgemm {sgemm:,.0f} GFLOP/s; V {V}, batch {B}, window {T}")
    print("| model | chars/s | spread | needed GFLOP/s | of sgemm | PyTorch float32 |"
          " times | PyTorch bfloat16 | times |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    rows = []
    for cell, layers, hidden in QUICK if options.quick else MODELS:
        row = measure(cell, layers, hidden, options.threads, quick=options.quick)
        rows.append(row)
        theirs = ""
        for rate in (row.torch_float32, row.torch_bfloat16):
            if rate is None:
                theirs += " not installed | |"
            else:
                theirs += f" {rate:,.0f} | {row.chars_per_second / rate:.2f} |"
        print(
            f"| {cell} {layers} x {hidden} | {row.chars_per_second:,.0f} | "
            f"{row.spread:.0%} | {row.needed_gflops:,.0f} | "
            f"{row.needed_gflops / sgemm:.0%} |{theirs}",
            flush=True,
        )
    if options.json is not None:
        report = {
            "machine": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "threads": options.threads,
            "sgemm_gflops": sgemm,
            "rows": [asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
