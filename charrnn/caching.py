"""Where compiled kernels are kept.

Apart from `charrnn.kernels.jit`, which keeps them there, so that the place can
be named without importing Numba.
"""

import os
import sys
from pathlib import Path


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
