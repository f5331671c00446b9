"""The view ``weights``: how the values of every tensor are distributed.

Recurrent matrices are also shown gate by gate, and lag by lag if a network has
further ones than 1, with the spectral radius of
each (H, H) block: the largest modulus of an eigenvalue, which says whether a
state that only this block acted on would fade (below 1) or grow (above 1).
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats
from charrnn.cells import cell_of, names
from charrnn.checkpoint import CheckpointFile
from charrnn.inspection.blocks import (
    PAGE,
    PICTURED,
    STILL,
    Block,
    Column,
    Histogram,
    Note,
    Sparks,
    Table,
    Tiles,
)
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.view import View, listed
from charrnn.inspection.wording import number, shape
from charrnn.parameters import Role, tensors

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint

#: Bars of a histogram, from the least to the greatest value.
BINS = 24

#: Values turned into float64 at a time; bounds the memory.
CHUNK = 1 << 18

#: Largest block whose eigenvalues are all computed: some milliseconds.
MAX_EXACT = 100

#: Power iteration: products at first, and directions looked at then.
SETTLING, DIRECTIONS = 200, 60

#: An eigenvalue counts as found when this share of it is left unexplained.
LOOSE = 1e-3


@dataclass(frozen=True)
class Distribution:
    """The values of a tensor, or of the rows that belong to one gate."""

    tensor: str  # of a network with further lags than 1 also: Wh, lag 2
    gate: str | None  # None: the whole tensor
    shape: tuple[int, ...]
    parameters: int
    min: float
    mean: float
    std: float
    max: float
    norm: float  # Euclidean
    spectral_radius: float | None  # of recurrent (H, H) blocks
    histogram: tuple[int, ...]  # counts in equal steps from min to max


@dataclass(frozen=True)
class Weights(ViewData):
    """All tensors of the model in the order of the file, gates after their Wh.

    After the parameters stand running averages of normalization, if any.
    """

    columns = (
        "tensor",
        "gate",
        "shape",
        "parameters",
        "min",
        "mean",
        "std",
        "max",
        "norm",
        "spectral_radius",
        "histogram",
    )

    tensors: tuple[Distribution, ...]

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a tensor or gate; lists are joined by ``x`` and by commas."""
        for item in self.tensors:
            name, gate, shape, *numbers, histogram = astuple(item)
            size = "x".join(map(str, shape))
            yield name, gate, size, *numbers, ",".join(map(str, histogram))


def measure_weights(file: CheckpointFile) -> Weights:
    """Read the model's tensors, one at a time, and measure each."""
    found: list[Distribution] = []
    for tensor in tensors(file.model):
        values = file.read(tensor.name)
        if tensor.role is Role.RECURRENT:
            gates = cell_of(file.model.cell).gates
            found += _by_lag(tensor.name, values, gates, file.model.lags)
        else:
            found.append(describe(tensor.name, None, values))
    return Weights(tuple(found))


def _by_lag(
    name: str, values: Floats, gates: tuple[str, ...], lags: tuple[int, ...]
) -> Iterator[Distribution]:
    """Measure a recurrent matrix, and its columns for each lag if there are several."""
    if len(lags) == 1:
        yield from _recurrent(name, values, gates)
        return
    yield describe(name, None, values)
    for lag, block in zip(lags, np.split(values, len(lags), axis=1), strict=True):
        columns = np.ascontiguousarray(block)
        yield from _recurrent(f"{name}, lag {lag}", columns, gates)


def _recurrent(
    name: str, values: Floats, gates: tuple[str, ...]
) -> Iterator[Distribution]:
    """Measure a recurrent matrix, and its gates where it has several."""
    blocks = np.split(values, len(gates))
    whole = describe(name, None, values)
    if len(gates) == 1:
        yield replace(whole, spectral_radius=spectral_radius(values))
        return
    yield whole
    for gate, block in zip(gates, blocks, strict=True):
        described = describe(name, gate, block)
        yield replace(described, spectral_radius=spectral_radius(block))


def describe(name: str, gate: str | None, values: Floats) -> Distribution:
    """Measure the distribution of an array's values, in float64.

    Parameters
    ----------
    values : float array
        At least one value, all finite.
    """
    low, high = float(values.min()), float(values.max())
    mean = math.fsum(float(part.sum()) for part in _parts(values)) / values.size
    squares = math.fsum(float(np.square(part).sum()) for part in _parts(values))
    spread = math.fsum(float(np.square(part - mean).sum()) for part in _parts(values))
    return Distribution(
        tensor=name,
        gate=gate,
        shape=values.shape,
        parameters=values.size,
        min=low,
        mean=mean,
        std=math.sqrt(spread / values.size),
        max=high,
        norm=math.sqrt(squares),
        spectral_radius=None,
        histogram=_histogram(values, low, high),
    )


def _histogram(values: Floats, low: float, high: float) -> tuple[int, ...]:
    """Count the values in equal steps from the least to the greatest."""
    counts = np.zeros(BINS, np.int64)
    scale = BINS / (high - low) if high > low else 0.0
    for part in _parts(values):
        places = np.minimum((part - low) * scale, BINS - 1).astype(np.int64)
        counts += np.bincount(places, minlength=BINS)
    return tuple(counts.tolist())


