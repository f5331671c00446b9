"""Compiled kernels in files, of which nothing is believed.

Numba keeps an index and some data files for each function, and takes for granted
that they are as it wrote them. After a power cut, on a full disk, or when two
processes write at once, they are not. Here, whatever is wrong with a file or the
way to it, the kernel counts as not cached: it is compiled, and the file replaced.
What cannot be kept is noted in `charrnn.caching` and stops nobody.

What is in the files is pickle, which runs code when it is read. So no byte of a
file is unpickled unless

* the directories are private to this user (`charrnn.caching.Place`), or were
  chosen by the user through one of Numba's own environment variables;
* the file that was opened, and not only the path to it, is a regular file of this
  user or of root, who can run code as this user anyway, and neither it nor its
  group lets others write to it; a link in its place is not followed;
* it begins with a seal, a SHA-256 of the kernels' sources and the compiler, of the
  file's name and of all that follows.

The permissions keep forgers out. The seal does not, since anyone can compute it:
it finds damage, files of other versions, files under each other's names, and
pickles that something else wrote there. What is damaged by chance cannot be
unpickled, therefore; what is forged could only be by who may already act as this
user.

Data files repeat the key that the index has them by (the types of the arguments,
the processor, the function's code): when two processes that compile the same
function for different types write at once, the index of one may name the data of
the other, which was sound but the wrong code.

Files are written beside their place and renamed, so that a reader sees one or the
other as a whole. They are not forced to the disk: what a power cut leaves of them
is found by the seal.

This stands on the classes behind ``Dispatcher.enable_caching``, which Numba's own
targets derive their caches from as well: `FunctionCache` with its ``_impl_class``,
`CompileResultCacheImpl` with its ``_locator_classes``, `IndexDataCacheFile`. They
are the same in Numba 0.66.0, 0.67.0 and 0.68.1, with which the tests of this module
were run.
"""

import contextlib
import hashlib
import os
import pickle
import secrets
import stat
from collections.abc import Hashable
from functools import partial
from itertools import count
from pathlib import Path
from types import FunctionType
from typing import Any

from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    NullCache,
    UserProvidedCacheLocator,
)

from charrnn.caching import OTHERS_WRITE, Place, note_unkept

#: What a file begins with; the number changes with what follows.
MAGIC = b"charrnn kernel 1\n"

_HEADER = len(MAGIC) + hashlib.sha256().digest_size

#: Bytes of a file that are read at most; kernels have some 100,000.
MOST_BYTES = 1 << 26

#: How files are opened, beside reading or writing: not through a link, and without
#: waiting for whoever might write to a named pipe.
_CAREFULLY = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class DamagedError(Exception):
    """A file is not as this version of the kernels wrote it."""


class Sealed:
    """Reads and writes files that carry a seal.

    Parameters
    ----------
    version : str
        Files of any other version are damaged ones.
    """

    def __init__(self, version: str) -> None:
        self._version = version.encode()

    def read(self, path: Path) -> bytes:
        """Read what was written to a file.

        Raises
        ------
        OSError
            It cannot be opened or read.
        DamagedError
            It is not sound, or others could have written it.
        """
        with open(path, "rb", opener=_open) as file:
            status = os.fstat(file.fileno())
            _check_file(status)
            found = file.read(status.st_size)
        payload = found[_HEADER:]
        if found[:_HEADER] != self._header(path, payload):
            msg = "its seal does not fit"
            raise DamagedError(msg)
        return payload

    def write(self, path: Path, payload: bytes) -> None:
        """Write a file, or leave what there is as it was.

        Raises
        ------
        OSError
            It cannot be written.
        DamagedError
            The file system lets others write to it.
        """
        beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            with open(beside, "xb", opener=_open) as file:
                # Where every file is everybody's, it would never be read.
                _check_file(os.fstat(file.fileno()))
                file.write(self._header(path, payload))
                file.write(payload)
            try:
                beside.replace(path)
            except IsADirectoryError:
                path.rmdir()
                beside.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise

    def _header(self, path: Path, payload: bytes) -> bytes:
        """Make what a file begins with."""
        seal = hashlib.sha256(MAGIC)
        for part in (self._version, path.name.encode()):
            seal.update(len(part).to_bytes(8, "little"))
            seal.update(part)
        seal.update(payload)
        return MAGIC + seal.digest()


def _open(path: str, flags: int) -> int:
    """Open a file and nothing else; whoever makes it, only they can write to it."""
    return os.open(path, flags | _CAREFULLY, 0o644)


def _check_file(status: os.stat_result) -> None:
    """Refuse what is no file of ours, or could have been written by others.

    Raises
    ------
    DamagedError
    """
    if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
        msg = "it is not a file of a kernel"
        raise DamagedError(msg)
    if hasattr(os, "getuid") and (
        status.st_uid not in {os.getuid(), 0} or status.st_mode & OTHERS_WRITE
    ):
        msg = "others can write to its files"
        raise DamagedError(msg)


