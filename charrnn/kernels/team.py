"""Several threads on one product: pieces of it, taken from a board by whoever is free.

One text is made by one thread, the main one, and a window of fewer rows than threads
is gone through by one (`few_rows`). For a large network it has helpers, which wait for
products and do nothing else. A product is cut into pieces, each some columns of the
result; a column's sum is formed by one thread, in one order, so that results depend
neither on how many threads there are nor on who takes what.

Nobody is waited for who has not begun. Each thread has a range of pieces of its own,
always the same weights, which stay in its processor's cache; whoever is done with that
takes pieces from the others' ranges. Where the helpers have no processor, because the
machine is busy, the main thread does everything, and waits for at most one piece that
a helper was about. Who waits spins for some microseconds and then lets others run,
every time it looks (see `threads` for what spinning does otherwise).

The board is an array of whole numbers, read and written by atomic instructions:

    main      closes all ranges, writes what the job is, opens the ranges, and
              publishes the job's number; takes pieces; waits until all are done
    helpers   wait for a number; read what the job is; take pieces

A range is one number: the job's, and the next piece's. It is moved on by comparing and
swapping, so that a helper that read an old job, or half of a new one, cannot take a
piece of another: closing a range changes its number before anything else changes.
"""

import ctypes
import sys
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core import config as numba_config
from numba.extending import intrinsic
from numpy.typing import NDArray

from charrnn.arrays import LINE, Floats, aligned_zeros
from charrnn.kernels.jit import jit

Board = NDArray[np.int64]

#: Numbers of the board that lie in one line of the cache; what different threads write
#: lies in different ones.
_LINE = LINE // 8

#: Places on the board. The slice of work that is helped with, 0 for none, less than 0
#: for one that is over; the number of the last job.
SLICE, JOB = 0, _LINE

#: What the job is: the matrix, the product's rows, depth and columns, pieces, and
#: whether it is added to what is there; and how many threads there are.
NUMBER, ROWS, DEPTH, COLUMNS, PIECES, ADDS, WORKERS = range(2 * _LINE, 2 * _LINE + 7)

#: Pieces that are done; the first of the ranges.
DONE, RANGES = 3 * _LINE, 4 * _LINE

#: A range: the job's number above, the next piece's below. The last is no piece.
_SHIFT = 16
_CLOSED = 2**_SHIFT - 1

#: Turns that a waiting thread spins before it lets others run, some 50 ns each.
_SPINS = 400

#: Bytes of weights from which on helpers are worth waiting for.
SHARED_BYTES = 2**17

#: Rows of a product that is shared at most: more are shared by rows.
MOST_ROWS = 4

#: Threads of a team at most.
MOST_WORKERS = 64


class Room(NamedTuple):
    """What a team shares beside the weights: the board, and one job's numbers."""

    board: Board  # (0,) where nobody ever helps
    rows: Floats  # (MOST_ROWS * K,): the rows of a, one behind another
    bytes: NDArray[np.uint8]  # (MOST_ROWS * K,): the same, quantized
    scales: Floats  # (MOST_ROWS,) float32: theirs
    c: Floats  # (MOST_ROWS * N,): the result


def new_room(
    depth: int, columns: int, *, shared: bool, dtype: Any = np.float32
) -> Room:
    """Make room for jobs of a certain size; none if nobody helps.

    Parameters
    ----------
    depth, columns : int
        Of matrices.
    shared : bool
        Whether anybody helps.
    dtype : numpy dtype
        Of rows, and of what they are multiplied to.
    """
    shared = shared and POSSIBLE
    depth += -depth % 4  # bytes are read in fours
    size = MOST_ROWS if shared else 0
    words = (RANGES + MOST_WORKERS * _LINE) if shared else 0
    return Room(
        aligned_zeros(words, np.int64),
        aligned_zeros(size * depth, dtype),
        aligned_zeros(size * depth, np.uint8),
        aligned_zeros(size, np.float32),
        aligned_zeros(size * columns, dtype),
    )


#: What compiled code calls to let other threads run.
_GIVE_WAY = "charrnn_give_way"


def _find_give_way() -> bool:
    """Tell the linker where the system's own function stands, if there is one."""
    try:
        if sys.platform == "win32":
            function: Any = ctypes.windll.kernel32.SwitchToThread
        else:
            function = ctypes.CDLL(None).sched_yield
    except (AttributeError, OSError):
        return False
    address = ctypes.cast(function, ctypes.c_void_p).value
    if address is None:
        return False
    llvm.add_symbol(_GIVE_WAY, address)
    return True