def _parts(values: Floats) -> Iterator[NDArray[np.float64]]:
    """Hand out an array's values as float64, a piece at a time."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        yield flat[start : start + CHUNK].astype(np.float64)


def spectral_radius(block: Floats) -> float:
    """Find the largest modulus of a square matrix's eigenvalues.

    Above `MAX_EXACT` rows by power iteration: repeated products turn a vector
    towards the leading eigenvectors. Where two complex eigenvalues lead, or
    several are nearly as large, it goes on turning and never settles; so the
    last products are taken together, and the eigenvalues of the block within
    the space that they span are computed (Arnoldi 1951).
    """
    if len(block) <= MAX_EXACT:
        eigenvalues = np.linalg.eigvals(block.astype(np.float64))
        return float(np.abs(eigenvalues).max())
    A = block.astype(np.float64)
    x = np.random.default_rng(0).standard_normal(len(A))
    growth = 0.0
    for n in range(SETTLING):
        norm = float(np.linalg.norm(x))
        if not 0 < norm < math.inf:
            return norm
        growth += math.log(norm) if n > SETTLING // 2 else 0.0
        x = A @ (x / norm)
    inner, rest = _projected(A, x)
    if not len(inner):
        return 0.0
    values, vectors = np.linalg.eig(inner)
    first = int(np.abs(values).argmax())
    found = float(np.abs(values[first]))
    if rest * abs(vectors[-1, first]) <= LOOSE * found:
        return found
    # Too many are as large, as of an orthogonal matrix, where each step grows alike.
    return max(found, math.exp(growth / (SETTLING - SETTLING // 2 - 1)))


def _projected(
    A: NDArray[np.float64], x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Look at what a matrix does within the space of x, Ax, AAx, ...

    Returns
    -------
    inner : (m, m) float array
        The matrix in an orthonormal basis of that space.
    rest : float
        How far out of it the last of the basis is taken.
    """
    m = min(DIRECTIONS, len(A))
    inner, basis = np.zeros((m, m)), np.zeros((m, len(A)))
    for n in range(m):
        norm = float(np.linalg.norm(x))
        # What is left is rounding: the space is closed under A already.
        if norm <= 1e-12 * (float(np.abs(inner).max()) if n else 0.0):
            return inner[:n, :n], 0.0
        if n:
            inner[n, n - 1] = norm
        basis[n] = x / norm
        x = A @ basis[n]
        for _ in range(2):  # twice, or rounding leaves them aslant
            shares = basis[: n + 1] @ x
            inner[: n + 1, n] += shares
            x = x - shares @ basis[: n + 1]
    return inner, float(np.linalg.norm(x))


class WeightsView(View[Weights]):
    """The distribution of every tensor, gates below theirs."""

    name = "weights"
    about = "how the values of every tensor are distributed"
    page = 3

    def compute(self, checkpoint: "InspectedCheckpoint") -> Weights:
        """Read and measure the tensors, one at a time."""
        return measure_weights(checkpoint.file)

    def blocks(self, data: Weights) -> Iterator[Block]:
        """Show distributions, then their measures."""
        tensors = data.tensors
        bars = [Histogram(_full(t), t.histogram, t.min, t.max) for t in tensors]
        yield Tiles(bars, 3, "distribution of weights", media=PICTURED)

        def cells(name: str, form: str = ".3g") -> list[str]:
            """Write one measure of all tensors."""
            return [number(getattr(t, name), form) for t in tensors]

        columns: list[Column | Sparks] = [
            Column("tensor", [_short(t) for t in tensors]),
            Column("shape", [shape(t.shape) for t in tensors], "right", 6),
            Column("min", cells("min"), "right", 4),
            Column("mean", cells("mean"), "right", 3),
            Column("std", cells("std"), "right"),
            Column("max", cells("max"), "right", 4),
            Column("norm", cells("norm"), "right", 2),
            Column("radius", cells("spectral_radius", ".3f"), "right"),
            Sparks("min to max", [_in_pairs(t.histogram) for t in tensors]),
        ]
        yield Table(columns, "measures of tensors", media=STILL)
        yield listed(data, ["histogram"], PAGE)
        yield Note("radius: spectral radius of a recurrent block")


def _gate(tensor: Distribution) -> str | None:
    """Name the gate that a part of a tensor belongs to."""
    known = {gate for name in names() for gate in cell_of(name).gates}
    return tensor.gate if tensor.gate in known else None


def _short(tensor: Distribution) -> str:
    """Name a tensor, or a gate below its own."""
    gate = _gate(tensor)
    return f"  gate {gate}" if gate else tensor.tensor


def _full(tensor: Distribution) -> str:
    """Name a tensor, or a gate with the tensor that it is part of."""
    gate = _gate(tensor)
    return f"{tensor.tensor}, gate {gate}" if gate else tensor.tensor


def _in_pairs(counts: tuple[int, ...]) -> list[int]:
    """Halve the bins of a histogram, so that it fits beside the numbers."""
    return [sum(counts[n : n + 2]) for n in range(0, len(counts), 2)]


VIEW = WeightsView()
