"""The whole stack: equations, gradients, and results that do not move."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numba
import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn import parameters
from charrnn.cells import cell_of, names
from charrnn.config import CellName, ModelConfig
from charrnn.kernels.cells import kernels_of
from charrnn.kernels.jit import cache_directory, is_cached
from charrnn.kernels.optimizers import (
    ADAM,
    CHUNK,
    Formula,
    Update,
    apply,
    squared_norm,
)
from charrnn.kernels.recurrence import way_back
from charrnn.kernels.threads import limited, usable
from charrnn.network import Network
from charrnn.parameters import Parameters
from charrnn.stack import Noise
from charrnn.windows import Window
from tests import reference
from tests.gradcheck import assert_same_gradient, numeric_gradient

small = pytest.mark.small

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="NumPy's product rounds by shape"
)

#: All different, so that no axis can be taken for another.
T, B, H, V, L = 4, 3, 5, 6, 2

Lags: TypeAlias = tuple[int, ...]


def cells(test: Callable[..., None]) -> Callable[..., None]:
    """Give a test every cell, with the state before each step and with further ones.

    One of those lies further back than most windows here are long.
    """
    by_lag = pytest.mark.parametrize("lags", [(1,), (1, 2, 6)], ids=["", "1,2,6"])
    return pytest.mark.parametrize("cell", names())(by_lag(test))


Array = NDArray[Any]
NewNetwork = Callable[..., Network]


def tiny(
    cell: CellName, lags: Lags = (1,), hidden: int = H, vocab_size: int = V
) -> ModelConfig:
    """Two layers of a cell."""
    return ModelConfig(
        vocab_size=vocab_size, cell=cell, hidden=hidden, layers=L, lags=lags
    )


class Case:
    """A window of random characters, with resets, an ignored target and noise.

    The arrays can be changed before it is run.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        network: Network,
        sizes: tuple[int, int] = (T, B),
        threshold: int = 80,
        layers: int = L,
    ) -> None:
        V, H = network.config.vocab_size, network.config.hidden
        self.ids = rng.integers(0, V, sizes, dtype=np.int32)
        self.targets = rng.integers(0, V, sizes, dtype=np.int32)
        self.targets[1, 0] = -1
        self.resets = np.zeros(sizes, np.uint8)
        self.resets[2, 1 % sizes[1]] = self.resets[0, -1] = 1
        state = network.new_state(sizes[1])
        self.state = rng.normal(size=state.shape).astype(network.dtype)
        shape = (layers, sizes[0] * sizes[1], H)
        self.noise = Noise(rng.integers(0, 256, shape, dtype=np.uint8), threshold)
        shape = (layers, *network.weights["layer0.Wh"].shape)
        mask = rng.integers(0, 256, shape, dtype=np.uint8)
        self.weight_noise = Noise(mask, threshold)

    @property
    def window(self) -> Window:
        """The characters, targets and resets as they are now."""
        return Window(self.ids, self.targets, self.resets)

    def part(self, steps: slice, rows: slice) -> Window:
        """Cut some steps and rows out of the window."""
        arrays: list[Any] = [np.ascontiguousarray(a[steps, rows]) for a in self.window]
        return Window(*arrays)

    def gradient(
        self,
        network: Network,
        noise: Noise | None = None,
        weight_noise: Noise | None = None,
    ) -> tuple[Any, ...]:
        """Loss, gradient, and state after the window."""
        state, dtheta = self.state.copy(), np.zeros_like(network.theta)
        loss = network.loss_and_gradient(
            self.window, state, dtheta, noise, weight_noise
        )
        return loss, dtheta, state

    def keep(self) -> Array:
        """Build what dropout multiplies outputs by, (L, T, B, H)."""
        noise, threshold = self.noise
        kept = np.where(noise < threshold, 0, 256 / (256 - threshold))
        return kept.reshape(len(noise), *self.ids.shape, -1)


