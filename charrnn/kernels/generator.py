"""Generating many characters in one call: the network, the filters, the draw.

    z = Wx[id] + b --> cell --> ... --> logits --> blend --> filters --> next id
         ^                                                               |
         +---------------------------------------------------------------+

A character takes some microseconds, less than it takes to call a kernel from
Python, so a call makes a slice of them. The cells are those of training: the
step that `cells.advance` takes is the same, on a tape of one step that all
layers use in turn.

Rows never meet: what a row comes to depends on nothing but its own numbers.
This kernel has no threads of its own, so that it compiles fast; callers give
parts of the rows to threads, which run side by side. What blends and chooses is
compiled once for all cells, and nothing of the counts for a network that is alone.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from charrnn.arrays import Floats, Ids, aligned_zeros
from charrnn.kernels.blending import Blend, learn, mix
from charrnn.kernels.cells import (
    CellKernels,
    advance,
    is_built_in,
    look_back_carried,
    short_name,
)
from charrnn.kernels.filters import Filters, Scratch, choose, new_scratch, turn_to
from charrnn.kernels.inputs import look_up
from charrnn.kernels.jit import compiled_as, jit
from charrnn.kernels.matmul import affine, matrix_of
from charrnn.kernels.normalization import NONE, normalize_rows
from charrnn.kernels.recurrent import Recurrent, layer_weights
from charrnn.kernels.rows import copy_rows


class Held(NamedTuple):
    """Units of the state that are held at a value, N of them."""

    layers: Ids  # (N,)
    states: Ids  # (N,) which of the cell's: 0 for h
    units: Ids  # (N,)
    values: Floats  # (N,)


class StepRoom(NamedTuple):
    """Room to take one step in, used again for the next."""

    tape: Any  # one of the cell's, of one step and B rows
    y: Floats  # (B, H): outputs of one layer after another, where they are not its h
    scratch: Scratch  # for V characters


def new_step_room(tape: Any, V: int) -> StepRoom:
    """Make room for steps on a tape, and for choosing among V characters."""
    y = aligned_zeros(tape.states.shape[2:], tape.states.dtype)
    return StepRoom(tape, y, new_scratch(V))


class Inference(NamedTuple):
    """Weights of all layers, as generating reads them."""

    table: Floats  # (V, GH) Wx of layer 0, by character
    b: Floats  # (L, GH)
    Wx: Any  # of other layers: L - 1 matrices (H, GH) of a kind in `matmul.FORMS`
    recurrent: Recurrent  # of all layers, with a leading axis L
    norm: int  # how outputs are normalized: a code of `normalization`
    gain: Floats  # (L, H) of the normalized outputs; (L, 0) for none
    shift: Floats  # likewise
    Wy: Floats  # (P, H, W) panels
    by: Floats  # (V,)
    held: Held | None = None  # None, unless some units are held


@jit
def _hold(held: Held | None, layer: int, state: Floats) -> None:
    """Set the units of a layer that are held, in its state (S + M - 1, B, H)."""
    if held is not None:
        for i in range(held.layers.size):
            if held.layers[i] == layer:
                for n in range(state.shape[1]):
                    state[held.states[i], n, held.units[i]] = held.values[i]


@jit
def _hold_outputs(held: Held | None, layer: int, y: Floats) -> None:
    """Set the outputs (B, H) of a layer's units whose h is held."""
    if held is not None:
        for i in range(held.layers.size):
            if held.layers[i] == layer and held.states[i] == 0:
                for n in range(y.shape[0]):
                    y[n, held.units[i]] = held.values[i]


@jit(inlined_early=True)
def _read(weights: Inference, tape: Any, state: Floats, ids: Ids, y: Floats) -> Floats:
    """Read one character a row, through all layers.

    Parameters
    ----------
    tape : Tape
        Of one step.
    state : (L, S + M - 1, B, H) float array
        Moved on.
    ids : (B,) int array
    y : (B, H) float array
        Scratch.

    Returns
    -------
    (B, H) float array
        The outputs of the last layer, among the states if they stand there.
    """
    L, S, B = state.shape[0], tape.states.shape[0], state.shape[2]
    z, out = tape.z[0], y
    for k in range(L):
        if k == 0:
            look_up(ids, weights.table, weights.b[0], z)
        else:
            affine(out, matrix_of(weights.Wx, k - 1), weights.b[k], z)
        _hold(weights.held, k, state[k])
        for s in range(S):
            copy_rows(state[k, s], tape.states[s, 0])
        look_back_carried(tape, state[k])
        advance(layer_weights(weights.recurrent, k), tape, 0, 0, B)
        for s in range(S):
            copy_rows(tape.states[s, 1], state[k, s])
        out = state[k, 0]
        if weights.norm != NONE or weights.held is not None:
            out = y
            copy_rows(state[k, 0], y)
            _hold_outputs(weights.held, k, y)
            normalize_rows(weights.norm, y, weights.gain[k], weights.shift[k])
    return out


