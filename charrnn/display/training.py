"""A training as a person sees it: on stderr, live or in plain lines.

Live on a terminal: a bar with the time left, a line of figures, a permanent
line per evaluation, previews. Elsewhere plain lines: one at the start, then at
most one every ten seconds, one at the end. Generated text is shown with its
control characters escaped and never as markup.
"""

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Literal, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from charrnn.display.color import is_terminal
from charrnn.display.console import wait_for_reader
from charrnn.durations import duration_text
from charrnn.escapes import one_line, several_lines
from charrnn.training.records import Ended, Evaluation, Record, Step, Warned

#: Seconds between plain lines, and between redrawings of the live ones.
PLAIN_EVERY = 10.0
REDRAW_EVERY = 0.1

#: What clears a terminal's line from the cursor on.
CLEAR_REST = "\x1b[K"

LN2 = math.log(2)

#: What stands before a line that the network has written.
MARGIN = "  │ "


#: What stands before a line that we say, and what a command begins with.
SPEAKER, COMMAND = "charrnn: ", "charrnn "


def loss_text(nats: float) -> str:
    """Write a loss in nats and bits."""
    return f"{nats:.4f} nats {nats / LN2:.3f} bits"


def accuracy_text(record: Evaluation) -> str | None:
    """Write how many outputs of pairs are right, if the record is of pairs."""
    if record.exact is None or record.error_rate is None:
        return None
    return f"exact {record.exact:.2%}  errors {record.error_rate:.2%}"


def _left_text(seconds: float) -> str:
    """Write the time that is left, in whole seconds: nobody reads parts of one."""
    return f"{duration_text(round(seconds))} left"


class TrainingDisplay(Protocol):
    """What the train command talks to while a run goes on."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def say(self, message: str, kind: Literal["note", "warning"] = "note") -> None:
        """Print one line."""

    def count(self, what: str, done: int, total: int, note: str) -> None:
        """Show how far something is that comes before the run."""

    def show(self, record: Record) -> None:
        """Take a record of the run in."""

    def preview(self, text: str) -> None:
        """Show some text that the network has just written."""


class _Figures:
    """The latest figures of a run, as parts of a line, the important ones first."""

    def __init__(self) -> None:
        self.step: Step | None = None
        self._first: Step | None = None
        self.val_loss: float | None = None
        self.accuracy: str | None = None

    def take(self, record: Record) -> None:
        """Remember what a line needs."""
        if isinstance(record, Step):
            self.step = record
            self._first = self._first or record  # a resumed run begins later
        elif isinstance(record, Evaluation):
            self.val_loss = record.val_loss
            # By the network alone, as the loss beside it; at a run's end, what is
            # right is right by the n-grams, too.
            self.accuracy = accuracy_text(record) or self.accuracy

    def left(self) -> float | None:
        """Estimate the seconds of training that are left, from the second step on."""
        if self.step is None or self._first is None:
            return None
        done = self.step.progress - self._first.progress
        if done <= 0:
            return None
        return (self.step.elapsed - self._first.elapsed) * (
            (1 - self.step.progress) / done
        )

    def parts(self) -> list[str]:
        """List the figures in reading order."""
        s = self.step
        if s is None:
            return []
        parts = [f"step {s.step:,}", f"epoch {s.epoch:.2f}"]
        if s.mean_loss is not None:
            loss, in_bits = s.mean_loss, s.mean_loss / LN2
            parts.append(f"loss {loss:.3f} nats {in_bits:.3f} bits")
        if self.val_loss is not None:
            parts.append(f"val {self.val_loss:.3f}")
        if self.accuracy is not None:
            parts.append(self.accuracy)
        parts.append(f"lr {s.lr:.1e}")
        parts.append(f"{s.chars_per_second:,.0f} chars/s")
        return parts

    def lines(self, width: int) -> list[str]:
        """Lay the figures out in lines of at most so many columns."""
        lines: list[str] = []
        for part in self.parts():
            if lines and len(lines[-1]) + 2 + len(part) <= width:
                lines[-1] += f"  {part}"
            else:
                lines.append(part)
        return lines


class PlainDisplay:
    """Lines for a log file, or for whoever prefers them.

    Parameters
    ----------
    console : Console
    clock : callable
        Seconds, from any origin.
    stopped : callable
        Whether the run is to end: then a stream that nobody reads is given up.
    """

    def __init__(
        self,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._console = console
        self._clock = clock
        self._stopped = stopped
        self._last: float | None = None
        self._figures = _Figures()

    def __enter__(self) -> Self:
        """Lines need no preparation."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lines need no cleaning up."""

    def say(self, message: str, kind: Literal["note", "warning"] = "note") -> None:
        """Print one line."""
        prefix = "warning: " if kind == "warning" else ""
        # One line, whatever a file is called.
        self._print(f"{SPEAKER}{prefix}{one_line(message)}")

    def count(self, what: str, done: int, total: int, note: str) -> None:
        """Say at the beginning how much there is to be done."""
        if done == 0:
            self.say(f"{what}: {total}{note}")

    def show(self, record: Record) -> None:
        """Print the figures if it is time, warnings at once."""
        self._figures.take(record)
        if isinstance(record, Warned):
            self.say(record.message, "warning")
        elif isinstance(record, Step) and self._due():
            left = self._figures.left()
            time_left = [] if left is None else [_left_text(left)]
            self._print("  ".join(self._figures.parts() + time_left))
        elif isinstance(record, Ended) and self._figures.step is not None:
            self._print("  ".join(self._figures.parts()))

    def preview(self, text: str) -> None:
        """Print a preview, indented."""
        for line in several_lines(text).split("\n"):
            self._print(f"  | {line}")

    def _due(self) -> bool:
        """Tell whether the last line is long enough ago."""
        now = self._clock()
        if self._last is not None and now - self._last < PLAIN_EVERY:
            return False
        self._last = now
        return True

    def _print(self, line: str, style: str = "") -> None:
        """Print one line."""
        with self._going_on():
            # Not wrapped by us: a command must come out of the terminal as it is.
            self._console.print(Text(line, style=style), soft_wrap=True)
            self._console.file.flush()

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        """Go on in silence when nobody reads any more."""
        if not self._console.quiet:
            try:
                wait_for_reader(self._console.file, self._stopped)
            except TimeoutError:
                self._console.quiet = True
        try:
            yield
        except OSError:
            self._console.quiet = True
        except ValueError:
            if not self._console.file.closed:
                raise
            self._console.quiet = True


