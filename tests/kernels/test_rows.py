"""What a block fetches ahead, which no product shows: it changes speed alone."""

import numpy as np
import pytest

from charrnn.arrays import Floats
from charrnn.kernels.blocks import FETCHED_BYTES
from charrnn.kernels.rows import KEPT_BYTES, is_kept, share_of_next

pytestmark = pytest.mark.small


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_only_what_no_cache_keeps_is_fetched(dtype: type) -> None:
    """The groups of rows share what lies behind their panel."""
    depth, item = 24, np.dtype(dtype).itemsize
    panel: Floats = np.zeros(depth * 32, dtype)
    most = KEPT_BYTES // item
    share = depth * FETCHED_BYTES // item

    assert is_kept(panel, most)
    assert not is_kept(panel, most + 1)
    assert share_of_next(panel, depth, 1, most) == 0
    assert share_of_next(panel, depth, 0, most + 1) == panel.size
    assert share_of_next(panel, depth, 3, most + 1) == panel.size + 3 * share
