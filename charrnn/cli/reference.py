"""The options of all commands as tables, written from the code.

``python -m charrnn.cli.reference`` prints the page; with the name of a Markdown
file it renews the tables in it that stand between markers::

    <!-- options of train -->
    <!-- end of options -->
"""

import re
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from charrnn.cli import inspect, sample, train
from charrnn.cli.options import usual
from charrnn.cli.spelling import as_option, option_name
from charrnn.errors import spell
from charrnn.options import Entry, OptionTable

#: The options of each command.
COMMANDS: dict[str, OptionTable] = {
    "train": train.OPTIONS,
    "sample": sample.OPTIONS,
    "inspect": inspect.OPTIONS,
}

#: What each command's help ends with.
EXAMPLES = {
    "train": train.EXAMPLES,
    "sample": sample.EXAMPLES,
    "inspect": inspect.EXAMPLES,
}

#: What a command ends with. `charrnn.errors` has the kinds behind the numbers.
EXIT_CODES: dict[str, str] = {
    "0": "success; also when the reader of standard output has closed the pipe",
    "1": "an unexpected internal error",
    "2": "options are unknown, invalid or in conflict",
    "3": "an input cannot be opened: missing, a directory, no permission",
    "4": "an input is unusable: not valid in the encoding, empty, too small, a "
    "character that the model does not know, nothing left to choose from",
    "5": "a checkpoint is invalid: not ours, truncated, corrupt, too new",
    "6": "an output cannot be written: it exists, no space, no permission, another "
    "run holds it",
    "7": "training diverged; the last good checkpoint is kept",
    "8": "a component is missing or cannot be used: a library, a threading layer, "
    "bfloat16 on a processor without it",
    "9": "ranks of a distributed run do not fit together",
    "129, 130, 143, 152": "ended by SIGHUP, SIGINT, SIGTERM, SIGXCPU (the limit of "
    "processor time); `train` has saved before",
}

_BEGIN = "<!-- options of {} -->"
_END = "<!-- end of options -->"
_MARKED = re.compile(
    rf"{_BEGIN.format('([a-z]+)')}\n.*?{re.escape(_END)}", flags=re.DOTALL
)


def table(entries: Iterable[Entry]) -> Iterator[str]:
    """Write options as the rows of a Markdown table."""
    yield "| option | value | default | meaning |"
    yield "|---|---|---|---|"
    for entry in entries:
        cells = (_names(entry), _code(_value(entry)), usual(entry), _meaning(entry))
        yield f"| {' | '.join(map(_in_cell, cells))} |"


def _in_cell(text: str) -> str:
    """Keep a text inside of its cell."""
    return text.replace("|", "\\|")


def _names(entry: Entry) -> str:
    """Write the option in all its spellings."""
    names = [option_name(entry.name)]
    if entry.type is bool and entry.default:
        names.append(option_name(f"no_{entry.name}"))
    if entry.record.short is not None:
        names.append(f"-{entry.record.short}")
    return ", ".join(map(_code, names))


def _value(entry: Entry) -> str:
    """Write what stands for the option's value; a flag has none."""
    return "" if entry.type is bool else entry.metavar


def _code(text: str) -> str:
    """Set a text as code, if there is one."""
    return f"`{text}`" if text else ""


def _meaning(entry: Entry) -> str:
    """Write the option's help, and whether a resumed run may change it."""
    # What looks like an escape or a tag would be taken for one.
    escaped = re.sub(r"([\\<>*_])", r"\\\1", entry.record.help)
    meaning = spell(escaped, lambda named: _code(as_option(named)))
    changeable = f" {_code(option_name('resume'))} may change it."
    return meaning + changeable if entry.record.changeable else meaning


def tables(options: OptionTable) -> Iterator[str]:
    """Write the options of a command, a table for each of its groups."""
    groups = groupby(options.entries, key=lambda entry: entry.record.group)
    for group, entries in groups:
        yield f"### {group}"
        yield ""
        yield from table(entries)
        yield ""


def section(command: str) -> str:
    """Write the tables of a command between their markers."""
    lines = [_BEGIN.format(command), "", *tables(COMMANDS[command]), _END]
    return "\n".join(lines)


def renewed(text: str) -> str:
    """Replace the tables between markers by those that the code has now."""
    return _MARKED.sub(lambda match: section(match[1]), text)


def page() -> str:
    """Write the whole page."""
    parts = [
        "# Options",
        "This page is generated: `python -m charrnn.cli.reference` prints it.",
    ]
    for command, examples in EXAMPLES.items():
        lines = "\n".join(examples.splitlines()[1:])
        parts += [f"## charrnn {command}", f"```sh\n{lines}\n```", section(command)]
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    parts += ["## Exit codes", f"| code | meaning |\n|---:|---|\n{codes}"]
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str]) -> None:
    """Print the page, or renew the tables of the files that are named."""
    for name in arguments:
        path = Path(name)
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
    if not arguments:
        sys.stdout.write(page())


if __name__ == "__main__":
    main(sys.argv[1:])