class KernelFiles(IndexDataCacheFile):  # type: ignore[misc]  # Numba has no types
    """The index and the data files of one function.

    Parameters
    ----------
    cache_path, filename_base, source_stamp
        As Numba's own class has them.
    sealed : Sealed
    """

    def __init__(
        self,
        cache_path: str,
        filename_base: str,
        source_stamp: object,
        sealed: Sealed,
    ) -> None:
        super().__init__(cache_path, filename_base, source_stamp)
        self._sealed = sealed

    def save(self, key: Hashable, data: object) -> None:
        """Keep what a key stands for.

        Raises
        ------
        OSError
            It cannot be written.
        """
        overloads = self._load_index()
        name = overloads.get(key)
        if name is None:
            taken = set(overloads.values())
            names = map(self._data_name, count(1))
            name = next(name for name in names if name not in taken)
        # The index comes last: what it names is there.
        self._sealed.write(Path(self._data_path(name)), self._dump((key, data)))
        if overloads.get(key) != name:
            self._save_index({**overloads, key: name})

    def load(self, key: Hashable) -> Any:
        """Find what a key stands for; None if there is nothing sound."""
        name = self._load_index().get(key)
        found = None if name is None else self._read(self._data_path(name))
        if found is None:
            return None
        kept, data = found
        return data if kept == key else None

    def names(self, key: Hashable) -> bool:
        """Tell whether a key stands for anything."""
        return key in self._load_index()

    def _load_index(self) -> dict[Hashable, str]:
        """Read which keys are kept in which files; nothing if it is not sound."""
        found = self._read(self._index_path)
        if found is None:
            return {}
        stamp, overloads = found
        return overloads if stamp == self._source_stamp else {}

    def _save_index(self, overloads: dict[Hashable, str]) -> None:
        """Write which keys are kept in which files."""
        payload = self._dump((self._source_stamp, overloads))
        self._sealed.write(Path(self._index_path), payload)

    def _read(self, path: str) -> Any:
        """Read what was dumped into a file; None if it is not sound."""
        try:
            return pickle.loads(self._sealed.read(Path(path)))  # noqa: S301 - see above
        except Exception:
            # Also what is sound may name a module that is not there any more.
            return None


class _Locator(UserProvidedCacheLocator):  # type: ignore[misc]
    """Says where the files of one function are: below a place."""

    def __init__(self, py_func: FunctionType, py_file: str, place: Place) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        self._place, self._below = place, self.get_suitable_cache_subpath(py_file)
        self._cache_path = str(place.directory / self._below)

    def check(self) -> None:
        """See whether files may be read.

        Raises
        ------
        OSError
        """
        self._place.check(self._below)

    def ensure_cache_path(self) -> None:
        """Make the directory.

        Raises
        ------
        OSError
        """
        self._place.make(self._below)


class _Locators:
    """Stands for a class of locators, all of which know the place.

    Numba asks a list of classes for a locator, and takes the next one's if the
    first has none to give: the code could land beside our sources.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    def from_function(self, py_func: FunctionType, py_file: str) -> _Locator:
        """Make a locator; the directory is made when something is written."""
        return _Locator(py_func, py_file, self._place)


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    """How a compiled function is taken apart; kept below a place and nowhere else."""

    def __init__(self, py_func: FunctionType, place: Place) -> None:
        self._locator_classes = [_Locators(place)]
        super().__init__(py_func)


class KernelCache(FunctionCache):  # type: ignore[misc]
    """The cache of one function.

    Parameters
    ----------
    py_func : function
    place : Place
    sealed : Sealed

    Raises
    ------
    OSError, RuntimeError
        The function has no source that could be looked at.
    """

    def __init__(self, py_func: FunctionType, place: Place, sealed: Sealed) -> None:
        self._place = place
        self._impl_class = partial(_Implementation, place=place)
        super().__init__(py_func)
        locator = self._impl.locator
        self._cache_file = KernelFiles(
            locator.get_cache_path(),
            self._impl.filename_base,
            locator.get_source_stamp(),
            sealed,
        )

    def holds(self, sig: Any, target_context: Any) -> bool:
        """Tell whether there is code for some types, sound or not."""
        key = self._index_key(sig, target_context.codegen())
        try:
            if isinstance(self._impl.locator, _Locator):
                self._impl.locator.check()
        except OSError:
            return False
        return self._cache_file.names(key)

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load a compiled function; None if there is none that could be."""
        try:
            if isinstance(self._impl.locator, _Locator):
                self._impl.locator.check()
            return super()._load_overload(sig, target_context)
        except Exception:
            # What is sound can still be unfit, in as many ways as a compiler has.
            return None

    def _save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function, or note why it cannot be kept."""
        try:
            super()._save_overload(sig, data)
        except Exception as error:
            # It is compiled and runs: nothing is worth stopping for.
            note_unkept(self._place.root or self._place.directory, error)


class NoCache(NullCache):  # type: ignore[misc]
    """The cache of a function that there is no place for.

    Parameters
    ----------
    error : Exception
        The reason.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def save_overload(self, sig: Any, data: Any) -> None:
        """Note that it is lost."""
        note_unkept(None, self._error)
