"""One step of whichever cell: chosen by the type of its tape when compiled.

So a kernel that is written once runs every cell, and compiling it for one
compiles nothing of the others.
"""

from types import ModuleType
from typing import Any

from numba.extending import overload

from charrnn.arrays import Floats
from charrnn.kernels import gru, lstm, rnn
from charrnn.kernels.jit import FASTMATH

#: The cell of each kind of tape.
_BY_TAPE: dict[type, ModuleType] = {cell.Tape: cell for cell in (rnn, gru, lstm)}


def advance(Wh: Floats, bh: Floats, tape: Any, t: int, a: int, b: int) -> None:
    """Take step t of a tape, rows a to b; see `rnn.advance`."""
    _BY_TAPE[type(tape)].advance(Wh, bh, tape, t, a, b)


@overload(  # type: ignore[untyped-decorator]
    advance, strict=False, jit_options={"fastmath": FASTMATH, "forceinline": True}
)
def _advance(Wh: Any, bh: Any, tape: Any, t: Any, a: Any, b: Any) -> Any:
    return _BY_TAPE[tape.instance_class].advance.py_func
