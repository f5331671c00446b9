"""A terminal, a real one, with a process in it: its keys, and what it shows."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import pyte
import pytest

from tests.commands import command

#: Whatever would like to color something may.
COLORFUL = {"TERM": "xterm-256color", "FORCE_COLOR": "1"}

CTRL_C, CTRL_D = b"\x03", b"\x04"

UP, DOWN, RIGHT, LEFT = b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D"

#: Seconds that a loaded machine may take for anything.
PATIENCE = 120.0


class Terminal:
    """A process, the terminal that controls it, and what that was sent.

    Parameters
    ----------
    *arguments : str
        Of the command.
    columns, lines : int
        Of the terminal.
    stdout : file, optional
        Where standard output goes; to the terminal, if not given.
    stderr : int or None
        As for `subprocess.Popen`; None is the terminal.
    """

    def __init__(
        self,
        *arguments: str,
        columns: int = 80,
        lines: int = 24,
        stdout: IO[bytes] | None = None,
        stderr: int | None = subprocess.PIPE,
    ) -> None:
        self._controller, terminal = pty.openpty()
        # Text arrives as it was written; Ctrl-C is not shown as ^C, and does not
        # make the terminal forget what it has not yet passed on.
        settings = termios.tcgetattr(terminal)
        settings[tty.OFLAG] &= ~termios.OPOST
        settings[tty.LFLAG] &= ~termios.ECHO
        settings[tty.LFLAG] |= termios.NOFLSH
        termios.tcsetattr(terminal, termios.TCSANOW, settings)
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
        self.settings = settings
        environment = {k: v for k, v in os.environ.items() if k not in HIDDEN}
        self._process = subprocess.Popen(
            command("sample", *arguments),
            stdin=terminal,
            stdout=terminal if stdout is None else stdout,
            stderr=terminal if stderr is None else stderr,
            env=environment | COLORFUL,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)
        self.sent = b""
        self._screen = pyte.Screen(columns, lines)
        self._screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.ByteStream(self._screen)

    def read(self, size: int = -1) -> None:
        """Read until there is so much in all, or the process has ended."""
        while size < 0 or len(self.sent) < size:
            if not self._read_some():
                return

    def _read_some(self) -> bool:
        """Wait for something, and read it; False at the end."""
        try:
            data = os.read(self._controller, 4096)
        except OSError:  # Linux: nobody has the other end open any more
            return False
        self.sent += data
        self._stream.feed(data)
        return bool(data)

    def press(self, keys: bytes) -> None:
        """Press some keys."""
        os.write(self._controller, keys)

    @property
    def screen(self) -> tuple[str, str]:
        """What stands on the screen in the usual color, and what in another.

        Lines end in newlines; blanks behind their ends do not count.
        """
        usual, other = [], ""
        for y in range(self._screen.lines):
            line = ""
            for x in range(self._screen.columns):
                cell = self._screen.buffer[y][x]
                plain = cell.fg == "default"
                line += cell.data if plain else " "
                other += "" if plain else cell.data
            usual.append(line.rstrip())
        return "\n".join(usual).rstrip("\n"), other.rstrip()

    def shows(self, usual: str, other: str | None = None) -> None:
        """Wait until the screen shows a text, and another in another color.

        Parameters
        ----------
        usual : str
            All of what is in the usual color.
        other : str, optional
            All of what is not; anything, if not given.
        """

        def is_so() -> bool:
            found = self.screen
            return found[0] == usual and other in (None, found[1])

        self.wait(is_so)

    def wait(self, is_so: Callable[[], bool]) -> None:
        """Read until something is so, or fail."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            left = max(0.0, end - time.monotonic())
            ready, _, _ = select.select([self._controller], [], [], left)
            if not ready or not self._read_some():
                if is_so():
                    return
                usual, other = self.screen
                pytest.fail(
                    f"the screen shows\n{usual}\nand in another color {other!r}"
                )

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal is set as it was when the process began."""
        return termios.tcgetattr(self._controller) == self.settings

    def send(self, number: int) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

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


#: Variables that would have less shown.
HIDDEN = ("NO_COLOR", "COLUMNS")


@contextmanager
def at_terminal(*arguments: str, **options: object) -> Iterator[Terminal]:
    """Run the command `sample` at a terminal."""
    terminal = Terminal(*arguments, **options)  # type: ignore[arg-type]
    try:
        yield terminal
    finally:
        terminal.close()
