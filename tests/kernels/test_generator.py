"""Generating in one call: the same as one step at a time, however it is cut.

Every law holds for every cell. The teacher is a loop in Python: the network's
logits of one step, then the filters, then one draw.
"""

from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.cells import names
from charrnn.config import CellName, ModelConfig, NormName
from charrnn.kernels.blending import ALONE, Blend, mix, score
from charrnn.kernels.filters import Filters, choose, new_scratch
from charrnn.kernels.generator import choose_first, generator_of, new_step_room
from charrnn.kernels.ngrams import NONE
from charrnn.memory import Memory
from charrnn.network import Network
from charrnn.windows import Window

pytestmark = pytest.mark.small

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="NumPy's product rounds by shape"
)

cells = pytest.mark.parametrize("cell", names())
norms = pytest.mark.parametrize("norm", ["none", "layer", "batch"])
lags_ = pytest.mark.parametrize("lags", [(1,), (1, 2, 4)], ids=["", "1,2,4"])

Array = NDArray[Any]
Ids = NDArray[np.int32]

#: All different, so that no axis can be taken for another.
H, V = 5, 7

#: Steps and rows of most cases.
STEPS, B = 11, 3


def filters_of(**settings: Any) -> Filters:
    """All filters at their neutral settings, but for some."""
    neutral = Filters(
        bias=np.zeros(V),
        no_repeat=0,
        temperature=1.0,
        top_k=V,
        typical=1.0,
        top_p=1.0,
        min_p=0.0,
    )
    return neutral._replace(**settings)


#: Settings under which characters vary, and every filter does something.
FILTERS = filters_of(temperature=1.3, top_k=V - 1, top_p=0.95, min_p=0.01)


def build(
    rng: np.random.Generator,
    cell: CellName,
    layers: int = 2,
    dtype: Any = np.float64,
    hidden: int = H,
    norm: NormName = "none",
    lags: tuple[int, ...] = (1,),
) -> Network:
    """Build a network with random parameters, biases and averages too."""
    config = ModelConfig(
        vocab_size=V, cell=cell, hidden=hidden, layers=layers, norm=norm, lags=lags
    )
    network = Network(config, dtype=dtype)
    network.theta[:] = rng.normal(0, 0.7, network.theta.size)
    for average in network.norm.running.values():
        average[:] = rng.uniform(0.05, 0.5, hidden)
    network.pack()
    return network


class Case(NamedTuple):
    """A text to be read and continued, some characters of every row given."""

    network: Network
    state: Array  # (L, S, B, H)
    ids: Ids  # (past + steps + 1, B)
    known: Ids  # (B,)
    u: Array  # (steps, B)
    filters: Filters = FILTERS
    start: int = NONE
    blend: Blend = ALONE

    @property
    def past(self) -> int:
        return len(self.ids) - len(self.u) - 1

    def copy(self) -> "Case":
        """Separate what generating writes."""
        return self._replace(state=self.state.copy(), ids=self.ids.copy())

    def row(self, n: int) -> "Case":
        """Take one row out."""
        return self.rows(slice(n, n + 1))

    def rows(self, rows: slice) -> "Case":
        """Take some rows out."""
        return self._replace(
            state=np.ascontiguousarray(self.state[:, :, rows]),
            ids=np.ascontiguousarray(self.ids[:, rows]),
            known=self.known[rows].copy(),
            u=np.ascontiguousarray(self.u[:, rows]),
        )


class Result(NamedTuple):
    """What generating leaves."""

    state: Array
    ids: Ids
    logits: Array


def make(
    rng: np.random.Generator,
    network: Network,
    known: Any = 1,
    past: int = 0,
    sizes: tuple[int, int] = (STEPS, B),
) -> Case:
    """Build a case of random characters and numbers, in a state of its own."""
    steps, rows = sizes
    state = rng.normal(0, 0.5, network.new_state(rows).shape).astype(network.dtype)
    return Case(
        network,
        state,
        rng.integers(0, V, (past + steps + 1, rows)).astype(np.int32),
        np.broadcast_to(known, rows).astype(np.int32),
        rng.random((steps, rows)),
    )


def generate(case: Case, kept: int | None = None) -> Result:
    """Run the kernel on a copy of a case, on a tape full of something else."""
    network, state, ids, known, u, filters, start, blend = case.copy()
    steps, rows = u.shape
    tape = network.stack.new_tape(1, rows)
    for array in tape:
        if isinstance(array, np.ndarray) and array.dtype == network.dtype:
            array[...] = 7
    logits = np.full((steps if kept is None else kept, rows, V), np.nan, network.dtype)
    # What is not given is not looked at.
    for n in range(rows):
        ids[case.past + known[n] :, n] = V + 999
    assert generator_of(network.stack.kernels)(
        network.inference(), new_step_room(tape, V), state, ids, known, u, blend,
        filters, start, logits,
    )  # fmt: skip
    return Result(state, ids, logits)


