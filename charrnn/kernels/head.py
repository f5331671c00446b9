"""The output layer: logits, softmax cross-entropy, and their gradient.

    logits = y Wy^T + by                            (N, V)
    p = exp(logits - max) / sum                     softmax
    loss = -log p[target]                           nats
    d loss / d logits = p - onehot(target)

Rows are independent, so threads take blocks of them. A target of -1 is not
scored: its loss and its gradient are zero.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from charrnn.arrays import Floats, Ids
from charrnn.kernels.activations import exp
from charrnn.kernels.blocks import ROWS
from charrnn.kernels.jit import jit
from charrnn.kernels.matmul import affine, multiply
from charrnn.kernels.packing import Packed

#: Rows of logits computed and used while they are in the cache.
BLOCK = 4 * ROWS


class Head(NamedTuple):
    """Weights of the output layer."""

    Wy: Packed  # (V, H), packed
    by: Floats  # (V,)


@jit
def _softmax(row: Floats, target: int) -> float:
    """Turn logits into probabilities; return the target's loss, in nats.

    Parameters
    ----------
    row : (V,) float array
        On entry logits; on exit probabilities.
    target : int
        -1 for none, whose loss is 0.
    """
    largest = row[0]
    for v in range(1, row.size):
        largest = max(largest, row[v])
    wanted = row[max(target, 0)]
    total = row.dtype.type(0)
    for v in range(row.size):
        power = exp(row[v] - largest)
        row[v] = power
        total += power
    for v in range(row.size):
        row[v] /= total
    # One logarithm a row: scalar, and in float64.
    return np.log(np.float64(total)) + (largest - wanted) if target >= 0 else 0.0


@jit(parallel=True)
def logits(head: Head, y: Floats, out: Floats, workers: int) -> None:
    """Logits of all rows.

    Parameters
    ----------
    head : Head
    y : (N, H) float array
    out : (N, V) float array
        Written.
    """
    N, panels, by = y.shape[0], head.Wy.forward, head.by
    blocks = -(-N // BLOCK)
    for worker in prange(workers):
        for q in range(blocks * worker // workers, blocks * (worker + 1) // workers):
            a, b = q * BLOCK, min(N, (q + 1) * BLOCK)
            affine(y[a:b], panels, by, out[a:b])


@jit(parallel=True, allocates=True)
def losses(head: Head, y: Floats, targets: Ids, out: Floats, workers: int) -> None:
    """Loss of every row, for evaluation: nothing is kept for a gradient.

    Parameters
    ----------
    head : Head
    y : (N, H) float array
    targets : (N,) int array
    out : (N,) float64 array
        Written: nats.
    """
    N, panels, by = y.shape[0], head.Wy.forward, head.by
    blocks = -(-N // BLOCK)
    for worker in prange(workers):
        rows = np.empty((BLOCK, by.size), y.dtype)
        for q in range(blocks * worker // workers, blocks * (worker + 1) // workers):
            a, b = q * BLOCK, min(N, (q + 1) * BLOCK)
            affine(y[a:b], panels, by, rows[: b - a])
            for n in range(a, b):
                out[n] = _softmax(rows[n - a], targets[n])


class HeadTape(NamedTuple):
    """What `loss_and_gradient` leaves behind."""

    losses: Floats  # (N,) float64: nats, 0 where the target is -1
    dlogits: Floats  # (N, V): gradient of the logits
    dy: Floats  # (N, H): gradient of the outputs


@jit(parallel=True)
def loss_and_gradient(
    head: Head, y: Floats, targets: Ids, scale: float, tape: HeadTape, workers: int
) -> None:
    """Loss of every row, and the gradient of ``scale * sum(losses)``.

    Parameters
    ----------
    head : Head
    y : (N, H) float array
    targets : (N,) int array
    scale : float
        1 / (number of targets) makes the total loss a mean.
    tape : HeadTape
        Written. The gradients of Wy and by follow from ``dlogits`` and y with
        `matmul.add_affine_gradient`.
    """
    N, V = tape.dlogits.shape
    panels, by, back = head.Wy.forward, head.by, head.Wy.backward
    losses, dlogits, dy = tape
    blocks = -(-N // BLOCK)
    factor, zero = y.dtype.type(scale), y.dtype.type(0)
    for worker in prange(workers):
        for q in range(blocks * worker // workers, blocks * (worker + 1) // workers):
            a, b = q * BLOCK, min(N, (q + 1) * BLOCK)
            rows = dlogits[a:b]
            affine(y[a:b], panels, by, rows)
            for n in range(a, b):
                row, target = rows[n - a], targets[n]
                losses[n] = _softmax(row, target)
                weight = factor if target >= 0 else zero
                for v in range(V):
                    row[v] *= weight
                if target >= 0:
                    row[target] -= factor
            multiply(rows, back, dy[a:b], False)
