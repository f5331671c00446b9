"""Products of numbers that are rounded to bfloat16, with sums in float32.

    multiply_narrow      C (+)= A B          A (m, K) float32, B (K, n) in panels
    add_narrow_gradient  dW += dz^T x        dz (N, M), x (N, n), dW float32

A is rounded when it is multiplied, dz and x likewise; panels are rounded when they are
packed, once a step. A product of two bfloat16 numbers is exact in float32, so all that
is lost is what rounding them (`bfloat16`) and adding up in float32 lose.

There are three forms. The type of the panels, (P, k, W, pair), says which one it is,
so that a process can have all of them at once:

======== ========================= ======================= ==========================
form     instructions              panels                  sums of a number of C
======== ========================= ======================= ==========================
amx      tiles of AMX              uint16 (P, K/2, 32, 2), as the processor has it, 32
                                   K filled to 32 with 0   k at a time, in order
avx512   AVX-512 BF16              int16 (P, K/2, 32, 2),  as the processor has it, 2
                                   K filled to 2 with 0    k at a time, in order
emulated float32's                 float32 (P, K, W, 1)    one chain along k, in order
======== ========================= ======================= ==========================

Within a form, every number of C depends on its row of A and its column of B alone: the
result depends neither on the rows beside it nor on the number of threads, and a run
that is interrupted goes on as it would have. The emulation gives the same bits
everywhere. The processors' sums do not, from one form to another: Intel's manual says
that AMX adds the even and the odd k of 32 up by themselves, and both then to the sum;
AVX-512 adds one product of a pair after the other; and both read and write numbers
below 2^-126 as zeros. They agree up to the rounding of float32 sums.
"""

from typing import Any

import numpy as np
from numba import prange, types
from numba.core import config as numba_config
from numba.extending import overload
from numpy.typing import NDArray

from charrnn.arrays import Floats, aligned_zeros
from charrnn.kernels.bfloat16 import (
    narrowed,
    number_of,
    paired,
    round_all,
    rounded,
)
from charrnn.kernels.bfloat16_blocks import (
    TILE,
    TILE_PAIRS,
    configure_tiles,
    make_tile_block,
    narrow_32,
    pair_16,
    release_tiles,
)
from charrnn.kernels.blocks import ROWS
from charrnn.kernels.jit import OPTIONS, jit
from charrnn.kernels.packing import transpose
from charrnn.kernels.rows import (
    is_kept,
    panel_width,
    rows_by_pairs,
    rows_by_panel,
    share_of_next,
)

#: Pairs of bfloat16, 32 bits each, and arrays of their 16-bit halves.
Pairs = NDArray[np.uint32]
Narrow = NDArray[Any]

#: Gradients of z: of float32, or the bits of bfloat16 in uint16.
Gradients = NDArray[Any]

#: The type that panels have in each form.
DTYPES: dict[str, Any] = {
    "amx": np.uint16,
    "avx512": np.int16,
    "emulated": np.float32,
}

#: Columns in a panel of pairs.
WIDTH = 2 * TILE

#: Rows of dz and x that a gradient packs at a time, and columns of dz: in tiles, and
#: in vectors, which read a column at a time. What is packed of dz stays in the second-
#: level cache; and with 512 columns, the 256 rows of pairs lay on 130 pages of memory,
#: more than the first table of addresses of a Zen 5 has room for: timed by hand,
#: gradients of 128 x 512 ran at 563 to 590 GFLOP/s, with 128 columns at 636 to 728.
SLICE, COLUMNS, VECTOR_COLUMNS = 512, 512, 128

_tiles_2, _tiles_1 = make_tile_block(2), make_tile_block(1)


