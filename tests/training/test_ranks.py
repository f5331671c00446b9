"""Ranks that train together: they come to what one process comes to, and stay together.

Here they are threads; tests/training/test_mpi.py has those that are processes.
"""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.durations import Every
from charrnn.errors import CharRNNError, DistributedError, InputError, OptionError
from charrnn.network import Network
from charrnn.training.prepare import prepare
from charrnn.training.ranks import ALONE, Asked, Ranks, is_agreed
from charrnn.training.records import Ended, Evaluation, Record, Step, Warned
from charrnn.training.request import TrainingRequest
from charrnn.training.run import Run
from tests.training.support import (
    LONG_PAIRS,
    PAIRS,
    TEXT,
    Recorder,
    Stop,
    finish,
    prepared,
    read_back,
    run_of,
    steps_of,
    stop_after,
)
from tests.training.threads import ThreadRanks, on_ranks

#: How far losses may be apart: gradients are added up in another order.
NEAR = 2e-5

#: What bears on how a window is shared out, by name, as arguments of `prepared`.
KINDS: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": 0.3, "weight_dropout": 0.2, "ema": 0.9},
    "batch norm": {"model": {"norm": "batch", "layers": 2}, "dropout": 0.2},
    "averaged batch norm": {"model": {"norm": "batch"}, "ema": 0.9},
    "lines": {"lines": True},
    "pairs": {"pairs": True, "text": PAIRS},
    "long pairs": {"pairs": True, "text": LONG_PAIRS},
}


def trained(
    path: Path, ranks: Ranks, steps: int = 12, **options: Any
) -> tuple[list[Record], Run, Recorder]:
    """Train for some steps, an evaluation every four."""
    given: dict[str, Any] = {"text": TEXT, "steps": steps} | options
    writer = Recorder()
    ready = prepared(path, ranks=ranks, **given)
    run = run_of(ready, writer, eval_every=Every(steps=4), memory=False)
    records, _ = finish(run)
    return records, run, writer


def losses(records: list[Record]) -> list[float]:
    """List the losses of steps that have one, and of evaluations behind them."""
    found = [step.loss for step in steps_of(records)]
    evaluated = [each.val_loss for each in records if isinstance(each, Evaluation)]
    return [loss for loss in (*found, *evaluated) if loss is not None]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [2, 4])
def test_ranks_lose_what_one_process_does(tmp_path: Path, kind: str, size: int):
    options = KINDS[kind]
    expected, alone, _ = trained(tmp_path / "t", ALONE, **options)

    found = on_ranks(size, lambda ranks: trained(tmp_path / "t", ranks, **options))

    weights = [run.job.trainer.network.theta for _, run, _ in found]
    for records, run, _ in found:
        np.testing.assert_allclose(losses(records), losses(expected), rtol=NEAR)
        assert run.accuracy == alone.accuracy
        assert np.array_equal(run.job.trainer.network.theta, weights[0])


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_one_sum_a_step_and_with_batch_norm_one_a_layer_and_direction(
    tmp_path: Path, norm: str
):
    (tmp_path / "t").write_text(TEXT)

    def count(ranks: ThreadRanks) -> int:
        shape = {"norm": norm, "layers": 2}
        ready = prepared(tmp_path / "t", ranks=ranks, steps=9, model=shape)
        before = ranks.calls["reduce"]
        for _ in range(3):
            assert ready.trainer.step(0.0).finite
        return ranks.calls["reduce"] - before

    assert on_ranks(2, count) == [3 * (1 + (4 if norm == "batch" else 0))] * 2


def test_a_checkpoint_of_some_ranks_goes_on_with_any_other_number(tmp_path: Path):
    options = {"dropout": 0.3, "ema": 0.9, "model": {"norm": "batch"}}
    expected, _, _ = trained(tmp_path / "t", ALONE, steps=16, **options)
    found: list[Record] = []
    path, data = tmp_path / "m.npz", b""
    for part, size in enumerate([1, 2, 4, 1], 1):

        def go_on(
            ranks: Ranks, until: int = 4 * part, begun: bytes = data
        ) -> tuple[list[Record], Recorder]:
            given = {"resume": path} if begun else {"steps": 16, **options}
            ready = prepared(tmp_path / "t", ranks=ranks, **given)
            stop, writer = Stop(), Recorder()
            run = run_of(ready, writer, stop, eval_every=Every(steps=4), memory=False)
            return stop_after(run, stop, until), writer

        everyone = [go_on(ALONE)] if size == 1 else on_ranks(size, go_on)
        records, writer = everyone[0]
        assert all(not other.saved for _, other in everyone[1:])
        found += records
        data = writer.latest
        path.write_bytes(data)

    steps = [step for step in found if isinstance(step, Step)]
    wanted = [step for step in expected if isinstance(step, Step)]
    np.testing.assert_allclose(losses([*steps]), losses([*wanted]), rtol=NEAR)
    assert [step.step for step in steps_of(found)] == list(range(1, 17))
    position = read_back(data).training
    assert position is not None
    assert position.step == 16


