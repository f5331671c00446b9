"""The layers' way back in parts, as those see it who watch the gradients."""

from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn import parameters
from charrnn.cells import names
from charrnn.config import ModelConfig, NormName
from charrnn.network import Network
from charrnn.stack import Noise
from charrnn.windows import Window
from tests import reference
from tests.gradcheck import assert_same_gradient, numeric_gradient
from tests.test_network import Case

pytestmark = pytest.mark.small

#: All different, so that no axis can be taken for another.
T, B, H, V, L = 4, 3, 5, 6, 2

cells = pytest.mark.parametrize("cell", names())
norms = pytest.mark.parametrize("norm", ["none", "layer", "batch"])

Array = NDArray[Any]
Lags: TypeAlias = tuple[int, ...]


def build(
    rng: np.random.Generator,
    cell: str,
    norm: NormName = "none",
    lags: tuple[int, ...] = (1,),
) -> Network:
    """Build a network with random parameters and running averages."""
    shape: dict[str, Any] = {"vocab_size": V, "hidden": H, "layers": L, "lags": lags}
    network = Network(ModelConfig(cell=cell, norm=norm, **shape), dtype=np.float64)
    network.theta[:] = rng.normal(0, 0.5, network.theta.size)
    for name, average in network.norm.running.items():
        average[:] = rng.uniform(0.05 if name.endswith("var") else -0.5, 0.5, H)
    network.pack()
    return network


def weighted_outputs(network: Network, case: Case, dy: Array, nudges: Array) -> float:
    """Sum dy times the last layer's outputs, by the equations.

    What each layer's cell puts out, (L, T, B, H), is nudged after the cell: the
    layers above and the sum see it, the cell's next step does not.
    """
    weights: dict[str, Any] = {**network.tensors}
    norm = network.config.norm
    zx = weights["layer0.Wx"][case.ids] + weights["layer0.b"]
    for k in range(L):
        y, _ = reference.run(
            network.config.cell, zx, case.state[k], case.resets,
            weights[f"layer{k}.Wh"], weights.get(f"layer{k}.bhn", np.zeros(0)),
            lags=network.config.lags,
        )  # fmt: skip
        y = y + nudges[k]
        if norm != "none":
            gain, shift = weights[f"layer{k}.gain"], weights[f"layer{k}.shift"]
            running: Any = None
            if norm == "batch":
                running = [weights[f"layer{k}.running_{s}"] for s in ("mean", "var")]
            y = reference.normalized(y, norm, gain, shift, running)
        if k + 1 < L:
            zx = y @ weights[f"layer{k + 1}.Wx"].T + weights[f"layer{k + 1}.b"]
    return float((y * dy).sum())


