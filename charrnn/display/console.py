"""The one way to a rich console for stderr."""

import sys

from rich.console import Console

from charrnn.display.color import is_terminal, wants_color


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
    return PatientConsole(
        stderr=True,
        force_terminal=is_terminal(sys.stderr) or colored,
        no_color=not colored,
        color_system="auto" if colored else None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not is_terminal(sys.stderr),
    )
