"""Files of compiled kernels: whatever happens to them, a kernel is compiled again."""

import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numba
import pytest
from numba import config as numba_config

from charrnn.caching import Place, Unkept, take_unkept
from charrnn.kernels import keeping
from charrnn.kernels.keeping import (
    MAGIC,
    DamagedError,
    KernelCache,
    KernelFiles,
    NoCache,
    Sealed,
)

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="nothing is compiled"
)

posix_only = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no such files or permissions"
)

SEALED = Sealed("a version")


def _double(x: int) -> int:
    return 2 * x


def _triple(x: int) -> int:
    return 3 * x


class Outcome(NamedTuple):
    """What the cache was good for."""

    hits: int
    misses: int
    unkept: Unkept | None


HIT, MISS = Outcome(1, 0, None), Outcome(0, 1, None)


@pytest.fixture(autouse=True)
def nothing_untold() -> Iterator[None]:
    """Begin and end without a reason that nobody has asked for."""
    take_unkept()
    yield
    take_unkept()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    root = tmp_path / "cache"
    return Place(root / "0123456789abcdef", root)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile a kernel once, for all tests that spoil its files."""
    root = tmp_path_factory.mktemp("written") / "cache"
    if not numba_config.DISABLE_JIT:
        assert run(Place(root / "0123456789abcdef", root)) == MISS
    return root


@pytest.fixture
def kept(place: Place, written: Path) -> Place:
    """Have a kernel in the cache."""
    assert place.root is not None
    shutil.copytree(written, place.root)
    return place


def run(place: Place, function: Callable[[int], int] = _double) -> Outcome:
    """Call a kernel as a process that has just begun does."""
    compiled = numba.njit(function)
    compiled._cache = KernelCache(compiled.py_func, place, SEALED)
    assert compiled(21) == function(21)
    stats = compiled.stats
    hits, misses = Counter(stats.cache_hits), Counter(stats.cache_misses)
    return Outcome(hits.total(), misses.total(), take_unkept())


def files_of(place: Place, suffix: str, name: str = "_double") -> list[Path]:
    return sorted(place.directory.glob(f"*/*{name}-*{suffix}"))


def file_of(place: Place, suffix: str) -> Path:
    (found,) = files_of(place, suffix)
    return found


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)


def shorten(path: Path, length: int) -> None:
    with path.open("r+b") as file:
        file.truncate(length % (path.stat().st_size + 1))


def become(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def link_to_itself_elsewhere(path: Path) -> None:
    """Put a link in the place of a file, to a sound copy of it."""
    elsewhere = path.parent.parent / path.name
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def grow_huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 40)


def numba_would_read(path: Path) -> None:
    """Write what Numba's own cache writes, or something like it."""
    version = pickle.dumps(numba.__version__)
    path.write_bytes(version + pickle.dumps(("stamp", {})))


def of_another_version(path: Path) -> None:
    payload = SEALED.read(path)
    Sealed("another version").write(path, payload)


def of_another_function(path: Path) -> None:
    payload = SEALED.read(path)
    other = path.with_name(path.name.replace("_double", "_another"))
    SEALED.write(other, payload)
    other.replace(path)


def sealed_nonsense(path: Path) -> None:
    """Write what is sound, but says nothing, as a module that is gone leaves it."""
    SEALED.write(path, b"cno_such_module\nNothing\n.")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "a byte": lambda path: shorten(path, 1),
    "the magic alone": lambda path: shorten(path, len(MAGIC)),
    "the header alone": lambda path: shorten(path, len(MAGIC) + 32),
    "half": lambda path: shorten(path, path.stat().st_size // 2),
    "all but a byte": lambda path: shorten(path, path.stat().st_size - 1),
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "garbage": lambda path: path.write_bytes(os.urandom(2000)),
    "a bit of the magic": lambda path: flip(path, 3),
    "a bit of the seal": lambda path: flip(path, 8 * len(MAGIC) + 5),
    "a bit of the payload": lambda path: flip(path, 8 * 500 + 1),
    "the last bit": lambda path: flip(path, -1),
    "Numba's own": numba_would_read,
    "another version": of_another_version,
    "another function's": of_another_function,
    "sound nonsense": sealed_nonsense,
    "huge": grow_huge,
    "gone": Path.unlink,
    "a directory": lambda path: become(path, Path.mkdir),
}

