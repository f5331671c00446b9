"""Records as JSON Lines: the fields that scripts rely on."""

import io
import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from charrnn.cli.metrics import Lines, MetricsLog, describe
from charrnn.training.baselines import Baselines
from charrnn.training.blending import Blend
from charrnn.training.kneser_ney import NGram
from charrnn.training.records import Ended, Evaluation, Record, Saved, Step, Warned

STEP = Step(50, 1.25, 0.5, math.log(4), 1.5, 0.002, 0.7, 12_345.6, 5.0)
EVAL = Evaluation(50, 1.25, math.log(8), True, 5.0)
END = Ended("time", 99, 2.5, 1.5, None, None, None, 10.0)

EXPECTED: list[tuple[Record, dict[str, Any]]] = [
    (
        STEP,
        {
            "event": "step",
            "schema": 1,
            "step": 50,
            "epoch": 1.25,
            "loss": math.log(4),
            "bits_per_char": pytest.approx(2),
            "lr": 0.002,
            "grad_norm": 0.7,
            "chars_per_second": 12_345.6,
            "elapsed": 5.0,
        },
    ),
    (
        EVAL,
        {
            "event": "eval",
            "schema": 1,
            "step": 50,
            "epoch": 1.25,
            "val_loss": math.log(8),
            "val_bits_per_char": pytest.approx(3),
            "best": True,
            "elapsed": 5.0,
        },
    ),
    (
        Saved(50, Path("a b.npz"), False),
        {"event": "save", "schema": 1, "step": 50, "path": "a b.npz"},
    ),
    (Warned("é\n"), {"event": "warning", "schema": 1, "message": "é\n"}),
    (
        END,
        {
            "event": "end",
            "schema": 1,
            "reason": "time",
            "steps": 99,
            "epochs": 2.5,
            "train_loss": 1.5,
            "val_loss": None,
            "best_val_loss": None,
            "chars_per_second": None,
            "elapsed": 10.0,
            "yardsticks": None,
            "blend": None,
            "path": "m.npz",
        },
    ),
]

NATS = math.log(2)
SKIPPED = "xz skipped: too long"


@pytest.mark.parametrize(
    ("found", "fields"),
    [
        (
            Baselines(3 * NATS, NGram(7, NATS), 2 * NATS),
            {
                "order0": {"loss": 3 * NATS, "bits_per_char": pytest.approx(3)},
                "ngram": {"order": 7, "loss": NATS, "bits_per_char": 1},
                "xz": {"loss": 2 * NATS, "bits_per_char": pytest.approx(2)},
                "notes": [],
            },
        ),
        (
            Baselines(0.0, None, None, (SKIPPED,)),
            {
                "order0": {"loss": 0, "bits_per_char": 0},
                "ngram": None,
                "xz": None,
                "notes": [SKIPPED],
            },
        ),
    ],
)
def test_yardsticks(found: Baselines, fields: dict[str, Any]) -> None:
    """In the last record, in nats and bits; null where something was left out."""
    (line,) = logged(replace(END, yardsticks=found))

    assert json.loads(line)["yardsticks"] == fields


@pytest.mark.parametrize(
    ("losses", "bits"), [((2 * NATS, 2.5, 3.5), pytest.approx(2)), ((None,) * 3, None)]
)
def test_blend(losses: tuple[float | None, ...], bits: Any) -> None:
    """In the last record; without losses where nothing was held out."""
    loss, network, ngram = losses
    found = Blend(0.625, 7, loss=loss, network_loss=network, ngram_loss=ngram)

    (line,) = logged(replace(END, blend=found))

    assert json.loads(line)["blend"] == {
        "share": 0.625,
        "order": 7,
        "loss": loss,
        "bits_per_char": bits,
        "network_loss": network,
        "ngram_loss": ngram,
    }