def one_at_a_time(case: Case) -> Result:
    """Do the same in a loop, each row alone."""
    network, state, ids, known, u, filters, start, blend = case.copy()
    logits = np.full((*u.shape, V), np.nan, network.dtype)
    scratch = new_scratch(V)
    for n in range(ids.shape[1]):
        alone = np.ascontiguousarray(state[:, :, n : n + 1])
        for t in range(len(u)):
            now = case.past + t
            step = ids[now : now + 1, n : n + 1].copy()
            resets = (step == start).astype(np.uint8)
            window = Window.of_inputs(step)._replace(resets=resets)
            row = network.logits(window, alone)[0, 0]
            if known[n] <= t + 1:
                recent = ids[t + 1 : now + 1, n].copy()  # `past` characters
                if blend.share < 1:
                    mix(*blend[:4], recent, row)
                said = row.astype(np.float64)
                ids[now + 1, n] = choose(said, recent, filters, u[t, n], scratch)
                logits[t, n] = row
        state[:, :, n] = alone[:, :, 0]
    return Result(state, ids, logits)


def assert_close(found: Result, expected: Result) -> None:
    """Compare what two ways lead to, where both have written logits."""
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_allclose(found.state, expected.state, rtol=1e-11)
    written = np.isfinite(expected.logits)
    np.testing.assert_allclose(
        found.logits[written], expected.logits[written], rtol=1e-11
    )


