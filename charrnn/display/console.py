"""The one way to a rich console for stderr."""

import errno
import sys
from collections.abc import Callable
from typing import IO

from rich.console import Console

from charrnn.display.color import is_terminal, wants_color
from charrnn.waiting import writable

#: Columns where neither the terminal nor COLUMNS names a number above 0.
WIDTH = 80

#: Seconds between two looks at whether anybody still wants to wait for a reader.
STALLED = 0.5


class PatientConsole(Console):
    """A console whose reader may leave without ending the process."""

    def on_broken_pipe(self) -> None:
        """Pass the error on, where rich would exit; called while it is handled."""
        raise


def stderr_console(color: str = "auto") -> Console:
    """Build a console for what is not payload.

    It never animates and never measures a file as if it were a terminal;
    whoever animates asks `color.is_terminal` first.
    """
    colored = wants_color(sys.stderr, color)
    console = PatientConsole(
        stderr=True,
        force_terminal=is_terminal(sys.stderr) or colored,
        no_color=not colored,
        color_system="auto" if colored else None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not is_terminal(sys.stderr),
    )
    if console.width < 1:  # COLUMNS=0
        console.width = WIDTH
    return console


def wait_for_reader(stream: IO[str] | IO[bytes], given_up: Callable[[], bool]) -> None:
    """Wait until a line can be written without waiting.

    A pipe whose reader has stopped, or a terminal after Ctrl-S, would keep a write
    from returning, and whoever writes from noticing anything else.

    Parameters
    ----------
    given_up : callable
        Asked every now and then while nobody reads.

    Raises
    ------
    TimeoutError
        Nobody reads, and `given_up` says that nobody waits for it.
    """
    while not _has_room(stream):
        if given_up():
            msg = "nobody reads it"
            raise TimeoutError(errno.ETIMEDOUT, msg)


def _has_room(stream: IO[str] | IO[bytes]) -> bool:
    """Wait a little until a line can be written, or until writing will tell.

    The latter is so of whatever cannot be waited for: what is in memory, what is
    closed, and rich's stand-in for a stream that is not there, whose descriptor
    is -1.
    """
    try:
        return writable(stream.fileno(), STALLED)
    except (OSError, ValueError):
        return True
