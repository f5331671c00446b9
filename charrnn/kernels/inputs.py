"""What enters a layer: z = x Wx^T + b, and its gradient.

Layer 0 reads characters. A one-hot vector times a matrix is a row of the
matrix, so its Wx is stored by character, (V, GH), and looked up: the product
costs nothing. Its gradient is a scatter. Higher layers multiply the outputs
below; the gradient of their weights is `matmul.add_affine_gradient`.

The loops over time call `read` and `carry_back` once a step, for the rows that
a thread has: what they write is still in the cache when the recurrence takes
it up.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import prange
from numpy.typing import DTypeLike

from charrnn.arrays import Floats, Ids, Longs
from charrnn.kernels.bfloat16 import number_of
from charrnn.kernels.jit import jit
from charrnn.kernels.matmul import affine, multiply
from charrnn.kernels.narrow_tape import Kept
from charrnn.kernels.packing import Packed


class Inputs(NamedTuple):
    """What one layer reads in a window; made by one of the functions below."""

    ids: Ids  # (T, B) characters, for layer 0; else empty
    table: Floats  # (V, GH) Wx by character, for layer 0; else empty
    x: Floats  # (T, B, D) outputs of the layer below; for layer 0 empty
    forward: Any  # (P, D, W) panels of Wx^T, else empty; or of a kind in `matmul.FORMS`
    backward: Any  # (P, GH, W) panels of Wx, else empty; likewise
    b: Floats  # (GH,)


def characters(
    ids: Ids, table: Floats, b: Floats, nothing: Packed | None = None
) -> Inputs:
    """Let layer 0 read characters: z = table[ids] + b.

    Parameters
    ----------
    ids : (T, B) int array
    table : (V, GH) float array
    b : (GH,) float array
    nothing : Packed, optional
        Empty panels, of the kind that the other layers have: what is compiled for one
        of them is then good for all.
    """
    none = np.zeros((0, 0, 0), table.dtype)
    panels = Packed(none, none) if nothing is None else nothing
    return Inputs(ids, table, none, panels.forward, panels.backward, b)


def outputs_below(x: Floats, Wx: Packed, b: Floats) -> Inputs:
    """Let a layer read the one below: z = x Wx^T + b.

    Parameters
    ----------
    x : (T, B, D) float array
    Wx : Packed
        (GH, D).
    b : (GH,) float array
    """
    no_ids, no_table = np.zeros((0, 0), np.int32), np.zeros((0, 0), x.dtype)
    return Inputs(no_ids, no_table, x, Wx.forward, Wx.backward, b)


def projected(dtype: DTypeLike) -> Inputs:
    """Let a layer read nothing: z stands on the tape already."""
    none = np.zeros((0, 0, 0), dtype)
    no_ids, no_table = np.zeros((0, 0), np.int32), np.zeros((0, 0), dtype)
    return Inputs(no_ids, no_table, none, none, none, np.zeros(0, dtype))


@jit
def look_up(ids: Ids, table: Floats, b: Floats, z: Floats) -> None:
    """Project characters: z = table[ids] + b.

    Parameters
    ----------
    ids : (B,) int array
    table : (V, GH) float array
    b : (GH,) float array
    z : (B, GH) float array
        Written.
    """
    for n in range(z.shape[0]):
        row, out = table[ids[n]], z[n]
        for j in range(z.shape[1]):
            out[j] = row[j] + b[j]


@jit
def read(inputs: Inputs, t: int, a: int, b: int, z: Floats) -> None:
    """Project the inputs of step t, rows a to b.

    Parameters
    ----------
    inputs : Inputs
    z : (b - a, GH) float array
        Written: x Wx^T + b; left alone where it is `projected`.
    """
    if inputs.ids.size > 0:
        look_up(inputs.ids[t, a:b], inputs.table, inputs.b, z)
    elif inputs.x.size > 0:
        affine(inputs.x[t, a:b], inputs.forward, inputs.b, z)


@jit
def carry_back(inputs: Inputs, dz: Floats, dx: Floats) -> None:
    """Carry the gradient of some rows through `read`: dx = dz Wx.

    Parameters
    ----------
    inputs : Inputs
    dz : (B, GH) float array
    dx : (B, D) float array
        Written; left alone where there is no layer below.
    """
    if inputs.x.size > 0:
        multiply(dz, inputs.backward, dx, False)


@jit(inlined_early=True)
def rows_by_character(ids: Ids, V: int) -> tuple[Longs, Longs]:
    """Sort rows by their characters; rows of one character stay in order.

    Parameters
    ----------
    ids : (N,) int array
    V : int

    Returns
    -------
    order : (N,) int64 array
        Row numbers.
    ends : (V + 1,) int64 array
        The rows of character v are ``order[ends[v] : ends[v + 1]]``.
    """
    ends = np.zeros(V + 1, np.int64)
    for n in range(ids.size):
        ends[ids[n] + 1] += 1
    for v in range(V):
        ends[v + 1] += ends[v]
    order, filled = np.empty(ids.size, np.int64), ends.copy()
    for n in range(ids.size):
        order[filled[ids[n]]] = n
        filled[ids[n]] += 1
    return order, ends


@jit(parallel=True, allocates=True)
def scatter(ids: Ids, dz: Floats | Kept, dWx: Floats, db: Floats, workers: int) -> None:
    """Accumulate the gradients of `read` at layer 0.

    Every thread takes its own columns of all rows, so that no two of them
    write to one number, and adds them up character by character. In the order of
    the text, two threads took twice the time of one: the columns of a character
    lie side by side, and what a processor fetches ahead it takes away from the other.
    The sums in dWx have the order of the text, those in db that of the characters.

    Parameters
    ----------
    ids : (N,) int array
    dz : (N, GH) array
        Of floats, or of bfloat16 as `narrow_tape` keeps it.
    dWx : (V, GH) float array
        Accumulated into.
    db : (GH,) float array
        Accumulated into.
    """
    GH, V = dz.shape[1], dWx.shape[0]
    order, ends = rows_by_character(ids, V)
    for worker in prange(workers):
        low, high = GH * worker // workers, GH * (worker + 1) // workers
        # Sums of one character, and of all: in memory that no other thread touches.
        out, total = dWx[0, low:high].copy(), db[low:high].copy()
        for v in range(V):
            if ends[v] == ends[v + 1]:
                continue
            out[:] = dWx[v, low:high]
            for q in range(ends[v], ends[v + 1]):
                row = dz[order[q], low:high]
                for j in range(high - low):
                    out[j] += number_of(row[j])
                    total[j] += number_of(row[j])
            dWx[v, low:high] = out
        db[low:high] = total
