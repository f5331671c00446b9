"""`charrnn train` on odd texts, odd names, failing disks and vanishing terminals."""

import errno
import fcntl
import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint import load
from charrnn.checkpoint import save as checkpoint_save
from charrnn.errors import OutputError
from charrnn.training import output
from tests.cli.training import (
    ENDLESS,
    LOGGED,
    SHORT,
    SMALL,
    Train,
    names,
    objects,
    position,
    trained,
)
from tests.commands import Command, command, run
from tests.training.support import TEXT

pytestmark = pytest.mark.usefixtures("train_directory")

FAST = [*SHORT, "-q"]


# Texts.


@pytest.mark.parametrize(
    ("data", "options", "code", "words"),
    [
        (b"ab\xed\xa0\x80cd", [], 4, "byte offset 2, line 1"),
        (b"ab\n\xed\xb0\x80", [], 4, "byte offset 3, line 2"),
        (b"plain\ncaf\xe9 \xc3\xa9\n" * 9, [], 4, "0xE9"),
        ("é\n".encode() + "é\n".encode("utf-16-le"), [], 4, "byte offset"),
        (b"caf\xe9 \xc3\xa9\n" * 40, ["--encoding", "latin-1"], 0, ""),
        (b"caf\xe9 \xc3\xa9\xff\xfe\x00\n" * 40, ["--unit", "byte"], 0, ""),
        (b"a\0b\0\0c\n" * 60, [], 0, ""),
        (b"\0" * 500, [], 0, ""),
        (b"\xff\xfea\0b\0" * 60, [], 4, "--encoding utf-16"),
        ("\u202e\x1b[31m\x07\ufeff\u0300\U0010ffff\n".encode() * 60, [], 0, ""),
    ],
)
def test_bad_texts(
    train: Train, data: bytes, options: list[str], code: int, words: str
) -> None:
    """One line that says where, or a model like any other."""
    Path("t.txt").write_bytes(data)

    result, _, err = train("t.txt", *FAST, *options)

    assert result == code, err
    assert words in err
    assert "Traceback" not in err
    assert err.count("\n") == (2 if code else 0)
    assert ("t.npz" in names()) == (code == 0)
    if code == 0:
        assert position().step == 12


ONE_LINE = ["--lines", "--batch-size", "1"]


@pytest.mark.parametrize("lines", [[], ONE_LINE], ids=["text", "lines"])
def test_ten_megabytes_without_a_newline(train: Train, lines: list[str]) -> None:
    """Of one character, too."""
    Path("t.txt").write_bytes(b"abcdefgh" * 1_250_000)
    code, _, err = train("t.txt", *FAST, *lines)

    assert (code, err) == (0, "")
    assert position().step == 12


def test_a_fifo_is_a_text(train: Train) -> None:
    """The same model as from a file; and a resumed run may read another one."""
    os.mkfifo("pipe")

    def feed() -> None:
        Path("pipe").write_text(TEXT)

    for options in (["-o", "piped.npz"], ["-o", "piped.npz", "--resume"]):
        writer = threading.Thread(target=feed)
        writer.start()
        steps = ["--steps", "20"] if "--resume" in options else ["--steps", "12"]
        assert train("pipe", *SMALL, *steps, "-q", *options)[0] == 0
        writer.join()
    assert train("t.txt", *SMALL, "--steps", "12", "-q")[0] == 0
    assert train("t.txt", *SMALL, "--steps", "20", "-q", "--resume")[0] == 0
    one, two = trained("piped.npz").tensors(), trained("t.npz").tensors()
    assert all((one[name] == two[name]).all() for name in one)


