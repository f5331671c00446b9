"""What the scripts report and how: options, tables, JSON, the machine.

A script prints Markdown tables while it measures, a row at a time, and keeps
the figures behind the rows for the JSON file.
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

from charrnn.inspection.system import examine_system

#: Instructions that PyTorch's bfloat16 needs to be fast; we have no use for them.
BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")

#: What stands in a cell whose figure there is not.
NOTHING = "–"  # noqa: RUF001  # a dash, as in any table

#: Column headings, each with the cell that it makes of a row.
Columns: TypeAlias = Mapping[str, Callable[[Any], str]]


def new_parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser of the options that all scripts have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="toy sizes, one round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures there")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    return parser


def cell(value: float | None, form: str = ",.0f", missing: str = NOTHING) -> str:
    """Write a figure, or what stands for one that is missing."""
    return missing if value is None else format(value, form)


def ratio(ours: float, theirs: float | None) -> float | None:
    """Divide two figures, of which the second may be missing."""
    return None if theirs is None else ours / theirs


def at_least(target: float | None, form: str = "g") -> str:
    """Write a target that a figure has to reach."""
    return NOTHING if target is None else f"≥ {target:{form}}"


def at_most(target: float | None, form: str = "g") -> str:
    """Write a target that a figure must not exceed."""
    return NOTHING if target is None else f"≤ {target:{form}}"


class Report:
    """A script's figures: shown as tables, kept for JSON.

    Parameters
    ----------
    options : Namespace
        As `new_parser` reads them.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self._rows: list[dict[str, Any]] = []

    def table(self, title: str, columns: Columns) -> Callable[[Any], None]:
        """Begin a table.

        Returns
        -------
        callable
            Takes a row, a dataclass: shows it at once and keeps its fields.
        """
        print(f"\n{title}\n")
        print(f"| {' | '.join(columns)} |")
        # Names to the left, numbers to the right.
        print(f"|---{'|---:' * (len(columns) - 1)}|", flush=True)

        def add(row: Any) -> None:
            cells = [write(row) for write in columns.values()]
            print(f"| {' | '.join(cells)} |", flush=True)
            self._rows.append({"table": title, **asdict(row)})

        return add

    def write(self) -> None:
        """Write what was found to the file that --json names, if it does."""
        if self.options.json is not None:
            found = {
                "machine": machine(self.options.threads),
                "quick": self.options.quick,
                "rows": self._rows,
            }
            text = json.dumps(found, indent=1, ensure_ascii=False)
            self.options.json.write_text(text + "\n", "utf-8")


def machine(threads: int) -> dict[str, Any]:
    """Describe the machine and the versions, as far as they can be told."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    facts = asdict(examine_system(allowed or os.cpu_count() or 1, threads))
    # Paths say nothing about speed.
    del facts["cache"]
    facts["environment"] = {
        name: value
        for name, value in facts["environment"].items()
        if not name.endswith("_DIR")
    }
    facts["versions"]["torch"] = torch_version()
    return facts | {"bfloat16": _bfloat16(), "caches": _caches(), "memory": _memory()}


def torch_version() -> str | None:
    """Look up PyTorch's version; None where it is not installed."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def _bfloat16() -> list[str]:
    """Name the processor's instructions for bfloat16; empty where unknown."""
    try:
        words = set(Path("/proc/cpuinfo").read_text("utf-8", "replace").split())
    except OSError:  # not a Linux system
        return []
    return [flag for flag in BFLOAT16 if flag in words]


def _caches() -> dict[str, str]:
    """Sizes of the first processor's caches by level; empty where unknown."""
    found = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        level, kind, size = (
            (index / name).read_text().strip() for name in ("level", "type", "size")
        )
        found[f"L{level} {kind.lower()}"] = size
    return dict(sorted(found.items()))


def _memory() -> int | None:
    """Bytes of memory; None where unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # not a POSIX system
        return None
