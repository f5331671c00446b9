"""What this machine computes with: how many threads, and which instructions.

Threads are as many as asked, as the environment says, or as there are.

A container is seldom kept to certain processors. Its control group has a quota
instead, so much time of processors in every period, and stops all threads of the
group for the rest of a period once it is used up: more threads than the quota is
worth make a program slower. Quotas are read as Linux tells them, in both versions of
control groups (https://docs.kernel.org/admin-guide/cgroup-v2.html).
"""

import contextlib
import ctypes
import math
import os
import re
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from charrnn.errors import MissingComponentError, OptionError, field
from charrnn.surroundings import NUMBA_THREADS, THREADING_LAYER, Variable

#: What a help says of the number of threads.
THREADS_DEFAULT = (
    "Default: all that this process may use, by its affinity and by the quota of its "
    "container."
)

#: A line of ``/proc/self/mountinfo`` about control groups of either version.
_MOUNT = re.compile(
    r"\S+ \S+ \S+ (?P<top>\S+) (?P<point>\S+) .*"
    r"- (?P<kind>cgroup2?) \S+ (?P<options>\S+)"
)

#: Blanks and backslashes of paths are octal numbers there.
_OCTAL = re.compile(r"\\([0-7]{3})")


def available_processors(root: Path = Path("/")) -> int:
    """Count the processors that this process may use at once.

    Those that it may run on, or fewer if a quota of its control group, rounded up, is
    smaller.

    Parameters
    ----------
    root : Path
        Where ``proc`` and the control groups are found.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return min([count, *(max(1, math.ceil(quota)) for quota in cpu_quotas(root))])


def cpu_quotas(root: Path = Path("/")) -> Iterator[float]:
    """Find the quotas of this process, in processors: one for each group that has one.

    A group's quota holds for all groups inside it, so that those around the process's
    own count, too, as far as they can be seen from here.
    """
    try:
        groups = _read(root / "proc/self/cgroup").splitlines()
        mounts = _read(root / "proc/self/mountinfo").splitlines()
    except OSError:  # not a Linux system, or one that does not tell
        return
    for mount in filter(None, map(_MOUNT.fullmatch, mounts)):
        quota_of = _quota_v2 if mount["kind"] == "cgroup2" else _quota_v1
        for folder in _group_folders(mount, groups):
            with contextlib.suppress(OSError, ValueError, OverflowError):
                yield quota_of(root / folder.relative_to("/"))


def _read(path: Path) -> str:
    """Read one of the small files that the system writes."""
    return path.read_text("utf-8", "surrogateescape")


def _group_folders(mount: re.Match[str], groups: list[str]) -> Iterator[PurePosixPath]:
    """List the folders of this process's groups, and of those around them, in a mount.

    Parameters
    ----------
    mount : re.Match
        Of `_MOUNT`.
    groups : list of str
        The lines of ``/proc/self/cgroup``: number, controllers and name of a group.
    """
    top, point = (PurePosixPath(_unescaped(mount[each])) for each in ("top", "point"))
    # The group of version 2, of which there is one, names no controllers.
    controller = "" if mount["kind"] == "cgroup2" else "cpu"
    if controller and controller not in mount["options"].split(","):
        return
    for line in groups:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controller in controllers.split(","):
            group = PurePosixPath(name)
            # A group that is not below what is mounted here cannot be seen; then what
            # is mounted stands for it, as in a container that sees only its own.
            below = group.is_relative_to(top) and ".." not in group.parts
            inner = point / group.relative_to(top) if below else point
            yield from (p for p in (inner, *inner.parents) if p.is_relative_to(point))


def _unescaped(text: str) -> str:
    """Read a path as ``mountinfo`` writes it."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _quota_v2(folder: Path) -> float:
    """Read the quota of a group of version 2.

    Raises
    ------
    OSError, ValueError
        It has none.
    """
    quota, period = _read(folder / "cpu.max").split()
    return _processors(quota, period)


def _quota_v1(folder: Path) -> float:
    """Read the quota of a group of version 1.

    Raises
    ------
    OSError, ValueError
        It has none.
    """
    return _processors(
        _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    )


def _processors(quota: str, period: str) -> float:
    """Divide the time of processors by the period for which it is given.

    Raises
    ------
    ValueError
        There is no quota, which is written as ``max`` or -1.
    """
    allowed, every = int(quota), int(period)
    if allowed <= 0 or every <= 0:
        msg = "no quota"
        raise ValueError(msg)
    return allowed / every


def check_threads(threads: int) -> None:
    """Raise `OptionError` unless a number of threads is at least 1."""
    if threads < 1:
        msg = f"{field('threads')} must be at least 1, not {threads}"
        raise OptionError(msg, hint="leave it away to use all processors")


