"""Normalization of a layer's outputs, over units or over a window, and back.

    xhat = (x - mean) / sqrt(var + EPS)       mean 0, variance 1
    y = xhat * gain + shift                   (N, H)

Layer normalization (Ba et al. 2016) takes mean and variance of a row, over its
H units: rows never meet. Batch normalization (Ioffe & Szegedy 2015) takes them
of a unit, over the N rows of a window; whoever evaluates has averages of them
instead, which make it one multiply-add a number, `scale_and_shift`. Variances
are divided by the count, not by one less.

Threads take blocks of rows or of columns whose sizes do not depend on how many
threads there are, and sums over rows run from the first row to the last, or
block by block: results do not depend on the number of threads either.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from charrnn.arrays import Floats
from charrnn.kernels.jit import jit

#: Added to variances. Outputs of a cell are below 1 in size, and a variance of
#: less than this is that of a layer that says nothing.
EPS = 1e-5

#: Rows whose sums one thread forms at a time.
ROWS = 64

#: Columns that one thread takes at a time: some vectors, whole cache lines.
COLUMNS = 64

#: How the outputs of a layer are normalized, as kernels are told.
NONE, LAYER, AFFINE = range(3)


class NormTape(NamedTuple):
    """What a normalized layer leaves behind for the way back."""

    xhat: Floats  # (N, H)
    inverse: Floats  # 1 / sqrt(var + EPS): of rows (N,), or of units (H,)


@jit
def _standardize(x: Floats, xhat: Floats) -> Any:
    """Give a row mean 0 and variance 1.

    Parameters
    ----------
    x, xhat : (H,) float array
        Read and written; may be the same.

    Returns
    -------
    float
        1 / sqrt(var + EPS).
    """
    real = x.dtype.type
    share, total, squares = real(1) / real(x.size), real(0), real(0)
    for j in range(x.size):
        total += x[j]
    mean = total * share
    for j in range(x.size):
        squares += (x[j] - mean) * (x[j] - mean)
    inverse = real(1) / np.sqrt(squares * share + real(EPS))
    for j in range(x.size):
        xhat[j] = (x[j] - mean) * inverse
    return inverse


@jit(inlined_early=True)
def normalize_rows(code: int, x: Floats, gain: Floats, shift: Floats) -> None:
    """Normalize rows in place and keep nothing, as generating does.

    Parameters
    ----------
    code : int
        LAYER; AFFINE, where only gain and shift are applied; or NONE.
    x : (B, H) float array
    gain, shift : (H,) float array
    """
    if code != NONE:
        for n in range(x.shape[0]):
            row = x[n]
            if code == LAYER:
                _standardize(row, row)
            for j in range(row.size):
                row[j] = row[j] * gain[j] + shift[j]


@jit(parallel=True)
def scale_and_shift(x: Floats, gain: Floats, shift: Floats, workers: int) -> None:
    """Multiply units by their gain and add their shift, in place.

    Parameters
    ----------
    x : (N, H) float array
    gain, shift : (H,) float array
    """
    N = x.shape[0]
    for worker in prange(workers):
        for n in range(N * worker // workers, N * (worker + 1) // workers):
            row = x[n]
            for j in range(row.size):
                row[j] = row[j] * gain[j] + shift[j]


@jit(parallel=True)
def layer_forward(
    x: Floats, gain: Floats, shift: Floats, tape: NormTape, workers: int
) -> None:
    """Normalize every row over its units.

    Parameters
    ----------
    x : (N, H) float array
        On exit y.
    gain, shift : (H,) float array
    tape : NormTape
        Written.
    """
    N = x.shape[0]
    # Unpacked here: a number stored into an array that only the loop takes out
    # of its tuple is lost, since Numba believes that nobody sees it.
    standard, inverse = tape
    for worker in prange(workers):
        for n in range(N * worker // workers, N * (worker + 1) // workers):
            y, xhat = x[n], standard[n]
            inverse[n] = _standardize(y, xhat)
            for j in range(y.size):
                y[j] = xhat[j] * gain[j] + shift[j]


@jit
def _layer_row_backward(dy: Floats, gain: Floats, xhat: Floats, inverse: Any) -> None:
    """Turn the gradient of a row's y into that of its x, in place."""
    real = dy.dtype.type
    share, mean, along = real(1) / real(dy.size), real(0), real(0)
    for j in range(dy.size):
        # y = xhat * gain + shift
        dxhat = dy[j] * gain[j]
        mean += dxhat
        along += dxhat * xhat[j]
        dy[j] = dxhat
    mean *= share
    along *= share
    for j in range(dy.size):
        # xhat = (x - mean) / sqrt(var + EPS)
        dy[j] = (dy[j] - mean - xhat[j] * along) * inverse


