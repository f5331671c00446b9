"""The view ``system``: what charrnn runs on, for reports and for comparing speeds.

Nothing is imported to be asked for its version. So the threading layer is the
one that is wished for: which one it becomes, Numba decides when the first
parallel kernel starts.
"""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.caching import cache_root, numba_directory
from charrnn.counting import plural
from charrnn.inspection.blocks import Block, Facts
from charrnn.inspection.records import ViewData
from charrnn.inspection.view import View
from charrnn.inspection.wording import byte_size
from charrnn.version import __version__

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint

#: What charrnn needs to run.
PACKAGES = ("numpy", "numba", "llvmlite", "typer", "rich")

#: Vector instructions that decide how large the blocks of a product are.
VECTORS = ("avx512f", "avx2", "fma", "asimd", "sve")

PREFIXES = ("CHARRNN_", "NUMBA_", "OMP_", "GOMP_")


@dataclass(frozen=True)
class Cache:
    """Where compiled kernels are kept."""

    directory: str | None  # None: there is no home directory
    files: int
    bytes: int


@dataclass(frozen=True)
class System(ViewData):
    """Versions, machine, threads, cache."""

    versions: dict[str, str | None]  # None: not installed
    platform: str
    processor: str
    vectors: tuple[str, ...]
    processors: int  # of the machine
    processors_allowed: int  # to this process
    threads: int
    threading_layer: str
    cache: Cache
    environment: dict[str, str]  # variables that change how kernels are run


def examine_system(processors_allowed: int, threads: int) -> System:
    """Ask the operating system, the environment and the installed packages.

    Parameters
    ----------
    processors_allowed, threads : int
        As the command line has resolved them.
    """
    ours = {"charrnn": __version__, "python": platform.python_version()}
    processor, vectors = _processor()
    return System(
        versions={**ours, **{name: _version(name) for name in PACKAGES}},
        platform=platform.platform(),
        processor=processor,
        vectors=vectors,
        processors=os.cpu_count() or 1,
        processors_allowed=processors_allowed,
        threads=threads,
        threading_layer=os.environ.get("NUMBA_THREADING_LAYER") or "default",
        cache=_cache(),
        environment={
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(PREFIXES)
        },
    )


def _version(name: str) -> str | None:
    """Look up the version of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> tuple[str, tuple[str, ...]]:
    """Name the processor and its vector instructions, as far as can be told."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:  # not a Linux system
        lines = []
    pairs = (line.partition(":") for line in reversed(lines))
    facts = {key.strip().lower(): value.strip() for key, _, value in pairs}
    name = facts.get("model name") or platform.processor() or platform.machine()
    flags = set((facts.get("flags") or facts.get("features") or "").split())
    return name, tuple(flag for flag in VECTORS if flag in flags)


def _cache() -> Cache:
    """Find the cache of compiled kernels and add up what is in it."""
    try:
        root = numba_directory() or cache_root()
    except RuntimeError:
        return Cache(None, 0, 0)
    files = size = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                size += Path(folder, name).lstat().st_size
            except OSError:  # it has just gone
                continue
            files += 1
    return Cache(str(root), files, size)


class SystemView(View[System]):
    """Versions, machine, threads, cache and environment."""

    name = "system"
    about = "versions, processor, threads and cache"

    def compute(self, checkpoint: "InspectedCheckpoint") -> System:
        """Ask the operating system and the installed packages."""
        options = checkpoint.options
        return examine_system(options.processors, options.threads)

    def blocks(self, data: System) -> Iterator[Block]:
        """Show facts."""
        yield Facts(list(_facts(data)))


def _facts(data: System) -> Iterator[tuple[str, str]]:
    """Label what charrnn runs on."""
    for name, version in data.versions.items():
        yield name, version or "missing"
    yield "platform", data.platform
    yield "processor", data.processor
    yield "vectors", " ".join(data.vectors) or "none known"
    allowed = f"{data.processors_allowed} of {data.processors} allowed"
    yield "processors", f"{allowed}, {plural(data.threads, 'thread')} used"
    yield "threading", data.threading_layer
    cache = data.cache
    yield "cache", cache.directory or "none: no home directory"
    yield "", f"{plural(cache.files, 'file')}, {byte_size(cache.bytes)}"
    for name, value in data.environment.items():
        yield name, value or "''"


VIEW = SystemView()