@jit(inlined_early=True)
def _clear(state: Floats, ids: Ids, start: int) -> None:
    """Zero the state of rows that are about to read `start`."""
    for n in range(ids.size):
        if ids[n] == start:
            for k in range(state.shape[0]):
                for s in range(state.shape[1]):
                    for j in range(state.shape[3]):
                        state[k, s, n, j] = 0


def generate(
    weights: Inference,
    room: StepRoom,
    state: Floats,
    ids: Ids,
    known: Ids,
    u: Floats,
    blend: Blend,
    filters: Filters,
    start: int,
    logits: Floats,
) -> bool:
    """Read `steps` characters a row, and choose those that are not known.

    Parameters
    ----------
    weights : Inference
    room : StepRoom
        For B rows. What it holds is of no use.
    state : (L, S + M - 1, B, H) float array
        On entry the state before the first character, on exit the one after
        the last that was read.
    ids : (past + steps + 1, B) int array
        In the order of time: what came before, below 0 where nothing did; the
        characters to be read; and the one behind them, which is not read.
        Filters of n-grams and a blend look back over `past` characters.
    known : (B,) int array
        How many of the last steps + 1 characters of each row are given, at
        least 1. The others are written.
    u : (steps, B) float64 array
        Random numbers: u[t] chooses what comes after step t.
    blend : Blend
        What is said of the next character beside the network; `past` is at least
        its order. If it learns from what it writes, B is 1.
    filters : Filters
    start : int
        The character that begins a document: the state is cleared before it.
        Below 0 for none.
    logits : (steps, B, V) or (1, B, V) float array
        Written, where something was chosen; if there is room for one step, of
        the last one. Those of the blend, where there is one.

    Returns
    -------
    bool
        False if some row had nothing to choose from: its logits are a NaN or
        an infinity. Everything is then of no use.
    """
    tape, scratch = room.tape, room.scratch
    steps = u.shape[0]
    past, tables, growth = ids.shape[0] - steps - 1, blend.tables, blend.growth
    for t in range(steps):
        now = past + t
        if start >= 0:
            _clear(state, ids[now], start)
        y = _read(weights, tape, state, ids[now], room.y)
        out = logits[t % logits.shape[0]]
        wanted = False
        for n in range(known.size):
            wanted = wanted or known[n] <= t + 1
        if wanted:
            affine(y, weights.Wy, weights.by, out)
        for n in range(known.size):
            if known[n] <= t + 1:
                recent = ids[t + 1 : now + 1, n]
                if blend.share < 1:
                    mix(tables, growth, blend.share, blend.before, recent, out[n])
                turn_to(filters.pattern, n)
                chosen = choose(out[n], recent, filters, u[t, n], scratch)
                if chosen < 0:
                    return False
                ids[now + 1, n] = chosen
                if blend.learns:
                    learn(tables, growth, blend.before, recent, chosen)
    return True


@cache
def generator_of(kernels: CellKernels) -> Callable[..., bool]:
    """Compile `generate` for a cell, when it is first called."""
    name, cached = f"generate_{short_name(kernels)}", is_built_in(kernels)
    return compiled_as(name, generate, parallel=False, cached=cached)


@jit(parallel=False)
def choose_first(
    logits: Floats, filters: Filters, scratch: Scratch, u: Floats, ids: Ids
) -> bool:
    """Choose one character a row with nothing read before.

    Parameters
    ----------
    logits : (V,) float array
        The same for all rows.
    filters : Filters
    scratch : Scratch
        For V characters.
    u : (B,) float64 array
    ids : (B,) int array
        Written.

    Returns
    -------
    bool
        False if there is nothing to choose from.
    """
    nothing = ids[:0]
    for n in range(ids.size):
        turn_to(filters.pattern, n)
        ids[n] = choose(logits, nothing, filters, u[n], scratch)
        if ids[n] < 0:
            return False
    return True
