"""Where checkpoints go, and what is left alone."""

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from charrnn.checkpoint import Checkpoint, load
from charrnn.errors import OutputError
from charrnn.filenames import best_path
from charrnn.training import output
from charrnn.training.output import FileOutput, StreamOutput
from charrnn.training.surviving import survive
from tests.training.support import checkpoint_bytes, prepared


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    made = prepared(tmp_path / "t.txt")
    return made.checkpoint()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    directory = tmp_path / "out"
    directory.mkdir()
    return directory / "m.npz"


def names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


@pytest.mark.parametrize(
    ("name", "best"),
    [("m.npz", "m.best.npz"), ("m", "m.best.npz"), ("a.b.npz", "a.b.best.npz")],
)
def test_best_stands_beside_the_last(name: str, best: str) -> None:
    assert best_path(Path("somewhere") / name) == Path("somewhere") / best


def test_last_and_best_are_two_files(path: Path, checkpoint: Checkpoint) -> None:
    """Whose locks are gone in the end."""
    with FileOutput(path, replace=False) as writer:
        first = writer.save(checkpoint, best=False, last=False)
        assert checkpoint.training is not None
        checkpoint.training.step = 7
        best = writer.save(checkpoint, best=True, last=False)

    assert (first.step, first.path, first.best) == (0, path, False)
    assert (best.step, best.path, best.best) == (7, best_path(path), True)
    assert names(path.parent) == {"m.npz", "m.best.npz"}
    loaded = load(best_path(path)).training
    assert loaded is not None
    assert loaded.step == 7


@pytest.mark.parametrize("best", [False, True])
def test_another_process_writes_what_this_one_would(
    path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, best: bool
) -> None:
    """So that a launcher which kills this one does not cut it."""
    tasks: list[Callable[[], object]] = []

    def noted(task: Callable[[], object]) -> None:
        survive(task)
        tasks.append(task)

    monkeypatch.setattr(output, "survive", noted)
    with FileOutput(path, replace=False, survives=True) as writer:
        saved = writer.save(checkpoint, best=best, last=False)
    by_another = saved.path.read_bytes()
    tasks[0]()

    assert saved.path.read_bytes() == by_another
    assert names(path.parent) == {saved.path.name}


def test_the_best_is_read_back(path: Path, checkpoint: Checkpoint) -> None:
    """If it is there: the last state is another file."""
    with FileOutput(path, replace=False) as writer:
        writer.save(checkpoint, best=False, last=True)
        assert writer.read_best() is None
        writer.save(checkpoint, best=True, last=False)
        found = writer.read_best()

    assert found is not None
    assert checkpoint_bytes(found) == checkpoint_bytes(checkpoint)


def test_a_link_that_changes_leads_nowhere_else(
    path: Path, checkpoint: Checkpoint
) -> None:
    """What was locked is what is written; the link stays as it is."""
    one, two = path.with_name("one.npz"), path.with_name("two.npz")
    one.touch()
    path.symlink_to(one)
    with FileOutput(path, replace=True) as writer:
        path.unlink()
        path.symlink_to(two)
        writer.save(checkpoint, best=False, last=False)

    assert load(one).training is not None
    assert path.is_symlink()
    assert not two.exists()


def test_last_and_best_must_not_be_one_file(path: Path) -> None:
    """It would be locked by ourselves."""
    path.touch()
    best_path(path).symlink_to(path)

    with pytest.raises(OutputError, match="are one file"):
        FileOutput(path, replace=True).__enter__()


@pytest.mark.parametrize("name", ["m.npz", "m.best.npz"])
def test_existing_file_is_not_replaced_unasked(path: Path, name: str) -> None:
    """Both ways out are named."""
    path.with_name(name).write_text("mine")
    with pytest.raises(OutputError) as caught, FileOutput(path, replace=False):
        pass

    assert name in str(caught.value)
    assert "force" in str(caught.value.hint)
    assert "resume" in str(caught.value.hint)
    assert path.with_name(name).read_text() == "mine"
    assert names(path.parent) == {name}


def test_existing_file_is_replaced_if_asked(path: Path, checkpoint: Checkpoint) -> None:
    path.write_text("old")
    with FileOutput(path, replace=True) as writer:
        assert path.read_text() == "old"
        writer.save(checkpoint, best=False, last=True)

    assert path.read_bytes() == checkpoint_bytes(checkpoint)


def test_two_runs_do_not_share_an_output(path: Path) -> None:
    with FileOutput(path, replace=True):
        with (
            pytest.raises(OutputError, match="another run"),
            FileOutput(path, replace=True),
        ):
            pass
        with FileOutput(path.with_name("other.npz"), replace=True):
            pass
    with FileOutput(path, replace=True):
        pass


def test_what_is_no_file_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(OutputError, match="directory"), FileOutput(path, replace=True):
        pass
    fifo = path.with_name("fifo")
    os.mkfifo(fifo)
    with (
        pytest.raises(OutputError, match="not a regular file"),
        FileOutput(fifo, replace=True),
    ):
        pass


def test_missing_directory_is_noticed_at_once(path: Path) -> None:
    with (
        pytest.raises(OutputError, match="no such file or directory"),
        FileOutput(path / "x" / "m.npz", replace=True),
    ):
        pass


def test_stream_gets_the_last_checkpoint_only(checkpoint: Checkpoint) -> None:
    out = io.BytesIO()
    with StreamOutput(out) as writer:
        assert writer.save(checkpoint, best=False, last=False) is None
        assert writer.save(checkpoint, best=True, last=True) is None
        assert out.getvalue() == b""
        saved = writer.save(checkpoint, best=False, last=True)

    assert saved is not None
    assert saved.path == Path("-")
    assert out.getvalue() == checkpoint_bytes(checkpoint)


def test_stream_that_takes_nothing_is_an_error(checkpoint: Checkpoint) -> None:
    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputError, match="No space left"):
        StreamOutput(io.BufferedWriter(Full(), 10)).save(
            checkpoint, best=False, last=True
        )
