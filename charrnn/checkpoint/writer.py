"""Write a checkpoint so that its path always holds a complete one.

A file is written beside its place under another name, brought to the disk,
read back and checked, and only then takes the place of the old one, in one
step. Whatever fails, the old file stays as it was.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from charrnn.checkpoint import archive, manifest
from charrnn.checkpoint.archive import Member
from charrnn.checkpoint.contents import Checkpoint, Tensor
from charrnn.checkpoint.reader import CHUNK, CheckpointFile, reason
from charrnn.errors import (
    ELSEWHERE,
    CharRNNError,
    DivergedError,
    OutputError,
    field,
    writing_hint,
)

#: Longer names than this leave no room for an ending in the usual 255 bytes.
LONGEST_NAME = 230


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replace a file by a checkpoint, completely or not at all.

    A symbolic link stays, and what it points to is replaced. A new file gets
    the permissions that the umask leaves, an existing one keeps its own.

    Raises
    ------
    OutputError
        It cannot be written; the old file is as it was.
    DivergedError
        A value is not finite; nothing was written.
    """
    try:
        target = resolve_output(path)
        with replacement(target) as temporary:
            with temporary.open("wb") as file:
                write_to(file, checkpoint)
                file.flush()
                _sync(file.fileno())
            with CheckpointFile(temporary) as written:
                written.verify()
    except OSError as error:
        hint = writing_hint(error)
        raise OutputError(reason(error), where=str(path), hint=hint) from None
    except (OutputError, DivergedError) as error:
        error.where = str(path)
        raise
    except CharRNNError as error:
        msg = f"cannot be read back after writing: {error.what}"
        hint = f"the disk may be broken: {ELSEWHERE}"
        raise OutputError(msg, where=str(path), hint=hint) from None


def write_to(stream: BinaryIO, checkpoint: Checkpoint) -> None:
    """Write a checkpoint's bytes from the first to the last, without seeking.

    The same checkpoint gives the same bytes. Tensors are hashed first, since
    the manifest precedes them, and then written from where they are.

    Raises
    ------
    ValueError
        The arrays are not those that the configuration implies, or the memory is of
        another vocabulary.
    DivergedError
        A value is not finite.
    OutputError
        It would be larger than 4 GiB.
    OSError
        From the stream.
    """
    tensors = {
        name: np.ascontiguousarray(values, "<f4")
        for name, values in checkpoint.tensors().items()
    }
    for name, values in tensors.items():
        _check_finite(name, values)
    digests = {
        name: hashlib.sha256(values.data).hexdigest()
        for name, values in tensors.items()
    }
    contents = [values.data for values in tensors.values()]
    memory_digest = None
    if (ids := checkpoint.remembered_ids()) is not None:
        memory_digest = hashlib.sha256(ids.data).hexdigest()
        contents.append(ids.data)
    described = manifest.describe(checkpoint, digests, memory_digest)
    text = manifest.encode(described)
    members = [Member(manifest.NAME, "|u1", (len(text),)), *described.members]
    if archive.file_size(members) > archive.MAX_FILE:
        msg = "the checkpoint would be larger than 4 GiB"
        hint = f"use fewer {field('hidden')} units or {field('layers')}"
        raise OutputError(msg, hint=hint)

    crcs = []
    for member, data in zip(members, [memoryview(text), *contents], strict=True):
        crcs.append(zlib.crc32(data, zlib.crc32(member.npy_header)))
        stream.write(member.prefix(crcs[-1]))
        stream.write(data)
    stream.write(archive.directory(members, crcs))


def _check_finite(name: str, values: Tensor) -> None:
    """Refuse what no reader would accept, in little memory."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        if not np.isfinite(flat[start : start + CHUNK]).all():
            msg = f"{name} has values that are not finite; nothing was written"
            hint = f"try a lower {field('lr')} or {field('grad_clip')}"
            raise DivergedError(msg, hint=hint)


def resolve_output(path: Path) -> Path:
    """Follow symbolic links to the file that will be replaced.

    Raises
    ------
    OutputError
        There is something that is not a regular file, or we may not look.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    except OSError as error:
        hint = writing_hint(error)
        raise OutputError(reason(error), where=str(path), hint=hint) from None
    if not stat.S_ISREG(mode):
        if stat.S_ISDIR(mode):
            what, hint = "is a directory", "name a file in it"
        else:
            what, hint = "is not a regular file", "name a file that may be replaced"
        raise OutputError(what, where=str(path), hint=hint)
    return target


