"""One call of ``train``, from checked settings to an exit code.

Prepares the run, passes its records on to the display and to the metrics, and
makes sure that neither a reader who leaves nor a signal loses anything.
"""

import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from charrnn.checkpoint.archive import SIGNATURE
from charrnn.cli.commands import FilesIn, shell_command
from charrnn.cli.metrics import Lines, MetricsLog
from charrnn.cli.notes import compiled_in_vain
from charrnn.cli.options import Common
from charrnn.cli.output import ReaderGone, open_stdout
from charrnn.cli.signals import (
    Caught,
    Killed,
    caught_signals,
    ending_at_once,
    number_of,
)
from charrnn.cli.spelling import as_option
from charrnn.cli.training_report import (
    TEMPERATURE,
    attempts,
    better_before,
    comparison,
    continuation,
    description,
    estimate,
    further,
    plan_lines,
    start_fields,
    suggestion,
    summary,
)
from charrnn.cli.training_settings import ReportOptions, Settings
from charrnn.config import CellName, ModelConfig, SampleConfig
from charrnn.counting import plural
from charrnn.display.color import is_terminal
from charrnn.display.console import stderr_console, wait_for_reader
from charrnn.display.training import (
    TrainingDisplay,
    training_display,
)
from charrnn.errors import (
    CharRNNError,
    InputError,
    OptionError,
    OutputError,
    VocabError,
    spell,
    writing_hint,
)
from charrnn.filenames import best_path
from charrnn.generation import Generation, Piece, Stopped
from charrnn.kernels.jit import cache_directory
from charrnn.launcher import end_in_order
from charrnn.training.agenda import ASKED
from charrnn.training.company import Company
from charrnn.training.compiling import Compiling
from charrnn.training.job import Job
from charrnn.training.output import Elsewhere, FileOutput, StreamOutput
from charrnn.training.prepare import prepare
from charrnn.training.probe import get_ready, measure_speed, new_trial, step_seconds
from charrnn.training.ranks import is_agreed
from charrnn.training.records import Ended, Evaluation, Record, Step, Warned
from charrnn.training.run import Output, Policy, Run

#: Pairs that a preview shows.
PREVIEWED = 3


