"""What simpler means make of a text: by hand, and in little memory."""

import math
import tracemalloc

import numpy as np
import pytest

from charrnn.training import yardsticks
from charrnn.training.yardsticks import measure

pytestmark = pytest.mark.small


def test_frequencies_of_single_characters() -> None:
    """Each count is one larger, so that what is new can be scored at all."""
    train = np.array([0, 0, 0, 1], np.uint8)
    held_out = np.array([0, 1, 2, 2], np.uint8)
    found = measure(train, held_out, 3).order0

    assert found == pytest.approx(-(math.log2(4 * 2 * 1 * 1) - 4 * math.log2(7)) / 4)


def test_repetition_is_found_by_compression(rng: np.random.Generator) -> None:
    """A tail that stood before costs nothing, a random one its entropy."""
    text = rng.integers(0, 64, 20_000, np.uint8)
    known, new = measure(text, text[:5000], 64), measure(text[5000:], text[:5000], 64)

    assert known.xz is not None
    assert new.xz is not None
    assert known.xz < 0.5
    assert 5.5 < new.xz < 8.5
    assert known.order0 == pytest.approx(6, abs=0.05)


def test_long_texts_are_not_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardsticks, "MAX_XZ", 99)
    ids = np.zeros(50, np.uint8)

    assert measure(ids, ids, 1).xz is None
    assert measure(ids, ids, 1).order0 == 0


def test_memory_does_not_grow_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count in one go would take eight bytes a character."""
    monkeypatch.setattr(yardsticks, "MAX_XZ", 0)
    monkeypatch.setattr(yardsticks, "SLICE", 1 << 12)
    ids = np.zeros(1 << 20, np.uint16)
    tracemalloc.start()
    measure(ids, ids[: 1 << 18], 300)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < ids.nbytes / 4
