"""The one decorator that compiles, and the policy behind it.

*fastmath.* Everything but ``nnan`` and ``ninf``: with those two LLVM may
assume that no NaN exists, and the check for a diverged training is compiled
away.

*Vectorized loops.* Numba cannot tell LLVM that two arrays do not overlap, so
LLVM guards every vectorized loop with a comparison of each pair of address
ranges, and gives up above eight comparisons. The gates of a cell read and
write about ten arrays in one loop: the limit is raised.

*Inlining.* What is called inside a kernel is inlined, but for the matrix
product, whose multiply-adds are emitted one by one. Otherwise every
kernel brings its own copy of a shared function, optimized in its own way, and
the linker takes whichever copy was loaded first: the last bit of a loss then
depended on which kernels a process had used before, and a resumed run was no
longer the same as an undisturbed one.

*Interpreter lock.* Kernels touch arrays and numbers only, and release it:
generating gives parts of a batch to Python's threads.

*Cache.* Numba does not notice an edit to a compiled function that another file
imports, so the cache directory is named after a digest of all kernel sources
and of what the block shapes are chosen by. What other sources define, such as
a cell from outside this package, the digest does not cover, and nothing of it is
kept. A cache is pickle: whoever can write to it can run code as us. It therefore
lives in a directory that only its user can write to, or nowhere.
"""

import hashlib
import os
import platform
import stat
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import ParamSpec, TypeVar, cast, overload

import llvmlite
import llvmlite.binding as llvm
import numba
from numba.core import config as numba_config

from charrnn.caching import cache_root, keep_recent

P = ParamSpec("P")
R = TypeVar("R")

#: What the names of modules begin with whose sources the digest covers.
PACKAGE = "charrnn.kernels."

#: All of LLVM's fast-math flags but ``nnan`` and ``ninf``.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

#: Comparisons of address ranges that LLVM may put before a vectorized loop.
_MAX_OVERLAP_CHECKS = 256

llvm.set_option("", f"--runtime-memory-check-threshold={_MAX_OVERLAP_CHECKS}")


def _digest() -> str:
    """Fingerprint of every kernel's source, of the compiler and its settings.

    Numba's own index keeps no account of the settings: it would serve code
    with bounds checks to a run without, and the other way round.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    for part in (numba.__version__, llvmlite.__version__, platform.machine()):
        digest.update(part.encode())
    settings = numba_config.BOUNDSCHECK, numba_config.OPT
    digest.update(repr(settings).encode())
    digest.update(llvm.get_host_cpu_name().encode())
    return digest.hexdigest()[:16]


def _private(path: Path) -> bool:
    """Make `path` a directory that nobody else can write to, if that can be."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return True
    others = stat.S_IWGRP | stat.S_IWOTH
    return status.st_uid == os.getuid() and not status.st_mode & others


def cache_directory() -> Path | None:
    """Where compiled kernels go; None where no private directory can be had.

    ``NUMBA_CACHE_DIR`` is left to Numba when it is set.
    """
    if explicit := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(explicit)
    try:
        root = cache_root()
    except RuntimeError:  # no home directory
        return None
    directory = root / _digest()
    is_new = not directory.exists()
    usable = _private(root) and _private(directory) and os.access(directory, os.W_OK)
    if usable:
        keep_recent(root, directory, is_new=is_new)
    return directory if usable else None


_CACHE_DIRECTORY = cache_directory()


def _compile(
    function: Callable[P, R],
    *,
    parallel: bool,
    inlined: bool,
    inlined_early: bool,
    cached: bool = True,
) -> Callable[P, R]:
    """Hand one function to Numba, with a cache if there is a place for it."""
    make = numba.njit(
        fastmath=FASTMATH,
        error_model="numpy",
        nogil=True,
        parallel=parallel,
        forceinline=inlined,
        inline="always" if inlined_early else "never",
        cache=False,
    )
    compiled = make(function)
    cached = cached and function.__module__.startswith(PACKAGE)
    if cached and _CACHE_DIRECTORY is not None and not numba_config.DISABLE_JIT:
        before = numba_config.CACHE_DIR
        # Numba picks the place when caching is enabled, from this setting.
        numba_config.CACHE_DIR = str(_CACHE_DIRECTORY)
        try:
            compiled.enable_caching()
        except (RuntimeError, OSError):
            pass  # no place to write: compile anew in every process
        finally:
            numba_config.CACHE_DIR = before
    return cast("Callable[P, R]", compiled)


def compiled_as(
    name: str, function: Callable[P, R], *, parallel: bool, cached: bool
) -> Callable[P, R]:
    """Compile a kernel that every cell has for itself, under a name of its own.

    The cache keeps one index for each name: what one cell's kernels are compiled
    to is neither read nor written with another's.

    Parameters
    ----------
    name : str
        How the cache calls it, behind its module's name.
    function : callable
        Not compiled yet.
    parallel : bool
        Whether it has a ``prange``.
    cached : bool
        False for what depends on sources that the digest does not cover.
    """
    code, scope = function.__code__, function.__globals__
    copy = FunctionType(code, scope, name, function.__defaults__)
    # Python takes this from the code, and Numba names the index after it.
    copy.__qualname__ = name
    copy.__module__, copy.__doc__ = function.__module__, function.__doc__
    compiled = _compile(
        copy, parallel=parallel, inlined=False, inlined_early=False, cached=cached
    )
    return cast("Callable[P, R]", compiled)


def is_cached(kernel: str) -> bool:
    """Tell whether some compiled form of a kernel is in the cache.

    Parameters
    ----------
    kernel : str
        Its module and name, such as ``head.losses``.
    """
    if _CACHE_DIRECTORY is None:
        return False
    return any(_CACHE_DIRECTORY.glob(f"*/{kernel}-*.nbi"))


@overload
def jit(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def jit(
    *, parallel: bool = False, inlined_early: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def jit(
    function: Callable[P, R] | None = None,
    /,
    *,
    parallel: bool = False,
    inlined_early: bool = False,
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function to machine code, keeping its type signature.

    Without arguments it is a part of kernels and inlined into them; with
    ``parallel`` it stands by itself, as a kernel that Python calls does.

    Parameters
    ----------
    function : callable
        Of arrays, NamedTuples of arrays and numbers.
    parallel : bool
        Whether the kernel has a ``prange``.
    inlined_early : bool
        Whether it is a part that takes the place of its call before anything
        is compiled. Parts of parts are otherwise compiled once for every level
        above them; parts that are called from several places should be.
    """
    if function is not None:
        return _compile(function, parallel=False, inlined=True, inlined_early=False)
    return lambda function: _compile(
        function, parallel=parallel, inlined=False, inlined_early=inlined_early
    )
