"""Options as parts of a schema: their types, limits and help, from their records."""

from collections.abc import Iterable
from types import NoneType
from typing import Any, get_args

from charrnn.cli.schemas.forms import Schema
from charrnn.errors import in_python, spell
from charrnn.options import Entry

#: How JSON calls the types of options.
KINDS: dict[Any, str] = {int: "integer", float: "number", bool: "boolean"}


def settings(entries: Iterable[Entry]) -> dict[str, Schema]:
    """Describe options by name, as a record of them has their values."""
    return {entry.name: setting(entry) for entry in entries}


def setting(entry: Entry) -> Schema:
    """Describe the value of an option; null where it may have none."""
    kind = KINDS.get(entry.type, "string")
    found: Schema = {"type": kind}
    if entry.choices:
        found["enum"] = list(entry.choices)
    if kind in ("integer", "number"):
        found |= _limits(entry)
    if entry.many:
        found = {"type": "array", "items": found}
    if NoneType in get_args(entry.annotation):
        found["type"] = [found["type"], "null"]
        if "enum" in found:
            found["enum"].append(None)
    return {"description": meaning(entry), **found}


def meaning(entry: Entry) -> str:
    """Say what an option does, other options by their names in Python."""
    return spell(entry.record.help, in_python)


def _limits(entry: Entry) -> Schema:
    """Write the limits of a number."""
    record = entry.record
    low = "exclusiveMinimum" if record.open_low else "minimum"
    high = "exclusiveMaximum" if record.open_high else "maximum"
    limits = {low: record.low, high: record.high}
    return {name: limit for name, limit in limits.items() if abs(limit) < float("inf")}