@small
@cells
def test_logits_are_the_equations(
    new_network: NewNetwork, cell: CellName, lags: Lags, rng: Any
) -> None:
    """Logits and state of two layers are what plain NumPy makes of them."""
    network = new_network(tiny(cell, lags), np.float64)
    case = Case(rng, network)
    state = case.state.copy()
    found = network.logits(Window.of_inputs(case.ids), state)
    none = np.zeros((T, B), np.uint8)
    expected, after = reference.model_logits(
        network.weights, cell, case.ids, none, case.state, lags=lags
    )

    np.testing.assert_allclose(found, expected, rtol=1e-11)
    np.testing.assert_allclose(state, after, rtol=1e-11)


@small
@cells
def test_losses_are_the_equations(
    new_network: NewNetwork, cell: CellName, lags: Lags, rng: Any
) -> None:
    """So are the losses, with resets and an ignored target."""
    network = new_network(tiny(cell, lags), np.float64)
    case = Case(rng, network)
    state = case.state.copy()
    found = network.losses(case.window, state)
    logits, after = reference.model_logits(
        network.weights, cell, case.ids, case.resets, case.state, lags=lags
    )
    expected = reference.cross_entropy(
        logits.reshape(T * B, V), case.targets.reshape(-1)
    )

    np.testing.assert_allclose(found, expected.reshape(T, B), rtol=1e-11)
    np.testing.assert_allclose(state, after, rtol=1e-11)


@small
@cells
def test_mean_loss_with_dropout_is_the_equations(
    new_network: NewNetwork, cell: CellName, lags: Lags, rng: Any
) -> None:
    """The loss is the mean over what is scored, behind dropped outputs."""
    network = new_network(tiny(cell, lags), np.float64)
    case = Case(rng, network)
    loss, _, state = case.gradient(network, case.noise)
    logits, after = reference.model_logits(
        network.weights,
        cell,
        case.ids,
        case.resets,
        case.state,
        keep=case.keep(),
        lags=lags,
    )
    losses = reference.cross_entropy(logits.reshape(T * B, V), case.targets.reshape(-1))

    assert loss == pytest.approx(losses.sum() / (T * B - 1), rel=1e-12)
    np.testing.assert_allclose(state, after, rtol=1e-11)


@small
@cells
def test_every_parameters_gradient_is_the_central_difference(
    new_network: NewNetwork, cell: CellName, lags: Lags, rng: Any
) -> None:
    """Two layers, with resets, an ignored target and dropout between them."""
    network = new_network(tiny(cell, lags), np.float64)
    case = Case(rng, network)
    _, dtheta, _ = case.gradient(network, case.noise)
    gradients = Parameters(dtheta, network.config).by_name

    def loss() -> float:
        network.pack()
        return case.gradient(network, case.noise)[0]

    assert gradients.keys() == network.weights.keys()
    for name, weight in network.weights.items():
        assert_same_gradient(gradients[name], numeric_gradient(loss, weight), name)


@small
@cells
def test_gradient_of_dropped_weights_is_the_central_difference(
    new_network: NewNetwork, cell: CellName, lags: Lags, rng: Any
) -> None:
    """Those that were dropped have none, those that are left are scaled."""
    network = new_network(tiny(cell, lags), np.float64)
    case = Case(rng, network)
    _, dtheta, _ = case.gradient(network, case.noise, case.weight_noise)
    gradients = Parameters(dtheta, network.config).by_name

    def loss() -> float:
        return case.gradient(network, case.noise, case.weight_noise)[0]

    mask, threshold = case.weight_noise
    for k in range(L):
        name = f"layer{k}.Wh"
        numeric = numeric_gradient(loss, network.weights[name])
        assert_same_gradient(gradients[name], numeric, name)
        assert not gradients[name][mask[k] < threshold].any()


