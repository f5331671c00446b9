"""What ranks tell each other at every step: gradients, losses, and who wants an end.

All of it goes into one buffer, which is added up over the ranks at once:

    [ gradient (P,) | loss, targets, what is not finite, seconds, requests ]

Added up are sums over targets, not means: ranks may have different numbers of them.
Nothing else is done meanwhile: the gradient of recurrent weights is complete when the
way back through time has ended, and then there is nothing left to do without it.
Whoever trains alone adds nothing up, and divides as it always did.
"""

import math
import time
from typing import NamedTuple, Protocol

import numpy as np

from charrnn.arrays import Floats, aligned_zeros
from charrnn.training.ranks import Ranks
from charrnn.training.records import StopReason

#: Why somebody may want a run to end, each with a place of its own in the buffer. If
#: ranks are asked for different reasons, all go by the first one of these.
REASONS: tuple[StopReason, ...] = ("interrupted", "terminated", "hangup", "cpu_limit")

#: The buffer's tail: the loss in two parts, the targets in two parts, ranks that have
#: met something that is not finite, the seconds of the first rank in two parts, and
#: how many ranks were asked for each of `REASONS`, and to save.
LOSS, TARGETS, UNSOUND, SECONDS, REQUESTS = 0, 2, 4, 5, 7
TAIL = REQUESTS + len(REASONS) + 1

#: Windows of an evaluation between two questions whether it is to be broken off: each
#: takes milliseconds, and ranks wait for one another to answer.
POLLS = 8

#: What targets are counted in, so that a float32 counts any number of them exactly.
BLOCK = 4096


class Request(Protocol):
    """What a run is asked for; see `run.StopRequest`."""

    save_now: bool

    @property
    def reason(self) -> StopReason | None:
        """Why the run should end, if it should."""


class SharedRequest:
    """What any rank is asked for, known to all of them at the same step.

    Parameters
    ----------
    ranks : Ranks
    own : Request
        What this rank is asked for: a signal may change it at any moment.

    Attributes
    ----------
    reason : str or None
        Why the run should end, as all ranks have agreed.
    """

    def __init__(self, ranks: Ranks, own: Request) -> None:
        self._ranks = ranks
        self._own = own
        self.reason: StopReason | None = None
        self._save_now = False
        self._polls = 0

    @property
    def save_now(self) -> bool:
        """Whether the run should save, as all ranks have agreed.

        What begins to be saved answers this rank's own request, too: a signal to all
        ranks does not come to all of them at the same step.
        """
        return self._save_now

    @save_now.setter
    def save_now(self, wanted: bool) -> None:
        self._save_now = wanted
        if not wanted:
            self._own.save_now = False

    def asked_here(self) -> bool:
        """Tell whether this rank is asked to end, which others need not know yet."""
        return self.reason is not None or self._own.reason is not None

    def numbers(self) -> list[float]:
        """Write down what this rank is asked for, to be added up."""
        save, self._own.save_now = self._own.save_now, False
        return [*(float(self._own.reason == each) for each in REASONS), float(save)]

    def take(self, sums: Floats) -> None:
        """Take in what all ranks are asked for."""
        asked = [each for each, n in zip(REASONS, sums, strict=False) if n > 0]
        if asked and self.reason is None:
            self.reason = asked[0]
        if sums[len(REASONS)] > 0:
            self.save_now = True

    def poll(self) -> bool:
        """Tell whether the run should end; ask all ranks every few times.

        All of them have to poll equally often.
        """
        self._polls += 1
        return self.agree() if self._polls % POLLS == 0 else self.reason is not None

    def agree(self) -> bool:
        """Ask all ranks at once, and tell whether the run should end."""
        sums = np.array(self.numbers())
        self._ranks.reduce(sums)
        self.take(sums)
        return self.reason is not None


class Found(NamedTuple):
    """What all ranks have found in a window."""

    loss: float  # nats per target
    targets: int
    sound: bool = True  # whether all that they carry along is finite
    seconds: float | None = None  # of training since the last step, of several ranks


