"""Weights as the products read them: in panels, one set for each direction.

Panels are what `matmul` says they are. They are made anew in every step, when the
optimizer has moved the weights. On the way forward a panel's columns are rows of the
weight matrix, which is therefore turned, square by square of 16 x 16 numbers in
registers (`transpose`). Number by number, with a stride on one side, packing took
three times as long, a fiftieth of a step of LSTM 2 x 128.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import config as numba_config
from numba.extending import intrinsic

from charrnn.arrays import Floats
from charrnn.kernels.jit import jit
from charrnn.kernels.rows import new_panels

#: Rows, and columns, of a square that is transposed at once.
SQUARE = 16

_NUMBER = ir.IntType(32)
_ROW = ir.VectorType(_NUMBER, SQUARE)


class Packed(NamedTuple):
    """A weight matrix W (n, K), a row per output, ready for both directions."""

    forward: Floats  # panels of W^T: `multiply(x, W.forward, z)` is z = x W^T
    backward: Floats  # panels of W: `multiply(dz, W.backward, dx)` is dx = dz W


def new_packed(n: int, K: int, dtype: Any) -> Packed:
    """Make room for the panels of a weight matrix (n, K)."""
    return Packed(new_panels(K, n, dtype), new_panels(n, K, dtype))


def layer_of(stacked: Packed, k: int) -> Packed:
    """Take the panels of matrix k, as views."""
    return Packed(stacked.forward[k], stacked.backward[k])


@intrinsic  # type: ignore[untyped-decorator]
def transpose(
    typing_context: Any, source: Any, source_row: Any, target: Any, target_row: Any
) -> Any:
    """Transpose SQUARE x SQUARE numbers of 32 bits.

    Parameters
    ----------
    source, target : 1-d arrays of 32-bit numbers, from the first one on
    source_row, target_row : int
        Numbers from one row to the next.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = []
        for array, row in ((0, 1), (2, 3)):
            kind = signature.args[array]
            data = context.make_array(kind)(context, builder, args[array]).data
            first = builder.bitcast(data, _NUMBER.as_pointer())
            steps = (builder.mul(args[row], args[row].type(r)) for r in range(SQUARE))
            at = (builder.gep(first, [step]) for step in steps)
            places.append([builder.bitcast(p, _ROW.as_pointer()) for p in at])
        rows = [builder.load(place) for place in places[0]]
        for row in rows:
            row.align = 4
        # Halves of squares change places: of 16 rows, of 8, of 4 and of 2.
        for span in (8, 4, 2, 1):
            low = [x if x & span == 0 else x - span + SQUARE for x in range(SQUARE)]
            high = [x + span if x & span == 0 else x + SQUARE for x in range(SQUARE)]
            for r in range(SQUARE):
                if r & span == 0:
                    pair = rows[r], rows[r + span]
                    rows[r], rows[r + span] = (
                        builder.shuffle_vector(*pair, ir.Constant(_ROW, order))
                        for order in (low, high)
                    )
        for row, place in zip(rows, places[1], strict=True):
            builder.store(row, place).align = 4
        return context.get_dummy_value()

    size = types.intp
    return types.void(source, size, target, size), codegen


@jit
def _turn_rows(matrix: Floats, first: int, panel: Floats) -> None:
    """Lay rows of a matrix (n, K), from `first` on, out as the columns of a panel.

    Parameters
    ----------
    panel : (K, W) float array
        Written, as far as there are rows.
    """
    n, K = matrix.shape
    width = panel.shape[1]
    source, target = matrix.reshape(-1), panel.reshape(-1)
    for row in range(first, min(n, first + width), SQUARE):
        # Some machines' panels are narrower than a square.
        squares = matrix.itemsize == 4 and width % SQUARE == 0 and row + SQUARE <= n
        whole = K // SQUARE * SQUARE if squares else 0
        column = row - first
        for k in range(0, whole, SQUARE):
            transpose(source[row * K + k :], K, target[k * width + column :], width)
        for x in range(min(SQUARE, width, n - row)):
            for k in range(whole, K):
                target[k * width + column + x] = source[(row + x) * K + k]


@jit
def _copy_columns(matrix: Floats, first: int, panel: Floats) -> None:
    """Copy columns of a matrix (n, K), from `first` on, to a panel (n, W)."""
    n, K = matrix.shape
    width = panel.shape[1]
    for k in range(n):
        row, out = matrix[k, first : first + width], panel[k]
        if first + width <= K:
            for x in range(width):  # vector loads: the usual case
                out[x] = row[x]
        else:
            for x in range(K - first):
                out[x] = row[x]


@jit(parallel=False)
def pack(matrix: Floats, packed: Packed) -> None:
    """Copy a weight matrix into its panels; done once a step.

    Parameters
    ----------
    matrix : (n, K) float array
        Contiguous.
    packed : Packed
        Written, but for the columns of its last panels that the matrix does not have.
    """
    forward, backward = packed
    width = forward.shape[2]
    for j in range(forward.shape[0]):
        _turn_rows(matrix, j * width, forward[j])
    for j in range(backward.shape[0]):
        _copy_columns(matrix, j * width, backward[j])


def _pack_numpy(matrix: Floats, packed: Packed) -> None:
    """See `pack`; for runs without the JIT, which have no emitted code."""
    for panels, source in ((packed.forward, matrix.T), (packed.backward, matrix)):
        width = panels.shape[2]
        for j, panel in enumerate(panels):
            columns = source[:, j * width : (j + 1) * width]
            panel[:, : columns.shape[1]] = columns


if numba_config.DISABLE_JIT:
    pack = _pack_numpy
