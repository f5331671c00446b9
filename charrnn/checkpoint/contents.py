"""What a checkpoint holds, and which arrays that implies.

Plain data, as training and sampling use it. How it becomes bytes is the
business of :mod:`charrnn.checkpoint.manifest` and
:mod:`charrnn.checkpoint.archive`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn import parameters
from charrnn.arrays import PackedIds
from charrnn.config import ModelConfig, OptimizerName, TrainConfig
from charrnn.parameters import Shape
from charrnn.rules import RULES
from charrnn.vocab import Vocab

Tensor: TypeAlias = NDArray[np.float32]

#: One row of the metric history: step, epoch, loss, val_loss, lr, grad_norm; of
#: pairs, exact and error_rate beside a val_loss.
#: A value that is None is as good as missing.
Row: TypeAlias = dict[str, int | float | None]

#: The tensor of a run's own weights, beside the averaged ones.
LATEST = "latest"

#: Counts that a run keeps are far below what floats hold exactly.
MOST_STEPS = 2**53

#: Running averages between two rows of the history, and the least that each can
#: be: the mean loss, sums over steps, how many those are, and steps a row.
LEAST_RECENT = {
    "loss": -math.inf,
    "losses": -math.inf,
    "norms": -math.inf,
    "steps": 0.0,
    "interval": 1.0,
}

#: Rows of history that a file keeps; see :func:`thinned`.
MAX_ROWS = 4096

#: Characters of a memory, at most, and the longest n-grams: counting them takes
#: memory and time by both, and a file that nobody vouches for may ask for it.
MAX_REMEMBERED = 5_000_000
MAX_ORDER = 12


@dataclass(frozen=True)
class CorpusFingerprint:
    """By what a corpus is known again, without its text."""

    files: tuple[str, ...]  # base names
    bytes: int
    characters: int
    sha256: str


@dataclass
class TrainingState:
    """Where a run stands: with the arrays, all that ``resume`` needs."""

    config: TrainConfig
    step: int = 0  # steps done
    epoch: int = 0
    window: int = 0  # next window of the epoch
    progress: float = 0.0  # share of a time budget that is used, else 0
    lr_scale: float = 1.0  # halved after a rollback
    best_val_loss: float | None = None  # nats
    best_step: int | None = None
    bad_evaluations: int = 0  # in a row, without improvement
    recent: dict[str, float] = field(default_factory=dict)  # averages on display

    def __post_init__(self) -> None:
        """Check what no run can reach."""
        counts = (self.step, self.epoch, self.window, self.bad_evaluations)
        shares = (self.progress, self.lr_scale)
        known = all(math.isfinite(n) and n <= MOST_STEPS for n in (*counts, *shares))
        if not known or min(counts) < 0 or self.progress < 0 or self.lr_scale <= 0:
            msg = "the position of the training run is out of range"
            raise ValueError(msg)
        if (self.best_step is None) != (self.best_val_loss is None):
            msg = "the best evaluation has a step or a loss, but not both"
            raise ValueError(msg)
        if not self.recent.keys() <= LEAST_RECENT.keys():
            msg = "unknown running averages"
            raise ValueError(msg)
        if any(self.recent[name] < LEAST_RECENT[name] for name in self.recent):
            msg = "a running average is out of range"
            raise ValueError(msg)


@dataclass(frozen=True, eq=False, kw_only=True)
class Remembered:
    """The text that a model has been trained on, for its n-grams to be counted.

    The counts themselves are made when somebody predicts: see `charrnn.memory`.
    """

    ids: PackedIds  # (N,), all below the size of the vocabulary
    order: int  # the longest n-grams
    share: float  # the network's, in a blend with what the counts say

    def __post_init__(self) -> None:
        """Check what no counting can use."""
        check_remembered(len(self.ids), self.order, self.share)


def check_remembered(characters: int, order: int, share: float) -> None:
    """Raise `ValueError` for a memory that is out of bounds."""
    if not 1 <= characters <= MAX_REMEMBERED:
        msg = f"the memory does not have 1 to {MAX_REMEMBERED:,} characters"
        raise ValueError(msg)
    if not 1 <= order <= MAX_ORDER:
        msg = f"the order of the memory is not one of 1 to {MAX_ORDER}"
        raise ValueError(msg)
    if not 0 <= share <= 1:
        msg = "the share of the network in the blend is not one of 0 to 1"
        raise ValueError(msg)


def ids_type(vocab_size: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Choose the smallest type, as a file has it, that holds the ids of a memory."""
    smallest: np.dtype[np.unsignedinteger[Any]] = np.min_scalar_type(vocab_size - 1)
    return smallest.newbyteorder("<")


