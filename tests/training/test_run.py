"""A whole run: its limits, its evaluations, its saves, and what goes wrong in it."""

import dataclasses
import itertools
import math
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint import load
from charrnn.durations import Every
from charrnn.errors import DivergedError, OutputError
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.training import agenda
from charrnn.training import run as run_module
from charrnn.training.blending import Counting
from charrnn.training.job import Job
from charrnn.training.records import (
    Ended,
    Evaluation,
    Record,
    Saved,
    Step,
    StopReason,
    Warned,
)
from charrnn.training.run import Run
from charrnn.training.trainer import Result
from tests.training.support import (
    Recorder,
    Stop,
    Ticking,
    checkpoint_bytes,
    finish,
    prepared,
    read_back,
    run_of,
    steps_of,
    stop_after,
)

Ready = Callable[..., Job]


@pytest.fixture
def ready(tmp_path: Path) -> Ready:
    """Prepare a run on a little text: 13 windows an epoch."""

    def prepare(**options: Any) -> Job:
        return prepared(tmp_path / "t.txt", **options)

    return prepare


@pytest.fixture(autouse=True)
def _small_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let even the little held-out text be read in several pieces."""
    monkeypatch.setattr("charrnn.windows.MIN_PIECE", 32)
    monkeypatch.setattr("charrnn.windows.WARM_UP", 16)


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Make evaluations find these losses, and then the last one for ever."""
    values = itertools.chain(losses, itertools.repeat(losses[-1]))
    monkeypatch.setattr(TextModel, "mean_loss", lambda *_: next(values))


def of(kind: type[Record], records: list[Record]) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


# Limits.


def test_steps_end_the_run_and_the_schedule(ready: Ready) -> None:
    plan = {"steps": 20, "schedule": "linear", "warmup": 0.0, "lr": 0.01}
    records, ended = finish(run_of(ready(**plan)))
    rates = [record.lr for record in steps_of(records)]

    assert (ended.reason, ended.steps) == ("steps", 20)
    assert [record.step for record in steps_of(records)] == list(range(1, 21))
    assert steps_of(records)[-1].progress == 1
    assert rates[0] == 0.01
    assert rates[-1] == pytest.approx(0.01 * (1 - 0.98 * 19 / 20))


@pytest.mark.parametrize("epochs", [1.0, 2.5, 0.4, 1e-9])
def test_epochs_end_the_run_also_in_the_middle(ready: Ready, epochs: float) -> None:
    made = ready(epochs=epochs)
    windows = made.trainer.streams.windows
    records, ended = finish(run_of(made))

    assert ended.reason == "epochs"
    assert ended.steps == max(1, round(epochs * windows))
    assert ended.epochs == pytest.approx(ended.steps / windows)
    assert steps_of(records)[-1].progress == 1


def test_time_ends_the_run_and_the_schedule(ready: Ready) -> None:
    """Only seconds of steps count: a step takes one here, so does an evaluation."""
    plan = {"time": 30.0, "schedule": "linear", "warmup": 0.0, "lr": 0.01}
    records, ended = finish(run_of(ready(**plan), clock=Ticking(1.0)))
    rates = [record.lr for record in steps_of(records)]

    assert (ended.reason, ended.steps, ended.elapsed) == ("time", 30, 30)
    assert rates[-1] == pytest.approx(0.01 * (1 - 0.98 * 29 / 30))
    assert len(of(Evaluation, records)) > 1


def test_first_limit_reached_wins(ready: Ready) -> None:
    limits = {"steps": 12, "epochs": 50.0, "time": 1e6}
    assert finish(run_of(ready(**limits)))[1].reason == "steps"
    assert finish(run_of(ready(**limits | {"time": 5.0})))[1].reason == "time"
    assert finish(run_of(ready(**limits | {"epochs": 0.5})))[1].reason == "epochs"


def test_no_steps_leave_the_first_weights(ready: Ready) -> None:
    writer = Recorder()
    records, ended = finish(run_of(ready(steps=0), writer))

    assert (ended.reason, ended.steps) == ("steps", 0)
    assert ended.train_loss is None
    assert ended.chars_per_second is None
    assert not steps_of(records)


