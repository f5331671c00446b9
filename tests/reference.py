"""The equations of the kernels, written as they read: the tests' oracle.

Plain NumPy in float64, slow and short. Nothing of charrnn is imported, so that
no mistake can be on both sides of a comparison; the equations are those of the
docstrings in ``charrnn/kernels``. Matrices have one row per output unit.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

#: Slope of leaky relu below zero: 0.01 as a float32 has it.
LEAK = float(np.float32(0.01))


def sigmoid(x: Array) -> Array:
    """Logistic function, in the form that cannot overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda z: np.maximum(z, 0),
    "leaky-relu": lambda z: np.where(z < 0, LEAK * z, z),
}


def rnn_step(zx: Array, seen: Array, Wh: Array, activation: str) -> Array:
    """State after one input of the vanilla cell; zx is x Wx^T + b."""
    return np.stack([ACTIVATIONS[activation](zx + seen @ Wh.T)])


def gru_step(zx: Array, state: Array, seen: Array, Wh: Array, bhn: Array) -> Array:
    """State after one input of the GRU, reset gate after the product."""
    (h,) = state
    x_r, x_u, x_n = np.split(zx, 3, axis=1)
    W_r, W_u, W_n = np.split(Wh, 3, axis=0)
    r = sigmoid(x_r + seen @ W_r.T)
    u = sigmoid(x_u + seen @ W_u.T)
    n = np.tanh(x_n + r * (seen @ W_n.T + bhn))
    return np.stack([(1 - u) * n + u * h])


def lstm_step(zx: Array, state: Array, seen: Array, Wh: Array) -> Array:
    """State after one input of the LSTM: h and c."""
    _, c = state
    z_i, z_f, z_o, z_g = np.split(zx + seen @ Wh.T, 4, axis=1)
    i, f, o, g = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o), np.tanh(z_g)
    c = f * c + i * g
    return np.stack([o * np.tanh(c), c])


def run(
    cell: str,
    zx: Array,
    state: Array,
    resets: Any,
    Wh: Array,
    bhn: Array,
    activation: str = "tanh",
    lags: Sequence[int] = (1,),
) -> tuple[Array, Array]:
    """One layer over a window.

    Parameters
    ----------
    zx : (T, B, GH) array
        Input projection.
    state : (S + M - 1, B, H) array
        Before the window; not changed. The cell's own, then h of 1, 2, ... steps
        before.
    Wh : (GH, KH) array
        A block of columns for each lag.
    resets : (T, B) array of 0 and 1

    Returns
    -------
    (T, B, H) array
        Outputs.
    (S + M - 1, B, H) array
        State after the window.
    """
    outputs = []
    kinds = 2 if cell == "lstm" else 1
    for z, flags in zip(zx, resets, strict=True):
        state = np.where(np.asarray(flags, bool)[:, None], 0.0, state)
        own, by_age = state[:kinds], [*state[:1], *state[kinds:]]
        seen = np.concatenate([by_age[lag - 1] for lag in lags], axis=1)
        if cell == "rnn":
            after = rnn_step(z, seen, Wh, activation)
        elif cell == "gru":
            after = gru_step(z, own, seen, Wh, bhn)
        else:
            after = lstm_step(z, own, seen, Wh)
        state = np.stack([*after, *by_age[:-1]])
        outputs.append(state[0])
    return np.stack(outputs), state


def standardized(x: Array, axes: Any) -> tuple[Array, Array, Array]:
    """Shift and scale to mean 0 and variance 1 along axes; mean, variance."""
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5), mean, var


def normalized(
    x: Array,
    norm: str,
    gain: Array | float,
    shift: Array | float,
    running: tuple[Array, Array] | None = None,
) -> Array:
    """Normalize the outputs (T, B, H) of a layer.

    Parameters
    ----------
    running : pair of (H,) arrays, optional
        Mean and variance that batch normalization takes instead of those of
        the window.
    """
    if norm == "none":
        return x
    if norm == "layer":
        return standardized(x, -1)[0] * gain + shift
    if running is None:
        return standardized(x, (0, 1))[0] * gain + shift
    mean, var = running
    return (x - mean) / np.sqrt(var + 1e-5) * gain + shift


