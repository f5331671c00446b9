"""A run that is interrupted and resumed writes the very file of one that was not.

Every value of every axis below is met together with every value of every other
one, each time interrupted at another step. A new option is a new axis or one
more value: the combinations follow. ``CHARRNN_COMBINATIONS=1000`` in the
environment adds a thousand at random.
"""

import itertools
import os
import random
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint import contents, load
from charrnn.durations import Every
from charrnn.training.records import Step
from tests.training.support import (
    LONG_PAIRS,
    PAIRS,
    TEXT,
    Recorder,
    Stop,
    finish,
    prepared,
    run_of,
    stop_after,
)

pytestmark = pytest.mark.promise(name="exact")

STEPS = 20

#: What may be chosen: by axis, by name, arguments of `prepared`.
AXES: dict[str, dict[str, dict[str, Any]]] = {
    "cell": {
        "lstm": {"model": {"cell": "lstm"}},
        "gru": {"model": {"cell": "gru"}},
        "rnn": {"model": {"cell": "rnn"}},
        "relu": {"model": {"cell": "rnn", "activation": "relu"}},
    },
    "lags": {"none": {}, "1,3": {"model": {"lags": (1, 3)}}},
    "layers": {"one": {}, "two": {"model": {"layers": 2}}},
    "optimizer": {
        name: {"optimizer": name} for name in ("adam", "rmsprop", "adagrad", "sgd")
    },
    "schedule": {
        name: {"schedule": name}
        for name in ("constant", "step", "exponential", "linear", "cosine", "cyclic")
    },
    "norm": {name: {"model": {"norm": name}} for name in ("none", "layer", "batch")},
    "dropout": {"none": {}, "some": {"dropout": 0.3, "weight_dropout": 0.2}},
    "averages": {"none": {}, "some": {"ema": 0.9}},
    "text": {
        "characters": {},
        "lines": {"lines": True},
        "bytes": {"read": {"unit": "byte"}},
        "pairs": {"pairs": True, "text": PAIRS},
        "long pairs": {"pairs": True, "text": LONG_PAIRS, "batch_size": 2},
    },
    "clipping": {
        "norm": {},
        "value": {"clip_mode": "value", "grad_clip": 0.01},
        "none": {"grad_clip": 0.0, "weight_decay": 0.1},
    },
    "limit": {"steps": {"steps": STEPS}, "epochs": {"epochs": 1.5}},
    "threads": {"fewer": {"threads": 2}, "more": {"threads": 1}},
}

Choice = tuple[str, ...]  # a value of each axis


Pair = tuple[int, str, int, str]  # two axes, and a value of each


def every_pair() -> set[Pair]:
    """List all pairs of values of two axes."""
    axes = itertools.combinations(enumerate(AXES.values()), 2)
    return {(i, a, j, b) for (i, one), (j, two) in axes for a in one for b in two}


def pairs(choice: Choice) -> set[Pair]:
    """List the pairs of values that a combination has."""
    places = itertools.combinations(enumerate(choice), 2)
    return {(i, a, j, b) for (i, a), (j, b) in places}


def covering() -> list[Choice]:
    """Choose combinations, greedily, until every pair of values is in one."""
    missing, chosen = every_pair(), list[Choice]()

    def gain(fixed: dict[int, str], axis: int, value: str) -> int:
        found = [(i, a, axis, value) for i, a in fixed.items()]
        found += [(axis, value, i, a) for i, a in fixed.items()]
        return len(missing.intersection(found))

    while missing:
        i, a, j, b = min(missing)
        fixed = {i: a, j: b}
        for axis, values in enumerate(AXES.values()):
            if axis not in fixed:
                gains = {value: gain(fixed, axis, value) for value in values}
                fixed[axis] = max(gains, key=lambda value, gains=gains: gains[value])  # type: ignore[misc]
        chosen.append(tuple(fixed[axis] for axis in range(len(AXES))))
        missing -= pairs(chosen[-1])
    return chosen


def at_random(count: int) -> list[Choice]:
    """Choose some more."""
    rng = random.Random(0)  # noqa: S311 - not for secrets
    return [tuple(map(rng.choice, map(list, AXES.values()))) for _ in range(count)]


CHOICES = covering() + at_random(int(os.environ.get("CHARRNN_COMBINATIONS", "0")))


def plan_of(choice: Choice) -> dict[str, Any]:
    """Join the arguments of all values of a combination."""
    plan: dict[str, Any] = {"model": {"hidden": 8}, "warmup": 0.2}
    for values, name in zip(AXES.values(), choice, strict=True):
        more = dict(values[name])
        plan["model"] = plan["model"] | more.pop("model", {})
        plan |= more
    return plan


