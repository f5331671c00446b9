"""Power that fails while a checkpoint is saved: old file or new, always whole.

The calls of a real save are recorded, and the disk's possible states after a
loss of power at every point are formed from them. The model of the file system
is a weak one, on purpose:

- A file's writes since its last fsync may be lost, be kept up to the edge of any
  block, up to their middle or but for the last byte, or leave zeros in place of
  the rest, of any one block, of any two, or of every second; an fsync makes them
  durable.
- A directory's changes (create, rename, unlink) since the directory's last
  fsync may each have happened or not, whatever the others did, and before the
  data of the files that they name; an fsync makes them durable. A rename is
  one step: its new name never names nothing.
"""

import builtins
import errno
import fcntl
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from charrnn.checkpoint import OutputLock, load, save
from tests.checkpoint.support import to_bytes
from tests.factories import any_checkpoint

pytestmark = pytest.mark.promise(name="whole")

BLOCK = 4096


class Operation(NamedTuple):
    """One recorded call: "write", "sync", "entry" or "sync directory"."""

    kind: str
    inode: int
    name: str = ""
    data: bytes = b""


def record(action: Callable[[], object]) -> list[Operation]:
    """Do an action and note what it does to the disk."""
    done: list[Operation] = []
    real = {name: getattr(os, name) for name in ("open", "fsync", "replace", "unlink")}

    class Noted(io.FileIO):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            if self.writable():
                inode = os.fstat(self.fileno()).st_ino
                done.append(Operation("truncate", inode))

        def write(self, data: Any) -> int:
            taken = bytes(memoryview(data).cast("B"))
            inode = os.fstat(self.fileno()).st_ino
            done.append(Operation("write", inode, data=taken))
            return super().write(taken)

    def opened(file: Any, mode: str = "r", *_: Any, **__: Any) -> Any:
        raw = Noted(file, mode.replace("b", ""))
        return io.BufferedWriter(raw) if "w" in mode else io.BufferedReader(raw)

    def open_(path: Any, flags: int, *more: Any, **named: Any) -> int:
        handle: int = real["open"](path, flags, *more, **named)
        if flags & os.O_CREAT:
            inode = os.fstat(handle).st_ino
            done.append(Operation("entry", inode, Path(path).name))
        return handle

    def fsync(handle: int) -> None:
        real["fsync"](handle)
        found = os.fstat(handle)
        kind = "sync directory" if stat.S_ISDIR(found.st_mode) else "sync"
        done.append(Operation(kind, found.st_ino))

    def replace(source: Any, target: Any, **_: Any) -> None:
        inode = os.stat(source).st_ino  # noqa: PTH116 - beneath what is recorded
        real["replace"](source, target)
        done.append(Operation("entry", inode, Path(target).name))

    with pytest.MonkeyPatch.context() as patch:
        for name, new in (("open", open_), ("fsync", fsync), ("replace", replace)):
            patch.setattr(os, name, new)
        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        action()
    return done


