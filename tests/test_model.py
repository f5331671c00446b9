"""The whole stack: equations, gradients, and results that do not move."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn import parameters
from charrnn.config import CellName, ModelConfig
from charrnn.kernels.optimizers import (
    ADAM,
    CHUNK,
    Rule,
    Update,
    apply,
    squared_norm,
)
from charrnn.model import CELLS, Model, Noise
from tests import reference
from tests.gradcheck import assert_same_gradient, numeric_gradient

small = pytest.mark.small

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="NumPy's product rounds by shape"
)

#: All different, so that no axis can be taken for another.
T, B, H, V, L = 4, 3, 5, 6, 2

cells = pytest.mark.parametrize("cell", CELLS)

Array = NDArray[Any]
NewModel = Callable[..., Model]


def tiny(cell: CellName, hidden: int = H, vocab_size: int = V) -> ModelConfig:
    """Two layers of a cell."""
    return ModelConfig(vocab_size=vocab_size, cell=cell, hidden=hidden, layers=L)


class Window:
    """A window of random characters, with resets, an ignored target and noise."""

    def __init__(
        self,
        rng: np.random.Generator,
        model: Model,
        sizes: tuple[int, int] = (T, B),
        threshold: int = 80,
        layers: int = L,
    ) -> None:
        V, H = model.config.vocab_size, model.config.hidden
        self.ids = rng.integers(0, V, sizes, dtype=np.int32)
        self.targets = rng.integers(0, V, sizes, dtype=np.int32)
        self.targets[1, 0] = -1
        self.resets = np.zeros(sizes, np.uint8)
        self.resets[2, 1 % sizes[1]] = self.resets[0, -1] = 1
        state = model.new_state(sizes[1])
        self.state = rng.normal(size=state.shape).astype(model.dtype)
        shape = (layers, sizes[0] * sizes[1], H)
        self.noise = Noise(rng.integers(0, 256, shape, dtype=np.uint8), threshold)
        shape = (layers, *model.weights["layer0.Wh"].shape)
        mask = rng.integers(0, 256, shape, dtype=np.uint8)
        self.weight_noise = Noise(mask, threshold)

    def part(self, steps: slice, rows: slice) -> tuple[Any, Any, Any]:
        """Characters, targets and resets of some steps and rows."""
        arrays = (self.ids, self.targets, self.resets)
        ids, targets, resets = (np.ascontiguousarray(a[steps, rows]) for a in arrays)
        return ids, targets, resets

    def gradient(
        self,
        model: Model,
        noise: Noise | None = None,
        weight_noise: Noise | None = None,
    ) -> tuple[Any, ...]:
        """Loss, gradient, and state after the window."""
        state, dtheta = self.state.copy(), np.zeros_like(model.theta)
        loss = model.loss_and_gradient(
            self.ids, self.targets, self.resets, state, dtheta, noise, weight_noise
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
    new_model: NewModel, cell: CellName, rng: Any
) -> None:
    """Logits and state of two layers are what plain NumPy makes of them."""
    model = new_model(tiny(cell), np.float64)
    window = Window(rng, model)
    state = window.state.copy()
    found = model.logits(window.ids, state)
    none = np.zeros((T, B), np.uint8)
    expected, after = reference.model_logits(
        model.weights, cell, window.ids, none, window.state
    )

    np.testing.assert_allclose(found, expected, rtol=1e-11)
    np.testing.assert_allclose(state, after, rtol=1e-11)


@small
@cells
def test_losses_are_the_equations(
    new_model: NewModel, cell: CellName, rng: Any
) -> None:
    """So are the losses, with resets and an ignored target."""
    model = new_model(tiny(cell), np.float64)
    window = Window(rng, model)
    state = window.state.copy()
    found = model.losses(window.ids, window.targets, window.resets, state)
    logits, after = reference.model_logits(
        model.weights, cell, window.ids, window.resets, window.state
    )
    expected = reference.cross_entropy(
        logits.reshape(T * B, V), window.targets.reshape(-1)
    )

    np.testing.assert_allclose(found, expected.reshape(T, B), rtol=1e-11)
    np.testing.assert_allclose(state, after, rtol=1e-11)


@small
@cells
def test_mean_loss_with_dropout_is_the_equations(
    new_model: NewModel, cell: CellName, rng: Any
) -> None:
    """The loss is the mean over what is scored, behind dropped outputs."""
    model = new_model(tiny(cell), np.float64)
    window = Window(rng, model)
    loss, _, state = window.gradient(model, window.noise)
    logits, after = reference.model_logits(
        model.weights, cell, window.ids, window.resets, window.state, keep=window.keep()
    )
    losses = reference.cross_entropy(
        logits.reshape(T * B, V), window.targets.reshape(-1)
    )

    assert loss == pytest.approx(losses.sum() / (T * B - 1), rel=1e-12)
    np.testing.assert_allclose(state, after, rtol=1e-11)


@small
@cells
def test_every_parameters_gradient_is_the_central_difference(
    new_model: NewModel, cell: CellName, rng: Any
) -> None:
    """Two layers, with resets, an ignored target and dropout between them."""
    model = new_model(tiny(cell), np.float64)
    window = Window(rng, model)
    _, dtheta, _ = window.gradient(model, window.noise)
    gradients = parameters.views(dtheta, model.config)

    def loss() -> float:
        model.pack()
        return window.gradient(model, window.noise)[0]

    assert gradients.keys() == model.weights.keys()
    for name, weight in model.weights.items():
        assert_same_gradient(gradients[name], numeric_gradient(loss, weight), name)


@small
@cells
def test_gradient_of_dropped_weights_is_the_central_difference(
    new_model: NewModel, cell: CellName, rng: Any
) -> None:
    """Those that were dropped have none, those that are left are scaled."""
    model = new_model(tiny(cell), np.float64)
    window = Window(rng, model)
    _, dtheta, _ = window.gradient(model, window.noise, window.weight_noise)
    gradients = parameters.views(dtheta, model.config)

    def loss() -> float:
        return window.gradient(model, window.noise, window.weight_noise)[0]

    mask, threshold = window.weight_noise
    for k in range(L):
        name = f"layer{k}.Wh"
        numeric = numeric_gradient(loss, model.weights[name])
        assert_same_gradient(gradients[name], numeric, name)
        assert not gradients[name][mask[k] < threshold].any()


@small
@cells
def test_loss_with_dropped_weights_is_that_of_the_network_without_them(
    new_model: NewModel, cell: CellName, rng: Any
) -> None:
    """All other gradients are, too, and packing brings the whole network back."""
    model, other = new_model(tiny(cell), np.float64), new_model(tiny(cell), np.float64)
    window = Window(rng, model)
    other.load(model.tensors)
    mask, threshold = window.weight_noise
    for k in range(L):
        kept = np.where(mask[k] < threshold, 0, 256 / (256 - threshold))
        other.weights[f"layer{k}.Wh"][...] *= kept
    other.pack()
    before = window.gradient(model)[0]
    loss, dtheta, state = window.gradient(model, None, window.weight_noise)
    expected, dother, state_other = window.gradient(other)
    found, wanted = (parameters.views(d, model.config) for d in (dtheta, dother))

    assert loss == expected
    np.testing.assert_array_equal(state, state_other)
    for name in found.keys() - {f"layer{k}.Wh" for k in range(L)}:
        np.testing.assert_array_equal(found[name], wanted[name])
    model.pack()
    assert window.gradient(model)[0] == before


@small
@cells
def test_second_gradient_is_added(
    new_model: NewModel, cell: CellName, rng: Any
) -> None:
    """Gradients accumulate in the buffer that the caller gives."""
    model = new_model(tiny(cell), np.float64)
    window = Window(rng, model)
    noise, weight_noise = window.noise, window.weight_noise
    _, once, _ = window.gradient(model, noise, weight_noise)
    twice = once.copy()
    model.loss_and_gradient(
        window.ids, window.targets, window.resets, window.state.copy(), twice,
        noise, weight_noise,
    )  # fmt: skip

    np.testing.assert_allclose(twice, 2 * once, rtol=1e-10, atol=1e-15)


@small
@cells
def test_nothing_scored_gives_exactly_zero(
    new_model: NewModel, cell: CellName, rng: Any
) -> None:
    """A window without targets costs nothing and teaches nothing."""
    model = new_model(tiny(cell), np.float64)
    window = Window(rng, model)
    window.targets[:] = -1
    loss, dtheta, _ = window.gradient(model, window.noise)

    assert loss == 0
    assert (dtheta == 0).all()


#: Widths and a vocabulary beyond a vector, with remainders.
WIDE: dict[str, Any] = {"hidden": 37, "vocab_size": 41}


@compiled_only
@cells
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lengths", [(5, 4), (1, 8), (1,) * 9])
def test_cut_sequence_is_the_whole_one(
    new_model: NewModel, cell: CellName, dtype: Any, lengths: Any, rng: Any
) -> None:
    """Windows that hand their state on, down to single steps, change no bit."""
    model = new_model(tiny(cell, **WIDE), dtype)
    window = Window(rng, model, (9, 6))
    whole, state = window.state.copy(), window.state.copy()
    expected = model.losses(window.ids, window.targets, window.resets, whole)
    losses, begin = [], 0
    for length in lengths:
        part = window.part(slice(begin, begin + length), slice(None))
        losses.append(model.losses(*part, state))
        begin += length

    assert (np.concatenate(losses) == expected).all()
    assert (state == whole).all()


@compiled_only
@cells
def test_single_steps_give_the_logits_of_a_window(
    new_model: NewModel, cell: CellName, rng: Any
) -> None:
    """Generating and reading cannot disagree: T steps of one are one of T."""
    model = new_model(tiny(cell, **WIDE))
    window = Window(rng, model, (9, 2))
    whole, state = window.state.copy(), window.state.copy()
    expected = model.logits(window.ids, whole)
    logits = [model.logits(window.ids[t : t + 1], state) for t in range(9)]

    assert (np.concatenate(logits) == expected).all()
    assert (state == whole).all()


@compiled_only
@cells
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 13, 19])
def test_a_row_alone_gets_the_same_bits(
    new_model: NewModel, cell: CellName, rows: int, rng: Any
) -> None:
    """Losses and state of a stream ignore the streams beside it."""
    model = new_model(tiny(cell, **WIDE))
    window = Window(rng, model, (T, rows))
    for threads in (1, 2):
        model = _with_threads(model, threads)
        together = window.state.copy()
        losses = model.losses(window.ids, window.targets, window.resets, together)
        for n in range(rows):
            row = slice(n, n + 1)
            state = window.state[:, :, row].copy()
            alone = model.losses(*window.part(slice(None), row), state)
            assert (alone == losses[:, row]).all()
            assert (state == together[:, :, row]).all()


def _with_threads(model: Model, threads: int) -> Model:
    """Copy a model for another number of threads."""
    copy = Model(model.config, dtype=model.dtype, threads=threads)
    copy.load(model.tensors)
    return copy


@compiled_only
@cells
@pytest.mark.parametrize("rows", [1, 3, 16, 19])
def test_threads_do_not_matter(
    new_model: NewModel, cell: CellName, rows: int, rng: Any
) -> None:
    """Loss, gradient and state have the same bits for one thread and two."""
    model = new_model(tiny(cell, **WIDE))
    window = Window(rng, model, (9, rows))
    results = [
        window.gradient(_with_threads(model, threads), window.noise)
        for threads in (1, 2)
    ]

    for one, two in zip(*results, strict=True):
        assert (one == two).all() if isinstance(one, np.ndarray) else one == two


@compiled_only
@cells
def test_a_reset_is_a_new_document(
    new_model: NewModel, cell: CellName, rng: Any
) -> None:
    """A window with a reset is two windows, the second from a zero state."""
    model = new_model(tiny(cell, **WIDE))
    window = Window(rng, model, (9, 6))
    window.resets[:] = 0
    window.resets[4] = 1
    whole, state = window.state.copy(), window.state.copy()
    expected = model.losses(window.ids, window.targets, window.resets, whole)
    window.resets[:] = 0
    first = model.losses(*window.part(slice(4), slice(None)), state)
    state[:] = 0
    second = model.losses(*window.part(slice(4, 9), slice(None)), state)

    assert (np.concatenate([first, second]) == expected).all()
    assert (state == whole).all()


@small
def test_evaluation_has_no_dropout(model64: Model, rng: Any) -> None:
    """Losses are those of training with a rate of zero."""
    window = Window(rng, model64, threshold=0)
    loss, _, _ = window.gradient(model64, window.noise)
    losses = model64.losses(
        window.ids, window.targets, window.resets, window.state.copy()
    )

    assert loss == pytest.approx(losses.sum() / (T * B - 1), rel=1e-12)


@small
def test_windows_of_many_sizes_do_not_mix(model32: Model, rng: Any) -> None:
    """Room is kept for a few shapes; a shape that comes back starts afresh."""
    windows = [Window(rng, model32, (3, rows)) for rows in range(1, 8)]
    first = [window.gradient(model32)[0] for window in windows]

    assert [window.gradient(model32)[0] for window in reversed(windows)] == first[::-1]
    assert model32.workspace(3, 1).nbytes > 0


@small
def test_load_takes_over_by_name(
    new_model: NewModel, tiny_config: ModelConfig, rng: Any
) -> None:
    """A model loaded with another's weights gives its logits, whatever their order."""
    model, other = new_model(tiny_config), new_model(tiny_config)
    ids = rng.integers(0, V, (T, B), dtype=np.int32)
    other.load(dict(reversed(model.weights.items())))

    expected = model.logits(ids, model.new_state(B))
    assert (other.logits(ids, other.new_state(B)) == expected).all()


