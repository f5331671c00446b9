"""Commands go on whatever becomes of their compiled kernels, and say what is lost."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from numba import config as numba_config

from charrnn.__main__ import run
from charrnn.caching import note_unkept, take_unkept
from charrnn.kernels.jit import cache_directory
from tests.cli.training import SHORT
from tests.commands import command
from tests.factories import write_checkpoint
from tests.training.support import TEXT

FULL = OSError(errno.ENOSPC, "No space left on device")

#: What each command is given beside m.npz and t.txt.
COMMANDS = {
    "train": ["t.txt", "-f", "-o", "new.npz", *SHORT, "--preview-chars", "0"],
    "sample": ["m.npz", "-n", "3"],
    "inspect": ["m.npz", "--view", "surprise", "--text", "a", "--plain"],
    "inspect --warmup": ["m.npz"],
}

commands = pytest.mark.parametrize("name", COMMANDS)

kept_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT or cache_directory() is None, reason="nothing is kept"
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cached")
    write_checkpoint(path / "m.npz")
    (path / "t.txt").write_text(TEXT)
    return path


@pytest.fixture(autouse=True)
def working_there(beside_models: None) -> Iterator[None]:
    """Work beside m.npz and t.txt, with no reason that has not been told."""
    take_unkept()
    yield
    take_unkept()


def words(name: str) -> list[str]:
    return [*name.split(), *COMMANDS[name]]


def warnings(err: str) -> list[str]:
    return [line for line in err.splitlines() if "kernels cannot be kept" in line]


@commands
def test_what_was_compiled_in_vain_is_told_once(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the directory and the reason; however many kernels there are."""
    note_unkept(Path("full\n"), FULL)
    note_unkept(Path("elsewhere"), FULL)
    assert run(words(name)) == 0
    err = capfd.readouterr().err

    assert warnings(err) == [
        "charrnn: warning: compiled kernels cannot be kept, so every command "
        r"compiles anew: no space left on device (full\n); CHARRNN_CACHE_DIR can "
        "name another directory, one that only you can write to"
    ]


@commands
def test_quiet_commands_do_not_tell(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    note_unkept(Path("full"), FULL)

    assert run([*words(name), "-q"]) == 0
    assert capfd.readouterr().err == ""


@commands
def test_nothing_is_told_where_nothing_is_lost(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run([*words(name), "-q"])  # the first to run may have to compile
    capfd.readouterr()
    take_unkept()

    assert run(words(name)) == 0
    assert warnings(capfd.readouterr().err) == []


def test_the_variable_that_chose_the_place_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    note_unkept(Path("full"), FULL)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "full")
    run(words("sample"))

    assert "; NUMBA_CACHE_DIR can name another" in warnings(capfd.readouterr().err)[0]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the cache, warm for all commands, for processes of their own."""
    for name in COMMANDS:
        run([*words(name), "-q"])
    kept = cache_directory()
    assert kept is not None
    root = tmp_path / "cache"
    root.mkdir(mode=0o700)
    shutil.copytree(kept, root / kept.name)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("CHARRNN_CACHE_DIR", str(root))
    return root


def process(name: str, *before: str) -> tuple[int, str]:
    """Run a command as a process: its exit code and what it warns of."""
    done = subprocess.run(
        [*before, *command(*words(name))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        return done.returncode, done.stderr
    return 0, "\n".join(warnings(done.stderr))


def files_of(cache: Path, kernel: str) -> list[Path]:
    """Find a kernel's files, of which there are at least two."""
    found = sorted(cache.glob(f"*/*/{kernel}-*.nb[ic]"))
    assert {path.suffix for path in found} == {".nbi", ".nbc"}
    return found


#: Kernels that compile fast, and who runs them.
SMALL = {
    "train": "optimizers.squared_norm",
    "sample": "packing.pack",
    "inspect": "packing.pack",
    "inspect --warmup": "optimizers.squared_norm",
}


@kept_only
@commands
def test_a_cache_that_a_power_cut_has_emptied(name: str, cache: Path) -> None:
    """Files are empty or all zeros, of which the names were written and no more."""
    files = files_of(cache, SMALL[name])
    for number, path in enumerate(files):
        path.write_bytes(b"" if number % 2 else bytes(path.stat().st_size))

    assert process(name) == (0, "")
    # Data for other types of arguments stays as it is until somebody wants it.
    replaced = {path.suffix for path in files if any(path.read_bytes())}
    assert replaced == {".nbi", ".nbc"}


@kept_only
@pytest.mark.skipif(os.name != "posix", reason="a limit of the shell")
def test_a_disk_that_is_full(cache: Path) -> None:
    """Nothing that only reads a model needs a place to write."""
    for path in files_of(cache, SMALL["sample"]):
        path.unlink()
    limited = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh"]
    code, told = process("sample", *limited)

    assert (code, f"file too large ({cache})" in told) == (0, True)
    assert process("sample") == (0, "")


@kept_only
@commands
def test_a_cache_that_cannot_be_kept(name: str, cache: Path) -> None:
    """It is told at every run, since every run compiles."""
    for path in files_of(cache, SMALL[name]):
        path.unlink()
        (path / "in the way").mkdir(parents=True)

    for _ in range(2):
        code, told = process(name)
        assert (code, f"({cache})" in told) == (0, True)
