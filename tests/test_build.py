"""What is published: two builds of the same files are the same bytes."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: What is built from, and what only a working directory has.
SOURCES = (
    *("charrnn", "corpora", "tests", "benchmarks"),
    *("pyproject.toml", "README.md", "LICENSE"),
)
PRODUCTS = shutil.ignore_patterns("__pycache__", ".*")


def copied(to: Path, *, when: int, mode: int, backwards: bool) -> Path:
    """Copy the sources as another checkout might have them.

    Parameters
    ----------
    when : int
        The time at which each file was changed, in seconds.
    mode : int
        The permissions of each file.
    backwards : bool
        Whether files are made in the other order, in which a file system may list them.
    """
    to.mkdir()
    for name in sorted(SOURCES, reverse=backwards):
        source = ROOT / name
        if source.is_file():
            shutil.copyfile(source, to / name)
            continue
        shutil.copytree(
            source, to / name, ignore=PRODUCTS, copy_function=shutil.copyfile
        )
    for path in to.rglob("*"):
        if path.is_file():
            path.chmod(mode)
            os.utime(path, (when, when))
    return to


def built(source: Path, **environment: str) -> dict[str, bytes]:
    """Build the wheel and the sdist, in an environment of its own."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", "dist"]
    plain = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(
        command, cwd=source, env=plain | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in (source / "dist").iterdir()}


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bytes]]:
    """Build twice, where and when everything is another one."""
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    tmp_path = tmp_path_factory.mktemp("builds")
    one = copied(tmp_path / "one", when=1_000_000_000, mode=0o600, backwards=False)
    other = copied(tmp_path / "other", when=1_700_000_000, mode=0o666, backwards=True)
    return [
        built(one, PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C"),
        built(other, PYTHONHASHSEED="2", TZ="Asia/Tokyo", LC_ALL="C.UTF-8"),
    ]


def test_two_builds_are_the_same_bytes(builds: list[dict[str, bytes]]) -> None:
    one, other = (
        {name: hashlib.sha256(data).hexdigest() for name, data in built.items()}
        for built in builds
    )

    assert sorted(Path(name).suffix for name in one) == [".gz", ".whl"]
    assert one == other


def test_the_wheel_has_every_file_of_the_package(
    builds: list[dict[str, bytes]],
) -> None:
    """And nothing else but what describes it."""
    (data,) = (data for name, data in builds[0].items() if name.endswith(".whl"))
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        packed = {n for n in wheel.namelist() if ".dist-info/" not in n}
    package = ROOT / "charrnn"
    files = {p.relative_to(ROOT) for p in package.rglob("*") if p.is_file()}

    assert packed == {f.as_posix() for f in files if "__pycache__" not in f.parts}
