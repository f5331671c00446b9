"""One step of each optimizer on the flat parameter buffer, and the norm.

    SGD       theta -= lr g
    Adagrad   v += g^2                        theta -= lr g / (sqrt(v) + eps)
    RMSProp   v = b2 v + (1 - b2) g^2         theta -= lr g / (sqrt(v) + eps)
    Adam      m = b1 m + (1 - b1) g, v as in RMSProp, both divided by
              1 - b^step                      theta -= lr m / (sqrt(v) + eps)

(Robbins & Monro 1951; Duchi et al. 2011; Tieleman & Hinton 2012; Kingma & Ba
2015.) Weight decay is decoupled from the gradient (Loshchilov & Hutter 2019)
and touches weight matrices only, which stand before the biases in the buffer.

The gradient is scaled and clipped on the way, so that a step reads every array
once, and what a chunk has become is looked at while it is in the cache. Threads
take chunks of a fixed size: results do not depend on their number.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from charrnn.arrays import Floats
from charrnn.kernels.jit import jit

#: Numbers that a thread takes at a time.
CHUNK = 16_384

#: Numbers summed in the array's own precision before going to float64.
_RUN = 1024

SGD, ADAGRAD, RMSPROP, ADAM = range(4)


class Formula(NamedTuple):
    """What an optimizer does with a gradient: its code and its constants."""

    code: int  # SGD, ADAGRAD, RMSPROP or ADAM
    beta1: float
    beta2: float
    eps: float


class Update(NamedTuple):
    """The numbers of one step; with the defaults nothing decays or is clipped."""

    lr: float
    correction1: float = 1.0  # 1 / (1 - beta1^step) for Adam
    correction2: float = 1.0  # 1 / (1 - beta2^step) for Adam
    decay: float = 0.0  # lr * weight decay
    decayed: int = 0  # how many leading parameters decay
    scale: float = 1.0  # multiplies the gradient: clipping by norm
    limit: float = np.inf  # then bounds it: clipping by value


@jit(parallel=True)
def squared_norm(g: Floats, partial: Floats) -> None:
    """Sum squares, a chunk each; their total is the squared norm.

    Parameters
    ----------
    g : (P,) float array
    partial : (C,) float64 array, C = ceil(P / CHUNK)
        Written.
    """
    for c in prange(partial.size):
        end = min(g.size, (c + 1) * CHUNK)
        total = np.float64(0)
        for a in range(c * CHUNK, end, _RUN):
            some, run = g[a : min(a + _RUN, end)], g.dtype.type(0)
            for k in range(some.size):
                run += some[k] * some[k]
            total += run
        partial[c] = total


@jit(parallel=True, allocates=True)
def apply(
    theta: Floats, g: Floats, m: Floats, v: Floats, rule: Formula, update: Update
) -> bool:
    """Take one step of an optimizer.

    Parameters
    ----------
    theta : (P,) float array
        Parameters; changed.
    g : (P,) float array
        Gradient; read.
    m, v : (P,) float array
        First and second moments; changed. Empty where the rule has none.
    rule : Formula
    update : Update

    Returns
    -------
    bool
        Whether all parameters and second moments are finite. (A first moment is
        never larger than the gradients.)
    """
    real = theta.dtype.type
    lr, eps = real(update.lr), real(rule.eps)
    b1, b2 = real(rule.beta1), real(rule.beta2)
    a1, a2 = real(1 - rule.beta1), real(1 - rule.beta2)
    c1, c2 = real(update.correction1), real(update.correction2)
    scale, limit = real(update.scale), real(update.limit)
    code = rule.code
    size, ruined = theta.size, 0
    for c in prange(-(-size // CHUNK)):
        begin, end = c * CHUNK, min(size, (c + 1) * CHUNK)
        # Views, and no indices from `begin` on; see `charrnn.kernels.jit`.
        th, gr, mo, ve = theta[begin:end], g[begin:end], m[begin:end], v[begin:end]
        keep = real(1 - update.decay)
        for k in range(min(th.size, update.decayed - begin)):
            th[k] *= keep
        if code == SGD:
            for k in range(th.size):
                th[k] -= lr * min(max(gr[k] * scale, -limit), limit)
        elif code == ADAGRAD:
            for k in range(th.size):
                g_k = min(max(gr[k] * scale, -limit), limit)
                ve[k] += g_k * g_k
                th[k] -= lr * g_k / (np.sqrt(ve[k]) + eps)
        elif code == RMSPROP:
            for k in range(th.size):
                g_k = min(max(gr[k] * scale, -limit), limit)
                ve[k] = b2 * ve[k] + a2 * g_k * g_k
                th[k] -= lr * g_k / (np.sqrt(ve[k]) + eps)
        else:
            for k in range(th.size):
                g_k = min(max(gr[k] * scale, -limit), limit)
                mo[k] = b1 * mo[k] + a1 * g_k
                ve[k] = b2 * ve[k] + a2 * g_k * g_k
                th[k] -= lr * (mo[k] * c1) / (np.sqrt(ve[k] * c2) + eps)
        nothing = real(0)  # times infinity, or NaN, is NaN, and stays in a sum
        for k in range(th.size):
            nothing += th[k] * real(0)
        for k in range(ve.size):
            nothing += ve[k] * real(0)
        ruined += nothing != 0
    return ruined == 0


@jit(parallel=True)
def update_ema(average: Floats, theta: Floats, rate: float) -> None:
    """Move an exponential average: average += rate * (theta - average).

    Parameters
    ----------
    average : (P,) float array
        Changed.
    theta : (P,) float array
    rate : float
        One less the decay.
    """
    share = theta.dtype.type(rate)
    size = theta.size
    for c in prange(-(-size // CHUNK)):
        begin, end = c * CHUNK, min(size, (c + 1) * CHUNK)
        mean, th = average[begin:end], theta[begin:end]
        for k in range(mean.size):
            mean[k] += share * (th[k] - mean[k])