class Exchange:
    """The gradient of a step, of a process that trains alone.

    Parameters
    ----------
    theta : (P,) float array
        What the gradient is of.

    Attributes
    ----------
    gradient : (P,) float array
    divisor : int or None
        What loss and gradient are divided by where they are formed; None is by the
        number of targets.
    """

    divisor: int | None = None

    def __init__(self, theta: Floats) -> None:
        self.gradient: Floats = aligned_zeros(theta.shape, theta.dtype)

    def begin(self) -> None:
        """Begin a step."""

    def reduce(self, loss: float, targets: int, state: Floats) -> Found:
        """Put the gradient of all ranks into `gradient`.

        Parameters
        ----------
        loss : float
            Of this rank's part of the window, divided as `divisor` says.
        targets : int
            Of this part.
        state : array
            Behind the window.
        """
        return Found(loss, targets)

    def end(self) -> None:
        """End a step."""


class SharedExchange(Exchange):
    """The gradient of a step, to which every rank adds its part.

    Parameters
    ----------
    theta : (P,) float array
    ranks : Ranks

    Attributes
    ----------
    request : SharedRequest or None
        What ranks are asked for; None outside of a run.
    """

    divisor = 1

    def __init__(self, theta: Floats, ranks: Ranks) -> None:
        self._ranks = ranks
        self._buffer = np.zeros(theta.size + TAIL, theta.dtype)
        self.gradient = self._buffer[: theta.size]
        self._tail = self._buffer[theta.size :]
        self.request: SharedRequest | None = None
        self._since = 0.0  # when training went on
        self._untold = 0.0  # seconds that the others have not been told

    def begin(self) -> None:
        """Begin a step: the clock goes on."""
        self._since = time.perf_counter()

    def reduce(self, loss: float, targets: int, state: Floats) -> Found:
        """Add everything up over the ranks, at once."""
        tail, seconds = self._tail, 0.0
        now = time.perf_counter()
        if self._ranks.rank == 0:
            seconds = self._untold + now - self._since
        self._since, self._untold = now, 0.0
        sound = math.isfinite(loss) and bool(np.isfinite(state).all())
        tail[LOSS : LOSS + 2] = self._parts(loss if sound else 0.0)
        tail[TARGETS : TARGETS + 2] = divmod(targets, BLOCK)
        tail[UNSOUND] = not sound
        tail[SECONDS : SECONDS + 2] = self._parts(seconds)
        tail[REQUESTS:] = self.request.numbers() if self.request is not None else 0
        self._ranks.reduce(self._buffer)
        if self.request is not None:
            self.request.take(tail[REQUESTS:])
        return self._found()

    def _found(self) -> Found:
        """Read the tail, and turn sums over all targets into means."""
        numbers = self._tail.astype(np.float64)
        high, low = numbers[TARGETS : TARGETS + 2]
        targets = round(high * BLOCK + low)
        sound = numbers[UNSOUND] == 0
        share = 1 / max(1, targets)
        # A gradient that is not finite shows in its norm.
        with np.errstate(all="ignore"):
            self.gradient *= self.gradient.dtype.type(share)
        loss = float(numbers[LOSS] + numbers[LOSS + 1]) * share
        return Found(
            loss if sound else math.nan,
            targets,
            bool(sound),
            float(numbers[SECONDS] + numbers[SECONDS + 1]),
        )

    def _parts(self, number: float) -> tuple[float, float]:
        """Write a number as two of the buffer's, the second what the first lacks."""
        first = float(self._tail.dtype.type(number))
        return first, number - first

    def end(self) -> None:
        """End a step: what it took since the others were told is told next time."""
        self._untold = time.perf_counter() - self._since


def exchange_of(theta: Floats, ranks: Ranks) -> Exchange:
    """Choose how gradients are added up."""
    return Exchange(theta) if ranks.size == 1 else SharedExchange(theta, ranks)
