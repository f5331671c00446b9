"""What a run uses where the user says nothing: planned from text and budget.

Two numbers decide: N, the characters of the training text, and D, the
characters that the run will read. The limits give D: ``epochs`` and
``steps`` directly, ``time`` through the speed of this machine, and without
any limit a fixed amount of work. A wider network learns more from each
character and reads fewer of them in the same time, so the plan takes the widest
one that still reads `CHARACTERS_PER_WEIGHT` for each of its recurrent weights.
D / N says how often the text is read, and weights per character whether the network
could learn it by heart: together they say how much dropout it takes to go on
learning from the text instead. An LSTM has its
outputs normalized by layer, from which it gains far more than other cells do.

Work is counted in weights that a character is multiplied by
(`parameters.multiplied`); a machine's speed in them is nearly the same for all
widths. Without a limit in time nothing here depends on a clock: the same text
and options give the same plan everywhere. benchmarks/README.md has the
measurements behind the constants.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from charrnn import cells, parameters
from charrnn.config import (
    EMA,
    PATIENCE,
    RECTIFIED,
    SHORT_BATCH,
    SHORT_WINDOW,
    CellName,
    ModelConfig,
    TrainConfig,
)

#: Weights multiplied a second, by the cell that is trained.
Speed: TypeAlias = Callable[[CellName], float]

#: With layer norm it learns as fast as the GRU or faster: 1.631 against 1.700 nats
#: after ten seconds of tinyshakespeare, 1.481 against 1.498 after sixty.
CELL: CellName = "lstm"

#: The work of a run without a limit: about five minutes on two current cores.
DEFAULT_WORK = 1.5e13

#: Widths that a plan chooses from.
WIDTHS = (64, 96, 128, 192, 256, 384, 512, 640, 768, 1024)

#: A run without a limit reads a long text once, at least, whatever that takes.
FEWEST_EPOCHS = 1.0

#: Weights multiplied a second by two current cores.
NOMINAL_SPEED = 5e10

#: Characters that a network reads for each of its recurrent weights, at least;
#: of separate lines more, since there is less to be remembered.
CHARACTERS_PER_WEIGHT, LINES_PER_WEIGHT = 8.0, 16.0

#: Passes over a text at most, if they are left open: what more of them could
#: teach is not in the text.
MOST_EPOCHS = 80.0

#: Dropout of outputs for every doubling of the passes beyond the first; of
#: recurrent weights beyond the third, as it slows learning down more.
DROPOUT, WEIGHT_DROPOUT, MOST_DROPOUT = 0.075, 0.08, 0.5

#: Dropout of outputs for pairs, at most; of recurrent weights there is none, as it
#: keeps an input from getting through. After 1,000 steps with 2,000 pairs a network of
#: 128 units had so many of 100 held-out outputs exactly right, first of words said
#: backwards, then of numbers: without dropout 65 and 78, with 0.2 of outputs 77 and
#: 75, with 0.1 of recurrent weights beside 68 and 8, and as for other texts 52 and 5.
MOST_OF_PAIRS = 0.2

#: Weights for each character of a text of `HEART_LENGTH`: a network of fewer than the
#: first cannot learn it by heart, and takes no dropout; one of more than the second
#: takes all that the passes alone would have. Of a longer text fewer are enough, by
#: this power of its length: much in it is alike. Separate lines are learned by heart
#: sooner, whatever their number. benchmarks/README.md has the grid.
HEART, HEART_LENGTH, HEART_POWER = (0.7, 4.2), 1e5, -0.4
LINES_HEART = (0.3, 1.2)

#: Lines of fewer characters fit into a window of half the usual length.
SHORT_LINE = 24

#: A run for a time that is too short for so many steps takes windows of half the length
#: and so twice the steps: what it lacks are steps, not what stands further back.
#: benchmarks/README.md has what that is worth (`recipe.py`).
SHORT_RUN = 1500

#: Rows of a window of pairs at least, however long these are.
FEWEST_ROWS = 8

#: Peak learning rates of cells are those of one layer of up to so many units, in a run
#: of so many steps. A shorter run needs larger ones to get far enough: by the square
#: root of the steps that it lacks, up to a limit. benchmarks/README.md has what that
#: is worth (`recipe.py`).
REFERENCE_WIDTH, REFERENCE_STEPS, MOST_FACTOR = 256, 3000.0, 1.8

#: Without a bound on its activations a vanilla cell needs smaller steps.
RECTIFIED_RATE = 1e-3


@dataclass(frozen=True)
class Material:
    """The training text, as far as a plan looks at it."""

    characters: int  # N, at least 1
    vocab_size: int
    lines: int | None = None  # given where every line is a document
    window: int | None = None  # of pairs: steps that suit them, see `streams`


def nominal_speed(cell: CellName) -> float:
    """Stand in for a measured speed: what two current cores do."""
    return NOMINAL_SPEED


def make_plan(
    material: Material, model: Mapping[str, Any], train: Mapping[str, Any], speed: Speed
) -> tuple[ModelConfig, TrainConfig]:
    """Complete a run's options.

    Parameters
    ----------
    material : Material
    model, train : mapping
        Fields of `ModelConfig` and `TrainConfig` that are given; they stand.
    speed : callable
        Asked once, and only if a time is given.

    Raises
    ------
    OptionError
        What is given is out of range or contradicts itself.
    """
    free: dict[str, Any] = {"cell": CELL, "hidden": WIDTHS[0]}
    free["vocab_size"] = material.vocab_size
    cell = model.get("cell", CELL)
    if cell in cells.names() and model.get("hidden") != 1:
        free["norm"] = cells.cell_of(cell).norm
    base = ModelConfig(**(free | dict(model)))
    config = TrainConfig(**({"ema": EMA} | _window(material) | dict(train)))
    budget = _Budget(material, config, speed(base.cell) if config.time else 0.0)
    shape = base if "hidden" in model else _widest(base, budget)
    characters = budget.characters(shape)
    passes = characters / material.characters
    if not _window(material) and _is_short(config, train, characters, material):
        config = replace(config, seq_length=TrainConfig.seq_length // 2)
    steps = characters / (config.batch_size * config.seq_length)
    chosen: dict[str, Any] = {
        "lr": peak_rate(shape, steps),
        **dropout(passes, parameters.size(shape), material),
    }
    if shape.activation in RECTIFIED:
        # What is kept is scaled up, and nothing bounds what comes of that: after 64
        # steps the very first losses are 1e4 nats and more.
        chosen["weight_dropout"] = 0.0
    if material.window is not None:
        # A state has to hold the whole of an input until its output is written.
        # Of 3,000 dates 87 % come out right with 0.1 of the weights dropped, and
        # 99 % without, whatever is dropped of outputs.
        chosen["weight_dropout"] = 0.0
    if budget.open:
        chosen["patience"] = PATIENCE
        if config.time is None or passes >= MOST_EPOCHS:
            chosen["epochs"] = float(f"{passes:.3g}")
    return shape, replace(config, **{k: v for k, v in chosen.items() if k not in train})


def peak_rate(model: ModelConfig, steps: float = REFERENCE_STEPS) -> float:
    """Choose the peak learning rate for a network.

    Parameters
    ----------
    model : ModelConfig
    steps : float
        Of the whole run, above 0.
    """
    rate = cells.cell_of(model.cell).peak_rate
    most = MOST_FACTOR
    if model.activation in RECTIFIED:
        rate, most = RECTIFIED_RATE, 1.0
    rate *= min(1.0, REFERENCE_WIDTH / model.hidden) / math.sqrt(model.layers)
    rate *= min(most, max(1.0, math.sqrt(REFERENCE_STEPS / steps)))
    return float(f"{rate:.2g}")


def dropout(passes: float, weights: int, material: Material) -> dict[str, float]:
    """Choose both kinds of dropout.

    Parameters
    ----------
    passes : float
        How often the text is read, above 0.
    weights : int
        Parameters of the network.
    material : Material
    """
    few, many = by_heart(material)
    room = math.log(weights / (few * material.characters)) / math.log(many / few)
    share = min(1.0, max(0.0, room))
    full = dropout_by_passes(passes)
    if material.window is not None:
        full = {"dropout": min(full["dropout"], MOST_OF_PAIRS), "weight_dropout": 0.0}
    return {name: round(share * rate, 2) for name, rate in full.items()}


def by_heart(material: Material) -> tuple[float, float]:
    """Say how many weights it takes to learn a text by heart.

    Returns
    -------
    few, many : float
        For each of its characters: those that a network has to have for dropout to
        help, and those with which all of it does.
    """
    if material.lines is not None:
        return LINES_HEART
    scale = (material.characters / HEART_LENGTH) ** HEART_POWER
    return scale * HEART[0], scale * HEART[1]


def dropout_by_passes(passes: float) -> dict[str, float]:
    """Choose both kinds of dropout by how often a text is read.

    The network's size is left out: of this a plan takes a share. By itself it was
    found on networks that a plan had made as wide as a run could bear.

    Parameters
    ----------
    passes : float
        Epochs, above 0.
    """

    def rate(per_doubling: float, free: float) -> float:
        doublings = max(0.0, math.log2(passes / free))
        return round(min(per_doubling * doublings, MOST_DROPOUT), 2)

    return {
        "dropout": rate(DROPOUT, 1.0),
        "weight_dropout": rate(WEIGHT_DROPOUT, 3.0),
    }


def _window(material: Material) -> dict[str, int]:
    """Choose a window for short lines: half as long, and of twice the streams.

    Of pairs, one that holds whole ones, and about as many characters as others.
    """
    if (steps := material.window) is not None:
        rows = TrainConfig.batch_size * TrainConfig.seq_length // steps
        return {"batch_size": max(rows, FEWEST_ROWS), "seq_length": steps}
    if material.lines and material.characters < SHORT_LINE * material.lines:
        return {"batch_size": SHORT_BATCH, "seq_length": SHORT_WINDOW}
    return {}


def _is_short(
    config: TrainConfig,
    given: Mapping[str, Any],
    characters: float,
    material: Material,
) -> bool:
    """Tell whether windows of the usual length leave a run too few steps.

    So many steps as are given take windows as long as they always were: shorter ones
    would read less. A text that does not fill one window has it cut anyway.
    """
    if "seq_length" in given or config.time is None or config.steps is not None:
        return False
    step = config.batch_size * config.seq_length
    return step <= material.characters and characters < SHORT_RUN * step


@dataclass(frozen=True)
class _Budget:
    """How many characters a run may read."""

    material: Material
    limits: TrainConfig
    speed: float  # weights multiplied a second, if there is a limit in time

    @property
    def open(self) -> bool:
        """Whether the passes are left to the plan."""
        return self.limits.epochs is None and self.limits.steps is None

    def characters(self, shape: ModelConfig) -> float:
        """Count the characters that a network will read: D."""
        config, work = self.limits, parameters.multiplied(shape)
        counts = []
        if config.epochs is not None:
            counts.append(config.epochs * self.material.characters)
        if config.steps is not None:
            counts.append(float(config.steps * config.batch_size * config.seq_length))
        if config.time is not None:
            counts.append(config.time * self.speed / work)
        if self.open:
            counts.append(MOST_EPOCHS * self.material.characters)
            if config.time is None:
                least = FEWEST_EPOCHS * self.material.characters
                counts.append(max(DEFAULT_WORK / work, least))
        return max(1.0, min(counts))


def _widest(base: ModelConfig, budget: _Budget) -> ModelConfig:
    """Choose the widest network that reads enough, in not too much time."""
    of_lines = budget.material.lines is not None
    per_weight = LINES_PER_WEIGHT if of_lines else CHARACTERS_PER_WEIGHT
    for width in reversed(WIDTHS):
        shape = replace(base, hidden=width)
        characters = budget.characters(shape)
        needed = per_weight * parameters.recurrent(shape)
        long = budget.limits.time is None and width > REFERENCE_WIDTH
        too_long = characters * parameters.multiplied(shape) > DEFAULT_WORK
        if characters >= needed and not (long and too_long):
            return shape
    return replace(base, hidden=WIDTHS[0])
