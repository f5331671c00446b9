"""A training on stderr: plain lines for logs, a bar for people, silence on request."""

import io
import math
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from rich.console import Console

from charrnn.display.console import PatientConsole
from charrnn.display.training import (
    LiveDisplay,
    MessageDisplay,
    PlainDisplay,
    QuietDisplay,
    loss_text,
    training_display,
)
from charrnn.training.records import Ended, Evaluation, Step, Warned

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def step(n: int, of: int = 100, elapsed: float | None = None) -> Step:
    """Make the record of step n."""
    seconds = n / 10 if elapsed is None else elapsed
    return Step(n, n / 40, n / of, 2.0, 1.5, 0.002, 0.7, 12_345.6, seconds)


END = Ended("steps", 100, 2.5, 1.5, 1.6, 1.55, 12_345.6, 10.0)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def plain(out: io.StringIO, clock: Clock) -> PlainDisplay:
    return PlainDisplay(Console(file=out, width=200, soft_wrap=True), clock)


def test_plain_lines_are_rare(
    plain: PlainDisplay, out: io.StringIO, clock: Clock
) -> None:
    """One at the start, at most one every ten seconds, and one at the end."""
    with plain:
        for n in range(1, 101):
            clock.now = n * 0.25
            plain.show(step(n))
        plain.show(END)
    lines = out.getvalue().splitlines()

    assert [line.split("  ")[0] for line in lines] == [
        "step 1",
        "step 41",
        "step 81",
        "step 100",
    ]


def test_plain_line_has_all_figures(
    plain: PlainDisplay, out: io.StringIO, clock: Clock
) -> None:
    plain.show(step(1))
    clock.now = 60
    plain.show(Evaluation(50, 1.25, 1.75, True, 5.0))
    plain.show(step(50))

    assert out.getvalue().splitlines()[1] == (
        "step 50  epoch 1.25  loss 1.500 nats 2.164 bits  val 1.750  "
        "lr 2.0e-03  12,346 chars/s  5s left"
    )


def test_figures_of_pairs_are_the_networks(
    plain: PlainDisplay, out: io.StringIO, clock: Clock
) -> None:
    """Also at the end, where what is exact is so by the n-grams, too."""
    plain.show(step(1))
    plain.show(Evaluation(50, 1.25, 1.75, True, 5.0, exact=0.5, error_rate=0.25))
    plain.show(replace(END, exact=0.875, error_rate=0.125))
    last = out.getvalue().splitlines()[-1]

    assert "val 1.750  exact 50.00%  errors 25.00%" in last
    assert "87.50%" not in last


def test_figures_of_a_run_without_a_loss_yet(
    plain: PlainDisplay, out: io.StringIO
) -> None:
    plain.show(replace(step(1), loss=None, mean_loss=None))

    assert "step 1  epoch 0.03  lr 2.0e-03" in out.getvalue()


def test_time_left_of_a_resumed_run(
    plain: PlainDisplay, out: io.StringIO, clock: Clock
) -> None:
    """The half that an earlier process did took none of this one's time."""
    plain.show(step(51, elapsed=0.5))
    clock.now = 60
    plain.show(step(61, elapsed=10.5))

    assert out.getvalue().splitlines()[1].endswith("  39s left")


def test_time_left_has_no_parts_of_a_second(
    plain: PlainDisplay, out: io.StringIO, clock: Clock
) -> None:
    plain.show(step(1))
    clock.now = 60
    plain.show(step(96))

    assert out.getvalue().splitlines()[1].endswith("  0s left")


def test_a_run_without_steps_prints_no_figures(
    plain: PlainDisplay, out: io.StringIO
) -> None:
    plain.show(END)

    assert out.getvalue() == ""


def test_messages_and_warnings(plain: PlainDisplay, out: io.StringIO) -> None:
    """Printed at once, as they are: brackets are no markup."""
    plain.say("[bold]x[/bold] [/nonsense]")
    plain.show(Warned("could not save"))

    assert out.getvalue() == (
        "charrnn: [bold]x[/bold] [/nonsense]\ncharrnn: warning: could not save\n"
    )


def test_previews_are_harmless(plain: PlainDisplay, out: io.StringIO) -> None:
    plain.preview("[/red] one\ntwo\x1b[31m\r\x00")

    assert out.getvalue() == "  | [/red] one\n  | two\\x1b[31m\\x0d\\x00\n"


