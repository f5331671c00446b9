"""Every command with its standard streams closed, full, the wrong way round or gone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint import load
from charrnn.stdio import settle
from tests.cli.odd_streams import STATES
from tests.cli.training import SHORT
from tests.factories import write_sampled
from tests.training.support import TEXT

pytestmark = pytest.mark.skipif(
    not (hasattr(os, "fork") and Path("/dev/full").exists()),
    reason="no fork or no /dev/full here",
)

#: Nothing is held out: what it is compared with would take most of the time.
QUICK = ["train", "t.txt", *SHORT, "--threads", "1", "--val-fraction", "0"]
TRAIN = [*QUICK, "-f", "-o", "o.npz"]
COMMANDS = {
    "train": TRAIN,
    "train -q": [*TRAIN, "-q"],
    "train --json": [*TRAIN, "--json"],
    "train --progress none": [*TRAIN, "--progress", "none"],
    "train --preview-every": [*TRAIN, "--preview-every", "4"],
    "train --dry-run": [*QUICK, "--dry-run"],
    "train -o -": [*QUICK, "-o", "-"],
    "sample": ["sample", "m.npz", "-n", "5"],
    "sample -q": ["sample", "m.npz", "-n", "5", "-q"],
    "sample --json": ["sample", "m.npz", "-n", "5", "--json", "-v"],
    "inspect": ["inspect", "m.npz"],
    "inspect -q": ["inspect", "m.npz", "-q"],
    "inspect --json": ["inspect", "m.npz", "--json"],
}

#: Numba's own threads, and none of OpenBLAS's: those of OpenMP survive no fork.
FORKED = {"NUMBA_THREADING_LAYER": "workqueue", "OPENBLAS_NUM_THREADS": "1"}

#: The commands as they are; the others are forms of them.
PLAIN = ("train", "train -o -", "sample", "inspect")

#: Those whose standard output is what they were asked for.
PAYLOAD = ("sample", "inspect", "train -o -")

#: What is said of an output that took nothing, if not that it is closed.
REASONS = {"full": "No space left", "terminal gone": "Input/output error"} | (
    dict.fromkeys(("pipe gone", "socket gone"), "Broken pipe")
)

#: Calls a command: the states of its streams by number, and its exit code.
Call = Callable[[str, dict[int, str]], int]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start the process that runs commands, beside a text and a model."""
    directory = tmp_path_factory.mktemp("streams")
    (directory / "t.txt").write_text(TEXT)
    write_sampled(directory / "m.npz")
    root = Path(__file__).parents[2]
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    first = json.dumps([COMMANDS[name] for name in ("train", "sample", "inspect")])
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.odd_streams", first],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": path} | FORKED,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, directory
        process.communicate()


@pytest.fixture
def call(server: Any, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command there; streams that are not named are files or /dev/null."""
    process, directory = server
    monkeypatch.chdir(directory)
    for name in ("o.npz", "out", "err"):
        Path(name).unlink(missing_ok=True)

    def run(command: str, states: dict[int, str]) -> int:
        whole = {0: os.devnull, 1: "out", 2: "err"} | states
        request = {"arguments": COMMANDS[command], "states": whole}
        print(json.dumps(request), file=process.stdin, flush=True)
        return int(process.stdout.readline())

    return run


def check_done(command: str) -> None:
    """See whether a command has done what it was asked for, output apart."""
    if command.startswith("train") and command not in ("train -o -", "train --dry-run"):
        checkpoint = load(Path("o.npz"))
        assert checkpoint.training is not None
        assert checkpoint.training.step == 12


#: Every state for each command; those that have stopped one for its other forms.
PAIRS = [
    (command, state)
    for command in COMMANDS
    for state in (STATES if command in PLAIN else ("closed", "wrong end"))
]


@pytest.mark.parametrize(("command", "state"), PAIRS)
def test_messages_that_nobody_gets(call: Call, command: str, state: str) -> None:
    """Standard error is for messages; the work and the payload are what they were."""
    assert call(command, {2: state}) == 0

    check_done(command)
    assert bool(Path("out").read_bytes()) == (command != "train --dry-run")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("command", ["train", "sample", "inspect"])
def test_an_input_that_nobody_asked_for(call: Call, command: str, state: str) -> None:
    """A prompt is taken from what can be read, and nothing else is."""
    assert call(command, {0: state}) == 0

    check_done(command)
    if command == "sample" and state == "socket":
        assert Path("out").read_text().startswith("the")


@pytest.mark.parametrize(("command", "state"), PAIRS)
def test_an_output_that_is_of_no_use(call: Call, command: str, state: str) -> None:
    """A reader may leave; what was asked for and is lost otherwise is an error."""
    code = call(command, {1: state})

    check_done(command)
    lost = ("closed", "wrong way", "wrong end", "full")
    # A checkpoint is no text, of which a reader may want the beginning only.
    missed = command.startswith(PAYLOAD) and (state in lost or command == "train -o -")
    missed = missed and state != "socket"
    # That a path is not wanted is no mistake, but a full disk may be news.
    untold = state == "full" and command not in ("train --json", "train --dry-run")
    assert code == (6 if missed or untold else 0)
    if code:
        error, hint = Path("err").read_text().splitlines()[-2:]
        assert error.startswith("charrnn: error: ")
        assert REASONS.get(state, "standard output is closed") in error
        assert hint.startswith("hint: ")


@pytest.mark.parametrize("state", ["closed", "wrong end", "terminal gone"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_stream_is_of_use(call: Call, command: str, state: str) -> None:
    """As a service manager may start it, or a shell that has gone."""
    code = call(command, dict.fromkeys(range(3), state))

    check_done(command)
    if command == "train -o -":
        assert code == 6
    elif command.startswith("train") or state == "terminal gone":
        assert code == 0
    else:
        assert code == 6


@pytest.mark.parametrize(
    ("number", "told"), [(0, "None None"), (1, "None None"), (2, "True 2")]
)
def test_no_file_gets_the_number_of_a_closed_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    """What a library prints to it would be written into that file."""
    monkeypatch.chdir(tmp_path)
    name = ("stdin", "stdout", "stderr")[number]
    script = (
        "import os, sys, charrnn.stdio\n"
        "charrnn.stdio.settle()\n"
        f"stream = sys.{name}\n"
        "told = stream and stream.writable(), stream and stream.fileno()\n"
        "opened = os.open('told', os.O_WRONLY | os.O_CREAT)\n"
        "os.write(opened, b'%r %r %r' % (*told, opened > 2))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], preexec_fn=lambda: os.close(number)
    )

    assert done.returncode == 0
    assert Path("told").read_text() == f"{told} True"


def test_streams_that_are_fine_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever has put something in their place has done so on purpose."""
    before = sys.stdin, sys.stdout, sys.stderr
    numbers = [os.fstat(number) for number in range(3)]
    settle()

    assert (sys.stdin, sys.stdout, sys.stderr) == before
    assert [os.fstat(number) for number in range(3)] == numbers
