"""What checkpoints ask of the operating system, and of others than this one."""

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from charrnn.checkpoint import OutputLock, systems
from charrnn.errors import OutputError


def test_flags_are_those_that_the_system_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = os.O_WRONLY | os.O_CREAT
    assert systems.flags("WRONLY", "CREAT", "MADE_UP") == expected
    assert systems.flags("WRONLY", "CREAT", "CLOEXEC") == expected | os.O_CLOEXEC
    monkeypatch.delattr(os, "O_CLOEXEC")
    assert systems.flags("WRONLY", "CREAT", "CLOEXEC") == expected


def test_where_texts_are_no_bytes_it_is_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "O_BINARY", 0x8000, raising=False)

    assert systems.flags("RDONLY") == os.O_RDONLY | 0x8000


def windows(error: OSError | None) -> SimpleNamespace:
    """Stand for the module that has the locks of Windows."""

    def locking(handle: int, mode: int, size: int) -> None:
        assert (os.fstat(handle).st_size, mode, size) == (0, 2, 1)
        if error is not None:
            raise error

    return SimpleNamespace(LK_NBLCK=2, locking=locking)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (None, None),
        (PermissionError(errno.EACCES, "Permission denied"), "locked by another run"),
        (OSError(errno.EIO, "Input/output error"), "input/output error"),
    ],
)
def test_locks_of_windows(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: OSError | None,
    message: str | None,
) -> None:
    monkeypatch.setattr(systems, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", windows(error))
    output = tmp_path / "m.npz"
    if message is None:
        with OutputLock(output):
            assert (tmp_path / ".m.npz.lock").exists()
    else:
        with pytest.raises(OutputError, match=message), OutputLock(output):
            pass


def test_a_file_that_is_open_cannot_be_removed_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The lock file stays, and locks nobody out."""

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "in use")

    monkeypatch.setattr(Path, "unlink", refuse)
    for _ in range(2):
        with OutputLock(tmp_path / "m.npz"):
            pass

    assert (tmp_path / ".m.npz.lock").exists()


def test_a_system_without_locks_trains_without_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(systems, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", None)

    with OutputLock(tmp_path / "m.npz"), OutputLock(tmp_path / "m.npz"):
        pass


def test_owners_are_kept_where_there_are_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(
        os, "chown", lambda path, user, group: given.append((user, group))
    )
    status = tmp_path.stat()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    systems.keep_owner(tmp_path, status)
    assert given == []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    systems.keep_owner(tmp_path, status)
    assert given == [(status.st_uid, status.st_gid)]
    monkeypatch.delattr(os, "geteuid")
    monkeypatch.delattr(os, "chown")
    systems.keep_owner(tmp_path, status)


def test_a_mac_is_asked_to_empty_the_memory_of_the_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And other systems, or disks that do not know how, for what they have."""
    asked: list[object] = []

    def control(handle: int, what: int) -> None:
        asked.append(what)
        if refused:
            raise OSError(errno.ENOTSUP, "not supported")

    refused = False
    monkeypatch.setattr(os, "fsync", lambda handle: asked.append("fsync"))
    systems.sync(0)
    monkeypatch.setattr(systems, "fcntl", None)
    systems.sync(0)
    assert asked == ["fsync", "fsync"]
    mac = SimpleNamespace(F_FULLFSYNC=51, fcntl=control)
    monkeypatch.setattr(systems, "fcntl", mac)
    systems.sync(0)
    assert asked[2:] == [51]
    refused = True
    systems.sync(0)
    assert asked[3:] == [51, "fsync"]


def test_a_directory_that_cannot_be_opened_is_not_synced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Windows opens none; a new file is in its place all the same."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    systems.sync_directory(tmp_path)
    assert len(synced) == 1

    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.delattr(os, "O_DIRECTORY")
    monkeypatch.setattr(os, "open", refuse)
    systems.sync_directory(tmp_path)
    assert len(synced) == 1
