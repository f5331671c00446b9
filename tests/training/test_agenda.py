"""What a run has to do next, case by case."""

from dataclasses import replace

import pytest

from charrnn.durations import Every
from charrnn.training.agenda import (
    ASKED,
    NEVER,
    Done,
    End,
    Mark,
    Now,
    Task,
    Timetable,
    due,
)
from charrnn.training.records import StopReason

#: Evaluates every 10 steps, saves every 15, and is over after 100.
STEPS = Timetable(
    total_steps=100,
    patience=3,
    eval_every=Every(steps=10),
    save_every=Every(steps=15),
)

#: Evaluates every 30 s, saves every 60, and is over after 600.
TIMED = Timetable(
    seconds=600.0, eval_every=Every(seconds=30.0), save_every=Every(seconds=60.0)
)

#: A run that did everything at step 0, and nothing since.
BEGUN = Done(saved=Mark(0), snapshot=0)


def at(step: int, seconds: float = 0.0) -> Now:
    return Now(step=step, seconds=seconds)


@pytest.mark.parametrize(
    ("now", "done", "expected"),
    [
        # Before the first step a file is written, whatever else is due.
        (at(0), Done(), Task.SAVE_FIRST),
        (replace(at(0), asked="interrupted"), Done(), Task.SAVE_FIRST),
        (at(0), BEGUN, Task.STEP),
        # Nothing is due between the intervals, each thing at its own, in order.
        (at(9), BEGUN, Task.STEP),
        (at(10), BEGUN, Task.EVALUATE),
        (at(10), replace(BEGUN, evaluated=Mark(10)), Task.STEP),
        (at(10), replace(BEGUN, evaluated=Mark(10), better=True), Task.SAVE_BEST),
        (at(15), BEGUN, Task.SAVE),
        (at(15), replace(BEGUN, saved=Mark(15)), Task.STEP),
        (at(30), BEGUN, Task.EVALUATE),
        (at(30), replace(BEGUN, evaluated=Mark(30)), Task.SAVE),
        (at(30), replace(BEGUN, evaluated=Mark(30), saved=Mark(30)), Task.STEP),
        # Somebody wants a checkpoint now; an evaluation goes first.
        (replace(at(9), save_now=True), BEGUN, Task.SAVE),
        (replace(at(10), save_now=True), BEGUN, Task.EVALUATE),
        # A run that was interrupted in an evaluation begins with it again; one that
        # was interrupted after it, or where none is due, goes on.
        (at(20), Done(saved=Mark(20), snapshot=20), Task.EVALUATE),
        (at(20), Done(saved=Mark(20), evaluated=Mark(20), snapshot=20), Task.STEP),
        (at(21), Done(saved=Mark(21), snapshot=21), Task.STEP),
    ],
)
def test_by_steps(now: Now, done: Done, expected: Task) -> None:
    assert due(STEPS, now, done) == expected


@pytest.mark.parametrize(
    ("seconds", "done", "expected"),
    [
        (29.9, BEGUN, Task.STEP),
        (30.0, BEGUN, Task.EVALUATE),
        (59.9, replace(BEGUN, evaluated=Mark(7, 30.0)), Task.STEP),
        (60.0, replace(BEGUN, evaluated=Mark(7, 30.0)), Task.EVALUATE),
        (60.0, replace(BEGUN, evaluated=Mark(7, 60.0)), Task.SAVE),
        (119.0, Done(saved=Mark(7, 60.0), evaluated=Mark(7, 110.0)), Task.STEP),
        (120.0, Done(saved=Mark(7, 60.0), evaluated=Mark(7, 110.0)), Task.SAVE),
    ],
)
def test_by_time(seconds: float, done: Done, expected: Task) -> None:
    """Only seconds of training count; an interval begins when the last thing ends."""
    assert due(TIMED, at(8, seconds), done) == expected


EVALUATED = Done(saved=Mark(90), evaluated=Mark(100), snapshot=0)


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        (replace(EVALUATED, evaluated=Mark(90)), Task.EVALUATE),
        (replace(EVALUATED, better=True), Task.SAVE_BEST),
        (EVALUATED, Task.SAVE_LAST),
        (replace(EVALUATED, is_saved=True), End("steps")),
    ],
)
def test_the_end(done: Done, expected: Task | End) -> None:
    """What has not been done is made up for; no state is kept to return to."""
    assert due(STEPS, at(100), done) == expected
    rare = replace(STEPS, eval_every=Every(), save_every=Every())
    assert due(rare, at(100), done) == expected


def test_the_end_without_a_text_to_evaluate_on() -> None:
    plain = replace(STEPS, validates=False)

    assert due(plain, at(100), BEGUN) == Task.SAVE_LAST
    assert due(plain, at(10), BEGUN) == Task.STEP


