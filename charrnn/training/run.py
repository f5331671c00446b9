"""A whole run: when to evaluate, save, roll back and stop.

The generator `run` yields records and never prints. It is asked to stop by a
`StopRequest`, which a signal handler may set at any moment; it then finishes
the step, breaks an evaluation off, saves, and ends.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from charrnn.arrays import PackedIds
from charrnn.checkpoint import Checkpoint, CorpusFingerprint
from charrnn.durations import Every
from charrnn.errors import DivergedError, OutputError, field
from charrnn.evaluation import Stopped, mean_loss
from charrnn.training.history import History
from charrnn.training.records import (
    Ended,
    Evaluation,
    Record,
    Saved,
    Step,
    StopReason,
    Warned,
)
from charrnn.training.trainer import Snapshot, Trainer
from charrnn.vocab import Vocab

#: Evaluations in a run, if nothing else is asked for.
EVALUATIONS = 20

#: Characters trained on between evaluations, at least, per held-out character;
#: and training time per time spent on the last evaluation, where only a time
#: limit is known. Both keep evaluation below a tenth of the run.
TRAINED_PER_HELD_OUT = 4
TRAINING_PER_EVALUATION = 12

#: Between saves, if nothing else is asked for; the option's default, too.
SAVE_EVERY = Every(seconds=60.0)

#: Steps from one state worth returning to, to the next.
SNAPSHOT_EVERY = 100

#: Times that a diverging run is rolled back, with half the learning rate.
MAX_ROLLBACKS = 4

#: Reasons of a user, who is not kept waiting by a last evaluation.
ASKED = ("interrupted", "terminated", "hangup")

#: A loss this many times the running mean is not worth returning to.
SUSPICIOUS = 2.0

#: Seconds of training that a speed on display is measured over.
SPEED_WINDOW = 1.0


class Writer(Protocol):
    """What `run` needs of the output."""

    def save(self, checkpoint: Checkpoint, *, best: bool, last: bool) -> Saved | None:
        """Write a checkpoint; None where there is nothing to write yet."""


class StopRequest(Protocol):
    """What a run looks at after every step: a signal handler may change it."""

    save_now: bool  # save and go on; cleared when done

    @property
    def reason(self) -> StopReason | None:
        """Why the run should end, if it should."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The validation text."""

    ids: PackedIds
    before: int  # what stands before its first character
    newline: int | None = None  # given where every line is a document


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What happens beside the steps. None is a default that depends on the run."""

    eval_every: Every | None = None
    save_every: Every = SAVE_EVERY
    on_divergence: Literal["stop", "rollback"] = "rollback"
    keep_best: bool = True


@dataclass(frozen=True)
class Subject:
    """What a checkpoint says beside the trainer's arrays."""

    vocab: Vocab
    corpus: CorpusFingerprint


class _Due:
    """Whether an interval, in steps or seconds of training, has passed.

    Steps are counted from the beginning of the run, so that one which was
    interrupted and resumed does everything where it would have anyway.
    """

    def __init__(self, every: Every, elapsed: float) -> None:
        self.every = every
        self._last = elapsed

    def __call__(self, step: int, elapsed: float) -> bool:
        """Tell, after a step; an interval of time begins anew if it has passed."""
        if self.every.steps:
            return step % self.every.steps == 0
        if not self.every.seconds or elapsed - self._last < self.every.seconds:
            return False
        self._last = elapsed
        return True


