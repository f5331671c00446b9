"""A run's records as JSON Lines, for ``--json`` and ``--log-file``.

The names of events and fields are a contract: every object has ``event`` and
``"schema": 1``. Losses are nats per character, ``elapsed`` counts seconds as
`training.records` says.
"""

import json
import math
from collections.abc import Callable
from typing import Any, BinaryIO

from charrnn.cli.output import ReaderGone, TextSink
from charrnn.display.console import wait_for_reader
from charrnn.errors import OutputError
from charrnn.training.baselines import Baselines
from charrnn.training.blending import Blend
from charrnn.training.records import (
    Ended,
    Evaluation,
    Record,
    Saved,
    Step,
    Warned,
)

SCHEMA = 1


def bits(nats: float) -> float:
    """Convert nats to bits."""
    return nats / math.log(2)


def _event(name: str, **fields: Any) -> dict[str, Any]:
    """Begin an object with what all have."""
    return {"event": name, "schema": SCHEMA, **fields}


#: The fields of a record that only a run on pairs logs.
OF_PAIRS = ("exact", "error_rate")


def describe(record: Record, output: str, *, pairs: bool) -> dict[str, Any]:
    """Turn a record into the object that is logged.

    Parameters
    ----------
    output : str
        The checkpoint's path, as ``end`` names it.
    pairs : bool
        Whether the run is one on pairs: if not, it has none of `OF_PAIRS`.
    """
    found = _described(record, output)
    return {k: v for k, v in found.items() if pairs or k not in OF_PAIRS}


def _described(record: Record, output: str) -> dict[str, Any]:
    """Turn a record into an object, with all that it may have."""
    match record:
        case Step():
            return _event(
                "step",
                step=record.step,
                epoch=record.epoch,
                loss=record.loss,
                bits_per_char=record.bits_per_char,
                lr=record.lr,
                grad_norm=record.grad_norm,
                chars_per_second=record.chars_per_second,
                elapsed=record.elapsed,
            )
        case Evaluation():
            return _event(
                "eval",
                step=record.step,
                epoch=record.epoch,
                val_loss=record.val_loss,
                val_bits_per_char=bits(record.val_loss),
                best=record.best,
                elapsed=record.elapsed,
                exact=record.exact,
                error_rate=record.error_rate,
            )
        case Saved():
            return _event("save", step=record.step, path=str(record.path))
        case Warned():
            return _event("warning", message=record.message)
        case Ended():
            fields = vars(record) | {
                "yardsticks": _baselines(record.yardsticks),
                "blend": _blend(record.blend),
                "path": output,
            }
            return _event("end", **fields)


def _baselines(found: Baselines | None) -> dict[str, Any] | None:
    """Describe what simpler means made of the held-out text."""
    if found is None:
        return None
    ngram = found.ngram
    return {
        "order0": _loss(found.order0),
        "ngram": ngram and {"order": ngram.order, **_loss(ngram.loss)},
        "xz": None if found.xz is None else _loss(found.xz),
        "notes": list(found.notes),
    }


def _blend(found: Blend | None) -> dict[str, Any] | None:
    """Describe a network and n-grams together, beside what each makes alone."""
    if found is None:
        return None
    return {
        "share": found.share,
        "order": found.order,
        "loss": found.loss,
        "bits_per_char": None if found.loss is None else bits(found.loss),
        "network_loss": found.network_loss,
        "ngram_loss": found.ngram_loss,
    }


def _loss(nats: float) -> dict[str, float]:
    """Name a loss in both units."""
    return {"loss": nats, "bits_per_char": bits(nats)}


class Lines:
    """Lines of text for a stream, dropped once the stream does not take them.

    Neither a reader who leaves nor a full disk stops a training for its log.

    Parameters
    ----------
    stream : binary file or None
        None is a stream that the process was started without.
    lost : callable
        Told, once, why lines are dropped; not when a reader has left.
    stopped : callable
        Whether the run is to end: then a stream that nobody reads is given up.
    """

    def __init__(
        self,
        stream: BinaryIO | None,
        lost: Callable[[str], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stream = stream
        self._sink = None if stream is None else TextSink(stream, raw=True)
        self._lost = lost
        self._stopped = stopped

    def write(self, line: str) -> None:
        """Write one line, newline included, at once."""
        if self._sink is None or self._stream is None:
            return
        try:
            wait_for_reader(self._stream, self._stopped)
            self._sink.write(line)
            self._sink.flush()
        except ReaderGone:
            self._sink = None
        except (OutputError, TimeoutError) as error:
            self._sink = None
            if self._lost is not None:
                self._lost(str(error))


class MetricsLog:
    """Writes records as lines, steps only every so often.

    Parameters
    ----------
    write : callable
        Takes one line of text, newline included.
    output : str
        The checkpoint's path.
    log_every : int
        Steps from one ``step`` record to the next; 0 leaves them out.
    """

    def __init__(
        self, write: Callable[[str], None], output: str, log_every: int
    ) -> None:
        self._write = write
        self._output = output
        self._log_every = log_every
        self._pairs = False

    def start(self, fields: dict[str, Any], *, pairs: bool = False) -> None:
        """Write the first object of a run, which may be one on pairs."""
        self._pairs = pairs
        self._line(_event("start", **fields))

    def plan(self, fields: dict[str, Any], yardsticks: Baselines | None) -> None:
        """Write what a run would be, in place of its records."""
        self._line(_event("plan", **fields, yardsticks=_baselines(yardsticks)))

    def add(self, record: Record) -> None:
        """Write a record, or leave it out."""
        if isinstance(record, Step) and (
            self._log_every == 0 or record.step % self._log_every
        ):
            return
        self._line(describe(record, self._output, pairs=self._pairs))

    def _line(self, event: dict[str, Any]) -> None:
        """Write one object; what JSON cannot say is null."""
        self._write(json.dumps(_clean(event)) + "\n")


def _clean(value: Any) -> Any:
    """Put null for every number that JSON has no way to write, however deep."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
