"""The loops over time, for every cell: through a window, and back.

    forward    t = 0 ... T - 1     z = x Wx^T + b, then the cell's step to h
    backward   t = T - 1 ... 0     the cell's way back, then dx = dz Wx

The way back is backpropagation through time (Werbos 1990), cut off where the
window begins. Threads have blocks of batch rows: each goes through the whole
window on its own, and rows never meet. Where there are fewer rows than threads, one
thread goes, and the others help with its products.

Each cell has these loops compiled for itself (`loops`), under a name of its own
in the cache.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from numba import prange

from charrnn.arrays import Flags, Floats, Ids
from charrnn.kernels.cells import (
    CellKernels,
    advance,
    hand_back,
    is_built_in,
    keep_gates,
    keep_gradients,
    look_back,
    recall_gates,
    retreat,
    short_name,
)
from charrnn.kernels.few_rows import (
    Alone,
    begin,
    end,
    help_out,
    next_part,
    share_inputs,
    share_recurrent,
)
from charrnn.kernels.inputs import Inputs, carry_back, read
from charrnn.kernels.jit import compiled_as, jit
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.rows import copy_rows
from charrnn.kernels.team import Room


@jit
def clear(flags: Flags, state: Floats) -> None:
    """Zero the rows of a state, or of its gradient, that are flagged.

    Parameters
    ----------
    flags : (B,) uint8 array
    state : (B, H) float array
        Rows whose flag is set are zeroed: a document begins there.
    """
    for n in range(flags.size):
        if flags[n]:
            for j in range(state.shape[1]):
                state[n, j] = 0


def forward(
    weights: Recurrent, inputs: Inputs, room: Room | Alone, tape: Any, y: Floats,
    resets: Flags, cuts: Ids, helpers: int,
) -> None:  # fmt: skip
    """Run a window, from the state in ``states[:, 0]`` to ``states[:, T]``.

    Parameters
    ----------
    weights : Recurrent
    inputs : Inputs
    room : Room or Alone
        For what threads share, if they do; see `few_rows`.
    tape : Tape
        On entry states[:, 0] holds the state, and z the input projection if
        the inputs are `inputs.projected`; all but the gradients are written.
    y : (T, B, H) float array
        Written: the outputs, h after each input, where they will be changed, or where
        a later step begins a document, before which the state is cleared. If it is
        empty, (0, B, H), the outputs are to be read from the states.
    resets : (T, B) uint8 array
        Rows whose state is cleared before the step.
    cuts : (S + 1,) int array
        Where the rows are cut into blocks for the threads. The result does
        not depend on it.
    helpers : int
        Threads that help with the products of the only block, fewer than
        `team.MOST_WORKERS`; 0 where there are several blocks, or no room. The result
        does not depend on it.
    """
    z, states = tape.z, tape.states
    blocks, part = cuts.size - 1, next_part(room)
    for s in prange(blocks + helpers):
        if s < blocks:
            a, b = cuts[s], cuts[s + 1]
            shared, read_from = (
                share_recurrent(weights, room),
                share_inputs(inputs, room),
            )
            if helpers > 0:
                begin(room, part, 1 + helpers)
            for t in range(resets.shape[0]):
                for kind in range(states.shape[0]):
                    clear(resets[t, a:b], states[kind, t, a:b])
                read(read_from, t, a, b, z[t % z.shape[0], a:b])
                # The tape is taken apart inside a function that is compiled by
                # itself. Taken apart in this loop, what is stored into its arrays
                # would be lost: Numba believes that nobody sees it.
                look_back(tape, resets, t, a, b)
                advance(shared, tape, t, a, b)
                keep_gates(tape, t, a, b)
                if y.size > 0:
                    copy_rows(states[0, t + 1, a:b], y[t, a:b])
            if helpers > 0:
                end(room, part)
        else:
            help_out(weights, inputs.forward, room, part, s)


def backward(
    weights: Recurrent, inputs: Inputs, room: Room | Alone, tape: Any, dy: Floats,
    resets: Flags, cuts: Ids, helpers: int, first: int, last: int,
) -> None:  # fmt: skip
    """Carry gradients back from step `last` to `first`.

    Parameters
    ----------
    weights, inputs, room, tape, resets, cuts, helpers
        As `forward` left them, and with links `lagged.begin_back`. On exit
        ``narrow_tape.gradient_of_z(tape)`` is the gradient of the input projection and
        ``tape.dstates`` that of the state before `first`.
    dy : (last - first, B, H) float array
        Gradient of these steps' outputs; on exit that of the outputs of the layer
        below, if there is one.
    first, last : int
        Which steps: a window is gone through in one call or several, from its
        end to its beginning, and what each call leaves can be used at once.
    """
    z, dstates = tape.z, tape.dstates
    blocks, part = cuts.size - 1, next_part(room)
    for s in prange(blocks + helpers):
        if s < blocks:
            a, b = cuts[s], cuts[s + 1]
            shared, read_from = (
                share_recurrent(weights, room),
                share_inputs(inputs, room),
            )
            if helpers > 0:
                begin(room, part, 1 + helpers)
            if last == resets.shape[0]:
                for kind in range(dstates.shape[0]):
                    dstates[kind, a:b] = 0
            for t in range(last - 1, first - 1, -1):
                # Inside functions of their own, as in `forward`.
                recall_gates(tape, t, a, b)
                retreat(shared, tape, t, a, b, dy[t - first, a:b])
                hand_back(tape, resets, t, a, b)
                for kind in range(dstates.shape[0]):
                    clear(resets[t, a:b], dstates[kind, a:b])
                carry_back(read_from, z[t % z.shape[0], a:b], dy[t - first, a:b])
                keep_gradients(tape, t, a, b)
            if helpers > 0:
                end(room, part)
        else:
            help_out(weights, inputs.backward, room, part, s)


class Loops(NamedTuple):
    """`forward` and `backward`, compiled for one cell."""

    forward: Callable[..., None]
    backward: Callable[..., None]


@cache
def loops(kernels: CellKernels) -> Loops:
    """Compile the loops for a cell, when they are first called."""
    name, cached = short_name(kernels), is_built_in(kernels)
    return Loops(
        compiled_as(f"forward_{name}", forward, parallel=True, cached=cached),
        compiled_as(f"backward_{name}", backward, parallel=True, cached=cached),
    )


def way_back(kernels: CellKernels) -> str:
    """Name the compiled `backward` of a cell as the cache does; see `is_cached`."""
    return f"recurrence.backward_{short_name(kernels)}"