class Run:
    """One run under way; see `records` for what `records()` yields.

    Parameters
    ----------
    trainer : Trainer
    subject : Subject
    policy : Policy
    held_out : HeldOut or None
    writer : Writer
    history : History
    stop : StopRequest
    clock : callable
        Seconds, from any origin.
    """

    def __init__(
        self,
        trainer: Trainer,
        subject: Subject,
        policy: Policy,
        held_out: HeldOut | None,
        writer: Writer,
        history: History,
        stop: StopRequest,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.trainer = trainer
        self.subject = subject
        self.policy = policy
        self.held_out = held_out
        self.history = history
        self.stop = stop
        #: Of the last evaluation, if the resumed run had just made one, too.
        self.val_loss = history.evaluation_at(trainer.position.step)
        self._writer = writer
        self._clock = clock
        config = trainer.config
        #: Seconds of training, those before a resume included.
        self.elapsed = trainer.position.progress * (config.time or 0.0)
        self._began_at = self.elapsed
        self._first_step = trainer.position.step
        self._characters = 0
        self._recent_speed = (0, self.elapsed)
        self._speed = 0.0
        self._rollbacks = 0
        self._evaluated_at = -1 if self.val_loss is None else trainer.position.step
        self._good: Snapshot = trainer.snapshot()
        self._is_saved = False  # the very state that the trainer is in

    def records(self) -> Iterator[Record]:
        """Train to the end, saving on the way; `Ended` comes last, and always.

        Raises
        ------
        DivergedError
            Loss, gradient or weights were not finite again and again; the last
            good state has been saved.
        OutputError
            The first or the last checkpoint could not be written.
        """
        if self._at == 0:
            yield from self._save()
        due_eval = _Due(self._eval_every(), self.elapsed)
        due_save = _Due(self.policy.save_every, self.elapsed)
        made_up = self._at in (0, self._evaluated_at)
        if not made_up and due_eval(self._at, self.elapsed):
            # Broken off when the run was interrupted, which ends a run at once.
            due_eval.every = yield from self._evaluate()
        while True:
            reason = self._finished()
            if reason is None:
                if (yield from self._step()):
                    yield from self._between_steps(due_eval, due_save)
            elif reason not in ASKED and self._evaluated_at != self._at:
                yield from self._evaluate()
            elif (yield from self._save_last()):
                break
            # Rolled back, even at the very end, a run goes on.
        yield self._end(reason)

    @property
    def progress(self) -> float:
        """Share of the run that is done, by whichever limit is nearest."""
        config, total = self.trainer.config, self.trainer.total_steps
        shares = [0.0]
        if total is not None:
            shares.append(self.trainer.position.step / max(1, total))
        if config.time is not None:
            shares.append(self.elapsed / config.time)
        return min(1.0, max(shares))

    @property
    def _at(self) -> int:
        """The step that the run is at."""
        return self.trainer.position.step

    def _finished(self) -> StopReason | None:
        """Find out why the run is over, if it is."""
        if self.stop.reason is not None:
            return self.stop.reason
        config, position = self.trainer.config, self.trainer.position
        total = self.trainer.total_steps
        if total is not None and position.step >= total:
            return "steps" if total == config.steps else "epochs"
        if config.time is not None and self.elapsed >= config.time:
            return "time"
        if config.patience and position.bad_evaluations >= config.patience:
            return "patience"
        return None

    def _step(self) -> Generator[Record, None, bool]:
        """Take a step and return True, or go back if it led nowhere."""
        trainer, progress = self.trainer, self.progress
        began = self._clock()
        result = trainer.step(progress)
        self.elapsed += self._clock() - began
        if not result.finite:
            yield from self._roll_back()
            return False
        self._is_saved = False
        position = trainer.position
        if trainer.config.time is not None:
            position.progress = self.elapsed / trainer.config.time
        mean = self.history.add_step(position, trainer.epochs, result)
        self._measure_speed()
        if position.step % SNAPSHOT_EVERY == 0 and result.loss < SUSPICIOUS * mean:
            self._good = trainer.snapshot()
        yield Step(
            step=position.step,
            epoch=trainer.epochs,
            progress=self.progress,
            loss=result.loss,
            mean_loss=mean,
            lr=result.lr,
            grad_norm=result.grad_norm,
            chars_per_second=self._speed,
            elapsed=self.elapsed,
        )
        return True

    def _between_steps(self, due_eval: _Due, due_save: _Due) -> Iterator[Record]:
        """Evaluate and save where it is time to."""
        if due_eval(self._at, self.elapsed):
            due_eval.every = yield from self._evaluate()
        if self.stop.save_now or due_save(self._at, self.elapsed):
            self.stop.save_now = False
            yield from self._save_if_possible()

    def _measure_speed(self) -> None:
        """Keep the count of characters, and the speed of the last second."""
        streams = self.trainer.streams
        # An epoch's windows differ in size; its mean is what a step reads.
        self._characters += round(streams.characters / streams.windows)
        then, at = self._recent_speed
        if self.elapsed - at >= SPEED_WINDOW or self._speed == 0:
            self._speed = (self._characters - then) / max(self.elapsed - at, 1e-9)
            self._recent_speed = self._characters, self.elapsed

    def _roll_back(self) -> Iterator[Record]:
        """Return to the last good state with half the learning rate, or give up."""
        trainer, failed = self.trainer, self.trainer.position
        trainer.restore(self._good)
        self._is_saved, self._evaluated_at = False, -1
        self.history.cut(self._at)
        # The file of the best evaluation stays, and so does what it takes to
        # replace it.
        trainer.position.best_val_loss = failed.best_val_loss
        trainer.position.best_step = failed.best_step
        self._rollbacks += 1
        what = f"loss, gradient or weights not finite after step {failed.step}"
        if self.policy.on_divergence == "stop" or self._rollbacks > MAX_ROLLBACKS:
            yield from self._save(last=True)
            yield self._end("diverged")
            what += f"; what is saved is step {self._at}"
            hint = f"try a lower {field('lr')} or {field('grad_clip')}"
            raise DivergedError(what, hint=hint)
        trainer.position.lr_scale = failed.lr_scale / 2
        back = trainer.position.step
        yield Warned(f"{what}: back to step {back}, learning rate halved")

    def _eval_every(self) -> Every:
        """Choose the interval of evaluations: as asked, or by the run's length."""
        if self.policy.eval_every is not None:
            return self.policy.eval_every
        if self.held_out is None:
            return Every()
        total, limit = self.trainer.total_steps, self.trainer.config.time
        if limit is not None:
            return Every(seconds=limit / EVALUATIONS)
        streams = self.trainer.streams
        window = streams.characters / streams.windows
        enough = TRAINED_PER_HELD_OUT * len(self.held_out.ids) / window
        share = (total or 0) / EVALUATIONS
        return Every(steps=max(1, math.ceil(max(share, enough))))

    def _evaluate(self) -> Generator[Record, None, Every]:
        """Score the held-out text; return the interval to the next time."""
        held_out, trainer = self.held_out, self.trainer
        self._evaluated_at = self._at
        if held_out is None:
            return Every()
        began = self._clock()
        text = held_out.ids, held_out.before, held_out.newline
        try:
            with trainer.averaged() as model:
                loss = mean_loss(model, *text, lambda: self.stop.reason is not None)
        except Stopped:
            return Every()
        self._is_saved = False
        took = self._clock() - began
        position, finite = trainer.position, math.isfinite(loss)
        former = position.best_val_loss, position.best_step
        best = finite and (former[0] is None or loss < former[0])
        if best:
            position.best_val_loss, position.best_step = loss, position.step
        position.bad_evaluations = 0 if best else position.bad_evaluations + 1
        self.val_loss = loss
        if finite:
            self.history.add_evaluation(position.step, trainer.epochs, loss)
        else:
            yield Warned("the validation loss is not finite")
        yield Evaluation(position.step, trainer.epochs, loss, best, self.elapsed)
        if best and self.policy.keep_best:
            kept = yield from self._save_if_possible(best=True)
            if not kept:  # what its file holds is still the best to be had
                position = trainer.position
                position.best_val_loss, position.best_step = former
        every = self._eval_every()
        if self.policy.eval_every is None and every.seconds:
            seconds = max(every.seconds, TRAINING_PER_EVALUATION * took)
            every = Every(seconds=seconds)
        return every

    def _save(self, *, best: bool = False, last: bool = False) -> Iterator[Record]:
        """Write a checkpoint; a failure ends the run."""
        checkpoint = self.trainer.checkpoint(
            self.subject.vocab, self.subject.corpus, self.history.rows
        )
        saved = self._writer.save(checkpoint, best=best, last=last)
        if saved is not None:
            self._is_saved = not best
            yield saved

    def _save_if_possible(self, *, best: bool = False) -> Generator[Record, None, bool]:
        """Write a checkpoint on the way, and tell whether it is there now.

        A failure is tried again next time.
        """
        try:
            yield from self._save(best=best)
        except OutputError as error:
            yield Warned(f"could not save: {error}; training goes on")
        except DivergedError:
            yield from self._roll_back()
        else:
            return True
        return False

    def _save_last(self) -> Generator[Record, None, bool]:
        """Write the last checkpoint, if need be; False if the run was rolled back."""
        try:
            if not self._is_saved:
                yield from self._save(last=True)
        except DivergedError:
            yield from self._roll_back()
            return False
        return True

    def _end(self, reason: StopReason) -> Ended:
        """Sum the run up."""
        position, trained = self.trainer.position, self.elapsed - self._began_at
        speed = self._characters / trained if trained > 0 else None
        return Ended(
            reason=reason,
            steps=position.step,
            epochs=self.trainer.epochs,
            train_loss=position.recent.get("loss"),
            val_loss=self.val_loss,
            best_val_loss=position.best_val_loss,
            chars_per_second=speed,
            elapsed=self.elapsed,
        )
