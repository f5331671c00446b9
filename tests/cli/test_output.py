"""Text on its way out: what a terminal is spared, when a pipe gets it, who left."""

import errno
import io
import math
import os
import pty
import signal
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli import output
from charrnn.cli.output import (
    PIPE_BYTES,
    PIPE_DELAY,
    TERMINAL_DELAY,
    ReaderGone,
    TextSink,
    open_stdout,
)
from charrnn.errors import OutputError


class Clock:
    """A time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.BytesIO):
    """A stream in memory that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pipe() -> Iterator[tuple[int, BinaryIO]]:
    """Open a real pipe: the descriptor to read from, the stream to write to."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    stream = os.fdopen(writer, "wb")
    yield reader, stream
    stream.close()
    os.close(reader)


def read(descriptor: int) -> bytes:
    """Fetch what has arrived; nothing if nothing has."""
    try:
        return os.read(descriptor, 1_000_000)
    except BlockingIOError:
        return b""


def fill(stream: BinaryIO) -> int:
    """Write to a pipe until nothing more fits; tell how many bytes it took."""
    descriptor, taken = stream.fileno(), 0
    os.set_blocking(descriptor, False)
    try:
        while True:
            taken += os.write(descriptor, bytes(1000))
    except BlockingIOError:
        os.set_blocking(descriptor, True)
        return taken


def leave(descriptor: int) -> None:
    """Stop reading a pipe, but keep the descriptor's number in use."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)


def write_and_be_interrupted(stream: BinaryIO, text: str) -> None:
    """Press Ctrl-C while some text still waits."""
    with TextSink(stream) as sink:
        sink.write(text)
        raise KeyboardInterrupt


@contextmanager
def interrupt_soon() -> Iterator[None]:
    """Press Ctrl-C once, unless the block has ended by then."""

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, press)
    signal.setitimer(signal.ITIMER_REAL, 0.005)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def shown(*texts: str | bytes, raw: bool = False) -> str:
    """Collect what a terminal gets to see of some texts."""
    stream = Terminal()
    with TextSink(stream, raw=raw) as sink:
        for text in texts:
            sink.write(text)
    return stream.getvalue().decode("latin-1" if raw else "utf-8")


def piped(*texts: str | bytes) -> bytes:
    """Collect what a pipe gets of some texts."""
    stream = io.BytesIO()
    with TextSink(stream) as sink:
        for text in texts:
            sink.write(text)
    return stream.getvalue()


@pytest.mark.parametrize("unbuffered", [False, True])
def test_interrupted_write_loses_nothing_and_repeats_nothing(
    pipe: tuple[int, BinaryIO], monkeypatch: pytest.MonkeyPatch, unbuffered: bool
) -> None:
    """Each wait for a full pipe is cut short; what is left goes out later."""
    reader, stream = pipe
    if unbuffered:  # as under PYTHONUNBUFFERED
        stream = io.FileIO(stream.fileno(), "wb", closefd=False)
    text_stream = io.TextIOWrapper(stream, write_through=True)
    monkeypatch.setattr(sys, "stdout", text_stream)
    monkeypatch.setattr(output, "PIPE_DELAY", math.inf)  # nothing goes out by itself
    before = fill(stream)
    text = "".join(f"{n:07d} " for n in range(1000))
    sink = open_stdout()
    sink.write(text)

    received, cut, finished = b"", 0, False
    while not finished:
        try:
            with interrupt_soon():
                sink.flush()
            finished = True
        except KeyboardInterrupt:
            cut += 1
            received += os.read(reader, 1500)
    received += read(reader)

    assert cut > 5
    assert received[before:] == text.encode()
    text_stream.detach()


def test_pipe_waits_for_a_newline(pipe: tuple[int, BinaryIO], clock: Clock) -> None:
    reader, stream = pipe
    sink = TextSink(stream, clock=clock)

    sink.write("no newline")
    assert read(reader) == b""
    sink.write(" yet\nand")
    assert read(reader) == b"no newline yet\nand"


def test_pipe_waits_no_longer_than_its_delay(
    pipe: tuple[int, BinaryIO], clock: Clock
) -> None:
    reader, stream = pipe
    sink = TextSink(stream, clock=clock)

    sink.write("a")
    clock.now += PIPE_DELAY - 0.001
    sink.write("b")
    assert read(reader) == b""
    clock.now += 0.002
    sink.write("c")
    assert read(reader) == b"abc"
    sink.write("d")
    assert read(reader) == b""