@cells
@norms
@pytest.mark.parametrize("cuts", [(0, 4), (0, 3, 4), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("lags", [(1,), (1, 3)], ids=["", "1,3"])
def test_every_layer_is_shown_the_gradient_of_what_its_cell_puts_out(
    rng: np.random.Generator, cell: str, norm: NormName, cuts: Lags, lags: Lags
) -> None:
    """However the way back is cut, from the end to the beginning."""
    network = build(rng, cell, norm, lags)
    case, dy = Case(rng, network), rng.normal(size=(T, B, H))
    shown, calls = np.full((L, T, B, H), np.nan), []
    passed = network.forward(case.window, case.state.copy())
    for first, last in reversed([*pairwise(cuts)]):

        def note(k: int, dh: Array, first: int = first, last: int = last) -> None:
            calls.append((first, k))
            shown[k, first:last] = dh

        part = dy[first:last].reshape(-1, H).copy()
        network.backward(passed, range(first, last), part, note)

    assert calls == [(a, k) for a in cuts[-2::-1] for k in (1, 0)]
    nudges = np.zeros((L, T, B, H))
    numeric = numeric_gradient(
        lambda: weighted_outputs(network, case, dy, nudges), nudges
    )
    assert_same_gradient(shown, numeric, "outputs of cells")


@cells
@norms
def test_watching_changes_nothing(
    rng: np.random.Generator, cell: str, norm: NormName
) -> None:
    """Gradients of weights and of states are those of a way back alone."""
    network = build(rng, cell, norm)
    case, found = Case(rng, network), []
    dy = rng.normal(size=(T * B, H))
    for watch in (None, lambda k, dh: None):
        passed = network.stack.forward(case.window, case.state.copy(), training=True)
        flat = np.zeros_like(network.theta)
        layers = parameters.Parameters(flat, network.config).layers
        network.stack.backward(passed, range(T), dy.copy(), layers, watch)
        found.append((flat, *(tape.dstates.copy() for tape in passed.tapes)))

    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found[0][0].any()


@cells
def test_without_gradients_to_add_to_the_states_have_the_same(
    rng: np.random.Generator, cell: str
) -> None:
    """Those of weights are not formed where nobody wants them."""
    network = build(rng, cell, "layer")
    case, dy, found = Case(rng, network), rng.normal(size=(T * B, H)), []
    for wanted in (False, True):
        passed = network.stack.forward(case.window, case.state.copy())
        flat = np.zeros_like(network.theta)
        layers = parameters.Parameters(flat, network.config).layers
        network.stack.backward(passed, range(T), dy.copy(), layers if wanted else None)
        assert flat.any() == wanted
        found.append([tape.dstates.copy() for tape in passed.tapes])

    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("layers", "lags", "vocab_size", "steps"),
    [
        (1, (1,), 6, 8),  # 4H x H beside a step of 2 x 4H: H / 2 steps
        (2, (1,), 6, 24),  # three such matrices
        (1, (1, 3), 6, 16),  # Wh sees two states
        (1, (1,), 128, 4),  # logits, twice as large as z
        (1, (1,), 600, 2),  # no less than what the caches hold
    ],
)
def test_as_much_is_carried_back_as_the_gradients_have(
    monkeypatch: pytest.MonkeyPatch,
    layers: int,
    lags: tuple[int, ...],
    vocab_size: int,
    steps: int,
) -> None:
    """Of z, and of the logits; where that is more than fits into the caches."""
    monkeypatch.setattr("charrnn.stack.CHUNK_BYTES", 2 * 2 * 4 * 16 * 4)
    monkeypatch.setattr("charrnn.stack.CHUNK_ROWS", 1)
    shape: dict[str, Any] = {"layers": layers, "lags": lags, "vocab_size": vocab_size}
    network = Network(ModelConfig(cell="lstm", hidden=16, **shape))

    assert network.workspace(64, 2).chunk == steps


def test_room_for_windows_is_kept_for_the_last_few_shapes(
    rng: np.random.Generator,
) -> None:
    """Eight of them; each has as much room as its arrays take."""
    network = build(rng, "lstm")
    first = network.workspace(1, 1)
    for T in range(2, 9):
        network.workspace(T, 1)
    assert network.workspace(1, 1) is first
    network.workspace(9, 1)
    assert network.workspace(1, 1) is not first

    space = network.workspace(4, 3)
    # z; states before and after every step, of h and c; and gradients.
    tape = (4 * 3 * H * 4 + 2 * 5 * 3 * H + 2 * 3 * H) * 8
    assert space.nbytes == L * tape

    # What 4 steps see of 3 rows at 2 lags, its gradient, how far back documents reach;
    # h of 4 earlier steps, and gradients of 5.
    lagged = 4 * 3 * 2 * H * 8 + 3 * 2 * H * 8 + 4 * 3 * 4 + (4 + 5) * 3 * H * 8
    space = build(rng, "lstm", lags=(1, 5)).workspace(4, 3)
    assert space.nbytes == L * (tape + lagged + 2 * 4)


@cells
def test_a_tape_is_made_with_the_settings_of_the_cell(
    rng: np.random.Generator, cell: str
) -> None:
    """The vanilla cell's activation is told to it and to no other."""
    shape: dict[str, Any] = {"vocab_size": V, "hidden": H}
    if cell == "rnn":
        shape["activation"] = "relu"
    network = Network(ModelConfig(cell=cell, **shape))
    network.theta[:] = rng.normal(size=network.theta.size)
    network.pack()
    ids = rng.integers(0, V, (T, B)).astype(np.int32)
    passed = network.forward(Window.of_inputs(ids), network.new_state(B))

    if cell == "rnn":
        assert passed.y.min() == 0
        assert passed.y.max() > 1
    else:
        assert np.abs(passed.y).max() < 1


@cells
def test_outputs_stand_among_the_states_unless_they_differ(
    rng: np.random.Generator, cell: str
) -> None:
    """They are kept apart where dropped, normalized, or cleared by a document."""
    ids = rng.integers(0, V, (T, B)).astype(np.int32)
    plain, begins = Window.of_inputs(ids), np.zeros((T, B), np.uint8)
    begins[0] = 1
    at_once = plain._replace(resets=begins)
    inside = plain._replace(resets=np.roll(begins, 2, axis=0))
    noise = Noise(np.zeros((L, T * B, H), np.uint8), 1)

    def share(norm: NormName, window: Window, noise: Noise | None = None) -> list[bool]:
        stack = build(rng, cell, norm).stack
        passed = stack.forward(window, stack.new_state(B), noise)
        assert all(y.shape == (T, B, H) for y in passed.outputs)
        pairs = zip(passed.outputs, passed.tapes, strict=True)
        return [np.shares_memory(y, tape.states) for y, tape in pairs]

    assert share("none", plain) == share("none", at_once) == [True, True]
    apart = share("none", inside), share("layer", plain), share("none", plain, noise)
    assert apart == ([False, False],) * 3


@cells
def test_where_outputs_stand_changes_no_bit(
    rng: np.random.Generator, cell: str
) -> None:
    """A window has the same loss and gradient with its outputs apart from the states.

    They are kept apart for a dropout that drops nothing.
    """
    network, ids = build(rng, cell), rng.integers(0, V, (T, B)).astype(np.int32)
    window = Window(ids, np.roll(ids, -1, axis=0), np.zeros((T, B), np.uint8))
    found = []
    for noise in (None, Noise(np.full((L, T * B, H), 255, np.uint8), 0)):
        state, gradient = network.new_state(B), np.zeros_like(network.theta)
        loss = network.loss_and_gradient(window, state, gradient, noise)
        found.append((loss, state.tobytes(), gradient.tobytes()))

    assert found[0] == found[1]
