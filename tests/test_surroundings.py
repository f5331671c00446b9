"""Variables, limits and missing parts: found early, or named in one line."""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest

from charrnn import processors
from charrnn.__main__ import _warn, run
from charrnn.errors import CharRNNError, MissingComponentError, OptionError
from charrnn.processors import resolve_threads, startable
from charrnn.surroundings import NO_THREAD, explained, failed_library, memory_limit
from tests.cli.training import SHORT
from tests.commands import command
from tests.factories import write_sampled
from tests.training.support import TEXT


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work beside a text and a model, with no variable of Numba's set."""
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text(TEXT)
    write_sampled(Path("m.npz"))
    for name in ("NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER", "CHARRNN_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the system refuse every thread after so many."""

    def allow(count: int) -> None:
        real = threading.Thread.start
        left = iter(range(count))

        def start(thread: threading.Thread) -> None:
            if next(left, None) is None:
                raise RuntimeError(NO_THREAD)
            real(thread)

        monkeypatch.setattr(threading.Thread, "start", start)

    return allow


# Variables.

SAMPLE = ["sample", "m.npz", "-n", "1", "-p", ""]
INSPECT = ["inspect", "m.npz"]
TRAIN = ["train", "t.txt", *SHORT, "-q"]


@pytest.mark.parametrize("arguments", [TRAIN, SAMPLE, INSPECT])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("NUMBA_NUM_THREADS", value) for value in ("0", "abc", "-1", "1.5")),
        *(("NUMBA_THREADING_LAYER", value) for value in ("nope", "omp,tbb", "")),
        ("CHARRNN_THREADS", "0"),
        ("CHARRNN_THREADS", "9" * 5000),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)

    assert run(arguments) == 2
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert error.startswith(f"charrnn: error: {name} is {value!r}, not a ")
    assert "unset it" in hint


@pytest.mark.parametrize("name", ["NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"])
def test_it_is_named_before_numba_reads_it(name: str) -> None:
    """Which ends with an error of its own, or a warning of many lines."""
    done = subprocess.run(
        command(*TRAIN), env=os.environ | {name: "some"}, capture_output=True, text=True
    )

    assert done.returncode == 2
    assert done.stderr.count("\n") == 2
    assert name in done.stderr.splitlines()[0]


@pytest.mark.parametrize("name", ["load", "train", "TextModel"])
def test_the_library_names_it_too(name: str) -> None:
    """Numba fails while it is imported, which is when a name is first used."""
    program = (
        "import charrnn\n"
        f"try: charrnn.{name}\n"
        "except charrnn.CharRNNError as error: print(error.what)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"NUMBA_NUM_THREADS": "0"},
        capture_output=True,
        text=True,
    )

    assert done.stdout == "NUMBA_NUM_THREADS is '0', not a number of threads\n"


def test_a_width_that_the_help_cannot_have_is_named() -> None:
    """Typer reads it when it is imported, for the help only."""
    width = {"TERMINAL_WIDTH": "wide"}
    done = subprocess.run(
        command("--help"), env=os.environ | width, capture_output=True, text=True
    )

    assert done.returncode == 2
    assert done.stderr == (
        "charrnn: error: TERMINAL_WIDTH is 'wide', not a number of columns\n"
        "hint: set it to 20 or more, or unset it\n"
    )


def test_other_warnings_take_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Numba puts a traceback into those about its variables."""
    _warn(UserWarning("NUMBA_OPT could not be parsed\nat line 1\n"), UserWarning, "", 1)

    assert capsys.readouterr().err == (
        "charrnn: warning: NUMBA_OPT could not be parsed\n"
    )


# Threads.


@pytest.mark.parametrize(
    ("processors_", "most", "asked", "threads_", "warning"),
    [
        (2, "1", None, 1, None),
        (2, "1", 2, 1, "2 threads asked for, 1 allowed by NUMBA_NUM_THREADS"),
        (2, "1", 1, 1, None),
        (2, "", None, 2, None),
        (2, " 01 ", None, 1, None),
        (2, "8", 2, 2, None),
        (2, "8", 3, 2, "3 threads asked for, 2 processors to use"),
        (2, "2", 3, 2, "3 threads asked for, 2 processors to use"),
    ],
)
def test_numbas_own_limit_is_no_secret(
    monkeypatch: pytest.MonkeyPatch,
    processors_: int,
    most: str,
    asked: int | None,
    threads_: int,
    warning: str | None,
) -> None:
    monkeypatch.setattr(processors, "available_processors", lambda: processors_)
    monkeypatch.setenv("NUMBA_NUM_THREADS", most)

    assert resolve_threads(asked) == (threads_, warning)


@pytest.mark.parametrize("allowed", range(5))
def test_no_more_threads_than_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
    no_threads: Callable[[int], None],
    allowed: int,
) -> None:
    """One is for whoever waits; those that were tried are gone afterwards."""
    before = threading.active_count()
    monkeypatch.setattr(processors, "available_processors", lambda: 3)
    no_threads(allowed)
    number, warning = resolve_threads(None)

    assert number == min(3, max(1, allowed))
    assert (warning is None) == (allowed >= 3)
    assert warning is None or "ulimit -u" in warning
    assert threading.active_count() == before


def test_one_thread_is_not_tried(no_threads: Callable[[int], None]) -> None:
    no_threads(0)

    assert startable(1) == 1


@pytest.mark.parametrize("arguments", [TRAIN, SAMPLE, ["inspect", "m.npz", "--warmup"]])
def test_commands_do_without_a_second_thread(
    no_threads: Callable[[int], None],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    """Neither one that waits for a signal nor one that says why it takes long."""
    no_threads(0)

    assert run([*arguments, "--threads", "1"]) == 0
    assert "error" not in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here")
def test_one_thread_is_one() -> None:
    """The kernels' library keeps those that it has once started."""
    script = (
        "import os, sys\n"
        "from charrnn.__main__ import run\n"
        f"code = run({[*TRAIN, '--threads', '1']!r})\n"
        "sys.exit(code or len(os.listdir('/proc/self/task')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 1


def test_a_refused_thread_is_explained() -> None:
    error = explained(RuntimeError(f"{NO_THREAD}."))

    assert error is not None
    assert (error.exit_code, error.what) == (1, "no more threads can be started")
    assert "ulimit -u" in (error.hint or "")


# Libraries.


def failed(directory: Path, source: str) -> Exception:
    """Import a module of this source, which fails."""
    (directory / "elsewhere.py").write_text(source)
    sys.modules.pop("elsewhere", None)
    try:
        import elsewhere  # type: ignore[import-not-found]  # noqa: F401
    except Exception as error:
        return error
    pytest.fail("it could be imported")


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("raise ImportError('libx.so: too old')", "cannot be loaded: libx.so: too old"),
        ("raise RuntimeError('no such CPU\\nat 3')", "cannot be loaded: no such CPU"),
        ("raise SystemError", "cannot be loaded: SystemError"),
        ("raise OSError('libx.so')", "cannot be loaded: libx.so"),
        ("def f(): raise ValueError('0')\nf()", "cannot be loaded: 0"),
    ],
)
def test_a_library_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, what: str
) -> None:
    """Whatever it fails with."""
    monkeypatch.syspath_prepend(tmp_path)
    error = failed(tmp_path, source)

    assert failed_library(error) == "elsewhere"
    ours = explained(error)
    assert isinstance(ours, MissingComponentError)
    assert ours.what == f"elsewhere {what}"


