"""Resuming: exactly the run that was never interrupted, or a clear refusal."""

from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint import load, save
from charrnn.durations import Every
from charrnn.errors import CheckpointError, CorpusError, OptionError, VocabError
from charrnn.training.job import Job
from charrnn.training.records import Evaluation
from charrnn.training.request import TrainingRequest
from charrnn.training.resume import resume
from tests.training.support import (
    TEXT,
    Recorder,
    Stop,
    Ticking,
    checkpoint_bytes,
    finish,
    prepared,
    run_of,
    steps_of,
    stop_after,
)

#: Windows of 4 x 8 in an epoch of the text: 10 steps end in the first epoch
#: for some of the runs below and in a later one for others.
PLANS: dict[str, dict[str, Any]] = {
    "lstm-adam": {"model": {"cell": "lstm"}, "optimizer": "adam"},
    "lstm-sgd": {"model": {"cell": "lstm", "layers": 2}, "optimizer": "sgd"},
    "gru-rmsprop": {"model": {"cell": "gru"}, "optimizer": "rmsprop"},
    "gru-adam": {"model": {"cell": "gru", "layers": 2}, "warmup": 15.0},
    "rnn-adagrad": {"model": {"cell": "rnn"}, "optimizer": "adagrad"},
    "rnn-adam": {"model": {"cell": "rnn", "activation": "leaky-relu"}},
    "dropout": {"dropout": 0.3, "model": {"layers": 2}},
    "layer-norm": {"dropout": 0.2, "model": {"layers": 2, "norm": "layer"}},
    "batch-norm": {"weight_decay": 0.1, "model": {"layers": 2, "norm": "batch"}},
    "lines": {"lines": True, "dropout": 0.1},
    "averaged": {"ema": 0.99, "weight_dropout": 0.3, "model": {"cell": "gru"}},
    "bytes": {"read": {"unit": "byte"}},
    "decay": {"weight_decay": 0.1, "clip_mode": "value", "schedule": "cyclic"},
    "long": {"batch_size": 9, "seq_length": 13},
    "short": {"batch_size": 2, "seq_length": 3, "val_fraction": 0.0},
}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return tmp_path / "t.txt"


def interrupted(path: Path, text: Path, step: int = 10, **plan: Any) -> Job:
    """Leave a checkpoint of a run that was stopped after so many steps."""
    made, writer, stop = prepared(text, **plan), Recorder(), Stop()
    stop_after(run_of(made, writer, stop), stop, step)
    path.write_bytes(writer.latest)
    return made


@pytest.mark.parametrize("step", [10, 13])
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_interrupted_run_is_the_undisturbed_one(
    tmp_path: Path, text: Path, plan: dict[str, Any], step: int
) -> None:
    """Bit for bit: losses, weights, moments, state, history; the very file."""
    whole, second = Recorder(), Recorder()
    records, _ = finish(run_of(prepared(text, steps=20, **plan), whole))
    interrupted(tmp_path / "m.npz", text, step, steps=20, **plan)
    read = plan.get("read")
    made = prepared(text, resume=tmp_path / "m.npz", read=read, threads=2)
    assert made.notes == []
    later, _ = finish(run_of(made, second))

    losses = [(s.step, s.epoch, s.loss, s.lr) for s in steps_of(records)]
    assert [(s.step, s.epoch, s.loss, s.lr) for s in steps_of(later)] == losses[step:]
    assert second.latest == whole.latest


def test_plans_cross_borders_of_epochs(text: Path) -> None:
    """Or the test above would say little."""
    windows = {
        prepared(text, **plan).trainer.streams.windows for plan in PLANS.values()
    }

    assert min(windows) < 10
    assert any(10 < count < 20 for count in windows)
    assert max(windows) > 20


@pytest.mark.parametrize("limits", [{"steps": 15}, {"epochs": 1.2}])
def test_finished_run_has_nothing_left_to_do(
    tmp_path: Path, text: Path, limits: dict[str, Any]
) -> None:
    """It says so, evaluates nothing twice, and writes the same file again."""
    first, again = Recorder(), Recorder()
    _, before = finish(run_of(prepared(text, **limits), first))
    (tmp_path / "m.npz").write_bytes(first.latest)
    records, after = finish(
        run_of(prepared(text, resume=tmp_path / "m.npz", **limits), again)
    )

    assert again.latest == first.latest
    assert not steps_of(records)
    assert not [r for r in records if isinstance(r, Evaluation)]
    assert (after.reason, after.steps) == (before.reason, before.steps)
    assert (after.val_loss, after.train_loss) == (before.val_loss, before.train_loss)


