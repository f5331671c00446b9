"""Completion as shells ask for it: what is printed, and the codes that they act on."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from charrnn.__main__ import run
from tests.commands import command

#: What is typed, and one of the words that it may go on with; None is file names.
TYPED = {
    "charrnn tr": "train",
    "charrnn train --hidd": "--hidden",
    "charrnn sample m.npz --temp": "--temperature",
    "charrnn train --": "--resume",
    "charrnn train bo": None,
    "charrnn train ": None,
    "charrnn inspect books.txt m": None,
    "charrnn sample m.npz a.txt b": None,
    "charrnn sample m.npz a.txt --temp": "--temperature",
    "charrnn dance m": None,
}


@pytest.fixture
def ask(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Ask as a shell does: the exit code and what is printed; nothing is complained."""

    def call(shell: str, typed: str, action: str = "") -> tuple[int, str]:
        monkeypatch.setenv("_CHARRNN_COMPLETE", f"complete_{shell}")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", typed)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", action)
        code = run([])
        out, err = capsys.readouterr()
        assert err == ""
        return code, out

    return call


@pytest.mark.parametrize(("typed", "word"), TYPED.items())
def test_fish_asks_whether_there_are_words_and_for_them(
    ask: Callable[..., tuple[int, str]], typed: str, word: str | None
) -> None:
    """It completes file names where the answer to the first question is a failure."""
    assert ask("fish", typed, "is-args")[0] == (1 if word is None else 0)

    code, out = ask("fish", typed, "get-args")
    words = [line.partition("\t")[0] for line in out.splitlines()]
    assert code == 0
    assert words == [""] if word is None else word in words


@pytest.mark.parametrize(("typed", "word"), TYPED.items())
def test_zsh_evaluates_what_is_printed(
    ask: Callable[..., tuple[int, str]], typed: str, word: str | None
) -> None:
    code, out = ask("zsh", typed)
    assert code == 0
    if word is None:
        assert out == "_files\n"
    else:
        assert out.startswith("_arguments '*: :((")
        assert f'"{word}"' in out


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_runs_its_script(tmp_path: Path) -> None:
    """The words come from us, and file names from bash where there are none."""
    program = tmp_path / "charrnn"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n')
    program.chmod(0o755)
    script = "\n".join(
        [
            'eval "$(charrnn --show-completion bash)"',
            "complete -p charrnn",
            "COMP_WORDS=(charrnn train --hidd) COMP_CWORD=2",
            "_charrnn_completion charrnn; echo $? ${COMPREPLY[*]}",
            "COMP_WORDS=(charrnn train bo)",
            "_charrnn_completion charrnn; echo $? ${COMPREPLY[*]}",
        ]
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )

    registered, *answers = done.stdout.splitlines()
    assert "-o default" in registered
    assert answers == ["0 --hidden", "0"]
    assert done.stderr == ""


@pytest.mark.parametrize("instruction", ["complete_nu", "nonsense", "dance_bash"])
def test_what_no_shell_asks_is_a_failure(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    instruction: str,
) -> None:
    monkeypatch.setenv("_CHARRNN_COMPLETE", instruction)

    assert run([]) == 1
    assert capsys.readouterr().err != ""
