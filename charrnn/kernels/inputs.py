"""What enters a layer: z = x Wx^T + b for a whole window, and its gradient.

Layer 0 reads characters. A one-hot vector times a matrix is a row of the
matrix, so its Wx is stored by character, (V, GH), and gathered: the product
costs nothing. Its gradient is a scatter. Higher layers multiply the outputs
below for all steps and streams at once; the gradient of their weights is
`matmul.add_affine_gradient`.
"""

from numba import prange

from charrnn.arrays import Floats, Ids
from charrnn.kernels.blocks import ROWS
from charrnn.kernels.jit import jit
from charrnn.kernels.matmul import multiply


@jit(parallel=True)
def gather(Wx: Floats, b: Floats, ids: Ids, z: Floats, workers: int) -> None:
    """Look the projection of characters up: z[n] = Wx[ids[n]] + b.

    Parameters
    ----------
    Wx : (V, GH) float array
    b : (GH,) float array
    ids : (N,) int array
    z : (N, GH) float array
        Written.
    """
    N, GH = z.shape
    for worker in prange(workers):
        for n in range(N * worker // workers, N * (worker + 1) // workers):
            row, out = Wx[ids[n]], z[n]
            for j in range(GH):
                out[j] = row[j] + b[j]


@jit(parallel=True)
def scatter(ids: Ids, dz: Floats, dWx: Floats, db: Floats, workers: int) -> None:
    """Accumulate the gradients of `gather`.

    Every thread takes its own columns of all rows, so that no two of them
    write to one number and the order of the sums is that of the text.

    Parameters
    ----------
    ids : (N,) int array
    dz : (N, GH) float array
    dWx : (V, GH) float array
        Accumulated into.
    db : (GH,) float array
        Accumulated into.
    """
    N, GH = dz.shape
    for worker in prange(workers):
        low, high = GH * worker // workers, GH * (worker + 1) // workers
        total = db[low:high]
        for n in range(N):
            row, out = dz[n, low:high], dWx[ids[n], low:high]
            for j in range(high - low):
                out[j] += row[j]
                total[j] += row[j]


@jit(parallel=True)
def project(x: Floats, panels: Floats, b: Floats, z: Floats, workers: int) -> None:
    """Multiply the outputs of the layer below: z = x Wx^T + b.

    Parameters
    ----------
    x : (N, D) float array
    panels : (P, D, W) float array
        ``Packed.forward`` of Wx.
    b : (GH,) float array
    z : (N, GH) float array
        Written.
    """
    N, GH = z.shape
    groups = -(-N // ROWS)
    for worker in prange(workers):
        low = groups * worker // workers * ROWS
        high = min(N, groups * (worker + 1) // workers * ROWS)
        for first in range(low, high, 4 * ROWS):
            last = min(high, first + 4 * ROWS)
            for n in range(first, last):
                out = z[n]
                for j in range(GH):
                    out[j] = b[j]
            multiply(x[first:last], panels, z[first:last], True)


@jit(parallel=True)
def project_backward(dz: Floats, panels: Floats, dx: Floats, workers: int) -> None:
    """Carry the gradient through `project`: dx = dz Wx.

    Parameters
    ----------
    dz : (N, GH) float array
    panels : (P, GH, W) float array
        ``Packed.backward`` of Wx.
    dx : (N, D) float array
        Written.
    """
    N = dz.shape[0]
    groups = -(-N // ROWS)
    for worker in prange(workers):
        low = groups * worker // workers * ROWS
        high = min(N, groups * (worker + 1) // workers * ROWS)
        for first in range(low, high, 4 * ROWS):
            last = min(high, first + 4 * ROWS)
            multiply(dz[first:last], panels, dx[first:last], False)
