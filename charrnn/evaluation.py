"""The loss of a text under a model: one pass, the state carried along.

A single stream would be read one character at a time, at a twentieth of the
speed of many. So a long text is cut into pieces that are read side by side,
and each piece is read from `WARM_UP` characters before its beginning, whose
losses do not count: by then the state is what one unbroken pass would have
had, to within a few ten-thousandths of a nat (benchmarks/README.md has the
figures). Every character is scored exactly once.
"""

from collections.abc import Callable, Iterator

import numpy as np

from charrnn.arrays import IGNORED, PackedIds
from charrnn.model import Model
from charrnn.streams import Window, document_starts

#: Characters that a piece reads before it counts.
WARM_UP = 512

#: A piece is at least this long, so that warming up stays a small share.
MIN_PIECE = 2048

#: Pieces at most, and steps in a window: enough to fill the processor, few
#: enough to stay in its cache.
MAX_PIECES = 64
STEPS = 32


def pieces(ids: PackedIds, before: int, newline: int | None) -> Iterator[Window]:
    """Cut a text into windows for evaluation.

    Parameters
    ----------
    ids : (N,) unsigned array
        The text, N >= 1. Every character is a target once.
    before : int
        What stands before its first character.
    newline : int, optional
        Given where every line is a document: the state is then cleared
        wherever this id is the input.
    """
    N = len(ids)
    B = max(1, min(MAX_PIECES, N // MIN_PIECE))
    length = -(-N // B)
    warm_up = WARM_UP if B > 1 else 0
    starts = np.arange(B) * length
    for first in range(-warm_up, length, STEPS):
        t = np.arange(first, min(first + STEPS, length))[:, None]
        places = starts + t
        targets = ids.take(places, mode="clip").astype(np.int32)
        inputs = ids.take(places - 1, mode="clip").astype(np.int32)
        inputs[places <= 0] = before
        targets[np.broadcast_to((t < 0) | (places >= N), targets.shape)] = IGNORED
        resets = document_starts(inputs, newline) | (places == 0)
        yield Window(inputs, targets, resets.astype(np.uint8))


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """Nobody waits for the evaluation any more."""


def mean_loss(
    model: Model,
    ids: PackedIds,
    before: int,
    newline: int | None = None,
    stopped: Callable[[], bool] | None = None,
) -> float:
    """Mean loss of a text, in nats per character; see `pieces`.

    Parameters
    ----------
    stopped : callable, optional
        Asked after every window, a few hundredths of a second apart.

    Raises
    ------
    Stopped
        When `stopped` says so.
    """
    total, state = 0.0, None
    for window in pieces(ids, before, newline):
        if stopped is not None and stopped():
            raise Stopped
        if state is None:
            state = model.new_state(window.inputs.shape[1])
        total += float(model.losses(*window, state).sum())
    return total / len(ids)
