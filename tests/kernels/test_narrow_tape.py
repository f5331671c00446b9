"""Gates and gradients in 16 bits: how far off they are, and in which bits."""

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.kernels import narrow_tape
from charrnn.kernels.bfloat16 import round_all, widen_all
from charrnn.kernels.jit import jit
from charrnn.kernels.narrow_tape import (
    SCALE,
    keep_gates,
    keep_gradients,
    recall_gates,
)

pytestmark = pytest.mark.small

compiled_only = pytest.mark.skipif(
    numba_config.DISABLE_JIT, reason="there is one form only"
)

Array = NDArray[np.float32]


@jit(parallel=False)
def there_and_back(
    z: Array, kept: NDArray[np.uint16], back: Array, gradients: NDArray[np.uint16]
) -> None:
    """Call the parts as kernels do."""
    keep_gates(z, kept)
    recall_gates(kept, back)
    keep_gradients(z, gradients)


def kept(z: Array) -> tuple[NDArray[np.uint16], Array, Array]:
    """Keep numbers (B, GH): as gates, these recalled, and as gradients."""
    found, back = np.zeros(z.shape, np.uint16), np.zeros_like(z)
    gradients = np.zeros_like(found)
    there_and_back(z, found, back, gradients)
    return found, back, widen_all(gradients)


def test_gates_are_off_by_half_a_step(rng: np.random.Generator) -> None:
    """Over all of their range, and at its ends by nothing."""
    z = rng.uniform(-1, 1, (5, 1003)).astype(np.float32)
    z[0, :3] = -1, 0, 1
    _, found, _ = kept(z)

    assert np.abs(found.astype(float) - z).max() <= 0.5 / SCALE + 2e-8
    assert found[0, :3].tolist() == [-1, 0, 1]


def test_a_gate_keeps_its_distance_from_open() -> None:
    """Which bfloat16 would lose: 0.9985 is 1 there."""
    z = np.full((1, 16), 0.9985, np.float32)
    _, found, rounded = kept(z)

    assert (rounded == 1).all()
    np.testing.assert_allclose(1 - found, 1 - z, rtol=0.02)


def test_what_is_recalled_is_kept_as_it_was() -> None:
    """Every number of 16 bits that a gate can be stands for itself."""
    every = np.arange(-SCALE, SCALE + 1).astype(np.int16).view(np.uint16)
    z = np.zeros((1, every.size), np.float32)
    narrow_tape._recall_gates_numpy(every[None], z)
    found, back, _ = kept(z)

    assert (found == every).all()
    assert (back == z).all()


@compiled_only
def test_both_forms_give_the_same_bits(rng: np.random.Generator) -> None:
    """Compiled or not, at ties, too."""
    ties = (np.arange(-SCALE, SCALE, dtype=np.float64) + 0.5) / SCALE
    z = np.concatenate([rng.uniform(-1, 1, 10000), ties]).astype(np.float32)[None]
    found, back, _ = kept(z)
    expected, wide = np.zeros_like(found), np.zeros_like(z)
    narrow_tape._keep_gates_numpy(z, expected)
    narrow_tape._recall_gates_numpy(expected, wide)

    assert (found == expected).all()
    assert (back == wide).all()


def test_what_is_no_number_is_kept_as_nothing() -> None:
    """The loss of the window tells of it, and no other gate suffers."""
    z = np.full((1, 40), 0.25, np.float32)
    z[0, 17] = np.nan
    _, found, gradients = kept(z)

    assert found[0, 17] == 0
    assert np.isnan(gradients[0, 17])
    assert np.delete(found, 17) == pytest.approx(0.25, abs=1 / SCALE)


def test_gradients_are_rounded_to_bfloat16(rng: np.random.Generator) -> None:
    """As products round them."""
    z = rng.normal(size=(3, 41)).astype(np.float32)
    expected = np.empty_like(z)
    round_all(z, expected)

    assert (kept(z)[2] == expected).all()