def test_time_goes_on_counting(tmp_path: Path, text: Path) -> None:
    """What was used counts, also under a new limit; the file keeps no seconds."""
    path, writer = tmp_path / "m.npz", Recorder()
    _, ended = finish(run_of(prepared(text, time=10.0), writer, clock=Ticking(1.0)))
    assert ended.steps == 10
    path.write_bytes(writer.latest)
    limits: list[dict[str, Any]] = [{}, {"time": 10.0}]
    for given in limits:
        again = prepared(text, resume=path, **given)
        assert finish(run_of(again, writer, clock=Ticking(1.0)))[1].steps == 10
        assert writer.latest == path.read_bytes()
    longer = prepared(text, resume=path, time=25.0)
    assert longer.notes == [
        "epochs: 80 before, none now",
        "time: 10s before, 25s now",
    ]
    assert finish(run_of(longer, clock=Ticking(1.0)))[1].steps == 25


def test_limits_and_rate_may_change_and_that_is_told(
    tmp_path: Path, text: Path
) -> None:
    interrupted(tmp_path / "m.npz", text, steps=20)
    made = prepared(
        text, resume=tmp_path / "m.npz", epochs=9.0, lr=0.002, schedule="constant"
    )
    config = made.trainer.config

    assert set(made.notes) == {
        "steps: 20 before, none now",
        "epochs: none before, 9 now",
        "lr: 0.01 before, 0.002 now",
        "schedule: cosine before, constant now",
    }
    assert (config.steps, config.epochs, config.time) == (None, 9.0, None)


def test_conflicting_options_are_all_listed(tmp_path: Path, text: Path) -> None:
    interrupted(tmp_path / "m.npz", text, steps=20)
    with pytest.raises(OptionError) as caught:
        prepared(
            text,
            resume=tmp_path / "m.npz",
            model={"hidden": 9, "cell": "gru", "layers": 1, "lags": (1, 2)},
            optimizer="sgd",
            seed=3,
            val_fraction=0.2,
        )
    message = str(caught.value)

    assert "hidden 9 (it has 8)" in message
    assert "cell gru (it has lstm)" in message
    assert "optimizer sgd (it has adam)" in message
    assert "seed 3 (it has 0)" in message
    assert "lags 1,2 (it has 1)" in message
    assert "layers" not in message
    assert "val_fraction" not in message


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"batch_size": 5}, "batch_size 5 (it has 4)"),
        ({"seq_length": 9}, "seq_length 9 (it has 8)"),
        ({"read": {"unit": "byte"}}, "unit='byte'"),
        ({"lines": True}, "lines"),
        ({"val_file": "t.txt"}, "val_file"),
    ],
)
def test_what_decides_the_windows_cannot_change(
    tmp_path: Path, text: Path, options: dict[str, Any], name: str
) -> None:
    interrupted(tmp_path / "m.npz", text, steps=20)
    with pytest.raises(OptionError) as caught:
        prepared(text, resume=tmp_path / "m.npz", **options)

    assert name in str(caught.value)


def test_same_options_again_are_no_conflict(tmp_path: Path, text: Path) -> None:
    """Also a batch that the short text had reduced."""
    plan: dict[str, Any] = {"batch_size": 100, "seq_length": 30, "steps": 20}
    made = interrupted(tmp_path / "m.npz", text, **plan)
    assert made.trainer.config.batch_size < 100
    again = prepared(text, resume=tmp_path / "m.npz", model={"hidden": 8}, **plan)

    assert again.trainer.config == made.trainer.config
    assert again.notes == []


def test_rate_that_was_halved_stays_so_unless_it_is_changed(
    tmp_path: Path, text: Path
) -> None:
    def halve(made: Job) -> Path:
        made.trainer.position.lr_scale = 0.5
        made.trainer.position.step = 1
        save(path, made.checkpoint())
        return path

    path = tmp_path / "m.npz"
    halve(prepared(text, steps=20))

    assert prepared(text, resume=path, lr=0.01).trainer.position.lr_scale == 0.5
    assert prepared(text, resume=path, lr=0.02).trainer.position.lr_scale == 1.0


