"""The one decorator that compiles, and the policy behind it.

*fastmath.* Everything but ``nnan`` and ``ninf``: with those two LLVM may
assume that no NaN exists, and the check for a diverged training is compiled
away.

*Vectorized loops.* Numba cannot tell LLVM that two arrays do not overlap, so
LLVM guards every vectorized loop with a comparison of each pair of address
ranges, and gives up above eight comparisons. The gates of a cell read and
write about ten arrays in one loop: the limit is raised.

*Inlining.* What is called inside a kernel is inlined, but for the matrix product,
whose multiply-adds are emitted one by one, and for what is compiled once for all
kernels (`charrnn.kernels.shared`). Otherwise every kernel brings its own copy of a
function that several call, optimized in its own way, and the linker takes whichever
copy was loaded first: the last bit of a loss then depended on which kernels a
process had used before, and a resumed run was no longer the same as an undisturbed
one.

*Wrappers.* Numba makes two of each function, for Python and for C. Nothing here is
called from C, and what only kernels call is left without that for Python: taking
some twenty arrays out of their objects takes longer to compile than many a loop.
Python that calls a part calls a kernel of the same source.

*References.* Numba counts who refers to an array, by an atomic instruction for every
view that is taken of it. Two threads that take views of the same weights then wait for
one another: a product that they share in pieces took twice its time. Whoever calls a
kernel holds on to its arguments until it is done, so that kernels count nothing, but
for those that make arrays (``allocates``); in others Numba says that "NRT" is required
or that only arrays which were passed in can be returned. A part is compiled once,
whoever calls it: a kernel that counts may call one that does not, and an array that it
returned would be let go without having been counted. What returns arrays is therefore
inlined before anything is compiled, which `charrnn.kernels.libraries` insists on.

*Indices.* Numba lets an index below 0 count from the end. Where a loop over an array
does not begin at 0, LLVM cannot tell that none is below it, and makes scalar code.
Inner loops go over views that begin where they do.

*Once.* What is linked into kernels is optimized and translated with them, and not
before (`charrnn.kernels.libraries`).

*Interpreter lock.* Kernels touch arrays and numbers only, and release it:
generating gives parts of a batch to Python's threads.

*Cache.* Numba does not notice an edit to a compiled function that another file
imports, so the cache directory is named after a digest of all kernel sources
and of what the block shapes are chosen by. What other sources define, such as
a cell from outside this package, the digest does not cover, and nothing of it is
kept. A cache is pickle: whoever can write to it can run code as us. It therefore
lives in a directory that only its user can write to, or nowhere; how its files are
read, `charrnn.kernels.keeping` says.
"""

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast, overload

import llvmlite
import llvmlite.binding as llvm
import numba
from numba.core import config as numba_config

from charrnn.caching import Place, cache_root, numba_directory
from charrnn.kernels.keeping import DamagedError, KernelCache, NoCache, Sealed
from charrnn.kernels.libraries import Kernel, Part

P = ParamSpec("P")
R = TypeVar("R")

#: What the names of modules begin with whose sources the digest covers.
PACKAGE = "charrnn.kernels."

#: All of LLVM's fast-math flags but ``nnan`` and ``ninf``.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

#: What Numba is told of every function; with ``_nrt`` of those that make arrays.
OPTIONS = {"fastmath": FASTMATH, "_nrt": False}

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


def _place() -> Place | None:
    """Find where compiled kernels go; None for a user without a home directory."""
    try:
        if explicit := numba_directory():
            return Place(explicit, root=None)
        root = cache_root()
    except RuntimeError:
        return None
    return Place(root / _digest(), root)


def cache_directory() -> Path | None:
    """Where compiled kernels go; None where no private directory can be had.

    ``NUMBA_CACHE_DIR`` goes before all others, and need not be private.
    """
    place = _place()
    if place is None:
        return None
    if place.root is not None:
        try:
            place.make()
        except OSError:
            return None
        place.tidy()
    return place.directory


