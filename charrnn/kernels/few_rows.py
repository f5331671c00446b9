"""Products of a few rows, which threads share by columns of the weights.

Windows of fewer rows than there are threads cannot be cut into a block of rows for
each of them. One thread, the main one, then goes through time alone, and the others
help it with every product: each reads a part of the weights, and to read them is what
takes the time of a product of one row. `team` says how they share.

Main thread and helpers are iterations of one parallel loop. Which of them begins, and
whether two have a processor at the same time, is the threading layer's affair: a
helper that finds nobody at work waits for a moment and leaves, and the main thread
waits for no helper that has not begun with a piece.

What this takes is compiled for trainings that need it and for no other: it would add
three seconds to every first start.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.core import config as numba_config
from numba.extending import overload

from charrnn.arrays import Floats
from charrnn.kernels import team
from charrnn.kernels.inputs import Inputs
from charrnn.kernels.jit import OPTIONS, jit
from charrnn.kernels.matmul import FORMS, Form, multiply
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.rows import PANELS, copy_rows
from charrnn.kernels.team import MOST_ROWS, SHARED_BYTES, Room

#: Turns that a helper waits for the main thread to begin: a millisecond at least.
_TURNS = 4000


class SharedPanels(NamedTuple):
    """A matrix B (K, n), with what threads need that share its products."""

    panels: Floats  # (P, K, W)
    room: Room
    number: int  # RECURRENT or INPUT


#: Which of a layer's matrices it is: Wh, or Wx.
RECURRENT, INPUT = 0, 1


@jit
def _piece(panels: Floats, room: Room, job: tuple[int, int, int, bool], k: int) -> None:
    """Form piece k of a job, PANELS panels: (rows, depth, columns, whether it adds).

    In the room, a piece's part of C is a matrix (rows, columns of the piece) by itself,
    behind those of the pieces before it.
    """
    m, depth, n, adds = job
    width = panels.shape[2]
    done, last = k * PANELS, min(panels.shape[0], (k + 1) * PANELS)
    first, end = done * width, min(n, last * width)
    a = room.rows[: m * depth].reshape(m, depth)
    c = room.c[m * first : m * end].reshape(m, end - first)
    multiply(a, panels[done:last], c, adds)


@jit
def _copy_pieces(c: Floats, room: Room, width: int, back: bool) -> None:
    """Copy C (m, n) to the room, or back, piece by piece of `width` columns."""
    m, n = c.shape
    for first in range(0, n, width):
        end = min(n, first + width)
        part = room.c[m * first : m * end].reshape(m, end - first)
        if back:
            copy_rows(part, c[:, first:end])
        else:
            copy_rows(c[:, first:end], part)


@jit
def _is_shared(W: SharedPanels, m: int) -> bool:
    """Tell whether helpers are there, or may come, and have enough to do."""
    if m > MOST_ROWS or W.panels.size * W.panels.itemsize < SHARED_BYTES:
        return False
    return team.peek(W.room.board, team.SLICE) > 0


@jit(called=True)
def _multiply_shared(a: Floats, W: SharedPanels, c: Floats, accumulate: bool) -> None:
    """See `matmul.multiply`."""
    (m, depth), n = a.shape, c.shape[1]
    if not _is_shared(W, m):
        multiply(a, W.panels, c, accumulate)
        return
    room, board, rows = W.room, W.room.board, a.reshape(-1)
    for i in range(m * depth):
        room.rows[i] = rows[i]
    width = PANELS * W.panels.shape[2]
    if accumulate:
        _copy_pieces(c, room, width, False)
    pieces = -(-W.panels.shape[0] // PANELS)
    this = team.publish(board, (W.number, m, depth, n, pieces, accumulate))
    while True:
        k = team.take(board, this, 0, pieces)
        if k < 0:
            break
        _piece(W.panels, room, (m, depth, n, accumulate), k)
        team.report(board)
    team.await_all(board, pieces)
    _copy_pieces(c, room, width, True)


def _multiply_alone(a: Floats, W: SharedPanels, c: Floats, accumulate: bool) -> None:
    """See `matmul.multiply`; for runs without the JIT."""
    multiply(a, W.panels, c, accumulate)


def _matrix(stacked: SharedPanels, k: int) -> SharedPanels:
    """Take matrix k out of several, as a view."""
    return SharedPanels(stacked.panels[k], stacked.room, stacked.number)


FORMS[SharedPanels] = Form(
    _multiply_alone if numba_config.DISABLE_JIT else _multiply_shared, _matrix
)


class Alone(NamedTuple):
    """In place of a room where nobody helps: less is compiled for it."""

    board: team.Board  # (0,)


NOBODY = Alone(np.zeros(0, np.int64))


# What the loops over time call. Numba takes a NamedTuple of arrays into a parallel loop
# but none that has another one in it: panels and room meet inside.


def share_recurrent(weights: Recurrent, room: Room | Alone) -> Recurrent:
    """Lay a cell's weights out as threads share them; as they are without a room."""
    if isinstance(room, Alone):
        return weights
    return Recurrent(SharedPanels(weights.Wh, room, RECURRENT), weights.own)


