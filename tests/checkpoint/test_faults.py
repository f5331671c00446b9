"""Disks that fail while a checkpoint is saved: the old file is always intact.

Every call by which a save reaches the system is let fail in turn: the first,
the second, the third and so on, once or from then on. An interrupted call, which
Python tries again, fails a few times instead.
"""

import builtins
import errno
import io
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint import Checkpoint, OutputLock, load, save
from charrnn.errors import CharRNNError, OutputError
from tests.checkpoint.support import assert_same, to_bytes
from tests.factories import any_checkpoint

pytestmark = pytest.mark.promise(name="whole")

#: Calls of the module `os` that a save makes, or might make.
CALLS = ("open", "close", "fsync", "replace", "rename", "chmod", "unlink", "stat")

EVER = 10**9

#: Errors, and how many operations in a row end in them.
ERRORS = [
    *((errno.ENOSPC, times) for times in (1, EVER)),
    *((errno.EIO, times) for times in (1, EVER)),
    *((errno.EINTR, times) for times in (1, 4)),
]


class Disk:
    """Counts operations, and lets some of them fail.

    Parameters
    ----------
    first : int
        The first operation to fail, from 1; 0 lets none fail.
    number : int
        The error's.
    times : int
        How many in a row fail.
    """

    def __init__(self, first: int, number: int, times: int = 1) -> None:
        self.first, self.number, self.times = first, number, times
        self.operations: list[str] = []
        self.failed: list[str] = []

    def __call__(self, name: str) -> None:
        """Do an operation, or fail."""
        self.operations.append(name)
        later = len(self.operations) - self.first
        if self.first and 0 <= later < self.times:
            self.failed.append(name)
            raise OSError(self.number, os.strerror(self.number))


class Flaky(io.FileIO):
    """A file on a `Disk`, which takes a few bytes at a time."""

    disk: Disk

    def write(self, data: Any) -> int:
        """Write some of the bytes."""
        self.disk("write")
        return super().write(memoryview(data).cast("B")[:1000])

    def readinto(self, buffer: Any) -> int | None:
        """Read some of the bytes."""
        self.disk("read")
        return super().readinto(memoryview(buffer).cast("B")[:1500])

    def seek(self, place: int, whence: int = 0) -> int:
        """Go elsewhere."""
        self.disk("seek")
        return super().seek(place, whence)


def on(disk: Disk, patch: pytest.MonkeyPatch) -> None:
    """Let all that a save does happen on this disk."""

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            # A descriptor is gone even if closing it fails.
            result = real(*arguments, **more) if name == "close" else None
            disk(name)
            return result if name == "close" else real(*arguments, **more)

        return call

    for name in CALLS:
        patch.setattr(os, name, wrapped(name, getattr(os, name)))
    flaky = type("OnDisk", (Flaky,), {"disk": disk})

    def opened(file: Any, mode: str = "r", *_: Any, **__: Any) -> Any:
        raw = flaky(file, mode.replace("b", ""))
        return io.BufferedWriter(raw) if "w" in mode else io.BufferedReader(raw)

    patch.setattr(io, "open", opened)
    patch.setattr(builtins, "open", opened)


def attempt(
    path: Path, checkpoint: Checkpoint, disk: Disk
) -> tuple[CharRNNError | None, Disk]:
    """Save on a disk; what went wrong, if anything."""
    with pytest.MonkeyPatch.context() as patch:
        on(disk, patch)
        try:
            save(path, checkpoint)
        except CharRNNError as error:
            return error, disk
    return None, disk


def test_a_save_uses_what_can_be_made_to_fail(path: Path) -> None:
    """Or the tests below would let nothing fail."""
    error, disk = attempt(path, any_checkpoint(), Disk(0, errno.EIO))

    assert error is None
    assert_same(load(path), any_checkpoint())
    assert {"open", "write", "fsync", "read", "seek"} <= set(disk.operations)
    assert {"replace", "rename"} & set(disk.operations)
    assert disk.operations.count("write") > 5
    assert disk.operations.count("fsync") == 2  # the file and its directory


@pytest.mark.parametrize(
    ("number", "times"), ERRORS, ids=[f"{errno.errorcode[e]}-{n}" for e, n in ERRORS]
)
@pytest.mark.parametrize("old", [True, False], ids=["old-file", "no-file"])
def test_any_operation_may_fail(path: Path, number: int, times: int, old: bool) -> None:
    """Old file or new one, both complete; an error if it is the old one."""
    before, after = any_checkpoint(), any_checkpoint("gru", "sgd")
    if old:
        save(path, before)
    _, sound = attempt(path, after, Disk(0, number))
    path.unlink()
    failures = 0
    for first in range(1, len(sound.operations) + 1):
        if old:
            save(path, before)
        error, disk = attempt(path, after, Disk(first, number, times))
        failures += bool(disk.failed)
        if error is None:
            assert_same(load(path), after)
        else:
            assert isinstance(error, OutputError), (first, disk.failed)
            assert os.strerror(number).lower() in str(error)
            found = path.read_bytes() if path.exists() else None
            assert found == (to_bytes(before) if old else None), disk.failed
        if times == 1:  # a disk that is dead removes nothing either
            assert list(path.parent.iterdir()) in ([path], []), disk.failed
        # Whatever was left, the next run begins by removing it.
        with OutputLock(path):
            pass
        assert list(path.parent.iterdir()) in ([path], [])
        path.unlink(missing_ok=True)
    assert failures == len(sound.operations)


