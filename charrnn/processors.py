"""How many threads to use: as asked, as the environment says, or all there are."""

import os
import re

from charrnn.errors import OptionError, field


def available_processors() -> int:
    """Count the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: int) -> None:
    """Raise `OptionError` unless a number of threads is at least 1."""
    if threads < 1:
        msg = f"{field('threads')} must be at least 1, not {threads}"
        raise OptionError(msg, hint="leave it away to use all processors")


def resolve_threads(asked: int | None) -> tuple[int, str | None]:
    """Settle the number of threads; warn if fewer than were asked for.

    What is asked for goes before ``CHARRNN_THREADS``, which goes before the number
    of processors that this process may run on.

    Raises
    ------
    OptionError
        The number is below 1, or the variable is no number.
    """
    if asked is not None:
        check_threads(asked)
    if asked is None and (variable := os.environ.get("CHARRNN_THREADS")):
        # Of so many digits Python would not make a number.
        asked = int(variable) if re.fullmatch(r"\d{1,9}", variable) else 0
        if asked < 1:
            msg = f"CHARRNN_THREADS is {variable!r}, not a number of threads"
            raise OptionError(msg, hint="set it to 1 or more, or unset it")
    allowed = available_processors()
    if asked is None:
        return allowed, None
    if asked > allowed:
        return allowed, f"{asked} threads asked for, {allowed} processors to use"
    return asked, None
