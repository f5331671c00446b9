"""The parameters of a network: one table, one flat buffer, views, first values.

The table (`table`) has a record for every array of a network of H units, G gates,
V characters and layers 0 to L - 1, in the order of storage::

    layer0.Wx     (V, GH)   by character: a one-hot product is a gathered row
    layerK.Wx     (GH, H)   K >= 1
    layerK.Wh     (GH, KH)  a block of H columns for each of the K lags
    head.Wy       (V, H)
    layerK.b      (GH,)
    layerK.bhn    (H,)      a cell's own, here the GRU's: see `charrnn.cells.Own`
    layerK.gain   (H,)      normalization: what outputs are multiplied by,
    layerK.shift  (H,)      and what is then added
    head.by       (V,)

Weight matrices have one row per output unit, ``z = x Wx^T + h Wh^T + b``, but
for layer 0's. h is the state before the step or, with further lags than 1, the
states of all lags one after another. A gate is a block of H rows (for layer 0's Wx,
of H columns), in the order of the cell's record. All matrices come before all
vectors, so that weight decay acts on one leading slice.

Files store parameters by name and know nothing of the order; see
:mod:`charrnn.checkpoint`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats
from charrnn.cells import Cell, cell_of
from charrnn.config import (
    LARGE,
    RECTIFIED,
    InitName,
    ModelConfig,
    SamplePrecision,
    WeightsName,
)

Shape: TypeAlias = tuple[int, ...]

#: Half the width of the "uniform" initializer, a habit of char-rnn's family.
UNIFORM_BOUND = 0.08

#: Recurrent weights of a rectified cell start as this times the identity. Le et
#: al. (2015) take 1; a little less forgets, and keeps h bounded in long texts.
IDENTITY_SCALE = 0.9


#: The recurrent weights of further lags than 1 start as this times what those of
#: lag 1 start as. A vanilla cell with the lags 1, 4 and 16 learns to copy over 60
#: steps from 0.3 on, and not from 0, 0.03 or 0.1; text is learned best with 0.3, too.
FURTHER_SCALE = 0.3

#: Size of Wy, for "auto", behind a norm. Normalized outputs have a variance of 1, and
#: with all of it the first loss of tinyshakespeare is 4.9 nats where ln V is 4.17; with
#: 0.3 it is 4.28. Six seeds of an LSTM 1 x 192 after 1.4 passes: 1.735 and 1.710 nats,
#: lower in each; three of 1 x 128 after 0.4 passes: 2.120 and 2.100.
HEAD_SCALE = 0.3


class Role(Enum):
    """What a parameter does in a network."""

    LOOKED_UP = "Wx of layer 0"
    INPUT = "Wx of a higher layer"
    RECURRENT = "Wh"
    OUTPUT = "Wy"
    BIAS = "b"
    OWN = "a cell's own"
    GAIN = "gain"
    SHIFT = "shift"
    OUTPUT_BIAS = "by"
    MEAN = "running mean"  # these two are kept beside parameters, without a gradient
    VARIANCE = "running variance"


#: Matrices, which weight decay acts on.
MATRICES = (Role.LOOKED_UP, Role.INPUT, Role.RECURRENT, Role.OUTPUT)

#: What has a row for every character of the vocabulary.
BY_CHARACTER = (Role.LOOKED_UP, Role.OUTPUT, Role.OUTPUT_BIAS)


@dataclass(frozen=True)
class Parameter:
    """One array of a network's parameters, or of what it keeps beside them."""

    name: str  # as files have it
    shape: Shape
    role: Role
    layer: int | None = None  # None: the output layer
    initial: float = 0.0  # the first value of a vector's numbers, but for biases'

    @property
    def size(self) -> int:
        """Count its numbers."""
        return math.prod(self.shape)

    @property
    def decays(self) -> bool:
        """Tell whether weight decay acts on it."""
        return self.role in MATRICES

    @property
    def by_character(self) -> bool:
        """Tell whether it has a row for every character of the vocabulary."""
        return self.role in BY_CHARACTER


def table(config: ModelConfig) -> tuple[Parameter, ...]:
    """List every parameter of a network in the order of storage, matrices first."""
    return _table(config, cell_of(config.cell))


@lru_cache(maxsize=64)
def _table(config: ModelConfig, cell: Cell) -> tuple[Parameter, ...]:
    """Make the table of a network whose cells are of this kind."""
    layers = [p for k in range(config.layers) for p in _layer(config, cell, k)]
    return tuple(sorted([*layers, *_output(config)], key=lambda p: not p.decays))


def shapes(config: ModelConfig) -> dict[str, Shape]:
    """List every parameter's shape by its name, in the order of storage."""
    return {p.name: p.shape for p in table(config)}


