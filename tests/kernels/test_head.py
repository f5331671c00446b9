"""The output layer: softmax cross-entropy and its gradient."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.examples.layers import packed
from charrnn.kernels import head
from charrnn.kernels.head import BLOCK, Head, HeadTape
from charrnn.kernels.matmul import add_affine_gradient
from charrnn.kernels.threads import limited, usable
from tests import reference
from tests.gradcheck import assert_same_gradient, numeric_gradient

pytestmark = pytest.mark.small

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="without the JIT this is NumPy's arithmetic"
)

N, H, V = 12, 5, 7

Array = NDArray[Any]


class Case(NamedTuple):
    """Weights, outputs of the layer below, and what they should predict."""

    Wy: Array
    by: Array
    y: Array
    targets: NDArray[np.int32]

    @property
    def weights(self) -> Head:
        """The same, packed."""
        return Head(packed(self.Wy), self.by)

    def losses(self, workers: int = 1) -> Array:
        """Loss of every row."""
        out = np.full(len(self.y), np.nan)
        head.losses(self.weights, self.y, self.targets, out, workers)
        return out

    def gradient(self, scale: float = 1.0, workers: int = 1) -> HeadTape:
        """Losses and gradients."""
        dlogits = np.full((len(self.y), len(self.by)), np.nan, self.y.dtype)
        tape = HeadTape(np.full(len(self.y), np.nan), dlogits, np.empty_like(self.y))
        head.loss_and_gradient(self.weights, self.y, self.targets, scale, tape, workers)
        return tape


def make(
    rng: np.random.Generator, dtype: Any = np.float64, rows: int = N, V: int = V
) -> Case:
    """Build a random case in which every third target is ignored."""
    targets = rng.integers(0, V, rows).astype(np.int32)
    targets[::3] = -1
    Wy, by, y = (
        rng.normal(size=shape).astype(dtype) for shape in ((V, H), (V,), (rows, H))
    )
    return Case(Wy, by, y, targets)


def test_logits(rng: np.random.Generator) -> None:
    """Logits are y Wy^T + by."""
    case = make(rng)
    out = np.full((N, V), np.nan)
    head.logits(case.weights, case.y, out, 1)

    np.testing.assert_allclose(out, case.y @ case.Wy.T + case.by, rtol=1e-12)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_losses_are_cross_entropy(
    rng: np.random.Generator, dtype: Any, rtol: float
) -> None:
    """Minus the log of the target's softmax; 0 where nothing is scored."""
    case = make(rng, dtype)
    Wy, by, y = (a.astype(np.float64) for a in case[:3])
    expected = reference.cross_entropy(y @ Wy.T + by, case.targets)

    np.testing.assert_allclose(case.losses(), expected, rtol=rtol)
    assert (case.losses()[::3] == 0).all()


def test_evaluation_and_training_see_the_same_loss(rng: np.random.Generator) -> None:
    """The losses beside a gradient are those without one, to the bit."""
    case = make(rng, np.float32, rows=BLOCK + 3)

    assert (case.gradient(0.5).losses == case.losses()).all()


def test_gradient_is_the_central_difference(rng: np.random.Generator) -> None:
    """Gradients of outputs, weights and bias, of a weighted sum of losses."""
    case, scale = make(rng), 0.37
    tape = case.gradient(scale)
    dWy, dby = np.zeros_like(case.Wy), np.zeros_like(case.by)
    add_affine_gradient(tape.dlogits, case.y, dWy, dby, 1)

    def loss() -> float:
        return scale * float(case.losses().sum())

    assert_same_gradient(tape.dy, numeric_gradient(loss, case.y), "y")
    assert_same_gradient(dWy, numeric_gradient(loss, case.Wy), "Wy")
    assert_same_gradient(dby, numeric_gradient(loss, case.by), "by")


def test_ignored_targets_have_no_gradient(rng: np.random.Generator) -> None:
    """Where nothing is scored, gradients are exactly zero."""
    tape = make(rng).gradient()

    assert (tape.dlogits[::3] == 0).all()
    assert (tape.dy[::3] == 0).all()
    assert (tape.dlogits[1::3] != 0).all()


def test_rows_of_the_logits_gradient_add_up_to_zero(rng: np.random.Generator) -> None:
    """Probabilities sum to one, so raising all logits alike changes nothing."""
    tape = make(rng).gradient()

    np.testing.assert_allclose(tape.dlogits.sum(axis=1), 0, atol=1e-15)


def test_huge_logits_do_not_overflow(rng: np.random.Generator) -> None:
    """A certain prediction costs 0 when right and its logit's lead when wrong."""
    case = make(rng, np.float32)
    case.by[:] = 0
    case.by[2] = 1e30
    case.targets[:] = 2
    case.targets[0] = 3
    tape = case.gradient()

    assert (tape.losses[1:] == 0).all()
    assert tape.losses[0] == pytest.approx(1e30)
    assert np.isfinite(tape.dlogits).all()


def test_nan_in_the_weights_shows_in_the_loss(rng: np.random.Generator) -> None:
    """A diverged model has NaN losses, wherever in the row the NaN stands."""
    for v in range(V):
        case = make(rng, np.float32)
        case.by[v] = np.nan

        scored = case.targets >= 0
        assert np.isnan(case.losses()[scored]).all()
        assert np.isnan(case.gradient().losses[scored]).all()


def test_one_character_is_certain(rng: np.random.Generator) -> None:
    """With a vocabulary of one there is nothing to learn."""
    tape = make(rng, V=1).gradient()

    assert (tape.losses == 0).all()
    assert (tape.dlogits == 0).all()


@compiled_only
@pytest.mark.parametrize("rows", [1, BLOCK, 2 * BLOCK + 5])
@limited(usable(2))
def test_workers_do_not_matter(rng: np.random.Generator, rows: int) -> None:
    """The bits are the same for any number of workers."""
    case = make(rng, np.float32, rows, V=37)
    tapes = [case.gradient(0.1, workers) for workers in (1, 2, 3, 20)]
    losses = [case.losses(workers) for workers in (1, 2, 3, 20)]

    for tape in tapes[1:]:
        for found, expected in zip(tape, tapes[0], strict=True):
            assert (found == expected).all()
    assert all((found == losses[0]).all() for found in losses)


@compiled_only
def test_a_row_alone_gets_the_same_bits(rng: np.random.Generator) -> None:
    """Losses and gradients of a row do not depend on the rows beside it."""
    case = make(rng, np.float32, 19, V=37)
    tape = case.gradient()

    for n in range(19):
        alone = case._replace(y=case.y[n : n + 1], targets=case.targets[n : n + 1])
        for found, together in zip(alone.gradient(), tape, strict=True):
            assert (found[0] == together[n]).all()