class Session:
    """One training, as the command line asked for it.

    Parameters
    ----------
    settings : Settings
    common : Common
    company : Company
        Those that train together: every one has a session, and the first one speaks.
    """

    def __init__(self, settings: Settings, common: Common, company: Company) -> None:
        self.company = company
        self.ranks = company.ranks
        if self.ranks.rank:
            settings, common = _silenced(settings, common)
        self.settings = settings
        self.common = common
        self.threads, self._clamped = self.company.threads
        self.caught = Caught()
        console = stderr_console(common.color)
        console.quiet = self.ranks.rank > 0  # the first one speaks for all
        self.display: TrainingDisplay = training_display(
            console,
            common.progress,
            quiet=common.quiet,
            stopped=self._asked_to_end,
        )
        self.compiling = Compiling(self.threads, self._show_compiling)
        stdout = None if sys.stdout is None else sys.stdout.buffer
        self.payload = Lines(
            stdout, lambda why: self._lost("standard output", why), self._asked_to_end
        )

    def execute(self) -> None:
        """Train; raise `Killed` if a signal ended it.

        Raises
        ------
        CharRNNError
            Of every kind that the exit codes know.
        """
        for note in self.company.notes:
            self.display.say(note)
        for warning in self.company.warnings:
            self.display.say(warning, "warning")
        try:
            self._train()
        except CharRNNError as error:
            if is_agreed(error):
                end_in_order()
                if self.ranks.rank:
                    raise SystemExit(error.exit_code) from None
            raise

    def _train(self) -> None:
        """Do what `execute` says."""
        if self.settings.reports.dry_run:
            with caught_signals(self.caught), ending_at_once(lambda: None):
                self._dry_run(self._prepare())
            return
        with contextlib.ExitStack() as opened:
            warned = self.company.killed_soon
            opened.enter_context(caught_signals(self.caught, warned=warned))
            writer = self.ranks.together(self._writer)
            self.ranks.first(lambda asked: opened.enter_context(writer) and None)
            with ending_at_once(lambda: self._leave(writer)):
                logs: list[MetricsLog] = []
                # A named pipe waits for its reader here.
                self.ranks.first(
                    lambda asked: logs.extend(
                        self._logs(opened.enter_context(self._log_file()))
                    )
                )
                opened.enter_context(self.compiling)
                model = self.settings.request.model
                self.compiling.expect(model.get("cell", ModelConfig.cell))
                job = self._prepare()
                self._get_ready(job)
                self.compiling.compile_sampling(job.trainer.network.config)
            for log in logs:
                log.start(start_fields(job, self._path), pairs=job.of_pairs)
            began = job.trainer.position.step
            # The files of a run are the first rank's.
            output = writer if self.ranks.rank == 0 else Elsewhere(writer)
            ended = self._run(job, output, logs)
            if ended.reason in ASKED:
                # Another rank may have caught the signal that all have obeyed.
                self.caught.number = self.caught.number or number_of(ended.reason)
                end_in_order()
            if not self._asked_to_end() and not self.common.quiet:
                kept = self._best is not None
                for line in summary(ended, job, began, kept=kept):
                    self.display.say(line)
            self._compare(ended, job, logs)
        if self.caught.number is not None:
            self.display.say(f"saved after step {ended.steps:,}")
            # A run that had come to its own end before has nothing to be continued.
            if self.settings.output is not None and ended.reason in ASKED:
                self.display.say(f"continue with: {continuation(self.settings)}")
            raise Killed(self.caught.number)
        self._print_path()
        if self.settings.output is not None:
            best = self._best if better_before(ended) else None
            if ended.reason != "patience" and not better_before(ended):
                self.display.say(further(self.settings, job.trainer.config))
            self.display.say(suggestion(str(best or self.settings.output), job))

    def _asked_to_end(self) -> bool:
        """Tell whether a signal has asked the run to end."""
        return self.caught.number is not None

    def _leave(self, writer: FileOutput | StreamOutput) -> None:
        """Let go of the files of a run that has not begun, and say what is in them.

        Called while the main thread is busy with something else.
        """
        writer.release()
        wait_for_reader(sys.stderr, lambda: True)  # raises where nobody reads
        resumed = self.settings.request.run.resume
        kept = f"{self._path} is as it was" if resumed else "nothing has been saved"
        self.display.say(f"ended before the first step: {kept}")

    @property
    def _path(self) -> str:
        """Name the output as records have it."""
        return "-" if self.settings.output is None else str(self.settings.output)

    @property
    def _best(self) -> Path | None:
        """Find the file of the best evaluation, if this run keeps one."""
        if self.settings.output is None or not self.settings.request.run.keep_best:
            return None
        path = best_path(self.settings.output)
        return path if path.exists() else None

    def _writer(self) -> FileOutput | StreamOutput:
        """Choose where checkpoints go, and refuse what cannot work."""
        output = self.settings.output
        if output is None:
            if sys.stdout is None:
                msg = "standard output is closed"
                raise OutputError(msg, hint="name a file with --output")
            if is_terminal(sys.stdout):
                msg = "--output - would write a checkpoint to the terminal"
                raise OptionError(msg, hint="redirect it: ... -o - > model.npz")
            return StreamOutput(sys.stdout.buffer)
        run = self.settings.request.run
        return FileOutput(
            output,
            replace=run.force or run.resume,
            survives=self.company.killed_soon,
        )

    def _log_file(self) -> contextlib.AbstractContextManager[BinaryIO | None]:
        """Open the file for --log-file, to append to it."""
        path = self.settings.reports.log_file
        if path is None:
            return contextlib.nullcontext()
        try:
            _check_log(Path(path))
            return Path(path).open("ab")
        except OSError as error:
            msg = f"cannot open the log file: {error.strerror}"
            hint = f"--log-file: {writing_hint(error)}"
            raise OutputError(msg, where=path, hint=hint) from None

    def _logs(self, log_file: BinaryIO | None) -> list[MetricsLog]:
        """List what records are written to as JSON."""
        path = self._path
        every = self.settings.reports.log_every
        logs = []
        if self.settings.reports.json:
            logs.append(MetricsLog(self.payload.write, path, every))
        if log_file is not None:
            lines = Lines(
                log_file,
                lambda why: self._lost("the log file", why),
                self._asked_to_end,
            )
            if _ends_inside_a_line(Path(log_file.name)):
                lines.write("\n")
            logs.append(MetricsLog(lines.write, path, every))
        return logs

    def _lost(self, what: str, why: str) -> None:
        """Say that a stream gets no more."""
        self.display.show(Warned(f"{what} is given up: {why}"))

    def _prepare(self) -> Job:
        """Read the texts, make the model, and tell about both."""
        request = self.settings.request
        stdin = sys.stdin.buffer if sys.stdin is not None else None
        try:
            job = prepare(request, self.threads, stdin, self._speed, self.ranks)
        except InputError as error:
            if isinstance(error.__cause__, IsADirectoryError):
                directory = os.fsdecode(error.__cause__.filename)
                named = (text for text in request.sources if isinstance(text, str))
                if Path(directory) in map(Path, named):
                    files = FilesIn(directory, "*.txt")
                    error.hint = shell_command("charrnn", "train", files)
            raise
        if self._clamped:
            self.display.say(self._clamped, "warning")
        for line in description(job):
            self.display.say(line)
        if job.not_validated is not None:
            self.display.say(f"validation is off: {job.not_validated}", "warning")
        if request.train.get("patience") and job.held_out is None:
            self.display.say("--patience does nothing without validation", "warning")
        return job

    def _show_compiling(self, done: int, total: int) -> None:
        """Say how many kernels are there, of those that were not."""
        once = "" if cache_directory() is None else " (once per machine)"
        self.display.count("compiling kernels", done, total, once)

    def _speed(self, cell: CellName) -> float:
        """Measure this machine's speed, or that of all ranks together, for a plan."""
        trial = new_trial(cell, self.threads, self.settings.request.precision)
        # Kernels are compiled once a machine, and speed is what ranks have side by
        # side.
        self.company.leaders_first(lambda: self.compiling.compile(trial))
        return sum(self.ranks.collect(lambda: measure_speed(trial)))

    def _get_ready(self, job: Job) -> float:
        """Get the kernels, show the plan, and return the seconds of a step."""
        trainer = job.trainer
        began = time.perf_counter()
        self.company.leaders_first(lambda: self._get_kernels(job))
        took = time.perf_counter() - began
        if (message := compiled_in_vain()) is not None:
            self.display.say(message, "warning")
        if self.common.quiet and not self.settings.reports.dry_run:
            return 0.0
        seconds = step_seconds(trainer)
        if self.common.quiet:
            return seconds
        for line in plan_lines(job, seconds):
            self.display.say(line)
        if self.common.verbose:
            threads = plural(trainer.network.threads, "thread")
            self.display.say(
                f"kernels ready in {took:.1f} s; {threads}, seed {trainer.config.seed}"
            )
        return seconds

    def _get_kernels(self, job: Job) -> None:
        """Load what the run will call, or compile it."""
        self.compiling.compile(job.trainer)
        get_ready(job)
        if self._previews and not self.compiling.assisted:
            # Compiled in the middle of a run, it would keep a signal waiting.
            next(self._generation(job, 1), None)

    def _run(
        self,
        job: Job,
        writer: Output,
        logs: list[MetricsLog],
    ) -> Ended:
        """Train to the end, and pass every record on, but for a good end's."""
        run = Run(job, Policy.of(self.settings.request.run), writer, self.caught)
        with self.display:
            for record in map(_spelled, run):
                self.display.show(record)
                if isinstance(record, Ended):
                    ended = record
                    # Logged once it has been compared; if not to be, now.
                    if record.reason != "diverged":
                        continue
                for log in logs:
                    log.add(record)
                self._preview(record, job)
        return ended

    def _compare(
        self,
        ended: Ended,
        job: Job,
        logs: list[MetricsLog],
    ) -> None:
        """Show and log what simpler means make of the held-out text.

        Nobody who asks the run to end, or who would not see it, waits for it.
        """
        found = None
        if self.ranks.rank:
            return
        if not self._asked_to_end() and (logs or not self.common.quiet):
            ngram = None if ended.blend is None else ended.blend.ngram
            found = job.baselines(self._asked_to_end, ngram)
        for log in logs:
            log.add(replace(ended, yardsticks=found))
        if found is not None and not self.common.quiet:
            for line in comparison(found):
                self.display.say(line)

    @property
    def _previews(self) -> bool:
        """Whether the network is to write a little now and then."""
        reports = self.settings.reports
        if self.common.quiet or not reports.preview_chars:
            return False
        if reports.preview_every is None:
            return is_terminal(sys.stderr)
        return reports.preview_every > 0

    def _preview(self, record: Record, job: Job) -> None:
        """Let the network write a little, if it is time."""
        every = self.settings.reports.preview_every
        if every is None:
            due = isinstance(record, Evaluation)
        else:
            due = isinstance(record, Step) and bool(every) and record.step % every == 0
        if not due or not self._previews or self.compiling.sampling_is_under_way:
            return
        characters = self.settings.reports.preview_chars
        if job.of_pairs:
            # As in `_generation`, a network may have nothing to say.
            with contextlib.suppress(VocabError, Stopped):
                shown = attempts(job, PREVIEWED, characters, self._asked_to_end)
                self.display.preview(shown)
            return
        text = []
        for piece in self._generation(job, characters):
            text.append(piece.text)
            if self._asked_to_end():
                return
        self.display.preview("".join(text).strip("\n"))

    def _generation(self, job: Job, length: int) -> Iterator[Piece]:
        """Begin to write so many characters, the same at the same step."""
        seed = job.trainer.position.step
        config = SampleConfig(temperature=TEMPERATURE, length=length, seed=seed)
        # A network about to diverge may have nothing to say.
        with contextlib.suppress(VocabError):
            model = job.model(job.trainer.averaged)
            yield from Generation(model, [job.vocab.encode("")], config).pieces()

    def _print_path(self) -> None:
        """Print where the checkpoint is.

        Raises
        ------
        OutputError
            Standard output takes nothing; the checkpoint is in its place.
        """
        payload_is_other = self.settings.output is None or self.settings.reports.json
        if not payload_is_other and sys.stdout is not None and self.ranks.rank == 0:
            with contextlib.suppress(ReaderGone), open_stdout() as stdout:
                stdout.write(f"{self.settings.output}\n")

    def _dry_run(self, job: Job) -> None:
        """Say how large and how long a run would be, and write nothing."""
        seconds = self._get_ready(job)
        shown = not self.common.quiet
        if not (shown or self.settings.reports.json):
            return
        refusal = self._refusal()
        found = job.baselines()
        run, named = self.settings.request.run, self.settings.output is not None
        adds = named and run.memory and run.keep_best and job.countable
        plan = estimate(job, seconds, adds_to_best=adds)
        if self.settings.reports.json:
            fields = start_fields(job, self._path) | plan
            reason = None if refusal is None else spell(refusal.message, as_option)
            log = MetricsLog(self.payload.write, self._path, log_every=0)
            log.plan(fields | {"refused": reason}, found)
        if not shown:
            return
        self.display.say(
            f"about {plan['memory'] / 1e6:,.0f} MB beside the text, "
            f"{plan['chars_per_second']:,.0f} chars/s"
        )
        if found is not None:
            for line in comparison(found):
                self.display.say(line)
        if refusal is not None:
            why = spell(refusal.message, as_option)
            hint = spell(refusal.hint or "", as_option)
            self.display.say(f"the run would be refused: {why}; {hint}", "warning")

    def _refusal(self) -> OutputError | None:
        """Tell why the output would be refused, if it would."""
        output, run = self.settings.output, self.settings.request.run
        if output is None:
            return None
        try:
            FileOutput(output, replace=run.force or run.resume).check()
        except OutputError as error:
            return error
        return None


