"""The laws of the cells: equations, gradients, and bits that do not move.

Every law holds for every cell, the vanilla one with each of its activations.
Equations and gradients are checked in float64; the laws about bits in float32,
as it is trained, at a width of whole vectors and a remainder.
"""

import inspect
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.cells import Cell, cell_of, names
from charrnn.config import ActivationName
from charrnn.examples.layers import packed
from charrnn.kernels import rnn
from charrnn.kernels.cells import CellKernels, kernels_of
from charrnn.kernels.few_rows import NOBODY
from charrnn.kernels.inputs import Inputs, characters, outputs_below, projected
from charrnn.kernels.lagged import Links
from charrnn.kernels.recurrence import loops
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.threads import limited, row_cuts, usable
from tests import reference
from tests.gradcheck import assert_same_gradient, numeric_gradient

pytestmark = pytest.mark.small

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="NumPy's product rounds by shape"
)

#: All different, so that no axis can be taken for another.
T, B, H = 4, 3, 5

#: Width of the laws about bits: two AVX-512 vectors and a remainder.
WIDE = 5 if numba_config.DISABLE_JIT else 37

NAMES = ["rnn-tanh", "rnn-sigmoid", "rnn-relu", "rnn-leaky-relu", "gru", "lstm"]
cells = pytest.mark.parametrize("name", NAMES)
records = pytest.mark.parametrize("record", [*map(cell_of, names())], ids=names())

Array = NDArray[Any]


@dataclass
class Case:
    """A layer's weights and one window of input, ready to run."""

    cell: Cell
    activation: ActivationName
    Wh: Array  # (GH, H)
    own: Array  # (O,): (H,) for the GRU, else (0,)
    zx: Array  # (T, B, GH)
    state: Array  # (S, B, H)
    resets: NDArray[np.uint8]  # (T, B)

    @property
    def kernels(self) -> CellKernels:
        return kernels_of(self.cell)

    @property
    def settings(self) -> list[str]:
        """What the cell's record says that its tape is made with."""
        return [getattr(self, name) for name in self.cell.settings]

    def tape(self) -> Any:
        """Make an unused tape that begins in the case's state."""
        T, B, _ = self.zx.shape
        H, dtype = self.state.shape[2], self.zx.dtype
        tape = self.kernels.new_tape(T, B, H, dtype, *self.settings)
        tape.states[:, 0] = self.state
        return tape

    def forward(self, threads: int = 1) -> Any:
        """Run the window; the tape."""
        return self.run(threads)[0]

    def run(self, threads: int = 1) -> tuple[Any, Array]:
        """Run the window; the tape, and the outputs (T, B, H)."""
        tape = self.tape()
        tape.z[:] = self.zx
        y = self.read(projected(self.zx.dtype), tape, threads)
        return tape, y

    def read(self, inputs: Inputs, tape: Any, threads: int = 1) -> Array:
        """Run the window on some inputs; the outputs, kept apart from the tape."""
        cuts = row_cuts(self.zx.shape[1], threads)
        y = np.full(self.shape, np.nan, self.zx.dtype)
        weights = Recurrent(packed(self.Wh).forward, self.own)
        with limited(usable(threads)):
            loops(self.kernels).forward(
                weights, inputs, NOBODY, tape, y, self.resets, cuts, 0
            )
        return y

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the outputs: (T, B, H)."""
        return (*self.resets.shape, self.state.shape[2])

    def carry_back(
        self,
        inputs: Inputs,
        tape: Any,
        dy: Array,
        parts: tuple[int, ...] = (),
        threads: int = 1,
    ) -> None:
        """Carry gradients back, dy included, in parts that begin at these steps."""
        cuts, end = row_cuts(self.zx.shape[1], threads), len(self.zx)
        weights = Recurrent(packed(self.Wh).backward, self.own)
        for begin in (*reversed(parts), 0):
            with limited(usable(threads)):
                loops(self.kernels).backward(
                    weights, inputs, NOBODY, tape, dy[begin:end], self.resets,
                    cuts, 0, begin, end,
                )  # fmt: skip
            end = begin

    def backward(self, dy: Array, threads: int = 1) -> Any:
        """Run the window and carry gradients back; the tape."""
        tape = self.forward(threads)
        self.carry_back(projected(dy.dtype), tape, dy, threads=threads)
        return tape

    def part(self, steps: slice, rows: slice, state: Array | None = None) -> "Case":
        """Cut some steps and rows out, to start from a state of their own."""
        return Case(
            self.cell,
            self.activation,
            self.Wh,
            self.own,
            np.ascontiguousarray(self.zx[steps, rows]),
            np.ascontiguousarray(self.state[:, rows] if state is None else state),
            np.ascontiguousarray(self.resets[steps, rows]),
        )


def make(
    rng: np.random.Generator,
    name: str,
    dtype: Any = np.float64,
    sizes: tuple[int, int, int] = (T, B, H),
) -> Case:
    """Build a layer with random weights, input and state, and two resets."""
    T, B, H = sizes
    kind, _, activation = cast("tuple[str, str, ActivationName]", name.partition("-"))
    cell = cell_of(kind)
    G, S = len(cell.gates), len(cell.states)

    def draw(*shape: int) -> Array:
        return rng.normal(size=shape).astype(dtype)

    resets = np.zeros((T, B), np.uint8)
    resets[0, 0] = resets[T // 2, -1] = 1
    return Case(
        cell,
        activation or "tanh",
        draw(G * H, H) / np.sqrt(H).astype(dtype),
        draw(len(cell.own) * H),
        draw(T, B, G * H),
        draw(S, B, H),
        resets,
    )


def add_weight_gradients(case: Case, tape: Any, dWh: Array, d_own: Array) -> None:
    """Add the gradients of Wh and of the cell's own that follow from a tape."""
    steps, rows, _ = case.zx.shape
    h_prev = tape.states[0, :steps].reshape(steps * rows, -1)
    every = slice(0, steps * rows)
    case.kernels.add_gradients(tape, every, h_prev, dWh, d_own, 1)


