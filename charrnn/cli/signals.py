"""Signals during a training: finish the step, save, then die by the signal.

As long as there is nothing to save, while texts are read and kernels are
compiled, the process dies at once.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from charrnn.display.color import is_terminal
from charrnn.training.records import StopReason

#: The signals that end a run, each with what the run's last record calls it.
ENDING: dict[str, StopReason] = {
    "SIGINT": "interrupted",
    "SIGTERM": "terminated",
    "SIGHUP": "hangup",
    "SIGXCPU": "cpu_limit",
}


def signal_number(name: str) -> int | None:
    """Look a signal up; Windows has only some of them."""
    return getattr(signal, name, None)


#: The same by the signals' numbers, as far as this system has them.
REASONS = {n: reason for name, reason in ENDING.items() if (n := signal_number(name))}

#: Asks a run to save and to go on.
SAVE = signal_number("SIGUSR1")

#: Those that come again by themselves: shell and terminal both send a hangup, and
#: the system tells every second that the limit of processor time is exceeded.
REPEATED = {signal_number("SIGHUP"), signal_number("SIGXCPU")}

#: What ends a stop. Open MPI's launcher also sends it a quarter of a second before it
#: asks its processes to end, and they have as long again before it kills them.
CONTINUE = signal_number("SIGCONT")

#: What Ctrl-Z sends.
STOP = signal_number("SIGTSTP")

#: What shells add to a signal's number to make an exit code of it.
SIGNALED = 128

SHOW_CURSOR = "\x1b[?25h"


class Killed(BaseException):
    """A command has cleaned up after a signal and is ready to die by it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def die_by(number: int) -> NoReturn:
    """End the process by a signal, so that its parent learns which one."""
    signal.signal(number, signal.SIG_DFL)
    _kill(number)
    sys.exit(SIGNALED + number)  # where the signal does not kill


def _kill(number: int) -> None:
    """Send this process a signal, or end it as if it had died by one."""
    if sys.platform == "win32":
        # There `os.kill` would end it, too, but with the bare number: code 2 of an
        # interrupted run would pass for wrong options.
        os._exit(SIGNALED + number)
    os.kill(os.getpid(), number)


class Caught:
    """The first signal that asked a run to end, if any, and requests to save."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.save_now = False

    @property
    def reason(self) -> StopReason | None:
        """Name of the signal, as the run's last record has it."""
        return None if self.number is None else REASONS[self.number]

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; leave at once when asked a second time.

        A second one of `REPEATED` asks for nothing.
        """
        if number in (SAVE, CONTINUE):
            self.save_now = True
        elif self.number is None:
            self.number = number
        elif number not in REPEATED:
            _show_cursor("\n")
            die_by(number)


def number_of(reason: StopReason) -> int | None:
    """Look up the signal that ends a run for some reason; None if none does."""
    numbers = (number for number, each in REASONS.items() if each == reason)
    return next(numbers, None)


def _show_cursor(more: str = "") -> None:
    """Give a terminal its cursor back, which a bar hides."""
    if is_terminal(sys.stderr):
        # Past Python's buffer, which may be in the middle of a write.
        with contextlib.suppress(OSError, ValueError):
            os.write(sys.stderr.fileno(), f"{SHOW_CURSOR}{more}".encode())


def _stop(number: int, frame: FrameType | None) -> None:
    """Stop, as after Ctrl-Z, until the shell lets the process go on."""
    _show_cursor()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)  # returns when it goes on
    signal.signal(number, _stop)


@contextlib.contextmanager
def caught_signals(
    caught: Caught | None = None, *, warned: bool = False
) -> Iterator[Caught]:
    """Catch what would end the process, but for what it was told to ignore.

    Parameters
    ----------
    caught : Caught, optional
        Where they are noted, for those who look already.
    warned : bool
        Whether `CONTINUE` may announce an end, so that it asks for a save.

    ``nohup`` and shells that start a job in the background ignore some
    signals for us; that is left as it is.
    """
    caught = caught or Caught()
    before = {}
    for number in filter(None, (*REASONS, SAVE, CONTINUE if warned else None)):
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, caught.handle)
    if STOP is not None and signal.getsignal(STOP) == signal.SIG_DFL:
        before[STOP] = signal.signal(STOP, _stop)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ending_at_once(tidy: Callable[[], None]) -> Iterator[None]:
    """Let a caught signal end the process: there is nothing to save yet.

    Python runs a handler between two instructions of its own, and those of a
    compiler may take seconds. So a thread waits for what the signal itself
    writes to a pipe.

    Parameters
    ----------
    tidy : callable
        Called before the process dies, by another thread.
    """
    import ctypes  # not needed to import this module

    reset = ctypes.pythonapi.PyOS_setsig
    reading, writing = os.pipe()
    if hasattr(os, "set_blocking"):  # not on Windows, which does not ask for it
        os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing)
    arguments = reading, tidy, lambda number: reset(number, None)
    watcher = threading.Thread(target=_die_by_next, args=arguments, daemon=True)
    started = False
    try:
        # Where no thread can be had, signals are noted, and obeyed a little later.
        with contextlib.suppress(RuntimeError):
            watcher.start()
            started = True
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)  # which ends the thread
        if started:
            watcher.join()
        os.close(reading)


def _die_by_next(
    pipe: int, tidy: Callable[[], None], reset: Callable[[int], object]
) -> None:
    """Die by the first signal whose number comes out of a pipe.

    Parameters
    ----------
    reset : callable
        Makes a signal deadly again. `signal.signal` would, but only in the
        main thread, and that one is busy.
    """
    while number := os.read(pipe, 1):
        if number[0] in REASONS:
            with contextlib.suppress(Exception):
                tidy()
            reset(number[0])
            _kill(number[0])
