"""How the command line spells what the library says of fields.

The library's messages mark the fields that they name (`charrnn.errors.field`);
here fields become options: ``batch_size=4`` is ``--batch-size 4``.
"""

from collections.abc import Sequence

from charrnn.cli.commands import shell_word
from charrnn.errors import NamedField

#: Options with a short spelling that messages use.
SHORT = {"output": "-o", "escape": "-e", "verbose": "-v"}


def option_name(field: str) -> str:
    """Write a field's name as the option that sets it."""
    return "--" + field.replace("_", "-")


def as_option(named: NamedField) -> str:
    """Write a field as a user of the command line would give it."""
    if named.value is False:
        return option_name(f"no_{named.name}")
    name = SHORT.get(named.name) if named.brief else None
    name = name or option_name(named.name)
    if named.value is None or named.value is True:
        return name
    value = str(named.value)
    if isinstance(named.value, float):  # --blend 0, not 0.0
        value = value.removesuffix(".0")
    return f"{name} {shell_word(value)}"


def color_option(arguments: Sequence[str]) -> str:
    """Find the value of ``--color`` in arguments that may not be parsed yet."""
    mode = "auto"
    for n, word in enumerate(arguments):
        if word.startswith("--color="):
            mode = word.partition("=")[2]
        elif word == "--color" and n + 1 < len(arguments):
            mode = arguments[n + 1]
    return mode if mode in ("always", "never") else "auto"
