"""Where compiled kernels are kept.

Apart from `charrnn.kernels.jit`, which keeps them there, so that the place can
be named without importing Numba.
"""

import contextlib
import os
import re
import shutil
import sys
import time
from pathlib import Path

#: Days after which compiled kernels that nobody has used are removed, once other
#: ones are made: those of another version, or of sources that were edited.
KEPT_DAYS = 30

_DAY = 24 * 3600.0


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


def _home() -> Path:
    """Find the home directory: what HOME says, or the system's list of users.

    An empty HOME would be taken for the root of the file system, and a relative
    one would be another directory wherever a command is run.

    Raises
    ------
    RuntimeError
        There is none.
    """
    if sys.platform == "win32":
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
