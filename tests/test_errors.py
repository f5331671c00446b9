"""Errors name fields; only the command line makes options of them."""

import ast
import copy
import errno
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.cli.commands import shell_word
from charrnn.cli.spelling import as_option
from charrnn.config import ModelConfig, SampleConfig
from charrnn.errors import (
    CharRNNError,
    Message,
    OptionError,
    field,
    reading_hint,
    spell,
)
from charrnn.training.records import Warned

PACKAGE = Path(charrnn.__file__).parent

#: A long option, or one of the short ones, unless another program's.
OPTION = re.compile(r"(?<![\w-])(--[a-z]|(?<!ulimit )(?<!sort )-[efnopqtvN](?![\w-]))")

#: Modules whose strings look like options and are none: variables of a style
#: sheet, and a switch of LLVM; and an example with options of its own.
OTHERS = {
    *("display/html_style.py", "kernels/jit.py"),
    *(
        "examples/__main__.py",
        "examples/pairs.py",
        "examples/saving.py",
        "examples/generator.py",
    ),
}


def reread(error: CharRNNError) -> Any:
    """Pickle an error, and take it out again."""
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - it is our own


@pytest.mark.parametrize(
    ("text", "python", "option"),
    [
        (field("hidden"), "hidden", "--hidden"),
        (field("batch_size", 4), "batch_size=4", "--batch-size 4"),
        (field("memory", False), "memory=False", "--no-memory"),
        (field("newlines", "lf"), "newlines='lf'", "--newlines lf"),
        (field("lr", 0.5), "lr=0.5", "--lr 0.5"),
        (field("blend", 0.0), "blend=0.0", "--blend 0"),
        (field("force", True), "force=True", "--force"),
        (field("output", brief=True), "output", "-o"),
        (field("output", Path("a b"), brief=True), "output='a b'", "-o 'a b'"),
        (field("hidden", brief=True), "hidden", "--hidden"),
    ],
    ids=range(10),  # marks are other ones in every process, names of tests must not be
)
def test_a_field_is_spelled_in_two_ways(text: str, python: str, option: str) -> None:
    assert spell(f"use {text}, or not") == f"use {python}, or not"
    assert spell(f"use {text}, or not", as_option) == f"use {option}, or not"


def test_an_error_has_the_spelling_of_python_unless_asked() -> None:
    error = OptionError(
        f"{field('hidden')} is wrong",
        where=f"{field('text')}, offset 3",
        hint=f"{field('hidden', 2)} or less",
    )
    assert str(error) == "hidden is wrong (text, offset 3)"
    assert (error.what, error.where) == ("hidden is wrong", "text, offset 3")
    assert error.hint == "hidden=2 or less"
    assert error.spelled(as_option) == "--hidden is wrong (--text, offset 3)"
    assert spell(error.hint, as_option) == "--hidden 2 or less"
    error.hint = f"leave {field('hidden')} away"
    assert error.hint == "leave hidden away"
    assert spell(error.hint, as_option) == "leave --hidden away"


def test_the_one_field_that_is_wrong_is_told() -> None:
    with pytest.raises(OptionError) as caught:
        ModelConfig(vocab_size=1, hidden=0)
    assert caught.value.field == "hidden"
    with pytest.raises(OptionError) as caught:
        SampleConfig(temperature=0, top_k=3)
    assert caught.value.field is None  # neither is wrong without the other
    assert CharRNNError("a file is missing").field is None
    assert CharRNNError("both are wrong", field="unit").field == "unit"


@pytest.mark.parametrize(
    "name",
    ["--hidden", "a\0b", "{field}", "\udc80", '"quoted"', "[bold]", "\x1b[0m", "☃"],
)
def test_what_a_user_wrote_comes_through_unharmed(name: str) -> None:
    error = CharRNNError(f"{name} is no number, says {field('stop', name)}")
    assert str(error) == f"{name} is no number, says stop={name!r}"
    said = f"{name} is no number, says --stop {shell_word(name)}"
    assert error.spelled(as_option) == said


def test_a_mark_that_was_printed_once_cannot_be_used_in_another_message() -> None:
    """Messages are spelled once: a spelling has no marks left."""
    once = spell(f"see {field('hidden')}", as_option)
    assert spell(once) == once == "see --hidden"


@pytest.mark.parametrize("copied", [copy.deepcopy, reread])
def test_a_copy_of_an_error_names_the_same_fields(copied: Any) -> None:
    """Also in another process, which has marks of its own."""
    error = OptionError(
        f"{field('seq_length', 3)} or {field('lr', 0.5)}",
        where=field("output", Path("m.npz")),
        hint=f"leave {field('force', True, brief=True)} away",
    )
    other = copied(error)

    assert type(other) is OptionError
    assert str(other) == str(error)
    assert other.spelled(as_option) == error.spelled(as_option)
    assert spell(other.hint or "", as_option) == spell(error.hint or "", as_option)


def test_a_pickled_message_has_no_marks() -> None:
    message = Message(f"{field('lr')} is wrong")
    mark = message.marked.partition(":")[0]

    assert mark.encode() not in pickle.dumps(message)


def test_a_longer_message_keeps_what_it_quotes() -> None:
    inner = Message(f"{field('min_count', 2)} helps")
    outer = Message(f"it is said that {inner.marked}")
    assert outer == "it is said that min_count=2 helps"
    assert outer.fields[0].name == "min_count"


def test_warnings_of_a_training_name_fields() -> None:
    warned = Warned(f"{field('lr')} was halved")
    assert warned.message == "lr was halved"
    assert spell(warned.message, as_option) == "--lr was halved"


def strings() -> Iterator[tuple[str, str]]:
    """List the strings of the package outside of the command line."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith("cli/") or name in OTHERS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{name}:{node.lineno}", node.value


def test_only_the_command_line_spells_options() -> None:
    """Docstrings of the library name fields, too."""
    found = [f"{place}: {text}" for place, text in strings() if OPTION.search(text)]
    assert not found


@pytest.mark.parametrize("code", [errno.ECONNRESET, errno.ETIMEDOUT, errno.ESTALE])
def test_a_broken_connection_is_no_matter_of_a_path(code: int) -> None:
    hint = reading_hint(OSError(code, os.strerror(code)))

    assert hint.startswith("the connection is broken")