def test_pipe_gets_8_kib_at_once(pipe: tuple[int, BinaryIO], clock: Clock) -> None:
    """Counted in bytes, not in characters."""
    reader, stream = pipe
    sink = TextSink(stream, clock=clock)

    sink.write("ä" * (PIPE_BYTES // 2 - 1))
    assert read(reader) == b""
    sink.write("ä")
    assert len(read(reader)) == PIPE_BYTES


def test_terminal_is_refreshed_by_time_alone(clock: Clock) -> None:
    stream = Terminal()
    sink = TextSink(stream, clock=clock)

    sink.write("a\n")
    assert stream.getvalue() == b""
    clock.now += TERMINAL_DELAY + 0.001
    sink.write("b")
    assert stream.getvalue() == b"a\nb"


def test_terminal_never_waits_longer_than_its_delay(clock: Clock) -> None:
    """A character every 5 ms: the oldest unseen one is never 33 ms old."""
    stream = Terminal()
    sink = TextSink(stream, clock=clock)

    for count in range(1, 200):
        clock.now += 0.005
        sink.write("x")
        unseen = count - len(stream.getvalue())
        assert unseen * 0.005 < 0.033


def test_close_passes_on_the_rest_and_drops_what_comes_later() -> None:
    stream = io.BytesIO()
    sink = TextSink(stream)

    sink.write("rest")
    sink.close()
    sink.write("late")
    sink.close()

    assert stream.getvalue() == b"rest"
    assert not stream.closed


def test_text_before_an_interrupt_is_passed_on() -> None:
    stream = io.BytesIO()

    with pytest.raises(KeyboardInterrupt):
        write_and_be_interrupted(stream, "half a sen")

    assert stream.getvalue() == b"half a sen"


@given(st.lists(st.text() | st.binary()))
def test_pipe_gets_every_byte_unchanged(texts: list[str | bytes]) -> None:
    expected = b"".join(t if isinstance(t, bytes) else t.encode() for t in texts)

    assert piped(*texts) == expected


def test_control_characters_are_shown_at_a_terminal() -> None:
    """An escape sequence, bell, carriage return, delete and a C1 introducer."""
    text = "\x1b[31mred\a\r\x7f\x9b2J\x00"

    assert shown(text) == r"\x1b[31mred\x07\x0d\x7f\x9b2J\x00"


def test_newline_tab_and_all_letters_reach_a_terminal() -> None:
    text = "a\tb\nätsch \xa0 \u3000世界 🐙 می\u200cروم"

    assert shown(text) == text


@given(st.lists(st.text() | st.binary()))
def test_terminal_never_gets_a_control_character(texts: list[str | bytes]) -> None:
    controls = {chr(c) for c in (*range(32), *range(127, 160))} - {"\n", "\t"}

    assert not controls & set(shown(*texts))


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])),
    st.integers(1, 5),
)
def test_bytes_become_whole_characters_at_a_terminal(text: str, size: int) -> None:
    """However they are cut; the stream is checked after every piece."""
    data = text.encode()
    stream = Terminal()
    sink = TextSink(stream)

    for start in range(0, len(data), size):
        sink.write(data[start : start + size])
        sink.flush()
        assert text.startswith(stream.getvalue().decode())
    sink.close()

    assert stream.getvalue().decode() == text


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"a\xffb"], r"a\xffb"),
        ([b"caf\xc3"], r"caf\xc3"),
        ([b"\xe4\xb8", b"x"], r"\xe4\xb8x"),
        ([b"\xc3", "\n", b"\xa4"], "\\xc3\n\\xa4"),
        ([b"\x1b[2J"], r"\x1b[2J"),
    ],
)
def test_invalid_bytes_are_shown_at_a_terminal(
    pieces: list[str | bytes], expected: str
) -> None:
    """Also a character that the end, or a separator, cuts in half."""
    assert shown(*pieces) == expected


def test_raw_sends_a_terminal_what_a_pipe_gets() -> None:
    assert shown("\x1b[31m", b"\xff", raw=True) == "\x1b[31m\xff"