def check_variables() -> None:
    """Check what Numba reads of the environment, which it would fail with.

    Raises
    ------
    OptionError
        A variable is no number, or no threading layer.
    """
    NUMBA_THREADS.check("NUMBA_NUM_THREADS")
    THREADING_LAYER.check("NUMBA_THREADING_LAYER")


def resolve_threads(asked: int | None) -> tuple[int, str | None]:
    """Settle the number of threads; warn if fewer than were asked for.

    What is asked for goes before ``CHARRNN_THREADS``, which goes before the number
    of processors that this process may run on. ``NUMBA_NUM_THREADS`` bounds them
    all, and so does the number of threads that the system lets start.

    Raises
    ------
    OptionError
        The number is below 1; or a variable is no number, or no threading layer.
    """
    if asked is not None:
        check_threads(asked)
    if asked is None and (variable := os.environ.get("CHARRNN_THREADS")):
        asked = int(NUMBA_THREADS.check("CHARRNN_THREADS") or variable)
    check_variables()
    allowed = available_processors()
    why = "processor to use" if allowed == 1 else "processors to use"
    most = NUMBA_THREADS.check("NUMBA_NUM_THREADS")
    if most is not None and int(most) < allowed:
        allowed, why = int(most), "allowed by NUMBA_NUM_THREADS"
    threads = allowed if asked is None else min(asked, allowed)
    if (started := startable(threads)) < threads:
        limit = "a limit of processes: ulimit -u, or that of a container"
        return started, f"{threads} threads wanted, {started} can be started ({limit})"
    if asked is not None and asked > threads:
        return threads, f"{asked} threads asked for, {threads} {why}"
    return threads, None


def startable(threads: int) -> int:
    """Try how many of so many threads can be had, at least the one that there is.

    The library beneath the kernels ends the process when the system refuses it a
    thread. One more than it needs is tried: commands have a thread that waits.
    """
    if threads == 1:
        return 1
    ended = threading.Event()
    waiting: list[threading.Thread] = []
    try:
        for _ in range(threads):
            thread = threading.Thread(target=ended.wait, daemon=True)
            thread.start()
            waiting.append(thread)
    except RuntimeError:
        return max(1, len(waiting))
    finally:
        ended.set()
        for thread in waiting:
            thread.join()
    return threads


#: How products in bfloat16 are formed; `bfloat16_form` chooses.
Bfloat16Form: TypeAlias = Literal["amx", "avx512", "emulated"]

#: Asks for the emulation, which runs anywhere and is slow: for tests.
EMULATE = "CHARRNN_EMULATE_BFLOAT16"

# What Linux calls its request for the tiles of AMX, and the state that they are:
# https://docs.kernel.org/arch/x86/xstate.html
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18


@cache
def instructions() -> frozenset[str]:
    """List the extensions of this processor's instructions that code may be made of.

    Returns
    -------
    set of str
        By LLVM's names: ``avx512bf16``, ``avx512vnni``, ``amx-bf16``, ``amx-int8``.
        Where Numba's variables name a processor or its extensions, it is theirs.
    """
    names = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
    if any(os.environ.get(name) for name in names):
        given = os.environ.get("NUMBA_CPU_FEATURES", "").split(",")
        return frozenset(word[1:] for word in given if word.startswith("+"))
    import llvmlite.binding as llvm

    found = llvm.get_host_cpu_features()
    return frozenset(name for name, there in found.items() if there)


@cache
def tiles_allowed() -> bool:
    """Ask the system for the tiles of AMX, for this process and those that it forks.

    Returns
    -------
    bool
        Whether it has them now: the processor has some, and the system allows it.
    """
    if sys.platform != "linux" or "amx-tile" not in instructions():
        return False
    library = ctypes.CDLL(None)
    result: int = library.syscall(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA)
    return result == 0


def bfloat16_form() -> Bfloat16Form:
    """Choose how this process forms products in bfloat16: the fastest way there is.

    Raises
    ------
    MissingComponentError
        The processor has none.
    OptionError
        ``CHARRNN_EMULATE_BFLOAT16`` is neither 0 nor 1.
    """
    if Variable("[01]?", "0 or 1", "set it to 1, or unset it").check(EMULATE) == "1":
        return "emulated"
    if "avx512bf16" in instructions():
        # A tile alone needs vectors beside it: whatever has tiles has these.
        both = "amx-bf16" in instructions() and tiles_allowed()
        return "amx" if both else "avx512"
    msg = "this processor has no products in bfloat16 (AVX-512 BF16, AMX)"
    raise MissingComponentError(msg, hint=f"{field('precision', 'float32')} works here")