def contents(synced: bytes, pending: bytes) -> set[bytes]:
    """Form what a file may hold whose last writes were not synced."""
    whole = synced + pending
    cuts = {len(synced), len(synced) + len(pending) // 2}
    cuts |= {len(whole) - 1} if pending else set()
    cuts |= set(range(len(synced), len(whole), BLOCK))
    zeros = {whole[:cut] + bytes(len(whole) - cut) for cut in cuts}
    blocks = range(len(synced), len(whole), BLOCK)
    groups = [*combinations(blocks, 1), *combinations(blocks, 2)]
    holes = {without(whole, lost) for lost in (*groups, blocks[::2], blocks[1::2])}
    return {whole, *zeros, *holes, *(whole[:cut] for cut in cuts)}


def without(data: bytes, lost: Iterable[int]) -> bytes:
    """Put zeros in the place of the blocks that begin there."""
    left = bytearray(data)
    for start in lost:
        end = min(start + BLOCK, len(data))
        left[start:end] = bytes(end - start)
    return bytes(left)


def states(
    done: list[Operation], name: str, old: dict[int, bytes], first: int | None
) -> Iterator[bytes | None]:
    """Form all that a name may hold when the power fails after these calls."""
    synced = dict(old)
    pending: dict[int, list[bytes]] = {}
    durable, possible = first, {first}
    for kind, inode, entry, data in done:
        if kind == "truncate":
            # A file cut short in place may be empty whatever it held before.
            pending[inode], synced[inode] = [], b""
        elif kind == "write":
            pending.setdefault(inode, []).append(data)
        elif kind == "sync":
            synced[inode] = synced.get(inode, b"") + b"".join(pending.pop(inode, []))
        elif kind == "entry" and entry == name:
            durable = inode
            possible.add(inode)
        elif kind == "sync directory":
            possible = {durable}
    for named in possible:
        if named is None:
            yield None
        else:
            after = b"".join(pending.get(named, []))
            yield from contents(synced.get(named, b""), after)


def wrong_states(*paths: Path, action: Callable[[], object]) -> int:
    """Count the states in which a save has lost or broken one of its files."""
    old = {path: path.read_bytes() for path in paths if path.exists()}
    inodes = {path: path.stat().st_ino for path in old}
    before = {inodes[path]: data for path, data in old.items()}
    done = record(action)
    wrong = 0
    for path in paths:
        new, first = path.read_bytes(), inodes.get(path)
        for end in range(len(done) + 1):
            allowed = {new} if end == len(done) else {new, old.get(path)}
            found = set(states(done[:end], path.name, before, first))
            wrong += len(found - allowed)
    return wrong


@pytest.mark.parametrize("old", [True, False], ids=["old-file", "no-file"])
@pytest.mark.parametrize("name", ["model.npz", "model.best.npz"])
def test_the_power_may_fail_at_any_moment(path: Path, old: bool, name: str) -> None:
    path = path.with_name(name)
    path.with_name(f".{name}.0123abcd.tmp").write_bytes(b"of an earlier crash")
    if old:
        save(path, any_checkpoint())

    assert not wrong_states(path, action=lambda: save(path, any_checkpoint("gru")))
    load(path)


@pytest.mark.parametrize("old", [True, False], ids=["old-files", "no-files"])
def test_both_files_of_a_run_survive_and_its_lock_locks_nobody_out(
    path: Path, old: bool
) -> None:
    """One loss of power while a run holds its lock and saves the best and the last."""
    best = path.with_name("model.best.npz")
    lock = path.with_name(f".{path.name}.lock")
    for file in (path, best) if old else ():
        save(file, any_checkpoint())

    def run() -> None:
        with OutputLock(path):
            save(best, any_checkpoint("gru"))
            save(path, any_checkpoint("gru"))
            assert lock.read_bytes() == b""

    assert not wrong_states(path, best, action=run)
    # Its removal was not synced: the file may be there, whatever the disk put into it.
    for data in contents(b"", b"x" * BLOCK):
        lock.write_bytes(data)
        with OutputLock(path):
            save(path, any_checkpoint())


@pytest.mark.parametrize("mutant", ["file", "directory", "in place"])
def test_a_careless_writer_is_found_out(path: Path, mutant: str) -> None:
    """Or the test above would prove nothing."""
    save(path, any_checkpoint())
    data = to_bytes(any_checkpoint("gru"))

    def careless() -> None:
        target = path if mutant == "in place" else path.with_name("new")
        if mutant != "in place":
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
        with target.open("wb") as file:
            file.write(data)
            file.flush()
            if mutant != "file":
                os.fsync(file.fileno())
        if mutant != "in place":
            target.replace(path)
        if mutant != "directory":
            handle = os.open(path.parent, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    assert wrong_states(path, action=careless)


def test_blocks_are_lost_together() -> None:
    """Or what a file may hold would be too little."""
    first, second, third = (bytes([n]) * BLOCK for n in (1, 2, 3))
    none = bytes(BLOCK)
    found = contents(b"", first + second + third)

    assert {none + second + none, first + none + third, none + none + third} <= found


@pytest.mark.parametrize("known", [True, False])
def test_macos_is_asked_to_empty_the_disks_cache(
    path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """With a plain fsync instead where the file system refuses."""
    calls: list[str] = []

    def control(_: int, command: int) -> int:
        assert command == 51
        calls.append("full")
        if not known:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        return 0

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("plain"))
    save(path, any_checkpoint())

    assert calls == (["full"] * 2 if known else ["full", "plain"] * 2)
