"""`charrnn sample` at a terminal, a real one: what is shown, and Ctrl-C."""

import fcntl
import os
import pty
import signal
import subprocess
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from charrnn.__main__ import run
from tests.commands import command
from tests.factories import SYMBOLS, write_sampled

#: Whatever would like to color something may.
COLORFUL = {"TERM": "xterm-256color", "FORCE_COLOR": "1"}

CTRL_C = b"\x03"


@pytest.fixture(autouse=True)
def _in_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Terminal:
    """A process, the terminal that controls it, and what that was sent."""

    def __init__(self, *arguments: str) -> None:
        self._controller, terminal = pty.openpty()
        # Text arrives as it was written; Ctrl-C is not shown as ^C, and does not
        # make the terminal forget what it has not yet passed on.
        settings = termios.tcgetattr(terminal)
        settings[tty.OFLAG] &= ~termios.OPOST
        settings[tty.LFLAG] &= ~termios.ECHO
        settings[tty.LFLAG] |= termios.NOFLSH
        termios.tcsetattr(terminal, termios.TCSANOW, settings)
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        self._process = subprocess.Popen(
            command("sample", *arguments),
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.PIPE,
            env=environment | COLORFUL,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)
        self.sent = b""

    def read(self, size: int = -1) -> None:
        """Read until there is so much in all, or the process has ended."""
        while size < 0 or len(self.sent) < size:
            try:
                data = os.read(self._controller, 4096)
            except OSError:  # Linux: nobody has the other end open any more
                return
            if not data:
                return
            self.sent += data

    def press(self, keys: bytes) -> None:
        os.write(self._controller, keys)

    def end(self) -> tuple[int, bytes]:
        """Read the rest; return the exit code and what stderr got."""
        self.read()
        _, err = self._process.communicate(timeout=60)
        return self._process.returncode, err

    def close(self) -> None:
        """Let go of everything, also of a process that has not ended."""
        os.close(self._controller)
        self._process.kill()
        self._process.communicate()


@contextmanager
def at_terminal(*arguments: str) -> Iterator[Terminal]:
    terminal = Terminal(*arguments)
    try:
        yield terminal
    finally:
        terminal.close()


def written(*arguments: str) -> bytes:
    """Write exactly the text to a file, in this process."""
    assert run(["sample", *arguments, "-p", "", "--raw", "-o", "out.txt"]) == 0
    return Path("out.txt").read_bytes()


@pytest.mark.parametrize("color", [[], ["--color", "always"]])
def test_text_has_no_color(color: list[str]) -> None:
    """Neither it nor the prompt, whatever may be colored otherwise."""
    write_sampled(Path("m.npz"))
    options = ["m.npz", "-n", "300", "--seed", "1"]

    with at_terminal(*options, "-p", "T [b]a[/b]", "--unknown", "skip", *color) as it:
        code, err = it.end()
    with at_terminal(*options, *color) as nothing_given:
        bare_code, _ = nothing_given.end()

    assert code == bare_code == 0
    assert it.sent.startswith(b"T [b]a[/b]")
    assert b"\x1b" not in it.sent + nothing_given.sent
    assert b"unknown characters" in err
    # A terminal is not read: no prompt, and no wait for one.
    assert nothing_given.sent == written(*options) + b"\n"


@pytest.mark.parametrize(
    ("options", "escaped"), [([], True), (["--raw"], False)], ids=["spared", "raw"]
)
def test_control_characters_are_escaped(options: list[str], escaped: bool) -> None:
    """Those of the text and those of the prompt; newlines and tabs are not."""
    symbols = "\x00\t\n\r\x1b[m\x9b"
    write_sampled(Path("esc.npz"), symbols="".join(sorted(symbols)))
    arguments = ["esc.npz", "-n", "400", "--seed", "1"]
    prompt = "\x1b[m\r\n"
    expected = prompt + written(*arguments).decode()

    with at_terminal(
        *("esc.npz", "-n", "0", "-e", "-p", r"\x1b[m\x0d\n"), *options
    ) as echoed:
        assert echoed.end() == (0, b"")
    with at_terminal(*arguments, *options) as it:
        assert it.end() == (0, b"")
    sent = (echoed.sent + it.sent).decode()

    assert len(set(expected)) > 5
    if not escaped:
        assert sent == expected
        return
    assert not set(sent) & (set(symbols) - set("\t\n[m"))
    for control in "\x00\r\x1b\x9b":
        expected = expected.replace(control, f"\\x{ord(control):02x}")
    assert sent.removesuffix("\n") == expected.removesuffix("\n")


def test_bytes_are_shown_as_whole_characters() -> None:
    """What arrives is always text; bytes that are none are spelled out."""
    write_sampled(Path("b.npz"), unit="byte")
    options = ["b.npz", "-n", "500", "--seed", "1"]
    text = written(*options)

    with at_terminal(*options) as it:
        assert it.end() == (0, b"")

    shown = it.sent.decode().removesuffix("\n")
    assert all(c in "\n\t" or c.isprintable() or ord(c) >= 0xA0 for c in shown)
    for control in (*range(32), *range(127, 160)):
        if chr(control) not in "\n\t":
            assert chr(control) not in shown
    decoded = text.decode("utf-8", "backslashreplace")
    assert len(shown) >= len(decoded.removesuffix("\n"))
    assert shown.count("\\x") > 10


@pytest.mark.parametrize("more", [[], ["-q"], ["-v"], ["--best-of", "1"]])
def test_ctrl_c_ends_by_its_signal_after_flushing(more: list[str]) -> None:
    """All that arrived is the text that the seed gives, from its beginning."""
    write_sampled(Path("m.npz"))
    options = ["m.npz", "--seed", "3"]

    with at_terminal(*options, "-n", "-1", *more) as it:
        it.read(2000)
        it.press(CTRL_C)
        code, err = it.end()

    assert code == -signal.SIGINT
    assert b"Traceback" not in err
    assert b"error" not in err
    shown = it.sent.decode().removesuffix("\n")
    assert len(shown) > 1000
    assert set(shown) <= set(SYMBOLS)
    assert written(*options, "-n", str(len(shown))).decode() == shown