#: Evaluations fall on some of the steps at which runs are interrupted.
POLICY: dict[str, Any] = {"eval_every": Every(steps=3), "save_every": Every(steps=4)}


def undisturbed(path: Path, plan: dict[str, Any]) -> Recorder:
    """Let a run come to its end."""
    writer = Recorder()
    finish(run_of(prepared(path, **plan), writer, **POLICY))
    return writer


def interrupted(path: Path, plan: dict[str, Any], *steps: int) -> Recorder:
    """Interrupt it at each of these steps, and resume it with other threads."""
    file, writer = path.with_name("m.npz"), Recorder()
    made = prepared(path, **plan)
    threads = plan.get("threads", 1)
    for step in (*steps, None):
        stop = Stop()
        run = run_of(made, writer, stop, **POLICY)
        if step is None:
            finish(run)
        else:
            stop_after(run, stop, step)
        file.write_bytes(writer.latest)
        threads = 3 - threads
        same = {"read": plan.get("read"), "text": plan.get("text", TEXT)}
        made = prepared(path, resume=file, threads=threads, **same)
    return writer


@pytest.mark.parametrize(
    ("number", "choice"), list(enumerate(CHOICES)), ids=["-".join(c) for c in CHOICES]
)
def test_any_run_at_some_step(tmp_path: Path, number: int, choice: Choice) -> None:
    path, plan = tmp_path / "t.txt", plan_of(choice)
    step = 1 + number % (STEPS - 2)
    whole = undisturbed(path, plan)
    parts = interrupted(path, plan, step)

    assert parts.latest == whole.latest
    assert parts.best == whole.best


@pytest.mark.parametrize(
    "choice", [CHOICES[0], CHOICES[-1]], ids=lambda choice: "-".join(choice)
)
def test_some_run_at_any_step(tmp_path: Path, choice: Choice) -> None:
    """Once at each step, and once at every one."""
    path, plan = tmp_path / "t.txt", plan_of(choice) | {"steps": STEPS, "epochs": None}
    whole = undisturbed(path, plan)

    for step in range(1, STEPS):
        assert interrupted(path, plan, step).latest == whole.latest, step
    assert interrupted(path, plan, *range(1, STEPS)).latest == whole.latest


def test_combinations_cover_every_pair() -> None:
    """Few of them, and yet all pairs; all differ in what they train."""
    assert set().union(*map(pairs, covering())) == every_pair()
    assert len(covering()) < 50


def test_combinations_differ(tmp_path: Path) -> None:
    """Each axis changes what comes out; or it would test nothing."""
    first = covering()[0]
    base = undisturbed(tmp_path / "t.txt", plan_of(first)).latest
    for axis, values in enumerate(AXES.values()):
        if axis == list(AXES).index("threads"):
            continue
        for value in values:
            if value != first[axis]:
                other = (*first[:axis], value, *first[axis + 1 :])
                latest = undisturbed(tmp_path / "t.txt", plan_of(other)).latest
                assert latest != base, other


@pytest.mark.parametrize("when", [1, 8, 15])
def test_evaluation_that_was_broken_off_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    """A signal ends it within a window; what is resumed begins with it."""
    monkeypatch.setattr("charrnn.windows.PIECE_STEPS", 4)
    path, plan = tmp_path / "t.txt", dict[str, Any](steps=STEPS)
    whole = undisturbed(path, plan)

    class Later(Stop):
        """Somebody who asks while the evaluation at step 6 goes on."""

        asked = -1

        @property
        def reason(self) -> Any:
            if made.trainer.position.step == 6:
                self.asked += 1
            return "interrupted" if self.asked > when else None

        @reason.setter
        def reason(self, value: Any) -> None:
            """Accept what a dataclass sets first."""

    made, writer = prepared(path, **plan), Recorder()
    run = run_of(made, writer, Later(), **POLICY)
    records = list(run)
    file = tmp_path / "m.npz"
    file.write_bytes(writer.latest)
    rows = [row["step"] for row in load(file).history if "val_loss" in row]
    again = prepared(path, resume=file)
    finish(run_of(again, writer, **POLICY))

    assert [r.step for r in records if isinstance(r, Step)][-1] == 6
    assert rows == [3]
    assert (writer.latest, writer.best) == (whole.latest, whole.best)


def test_history_that_is_too_long_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is thinned when it grows, not when it is saved."""
    monkeypatch.setattr(contents, "MAX_ROWS", 6)
    path, plan = tmp_path / "t.txt", dict[str, Any](steps=60)
    whole = undisturbed(path, plan)

    for step in (19, 31, 46):
        assert interrupted(path, plan, step).latest == whole.latest
