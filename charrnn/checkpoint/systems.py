"""What checkpoints ask of the operating system, where systems differ."""

import contextlib
import errno
import importlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

#: Errors of file systems, of some networks for instance, that know no locks.
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}

#: Errors of file systems, such as those of a network, that cannot sync as a Mac does.
CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOTTY}


def flags(*names: str) -> int:
    """Add up flags of `os.open`, as far as this system knows them.

    Where the system tells texts from bytes, it is bytes that are read and written.

    Parameters
    ----------
    names : tuple of str
        Without the ``O_`` that they begin with.
    """
    return sum(getattr(os, f"O_{name}", 0) for name in (*names, "BINARY"))


def lock(handle: int) -> None:
    """Lock an open file for this process, where the system and the disk know locks.

    The lock ends with the process, whatever happens.

    Raises
    ------
    BlockingIOError
        Another process holds it.
    """
    if fcntl is None:
        _lock_on_windows(handle)
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # It is better to train without a lock than not at all.
        if error.errno not in NO_LOCKS:
            raise


def _lock_on_windows(handle: int) -> None:
    """Lock the first byte of a file, which need not be there."""
    try:
        # What it has is known to type checkers on Windows only.
        windows = importlib.import_module("msvcrt")
    except ImportError:
        return
    try:
        windows.locking(handle, windows.LK_NBLCK, 1)
    except PermissionError as error:
        raise BlockingIOError(error.errno, error.strerror) from None


def keep_owner(path: Path, former: os.stat_result) -> None:
    """Give a file to whom another one belonged, if we are root, who may."""
    # Elsewhere nobody can give files away, or there is nobody to give them to.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.chown(path, former.st_uid, former.st_gid)


def sync(handle: int) -> None:
    """Bring what was written to an open file to the disk, through the disk's memory.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    # On a Mac, `os.fsync` leaves it in the memory of the disk, which a power cut
    # empties.
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(handle, full)
        except OSError as error:
            if error.errno not in CANNOT_SYNC:
                raise
        else:
            return
    os.fsync(handle)


def sync_directory(directory: Path) -> None:
    """Bring a directory's new entry to the disk, where directories can be opened.

    Whatever keeps the disk from taking it is passed over: the new file is complete
    and in its place, and an error of a save says that the old one is there. Windows
    opens no directories, and we may write in some that we may not read.
    """
    with contextlib.suppress(OSError):
        handle = os.open(directory, flags("RDONLY", "DIRECTORY", "CLOEXEC"))
        try:
            sync(handle)
        finally:
            os.close(handle)
