"""Where compiled kernels are kept, and why they are not if they cannot be.

Apart from `charrnn.kernels`, which keeps them there, so that the place can be
named without importing Numba. A kernel that cannot be kept stops nobody: the
reason is noted here, and a command that compiled in vain says so.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path

#: Days after which compiled kernels that nobody has used are removed, once other
#: ones are made: those of another version, or of sources that were edited.
KEPT_DAYS = 30

_DAY = 24 * 3600.0

#: Permissions of somebody else to write.
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_root() -> Path:
    """Directory below which compiled kernels are kept, existing or not.

    A ``~`` that no shell has expanded stands for the home directory. Of
    ``XDG_CACHE_HOME`` a relative path is ignored, as its specification asks for;
    ``CHARRNN_CACHE_DIR`` may be relative to the working directory.

    Raises
    ------
    RuntimeError
        There is no home directory.
    """
    if explicit := os.environ.get("CHARRNN_CACHE_DIR"):
        return _expanded(explicit)
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "charrnn"
    base = os.environ.get("XDG_CACHE_HOME")
    if base and (directory := _expanded(base)).is_absolute():
        return directory / "charrnn"
    return _home() / ".cache" / "charrnn"


def numba_directory() -> Path | None:
    """Directory for kernels that the user chose for all of Numba's, if there is one.

    Raises
    ------
    RuntimeError
        It begins with a ``~``, and there is no home directory.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    return _expanded(chosen) if chosen else None


def _home() -> Path:
    """Find the home directory: what HOME says, or the system's list of users.

    An empty HOME would be taken for the root of the file system, and a relative
    one would be another directory wherever a command is run.

    Raises
    ------
    RuntimeError
        There is none.
    """
    if not hasattr(os, "getuid"):  # on Windows
        return Path.home()
    home = Path(os.environ.get("HOME") or "~")
    if not home.is_absolute():
        import pwd

        try:
            home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        except KeyError:  # a user without an entry, as containers have them
            home = Path("~")
    if not home.is_absolute():
        msg = "there is no home directory"
        raise RuntimeError(msg)
    return home


def _expanded(name: str) -> Path:
    """Put the home directory in the place of a ``~`` that a path begins with."""
    path = Path(name)
    if path.parts[:1] == ("~",):
        return _home().joinpath(*path.parts[1:])
    return path.expanduser()  # ~ with the name of a user


@dataclass(frozen=True)
class Place:
    """A directory for the kernels of one digest of their sources.

    Parameters
    ----------
    directory : Path
        It exists once `make` has been called.
    root : Path, optional
        The directory of this user that it stands in: both must be private. None
        for a place that the user chose as it is.
    """

    directory: Path
    root: Path | None

    def check(self, below: str) -> None:
        """See whether what is in a directory below it may be trusted.

        Raises
        ------
        OSError
            It is not there, or others can write to it.
        """
        for path in self._private(below):
            _check_private(path)

    def make(self, below: str = "") -> None:
        """Make the directory, and one below it, unless they are there.

        Raises
        ------
        OSError
            It cannot be made, or what is there is not private.
        """
        if self.root is None:
            (self.directory / below).mkdir(parents=True, exist_ok=True)
        for path in self._private(below):
            # What is there, whatever it is, is looked at next.
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_private(path)

    def _private(self, below: str) -> list[Path]:
        """List the directories that must be private, from the root down."""
        if self.root is None:
            return []
        return [self.root, self.directory, self.directory / below]

    def tidy(self) -> None:
        """Note that it is in use; forget the kernels that have not been for long."""
        if self.root is not None:
            with contextlib.suppress(OSError):
                is_new = not any(self.directory.iterdir())
                keep_recent(self.root, self.directory, is_new=is_new)


class NotPrivateError(PermissionError):
    """A directory that is there may hold what others wrote."""


def _check_private(path: Path) -> None:
    """Refuse a directory that somebody else can write to.

    Raises
    ------
    NotPrivateError
    OSError
        It cannot be looked at.
    """
    status = path.stat()
    reason = None
    if not stat.S_ISDIR(status.st_mode):
        reason = "it is not a directory"
    elif hasattr(os, "getuid"):
        if status.st_uid != os.getuid():
            reason = "it belongs to another user"
        elif status.st_mode & OTHERS_WRITE:
            reason = "others can write to it"
    if reason is not None:
        raise NotPrivateError(errno.EPERM, reason, str(path))


@dataclass(frozen=True)
class Unkept:
    """Kernels were compiled that the next process has to compile again.

    Parameters
    ----------
    directory : Path or None
        Where they should have been kept; None if there is no place at all.
    reason : str
        In the middle of a sentence.
    """

    directory: Path | None
    reason: str


#: What could not be kept and has not been told yet.
_unkept: list[Unkept] = []


def note_unkept(directory: Path | None, error: Exception) -> None:
    """Remember why a kernel that was compiled is not kept.

    Parameters
    ----------
    directory : Path or None
        See `Unkept`; one that is not private is named in its place.
    error : Exception
        What happened.
    """
    reason = str(error)
    if isinstance(error, OSError):
        reason = error.strerror or reason
    if isinstance(error, NotPrivateError):
        directory = Path(error.filename)
    _unkept.append(Unkept(directory, reason[:1].lower() + reason[1:]))


def take_unkept() -> Unkept | None:
    """Take the first reason that has not been told; what came after is the same.

    Returns
    -------
    Unkept or None
        None if all that was compiled since is kept.
    """
    first = _unkept[0] if _unkept else None
    _unkept.clear()
    return first


def keep_recent(root: Path, used: Path, *, is_new: bool) -> None:
    """Note that a directory of kernels is in use, and remove forgotten ones.

    Parameters
    ----------
    root : Path
        The directory of this user that holds one directory for each digest of the
        kernels' sources.
    used : Path
        The one that this process uses.
    is_new : bool
        Whether it has just been made: only then others are looked at.
    """
    now = time.time()
    with contextlib.suppress(OSError):  # a cache that cannot be tidied still works
        if is_new:
            for other in root.iterdir():
                name_fits = re.fullmatch(r"[0-9a-f]{16}", other.name)
                age = now - other.stat().st_mtime
                if name_fits and other != used and age > KEPT_DAYS * _DAY:
                    shutil.rmtree(other, ignore_errors=True)
        elif now - used.stat().st_mtime > _DAY:
            os.utime(used)
