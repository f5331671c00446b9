import platform
from pathlib import Path

from charrnn.caching import cache_root
from charrnn.inspection.records import as_json
from charrnn.inspection.system import examine_system


def test_versions_processor_and_cache_are_named(tmp_path: Path, monkeypatch):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "a.nbi").write_bytes(b"123")
    monkeypatch.setenv("CHARRNN_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    view = examine_system(2, 1)

    assert view.versions["python"] == platform.python_version()
    assert all(view.versions.values())
    assert view.processor
    assert view.cache.directory == str(tmp_path)
    assert (view.cache.files, view.cache.bytes) == (1, 3)
    assert view.environment["CHARRNN_CACHE_DIR"] == str(tmp_path)
    assert as_json(view)["processors_allowed"] == 2


def test_a_cache_that_does_not_exist_is_empty(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)

    assert examine_system(1, 1).cache.files == 0


def test_the_cache_is_where_the_kernels_put_it(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("CHARRNN_CACHE_DIR", str(tmp_path))
    (tmp_path / "kernel.nbi").write_bytes(b"x")

    assert cache_root() == tmp_path
    assert examine_system(1, 1).cache.files == 1
