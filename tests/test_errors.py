"""Errors name fields; only the command line makes options of them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import charrnn
from charrnn.cli.spelling import as_option
from charrnn.config import ModelConfig, SampleConfig
from charrnn.errors import CharRNNError, Message, OptionError, field, spell
from charrnn.training.records import Warned

PACKAGE = Path(charrnn.__file__).parent

#: A long option, or one of the short ones, unless another program's.
OPTION = re.compile(r"(?<![\w-])(--[a-z]|(?<!ulimit )(?<!sort )-[efnopqtvN](?![\w-]))")

#: Modules whose strings look like options and are none: variables of a style
#: sheet, and a switch of LLVM.
OTHERS = {"display/html_style.py", "kernels/jit.py"}


@pytest.mark.parametrize(
    ("text", "python", "option"),
    [
        (field("hidden"), "hidden", "--hidden"),
        (field("batch_size", 4), "batch_size=4", "--batch-size 4"),
        (field("memory", False), "memory=False", "--no-memory"),
        (field("newlines", "lf"), "newlines='lf'", "--newlines lf"),
        (field("lr", 0.5), "lr=0.5", "--lr 0.5"),
        (field("force", True), "force=True", "--force"),
        (field("output", brief=True), "output", "-o"),
        (field("output", Path("a b"), brief=True), "output='a b'", "-o a b"),
        (field("hidden", brief=True), "hidden", "--hidden"),
    ],
    ids=range(9),  # marks are other ones in every process, names of tests must not be
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
    assert error.spelled(as_option) == f"{name} is no number, says --stop {name}"


def test_a_mark_that_was_printed_once_cannot_be_used_in_another_message() -> None:
    """Messages are spelled once: a spelling has no marks left."""
    once = spell(f"see {field('hidden')}", as_option)
    assert spell(once) == once == "see --hidden"


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
