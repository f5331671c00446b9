"""Commands that are printed: a shell reads from them what was meant."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import charrnn
from charrnn.cli.commands import as_argument, shell_command
from charrnn.cli.train import OPTIONS
from charrnn.cli.training_report import continuation
from charrnn.cli.training_settings import settings_of
from tests.cli.training import SHORT, Train

PACKAGE = Path(charrnn.__file__).parent

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")

#: Names of files that a shell would take for something else.
ODD = [
    *(
        "two words",
        "it's",
        '"quoted"',
        "-f",
        "--resume",
        "new\nline",
        "\ttab",
        "\x1b[0m",
    ),
    *("*", "[ab]?", "{a,b}", "$HOME", "$(id)", "`id`", "~", "!!", "#x", "a;b&c|d<e>f"),
    *("a\\b", "\u202e", "é☃", os.fsdecode(b"\xff!"), "=", "%s"),
]


def read_by_shell(line: str) -> list[str]:
    """Let bash read a command, and tell the arguments that charrnn would get."""
    script = "charrnn() { printf '%s\\0' \"$@\"; }\n" + line
    done = subprocess.run(
        ["bash", "-c", os.fsencode(script)], capture_output=True, check=True
    )
    assert not done.stderr
    return [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]]


def printed_command(err: str, before: str) -> str:
    """Find the one line with a command that stands behind some words."""
    (line,) = [line for line in err.splitlines() if line.startswith(before)]
    return line.removeprefix(before)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("plain.txt", "plain.txt"),
        ("two words", "'two words'"),
        ("é☃.txt", "'é☃.txt'"),
        ("it's", "'it'\"'\"'s'"),
        ("two\nlines", r"$'two\x0alines'"),
        ("\x1b[31m", r"$'\x1b[31m'"),
        (os.fsdecode(b"\xff'\\"), r"$'\xff\x27\x5c'"),
    ],
)
def test_words_of_a_command(word: str, expected: str) -> None:
    assert shell_command("a", word) == f"a {expected}"


@needs_bash
@pytest.mark.parametrize("name", [b"caf\xe9 \xff\x01", b"\x1b'\\n", b"x" * 200])
def test_a_shell_reads_what_was_meant(name: bytes) -> None:
    line = shell_command("printf", "%s", os.fsdecode(name))
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)

    assert done.stdout == name


def test_paths_that_look_like_options() -> None:
    names = ("-x.txt", "-", "--lr", "a-b")

    assert [*map(as_argument, names)] == ["./-x.txt", "-", "./--lr", "a-b"]


@needs_bash
@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_the_command_to_try_names_the_checkpoint(train: Train, name: str) -> None:
    text, checkpoint = f"{name}.txt", Path(f"{name}.npz")
    Path("t.txt").rename(text)
    code, _, err = train(as_argument(text), *SHORT, "-f", "--output", str(checkpoint))
    *words, path = read_by_shell(printed_command(err, "charrnn: try: "))

    assert (code, words) == (0, ["sample", "--temperature", "0.8"])
    assert not path.startswith("-")
    assert Path(path) == checkpoint
    assert checkpoint.exists()


@needs_bash
@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_the_texts_of_a_directory_can_be_pasted(train: Train, name: str) -> None:
    """The directory is taken literally, the pattern is not."""
    texts = {Path(name, text) for text in ("a.txt", "b c.txt")}
    Path(name).mkdir()
    for path in texts:
        path.touch()
    code, _, err = train(as_argument(name), *SHORT)
    word, *paths = read_by_shell(printed_command(err, "hint: "))

    assert (code, word) == (3, "train")
    assert {Path(path) for path in paths} == texts
    assert not any(path.startswith("-") for path in paths)


def test_a_directory_to_validate_on_is_no_text_to_train_on(train: Train) -> None:
    Path("v").mkdir()
    code, _, err = train("t.txt", *SHORT, "--val-file", "v")

    assert (code, "hint: name a file in it" in err) == (3, True)


@needs_bash
@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_the_command_to_continue_with_is_read_as_it_was_given(name: str) -> None:
    """Typed in again, it asks for the same run."""
    import typer

    from charrnn.cli.app import app

    options = dict.fromkeys(entry.name for entry in OPTIONS.entries) | {
        "output": f"{name}.out.npz",
        "val_file": f"{name}.val",
        "log_file": f"{name}.log",
        "save_every": "1234567s",
    }
    sources = (as_argument(name), "t.txt")
    words = read_by_shell(continuation(settings_of(sources, options)))

    group = typer.main.get_command(app)
    train = group.commands["train"]  # type: ignore[attr-defined]
    context = train.make_context("train", words[1:])
    given = context.params.items()
    asked = {key: value for key, value in given if value not in (None, ())}
    assert words[0] == "train"
    assert asked.pop("paths") == list(sources)
    assert asked == {k: v for k, v in options.items() if v} | {"resume": True}


@needs_bash
@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_the_options_of_a_hint_can_be_pasted(train: Train, name: str) -> None:
    checkpoint = f"{name}.npz"
    assert train("t.txt", *SHORT, "-q", "-o", checkpoint)[0] == 0
    Path("t.txt").write_text("ab")
    code, _, err = train("t.txt", "--resume", "--new-corpus", "-o", checkpoint)
    options = printed_command(err, "hint: ").partition("begin a new run: ")[2]

    assert code == 4
    assert read_by_shell(f"charrnn {options}") == [
        *("--init-from", checkpoint, "-o", "OTHER.npz")
    ]


def test_commands_that_name_something_are_put_together_in_one_place() -> None:
    """No text of the package writes one, and fills a name in by itself."""
    begins = re.compile(r"charrnn (train|sample|inspect)\b|charrnn $")
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.JoinedStr):
                continue
            parts = [v.value for v in node.values if isinstance(v, ast.Constant)]
            if any(begins.search(str(part)) for part in parts):
                found.append((path.name, "".join(map(str, parts))))

    # A version, titles and a heading, which nobody types.
    assert sorted(found) == [
        ("app.py", "charrnn "),
        ("html_page.py", " - charrnn inspect"),
        ("inspect_files.py", "charrnn inspect: "),
        ("reference.py", "## charrnn "),
    ]
