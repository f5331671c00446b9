"""A command that is forked is what one that was started would have been."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import commands
from tests.commands import Command, command, run
from tests.factories import write_sampled
from tests.training.support import TEXT

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="commands are started here"
)

SMALL = ["--hidden", "8", "--batch-size", "4", "--seq-length", "8", "--steps", "3"]


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text(TEXT)
    write_sampled(Path("m.npz"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "m.npz", "-n", "20", "--seed", "1"],
        ["train", "t.txt", *SMALL, "-q", "-f"],
        ["inspect", "m.npz", "--json"],
        ["sample", "missing.npz"],
        ["train", "--no-such-option"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_it_says_and_leaves_the_same(arguments: list[str]) -> None:
    """With a prompt from a pipe, and permissions of this process."""
    before = os.umask(0o027)
    found = []
    try:
        # Whoever is the first to use a kernel compiles it, and says so.
        for start in (run, subprocess.run, run):
            done: Any = start(command(*arguments), input=b"the ", capture_output=True)
            left = {}
            for path in Path().glob("t.*npz"):
                left[path.name] = path.read_bytes(), path.stat().st_mode
                path.unlink()
            found.append((done.returncode, done.stdout, done.stderr, left))
    finally:
        os.umask(before)

    _, started, forked = found
    assert forked == started


def test_it_is_a_child_of_this_process_and_of_no_other() -> None:
    """Which it can be sent signals by, and learns from how it has ended."""
    words = command("sample", "m.npz", "-n", "-1", "-q", "-p", "")
    with Command(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(100)
        status = Path(f"/proc/{process.pid}/status").read_text()
        open_files = {
            str(path.readlink()) for path in Path(f"/proc/{process.pid}/fd").iterdir()
        }
        process.kill()

    assert f"PPid:\t{os.getpid()}\n" in status
    assert not any(name.startswith("socket:") for name in open_files)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("more", "forked"),
    [
        ({}, True),
        ({"env": os.environ | {"TERM": "xterm"}}, True),
        ({"env": os.environ | {"NUMBA_NUM_THREADS": "1"}}, False),
        ({"preexec_fn": lambda: None}, False),
        ({"start_new_session": True}, False),
    ],
)
def test_what_bears_on_the_start_is_started(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], forked: bool
) -> None:
    asked: list[Any] = []
    real = commands.Server.fork

    def fork(server: commands.Server, *given: Any) -> int:
        asked.append(given)
        return real(server, *given)

    monkeypatch.setattr(commands.Server, "fork", fork)
    done = run(command("--version"), capture_output=True, text=True, **more)

    assert done.stdout.startswith("charrnn ")
    assert bool(asked) == forked
