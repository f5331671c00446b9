"""Write a checkpoint so that its path always holds a complete one.

A file is written beside its place under another name, brought to the disk,
read back and checked, and only then takes the place of the old one, in one
step. Whatever fails, the old file stays as it was.
"""

import contextlib
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
from charrnn.checkpoint.systems import flags, keep_owner, lock, sync, sync_directory
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
                sync(file.fileno())
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
    new = flags("WRONLY", "CREAT", "EXCL", "CLOEXEC")
    # The content of a private file is not shown to anyone meanwhile either.
    handle = os.open(temporary, new, 0o666 if mode is None else 0o600)
    try:
        os.close(handle)
        yield temporary
        if old is not None and mode is not None:
            # Whose file it was may go on reading it.
            keep_owner(temporary, old)
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        # On a dead disk this fails, too; what is told is why the save failed.
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(target.parent)


def _beside(target: Path, ending: str) -> Path:
    """Name a hidden file beside another one, not too long for a file system."""
    name = os.fsencode(target.name)
    if len(name) > LONGEST_NAME:
        stem = hashlib.sha256(name).hexdigest()[:32]
    else:
        stem = target.name
    return target.with_name(f".{stem}.{ending}")


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
            lock(handle)
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
        opened = flags("CREAT", "NOFOLLOW", "NONBLOCK", "CLOEXEC")
        try:
            return os.open(self._file, opened | os.O_RDWR, 0o666)
        except PermissionError:
            # Left by a killed run of somebody else; reading is enough to lock it.
            return os.open(self._file, opened | os.O_RDONLY, 0o666)

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