def test_escaped_bytes_of_an_argument_are_given_back() -> None:
    """A pipe gets the byte, a terminal is shown it; other surrogates are lost."""
    assert piped("caf\udce9") == b"caf\xe9"
    assert shown("caf\udce9") == r"caf\xe9"
    assert piped("a\ud800b") == b"a?b"


def test_pseudo_terminal_is_recognized() -> None:
    """A real one: what arrives at the other end is harmless."""
    controller, terminal = pty.openpty()
    tty.setraw(terminal)
    with os.fdopen(terminal, "wb") as stream:
        with TextSink(stream) as sink:
            sink.write("\x1b]0;title\a\n")
        arrived = os.read(controller, 1000)
    os.close(controller)

    assert sink.terminal
    assert arrived == b"\\x1b]0;title\\x07\n"


def test_reader_that_leaves_is_reported_once(pipe: tuple[int, BinaryIO]) -> None:
    """Afterwards the sink is closed, and closing the stream does not fail."""
    reader, stream = pipe
    leave(reader)
    sink = TextSink(stream)

    with pytest.raises(ReaderGone):
        sink.write("anyone?\n")

    assert sink.closed
    sink.write("nobody\n")
    sink.close()
    stream.close()


def test_error_in_the_block_is_not_hidden_by_a_reader_who_left(
    pipe: tuple[int, BinaryIO],
) -> None:
    reader, stream = pipe
    leave(reader)

    with pytest.raises(KeyboardInterrupt):
        write_and_be_interrupted(stream, "waiting")


def test_pipe_that_does_not_block_gets_everything(pipe: tuple[int, BinaryIO]) -> None:
    """More than a pipe holds, read slowly by somebody else."""
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    os.set_blocking(reader, True)
    text, got = "0123456789\n" * 30_000, bytearray()

    def drain() -> None:
        while len(got) < len(text):
            got.extend(os.read(reader, 50_000))

    thread = threading.Thread(target=drain)
    thread.start()
    with TextSink(stream) as sink:
        for start in range(0, len(text), 100_000):
            sink.write(text[start : start + 100_000])
    thread.join(timeout=10)

    assert got.decode() == text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_full_disk_is_an_output_error() -> None:
    with open("/dev/full", "wb") as stream:  # noqa: PTH123 - says what it does
        sink = TextSink(stream)
        with pytest.raises(OutputError, match="No space left") as caught:
            sink.write("text\n")

    assert caught.value.exit_code == 6
    assert caught.value.hint
    assert sink.closed


class Failing(io.BytesIO):
    """A stream with a descriptor, to which nothing can be written."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_an_error_of_the_disk_is_none_of_a_terminal(tmp_path: Path) -> None:
    """Of which the same one means that it was closed."""
    file = os.open(tmp_path / "x", os.O_CREAT | os.O_WRONLY)
    master, slave = pty.openpty()
    with pytest.raises(OutputError, match="Input/output error"):
        TextSink(Failing(file)).write("x\n")
    with pytest.raises(ReaderGone):
        TextSink(Failing(slave)).write("x\n")
    for descriptor in (file, master, slave):
        os.close(descriptor)


def test_closed_standard_output_is_an_output_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    with pytest.raises(OutputError, match="closed"):
        open_stdout()


PROGRAM = """
import sys
from charrnn.cli.output import ReaderGone, open_stdout
try:
    with open_stdout() as sink:
        while True:
            sink.write("all work and no play\\n")
except ReaderGone:
    sys.exit(0)
"""


def test_interpreter_ends_quietly_after_the_reader_left() -> None:
    """Nothing on stderr and exit code 0, although a buffer was never delivered."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.read(10)
    process.stdout.close()
    complaints = process.stderr.read()
    process.stderr.close()

    assert (first, complaints, process.wait(timeout=10)) == (b"all work a", b"", 0)


def test_importing_it_costs_neither_rich_nor_numpy() -> None:
    """Nor typer: training and inspection may write through it at once."""
    code = (
        "import sys, charrnn.cli.output; "
        "print(sorted({'rich', 'typer', 'numpy', 'numba'} & set(sys.modules)))"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True)

    assert result.stdout == b"[]\n", result.stderr