#: Whether threads can help one another here.
POSSIBLE = _find_give_way() and not numba_config.DISABLE_JIT


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Point to a number of the board."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic  # type: ignore[untyped-decorator]
def peek(typing_context: Any, board: Any, index: Any) -> Any:
    """Read a number; what was written before it was put there is seen from now on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], *args)
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(board, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def put(typing_context: Any, board: Any, index: Any, value: Any) -> Any:
    """Write a number, after all that was written before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], *args[:2])
        builder.store_atomic(args[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(board, types.intp, types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _swap(typing_context: Any, board: Any, index: Any, old: Any, new: Any) -> Any:
    """Write a number in the place of another; tell whether that was there."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], *args[:2])
        found = builder.cmpxchg(place, args[2], args[3], "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    operands = board, types.intp, types.int64, types.int64
    return types.boolean(*operands), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _count(typing_context: Any, board: Any, index: Any) -> Any:
    """Add 1 to a number, after all that was written before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], *args)
        one = ir.Constant(ir.IntType(64), 1)
        builder.atomic_rmw("add", place, one, "seq_cst")
        return context.get_dummy_value()

    return types.void(board, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def rest(typing_context: Any, long: Any) -> Any:
    """Wait for some nanoseconds or, if it has been long, let other threads run."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        module = builder.module
        with builder.if_else(args[0]) as (after_long, otherwise):
            with after_long:
                kind = ir.FunctionType(ir.IntType(32), [])
                function = cgutils.get_or_insert_function(module, kind, _GIVE_WAY)
                builder.call(function, [])
            with otherwise:
                kind = ir.FunctionType(ir.VoidType(), [])
                if "x86" in llvm.get_process_triple():
                    name = "llvm.x86.sse2.pause"
                    pause = cgutils.get_or_insert_function(module, kind, name)
                    builder.call(pause, [])
        return context.get_dummy_value()

    return types.void(types.boolean), codegen


@jit
def publish(board: Board, job: tuple[int, int, int, int, int, bool]) -> int:
    """Offer a job to the helpers.

    Parameters
    ----------
    board : Board
        Nothing is left of the job before.
    job : (number, rows, depth, columns, pieces, adds)

    Returns
    -------
    int
        The job's number.
    """
    number, rows, depth, columns, pieces, adds = job
    this, workers = peek(board, JOB) + 1, peek(board, WORKERS)
    for worker in range(workers):
        put(board, RANGES + worker * _LINE, (this << _SHIFT) + _CLOSED)
    put(board, NUMBER, number)
    put(board, ROWS, rows)
    put(board, DEPTH, depth)
    put(board, COLUMNS, columns)
    put(board, PIECES, pieces)
    put(board, ADDS, 1 if adds else 0)
    put(board, DONE, 0)
    for worker in range(workers):
        put(board, RANGES + worker * _LINE, this << _SHIFT)
    put(board, JOB, this)
    return this


@jit
def read_job(board: Board) -> tuple[int, tuple[int, int, int, bool], int]:
    """Read what has been published; of use for whoever can take a piece of it.

    Returns
    -------
    number : int
    job : (rows, depth, columns, adds)
    pieces : int
    """
    rows, depth = peek(board, ROWS), peek(board, DEPTH)
    job = rows, depth, peek(board, COLUMNS), peek(board, ADDS) != 0
    return peek(board, NUMBER), job, peek(board, PIECES)


@jit
def take(board: Board, this: int, worker: int, pieces: int) -> int:
    """Take a piece, from a thread's own range or from the next one that has any.

    Parameters
    ----------
    board : Board
    this : int
        The job's number.
    worker : int
        The thread: 0 for the main one.
    pieces : int
        Of the job, all together.

    Returns
    -------
    int
        The piece's number; -1 if none is left of this job.
    """
    workers = peek(board, WORKERS)
    for turn in range(workers):
        owner = (worker + turn) % workers
        first, last = pieces * owner // workers, pieces * (owner + 1) // workers
        place = RANGES + owner * _LINE
        while True:
            found = peek(board, place)
            next_one = first + (found & _CLOSED)
            if found >> _SHIFT != this or next_one >= last:
                break
            if _swap(board, place, found, found + 1):
                return next_one
    return -1


@jit
def report(board: Board) -> None:
    """Say that a piece is done."""
    _count(board, DONE)


@jit
def await_all(board: Board, pieces: int) -> None:
    """Wait until all pieces of a job are done."""
    turns = 0
    while peek(board, DONE) < pieces:
        rest(turns > _SPINS)
        turns += 1


@jit
def await_job(board: Board, last: int, part: int) -> int:
    """Wait for a job behind the last one; -1 when this slice of work is over."""
    turns = 0
    while True:
        if peek(board, SLICE) != part:
            return -1
        this = peek(board, JOB)
        if this != last:
            return this
        rest(turns > _SPINS)
        turns += 1
