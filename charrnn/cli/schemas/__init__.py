"""What every JSON output looks like: a JSON Schema (draft 2020-12) for each.

A schema is written by hand, not made of the code that writes the output: it is a
promise to scripts, and tests hold outputs to it. No object may have a member that
its schema does not name, so that a new one is written down here. What is an option
is described by the option's own record (`charrnn.cli.schemas.settings`).

Nothing here imports NumPy.
"""

from collections.abc import Callable
from typing import Any

from charrnn.cli.schemas.forms import Schema
from charrnn.errors import OptionError

#: The draft that all schemas are written in.
DRAFT = "https://json-schema.org/draft/2020-12/schema"

#: What prints the names instead.
LIST = "list"


def _train() -> Schema:
    """Describe a line of ``train --json``, and of its log file."""
    from charrnn.cli.schemas.training import line

    return line()


def _sample() -> Schema:
    """Describe a line of ``sample --json``."""
    from charrnn.cli.schemas.samples import line

    return line()


def _inspect() -> Schema:
    """Describe a line of ``inspect --json``."""
    from charrnn.cli.schemas.inspection import line

    return line()


def _serve() -> Schema:
    """Describe an answer of ``sample --serve --json``."""
    from charrnn.cli.schemas.samples import answer

    return answer()


def _request() -> Schema:
    """Describe what ``sample --serve --json`` reads."""
    from charrnn.cli.schemas.samples import request

    return request()


#: By name: what makes the schema.
MAKERS: dict[str, Callable[[], Schema]] = {
    "train": _train,
    "sample": _sample,
    "inspect": _inspect,
    "serve": _serve,
    "request": _request,
}


def schema_named(name: str) -> dict[str, Any]:
    """Make a schema.

    Raises
    ------
    OptionError
        There is none of that name.
    """
    if name not in MAKERS:
        msg = f"there is no schema {name!r}"
        raise OptionError(msg, hint=f"the schemas are {', '.join(MAKERS)}")
    head = {"$schema": DRAFT, "$id": f"urn:charrnn:schema:1:{name}"}
    return head | MAKERS[name]()
