"""What fuzzing has found worth keeping is tried again, and a little more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.checkpoint import load
from tests.fuzz.inputs import kept, seeds
from tests.fuzz.targets import TARGETS, read_checkpoint, read_text


@pytest.mark.parametrize("target", TARGETS)
def test_inputs_that_were_kept(target: str) -> None:
    inputs = kept(target)
    assert inputs
    for data in (*inputs, *seeds(target)):
        TARGETS[target](data)


def test_seeds_are_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or fuzzing would begin, and stay, at the door."""
    loaded = []

    def counted(path):
        loaded.append(load(path))
        return loaded[-1]

    monkeypatch.setattr("tests.fuzz.targets.load", counted)
    for data in seeds("checkpoint"):
        read_checkpoint(data)

    assert len(loaded) == 2 * len(seeds("checkpoint"))


@settings(max_examples=300)
@given(st.tuples(*[st.integers(0, 255)] * 3), st.binary(max_size=30))
def test_any_bytes_as_a_text(choice: tuple[int, int, int], data: bytes) -> None:
    read_text(bytes(choice) + data)


@settings(max_examples=150)
@given(st.sampled_from(seeds("checkpoint")), st.data())
def test_changed_manifests(seed: bytes, data: st.DataObject) -> None:
    """Pieces of sound inputs, put together in another way."""
    start = data.draw(st.integers(1, len(seed)))
    end = data.draw(st.integers(start, len(seed)))
    patch = data.draw(st.binary(max_size=8) | st.sampled_from(PATCHES))
    read_checkpoint(seed[:start] + patch + seed[end:])


PATCHES = (b"-1", b"1e999", b"null", b'"\\ud800"', b"[[", b"{}", b"9" * 30, b'"a":')
