r"""What all views share: one object that turns into JSON and into rows.

JSON has every number in full and null where there is none. Rows are made for
``cut``, ``sort`` and ``awk``: numbers without exponents, text escaped so that
a cell is one cell whatever is in it (``\n``, ``\t``, ``\\``, ``\x1b``), and
nothing that would reach a terminal as a control sequence.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeAlias

import numpy as np

from charrnn.escapes import table_cell

#: Text is escaped already.
Cell: TypeAlias = str | int | float | None


class ViewData:
    """The data of a view: a base for frozen dataclasses.

    Attributes
    ----------
    columns : tuple of str
        The names of what `rows` gives. They are a contract with scripts.
    """

    columns: ClassVar[tuple[str, ...]] = ("key", "value")

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Lay the data out flat: a row a fact, unless a view has better rows."""
        return flattened(as_json(self))


def as_json(value: Any) -> Any:
    """Reduce a view to dicts, lists and scalars that JSON can hold."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: as_json(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return finite(value) if isinstance(value, float) else value


def finite(value: float | None) -> float | None:
    """Pass a number through, but for infinities and NaN."""
    return value if value is not None and math.isfinite(value) else None


def flattened(value: Any, prefix: str = "") -> Iterator[tuple[str, Cell]]:
    """List every scalar of a nested value with its path, such as ``model.cell``."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = dict(enumerate(value)).items()
    else:
        yield prefix, table_cell(value) if isinstance(value, str) else value
        return
    for key, item in items:
        yield from flattened(item, f"{prefix}.{key}" if prefix else str(key))


def decimal(value: float) -> str:
    """Write a float so that it reads back the same, and never with an exponent.

    ``sort -n`` takes ``2e-05`` for 2.
    """
    if not math.isfinite(value):
        return ""
    return np.format_float_positional(value, trim="0")


def tsv(view: ViewData) -> Iterator[str]:
    """Write a view as lines of tab-separated cells, the column names first."""
    yield "\t".join(view.columns)
    for row in view.rows():
        yield "\t".join(map(_cell, row))


def _cell(value: Cell) -> str:
    """Write one cell; what is missing or not finite is left empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return decimal(value) if isinstance(value, float) else str(value)
