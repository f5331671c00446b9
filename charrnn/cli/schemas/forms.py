"""The few forms that the values in our JSON have, as parts of a schema.

Each says what a value means, in which unit, and whether it may be null.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

#: A JSON Schema, or a part of one.
Schema: TypeAlias = dict[str, Any]


def _typed(kind: str, about: str, null: bool, **more: Any) -> Schema:
    """Describe a value of one type, which may be missing as null."""
    given = {name: value for name, value in more.items() if value is not None}
    return {"description": about, "type": [kind, "null"] if null else kind, **given}


def number(
    about: str,
    *,
    low: float | None = None,
    high: float | None = None,
    null: bool = False,
) -> Schema:
    """Describe a number, which may be whole."""
    return _typed("number", about, null, minimum=low, maximum=high)


def share(about: str, *, null: bool = False) -> Schema:
    """Describe a part of something, from 0 to 1."""
    return number(about, low=0, high=1, null=null)


def whole(about: str, *, low: int | None = 0, null: bool = False) -> Schema:
    """Describe a whole number, from 0 unless another limit is given."""
    return _typed("integer", about, null, minimum=low)


def text(about: str, *, null: bool = False, pattern: str | None = None) -> Schema:
    """Describe a text."""
    return _typed("string", about, null, pattern=pattern)


def word(about: str, words: Iterable[str], *, null: bool = False) -> Schema:
    """Describe a text that is one of a few."""
    allowed: list[str | None] = [*words, None] if null else [*words]
    return _typed("string", about, null, enum=allowed)


def flag(about: str) -> Schema:
    """Describe something that is so or is not."""
    return _typed("boolean", about, null=False)


def always(about: str, value: str | int) -> Schema:
    """Describe what never changes."""
    return {"description": about, "const": value}


def several(
    about: str, item: Schema, *, null: bool = False, low: int | None = None
) -> Schema:
    """Describe a list."""
    return _typed("array", about, null, items=item, minItems=low)


def table(about: str, item: Schema) -> Schema:
    """Describe an object whose members have names that no schema can know."""
    return _typed("object", about, null=False, additionalProperties=item)


def record(
    about: str,
    members: Mapping[str, Schema],
    *,
    optional: Collection[str] = (),
    null: bool = False,
) -> Schema:
    """Describe an object: all of its members, and which of them it may lack."""
    required = [name for name in members if name not in optional]
    return _typed(
        "object",
        about,
        null,
        properties=dict(members),
        required=required,
        additionalProperties=False,
    )


def loss(about: str, *, null: bool = False) -> Schema:
    """Describe a loss in nats per character: a mean of -ln p."""
    return number(f"{about} In nats per character.", low=0, null=null)


def bits(about: str, *, null: bool = False) -> Schema:
    """Describe a cost in bits: -log2 p, or a sum or mean of it."""
    return number(about, low=0, null=null)


def sha256(about: str) -> Schema:
    """Describe a hash, written in hexadecimal digits."""
    return text(about, pattern="^[0-9a-f]{64}$")