def share_inputs(inputs: Inputs, room: Room | Alone) -> Inputs:
    """Lay the weights of a layer's inputs out likewise."""
    if isinstance(room, Alone):
        return inputs
    ahead = SharedPanels(inputs.forward, room, INPUT)
    back = SharedPanels(inputs.backward, room, INPUT)
    return Inputs(inputs.ids, inputs.table, inputs.x, ahead, back, inputs.b)


def begin(room: Room | Alone, part: int, workers: int) -> None:
    """Let helpers come: workers with the main thread, as many whenever it is this room.

    The last job of the part before counts as done only for as many as shared it.
    """


def end(room: Room | Alone, part: int) -> None:
    """Let them go; they see it when they look for the next job."""


def help_out(
    weights: Recurrent, Wx: Floats, room: Room | Alone, part: int, worker: int
) -> None:
    """Take pieces of the main thread's products, from its beginning to its end.

    Parameters
    ----------
    weights : Recurrent
        Its Wh (P, K, W) is number RECURRENT.
    Wx : (P, K, W) float array
        Number INPUT.
    room : Room or Alone
    part : int
        What the main thread is about to do; see `next_part`.
    worker : int
        This thread, at least 1.
    """


@jit
def next_part(room: Room | Alone) -> int:
    """Find a number, from 1 on, for what the main thread is about to do.

    Asked for once, before the parallel loop; 0 without a room.
    """
    return abs(team.peek(room.board, team.SLICE)) + 1 if room.board.size > 0 else 0


@jit
def _await_begin(board: team.Board, part: int) -> bool:
    """Wait for the main thread for a moment; False if it has ended, or not come."""
    for turn in range(_TURNS):
        found = team.peek(board, team.SLICE)
        if found == part:
            return True
        if found == -part:
            return False
        team.rest(turn > _TURNS // 2)
    return False


@jit(called=True)
def _help_out(Wh: Floats, Wx: Floats, room: Room, part: int, worker: int) -> None:
    """See `help_out`."""
    board, this = room.board, 0
    if not _await_begin(board, part):
        return
    while True:
        this = team.await_job(board, this, part)
        if this < 0:
            return
        number, job, pieces = team.read_job(board)
        while True:
            k = team.take(board, this, worker, pieces)
            if k < 0:
                break
            _piece(Wh if number == RECURRENT else Wx, room, job, k)
            team.report(board)


def _shares(room: Any) -> bool:
    """Tell whether there is a room, by Numba's type."""
    return room.instance_class is Room


@overload(share_recurrent, strict=False, inline="always")  # type: ignore[untyped-decorator]
def _share_recurrent(weights: Any, room: Any) -> Any:
    def shared(weights: Any, room: Any) -> Any:
        return Recurrent(SharedPanels(weights.Wh, room, RECURRENT), weights.own)

    return shared if _shares(room) else lambda weights, room: weights


@overload(share_inputs, strict=False, inline="always")  # type: ignore[untyped-decorator]
def _share_inputs(inputs: Any, room: Any) -> Any:
    def shared(inputs: Any, room: Any) -> Any:
        return Inputs(
            inputs.ids,
            inputs.table,
            inputs.x,
            SharedPanels(inputs.forward, room, INPUT),
            SharedPanels(inputs.backward, room, INPUT),
            inputs.b,
        )

    return shared if _shares(room) else lambda inputs, room: inputs


_chosen = {"strict": False, "jit_options": OPTIONS}


@overload(begin, **_chosen)  # type: ignore[untyped-decorator]
def _begin(room: Any, part: Any, workers: Any) -> Any:
    def shared(room: Any, part: Any, workers: Any) -> None:
        team.put(room.board, team.WORKERS, workers)
        team.put(room.board, team.SLICE, part)

    return shared if _shares(room) else lambda room, part, workers: None


@overload(end, **_chosen)  # type: ignore[untyped-decorator]
def _end(room: Any, part: Any) -> Any:
    def shared(room: Any, part: Any) -> None:
        team.put(room.board, team.SLICE, -part)

    return shared if _shares(room) else lambda room, part: None


@overload(help_out, **_chosen)  # type: ignore[untyped-decorator]
def _help(weights: Any, Wx: Any, room: Any, part: Any, worker: Any) -> Any:
    def shared(weights: Any, Wx: Any, room: Any, part: Any, worker: Any) -> None:
        _help_out(weights.Wh, Wx, room, part, worker)

    return shared if _shares(room) else lambda weights, Wx, room, part, worker: None