def test_whoever_is_asked_all_end_at_the_same_step_after_one_save(tmp_path: Path):
    (tmp_path / "t").write_text(TEXT)

    def program(ranks: ThreadRanks) -> tuple[Ended, list[tuple[int, bool, bool]]]:
        ready = prepared(tmp_path / "t", ranks=ranks, steps=1000)
        stop, writer = Stop(), Recorder()
        run = run_of(ready, writer, stop)
        for record in run:
            if isinstance(record, Step) and record.step == 5 and ranks.rank == 1:
                stop.reason = "terminated"
        assert isinstance(record, Ended)
        return record, writer.saved

    first, second = on_ranks(2, program)

    assert first[0].reason == second[0].reason == "terminated"
    assert first[0].steps == second[0].steps == 6
    assert first[1][-1] == (6, False, True)
    assert second[1] == []


def test_whoever_is_asked_all_save_on_the_way(tmp_path: Path):
    (tmp_path / "t").write_text(TEXT)

    def program(ranks: ThreadRanks) -> list[int]:
        ready = prepared(tmp_path / "t", ranks=ranks, steps=9)
        stop, writer = Stop(), Recorder()
        for record in run_of(ready, writer, stop, memory=False):
            if isinstance(record, Step) and record.step == 5 and ranks.rank == 1:
                stop.save_now = True
        return [step for step, best, _ in writer.saved if not best]

    assert on_ranks(2, program) == [[0, 6, 9], []]


def test_a_request_that_comes_to_ranks_one_after_another_is_answered_once(
    tmp_path: Path,
):
    (tmp_path / "t").write_text(TEXT)

    def program(ranks: ThreadRanks) -> list[int]:
        ready = prepared(tmp_path / "t", ranks=ranks, steps=9)
        stop, writer = Stop(), Recorder()
        for record in run_of(ready, writer, stop, memory=False):
            if isinstance(record, Step) and record.step == 5 and ranks.rank == 1:
                stop.save_now = True
            if isinstance(record, Step) and record.step == 6 and ranks.rank == 0:
                stop.save_now = True  # all have agreed to save, and not begun
        return [step for step, best, _ in writer.saved if not best]

    assert on_ranks(2, program) == [[0, 6, 9], []]


def test_what_is_not_finite_on_one_rank_takes_all_of_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "t").write_text(TEXT)
    whole = Network.loss_and_gradient
    broken: list[Network] = []

    def program(ranks: ThreadRanks) -> tuple[list[str], list[int]]:
        ready = prepared(tmp_path / "t", ranks=ranks, steps=8)
        if ranks.rank == 1:
            broken.append(ready.trainer.network)
        records, _ = finish(run_of(ready))
        warned = [each.message for each in records if isinstance(each, Warned)]
        return warned, [step.step for step in steps_of(records)]

    calls = 0

    def once_infinite(network: Network, *given: Any, **more: Any) -> float:
        nonlocal calls
        loss = whole(network, *given, **more)
        if network in broken:
            calls += 1
        return math.inf if network in broken and calls == 4 else loss

    monkeypatch.setattr(Network, "loss_and_gradient", once_infinite)

    first, second = on_ranks(2, program)

    assert first == second
    assert len(first[0]) == 1
    assert "learning rate halved" in first[0][0]


def test_patience_ends_all_ranks_alike(tmp_path: Path):
    (tmp_path / "t").write_text(TEXT)

    def program(ranks: ThreadRanks) -> tuple[str, int]:
        options: dict[str, Any] = {
            "steps": 500,
            "patience": 1,
            "lr": 3.0,
            "grad_clip": 0.0,
        }
        ready = prepared(tmp_path / "t", ranks=ranks, **options)
        _, ended = finish(run_of(ready, eval_every=Every(steps=2)))
        return ended.reason, ended.steps

    first, second = on_ranks(2, program)

    assert first == second
    assert first[0] == "patience"


def test_time_is_that_of_the_first_rank(tmp_path: Path):
    (tmp_path / "t").write_text(TEXT)

    def program(ranks: ThreadRanks) -> tuple[int, list[float]]:
        ready = prepared(tmp_path / "t", ranks=ranks, time=0.2)
        records, ended = finish(run_of(ready, memory=False))
        return ended.steps, [step.elapsed for step in steps_of(records)]

    first, second = on_ranks(2, program)

    assert first == second
    assert first[1][-1] >= 0.2


def test_weights_that_differ_end_all_ranks(tmp_path: Path):
    (tmp_path / "t").write_text(TEXT)

    def program(ranks: ThreadRanks) -> CharRNNError:
        ready = prepared(tmp_path / "t", ranks=ranks, steps=8)
        ready.trainer.network.theta[3] += ranks.rank * 1e-6
        with pytest.raises(
            DistributedError, match="rank 1 has other weights"
        ) as caught:
            finish(run_of(ready, eval_every=Every(steps=4)))
        return caught.value

    for error in on_ranks(2, program):
        assert error.exit_code == 9
        assert is_agreed(error)


