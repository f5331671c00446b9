"""The three standard streams of a process, made safe before anything else is done.

A process may be started with any of them closed, or open in the wrong direction
(``2< file``). In the first case Python has None in the stream's place, and the
next file that is opened gets the stream's number: whatever a library prints there
would end up in that file. In the second case every use fails, and to wait until a
pipe's reading end can be written to is to wait for ever.

After `settle` a stream is either None or can be used, and no other file has its
number. What becomes of a stream later, when a reader leaves or a disk is full, is
left to whoever uses it.
"""

import contextlib
import os
import sys
from typing import IO

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

#: The streams by their numbers, each with the way of opening it that is wrong.
_STREAMS = (
    (0, "stdin", os.O_WRONLY),
    (1, "stdout", os.O_RDONLY),
    (2, "stderr", os.O_RDONLY),
)

#: The bits that say which way a file is open.
_WAYS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR


def settle() -> None:
    """Make every standard stream one that can be used, or None.

    What is of no use leads to /dev/null from then on. For standard error that is
    all there is to it: nobody wants to know that messages are not read. Standard
    input and output become None, so that a command that needs one can say so.
    """
    for number, name, wrong in _STREAMS:
        if _is_open(number, wrong):
            continue
        setattr(sys, name, None)
        # Without a /dev/null, a stream that is None has to do.
        with contextlib.suppress(OSError):
            _lead_nowhere(number)
            if name == "stderr":
                # As Python opens it: no message is too odd to be written, and the
                # number stays taken whatever becomes of the object.
                sys.stderr = open(  # noqa: SIM115
                    number, "w", errors="backslashreplace", closefd=False
                )


def silence(stream: IO[bytes]) -> None:
    """Lead a stream's descriptor to /dev/null.

    Python keeps what it failed to write and tries again at exit, where an
    error would be printed and change the exit code.
    """
    try:
        descriptor = stream.fileno()
    except OSError:  # in memory: it has none
        return
    _lead_nowhere(descriptor)


def _is_open(number: int, wrong: int) -> bool:
    """Tell whether a descriptor is open, and not only in the wrong direction."""
    try:
        if fcntl is None:
            os.fstat(number)
            return True
        return fcntl.fcntl(number, fcntl.F_GETFL) & _WAYS != wrong
    except OSError:
        return False


def _lead_nowhere(number: int) -> None:
    """Put /dev/null in the place of a descriptor, for child processes, too."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == number:  # it was closed, and the first number that is free
        os.set_inheritable(number, True)
        return
    try:
        os.dup2(nowhere, number)
    finally:
        os.close(nowhere)
