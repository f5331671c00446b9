"""Products of a few rows, which threads share by columns of the weights.

Windows of fewer rows than there are threads cannot be cut into a block of rows for
each of them. One thread, the main one, then goes through time alone, and the others
help it with every product: each reads a part of the weights, and to read them is what
takes the time of a product of one row. `team` says how they share.

Main thread and helpers are iterations of one parallel loop. Which of them begins, and
whether two have a processor at the same time, is the threading layer's affair: a
helper that finds nobody at work waits for a moment and leaves, and the main thread
waits for no helper that has not begun with a piece.
"""

from typing import Any, NamedTuple

from numba.core import config as numba_config
from numba.extending import overload

from charrnn.arrays import Floats
from charrnn.kernels import team
from charrnn.kernels.blocks import ROWS
from charrnn.kernels.inputs import Inputs
from charrnn.kernels.jit import OPTIONS, jit
from charrnn.kernels.matmul import FORMS, Form, multiply
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.rows import MANY, PANELS, few_rows_by_panels, rows_by_panel
from charrnn.kernels.team import MOST_ROWS, Room

#: Bytes of a matrix from which on helpers are worth waiting for.
SHARED_BYTES = 2**17

#: Turns that a helper waits for the main thread to begin: a millisecond or so.
_TURNS = 4000


class SharedPanels(NamedTuple):
    """A matrix B (K, n), with what threads need that share its products."""

    panels: Floats  # (P, K, W)
    room: Room  # without a board, if nobody ever helps
    number: int  # RECURRENT or INPUT


#: Which of a layer's matrices it is: Wh, or Wx.
RECURRENT, INPUT = 0, 1


@jit
def _piece(panels: Floats, room: Room, job: tuple[int, int, int, bool], k: int) -> None:
    """Form piece k of a job, PANELS panels: (rows, depth, columns, whether it adds)."""
    m, depth, n, adds = job
    width = panels.shape[2]
    done, last = k * PANELS, min(panels.shape[0], (k + 1) * PANELS)
    if m < MANY and done + PANELS == last:
        first = done * width
        few_rows_by_panels(
            room.rows, panels[done:last].reshape(-1), room.c[first:], (depth, n),
            (m, depth, n - first), adds,
        )  # fmt: skip
        return
    for j in range(done, last):
        first = j * width
        rows_by_panel(
            room.rows, panels[j].reshape(-1), room.c[first:], (depth, 1, n),
            (min(ROWS, m), depth, n - first), (0, 0), adds,
        )  # fmt: skip


@jit
def _is_shared(W: SharedPanels, m: int) -> bool:
    """Tell whether helpers are there, or may come, and have enough to do."""
    if W.room.board.size == 0 or m > MOST_ROWS:
        return False
    if W.panels.size * W.panels.itemsize < SHARED_BYTES:
        return False
    return team.peek(W.room.board, team.SLICE) > 0