@pytest.mark.parametrize(
    ("once", "done", "expected"),
    [
        (False, EVALUATED, Task.SAVE_LAST),
        (False, replace(EVALUATED, is_saved=True), Task.REMEMBER),
        (False, replace(EVALUATED, is_saved=True, remembered=True), End("steps")),
        (True, EVALUATED, Task.REMEMBER),
        (True, replace(EVALUATED, remembered=True), Task.SAVE_LAST),
        (True, replace(EVALUATED, is_saved=True, remembered=True), End("steps")),
    ],
)
def test_counts_endanger_no_save(once: bool, done: Done, expected: Task | End) -> None:
    """They come after it, but where it cannot be made twice."""
    counting = replace(STEPS, remembers=True, saves_once=once)

    assert due(counting, at(100), done) == expected
    assert due(counting, at(99), BEGUN) != Task.REMEMBER


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("reason", ASKED)
def test_who_asks_for_the_end_does_not_wait_for_counts(
    reason: StopReason, once: bool
) -> None:
    counting = replace(STEPS, remembers=True, saves_once=once)
    now = replace(at(100), asked=reason)

    assert due(counting, now, EVALUATED) == Task.SAVE_LAST
    assert due(counting, now, replace(EVALUATED, is_saved=True)) == End(reason)


@pytest.mark.parametrize("reason", ASKED)
def test_who_asks_for_the_end_waits_for_nothing_but_the_files(
    reason: StopReason,
) -> None:
    now = replace(at(30), asked=reason, save_now=True)

    assert due(STEPS, now, BEGUN) == Task.SAVE_LAST
    assert due(STEPS, now, replace(BEGUN, better=True)) == Task.SAVE_BEST
    assert due(STEPS, now, replace(BEGUN, is_saved=True)) == End(reason)


@pytest.mark.parametrize(
    ("timetable", "now", "reason"),
    [
        (STEPS, at(100), "steps"),
        (replace(STEPS, total_is="epochs"), at(100), "epochs"),
        (STEPS, at(101), "steps"),
        (TIMED, at(7, 600.0), "time"),
        (STEPS, replace(at(40), bad_evaluations=3), "patience"),
        (replace(STEPS, seconds=5.0), at(100, 5.0), "steps"),
        (STEPS, replace(at(100), asked="hangup"), "hangup"),
    ],
)
def test_reasons_to_end(timetable: Timetable, now: Now, reason: StopReason) -> None:
    """The user's goes first, then the first limit in this order."""
    done = Done(
        saved=Mark(now.step, now.seconds),
        evaluated=Mark(now.step, now.seconds),
        is_saved=True,
    )

    assert due(timetable, now, done) == End(reason)


@pytest.mark.parametrize(
    ("timetable", "now"),
    [
        (replace(STEPS, total_steps=None), at(101)),
        (STEPS, replace(at(41), bad_evaluations=2)),
        (replace(STEPS, patience=0), replace(at(41), bad_evaluations=99)),
        (TIMED, at(7, 29.9)),
    ],
)
def test_no_reason_to_end(timetable: Timetable, now: Now) -> None:
    assert due(timetable, now, BEGUN) == Task.STEP


def test_a_good_state_is_kept_when_all_else_is_done() -> None:
    """So whatever comes of a rollback has been evaluated and could be saved."""
    long = replace(STEPS, total_steps=1000, save_every=Every(steps=50))
    done, steps = BEGUN, []
    for _ in range(3):
        steps.append(due(long, at(100), done))
        mark = Mark(100)
        done = replace(done, evaluated=mark) if len(steps) == 1 else done
        done = replace(done, saved=mark) if len(steps) == 2 else done

    assert steps == [Task.EVALUATE, Task.SAVE, Task.SNAPSHOT]
    assert due(long, replace(at(100), good=False), done) == Task.STEP
    assert due(long, at(100), replace(done, snapshot=100)) == Task.STEP


@pytest.mark.parametrize("evaluated", [True, False])
def test_a_state_that_is_returned_to(evaluated: bool) -> None:
    """It is as after a resume, but that the file holds something else."""
    done = Done(
        saved=Mark(45, 9.0),
        evaluated=Mark(40, 8.0),
        is_saved=True,
        better=True,
        remembered=True,
    ).rolled_back(20, evaluated=evaluated)

    assert done.saved == Mark(20, 9.0)
    assert done.evaluated == Mark(20 if evaluated else NEVER, 8.0)
    assert not done.is_saved
    assert not done.better
    assert not done.remembered
    assert due(STEPS, at(20), done) == (Task.STEP if evaluated else Task.EVALUATE)
