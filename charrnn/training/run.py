"""A whole run: a loop that does what the agenda says, and tells of it.

A `Run` yields records and never prints. It writes nothing unless it is given an
output. It can be asked to stop by a `StopRequest`, which a signal handler may set
at any moment; it then finishes the step, breaks an evaluation off, saves, and ends.

Where several ranks train together, each has a run, and all of these do the same at the
same time: whatever they decide by, they have agreed on. Files are the first one's.
"""

import contextlib
import hashlib
import math
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, Protocol, TypeAlias

from charrnn.checkpoint import Checkpoint, Remembered, resolve_output, save
from charrnn.config import DivergencePolicy, RunConfig
from charrnn.durations import Every
from charrnn.errors import (
    CharRNNError,
    CheckpointError,
    DistributedError,
    DivergedError,
    InputError,
    OutputError,
    field,
)
from charrnn.filenames import read_output
from charrnn.generation import Stopped
from charrnn.network import Network
from charrnn.pairs import Accuracy
from charrnn.textmodel import TextModel
from charrnn.training import agenda
from charrnn.training.agenda import Done, End, Mark, Now, Task, Timetable
from charrnn.training.baselines import Baselines
from charrnn.training.blending import Blend, Counting
from charrnn.training.evaluation import accuracy, mean_loss
from charrnn.training.exchange import SharedExchange, SharedRequest
from charrnn.training.job import Job
from charrnn.training.output import NoOutput
from charrnn.training.ranks import Asked, agreed
from charrnn.training.records import (
    EVALUATED,
    Ended,
    Evaluation,
    Record,
    Saved,
    Step,
    StopReason,
    Warned,
)
from charrnn.training.trainer import Result

#: Evaluations in a run, if nothing else is asked for.
EVALUATIONS = 20

#: Characters trained on between evaluations, at least, per held-out character;
#: and training time per time spent on the last evaluation, where only a time
#: limit is known. Both keep evaluation below a tenth of the run.
TRAINED_PER_HELD_OUT = 4
TRAINING_PER_EVALUATION = 12

#: What a character takes that is written with no other ones beside it, in characters
#: that are read many at a time.
ALONE = 20

#: How often a diverging run is rolled back, with half the learning rate each time.
MAX_ROLLBACKS = 4

#: A loss this many times the running mean is not worth returning to.
SUSPICIOUS = 2.0

#: Seconds of training that a speed on display is measured over.
SPEED_WINDOW = 1.0

#: What the parts of the loop are: they yield records, and return nothing.
Records: TypeAlias = Generator[Record, None, None]


class Output(Protocol):
    """Where a run's checkpoints go."""

    @property
    def path(self) -> Path | None:
        """The file of the last state, if there is one."""

    @property
    def once(self) -> bool:
        """Whether what has been written cannot be replaced."""

    def held(self) -> AbstractContextManager[None]:
        """Keep other runs away while this one is under way."""

    def save(self, checkpoint: Checkpoint, *, best: bool, last: bool) -> Saved | None:
        """Write a checkpoint; None where there is nothing to write yet."""

    def read_best(self) -> Checkpoint | None:
        """Read the file of the best evaluation, if there is one."""


class StopRequest(Protocol):
    """What a run looks at after every step: a signal handler may change it."""

    save_now: bool  # save and go on; cleared when done

    @property
    def reason(self) -> StopReason | None:
        """Why the run should end, if it should."""


