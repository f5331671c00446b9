"""Read a checkpoint that nobody vouches for.

First everything that needs no tensor: the kind of file, its size, the
manifest, and every byte of the container. Then tensors, one at a time, whole,
with CRC, SHA-256 and finite values checked. Memory is only taken for what the
file was shown to contain. Nothing in a file is ever executed: there is no
pickle here, and no ``np.load``.
"""

import errno
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from charrnn.arrays import PackedIds
from charrnn.checkpoint import archive, manifest
from charrnn.checkpoint.archive import Member
from charrnn.checkpoint.contents import (
    LATEST,
    Checkpoint,
    Remembered,
    Tensor,
    expected_moments,
    to_rows,
)
from charrnn.checkpoint.manifest import NOT_OURS, Manifest, MemoryEntry
from charrnn.checkpoint.systems import flags
from charrnn.counting import plural
from charrnn.errors import CheckpointError, InputError, reading_hint
from charrnn.escapes import one_line, shortened
from charrnn.filenames import NUL, NUL_IN_NAME
from charrnn.parameters import shapes, statistics

#: Values read, hashed and looked at in one go, while they are in the cache.
CHUNK = 2**18

DAMAGED = "get the file again, or use an earlier checkpoint"
MADE_BY = "checkpoints are what charrnn has saved of a run or of a model"


def reason(error: OSError) -> str:
    """Say in the system's words why a call failed."""
    return (error.strerror or str(error)).lower()