def _silenced(settings: Settings, common: Common) -> tuple[Settings, Common]:
    """Have a rank that is not the first one say nothing, and write no records."""
    reports = ReportOptions(preview_every=0, dry_run=settings.reports.dry_run)
    quiet = replace(common, quiet=True, verbose=False, progress="none")
    return replace(settings, reports=reports), quiet


def _spelled(record: Record) -> Record:
    """Write the fields that a warning names as options."""
    if isinstance(record, Warned):
        return Warned(spell(record.message, as_option))
    return record


def _check_log(path: Path) -> None:
    """Refuse to append a log to what is none.

    Raises
    ------
    OutputError
        It is a checkpoint, or neither a file nor something to write on to.
    OSError
        It cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    what = None
    if stat.S_ISREG(mode):
        with contextlib.suppress(PermissionError), path.open("rb") as file:
            if file.read(len(SIGNATURE)) == SIGNATURE:
                what = "is a checkpoint or another archive"
    elif not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISDIR(mode)):
        what = "is not a regular file"
    if what is not None:
        msg = f"the log file {what}"
        hint = "name another file with --log-file"
        raise OutputError(msg, where=str(path), hint=hint)


def _ends_inside_a_line(path: Path) -> bool:
    """Tell whether a log lacks its last line's end, as after a loss of power.

    The next record would become a part of that line, and be lost with it.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            if file.tell() == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"
    except OSError:  # what can be written to need not be readable
        return False