def _layer(config: ModelConfig, cell: Cell, k: int) -> Iterator[Parameter]:
    """List the parameters of layer k."""
    V, H = config.vocab_size, config.hidden
    GH, prefix = len(cell.gates) * H, f"layer{k}"
    if k == 0:
        yield Parameter(f"{prefix}.Wx", (V, GH), Role.LOOKED_UP, k)
    else:
        yield Parameter(f"{prefix}.Wx", (GH, H), Role.INPUT, k)
    yield Parameter(f"{prefix}.Wh", (GH, len(config.lags) * H), Role.RECURRENT, k)
    yield Parameter(f"{prefix}.b", (GH,), Role.BIAS, k)
    for own in cell.own:
        yield Parameter(f"{prefix}.{own.name}", (H,), Role.OWN, k, own.initial)
    if config.norm != "none":
        yield Parameter(f"{prefix}.gain", (H,), Role.GAIN, k, 1.0)
        yield Parameter(f"{prefix}.shift", (H,), Role.SHIFT, k)


def _output(config: ModelConfig) -> Iterator[Parameter]:
    """List the parameters of the output layer."""
    yield Parameter("head.Wy", (config.vocab_size, config.hidden), Role.OUTPUT)
    yield Parameter("head.by", (config.vocab_size,), Role.OUTPUT_BIAS)


def statistics(config: ModelConfig) -> tuple[Parameter, ...]:
    """List what a network keeps beside its parameters, in the order of storage.

    Batch normalization's running means and variances of every layer's outputs:
    averages of what training has seen, without a gradient.
    """
    if config.norm != "batch":
        return ()
    H = config.hidden
    return tuple(
        Parameter(f"layer{k}.running_{name}", (H,), role, k, initial)
        for k in range(config.layers)
        for name, role, initial in (
            ("mean", Role.MEAN, 0.0),
            ("var", Role.VARIANCE, 1.0),
        )
    )


def tensors(config: ModelConfig) -> tuple[Parameter, ...]:
    """List all arrays of a network, in the order in which files have them."""
    return table(config) + statistics(config)


def recurrent_shape(config: ModelConfig) -> Shape:
    """Give the shape (GH, KH) of the Wh of every layer."""
    return next(p.shape for p in table(config) if p.role is Role.RECURRENT)


def state_shape(config: ModelConfig, B: int) -> Shape:
    """Give the shape (L, S + M - 1, B, H) of the state that is carried of B rows.

    Of every layer the cell's S arrays, h first; then h of 1, 2, ... steps before, as
    far as the largest lag M reaches.
    """
    arrays = len(cell_of(config.cell).states) + config.lags[-1] - 1
    return config.layers, arrays, B, config.hidden


def matrix_size(config: ModelConfig) -> int:
    """Count the leading elements that belong to matrices: weight decay's reach."""
    return sum(p.size for p in table(config) if p.decays)


def chosen_precision(config: ModelConfig, wanted: SamplePrecision) -> WeightsName:
    """Choose how the weights of layers are rounded while a text is made.

    It depends on nothing but the network, and so neither does what a seed gives.
    """
    if wanted != "auto":
        return wanted
    roles = (Role.INPUT, Role.RECURRENT)
    weights = sum(p.size for p in table(config) if p.role in roles)
    return "int8" if weights >= LARGE else "float32"


def size(config: ModelConfig) -> int:
    """Count all parameters: the length P of the flat buffer."""
    return sum(p.size for p in table(config))


def multiplied(config: ModelConfig) -> int:
    """Count the weights that a character is multiplied by: its work.

    Layer 0 looks its input up, which multiplies nothing.
    """
    roles = (Role.INPUT, Role.RECURRENT, Role.OUTPUT)
    return sum(p.size for p in table(config) if p.role in roles)


def recurrent(config: ModelConfig) -> int:
    """Count the weights that states and the outputs of layers are multiplied by."""
    roles = (Role.INPUT, Role.RECURRENT)
    return sum(p.size for p in table(config) if p.role in roles)


class LayerParameters(NamedTuple):
    """The parameters of one layer, or their gradients, as views."""

    Wx: Floats  # (GH, H); of layer 0 (V, GH), by character
    Wh: Floats  # (GH, KH)
    b: Floats  # (GH,)
    own: Floats  # (O,): the cell's own, one after another; O may be 0
    gain: Floats  # (H,); (0,) without normalization
    shift: Floats  # likewise