@small
@cells
def test_loss_with_dropped_weights_is_that_of_the_network_without_them(
    new_network: NewNetwork, cell: CellName, lags: Lags, rng: Any
) -> None:
    """All other gradients are, too, and packing brings the whole network back."""
    network, other = (
        new_network(tiny(cell, lags), np.float64),
        new_network(tiny(cell, lags), np.float64),
    )
    case = Case(rng, network)
    other.load(network.tensors)
    mask, threshold = case.weight_noise
    for k in range(L):
        kept = np.where(mask[k] < threshold, 0, 256 / (256 - threshold))
        other.weights[f"layer{k}.Wh"][...] *= kept
    other.pack()
    before = case.gradient(network)[0]
    loss, dtheta, state = case.gradient(network, None, case.weight_noise)
    expected, dother, state_other = case.gradient(other)
    config = network.config
    found, wanted = (Parameters(d, config).by_name for d in (dtheta, dother))

    assert loss == expected
    np.testing.assert_array_equal(state, state_other)
    for name in found.keys() - {f"layer{k}.Wh" for k in range(L)}:
        np.testing.assert_array_equal(found[name], wanted[name])
    network.pack()
    assert case.gradient(network)[0] == before


@small
@cells
def test_second_gradient_is_added(
    new_network: NewNetwork, cell: CellName, lags: Lags, rng: Any
) -> None:
    """Gradients accumulate in the buffer that the caller gives."""
    network = new_network(tiny(cell, lags), np.float64)
    case = Case(rng, network)
    noise, weight_noise = case.noise, case.weight_noise
    _, once, _ = case.gradient(network, noise, weight_noise)
    twice = once.copy()
    network.loss_and_gradient(
        case.window, case.state.copy(), twice,
        noise, weight_noise,
    )  # fmt: skip

    np.testing.assert_allclose(twice, 2 * once, rtol=1e-10, atol=1e-15)


@small
@cells
def test_nothing_scored_gives_exactly_zero(
    new_network: NewNetwork, cell: CellName, lags: Lags, rng: Any
) -> None:
    """A window without targets costs nothing and teaches nothing."""
    network = new_network(tiny(cell, lags), np.float64)
    case = Case(rng, network)
    case.targets[:] = -1
    loss, dtheta, _ = case.gradient(network, case.noise)

    assert loss == 0
    assert (dtheta == 0).all()


#: Widths and a vocabulary beyond a vector, with remainders.
WIDE: dict[str, Any] = {"hidden": 37, "vocab_size": 41}


@compiled_only
@cells
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lengths", [(5, 4), (1, 8), (1,) * 9])
def test_cut_sequence_is_the_whole_one(
    new_network: NewNetwork,
    cell: CellName,
    lags: Lags,
    dtype: Any,
    lengths: Any,
    rng: Any,
) -> None:
    """Windows that hand their state on, down to single steps, change no bit."""
    network = new_network(tiny(cell, lags, **WIDE), dtype)
    case = Case(rng, network, (9, 6))
    whole, state = case.state.copy(), case.state.copy()
    expected = network.losses(case.window, whole)
    losses, begin = [], 0
    for length in lengths:
        part = case.part(slice(begin, begin + length), slice(None))
        losses.append(network.losses(part, state))
        begin += length

    assert (np.concatenate(losses) == expected).all()
    assert (state == whole).all()


@compiled_only
@cells
def test_single_steps_give_the_logits_of_a_window(
    new_network: NewNetwork, cell: CellName, lags: Lags, rng: Any
) -> None:
    """Generating and reading cannot disagree: T steps of one are one of T."""
    network = new_network(tiny(cell, lags, **WIDE))
    case = Case(rng, network, (9, 2))
    whole, state = case.state.copy(), case.state.copy()
    expected = network.logits(Window.of_inputs(case.ids), whole)
    steps = [Window.of_inputs(case.ids[t : t + 1]) for t in range(9)]
    logits = [network.logits(step, state) for step in steps]

    assert (np.concatenate(logits) == expected).all()
    assert (state == whole).all()


