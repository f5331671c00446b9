"""Blocked matrix products, made of the vector code in `blocks`.

    multiply             C (+)= A B              A (m, K), B (K, n) in panels
    affine               z = x W^T + b           the same, from a bias on
    add_affine_gradient  dW += dz^T x            dz (N, M), x (N, n)

Numba has no product of its own (its ``@`` calls SciPy's BLAS, which brings a
second set of threads), so these are ours.

B is read from *panels*, (P, K, W): panel j holds columns j W to (j + 1) W of
B, W being two vectors wide, so that the block reads memory in order. Columns
beyond the last one of B are zero in the panel and are never stored to C.

Every number of C is one chain of multiply-adds along the shared axis, in
order, whatever the rows and columns beside it. So a row of a batch gives the
same bits alone, and the result does not depend on the number of threads.

With ``NUMBA_DISABLE_JIT=1`` there is no emitted code; the products are then
NumPy's. The tests compare both forms with NumPy in float64 for every remainder
of rows, columns and depth, with guard cells around the arrays.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import prange, types
from numba.core import config as numba_config
from numba.extending import overload

from charrnn.arrays import Floats
from charrnn.kernels.bfloat16_products import multiply_narrow
from charrnn.kernels.blocks import ROWS, VECTOR_BYTES, VECTORS
from charrnn.kernels.jit import OPTIONS, jit
from charrnn.kernels.rows import (
    MANY,
    PANELS,
    few_rows_by_panels,
    is_kept,
    rows_by_panel,
    share_of_next,
)

#: Rows and columns of dz that `add_affine_gradient` copies at a time. A panel
#: of SLICE rows of x stays in the first-level cache, the copy in the second; and
#: dW, which may be in neither, is read and written once a slice (of 512 x 2048, at
#: 310 GFLOP/s with 192 rows and at 266 with 128).
#: The copy is read in order and lies at a stride that is no power of two: read
#: in place, every number of a column falls into the same few lines of the
#: cache, and the product ran at two thirds of this speed, or at one third where
#: dz came from memory.
SLICE, COLUMNS = 192, 128


@jit(called=True)
def _multiply_blocks(a: Floats, panels: Floats, c: Floats, accumulate: bool) -> None:
    """See `multiply`."""
    m, depth = a.shape
    n = c.shape[1]
    a_flat, c_flat = a.reshape(-1), c.reshape(-1)
    done = 0
    if m < MANY:
        while done + PANELS <= panels.shape[0]:
            first = done * panels.shape[2]
            few_rows_by_panels(
                a_flat,
                panels[done : done + PANELS].reshape(-1),
                c_flat[first:],
                (depth, n),
                (m, depth, n - first),
                accumulate,
            )
            done += PANELS
    for j in range(done, panels.shape[0]):
        b = panels[j].reshape(-1)
        first = j * panels.shape[2]
        for i in range(0, m, ROWS):
            rows_by_panel(
                a_flat[i * depth :],
                b,
                c_flat[i * n + first :],
                (depth, 1, n),
                (min(ROWS, m - i), depth, n - first),
                # Fetching c, too, cost the way forward of 2 x 512 a tenth on a Zen 5.
                (share_of_next(b, depth, i // ROWS, panels.size), 0),
                accumulate,
            )


@jit
def _multiply_pairs(a: Floats, panels: Floats, c: Floats, accumulate: bool) -> None:
    """See `multiply`; for panels (P, k, W, pair)."""
    multiply_narrow(a, panels, c, accumulate)


def _multiply_numpy(a: Floats, panels: Floats, c: Floats, accumulate: bool) -> None:
    """See `multiply`; for runs without the JIT."""
    b = panels.transpose(1, 0, 2).reshape(a.shape[1], -1)[:, : c.shape[1]]
    c[...] = a @ b + (c if accumulate else 0)


@jit
def _pack_slice(x: Floats, start: int, depth: int, out: Floats) -> None:
    """Lay `depth` rows of x (N, n) out as panels (P, SLICE, W)."""
    n, width = x.shape[1], out.shape[2]
    for k in range(depth):
        row = x[start + k]
        for j in range(out.shape[0]):
            panel, column = out[j, k], j * width
            if column + width <= n:
                for i in range(width):  # vector loads: the usual case
                    panel[i] = row[column + i]
            else:
                for i in range(n - column):
                    panel[i] = row[column + i]


@jit
def _copy_slice(
    dz: Floats, start: int, depth: int, first: int, last: int, out: Floats
) -> None:
    """Copy columns first to last of `depth` rows of dz (N, M) to out's rows."""
    for k in range(depth):
        row, copy = dz[start + k, first:last], out[k, : last - first]
        for i in range(last - first):
            copy[i] = row[i]


@jit
def _add_rows(rows: Floats, depth: int, skip: int, total: Floats) -> None:
    """Add `depth` rows, from column `skip` on, to total (k,), in order."""
    for k in range(depth):
        row = rows[k, skip : skip + total.size]
        for i in range(total.size):
            total[i] += row[i]


