"""Whichever cell: what its module has, and one step of it, chosen when compiled.

A kernel that is written once runs every cell: `advance` and `retreat` stand for
those of the cell whose tape they are given, and compiling a kernel for one cell
compiles nothing of the others.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from numba.extending import overload

from charrnn.arrays import Floats
from charrnn.cells import Cell
from charrnn.kernels.jit import FASTMATH, PACKAGE
from charrnn.kernels.recurrent import Recurrent


class Tape(Protocol):
    """One window of T steps: what a layer's way forward leaves for the way back.

    A cell's own tape is a NamedTuple with these fields and perhaps more.
    """

    @property
    def z(self) -> Floats:
        """Input projections (T, B, GH); then the gates; then the gradient of z."""

    @property
    def states(self) -> Floats:
        """The states before each input and after the last one, (S, T + 1, B, H)."""

    @property
    def y(self) -> Floats:
        """Outputs (T, B, H): h after each input, until normalized and dropped."""

    @property
    def dstates(self) -> Floats:
        """The gradients of the states on their way back, (S, B, H)."""


class CellKernels(Protocol):
    """The arithmetic of a cell: what its module has.

    ========================================= ==================================
    ``Tape``                                  a NamedTuple; see `Tape`
    ``new_tape(T, B, H, dtype, *settings)``   room for a window
    ``advance(weights, tape, t, a, b)``       step t of rows a to b, whose input
                                              projections stand in ``tape.z``
    ``retreat(weights, tape, t, a, b, dy)``   the way back through that step, from
                                              the gradient dy (b - a, H) of its
                                              outputs
    ``add_gradients(tape, rows, h_prev,       add the gradients of `Recurrent` to
    dWh, d_own, workers)``                     dWh (GH, H) and d_own (O,), from some
                                              rows (a slice of T * B) of a tape
                                              whose way back is done
    ========================================= ==================================

    Each module also has ``step`` and ``step_backward``, the equations side by
    side, which `advance` and `retreat` call; their arguments are the cell's own.
    """

    __name__: str
    Tape: type
    new_tape: Callable[..., Any]
    advance: Callable[..., None]
    retreat: Callable[..., None]
    add_gradients: Callable[..., None]

    def __hash__(self) -> int: ...  # modules are compared by identity


#: The module of each kind of tape that has been asked for.
_BY_TAPE: dict[type, CellKernels] = {}


@cache
def kernels_of(cell: Cell) -> CellKernels:
    """Import the module with the arithmetic of a cell.

    Raises
    ------
    ImportError
        There is no such module.
    ValueError
        Its kind of tape is another module's, whose kernels would take its steps.
    """
    module: Any = import_module(cell.kernels)
    if module.Tape.__module__ != module.__name__:
        msg = f"{cell.kernels} needs a Tape of its own, not {module.Tape.__module__}'s"
        raise ValueError(msg)
    _BY_TAPE[module.Tape] = module
    found: CellKernels = module
    return found


def short_name(kernels: CellKernels) -> str:
    """Name the module of a cell's kernels without its package."""
    return kernels.__name__.rpartition(".")[2]


def is_built_in(kernels: CellKernels) -> bool:
    """Tell whether the cache of compiled code notices an edit to these kernels."""
    return kernels.__name__.startswith(PACKAGE)


def advance(weights: Recurrent, tape: Any, t: int, a: int, b: int) -> None:
    """Take step t of a tape for rows a to b; see `CellKernels`."""
    _BY_TAPE[type(tape)].advance(weights, tape, t, a, b)


def retreat(weights: Recurrent, tape: Any, t: int, a: int, b: int, dy: Floats) -> None:
    """Carry gradients back through step t of a tape; see `CellKernels`."""
    _BY_TAPE[type(tape)].retreat(weights, tape, t, a, b, dy)


_chosen = {"strict": False, "jit_options": {"fastmath": FASTMATH, "forceinline": True}}


@overload(advance, **_chosen)  # type: ignore[untyped-decorator]
def _advance(weights: Any, tape: Any, t: Any, a: Any, b: Any) -> Any:
    return _python(_BY_TAPE[tape.instance_class].advance)


@overload(retreat, **_chosen)  # type: ignore[untyped-decorator]
def _retreat(weights: Any, tape: Any, t: Any, a: Any, b: Any, dy: Any) -> Any:
    return _python(_BY_TAPE[tape.instance_class].retreat)


def _python(function: Any) -> Any:
    """Take the source of a compiled function, which Numba compiles in its place."""
    return getattr(function, "py_func", function)