def test_errors_of_a_program_are_its_own() -> None:
    for error in (ValueError("x"), OSError(2, "x"), RuntimeError("x"), ImportError()):
        assert explained(error) is None


@pytest.mark.parametrize("library", ["numba", "numpy", "typer"])
def test_a_missing_library_is_8(tmp_path: Path, library: str) -> None:
    """The whole way, from the import to the exit code."""
    (tmp_path / "hidden").mkdir()
    source = f"raise ModuleNotFoundError('No module', name={library!r})"
    (tmp_path / "hidden" / f"{library}.py").write_text(source)
    path = os.pathsep.join([str(tmp_path / "hidden"), os.environ.get("PYTHONPATH", "")])
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        command(*SAMPLE),
        env=os.environ | {"PYTHONPATH": os.pathsep.join([path, root])},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 8
    assert done.stderr == (
        f"charrnn: error: {library} is not installed\n"
        "hint: install it, for instance with pip\n"
    )


def test_a_layer_that_is_missing_is_8(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Any:
        msg = "No threading layer could be loaded.\nHINT:\nIntel TBB is required"
        raise ValueError(msg)

    monkeypatch.setattr(numba.config, "THREADING_LAYER", "tbb")
    # Other tests may have loaded a layer before.
    monkeypatch.setattr(numba, "threading_layer", refuse)
    monkeypatch.setattr(numba, "get_num_threads", refuse)

    assert run(SAMPLE) == 8
    error, _ = capsys.readouterr().err.splitlines()
    assert "NUMBA_THREADING_LAYER cannot be had: No threading layer" in error


# Memory.


@pytest.mark.parametrize("error", [MemoryError(), MemoryError("cannot allocate")])
def test_out_of_memory_names_the_limit(
    monkeypatch: pytest.MonkeyPatch, error: MemoryError
) -> None:
    for limit in (None, "ulimit -v 250000"):
        monkeypatch.setattr("charrnn.surroundings.memory_limit", lambda at=limit: at)
        ours = explained(error)
        assert isinstance(ours, CharRNNError)
        assert (ours.exit_code, ours.what, ours.where) == (1, "out of memory", limit)
        assert ("raise the limit" in (ours.hint or "")) == (limit is not None)


def test_a_library_that_has_no_room_is_not_missing() -> None:
    """It says that it cannot be found, and means the memory."""
    kibibytes = 250_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (kibibytes << 10, kibibytes << 10))

    done = subprocess.run(
        command(*SAMPLE), preexec_fn=limit, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr.startswith(
        f"charrnn: error: out of memory (ulimit -v {kibibytes})\nhint: raise the limit"
    )


def test_limits_as_a_shell_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for limited, written in (
        (None, None),
        (resource.RLIMIT_AS, "ulimit -v 1048576"),
        (resource.RLIMIT_DATA, "ulimit -d 1048576"),
    ):

        def limit(kind: int, limited: int | None = limited) -> tuple[int, int]:
            return (1 << 30 if kind == limited else resource.RLIM_INFINITY, -1)

        monkeypatch.setattr(resource, "getrlimit", limit)
        assert memory_limit() == written


def test_the_library_raises_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_NUM_THREADS", "0")
    with pytest.raises(OptionError, match="NUMBA_NUM_THREADS is '0'"):
        resolve_threads(None)
