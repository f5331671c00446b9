"""Presets: options of a command in a file, by their names, as TOML.

A run's options can be printed as such a file, and be given to another run.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from charrnn.errors import OptionError, field, unreadable
from charrnn.options import Entry, OptionTable, check_file_name

#: Names a preset, where no option does.
VARIABLE = "CHARRNN_PRESET"

#: The largest file that is read.
LARGEST = 1 << 20

#: Where the file is to be found, and what is to be done with it: no settings.
ABOUT_PRESETS = ("preset", "show_options")

#: What begins an escape in TOML, or ends a text.
ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def read_preset(path: str, table: OptionTable) -> dict[str, Any]:
    """Read a preset.

    Returns
    -------
    dict
        Options by name, as a command line would have them, or as values.

    Raises
    ------
    InputError
        It cannot be opened or read.
    OptionError
        It is no TOML, or it has something that is no option.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise unreadable(error, "the preset", path) from None
    if len(data) > LARGEST:
        msg = "the preset is longer than 1 MiB"
        raise OptionError(msg, where=path, hint="it has an option a line")
    try:
        given = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        msg = f"the preset is no TOML: {error}"
        raise OptionError(msg, where=path, hint="such as temperature = 0.7") from None
    try:
        return _checked(given, table)
    except OptionError as error:
        error.where = path
        raise


def _checked(given: Mapping[str, Any], table: OptionTable) -> dict[str, Any]:
    """Check options one by one, while it is known that they are a preset's.

    Names may have the ``-`` of the command line, too.

    Raises
    ------
    OptionError
        There is no such option, it stands there twice, or its value is none of it.
    """
    options: dict[str, Any] = {}
    for written, value in given.items():
        name = written.replace("-", "_")
        if name in options:
            msg = f"{field(name)} stands there twice"
            raise OptionError(msg, hint=f"once as {name} is enough")
        options[name] = value
    table.refuse_unknown(options)
    entries = {entry.name: entry for entry in table.entries}
    for name, value in options.items():
        if name in ABOUT_PRESETS:
            msg = f"{field(name)} has no place in a preset"
            raise OptionError(msg, hint="it is an option of the command")
        _check_type(name, value)
        entries[name].check(entries[name].read(value))
    return options


def _check_type(name: str, value: Any) -> None:
    """Raise `OptionError` for a value that no option has."""
    values = value if isinstance(value, list) else [value]
    if isinstance(value, dict):
        values = list(value.values())
    if not all(isinstance(one, str | int | float | bool) for one in values):
        msg = f"{field(name)} in a preset must be a text, a number, or a list of them"
        raise OptionError(msg, hint="dates and tables are no options", field=name)


def with_preset(options: Mapping[str, Any], table: OptionTable) -> dict[str, Any]:
    """Add what a preset says to what the command line does not.

    Parameters
    ----------
    options : mapping
        Options by name; None where nothing was given.

    Raises
    ------
    InputError, OptionError
        See `read_preset`.
    """
    path = options.get("preset")
    if path is not None:
        check_file_name(field("preset"), path)
    else:
        path = os.environ.get(VARIABLE)
    if not path:
        return dict(options)
    preset = read_preset(path, table)
    own = {name: value for name, value in options.items() if value is not None}
    own = {name: value for name, value in own.items() if value != []}
    # A preset's prompt gives way to any of the command line.
    if own.keys() & {"prompt", "prompt_file"}:
        preset = {n: v for n, v in preset.items() if n not in ("prompt", "prompt_file")}
    return dict.fromkeys(options) | preset | own


def as_preset(options: Mapping[str, Any], entries: Iterable[Entry]) -> str:
    """Write options as a preset.

    Parameters
    ----------
    options : mapping
        Values by name; None is left out.
    entries : iterable of Entry
        Those that are written, in this order.

    Raises
    ------
    OptionError
        A text is not UTF-8, which TOML is.
    """
    lines = []
    for entry in entries:
        value = options.get(entry.name)
        if entry.name in ABOUT_PRESETS or value is None:
            continue
        lines.append(f"{entry.name} = {_written(value)}\n")
        try:
            lines[-1].encode()
        except UnicodeEncodeError:
            msg = f"{field(entry.name)} is not UTF-8, which a preset has to be"
            hint = f"{field('escape', True)} reads \\xHH for a byte in a text"
            raise OptionError(msg, hint=hint) from None
    return "".join(lines)


def _written(value: Any) -> str:
    """Write a value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    text = str(value)
    return '"' + "".join(ESCAPES.get(c) or _printable(c) for c in text) + '"'


def _printable(symbol: str) -> str:
    """Write a character, a control character by its number."""
    if ord(symbol) < 0x20 or ord(symbol) == 0x7F:
        return f"\\u{ord(symbol):04x}"
    return symbol