def cross_entropy(logits: Array, targets: Any) -> Array:
    """Loss of every row (N,) in nats: -log softmax; 0 where the target is -1."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = zip(log_p, targets, strict=True)
    return np.array([-row[target] if target >= 0 else 0.0 for row, target in rows])


def model_logits(
    weights: Mapping[str, Any],
    cell: str,
    ids: Any,
    resets: Any,
    state: Array,
    activation: str = "tanh",
    keep: Any = 1.0,
    norm: str = "none",
    *,
    training: bool = False,
    lags: Sequence[int] = (1,),
) -> tuple[Array, Array]:
    """Logits (T, B, V) of the whole stack, and the state after the window.

    Parameters
    ----------
    weights : dict of arrays
        By the names and shapes of `charrnn.parameters`, running averages too.
    state : (L, S + M - 1, B, H) array
    keep : (L, T, B, H) array, optional
        What dropout multiplies every layer's outputs by.
    norm : str
        How outputs are normalized before: "none", "layer" or "batch".
    training : bool
        Whether batch normalization goes by the window, not by running averages.
    """
    layers = len(state)
    keep = np.broadcast_to(keep, (layers, *ids.shape, state.shape[-1]))
    x = np.eye(len(weights["head.by"]))[ids]
    after = []
    for k in range(layers):
        Wx = weights[f"layer{k}.Wx"]
        zx = x @ (Wx if k == 0 else Wx.T) + weights[f"layer{k}.b"]
        bhn = weights.get(f"layer{k}.bhn", np.zeros(0))
        Wh = weights[f"layer{k}.Wh"]
        x, last = run(cell, zx, state[k], resets, Wh, bhn, activation, lags)
        gain, shift = (weights.get(f"layer{k}.{s}", 0.0) for s in ("gain", "shift"))
        running = None
        if norm == "batch" and not training:
            names = f"layer{k}.running_mean", f"layer{k}.running_var"
            running = weights[names[0]], weights[names[1]]
        x = normalized(x, norm, gain, shift, running) * keep[k]
        after.append(last)
    return x @ weights["head.Wy"].T + weights["head.by"], np.stack(after)


def optimize(
    rule: str,
    theta: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    step: int,
) -> tuple[Array, Array, Array]:
    """Parameters and moments after one step, counted from 1, of an optimizer."""
    if rule == "sgd":
        return theta - lr * g, m, v
    if rule == "adagrad":
        v = v + g**2
        return theta - lr * g / (np.sqrt(v) + eps), m, v
    v = beta2 * v + (1 - beta2) * g**2
    if rule == "rmsprop":
        return theta - lr * g / (np.sqrt(v) + eps), m, v
    m = beta1 * m + (1 - beta1) * g
    m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
    return theta - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def repeated(recent: Sequence[int], n: int) -> set[int]:
    """Find what would complete an n-gram seen before; below 0 was no character."""
    text = list(recent)
    grams = [text[i : i + n] for i in range(len(text) - n + 1)] if n else []
    ending = text[len(text) - n + 1 :]
    return {gram[-1] for gram in grams if gram[:-1] == ending and min(gram) >= 0}


def filtered(
    logits: Sequence[float],
    recent: Sequence[int] = (),
    *,
    bias: Sequence[float] | None = None,
    no_repeat: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    typical: float = 1.0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> tuple[list[float], float]:
    """Probabilities of the next character, filter after filter, and a margin.

    The margin says how little more or less would have changed a decision: where
    it is of the size of rounding, the same sums in another order may decide
    otherwise.
    """
    scores = [float(x) for x in logits]
    if bias is not None:
        scores = [x + b for x, b in zip(scores, bias, strict=True)]
    banned = repeated(recent, no_repeat)
    allowed = [-math.inf if v in banned else x for v, x in enumerate(scores)]
    scores = allowed if max(allowed) > -math.inf else scores
    scores, ids = [x - max(scores) for x in scores], range(len(scores))
    if temperature < 1e-4:
        return [float(v == scores.index(0)) for v in ids], math.inf
    p = [math.exp(x / temperature) for x in scores]
    finite = sorted({x for x in scores if x > -math.inf})
    margins = [math.inf, *((b - a) / (1 - a) for a, b in pairwise(finite))]

    def keep(kept: Sequence[int]) -> None:
        total = math.fsum(p[v] for v in kept)
        p[:] = [p[v] / total if v in kept else 0.0 for v in ids]

    def keep_share(share: float, keys: Sequence[float]) -> None:
        order = sorted((v for v in ids if p[v]), key=lambda v: (-keys[v], v))
        for v, after in pairwise(order):
            if scores[v] != scores[after]:  # what is equal goes by id
                margins.append(keys[v] - keys[after])
        for count in range(1, len(order) + 1):
            mass = math.fsum(p[v] for v in order[:count])
            margins.append(abs(mass - share))
            if mass >= share:
                break
        keep(order[:count])

    def log_p() -> list[float]:
        return [math.log(q) if q else -math.inf for q in p]

    keep(ids)
    keep(sorted(ids, key=lambda v: (-scores[v], v))[:top_k])
    if typical < 1:
        H = -math.fsum(q * x for q, x in zip(p, log_p(), strict=True) if q)
        keep_share(typical, [-abs(-x - H) for x in log_p()])
    if top_p < 1:
        keep_share(top_p, log_p())
    limit = min_p * max(p)
    margins += [abs(q - limit) / limit for q in p if limit and 0 < q < max(p)]
    keep([v for v in ids if p[v] >= limit])
    return p, min(margins)
