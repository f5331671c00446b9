"""Arrays for kernels: where they begin."""

from typing import Any

import numpy as np
import pytest

from charrnn.arrays import LINE, aligned_zeros
from charrnn.config import CellName, ModelConfig
from charrnn.network import Network


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int8])
@pytest.mark.parametrize("shape", [7, (3, 5), (0, 4, 2), (2, 16, 33)])
def test_they_are_zero_and_begin_with_a_line(shape: Any, dtype: Any) -> None:
    """Whatever their shape and type."""
    kept = []
    for _ in range(5):  # NumPy's own would begin so by chance
        found = aligned_zeros(shape, dtype)
        kept.append(found)
        assert found.shape == np.zeros(shape).shape
        assert found.dtype == dtype
        assert found.flags.c_contiguous
        assert found.flags.writeable
        assert not found.any()
        # NumPy tells no address of an array of no size.
        assert found.size == 0 or found.ctypes.data % LINE == 0


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_weights_panels_and_tapes_begin_with_a_line(cell: CellName) -> None:
    """Also after several networks, whose sizes divide by nothing."""
    networks = [
        Network(ModelConfig(vocab_size=7, cell=cell, layers=2, hidden=9))
        for _ in range(3)
    ]
    for network in networks:
        tape = network.workspace(3, 5).tapes[0]
        stacked, _ = network.stack.packed()
        for array in (network.theta, stacked.panels, tape.z, tape.states):
            assert array.ctypes.data % LINE == 0
