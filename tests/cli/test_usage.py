"""Mistakes in a line of words are told in one style, with a hint that can be used."""

import re
from pathlib import Path

import pytest

from charrnn.__main__ import run
from charrnn.cli.app import app
from charrnn.cli.usage import Command
from tests.cli.training import Train

#: What is typed, what is said of it, and the hint.
MISTAKES = {
    "trian t.txt": ("there is no command 'trian'", "is charrnn train meant?"),
    "dance": ("there is no command 'dance'", "charrnn --help lists the commands"),
    "t.txt": ("there is no command 't.txt'", "is charrnn train t.txt meant?"),
    "t.npz": ("there is no command 't.npz'", "is charrnn sample t.npz meant?"),
    "--steps 5 train t.txt": ("there is no option --steps", "charrnn train --steps"),
    "--dance": ("there is no option --dance", "charrnn --help lists the commands"),
    "train t.txt --stps 4": ("there is no option --stps", "is --steps or --pairs mea"),
    "train t.txt -z": ("there is no option -z", "charrnn train --help"),
    "sample m.npz --steps 4": ("there is no option --steps", "of charrnn train;"),
    "train t.txt --steps": ("--steps needs a value", "write --steps N; charrnn train"),
    "sample m.npz -n": ("-n needs a value", "write -n N; charrnn sample --help"),
    "train t.txt --json=3": ("--json takes no value", "write --json; charrnn train"),
    "sample": ("CHECKPOINT is missing", "write charrnn sample CHECKPOINT;"),
    "inspect": ("CHECKPOINT is missing", "charrnn inspect --help"),
    "sample m.npz old house": (
        "one word too many: 'old'",
        "needs quotes; it comes after --prompt",
    ),
    "train t.txt --steps two": (
        "--steps must be a whole number, not 'two'",
        "leave --steps away for its default",
    ),
    "train t.txt --steps 1e3": ("not '1e3'", "is --steps 1000 meant?"),
    "train t.txt --steps 2,000": ("not '2,000'", "is --steps 2000 meant?"),
    "train t.txt --lr 0,5": ("--lr must be a number", "is --lr 0.5 meant?"),
    "train t.txt --threads x": ("--threads must be a whole number, not 'x'", "leave"),
    "sample m.npz --top-k x": ("--top-k must be a whole number, not 'x'", "leave"),
    "inspect m.npz --unit x": ("--unit must be a whole number, not 'x'", "leave"),
    "sample m.npz --include-stop": (
        "--include-stop does nothing without --stop",
        "add --stop, or leave --include-stop away",
    ),
    "sample m.npz --logprobs 3": ("--logprobs does nothing without --json", "add"),
    "sample m.npz --corpus t.txt": ("--corpus does nothing without --no-copy", "add"),
    "train t.txt --new-corpus": ("--new-corpus does nothing without --resume", "add"),
    "inspect m.npz --unknown skip": (
        "--unknown does nothing without --text or --text-file",
        "add --text or --text-file, or leave --unknown away",
    ),
    "train t.txt --cell foo": ("--cell is 'foo', not one of rnn", "leave --cell away"),
}


@pytest.mark.parametrize(("typed", "expected"), MISTAKES.items())
@pytest.mark.usefixtures("train_directory")
def test_every_mistake_in_the_same_words(
    capsys: pytest.CaptureFixture[str],
    typed: str,
    expected: tuple[str, str],
) -> None:
    """No sentence is typer's, and every hint names the page of the command."""
    Path("t.npz").touch()
    code = run(typed.split())
    out, err = capsys.readouterr()
    error, hint = err.splitlines()[-2:]

    assert (code, out) == (2, "")
    assert error.startswith("charrnn: error: ")
    assert expected[0] in error
    assert hint.startswith("hint: ")
    assert expected[1] in hint


@pytest.mark.parametrize(
    "typed",
    [
        "train '' ",
        "train t.txt --val-file ''",
        "train t.txt --init-from ''",
        "train t.txt --output ''",
        "train t.txt --log-file ''",
        "sample ''",
        "sample m.npz --prompt-file ''",
        "sample m.npz --corpus '' --no-copy 5",
        "inspect ''",
        "inspect m.npz --view next --text-file ''",
        "inspect m.npz --svg ''",
    ],
)
@pytest.mark.usefixtures("train_directory")
def test_an_empty_name_of_a_file(
    capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    """It comes from an empty variable, and is neither a directory nor missing."""
    arguments = [word.strip("'") for word in typed.split()]
    code = run(arguments)
    out, err = capsys.readouterr()
    error, hint = err.splitlines()[-2:]

    assert (code, out) == (2, "")
    assert error.endswith(" is empty")
    assert "variable" in hint


@pytest.mark.parametrize("typed", ["--version", "-h", "train --help", ""])
def test_help_and_version_with_a_closed_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    """What is asked for and cannot be printed is a failure, as for every command."""
    monkeypatch.setattr("sys.stdout", None)

    assert run(typed.split()) == 6
    assert "standard output is closed" in capsys.readouterr().err


def test_help_for_a_person_who_gave_no_text(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no payload."""
    monkeypatch.setattr("charrnn.cli.train.is_terminal", lambda stream: True)
    code, out, err = train()

    assert (code, out) == (2, b"")
    assert "--hidden" in err
    assert err.splitlines()[-2] == "charrnn: error: no text to train on"


def test_a_duration_without_a_unit(train: Train) -> None:
    for number in ("5", "1.5"):
        _, _, err = train("t.txt", "--time", number)
        assert err.endswith(f"hint: add its unit: {number}s, {number}m or {number}h\n")


@pytest.mark.parametrize("option", ["--batch-size", "--seq-length"])
def test_the_hint_for_too_large_a_batch_can_be_pasted(
    train: Train, option: str
) -> None:
    code, _, err = train("t.txt", option, "5000", "-q")
    given = re.search(rf"the most is {option} (\d+)$", err.rstrip())

    assert code == 4
    assert given
    assert f"leave {option} away" in err
    assert train("t.txt", option, given[1], "--steps", "1", "-q")[0] == 0


def test_no_command_is_without_our_words() -> None:
    """A command that is added speaks as the others do."""
    assert {command.cls for command in app.registered_commands} == {Command}