def test_patience_ends_the_run(ready: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many evaluations in a row that are not better than the best."""
    scripted(monkeypatch, [3.0, 2.0, 2.5, 1.9, 1.95, 1.9, 2.0])
    run = run_of(ready(steps=1000, patience=3), eval_every=Every(steps=5))
    records, ended = finish(run)

    assert (ended.reason, ended.steps) == ("patience", 35)
    assert ended.best_val_loss == 1.9
    assert [e.best for e in of(Evaluation, records)] == [1, 1, 0, 1, 0, 0, 0]


# Evaluations and saves.


def test_order_of_records(ready: Ready) -> None:
    """A save before the first step; the last evaluation, the last save, the end."""
    writer = Recorder()
    records, _ = finish(
        run_of(
            ready(steps=12),
            writer,
            eval_every=Every(steps=5),
            save_every=Every(steps=4),
            keep_best=False,
        )
    )
    names = "".join(
        {Step: ".", Evaluation: "e", Saved: "s", Ended: "E"}[type(r)] for r in records
    )

    assert names == "s....s.e...s..e..sesE"
    assert writer.saved[0] == (0, False, False)
    assert writer.saved[-1] == (12, False, True)


def test_best_is_kept(ready: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [2.0, 1.5, 1.8])
    writer = Recorder()
    finish(run_of(ready(steps=15), writer, eval_every=Every(steps=5), memory=False))

    assert [s for s, best, _ in writer.saved if best] == [5, 10]
    assert writer.best != writer.latest


def test_best_is_not_kept_if_nobody_wants_it(ready: Ready) -> None:
    writer = Recorder()
    run = run_of(ready(steps=15), writer, eval_every=Every(steps=5), keep_best=False)
    finish(run)

    assert not writer.best


def test_evaluations_are_rare_by_default(ready: Ready) -> None:
    """About twenty in a run, and never so many that they take long."""
    long = of(Evaluation, finish(run_of(ready(steps=400)))[0])
    short = of(Evaluation, finish(run_of(ready(steps=10)))[0])
    timed = of(Evaluation, finish(run_of(ready(time=600.0)))[0])

    assert len(long) == 20
    assert len(short) <= 2
    assert 15 <= len(timed) <= 20


def test_evaluation_may_be_left_out_but_for_the_last(ready: Ready) -> None:
    run = run_of(ready(steps=50), eval_every=Every())

    assert [e.step for e in of(Evaluation, finish(run)[0])] == [50]
    assert not of(Evaluation, finish(run_of(ready(steps=9, val_fraction=0.0)))[0])


@pytest.mark.promise(name="same")
@pytest.mark.parametrize("lines", [False, True])
def test_looking_changes_nothing(ready: Ready, lines: bool) -> None:
    """The run is the same with and without evaluations, saves, and threads."""

    def run(threads: int, **policy: Any) -> tuple[list[float | None], bytes]:
        made = ready(steps=30, dropout=0.2, lines=lines, threads=threads)
        records, _ = finish(run_of(made, **policy))
        return [s.loss for s in steps_of(records)], made.trainer.network.theta.tobytes()

    plain = run(1, eval_every=Every(), save_every=Every())
    busy = run(2, eval_every=Every(steps=1), save_every=Every(steps=1))

    assert plain == busy


@pytest.mark.promise(name="same")
def test_same_request_same_bytes(ready: Ready) -> None:
    """Whatever the saves and the threads, as long as evaluations are the same."""

    def run(threads: int, tick: float, **policy: Any) -> bytes:
        writer = Recorder()
        made = ready(steps=33, dropout=0.2, threads=threads)
        finish(run_of(made, writer, clock=Ticking(tick), **policy))
        return writer.latest

    assert run(1, 1.0) == run(2, 0.1, save_every=Every(steps=3), keep_best=False)


def test_save_on_request(ready: Ready) -> None:
    stop, writer = Stop(), Recorder()
    policy: dict[str, Any] = {"keep_best": False, "memory": False}
    run = run_of(ready(steps=9), writer, stop, save_every=Every(), **policy)
    for record in run:
        if isinstance(record, Step) and record.step == 4:
            stop.save_now = True

    assert [step for step, _, _ in writer.saved] == [0, 4, 9]
    assert not stop.save_now


@pytest.mark.parametrize("reason", ["interrupted", "terminated", "hangup", "cpu_limit"])
def test_stop_on_request(ready: Ready, reason: StopReason) -> None:
    """The step is finished, nothing is evaluated, everything is saved."""
    stop, writer = Stop(), Recorder()
    run = run_of(ready(steps=100), writer, stop, eval_every=Every(steps=50))
    records = []
    for record in run:
        records.append(record)
        if isinstance(record, Step) and record.step == 7:
            stop.reason = reason
    ended = records[-1]

    assert isinstance(ended, Ended)
    assert (ended.reason, ended.steps) == (reason, 7)
    assert writer.saved[-1] == (7, False, True)
    assert not of(Evaluation, records)


def test_stop_before_the_first_step(ready: Ready) -> None:
    writer = Recorder()
    _, ended = finish(run_of(ready(steps=9), writer, Stop("interrupted")))

    assert (ended.reason, ended.steps) == ("interrupted", 0)


# What goes wrong.


def failing_at(*steps: int) -> Callable[[int], Exception | None]:
    """Refuse to save at these steps."""
    error = OutputError("no space left on device", where="m.npz")
    return lambda step: error if step in steps else None


def test_failed_save_on_the_way_is_told_and_tried_again(ready: Ready) -> None:
    writer = Recorder(failing=failing_at(4, 8))
    policy: dict[str, Any] = {"save_every": Every(steps=4), "keep_best": False}
    run = run_of(ready(steps=14), writer, **policy, memory=False)
    warnings = [w.message for w in of(Warned, finish(run)[0])]

    assert len(warnings) == 2
    assert all("no space left on device (m.npz)" in message for message in warnings)
    assert [step for step, _, _ in writer.saved] == [0, 12, 14]


@pytest.mark.parametrize("step", [0, 14])
def test_failed_first_or_last_save_is_an_error(ready: Ready, step: int) -> None:
    run = run_of(ready(steps=14), Recorder(failing=failing_at(step)))

    with pytest.raises(OutputError):
        finish(run)


def poison(
    made: Job, bad: Callable[[int, int], bool], result: Result | None = None
) -> None:
    """Make steps fail: `bad` is asked with the step's number and the attempt's."""
    attempts, real = itertools.count(1), made.trainer.step
    broken = result or Result(math.nan, 1.0, 0.1)

    def step(progress: float) -> Result:
        wrong = bad(made.trainer.position.step + 1, next(attempts))
        return broken if wrong else real(progress)

    made.trainer.step = step  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "result", [Result(math.nan, 1.0, 0.1), Result(1.0, math.inf, 0.1)]
)
def test_divergence_rolls_back_with_half_the_rate(
    ready: Ready, monkeypatch: pytest.MonkeyPatch, result: Result
) -> None:
    monkeypatch.setattr(agenda, "SNAPSHOT_EVERY", 5)
    made = ready(steps=20, schedule="constant", warmup=0.0, lr=0.01)
    poison(made, lambda step, attempt: attempt == 13, result)
    writer = Recorder()
    records, ended = finish(run_of(made, writer, eval_every=Every(steps=4)))
    warning = of(Warned, records)[0].message
    steps = [record.step for record in steps_of(records)]
    rates = [record.lr for record in steps_of(records)]

    assert "after step 12" in warning
    assert "back to step 10" in warning
    assert steps == [*range(1, 13), *range(11, 21)]
    assert rates == [0.01] * 12 + [0.005] * 10
    assert (ended.reason, ended.steps) == ("steps", 20)
    rows = [row["step"] for row in made.history.rows if "val_loss" in row]
    assert rows == [4, 8, 12, 16, 20]


def test_rolled_back_run_forgets_what_it_left(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rate as it was, it would be the very run that never failed."""
    monkeypatch.setattr(agenda, "SNAPSHOT_EVERY", 5)

    def run(bad: Callable[[int, int], bool]) -> bytes:
        made, writer = ready(steps=20, dropout=0.2), Recorder()
        poison(made, bad)
        for record in run_of(made, writer, keep_best=False):
            if isinstance(record, Warned):
                made.trainer.position.lr_scale = 1.0
        return writer.latest

    assert run(lambda step, attempt: attempt == 9) == run(lambda *_: False)


@pytest.mark.parametrize("last", [10, 20])
@pytest.mark.parametrize("which", [0, -1])
def test_a_weight_that_overflows_is_noticed_in_its_step(
    ready: Ready, monkeypatch: pytest.MonkeyPatch, which: int, last: int
) -> None:
    """The loss of that step is still fine, and if it is the last, none follows."""
    monkeypatch.setattr(agenda, "SNAPSHOT_EVERY", 5)
    made = ready(steps=last, schedule="constant", warmup=0.0, lr=0.5)
    real, ruined = made.trainer.step, list[int]()

    def step(progress: float) -> Result:
        if made.trainer.position.step == last - 1 and not ruined:
            made.trainer.optimizer.moments["adam.m"][which] = -3e38  # a step too far
            made.trainer.optimizer.moments["adam.v"][which] = 0.0
            ruined.append(last)
        return real(progress)

    monkeypatch.setattr(made.trainer, "step", step)
    records, ended = finish(run_of(made, eval_every=Every(), keep_best=False))
    (warned,) = of(Warned, records)

    assert f"after step {last - 1}: back to step {last - 5}," in warned.message
    assert (ended.reason, ended.steps) == ("steps", last)


@pytest.mark.parametrize("held_out", [True, False])
def test_an_average_that_overflows_at_the_end_is_no_end(
    ready: Ready, held_out: bool
) -> None:
    """It is noticed when it is saved; the run returns, and then comes to its end."""
    made, writer, ruined = ready(steps=3, ema=0.9), Recorder(), list[int]()
    made = dataclasses.replace(made, held_out=made.held_out if held_out else None)
    average = made.trainer.average
    run = run_of(made, writer, eval_every=Every(), memory=False)
    assert average is not None
    records = []
    for record in run:
        records.append(record)
        if isinstance(record, Step) and record.step == 3 and not ruined:
            average.theta[0] = math.inf  # of a character that the held-out text lacks
            ruined.append(3)

    assert "after step 3: back to step 0" in of(Warned, records)[0].message
    assert [record.step for record in steps_of(records)] == [1, 2, 3, 1, 2, 3]
    assert [step for step, best, _ in writer.saved if not best] == [0, 3]
    assert [step for step, best, _ in writer.saved if best] == [3] * held_out
    assert isinstance(records[-1], Ended)
    assert (records[-1].reason, records[-1].steps) == ("steps", 3)


def test_a_best_that_could_not_be_saved_is_not_the_best(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one that is better than what the file holds takes its place."""
    scripted(monkeypatch, [3.0, 1.0, 2.0, 2.5])
    writer = Recorder(failing=failing_at(8))
    run = run_of(ready(steps=16), writer, eval_every=Every(steps=4), memory=False)
    records, ended = finish(run)

    assert [step for step, best, _ in writer.saved if best] == [4, 12]
    assert len(of(Warned, records)) == 1
    assert ended.best_val_loss == 2.0


def test_a_state_that_is_saved_is_not_saved_again(ready: Ready) -> None:
    """A signal during a long save does not have to wait for another one."""
    stop, writer = Stop(), Recorder()
    run = run_of(ready(steps=9), writer, stop, save_every=Every(steps=4))
    for record in run:
        if isinstance(record, Saved) and record.step == 4:
            stop.reason = "terminated"

    assert [step for step, _, _ in writer.saved] == [0, 4]


@pytest.mark.parametrize("policy", ["rollback", "stop"])
def test_divergence_for_good_ends_in_an_error(ready: Ready, policy: str) -> None:
    """What is saved last is the last good state, and the records say how it ended."""
    made, writer = ready(steps=20), Recorder()
    poison(made, lambda step, attempt: step >= 3)
    with pytest.raises(DivergedError, match=r"step 2; .* step 0$") as caught:
        finish(run_of(made, writer, on_divergence=policy))

    assert caught.value.exit_code == 7
    assert "lr" in str(caught.value.hint)
    assert writer.saved[-1] == (0, False, True)


def diverging(run: Run) -> list[Record]:
    """Let a run diverge for good, and keep the records that it yields before."""
    records = []

    def collect() -> None:
        for record in run:
            records.append(record)  # noqa: PERF402 - kept when it raises

    with pytest.raises(DivergedError):
        collect()
    return records


def test_error_comes_after_the_end_record(ready: Ready) -> None:
    made = ready(steps=20)
    poison(made, lambda step, attempt: step >= 3)
    records = diverging(run_of(made))

    assert isinstance(records[-1], Ended)
    assert records[-1].reason == "diverged"
    assert len(of(Warned, records)) == run_module.MAX_ROLLBACKS


def test_real_divergence(ready: Ready) -> None:
    """A rectified cell with an absurd rate, without clipping, blows up."""
    made = ready(
        model={"cell": "rnn", "activation": "relu"},
        steps=300,
        optimizer="sgd",
        lr=1e6,
        warmup=0.0,
        grad_clip=0.0,
    )
    writer = Recorder()

    with pytest.raises(DivergedError):
        finish(run_of(made, writer))
    assert writer.latest


def test_weights_that_overflowed_are_never_saved(ready: Ready, tmp_path: Path) -> None:
    """A huge rate ruins the weights while loss and gradient are fine."""
    made, writer = ready(steps=300, lr=1e38, warmup=0.0), Recorder()
    with pytest.raises(DivergedError):
        finish(run_of(made, writer, save_every=Every(steps=1)))
    path = tmp_path / "m.npz"
    path.write_bytes(writer.latest)

    assert load(path).training is not None


def test_validation_that_overflows_is_not_the_best(
    ready: Ready, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is told, counts against the patience, and leaves the file readable."""
    scripted(monkeypatch, [math.nan, 2.0, math.inf])
    writer = Recorder()
    run = run_of(ready(steps=20), writer, eval_every=Every(steps=5))
    records, ended = finish(run)
    path = tmp_path / "m.npz"
    path.write_bytes(writer.latest)

    assert [e.best for e in of(Evaluation, records)] == [False, True, False, False]
    assert len(of(Warned, records)) == 3
    assert ended.best_val_loss == 2.0
    assert [r["val_loss"] for r in load(path).history if "val_loss" in r] == [2.0]


def test_best_survives_a_rollback(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file stays, so only a better evaluation may replace it."""
    monkeypatch.setattr(agenda, "SNAPSHOT_EVERY", 5)
    scripted(monkeypatch, [2.0, 1.0, 1.5])
    made, writer = ready(steps=20), Recorder()
    poison(made, lambda step, attempt: attempt == 9)
    run = run_of(made, writer, eval_every=Every(steps=4), memory=False)
    _, ended = finish(run)

    assert [step for step, best, _ in writer.saved if best] == [4, 8]
    assert ended.best_val_loss == 1.0


@pytest.mark.promise(name="exact")
def test_interrupted_is_the_same_as_undisturbed(ready: Ready, tmp_path: Path) -> None:
    """Evaluations, too, are made where they would have been made."""
    policy: dict[str, Any] = {"eval_every": Every(steps=7), "keep_best": False}
    plan = {"steps": 40, "dropout": 0.2}
    whole, first, second = Recorder(), Recorder(), Recorder()
    finish(run_of(ready(**plan), whole, **policy))
    stop = Stop()
    stop_after(run_of(ready(**plan), first, stop, **policy), stop, 17)
    path = tmp_path / "m.npz"
    path.write_bytes(first.latest)
    finish(run_of(ready(resume=path), second, **policy))

    assert second.latest == whole.latest


# A run in Python: no files, no signals.


def test_a_run_needs_no_files(ready: Ready, tmp_path: Path) -> None:
    """Nothing is written; what is saved on request is what a run would have written."""
    plan = {"steps": 20, "ema": 0.9}
    writer = Recorder()
    finish(run_of(ready(**plan), writer))
    before = set(tmp_path.iterdir())
    run = Run(ready(**plan))
    records = list(run)

    assert not of(Saved, records)
    assert isinstance(records[-1], Ended)
    assert set(tmp_path.iterdir()) == before
    run.save(tmp_path / "m.npz")
    assert (tmp_path / "m.npz").read_bytes() == writer.latest


def test_the_model_is_there_before_meanwhile_and_afterwards(ready: Ready) -> None:
    """It is the averaged one, and looking at it disturbs nothing."""
    plan: dict[str, Any] = {"steps": 12, "ema": 0.9, "model": {"norm": "batch"}}
    plain, looked = Run(ready(**plan)), Run(ready(**plan))
    list(plain)
    seen = [looked.model.network.theta.copy()]
    seen += [looked.model.network.theta.copy() for _ in looked]

    assert len({array.tobytes() for array in seen}) == 13
    assert looked.model.network.theta.tobytes() == plain.model.network.theta.tobytes()


def test_a_model_that_was_handed_out_stays_as_it_is(ready: Ready) -> None:
    """Weights, packed copies and statistics: what it says of a text does not change."""
    run = Run(ready(steps=12, ema=0.9, model={"norm": "batch"}))
    window, records = run.job.trainer.streams.window(0, 0), iter(run)
    next(records)
    model = run.model.network
    before = model.losses(window, model.new_state(4))
    list(records)

    np.testing.assert_array_equal(model.losses(window, model.new_state(4)), before)
    assert (run.model.network.losses(window, model.new_state(4)) != before).any()


def test_leaving_off_and_going_on(ready: Ready) -> None:
    """Whoever breaks out of the loop can begin it again where the run stands."""
    whole, parts = Run(ready(steps=20)), Run(ready(steps=20))
    expected = [s.loss for s in steps_of(list(whole))]
    losses: list[float | None] = []
    while len(losses) < 20:
        for record in parts:
            if isinstance(record, Step):
                losses.append(record.loss)
                if len(losses) % 6 == 0:
                    break

    assert losses == expected
    assert isinstance(list(parts)[-1], Ended)
    assert parts.model.network.theta.tobytes() == whole.model.network.theta.tobytes()


#: Where Ctrl-C may come in a run, and the call of it that is interrupted: within the
#: gradient, before and after weights have moved, and in between two kernels.
PLACES = {
    "gradient": ("charrnn.network.Network.loss_and_gradient", 15),
    "weights": ("charrnn.kernels.optimizers.apply", 15),
    "average": ("charrnn.kernels.optimizers.update_ema", 15),
    "packing": ("charrnn.network.Network.pack", 20),
    "history": ("charrnn.training.history.History.add_step", 15),
    "evaluation": ("charrnn.network.Network.losses", 7),
    "statistics": ("charrnn.training.average.batch_statistics", 4),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_leaves_a_usable_model(
    ready: Ready, monkeypatch: pytest.MonkeyPatch, place: str, late: bool
) -> None:
    """Wherever it comes, the run stands at a step, and comes to the same end."""
    monkeypatch.setattr(agenda, "SNAPSHOT_EVERY", 5)
    plan: dict[str, Any] = {
        "steps": 25, "ema": 0.9, "weight_dropout": 0.3, "model": {"norm": "batch"},
        "eval_every": Every(steps=4),
    }  # fmt: skip
    whole, run = Run(ready(**plan)), Run(ready(**plan))
    list(whole)
    name, call = PLACES[place]
    target, attribute = name.rsplit(".", 1)
    owner: Any = pkgutil.resolve_name(target)
    real, calls = getattr(owner, attribute), itertools.count(1)

    def interrupted(*arguments: Any, **named: Any) -> Any:
        hit = next(calls) == call
        if hit and not late:
            raise KeyboardInterrupt
        result = real(*arguments, **named)
        if hit:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, attribute, interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(run)
    rows = [row for row in run.job.history.rows if (row["step"] or 0) > 0]
    network = run.model.network
    loss = network.losses(run.job.trainer.streams.window(0, 0), network.new_state(4))

    assert 5 <= run.job.trainer.position.step < 25
    assert np.isfinite(loss).all()
    assert all((row["step"] or 0) <= run.job.trainer.position.step for row in rows)
    list(run)
    assert run.model.network.theta.tobytes() == whole.model.network.theta.tobytes()
    assert run.job.trainer.position == whole.job.trainer.position
    assert run.job.history.rows == whole.job.history.rows


def test_the_best_file_survives_a_repetition(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is evaluated again after Ctrl-C replaces no better model."""
    scripted(monkeypatch, [3.0, 1.0, 3.0, 1.0, 0.5])
    made, writer = ready(steps=30, eval_every=Every(steps=10)), Recorder()
    run = run_of(made, writer, memory=False)
    for record in run:
        if isinstance(record, Saved) and record.best and record.step == 20:
            break
    with monkeypatch.context() as patch:
        patch.setattr(made.trainer, "step", interrupt)
        made.trainer.whole = False  # as in the middle of a step
        with pytest.raises(KeyboardInterrupt):
            list(run)
    assert made.trainer.position.step == 0
    list(run)

    assert [step for step, best, _ in writer.saved if best] == [10, 20, 30]
    assert made.trainer.position.best_val_loss == 0.5


def interrupt(*arguments: object) -> None:
    """Be interrupted by a user."""
    raise KeyboardInterrupt


def test_a_run_that_diverged_says_so_again(ready: Ready) -> None:
    """Nothing is trained or saved once more."""
    made, writer = ready(steps=20), Recorder()
    poison(made, lambda step, attempt: step >= 3)
    run = run_of(made, writer)
    diverging(run)
    saved = list(writer.saved)

    assert [type(record) for record in diverging(run)] == [Ended]
    assert writer.saved == saved


# How often a run may be rolled back.


def test_rollbacks_are_counted_over_resumes(ready: Ready, tmp_path: Path) -> None:
    """Each one halves the rate, which is kept: what was used up stays so."""
    path, stop = tmp_path / "m.npz", Stop()
    made, writer = ready(steps=40), Recorder()
    poison(made, lambda step, attempt: attempt in (3, 7, 11))
    stop_after(run_of(made, writer, stop), stop, 12)
    path.write_bytes(writer.latest)
    assert made.trainer.position.lr_scale == 0.5**3
    again = ready(resume=path)
    poison(again, lambda step, attempt: step >= 20)
    diverging(run_of(again, writer))
    path.write_bytes(writer.latest)

    assert again.trainer.position.lr_scale == 0.5**4
    assert ready(resume=path).trainer.position.lr_scale == 0.5**4
    assert ready(resume=path, lr=0.001).trainer.position.lr_scale == 1.0


def test_a_run_that_gave_up_does_not_begin_anew(ready: Ready, tmp_path: Path) -> None:
    """Resumed as it is, it says at once that it diverges; with another rate it runs."""
    path, writer = tmp_path / "m.npz", Recorder()
    made = ready(steps=20)
    poison(made, lambda step, attempt: step >= 3)
    diverging(run_of(made, writer))
    path.write_bytes(writer.latest)
    again = ready(resume=path)
    poison(again, lambda step, attempt: step >= 3)
    other = ready(resume=path, lr=0.001)

    assert not of(Warned, diverging(run_of(again, writer)))
    assert finish(run_of(other))[1].reason == "steps"


# What is counted at the end.


def test_the_last_state_is_saved_before_it_is_counted(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nothing is lost, whatever comes of it; then a memory is added."""
    writer, before = Recorder(), list[bytes]()
    real = Counting

    def counting(*arguments: Any) -> Any:
        before.append(writer.latest)
        return real(*arguments)

    monkeypatch.setattr("charrnn.training.run.Counting", counting)
    made = ready(steps=6)
    run = run_of(made, writer, keep_best=False)
    records, ended = finish(run)

    saved, found = read_back(before[0]), read_back(writer.latest)
    assert saved.memory is None
    assert saved.remembers
    assert found.memory is not None
    assert not found.remembers
    assert ended.blend is not None
    np.testing.assert_array_equal(found.memory.ids, made.trainer.streams.ids)
    shared = ended.blend.order, ended.blend.share
    assert (found.memory.order, found.memory.share) == shared
    found.memory, found.remembers = None, True
    assert checkpoint_bytes(found) == before[0]
    # A user is told once of a file that is replaced at once.
    assert [record.step for record in of(Saved, records)] == [0, 6]
    assert isinstance(records[-1], Ended)


def test_the_model_at_the_end_is_the_one_of_the_file(
    ready: Ready, tmp_path: Path
) -> None:
    """It has the memory, and so has what is saved by hand; before, neither has."""
    writer, path = Recorder(), tmp_path / "m.npz"
    run = run_of(ready(steps=6), writer, keep_best=False)
    for record in run:
        if isinstance(record, Step) and record.step == 3:
            assert run.model.memory is None

    memory, found = run.model.memory, read_back(writer.latest).memory
    assert memory is not None
    assert found is not None
    assert (memory.order, memory.share) == (found.order, found.share)
    run.save(path)
    assert path.read_bytes() == writer.latest


def test_the_file_of_the_best_has_a_share_of_its_own(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the network in it, which is not the last one; all else stays."""
    scripted(monkeypatch, [2.0, 1.5, 1.8])
    # So that shares differ that are both small: the text repeats itself.
    monkeypatch.setattr("charrnn.training.blending.DIGITS", 9)
    writer, before = Recorder(), list[bytes]()
    made = ready(steps=150, eval_every=Every(steps=50), lr=0.03)
    for record in run_of(made, writer):
        if isinstance(record, Saved) and not before and record.step == 150:
            before.append(writer.best)

    best, last = read_back(writer.best), read_back(writer.latest)
    assert best.training is not None
    assert best.training.step == 100
    assert best.memory is not None
    assert last.memory is not None
    network = Network(best.model)
    network.load(best.parameters)
    expected = Counting(made).blend(made.model(network))
    assert best.memory.share == expected.share != last.memory.share
    best.memory, best.remembers = None, True
    assert checkpoint_bytes(best) == before[0]


def test_nobody_who_stops_the_counting_loses_the_state(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, writer = Stop(), Recorder()
    real = Counting

    def counting(*arguments: Any) -> Any:
        stop.reason = "interrupted"
        return real(*arguments)

    monkeypatch.setattr("charrnn.training.run.Counting", counting)
    records, ended = finish(run_of(ready(steps=6), writer, stop))

    assert (ended.reason, ended.steps, ended.blend) == ("interrupted", 6, None)
    assert read_back(writer.latest).memory is None
    assert writer.saved[-1] == (6, False, True)
    assert not of(Warned, records)


def test_counting_that_was_broken_off_is_done_again(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C in Python, which raises an exception, a run can go on."""
    run = run_of(ready(steps=6), writer := Recorder())
    with monkeypatch.context() as patch:
        patch.setattr("charrnn.training.run.Counting", interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(run)
    list(run)

    assert read_back(writer.latest).memory is not None


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "too little memory to count the text"),
        (OutputError("no space left on device"), "could not add what was counted"),
    ],
)
def test_a_memory_that_cannot_be_had_is_no_error(
    ready: Ready, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    """What was trained is there."""
    writer = Recorder()

    def counting(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("charrnn.training.run.Counting", counting)
    records, ended = finish(run_of(ready(steps=6), writer))

    (warning,) = of(Warned, records)
    assert message in warning.message
    assert (ended.reason, ended.blend) == ("steps", None)
    assert read_back(writer.latest).memory is None


@pytest.mark.parametrize("held_out", [True, False])
def test_what_can_be_written_once_has_its_memory_at_once(
    ready: Ready, held_out: bool
) -> None:
    """As a stream; its bytes are those of the file."""
    plan = {"steps": 6, "val_fraction": 0.2 if held_out else 0.0}
    stream, file = Recorder(once=True), Recorder()
    for writer in (stream, file):
        finish(run_of(ready(**plan), writer, save_every=Every(), keep_best=False))

    assert [step for step, _, _ in stream.saved] == [0, 6]
    assert [step for step, _, _ in file.saved] == [0, 6, 6]
    assert read_back(stream.latest).memory is not None
    assert stream.latest == file.latest


def test_nothing_is_counted_that_is_not_wanted(
    ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By nobody, or because the text is too long."""
    unwanted, long = Recorder(), Recorder()
    _, ended = finish(run_of(ready(steps=6), unwanted, memory=False))
    assert ended.blend is None
    monkeypatch.setattr("charrnn.training.job.MAX_NGRAM", 300)
    _, ended = finish(run_of(ready(steps=6), long))

    assert ended.blend is None
    assert unwanted.latest == long.latest
    assert not read_back(long.latest).remembers
    assert read_back(long.latest).memory is None


def test_a_text_that_is_not_wanted_any_more_leaves_both_files(
    ready: Ready, tmp_path: Path
) -> None:
    """A run that has ended, and that goes on without its memory."""
    plan, writer, path = {"steps": 6}, Recorder(), tmp_path / "m.npz"
    finish(run_of(ready(**plan), writer))
    with_memory = read_back(writer.best)
    assert with_memory.memory is not None
    path.write_bytes(writer.latest)

    finish(run_of(ready(resume=path, **plan), writer, memory=False))

    assert read_back(writer.latest).memory is None
    assert read_back(writer.best).memory is None
    with_memory.memory = None
    assert writer.best == checkpoint_bytes(with_memory)


def test_a_best_file_of_another_run_keeps_its_text(ready: Ready) -> None:
    writer = Recorder()
    finish(run_of(ready(steps=6), writer))
    writer_best = writer.best

    other = ready(steps=4, eval_every=Every(steps=100), val_fraction=0.0)
    finish(run_of(other, writer, memory=False))

    assert writer.best == writer_best


def test_counting_takes_no_time_of_training(ready: Ready) -> None:
    """By a clock that moves on whenever it is looked at, also by counts."""
    ends = [
        finish(run_of(ready(time=20.0), clock=Ticking(1.0), memory=memory))[1]
        for memory in (True, False)
    ]

    assert ends[0].elapsed == ends[1].elapsed == 20
    assert ends[0].chars_per_second == ends[1].chars_per_second


@pytest.mark.promise(name="exact")
def test_a_memory_is_no_part_of_the_state(ready: Ready, tmp_path: Path) -> None:
    """A run that goes on from a file with one ends as if it had never ended."""
    path, whole, more = tmp_path / "m.npz", Recorder(), Recorder()
    plan = {"schedule": "constant", "warmup": 0.0}
    finish(run_of(ready(steps=12, **plan), whole, keep_best=False))
    first = run_of(ready(steps=6, **plan), part := Recorder(), keep_best=False)
    finish(first)
    assert read_back(part.latest).memory is not None
    path.write_bytes(part.latest)
    finish(run_of(ready(resume=path, steps=12), more, keep_best=False))

    one, two = read_back(whole.latest), read_back(more.latest)
    for name, values in one.tensors().items():
        np.testing.assert_array_equal(two.tensors()[name], values)
    assert one.memory is not None
    assert two.memory is not None
    assert one.memory.share == two.memory.share


def test_a_run_that_diverges_counts_nothing(ready: Ready) -> None:
    made, writer = ready(steps=20), Recorder()
    poison(made, lambda step, attempt: step == 7)
    records: list[Any] = []
    with pytest.raises(DivergedError):
        records.extend(run_of(made, writer))

    assert records[-1].blend is None
    assert read_back(writer.latest).memory is None
