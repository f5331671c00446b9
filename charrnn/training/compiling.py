"""Compiling what a command needs, in as many processes as there are threads for it.

Numba compiles one function at a time, holding Python's lock, so it takes processes to
compile two. This one and its *assistants* share what is missing and put it into the
one cache, where each finds what the others have made. What is needed later, to sample
from what has been trained, an assistant compiles while the training goes on, which has
less of the processors for the ten seconds or so that this takes, once per machine.

An assistant may die, or never have lived: then this process compiles all by itself.
And it lives no longer than this process: it ends as soon as its standard input does.

*What* is compiled is not listed anywhere. The same code runs that will run later,
first with kernels that only note which types they are called with
(`charrnn.kernels.libraries.noted`): here with the network itself, in an assistant with
a tiny one of the same kind. New kernels need no entry.

Assistants talk in lines of JSON; `charrnn.training.assistant` is their side.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import IO, Any, Self, cast

from charrnn.cells import cell_of
from charrnn.config import CellName, ModelConfig
from charrnn.kernels.cells import is_built_in, kernels_of
from charrnn.kernels.jit import cache_directory, is_cached
from charrnn.kernels.libraries import Wanted, noted
from charrnn.kernels.recurrence import way_back
from charrnn.training.probe import warm_up
from charrnn.training.trainer import Trainer

#: Assistants at most: there are some twenty kernels, and four take half the time.
MOST = 3

#: The fields of a run's configuration that decide which kernels it takes.
DECISIVE = "dropout", "weight_dropout", "ema", "precision"

#: What kernels take to compile, in units of the shortest; others take 1.
EFFORT = {
    "recurrence.forward": 6.0,
    "recurrence.backward": 6.0,
    "head.loss_and_gradient": 5.0,
    "matmul._add_affine_blocks": 5.0,
    "optimizers.apply": 5.0,
    "head.losses": 4.0,
    "normalization": 3.0,
}

#: What an assistant needs to begin, in the same units.
LATE = 3.0

#: Seconds that an assistant has for ending, before it is ended.
PATIENCE = 2.0

#: Seconds after which a kernel that an assistant has begun with is compiled here, too:
#: somebody may have stopped it, and nothing is lost if it was only slow.
LONGEST_WAIT = 120.0

#: Called with how many kernels of how many are there.
OnProgress = Callable[[int, int], None]


def effort(wanted: Wanted) -> float:
    """Guess how long a kernel takes to compile."""
    fits = (units for name, units in EFFORT.items() if wanted.name.startswith(name))
    return next(fits, 1.0)


def shares(wanted: Sequence[Wanted], processes: int) -> list[list[Wanted]]:
    """Deal kernels out, so that all processes are done at about the same time.

    The one that takes longest comes first, and goes to whom is done first.

    Returns
    -------
    list of lists
        One a process, this one's first; each begins with what takes longest.
    """
    dealt: list[list[Wanted]] = [[] for _ in range(processes)]
    load = [0.0] + [LATE] * (processes - 1)
    for each in sorted(wanted, key=effort, reverse=True):
        first = load.index(min(load))
        dealt[first].append(each)
        load[first] += effort(each)
    return dealt


class Assistant:
    """A process that compiles kernels into the cache.

    Raises
    ------
    OSError, RuntimeError
        It, or the thread that listens to it, cannot be started.
    """

    def __init__(self) -> None:
        self._share: list[str] = []
        self._told = threading.Condition()
        self._done: set[str] = set()
        self._gone = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "charrnn.training.assistant"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # It imports what this process has, and nothing from where it stands.
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
                "PYTHONSAFEPATH": "1",
            },
        )
        self._to = cast("IO[bytes]", self._process.stdin)
        self._from = cast("IO[bytes]", self._process.stdout)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        try:
            self._listener.start()
        except RuntimeError:  # no more threads
            self._end()
            raise

    def _listen(self) -> None:
        """Note what it has done, until it is gone."""
        with contextlib.suppress(OSError, ValueError):
            for line in self._from:
                with self._told:
                    self._done.add(line.decode().strip())
                    self._told.notify_all()
        with self._told:
            self._gone = True
            self._told.notify_all()

    def _send(self, message: dict[str, Any]) -> None:
        """Tell it something; if it is gone, that shows later."""
        with contextlib.suppress(OSError, ValueError):
            self._to.write(json.dumps(message).encode() + b"\n")
            self._to.flush()

    def compile(self, trainer: Trainer, share: Sequence[Wanted]) -> None:
        """Give it kernels to compile, in this order, that a training takes."""
        self._share = [wanted.key for wanted in share]
        plan = {name: getattr(trainer.config, name) for name in DECISIVE}
        model = asdict(trainer.network.config)
        self._send({"model": model, "plan": plan, "keys": self._share})

    def compile_sampling(self, config: ModelConfig) -> None:
        """Let it compile what sampling takes, behind what it has been given before."""
        self._send({"sampling": asdict(config)})

    @property
    def done(self) -> set[str]:
        """The keys of what is there of its share."""
        with self._told:
            return self._done.intersection(self._share)

    @property
    def ready(self) -> bool:
        """Whether all has been compiled that sampling takes, or never will be."""
        with self._told:
            return self._gone or "sampling" in self._done

    def has_begun(self, wanted: Wanted) -> bool:
        """Tell whether it is compiling a kernel, or has."""
        with self._told:
            left = [key for key in self._share if key not in self._done]
            return not self._gone and wanted.key not in left[1:]

    def wait(self, wanted: Wanted) -> None:
        """Wait until a kernel that it has begun with is there, or may never be."""
        with self._told:
            self._told.wait_for(
                lambda: self._gone or wanted.key in self._done, LONGEST_WAIT
            )

    def close(self) -> None:
        """Let it end."""
        self._end()
        self._listener.join()
        self._from.close()

    def _end(self) -> None:
        """Close its standard input, with which it ends."""
        with contextlib.suppress(OSError):
            self._to.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:  # somebody has stopped it
            self._process.kill()
            self._process.wait()


class Compiling:
    """How a training gets its kernels; a context manager, within which it trains.

    Parameters
    ----------
    threads : int
        How many processors the user lets the command make use of.
    on_progress : callable
        Called with how many kernels are there, of how many that were not.
    """

    def __init__(self, threads: int, on_progress: OnProgress) -> None:
        self._threads = threads
        self._on_progress = on_progress
        self._assistants: list[Assistant] = []
        self._cold = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for assistant in self._assistants:
            assistant.close()

    def expect(self, cell: CellName) -> None:
        """Start assistants, which takes them a second, if a cell is new here."""
        kernels = kernels_of(cell_of(cell))
        if is_cached(way_back(kernels)):
            return
        self._cold = True
        if cache_directory() is not None and is_built_in(kernels) and sys.executable:
            with contextlib.suppress(OSError, RuntimeError):
                while len(self._assistants) < min(self._threads - 1, MOST):
                    self._assistants.append(Assistant())

    def compile(self, trainer: Trainer) -> None:
        """Compile what a training takes and is not in the cache.

        Called before any kernel of the training has run.
        """
        self.expect(trainer.network.config.cell)
        if not self._cold:
            return  # whatever else is missing is compiled when it is called
        with noted() as found:
            warm_up(trainer)
        missing = list({w.key: w for w in found if not w.is_kept}.values())
        if not missing:
            return
        own, *others = shares(missing, 1 + len(self._assistants))
        for assistant, share in zip(self._assistants, others, strict=True):
            assistant.compile(trainer, share)
        compiled: set[str] = set()

        def tell() -> None:
            done = compiled.union(*(each.done for each in self._assistants))
            self._on_progress(len(done), len(missing))

        tell()
        for wanted in self._left(own, others):
            wanted.compile()
            compiled.add(wanted.key)
            tell()
        if len(compiled) < len(missing):
            self._on_progress(len(missing), len(missing))

    def _left(
        self, own: Sequence[Wanted], others: Sequence[Sequence[Wanted]]
    ) -> Iterator[Wanted]:
        """List what this process compiles: its share, then what others have not begun.

        Of another's share the last is next. What it has begun is waited for, unless
        it comes to nothing.
        """
        yield from own
        for assistant, share in zip(self._assistants, others, strict=True):
            for wanted in reversed(share):
                if assistant.has_begun(wanted):
                    assistant.wait(wanted)
                if not wanted.is_kept:
                    yield wanted

    def compile_sampling(self, config: ModelConfig) -> None:
        """Let what sampling such a network takes be compiled while this goes on."""
        for assistant in self._assistants[1:]:
            assistant.close()
        del self._assistants[1:]
        for assistant in self._assistants:
            assistant.compile_sampling(config)

    @property
    def assisted(self) -> bool:
        """Whether somebody compiles what sampling takes."""
        return bool(self._assistants)

    @property
    def sampling_is_under_way(self) -> bool:
        """Whether an assistant is still compiling what sampling takes."""
        return not all(assistant.ready for assistant in self._assistants)
