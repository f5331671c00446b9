"""The compiler's policy: NaN is seen, and the cache is private or nowhere."""

import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import config as numba_config

from charrnn.caching import cache_root
from charrnn.inspection.system import examine_system
from charrnn.kernels import jit as policy
from charrnn.kernels.jit import FASTMATH, cache_directory, is_cached, jit
from charrnn.kernels.keeping import NoCache, Sealed

pytestmark = pytest.mark.small

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="nothing is compiled"
)

posix_only = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no such permissions"
)


@jit
def _count_nan(x: Any) -> int:
    count = 0
    for k in range(x.size):
        if np.isnan(x[k]):
            count += 1
    return count


@jit
def _is_finite(x: Any) -> bool:
    total = 0.0
    for k in range(x.size):
        total += x[k]
    return bool(np.isfinite(total))


@jit(inlined_early=True)
def _smaller(x: Any, i: int, j: int) -> int:
    if x[i] < x[j]:
        return i
    return j


@jit(parallel=False)
def _smallest(x: Any) -> int:
    best = 0
    for k in range(x.size):
        best = _smaller(x, k, best)
    return best


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Choose a place for the cache that does not exist yet."""
    path = tmp_path / "cache"
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("CHARRNN_CACHE_DIR", str(path))
    return path


def test_fastmath_keeps_nan_and_infinity() -> None:
    """All of LLVM's flags but the two that let it assume finite numbers."""
    everything = {"nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"}

    assert everything - FASTMATH == {"nnan", "ninf"}


def test_kernels_see_nan() -> None:
    """np.isnan and np.isfinite mean what they say in compiled code."""
    x = np.zeros(9, np.float32)
    assert _count_nan(x) == 0
    assert _is_finite(x)

    x[[2, 8]] = np.nan, np.inf
    assert _count_nan(x) == 1
    assert not _is_finite(x)


def test_signature_is_kept() -> None:
    """A compiled function still says what it is called and takes."""
    assert _count_nan.__name__ == "_count_nan"
    assert getattr(_count_nan, "py_func", _count_nan).__annotations__["return"] is int


def test_a_part_that_is_inlined_early_stands_in_the_place_of_its_call() -> None:
    """It is not compiled for it; whoever calls it from Python gets the same."""
    x = np.array([3.0, 1.0, 2.0, 1.0])

    assert _smallest(x) == 1
    assert getattr(_smaller, "signatures", []) == []
    assert _smaller(x, 0, 1) == 1
    assert _smaller(x, 1, 0) == 1


@compiled_only
@pytest.mark.parametrize("function", [_count_nan, _smaller, _smallest])
def test_policy_holds_for_every_form_of_the_decorator(function: Any) -> None:
    """Threads of Python run kernels side by side: the lock is released."""
    assert function.targetoptions["nogil"]
    assert set(function.targetoptions["fastmath"]) == FASTMATH


def test_every_function_is_compiled_by_the_policy() -> None:
    """No kernel calls numba.njit on its own, with other flags."""
    sources = Path(policy.__file__).parent.glob("*.py")
    own = [p.name for p in sources if "njit" in p.read_text(encoding="utf-8")]

    assert own == ["jit.py"]


def test_cache_root_of_the_environment(root: Path) -> None:
    """CHARRNN_CACHE_DIR is the place, and is made for the user alone."""
    directory = cache_directory()

    assert cache_root() == root
    assert directory is not None
    assert directory.parent == root
    assert directory.is_dir()


@posix_only
def test_cache_is_private(root: Path) -> None:
    """Both directories have mode 0700, whatever the umask allows."""
    directory = cache_directory()

    assert directory is not None
    for path in (root, directory):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@posix_only
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
@pytest.mark.parametrize("which", ["root", "directory"])
def test_writable_by_others_is_refused(root: Path, mode: int, which: str) -> None:
    """A cache that others can write to is not read: pickle would run their code."""
    directory = cache_directory()
    assert directory is not None
    (root if which == "root" else directory).chmod(mode)

    assert cache_directory() is None


@posix_only
def test_somebody_elses_directory_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache must belong to who runs the program."""
    assert cache_directory() is not None
    owner = root.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)

    assert cache_directory() is None


def test_a_file_in_the_way_is_no_cache(root: Path) -> None:
    """Where no directory can be made, there is none, and no error."""
    root.write_text("in the way", encoding="utf-8")

    assert cache_directory() is None


def test_no_home_is_no_cache(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home directory has no cache."""

    def homeless() -> Path:
        msg = "Could not determine home directory."
        raise RuntimeError(msg)

    monkeypatch.delenv("CHARRNN_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("charrnn.caching._home", homeless)

    assert cache_directory() is None
    assert not root.exists()


def test_xdg_cache_home(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CHARRNN_CACHE_DIR the user's cache directory is asked for."""
    monkeypatch.delenv("CHARRNN_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(root))
    monkeypatch.setattr(sys, "platform", "linux")

    assert cache_root() == root / "charrnn"


def test_numba_cache_dir_is_taken_as_it_is(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """NUMBA_CACHE_DIR is the user's own choice, and Numba's to make."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))

    assert cache_directory() == tmp_path / "numba"
    assert not root.exists()


def test_a_tilde_in_it_is_the_home_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Files that no shell has read, such as units of systemd, write it so."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "~/numba")

    assert cache_directory() == tmp_path / "numba"
    assert examine_system(1, 1).cache.directory == str(tmp_path / "numba")


@pytest.mark.parametrize(
    ("setting", "value"), [("BOUNDSCHECK", "another"), ("OPT", "another")]
)
def test_other_settings_have_another_cache(
    root: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    """Code with bounds checks is never served to a run without, nor the reverse."""
    before = cache_directory()
    monkeypatch.setattr(numba_config, setting, value)

    assert before is not None
    assert cache_directory() not in {before, None}
    assert len(list(root.iterdir())) == 2


def test_an_edited_kernel_has_another_cache(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Numba does not notice edits to an imported kernel; the directory's name does."""
    sources = tmp_path / "kernels"
    sources.mkdir()
    (sources / "jit.py").write_text("one", encoding="utf-8")
    monkeypatch.setattr(policy, "__file__", str(sources / "jit.py"))
    before = cache_directory()
    (sources / "helper.py").write_text("two", encoding="utf-8")

    assert before is not None
    assert before.parent == root
    assert cache_directory() not in {before, None}


def test_only_sound_kernels_are_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever says that something has to be compiled goes by this."""
    monkeypatch.setattr(policy, "_CACHE_DIRECTORY", tmp_path)
    monkeypatch.setattr(policy, "_SEALED", Sealed("a version"))
    below = tmp_path / "kernels_1"
    below.mkdir()
    index, data = below / "head.losses-79.nbi", below / "head.losses-79.1.nbc"
    Sealed("a version").write(index, b"index")
    assert not is_cached("head.losses")

    Sealed("a version").write(data, b"data")
    assert is_cached("head.losses")
    assert not is_cached("head.loss")

    data.write_bytes(data.read_bytes()[:-1])
    assert not is_cached("head.losses")


@compiled_only
def test_without_a_home_a_kernel_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is compiled all the same."""
    monkeypatch.setattr(policy, "_PLACE", None)

    compiled: Any = _smallest
    kernel: Any = jit(compiled.py_func)
    kernel._cache = policy._new_cache(kernel.py_func)

    assert isinstance(kernel._cache, NoCache)
    assert kernel(np.array([2.0, 1.0])) == 1