@small
def test_load_refuses_what_does_not_fit(model32: Model) -> None:
    """A missing name and a wrong shape are named."""
    missing = dict(model32.weights)
    del missing["head.by"]
    wrong = dict(model32.weights) | {"head.by": np.zeros(V + 1, np.float32)}

    for named in (missing, wrong):
        with pytest.raises(ValueError, match=r"head\.by"):
            model32.load(named)


@compiled_only
@cells
def test_memorises_and_recites(cell: CellName) -> None:
    """Thirty characters, learned by heart, are recited from the first one."""
    text = "an old house beside a gray sea"
    characters = sorted(set(text))
    ids = np.array([[characters.index(c)] for c in text], np.int32)
    config = ModelConfig(vocab_size=len(characters), cell=cell, hidden=32)
    model = Model(config)
    parameters.initialize(model.theta, config, "auto", 1.0, np.random.default_rng(1))
    loss = _train(model, ids[:-1], ids[1:], steps=300)

    assert len(text) == 30
    assert loss < 0.05
    state, spoken = model.new_state(1), ids[:1]
    for _ in text[1:]:
        likeliest = model.logits(spoken[-1:], state).argmax(axis=2)
        spoken = np.concatenate([spoken, likeliest.astype(np.int32)])
    assert "".join(characters[i] for i in spoken[:, 0]) == text


def _train(model: Model, ids: Array, targets: Array, steps: int) -> float:
    """Adam, clipped by norm, on one window that always starts from zero."""
    m, v, dtheta = np.zeros((3, model.theta.size), np.float32)
    partial = np.zeros(-(-model.theta.size // CHUNK))
    resets = np.zeros(ids.shape, np.uint8)
    for step in range(1, steps + 1):
        model.pack()
        dtheta[:] = 0
        state = model.new_state(ids.shape[1])
        loss = model.loss_and_gradient(ids, targets, resets, state, dtheta)
        squared_norm(dtheta, partial)
        scale = min(1.0, 1 / float(np.sqrt(partial.sum())))
        corrections = 1 / (1 - 0.9**step), 1 / (1 - 0.999**step)
        rule = Rule(ADAM, 0.9, 0.999, 1e-8)
        update = Update(0.01, *corrections, scale=scale)
        apply(model.theta, dtheta, m, v, rule, update)
    model.pack()
    return loss
