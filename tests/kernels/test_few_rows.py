"""Products that threads share by columns: the same bits, whoever comes to help."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.arrays import Floats
from charrnn.config import CellName, ModelConfig
from charrnn.kernels import team
from charrnn.kernels.few_rows import (
    INPUT,
    NOBODY,
    RECURRENT,
    SharedPanels,
    begin,
    end,
    help_out,
    next_part,
)
from charrnn.kernels.jit import jit
from charrnn.kernels.matmul import multiply
from charrnn.kernels.packing import new_packed, pack
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.team import MOST_ROWS, SHARED_BYTES, Room, new_room
from charrnn.kernels.threads import usable
from charrnn.network import Network
from charrnn.windows import Window

pytestmark = [
    pytest.mark.small,
    pytest.mark.skipif(not team.POSSIBLE, reason="threads cannot help here"),
]

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])

#: Of a matrix that is shared; its last piece has fewer panels, its last panel fewer
#: columns.
WIDE, DEEP = 1003, 2 * SHARED_BYTES // 4000


@jit(parallel=False)
def product(a: Floats, W: Any, c: Floats, accumulate: bool) -> None:
    """Multiply as the kernels do."""
    multiply(a, W, c, accumulate)


@jit(parallel=False)
def helper(Wh: Floats, Wx: Floats, room: Room, part: int, worker: int) -> None:
    """Help as the kernels do."""
    help_out(Recurrent(Wh, Wx[0, 0]), Wx, room, part, worker)


@jit(parallel=False)
def open_room(room: Room, workers: int) -> int:
    """Begin as the kernels do, and return the number of what has begun."""
    part = next_part(room)
    begin(room, part, workers)
    return part


@jit(parallel=False)
def close_room(room: Room, part: int) -> None:
    """End as the kernels do."""
    end(room, part)


def panels_of(matrix: Floats) -> Floats:
    """Lay a matrix (n, K) out for x W^T."""
    n, K = matrix.shape
    packed = new_packed(n, K, matrix.dtype)
    pack(matrix, packed)
    return packed.forward


@dtypes
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("helped", [True, False])
def test_shared_products_are_the_same(
    rng: np.random.Generator, dtype: Any, accumulate: bool, helped: bool
) -> None:
    """With a helper that comes, or with one that never does."""
    Wh, Wx = (panels_of(rng.normal(size=(WIDE, DEEP)).astype(dtype)) for _ in range(2))
    room = new_room(DEEP, WIDE, shared=True, dtype=dtype)
    for _ in range(2):
        jobs = room.board[team.JOB]
        part = open_room(room, 2)
        thread = threading.Thread(target=helper, args=(Wh, Wx, room, part, 1))
        if helped:
            thread.start()
        try:
            for turn in range(20):
                m = 1 + turn % (MOST_ROWS + 1)
                a = rng.normal(size=(m, DEEP)).astype(dtype)
                found = rng.normal(size=(m, WIDE)).astype(dtype)
                expected = found.copy()
                panels, number = ((Wh, RECURRENT), (Wx, INPUT))[turn % 2]
                product(a, SharedPanels(panels, room, number), found, accumulate)
                product(a, panels, expected, accumulate)

                assert found.tobytes() == expected.tobytes()
        finally:
            close_room(room, part)
            if helped:
                thread.join()
        assert room.board[team.JOB] > jobs


def test_a_helper_leaves_where_nobody_is_at_work(rng: np.random.Generator) -> None:
    """Before anything has begun, and after it has ended; it takes no piece."""
    W = panels_of(rng.normal(size=(WIDE, DEEP)).astype(np.float32))
    room = new_room(DEEP, WIDE, shared=True)
    helper(W, W, room, 1, 1)
    close_room(room, open_room(room, 2))
    helper(W, W, room, 1, 1)
    helper(W, W, room, 2, 1)

    assert next_part(room) == 2
    assert not room.board[team.DONE]


def test_nothing_is_shared_between_parts(rng: np.random.Generator) -> None:
    """A product before the beginning, or behind the end, is the caller's alone."""
    W = panels_of(rng.normal(size=(WIDE, DEEP)).astype(np.float32))
    room, a = new_room(DEEP, WIDE, shared=True), np.ones((1, DEEP), np.float32)
    shared, c = SharedPanels(W, room, RECURRENT), np.zeros((1, WIDE), np.float32)
    product(a, shared, c, False)
    close_room(room, open_room(room, 2))
    product(a, shared, c, False)

    assert c.any()
    assert room.board[team.JOB] == 0


#: Widths at which each cell's matrices are shared.
WIDTHS: dict[CellName, int] = {"rnn": 190, "gru": 110, "lstm": 100}

T = 6


def passed(network: Network, ids: NDArray[np.int32]) -> tuple[Any, ...]:
    """Loss, gradient and state behind a window."""
    window = Window.of_inputs(ids)._replace(targets=np.roll(ids, -1, axis=0))
    state, gradient = network.new_state(ids.shape[1]), np.zeros_like(network.theta)
    loss = network.loss_and_gradient(window, state, gradient)
    return loss, gradient.tobytes(), state.tobytes()


def build(
    rng: np.random.Generator, cell: CellName, threads: int, dtype: Any = np.float32
) -> Network:
    """Build a network whose matrices are large enough."""
    shape = ModelConfig(vocab_size=7, cell=cell, hidden=WIDTHS[cell], layers=2)
    network = Network(shape, dtype=dtype, threads=threads)
    network.theta[:] = rng.normal(0, 0.1, network.theta.size)
    network.pack()
    return network


@dtypes
@pytest.mark.parametrize("cell", WIDTHS)
def test_helpers_change_no_bit(cell: CellName, dtype: Any) -> None:
    """Of the loss, the gradient and the state of a window of a single row."""
    networks = [
        build(np.random.default_rng(3), cell, threads, dtype)
        for threads in (1, usable(2))
    ]
    ids = np.random.default_rng(4).integers(0, 7, (T, 1)).astype(np.int32)

    assert passed(networks[0], ids) == passed(networks[1], ids)
    spaces = [network.workspace(T, 1) for network in networks]
    assert [space.trainers.helpers for space in spaces] == [0, usable(2) - 1]
    if usable(2) == 2:  # Wh and Wx, there and back
        assert spaces[1].trainers.room.board[team.JOB] >= 4 * T


def test_who_helps(rng: np.random.Generator) -> None:
    """In training, whoever has no row of his own, where matrices are large."""
    network = build(rng, "lstm", usable(2))
    small = Network(ModelConfig(vocab_size=7, hidden=8), threads=usable(2))

    assert network.workspace(T, 1).crew.room is NOBODY
    assert network.workspace(T, 2).trainers is network.workspace(T, 2).crew
    assert len(network.workspace(T, 2).crew.cuts) == 1 + usable(2)
    assert small.workspace(T, 1).trainers.room is NOBODY


def test_several_threads_use_one_network(rng: np.random.Generator) -> None:
    """Each has helpers, and room, of its own on the way forward."""
    network = build(rng, "lstm", usable(2))
    texts = [rng.integers(0, 7, (T, 1)).astype(np.int32) for _ in range(8)]

    def state_behind(ids: NDArray[np.int32]) -> bytes:
        state = network.new_state(1)
        network.forward(Window.of_inputs(ids), state, training=True)
        return state.tobytes()

    expected = [state_behind(ids) for ids in texts]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert list(pool.map(state_behind, texts)) == expected