POSIX_DAMAGE: dict[str, Callable[[Path], object]] = {
    "a named pipe": lambda path: become(path, os.mkfifo),
    "a dangling link": lambda path: become(path, lambda p: p.symlink_to("nowhere")),
    "a link to itself": lambda path: become(path, lambda p: p.symlink_to(p.name)),
    "a link to a sound file": link_to_itself_elsewhere,
    "no permission": lambda path: path.chmod(0),
    "others may write": lambda path: path.chmod(0o666),
    "a group may write": lambda path: path.chmod(0o664),
}


@compiled_only
def test_a_kernel_is_compiled_once(place: Place) -> None:
    """And Numba's own count says so."""
    assert run(place) == MISS
    assert run(place) == HIT
    assert run(place, _triple) == MISS
    assert [run(place), run(place, _triple)] == [HIT, HIT]


def check_damage(kept: Place, suffix: str, damage: Callable[[Path], object]) -> None:
    assert run(kept) == HIT
    damage(file_of(kept, suffix))

    assert run(kept) == MISS
    assert run(kept) == HIT
    assert list(kept.directory.glob("*/*.tmp")) == []


@compiled_only
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_replaced(kept: Place, suffix: str, kind: str) -> None:
    """Whatever is wrong: compiled again, once, and without a word."""
    check_damage(kept, suffix, DAMAGE[kind])


@posix_only
@compiled_only
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("kind", POSIX_DAMAGE)
def test_what_is_no_file_of_ours_is_replaced(
    kept: Place, suffix: str, kind: str
) -> None:
    """What is no file, a link, or open to others is not read."""
    path = file_of(kept, suffix)
    if kind == "no permission":
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("root may read everything")
        path.chmod(0o600)
    check_damage(kept, suffix, POSIX_DAMAGE[kind])


def sealed_file(directory: Path) -> tuple[Path, bytes]:
    """Write a small file and return what is in it."""
    path = directory / "kernel.nbi"
    SEALED.write(path, pickle.dumps({"key": "kernel.1.nbc"}))
    return path, path.read_bytes()


def test_every_length_but_the_whole_is_damaged(tmp_path: Path) -> None:
    path, whole = sealed_file(tmp_path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedError):
            SEALED.read(path)

    path.write_bytes(whole)
    assert pickle.loads(SEALED.read(path)) == {"key": "kernel.1.nbc"}  # noqa: S301


def test_every_bit_is_under_the_seal(tmp_path: Path) -> None:
    path, whole = sealed_file(tmp_path)
    for bit in range(8 * len(whole)):
        path.write_bytes(whole)
        flip(path, bit)
        with pytest.raises(DamagedError):
            SEALED.read(path)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """Choose what appears when a trap is unpickled; see that it would."""
    path = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(path)))  # noqa: S301
    path.rmdir()
    return path


@compiled_only
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize(
    "disguise",
    [
        lambda trap: trap,
        lambda trap: pickle.dumps(numba.__version__) + trap,
        lambda trap: MAGIC + trap,
        lambda trap: MAGIC + bytes(32) + trap,
    ],
    ids=["bare", "as Numba's", "behind the magic", "behind a false seal"],
)
def test_a_pickle_that_something_else_wrote_is_not_read(
    kept: Place, suffix: str, disguise: Callable[[bytes], bytes], sprung: Path
) -> None:
    """Not even to see what it is."""
    file_of(kept, suffix).write_bytes(disguise(pickle.dumps(Trap(sprung))))

    assert run(kept) == MISS
    assert not sprung.exists()
    assert run(kept) == HIT


def forge(path: Path, sprung: Path) -> None:
    """Write a trap with a seal that fits, as whoever knows this program can."""
    SEALED.write(path, pickle.dumps(Trap(sprung)))


