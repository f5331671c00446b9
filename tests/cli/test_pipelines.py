"""The pipelines of the contract, as printed, by a real shell under pipefail.

The command that they call trains a small network for a few steps, unless told
otherwise; nothing else about them is changed.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.training import SHORT, position
from tests.commands import command
from tests.factories import write_sampled

Shell = Callable[[str], subprocess.CompletedProcess[str]]

TEXT = "The old house by the sea was empty.\nNobody came back to it.\n" * 12

NAMES = "Ann\nBea\nCleo\nDora\nEdith\nFay\nGwen\nHilda\n" * 8

WRAPPER = """#!/bin/sh
if [ "$1" = train ]; then shift; set -- train {options} "$@"; fi
exec {command} "$@"
"""

#: What jq is asked for, for those who have none.
LIKE_JQ = (
    "import json, sys;"
    "records = map(json.loads, sys.stdin);"
    "[print(r['text']) for r in records if r['bits_per_char'] < 1.8]"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write texts, prompts, untrained models, and the command."""
    path = tmp_path_factory.mktemp("files")
    (path / "bin").mkdir()
    wrapper = path / "bin" / "charrnn"
    options = shlex.join([*SHORT, "--log-every", "1"])
    wrapper.write_text(WRAPPER.format(options=options, command=shlex.join(command())))
    wrapper.chmod(0o700)

    (path / "books").mkdir()
    for name in ("lovecraft.txt", "x.txt", "books/1.txt", "books/2.txt"):
        (path / name).write_text(TEXT)
    (path / "names.txt").write_text(NAMES)
    (path / "prompts.txt").write_text("ab\nb  a\n")
    symbols = "".join(sorted(set(TEXT)))
    for name in ("lovecraft.npz", "a.npz", "b.npz"):
        write_sampled(path / name, symbols=symbols)
    write_sampled(path / "m.npz", symbols="\n ab")
    return path


@pytest.fixture
def shell(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Work in a copy of the files; run scripts there, with nothing piped in."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def call(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


def test_train(shell: Shell) -> None:
    """The checkpoint's path is all that goes to standard output."""
    Path("lovecraft.npz").unlink()
    done = shell("charrnn train lovecraft.txt")

    assert (done.returncode, done.stdout) == (0, "lovecraft.npz\n")
    assert position("lovecraft.npz").step == 12
    assert "Traceback" not in done.stderr


def test_sample(shell: Shell) -> None:
    done = shell("charrnn sample --temperature 0.8 lovecraft.npz")

    assert done.returncode == 0
    assert len(done.stdout) in (2000, 2001)
    assert done.stdout.endswith("\n")
    assert set(done.stdout) <= set(TEXT)


def test_books_through_a_pipe(shell: Shell) -> None:
    done = shell("cat books/*.txt | charrnn train - -o books.npz -q")

    assert (done.returncode, done.stdout, done.stderr) == (0, "books.npz\n", "")
    assert position("books.npz").step == 12


def test_path_of_the_checkpoint_in_a_variable(shell: Shell) -> None:
    done = shell(
        "ckpt=$(charrnn train names.txt --time 60s -q) && "
        'charrnn sample "$ckpt" --no-echo --lines 20'
    )

    assert done.returncode == 0
    assert done.stdout.count("\n") == 20
    assert done.stdout.endswith("\n")
    assert set(done.stdout) <= set(NAMES)


def test_prompt_through_a_pipe_and_text_folded(shell: Shell) -> None:
    done = shell(
        'echo "The old house" | charrnn sample lovecraft.npz -n 400 | fold -s -w 72'
    )

    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 72
    # Where nothing but the prompt has a space, it is there that fold breaks.
    made = done.stdout.replace("\n", "")
    assert made.startswith("The old house")
    assert len("The old house") < len(made) <= len("The old house") + 400


def test_endless_text_until_the_reader_leaves(shell: Shell) -> None:
    done = shell(
        "charrnn sample lovecraft.npz -n -1 | head -c 100000 > fake.txt;"
        'echo "${PIPESTATUS[@]}"'
    )

    assert (done.returncode, done.stdout) == (0, "0 0\n")
    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr
    assert len(Path("fake.txt").read_bytes()) == 100_000
    assert set(Path("fake.txt").read_text()) <= set(TEXT)


def test_loop_keeps_its_input(shell: Shell) -> None:
    done = shell(
        'while read -r p; do charrnn sample m.npz -p "$p" -n 80; done < prompts.txt'
    )

    assert done.returncode == 0
    assert done.stdout.startswith("ab")
    rest = done.stdout[len("ab") + 80 :].removeprefix("\n")
    assert rest.startswith("b  a")
    assert len(rest.removeprefix("b  a")) in (80, 81)


@pytest.mark.parametrize(
    "filter_",
    [
        pytest.param(
            "jq -r 'select(.bits_per_char < 1.8).text'",
            marks=pytest.mark.skipif(shutil.which("jq") is None, reason="no jq here"),
        ),
        shlex.join([command()[0], "-c", LIKE_JQ]),
    ],
    ids=["jq", "python"],
)
def test_records_are_filtered(shell: Shell, filter_: str) -> None:
    done = shell(
        "charrnn sample m.npz -N 50 -n 300 --json --seed 1 | tee all | " + filter_
    )

    records = [json.loads(line) for line in Path("all").read_text().splitlines()]
    kept = [record["text"] for record in records if record["bits_per_char"] < 1.8]
    assert len(records) == 50
    assert kept
    assert (done.returncode, done.stdout) == (0, "".join(f"{text}\n" for text in kept))


def test_text_of_one_model_surprises_another(shell: Shell) -> None:
    """The most surprising of 2000 characters come first."""
    done = shell(
        "charrnn sample a.npz | "
        "charrnn inspect b.npz --view surprise --text-file - --plain | "
        "sort -k3 -nr | head;"
        'echo "${PIPESTATUS[@]:0:2}"'
    )

    *rows, status = done.stdout.splitlines()
    assert status == "0 0"
    assert len(rows) == 10
    bits = [float(row.split()[2]) for row in rows]
    assert bits == sorted(bits, reverse=True)
    assert bits[-1] > 1


def test_nothing_to_read(shell: Shell) -> None:
    done = shell("charrnn sample m.npz < /dev/null")

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) in (2000, 2001)


