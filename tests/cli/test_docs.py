"""Help and README: nothing that the command line takes is left unsaid."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from charrnn.__main__ import run
from charrnn.cli import app as app_module
from charrnn.cli.app import app

README = Path(__file__).parents[2] / "README.md"
OPTIONS = Path(app_module.__file__).with_name("OPTIONS.md")

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def options() -> Iterator[tuple[str, Any]]:
    """List the options of all commands, with their commands' names."""
    for name, command in COMMANDS.items():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                yield name, parameter


def test_commands() -> None:
    assert list(COMMANDS) == ["train", "sample", "inspect"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence in the list, and examples at the end of its own page."""
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out
    assert run([name, "--help"]) == 0
    page = capsys.readouterr().out

    assert re.search(rf"{name} +[A-Z]", listed)
    assert COMMANDS[name].help
    assert f"charrnn {name}" in page.partition("Examples:")[2]


@pytest.mark.parametrize(
    ("command", "option"),
    [pytest.param(c, o, id=f"{c}-{o.name}") for c, o in options()],
)
def test_every_option_is_explained(command: str, option: Any) -> None:
    """A sentence, in a group, with a long name."""
    names = [*option.opts, *option.secondary_opts]

    assert option.help
    assert option.help.strip().endswith((".", "]"))
    assert any(name.startswith("--") for name in names)
    if option.name != "help":
        assert option.rich_help_panel


@pytest.mark.parametrize("name", COMMANDS)
def test_flags_ask_for_no_value(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help puts a type behind an option unless it is told not to."""
    assert run([name, "--help"]) == 0
    page = capsys.readouterr().out
    typed = [line for line in page.splitlines() if "<bool>" in line]

    assert all("--help" in line for line in typed)  # the one that typer adds


def test_every_command_and_option_is_documented() -> None:
    """Commands in the README, which leads to the page of all options."""
    readme, page = README.read_text(), OPTIONS.read_text()
    missing = [
        f"{command} {name}"
        for command, option in options()
        for name in option.opts
        if name.startswith("--")
        and option.name != "help"
        and not re.search(rf"{name}(?![\w-])", page)
    ]
    missing += [name for name in COMMANDS if f"charrnn {name}" not in readme]

    assert not missing
    assert str(OPTIONS.relative_to(README.parent)) in readme
