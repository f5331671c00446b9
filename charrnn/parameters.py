"""The parameters of a model: one flat buffer, named views, first values.

The layout is stated once, in :func:`shapes`, for a model of H units, G gates,
V characters and layers 0 to L - 1::

    layer0.Wx     (V, GH)   by character: a one-hot product is a gathered row
    layerK.Wx     (GH, H)   K >= 1
    layerK.Wh     (GH, H)
    head.Wy       (V, H)
    layerK.b      (GH,)
    layerK.bhn    (H,)      GRU: the candidate's bias inside the reset gate
    layerK.gain   (H,)      normalisation: what outputs are multiplied by,
    layerK.shift  (H,)      and what is then added
    head.by       (V,)

Weight matrices have one row per output unit, ``z = x Wx^T + h Wh^T + b``, but
for layer 0's. A gate is a block of H rows (for layer 0's Wx, of H columns), in
the order of :data:`charrnn.config.GATES`. All matrices come before all biases,
so that weight decay acts on one leading slice.

Files store parameters by name and know nothing of the order; see
:mod:`charrnn.checkpoint`.
"""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats
from charrnn.config import GATES, InitName, ModelConfig

Shape: TypeAlias = tuple[int, ...]

#: Half the width of the "uniform" initializer, a habit of char-rnn's family.
UNIFORM_BOUND = 0.08

#: Recurrent weights of a rectified cell start as this times the identity. Le et
#: al. (2015) take 1; a little less forgets, and keeps h bounded in long texts.
IDENTITY_SCALE = 0.9


def shapes(config: ModelConfig) -> dict[str, Shape]:
    """List every parameter's shape in storage order, matrices before biases."""
    V, H = config.vocab_size, config.hidden
    GH = len(GATES[config.cell]) * H
    matrices: dict[str, Shape] = {}
    biases: dict[str, Shape] = {}
    for layer in range(config.layers):
        matrices[f"layer{layer}.Wx"] = (V, GH) if layer == 0 else (GH, H)
        matrices[f"layer{layer}.Wh"] = (GH, H)
        biases[f"layer{layer}.b"] = (GH,)
        if config.cell == "gru":
            biases[f"layer{layer}.bhn"] = (H,)
        if config.norm != "none":
            biases[f"layer{layer}.gain"] = biases[f"layer{layer}.shift"] = (H,)
    matrices["head.Wy"] = (V, H)
    biases["head.by"] = (V,)
    return matrices | biases


def statistics(config: ModelConfig) -> dict[str, Shape]:
    """List what a model keeps beside its parameters, in storage order.

    Batch normalisation's running means and variances of every layer's outputs:
    averages of what training has seen, without a gradient.
    """
    if config.norm != "batch":
        return {}
    return {
        f"layer{layer}.running_{name}": (config.hidden,)
        for layer in range(config.layers)
        for name in ("mean", "var")
    }


def matrix_size(config: ModelConfig) -> int:
    """Count the leading elements that belong to matrices: weight decay's reach."""
    return sum(math.prod(s) for s in shapes(config).values() if len(s) == 2)


def size(config: ModelConfig) -> int:
    """Count all parameters: the length P of the flat buffer."""
    return sum(math.prod(s) for s in shapes(config).values())


def views(flat: Floats, config: ModelConfig) -> dict[str, Floats]:
    """Cut a flat buffer into named arrays that share its memory.

    Parameters
    ----------
    flat : (P,) float array
        Parameters, their gradient, or a moment of an optimizer. Must not be
        rebound as long as the views are in use.

    Raises
    ------
    ValueError
        `flat` is not a contiguous vector of :func:`size` elements.
    """
    if flat.shape != (size(config),) or not flat.flags.c_contiguous:
        msg = f"flat must be contiguous of shape ({size(config)},), not {flat.shape}"
        raise ValueError(msg)
    named = {}
    start = 0
    for name, shape in shapes(config).items():
        end = start + math.prod(shape)
        named[name] = flat[start:end].reshape(shape)
        start = end
    return named


