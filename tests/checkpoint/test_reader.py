"""Nothing but what was saved passes for a checkpoint."""

import errno
import io
import json
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.checkpoint import (
    load,
    manifest,
)
from charrnn.checkpoint.archive import Member
from charrnn.config import (
    ModelConfig,
)
from charrnn.counting import plural
from charrnn.errors import (
    CheckpointError,
    InputError,
)
from charrnn.parameters import shapes
from tests.checkpoint.support import (
    SOUND,
    archive_of,
    assert_same,
    fault,
    forge,
    forge_tensor,
    join,
    members,
    split,
    to_bytes,
)
from tests.factories import any_checkpoint

# Damage is noticed.


@pytest.fixture(scope="module")
def tiny() -> bytes:
    """Return a checkpoint of a few kilobytes."""
    return to_bytes(any_checkpoint("rnn", None, hidden=1, layers=1, symbols="a"))


def flipped(path: Path, data: bytes, bits: Iterator[tuple[int, int]]) -> int:
    """Flip one bit after another; every file must be refused."""
    path.write_bytes(data)
    count = 0
    with path.open("r+b", buffering=0) as file:
        for place, bit in bits:
            os.pwrite(file.fileno(), bytes([data[place] ^ 1 << bit]), place)
            with pytest.raises(CheckpointError):
                load(path)
            os.pwrite(file.fileno(), data[place : place + 1], place)
            count += 1
    load(path)  # the last repair left the file whole
    return count


@pytest.mark.promise(name="noticed")
def test_any_flipped_bit_is_noticed(path: Path, tiny: bytes) -> None:
    """Each bit of the whole file in turn."""
    every = ((n, bit) for n in range(len(tiny)) for bit in range(8))

    assert flipped(path, tiny, every) == 8 * len(tiny)


@pytest.mark.promise(name="noticed")
def test_truncation_at_any_length_is_noticed(path: Path, tiny: bytes) -> None:
    """From the manifest on, the error knows how long the file should be."""
    whole = f"of {len(tiny):,} bytes"
    path.write_bytes(tiny)
    manifest_end = tiny.index(b"PK\x03\x04", 4)
    for size in reversed(range(len(tiny))):
        os.truncate(path, size)
        with pytest.raises(CheckpointError) as caught:
            load(path)
        if size >= manifest_end:
            assert caught.value.what == f"truncated ({size:,} {whole})"
        elif size:
            assert caught.value.what.startswith(f"truncated ({size:,} of at least ")
        else:
            assert caught.value.what == manifest.NOT_OURS


@pytest.mark.parametrize("extra", [b"\0", b"PK\x05\x06" + bytes(18)])
def test_trailing_data_is_refused(path: Path, tiny: bytes, extra: bytes) -> None:
    assert fault(path, tiny + extra) == f"{plural(len(extra), 'byte')} too long"


def test_leading_data_is_refused(path: Path, tiny: bytes) -> None:
    """What zip tools accept, as in a program that unpacks itself."""
    assert fault(path, b"#!/bin/sh\n" + tiny) == manifest.NOT_OURS


def test_one_wrong_value_is_named(path: Path) -> None:
    checkpoint = any_checkpoint()
    data = bytearray(to_bytes(checkpoint))
    data[data.index(checkpoint.moments["adam.v"].tobytes()) + 5] ^= 16

    assert fault(path, bytes(data)) == "checksum mismatch in adam.v"


@pytest.mark.promise(name="noticed")
def test_a_matching_crc_does_not_replace_the_hash(path: Path) -> None:
    """Exchanged values with a right CRC are caught by SHA-256."""
    data = to_bytes(any_checkpoint())
    table, tensors = split(data)
    tensors["head.by"] = bytes(len(tensors["head.by"]))
    parts = members(table, tensors)

    forged = join(json.dumps(table).encode("ascii"), parts)

    assert fault(path, forged) == "checksum mismatch in head.by"


def test_a_matching_hash_does_not_replace_the_crc(path: Path) -> None:
    """Other zip tools would refuse the member, so we do."""
    data = to_bytes(any_checkpoint())
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        crc = struct.pack("<I", zipped.getinfo("head.by.npy").CRC)
    assert data.count(crc) == 2

    what = fault(path, data.replace(crc, b"\0\0\0\0"))

    assert what == "checksum mismatch in head.by"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(path: Path, value: float) -> None:
    checkpoint = any_checkpoint()
    values = checkpoint.parameters["layer1.Wx"].copy()
    values[-1, -1] = value

    forged = forge_tensor("layer1.Wx", values, to_bytes(checkpoint))

    assert fault(path, forged) == "layer1.Wx has values that are not finite"


# What is not a checkpoint is refused.


@pytest.mark.parametrize(
    "data",
    [b"", b"To be, or not to be", b"\x80\x04\x95pickle", b"PK\x05\x06" + bytes(18)],
)
def test_other_files_are_not_ours(path: Path, data: bytes) -> None:
    assert fault(path, data) == manifest.NOT_OURS