def assert_same(found: Result, expected: Result) -> None:
    """Compare bits."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@cells
@lags_
@pytest.mark.parametrize("layers", [1, 3])
def test_reading_moves_the_state_as_the_model_does(
    rng: np.random.Generator, cell: CellName, layers: int, lags: tuple[int, ...]
) -> None:
    """Where all characters are known: after every step."""
    network = build(rng, cell, layers, lags=lags)
    case = make(rng, network, known=STEPS + 1)
    state = case.state.copy()

    for t in range(STEPS):
        network.forward(Window.of_inputs(case.ids[t : t + 1]), state)
        short = case._replace(
            ids=case.ids[: t + 2],
            known=np.full(B, t + 2, np.int32),
            u=case.u[: t + 1],
        )
        found = generate(short)
        np.testing.assert_allclose(found.state, state, rtol=1e-11)
        np.testing.assert_array_equal(found.ids, short.ids)


@cells
@norms
@pytest.mark.parametrize("layers", [1, 3])
def test_characters_are_those_of_a_loop(
    rng: np.random.Generator, cell: CellName, norm: NormName, layers: int
) -> None:
    """One step of the network, the filters, one draw; and again."""
    case = make(rng, build(rng, cell, layers, norm=norm))
    found = generate(case)

    assert_close(found, one_at_a_time(case))
    assert np.isfinite(found.logits).all()
    assert len({tuple(row) for row in found.ids.T}) == B
    assert len(np.unique(found.ids)) > 3


@cells
def test_each_row_has_as_many_characters_given(
    rng: np.random.Generator, cell: CellName
) -> None:
    """From one, which is read first, to all of them and the one behind."""
    known = [1, STEPS + 1, 4, 2, STEPS]
    case = make(rng, build(rng, cell), known, sizes=(STEPS, len(known)))
    found = generate(case)

    assert_close(found, one_at_a_time(case))
    for n, given_ in enumerate(known):
        np.testing.assert_array_equal(found.ids[:given_, n], case.ids[:given_, n])
        assert (found.ids[:, n] < V).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.0},
        {"no_repeat": 2},
        {"typical": 0.4},
        {"bias": np.array([-np.inf, 5, 0, 0, 1, 0, 0])},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_filters_see_every_character(
    rng: np.random.Generator, settings: dict[str, Any]
) -> None:
    case = make(rng, build(rng, "lstm"), known=[1, 3, 5], past=2)
    case = case._replace(filters=filters_of(**settings))

    assert_close(generate(case), one_at_a_time(case))
    assert (generate(case).ids != generate(case._replace(filters=FILTERS)).ids).any()


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("past", [0, 1, 6])
def test_what_came_before_counts_for_n_grams(
    rng: np.random.Generator, past: int, n: int
) -> None:
    """What is read does too, and below 0 nothing came."""
    case = make(rng, build(rng, "gru"), known=[1, 2, 7], past=past)
    case.ids[: min(past, 3), 0] = -1
    case.ids[:past, 2] = -1
    case = case._replace(filters=filters_of(no_repeat=n))

    assert_close(generate(case), one_at_a_time(case))


@pytest.mark.parametrize(("further", "expected"), [(0, 2), (1, 1)])
@pytest.mark.parametrize("past", [1, 2, 50])
def test_n_grams_are_looked_for_in_the_past(
    past: int, further: int, expected: int
) -> None:
    """As long as the past is: a character further back may come again."""
    network = Network(ModelConfig(vocab_size=3, hidden=2))
    network.weights["head.by"][:] = 0, 2, 1  # likeliest is the character 1
    network.pack()
    filters = filters_of(no_repeat=1, temperature=0.0, top_k=3, bias=np.zeros(3))
    steps = past + further
    ids = np.zeros((past + steps + 1, 1), np.int32)
    ids[past] = 1
    logits, u = np.empty((1, 1, 3), network.dtype), np.zeros((steps, 1))
    state, tape = network.new_state(1), network.stack.new_tape(1, 1)
    known = np.full(1, steps, np.int32)

    assert generator_of(network.stack.kernels)(
        network.inference(), new_step_room(tape, 3), state, ids, known, u, ALONE,
        filters, NONE, logits,
    )  # fmt: skip
    assert ids[-1, 0] == expected


@cells
@lags_
def test_a_document_begins_from_nothing(
    rng: np.random.Generator, cell: CellName, lags: tuple[int, ...]
) -> None:
    """Wherever its first character is read, be it given or chosen."""
    case = make(rng, build(rng, cell, lags=lags), known=[1, 6, 3])
    case.ids[0, 0] = case.ids[4, 1] = 2
    bias = np.zeros(V)
    bias[2] = 1.5
    case = case._replace(start=2, filters=filters_of(bias=bias))
    found = generate(case)

    assert_close(found, one_at_a_time(case))
    assert (found.ids[6:-1] == 2).any()
    # What was before does not count any more.
    last = max(t for t in range(STEPS) if found.ids[t, 0] == 2)
    rest = case._replace(
        state=case.network.new_state(B),
        ids=found.ids[last:],
        known=np.full(B, STEPS - last + 1, np.int32),
        u=case.u[last:],
    )
    np.testing.assert_array_equal(generate(rest).state[:, :, 0], found.state[:, :, 0])
    without = generate(case._replace(start=NONE))
    assert (without.state[:, :, 0] != found.state[:, :, 0]).any()


@cells
@pytest.mark.parametrize("known", [1, 4, [1, STEPS, 5]])
def test_logits_of_all_steps_or_of_the_last(
    rng: np.random.Generator, cell: CellName, known: Any
) -> None:
    """Written where something was chosen; characters and state are the same."""
    case = make(rng, build(rng, cell), known)
    every, last = generate(case), generate(case, kept=1)

    assert_same(every._replace(logits=last.logits), last)
    np.testing.assert_array_equal(last.logits[0], every.logits[-1])
    first = min(case.known) - 1
    assert np.isfinite(every.logits[first:]).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_blend_is_what_filters_see(rng: np.random.Generator, share: float) -> None:
    """Every row's by its own past, at whatever step it begins to be chosen."""
    memory = Memory(
        ids=rng.integers(0, V, 300).astype(np.uint8),
        order=4,
        share=share,
        vocab_size=V,
        before=0,
    )
    blend = Blend(memory.tables, None, share, 2, learns=False)
    case = make(rng, build(rng, "gru"), known=[1, 4, 6], past=4)._replace(blend=blend)
    case.ids[:3, 1] = case.ids[:4, 2] = -1
    found = generate(case)

    assert_close(found, one_at_a_time(case))
    p = np.exp(found.logits[5:])
    np.testing.assert_allclose(p.sum(axis=2), 1, rtol=1e-12)
    alone = generate(
        case._replace(blend=ALONE, ids=found.ids, known=case.known * 0 + 11)
    )
    expected, network = p[-1], np.exp(alone.logits[-1])
    network /= network.sum(axis=1, keepdims=True)
    for n in range(B):
        text = np.append(found.ids[case.past :][:STEPS, n], 0)
        counted = memory.distributions(text)[-1]
        blended = share * network[n] + (1 - share) * counted
        np.testing.assert_allclose(expected[n], blended, rtol=1e-10)