@contextmanager
def errors_at(path: Path) -> Iterator[None]:
    """Let errors inside say which file they are about."""
    try:
        yield
    except CheckpointError as error:
        error.where = str(path)
        raise
    except OSError as error:
        hint = reading_hint(error)
        if isinstance(error, FileNotFoundError) and str(path) == "-":
            hint = "it is not read from standard input: save it to a file first"
        too_long = error.errno == errno.ENAMETOOLONG
        where = shortened(str(path)) if too_long else str(path)
        raise InputError(reason(error), where=where, hint=hint) from None


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading, and nothing else.

    Raises
    ------
    InputError
        Missing, a directory, no permission.
    CheckpointError
        A pipe, a device or a socket.
    """
    with errors_at(path):
        if NUL in str(path):  # which Python refuses without naming the file
            msg, where = NUL_IN_NAME, one_line(str(path))
            raise InputError(msg, where=where, hint="check the path")
        # Without O_NONBLOCK a named pipe would block until somebody writes.
        handle = os.open(path, flags("RDONLY", "NONBLOCK", "CLOEXEC"))
        mode = os.fstat(handle).st_mode
        if stat.S_ISREG(mode):
            return open(handle, "rb")  # noqa: PTH123 - a descriptor, not a path
        os.close(handle)
        if stat.S_ISDIR(mode):
            msg = "is a directory"
            raise InputError(msg, where=str(path), hint="name a checkpoint in it")
        msg = "not a regular file"
        raise CheckpointError(msg, hint="save it to a file first")


def _corrupt(what: str) -> CheckpointError:
    return CheckpointError(what, hint=DAMAGED)


def _truncated(size: int, of: str) -> CheckpointError:
    return _corrupt(f"truncated ({size:,} of {of} bytes)")


class CheckpointFile:
    """An open checkpoint whose manifest and structure are sound.

    Tensors are read, and checked, when they are asked for. Use it as a context
    manager, from one thread at a time.

    Parameters
    ----------
    path : Path
        The file. It may be replaced meanwhile: the old content stays readable.

    Attributes
    ----------
    model, vocab, training, corpus, history
        As in `Checkpoint`.
    lines : bool
        Whether the model was trained with every line as a document.
    pairs : bool
        Whether it was trained on pairs: an input and an output a line.
    tensors : dict
        Name, type, shape and SHA-256 of every tensor, by name.
    memory : MemoryEntry or None
        What there is to say of the memory, if the file has one.
    remembers : bool
        Whether the run will give it a memory when it ends.
    size : int
        Bytes of the file.

    Raises
    ------
    InputError
        It cannot be opened.
    CheckpointError
        It is anything but a sound checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_regular(path)
        try:
            with errors_at(path):
                self.size = os.fstat(self._file.fileno()).st_size
                first, content = self._read_manifest()
                self._read_structure(first, content)
        except BaseException:
            self.close()
            raise
        self.format_version = content.version
        self.model = content.model
        self.vocab = content.vocab
        self.training = content.training
        run = content.training
        self.lines = content.lines if run is None else run.config.lines
        self.pairs = content.of_pairs
        self.corpus = content.corpus
        self.history = to_rows(content.history)
        self.tensors = {entry.name: entry for entry in content.tensors}
        self.memory: MemoryEntry | None = content.memory
        self.remembers = content.remembers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, name: str) -> Tensor:
        """Read one tensor and check it.

        Raises
        ------
        CheckpointError
            Its bytes are not those that were written, or not all are finite.
        """
        entry = self.tensors[name]
        values = np.empty(entry.shape, "<f4")
        self._read_values(entry.name, entry.sha256, values.reshape(-1))
        return values

    def read_memory(self) -> Remembered | None:
        """Read the memory, if there is one, and check it.

        Raises
        ------
        CheckpointError
            Its bytes are not those that were written, or there are characters that
            the vocabulary does not have.
        """
        entry = self.memory
        if entry is None:
            return None
        ids = np.empty(entry.characters, entry.member.descr)
        self._read_values(manifest.MEMORY, entry.sha256, ids)
        return Remembered(ids=ids, order=entry.order, share=entry.share)

    def sha256(self) -> str:
        """Hash the whole file that was opened, whatever its path holds by now."""
        with errors_at(self.path):
            self._file.seek(0)
            return hashlib.file_digest(self._file, "sha256").hexdigest()

    def verify(self) -> None:
        """Check every tensor and the memory as reading does, in little memory."""
        for entry in self.tensors.values():
            self._read_values(entry.name, entry.sha256, None)
        if self.memory is not None:
            self._read_values(manifest.MEMORY, self.memory.sha256, None)

    def _read_manifest(self) -> tuple[Member, Manifest]:
        """Read member 0, whose size alone is not known beforehand."""
        blank = Member(manifest.NAME, "|u1", (0,))
        head = self._read_at(0, min(self.size, blank.span))
        if not head or not head.startswith(archive.SIGNATURE[: len(head)]):
            raise CheckpointError(NOT_OURS, hint=MADE_BY)
        if len(head) < blank.span:
            raise _truncated(self.size, f"at least {blank.span}")
        crc, size = archive.local_crc_and_size(head)
        member = blank._replace(shape=(size - len(blank.npy_header),))
        name_end = archive.LOCAL.size + len(blank.filename)
        if head[archive.LOCAL.size : name_end] != blank.filename:
            raise CheckpointError(NOT_OURS, hint=MADE_BY)
        if not 0 < member.nbytes <= manifest.MAX_BYTES or head != member.prefix(crc):
            msg = f"damaged header of {manifest.NAME}"
            raise _corrupt(msg)
        if self.size < member.span:
            raise _truncated(self.size, f"at least {member.span:,}")
        data = self._read_at(len(head), member.nbytes)
        if zlib.crc32(data, zlib.crc32(member.npy_header)) != crc:
            msg = f"checksum mismatch in {manifest.NAME}"
            raise _corrupt(msg)
        try:
            return member, manifest.decode(data)
        except CheckpointError as error:
            ours = error.what != NOT_OURS
            error.hint = error.hint or (DAMAGED if ours else MADE_BY)
            raise

    def _read_structure(self, first: Member, content: Manifest) -> None:
        """Compare every byte outside the values with what must stand there."""
        members = [first, *content.members]
        expected = archive.file_size(members)
        if expected > archive.MAX_FILE:
            msg = "larger than 4 GiB"
            raise CheckpointError(msg, hint=MADE_BY)
        if self.size < expected:
            raise _truncated(self.size, f"{expected:,}")
        if self.size > expected:
            msg = f"{plural(self.size - expected, 'byte')} too long"
            raise _corrupt(msg)
        starts = archive.starts(members)
        found = self._read_at(starts[-1], archive.directory_size(members))
        crcs = archive.directory_crcs(found, members)
        if found != archive.directory(members, crcs):
            msg = "damaged directory"
            raise _corrupt(msg)
        self._places: dict[str, tuple[Member, int, int]] = {}
        for member, crc, start in zip(members, crcs, starts[:-1], strict=True):
            prefix = member.prefix(crc)
            if self._read_at(start, len(prefix)) != prefix:
                msg = f"damaged header of {member.name}"
                raise _corrupt(msg)
            self._places[member.name] = (member, crc, start + len(prefix))

    def _read_at(self, offset: int, size: int) -> bytes:
        """Read exactly so many bytes."""
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) < size:  # it shrank since we looked
            raise _truncated(offset + len(data), f"{self.size:,}")
        return data

    def _read_values(
        self, name: str, digest: str, into: Tensor | PackedIds | None
    ) -> None:
        """Read the values of a member, into an array or only to check them.

        Parameters
        ----------
        digest : str
            What the manifest says to be their SHA-256.
        into : (n,) array, optional
            Of the member's type. Written.
        """
        member, expected_crc, offset = self._places[name]
        dtype = np.dtype(member.descr)
        count = member.nbytes // dtype.itemsize
        buffer = np.empty(min(CHUNK, count), dtype) if into is None else into
        crc, sha256, sound = zlib.crc32(member.npy_header), hashlib.sha256(), True
        with errors_at(self.path):
            self._file.seek(offset)
            for start in range(0, count, CHUNK):
                end = min(start + CHUNK, count)
                part = buffer[: end - start] if into is None else into[start:end]
                if self._file.readinto(part.data) != part.nbytes:
                    read = dtype.itemsize * start
                    raise _truncated(offset + read, f"{self.size:,}")
                crc = zlib.crc32(part.data, crc)
                sha256.update(part.data)
                sound = sound and self._is_sound(part)
            if (crc, sha256.hexdigest()) != (expected_crc, digest):
                msg = f"checksum mismatch in {name}"
                raise _corrupt(msg)
            if not sound:
                what = "not finite" if dtype.kind == "f" else "not in the vocabulary"
                msg = f"{name} has values that are {what}"
                raise CheckpointError(msg, hint=DAMAGED)

    def _is_sound(self, part: Tensor | PackedIds) -> bool:
        """Tell whether values are finite, or ids are of the vocabulary."""
        if part.dtype.kind == "f":
            return bool(np.isfinite(part).all())
        return bool(part.max() < self.model.vocab_size)


def load(path: Path) -> Checkpoint:
    """Read a whole checkpoint, every byte of it checked.

    Takes the memory of the arrays and little more.

    Raises
    ------
    InputError
        It cannot be opened.
    CheckpointError
        Anything is wrong with it.
    """
    with CheckpointFile(path) as file:
        training = file.training
        moments = expected_moments(training.config.optimizer) if training else ()
        return Checkpoint(
            model=file.model,
            vocab=file.vocab,
            parameters={name: file.read(name) for name in shapes(file.model)},
            corpus=file.corpus,
            training=training,
            statistics={p.name: file.read(p.name) for p in statistics(file.model)},
            latest=file.read(LATEST) if LATEST in file.tensors else None,
            moments={name: file.read(name) for name in moments},
            state=file.read("state") if training else None,
            history=file.history,
            lines=file.lines and training is None,
            pairs=file.pairs and training is None,
            memory=file.read_memory(),
            remembers=file.remembers,
        )