@jit
def _multiply_shared(a: Floats, W: SharedPanels, c: Floats, accumulate: bool) -> None:
    """See `matmul.multiply`."""
    (m, depth), n = a.shape, c.shape[1]
    if not _is_shared(W, m):
        multiply(a, W.panels, c, accumulate)
        return
    room, board, rows, flat = W.room, W.room.board, a.reshape(-1), c.reshape(-1)
    for i in range(m * depth):
        room.rows[i] = rows[i]
    if accumulate:
        for i in range(m * n):
            room.c[i] = flat[i]
    pieces = -(-W.panels.shape[0] // PANELS)
    this = team.publish(board, (W.number, m, depth, n, pieces, accumulate))
    while True:
        k = team.take(board, this, 0, pieces)
        if k < 0:
            break
        _piece(W.panels, room, (m, depth, n, accumulate), k)
        team.report(board)
    team.await_all(board, pieces)
    for i in range(m * n):
        flat[i] = room.c[i]


def _multiply_alone(a: Floats, W: SharedPanels, c: Floats, accumulate: bool) -> None:
    """See `matmul.multiply`; for runs without the JIT."""
    multiply(a, W.panels, c, accumulate)


def _matrix(stacked: SharedPanels, k: int) -> SharedPanels:
    """Take matrix k out of several, as a view."""
    return SharedPanels(stacked.panels[k], stacked.room, stacked.number)


FORMS[SharedPanels] = Form(
    _multiply_alone if numba_config.DISABLE_JIT else _multiply_shared, _matrix
)


# What the loops over time call. Numba takes a NamedTuple of arrays into a parallel loop
# but none that has another one in it: panels and room meet inside.


def share_recurrent(weights: Recurrent, room: Room) -> Recurrent:
    """Lay a cell's weights out as threads share them.

    Parameters
    ----------
    weights : Recurrent
        With panels (P, K, W); others are not shared, and stay what they are.
    room : Room
    """
    if weights.Wh.ndim != 3:
        return weights
    return Recurrent(SharedPanels(weights.Wh, room, RECURRENT), weights.own)


def share_inputs(inputs: Inputs, room: Room) -> Inputs:
    """Lay the weights of a layer's inputs out likewise."""
    if inputs.forward.ndim != 3:
        return inputs
    ahead = SharedPanels(inputs.forward, room, INPUT)
    back = SharedPanels(inputs.backward, room, INPUT)
    return Inputs(inputs.ids, inputs.table, inputs.x, ahead, back, inputs.b)


@overload(share_recurrent, strict=False, inline="always")  # type: ignore[untyped-decorator]
def _share_recurrent(weights: Any, room: Any) -> Any:
    def shared(weights: Any, room: Any) -> Any:
        return Recurrent(SharedPanels(weights.Wh, room, RECURRENT), weights.own)

    panels = weights.types[weights.fields.index("Wh")]
    return shared if panels.ndim == 3 else lambda weights, room: weights


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

    panels = inputs.types[inputs.fields.index("forward")]
    return shared if panels.ndim == 3 else lambda inputs, room: inputs


@jit
def next_part(room: Room) -> int:
    """Find a number, from 1 on, for what the main thread is about to do."""
    return abs(team.peek(room.board, team.SLICE)) + 1 if room.board.size > 0 else 0


@jit
def begin(room: Room, part: int, workers: int) -> None:
    """Let helpers come: workers with the main thread."""
    team.put(room.board, team.WORKERS, workers)
    team.put(room.board, team.SLICE, part)


@jit
def end(room: Room, part: int) -> None:
    """Let them go; they see it when they look for the next job."""
    team.put(room.board, team.SLICE, -part)


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


def help_out(Wh: Floats, Wx: Floats, room: Room, part: int, worker: int) -> None:
    """Take pieces of the main thread's products, from its beginning to its end.

    Parameters
    ----------
    Wh, Wx : (P, K, W) float arrays
        Numbers RECURRENT and INPUT. With others nothing is shared, nor done here.
    room : Room
    part : int
        What the main thread is about to do; see `next_part`.
    worker : int
        This thread, at least 1.
    """


@overload(help_out, strict=False, jit_options=OPTIONS)  # type: ignore[untyped-decorator]
def _help(Wh: Any, Wx: Any, room: Any, part: Any, worker: Any) -> Any:
    def shared(Wh: Any, Wx: Any, room: Any, part: Any, worker: Any) -> None:
        _help_out(Wh, Wx, room, part, worker)

    return shared if Wh.ndim == 3 else lambda Wh, Wx, room, part, worker: None


@jit
def _help_out(Wh: Floats, Wx: Floats, room: Room, part: int, worker: int) -> None:
    """See `help_out`."""
    board, this = room.board, 0
    if not _await_begin(board, part):
        return
    while True:
        this = team.await_job(board, this, part)
        if this < 0:
            return
        number, m = team.peek(board, team.NUMBER), team.peek(board, team.ROWS)
        depth, n = team.peek(board, team.DEPTH), team.peek(board, team.COLUMNS)
        job = m, depth, n, team.peek(board, team.ADDS) != 0
        pieces = team.peek(board, team.PIECES)
        while True:
            k = team.take(board, this, worker, pieces)
            if k < 0:
                break
            if number == RECURRENT:
                _piece(Wh, room, job, k)
            else:
                _piece(Wx, room, job, k)
            team.report(board)