@dataclass
class NoStopRequest:
    """A run that nobody asks to stop."""

    save_now: bool = False
    reason: StopReason | None = None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What happens beside the steps."""

    save_every: Every = RunConfig.save_every
    on_divergence: DivergencePolicy = RunConfig.on_divergence
    keep_best: bool = RunConfig.keep_best
    memory: bool = RunConfig.memory

    @classmethod
    def of(cls, config: RunConfig) -> "Policy":
        """Read what a user asked for."""
        return cls(
            save_every=config.save_every,
            on_divergence=config.on_divergence,
            keep_best=config.keep_best,
            memory=config.memory,
        )


class Speed:
    """Characters a second, of the last second or so and of the whole run.

    Parameters
    ----------
    seconds : float
        Seconds of training before this part of the run.
    """

    def __init__(self, seconds: float) -> None:
        self.recent = 0.0
        self._characters = 0
        self._began = seconds
        self._window = (0, seconds)  # characters and seconds where it begins

    def count(self, characters: int, seconds: float) -> None:
        """Take in a step of so many characters, and when it ended."""
        self._characters += characters
        then, at = self._window
        if seconds - at >= SPEED_WINDOW or self.recent == 0:
            self.recent = (self._characters - then) / max(seconds - at, 1e-9)
            self._window = self._characters, seconds

    def mean(self, seconds: float) -> float | None:
        """Characters a second since the run began; None if no time has passed."""
        trained = seconds - self._began
        return self._characters / trained if trained > 0 else None


class Run:
    """One run under way: iterate over it for its records; `Ended` is the last.

    Whoever leaves off, by a break or by Ctrl-C, has a usable model, and goes on by
    iterating again. A break leaves the run where it stands. A `KeyboardInterrupt` in
    the middle of a step takes it back to the last state that it has kept, at most
    `agenda.SNAPSHOT_EVERY` steps before; these are trained again, in the same way,
    but the time that they took is spent.

    Parameters
    ----------
    job : Job
        Changed as the run goes.
    policy : Policy, optional
    output : Output, optional
        Nothing is written without.
    stop : StopRequest, optional
    clock : callable
        Seconds, from any origin.
    """

    def __init__(
        self,
        job: Job,
        policy: Policy | None = None,
        output: Output | None = None,
        stop: StopRequest | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.job = job
        self.policy = policy or Policy()
        self.stop = stop or NoStopRequest()
        self._output = output or NoOutput()
        self._clock = clock
        self._trainer = trainer = job.trainer
        self._ranks = trainer.ranks
        self._shared: SharedRequest | None = None  # what ranks are asked for
        if isinstance(trainer.exchange, SharedExchange):
            self.stop = self._shared = SharedRequest(self._ranks, self.stop)
            trainer.exchange.request = self._shared
        config, step = trainer.config, trainer.position.step
        #: Seconds of training; under a limit in time those before a resume, too.
        self.elapsed = trainer.position.progress * (config.time or 0.0)
        #: Loss of the held-out text at the last evaluation. The one before a run
        #: was resumed counts if it was made of the very state that is resumed.
        self.val_loss = job.history.evaluation_at(step)
        #: How many outputs of held-out pairs are right, likewise: by the network alone,
        #: of `records.EVALUATED` inputs at most. At the end by the model that is saved,
        #: n-grams and all, of all held-out inputs.
        self.accuracy = job.history.accuracy_at(step)
        self._timetable = self._new_timetable()
        self._done = Done(
            saved=Mark(step or agenda.NEVER, self.elapsed),
            evaluated=Mark(
                agenda.NEVER if self.val_loss is None else step, self.elapsed
            ),
            snapshot=step,
        )
        self._good = trainer.snapshot()
        self._is_good = True  # whether the last loss was one worth returning to
        self._recorded = step  # the last step that is in the history
        self._beaten: tuple[float | None, int | None] = (None, None)
        #: Loss of the model in the file of the best: it is never replaced by a worse
        #: one, also where evaluations are repeated after an interrupt.
        self._best_kept = trainer.position.best_val_loss
        self._failure: DivergedError | None = None  # what ended the run, if it did
        #: The network and the n-grams of the text, at the end of the run.
        self.blend: Blend | None = None
        self._memory: Remembered | None = None
        self._speed = Speed(self.elapsed)
        self._in_step = threading.RLock()  # held while the run changes
        self._loop_of: threading.Thread | None = None  # that iterates over the run
        self._all_decoded = False  # whether `accuracy` is of all that is held out

    def __repr__(self) -> str:
        """Show what is trained, and how far it is."""
        config = self._trainer.network.config
        layers = f"{config.layers} x " if config.layers > 1 else ""
        done = f"step {self._at:,}"
        if self._trainer.total_steps is not None:
            done += f" of {self._trainer.total_steps:,}"
        loss = "" if self.val_loss is None else f", validation loss {self.val_loss:.4f}"
        return f"<Run {layers}{config.cell} {config.hidden}, {done}{loss}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied: its texts, files and clock belong to one process."""
        msg = "a run cannot be copied or pickled; its model can, and save keeps all"
        raise TypeError(msg)

    def _new_timetable(self) -> Timetable:
        """Read the limits and intervals of the run."""
        config, total = self._trainer.config, self._trainer.total_steps
        return Timetable(
            total_steps=total,
            total_is="steps" if total == config.steps else "epochs",
            seconds=config.time,
            patience=config.patience,
            validates=self.job.held_out is not None,
            eval_every=self._eval_every(),
            save_every=self.policy.save_every,
            remembers=self.policy.memory and self.job.countable,
            saves_once=self._output.once,
        )

    @property
    def model(self) -> TextModel:
        """A copy of the model that would be saved now: averaged, if the run averages.

        It stays as it is while the run goes on. At its end it has a memory.
        """
        with self._in_step:
            averaged = self._trainer.averaged
            network = Network(averaged.config, threads=averaged.threads)
            network.load(averaged.tensors)
        return self.job.model(network, self._memory)

    @property
    def progress(self) -> float:
        """Share of the run that is done, by whichever limit is nearest."""
        config, total = self._trainer.config, self._trainer.total_steps
        shares = [0.0]
        if total is not None:
            shares.append(self._at / max(1, total))
        if config.time is not None:
            shares.append(self.elapsed / config.time)
        return min(1.0, max(shares))

    @property
    def _at(self) -> int:
        """The step that the run is at."""
        return self._trainer.position.step

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint of where the run stands, in place of what is there.

        Of several ranks, all have to call this, and the first one writes.

        Raises
        ------
        OutputError
            It cannot be written; what was there is as it was.
        DivergedError
            Something in it is not finite.
        """
        target = Path(read_output(path, field("path")))
        try:
            with self._in_step:
                found = self._checkpoint()
                self._ranks.first(lambda asked: save(resolve_output(target), found))
        except (OutputError, DivergedError) as error:
            error.where = str(target)
            raise

    def baselines(self) -> Baselines | None:
        """Measure what simpler means make of the held-out text, in a second or so.

        Returns
        -------
        Baselines or None
            Nats per character, to compare with `val_loss`; None if nothing is held
            out.
        """
        return self.job.baselines()

    def __iter__(self) -> Iterator[Record]:
        """Train to the end, saving on the way; `Ended` is the last record.

        Raises
        ------
        DivergedError
            Loss, gradient or weights were not finite again and again; the last
            good state has been saved. It is raised after `Ended`, and again whenever
            somebody tries to go on.
        OutputError
            The first or the last checkpoint could not be written, or another run
            holds its file.
        CharRNNError
            Another thread iterates over the run. It may have the model, and save.
        """
        with self._one_loop():
            try:
                with self._output.held():
                    records = self._loop()
                    while True:
                        with self._in_step:
                            record = next(records, None)
                        if record is None:
                            return
                        yield record
            except KeyboardInterrupt:
                self._make_whole()
                raise

    @contextmanager
    def _one_loop(self) -> Iterator[None]:
        """Keep other threads from iterating over the run.

        The same thread may begin again: it may have left a loop by an error, which
        keeps the loop's iterator alive.
        """
        here = threading.current_thread()
        with self._in_step:
            other = self._loop_of
            if other not in (None, here) and other.is_alive():
                msg = f"thread {other.name} is iterating over this run already"
                hint = "one thread trains; others may have run.model, or save"
                raise CharRNNError(msg, hint=hint)
            self._loop_of = here
        try:
            yield
        finally:
            if self._loop_of is here:
                self._loop_of = None

    def _loop(self) -> Records:
        """Do what is due, until nothing is."""
        if self._failure is not None:
            yield self._ended("diverged")
            raise self._failure
        while True:
            match agenda.due(self._timetable, self._now(), self._done):
                case Task.STEP:
                    yield from self._step()
                    continue
                case Task.SNAPSHOT:
                    self._keep_snapshot()
                    continue
                case Task.EVALUATE:
                    yield from self._evaluate()
                case Task.SAVE_BEST:
                    yield from self._save_best()
                case Task.SAVE:
                    yield from self._save_on_the_way()
                case Task.SAVE_FIRST:
                    yield from self._save_first()
                case Task.SAVE_LAST:
                    yield from self._save_last()
                case Task.REMEMBER:
                    yield from self._remember()
                case End(reason):
                    if reason not in agenda.ASKED:
                        self._decode_all()
                    yield self._ended(reason)
                    return
            if self._shared is not None:
                # A step tells what ranks are asked for. These may have taken longer.
                self._shared.agree()

    def _now(self) -> Now:
        """Say where the run stands."""
        return Now(
            step=self._at,
            seconds=self.elapsed,
            bad_evaluations=self._trainer.position.bad_evaluations,
            good=self._is_good,
            asked=self.stop.reason,
            save_now=self.stop.save_now,
        )

    def _step(self) -> Records:
        """Take a step, or go back if it led nowhere."""
        trainer, progress = self._trainer, self.progress
        began = self._clock()
        result = trainer.step(progress)
        took = self._clock() - began
        self.elapsed += took if result.seconds is None else result.seconds
        if not result.finite:
            yield from self._roll_back()
            return
        self._done = replace(self._done, is_saved=False, remembered=False)
        self.blend = self._memory = None
        self._all_decoded = False
        yield self._record(result)

    def _record(self, result: Result) -> Step:
        """Put a step that was taken into the history, and sum it up."""
        trainer, position = self._trainer, self._trainer.position
        if trainer.config.time is not None:
            position.progress = self.elapsed / trainer.config.time
        mean = self.job.history.add_step(position, trainer.epochs, result)
        if result.loss is not None and mean is not None:
            self._is_good = result.loss < SUSPICIOUS * mean
        # An epoch's windows differ in size; its mean is what a step reads.
        streams = trainer.streams
        self._speed.count(round(streams.characters / streams.windows), self.elapsed)
        self._recorded = position.step
        return Step(
            step=position.step,
            epoch=trainer.epochs,
            progress=self.progress,
            loss=result.loss,
            mean_loss=mean,
            lr=result.lr,
            grad_norm=result.grad_norm,
            chars_per_second=self._speed.recent,
            elapsed=self.elapsed,
        )

    def _keep_snapshot(self) -> None:
        """Keep the state that the run is in, to return to."""
        self._good = self._trainer.snapshot()
        self._done = replace(self._done, snapshot=self._at)

    def _return(self) -> None:
        """Bring the last good state back; what was halved since stays halved."""
        lr_scale = self._trainer.position.lr_scale
        self._trainer.restore(self._good)
        self._trainer.position.lr_scale = lr_scale
        self._recorded = self._at
        self.blend = self._memory = None
        self.job.history.cut(self._at)
        evaluated = self.job.history.evaluation_at(self._at) is not None
        self._done = self._done.rolled_back(self._at, evaluated=evaluated)

    def _make_whole(self) -> None:
        """Undo what an exception has left half done."""
        if not self._trainer.whole or self._at != self._recorded:
            self._return()
        # Dropout of weights leaves the packed copies without some of them.
        self._trainer.network.pack()

    def _roll_back(self) -> Records:
        """Return to the last good state with half the learning rate, or give up.

        How often a run has been rolled back shows in its learning rate, which goes
        into its checkpoints: a run that is resumed is not forgiven anything, but for
        one whose rate is set anew.
        """
        failed = self._trainer.position
        self._return()
        position = self._trainer.position
        # The file of the best evaluation stays, and so does what it takes to
        # replace it.
        position.best_val_loss = failed.best_val_loss
        position.best_step = failed.best_step
        what = f"loss, gradient or weights not finite after step {failed.step}"
        halved = position.lr_scale / 2
        if self.policy.on_divergence == "stop" or halved < 0.5**MAX_ROLLBACKS:
            yield from self._save(last=True)
            what += f"; what is saved is step {self._at}"
            hint = f"try a lower {field('lr')} or {field('grad_clip')}"
            self._failure = DivergedError(what, hint=hint)
            yield self._ended("diverged")
            raise self._failure
        position.lr_scale = halved
        yield Warned(f"{what}: back to step {self._at}, learning rate halved")

    def _eval_every(self, took: float = 0.0) -> Every:
        """Choose the interval of evaluations: as asked, or by the run's length.

        Parameters
        ----------
        took : float
            Seconds that the last evaluation took.
        """
        asked = self._trainer.config.eval_every
        if asked is not None:
            return asked
        if self.job.held_out is None:
            return Every()
        total, limit = self._trainer.total_steps, self._trainer.config.time
        if limit is not None:
            share = limit / EVALUATIONS
            return Every(seconds=max(share, TRAINING_PER_EVALUATION * took))
        streams = self._trainer.streams
        window = streams.characters / streams.windows
        scored = len(self.job.held_out) + self._written()
        enough = TRAINED_PER_HELD_OUT * scored / window
        share = (total or 0) / EVALUATIONS
        return Every(steps=max(1, math.ceil(max(share, enough))))

    def _written(self) -> float:
        """Guess what it takes to write an evaluation's outputs, in characters scored.

        The clock is not asked: the same run has to give the same file.
        """
        pairs, held_out = self.job.held_out_pairs, self.job.held_out
        if pairs is None or held_out is None:
            return 0.0
        # It takes about as long as reading, but for the end of the longest output,
        # which may have no other one beside it.
        share = min(1.0, EVALUATED / len(pairs))
        longest = max(pairs.first(EVALUATED).limits)
        return share * len(held_out) + ALONE * longest

    def _evaluate(self) -> Records:
        """Score the held-out text, unless somebody asks the run to end meanwhile."""
        self._compare_weights()
        began = self._clock()
        scores = self._held_out_scores()
        self._done = replace(self._done, evaluated=Mark(self._at, self.elapsed))
        if scores is None:
            return
        loss, accuracy = scores
        every = self._eval_every(self._ranks.share(self._clock() - began))
        self._timetable = replace(self._timetable, eval_every=every)
        position, epochs = self._trainer.position, self._trainer.epochs
        finite, lowest = math.isfinite(loss), position.best_val_loss
        best = finite and (lowest is None or loss < lowest)
        if best:
            self._beaten = lowest, position.best_step
            position.best_val_loss, position.best_step = loss, position.step
        position.bad_evaluations = 0 if best else position.bad_evaluations + 1
        self.val_loss, self.accuracy = loss, accuracy
        kept = self._best_kept
        better = best and self.policy.keep_best and (kept is None or loss < kept)
        self._done = replace(self._done, is_saved=False, better=better)
        if finite:
            self.job.history.add_evaluation(position.step, epochs, loss, accuracy)
        else:
            yield Warned("the validation loss is not finite")
        exact = {} if accuracy is None else accuracy._asdict()
        yield Evaluation(position.step, epochs, loss, best, self.elapsed, **exact)

    def _held_out_scores(self) -> tuple[float, Accuracy | None] | None:
        """Score the held-out text; None if there is none, or if the run is to end."""
        held_out, pairs = self.job.held_out, self.job.held_out_pairs
        if held_out is None:
            return None
        model = self.job.model(self._trainer.averaged)
        asked = self._is_asked if self._shared is None else self._shared.poll
        try:
            loss = mean_loss(model, held_out, self._ranks, asked)
            if pairs is None or not math.isfinite(loss):
                return loss, None
            some = pairs.first(EVALUATED)
            return loss, accuracy(model, some, self._ranks, self._asked_here)
        except Stopped:
            return None

    def _compare_weights(self) -> None:
        """See whether all ranks have the same weights.

        Raises
        ------
        DistributedError
            They have not: some machine computes in another way, or a wrong one.
        """
        if self._ranks.size == 1:
            return
        digest = hashlib.blake2b(self._trainer.network.theta.data).digest()
        digests = self._ranks.gather(digest)
        others = [rank for rank, each in enumerate(digests) if each != digests[0]]
        if others:
            named = ", ".join(map(str, others[:10]))
            msg = f"rank {named} has other weights than rank 0 after step {self._at:,}"
            hint = (
                "use machines with processors of one kind, or the part of them that "
                "is; what was saved before the last evaluation can be resumed"
            )
            raise agreed(DistributedError(msg, hint=hint))

    def _decode_all(self) -> None:
        """Write the outputs of all held-out inputs, as the model will that is saved."""
        pairs = self.job.held_out_pairs
        if pairs is None or self._all_decoded:
            return
        averaged = self._trainer.averaged

        def decode_alone(asked: Asked) -> Accuracy | None:
            # Only the first rank has counted the text.
            return self.job.model(averaged, self._memory).accuracy(pairs, asked)

        with contextlib.suppress(Stopped):
            self.accuracy = self._ranks.first(decode_alone, self._asked_here)
            self._all_decoded = True

    def _is_asked(self) -> bool:
        """Tell whether somebody asks the run to end."""
        return self.stop.reason is not None

    def _asked_here(self) -> bool:
        """Tell whether somebody asks this rank to end, whom others may not know of."""
        return self._is_asked() if self._shared is None else self._shared.asked_here()

    def _save(self, *, best: bool = False, last: bool = False) -> Records:
        """Write a checkpoint."""
        found = self._checkpoint()
        saved = self._ranks.first(
            lambda asked: self._output.save(found, best=best, last=last)
        )
        if best:
            self._best_kept = self._trainer.position.best_val_loss
        else:
            # Where nothing is written before the end, nothing is saved on the way.
            is_saved = last or saved is not None
            self._done = replace(self._done, is_saved=is_saved)
        if saved is not None:
            yield saved

    def _checkpoint(self) -> Checkpoint:
        """Gather all that a file keeps; arrays are shared, not copied."""
        return self._completed(self.job.checkpoint())

    def _completed(self, found: Checkpoint) -> Checkpoint:
        """Add what the run knows of its text to a checkpoint, and whether it will."""
        remembers = self._memory is None and self._timetable.remembers
        return replace(found, memory=self._memory, remembers=remembers)

    def _note_saving(self) -> None:
        """Note that this is when a checkpoint was written last, or tried to be."""
        self._done = replace(self._done, saved=Mark(self._at, self.elapsed))

    def _save_first(self) -> Records:
        """Write the first checkpoint; a failure ends the run."""
        self._note_saving()
        yield from self._save()

    def _save_last(self) -> Records:
        """Write the last checkpoint; a failure ends the run.

        Rolled back, even at the very end, a run goes on.
        """
        self._note_saving()
        try:
            yield from self._save(last=True)
        except DivergedError:
            yield from self._roll_back()
        else:
            if not self.policy.memory:
                yield from self._forget_in_best()

    def _save_on_the_way(self) -> Records:
        """Write a checkpoint; a failure is told, and tried again next time."""
        self.stop.save_now = False
        self._note_saving()
        try:
            yield from self._save()
        except OutputError as error:
            yield _could_not_save(error)
        except DivergedError:
            yield from self._roll_back()

    def _save_best(self) -> Records:
        """Write the file of the best evaluation.

        If that fails, what its file holds is still the best to be had.
        """
        self._done = replace(self._done, better=False)
        try:
            yield from self._save(best=True)
        except OutputError as error:
            self._forget_best()
            yield _could_not_save(error)
        except DivergedError:
            self._forget_best()
            yield from self._roll_back()

    def _remember(self) -> Records:
        """Count the text, and add to the files what its n-grams are good for.

        All of it is given up for whoever asks the run to end meanwhile: without a
        memory the files are as complete as before.
        """
        averaged, found = self._trainer.averaged, self.job.checkpoint()

        def count_alone(asked: Asked) -> None:
            counting = Counting(self.job, asked)
            self.blend = counting.blend(self.job.model(averaged))
            self._memory = counting.memory(self.blend)
            if not self._output.once:
                self._output.save(self._completed(found), best=False, last=True)
                self._remember_in_best(counting)

        try:
            self._ranks.first(count_alone, self._asked_here)
        except Stopped:
            pass
        except MemoryError:
            yield Warned("there is too little memory to count the text")
        except (InputError, CheckpointError, OutputError) as error:
            yield Warned(f"could not add what was counted to a checkpoint: {error}")
        self._done = replace(self._done, remembered=True)

    def _remember_in_best(self, counting: Counting) -> None:
        """Add a memory to the file of the best evaluation.

        Its share is that of the network in the file, which is read and scored again,
        also where it is the last one, and where another part of the run has saved it.
        """
        if (best := self._own_best()) is None:
            return
        network = Network(best.model, threads=self._trainer.network.threads)
        network.load(best.parameters | best.statistics)
        memory = counting.memory(counting.blend(self.job.model(network)))
        blended = replace(best, memory=memory, remembers=False)
        self._output.save(blended, best=True, last=False)

    def _forget_in_best(self) -> Records:
        """Take the text out of the file of the best evaluation.

        It has one where an earlier part of the run was to keep it, and this one is not.
        """

        def forget(asked: Asked) -> None:
            best = self._own_best()
            if best is not None and best.memory is not None:
                without = replace(best, memory=None)
                self._output.save(without, best=True, last=False)

        try:
            self._ranks.first(forget)
        except (InputError, CheckpointError, OutputError) as error:
            yield Warned(f"could not take the text out of a checkpoint: {error}")

    def _own_best(self) -> Checkpoint | None:
        """Read the file of the best evaluation, if there is one of this run."""
        if not self.policy.keep_best or (best := self._output.read_best()) is None:
            return None
        step = best.training and best.training.step
        return best if step == self._trainer.position.best_step else None

    def _forget_best(self) -> None:
        """Take back that the last evaluation was the best."""
        position = self._trainer.position
        position.best_val_loss, position.best_step = self._beaten

    def _ended(self, reason: StopReason) -> Ended:
        """Sum the run up."""
        position = self._trainer.position
        return Ended(
            reason=reason,
            steps=position.step,
            epochs=self._trainer.epochs,
            train_loss=position.recent.get("loss"),
            val_loss=self.val_loss,
            best_val_loss=position.best_val_loss,
            chars_per_second=self._speed.mean(self.elapsed),
            elapsed=self.elapsed,
            exact=None if self.accuracy is None else self.accuracy.exact,
            error_rate=None if self.accuracy is None else self.accuracy.error_rate,
            blend=self.blend,
            path=self._output.path,
        )


def _could_not_save(error: OutputError) -> Warned:
    """Tell that a checkpoint on the way was not written."""
    return Warned(f"could not save: {error}; training goes on")