@dataclass
class Checkpoint:
    """A model with its vocabulary and, while it is trained, its run.

    Without `training` it holds weights only: no moments and no state.
    """

    model: ModelConfig
    vocab: Vocab
    parameters: dict[str, Tensor]  # as `charrnn.parameters.shapes` lists them
    corpus: CorpusFingerprint
    training: TrainingState | None = None
    statistics: dict[str, Tensor] = field(default_factory=dict)  # of norms: (H,)
    latest: Tensor | None = None  # (P,): a run's own weights, if it averages
    moments: dict[str, Tensor] = field(default_factory=dict)  # each (P,)
    state: Tensor | None = None  # the state carried along; `parameters.state_shape`
    history: list[Row] = field(default_factory=list)
    lines: bool = False  # without a run: it was trained on lines as documents
    pairs: bool = False  # likewise: on pairs of an input and an output
    memory: Remembered | None = None  # what it knows by counting
    remembers: bool = False  # its run has not ended, and will give it a memory then

    @property
    def of_pairs(self) -> bool:
        """Whether the model was trained on pairs, by its run or without one."""
        return self.pairs if self.training is None else self.training.config.pairs

    def tensors(self) -> dict[str, Tensor]:
        """Gather all arrays in the order of the file, checked but not copied.

        Raises
        ------
        ValueError
            Names, shapes or types are not what the configurations imply.
        """
        found = self.parameters | self.statistics | self.moments
        if self.latest is not None:
            found[LATEST] = self.latest
        if self.state is not None:
            found["state"] = self.state
        expected = expected_tensors(self.model, self.training)
        if found.keys() != expected.keys():
            msg = f"wrong arrays: {', '.join(sorted(found.keys() ^ expected.keys()))}"
            raise ValueError(msg)
        for name, shape in expected.items():
            if found[name].shape != shape or found[name].dtype != np.float32:
                msg = f"{name} must be float32 of shape {shape}"
                raise ValueError(msg)
        return {name: found[name] for name in expected}

    def remembered_ids(self) -> PackedIds | None:
        """Give the ids of the memory, if there is one, as a file has them.

        Raises
        ------
        ValueError
            One is not of the vocabulary.
        """
        if self.memory is None:
            return None
        ids, size = self.memory.ids, self.model.vocab_size
        if ids.ndim != 1 or ids.min() < 0 or ids.max() >= size:
            msg = "the memory has characters that the vocabulary does not have"
            raise ValueError(msg)
        return np.ascontiguousarray(ids, ids_type(size))


def expected_moments(optimizer: OptimizerName) -> tuple[str, ...]:
    """Name the arrays of shape (P,) that an optimizer carries from step to step."""
    return RULES[optimizer].moments


def expected_tensors(
    model: ModelConfig, training: TrainingState | None
) -> dict[str, Shape]:
    """List the arrays of a checkpoint, in the order of the file.

    Returns
    -------
    dict
        Parameters, running averages of normalization and, of a run, the
        optimizer's moments (P,) and the carried state (`parameters.state_shape`).
        If the run averages its weights, the parameters are the averaged
        ones, and `LATEST` (P,) holds those that the next step starts from.
    """
    expected = {p.name: p.shape for p in parameters.tensors(model)}
    if training is not None:
        flat = (parameters.size(model),)
        if training.config.ema:
            expected[LATEST] = flat
        for name in expected_moments(training.config.optimizer):
            expected[name] = flat
        rows = training.config.batch_size
        expected["state"] = parameters.state_shape(model, rows)
    return expected


def thinned(history: list[Row]) -> list[Row]:
    """Halve a long history until it has at most `MAX_ROWS` rows.

    Every second row of a kind goes, the last one stays: rows with a validation
    loss if they are the most, else those without.
    """
    while len(history) > MAX_ROWS:
        scored = [n for n, row in enumerate(history) if row.get("val_loss") is not None]
        plain = sorted(set(range(len(history))) - set(scored))
        dropped = set(max(plain, scored, key=len)[-2::-2])
        history = [row for n, row in enumerate(history) if n not in dropped]
    return history


def to_columns(history: Iterable[Row]) -> dict[str, list[int | float | None]]:
    """Turn rows into equally long columns, None where a row has nothing."""
    rows = list(history)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def to_rows(columns: dict[str, list[int | float | None]]) -> list[Row]:
    """Turn columns back into rows, without their empty places.

    Raises
    ------
    ValueError
        The columns differ in length, there are more rows than any file has, or
        a row does not say of which step it is.
    """
    if len({len(column) for column in columns.values()}) > 1:
        msg = "the columns of the history differ in length"
        raise ValueError(msg)
    # Counted before they are made: of little text they take much memory.
    count = max(map(len, columns.values()), default=0)
    if count > MAX_ROWS:
        msg = f"the history has more than {MAX_ROWS:,} rows"
        raise ValueError(msg)
    steps = columns.get("step", [None] * count)
    if not all(isinstance(step, Integral) for step in steps):
        msg = "a row of the history has no step"
        raise ValueError(msg)
    rows = zip(*columns.values(), strict=True)
    return [
        {
            name: value
            for name, value in zip(columns, row, strict=True)
            if value is not None
        }
        for row in rows
    ]