_PLACE, _SEALED = _place(), Sealed(_digest())
_CACHE_DIRECTORY = cache_directory()


def _new_cache(function: FunctionType) -> KernelCache | NoCache:
    """Make the cache of one function, which notes what it cannot keep."""
    if _PLACE is None:
        return NoCache(FileNotFoundError("there is no home directory"))
    try:
        return KernelCache(function, _PLACE, _SEALED)
    except (RuntimeError, OSError) as error:
        return NoCache(error)


def _compile(
    function: Callable[P, R],
    *,
    parallel: bool,
    inlined: bool,
    inlined_early: bool,
    is_part: bool = False,
    cached: bool = True,
    for_python: bool = True,
    allocates: bool = False,
) -> Callable[P, R]:
    """Hand one function to Numba, with a cache of ours."""
    make = numba.njit(
        **OPTIONS | {"_nrt": allocates},
        error_model="numpy",
        nogil=True,
        parallel=parallel,
        forceinline=inlined,
        inline="always" if inlined_early else "never",
        cache=False,
        no_cfunc_wrapper=True,
        no_cpython_wrapper=not for_python,
    )
    numbas: Any = make(function)
    if numba_config.DISABLE_JIT:
        return cast("Callable[P, R]", numbas)
    compiled = Kernel(function, targetoptions=numbas.targetoptions)
    if is_part:
        compiled = Part(function, numbas.targetoptions, by_itself=compiled)
    if cached and function.__module__.startswith(PACKAGE):
        compiled._cache = _new_cache(compiled.py_func)
    return cast("Callable[P, R]", compiled)


def compiled_as(
    name: str,
    function: Callable[P, R],
    *,
    parallel: bool,
    cached: bool,
    for_python: bool = True,
    allocates: bool = False,
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
    for_python : bool
        False for what only kernels call: Python could not.
    allocates : bool
        See `jit`.
    """
    code, scope = function.__code__, function.__globals__
    copy = FunctionType(code, scope, name, function.__defaults__)
    # Python takes this from the code, and Numba names the index after it.
    copy.__qualname__ = name
    copy.__module__, copy.__doc__ = function.__module__, function.__doc__
    compiled = _compile(
        copy,
        parallel=parallel,
        inlined=False,
        inlined_early=False,
        cached=cached,
        for_python=for_python,
        allocates=allocates,
    )
    return cast("Callable[P, R]", compiled)


def is_cached(kernel: str) -> bool:
    """Tell whether some compiled form of a kernel is in the cache, and sound.

    Parameters
    ----------
    kernel : str
        Its module and name, such as ``head.losses``.
    """
    if _CACHE_DIRECTORY is None:
        return False
    files = list(_CACHE_DIRECTORY.glob(f"*/{kernel}-*.nb[ic]"))
    try:
        for path in files:
            _SEALED.read(path)
    except (OSError, DamagedError):
        return False
    return {path.suffix for path in files} == {".nbi", ".nbc"}


@overload
def jit(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def jit(
    *,
    parallel: bool = False,
    inlined_early: bool = False,
    called: bool = False,
    allocates: bool = False,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def jit(
    function: Callable[P, R] | None = None,
    /,
    *,
    parallel: bool = False,
    inlined_early: bool = False,
    called: bool = False,
    allocates: bool = False,
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
        above them; parts that are called from several places should be, and what
        returns arrays has to be.
    called : bool
        Whether it is a part that kernels call, each with a copy of its own.
    allocates : bool
        Whether it makes arrays, itself or by parts that are inlined early, or has a
        sum over a ``prange``, for which Numba makes one.
    """
    if function is not None:
        return _compile(
            function, parallel=False, inlined=True, inlined_early=False, is_part=True
        )
    return lambda function: _compile(
        function,
        parallel=parallel,
        inlined=False,
        inlined_early=inlined_early,
        is_part=called,
        allocates=allocates,
    )
