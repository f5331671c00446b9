"""Signals during a training: finish the step, save, then die by the signal."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from charrnn.display.color import is_terminal
from charrnn.training.records import StopReason

#: What a signal is called in the run's last record.
REASONS: dict[int, StopReason] = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "hangup",
}

SHOW_CURSOR = "\x1b[?25h"


class Killed(BaseException):
    """A command has cleaned up after a signal and is ready to die by it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def die_by(number: int) -> NoReturn:
    """End the process by a signal, so that its parent learns which one."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)  # where the signal does not kill


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

        A second SIGHUP asks for nothing: shell and terminal both send one.
        """
        if number == signal.SIGUSR1:
            self.save_now = True
        elif self.number is None:
            self.number = number
        elif number != signal.SIGHUP:
            if is_terminal(sys.stderr):
                sys.stderr.write(SHOW_CURSOR + "\n")
                sys.stderr.flush()
            die_by(number)


@contextlib.contextmanager
def caught_signals() -> Iterator[Caught]:
    """Catch what would end the process, but for what it was told to ignore.

    ``nohup`` and shells that start a job in the background ignore some
    signals for us; that is left as it is.
    """
    caught = Caught()
    before = {}
    for number in (*REASONS, signal.SIGUSR1):
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, caught.handle)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
