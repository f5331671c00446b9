"""Inverted dropout (Srivastava et al. 2014) of outputs, and of weights.

Of recurrent weights one mask holds for a whole window (Wan et al. 2013,
"Regularization of neural networks using DropConnect"; for recurrent weights
Merity et al. 2018, "Regularizing and optimizing LSTM language models"): what is
carried along is disturbed in the same way at every step, not erased by and by.

The noise is drawn by the caller, one byte a number, and handed in: kernels
stay pure, and the same noise serves the way forward and the way back. One byte
means that the rate is rounded to 1/256; the scale belongs to the rounded rate,
so that the mean is kept exactly.
"""

from numba import prange

from charrnn.arrays import Flags, Floats
from charrnn.kernels.jit import jit


@jit(parallel=True)
def drop(x: Floats, noise: Flags, threshold: int, workers: int) -> None:
    """Zero what has noise below the threshold, scale the rest to keep the mean.

    Parameters
    ----------
    x : (N, H) float array
        Outputs or weights on the way forward, their gradient on the way back;
        changed in place.
    noise : (N, H) uint8 array
        Uniform in 0..255.
    threshold : int
        256 times the rate, rounded; below 256.
    """
    N, H = x.shape
    scale, zero = x.dtype.type(256 / (256 - threshold)), x.dtype.type(0)
    for worker in prange(workers):
        for n in range(N * worker // workers, N * (worker + 1) // workers):
            row, random = x[n], noise[n]
            for j in range(H):
                row[j] *= scale if random[j] >= threshold else zero
