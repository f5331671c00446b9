"""Writing is all or nothing, and an output belongs to one run."""

import errno
import io
import os
import resource
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoint import (
    Checkpoint,
    OutputLock,
    archive,
    load,
    save,
)
from charrnn.errors import (
    DivergedError,
    OutputError,
)
from charrnn.vocab import Vocab
from tests.checkpoint.support import (
    assert_same,
    to_bytes,
)
from tests.factories import any_checkpoint

# Writing is all or nothing.


def test_wrong_arrays_are_a_mistake_of_the_caller(path: Path) -> None:
    missing, surplus, wide, long = (any_checkpoint() for _ in range(4))
    del missing.moments["adam.v"]
    surplus.training = None
    wide.parameters["head.by"] = wide.parameters["head.by"].astype(np.float64)
    long.state = np.zeros((2, 2, 5, 3), np.float32)

    for checkpoint in (missing, surplus, wide, long):
        with pytest.raises(ValueError, match=r"wrong arrays|must be float32"):
            save(path, checkpoint)
    assert list(path.parent.iterdir()) == []


def test_a_vocabulary_of_another_size_is_a_mistake_of_the_caller(path: Path) -> None:
    checkpoint = replace(any_checkpoint(), vocab=Vocab("ab", (1, 1)))

    with pytest.raises(ValueError, match="vocabulary's size"):
        save(path, checkpoint)
    assert list(path.parent.iterdir()) == []


@pytest.mark.promise(name="whole")
@pytest.mark.parametrize("function", ["fsync", "replace", "write"])
@pytest.mark.parametrize("old", [b"the old checkpoint", None])
def test_a_failed_save_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, function: str, old: bytes | None
) -> None:
    """Disk full at the last moment: the old file stays, nothing else does."""
    if old is not None:
        path.write_bytes(old)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if function == "write":
        monkeypatch.setattr("charrnn.checkpoint.writer.write_to", fail)
    else:
        monkeypatch.setattr(os, function, fail)
    with pytest.raises(OutputError) as caught:
        save(path, any_checkpoint())

    assert str(caught.value) == f"no space left on device ({path})"
    assert (path.read_bytes() if path.exists() else None) == old
    assert list(path.parent.iterdir()) == ([path] if old is not None else [])


def test_a_full_disk_changes_nothing(path: Path) -> None:
    """The same with a real failure: a limit on the size of files."""
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputError, match="file too large"):
            save(path, any_checkpoint())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.promise(name="whole")
def test_an_interrupted_save_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while syncing leaves no temporary file."""
    path.write_bytes(b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(path, any_checkpoint())

    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.promise(name="whole")
@pytest.mark.parametrize("fault", ["truncated", "checksum mismatch in state"])
def test_what_cannot_be_read_back_does_not_replace(
    path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A disk that loses or changes bytes is found out before the old file goes."""
    path.write_bytes(b"old")

    def lose(stream: io.BufferedIOBase, checkpoint: Checkpoint) -> None:
        data = to_bytes(checkpoint)
        state = checkpoint.tensors()["state"].tobytes()
        lost = data[:-100] if fault == "truncated" else data.replace(state, state[::-1])
        stream.write(lost)

    monkeypatch.setattr("charrnn.checkpoint.writer.write_to", lose)
    with pytest.raises(OutputError, match=f"cannot be read back.* {fault}"):
        save(path, any_checkpoint())

    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.promise(name="whole")
def test_diverged_values_do_not_replace_good_ones(path: Path) -> None:
    save(path, any_checkpoint())
    good = path.read_bytes()
    checkpoint = any_checkpoint()
    checkpoint.moments["adam.m"][-1] = np.nan

    with pytest.raises(DivergedError, match=r"adam\.m has values"):
        save(path, checkpoint)

    assert path.read_bytes() == good
    assert list(path.parent.iterdir()) == [path]


def test_more_than_four_gigabytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILE", 10_000)

    with pytest.raises(OutputError, match="larger than 4 GiB"):
        to_bytes(any_checkpoint(hidden=30))


def test_a_new_file_respects_the_umask(path: Path) -> None:
    before = os.umask(0o027)
    try:
        save(path, any_checkpoint())
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_an_existing_file_keeps_its_mode(path: Path, mode: int) -> None:
    path.write_bytes(b"old")
    path.chmod(mode)

    save(path, any_checkpoint())

    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert_same(load(path), any_checkpoint())


