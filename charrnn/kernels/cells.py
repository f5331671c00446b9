"""Whichever cell: what its module has, and one step of it, chosen when compiled.

A kernel that is written once runs every cell: `advance` and `retreat` stand for
those of the cell whose tape they are given, and compiling a kernel for one cell
compiles nothing of the others.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from numba import types
from numba.extending import overload

from charrnn.arrays import Flags, Floats
from charrnn.cells import Cell
from charrnn.kernels import lagged, narrow_tape
from charrnn.kernels.jit import OPTIONS, PACKAGE
from charrnn.kernels.recurrent import Recurrent


class Tape(Protocol):
    """One window of T steps: what a layer's way forward leaves for the way back.

    A cell's own tape is a NamedTuple with these fields and perhaps more. If it has
    those of `lagged.Links`, too, and the cell multiplies Wh by what is ``seen``, it
    can have further lags than 1. With one called ``z16`` it can be narrow.
    """

    @property
    def z(self) -> Floats:
        """Input projections (T, B, GH); then the gates; then the gradient of z.

        Or room for one step of them, (1, B, GH); see `can_be_narrow`.
        """

    @property
    def states(self) -> Floats:
        """The states before each input and after the last one, (S, T + 1, B, H).

        The first one is h, which is also what the layer puts out.
        """

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
                                              whose way back is done; if it has one
                                              more parameter ``add``, its products
                                              can be made in bfloat16, too
    ========================================= ==================================

    None of these makes an array, as the loops that they become a part of count no
    references (`charrnn.kernels.jit`): room for what lies between belongs on the tape,
    whose arrays `charrnn.arrays.aligned_zeros` makes. ``weights.Wh`` is for
    `matmul.multiply` alone, since generating has panels of other kinds.

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


def can_have_lags(kernels: CellKernels) -> bool:
    """Tell whether a cell can see further states than the one before a step."""
    return set(lagged.Links._fields) <= set(getattr(kernels.Tape, "_fields", ()))


def can_be_narrow(kernels: CellKernels) -> bool:
    """Tell whether a cell's z may be kept in 16 bits: see `narrow_tape`.

    Such a cell has a field ``z16`` on its tape, which is None or (T, B, GH); then z is
    (1, B, GH). It finds step t in ``z[t % len(z)]``, and leaves numbers from -1 to 1
    there. If gradients of its recurrent weights need that of z, its ``add_gradients``
    takes it from `narrow_tape.gradient_of_z`, and adds products of it by ``add``.
    """
    return "z16" in getattr(kernels.Tape, "_fields", ())


def advance(weights: Recurrent, tape: Any, t: int, a: int, b: int) -> None:
    """Take step t of a tape for rows a to b; see `CellKernels`."""
    _BY_TAPE[type(tape)].advance(weights, tape, t, a, b)


def retreat(weights: Recurrent, tape: Any, t: int, a: int, b: int, dy: Floats) -> None:
    """Carry gradients back through step t of a tape; see `CellKernels`."""
    _BY_TAPE[type(tape)].retreat(weights, tape, t, a, b, dy)


def look_back(tape: Any, resets: Flags, t: int, a: int, b: int) -> None:
    """Gather what step t sees, for rows a to b, if that is not the state itself."""
    if has_lags(tape):
        _look_back_far(tape, resets, t, a, b)


def hand_back(tape: Any, resets: Flags, t: int, a: int, b: int) -> None:
    """Hand the gradients of what step t saw back; see `lagged.hand_back`."""
    if has_lags(tape):
        _hand_back_far(tape, resets, t, a, b)


def keep_gates(tape: Any, t: int, a: int, b: int) -> None:
    """Keep z of step t, for rows a to b, if the tape has room for one step of it."""
    if is_narrow(tape):
        _keep_gates_narrow(tape, t, a, b)


def recall_gates(tape: Any, t: int, a: int, b: int) -> None:
    """Bring back what `keep_gates` kept."""
    if is_narrow(tape):
        _recall_gates_narrow(tape, t, a, b)


def keep_gradients(tape: Any, t: int, a: int, b: int) -> None:
    """Keep the gradient of z of step t; see `keep_gates`."""
    if is_narrow(tape):
        _keep_gradients_narrow(tape, t, a, b)


def look_back_carried(tape: Any, state: Floats) -> None:
    """Gather what a single step sees from one layer's carried state (..., B, H).

    The past of that state is moved on by a step; h and the others are not.
    """
    if has_lags(tape):
        _look_back_carried_far(tape, state)


def has_lags(tape: Any) -> bool:
    """Tell whether steps of a tape see further states than the one before."""
    return getattr(tape, "lags", None) is not None


def is_narrow(tape: Any) -> bool:
    """Tell whether a tape keeps z in 16 bits."""
    return getattr(tape, "z16", None) is not None


_chosen = {"strict": False, "jit_options": OPTIONS | {"forceinline": True}}


@overload(advance, **_chosen)  # type: ignore[untyped-decorator]
def _advance(weights: Any, tape: Any, t: Any, a: Any, b: Any) -> Any:
    return _python(_BY_TAPE[tape.instance_class].advance)


@overload(retreat, **_chosen)  # type: ignore[untyped-decorator]
def _retreat(weights: Any, tape: Any, t: Any, a: Any, b: Any, dy: Any) -> Any:
    return _python(_BY_TAPE[tape.instance_class].retreat)


# What is compiled in place of these, for tapes with links.


def _look_back_far(tape: Any, resets: Any, t: Any, a: Any, b: Any) -> None:
    lagged.gather(
        tape.lags, tape.seen, tape.reach, tape.past, tape.states[0], resets, t, a, b
    )


def _hand_back_far(tape: Any, resets: Any, t: Any, a: Any, b: Any) -> None:
    lagged.hand_back(
        tape.lags, tape.dseen, tape.reach, tape.pending, tape.dstates[0], resets,
        t, a, b,
    )  # fmt: skip


def _look_back_carried_far(tape: Any, state: Any) -> None:
    lagged.gather_carried(tape.lags, tape.seen, state, tape.states.shape[0])


# And for narrow ones.


def _keep_gates_narrow(tape: Any, t: Any, a: Any, b: Any) -> None:
    narrow_tape.keep_gates(tape.z[0, a:b], tape.z16[t, a:b])


def _recall_gates_narrow(tape: Any, t: Any, a: Any, b: Any) -> None:
    narrow_tape.recall_gates(tape.z16[t, a:b], tape.z[0, a:b])


def _keep_gradients_narrow(tape: Any, t: Any, a: Any, b: Any) -> None:
    narrow_tape.keep_gradients(tape.z[0, a:b], tape.z16[t, a:b])


@overload(look_back, **_chosen)  # type: ignore[untyped-decorator]
def _look_back(tape: Any, resets: Any, t: Any, a: Any, b: Any) -> Any:
    return _having("lags", tape, _look_back_far, lambda tape, resets, t, a, b: None)


@overload(hand_back, **_chosen)  # type: ignore[untyped-decorator]
def _hand_back(tape: Any, resets: Any, t: Any, a: Any, b: Any) -> Any:
    return _having("lags", tape, _hand_back_far, lambda tape, resets, t, a, b: None)


@overload(look_back_carried, **_chosen)  # type: ignore[untyped-decorator]
def _look_back_carried(tape: Any, state: Any) -> Any:
    return _having("lags", tape, _look_back_carried_far, lambda tape, state: None)


@overload(keep_gates, **_chosen)  # type: ignore[untyped-decorator]
def _keep_gates(tape: Any, t: Any, a: Any, b: Any) -> Any:
    return _having("z16", tape, _keep_gates_narrow, lambda tape, t, a, b: None)


@overload(recall_gates, **_chosen)  # type: ignore[untyped-decorator]
def _recall_gates(tape: Any, t: Any, a: Any, b: Any) -> Any:
    return _having("z16", tape, _recall_gates_narrow, lambda tape, t, a, b: None)


@overload(keep_gradients, **_chosen)  # type: ignore[untyped-decorator]
def _keep_gradients(tape: Any, t: Any, a: Any, b: Any) -> Any:
    return _having("z16", tape, _keep_gradients_narrow, lambda tape, t, a, b: None)


def _having(field: str, tape: Any, function: Any, nothing: Any) -> Any:
    """Choose what is compiled for a kind of tape: nothing, if its field is None."""
    kinds = dict(zip(tape.fields, tape.types, strict=True))
    return nothing if kinds.get(field, types.none) == types.none else function


def _python(function: Any) -> Any:
    """Take the source of a compiled function, which Numba compiles in its place."""
    return getattr(function, "py_func", function)
