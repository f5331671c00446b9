"""Rows are cut into blocks: all of them, as even as is of use."""

import numpy as np
import pytest

from charrnn.kernels.blocks import ROWS
from charrnn.kernels.threads import row_cuts

pytestmark = pytest.mark.small


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("B", [*range(1, 18), 64, 65])
def test_every_row_is_in_one_block(B: int, threads: int) -> None:
    """There are no more blocks than threads or rows, and none is empty."""
    cuts = row_cuts(B, threads)

    assert cuts[0] == 0
    assert cuts[-1] == B
    assert (np.diff(cuts) > 0).all()
    assert len(cuts) - 1 <= min(B, threads)


def test_few_rows_are_cut_one_by_one() -> None:
    """Three rows give two threads something to do."""
    assert row_cuts(3, 2).tolist() == [0, 1, 3]


def test_many_rows_are_cut_between_groups() -> None:
    """Only the last block has part of half a group."""
    assert (row_cuts(8 * ROWS + 1, 3)[:-1] % (ROWS // 2) == 0).all()
