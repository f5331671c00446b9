"""What is wrong with a line of words before any option of it is read, in our words.

Typer says in its own style that an option is unknown, has no value or has one too
many; here that becomes the `OptionError` that every other mistake in an option is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from charrnn.cli.commands import as_argument, shell_command
from charrnn.cli.output import require_stdout
from charrnn.errors import OptionError


class Escaped(Exception):  # noqa: N818 - an envelope, not an error
    """Carry what escaped from a command past typer, which would hide what it was.

    Typer takes an EOFError from anywhere for an end of input at a prompt of its own,
    prints an empty line and aborts without a reason.

    Parameters
    ----------
    error : EOFError
    """

    def __init__(self, error: EOFError) -> None:
        super().__init__(error)
        self.error = error


class Command(TyperCommand):
    """A command that says in our words what is wrong with its line."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Sort the words of the line.

        Raises
        ------
        OptionError
            They cannot be sorted.
        """
        ctx.allow_extra_args = True  # to name them ourselves
        rest = _translated(super().parse_args, ctx, args)
        # A shell that asks how a line may go on is not told what is wrong with it.
        if ctx.args and not ctx.resilient_parsing:
            raise one_too_many(ctx.args[0], _help_of(ctx))
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        require_stdout()
        super().format_help(ctx, formatter)


def one_too_many(word: str, page: str) -> OptionError:
    """Make the error of a word that stands where none does.

    Parameters
    ----------
    page : str
        How such a text is given, where the command knows it, and where its help is.
    """
    msg = f"one word too many: {word!r}"
    hint = "a prompt and any other text of several words needs quotes"
    return OptionError(msg, hint=f"{hint}; {page}")


class Commands(TyperGroup):
    """All commands; none of them asks anybody anything."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Sort the words in front of the command's name, and find the command.

        Raises
        ------
        OptionError
            They cannot be sorted.
        """
        return _translated(super().parse_args, ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that was named.

        Raises
        ------
        OptionError
            There is none of that name.
        """
        name, asked = args[0], not ctx.resilient_parsing
        if asked and self.get_command(ctx, name) is None and not name.startswith("-"):
            msg = f"there is no command {name!r}"
            raise OptionError(msg, hint=_command_meant(name, self.list_commands(ctx)))
        return _translated(super().resolve_command, ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise Escaped(error) from error

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        require_stdout()
        super().format_help(ctx, formatter)


def _translated(
    parse: Callable[[Any, list[str]], Any], ctx: Any, args: list[str]
) -> Any:
    """Parse words, and say in our words what is wrong with them."""
    try:
        return parse(ctx, args)
    except typer.TyperException as error:
        if not error.format_message():
            raise  # no command at all: the help has been printed
        raise _ours(error, ctx) from None


def _ours(error: Any, ctx: Any) -> OptionError:
    """Turn typer's mistake into ours. Its kinds are told apart by what they have."""
    option = getattr(error, "option_name", None)
    if option is not None and hasattr(error, "possibilities"):
        msg = f"there is no option {option}"
        return OptionError(msg, hint=_option_meant(option, error.possibilities, ctx))
    parameter = getattr(error, "param", None)
    if option is not None:
        parameter = _parameter_of(ctx.command, option)
    if option is not None and parameter is not None:
        if parameter.is_flag:
            msg, write = f"{option} takes no value", option
        else:
            msg, write = f"{option} needs a value", f"{option} {parameter.metavar}"
        return OptionError(msg, hint=f"write {write}; {_help_of(ctx)}")
    if parameter is not None and hasattr(error, "param_type"):
        msg = f"{parameter.metavar} is missing"
        given = f"{ctx.command_path} {parameter.metavar}"
        return OptionError(msg, hint=f"write {given}; {_help_of(ctx)}")
    return OptionError(error.format_message().rstrip("."), hint=_help_of(ctx))


def _help_of(ctx: Any) -> str:
    """Say where all options of a command are found."""
    what = "options" if ctx.parent is not None else "commands"
    return f"{ctx.command_path} --help lists the {what}"


def _option_meant(name: str, near: list[str] | None, ctx: Any) -> str:
    """Guess which option was meant, or whose it is."""
    if ctx.parent is None:
        owners = _owners(ctx, name)
        if owners:
            command = shell_command("charrnn", owners[0], name)
            return f"it stands behind the command: {command}"
    elif owners := _owners(ctx.parent, name):
        listed = " and ".join(shell_command("charrnn", owner) for owner in owners)
        return f"it is an option of {listed}; {_help_of(ctx)}"
    meant = f"is {' or '.join(near)} meant? " if near else ""
    return f"{meant}{_help_of(ctx)}"


def _owners(group: Any, option: str) -> list[str]:
    """Name the commands that have an option."""
    commands = group.command.commands
    return [n for n, command in commands.items() if _parameter_of(command, option)]


def _parameter_of(command: Any, option: str) -> Any:
    """Find the option of a command that is written so, or None."""
    for parameter in command.params:
        if option in (*parameter.opts, *parameter.secondary_opts):
            return None if _is_argument(parameter) else parameter
    return None


def _is_argument(parameter: Any) -> bool:
    """Whether it is no option, but what a command is about."""
    return bool(parameter.param_type_name == "argument")


def _command_meant(name: str, commands: list[str]) -> str:
    """Guess which command was meant, or what was to be done with a file."""
    if Path(name).exists():
        command = "sample" if name.endswith(".npz") else "train"
        return f"is {shell_command('charrnn', command, as_argument(name))} meant?"
    from difflib import get_close_matches  # of use in an error only

    if near := get_close_matches(name.lower(), commands, n=1):
        return f"is {shell_command('charrnn', near[0])} meant?"
    return "charrnn --help lists the commands"