def arrays_of(tape: Any) -> dict[str, Array]:
    """Name the arrays of a tape; its links are empty, or parts of others."""
    found = tape._asdict().items()
    return {
        name: a
        for name, a in found
        if isinstance(a, np.ndarray) and name not in Links._fields
    }


@cells
def test_forward_is_the_equations(rng: np.random.Generator, name: str) -> None:
    """Outputs and final state are what plain NumPy makes of the docstring."""
    case = make(rng, name)
    tape, found = case.run()
    y, state = reference.run(
        case.cell.name,
        case.zx,
        case.state,
        case.resets,
        case.Wh,
        case.own,
        case.activation,
    )

    np.testing.assert_allclose(found, y, rtol=1e-12)
    np.testing.assert_allclose(tape.states[:, T], state, rtol=1e-12)


@compiled_only
@cells
def test_float32_is_the_equations(rng: np.random.Generator, name: str) -> None:
    """The short polynomials of float32 stay close to the equations."""
    case = make(rng, name, np.float32, (T, B, WIDE))
    zx, state, Wh, own = (
        a.astype(np.float64) for a in (case.zx, case.state, case.Wh, case.own)
    )
    y, _ = reference.run(
        case.cell.name, zx, state, case.resets, Wh, own, case.activation
    )

    np.testing.assert_allclose(case.run()[1], y, rtol=1e-4, atol=1e-5)


@cells
def test_gradients_are_central_differences(rng: np.random.Generator, name: str) -> None:
    """Those of inputs, initial state, recurrent weights and bias alike."""
    case = make(rng, name)
    dy = rng.normal(size=(T, B, H))
    tape = case.backward(dy)
    dWh, d_own = np.zeros_like(case.Wh), np.zeros_like(case.own)
    add_weight_gradients(case, tape, dWh, d_own)

    def loss() -> float:
        return float((case.run()[1] * dy).sum())

    assert_same_gradient(tape.z, numeric_gradient(loss, case.zx), "z")
    assert_same_gradient(tape.dstates, numeric_gradient(loss, case.state), "state")
    assert_same_gradient(dWh, numeric_gradient(loss, case.Wh), "Wh")
    if case.own.size:
        assert_same_gradient(d_own, numeric_gradient(loss, case.own), "own")


@cells
def test_gradient_stops_at_a_reset(rng: np.random.Generator, name: str) -> None:
    """What is cleared has no influence: its gradient is exactly zero."""
    case = make(rng, name)
    case.resets[:] = 0
    case.resets[2, 1] = 1
    dy = rng.normal(size=(T, B, H))
    dy[:2, 1] = 0
    tape = case.backward(dy)

    assert (tape.dstates[:, 1] == 0).all()
    assert (tape.z[:2, 1] == 0).all()
    assert tape.dstates[0].any()


