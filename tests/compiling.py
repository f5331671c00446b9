"""Compiles what most tests need before they are given to several processes.

Two processes that need the same kernel at the same time would both compile it.
Run as ``python -m tests.compiling SHARE``, once for each of `SHARES`.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from charrnn.config import CellName, ModelConfig

_THREADS = 1

#: After so many new objects garbage is looked for, and less often among older ones.
_GARBAGE = 50_000, 20, 100


def collect_seldom() -> None:
    """Look for garbage less often, and not among what has been imported.

    A compiler makes millions of objects that refer to each other and stay: Python's
    usual way of looking through them took a seventh of the time.
    """
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def _train(cell: CellName) -> None:
    """Compile what training, evaluating and sampling a cell take."""
    from charrnn.training.probe import compile_kernels

    for norm in ("none", "layer", "batch"):
        model = ModelConfig(vocab_size=2, cell=cell, norm=norm)
        compile_kernels(model, _THREADS)


def _sample(cell: CellName) -> None:
    """Compile what sampling takes, most of which all cells share."""
    from charrnn.config import SampleConfig
    from charrnn.generation import Generation
    from charrnn.network import Network
    from charrnn.sampling import distribution
    from charrnn.textmodel import TextModel
    from charrnn.vocab import Vocab

    # No kernel of a network is needed for this, so that the other process can
    # compile those that every network needs, meanwhile.
    distribution(np.zeros((1, 2), np.float32), SampleConfig())
    network = Network(ModelConfig(vocab_size=2, cell=cell, hidden=2), threads=_THREADS)
    vocab = Vocab("\na", (1, 1))
    model = TextModel.of(network, vocab)
    list(Generation(model, [vocab.encode("")], SampleConfig(length=2)).pieces())


def _remember(_: CellName) -> None:
    """Compile what counting takes, and looking counts up."""
    from charrnn.memory import Memory

    ids = np.zeros(2, np.uint8)
    memory = Memory(ids=ids, order=2, share=0.5, vocab_size=1, before=0)
    memory.probabilities(ids)
    memory.distributions(ids)


#: Who compiles what, side by side: one begins with what is trained with, the other
#: with what is sampled with, and each finds the other's in the cache.
SHARES: dict[str, list[tuple[Callable[[CellName], None], CellName]]] = {
    "training": [(_train, "lstm"), (_train, "gru")],
    "sampling": [
        (_sample, "rnn"),
        (_train, "rnn"),
        (_sample, "gru"),
        (_remember, "gru"),
    ],
}


def compile_common_kernels() -> None:
    """Fill the cache in as many processes as there are shares.

    What goes wrong there also goes wrong in a test, which tells more: nothing is
    said of it here.
    """
    root = Path(__file__).parent.parent
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    sharing = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.compiling", share],
            cwd=root,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for share in SHARES
    ]
    for process in sharing:
        process.wait()


if __name__ == "__main__":
    collect_seldom()
    for compile_for, cell in SHARES[sys.argv[1]]:
        compile_for(cell)
