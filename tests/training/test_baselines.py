"""What simpler means make of a text: by hand, and in little memory."""

import lzma
import math
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from charrnn.arrays import PackedIds
from charrnn.training import baselines, kneser_ney
from charrnn.training.baselines import Baselines, measure
from charrnn.training.kneser_ney import NGram, Probabilities, Texts, losses

pytestmark = pytest.mark.small


def texts(train: PackedIds, held_out: PackedIds, vocab_size: int) -> Texts:
    return Texts(train=train, held_out=held_out, vocab_size=vocab_size, before=0)


def found(train: PackedIds, held_out: PackedIds, vocab_size: int) -> Baselines:
    """Measure, to the end."""
    result = measure(texts(train, held_out, vocab_size))
    assert result is not None
    return result


def test_frequencies_of_single_characters() -> None:
    """Each count is one larger, so that what is new can be scored at all."""
    train = np.array([0, 0, 0, 1], np.uint8)
    held_out = np.array([0, 1, 2, 2], np.uint8)
    order0 = found(train, held_out, 3).order0

    assert order0 == pytest.approx(-(math.log(4 * 2 * 1 * 1) - 4 * math.log(7)) / 4)


def test_repetition_is_found_by_compression(rng: np.random.Generator) -> None:
    """A tail that stood before costs nothing, a random one its entropy."""
    text = rng.integers(0, 64, 20_000, np.uint8)
    known, new = found(text, text[:5000], 64), found(text[5000:], text[:5000], 64)

    assert known.xz is not None
    assert new.xz is not None
    assert known.xz < 0.35
    assert 3.8 < new.xz < 5.9
    assert known.order0 == pytest.approx(math.log(64), abs=0.03)


def test_compression_is_what_xz_does(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice at a time makes no difference."""
    monkeypatch.setattr(baselines, "SLICE", 1000)
    text = np.minimum(rng.geometric(0.2, 9000), 255).astype(np.uint8)
    alone, both = (len(lzma.compress(part.tobytes())) for part in (text[:7500], text))
    bits = 8 * (both - alone) / 1500

    assert found(text[:7500], text[7500:], 256).xz == pytest.approx(bits * math.log(2))


def test_best_order_is_taken(rng: np.random.Generator) -> None:
    """Where what comes next depends on the last two characters: 3."""
    bits = rng.integers(0, 2, 6000, np.uint8).tolist()
    for i in range(2, 6000):
        if rng.random() < 0.9:
            bits[i] = bits[i - 1] ^ bits[i - 2] ^ 1
    ids = np.array(bits, np.uint8)
    best = found(ids[:5000], ids[5000:], 2).ngram

    assert best == min(
        losses(texts(ids[:5000], ids[5000:], 2)), key=lambda ngram: ngram.loss
    )
    assert best is not None
    assert best.order == 3
    p = 0.95
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    assert best.loss == pytest.approx(entropy, abs=0.05)


def test_long_texts_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each means has its own limit, which the note names."""
    ids = np.zeros(50, np.uint8)
    notes = [
        f"{what} skipped: the text is longer than 99 characters"
        for what in ("n-gram", "xz")
    ]
    monkeypatch.setattr(baselines, "MIN_XZ", 0)
    monkeypatch.setattr(baselines, "MAX_XZ", 99)
    assert found(ids, ids, 1) == Baselines(0, NGram(1, 0), None, (notes[1],))
    monkeypatch.setattr(baselines, "MAX_NGRAM", 99)
    assert found(ids, ids, 1) == Baselines(0, None, None, tuple(notes))
    whole = found(ids, ids[1:], 1)
    assert (whole.ngram, whole.notes) == (NGram(1, 0), ())
    assert whole.xz is not None


def test_little_memory_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a training of hours, a yardstick may not be what fails."""

    def exhausted(texts: Texts, max_order: int) -> Iterator[Probabilities]:
        yield np.ones(len(texts.held_out))
        raise MemoryError

    monkeypatch.setattr(kneser_ney, "probabilities", exhausted)
    ids = np.zeros(baselines.MIN_XZ, np.uint8)
    result = found(ids, ids, 1)

    assert result.ngram is None
    assert result.notes == ("n-gram skipped: there is too little memory",)
    assert result.xz is not None


@pytest.mark.parametrize("after", [1, 3, 9, 12])
def test_nobody_has_to_wait(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked after every order, and before every slice that is compressed."""
    monkeypatch.setattr(baselines, "MIN_XZ", 0)
    monkeypatch.setattr(baselines, "SLICE", 100)
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked >= after

    ids = np.zeros(500, np.uint8)
    assert measure(texts(ids, ids, 1), stopped) is None
    # Once by each of what is left to do, and in the end.
    assert asked <= after + 3


def test_xz_of_a_few_characters_says_nothing() -> None:
    """It counts in fours of bytes: two characters took none, or sixteen bits each."""
    text = np.arange(2000, dtype=np.uint16) % 60
    few = found(text, text[:2], 60)
    enough = found(text, text[: baselines.MIN_XZ], 60)

    assert few.xz is None
    assert few.notes == ("xz skipped: fewer than 1,000 characters are held out",)
    assert (enough.xz is None, enough.notes) == (False, ())


def test_memory_does_not_grow_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count in one go would take eight bytes a character."""
    monkeypatch.setattr(baselines, "MAX_XZ", 0)
    monkeypatch.setattr(baselines, "MAX_NGRAM", 0)
    monkeypatch.setattr(baselines, "SLICE", 1 << 12)
    ids = np.zeros(1 << 20, np.uint16)

    assert peak(ids, ids[: 1 << 18], 300) < ids.nbytes / 4


@pytest.mark.parametrize("vocab_size", [60, 5000])
def test_memory_of_the_ngrams(
    vocab_size: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most what is said at `MAX_NGRAM`, for a text that never repeats itself."""
    monkeypatch.setattr(baselines, "MAX_XZ", 0)
    ids = rng.integers(0, vocab_size, 200_000, np.uint16)

    assert peak(ids[:180_000], ids[180_000:], vocab_size) < 135 * len(ids)


def peak(*arguments: Any) -> int:
    """Measure, and find the most bytes that were taken at a time."""
    tracemalloc.start()
    found(*arguments)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most