def test_a_network_alone_has_no_counts_to_ask() -> None:
    """Its n-grams have no length, and a text cannot be scored by them."""
    assert ALONE.order == 0
    with pytest.raises(ValueError, match="nothing was counted"):
        score(ALONE, np.zeros(2, np.int32), 0, np.empty(2))


@cells
def test_weights_that_are_not_finite_are_told_of(
    rng: np.random.Generator, cell: CellName
) -> None:
    """False where there is nothing to choose from; not where nothing is chosen."""
    network = build(rng, cell)
    ids = np.zeros(5, np.uint8)
    memory = Memory(ids=ids, order=1, share=0.5, vocab_size=V, before=0)
    blended = Blend(memory.tables, None, 0.5, NONE, learns=False)
    for broken in (np.nan, np.inf):
        network.weights["head.by"][3] = broken
        network.pack()
        for known, fine in ((1, False), (STEPS, False), (STEPS + 1, True)):
            case = make(rng, network, [STEPS + 1, known, STEPS + 1], past=1)
            logits = np.empty((1, B, V), network.dtype)
            room = new_step_room(network.stack.new_tape(1, B), V)
            weights = case.network.inference()
            for blend in (ALONE, blended):
                with np.errstate(invalid="ignore"):  # NumPy warns without the JIT
                    found = generator_of(network.stack.kernels)(
                        *(weights, room, case.state, case.ids, case.known, case.u),
                        *(blend, FILTERS, NONE, logits),
                    )
                assert found == fine


@compiled_only
@cells
@norms
def test_a_row_alone_gets_the_same_bits(
    rng: np.random.Generator, cell: CellName, norm: NormName
) -> None:
    """As among 1 to 9 others, in float32, at a width of vectors and a remainder."""
    network = build(rng, cell, dtype=np.float32, hidden=37, norm=norm)
    case = make(rng, network, rng.integers(1, STEPS + 2, 9), sizes=(STEPS, 9))
    alone = [generate(case.row(n)) for n in range(9)]

    for rows in range(1, 10):
        found = generate(case.rows(slice(rows)))
        for n in range(rows):
            first = case.known[n] - 1
            np.testing.assert_array_equal(found.ids[:, n], alone[n].ids[:, 0])
            np.testing.assert_array_equal(found.state[:, :, n], alone[n].state[:, :, 0])
            np.testing.assert_array_equal(
                found.logits[first:, n], alone[n].logits[first:, 0]
            )


@cache
def long_case(cell: CellName) -> Case:
    """Build a case with all that is handed on: state, past, text, documents."""
    rng = np.random.default_rng(5)
    network = build(rng, cell, dtype=np.float32, hidden=13)
    case = make(rng, network, [1, 9, 3, STEPS + 1], past=4, sizes=(STEPS, 4))
    return case._replace(filters=filters_of(no_repeat=3), start=2)


@cells
@given(cuts=st.sets(st.integers(1, STEPS - 1)))
def test_slices_of_any_length_are_one_call(cell: CellName, cuts: set[int]) -> None:
    """State and text are handed on; nothing else matters."""
    case = long_case(cell)
    whole = generate(case)
    state, ids, logits = case.state, case.ids.copy(), []

    for a, b in pairwise([0, *sorted(cuts), STEPS]):
        steps = slice(a, case.past + b + 1)
        known = np.clip(case.known - a, 1, b - a + 1)
        found = generate(
            case._replace(state=state, ids=ids[steps], known=known, u=case.u[a:b])
        )
        state, ids[steps] = found.state, found.ids
        logits.append(found.logits)

    assert_same(Result(state, ids, np.concatenate(logits)), whole)


def test_the_first_character_is_chosen_from_logits_alone(
    rng: np.random.Generator,
) -> None:
    """One a row, each by its own number, and never what is impossible."""
    logits = rng.normal(size=V).astype(np.float32)
    logits[2] = -np.inf
    u, ids, scratch = rng.random(50), np.full(50, -5, np.int32), new_scratch(V)
    nothing = np.zeros(0, np.int32)

    for filters in (FILTERS, filters_of(temperature=0.0), filters_of(no_repeat=2)):
        assert choose_first(logits, filters, scratch, u, ids)
        said = logits.astype(np.float64)
        expected = [choose(said, nothing, filters, number, scratch) for number in u]
        np.testing.assert_array_equal(ids, expected)
    assert len(set(ids.tolist())) == V - 1
    for broken in (np.nan, -np.inf):
        rows = np.full(V, broken, np.float32)
        assert not choose_first(rows, FILTERS, scratch, u, ids)