def test_validation_file_is_not_a_tail(tmp_path: Path, text: Path) -> None:
    """Resumed without it, the run goes on with the whole text, as it was."""
    held = tmp_path / "v.txt"
    held.write_text(TEXT[:100])
    plan: dict[str, Any] = {"val_file": str(held)}
    whole = Recorder()
    finish(run_of(prepared(text, steps=20, **plan), whole))
    interrupted(tmp_path / "m.npz", text, steps=20, **plan)
    again, without = Recorder(), Recorder()
    finish(run_of(prepared(text, resume=tmp_path / "m.npz", **plan), again))
    made = prepared(text, resume=tmp_path / "m.npz")
    finish(run_of(made, without))

    assert again.latest == whole.latest
    assert made.held_out is None
    assert len(made.trainer.streams.ids) == len(TEXT)


@pytest.mark.parametrize("other", [TEXT + "x", TEXT[:-1], TEXT.upper(), TEXT + "é"])
def test_another_text_is_refused(tmp_path: Path, text: Path, other: str) -> None:
    """With known characters or with new ones."""
    interrupted(tmp_path / "m.npz", text, steps=20)
    with pytest.raises(CorpusError, match="not the text") as caught:
        prepared(text, other, resume=tmp_path / "m.npz")

    assert "new_corpus" in str(caught.value.hint)


def test_new_text_is_read_from_its_beginning(tmp_path: Path, text: Path) -> None:
    """Limits in epochs are those of the new text; the best is still to be found."""
    first = interrupted(tmp_path / "m.npz", text, step=60, epochs=10.0)
    other = "".join(sorted(TEXT)) * 2
    made = prepared(text, other, resume=tmp_path / "m.npz", new_corpus=True)
    position, windows = made.trainer.position, made.trainer.streams.windows

    assert first.trainer.position.best_val_loss is not None
    assert (position.step, position.epoch, position.window) == (60, 0, 0)
    assert position.best_val_loss is None
    assert not made.trainer.state.any()
    assert made.trainer.network.theta.tobytes() == first.trainer.network.theta.tobytes()
    _, ended = finish(run_of(made))
    assert (ended.reason, ended.epochs) == ("epochs", 10)
    assert ended.steps == 60 + 10 * windows


def test_new_text_shorter_than_the_batch(tmp_path: Path, text: Path) -> None:
    """The batch cannot be changed: what is advised must not be to change it."""
    interrupted(tmp_path / "m.npz", text, steps=20)
    with pytest.raises(CorpusError, match="more streams") as caught:
        prepared(text, TEXT[:3], resume=tmp_path / "m.npz", new_corpus=True)

    assert "batch_size" not in str(caught.value.hint)
    assert f"init_from='{tmp_path / 'm.npz'}'" in str(caught.value.hint)


def test_new_text_with_unknown_characters(tmp_path: Path, text: Path) -> None:
    interrupted(tmp_path / "m.npz", text, steps=20)
    with pytest.raises(VocabError, match="U\\+00E9"):
        prepared(text, TEXT + "é", resume=tmp_path / "m.npz", new_corpus=True)


def test_weights_alone_cannot_be_resumed(tmp_path: Path, text: Path) -> None:
    made = prepared(text)
    checkpoint = made.checkpoint()
    checkpoint.training, checkpoint.state, checkpoint.moments = None, None, {}
    save(tmp_path / "m.npz", checkpoint)
    with pytest.raises(CheckpointError, match="weights only") as caught:
        prepared(text, resume=tmp_path / "m.npz")

    assert "init_from" in str(caught.value.hint)


def test_position_behind_the_end_is_refused(tmp_path: Path, text: Path) -> None:
    made = prepared(text)
    made.trainer.position.step = made.trainer.position.window = 1000
    save(
        tmp_path / "m.npz",
        made.checkpoint(),
    )
    with pytest.raises(CheckpointError, match="behind its end"):
        prepared(text, resume=tmp_path / "m.npz")


def test_checkpoint_is_not_changed_by_what_follows(tmp_path: Path, text: Path) -> None:
    """Moments and state are copies: it can be resumed twice."""
    interrupted(tmp_path / "m.npz", text, steps=20)
    checkpoint = load(tmp_path / "m.npz")
    before = checkpoint_bytes(checkpoint)
    request = TrainingRequest(sources=(str(text),))
    finish(run_of(resume(request, checkpoint, 1, None), eval_every=Every(steps=3)))

    assert checkpoint_bytes(checkpoint) == before
