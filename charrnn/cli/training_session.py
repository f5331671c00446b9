"""One call of ``train``, from checked settings to an exit code.

Prepares the run, passes its records on to the display and to the metrics, and
makes sure that neither a reader who leaves nor a signal loses anything.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO

from charrnn.cli.metrics import Lines, MetricsLog
from charrnn.cli.options import Common
from charrnn.cli.output import ReaderGone, open_stdout
from charrnn.cli.signals import Caught, Killed, caught_signals, ending_at_once
from charrnn.cli.training_report import (
    TEMPERATURE,
    continuation,
    description,
    start_fields,
    suggestion,
    summary,
)
from charrnn.cli.training_settings import Settings
from charrnn.config import SampleConfig
from charrnn.corpus import ReadOptions
from charrnn.display.color import is_terminal
from charrnn.display.console import stderr_console
from charrnn.display.training import (
    TrainingDisplay,
    duration_text,
    training_display,
)
from charrnn.errors import OptionError, OutputError, VocabError
from charrnn.evaluation import mean_loss
from charrnn.generation import Generation, Piece
from charrnn.kernels.jit import is_cached
from charrnn.training.output import FileWriter, StreamWriter
from charrnn.training.prepare import memory_estimate, prepare
from charrnn.training.records import Ended, Evaluation, Record, Step
from charrnn.training.request import Prepared, Request
from charrnn.training.run import Policy, Run

#: Steps that a dry run takes to measure the speed.
PROBE_STEPS = 5


class Session:
    """One training, as the command line asked for it."""

    def __init__(self, settings: Settings, common: Common) -> None:
        self.settings = settings
        self.common = common
        self.threads, self._clamped = common.resolve_threads()
        self.display: TrainingDisplay = training_display(
            stderr_console(common.color), common.progress, quiet=common.quiet
        )
        stdout = None if sys.stdout is None else sys.stdout.buffer
        self.payload = Lines(stdout, lambda why: self._lost("standard output", why))

    def execute(self) -> None:
        """Train; raise `Killed` if a signal ended it.

        Raises
        ------
        CharRNNError
            Of every kind that the exit codes know.
        """
        if self.settings.dry_run:
            self._dry_run(self._prepare())
            return
        with contextlib.ExitStack() as opened:
            caught = opened.enter_context(caught_signals())
            writer = self._writer()
            opened.enter_context(writer)
            logs = self._logs(opened.enter_context(self._log_file()))
            with ending_at_once(writer.release):
                prepared = self._prepare()
                self._compile(prepared)
            for log in logs:
                log.start(start_fields(prepared, self._path))
            began = prepared.trainer.position.step
            ended = self._run(prepared, writer, caught, logs)
        if caught.number is not None:
            self.display.say(f"saved after step {ended.steps:,}")
            if self.settings.output is not None:
                self.display.say(f"continue with: {continuation(self.settings)}")
            raise Killed(caught.number)
        self._print_path()
        if not self.common.quiet:
            for line in summary(ended, prepared, began):
                self.display.say(line)
        if self.settings.output is not None:
            self.display.say(suggestion(self._path))

    @property
    def _path(self) -> str:
        """Name the output as records have it."""
        return "-" if self.settings.output is None else str(self.settings.output)

    def _writer(self) -> FileWriter | StreamWriter:
        """Choose where checkpoints go, and refuse what cannot work."""
        output = self.settings.output
        if output is None:
            if sys.stdout is None:
                msg = "standard output is closed"
                raise OutputError(msg, hint="name a file with --output")
            if is_terminal(sys.stdout):
                msg = "--output - would write a checkpoint to the terminal"
                raise OptionError(msg, hint="redirect it: ... -o - > model.npz")
            return StreamWriter(sys.stdout.buffer)
        return FileWriter(output, replace=self.settings.force or self.settings.resume)

    def _log_file(self) -> contextlib.AbstractContextManager[BinaryIO | None]:
        """Open the file for --log-file, to append to it."""
        path = self.settings.reports.log_file
        if path is None:
            return contextlib.nullcontext()
        try:
            return path.open("ab")
        except OSError as error:
            msg = f"cannot open the log file: {error.strerror}"
            raise OutputError(msg, where=str(path)) from None

    def _logs(self, log_file: BinaryIO | None) -> list[MetricsLog]:
        """List what records are written to as JSON."""
        path = self._path
        every = self.settings.reports.log_every
        logs = []
        if self.settings.reports.json:
            logs.append(MetricsLog(self.payload.write, path, every))
        if log_file is not None:
            lines = Lines(log_file, lambda why: self._lost("the log file", why))
            logs.append(MetricsLog(lines.write, path, every))
        return logs

    def _lost(self, what: str, why: str) -> None:
        """Say that a stream gets no more."""
        self.display.say(f"{what} is given up: {why}", "warning")

    def _prepare(self) -> Prepared:
        """Read the texts, make the model, and tell about both."""
        s, text = self.settings, self.settings.text
        options = ReadOptions(
            encoding=text.encoding,
            newlines=text.newlines,
            unit=text.unit,
            min_count=text.min_count,
            lines=text.lines,
        )
        resume = s.output if s.resume else None
        prepared = prepare(
            Request(
                sources=s.sources,
                read=options,
                model=s.model,
                train=s.train,
                val_file=s.val_file,
                resume=resume,
                new_corpus=s.new_corpus,
                init_from=s.init_from,
            ),
            self.threads,
            sys.stdin.buffer if sys.stdin is not None else None,
        )
        if self._clamped:
            self.display.say(self._clamped, "warning")
        for line in description(prepared):
            self.display.say(line)
        if prepared.held_out is None and prepared.trainer.config.val_fraction:
            message = "validation is off: what would be held out is less than a window"
            self.display.say(message, "warning")
        if s.patience and prepared.held_out is None:
            self.display.say("--patience does nothing without validation", "warning")
        return prepared

    def _compile(self, prepared: Prepared) -> None:
        """Get the kernels, and say so when that takes a while."""
        if not is_cached(f"{prepared.trainer.model.config.cell}.backward"):
            self.display.say("compiling for this machine, once: 10 to 30 seconds")
        began = time.perf_counter()
        prepared.trainer.warm_up()
        if prepared.held_out is not None:
            # The first evaluation would look slow, and the next be put off.
            sip = prepared.held_out.ids[:1]
            mean_loss(prepared.trainer.model, sip, prepared.held_out.before)
        if self._previews:
            # Compiled in the middle of a run, it would keep a signal waiting.
            next(self._generation(prepared, 1), None)
        if self.common.verbose:
            model, seed = prepared.trainer.model, prepared.trainer.config.seed
            self.display.say(
                f"kernels ready in {time.perf_counter() - began:.1f} s; "
                f"{model.threads} threads, seed {seed}"
            )

    def _run(
        self,
        prepared: Prepared,
        writer: FileWriter | StreamWriter,
        caught: Caught,
        logs: list[MetricsLog],
    ) -> Ended:
        """Train to the end, and pass every record on."""
        s = self.settings
        policy = Policy(
            eval_every=s.reports.eval_every,
            save_every=s.save_every,
            patience=s.patience,
            on_divergence=s.on_divergence,
            keep_best=s.keep_best,
        )
        run = Run(
            prepared.trainer,
            prepared.subject,
            policy,
            prepared.held_out,
            writer,
            prepared.history,
            caught,
        )
        with self.display:
            for record in run.records():
                self.display.show(record)
                for log in logs:
                    log.add(record)
                self._preview(record, prepared, caught)
                if isinstance(record, Ended):
                    ended = record
        return ended

    @property
    def _previews(self) -> bool:
        """Whether the network is to write a little now and then."""
        reports = self.settings.reports
        if self.common.quiet or not reports.preview_chars:
            return False
        if reports.preview_every is None:
            return is_terminal(sys.stderr)
        return reports.preview_every > 0

    def _preview(self, record: Record, prepared: Prepared, caught: Caught) -> None:
        """Let the network write a little, if it is time."""
        every = self.settings.reports.preview_every
        if every is None:
            due = isinstance(record, Evaluation)
        else:
            due = isinstance(record, Step) and bool(every) and record.step % every == 0
        if not due or not self._previews:
            return
        text = []
        for piece in self._generation(prepared, self.settings.reports.preview_chars):
            text.append(piece.text)
            if caught.reason is not None:
                return
        self.display.preview("".join(text).strip("\n"))

    def _generation(self, prepared: Prepared, length: int) -> Iterator[Piece]:
        """Begin to write so many characters, the same at the same step."""
        trainer, vocab = prepared.trainer, prepared.subject.vocab
        config = SampleConfig(
            temperature=TEMPERATURE, length=length, seed=trainer.position.step
        )
        documents = trainer.config.lines
        # A network about to diverge may have nothing to say.
        with contextlib.suppress(VocabError):
            generation = Generation(
                trainer.model, vocab, [vocab.encode("")], config, documents=documents
            )
            yield from generation.pieces()

    def _print_path(self) -> None:
        """Print where the checkpoint is.

        Raises
        ------
        OutputError
            Standard output takes nothing; the checkpoint is in its place.
        """
        payload_is_other = self.settings.output is None or self.settings.reports.json
        if not payload_is_other and sys.stdout is not None:
            with contextlib.suppress(ReaderGone), open_stdout() as stdout:
                stdout.write(f"{self.settings.output}\n")

    def _dry_run(self, prepared: Prepared) -> None:
        """Say how large and how long a run would be, and write nothing."""
        trainer = prepared.trainer
        self._compile(prepared)
        began = time.perf_counter()
        for _ in range(PROBE_STEPS):
            trainer.step(0.0)
        seconds = (time.perf_counter() - began) / PROBE_STEPS
        streams = trainer.streams
        speed = streams.characters / streams.windows / seconds
        memory = memory_estimate(trainer) / 1e6
        self.display.say(
            f"about {memory:,.0f} MB beside the text, {speed:,.0f} chars/s"
        )
        limits = [] if trainer.config.time is None else [trainer.config.time]
        if trainer.total_steps is not None:
            limits.append(trainer.total_steps * seconds)
        self.display.say(f"about {duration_text(min(limits))} of training")