def test_what_json_cannot_say_is_null_at_any_depth() -> None:
    """A network that holds a character impossible has an infinite loss."""
    found = Blend(0.0, 7, loss=2.0, network_loss=math.inf, ngram_loss=2.0)

    (line,) = logged(replace(END, blend=found))

    assert "Infinity" not in line
    assert json.loads(line)["blend"]["network_loss"] is None


def logged(*records: Record, every: int = 1) -> list[str]:
    """Write records down; the lines."""
    lines: list[str] = []
    log = MetricsLog(lines.append, "m.npz", every)
    for record in records:
        log.add(record)
    return lines


@pytest.mark.parametrize(("record", "fields"), EXPECTED)
def test_fields_of_every_record(record: Record, fields: dict[str, Any]) -> None:
    """In this order, on one line."""
    (line,) = logged(record)

    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert json.loads(line) == fields
    assert list(json.loads(line)) == list(fields)
    assert list(describe(record, "m.npz", pairs=False)) == list(fields)


@pytest.mark.parametrize("record", [partial(replace, EVAL), partial(replace, END)])
@pytest.mark.parametrize("figures", [(0.5, 0.25), (None, None)])
def test_runs_on_pairs_log_two_figures_more(
    record: Callable[..., Record], figures: tuple[float | None, float | None]
) -> None:
    """Null where nothing is held out; nothing else is new."""
    names: dict[str, Any] = dict(zip(("exact", "error_rate"), figures, strict=True))
    log = MetricsLog((lines := list[str]()).append, "m.npz", 1)
    log.start({}, pairs=True)
    log.add(record(**names))
    found = json.loads(lines[-1])

    assert found == describe(record(), "m.npz", pairs=False) | names


def test_first_record() -> None:
    lines: list[str] = []
    MetricsLog(lines.append, "m.npz", 1).start({"seed": 3, "corpus": {"bytes": 1}})

    assert json.loads(lines[0]) == {
        "event": "start",
        "schema": 1,
        "seed": 3,
        "corpus": {"bytes": 1},
    }


@pytest.mark.parametrize(
    ("every", "count"), [(1, 60), (7, 8), (60, 1), (61, 0), (0, 0)]
)
def test_steps_are_logged_every_so_often(every: int, count: int) -> None:
    """All else always."""
    steps = [Step(n, 0, 0, 1, 1, 1, 1, 1, 1) for n in range(1, 61)]

    assert len(logged(*steps, every=every)) == count
    assert len(logged(EVAL, END, Warned(""), every=every)) == 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_is_null(value: float) -> None:
    line = logged(Evaluation(5, 1.0, value, False, 1.0))[0]
    fields = json.loads(line, parse_constant=pytest.fail)

    assert fields["val_loss"] is None
    assert fields["val_bits_per_char"] is None


def test_names_that_are_not_text_are_valid_json() -> None:
    """A path may hold any byte; a line of JSON may not."""
    name = os.fsdecode(b"caf\xe9\n.npz")
    line = logged(Saved(1, Path(name), False))[0]

    assert json.loads(line.encode("utf-8"))["path"] == name


class Failing(io.BytesIO):
    """A stream that takes so many writes and then fails."""

    def __init__(self, good: int, error: type[OSError]) -> None:
        super().__init__()
        self.good = good
        self.error = error

    def write(self, data: Any) -> int:
        if self.good == 0:
            raise self.error(5, "no luck")
        self.good -= 1
        return super().write(data)

    def fileno(self) -> int:
        raise OSError


@pytest.mark.parametrize(
    ("error", "told"),
    [(BrokenPipeError, []), (OSError, ["cannot write the text: no luck"])],
)
def test_lines_are_dropped_when_they_cannot_be_written(
    error: type[OSError], told: list[str]
) -> None:
    """A reader who leaves is no news; a disk that is full is, once."""
    stream = Failing(2, error)
    lost: list[str] = []
    lines = Lines(stream, lost.append)
    for n in range(5):
        lines.write(f"{n}\n")

    assert stream.getvalue() == b"0\n1\n"
    assert lost == told


def test_lines_for_nobody() -> None:
    Lines(None).write("x\n")
