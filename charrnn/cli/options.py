"""Make options of a command out of the fields of configurations."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from charrnn.cli.spelling import as_option, option_name
from charrnn.errors import spell
from charrnn.options import Entry, Option, OptionTable, check, option
from charrnn.processors import (
    THREADS_DEFAULT,
    check_threads,
    check_variables,
    resolve_threads,
)

ColorMode = Literal["auto", "always", "never"]
ProgressMode = Literal["auto", "bar", "plain", "none"]

COMMON = "Common"

Command = Callable[..., None]


#: Adds what is said elsewhere to the options of a command, by name.
Complete = Callable[[Mapping[str, Any], OptionTable], dict[str, Any]]


def takes(
    table: OptionTable, complete: Complete | None = None
) -> Callable[[Command], Command]:
    """Declare that a command takes the options of a table.

    The command collects them in its last parameter, ``**options``; an option that
    was not given is None there, and texts are decoded (`as_text`). Its signature,
    which typer reads, gets a parameter for each of them.

    Parameters
    ----------
    complete : callable, optional
        Adds what is said of options elsewhere, before any is looked at.
    """
    texts = {entry.name for entry in table.entries if not entry.is_path}

    def declare(command: Command) -> Command:
        @functools.wraps(command)
        def called(*arguments: Any, **options: Any) -> None:
            for name in texts & options.keys():
                options[name] = _decoded(options[name])
            if complete is not None:
                options = complete(options, table)
            table.refuse_alone(options)
            command(*arguments, **options)

        signature = inspect.signature(command)
        first = list(signature.parameters.values())[:-1]
        parameters = [*first, *map(_parameter, table.entries)]
        called.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=parameters
        )
        called.__annotations__ = {p.name: p.annotation for p in parameters}
        return called

    return declare


def _decoded(value: Any) -> Any:
    """Decode the text, or the texts, of an option; other values are left alone."""
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    return as_text(value) if isinstance(value, str) else value


def as_text(argument: str) -> str:
    """Read an argument as UTF-8, whatever the locale says.

    In a locale of ASCII, Python leaves every byte above it as a surrogate. What
    names a file must stay so, since Python turns it back into the same bytes; a
    text is told what it means. Bytes that are no UTF-8 stay as they are.
    """
    if not any("\udc80" <= character <= "\udcff" for character in argument):
        return argument
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        return argument


def _parameter(entry: Entry) -> inspect.Parameter:
    """Make the parameter that typer makes an option of."""
    record, flag = entry.record, entry.type is bool
    names = [option_name(entry.name)]
    if flag and entry.default:
        names = [f"{names[0]}/{_turned_off(entry)}"]
    if record.short is not None:
        names.append(f"-{record.short}")
    # Numbers and paths are read by `Entry.read`, whose words a mistake is told in.
    kind: type = bool if flag else str
    info = typer.Option(
        *names,
        help=_help(entry),
        metavar="" if flag else entry.metavar,
        rich_help_panel=record.group,
        show_default=False,
    )
    kind = list[kind] if entry.many else kind  # type: ignore[valid-type]
    return inspect.Parameter(
        entry.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, info],
    )


def usual(entry: Entry) -> str:
    """Say what is used if an option is not given; empty if its help says it."""
    if entry.type is bool and entry.default:
        return option_name(entry.name).removeprefix("--")
    return spell(entry.usual, as_option)


def _turned_off(entry: Entry) -> str:
    """Write the option that turns a flag off."""
    return option_name(f"no_{entry.name}")


def _help(entry: Entry) -> str:
    """Write an option's help; a backslash keeps rich from reading a tag."""
    text = spell(entry.record.help, as_option)
    return f"{text} \\[default: {usual(entry)}]" if usual(entry) else text


@dataclass(frozen=True, kw_only=True)
class Common:
    """How a command talks, and on how many processors it runs."""

    quiet: bool = option(False, Option("Print errors only.", COMMON, short="q"))
    verbose: bool = option(False, Option("Say more on stderr.", COMMON, short="v"))
    color: ColorMode = option(
        "auto", Option("auto, always or never.", COMMON, metavar="WHEN")
    )
    progress: ProgressMode = option(
        "auto", Option("auto, bar, plain or none.", COMMON, metavar="HOW")
    )
    threads: int | None = option(
        None, Option(f"Processors to use. {THREADS_DEFAULT}", COMMON)
    )

    def __post_init__(self) -> None:
        """Check the choices, and what is read before they are used."""
        check(self)
        check_variables()
        if self.threads is not None:
            check_threads(self.threads)

    def resolve_threads(self) -> tuple[int, str | None]:
        """Settle the number of threads; see `processors.resolve_threads`."""
        return resolve_threads(self.threads)
