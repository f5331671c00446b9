"""A process that runs the command with standard streams in any state.

To start Python and to load the kernels takes longer than what is tested, and there
are many states. So one process runs every command once, as it is named on its own
command line in JSON, and then forks for every line that it reads: an object with
the ``arguments`` and, by the number of each stream, what it is to be. It answers
with the exit code.

As at Python's own start, a stream that is closed is None.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable

from tests.commands import moved, prepare, take_streams


def open_as(state: str, number: int) -> int | None:
    """Open what a standard stream is to be; None is closed.

    Parameters
    ----------
    state : str
        One of `STATES`, or the path of a file.
    number : int
        The stream's number.
    """
    if state in STATES:
        return STATES[state](number)
    way = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return os.open(state, way)


def _closed(number: int) -> None:
    return None


def _full(number: int) -> int:
    return os.open("/dev/full", os.O_RDWR)


def _wrong_way(number: int) -> int:
    """Open a file that can only be written to, or only be read."""
    return os.open("wrong", os.O_CREAT | (os.O_RDONLY if number else os.O_WRONLY))


def _wrong_end(number: int) -> int:
    """Make a pipe, of which the other process has the end that would be right."""
    return os.pipe()[0 if number else 1]


def _pipe_gone(number: int) -> int:
    """Make a pipe whose other end nobody has any more."""
    ends = os.pipe()
    mine = 1 if number else 0
    os.close(ends[1 - mine])
    return ends[mine]


def _socket(number: int) -> int:
    """Connect to somebody who has sent a prompt and then listens."""
    mine, other = socket.socketpair()
    other.sendall(b"the")
    other.shutdown(socket.SHUT_WR)
    other.detach()
    return mine.detach()


def _socket_gone(number: int) -> int:
    mine, other = socket.socketpair()
    other.close()
    return mine.detach()


def _terminal_gone(number: int) -> int:
    master, slave = os.openpty()
    os.close(master)
    return slave


STATES: dict[str, Callable[[int], int | None]] = {
    "closed": _closed,
    "full": _full,
    "wrong way": _wrong_way,
    "wrong end": _wrong_end,
    "pipe gone": _pipe_gone,
    "socket": _socket,
    "socket gone": _socket_gone,
    "terminal gone": _terminal_gone,
}


def become(arguments: list[str], states: dict[str, str]) -> None:
    """Give this process its streams, and be the command."""
    from charrnn.__main__ import main

    opened = [open_as(states[str(number)], number) for number in range(3)]
    take_streams([d if d is None else moved(d) for d in opened])
    sys.argv = ["charrnn", *arguments]
    main()


def serve(commands: list[list[str]]) -> None:
    """Run one command after the other, each in a process of its own."""
    from charrnn.__main__ import run
    from charrnn.training import probe

    probe.SECONDS = 0.01  # the time that a step takes is of no interest here
    asked = os.fdopen(moved(os.dup(0)), "r")
    answers = os.fdopen(moved(os.dup(1)), "w")
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    for arguments in commands:
        run([*arguments, "-q"])
    prepare()
    for line in asked:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            become(request["arguments"], request["states"])
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(code, file=answers, flush=True)


if __name__ == "__main__":
    signal.alarm(600)  # whatever happens to whoever has started it
    serve(json.loads(sys.argv[1]))
