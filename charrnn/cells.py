"""What kinds of cells there are: a record each, and the register of all.

A record says everything about a cell that is not arithmetic: the names of its
gates and states, its own parameters and how they begin, what can be looked at
while it reads, and what a plan should know. It is pure data, so that options,
help and checkpoints know every cell before NumPy or Numba is imported. The
arithmetic stands in the module that the record names, which is imported on use;
`charrnn.kernels.cells` describes what such a module has, and what its functions must
not do: make arrays.

A cell from outside the package is one module of kernels and one call::

    register(Cell(name="mine", gates=("h",), kernels="my_package.mine", ...))

after which it trains, samples and can be inspected like the others. Its kernels
are compiled anew in every process: the cache of compiled code is named after
the sources of this package alone.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Own:
    """A parameter that one kind of cell has beside Wx, Wh and b: a vector (H,)."""

    name: str  # files call it layerK.<name>
    initial: float = 0.0  # the first value of each of its numbers


@dataclass(frozen=True)
class Signal:
    """Something that can be looked at beside outputs and gates."""

    name: str
    #: Of the cell's tape, an array (T, B, H); None for the state of this name.
    field: str | None = None
    squashed: bool = False  # whether what is looked at is its tanh


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a recurrent cell is, apart from its arithmetic.

    Parameters
    ----------
    name : str
        As options and files call it.
    gates : tuple of str
        The blocks of H rows of Wx, Wh and b, in the order of storage: the G
        gates of the cell, its candidate among them.
    states : tuple of str
        The arrays (B, H) that are carried from step to step, h first.
    own : tuple of Own
        Its own parameters, in the order of storage.
    forget_gate : str, optional
        The gate whose bias begins at `ModelConfig`'s forget bias, so that the
        cell remembers until it learns to forget.
    switches : tuple of str
        The gates between 0 and 1, which open and close something.
    shown : tuple of Signal
        What else can be looked at beside h and the switches.
    settings : tuple of str
        The fields of `ModelConfig` that this cell reads and others may not set;
        their values are handed to ``new_tape``.
    peak_rate : float
        The learning rate that a schedule should rise to, for one layer of up to
        256 units.
    norm : str
        The normalization of outputs that a plan chooses.
    kernels : str
        The module with the arithmetic, as it is imported.
    """

    name: str
    gates: tuple[str, ...]
    kernels: str
    states: tuple[str, ...] = ("h",)
    own: tuple[Own, ...] = ()
    forget_gate: str | None = None
    switches: tuple[str, ...] = ()
    shown: tuple[Signal, ...] = ()
    settings: tuple[str, ...] = ()
    peak_rate: float = 5e-3
    norm: str = "none"

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of all that can be looked at of a unit: h, `shown`, the switches."""
        return ("h", *(signal.name for signal in self.shown), *self.switches)


_CELLS: dict[str, Cell] = {}

#: Parameters of a layer that are not a cell's own.
_EVERY_CELLS = ("Wx", "Wh", "b", "gain", "shift")


def register(cell: Cell) -> Cell:
    """Make a cell known under its name.

    Raises
    ------
    ValueError
        The name is taken by another cell, or the record contradicts itself.
    """
    if _CELLS.get(cell.name, cell) != cell:
        msg = f"there is another cell called {cell.name}"
        raise ValueError(msg)
    named = {*cell.switches} | ({cell.forget_gate} if cell.forget_gate else set())
    if not cell.gates or cell.states[:1] != ("h",) or not named <= {*cell.gates}:
        msg = f"cell {cell.name}: gates, states or switches contradict one another"
        raise ValueError(msg)
    own = (*_EVERY_CELLS, *(parameter.name for parameter in cell.own))
    for listed in (cell.gates, cell.states, cell.signals, own):
        if len({*listed}) < len(listed):
            msg = f"cell {cell.name}: a name comes twice among {', '.join(listed)}"
            raise ValueError(msg)
    return _CELLS.setdefault(cell.name, cell)


def unregister(name: str) -> None:
    """Forget a cell, so that another one can be registered under its name.

    Raises
    ------
    KeyError
        There is none.
    """
    del _CELLS[name]


def names() -> tuple[str, ...]:
    """List the names of all cells, in the order in which they were registered."""
    return tuple(_CELLS)


def cell_of(name: str) -> Cell:
    """Look a cell up by its name.

    Raises
    ------
    KeyError
        There is none.
    """
    return _CELLS[name]


def signals() -> tuple[str, ...]:
    """List what can be looked at in any of the cells, each signal once."""
    found = dict.fromkeys(name for cell in _CELLS.values() for name in cell.signals)
    return tuple(found)


register(
    Cell(
        name="rnn",
        gates=("h",),
        settings=("activation",),
        peak_rate=5e-3,
        kernels="charrnn.kernels.rnn",
    )
)
register(
    Cell(
        name="gru",
        gates=("r", "u", "n"),
        own=(Own("bhn"),),  # the candidate's bias inside the reset gate
        switches=("r", "u"),
        peak_rate=1e-2,
        kernels="charrnn.kernels.gru",
    )
)
register(
    Cell(
        name="lstm",
        gates=("i", "f", "o", "g"),
        states=("h", "c"),
        forget_gate="f",
        switches=("i", "f", "o"),
        shown=(Signal("c", squashed=True),),
        peak_rate=1e-2,
        norm="layer",
        kernels="charrnn.kernels.lstm",
    )
)