@pytest.mark.parametrize(
    ("size", "batch", "near"),
    [(2, 7, "batch_size=6 and batch_size=8"), (4, 3, "batch_size=4")],
)
def test_a_batch_that_does_not_divide_is_refused(
    tmp_path: Path, size: int, batch: int, near: str
):
    (tmp_path / "t").write_text(TEXT)

    def program(ranks: ThreadRanks) -> None:
        with pytest.raises(OptionError, match=f"divided by {size} ranks") as caught:
            prepared(tmp_path / "t", ranks=ranks, steps=8, batch_size=batch)
        assert near in str(caught.value.hint)
        assert is_agreed(caught.value)

    on_ranks(size, program)


def test_a_batch_that_was_not_asked_for_is_made_to_divide(tmp_path: Path):
    (tmp_path / "t").write_text(TEXT)

    def program(ranks: ThreadRanks) -> tuple[int, list[str]]:
        ready = prepared(tmp_path / "t", ranks=ranks, steps=8, batch_size=None)
        return ready.trainer.config.batch_size, ready.notes

    size, notes = on_ranks(3, program)[0]

    assert size % 3 == 0
    assert f"for 3 ranks: using batch_size={size}" in notes


def test_ranks_that_do_not_divide_the_batch_of_a_run_cannot_resume_it(tmp_path: Path):
    _, _, writer = trained(tmp_path / "t", ALONE, steps=4)
    path = tmp_path / "m.npz"
    path.write_bytes(writer.latest)

    def program(ranks: ThreadRanks) -> None:
        with pytest.raises(OptionError, match="divided by 3 ranks") as caught:
            prepared(tmp_path / "t", ranks=ranks, resume=path)
        assert caught.value.hint == "go on with 2 or 4 of them"

    on_ranks(3, program)


def test_a_text_that_one_rank_has_not_is_named(tmp_path: Path):
    texts = [tmp_path / "a", tmp_path / "b"]
    texts[0].write_text(TEXT)
    texts[1].write_text(f"{TEXT}more")

    def program(ranks: ThreadRanks) -> str:
        with pytest.raises(InputError) as caught:
            # Each machine has its own file of this name.
            prepared(texts[ranks.rank], ranks=ranks, steps=8)
        assert caught.value.exit_code == 3
        return str(caught.value)

    first, second = on_ranks(2, program)

    for message in (first, second):
        assert "is another file than on rank 0 (rank 1 of 2)" in message


@pytest.mark.parametrize("source", ["-", os.devnull])
def test_what_can_be_read_once_is_refused(source: str):
    request = TrainingRequest(sources=(source,))

    def program(ranks: ThreadRanks) -> None:
        with pytest.raises(OptionError, match="several ranks cannot read") as caught:
            prepare(request, threads=1, ranks=ranks)
        assert "write the text to a file first" in str(caught.value.hint)

    on_ranks(2, program)


def test_a_task_that_fails_on_one_rank_fails_on_all():
    def task() -> None:
        raise InputError("no disk", hint="find one")  # noqa: EM101

    def program(ranks: ThreadRanks) -> str:
        with pytest.raises(InputError) as caught:
            ranks.together(task if ranks.rank == 1 else lambda: None)
        return str(caught.value)

    assert on_ranks(3, program) == ["no disk (rank 1 of 3)"] * 3


def test_a_rank_that_fails_meets_others_that_collect_something():
    def program(ranks: ThreadRanks) -> None:
        def task() -> int:
            if ranks.rank == 1:
                raise InputError("no disk")  # noqa: EM101
            return sum(ranks.collect(lambda: 1))

        with pytest.raises(InputError, match="no disk"):
            ranks.together(task)

    on_ranks(2, program)


def test_the_first_rank_alone_does_what_all_learn_of():
    done: list[int] = []

    def program(ranks: ThreadRanks) -> int:
        def task(asked: Asked) -> int:
            done.append(ranks.rank)
            return 7

        return ranks.first(task)

    assert on_ranks(3, program) == [7] * 3
    assert done == [0]


def test_files_are_the_first_ranks_and_a_full_disk_is_everybodys(tmp_path: Path):
    (tmp_path / "t").write_text(TEXT)

    def program(ranks: ThreadRanks) -> tuple[list[str], int]:
        from charrnn.errors import OutputError

        def failing(step: int) -> Exception | None:
            return OutputError("no space left") if step == 4 else None

        ready = prepared(tmp_path / "t", ranks=ranks, steps=8)
        writer = Recorder(failing=failing)
        every = Every(steps=4)
        records, _ = finish(run_of(ready, writer, save_every=every, memory=False))
        warned = [each.message for each in records if isinstance(each, Warned)]
        return warned, len(writer.saved)

    first, second = on_ranks(2, program)

    assert first[0] == second[0] == ["could not save: no space left; training goes on"]
    assert first[1] > 0
    assert second[1] == 0