class MessageDisplay(PlainDisplay):
    """Messages and warnings, but no figures, for ``progress="none"``."""

    def show(self, record: Record) -> None:
        """Print warnings."""
        if isinstance(record, Warned):
            self.say(record.message, "warning")


class QuietDisplay(PlainDisplay):
    """Only what goes wrong with a run, for ``quiet``: nobody else would tell."""

    def say(self, message: str, kind: Literal["note", "warning"] = "note") -> None:
        """Say nothing."""

    def count(self, what: str, done: int, total: int, note: str) -> None:
        """Say nothing."""

    def show(self, record: Record) -> None:
        """Print warnings: a save has failed, or the run was rolled back."""
        if isinstance(record, Warned):
            super().say(record.message, "warning")

    def preview(self, text: str) -> None:
        """Show nothing."""


class LiveDisplay(PlainDisplay):
    """A bar and figures that are redrawn in place, on a terminal.

    Redrawn from the training loop itself, not from a thread of rich's: the
    processors belong to the kernels.
    """

    def __init__(
        self,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(console, clock, stopped)
        self._counting = False  # whether the last line is one of `count`
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _print(self, line: str, style: str = "") -> None:
        """Print one line, in the place of one that counts."""
        if self._counting:
            self._counting = False
            with self._going_on():
                self._console.file.write(f"\r{CLEAR_REST}")
        super()._print(line, style)

    def __enter__(self) -> Self:
        """Take the last lines of the terminal."""
        with self._going_on():
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back, its cursor shown."""
        with self._going_on():
            self._live.stop()

    def say(self, message: str, kind: Literal["note", "warning"] = "note") -> None:
        """Print a line, broken between words where the terminal would break one.

        A command has to stay whole, to be pasted.
        """
        if COMMAND in message:
            super().say(message, kind)
            return
        prefix = "warning: " if kind == "warning" else ""
        width = max(20, self._console.width - len(SPEAKER))
        parts = Text(f"{prefix}{one_line(message)}").wrap(self._console, width)
        for n, part in enumerate(parts):
            self._print(f"{' ' * len(SPEAKER) if n else SPEAKER}{part}".rstrip())

    def count(self, what: str, done: int, total: int, note: str) -> None:
        """Write a line over the one before, and take the last one away."""
        line = "" if done == total else f"{SPEAKER}{what} {done + 1} of {total}{note}"
        with self._going_on():
            self._console.file.write(f"\r{line}{CLEAR_REST}")
            self._console.file.flush()
        self._counting = bool(line)

    def show(self, record: Record) -> None:
        """Redraw if it is time; keep a line per evaluation."""
        self._figures.take(record)
        if isinstance(record, Warned):
            self.say(record.message, "warning")
        elif isinstance(record, Evaluation):
            mark = "  best" if record.best else ""
            accuracy = accuracy_text(record)
            shown = f"  {accuracy}" if accuracy else ""
            self._print(
                f"epoch {record.epoch:5.2f}  step {record.step:,}  "
                f"val {loss_text(record.val_loss)}{shown}{mark}"
            )
        elif isinstance(record, Step) and self._due():
            with self._going_on():
                self._live.update(self._drawing(), refresh=True)

    def preview(self, text: str) -> None:
        """Show a preview, dimmed, behind a bar, in lines that fit."""
        width = max(1, self._console.width - len(MARGIN) - 1)
        for line in several_lines(text).split("\n"):
            for part in Text(line).wrap(self._console, width) or [Text()]:
                self._print(f"{MARGIN}{part}", style="dim")

    def _due(self) -> bool:
        """Tell whether the drawing is old enough."""
        now = self._clock()
        if self._last is not None and now - self._last < REDRAW_EVERY:
            return False
        self._last = now
        return True

    def _drawing(self) -> RenderableType:
        """Draw a bar with share and time left, and the figures below it."""
        step, left = self._figures.step, self._figures.left()
        progress = 0.0 if step is None else step.progress
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(justify="right", no_wrap=True)
        time_left = "" if left is None else _left_text(left)
        bar.add_row(
            ProgressBar(total=1.0, completed=progress),
            Text(f"{progress:4.0%}  {time_left}"),
        )
        lines = self._figures.lines(self._console.width - 1)
        return Group(bar, *(Text(line, no_wrap=True) for line in lines))


def training_display(
    console: Console,
    mode: str,
    *,
    quiet: bool,
    stopped: Callable[[], bool] = lambda: False,
) -> PlainDisplay:
    """Choose the display: `quiet`, `progress`, and what stderr is."""
    animated = is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"
    kind: type[PlainDisplay] = LiveDisplay
    if quiet:
        kind = QuietDisplay
    elif mode == "none":
        kind = MessageDisplay
    elif mode == "plain" or not animated:
        kind = PlainDisplay
    return kind(console, stopped=stopped)
