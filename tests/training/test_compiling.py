"""Compiling side by side: who does what, and what becomes of it if somebody dies."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from numba import config as numba_config

from charrnn.training import compiling
from charrnn.training.compiling import Assistant, Compiling, effort, shares

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="nothing is compiled"
)


@dataclass
class Kernel:
    """Stands for a kernel that is wanted."""

    name: str
    is_kept: bool = False
    compiled: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.name


@dataclass
class Helper:
    """Stands for an assistant that has done a part of its share."""

    begun: tuple[str, ...]
    on_wait: Callable[[Kernel], None]

    def has_begun(self, wanted: Kernel) -> bool:
        return wanted.name in self.begun

    def wait(self, wanted: Kernel) -> None:
        self.on_wait(wanted)

    def close(self) -> None:
        """End."""


def left(helper: Helper, own: list[Kernel], other: list[Kernel]) -> list[str]:
    """List what this process compiles beside a helper."""
    work = Compiling(2, lambda done, total: None)
    work._assistants = cast("list[Assistant]", [helper])
    return [w.name for w in work._left(cast(Any, own), [cast(Any, other)])]


def kernels(names: str) -> list[Kernel]:
    return [Kernel(name) for name in names]


def test_shares_are_even_and_complete() -> None:
    """Everything is dealt once; what takes longest comes first."""
    names = ["recurrence.forward_lstm", "recurrence.backward_lstm", *"abcdef"]
    wanted = cast(Any, [Kernel(name) for name in names])
    dealt = shares(wanted, 2)

    assert sorted(w.name for share in dealt for w in share) == sorted(names)
    assert [share[0].name for share in dealt] == names[:2]
    # An assistant has to begin first.
    loads = [sum(map(effort, share)) for share in dealt]
    assert loads[0] - loads[1] == pytest.approx(compiling.LATE, abs=1.0)


def test_alone_everything_is_ours() -> None:
    (own,) = shares(cast(Any, kernels("abc")), 1)

    assert [w.name for w in own] == ["a", "b", "c"]


def test_what_an_assistant_has_begun_is_waited_for() -> None:
    """The rest of its share is taken from the end."""

    def finish(wanted: Kernel) -> None:
        wanted.is_kept = True

    assert left(Helper(("c",), finish), kernels("ab"), kernels("cde")) == list("abed")


def test_what_comes_to_nothing_is_compiled_here() -> None:
    """An assistant may die over a kernel, or have nowhere to keep it."""
    helper = Helper(("c", "d"), lambda wanted: None)

    assert left(helper, kernels("ab"), kernels("cd")) == list("abdc")


def test_a_program_that_does_not_start_leaves_everything_to_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for it, and it is gone in the end."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assistant = Assistant()
    wanted = cast(Any, Kernel("a"))
    assistant.wait(wanted)

    assert not assistant.has_begun(wanted)
    assert assistant.ready
    assistant.close()
    assert assistant._process.returncode is not None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such scripts")
def test_a_program_that_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As one that somebody has stopped: it is waited for, but not for ever."""
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 300\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(compiling, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(compiling, "PATIENCE", 0.01)
    assistant = Assistant()
    assistant.wait(cast(Any, Kernel("a")))
    assistant.close()

    assert assistant._process.returncode == -signal.SIGKILL


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """Start the other side."""
    started = subprocess.Popen(
        [sys.executable, "-m", "charrnn.training.assistant"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with started:
        yield started
        started.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_an_assistant_ends_with_its_standard_input(
    process: subprocess.Popen[str],
) -> None:
    """However its parent ends, the pipe is closed; Ctrl-C is not for it."""
    assert process.stdin is not None
    assert process.stdout is not None
    message = {"model": {"vocab_size": 9}, "plan": {}, "keys": ["unknown"]}
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()

    assert process.stdout.readline() == "unknown\n"
    os.kill(process.pid, signal.SIGINT)
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "unknown\n"
    process.stdin.close()
    assert process.wait(30) == 0


SAME_KEYS = """
import numpy as np
from charrnn.checkpoint import TrainingState
from charrnn.config import ModelConfig, TrainConfig
from charrnn.kernels.libraries import noted
from charrnn.streams import Streams
from charrnn.training.probe import tiny_trainer, warm_up
from charrnn.training.trainer import Trainer, new_network

text = np.arange(3000, dtype=np.uint16) % 300
for cell, norm in (("lstm", "layer"), ("gru", "batch"), ("rnn", "none")):
    model = ModelConfig(vocab_size=300, cell=cell, norm=norm, hidden=40, layers=3)
    plan = TrainConfig(dropout=0.1, weight_dropout=0.1, ema=0.9, batch_size=5)
    with noted() as found:
        network = new_network(model, plan, 2)
        streams = Streams(text, 5, 30, before=0)
        warm_up(Trainer(network, streams, TrainingState(config=plan)))
    with noted() as tiny:
        warm_up(tiny_trainer(model, plan, 1))
    keys = {wanted.key for wanted in found}
    assert keys == {wanted.key for wanted in tiny}, cell
    assert len(keys) >= 9, keys
"""


@compiled_only
def test_a_tiny_network_stands_for_a_large_one() -> None:
    """An assistant finds the kernels that are asked of it, by the same keys."""
    subprocess.run([sys.executable, "-c", SAME_KEYS], check=True)
