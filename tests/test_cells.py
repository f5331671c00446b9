"""What is known of cells: pure data, looked up by name."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import pytest

from charrnn.cells import (
    Cell,
    Own,
    Signal,
    cell_of,
    names,
    register,
    signals,
    unregister,
)

MINE = Cell(name="mine", gates=("a", "b"), kernels="nowhere", forget_gate="b")


def test_the_cells_that_come_with_the_package() -> None:
    """Their gates and states in the order in which files store them."""
    found = {name: cell_of(name) for name in names()}

    assert {name: cell.gates for name, cell in found.items()} == {
        "rnn": ("h",),
        "gru": ("r", "u", "n"),
        "lstm": ("i", "f", "o", "g"),
    }
    assert {name: cell.states for name, cell in found.items()} == {
        "rnn": ("h",),
        "gru": ("h",),
        "lstm": ("h", "c"),
    }
    assert {name: cell.signals for name, cell in found.items()} == {
        "rnn": ("h",),
        "gru": ("h", "r", "u"),
        "lstm": ("h", "c", "i", "f", "o"),
    }
    assert signals() == ("h", "r", "u", "c", "i", "f", "o")
    for cell in found.values():
        assert import_module(cell.kernels).__name__ == cell.kernels


def test_a_registered_cell_is_known_until_it_is_forgotten() -> None:
    before = names()
    try:
        assert register(MINE) is MINE
        assert names() == (*before, "mine")
        assert cell_of("mine") == MINE
        assert register(replace(MINE)) is MINE  # the same again: nothing happens
    finally:
        unregister("mine")
    assert names() == before
    with pytest.raises(KeyError):
        cell_of("mine")
    with pytest.raises(KeyError):
        unregister("mine")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (replace(MINE, name="gru"), "another cell called gru"),
        (replace(MINE, gates=()), "contradict"),
        (replace(MINE, states=("c", "h")), "contradict"),
        (replace(MINE, switches=("a", "x")), "contradict"),
        (replace(MINE, forget_gate="f"), "contradict"),
        (
            replace(MINE, shown=(Signal("a", "m"),), switches=("a",)),
            "a name comes twice",
        ),
        (replace(MINE, gates=("a", "b", "a")), "a name comes twice"),
        (replace(MINE, own=(Own("p"), Own("p"))), "a name comes twice"),
        (replace(MINE, own=(Own("gain"),)), "a name comes twice"),
    ],
)
def test_what_contradicts_itself_is_refused(cell: Cell, message: str) -> None:
    """And leaves no trace."""
    before = names()
    with pytest.raises(ValueError, match=message):
        register(cell)
    assert names() == before


def test_cells_are_known_without_numpy() -> None:
    """Help and checks of options need no arithmetic."""
    code = "import sys, charrnn.cells; print({'numpy', 'numba'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"
