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

    Raises
    ------
    RuntimeError
        There is no home directory.
    """
    if explicit := os.environ.get("CHARRNN_CACHE_DIR"):
        return Path(explicit)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "charrnn"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "charrnn"


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