@compiled_only
def test_a_seal_keeps_no_forger_out(kept: Place, sprung: Path) -> None:
    """So permissions must: the tests below are about something."""
    forge(file_of(kept, ".nbi"), sprung)
    run(kept)

    assert sprung.exists()


@posix_only
@compiled_only
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_to_is_not_read(
    kept: Place, suffix: str, mode: int, sprung: Path
) -> None:
    path = file_of(kept, suffix)
    forge(path, sprung)
    path.chmod(mode)

    assert run(kept) == MISS
    assert not sprung.exists()
    assert path.stat().st_mode & 0o022 == 0


@posix_only
@compiled_only
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_somebody_elses_file_is_not_read(
    kept: Place, suffix: str, sprung: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a directory of the user's own choice can hold one."""
    chosen = Place(kept.directory, root=None)
    path = file_of(kept, suffix)
    forge(path, sprung)
    if os.getuid() == 0:
        os.chown(path, 1, 1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    outcome = run(chosen)

    assert not sprung.exists()
    assert outcome.misses == 1


@posix_only
@compiled_only
@pytest.mark.parametrize("level", [0, 1, 2])
def test_nothing_is_read_or_written_where_others_can_write(
    kept: Place, level: int, sprung: Path
) -> None:
    """Checked at every use: a directory can be opened to others at any time."""
    path = file_of(kept, ".nbi")
    forge(path, sprung)
    directory = path.parents[2 - level]
    directory.chmod(0o777)
    before = path.read_bytes()

    assert run(kept) == Outcome(0, 1, Unkept(directory, "others can write to it"))
    assert not sprung.exists()
    assert path.read_bytes() == before


@posix_only
def test_files_are_private_whatever_the_umask(place: Place) -> None:
    before = os.umask(0)
    try:
        place.make("below")
        SEALED.write(place.directory / "below" / "kernel.nbi", b"")
    finally:
        os.umask(before)

    assert SEALED.read(place.directory / "below" / "kernel.nbi") == b""


@posix_only
def test_a_file_system_without_permissions_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would never be read is not written."""

    def everybodys(path: str, flags: int) -> int:
        number = os.open(path, flags, 0o666)
        os.fchmod(number, 0o666)
        return number

    monkeypatch.setattr(keeping, "_open", everybodys)
    with pytest.raises(DamagedError, match="others can write"):
        SEALED.write(tmp_path / "kernel.nbi", b"")

    assert list(tmp_path.iterdir()) == []


@compiled_only
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError])
def test_what_cannot_be_written_is_noted_and_stops_nobody(
    place: Place, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Sealed, "write", full)
        found = run(place)
    assert (found.hits, found.misses) == (0, 1)
    assert found.unkept is not None
    assert found.unkept.directory == place.root
    if isinstance(error, OSError):
        assert found.unkept.reason == "no space left on device"

    assert [run(place), run(place)] == [MISS, HIT]


@compiled_only
def test_a_limit_of_a_files_size_does_not_kill(place: Place) -> None:
    """The system sends a signal beside the error; Python ignores it."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        found = run(place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert found == Outcome(0, 1, Unkept(place.root, "file too large"))
    assert [p for p in place.directory.rglob("*") if p.is_file()] == []


@compiled_only
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_full_directory_in_the_way_is_left_alone(kept: Place, suffix: str) -> None:
    """Nobody has asked to remove what is in it."""
    path = file_of(kept, suffix)
    become(path, Path.mkdir)
    (path / "diary").write_text("mine", encoding="utf-8")
    found = run(kept)

    assert (found.hits, found.misses) == (0, 1)
    assert found.unkept is not None
    assert (path / "diary").exists()


@compiled_only
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_file_in_the_way_of_a_directory(kept: Place, level: int) -> None:
    directory = file_of(kept, ".nbi").parents[2 - level]
    shutil.rmtree(directory)
    directory.write_text("in the way", encoding="utf-8")

    assert run(kept) == Outcome(0, 1, Unkept(directory, "it is not a directory"))


@compiled_only
@pytest.mark.parametrize("level", [0, 1, 2])
def test_directories_that_have_gone_are_made_again(kept: Place, level: int) -> None:
    shutil.rmtree(file_of(kept, ".nbi").parents[2 - level])

    assert [run(kept), run(kept)] == [MISS, HIT]


@compiled_only
@pytest.mark.parametrize("going", ["read", "write"])
def test_the_directory_goes_between_two_looks(
    kept: Place, going: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some other program cleans up."""
    assert kept.root is not None
    if going == "write":
        file_of(kept, ".nbi").unlink()
    used = getattr(Sealed, going)

    def vanishing(*arguments: Any) -> Any:
        shutil.rmtree(str(kept.root), ignore_errors=True)
        return used(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Sealed, going, vanishing)
        found = run(kept)

    assert (found.hits, found.misses) == (0, 1)
    assert [run(kept), run(kept)] == [MISS, HIT]


@compiled_only
def test_a_function_without_a_place_is_compiled_in_vain() -> None:
    compiled: Any = numba.njit(_double)
    compiled._cache = NoCache(FileNotFoundError("there is no home directory"))

    assert compiled(21) == 42
    assert take_unkept() == Unkept(None, "there is no home directory")


@compiled_only
def test_nothing_is_written_beside_the_sources(place: Place) -> None:
    """Numba would, where the directory for it cannot be made."""
    assert place.root is not None
    place.root.write_text("in the way", encoding="utf-8")
    run(place)

    assert list(Path(__file__).parent.rglob("*_double*")) == []


def kernel_files(directory: Path) -> KernelFiles:
    return KernelFiles(str(directory), "kernel", "stamp", SEALED)


def test_another_stamp_is_another_source(tmp_path: Path) -> None:
    kernel_files(tmp_path).save("key", "code")
    edited = KernelFiles(str(tmp_path), "kernel", "another", SEALED)

    assert kernel_files(tmp_path).load("key") == "code"
    assert edited.load("key") is None


def test_data_of_another_key_is_not_taken(tmp_path: Path) -> None:
    """Of two processes that began with nothing both wrote kernel.1.nbc."""
    files = kernel_files(tmp_path)
    files.save("ours", "our code")
    index = (tmp_path / "kernel.nbi").read_bytes()
    (tmp_path / "kernel.nbi").unlink()
    files.save("theirs", "their code")
    (tmp_path / "kernel.nbi").write_bytes(index)

    assert files.load("ours") is None
    files.save("ours", "our code")
    assert files.load("ours") == "our code"


def test_what_is_sound_beside_damaged_data_stays(tmp_path: Path) -> None:
    files = kernel_files(tmp_path)
    files.save("one", 1)
    files.save("two", 2)
    (tmp_path / "kernel.1.nbc").write_bytes(b"")

    assert [files.load("one"), files.load("two")] == [None, 2]
    files.save("one", 1)
    assert [files.load("one"), files.load("two")] == [1, 2]
    assert len(list(tmp_path.iterdir())) == 3


WRITER = """
import sys
from pathlib import Path
from charrnn.kernels.keeping import Sealed, KernelFiles

directory, key = sys.argv[1:]
files = KernelFiles(directory, "kernel", "stamp", Sealed("a version"))
code = key * 50_000
print("ready", flush=True)
sys.stdin.readline()
found = []
for _ in range(300):
    files.save(key, code)
    found.append(files.load(key))
assert set(found) <= {None, code}, "the other's code"
print(found.count(code))
"""


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    """Each finds its own code or none; afterwards both are kept."""
    keys = ["a", "b"]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for key in keys
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        found, _ = writer.communicate()
        assert writer.returncode == 0
        assert int(found) > 0

    files = kernel_files(tmp_path)
    for key in keys:
        if files.load(key) is None:
            files.save(key, key * 50_000)
    assert [files.load(key) for key in keys] == [key * 50_000 for key in keys]
    assert list(tmp_path.glob("*.tmp")) == []
