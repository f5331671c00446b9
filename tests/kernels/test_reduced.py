"""Products with weights in bfloat16 and int8: exact where they must be, row by row.

Emitted code has no bounds checks: what it writes stands between guard cells.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.kernels import team
from charrnn.kernels.bfloat16 import round_all
from charrnn.kernels.jit import jit
from charrnn.kernels.matmul import matrix_of, multiply
from charrnn.kernels.narrow import DOT_PRODUCTS, LANES, make_int8_block
from charrnn.kernels.packing import new_packed, pack
from charrnn.kernels.reduced import (
    LARGEST,
    MIDDLE,
    PIECE,
    Reduced,
    bfloat16_panels,
    help_out,
    int8_panels,
    multiply_exactly,
)
from charrnn.kernels.team import MOST_ROWS, SHARED_BYTES, Room, new_room

pytestmark = pytest.mark.small

compiled_only = pytest.mark.skipif(numba_config.DISABLE_JIT, reason="needs the JIT")
shared_only = pytest.mark.skipif(not team.POSSIBLE, reason="threads cannot help here")

Array = NDArray[Any]
Make = Callable[[Array, Room, int], Reduced]

kinds = pytest.mark.parametrize("make", [bfloat16_panels, int8_panels])
adding = pytest.mark.parametrize("accumulate", [False, True])

#: Rows of every block and of several, columns around panels and pieces of any machine,
#: and depths that are no multiple of a pair or a four.
ROWS = (1, 2, 3, 4, 5, 8, 11)
SHAPES = [(1, 1), (2, 7), (3, 33), (4, 16), (5, 64), (31, 65), (64, 257), (130, 300)]

GUARD = 67

ALONE = new_room(1, 1, shared=False)


def matrices(rng: np.random.Generator, n: int, K: int) -> Array:
    """Draw weights of two matrices, rows of different sizes and one of zeros."""
    W = rng.normal(size=(2, n, K)) * rng.uniform(0.1, 3, (2, n, 1))
    W[1, n // 2] = 0
    return W.astype(np.float32)


def guarded(array: Array) -> tuple[Array, Array]:
    """Copy an array between guard cells; return their whole buffer, too."""
    buffer = np.full(array.size + 2 * GUARD, np.nan, array.dtype)
    view = buffer[GUARD:-GUARD].reshape(array.shape)
    view[...] = array
    return view, buffer


def product(a: Array, W: Reduced, c: Array, accumulate: bool) -> Array:
    """Multiply into a copy of c, and look at what stands around it."""
    out, buffer = guarded(c)
    multiply(a, W, out, accumulate)
    assert np.isnan(buffer[:GUARD]).all()
    assert np.isnan(buffer[-GUARD:]).all()
    return out


@adding
@kinds
@pytest.mark.parametrize(("K", "n"), SHAPES)
def test_products_are_near_the_exact_ones(
    rng: np.random.Generator, make: Make, K: int, n: int, accumulate: bool
) -> None:
    """For every number of rows; and a row does not depend on the others."""
    W = matrix_of(make(matrices(rng, n, K), ALONE, 0), 1)
    A = rng.normal(size=(ROWS[-1], K)).astype(np.float32)
    C = rng.normal(size=(ROWS[-1], n)).astype(np.float32)
    exact = multiply_exactly(A, W, n) + (C if accumulate else 0)
    whole = product(A, W, C, accumulate)

    assert np.abs(whole - exact).max() <= 1e-5 * max(1.0, float(np.abs(exact).max()))
    for m in ROWS:
        part = product(A[:m], W, C[:m], accumulate)

        if numba_config.DISABLE_JIT:  # NumPy's products round by their shape
            assert np.allclose(part, whole[:m], rtol=1e-5, atol=1e-6)
        else:
            assert part.tobytes() == whole[:m].tobytes()


def test_int8_gives_the_bits_of_whole_numbers(rng: np.random.Generator) -> None:
    """The sum is exact, then it is rounded and scaled: worked out by the definition."""
    K, n = 37, 70
    W = matrices(rng, n, K)[1]
    a = rng.normal(size=(2, K)).astype(np.float32)
    panels = matrix_of(int8_panels(W[None], ALONE, 0), 0)
    found = product(a, panels, np.zeros((2, n), np.float32), False)

    of_columns = np.abs(W).max(axis=1) / np.float32(127)
    q = np.rint(W / np.where(of_columns > 0, of_columns, 1)[:, None]).astype(int)
    largest = np.abs(a).max(axis=1, keepdims=True)
    rows = np.rint(a * (np.float32(127) / largest)).astype(int)
    sums = (rows @ q.T).astype(np.float32)
    expected = sums * (largest / np.float32(127) * of_columns)

    assert np.abs(q).max() == np.abs(rows).max() == 127
    assert np.allclose(found, expected, rtol=1e-6, atol=0)
    assert np.abs(found - a @ W.T).max() < 0.02 * np.abs(a @ W.T).max()


@compiled_only
def test_bfloat16_gives_the_bits_of_rounded_weights(rng: np.random.Generator) -> None:
    """As float32 does that multiplies by these weights, one sample or many."""
    K, n = 45, 150
    W, A = matrices(rng, n, K), rng.normal(size=(9, K)).astype(np.float32)
    rounded = np.zeros_like(W[0])
    round_all(W[0], rounded)
    packed = new_packed(n, K, np.float32)
    pack(rounded, packed)
    narrow = matrix_of(bfloat16_panels(W, ALONE, 0), 0)
    for m in (1, 9):
        expected = np.ones((m, n), np.float32)
        multiply(A[:m], packed.forward, expected, True)
        found = product(A[:m], narrow, np.ones((m, n), np.float32), True)

        assert found.tobytes() == expected.tobytes()


@kinds
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_stays_so(
    rng: np.random.Generator, make: Make, bad: float
) -> None:
    """A network that has diverged is not made to say something; other rows are."""
    W = matrix_of(make(matrices(rng, 40, 6), ALONE, 0), 0)
    a = rng.normal(size=(3, 6)).astype(np.float32)
    a[1, 4] = bad
    found = product(a, W, np.zeros((3, 40), np.float32), False)

    assert not np.isfinite(found[1]).any()
    assert np.isfinite(found[[0, 2]]).all()


@kinds
def test_rows_of_zeros_come_to_zeros(rng: np.random.Generator, make: Make) -> None:
    W = matrix_of(make(matrices(rng, 40, 6), ALONE, 0), 0)

    found = product(np.zeros((2, 6), np.float32), W, np.ones((2, 40), np.float32), True)
    assert (found == 1).all()


@compiled_only
@pytest.mark.skipif(not DOT_PRODUCTS, reason="there is but one form here")
def test_both_forms_of_int8_agree(rng: np.random.Generator) -> None:
    """Bit for bit, at the ends of the range, too: no pair of products overflows."""
    portable, dots = make_int8_block(2, 2, dots=False), make_int8_block(2, 2, dots=True)
    fours, columns = 9, 2 * LANES
    q = rng.integers(MIDDLE - LARGEST, MIDDLE + LARGEST + 1, (2, 4 * fours), np.uint8)
    b = rng.integers(-LARGEST, LARGEST + 1, (fours, columns, 4), np.int8)
    q[:, ::3], b[::2] = MIDDLE + LARGEST, LARGEST
    b[1::4] = -LARGEST
    offsets = rng.integers(-1000, 1000, columns, np.int32)
    ones = np.ones(columns, np.float32)

    @jit(parallel=False)
    def run(
        q: Array, scales: Array, b: Array, weights: Array, offsets: Array, c: Array,
        d: Array,
    ) -> None:  # fmt: skip
        size, n = q.shape[1], c.shape[1]
        q_flat, b_flat = q.reshape(-1), b.reshape(-1)
        portable(
            q_flat, size, scales, b_flat, 0, weights, offsets, c.reshape(-1), n,
            size // 4, n, False,
        )  # fmt: skip
        dots(
            q_flat, size, scales, b_flat, 0, weights, offsets, d.reshape(-1), n,
            size // 4, n, False,
        )  # fmt: skip

    found = np.zeros((2, 2, columns), np.float32)
    run(q, np.ones(2, np.float32), b, ones, offsets, found[0], found[1])
    weights = b.transpose(0, 2, 1).reshape(-1, columns).astype(int)
    expected = offsets + q.astype(int) @ weights

    assert found[0].tolist() == expected.tolist()
    assert found[1].tolist() == expected.tolist()


#: A matrix that is large enough to be shared.
WIDE, DEEP = 1024, 2 * SHARED_BYTES // 1024


@shared_only
@adding
@kinds
@pytest.mark.parametrize("helped", [True, False])
def test_shared_products_are_the_same(
    rng: np.random.Generator, make: Make, accumulate: bool, helped: bool
) -> None:
    """With a helper that comes, or with one that never does."""
    W = matrices(rng, WIDE, DEEP)
    room = new_room(DEEP, WIDE, shared=True)
    Wh, Wx = make(W, room, 0), make(W[:1], room, 2)
    alone = make(W, ALONE, 0)
    room.board[team.WORKERS], room.board[team.SLICE] = 2, 5
    helper = threading.Thread(target=help_out, args=(Wh, Wx, 5, 1))
    if helped:
        helper.start()
    try:
        for turn in range(20):
            m = 1 + turn % (MOST_ROWS + 1)
            a = rng.normal(size=(m, DEEP)).astype(np.float32)
            c = rng.normal(size=(m, WIDE)).astype(np.float32)
            shared = matrix_of(Wh, turn % 3) if turn % 3 < 2 else matrix_of(Wx, 0)
            of_all = matrix_of(alone, turn % 3 % 2)
            found = product(a, shared, c, accumulate)

            expected = product(a, of_all, c, accumulate)
            assert found.tobytes() == expected.tobytes()
        assert room.board[team.JOB] > 0
    finally:
        room.board[team.SLICE] = 0
        if helped:
            helper.join()


@shared_only
def test_pieces_are_taken_once_and_from_this_job_alone() -> None:
    """Whoever asks; own pieces first; with the number of another job there is none."""
    board = new_room(4, 4, shared=True).board
    board[team.WORKERS] = 3
    this = team.publish(board, (0, 1, 4, 4, 7, False))

    assert [team.take(board, this, 1, 7) for _ in range(4)] == [2, 3, 4, 5]
    assert team.take(board, this - 1, 0, 7) == team.take(board, this + 1, 0, 7) == -1
    assert [team.take(board, this, 0, 7) for _ in range(4)] == [0, 1, 6, -1]
    following = team.publish(board, (1, 1, 4, 4, 2, True))
    assert team.take(board, this, 0, 7) == -1
    assert sorted(team.take(board, following, 2, 2) for _ in range(2)) == [0, 1]


def test_a_small_product_is_not_shared(rng: np.random.Generator) -> None:
    """Nobody is asked, however many would help: a product of one piece."""
    room = new_room(8, 40, shared=True)
    W = matrix_of(int8_panels(matrices(rng, 40, 8), room, 0), 0)
    if room.board.size:
        room.board[team.WORKERS], room.board[team.SLICE] = 2, 1
    product(np.ones((1, 8), np.float32), W, np.zeros((1, 40), np.float32), False)

    assert W.panels.nbytes < SHARED_BYTES
    assert len(W.panels) <= PIECE
    assert not room.board[team.JOB : team.JOB + 1].any()
