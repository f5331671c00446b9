"""Tiny runs: their texts, their writers, their clocks, and who stops them."""

import io
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from charrnn.checkpoint import Checkpoint, load, write_to
from charrnn.config import RunConfig, TextConfig
from charrnn.durations import Every
from charrnn.training.job import Job
from charrnn.training.prepare import prepare
from charrnn.training.ranks import ALONE, Ranks
from charrnn.training.records import Ended, Record, Saved, Step, StopReason
from charrnn.training.request import TrainingRequest
from charrnn.training.run import Policy, Run

#: About 500 characters, in lines of different lengths.
TEXT = "".join(
    f"{word} went down to the {place},\nand {word} came back.\n"
    for word in ("the old man", "a girl", "Ann", "nobody", "the tide")
    for place in ("sea", "harbor wall")
)


#: 40 pairs: words, and the same backwards. Two have two outputs.
PAIRS = (
    "".join(
        f"{a}{b}\t{(a + b)[::-1]}\n"
        for a in ("sea", "old", "tide", "an", "wall", "harbor", "x", "moon")
        for b in ("s", "ed", "", "man", "ly")
    )
    + "olds\tyoung\nwall\tdoor\n"
)


#: 6 pairs whose inputs are far longer than the windows of tiny runs.
LONG_PAIRS = "".join(
    f"{word * 12}\t{word}\n" for word in ("sea", "old", "tide", "an", "wall", "moon")
)


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """Write a checkpoint as its file would be."""
    out = io.BytesIO()
    write_to(out, checkpoint)
    return out.getvalue()


def read_back(data: bytes) -> Checkpoint:
    """Read a checkpoint's bytes."""
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return load(Path(file.name))


@dataclass
class Recorder:
    """A writer that keeps what it is given; told to, it fails instead."""

    path: Path | None = Path("m.npz")
    saved: list[tuple[int, bool, bool]] = field(default_factory=list)
    latest: bytes = b""
    best: bytes = b""
    failing: Callable[[int], Exception | None] = lambda step: None
    once: bool = False

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def save(self, checkpoint: Checkpoint, *, best: bool, last: bool) -> Saved | None:
        assert checkpoint.training is not None
        step = checkpoint.training.step
        error = self.failing(step)
        if error is not None:
            raise error
        data = checkpoint_bytes(checkpoint)
        if best:
            self.best = data
        else:
            self.latest = data
        self.saved.append((step, best, last))
        return Saved(step, Path("best.npz" if best else "m.npz"), best)

    def read_best(self) -> Checkpoint | None:
        return read_back(self.best) if self.best else None


@dataclass
class Stop:
    """Somebody who may ask a run to end, or to save."""

    reason: StopReason | None = None
    save_now: bool = False


class Ticking:
    """A clock that moves on by the same time whenever it is looked at."""

    def __init__(self, tick: float = 1.0) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def prepared(
    path: Path,
    text: str = TEXT,
    *,
    model: dict[str, Any] | None = None,
    threads: int = 1,
    read: dict[str, Any] | None = None,
    ranks: Ranks = ALONE,
    **options: Any,
) -> Job:
    """Prepare a run on a text, which is written to `path`; see `Request`.

    An option that is None is as if it was not given.
    """
    if ranks.size == 1:
        path.write_text(text, newline="")
    own = {name: options.pop(name) for name in OWN if name in options}
    loaded = "resume" in own or "init_from" in own
    train = {
        "batch_size": 4, "seq_length": 8, "val_fraction": 0.2, "lr": 0.01,
        "dropout": 0.0, "weight_dropout": 0.0, "ema": 0.0, "patience": 0,
    }  # fmt: skip
    if "resume" in own:
        train = {}
    elif "val_file" in own:
        del train["val_fraction"]
    given = {name: v for name, v in (train | options).items() if v is not None}
    own_shape = {} if loaded else {"cell": "lstm", "hidden": 8, "norm": "none"}
    shape = own_shape | (model or {})
    goes_on = own.get("resume")
    request = TrainingRequest(
        sources=(str(path),),
        text=TextConfig(**(read or {})),
        model={name: v for name, v in shape.items() if v is not None},
        train=given,
        run=RunConfig(
            resume=goes_on is not None,
            new_corpus=own.get("new_corpus", False),
            init_from=own.get("init_from"),
        ),
        val_file=own.get("val_file"),
        output=goes_on,
    )
    return prepare(request, threads, ranks=ranks)


#: Arguments of `prepared` that are no fields of TrainConfig.
OWN = ("val_file", "resume", "new_corpus", "init_from")


def run_of(
    ready: Job,
    writer: Any = None,
    stop: Stop | None = None,
    clock: Callable[[], float] | None = None,
    eval_every: Every | None = None,
    **policy: Any,
) -> Run:
    """Put a run together."""
    position = ready.trainer.position
    if eval_every is not None:
        position.config = replace(position.config, eval_every=eval_every)
    return Run(
        ready,
        Policy(**policy),
        writer or Recorder(),
        stop or Stop(),
        clock or Ticking(),
    )


def finish(run: Run) -> tuple[list[Record], Ended]:
    """Let a run come to its end: all records, and the last one."""
    records = list(run)
    assert isinstance(records[-1], Ended)
    return records, records[-1]


def steps_of(records: Sequence[Record]) -> list[Step]:
    """Pick the steps."""
    return [record for record in records if isinstance(record, Step)]


def stop_after(run: Run, stop: Stop, step: int) -> list[Record]:
    """Let a run be interrupted once it has taken so many steps."""
    records = []
    for record in run:
        records.append(record)
        if isinstance(record, Step) and record.step == step:
            stop.reason = "interrupted"
    return records
