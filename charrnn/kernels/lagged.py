"""Links of a cell to its own outputs further back than one step (``lags``).

    seen = [h_(t-1), h_(t-l), h_(t-m), ...]     the K states that a step sees, (B, KH)
    z    = x Wx^T + b + seen Wh^T               Wh (GH, KH), a block of columns a lag

A cell multiplies Wh by what it sees, as one product, and need not know how that
came about. What stands here puts the states side by side before a step, and takes
their gradients apart after the way back through it. No link reaches back over the
beginning of a document: what stood before it is seen as zeros.

The kernels here are compiled by themselves, once for all cells, and not into every
loop that calls them: they copy and add, which gives the same bits in any copy.

With the lag 1 alone a cell sees its state itself, and nothing is copied.
"""

from typing import Any, NamedTuple

import numpy as np

from charrnn.arrays import Flags, Floats, Ids, aligned_zeros
from charrnn.kernels.jit import jit


class Links(NamedTuple):
    """Which states a step sees, and room for them in one window (T, B).

    They are fields of a cell's tape, each by itself: a parallel loop takes no tuple
    within a tuple.

    With the lag 1 alone `seen` and `dseen` are the cell's states and gradients of
    states themselves, and all else is None: kernels are then compiled without what
    further lags need. M is the largest lag.
    """

    lags: Ids | None  # (K,): from small to large; the first is 1
    seen: Floats  # (T, B, KH): what each step saw
    dseen: Floats  # (B, KH): its gradient at one step
    reach: Ids | None  # (T, B): how many steps back, at most M, the document reaches
    past: Floats | None  # (M - 1, B, H): h of 1, 2, ... steps before the window's state
    pending: Floats | None  # (M, B, H): gradients of h on their way to earlier steps;
    #                         that of the state before step t stands at t modulo M


def own_state(states: Floats, dstates: Floats) -> Links:
    """Let each step see the state before it and nothing else, in its place.

    Parameters
    ----------
    states : (S, T + 1, B, H) float array
    dstates : (S, B, H) float array
        Those of a cell's tape.
    """
    return Links(None, states[0, :-1], dstates[0], None, None, None)


def new_links(lags: tuple[int, ...], T: int, B: int, H: int, dtype: Any) -> Links:
    """Make room for one window with several lags."""
    K, M = len(lags), lags[-1]
    return Links(
        lags=np.array(lags, np.int32),
        seen=aligned_zeros((T, B, K * H), dtype),
        dseen=aligned_zeros((B, K * H), dtype),
        reach=np.zeros((T, B), np.int32),
        past=aligned_zeros((M - 1, B, H), dtype),
        pending=aligned_zeros((M, B, H), dtype),
    )


@jit(parallel=False)
def gather(
    lags: Ids, seen: Floats, reach: Ids, past: Floats, h: Floats, resets: Flags,
    t: int, a: int, b: int,
) -> None:  # fmt: skip
    """Put what step t sees side by side, for rows a to b.

    Parameters
    ----------
    lags, seen, reach, past
        Of `Links`; seen[t] and reach[t] are written.
    h : (T + 1, B, H) float array
        The states before each step, known up to t, where they are zero if a document
        begins.
    resets : (T, B) uint8 array
        Rows whose document begins at a step.
    """
    H, furthest = h.shape[2], lags[lags.size - 1]
    for n in range(a, b):
        reached = furthest
        if resets[t, n]:
            reached = 0
        elif t > 0:
            reached = min(furthest, reach[t - 1, n] + 1)
        reach[t, n] = reached
        for k in range(lags.size):
            out = seen[t, n, k * H : (k + 1) * H]
            source = t + 1 - lags[k]
            if k > 0 and lags[k] > reached:
                for j in range(H):
                    out[j] = 0
            else:
                row = h[source, n] if source >= 0 else past[-1 - source, n]
                for j in range(H):
                    out[j] = row[j]


@jit(parallel=False)
def hand_back(
    lags: Ids, dseen: Floats, reach: Ids, pending: Floats, dh: Floats, resets: Flags,
    t: int, a: int, b: int,
) -> None:  # fmt: skip
    """Share the gradient of what step t saw out to the states that it saw.

    Parameters
    ----------
    lags, dseen, reach, pending
        Of `Links`. dseen is made ready for the step before: dh, and zeros for the
        further lags.
    dh : (B, H) float array
        Written: the gradient of h before the step, from this step and all later
        ones.
    resets : (T, B) uint8 array
        Rows whose document begins at a step: dh is zero there.
    """
    H, M = dh.shape[1], lags[lags.size - 1]
    for n in range(a, b):
        due = pending[t % M, n]
        for j in range(H):
            if resets[t, n]:
                dh[n, j] = 0
            else:
                dh[n, j] = dseen[n, j] + due[j]
            due[j] = 0
            dseen[n, j] = dh[n, j]
        for k in range(1, lags.size):
            row = pending[(t + 1 - lags[k] + M) % M, n]
            for j in range(H):
                if lags[k] <= reach[t, n]:
                    row[j] += dseen[n, k * H + j]
                dseen[n, k * H + j] = 0


@jit(parallel=False)
def gather_carried(lags: Ids, seen: Floats, state: Floats, kinds: int) -> None:
    """Put what a single step sees side by side, out of one layer's carried state.

    The past of that state is then moved on by a step, h included; h itself is still
    to be written.

    Parameters
    ----------
    lags, seen
        Of `Links`, for one step; seen[0] is written.
    state : (S + M - 1, B, H) float array
        The cell's S arrays, then h of 1, 2, ... steps before.
    kinds : int
        S.
    """
    H = state.shape[2]
    for k in range(lags.size):
        source = state[kinds + lags[k] - 2] if k > 0 else state[0]
        for n in range(state.shape[1]):
            for j in range(H):
                seen[0, n, k * H + j] = source[n, j]
    for age in range(state.shape[0] - 1, kinds - 1, -1):
        younger = state[age - 1] if age > kinds else state[0]
        for n in range(state.shape[1]):
            for j in range(state.shape[2]):
                state[age, n, j] = younger[n, j]


def begin_back(tape: Any, *, whole: bool) -> None:
    """Make ready for the way back through a window, or through the rest of it.

    Parameters
    ----------
    tape : Tape
        With links, and the gradient of h after the step that is gone back through
        first.
    whole : bool
        Whether that is the window's last step: there is no gradient yet, and what
        another window has left is forgotten.
    """
    dh = tape.dstates[0]
    tape.dseen[:, : dh.shape[1]] = 0 if whole else dh
    tape.dseen[:, dh.shape[1] :] = 0
    if whole:
        tape.pending[...] = 0


def carry(tape: Any, past: Floats) -> None:
    """Write the past of the state that a window leaves.

    Parameters
    ----------
    tape : Tape
        With links, as the way forward left it.
    past : (M - 1, B, H) float array
        Written: h of 1, 2, ... steps before the last; zeros where the document
        does not reach so far back.
    """
    h = tape.states[0]
    last = len(h) - 1
    reached = tape.reach[-1] + 1  # by a step that would come next
    for age in range(1, len(past) + 1):
        source = h[last - age] if age <= last else tape.past[age - last - 1]
        within = (age + 1 <= reached)[:, None]
        past[age - 1] = np.where(within, source, 0)