@jit(parallel=True, allocates=True)
def layer_backward(
    dy: Floats, gain: Floats, tape: NormTape, dgain: Floats, dshift: Floats
) -> None:
    """Carry the gradient back through `layer_forward`.

    Parameters
    ----------
    dy : (N, H) float array
        Gradient of y; on exit that of x.
    gain : (H,) float array
    tape : NormTape
        Of these rows.
    dgain, dshift : (H,) float array
        Accumulated into.
    """
    N, H = dy.shape
    standard, inverse = tape
    blocks = -(-N // ROWS)
    sums = np.zeros((blocks, 2, H), dy.dtype)
    for q in prange(blocks):
        for n in range(q * ROWS, min(N, (q + 1) * ROWS)):
            row, xhat = dy[n], standard[n]
            sum_gain, sum_shift = sums[q, 0], sums[q, 1]
            for j in range(H):
                # y = xhat * gain + shift
                sum_gain[j] += row[j] * xhat[j]
                sum_shift[j] += row[j]
            _layer_row_backward(row, gain, xhat, inverse[n])
    for q in range(blocks):
        sum_gain, sum_shift = sums[q, 0], sums[q, 1]
        for j in range(H):
            dgain[j] += sum_gain[j]
            dshift[j] += sum_shift[j]


@jit(parallel=True, allocates=True)
def batch_forward(
    x: Floats, gain: Floats, shift: Floats, tape: NormTape, mean: Floats, var: Floats
) -> None:
    """Normalize every unit over the rows of a window.

    Parameters
    ----------
    x : (N, H) float array
        On exit y.
    gain, shift : (H,) float array
    tape : NormTape
        Written.
    mean, var : (H,) float array
        Written: of each unit.
    """
    N, H = x.shape
    standard, inverse = tape
    real = x.dtype.type
    share, eps = real(1) / real(N), real(EPS)
    for c in prange(-(-H // COLUMNS)):
        a, b = c * COLUMNS, min(H, (c + 1) * COLUMNS)
        center, spread, factor = mean[a:b], var[a:b], inverse[a:b]
        part, gains, shifts = np.empty(b - a, x.dtype), gain[a:b], shift[a:b]
        center[:] = 0
        for first in range(0, N, ROWS):
            part[:] = 0
            for n in range(first, min(N, first + ROWS)):
                row = x[n, a:b]
                for j in range(row.size):
                    part[j] += row[j]
            for j in range(part.size):
                center[j] += part[j] * share
        spread[:] = 0
        for first in range(0, N, ROWS):
            part[:] = 0
            for n in range(first, min(N, first + ROWS)):
                row = x[n, a:b]
                for j in range(row.size):
                    part[j] += (row[j] - center[j]) * (row[j] - center[j])
            for j in range(part.size):
                spread[j] += part[j] * share
        for j in range(factor.size):
            factor[j] = real(1) / np.sqrt(spread[j] + eps)
        for n in range(N):
            y, xhat = x[n, a:b], standard[n, a:b]
            for j in range(y.size):
                xhat_j = (y[j] - center[j]) * factor[j]
                xhat[j] = xhat_j
                y[j] = xhat_j * gains[j] + shifts[j]


@jit(parallel=True, allocates=True)
def batch_backward(
    dy: Floats, gain: Floats, tape: NormTape, dgain: Floats, dshift: Floats
) -> None:
    """Carry the gradient back through `batch_forward`.

    Parameters
    ----------
    dy : (N, H) float array
        Gradient of y, of all rows of the window; on exit that of x.
    gain : (H,) float array
    tape : NormTape
    dgain, dshift : (H,) float array
        Accumulated into.
    """
    N, H = dy.shape
    standard, inverse = tape
    real = dy.dtype.type
    share = real(1) / real(N)
    for c in prange(-(-H // COLUMNS)):
        a, b = c * COLUMNS, min(H, (c + 1) * COLUMNS)
        part = np.empty((2, b - a), dy.dtype)
        sums = np.zeros((2, b - a), dy.dtype)
        for first in range(0, N, ROWS):
            part[:] = 0
            part_gain, part_shift = part[0], part[1]
            for n in range(first, min(N, first + ROWS)):
                row, xhat = dy[n, a:b], standard[n, a:b]
                for j in range(row.size):
                    # y = xhat * gain + shift
                    part_gain[j] += row[j] * xhat[j]
                    part_shift[j] += row[j]
            for j in range(b - a):
                sums[0, j] += part_gain[j]
                sums[1, j] += part_shift[j]
        sum_gain, sum_shift = sums[0], sums[1]
        factor = np.empty(b - a, dy.dtype)
        for j in range(b - a):
            dgain[a + j] += sum_gain[j]
            dshift[a + j] += sum_shift[j]
            # y = xhat * gain + shift: dxhat = dy * gain; its means over the rows
            sum_gain[j] *= share
            sum_shift[j] *= share
            factor[j] = gain[a + j] * inverse[a + j]
        for n in range(N):
            row, xhat = dy[n, a:b], standard[n, a:b]
            for j in range(row.size):
                # xhat = (x - mean) / sqrt(var + EPS)
                row[j] = (row[j] - sum_shift[j] - xhat[j] * sum_gain[j]) * factor[j]


@jit(parallel=True)
def unit_sums(x: Floats, sums: Any) -> None:
    """Sum every unit over the rows of a part of a window, and its squares.

    Where processes share a window out, the sums of all their parts give the means and
    variances of the whole.

    Parameters
    ----------
    x : (N, H) float array
    sums : (2, H) float64 array
        Written: sums, sums of squares.
    """
    N, H = x.shape
    for c in prange(-(-H // COLUMNS)):
        a, b = c * COLUMNS, min(H, (c + 1) * COLUMNS)
        total, squares = sums[0, a:b], sums[1, a:b]
        total[:] = 0
        squares[:] = 0
        for n in range(N):
            row = x[n, a:b]
            for j in range(row.size):
                number = np.float64(row[j])
                total[j] += number
                squares[j] += number * number


@jit(parallel=True)
def standardize(
    x: Floats,
    gain: Floats,
    shift: Floats,
    tape: NormTape,
    mean: Floats,
    var: Floats,
    workers: int,
) -> None:
    """Normalize every unit by means and variances that are known already.

    Parameters
    ----------
    x : (N, H) float array
        On exit y.
    gain, shift, mean, var : (H,) float array
        Read.
    tape : NormTape
        Written.
    """
    N = x.shape[0]
    standard, inverse = tape
    real = x.dtype.type
    for j in range(inverse.size):
        inverse[j] = real(1) / np.sqrt(var[j] + real(EPS))
    for worker in prange(workers):
        for n in range(N * worker // workers, N * (worker + 1) // workers):
            y, xhat = x[n], standard[n]
            for j in range(y.size):
                xhat_j = (y[j] - mean[j]) * inverse[j]
                xhat[j] = xhat_j
                y[j] = xhat_j * gain[j] + shift[j]


@jit(parallel=True)
def unit_gradient_sums(dy: Floats, tape: NormTape, sums: Any) -> None:
    """Sum the gradients of gain and shift over the rows of a part of a window.

    Parameters
    ----------
    dy : (N, H) float array
        Gradient of y; read.
    tape : NormTape
        Of these rows.
    sums : (2, H) float64 array
        Written: of dy * xhat, and of dy.
    """
    N, H = dy.shape
    standard = tape.xhat
    for c in prange(-(-H // COLUMNS)):
        a, b = c * COLUMNS, min(H, (c + 1) * COLUMNS)
        along, total = sums[0, a:b], sums[1, a:b]
        along[:] = 0
        total[:] = 0
        for n in range(N):
            row, xhat = dy[n, a:b], standard[n, a:b]
            for j in range(row.size):
                along[j] += np.float64(row[j]) * xhat[j]
                total[j] += np.float64(row[j])


@jit(parallel=True)
def standardize_backward(
    dy: Floats, gain: Floats, tape: NormTape, along: Floats, mean: Floats, workers: int
) -> None:
    """Carry the gradient back through `standardize`, and through its statistics.

    Parameters
    ----------
    dy : (N, H) float array
        Gradient of y; on exit that of x.
    gain : (H,) float array
    tape : NormTape
        Of these rows.
    along, mean : (H,) float array
        Means over the whole window of dy * xhat, and of dy.
    """
    N = dy.shape[0]
    standard, inverse = tape
    for worker in prange(workers):
        for n in range(N * worker // workers, N * (worker + 1) // workers):
            row, xhat = dy[n], standard[n]
            for j in range(row.size):
                factor = gain[j] * inverse[j]
                row[j] = (row[j] - mean[j] - xhat[j] * along[j]) * factor
