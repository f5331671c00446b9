"""Noise of some rows alone: the very bytes that they have in the whole."""

import numpy as np
import pytest

from charrnn.training import noise
from charrnn.training.noise import random_stream, rows_of_noise

pytestmark = pytest.mark.small


@pytest.mark.parametrize("jump", [0, 1 << 30], ids=["ahead", "through"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_rows_have_the_bytes_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, jump: int, size: int
):
    monkeypatch.setattr(noise, "JUMP", jump)
    shape = 5, 21, 11
    drawn = random_stream(3, 1, 8).bytes(5 * 21 * 11)
    whole = np.frombuffer(drawn, np.uint8).reshape(shape)
    own = shape[1] // size

    for rank in range(size):
        rows = slice(rank * own, (rank + 1) * own)
        found = rows_of_noise(random_stream(3, 1, 8), shape, rows)

        assert np.array_equal(found, whole[:, rows])
        assert found.flags.c_contiguous
        assert not found.flags.writeable
