"""Units of a network's state that are held at a value while it writes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from charrnn.cells import cell_of
from charrnn.errors import OptionError, field
from charrnn.escapes import shortened
from charrnn.options import check_number

#: The largest value: further away nothing changes any more.
MOST = 1e6

WRITTEN = re.compile(r"(\d{1,9}):(\d{1,9})(?::([a-z]+))?=(.*)", re.ASCII | re.DOTALL)

HINT = f"a layer, a unit and a value, such as {field('set_unit', '0:12=0.9')}"


@dataclass(frozen=True)
class HeldUnit:
    """A unit that is held at a value."""

    layer: int  # from 0
    unit: int  # from 0
    value: float
    state: str = "h"  # as the cell's record calls it

    def __str__(self) -> str:
        """Write it as an option does."""
        return f"{self.layer}:{self.unit}:{self.state}={self.value!r}"

    def check(self, *, cell: str, layers: int, hidden: int) -> None:
        """Raise `OptionError` unless a network has such a unit.

        Parameters
        ----------
        cell : str
            The cell's name.
        layers, hidden : int
            How many layers there are, and how many units in each.
        """
        name = field("set_unit")
        places = ("layer", self.layer, layers), ("unit", self.unit, hidden)
        for what, number, count in places:
            if not 0 <= number < count:
                msg = f"{name}: there is no {what} {number}"
                raise OptionError(msg, hint=f"the last {what} is {count - 1}")
        states = cell_of(cell).states
        if self.state not in states:
            listed = " and ".join(states)
            msg = f"{name}: a cell of kind {cell} has no state {self.state}"
            raise OptionError(msg, hint=f"it has {listed}")


def read_units(given: Any, name: str) -> tuple[HeldUnit, ...]:
    """Read which units are held: ``LAYER:UNIT=VALUE`` or ``LAYER:UNIT:STATE=VALUE``.

    Parameters
    ----------
    given : str, HeldUnit, or several of either
    name : str
        What a message calls the option.

    Raises
    ------
    OptionError
        One cannot be read, or two are about the same unit.
    """
    several = (
        given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    )
    units = tuple(
        one if isinstance(one, HeldUnit) else _read_unit(one, name) for one in several
    )
    places = [(unit.layer, unit.unit, unit.state) for unit in units]
    if len(set(places)) < len(places):
        msg = f"{name} sets a unit twice"
        raise OptionError(msg, hint="a unit is held at one value")
    return units


def _read_unit(given: Any, name: str) -> HeldUnit:
    """Read one unit."""
    found = WRITTEN.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        shown = shortened(repr(given))
        msg = f"{name} {shown} is not LAYER:UNIT=VALUE or LAYER:UNIT:STATE=VALUE"
        raise OptionError(msg, hint=HINT)
    layer, unit, state, number = found.groups()
    try:
        value = float(number)
    except ValueError:
        msg = f"{name} {shortened(repr(given))} has no number behind ="
        raise OptionError(msg, hint=HINT) from None
    check_number(f"{name} {shortened(repr(given))}", value, low=-MOST, high=MOST)
    return HeldUnit(int(layer), int(unit), value, state or "h")