@jit(parallel=True, allocates=True)
def _add_affine_blocks(
    dz: Floats, x: Floats, dW: Floats, db: Floats, workers: int
) -> None:
    """See `add_affine_gradient`."""
    N, M = dz.shape
    n = x.shape[1]
    groups = -(-M // ROWS)
    width = VECTORS * VECTOR_BYTES // dz.itemsize
    count = -(-n // width)
    biased = M - db.size
    # Panels are read soon after they are packed; a thread's part of dW, once a slice.
    ahead = 0, 0 if is_kept(dW, dW.size // workers) else ROWS * n
    for worker in prange(workers):
        begin = groups * worker // workers * ROWS
        end = min(M, groups * (worker + 1) // workers * ROWS)
        panels = np.zeros((count, SLICE, width), x.dtype)
        copy = np.zeros((SLICE, COLUMNS + ROWS), x.dtype)
        a, dW_flat = copy.reshape(-1), dW.reshape(-1)
        for start in range(0, N, SLICE):
            depth = min(SLICE, N - start)
            _pack_slice(x, start, depth, panels)
            for first in range(begin, end, COLUMNS):
                last = min(end, first + COLUMNS)
                _copy_slice(dz, start, depth, first, last, copy)
                low = max(biased, first)
                if low < last:
                    _add_rows(
                        copy, depth, low - first, db[low - biased : last - biased]
                    )
                for j in range(count):
                    panel = panels[j, :depth].reshape(-1)
                    for q in range(first, last, ROWS):
                        rows_by_panel(
                            a[q - first :],
                            panel,
                            dW_flat[q * n + j * width :],
                            (1, copy.shape[1], n),
                            (min(ROWS, last - q), depth, n - j * width),
                            ahead,
                            True,
                        )


def _add_affine_numpy(
    dz: Floats,
    x: Floats,
    dW: Floats,
    db: Floats,
    workers: int,
) -> None:
    """See `add_affine_gradient`; for runs without the JIT."""
    dW += dz.T @ x
    db += dz[:, dz.shape[1] - db.size :].sum(axis=0)


class Form(NamedTuple):
    """What is done with panels that are no array: a NamedTuple of another kind."""

    multiply: Callable[..., None]  # as `multiply` says, of one matrix
    #: Takes matrix k out of panels with a leading axis L. It is no kernel: it returns
    #: arrays, and is inlined wherever kernels call it. Numba types it as a function
    #: that counts no references, and of such it refuses a bare array as the result, but
    #: not a NamedTuple: therefore all panels that are taken out of several are one.
    matrix: Callable[..., Any]


#: By their types; whoever has another kind of panels registers it.
FORMS: dict[type, Form] = {}


class FullPanels(NamedTuple):
    """A matrix B (K, n) as training has it, or several with a leading axis L."""

    panels: Floats  # (P, K, W), or (L, P, K, W)


def multiply(a: Floats, panels: Any, c: Floats, accumulate: bool) -> None:
    """C = A B, or C += A B if `accumulate`, for B packed into panels.

    Parameters
    ----------
    a : (m, K) float array
    panels : (P, K, W) float array
        One direction of a `Packed` weight; or (P, k, W, pair), for products in
        bfloat16: see `bfloat16_products`; or another kind of panels, see `FORMS`.
    c : (m, n) float array
        Written, or accumulated into.
    """
    form = FORMS.get(type(panels))
    if form is not None:
        form.multiply(a, panels, c, accumulate)
    elif panels.ndim == 4:
        _multiply_pairs(a, panels, c, accumulate)
    else:
        _multiply_panels(a, panels, c, accumulate)


def matrix_of(stacked: Any, k: int) -> Any:
    """Take matrix k out of several, of a kind that is in `FORMS`, as a view."""
    return FORMS[type(stacked)].matrix(stacked, k)


_chosen = {"strict": False, "jit_options": OPTIONS | {"forceinline": True}}


@overload(multiply, **_chosen)  # type: ignore[untyped-decorator]
def _multiply_chosen(a: Any, panels: Any, c: Any, accumulate: Any) -> Any:
    if isinstance(panels, types.BaseNamedTuple):
        chosen = FORMS[panels.instance_class].multiply
    elif panels.ndim == 4:
        chosen = _multiply_pairs
    else:
        chosen = _multiply_panels

    def call(a: Any, panels: Any, c: Any, accumulate: Any) -> None:
        chosen(a, panels, c, accumulate)

    return call


@overload(matrix_of, strict=False, inline="always")  # type: ignore[untyped-decorator]
def _matrix_chosen(stacked: Any, k: Any) -> Any:
    return FORMS[stacked.instance_class].matrix


def add_affine_gradient(
    dz: Floats, x: Floats, dW: Floats, db: Floats, workers: int
) -> None:
    """Accumulate the gradients of z = x W^T + b: dW += dz^T x, db += sum of dz.

    Parameters
    ----------
    dz : (N, M) float array
        Gradients of z, a row per step and stream.
    x : (N, n) float array
        The inputs.
    dW : (M, n) float array
        Accumulated into.
    db : (k,) float array, k <= M
        Accumulated into: the sums of the *last* k columns of dz. Empty where
        the product has no bias; H for the GRU, whose candidate alone has one.
    workers : int
        Into how many parts the rows of dW are cut for the threads. The result
        does not depend on it.
    """


if numba_config.DISABLE_JIT:
    _multiply_panels = _multiply_numpy
    add_affine_gradient = _add_affine_numpy
else:
    _multiply_panels = _multiply_blocks
    add_affine_gradient = _add_affine_blocks


@jit
def _multiply_full(a: Floats, W: FullPanels, c: Floats, accumulate: bool) -> None:
    """See `multiply`."""
    _multiply_panels(a, W.panels, c, accumulate)


def _full_matrix(stacked: FullPanels, k: int) -> FullPanels:
    """Take matrix k out of several, as a view."""
    return FullPanels(stacked.panels[k])


FORMS[FullPanels] = Form(_multiply_full, _full_matrix)


@jit
def affine(x: Floats, panels: Any, b: Floats, z: Floats) -> None:
    """Form z = x W^T + b.

    Parameters
    ----------
    x : (m, K) float array
    panels : (P, K, W) float array
        ``Packed.forward`` of W; or another kind that `multiply` takes.
    b : (n,) float array
    z : (m, n) float array
        Written.
    """
    for i in range(z.shape[0]):
        row = z[i]
        for j in range(z.shape[1]):
            row[j] = b[j]
    multiply(x, panels, z, True)
