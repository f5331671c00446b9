"""Styled lines as what is written to a stream: with color codes, or without."""

import io
import sys

from rich.console import Console
from rich.text import Text

from charrnn.display.color import wants_color

#: Lines are made to fit before they come here; rich must not wrap them again.
UNBOUNDED = 1 << 20


class Board:
    """Turn lines into text for standard output.

    Parameters
    ----------
    color : str
        ``auto``, ``always`` or ``never``, as ``color`` says.
    """

    def __init__(self, color: str = "auto") -> None:
        self.colored = wants_color(sys.stdout, color)
        self._console = _console("auto")
        if self._console.color_system is None:  # asked for on an unknown terminal
            self._console = _console("256")

    def render(self, line: Text) -> str:
        """Write a line, with its newline and without blanks at its end."""
        if not self.colored:
            return line.plain.rstrip() + "\n"
        with self._console.capture() as capture:
            self._console.print(line, end="\n", soft_wrap=True)
        return capture.get()


def _console(color_system: str) -> Console:
    """Build a console that only turns styles into codes."""
    return Console(
        file=io.StringIO(),
        width=UNBOUNDED,
        force_terminal=True,
        no_color=False,
        color_system=color_system,  # type: ignore[arg-type]
        highlight=False,
        markup=False,
        emoji=False,
    )
