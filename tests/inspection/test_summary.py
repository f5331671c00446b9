import hashlib
import math
from pathlib import Path

from charrnn.checkpoint import CheckpointFile
from charrnn.inspection.summary import Summary, summarize
from tests.factories import write_checkpoint


def summary(path: Path) -> Summary:
    with CheckpointFile(path) as file:
        return summarize(file)


def test_parameters_of_all_tensors_add_up(tmp_path: Path):
    view = summary(write_checkpoint(tmp_path / "m.npz", cell="gru"))

    assert sum(t.parameters for t in view.tensors) == view.parameters
    assert all(math.prod(t.shape) == t.parameters for t in view.tensors)


def test_running_averages_are_no_parameters(tmp_path: Path):
    view = summary(write_checkpoint(tmp_path / "m.npz", norm="batch"))

    assert sum(t.parameters for t in view.tensors) == view.parameters
    assert view.model.norm == "batch"
    assert not any("running" in t.name for t in view.tensors)


def test_losses_are_the_last_of_the_history_in_both_units(tmp_path: Path):
    view = summary(write_checkpoint(tmp_path / "m.npz"))

    assert view.train_loss is not None
    assert view.val_loss is not None
    assert (view.train_loss.nats, view.train_loss.step) == (2.0, 30)
    assert (view.val_loss.nats, view.val_loss.step) == (2.75, 20)
    assert view.val_loss.bits == 2.75 / math.log(2)
    assert view.epochs == 1.5


def test_the_file_is_described_by_size_and_hash(tmp_path: Path):
    path = write_checkpoint(tmp_path / "m.npz")
    file = summary(path).file

    assert file.bytes == path.stat().st_size
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_alone_have_no_run(tmp_path: Path):
    path = write_checkpoint(tmp_path / "m.npz", optimizer=None, history=[])
    view = summary(path)

    run = (view.steps, view.epochs, view.training, view.train_loss)
    assert run == (None, None, None, None)
    assert view.best_val_loss is None


def test_no_tensor_is_read(tmp_path: Path, monkeypatch):
    path = write_checkpoint(tmp_path / "m.npz")
    monkeypatch.setattr(CheckpointFile, "read", None)
    monkeypatch.setattr(CheckpointFile, "_read_values", None)

    summary(path)