@cells
def test_zero_gradient_in_gives_exactly_zero_out(
    rng: np.random.Generator, name: str
) -> None:
    """No gradient starts from anything but what comes from above."""
    case = make(rng, name)
    tape = case.backward(np.zeros((T, B, H)))
    dWh, d_own = np.zeros_like(case.Wh), np.zeros_like(case.own)
    add_weight_gradients(case, tape, dWh, d_own)

    # Of the GRU the gradient of its recurrent product has a place of its own.
    dzh = getattr(tape, "zh", tape.z)
    for gradient in (tape.z, dzh, tape.dstates, dWh, d_own):
        assert (gradient == 0).all()


@cells
def test_second_backward_doubles_weight_gradients(
    rng: np.random.Generator, name: str
) -> None:
    """Weight gradients are added to, never replaced; the tape carries nothing over."""
    case, dy = make(rng, name), rng.normal(size=(T, B, H))
    dWh, d_own = np.zeros_like(case.Wh), np.zeros_like(case.own)
    add_weight_gradients(case, case.backward(dy), dWh, d_own)
    once = dWh.copy(), d_own.copy()
    add_weight_gradients(case, case.backward(dy), dWh, d_own)

    np.testing.assert_allclose(dWh, 2 * once[0], rtol=1e-12)
    np.testing.assert_allclose(d_own, 2 * once[1], rtol=1e-12)


@cells
def test_a_used_tape_is_as_good_as_new(rng: np.random.Generator, name: str) -> None:
    """Whatever an earlier window left on the tape does not show in the next."""
    case, dy = make(rng, name), rng.normal(size=(T, B, H))
    fresh = case.backward(dy)
    used = case.backward(dy * 3)
    used.z[:] = case.zx
    used.states[:, 0] = case.state
    case.read(projected(dy.dtype), used)
    case.carry_back(projected(dy.dtype), used, dy)

    for found, expected in zip(used, fresh, strict=True):
        np.testing.assert_array_equal(found, expected)


@cells
def test_layer_0_reads_characters(rng: np.random.Generator, name: str) -> None:
    """Looking characters up on the way is looking them up before."""
    case = make(rng, name)
    ids = rng.integers(0, 6, (T, B)).astype(np.int32)
    table, b = rng.normal(size=(6, case.zx.shape[2])), rng.normal(size=len(case.Wh))
    case.zx = table[ids] + b
    _, expected = case.run()
    tape, inputs = case.tape(), characters(ids, table, b)
    assert (case.read(inputs, tape) == expected).all()

    dy = rng.normal(size=(T, B, H))
    untouched = dy.copy()
    case.carry_back(inputs, tape, dy)
    assert (dy == untouched).all()


@cells
def test_higher_layers_read_outputs(rng: np.random.Generator, name: str) -> None:
    """The gradient of what is read is the central difference, in place of dy."""
    case = make(rng, name)
    x, Wx = rng.normal(size=(T, B, H)), rng.normal(size=case.Wh.shape)
    b, dy = rng.normal(size=len(Wx)), rng.normal(size=(T, B, H))

    def run() -> tuple[Inputs, Any, Array]:
        tape, inputs = case.tape(), outputs_below(x, packed(Wx), b)
        return inputs, tape, case.read(inputs, tape)

    inputs, tape, _ = run()
    dx = dy.copy()
    case.carry_back(inputs, tape, dx)

    def loss() -> float:
        return float((run()[2] * dy).sum())

    assert_same_gradient(dx, numeric_gradient(loss, x), "x")
    assert_same_gradient(tape.z.sum((0, 1)), numeric_gradient(loss, b), "b")


@compiled_only
@cells
@pytest.mark.parametrize("parts", [(1,), (3,), (1, 2, 3)])
def test_carried_back_in_parts_is_carried_back_at_once(
    rng: np.random.Generator, name: str, parts: tuple[int, ...]
) -> None:
    """Where a window is cut on the way back changes no bit."""
    case = make(rng, name, np.float32, (T, B, WIDE))
    x = rng.normal(size=(T, B, WIDE)).astype(np.float32)
    Wx = rng.normal(size=case.Wh.shape).astype(np.float32)
    inputs = outputs_below(x, packed(Wx), np.zeros(len(Wx), np.float32))
    dy = rng.normal(size=(T, B, WIDE)).astype(np.float32)
    found = []
    for cuts in ((), parts):
        tape, dx = case.tape(), dy.copy()
        case.read(inputs, tape)
        case.carry_back(inputs, tape, dx, cuts)
        found.append((dx, *arrays_of(tape).values()))

    for cut, whole in zip(*found, strict=True):
        assert (cut == whole).all()


