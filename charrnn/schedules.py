"""The learning rate as a pure function of how far a run has come.

Progress is the share of the run that is done, 0 at the first step and 1 at
whichever limit ends it. A schedule says which multiple of the peak rate holds
there; the warm-up is laid over it. Nothing is remembered from step to step,
so a resumed run needs no more than its progress to continue.

============ ===========================================================
schedule     multiple of the peak rate
============ ===========================================================
constant     1
step         1, halved when 50, 70 and 90 % of the run are done
exponential  from 1 to `FLOOR`, the same ratio every step
linear       from 1 to `FLOOR` in a straight line
cosine       from 1 to `FLOOR` along half a cosine: slow, fast, slow
cyclic       four triangles that rise from `TROUGH` and fall back to it,
             each half as high above it as the one before (Smith 2017,
             "Cyclical learning rates for training neural networks")
============ ===========================================================
"""

import math
from collections.abc import Callable

from charrnn.config import ScheduleName, TrainConfig

#: What the falling schedules end at. Not 0: the last steps should still learn.
FLOOR = 0.02

#: Progress at which the schedule "step" halves the rate.
HALVINGS = (0.5, 0.7, 0.9)

#: Triangles of the schedule "cyclic", and the level between them.
CYCLES = 4
TROUGH = 0.1


def _constant(progress: float) -> float:
    """Stay at the peak, wherever the run is."""
    return 1.0


def _step(progress: float) -> float:
    """Halve at every one of `HALVINGS` that has been reached."""
    return 0.5 ** sum(progress >= halving for halving in HALVINGS)


def _exponential(progress: float) -> float:
    """Fall by the same ratio in equal shares of the run."""
    return FLOOR**progress


def _linear(progress: float) -> float:
    """Fall by the same amount in equal shares of the run."""
    return 1.0 - (1.0 - FLOOR) * progress


def _cosine(progress: float) -> float:
    """Fall along half a cosine, steepest in the middle of the run."""
    return FLOOR + (1.0 - FLOOR) * (1.0 + math.cos(math.pi * progress)) / 2


def _cyclic(progress: float) -> float:
    """Rise and fall `CYCLES` times, to half the height each time."""
    # The end of the run belongs to the last triangle, not to a fifth one.
    cycle = min(int(progress * CYCLES), CYCLES - 1)
    phase = progress * CYCLES - cycle
    triangle = 1.0 - abs(2.0 * phase - 1.0)
    return TROUGH + (1.0 - TROUGH) * 0.5**cycle * triangle


SCHEDULES: dict[ScheduleName, Callable[[float], float]] = {
    "constant": _constant,
    "step": _step,
    "exponential": _exponential,
    "linear": _linear,
    "cosine": _cosine,
    "cyclic": _cyclic,
}


def factor(schedule: ScheduleName, progress: float) -> float:
    """Look up the multiple of the peak rate at some point of the run.

    Parameters
    ----------
    schedule : ScheduleName
        One of the names in the table above.
    progress : float
        Share of the run that is done. What lies outside [0, 1] counts as the
        nearer end: a time limit may be passed by a step.

    Returns
    -------
    float
        Above 0 and at most 1.
    """
    return SCHEDULES[schedule](min(max(progress, 0.0), 1.0))


def learning_rate(
    config: TrainConfig, step: int, progress: float, total_steps: int | None
) -> float:
    """Compute the rate of one step: the schedule, and the warm-up over it.

    The rate rises in a straight line to what the schedule starts at; the
    schedule begins when the warm-up ends, and ends with the run. A warm-up
    given in steps, in a run of unknown length, cannot be told as a share: the
    schedule then begins at once and is held down by the warm-up.

    Parameters
    ----------
    config : TrainConfig
        ``lr``, ``schedule`` and ``warmup`` are read.
    step : int
        Steps taken before this one.
    progress : float
        Share of the run done before this step, in [0, 1].
    total_steps : int or None
        How many steps the run has; None when its end is a time.
    """
    one_step = 1.0 / total_steps if total_steps else 0.0
    if config.warmup >= 1:
        ramp = (step + 1) / config.warmup
        share = config.warmup * one_step
    elif config.warmup > 0:
        # Not step / total_steps: another limit may end the run much earlier.
        ramp = (progress + one_step) / config.warmup
        share = config.warmup
    else:
        ramp, share = 1.0, 0.0
    remaining = (progress - share) / (1.0 - share) if share < 1 else 0.0
    # The floor lets the first step of a run of unknown length move at all.
    held = min(max(ramp, FLOOR), 1.0)
    return config.lr * held * factor(config.schedule, remaining)