def test_training_in_the_background(shell: Shell) -> None:
    done = shell("nohup charrnn train x.txt & wait $!")

    assert (done.returncode, done.stdout) == (0, "x.npz\n")
    assert position("x.npz").step == 12


def test_every_checkpoint_is_verified(shell: Shell) -> None:
    """A damaged one is named; ``find`` goes on with the others."""
    damaged = bytearray(Path("a.npz").read_bytes())
    damaged[-2000] ^= 1
    script = r"find . -name '*.npz' -exec charrnn inspect --verify {} \;"

    good = shell(script)
    Path("a.npz").write_bytes(damaged)
    bad = shell(script)

    assert good.returncode == bad.returncode == 0
    for name in ("a.npz", "b.npz", "lovecraft.npz", "m.npz"):
        assert name in good.stdout
    assert good.stderr == ""
    assert bad.stderr.startswith("charrnn: error: ")
    assert "a.npz" in bad.stderr
    assert "a.npz" not in bad.stdout
    assert "m.npz" in bad.stdout


def test_training_goes_on_after_the_reader_left(shell: Shell) -> None:
    done = shell('charrnn train x.txt --json | head -3; echo "${PIPESTATUS[@]}"')

    *lines, status = done.stdout.splitlines()
    assert (done.returncode, status) == (0, "0 0")
    assert len(lines) == 3
    assert json.loads(lines[0])["event"] == "start"
    assert position("x.npz").step == 12


def test_a_failure_shows_under_pipefail(shell: Shell) -> None:
    """Whoever comes last may be content with nothing."""
    for script, code in (
        ("charrnn sample missing.npz | cat", 3),
        ("echo x | charrnn sample m.npz | cat", 4),
        ("charrnn sample lovecraft.txt | cat", 5),
        ("ckpt=$(charrnn train missing.txt -q) && charrnn sample $ckpt", 3),
    ):
        done = shell(script)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("charrnn: error: ")