@cells
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lengths", [(1, 3), (3, 1), (2, 2), (1, 1, 1, 1)])
def test_cut_sequence_is_the_whole_one(
    rng: np.random.Generator, name: str, dtype: Any, lengths: tuple[int, ...]
) -> None:
    """Windows that hand their state on, down to single steps, change no bit."""
    whole = make(rng, name, dtype, (T, B, WIDE))
    tape, y = whole.run()
    state, begin, outputs = whole.state, 0, []
    for length in lengths:
        steps = slice(begin, begin + length)
        part, found = whole.part(steps, slice(None), state).run()
        state, begin = part.states[:, length], begin + length
        outputs.append(found)

    assert (np.concatenate(outputs) == y).all()
    assert (state == tape.states[:, T]).all()


@compiled_only
@cells
@pytest.mark.parametrize("rows", [*range(1, 20)])
def test_a_row_alone_gets_the_same_bits(
    rng: np.random.Generator, name: str, rows: int
) -> None:
    """Outputs, states and gradients of a row ignore the batch and the threads."""
    case = make(rng, name, np.float32, (T, rows, WIDE))
    dy = rng.normal(size=(T, rows, WIDE)).astype(np.float32)
    tapes = [case.backward(dy, threads) for threads in (1, 2)]

    for n in range(rows):
        row = slice(n, n + 1)
        alone = case.part(slice(None), row)
        expected = alone.backward(np.ascontiguousarray(dy[:, row]))
        for tape in tapes:
            for field, array in arrays_of(tape).items():
                axis = 2 if field == "states" else 1
                found = np.take(array, [n], axis)
                assert (found == getattr(expected, field)).all(), (field, n)


@given(
    resets=arrays(np.uint8, (6, 3), elements=st.integers(0, 1)),
    name=st.sampled_from(NAMES),
)
def test_a_reset_starts_a_new_window(resets: NDArray[np.uint8], name: str) -> None:
    """A row with resets is, bit for bit, separate windows from a zero state."""
    case = make(np.random.default_rng(5), name, np.float32, (6, 3, 4))
    case.resets = resets
    _, y = case.run()

    for n in range(3):
        begins = [0, *(t for t in range(1, 6) if resets[t, n]), 6]
        for begin, end in pairwise(begins):
            state = case.state[:, n : n + 1] * (begin == 0 and not resets[0, n])
            part = case.part(slice(begin, end), slice(n, n + 1), state)
            part.resets[:] = 0
            _, expected = part.run()
            found = y[begin:end, n : n + 1]
            if numba_config.DISABLE_JIT:  # NumPy's product rounds by shape
                np.testing.assert_allclose(expected, found, rtol=1e-5)
            else:
                assert (expected == found).all()


@records
def test_same_contract(record: Cell) -> None:
    """Every cell has the same names, and the same arguments by the same names."""
    module = kernels_of(record)
    tape_type: Any = module.Tape
    for function in ("advance", "retreat", "add_gradients"):
        found, expected = (arguments_of(m, function) for m in (module, rnn))
        if function == "add_gradients":  # `d_own` may have the name of what it is
            assert len(found) == len(expected)
            del found[4], expected[4]
        assert found == expected
    made = ["T", "B", "H", "dtype", *record.settings]
    assert arguments_of(module, "new_tape") == made
    for function in ("step", "step_backward"):
        arguments = arguments_of(module, function)
        assert arguments[0] == "Wh"
        assert "z" in arguments
        assert getattr(module, function).__doc__
    assert {"dy", "dh"} <= set(arguments_of(module, "step_backward"))
    assert {"z", "states", "dstates", *Links._fields} <= {*tape_type._fields}


def arguments_of(module: Any, function: str) -> list[str]:
    """Names of a kernel's arguments."""
    found = getattr(module, function)
    return list(inspect.signature(getattr(found, "py_func", found)).parameters)


@records
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_new_tape_is_what_the_record_says(record: Cell, dtype: Any) -> None:
    """T, B and H land on their axes, with as many gates, states and signals."""
    tape = kernels_of(record).new_tape(T, B, H, dtype)
    G, S = len(record.gates), len(record.states)

    assert tape.z.shape == (T, B, G * H)
    assert tape.states.shape == (S, T + 1, B, H)
    assert tape.dstates.shape == (S, B, H)
    # Without lags a step sees the state before it where that stands.
    assert np.shares_memory(tape.seen, tape.states)
    assert tape.seen.shape == (T, B, H)
    assert np.shares_memory(tape.dseen, tape.dstates)
    for signal in record.shown:
        if signal.field is None:
            assert signal.name in record.states
        else:
            assert getattr(tape, signal.field).shape == (T, B, H)
    assert {a.dtype for a in arrays_of(tape).values()} == {np.dtype(dtype)}