def test_lines_go_out_at_once(clock: Clock) -> None:
    """Also to a file that is buffered."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(io.BufferedWriter(raw, 1 << 16))
    PlainDisplay(Console(file=stream), clock).say("hello")

    assert raw.getvalue() == b"charrnn: hello\n"


class Gone(io.StringIO):
    """A stream whose reader has left."""

    def __init__(self, error: type[OSError]) -> None:
        super().__init__()
        self.error = error
        self.attempts = 0

    def write(self, text: str) -> int:
        self.attempts += 1
        raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError, OSError])
@pytest.mark.parametrize("kind", [PlainDisplay, LiveDisplay])
def test_training_goes_on_without_a_reader(
    kind: type[PlainDisplay], error: type[OSError], clock: Clock
) -> None:
    """Whatever is shown; rich itself would end the process."""
    stream = Gone(error)
    console = PatientConsole(file=stream, force_terminal=True)
    with kind(console, clock) as display:
        for n in range(1, 5):
            clock.now += 20
            display.show(step(n))
        display.say("x")
        display.preview("y")
        display.show(Evaluation(4, 1.0, 1.5, True, 1.0))
        display.show(END)

    assert 1 <= stream.attempts <= 3


# On a terminal.


@pytest.fixture
def terminal() -> Iterator[tuple[Callable[[], str], Console]]:
    """Open a pseudo-terminal of 60 columns: what it was sent, and its console."""
    master, slave = os.openpty()
    sent: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(master, 4096):
                sent.append(data)
        except OSError:  # the other side is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    stream = os.fdopen(slave, "w", encoding="utf-8")

    def finish() -> str:
        stream.close()
        reader.join(5)
        return b"".join(sent).decode()

    yield (
        finish,
        PatientConsole(file=stream, width=60, force_terminal=True, _environ={}),
    )
    finish()
    os.close(master)


def screen(sent: str) -> list[str]:
    """Replay what a terminal was sent, as far as rich uses it: the lines it shows."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", sent):
        if part == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b["):
            if part[-1] == "A":
                row = max(0, row - int(part[2:-1] or 1))
            elif part[-1] == "K":
                lines[row] = ""
            else:
                assert part[-1] in "mhl", part
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


def test_live_display_keeps_evaluations_and_nothing_else(
    terminal: tuple[Callable[[], str], Console], clock: Clock
) -> None:
    """The bar is gone in the end, and the cursor is back."""
    finish, console = terminal
    with LiveDisplay(console, clock) as display:
        for n in range(1, 101):
            clock.now += 0.06
            display.show(step(n))
            if n == 50:
                display.show(Evaluation(50, 1.25, 1.75, True, 5.0))
                display.preview("the sea " * 12 + "\n\nend")
        display.show(Evaluation(100, 2.5, 1.8, False, 10.0))
        display.show(Warned("too warm"))
        display.show(END)
    sent = finish()
    lines = screen(sent)

    assert sent.count(HIDE) == sent.count(SHOW) == 1
    assert sent.rindex(SHOW) > sent.rindex(HIDE)
    assert [line for line in lines if line] == [
        "epoch  1.25  step 50  val 1.7500 nats 2.525 bits  best",
        "  │ the sea the sea the sea the sea the sea the sea the sea",
        "  │ the sea the sea the sea the sea the sea",
        "  │",
        "  │ end",
        "epoch  2.50  step 100  val 1.8000 nats 2.597 bits",
        "charrnn: warning: too warm",
    ]


def test_live_display_shows_everything_in_narrow_windows(
    terminal: tuple[Callable[[], str], Console], clock: Clock
) -> None:
    finish, console = terminal
    display = LiveDisplay(console, clock)
    display.show(Evaluation(50, 1.25, 1.75, True, 5.0))
    with display:
        display.show(step(10))
        clock.now += 1
        display.show(step(25))
        clock.now += 0.01
        display.show(step(26))
    sent = finish()
    drawn = screen(sent[: sent.rindex("lr 2.0e-03") + 30])

    assert all(len(line) <= 60 for line in screen(sent))
    text = "\n".join(drawn)
    assert re.search(r"25%  8s left", text)
    assert "step 25  epoch 0.62  loss 1.500 nats 2.164 bits  val 1.750\n" in text
    assert "\nlr 2.0e-03  12,346 chars/s" in text
    assert "step 26" not in text


def test_what_is_said_is_broken_between_words(
    terminal: tuple[Callable[[], str], Console], clock: Clock
) -> None:
    """But for a command, which a terminal breaks and gives back whole."""
    finish, console = terminal
    display = LiveDisplay(console, clock)
    display.say("network: lstm 1 x 192, layer norm, 220,683 parameters")
    display.say("  single characters   3.0813 nats   4.445 bits")
    display.say("the run would be refused: m.npz exists already", "warning")
    display.say("train further: charrnn train saltmarsh.txt --resume --time 12s")

    assert finish().splitlines() == [
        "charrnn: network: lstm 1 x 192, layer norm, 220,683",
        "         parameters",
        "charrnn:   single characters   3.0813 nats   4.445 bits",
        "charrnn: warning: the run would be refused: m.npz exists",
        "         already",
        "charrnn: train further: charrnn train saltmarsh.txt --resume --time 12s",
    ]


def test_cursor_comes_back_after_an_error(
    terminal: tuple[Callable[[], str], Console], clock: Clock
) -> None:
    finish, console = terminal

    def fail() -> None:
        with LiveDisplay(console, clock) as display:
            display.show(step(1))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    sent = finish()

    assert sent.rindex(SHOW) > sent.rindex(HIDE)


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("mode", "quiet", "tty", "term", "kind"),
    [
        ("auto", False, True, "xterm", LiveDisplay),
        ("bar", False, True, "xterm", LiveDisplay),
        ("plain", False, True, "xterm", PlainDisplay),
        ("auto", False, False, "xterm", PlainDisplay),
        ("bar", False, False, "xterm", PlainDisplay),
        ("auto", False, True, "dumb", PlainDisplay),
        ("none", False, True, "xterm", MessageDisplay),
        ("auto", True, True, "xterm", QuietDisplay),
    ],
)
def test_choice_of_display(
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    quiet: bool,
    tty: bool,
    term: str,
    kind: type,
) -> None:
    """Nothing moves on what is not a real terminal, even if asked to."""
    stream = Terminal() if tty else io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")
    display = training_display(Console(file=stream), mode, quiet=quiet)

    assert type(display) is kind


