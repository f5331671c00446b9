"""Parts that kernels share: one copy, whoever calls it, and there after a restart."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import config as numba_config

from charrnn.kernels.jit import jit
from charrnn.kernels.shared import shared

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="nothing is compiled"
)


@shared
def _add(x: Any, factor: int, out: Any) -> float:
    """Add a multiple of x to out; return the last number."""
    for i in range(x.size):
        out[i] += factor * x[i]
    return float(out[x.size - 1])


@shared
def _add_if_given(x: Any, out: Any) -> bool:
    if x is None:
        return False
    out[0] += x[0]
    return True


@jit(parallel=False)
def _once(x: Any, out: Any) -> float:
    return _add(x, 2, out)


@jit(parallel=False)
def _twice(x: Any, out: Any) -> float:
    _add(x, 2, out)
    return _add(out, 1, out)


@jit(parallel=False)
def _perhaps(x: Any, out: Any) -> bool:
    return _add_if_given(x, out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_kernels_and_python_call_the_same(dtype: Any) -> None:
    """Of whatever types, and with literal numbers."""
    x, out = np.array([1, 2, 3], dtype), np.ones(3, dtype)

    assert _once(x, out) == 7
    assert out.tolist() == [3, 5, 7]
    assert _twice(x, out) == 26
    assert out.tolist() == [10, 18, 26]
    assert _add(x, -1, out) == 23
    assert out.tolist() == [9, 16, 23]


def test_what_is_none_is_not_compiled() -> None:
    """Numba sees in a part's own arguments what is never there."""
    out = np.zeros(1)

    assert not _perhaps(None, out)
    assert _perhaps(np.ones(1), out)
    assert out[0] == 1


@compiled_only
def test_a_caller_has_no_code_of_a_part() -> None:
    """It names it by its source and types, once for all kernels."""
    x = np.ones(3, np.int16)
    _once(x, x.copy())
    _twice(x, x.copy())
    names = []
    for kernel in (_once, _twice):
        compiled: Any = kernel
        code = compiled.inspect_llvm(compiled.signatures[-1])
        lines = [line for line in code.splitlines() if f"{__name__}._add." in line]
        assert not any(line.startswith("define") for line in lines)
        (declared,) = (line for line in lines if line.startswith("declare"))
        names.append(declared.partition("(")[0])

    assert names[0] == names[1]


#: Draws by every filter, with kernels that share parts; tells whether they were read
#: from the cache, and how many libraries of LLVM's code became the processor's.
DRAW = """
import numpy as np
from charrnn.config import SampleConfig
from charrnn.kernels.filters import weigh_rows
from charrnn.kernels.libraries import LateLibrary
from charrnn.sampling import distribution

translated, translate = [], LateLibrary._translate
LateLibrary._translate = lambda self: (translated.append(self), translate(self))[1]
found = distribution(np.array([[1.0, 2.0, 4.0, 3.0]]), SampleConfig(top_k=2))
hits = sum(weigh_rows.stats.cache_hits.values())
print(hits, len(translated), *found[0].tolist())
"""


@compiled_only
@pytest.mark.parametrize("gone", ["nothing", "*", "filters.part__keep_cheapest*.nbc"])
def test_a_kept_caller_finds_its_parts(tmp_path: Path, gone: str) -> None:
    """In another process, also where a part's files are not there any more."""

    def draw() -> list[float]:
        environment = os.environ | {"CHARRNN_CACHE_DIR": str(tmp_path / "cache")}
        environment.pop("NUMBA_CACHE_DIR", None)
        command = [sys.executable, "-c", DRAW]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        )
        return [float(word) for word in done.stdout.split()]

    compiled, all_translated, *first = draw()
    parts = [path for path in tmp_path.rglob("filters.part_*") if path.match(gone)]
    for path in parts:
        path.unlink()
    kept, translated, *second = draw()

    assert (compiled, kept) == (0, 1)
    assert second == first
    assert all_translated > 0
    assert (translated > 0) == (gone != "nothing")
    assert bool(parts) == (gone != "nothing")