@contextlib.contextmanager
def replacement(target: Path) -> Iterator[Path]:
    """Offer a new file beside `target`, and let it take its place at the end.

    If anything goes wrong meanwhile, the new file is removed.
    """
    temporary = _beside(target, f"{secrets.token_hex(4)}.tmp")
    old = target.stat() if target.exists() else None
    mode = None if old is None else stat.S_IMODE(old.st_mode) & 0o777
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    # The content of a private file is not shown to anyone meanwhile either.
    handle = os.open(temporary, flags, 0o666 if mode is None else 0o600)
    try:
        os.close(handle)
        yield temporary
        if old is not None and mode is not None:
            if os.geteuid() == 0:
                # Whose file it was may go on reading it.
                with contextlib.suppress(OSError):
                    os.chown(temporary, old.st_uid, old.st_gid)
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        # On a dead disk this fails, too; what is told is why the save failed.
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_directory(target.parent)


def _beside(target: Path, ending: str) -> Path:
    """Name a hidden file beside another one, not too long for a file system."""
    name = os.fsencode(target.name)
    if len(name) > LONGEST_NAME:
        stem = hashlib.sha256(name).hexdigest()[:32]
    else:
        stem = target.name
    return target.with_name(f".{stem}.{ending}")


def _sync(handle: int) -> None:
    """Bring an open file to the disk, and through the disk's own cache."""
    # On macOS fsync stops at the disk's cache, which a loss of power empties.
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        # Some file systems, such as those of a network, do not know it.
        try:
            fcntl.fcntl(handle, full)
        except OSError as error:
            if error.errno not in {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY}:
                raise
        else:
            return
    os.fsync(handle)


def _sync_directory(directory: Path) -> None:
    """Bring a directory's new entry to the disk."""
    # The new file is complete and in its place; a file system that does not
    # sync directories, or a directory we may not read, changes nothing.
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _sync(handle)
        finally:
            os.close(handle)


class OutputLock:
    """Keep two runs from writing to one output.

    A context manager. The lock is advisory (``flock``), ends with the process
    whatever happens, and sits on a hidden file beside the output, which is
    removed at the end. Two names of one file, by a symbolic link, are one lock.

    Parameters
    ----------
    path : Path
        The output. It need not exist.

    Raises
    ------
    OutputError
        Another run holds the lock, or the directory cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._target = resolve_output(path)
        self._file = _beside(self._target, "lock")
        self._handle: int | None = None

    def __enter__(self) -> Self:
        try:
            while self._handle is None:
                self._handle = self._acquire()
            self._remove_leftovers()
        except BlockingIOError:
            msg = "locked by another run"
            hint = f"wait until it ends, or choose another {field('output')}"
            raise OutputError(msg, where=str(self.path), hint=hint) from None
        except OSError as error:
            raise OutputError(reason(error), where=str(self.path)) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            # Removed first: whoever opens the name now finds it gone or new. A lock
            # file that stays locks nobody out, and what the run came to counts more.
            with contextlib.suppress(OSError):
                if self._is_ours(self._handle):
                    self._file.unlink()
            os.close(self._handle)
            self._handle = None

    def _acquire(self) -> int | None:
        """Try once; None when the lock file vanished under our hands."""
        handle = self._open()
        try:
            _lock(handle)
            # The former holder may have removed the file that we opened.
            with contextlib.suppress(FileNotFoundError):
                if self._is_ours(handle):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        return None

    def _open(self) -> int:
        """Open the lock file itself, wherever a link of its name may lead."""
        flags = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return os.open(self._file, flags | os.O_RDWR, 0o666)
        except PermissionError:
            # Left by a killed run of somebody else; reading is enough to lock it.
            return os.open(self._file, flags | os.O_RDONLY, 0o666)

    def _is_ours(self, handle: int) -> bool:
        """Tell whether the lock file is the one that was opened."""
        return os.path.samestat(os.fstat(handle), self._file.lstat())

    def _remove_leftovers(self) -> None:
        """Remove what a run that was killed while saving left behind."""
        before, _, after = _beside(self._target, "|.tmp").name.rpartition("|")
        name = re.compile(f"{re.escape(before)}[0-9a-f]{{8}}{re.escape(after)}")
        with contextlib.suppress(OSError):  # tidiness must not stop a run
            for path in self._target.parent.iterdir():
                if name.fullmatch(path.name):
                    with contextlib.suppress(OSError):
                        path.unlink()


def _lock(handle: int) -> None:
    """Lock an open file, where the file system knows locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems do not; better to train without a lock.
        if error.errno not in {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
