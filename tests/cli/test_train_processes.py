"""`charrnn train` as a process: real pipes, real signals, a real terminal."""

import json
import os
import re
import resource
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.__main__ import run
from charrnn.checkpoint import load
from charrnn.cli.signals import Caught, Killed
from charrnn.training import run as run_module
from charrnn.training.job import Job
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
from tests.commands import Command, command
from tests.commands import run as run_command
from tests.training.support import TEXT

pytestmark = pytest.mark.usefixtures("train_directory")


def start(*arguments: str, **more: Any) -> Command:
    """Start the command as a process of its own."""
    more.setdefault("stdin", subprocess.DEVNULL)
    return Command(
        command("train", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def wait_for_step(process: Command, step: int = 1) -> None:
    """Read the records on stdout until the run has come so far."""
    assert process.stdout is not None
    for line in process.stdout:
        record = json.loads(line)
        if record["event"] == "step" and record["step"] >= step:
            return
    pytest.fail("the run ended too early")


@pytest.mark.parametrize("resumed", [False, True])
def test_interrupted_before_the_first_step(train: Train, resumed: bool) -> None:
    """It says what has become of the file; the text never comes."""
    os.mkfifo("pipe")
    more = ["--resume"] if resumed else []
    if resumed:
        assert train("t.txt", *SHORT, "-q", "-o", "m.npz")[0] == 0
    process = start("pipe", "-o", "m.npz", *more)
    with Path("pipe").open("wb"):  # opened once the process reads
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    kept = "m.npz is as it was" if resumed else "nothing has been saved"

    assert process.returncode == -signal.SIGINT
    assert err.endswith(f"charrnn: ended before the first step: {kept}\n")
    assert Path("m.npz").exists() == resumed


def test_interrupted_run_can_be_continued(train: Train) -> None:
    """Ctrl-C: saved, told how to go on, dead by the signal; then as undisturbed."""
    plan = [*SMALL, "--steps", "1500", "--eval-every", "250", "--no-keep-best"]
    process = start("t.txt", *plan, *LOGGED)
    wait_for_step(process, 5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert json.loads(out.splitlines()[-1])["reason"] == "interrupted"
    step = position().step
    assert 5 <= step < 1500
    assert f"saved after step {step:,}" in err
    told = re.search(r"continue with: charrnn (.*)", err)
    assert told is not None
    assert "--no-keep-best --json" in told[1]
    assert run([*shlex.split(told[1]), "-q"]) == 0
    assert train("t.txt", *plan, "-q", "-o", "whole.npz")[0] == 0

    assert Path("t.npz").read_bytes() == Path("whole.npz").read_bytes()


def test_a_run_that_goes_on_leaves_out_what_was_left_out() -> None:
    process = start("t.txt", *ENDLESS, *LOGGED, "--no-memory")
    wait_for_step(process, 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert re.search(r"continue with: charrnn .* --no-memory", err) is not None
    assert not trained().remembers


def test_interrupted_twice(train: Train) -> None:
    """The second time it leaves at once, and the file is a complete one."""
    assert train("t.txt", *SHORT, "-q")[0] == 0
    process = start("t.txt", *ENDLESS, *LOGGED, "--force", "--save-every", "1")
    wait_for_step(process, 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in err
    assert trained().parameters


def test_terminated_run_is_saved() -> None:
    process = start("t.txt", *ENDLESS, *LOGGED)
    wait_for_step(process, 3)
    process.terminate()
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGTERM
    assert position().step >= 3


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="not Linux")
def test_run_that_has_used_up_its_time_is_saved() -> None:
    """The system sends the signal once a second from the soft limit on."""
    process = start("t.txt", *ENDLESS, *LOGGED, "--save-every", "0")
    wait_for_step(process, 3)
    resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_CPU)
    resource.prlimit(process.pid, resource.RLIMIT_CPU, (1, hard))
    out, err = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGXCPU
    assert json.loads(out.splitlines()[-1])["reason"] == "cpu_limit"
    assert "continue with: charrnn train" in err
    assert position().step >= 3


def test_hangup_that_is_ignored_and_save_on_request() -> None:
    """As under nohup; SIGUSR1 saves and goes on."""

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = start("t.txt", *ENDLESS, *LOGGED, "--save-every", "0", preexec_fn=ignore)
    wait_for_step(process, 2)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGUSR1)
    assert process.stdout is not None
    saves = (json.loads(line) for line in process.stdout)
    saved = next(r for r in saves if r["event"] == "save" and "best" not in r["path"])
    assert saved["step"] >= 2
    wait_for_step(process, saved["step"] + 1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGINT
    assert position().step > saved["step"]


def test_interrupt_before_training() -> None:
    """While it waits for a text: nothing is written."""
    process = start("-", *SMALL, stdin=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline() == "charrnn: reading standard input\n"
    deadline = time.monotonic() + 30
    while not Path(".charrnn.npz.lock").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in err
    assert names() == {"t.txt"}


@pytest.mark.parametrize("gone", ["stdout", "stderr", "both"])
def test_readers_may_leave(gone: str) -> None:
    """The run goes on to its end, and that is a success."""
    reading, writing = os.pipe()
    os.close(reading)
    streams: dict[str, Any] = {
        "stdout": subprocess.PIPE if gone == "stderr" else writing,
        "stderr": subprocess.PIPE if gone == "stdout" else writing,
    }
    arguments = command("train", "t.txt", *SHORT, *LOGGED)
    done = run_command(arguments, **streams, stdin=subprocess.DEVNULL, timeout=60)
    os.close(writing)

    assert done.returncode == 0
    assert position().step == 12
    assert b"Exception" not in (done.stderr or b"")


def test_pipeline() -> None:
    """From a pipe, into head, and into a file by redirection."""
    train = shlex.join(command("train"))
    options = shlex.join([*SHORT, "-q"])
    script = (
        f"set -o pipefail; cat t.txt | {train} - {options} -o - > piped.npz && "
        f"{train} t.txt {options} --json --log-every 1 | head -n 1 && "
        f"{train} t.txt {shlex.join(SHORT)} -o closed.npz >&- 2>&-"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=120)

    assert (done.returncode, done.stderr) == (0, b"")
    assert [record["event"] for record in objects(done.stdout)] == ["start"]
    assert Path("piped.npz").read_bytes() != b""
    assert position("piped.npz").step == 12
    assert position("closed.npz").step == 12
    parts = [trained(name).parameters for name in ("t.npz", "piped.npz")]
    assert all((parts[0][name] == parts[1][name]).all() for name in parts[0])


def test_at_a_terminal() -> None:
    """A bar, previews, and the terminal as it was; the payload stays clean."""
    master, slave = os.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "70"}
    process = Command(
        command("train", "t.txt", *SMALL, "--steps", "60"),
        stdout=subprocess.PIPE,
        stderr=slave,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    os.close(slave)
    sent = bytearray()
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        sent += data
    os.close(master)
    out, _ = process.communicate(timeout=60)
    text = sent.decode()

    assert (process.returncode, out) == (0, b"t.npz\n")
    assert "Traceback" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "100%" in text or "step 60" in text
    assert "  │ " in text
    assert "try: charrnn sample" in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk(train: Train) -> None:
    """A log does not stop a training, nor does a payload that cannot be told."""
    code, _, err = train("t.txt", *SHORT, "--log-file", "/dev/full")
    assert code == 0
    assert err.count("the log file is given up") == 1
    with Path("/dev/full").open("wb") as full:
        arguments = command("train", "t.txt", *SHORT, "-qf")
        done = run_command(arguments, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 6
    assert position().step == 12


def test_signal_in_process_ends_in_killed(train: Train) -> None:
    """Whoever calls `run` learns of the signal; `main` dies by it."""
    real = run_module.Run._step

    def step(self: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module.Run, "_step", step)
        with pytest.raises(Killed) as caught:
            train("t.txt", *SHORT)

    assert caught.value.number == signal.SIGTERM
    assert position().step == 1


@pytest.mark.parametrize("when", ["training", "measuring"])
def test_nobody_who_interrupts_waits_for_counts(
    train_directory: Path, capsys: pytest.CaptureFixture[str], when: str
) -> None:
    """Neither during a run nor after it; what was trained is saved all the same."""
    real, measured = run_module.Run._step, []

    def step(self: Any) -> Any:
        if when == "training":
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self)

    def counted(texts: Any, max_order: int) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        for order in range(1, max_order + 1):
            measured.append(order)
            yield np.ones(len(texts.held_out))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module.Run, "_step", step)
        patch.setattr("charrnn.training.kneser_ney.probabilities", counted)
        with pytest.raises(Killed):
            run(["train", "t.txt", *SHORT, "--json"])
    out, err = capsys.readouterr()
    end = json.loads(out.splitlines()[-1])

    assert measured == ([] if when == "training" else [1])
    assert (end["event"], end["yardsticks"], end["blend"]) == ("end", None, None)
    assert load(Path("t.npz")).memory is None
    assert "without a network" not in err
    assert position().step == (1 if when == "training" else 12)


def interrupted(self: Caught) -> None:
    """Be interrupted from the beginning."""
    self.number, self.save_now = signal.SIGINT, False


def test_a_run_that_had_ended_is_not_to_be_continued(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C behind its last step ends the yardsticks, and nothing is missing."""
    Path("t.txt").write_text(TEXT)

    def measure(job: Job, stopped: Callable[[], bool], *more: object) -> None:
        signal.raise_signal(signal.SIGINT)
        assert stopped()

    monkeypatch.setattr(Job, "baselines", measure)

    with pytest.raises(Killed):
        run(["train", "t.txt", *SHORT])

    told = capsys.readouterr().err
    assert "saved after step 12" in told
    assert "continue with" not in told


@pytest.mark.parametrize(
    "options",
    [
        ["--encoding", "latin-1", "--newlines", "lf"],
        ["--val-file", "v w.txt"],
        ["-o", "out put.npz", "--lines"],
        ["--unit", "byte"],
    ],
)
def test_command_that_is_told_continues(
    capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    """It has all that it takes to read the same text again."""
    Path("t.txt").write_bytes(TEXT.replace("\n", "\r\n").encode())
    Path("v w.txt").write_text(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charrnn.cli.signals.Caught.__init__", interrupted)
        with pytest.raises(Killed):
            run(["train", "t.txt", *SHORT, *options])
    told = re.search(r"continue with: charrnn (.*)", capsys.readouterr().err)
    assert told is not None

    assert run(shlex.split(told[1])) == 0
    assert "12 steps" in capsys.readouterr().err
