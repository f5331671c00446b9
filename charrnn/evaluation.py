"""The loss of a text under a model: one pass, the state carried along.

A single stream would be read one character at a time, at a twentieth of the
speed of many. So a long text is cut into pieces that are read side by side,
and each piece is read from `WARM_UP` characters before its beginning, whose
losses do not count: by then the state is what one unbroken pass would have
had, to within a few ten-thousandths of a nat (benchmarks/README.md has the
figures). Every character that the network predicts is scored exactly once.
"""

from collections.abc import Callable, Iterator

import numpy as np

from charrnn.arrays import IGNORED, PackedIds
from charrnn.textmodel import TextModel
from charrnn.windows import Documents, Window

#: Characters that a piece reads before it counts.
WARM_UP = 512

#: A piece is at least this long, so that warming up stays a small share.
MIN_PIECE = 2048

#: Pieces at most, and steps in a window: enough to fill the processor, few
#: enough to stay in its cache.
MAX_PIECES = 64
STEPS = 32


def pieces(ids: PackedIds, documents: Documents) -> Iterator[Window]:
    """Cut a text into windows for evaluation.

    Parameters
    ----------
    ids : (N,) unsigned array
        The text, N >= 1. Every character that the network predicts is a target once.
    documents : Documents
        How texts and documents begin.
    """
    N = len(ids)
    B = max(1, min(MAX_PIECES, N // MIN_PIECE))
    length = -(-N // B)
    warm_up = WARM_UP if B > 1 else 0
    starts = np.arange(B) * length
    for first in range(-warm_up, length, STEPS):
        t = np.arange(first, min(first + STEPS, length))[:, None]
        window = documents.window(ids, starts + t)
        # While a piece warms up its characters are another piece's to score.
        window.targets[t[:, 0] < 0] = IGNORED
        yield window


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """Nobody waits for the evaluation any more."""


def mean_loss(
    model: TextModel, ids: PackedIds, stopped: Callable[[], bool] | None = None
) -> float:
    """Compute the mean loss of what a network predicts of a text; see `pieces`.

    The first character of a text before which nothing is read is not its to
    predict, and does not count.

    Parameters
    ----------
    ids : (N,) unsigned array
        The text, N >= 1.
    stopped : callable, optional
        Asked after every window, a few hundredths of a second apart.

    Returns
    -------
    float
        Nats per character; 0 where there is none to predict.

    Raises
    ------
    Stopped
        When `stopped` says so.
    """
    total, state = 0.0, None
    for window in pieces(ids, model.documents):
        if stopped is not None and stopped():
            raise Stopped
        if state is None:
            state = model.network.new_state(window.inputs.shape[1])
        total += float(model.network.losses(window, state).sum())
    return total / max(1, len(ids) - model.documents.first)
