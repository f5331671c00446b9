"""What a process finds around it: variables of libraries, limits, installed parts.

Libraries answer a variable that makes no sense, a limit that is too low or a part
that is missing with errors of their own, which name none of them, or with an abort.
Here such a variable is found before a library reads it, and an error that only the
surroundings can have caused becomes one that names what is to be changed.
"""

import os
import re
import traceback
from typing import NamedTuple

from charrnn.errors import CharRNNError, MissingComponentError, OptionError

# At once: where memory has run out, nothing more can be imported.
try:
    import resource
except ImportError:  # on Windows
    resource = None  # type: ignore[assignment]

#: What Python says when the system refuses a thread.
NO_THREAD = "can't start new thread"

#: What to do about a limit of processes, which counts threads.
PROCESSES = "raise the limit of processes: ulimit -u, or that of the container"


class Variable(NamedTuple):
    """A variable of the environment that a library reads, as it must be.

    Parameters
    ----------
    pattern : str
        What its whole value must match, as a regular expression.
    meaning : str
        What it is, for a message.
    hint : str
        What to do when it is none.
    """

    pattern: str
    meaning: str
    hint: str

    def check(self, name: str) -> str | None:
        """Return the value; None if it is not set, or empty and may be so.

        Raises
        ------
        OptionError
            It is something else.
        """
        value = os.environ.get(name)
        if value is None or re.fullmatch(self.pattern, value, re.ASCII):
            return value or None
        msg = f"{name} is {value!r}, not {self.meaning}"
        raise OptionError(msg, hint=self.hint)


# More digits than these no library takes for a number. An empty variable is as good
# as none: Numba warns of it, and goes on.
_COUNT = r"(\s*0*[1-9]\d{0,8}\s*)?"

#: What Numba fails to start with, and what typer fails to write a help with.
NUMBA_THREADS = Variable(
    _COUNT, "a number of threads", "set it to 1 or more, or unset it"
)
THREADING_LAYER = Variable(
    r"(?i:default|safe|threadsafe|forksafe|omp|tbb|workqueue)",
    "a threading layer",
    "set it to default, omp, tbb or workqueue, or unset it",
)
TERMINAL_WIDTH = Variable(
    _COUNT, "a number of columns", "set it to 20 or more, or unset it"
)


def memory_limit() -> str | None:
    """Write the limit of this process's memory as a shell sets it, if it has one."""
    if resource is not None:
        for option, kind in (("v", resource.RLIMIT_AS), ("d", resource.RLIMIT_DATA)):
            limit = resource.getrlimit(kind)[0]
            if limit != resource.RLIM_INFINITY:
                return f"ulimit -{option} {limit // 1024}"
    return None


def failed_library(error: BaseException) -> str | None:
    """Name the library that could not be imported, if that is what went wrong."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        library = error.name.partition(".")[0]
        return None if library == "charrnn" else library
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "<module>":
            library = str(frame.f_globals.get("__name__")).partition(".")[0]
            if library not in ("charrnn", "__main__"):
                return library
    return None


def explained(error: Exception) -> CharRNNError | None:
    """Find out whether an error comes from the surroundings, and say of what.

    Returns
    -------
    CharRNNError or None
        None if it does not; then it is an error of somebody's program.
    """
    library, limit = failed_library(error), memory_limit()
    fewer = "try a smaller network, batch or text"
    if isinstance(error, MemoryError) or (
        limit and library and isinstance(error, ImportError | OSError)
    ):
        # Whatever a library has no room for, it says that it has not found it.
        hint = fewer if limit is None else f"raise the limit, or {fewer}"
        return CharRNNError("out of memory", where=limit, hint=hint)
    if isinstance(error, RuntimeError) and NO_THREAD in str(error):
        return CharRNNError("no more threads can be started", hint=PROCESSES)
    if library is None:
        return None
    if library == "typer":
        try:
            TERMINAL_WIDTH.check("TERMINAL_WIDTH")
        except OptionError as found:
            return found
    if isinstance(error, ModuleNotFoundError):
        msg, verb = f"{library} is not installed", "install it"
    else:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg, verb = f"{library} cannot be loaded: {reason}", "install it anew"
    return MissingComponentError(msg, hint=f"{verb}, for instance with pip")