def test_a_text_that_shrinks_while_it_is_read(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is what is trained on."""
    Path("t.txt").write_text(TEXT * 50)
    monkeypatch.setattr("charrnn.reading.SLICE", 1000)
    real = os.fstat

    def shrink(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        os.truncate("t.txt", 2500)
        return found

    monkeypatch.setattr("charrnn.reading.os.fstat", shrink)
    assert train("t.txt", *FAST)[0] == 0
    assert trained().corpus.characters == 2500
    Path("t.txt").write_text(TEXT)
    assert train("t.txt", *FAST, "--resume")[0] == 4


@pytest.mark.parametrize(
    "name",
    [b"two words.txt", b"two\nlines.txt", b"caf\xe9.txt", b"\x1b[31m.txt", b"-f.txt"],
)
def test_odd_names_from_a_shell(name: bytes) -> None:
    """Trained, named in the checkpoint, resumed, and the path told as it is."""
    shutil.copy("t.txt", os.fsdecode(name))
    options = [word.encode() for word in FAST]
    for more in ([], [b"--resume"]):
        arguments = [*map(str.encode, command("train")), *options, *more, b"--", name]
        done = run(arguments, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == name.removesuffix(b".txt") + b".npz\n"
    path = Path(os.fsdecode(name)).with_suffix(".npz")
    assert load(path).corpus.files != ()


# Outputs.


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_dev_full_is_no_output(train: Train) -> None:
    """Named, it is not a file; redirected to, the bytes are missed."""
    code, _, err = train("t.txt", *SHORT, "-f", "-o", "/dev/full")
    assert (code, "not a regular file" in err) == (6, True)
    arguments = command("train", "t.txt", *FAST, "-o", "-")
    with Path("/dev/full").open("wb") as full:
        done = run(
            arguments, stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
    assert done.returncode == 6
    assert b"No space left on device" in done.stderr
    assert names() == {"t.txt"}


def test_disk_that_fails_for_a_while(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Periodic saves are missed loudly; the last one, or the exit code, tells."""
    calls = list[int]()

    def save(path: Path, checkpoint: Any) -> None:
        step = checkpoint.training.step
        calls.append(step)
        if step in failing:
            raise OutputError(os.strerror(errno.ENOSPC), where=str(path))
        checkpoint_save(path, checkpoint)

    monkeypatch.setattr(output, "save", save)
    plan = [*SHORT, "--save-every", "3", "--no-keep-best", "--json"]
    failing = {3, 6}
    code, out, err = train("t.txt", *plan)
    assert code == 0
    assert err.count("warning: could not save: No space left on device (t.npz)") == 2
    warned = [r for r in objects(out) if r["event"] == "warning"]
    assert ["training goes on" in r["message"] for r in warned] == [True, True]
    assert position().step == 12

    failing = {9, 12}
    before = Path("t.npz").read_bytes()
    code, out, err = train("t.txt", *plan, "-f", "--seed", "1", "--save-every", "9")
    assert code == 6
    assert "error: No space left on device (t.npz)" in err
    # The save before training is the last that there was.
    assert Path("t.npz").read_bytes() != before
    assert position().step == 0
    assert names() == {"t.txt", "t.npz"}


def test_limit_of_a_files_size() -> None:
    """A real one, from the very first save on: nothing is left."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    done = subprocess.run(
        command("train", "t.txt", *FAST), preexec_fn=limit, capture_output=True
    )

    assert done.returncode == 6
    assert b"file too large" in done.stderr
    assert names() == {"t.txt"}


def test_directory_that_goes_away() -> None:
    """Saves fail from then on, training goes on, and in the end it is told."""
    Path("out").mkdir()
    options = ["--save-every", "1", "--no-keep-best", "-o", "out/m.npz"]
    process = Command(
        command("train", "t.txt", *ENDLESS, *LOGGED, *options),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "step":
            break
    Path("out").rename("elsewhere")
    for line in process.stdout:
        if json.loads(line)["event"] == "warning":
            break
    process.terminate()
    _, err = process.communicate(timeout=60)

    assert process.returncode == 6
    # The directory may go while what was saved is being read back.
    assert "warning: could not save: " in err
    assert "no such file or directory (out/m.npz); training goes on" in err
    assert err.splitlines()[-2].startswith("charrnn: error: no such file")
    assert err.splitlines()[-1].startswith("hint: make its directory")
    assert load(Path("elsewhere/m.npz")).training is not None


def test_two_trainers_on_one_output(train: Train) -> None:
    """The second is refused and does no harm; afterwards the file is free."""
    process = Command(
        command("train", "t.txt", *ENDLESS, *LOGGED, "--save-every", "1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    for more in (["-f"], ["--resume"], ["-f", "-o", "./t.npz"]):
        code, _, err = train("t.txt", *SHORT, *more)
        assert (code, "locked by another run" in err) == (6, True), err
    process.terminate()
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGTERM
    assert position().step > 0
    assert train("t.txt", *FAST, "-f")[0] == 0


# Who reads, and who does not.


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("stream", ["stdout", "stderr", "both"])
def test_full_streams_do_not_stop_it(stream: str) -> None:
    """Metrics and messages that nobody takes; the training is a success."""
    with Path("/dev/full").open("wb") as full:
        streams: dict[str, Any] = {
            "stdout": subprocess.DEVNULL if stream == "stderr" else full,
            "stderr": subprocess.DEVNULL if stream == "stdout" else full,
        }
        done = run(
            command("train", "t.txt", *SHORT, *LOGGED, "--preview-every", "3"),
            stdin=subprocess.DEVNULL,
            timeout=60,
            **streams,
        )

    assert done.returncode == 0
    assert position().step == 12


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_has_stopped_delays_no_signal(stream: str) -> None:
    """As ``less`` does, or a terminal after Ctrl-S: a write would never return."""
    reading, writing = os.pipe()
    streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": writing}
    options = [*ENDLESS, "--preview-every", "1"]
    if stream == "stdout":
        streams = {"stdout": writing, "stderr": subprocess.DEVNULL}
        options = [*ENDLESS, *LOGGED]
    process = Command(
        command("train", "t.txt", *options), stdin=subprocess.DEVNULL, **streams
    )
    os.close(writing)
    deadline, size = time.monotonic() + 60, -1
    while time.monotonic() < deadline:
        time.sleep(0.5)
        waiting = fcntl.ioctl(reading, termios.FIONREAD, b"    ")
        before, size = size, int.from_bytes(waiting, sys.byteorder)
        if size == before > 32_000:
            break
    assert size > 32_000  # the pipe is full: it is stuck
    process.terminate()
    try:
        process.wait(20)
    finally:
        process.kill()
        os.close(reading)

    assert process.returncode == -signal.SIGTERM
    assert position().step > 0


def test_terminal_that_goes_away_before_the_end() -> None:
    """All is saved, so it was a success."""

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    master, slave = pty.openpty()
    process = Command(
        command("train", "t.txt", *SHORT, "-q"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=ignore,
    )
    os.close(slave)
    os.close(master)

    assert process.wait(60) == 0
    assert position().step == 12


def test_terminal_that_goes_away() -> None:
    """Under nohup: writing to the terminal fails, training goes on."""

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    master, slave = pty.openpty()
    process = Command(
        command("train", "t.txt", *ENDLESS, "--preview-every", "100"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=ignore,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    os.close(slave)
    seen = b""
    while b"step " not in seen:
        seen += os.read(master, 1000)
    os.close(master)
    time.sleep(0.5)  # several redrawings
    assert process.poll() is None
    process.terminate()
    process.wait(60)

    assert process.returncode == -signal.SIGTERM
    assert position().step > 0
