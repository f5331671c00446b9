"""Other systems than this one, as far as their answers can be given here."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from charrnn.caching import cache_root
from charrnn.checkpoint import load
from charrnn.kernels import jit
from tests.cli.training import ENDLESS, SHORT
from tests.commands import command

REPOSITORY = Path(__file__).parent.parent
TEXT = "the sea, the sea!\nold houses by the sea.\n" * 30
WINDOWS = [sys.executable, "-m", "tests.windows"]

#: By these, the one who pretends to be Windows knows which file is to be locked.
needs_descriptors = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="there is no /proc/self/fd"
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a directory with one text, with this package in reach."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    Path("t.txt").write_text(TEXT)


def done(words: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=os.environ | more, input="", capture_output=True, text=True
    )


def trained(words: list[str], output: str, **more: str) -> bytes:
    """Train a little, and read the checkpoint."""
    result = done([*words, "train", "t.txt", *SHORT, "-q", "-o", output], **more)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{output}\n", "")
    return Path(output).read_bytes()


@needs_descriptors
def test_windows_trains_and_samples_the_same() -> None:
    here = trained(command(), "here.npz")
    assert trained(WINDOWS, "there.npz") == here

    options = ["sample", "there.npz", "-n", "50", "--seed", "3"]
    with subprocess.Popen(
        [*WINDOWS, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        there, _ = process.communicate(b"the ")
    shown = done([*command(*options), "-p", "the "])
    assert (process.returncode, shown.returncode) == (0, 0)
    assert there.decode() == shown.stdout
    shown = done([*WINDOWS, "inspect", "there.npz", "--verify", "--view", "system"])
    assert (shown.returncode, shown.stderr) == (0, "")


@needs_descriptors
def test_windows_replaces_a_checkpoint_and_leaves_nothing_behind() -> None:
    trained(WINDOWS, "m.npz")
    result = done(
        [*WINDOWS, "train", "t.txt", "--resume", "--steps", "20", "-o", "m.npz"]
    )

    assert result.returncode == 0, result.stderr
    state = load(Path("m.npz")).training
    assert state is not None
    assert state.step == 20
    assert {path.name for path in Path().iterdir()} == {"t.txt", "m.npz", "m.best.npz"}


@needs_descriptors
def test_windows_keeps_two_runs_from_one_output() -> None:
    Path(".m.npz.lock.held").touch()
    result = done([*WINDOWS, "train", "t.txt", *SHORT, "-o", "m.npz"])

    assert result.returncode == 6
    assert "charrnn: error: locked by another run (m.npz)" in result.stderr
    assert not Path("m.npz").exists()


@needs_descriptors
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_windows_saves_when_it_is_interrupted(number: int, code: int) -> None:
    """The exit code is the one that shells know; a signal cannot be died by."""
    words = [*WINDOWS, "train", "t.txt", *ENDLESS, "--json", "--log-every", "1"]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if '"event": "step"' in line:
            process.send_signal(number)
            break
    _, err = process.communicate()

    assert process.returncode == code
    assert "continue with: charrnn train t.txt --resume" in err
    assert load(Path("t.npz")).training is not None


@needs_descriptors
def test_windows_is_ended_at_once_before_there_is_anything_to_save() -> None:
    os.mkfifo("slow.txt")
    pipe = os.open("slow.txt", os.O_RDWR)  # which waits for no reader
    os.write(pipe, b"the beginning of a text")
    process = subprocess.Popen(
        [*WINDOWS, "train", "slow.txt", *SHORT, "-o", "m.npz"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # As soon as it is empty, the rest of the text is waited for.
    while process.poll() is None and unread(pipe):
        time.sleep(0.01)
    process.terminate()
    out, err = process.communicate()
    os.close(pipe)

    assert (process.returncode, out) == (143, "")
    assert "Traceback" not in err


def unread(pipe: int) -> int:
    """Count the bytes in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_layers_of_threads_give_the_same_bytes() -> None:
    """A Mac without OpenMP has the work queue only, which every wheel brings."""
    usual = trained([*command()], "usual.npz")
    queue = {"NUMBA_THREADING_LAYER": "workqueue"}
    assert trained(command(), "queue.npz", **queue) == usual

    words = command("sample", "usual.npz", "-p", "", "-N", "40", "-n", "30")
    texts = [done([*words, "--seed", "1"], **layer) for layer in ({}, queue)]
    assert [text.returncode for text in texts] == [0, 0]
    assert texts[0].stdout == texts[1].stdout


def test_where_kernels_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHARRNN_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    for platform, place in (("darwin", "Library/Caches"), ("linux", ".cache")):
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_root() == Path("/home/someone", place, "charrnn")
    # Windows knows its users' directories without HOME.
    monkeypatch.setattr(Path, "home", lambda: Path("profile"))
    monkeypatch.delattr(os, "getuid")
    monkeypatch.setattr(sys, "platform", "win32")
    assert cache_root() == Path("profile", ".cache", "charrnn")


def test_a_system_without_users_has_private_directories(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Windows keeps others out by the rights that a profile's directories inherit."""
    root = tmp_path / "kernels"
    root.mkdir(mode=0o777)
    root.chmod(0o777)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("CHARRNN_CACHE_DIR", str(root))
    assert jit.cache_directory() is None  # here, whoever may write to it is a danger
    monkeypatch.delattr(os, "getuid")

    found = jit.cache_directory()
    assert found is not None
    assert found.parent == root