class Parameters:
    """A flat buffer (P,), cut into arrays that share its memory.

    Parameters
    ----------
    flat : (P,) float array
        Parameters, their gradient, or a moment of an optimizer. Must not be
        rebound as long as the views are in use.
    config : ModelConfig

    Attributes
    ----------
    by_name : dict of arrays
        Every array as files call it, in the order of storage.
    layers : tuple of LayerParameters
    Wy : (V, H) float array
    by : (V,) float array

    Raises
    ------
    ValueError
        `flat` is not a contiguous vector of :func:`size` elements.
    """

    def __init__(self, flat: Floats, config: ModelConfig) -> None:
        if flat.shape != (size(config),) or not flat.flags.c_contiguous:
            msg = (
                f"flat must be contiguous of shape ({size(config)},), not {flat.shape}"
            )
            raise ValueError(msg)
        self.flat = flat
        self.by_name: dict[str, Floats] = {}
        shapes: dict[tuple[int | None, Role], Shape] = {}
        spans: dict[tuple[int | None, Role], tuple[int, int]] = {}
        start = 0
        for p in table(config):
            end = start + p.size
            self.by_name[p.name] = flat[start:end].reshape(p.shape)
            # A cell's own parameters follow one another: their spans are one.
            first, _ = spans.get((p.layer, p.role), (start, end))
            spans[p.layer, p.role], shapes[p.layer, p.role] = (first, end), p.shape
            start = end

        def vector(role: Role, k: int | None = None) -> Floats:
            first, last = spans.get((k, role), (0, 0))
            return flat[first:last]

        def matrix(role: Role, k: int | None = None) -> Floats:
            return vector(role, k).reshape(shapes[k, role])

        self.layers = tuple(
            LayerParameters(
                Wx=matrix(Role.INPUT if k else Role.LOOKED_UP, k),
                Wh=matrix(Role.RECURRENT, k),
                b=vector(Role.BIAS, k),
                own=vector(Role.OWN, k),
                gain=vector(Role.GAIN, k),
                shift=vector(Role.SHIFT, k),
            )
            for k in range(config.layers)
        )
        self.Wy, self.by = matrix(Role.OUTPUT), vector(Role.OUTPUT_BIAS)


def initialize(
    flat: Floats,
    config: ModelConfig,
    init: InitName,
    forget_bias: float,
    rng: np.random.Generator,
) -> None:
    """Fill a flat buffer with a new network's first values.

    ========== ============================ ===================== ==============
    init       Wh, each gate's (H, H) block Wx                    Wy
    ========== ============================ ===================== ==============
    auto       orthogonal; rectified cells: deviation 1 / sqrt(H) Xavier, times
               0.9 times the identity                             0.3 behind
                                                                  a norm
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

    Normalized outputs are left as they are, by a gain of one and a shift of zero.
    Biases are zero, but forget gates begin open (Gers et al. 2000, Jozefowicz et
    al. 2015): cells remember until they learn to forget.

    Parameters
    ----------
    flat : (P,) float array
        Written.
    forget_bias : float
        First value of the biases of forget gates.
    rng : Generator
        Drawn from in float64 and in storage order, so that float32 and float64
        networks get the same values.
    """
    views = Parameters(flat, config).by_name
    cell, H = cell_of(config.cell), config.hidden
    for p in table(config):
        view = views[p.name]
        if p.role is Role.RECURRENT:
            view[:, :H] = _recurrent(config, init, rng)
            for k in range(1, len(config.lags)):
                further = _recurrent(config, init, rng)
                view[:, k * H : (k + 1) * H] = FURTHER_SCALE * further
        elif p.decays:
            view[...] = _feed_forward(p, config, init, rng)
        else:
            view[...] = p.initial
            if p.role is Role.BIAS and cell.forget_gate is not None:
                gate = cell.gates.index(cell.forget_gate)
                view[gate * H : (gate + 1) * H] = forget_bias


def _feed_forward(
    parameter: Parameter, config: ModelConfig, init: InitName, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw a matrix that no state is multiplied by: a Wx, or Wy."""
    V, H, role = config.vocab_size, config.hidden, parameter.role
    fan_in = V if role is Role.LOOKED_UP else H
    fan_out = V if role is Role.OUTPUT else H
    rule = init if init == "auto" and role is not Role.OUTPUT else _textbook(init)
    drawn = _draw(rule, parameter.shape, fan_in, fan_out, H, rng)
    if init == "auto" and role is Role.OUTPUT and config.norm != "none":
        drawn *= HEAD_SCALE
    return drawn


def _textbook(init: InitName) -> InitName:
    """Name the rule for matrices that cannot be orthogonal."""
    return "xavier" if init in {"auto", "orthogonal"} else init


def _recurrent(
    config: ModelConfig, init: InitName, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the (GH, H) columns of a layer's Wh for one lag, block by block."""
    H, gates = config.hidden, len(cell_of(config.cell).gates)
    if init == "auto" and config.activation in RECTIFIED:
        return IDENTITY_SCALE * np.tile(np.eye(H), (gates, 1))
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
