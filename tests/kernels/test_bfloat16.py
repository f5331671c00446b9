"""bfloat16: rounding."""

import numpy as np
import pytest

from charrnn.kernels.bfloat16 import narrow_all, round_all

pytestmark = pytest.mark.small

#: Bits of a float32 and of the bfloat16 that it is rounded to, worked out by hand.
ROUNDED = {
    0x3F800000: 0x3F80,  # 1
    0x3F807FFF: 0x3F80,  # below the middle between two
    0x3F808000: 0x3F80,  # in the middle: down to the even one
    0x3F808001: 0x3F81,
    0x3F818000: 0x3F82,  # in the middle: up to the even one
    0xBF818000: 0xBF82,
    0x3FFFFFFF: 0x4000,  # into the next power of two
    0x7F7FFFFF: 0x7F80,  # the largest float32 is nearest to infinity
    0x7F800000: 0x7F80,
    0xFF800000: 0xFF80,
    0x00000000: 0x0000,
    0x80000000: 0x8000,
    0x00800000: 0x0080,  # the smallest normal number
    0x007FFFFF: 0x0000,  # below it there are zeros
    0x807FFFFF: 0x8000,
    0x7F800001: 0x7FC0,  # a NaN whose upper half is that of infinity
    0xFFFFFFFF: 0x7FC0,
}


def test_rounding_by_hand() -> None:
    """Every case of the rule, in both forms."""
    given = np.array(list(ROUNDED), np.uint32).view(np.float32)
    expected = np.array(list(ROUNDED.values()), np.uint16)
    narrow, wide = np.zeros_like(expected), np.zeros_like(given)
    narrow_all(given, narrow)
    round_all(given, wide)

    assert narrow.tolist() == expected.tolist()
    assert (wide.view(np.uint32) >> 16).tolist() == expected.tolist()
    assert not (wide.view(np.uint32) & 0xFFFF).any()


def test_rounding_is_to_the_nearest(rng: np.random.Generator) -> None:
    """No bfloat16 is nearer than the one that is found, by distances in float64."""
    given = rng.normal(size=10_000).astype(np.float32)
    found = np.zeros_like(given)
    round_all(given, found)
    bits = found.view(np.uint32)
    exact, apart = given.astype(np.float64), np.abs(found.astype(np.float64) - given)
    for step in (0x10000, -0x10000):
        neighbor = (bits.astype(np.int64) + step).astype(np.uint32).view(np.float32)

        assert (np.abs(neighbor.astype(np.float64) - exact) >= apart).all()
