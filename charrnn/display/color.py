"""Whether a stream gets color, and whether it may be animated.

Decided per stream and by what the stream is, not by rich: ``FORCE_COLOR``
makes rich take a log file for a terminal.
"""

import os
from typing import IO


def is_terminal(stream: IO[str] | None) -> bool:
    """Tell whether a person looks at this stream. A closed one is nobody's."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def wants_color(stream: IO[str] | None, mode: str = "auto") -> bool:
    """Decide on color: the option, NO_COLOR, FORCE_COLOR, then the terminal.

    Parameters
    ----------
    mode : str
        ``always``, ``never`` or ``auto``, as ``color`` says.
    """
    if mode != "auto":
        return mode == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"