def initialize(
    flat: Floats,
    config: ModelConfig,
    init: InitName,
    forget_bias: float,
    rng: np.random.Generator,
) -> None:
    """Fill a flat buffer with a new model's first values.

    ========== ============================ ===================== ==============
    init       Wh, each gate's (H, H) block Wx                    Wy
    ========== ============================ ===================== ==============
    auto       orthogonal; rectified cells: deviation 1 / sqrt(H) Xavier
               0.9 times the identity
    orthogonal orthogonal                   Xavier                Xavier
    xavier     Xavier                       Xavier                Xavier
    he         He                           He                    He
    uniform    within 0.08                  within 0.08           within 0.08
    ========== ============================ ===================== ==============

    Xavier is uniform with variance 2 / (fan_in + fan_out) (Glorot & Bengio
    2010), He normal with variance 2 / fan_in (He et al. 2015), both taken gate
    by gate; orthogonal follows Saxe et al. (2013), the identity Le et al.
    (2015). Layer 0 reads one active input out of V, so its sums do not grow
    with V: "auto" gives it the scale of the other layers, the textbook rules
    count V as its fan-in.

    Normalised outputs are left as they are, by a gain of one and a shift of zero.
    Biases are zero, but the LSTM's forget gates begin open (Gers et al. 2000,
    Jozefowicz et al. 2015): cells remember until they learn to forget.

    Parameters
    ----------
    flat : (P,) float array
        Written.
    forget_bias : float
        First value of the LSTM's forget-gate biases.
    rng : Generator
        Drawn from in float64 and in storage order, so that float32 and float64
        models get the same values.
    """
    for name, view in views(flat, config).items():
        kind = name.partition(".")[2]
        if kind == "Wh":
            view[...] = _recurrent(config, init, rng)
        elif kind in {"Wx", "Wy"}:
            # Only layer 0's Wx has its inputs along the first axis.
            gathered = name == "layer0.Wx"
            fan_in = config.vocab_size if gathered else config.hidden
            fan_out = config.vocab_size if kind == "Wy" else config.hidden
            rule = "auto" if init == "auto" and kind == "Wx" else _textbook(init)
            view[...] = _draw(rule, view.shape, fan_in, fan_out, config.hidden, rng)
        else:
            view[...] = 1 if kind == "gain" else 0
            if kind == "b" and config.cell == "lstm":
                gate = GATES["lstm"].index("f")
                view[gate * config.hidden : (gate + 1) * config.hidden] = forget_bias


def _textbook(init: InitName) -> InitName:
    """Name the rule for matrices that cannot be orthogonal."""
    return "xavier" if init in {"auto", "orthogonal"} else init


def _recurrent(
    config: ModelConfig, init: InitName, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw a layer's Wh, (GH, H), block by block."""
    H, gates = config.hidden, len(GATES[config.cell])
    if init == "auto" and config.activation in {"relu", "leaky-relu"}:
        return IDENTITY_SCALE * np.eye(H)
    if init in {"auto", "orthogonal"}:
        return np.concatenate([_orthogonal(H, rng) for _ in range(gates)])
    return _draw(init, (gates * H, H), H, H, H, rng)


def _orthogonal(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw an orthogonal (n, n) matrix, uniformly over all of them."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    # QR leaves each column's sign to the algorithm; a positive diagonal of r
    # makes the factors unique, and so the distribution uniform.
    return q * np.where(np.diagonal(r) < 0, -1.0, 1.0)


def _draw(
    rule: InitName,
    shape: Shape,
    fan_in: int,
    fan_out: int,
    hidden: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw independent weights by a rule that is not about whole matrices."""
    if rule == "he":
        return rng.normal(0.0, math.sqrt(2 / fan_in), shape)
    bound = {
        "auto": math.sqrt(3 / hidden),  # a deviation of 1 / sqrt(H)
        "xavier": math.sqrt(6 / (fan_in + fan_out)),
        "uniform": UNIFORM_BOUND,
    }[rule]
    return rng.uniform(-bound, bound, shape)
