"""The way in and out: how mistakes in options end, and what is said of them."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from charrnn.__main__ import run
from tests.factories import write_sampled


@pytest.fixture(autouse=True)
def _in_directory(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Work where there is nothing, with nothing piped in."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield


USAGE = {
    "": "CHECKPOINT",
    "m.npz extra": "extra",
    "m.npz --temprature 1": "--temprature",
    "m.npz -t hot": "--temperature",
    "m.npz -t nan": "--temperature must be a finite number",
    "m.npz -t inf": "--temperature must be a finite number",
    "m.npz -t -1": "--temperature must be at least 0",
    "m.npz -t 0 --top-k 5": "--temperature 0 cannot be combined with --top-k",
    "m.npz -t 0 --top-p 0.5": "--temperature 0 cannot be combined with --top-p",
    "m.npz -t 0 --min-p 0.5": "--temperature 0 cannot be combined with --min-p",
    "m.npz --top-k 0": "--top-k must be at least 1",
    "m.npz --top-k 2.5": "--top-k",
    "m.npz --top-p 0": "--top-p must be above 0",
    "m.npz --top-p 1.1": "--top-p",
    "m.npz --top-p nan": "--top-p must be a finite number",
    "m.npz --min-p -0.1": "--min-p must be at least 0",
    "m.npz --min-p nan": "--min-p must be a finite number",
    "m.npz -n -2": "--length must be at least -1",
    "m.npz -n many": "--length",
    "m.npz -N 0": "--num-samples must be at least 1",
    "m.npz --seed -1": "--seed must be at least 0",
    "m.npz --seed 9223372036854775808": "--seed",
    "m.npz --stop=": "--stop must not be empty",
    "m.npz --unknown drop": "--unknown",
    "m.npz --color sometimes": "--color",
    "m.npz --progress dots": "--progress",
    "m.npz --threads 0": "--threads must be at least 1",
    "m.npz -p a --prompt-file b": "--prompt cannot be combined with --prompt-file",
    "m.npz --json -0": "--json cannot be combined with --null",
    "m.npz --json --separator x": "--json cannot be combined with --separator",
    "m.npz -0 --separator x": "--separator cannot be combined with --null",
    "m.npz -n -1 --json": "--length -1 cannot be combined with --json",
    "m.npz -n -1 --no-stream": "--length -1 cannot be combined with --no-stream",
    "m.npz -n -1 -N 2": "--length -1 cannot be combined with --num-samples",
    r"m.npz -e -p \q": r"--escape: \q is not an escape",
    r"m.npz -e --stop \x": r"--escape: \x is not an escape",
    r"m.npz -e --separator \u1": r"--escape: \u is not an escape",
}


@pytest.mark.parametrize(("arguments", "word"), USAGE.items())
def test_usage_errors_are_2(
    capsys: pytest.CaptureFixture[str], arguments: str, word: str
) -> None:
    """They come before the checkpoint is looked for, in one line that names them."""
    code = run(["sample", *arguments.split()])
    out, err = capsys.readouterr()

    assert (code, out) == (2, "")
    assert re.fullmatch(r"charrnn: error: [^\n]+\nhint: [^\n]+\n", err)
    assert word in err.splitlines()[0]


def test_color_of_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sample", "missing.npz"]) == 3
    assert "\x1b" not in capsys.readouterr().err


def test_number_of_threads_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is checked like the option, which goes before it."""
    write_sampled(Path("m.npz"))
    monkeypatch.setenv("CHARRNN_THREADS", "some")

    assert run(["sample", "m.npz"]) == 2
    assert "CHARRNN_THREADS is 'some'" in capsys.readouterr().err
    assert run(["sample", "m.npz", "--threads", "1", "-n", "1"]) == 0


def test_debugging_shows_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_DEBUG", "1")
    assert run(["sample", "missing.npz"]) == 3
    err = capsys.readouterr().err

    assert "Traceback" in err
    assert err.splitlines()[-1].startswith(("charrnn: error: ", "hint: "))


def test_internal_errors_are_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        msg = "of ours"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr("charrnn.cli.sample._Run.run", broken)

    assert run(["sample", "m.npz"]) == 1
    err = capsys.readouterr().err
    assert "internal error: ZeroDivisionError: of ours" in err
    assert "CHARRNN_DEBUG=1" in err


def test_an_end_of_file_from_anywhere_keeps_its_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typer would take it for an end of its own input, and abort without a word."""

    def broken(*_: object) -> None:
        msg = "a file was cut short"
        raise EOFError(msg)

    monkeypatch.setattr("charrnn.cli.sample._Run.run", broken)

    assert run(["sample", "m.npz"]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error == ("charrnn: error: internal error: EOFError: a file was cut short")
    assert "CHARRNN_DEBUG=1" in hint


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (SystemExit(None), 0, ""),
        (SystemExit(0), 0, ""),
        (SystemExit(3), 3, ""),
        (SystemExit("enough"), 1, "charrnn: error: enough\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Exit(5), 5, ""),
    ],
)
def test_codes_that_are_meant_are_kept(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    code: int,
    told: str,
) -> None:
    def end(*_: object) -> None:
        raise raised

    monkeypatch.setattr("charrnn.cli.sample._Run.run", end)

    assert run(["sample", "m.npz"]) == code
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("error", "code", "message", "hint"),
    [
        (OSError(errno.ENOSPC, "No space left"), 6, "cannot write: No space", "free"),
        (OSError(errno.EIO, "I/O error"), 6, "cannot write: I/O error", "place"),
        (OSError(errno.EMFILE, "Too many", "/x"), 1, "too many (/x)", "ulimit -n"),
        (FileNotFoundError(errno.ENOENT, "No such"), 1, "error: no such\n", "DEBUG"),
        (OSError("odd"), 1, "error: odd\n", "DEBUG"),
    ],
)
def test_only_what_fails_in_writing_is_called_so(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    code: int,
    message: str,
    hint: str,
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("charrnn.cli.sample._Run.run", broken)

    assert run(["sample", "m.npz"]) == code
    err = capsys.readouterr().err
    assert message in err
    assert hint in err.splitlines()[-1]


def test_working_directory_that_is_gone(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    assert run(["train", "t.txt"]) == 1
    assert capsys.readouterr().err == (
        "charrnn: error: no such file or directory\n"
        "hint: the working directory is gone: cd to another one\n"
    )


def test_help_does_without_docstrings(capsys: pytest.CaptureFixture[str]) -> None:
    """Python leaves them out where it is told to optimize."""
    pages = [["--help"], *([name, "--help"] for name in ("train", "sample", "inspect"))]
    for page in pages:
        assert run(page) == 0
    script = f"from charrnn.__main__ import run\nfor page in {pages}: run(page)"
    done = subprocess.run(
        [sys.executable, "-OO", "-c", script], capture_output=True, text=True
    )

    assert done.stdout == capsys.readouterr().out


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_grouped_and_ends_in_examples(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert run(["sample", option]) == 0
    out = capsys.readouterr().out

    groups = ["Prompt", "Length", "Choice of", "Output", "Common", "Examples:"]
    places = [out.index(f" {group} ") for group in groups]
    assert places == sorted(places)
    assert "charrnn sample" in out[places[-1] :]
