"""A group of rows of a product by one panel, in blocks that fit the rows.

The blocks are emitted code: of numbers (`blocks`), or of pairs of bfloat16
(`bfloat16_blocks`). Which one is taken decides on no number: every one is a chain of
multiply-adds along the shared axis, in order. Rows are copied here, too.
"""

from typing import Any

import numpy as np

from charrnn.arrays import Floats, aligned_zeros
from charrnn.kernels.bfloat16_blocks import make_pair_block
from charrnn.kernels.blocks import FETCHED_BYTES, VECTOR_BYTES, VECTORS, make_block
from charrnn.kernels.jit import jit


def panel_width(dtype: Any) -> int:
    """Columns in a panel: two vectors of the machine."""
    return VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize


def new_panels(depth: int, columns: int, dtype: Any) -> Floats:
    """Zeroed panels (P, depth, W) for a matrix B (depth, columns)."""
    width = panel_width(dtype)
    return aligned_zeros((-(-columns // width), depth, width), dtype)


_block_8x2, _block_8x1 = make_block(8, 2), make_block(8, 1)
_block_4x2, _block_2x2, _block_1x2 = (make_block(rows, 2) for rows in (4, 2, 1))

#: Panels that a single row takes at a time, and two rows in two blocks. Two sums would
#: wait for one another: a multiply-add takes four cycles, and two can begin in each.
PANELS = 4
_block_2x4, _block_1x8 = make_block(2, 2 * VECTORS), make_block(1, PANELS * VECTORS)

#: So many rows, or more, take one panel at a time.
MANY = 4

#: Of a matrix that is no larger, a core's second-level cache is taken to keep most:
#: some have less, a Zen 5 has so much, and a Xeon twice as much.
KEPT_BYTES = 1 << 20


@jit
def share_of_next(b: Floats, depth: int, group: int, size: int) -> int:
    """Say where behind b a group of rows begins to fetch; 0 for nowhere.

    The first groups share the next panel among them, later ones those after it.
    Nothing is fetched of what a core's cache keeps.

    Parameters
    ----------
    b : 1-d float array
        A whole panel, of `depth` steps; the next one lies behind it in memory.
    group : int
        Which rows: 0 for the first ROWS that are multiplied by the panel, and so on.
    size : int
        Numbers of all panels together.
    """
    if is_kept(b, size):
        return 0
    return b.size + group * depth * (FETCHED_BYTES // b.itemsize)


@jit
def is_kept(some: Floats, size: int) -> bool:
    """Tell whether a core's cache keeps a matrix, as far as one can tell.

    Parameters
    ----------
    some : float array
        Of the matrix's type.
    size : int
        Numbers of the matrix.
    """
    return size * some.itemsize <= KEPT_BYTES


@jit(inlined_early=True)
def copy_rows(source: Floats, target: Floats) -> None:
    """Copy an array (B, H); an assignment would compile its error message, for 3 s."""
    for n in range(source.shape[0]):
        row, out = source[n], target[n]
        for j in range(source.shape[1]):
            out[j] = row[j]


@jit
def rows_by_panel(
    a: Floats,
    b: Floats,
    c: Floats,
    strides: tuple[int, int, int],
    extent: tuple[int, int, int],
    ahead: tuple[int, int],
    accumulate: bool,
) -> None:
    """At most ROWS rows of C by one panel of B, in blocks that fit the rows.

    Parameters
    ----------
    a, b, c : 1-d float arrays
        From the first number that the block uses on. `b` is a whole panel.
    strides : (a_row, a_step, c_row)
        Numbers from one row of a to the next, from one step along the depth
        to the next, and from one row of c to the next.
    extent : (rows, depth, columns)
        Columns beyond the panel's width are left alone.
    ahead : (of_b, of_c)
        Numbers from b and from c to what these rows fetch; see `share_of_next`, and
        `blocks.make_block`.
    """
    a_row, a_step, c_row = strides
    rows, depth, columns = extent
    b_ahead, c_ahead = ahead
    wide = 2 * columns > b.size // depth
    while rows > 0:
        if rows >= 8:
            done = 8
            if wide:
                _block_8x2(
                    a, a_row, a_step, b, 0, b_ahead, c, c_row, c_ahead, depth,
                    columns, accumulate,
                )  # fmt: skip
            else:
                _block_8x1(
                    a, a_row, a_step, b, 0, b_ahead, c, c_row, c_ahead, depth,
                    columns, accumulate,
                )  # fmt: skip
        elif rows >= 4:
            done = 4
            _block_4x2(
                a, a_row, a_step, b, 0, b_ahead, c, c_row, c_ahead, depth,
                columns, accumulate,
            )  # fmt: skip
        elif rows >= 2:
            done = 2
            _block_2x2(
                a, a_row, a_step, b, 0, b_ahead, c, c_row, c_ahead, depth,
                columns, accumulate,
            )  # fmt: skip
        else:
            done = 1
            _block_1x2(
                a, a_row, a_step, b, 0, b_ahead, c, c_row, c_ahead, depth,
                columns, accumulate,
            )  # fmt: skip
        rows -= done
        a, c = a[done * a_row :], c[done * c_row :]


@jit
def few_rows_by_panels(
    a: Floats,
    b: Floats,
    c: Floats,
    strides: tuple[int, int],
    extent: tuple[int, int, int],
    accumulate: bool,
) -> None:
    """Fewer than MANY rows of C by PANELS panels of B.

    Parameters
    ----------
    a, b, c : 1-d float arrays
        From the first number on. `b` are the panels, one behind another.
    strides : (a_row, c_row)
        Numbers from one row of a to the next, and from one row of c to the next.
    extent : (rows, depth, columns)
        Columns beyond the panels' width are left alone.
    """
    a_row, c_row = strides
    rows, depth, columns = extent
    panel, half = b.size // PANELS, b.size // PANELS // depth * 2
    if rows >= 2:
        for place in range(2):
            _block_2x4(
                a, a_row, 1, b[place * 2 * panel :], panel, 0, c[place * half :],
                c_row, 0, depth, columns - place * half, accumulate,
            )  # fmt: skip
        rows -= 2
        a, c = a[2 * a_row :], c[2 * c_row :]
    if rows > 0:
        _block_1x8(a, a_row, 1, b, panel, 0, c, c_row, 0, depth, columns, accumulate)


_pairs_8x2, _pairs_4x2, _pairs_2x2, _pairs_1x2 = (
    make_pair_block(rows, VECTORS) for rows in (8, 4, 2, 1)
)


@jit
def rows_by_pairs(
    a: Floats,
    b: Floats,
    c: Floats,
    strides: tuple[int, int, int],
    extent: tuple[int, int, int],
    ahead: tuple[int, int],
    accumulate: bool,
) -> None:
    """Do what `rows_by_panel` does, for pairs of bfloat16.

    Parameters
    ----------
    a, b : 1-d float32 arrays
        Each number has the bits of a pair; the depth and its steps are in pairs.
    """
    a_row, a_step, c_row = strides
    rows, depth, columns = extent
    b_ahead, c_ahead = ahead
    while rows > 0:
        if rows >= 8:
            done = 8
            _pairs_8x2(
                a, a_row, a_step, b, 0, b_ahead, c, c_row, c_ahead, depth,
                columns, accumulate,
            )  # fmt: skip
        elif rows >= 4:
            done = 4
            _pairs_4x2(
                a, a_row, a_step, b, 0, b_ahead, c, c_row, c_ahead, depth,
                columns, accumulate,
            )  # fmt: skip
        elif rows >= 2:
            done = 2
            _pairs_2x2(
                a, a_row, a_step, b, 0, b_ahead, c, c_row, c_ahead, depth,
                columns, accumulate,
            )  # fmt: skip
        else:
            done = 1
            _pairs_1x2(
                a, a_row, a_step, b, 0, b_ahead, c, c_row, c_ahead, depth,
                columns, accumulate,
            )  # fmt: skip
        rows -= done
        a, c = a[done * a_row :], c[done * c_row :]
