"""Presets: options of a command in a file, by their names, as TOML.

A run's options can be printed as such a file, and be given to another run.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from charrnn.errors import InputError, OptionError, field, reading_hint
from charrnn.options import Entry, OptionTable

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
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason, hint = str(error), "check the path"
        if isinstance(error, OSError):
            reason, hint = error.strerror or reason, reading_hint(error)
        msg = f"cannot read the preset: {reason}"
        raise InputError(msg, where=path, hint=hint) from None
    if len(data) > LARGEST:
        msg = "the preset is longer than 1 MiB"
        raise OptionError(msg, where=path, hint="it has an option a line")
    try:
        given = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        msg = f"the preset is no TOML: {error}"
        raise OptionError(msg, where=path, hint="such as temperature = 0.7") from None
    try:
        table.refuse_unknown(given)
        for name, value in given.items():
            if name in ABOUT_PRESETS:
                msg = f"{field(name)} has no place in a preset"
                raise OptionError(msg, hint="it is an option of the command")
            _check_type(name, value)
    except OptionError as error:
        error.where = path
        raise
    return given


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
    if path is None:
        path = os.environ.get(VARIABLE) or None
    if path is None:
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
    """
    lines = []
    for entry in entries:
        value = options.get(entry.name)
        if entry.name in ABOUT_PRESETS or value is None:
            continue
        lines.append(f"{entry.name} = {_written(value)}\n")
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
