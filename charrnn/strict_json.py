"""JSON as its standard has it, without the liberties of Python's parser."""

import json
from typing import Any


def parse(text: str) -> Any:
    """Read JSON.

    Raises
    ------
    ValueError
        It is none, or has a name twice in an object, or NaN or an infinity, or lists
        in one another without end.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        msg = "too much in one another"
        raise ValueError(msg) from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its members, of which no two have one name."""
    if len(found := dict(pairs)) != len(pairs):
        msg = "a key stands twice"
        raise ValueError(msg)
    return found


def _refuse(word: str) -> object:
    """Reject NaN and Infinity, which are not JSON."""
    msg = f"{word} is not a number"
    raise ValueError(msg)