def test_a_disk_that_recovers(path: Path) -> None:
    """After any failure the next save works."""
    for first in (1, 3, 5, 9, 12):
        attempt(path, any_checkpoint(), Disk(first, errno.ENOSPC, EVER))
        save(path, any_checkpoint("rnn"))
        assert_same(load(path), any_checkpoint("rnn"))


# Real disks.


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Limit the size of files for a moment; pytest itself may write to one.

    Python ignores the signal that goes with it.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_any_limit_of_a_files_size(path: Path) -> None:
    """From nothing to just too little, and then enough."""
    save(path, any_checkpoint("rnn"))
    old, whole = path.read_bytes(), len(to_bytes(any_checkpoint()))
    for size in (0, 1, 100, whole // 2, whole - 1):
        with limited(size), pytest.raises(OutputError, match="file too large"):
            save(path, any_checkpoint())
        assert path.read_bytes() == old
        assert list(path.parent.iterdir()) == [path]
    with limited(whole):
        save(path, any_checkpoint())
    assert_same(load(path), any_checkpoint())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 128 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=128k", "charrnn-test", str(place)]
    if os.geteuid() != 0 or not Path("/proc/mounts").exists():
        pytest.skip("only root mounts file systems")
    if subprocess.run(options, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills(small_disk: Path) -> None:
    """At every degree of fullness: the old file, or the new one."""
    path, ballast = small_disk / "model.npz", small_disk / "ballast"
    save(path, any_checkpoint("rnn", hidden=16))
    old = path.read_bytes()
    outcomes = list[str]()
    for kilobytes in range(128, 0, -4):
        # As much of it as there is room for: nothing is buffered.
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            file.write(bytes(1024 * kilobytes))
        try:
            save(path, any_checkpoint("lstm", hidden=16))
        except OutputError as error:
            outcomes.append(error.what)
        else:
            break
        assert path.read_bytes() == old
        assert {p.name for p in small_disk.iterdir()} == {"model.npz", "ballast"}
    assert_same(load(path), any_checkpoint("lstm", hidden=16))
    assert set(outcomes) == {"no space left on device"}


def test_a_read_only_directory(small_disk: Path) -> None:
    """As after an error of the disk, which a kernel answers so."""
    path = small_disk / "model.npz"
    save(path, any_checkpoint())
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)

    with pytest.raises(OutputError, match="read-only file system"):
        save(path, any_checkpoint("rnn"))
    with pytest.raises(OutputError, match="read-only file system"):
        OutputLock(path).__enter__()
    assert_same(load(path), any_checkpoint())


def test_a_directory_without_permission(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may do anything")
    save(path, any_checkpoint())
    path.parent.chmod(0o555)
    try:
        with pytest.raises(OutputError, match="permission denied"):
            save(path, any_checkpoint("rnn"))
    finally:
        path.parent.chmod(0o755)
    assert_same(load(path), any_checkpoint())


# Readers and writers at once.


def test_a_reader_while_a_writer_replaces(path: Path) -> None:
    """Every read is one of the checkpoints, whole; never half of each."""
    sound = [
        any_checkpoint("lstm"),
        any_checkpoint("gru", "sgd"),
        any_checkpoint("rnn", None),
    ]
    known = {to_bytes(checkpoint) for checkpoint in sound}
    save(path, sound[0])
    done, reads, wrong = threading.Event(), [0], list[object]()

    def read() -> None:
        while not done.is_set():
            try:
                found = to_bytes(load(path))
                wrong.extend([] if found in known else [found[:100]])
            except CharRNNError as error:
                wrong.append(error)
            reads[0] += 1

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(150):
        save(path, sound[n % 3])
    done.set()
    for reader in readers:
        reader.join()

    assert not wrong
    assert reads[0] > 20


def test_a_writer_that_is_killed_at_any_moment(path: Path) -> None:
    """A process does nothing but save; see benchmarks/kills.py for trainings."""
    code = (
        "import sys; from pathlib import Path\n"
        "from charrnn.checkpoint import load, save\n"
        "one, two = (load(Path(name)) for name in sys.argv[1:3])\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    save(Path(sys.argv[3]), one); save(Path(sys.argv[3]), two)\n"
    )
    names = [path.with_name(name) for name in ("one.npz", "two.npz")]
    save(names[0], any_checkpoint("lstm"))
    save(names[1], any_checkpoint("gru"))
    known = {name.read_bytes() for name in names}
    for moment in (0.001, 0.02, 0.005, 0.013, 0.031):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *names, path], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        threading.Event().wait(moment)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        if path.exists():
            load(path)
            assert path.read_bytes() in known
    assert path.exists()