def test_quiet_but_for_what_goes_wrong(out: io.StringIO, clock: Clock) -> None:
    """A save that failed is told: nobody would look for it."""
    with QuietDisplay(Console(file=out), clock) as display:
        display.say("hello")
        display.say("threads", "warning")
        for record in (step(1), Evaluation(1, 1.0, 2.0, True, 1.0), Warned("x"), END):
            display.show(record)
        display.preview("y")

    assert out.getvalue() == "charrnn: warning: x\n"


def test_messages_without_progress(out: io.StringIO, clock: Clock) -> None:
    with MessageDisplay(Console(file=out), clock) as display:
        display.say("hello")
        for record in (step(1), Evaluation(1, 1.0, 2.0, True, 1.0), Warned("x"), END):
            display.show(record)

    assert out.getvalue() == "charrnn: hello\ncharrnn: warning: x\n"


def test_texts() -> None:
    assert loss_text(math.log(4)) == "1.3863 nats 2.000 bits"


def test_plain_lines_count_once(plain: PlainDisplay, out: io.StringIO) -> None:
    """A log is told how much there is to be done, and no more."""
    for done in range(4):
        plain.count("compiling kernels", done, 3, " (once per machine)")

    assert out.getvalue() == "charrnn: compiling kernels: 3 (once per machine)\n"


def test_a_terminal_counts_in_one_line(out: io.StringIO) -> None:
    """It is written over, and gone when all is done, or when a line follows."""
    live = LiveDisplay(Console(file=out, force_terminal=True, width=60))
    live.count("compiling kernels", 0, 3, "")
    live.count("compiling kernels", 1, 3, "")
    shown = out.getvalue()
    live.say("ended")
    live.count("compiling kernels", 2, 3, "")
    live.count("compiling kernels", 3, 3, "")
    live.say("done")

    first, second, third = (
        f"\rcharrnn: compiling kernels {n} of 3\x1b[K" for n in (1, 2, 3)
    )
    assert shown == first + second
    assert out.getvalue() == (
        f"{shown}\r\x1b[Kcharrnn: ended\n{third}\r\x1b[Kcharrnn: done\n"
    )


def test_quiet_displays_do_not_count(out: io.StringIO) -> None:
    QuietDisplay(Console(file=out)).count("compiling kernels", 0, 3, "")

    assert out.getvalue() == ""