@pytest.mark.parametrize("old", [b"old", None])
def test_a_symbolic_link_stays_a_link(
    path: Path, tmp_path: Path, old: bytes | None
) -> None:
    """What it points to is replaced, or made."""
    target = tmp_path / "elsewhere" / "real.npz"
    target.parent.mkdir()
    if old:
        target.write_bytes(old)
    path.symlink_to("elsewhere/real.npz")

    save(path, any_checkpoint())

    assert path.is_symlink()
    assert_same(load(target), any_checkpoint())
    assert list(target.parent.iterdir()) == [target]


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(OutputError, match="is not a regular file"):
        save(pipe, any_checkpoint())
    with pytest.raises(OutputError, match="is a directory"):
        save(tmp_path, any_checkpoint())
    with pytest.raises(OutputError, match="no such file or directory"):
        save(tmp_path / "missing" / "model.npz", any_checkpoint())
    with pytest.raises(OutputError, match="not a directory"):
        save(pipe / "model.npz", any_checkpoint())
    assert list(tmp_path.iterdir()) == [pipe]


# One run, one output.


def test_a_second_run_is_locked_out_until_the_first_ends(path: Path) -> None:
    """Locked under both of its names; afterwards nothing is left behind."""
    alias = path.with_name("alias.npz")
    alias.symlink_to(path.name)
    with OutputLock(path):
        for name in (path, alias):
            with pytest.raises(OutputError, match="locked by another run"):
                OutputLock(name).__enter__()
        with OutputLock(path.with_name("other.npz")):
            pass
        save(path, any_checkpoint())

    with OutputLock(path):
        pass
    assert sorted(path.parent.iterdir()) == [alias, path]


def test_the_lock_ends_with_an_error(path: Path) -> None:
    with pytest.raises(RuntimeError), OutputLock(path):
        raise RuntimeError
    with OutputLock(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_lock_that_cannot_be_removed_hides_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happened while it was held is what is told; and it is let go."""

    def refuse(*arguments: object, **more: object) -> None:
        raise PermissionError

    def hold() -> None:
        with monkeypatch.context() as patch, OutputLock(path):
            patch.setattr(os, "unlink", refuse)
            patch.setattr(Path, "unlink", refuse)
            raise KeyError

    with pytest.raises(KeyError):
        hold()
    with OutputLock(path):
        pass


def test_nobody_removes_the_lock_of_another(path: Path) -> None:
    """Whose own was removed by somebody who tidied up."""
    lock = path.with_name(".model.npz.lock")
    with OutputLock(path):
        lock.unlink()
        other = OutputLock(path)
        other.__enter__()
    with pytest.raises(OutputError, match="locked"):
        OutputLock(path).__enter__()
    other.__exit__(None, None, None)
    assert list(path.parent.iterdir()) == []


def test_a_lock_follows_no_link(path: Path) -> None:
    path.with_name(".model.npz.lock").symlink_to(path.with_name("elsewhere"))

    with pytest.raises(OutputError, match="symbolic links"):
        OutputLock(path).__enter__()
    assert not path.with_name("elsewhere").exists()


@pytest.mark.parametrize("name", ["x" * 245 + ".npz", "é" * 120 + ".npz"])
def test_long_names(path: Path, name: str) -> None:
    """Hidden files beside them have shorter ones."""
    path = path.with_name(name)
    with OutputLock(path):
        save(path, any_checkpoint())
        with pytest.raises(OutputError, match="locked"):
            OutputLock(path).__enter__()
    assert_same(load(path), any_checkpoint())
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_leaves_a_file_to_its_owner(path: Path) -> None:
    save(path, any_checkpoint())
    path.chmod(0o600)
    os.chown(path, 1234, 1235)
    save(path, any_checkpoint("gru"))

    found = path.stat()
    assert (found.st_uid, found.st_gid) == (1234, 1235)
    assert stat.S_IMODE(found.st_mode) == 0o600


def test_a_lock_file_left_by_a_killed_run_locks_nobody_out(path: Path) -> None:
    path.with_name(".model.npz.lock").touch()

    with OutputLock(path):
        pass

    assert list(path.parent.iterdir()) == []


def test_the_lock_removes_what_a_killed_save_left(path: Path) -> None:
    """And nothing that only looks similar."""
    names = {".model.npz.0123abcd.tmp", ".model.npz.tmp", ".my.npz.0123abcd.tmp"}
    for name in names:
        path.with_name(name).touch()

    with OutputLock(path):
        pass

    left = {found.name for found in path.parent.iterdir()}
    assert left == names - {".model.npz.0123abcd.tmp"}


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such file or directory"):
        OutputLock(tmp_path / "missing" / "model.npz").__enter__()


def test_training_goes_on_where_there_are_no_locks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems know none."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)

    with OutputLock(path):
        save(path, any_checkpoint())