@compiled_only
@cells
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 13, 19])
def test_a_row_alone_gets_the_same_bits(
    new_network: NewNetwork, cell: CellName, lags: Lags, rows: int, rng: Any
) -> None:
    """Losses and state of a stream ignore the streams beside it."""
    network = new_network(tiny(cell, lags, **WIDE))
    case = Case(rng, network, (T, rows))
    for threads in (1, 2):
        network = with_threads(network, threads)
        together = case.state.copy()
        losses = network.losses(case.window, together)
        for n in range(rows):
            row = slice(n, n + 1)
            state = case.state[:, :, row].copy()
            alone = network.losses(case.part(slice(None), row), state)
            assert (alone == losses[:, row]).all()
            assert (state == together[:, :, row]).all()


def with_threads(network: Network, threads: int) -> Network:
    """Copy a network for another number of threads."""
    copy = Network(network.config, dtype=network.dtype, threads=threads)
    copy.load(network.tensors)
    return copy


@compiled_only
@cells
@pytest.mark.parametrize("rows", [1, 3, 16, 19])
def test_threads_do_not_matter(
    new_network: NewNetwork, cell: CellName, lags: Lags, rows: int, rng: Any
) -> None:
    """Loss, gradient and state have the same bits for one thread and two."""
    network = new_network(tiny(cell, lags, **WIDE))
    case = Case(rng, network, (9, rows))
    results = [
        case.gradient(with_threads(network, threads), case.noise) for threads in (1, 2)
    ]

    for one, two in zip(*results, strict=True):
        assert (one == two).all() if isinstance(one, np.ndarray) else one == two


@compiled_only
@cells
def test_a_reset_is_a_new_document(
    new_network: NewNetwork, cell: CellName, lags: Lags, rng: Any
) -> None:
    """A window with a reset is two windows, the second from a zero state."""
    network = new_network(tiny(cell, lags, **WIDE))
    case = Case(rng, network, (9, 6))
    case.resets[:] = 0
    case.resets[4] = 1
    whole, state = case.state.copy(), case.state.copy()
    expected = network.losses(case.window, whole)
    case.resets[:] = 0
    first = network.losses(case.part(slice(4), slice(None)), state)
    state[:] = 0
    second = network.losses(case.part(slice(4, 9), slice(None)), state)

    assert (np.concatenate([first, second]) == expected).all()
    assert (state == whole).all()


@small
def test_evaluation_has_no_dropout(network64: Network, rng: Any) -> None:
    """Losses are those of training with a rate of zero."""
    case = Case(rng, network64, threshold=0)
    loss, _, _ = case.gradient(network64, case.noise)
    losses = network64.losses(case.window, case.state.copy())

    assert loss == pytest.approx(losses.sum() / (T * B - 1), rel=1e-12)


@small
def test_windows_of_many_sizes_do_not_mix(network32: Network, rng: Any) -> None:
    """Room is kept for a few shapes; a shape that comes back starts afresh."""
    cases = [Case(rng, network32, (3, rows)) for rows in range(1, 8)]
    first = [case.gradient(network32)[0] for case in cases]

    assert [case.gradient(network32)[0] for case in reversed(cases)] == first[::-1]
    assert network32.workspace(3, 1).nbytes > 0


@small
def test_load_takes_over_by_name(
    new_network: NewNetwork, tiny_config: ModelConfig, rng: Any
) -> None:
    """Weights are taken over from another network, in whatever order they come."""
    network, other = new_network(tiny_config), new_network(tiny_config)
    ids = rng.integers(0, V, (T, B), dtype=np.int32)
    other.load(dict(reversed(network.weights.items())))

    expected = network.logits(Window.of_inputs(ids), network.new_state(B))
    assert (other.logits(Window.of_inputs(ids), other.new_state(B)) == expected).all()


