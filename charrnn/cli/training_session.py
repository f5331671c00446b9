"""One call of ``train``, from checked settings to an exit code.

Prepares the run, passes its records on to the display and to the metrics, and
makes sure that neither a reader who leaves nor a signal loses anything.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

from charrnn.cli.metrics import MetricsLog
from charrnn.cli.options import Common
from charrnn.cli.output import ReaderGone, TextSink
from charrnn.cli.signals import Caught, Killed, caught_signals
from charrnn.cli.training_settings import Settings
from charrnn.config import SampleConfig
from charrnn.corpus import ReadOptions
from charrnn.display.color import is_terminal
from charrnn.display.console import stderr_console
from charrnn.display.training import (
    TrainingDisplay,
    duration_text,
    loss_text,
    training_display,
)
from charrnn.errors import OptionError, OutputError
from charrnn.generation import Generation, useful_threads
from charrnn.kernels.jit import is_cached
from charrnn.training.output import FileWriter, StreamWriter
from charrnn.training.prepare import Prepared, Request, memory_estimate, prepare
from charrnn.training.records import Ended, Evaluation, Record, Step
from charrnn.training.run import Policy, Run
from charrnn.training.yardsticks import Yardsticks, measure

#: Steps that a dry run takes to measure the speed.
PROBE_STEPS = 5

#: Temperature of previews and of the command that is suggested in the end.
TEMPERATURE = 0.8


class Lines:
    """Lines of text for a stream, dropped once the stream does not take them.

    Neither a reader who leaves nor a full disk stops a training for its log.

    Parameters
    ----------
    stream : binary file or None
        None is a stream that the process was started without.
    lost : callable
        Told, once, why lines are dropped; not when a reader has left.
    """

    def __init__(
        self, stream: BinaryIO | None, lost: Callable[[str], None] | None = None
    ) -> None:
        self._sink = None if stream is None else TextSink(stream, raw=True)
        self._lost = lost

    def write(self, line: str) -> None:
        """Write one line, newline included, at once."""
        if self._sink is None:
            return
        try:
            self._sink.write(line)
            self._sink.flush()
        except ReaderGone:
            self._sink = None
        except OutputError as error:
            self._sink = None
            if self._lost is not None:
                self._lost(str(error))


class Session:
    """One training, as the command line asked for it."""

    def __init__(self, settings: Settings, common: Common) -> None:
        self.settings = settings
        self.common = common
        self.threads, self._clamped = common.resolve_threads()
        self.display: TrainingDisplay = training_display(
            stderr_console(common.color), common.progress, quiet=common.quiet
        )
        self.payload = Lines(None if sys.stdout is None else sys.stdout.buffer)

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
            writer = self._writer()
            opened.enter_context(writer)
            logs = self._logs(opened.enter_context(self._log_file()))
            prepared = self._prepare()
            caught = opened.enter_context(caught_signals())
            self._compile(prepared)
            for log in logs:
                log.start(self._start_fields(prepared))
            ended = self._run(prepared, writer, caught, logs)
        self._conclude(ended, prepared, caught)

    @property
    def _path(self) -> str:
        """Name the output as records have it."""
        return "-" if self.settings.output is None else str(self.settings.output)

    def _writer(self) -> FileWriter | StreamWriter:
        """Choose where checkpoints go, and refuse what cannot work."""
        output = self.settings.output
        if output is None:
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
            lines = Lines(log_file, self._log_lost)
            logs.append(MetricsLog(lines.write, path, every))
        return logs

    def _log_lost(self, why: str) -> None:
        """Say that the log file ends here."""
        self.display.say(f"the log file is given up: {why}", "warning")

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
        self._describe(prepared)
        return prepared

    def _describe(self, prepared: Prepared) -> None:
        """Say what is trained on what."""
        model, config = prepared.trainer.model.config, prepared.trainer.config
        held_out = prepared.held_out
        held = f", {len(held_out.ids):,} held out" if held_out is not None else ""
        self.display.say(
            f"{prepared.corpus.characters:,} {prepared.subject.vocab.unit}s, "
            f"{model.vocab_size} distinct{held}"
        )
        kind = model.cell if model.cell != "rnn" else f"rnn ({model.activation})"
        self.display.say(
            f"{kind} {model.layers} x {model.hidden}, "
            f"{prepared.trainer.model.theta.size:,} parameters; batch "
            f"{config.batch_size} x {config.seq_length}, {config.optimizer} "
            f"{config.lr:g} {config.schedule}, {self._limit(prepared)}"
        )
        for note in prepared.notes:
            self.display.say(note)
        if prepared.trainer.position.step:
            done = prepared.trainer.position.step
            self.display.say(f"resuming after step {done:,}")

    def _limit(self, prepared: Prepared) -> str:
        """Say when the run will end."""
        config, limits = prepared.trainer.config, []
        if config.epochs is not None:
            limits.append(f"{config.epochs:g} epochs")
        if config.steps is not None:
            limits.append(f"{config.steps:,} steps")
        if config.time is not None:
            limits.append(duration_text(config.time))
        return " or ".join(limits)

    def _compile(self, prepared: Prepared) -> None:
        """Get the kernels, and say so when that takes a while."""
        if not is_cached(f"{prepared.trainer.model.config.cell}.backward"):
            self.display.say("compiling for this machine, once: 10 to 30 seconds")
        prepared.trainer.warm_up()

    def _start_fields(self, prepared: Prepared) -> dict[str, object]:
        """Describe the run for the first record."""
        model, config = prepared.trainer.model, prepared.trainer.config
        corpus = prepared.corpus
        return {
            "corpus": {
                "files": list(corpus.files),
                "bytes": corpus.bytes,
                "characters": corpus.characters,
                "sha256": corpus.sha256,
            },
            "vocabulary": model.config.vocab_size,
            "parameters": model.theta.size,
            "cell": model.config.cell,
            "layers": model.config.layers,
            "hidden": model.config.hidden,
            "batch_size": config.batch_size,
            "seq_length": config.seq_length,
            "threads": model.threads,
            "seed": config.seed,
            "output": "-"
            if self.settings.output is None
            else str(self.settings.output),
        }

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
                self._preview(record, prepared)
                if isinstance(record, Ended):
                    return record
        msg = "a run ended without saying so"
        raise RuntimeError(msg)

    def _preview(self, record: Record, prepared: Prepared) -> None:
        """Let the network write a little, if it is time."""
        reports = self.settings.reports
        every = reports.preview_every
        if every is None:
            due = isinstance(record, Evaluation) and is_terminal(sys.stderr)
        else:
            due = isinstance(record, Step) and bool(every) and record.step % every == 0
        if not due or self.common.quiet or not reports.preview_chars:
            return
        step = prepared.trainer.position.step
        config = SampleConfig(
            temperature=TEMPERATURE, length=reports.preview_chars, seed=step
        )
        no_prompt = prepared.subject.vocab.encode("")
        model = prepared.trainer.model
        generation = Generation(model, prepared.subject.vocab, no_prompt, config)
        with model.limited_to(useful_threads(model.config, 1, model.threads)):
            text = "".join(piece.text for piece in generation.pieces())
        self.display.preview(text)

    def _conclude(self, ended: Ended, prepared: Prepared, caught: Caught) -> None:
        """Print the path, sum up, and pass a signal on."""
        output = self.settings.output
        if caught.number is not None:
            again = " ".join(["charrnn train", *self.settings.sources, "--resume"])
            where = "" if output is None else f" -o {output}"
            self.display.say(f"saved after step {ended.steps:,}; continue with:")
            self.display.say(f"  {again}{where}")
            raise Killed(caught.number)
        if output is not None and not self.settings.reports.json:
            self.payload.write(f"{output}\n")
        self.display.say(
            f"{ended.steps:,} steps, {ended.epochs:.2f} epochs in "
            f"{duration_text(ended.elapsed)}"
            + (
                f" ({ended.chars_per_second:,.0f} characters a second)"
                if ended.chars_per_second
                else ""
            )
        )
        if ended.train_loss is not None:
            self.display.say(f"training loss {loss_text(ended.train_loss)}")
        if ended.val_loss is not None:
            self.display.say(f"validation loss {loss_text(ended.val_loss)}")
        if prepared.held_out is not None and not self.common.quiet:
            size = prepared.trainer.model.config.vocab_size
            train = prepared.trainer.streams.ids
            yardsticks = measure(train, prepared.held_out.ids, size)
            self.display.say(_yardsticks_text(yardsticks))
        if output is not None:
            temperature = f"--temperature {TEMPERATURE}"
            self.display.say(f"try: charrnn sample {temperature} {output}")

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
        limits = [trainer.total_steps * seconds] if trainer.total_steps else []
        if trainer.config.time is not None:
            limits.append(trainer.config.time)
        self.display.say(f"about {duration_text(min(limits))} of training")


def _yardsticks_text(yardsticks: Yardsticks) -> str:
    """Write the yardsticks down, in the order of their strength."""
    parts = [f"single characters {yardsticks.order0:.3f}"]
    if yardsticks.xz is not None:
        parts.append(f"xz {yardsticks.xz:.3f}")
    return f"for comparison, bits a character without a network: {', '.join(parts)}"
