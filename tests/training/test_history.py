"""The metric history: means over steps, evaluations beside them, never too long."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint import TrainingState
from charrnn.config import TrainConfig
from charrnn.training import history as history_module
from charrnn.training.history import History
from charrnn.training.trainer import Result

pytestmark = pytest.mark.small


def followed(
    losses: list[float], evaluate_every: int = 0
) -> tuple[History, TrainingState]:
    """Make the history of a run with these losses."""
    history, position = History([]), TrainingState(config=TrainConfig())
    for loss in losses:
        position.step += 1
        result = Result(loss, 2 * loss, 0.1)
        history.add_step(position, position.step / 10, result)
        if evaluate_every and position.step % evaluate_every == 0:
            history.add_evaluation(position.step, position.step / 10, loss)
    return history, position


def plain(history: History) -> list[Any]:
    return [row for row in history.rows if "val_loss" not in row]


def test_rows_are_means_over_ten_steps() -> None:
    losses = [float(n) for n in range(1, 26)]
    history, position = followed(losses)

    assert history.rows == [
        {"step": 10, "epoch": 1.0, "loss": 5.5, "lr": 0.1, "grad_norm": 11.0},
        {"step": 20, "epoch": 2.0, "loss": 15.5, "lr": 0.1, "grad_norm": 31.0},
    ]
    assert position.recent["losses"] == sum(losses[20:])


def test_running_mean_starts_at_the_first_loss() -> None:
    history, position = History([]), TrainingState(config=TrainConfig())

    assert history.add_step(position, 0.0, Result(4.0, 1.0, 0.1)) == 4.0
    assert history.add_step(position, 0.0, Result(2.0, 1.0, 0.1)) == pytest.approx(3.96)


@given(steps=st.integers(1, 900), every=st.integers(0, 40))
def test_history_stays_short_and_keeps_its_sums(steps: int, every: int) -> None:
    """Rows stand at multiples of the interval, evaluations all stay."""
    rng = np.random.default_rng(steps)
    losses = rng.uniform(1, 3, steps).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history_module, "MAX_ROWS", 16)
        history, position = followed(losses, every)
    rows, interval = plain(history), position.recent["interval"]

    assert len(rows) < 16
    assert [row["step"] for row in rows] == [
        step for step in range(1, steps + 1) if step % interval == 0
    ]
    if every:
        evaluated = [row["step"] for row in history.rows if "val_loss" in row]
        assert evaluated == list(range(every, steps + 1, every))


@given(cut=st.integers(0, 130), steps=st.integers(0, 130))
def test_resumed_history_is_the_undisturbed_one(cut: int, steps: int) -> None:
    """What lies between two rows travels in the position, as numbers of JSON."""
    losses = np.random.default_rng(3).uniform(1, 3, 130).tolist()
    whole, _ = followed(losses)
    first, position = followed(losses[:cut])
    resumed = History(list(first.rows))
    position.recent = {name: float(value) for name, value in position.recent.items()}
    for loss in losses[cut:]:
        position.step += 1
        resumed.add_step(position, position.step / 10, Result(loss, 2 * loss, 0.1))

    assert resumed.rows == whole.rows
    assert repr(resumed.rows) == repr(whole.rows)


def test_cut_forgets_what_came_later() -> None:
    history, _ = followed([1.0] * 50, evaluate_every=15)
    history.cut(30)

    assert [row["step"] for row in history.rows] == [10, 15, 20, 30, 30]


def test_evaluation_is_found_by_its_step() -> None:
    history, _ = followed([3.0, 2.0, 1.0] * 10, evaluate_every=2)

    assert history.evaluation_at(2) == 2.0
    assert history.evaluation_at(10) == 3.0
    assert history.evaluation_at(9) is None
    assert History([]).evaluation_at(0) is None