@small
def test_load_refuses_what_does_not_fit(network32: Network) -> None:
    """A missing name and a wrong shape are named."""
    missing = dict(network32.weights)
    del missing["head.by"]
    wrong = dict(network32.weights) | {"head.by": np.zeros(V + 1, np.float32)}

    for named in (missing, wrong):
        with pytest.raises(ValueError, match=r"head\.by"):
            network32.load(named)


@compiled_only
def test_making_and_running_a_network_leaves_numbas_threads_alone(rng: Any) -> None:
    """They belong to the whole process, in which others may use Numba."""
    for outside in (1, numba_config.NUMBA_NUM_THREADS):
        with limited(outside):
            network = Network(tiny("gru"), threads=2)
            assert numba.get_num_threads() == outside
            case = Case(rng, network)
            case.gradient(network, case.noise, case.weight_noise)
            network.losses(case.window, case.state)
            network.logits(case.window, case.state)
            assert numba.get_num_threads() == outside
    assert network.threads == usable(2)


@compiled_only
def test_what_fails_leaves_numbas_threads_alone() -> None:
    before = numba.get_num_threads()
    network = Network(tiny("gru"), threads=1 if before > 1 else 2)
    with pytest.raises(ValueError, match="broadcast"):
        network.losses(
            Window.of_inputs(np.zeros((1, 2), np.int32)), np.zeros((L, 1, 3, H))
        )
    assert numba.get_num_threads() == before


@compiled_only
@cells
def test_memorises_and_recites(cell: CellName, lags: Lags) -> None:
    """Thirty characters, learned by heart, are recited from the first one."""
    text = "an old house beside a gray sea"
    characters = sorted(set(text))
    ids = np.array([[characters.index(c)] for c in text], np.int32)
    config = ModelConfig(vocab_size=len(characters), cell=cell, hidden=32)
    network = Network(config)
    parameters.initialize(network.theta, config, "auto", 1.0, np.random.default_rng(1))
    window = Window.of_inputs(ids[:-1])._replace(targets=ids[1:])
    loss = _train(network, window, steps=300)

    assert len(text) == 30
    assert loss < 0.05
    state, spoken = network.new_state(1), ids[:1]
    for _ in text[1:]:
        likeliest = network.logits(Window.of_inputs(spoken[-1:]), state).argmax(axis=2)
        spoken = np.concatenate([spoken, likeliest.astype(np.int32)])
    assert "".join(characters[i] for i in spoken[:, 0]) == text


def _train(network: Network, window: Window, steps: int) -> float:
    """Adam, clipped by norm, on one window that always starts from zero."""
    m, v, dtheta = np.zeros((3, network.theta.size), np.float32)
    partial = np.zeros(-(-network.theta.size // CHUNK))
    for step in range(1, steps + 1):
        network.pack()
        dtheta[:] = 0
        state = network.new_state(window.inputs.shape[1])
        loss = network.loss_and_gradient(window, state, dtheta)
        squared_norm(dtheta, partial)
        scale = min(1.0, 1 / float(np.sqrt(partial.sum())))
        corrections = 1 / (1 - 0.9**step), 1 / (1 - 0.999**step)
        rule = Formula(ADAM, 0.9, 0.999, 1e-8)
        update = Update(0.01, *corrections, scale=scale)
        apply(network.theta, dtheta, m, v, rule, update)
    network.pack()
    return loss


@compiled_only
@cells
def test_compiled_kernels_are_found_again(cell: CellName, lags: Lags) -> None:
    """Whoever says that something has to be compiled looks for them by name."""
    network = Network(ModelConfig(vocab_size=2, cell=cell, hidden=2))
    one = Window.of_inputs(np.zeros((1, 1), np.int32))
    one.targets[:] = 1
    dtheta = np.zeros_like(network.theta)
    network.loss_and_gradient(one, network.new_state(1), dtheta)

    assert cache_directory() is not None
    assert is_cached(way_back(kernels_of(cell_of(cell))))