def depth_of(form: str, K: int) -> int:
    """Count the pairs along k in a panel of a form; of the emulation, the numbers."""
    if form == "emulated":
        return K
    return -(-K // (2 * TILE)) * TILE if form == "amx" else -(-K // 2)


def new_narrow_panels(form: str, K: int, n: int) -> Narrow:
    """Make room for the panels of a matrix B (K, n), filled with zeros."""
    width, pair = (panel_width(np.float32), 1) if form == "emulated" else (WIDTH, 2)
    shape = -(-n // width), depth_of(form, K), width, pair
    return aligned_zeros(shape, DTYPES[form])


# Packing.


# These functions are given whole arrays, and places in them: a view of every row took
# longer to make than its numbers to round.


@jit
def _pair_columns(x: Floats, first: int, last: int, a: int, b: int, out: Pairs) -> None:
    """Pair rows of x (N, n), `first` with the next and so on up to `last`.

    Parameters
    ----------
    a, b : int
        Which columns.
    out : (k, W) uint32 array
        Written, and filled up with zeros.
    """
    columns, width, count = x.shape[1], out.shape[1], b - a
    source, target = x.reshape(-1), out.reshape(-1)
    for k in range(out.shape[0]):
        n, at = first + 2 * k, k * width
        filled = 0
        if n < last:
            low, filled = n * columns + a, count
            if n + 1 < last:
                high, whole = low + columns, count // TILE * TILE
                for j in range(0, whole, TILE):
                    pair_16(source, low + j, high + j, target, at + j)
                for j in range(whole, count):
                    target[at + j] = paired(source[low + j], source[high + j])
            else:
                zero = x.dtype.type(0)
                for j in range(count):
                    target[at + j] = paired(source[low + j], zero)
        for j in range(filled, width):
            target[at + j] = 0


@jit
def _narrow_row(
    source: Floats, first: int, count: int, target: Narrow, at: int, room: int
) -> None:
    """Round `count` numbers of `source` from `first` on.

    Parameters
    ----------
    source : 1-d float32 array
    target : 1-d uint16 array
        Written: `room` numbers from `at` on, the last ones of which are zeros.
    """
    whole = count // WIDTH * WIDTH
    for j in range(0, whole, WIDTH):
        narrow_32(source, first + j, target, at + j)
    for j in range(whole, count):
        target[at + j] = narrowed(source[first + j])
    for j in range(count, room):
        target[at + j] = 0


@jit
def _narrow_rows(x: Floats, first: int, last: int, out: Narrow) -> None:
    """Round some rows of x (N, n), which are pairs as they stand.

    Parameters
    ----------
    out : (rows, k) uint16 array
        Written, and filled up with zeros to its right.
    """
    n, room, source, target = x.shape[1], out.shape[1], x.reshape(-1), out.reshape(-1)
    for r in range(last - first):
        _narrow_row(source, (first + r) * n, n, target, r * room, room)


@jit(parallel=True, allocates=True)
def _pack_pairs(matrix: Floats, forward: Narrow, backward: Narrow) -> None:
    """Copy a matrix (n, K) into its panels of pairs; see `pack_narrow`."""
    n, K = matrix.shape
    ahead, depth = forward.shape[0], forward.shape[1]
    wide = -(-depth // TILE) * TILE
    for panel in prange(ahead + backward.shape[0]):
        if panel < ahead:
            rows = np.zeros((WIDTH, 2 * wide), np.uint16)
            first = panel * WIDTH
            _narrow_rows(matrix, first, min(n, first + WIDTH), rows)
            pairs = rows.reshape(-1).view(np.uint32)
            turned = np.empty((wide, WIDTH), np.uint32)
            out = turned.reshape(-1)
            for x in range(0, WIDTH, TILE):
                for k in range(0, wide, TILE):
                    transpose(pairs[x * wide + k :], wide, out[k * WIDTH + x :], WIDTH)
            target = forward[panel].reshape(-1).view(np.uint32)
            for k in range(target.size):
                target[k] = out[k]
        else:
            j = panel - ahead
            whole = backward[j].reshape(-1).view(np.uint32).reshape(-1, WIDTH)
            _pair_columns(matrix, 0, n, j * WIDTH, min(K, (j + 1) * WIDTH), whole)


@jit(parallel=True)
def _pack_rounded(matrix: Floats, forward: Floats, backward: Floats) -> None:
    """Copy a matrix (n, K) into panels of rounded numbers; see `pack_narrow`."""
    n, K = matrix.shape
    width, ahead = forward.shape[2], forward.shape[0]
    for panel in prange(ahead + backward.shape[0]):
        if panel < ahead:
            for x in range(panel * width, min(n, (panel + 1) * width)):
                for k in range(K):
                    forward[panel, k, x - panel * width, 0] = rounded(matrix[x, k])
        else:
            first = (panel - ahead) * width
            for k in range(n):
                for x in range(first, min(K, first + width)):
                    backward[panel - ahead, k, x - first, 0] = rounded(matrix[k, x])


def _pack_numpy(matrix: Floats, forward: Floats, backward: Floats) -> None:
    """Do what `_pack_rounded` does, for runs without the JIT."""
    narrow = np.empty_like(matrix)
    round_all(matrix, narrow)
    for panels, source in ((forward, narrow.T), (backward, narrow)):
        width = panels.shape[2]
        for j, panel in enumerate(panels):
            columns = source[:, j * width : (j + 1) * width]
            panel[: len(columns), : columns.shape[1], 0] = columns


def pack_narrow(matrix: Floats, forward: Narrow, backward: Narrow) -> None:
    """Round a weight matrix (n, K) into its panels; done once a step.

    Parameters
    ----------
    forward : array, made by `new_narrow_panels`
        Written: panels of the matrix's transpose (K, n).
    backward : array, made by `new_narrow_panels`
        Written: panels of the matrix.
    """
    if numba_config.DISABLE_JIT:
        _pack_numpy(matrix, forward, backward)
    elif forward.dtype == np.float32:
        _pack_rounded(matrix, forward, backward)
    else:
        _pack_pairs(matrix, forward, backward)


# Products with panels.


@jit(parallel=False, allocates=True)
def _multiply_emulated(a: Floats, panels: Floats, c: Floats, accumulate: bool) -> None:
    """See `multiply_narrow`."""
    m, depth = a.shape
    n, width = c.shape[1], panels.shape[2]
    narrow = np.empty(a.size, np.float32)
    source, c_flat = a.reshape(-1), c.reshape(-1)
    for k in range(a.size):
        narrow[k] = rounded(source[k])
    for j in range(panels.shape[0]):
        b, first = panels[j].reshape(-1), j * width
        for i in range(0, m, ROWS):
            rows_by_panel(
                narrow[i * depth :], b, c_flat[i * n + first :], (depth, 1, n),
                (min(ROWS, m - i), depth, n - first),
                (share_of_next(b, depth, i // ROWS, panels.size), 0), accumulate,
            )  # fmt: skip


@jit(parallel=False, allocates=True)
def _multiply_vectors(a: Floats, panels: Narrow, c: Floats, accumulate: bool) -> None:
    """See `multiply_narrow`."""
    m = a.shape[0]
    n, depth = c.shape[1], panels.shape[1]
    narrow = np.empty((m, 2 * depth), np.uint16)
    _narrow_rows(a, 0, m, narrow)
    pairs, c_flat = narrow.reshape(-1).view(np.float32), c.reshape(-1)
    for j in range(panels.shape[0]):
        b, first = panels[j].reshape(-1).view(np.float32), j * WIDTH
        for i in range(0, m, ROWS):
            rows_by_pairs(
                pairs[i * depth :], b, c_flat[i * n + first :], (depth, 1, n),
                (min(ROWS, m - i), depth, n - first),
                (share_of_next(b, depth, i // ROWS, panels.size // 2), 0), accumulate,
            )  # fmt: skip


@jit
def _edge_of_tiles(
    a: Pairs, a_next: int, b: Pairs, c: Floats, c_row: int, depth: int,
    extent: tuple[int, int], accumulate: bool, edge: Floats,
) -> None:  # fmt: skip
    """Multiply some of 32 rows by some columns of one panel of B, in tiles.

    Parameters
    ----------
    a, a_next, b, c, c_row, depth, accumulate
        See `bfloat16_blocks.make_tile_block`.
    extent : (rows, columns)
        What there is of C from here on.
    edge : (32 * 32,) float32 array
        Scratch: tiles are stored whole.
    """
    rows, columns = min(WIDTH, extent[0]), min(WIDTH, extent[1])
    if accumulate:
        for r in range(rows):
            for x in range(columns):
                edge[r * WIDTH + x] = c[r * c_row + x]
    if rows > TILE:
        _tiles_2(a, a_next, b, edge, WIDTH, 0, depth, accumulate)
    else:
        _tiles_1(a, a_next, b, edge, WIDTH, 0, depth, accumulate)
    for r in range(rows):
        for x in range(columns):
            c[r * c_row + x] = edge[r * WIDTH + x]


@jit(inlined_early=True)
def _tiles_of_rows(a: Floats, steps: int) -> Pairs:
    """Round rows (m, K) into tiles: (m / 16, steps, 16, 16) pairs, all in one row.

    Rows that fill the last tile up hold anything, and are in nobody's sums.
    """
    m, K = a.shape
    groups = -(-m // TILE)
    source = a.reshape(-1)
    tiles = np.empty(groups * steps * 2 * TILE_PAIRS, np.uint16)
    for i in range(m):
        for s in range(steps):
            at = ((i // TILE * steps + s) * TILE + i % TILE) * WIDTH
            k = s * WIDTH
            _narrow_row(source, i * K + k, min(WIDTH, K - k), tiles, at, WIDTH)
    return tiles.view(np.uint32)


@jit(parallel=False, allocates=True)
def _multiply_tiles(a: Floats, panels: Narrow, c: Floats, accumulate: bool) -> None:
    """See `multiply_narrow`."""
    m, n, steps = a.shape[0], c.shape[1], panels.shape[1] // TILE
    tiles, c_flat = _tiles_of_rows(a, steps), c.reshape(-1)
    pairs, size = panels.reshape(-1).view(np.uint32), steps * 2 * TILE_PAIRS
    edge = np.zeros(WIDTH * WIDTH, np.float32)
    configure_tiles()
    for j in range(panels.shape[0]):
        b, first = pairs[j * size :], j * WIDTH
        for i in range(0, m, WIDTH):
            rows, out = tiles[i * steps * TILE :], c_flat[i * n + first :]
            if m - i >= WIDTH and n - first >= WIDTH:
                _tiles_2(rows, steps * TILE_PAIRS, b, out, n, 0, steps, accumulate)
            elif m - i == TILE and n - first >= WIDTH:
                _tiles_1(rows, steps * TILE_PAIRS, b, out, n, 0, steps, accumulate)
            else:
                _edge_of_tiles(
                    rows, steps * TILE_PAIRS, b, out, n, steps, (m - i, n - first),
                    accumulate, edge,
                )  # fmt: skip
    release_tiles()


def multiply_narrow(a: Floats, panels: Narrow, c: Floats, accumulate: bool) -> None:
    """C = A B, or C += A B if `accumulate`; a kernel calls it through `multiply`.

    Parameters
    ----------
    a : (m, K) float32 array
        Rounded on the way.
    panels : (P, k, W, pair) array
        One direction of a weight that `pack_narrow` has packed.
    c : (m, n) float32 array
        Written, or accumulated into.
    """
    narrow = np.empty_like(a)
    round_all(np.ascontiguousarray(a), narrow)
    b = panels[..., 0].transpose(1, 0, 2).reshape(a.shape[1], -1)[:, : c.shape[1]]
    c[...] = narrow @ b + (c if accumulate else 0)


_chosen = {"strict": False, "jit_options": OPTIONS}


@overload(multiply_narrow, **_chosen)  # type: ignore[untyped-decorator]
def _multiply_narrow(a: Any, panels: Any, c: Any, accumulate: Any) -> Any:
    def tiles(a: Any, panels: Any, c: Any, accumulate: Any) -> None:
        _multiply_tiles(a, panels, c, accumulate)

    def vectors(a: Any, panels: Any, c: Any, accumulate: Any) -> None:
        _multiply_vectors(a, panels, c, accumulate)

    def emulated(a: Any, panels: Any, c: Any, accumulate: Any) -> None:
        _multiply_emulated(a, panels, c, accumulate)

    forms = {types.uint16: tiles, types.int16: vectors, types.float32: emulated}
    return forms[panels.dtype]


# Gradients of weights.


@jit(parallel=True, allocates=True)
def _add_tiles(dz: Gradients, x: Floats, dW: Floats, workers: int) -> None:
    """See `add_narrow_gradient`."""
    N, M = dz.shape
    n = x.shape[1]
    groups, count = -(-M // WIDTH), -(-n // WIDTH)
    for worker in prange(workers):
        begin = groups * worker // workers * WIDTH
        end = min(M, groups * (worker + 1) // workers * WIDTH)
        panels = np.empty((count, SLICE // 2, WIDTH), np.uint32)
        pairs = np.empty((TILE, COLUMNS), np.uint32)
        tiles = np.empty(SLICE // 2 * COLUMNS, np.uint32)
        edge = np.zeros(WIDTH * WIDTH, np.float32)
        flat, dW_flat = pairs.reshape(-1), dW.reshape(-1)
        panels_flat = panels.reshape(-1)
        for start in range(0, N, SLICE):
            last = min(N, start + SLICE)
            steps = -(-(last - start) // WIDTH)
            for j in range(count):
                right = min(n, (j + 1) * WIDTH)
                out = panels[j, : steps * TILE]
                _pair_columns(x, start, last, j * WIDTH, right, out)
            for first in range(begin, end, COLUMNS):
                stop = min(end, first + COLUMNS)
                for s in range(steps):
                    _pair_columns(dz, start + s * WIDTH, last, first, stop, pairs)
                    for g in range(-(-(stop - first) // TILE)):
                        tile = tiles[(g * steps + s) * TILE_PAIRS :]
                        transpose(flat[g * TILE :], COLUMNS, tile, TILE)
                configure_tiles()
                for j in range(count):
                    panel = panels_flat[j * SLICE // 2 * WIDTH :]
                    for q in range(first, stop, WIDTH):
                        rows = tiles[(q - first) * steps * TILE :]
                        out = dW_flat[q * n + j * WIDTH :]
                        if stop - q >= WIDTH and n - j * WIDTH >= WIDTH:
                            _tiles_2(
                                rows, steps * TILE_PAIRS, panel, out, n, WIDTH * n,
                                steps, True,
                            )  # fmt: skip
                        else:
                            _edge_of_tiles(
                                rows, steps * TILE_PAIRS, panel, out, n, steps,
                                (stop - q, n - j * WIDTH), True, edge,
                            )  # fmt: skip
                release_tiles()


@jit(parallel=True, allocates=True)
def _add_vectors(dz: Gradients, x: Floats, dW: Floats, workers: int) -> None:
    """See `add_narrow_gradient`."""
    N, M = dz.shape
    n = x.shape[1]
    groups, count = -(-M // ROWS), -(-n // WIDTH)
    ahead = 0, 0 if is_kept(dW, dW.size // workers) else ROWS * n  # as in `matmul`
    for worker in prange(workers):
        begin = groups * worker // workers * ROWS
        end = min(M, groups * (worker + 1) // workers * ROWS)
        panels = np.empty((count, SLICE // 2, WIDTH), np.uint32)
        # A row more than the columns, so that its length is no power of two.
        pairs = np.empty((SLICE // 2, VECTOR_COLUMNS + ROWS), np.uint32)
        a, dW_flat = pairs.reshape(-1).view(np.float32), dW.reshape(-1)
        for start in range(0, N, SLICE):
            last = min(N, start + SLICE)
            depth = -(-(last - start) // 2)
            for j in range(count):
                right = min(n, (j + 1) * WIDTH)
                _pair_columns(x, start, last, j * WIDTH, right, panels[j, :depth])
            for first in range(begin, end, VECTOR_COLUMNS):
                stop = min(end, first + VECTOR_COLUMNS)
                _pair_columns(dz, start, last, first, stop, pairs[:depth])
                for j in range(count):
                    panel = panels[j, :depth].reshape(-1).view(np.float32)
                    for q in range(first, stop, ROWS):
                        rows_by_pairs(
                            a[q - first :], panel, dW_flat[q * n + j * WIDTH :],
                            (1, pairs.shape[1], n),
                            (min(ROWS, stop - q), depth, n - j * WIDTH),
                            ahead, True,
                        )  # fmt: skip


@jit(parallel=True)
def add_columns(dz: Gradients, db: Floats, workers: int) -> None:
    """Add the sums of the last k columns of dz (N, M), as they are, to db (k,)."""
    N, M = dz.shape
    biased = M - db.size
    for worker in prange(workers):
        a, b = db.size * worker // workers, db.size * (worker + 1) // workers
        total = db[a:b]
        for n in range(N):
            row = dz[n, biased + a : biased + b]
            for j in range(b - a):
                total[j] += number_of(row[j])


def add_narrow_gradient(
    form: str, dz: Gradients, x: Floats, dW: Floats, db: Floats, workers: int
) -> None:
    """Accumulate the gradients of z = x W^T + b: dW += dz^T x, db += sum of dz.

    Parameters
    ----------
    form : str
        ``amx`` or ``avx512``.
    dz : (N, M) array
        Of float32, which is rounded, or of bfloat16 as `narrow_tape` keeps it.
    x, dW, db, workers
        See `matmul.add_affine_gradient`. The sums in db are of dz as it is given.
    """
    kernel = _add_tiles if form == "amx" else _add_vectors
    kernel(dz, x, dW, workers)
    if db.size:
        add_columns(dz, db, workers)
