"""The process that compiles beside another one; see `charrnn.training.compiling`.

Run as ``python -m charrnn.training.assistant``: lines of JSON come on standard input,
and the keys of kernels that are compiled go to standard output.
"""

import gc
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from charrnn.config import ModelConfig, TrainConfig
from charrnn.kernels.libraries import noted
from charrnn.training.probe import compile_sampling, tiny_trainer, warm_up

#: After so many new objects garbage is looked for; see `charrnn.__main__`.
SELDOM = 50_000, 20, 100


def _messages() -> Iterator[dict[str, Any]]:
    """Read what is to be done; end with standard input, in the middle of anything.

    Whoever started this process holds the other end, and lets go of it however it
    ends: nothing is worth finishing then.
    """
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(lines.get())


def _tell(key: str) -> None:
    """Say that something is compiled, or is left to others."""
    print(key, flush=True)  # noqa: T201 - to a program


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    """Make tuples of what JSON has lists for."""
    return {n: tuple(v) if isinstance(v, list) else v for n, v in found.items()}


def main() -> None:
    """Do what comes, until nobody is there to ask for more."""
    # Ctrl-C is for the process that has started this one, which may have to save.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(*SELDOM)
    for message in _messages():
        if "keys" in message:
            model = ModelConfig(**_fields(message["model"]))
            plan = TrainConfig(**_fields(message["plan"]))
            with noted() as found:
                warm_up(tiny_trainer(model, plan, threads=1))
            known = {wanted.key: wanted for wanted in found}
            for key in message["keys"]:
                if key in known:
                    known[key].compile()
                _tell(key)
        if "sampling" in message:
            # At the same priority as the training that goes on meanwhile: its threads
            # wait for the slowest of them, and would only do so for longer.
            compile_sampling(ModelConfig(**_fields(message["sampling"])), 1)
            _tell("sampling")


if __name__ == "__main__":
    main()
