"""What a run has to do next: a pure function of where it stands.

After everything that it does, a run asks `due` for the next thing. The answer
depends on the timetable, on where the run is now, and on what it did last, and on
nothing else: no clock is read here, and nothing is remembered. Intervals in steps
are counted from the beginning of the run, so that one which was interrupted and
resumed does everything where it would have anyway; an evaluation that a signal
broke off is due again when the run is resumed.
"""

from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Literal, NamedTuple

from charrnn.durations import Every
from charrnn.training.records import StopReason

#: Reasons of a user, who is not kept waiting by a last evaluation.
ASKED: tuple[StopReason, ...] = (
    "interrupted",
    "terminated",
    "hangup",
    "cpu_limit",
)

#: Steps from one state worth returning to, to the next.
SNAPSHOT_EVERY = 100

#: The step of something that has not been done.
NEVER = -1


class Task(Enum):
    """One thing that a run does."""

    SAVE_FIRST = auto()  # before the first step: a file that cannot be written shows
    STEP = auto()
    SNAPSHOT = auto()  # keep a copy of a good state, to return to
    EVALUATE = auto()
    SAVE_BEST = auto()  # after an evaluation, to a file of its own
    SAVE = auto()  # on the way
    SAVE_LAST = auto()
    REMEMBER = auto()  # add to the files what counting the text tells


@dataclass(frozen=True)
class End:
    """Nothing is left to do."""

    reason: StopReason  # why the run is over


class Mark(NamedTuple):
    """When something was done last."""

    step: int = NEVER
    seconds: float = 0.0  # of training


UNDONE = Mark()


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """When a run evaluates and saves, and when it is over."""

    total_steps: int | None = None
    total_is: Literal["steps", "epochs"] = "steps"  # which limit gives the total
    seconds: float | None = None  # limit of the training time
    patience: int = 0  # evaluations without improvement; 0 is for ever
    validates: bool = True  # whether there is a text to evaluate on
    eval_every: Every = field(default_factory=Every)
    save_every: Every = field(default_factory=Every)
    remembers: bool = False  # whether the text is counted at the end
    saves_once: bool = False  # whether what has been saved cannot be replaced


@dataclass(frozen=True, kw_only=True)
class Now:
    """Where a run stands."""

    step: int
    seconds: float  # of training, those before a resume included
    bad_evaluations: int = 0
    good: bool = True  # whether the state is worth returning to
    asked: StopReason | None = None  # why somebody wants it to end, if so
    save_now: bool = False  # whether somebody wants it to save


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a run did last."""

    saved: Mark = UNDONE  # tried to; the file of the best does not count
    evaluated: Mark = UNDONE  # tried to
    snapshot: int = NEVER  # step of the state that is kept to return to
    is_saved: bool = False  # whether the file holds the very state of the run
    better: bool = False  # whether the best evaluation is still to be saved
    remembered: bool = False  # whether the text has been counted, or tried to be

    def rolled_back(self, step: int, *, evaluated: bool) -> "Done":
        """Say what was done of a state that the run has returned to.

        Parameters
        ----------
        evaluated : bool
            Whether the state has been evaluated.
        """
        return replace(
            self,
            saved=self.saved._replace(step=step),
            evaluated=self.evaluated._replace(step=step if evaluated else NEVER),
            is_saved=False,
            better=False,
            remembered=False,
        )


def due(timetable: Timetable, now: Now, done: Done) -> Task | End:
    """Find out what a run has to do next.

    What is due at the same step is done in this order: evaluate, save the best,
    save, keep a snapshot, go on. At its end, whatever the intervals, a run
    evaluates and saves what has not been, and then counts its text, but whoever asks
    it to end waits neither for an evaluation nor for counts. They come after the last
    save, which they cannot endanger then, unless it cannot be replaced.
    """
    reason = _over(timetable, now)
    if now.step == 0 and done.saved.step == NEVER:
        return Task.SAVE_FIRST
    if done.better:
        return Task.SAVE_BEST
    if reason not in ASKED:
        if timetable.validates and _passed(timetable.eval_every, done.evaluated, now):
            return Task.EVALUATE
        if now.save_now or _passed(timetable.save_every, done.saved, now):
            return Task.SAVE
        unscored = timetable.validates and done.evaluated.step != now.step
        if reason is not None and unscored:
            return Task.EVALUATE
    if reason is not None:
        counts = timetable.remembers and not done.remembered and reason not in ASKED
        if not done.is_saved and not (counts and timetable.saves_once):
            return Task.SAVE_LAST
        return Task.REMEMBER if counts else End(reason)
    if now.good and _passed(Every(steps=SNAPSHOT_EVERY), Mark(done.snapshot), now):
        return Task.SNAPSHOT
    return Task.STEP


def _over(timetable: Timetable, now: Now) -> StopReason | None:
    """Find out why a run is over, if it is."""
    if now.asked is not None:
        return now.asked
    if timetable.total_steps is not None and now.step >= timetable.total_steps:
        return timetable.total_is
    if timetable.seconds is not None and now.seconds >= timetable.seconds:
        return "time"
    if timetable.patience and now.bad_evaluations >= timetable.patience:
        return "patience"
    return None


def _passed(every: Every, last: Mark, now: Now) -> bool:
    """Tell whether an interval has passed since something was done last.

    What is done every so many steps is done where their number divides the step's,
    once, and not before the first step.
    """
    if every.steps:
        return 0 < now.step != last.step and now.step % every.steps == 0
    return every.seconds > 0 and now.seconds - last.seconds >= every.seconds
