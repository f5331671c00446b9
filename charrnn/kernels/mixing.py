"""Several models' predictions as one distribution, and what is chosen by it.

    linear:  p = sum of w[m] p[m]
    log:     p in proportion to the product of p[m] ^ w[m]

Everything is in float64, from logits less their maximum. Of one model alone the
logits are its own, so that what is chosen is what it would choose, bit for bit.
"""

from typing import NamedTuple

import numpy as np

from charrnn.arrays import Flags, Floats, Ids
from charrnn.kernels.activations import exp64
from charrnn.kernels.filters import Filters, Scratch, choose, turn_to
from charrnn.kernels.jit import jit


class Predicted(NamedTuple):
    """What M models expect in B rows, and how that is mixed.

    Model m knows V[m] characters, N all models together, and the mixture V.
    """

    logits: Floats  # (B * N,) those of each model, (B, V[m]), one behind the other
    sizes: Ids  # (M,) V[m]
    places: Ids  # (N,) what each model's characters are to the mixture; -1: nothing
    weights: Floats  # (M,) float64, above 0, the sum is 1
    linear: bool


@jit(inlined_early=True)
def _add(logits: Floats, places: Ids, weight: float, linear: bool, out: Floats) -> None:
    """Add a model's part: of the probabilities, or of their logarithms."""
    peak, total = np.float64(logits[0]), 0.0
    for v in range(1, logits.size):
        peak = max(peak, np.float64(logits[v]))
    for v in range(logits.size):
        total += exp64(logits[v] - peak)
    normal = np.log(total)
    for v in range(logits.size):
        if places[v] >= 0:
            if linear:
                out[places[v]] += weight * (exp64(logits[v] - peak) / total)
            else:
                out[places[v]] += weight * (logits[v] - peak - normal)


@jit(inlined_early=True)
def _mix(predicted: Predicted, rows: int, n: int, out: Floats) -> None:
    """Mix what all models expect in row n of some; see `mix_rows`."""
    logits, sizes, places, weights, linear = predicted
    first = 0
    for v in range(out.size):
        out[v] = 0
    for m in range(sizes.size):
        begin = first * rows + n * sizes[m]
        own = logits[begin : begin + sizes[m]]
        to = places[first : first + sizes[m]]
        if sizes.size == 1:
            for v in range(own.size):
                out[to[v]] = own[v]
        else:
            _add(own, to, weights[m], linear, out)
        first += sizes[m]
    if linear and sizes.size > 1:
        for v in range(out.size):
            out[v] = np.log(out[v]) if out[v] > 0 else -np.inf


@jit(parallel=False)
def mix_rows(predicted: Predicted, out: Floats) -> None:
    """Mix what all models expect in every row.

    Parameters
    ----------
    predicted : Predicted
        Its logits are below infinity, and in every row some are above -infinity.
    out : (B, V) float64 array
        Written: logits, which are the logarithms of the probabilities but for a
        constant.
    """
    for n in range(out.shape[0]):
        _mix(predicted, out.shape[0], n, out[n])


@jit(parallel=False)
def choose_mixed(
    predicted: Predicted,
    recent: Ids,
    filters: Filters,
    scratch: Scratch,
    wanted: Flags,
    u: Floats,
    logits: Floats,
    ids: Ids,
) -> bool:
    """Choose a character for some rows by the mixture.

    Parameters
    ----------
    predicted : Predicted
    recent : (past, B) int array
        The last characters of the mixture's vocabulary; see `filters.weigh`.
    filters : Filters
        For the mixture's vocabulary.
    scratch : Scratch
        Likewise.
    wanted : (B,) array of 0 and 1
        The rows for which one is chosen; nothing is written in the others.
    u : (B,) float64 array
        Random numbers.
    logits : (B, V) float64 array
        Written; see `mix_rows`.
    ids : (B,) int array
        Written.

    Returns
    -------
    bool
        False if some row had nothing to choose from.
    """
    for n in range(ids.size):
        if wanted[n]:
            _mix(predicted, ids.size, n, logits[n])
            turn_to(filters.pattern, n)
            chosen = choose(logits[n], recent[:, n], filters, u[n], scratch)
            if chosen < 0:
                return False
            ids[n] = chosen
    return True
