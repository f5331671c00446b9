"""Run charrnn as if on Windows: what Python does not have there is taken away.

    python -m tests.windows train t.txt

What is not ours is imported before, since it would go other ways there. The kernels
are those of this machine.
"""

import errno
import os
import select
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numba
import numpy as np
import rich.console
import typer.main

__all__ = ["np", "numba", "rich", "typer"]

#: Modules that cannot be imported there.
MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty")

#: What the system's module lacks.
SYSTEM = (
    *("O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC"),
    *("chown", "fchmod", "fchown", "fork", "getegid", "geteuid", "getgid", "getuid"),
    *("lchown", "mkfifo", "nice", "sched_getaffinity", "set_blocking", "statvfs"),
    *("killpg", "getpgid", "getpgrp", "setsid", "openpty", "sysconf", "sched_yield"),
)

#: The signals that there are.
SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"}


class Locks(ModuleType):
    """Stands for ``msvcrt``: locks that are files beside the locked ones."""

    LK_NBLCK = 2

    def locking(self, handle: int, mode: int, size: int) -> None:
        """Lock a file once."""
        name = Path(f"/proc/self/fd/{handle}").readlink()
        if mode != self.LK_NBLCK or size != 1:
            msg = f"mode {mode}, size {size}"
            raise ValueError(msg)
        if Path(f"{name}.held").exists():
            raise PermissionError(errno.EACCES, "Permission denied")


def only_sockets(*arguments: object) -> None:
    """Answer as ``select`` does to whoever waits for a pipe or a file."""
    raise OSError(errno.ENOTSOCK, "An operation was attempted on no socket")


def end(process: int, number: int) -> None:
    """End a process as ``os.kill`` does, with the bare number as its exit code."""
    os._exit(number)


_set_blocking, _set_wakeup_fd = os.set_blocking, signal.set_wakeup_fd


def set_wakeup_fd(descriptor: int) -> int:
    """Let signals be written to any pipe; here it may not be one that blocks."""
    if descriptor >= 0:
        _set_blocking(descriptor, False)
    return _set_wakeup_fd(descriptor)


def remove(module: ModuleType, names: Iterable[str]) -> None:
    """Take names from a module, so far as it has them."""
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


def pretend() -> None:
    """Take away what Windows does not have."""
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    sys.modules["msvcrt"] = Locks("msvcrt")
    remove(os, SYSTEM)
    signals = {n for n in dir(signal) if n.startswith("SIG") and n.isupper()}
    remove(signal, signals - SIGNALS - {"SIG_DFL", "SIG_IGN"})
    select.select = only_sockets  # type: ignore[assignment]
    signal.set_wakeup_fd = set_wakeup_fd  # type: ignore[assignment]
    os.kill = end


if __name__ == "__main__":
    pretend()
    from charrnn.__main__ import main
    from charrnn.cli import signals

    # For our own module only: Python's would look for other modules of theirs.
    answers = {**vars(sys), "platform": "win32"}
    signals.sys = SimpleNamespace(**answers)  # type: ignore[attr-defined, assignment]
    main()