def test_other_archives_are_not_ours(path: Path) -> None:
    """Files of NumPy and of zip tools, whatever their members are called."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("charrnn.json.npy", SOUND)
    numbers = {manifest.NAME: np.arange(500, dtype=np.uint8)}

    assert fault(path, archive_of(weights=np.zeros(500))) == manifest.NOT_OURS
    for data in (archive_of(**numbers), stream.getvalue()):
        assert fault(path, data) == "damaged header of charrnn.json"


@pytest.mark.promise(name="inert")
def test_pickles_are_never_opened(path: Path, tiny: bytes) -> None:
    """Object arrays, as manifest or as tensor, are damage and not code."""
    objects: Any = np.array([{"a": 1}], dtype=object)
    table, tensors = split(tiny)
    parts = members(table, tensors, **{"head.by": "|O4"})
    tensor = join(json.dumps(table).encode("ascii"), parts)

    what = fault(path, archive_of(**{manifest.NAME: objects}))
    assert what == "damaged header of charrnn.json"
    assert fault(path, tensor) == "damaged header of head.by"


def test_duplicate_names_are_refused(path: Path, tiny: bytes) -> None:
    def twice(table: dict[str, Any]) -> None:
        table["tensors"][1] = table["tensors"][0]

    assert "listed twice" in fault(path, forge(twice, tiny))


def test_a_second_member_of_one_name_is_refused(path: Path, tiny: bytes) -> None:
    """NumPy would silently take the last."""
    stream = io.BytesIO(tiny)
    with zipfile.ZipFile(stream, "a") as zipped, pytest.warns(match="Duplicate"):
        zipped.writestr("head.by.npy", b"")

    assert "too long" in fault(path, stream.getvalue())


def set_field(*keys: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    """Make a change to a manifest: the value at a path of keys."""

    def change(table: Any) -> None:
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_field("format", value="other"), "not a charrnn checkpoint"),
        (
            set_field("version", value="3.0"),
            "written by a newer charrnn (format 3.0); this version reads 1.x and 2.x",
        ),
        (set_field("version", value="0.9"), "unknown format version"),
        (set_field("version", value=1), "unknown format version"),
        (set_field("model", "hidden", value=4), "layer0.Wx is (5, 12), not (5, 16)"),
        (set_field("model", "hidden", value=True), "hidden is True"),
        (set_field("model", "hidden", value=3.0), "hidden is 3.0"),
        (set_field("model", "hidden", value=10**9), "hidden must be"),
        (set_field("model", "hidden", value=10**30), "hidden is"),
        (set_field("model", "cell", value="gru"), "missing"),
        (set_field("model", "cell", value=["lstm"]), "cell is list"),
        (set_field("model", "layers", value=1), "unexpected tensor 'layer1.Wx'"),
        (set_field("vocab", "symbols", value="ab"), "symbols"),
        (set_field("vocab", "counts", value=[1, 1, 1, 1, -1]), "count"),
        (set_field("vocab", "symbols", value="\nab\ud800\ue000"), "surrogates"),
        (set_field("vocab", value=None), "vocab is None"),
        (set_field("tensors", 0, "dtype", value="object"), "dtype is 'object'"),
        (set_field("tensors", 0, "shape", value=[5, -12]), "layer0.Wx is (5, -12)"),
        (set_field("tensors", 0, "name", value="x"), "unexpected tensor 'x'"),
        (set_field("tensors", value=[]), "tensor layer0.Wx is missing"),
        (set_field("training", value=None), "unexpected tensor 'adam.m'"),
        (set_field("training", "step", value=-1), "out of range"),
        (set_field("training", "config", "optimizer", value="sgd"), "unexpected"),
        (set_field("training", "config", "lr", value="1e-3"), "lr is '1e-3'"),
        (set_field("training", "recent", value={"loss": None}), "recent is None"),
        (set_field("history", value={"step": [1, 2], "loss": [1]}), "length"),
        (set_field("history", value={"step": ["1"]}), "history is '1'"),
        (set_field("history", value={"loss": [1.0]}), "has no step"),
        (set_field("history", value={"step": [1, None]}), "has no step"),
        (set_field("history", value={"step": [1.5]}), "has no step"),
        (set_field("history", value={"step": [1] * 4097}), "more than 4,096 rows"),
        (set_field("training", "recent", value={"interval": 0.0}), "out of range"),
        (set_field("training", "recent", value={"steps": -1.0}), "out of range"),
        (set_field("training", "recent", value={"pace": 1.0}), "unknown running"),
        (set_field("training", "progress", value=1e308), "out of range"),
        (set_field("training", "lr_scale", value=1e300), "out of range"),
        (set_field("training", "step", value=2**62), "out of range"),
        (set_field("training", "best_step", value=None), "but not both"),
        (set_field("training", "best_val_loss", value=None), "but not both"),
        (set_field("corpus", "files", value="a.txt"), "files is 'a.txt'"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """Exact types, known words, sizes that fit: the error names the field."""
    assert message in fault(path, forge(change, to_bytes(any_checkpoint())))


@pytest.mark.parametrize("key", ["model", "vocab", "tensors", "corpus", "history"])
def test_a_missing_part_is_refused(path: Path, tiny: bytes, key: str) -> None:
    what = fault(path, forge(lambda table: table.pop(key), tiny))

    assert what == f"invalid manifest: {key} is missing"


def test_tensors_out_of_order_are_refused(path: Path, tiny: bytes) -> None:
    data = forge(lambda table: table["tensors"].reverse(), tiny)

    assert "out of order" in fault(path, data)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"null", b"[1]", b"\xff", b"[" * 100_000, b'{"format": 1}']
)
def test_what_is_not_a_manifest_is_refused(path: Path, text: bytes) -> None:
    assert len(fault(path, join(text, []))) < 200


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (b'"version":"1.0"', "a key stands twice"),
        (b'"mood":NaN', "NaN is not a number"),
        (b'"mood":-Infinity', "-Infinity is not a number"),
        ('"mood":"\u00e9"'.encode(), "ascii"),
        (b'"mood":' + b"9" * 5000, "digits"),
        (b'"mood":[' + b"1," * 500_000 + b"1]", "too large to be one"),
    ],
)
def test_liberties_of_json_are_refused(
    path: Path, tiny: bytes, extra: bytes, message: str
) -> None:
    """Even in keys that would be skipped."""
    table, tensors = split(tiny)
    text = b"{" + extra + b"," + json.dumps(table).encode("ascii")[1:]

    assert message in fault(path, join(text, members(table, tensors)))


@pytest.mark.promise(name="frugal")
def test_a_huge_model_is_refused_before_memory_is_taken(
    path: Path, tiny: bytes
) -> None:
    """The manifest promises gigabytes, the file is small."""

    def grow(table: dict[str, Any]) -> None:
        table["model"]["hidden"] = 8192
        for entry in table["tensors"]:
            model = ModelConfig(**table["model"])
            entry["shape"] = shapes(model)[entry["name"]]

    data = forge(grow, tiny)
    tracemalloc.start()
    what = fault(path, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert what.startswith("truncated (")
    assert peak < 2**20


def test_a_huge_manifest_is_refused_before_memory_is_taken(path: Path) -> None:
    blank = Member(manifest.NAME, "|u1", (2**31,))

    assert fault(path, blank.prefix(0)) == "damaged header of charrnn.json"


def test_newer_minor_versions_are_read(path: Path, tiny: bytes) -> None:
    """Keys that nobody knows yet are skipped, at any depth."""

    def modernize(table: dict[str, Any]) -> None:
        table["version"] = "1.7"
        table["mood"] = {"gloomy": True}
        table["model"]["dialect"] = None

    path.write_bytes(forge(modernize, tiny))

    assert load(path).model == ModelConfig(vocab_size=1, cell="rnn", hidden=1, layers=1)


def test_fields_that_an_older_file_lacks_take_their_defaults(path: Path) -> None:
    def age(table: dict[str, Any]) -> None:
        del table["training"]["config"]["weight_decay"]
        del table["model"]["norm"]

    path.write_bytes(forge(age, to_bytes(any_checkpoint())))

    assert load(path).training == any_checkpoint().training
    assert_same(load(path), any_checkpoint())


def places(value: object, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the path to every value inside a JSON value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*where, key)
        yield from places(item, (*where, key))


PLACES = list(places(split(SOUND)[0]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PLACES), json_values | st.just(...))
def test_any_manifest_is_read_or_refused(
    path: Path, place: tuple[Any, ...], value: object
) -> None:
    """Any value anywhere, or nothing: a sound checkpoint or one clear error."""

    def change(table: Any) -> None:
        for key in place[:-1]:
            table = table[key]
        if value is ...:
            del table[place[-1]]
        else:
            table[place[-1]] = value

    path.write_bytes(forge(change, SOUND))
    try:
        loaded = load(path)
    except CheckpointError as error:
        assert error.what  # noqa: PT017 - both ways are right
    else:
        loaded.tensors()


@pytest.mark.promise(name="noticed")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.binary(max_size=9))))
def test_any_damage_is_noticed_or_harmless(
    path: Path, patches: list[tuple[int, bytes]]
) -> None:
    """Overwritten runs of bytes give an error or the same bytes."""
    data = bytearray(SOUND)
    for start, patch in patches:
        data[start : start + len(patch)] = patch
    path.write_bytes(data)
    if data == SOUND:
        load(path)
    else:
        with pytest.raises(CheckpointError):
            load(path)


# Only regular files are opened.


def test_a_missing_file(path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load(path)


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        load(tmp_path)


def test_a_named_pipe_is_refused_without_waiting(path: Path) -> None:
    os.mkfifo(path)

    with pytest.raises(CheckpointError, match="not a regular file"):
        load(path)


def test_a_file_that_may_not_be_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(InputError, match="permission denied"):
        load(path)
