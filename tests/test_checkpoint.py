"""Checkpoints return what was saved, and nothing else passes for one."""

import errno
import hashlib
import io
import json
import math
import os
import resource
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.checkpoint import (
    Checkpoint,
    CheckpointFile,
    CorpusFingerprint,
    OutputLock,
    TrainingState,
    archive,
    contents,
    expected_moments,
    expected_tensors,
    load,
    manifest,
    save,
    write_to,
)
from charrnn.checkpoint.archive import Member
from charrnn.checkpoint.contents import Row
from charrnn.config import (
    CellName,
    ModelConfig,
    NormName,
    OptimizerName,
    TrainConfig,
)
from charrnn.errors import (
    CheckpointError,
    DivergedError,
    InputError,
    OutputError,
)
from charrnn.parameters import shapes, statistics
from charrnn.vocab import Vocab

CORPUS = CorpusFingerprint(("a.txt", "b\udce9.txt"), 1234, 1200, "ab" * 32)
HISTORY: list[Row] = [
    {"step": 10, "epoch": 0.5, "loss": 2.5, "lr": 1e-3},
    {"step": 20, "epoch": 1.0, "loss": 1 / 3, "val_loss": 2.25, "lr": 1e-3},
]


def make(
    cell: CellName = "lstm",
    optimizer: OptimizerName | None = "adam",
    hidden: int = 3,
    layers: int = 2,
    symbols: str = "\nab\u2603\U0001f600",
    norm: NormName = "none",
) -> Checkpoint:
    """Build a checkpoint of random values; without an optimizer, of weights only."""
    model = ModelConfig(
        vocab_size=len(symbols), cell=cell, hidden=hidden, layers=layers, norm=norm
    )
    training = optimizer and TrainingState(
        TrainConfig(batch_size=2, optimizer=optimizer, steps=100, lr=1e-3 / 3),
        step=20,
        epoch=1,
        window=7,
        progress=0.125,
        best_val_loss=2.25,
        best_step=20,
        recent={"loss": 1 / 3},
    )
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.standard_normal(shape, np.float32)
        for name, shape in expected_tensors(model, training or None).items()
    }
    return Checkpoint(
        model=model,
        vocab=Vocab(symbols, tuple(range(1, len(symbols) + 1))),
        parameters={name: tensors[name] for name in shapes(model)},
        corpus=CORPUS,
        training=training or None,
        statistics={name: tensors[name] for name in statistics(model)},
        moments={n: tensors[n] for n in expected_moments(optimizer)}
        if optimizer
        else {},
        state=tensors.get("state"),
        history=[dict(row) for row in HISTORY],
    )


def to_bytes(checkpoint: Checkpoint) -> bytes:
    stream = io.BytesIO()
    write_to(stream, checkpoint)
    return stream.getvalue()


SOUND = to_bytes(make("gru", "rmsprop", hidden=1, layers=1, symbols="ab"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


def split(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Take a sound file apart: its manifest and its tensors' bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        found = {
            info.filename.removesuffix(".npy"): zipped.read(info)[128:]
            for info in zipped.infolist()
        }
    return json.loads(found.pop(manifest.NAME)), found


def join(text: bytes, tensors: list[tuple[Member, bytes]]) -> bytes:
    """Build a file of the canonical form around any manifest and tensors."""
    parts = [(Member(manifest.NAME, "|u1", (len(text),)), text), *tensors]
    crcs = [zlib.crc32(member.npy_header + data) for member, data in parts]
    body = b"".join(
        member.prefix(crc) + data
        for (member, data), crc in zip(parts, crcs, strict=True)
    )
    return body + archive.directory([member for member, _ in parts], crcs)


def members(
    table: dict[str, Any], tensors: dict[str, bytes], **descr: str
) -> list[tuple[Member, bytes]]:
    """Lay out the tensors of a manifest, optionally under another type."""
    return [
        (
            Member(name, descr.get(name, "<f4"), tuple(entry["shape"])),
            tensors[name],
        )
        for entry in table["tensors"]
        for name in [entry["name"]]
    ]


def forge(change: Callable[[dict[str, Any]], object], data: bytes) -> bytes:
    """Change a file's manifest and keep all checksums right."""
    table, tensors = split(data)
    parts = members(table, tensors)
    change(table)
    return join(json.dumps(table).encode("ascii"), parts)


def forge_tensor(name: str, values: np.ndarray[Any, Any], data: bytes) -> bytes:
    """Put other values into a file and keep all checksums right."""

    def change(table: dict[str, Any]) -> None:
        for entry in table["tensors"]:
            if entry["name"] == name:
                entry["sha256"] = hashlib.sha256(values.tobytes()).hexdigest()

    table, tensors = split(data)
    change(table)
    tensors[name] = values.tobytes()
    parts = members(table, tensors)
    return join(json.dumps(table).encode("ascii"), parts)


def fault(path: Path, data: bytes) -> str:
    """Load a file that must be refused, and tell what the error says."""
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert caught.value.where == str(path)
    assert "\n" not in str(caught.value)
    return caught.value.what


def assert_same(one: Checkpoint, two: Checkpoint) -> None:
    """Compare everything, arrays bit for bit."""
    for name in ("model", "vocab", "corpus", "training", "history"):
        assert getattr(one, name) == getattr(two, name), name
    mine, yours = one.tensors(), two.tensors()
    assert list(mine) == list(yours)
    for name, values in mine.items():
        assert values.dtype == yours[name].dtype
        assert values.tobytes() == yours[name].tobytes(), name


# What is saved comes back.


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad", "sgd", None])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_round_trip(
    path: Path, cell: CellName, optimizer: OptimizerName | None
) -> None:
    """Load returns every field and every bit that was saved."""
    checkpoint = make(cell, optimizer)

    save(path, checkpoint)

    assert_same(load(path), checkpoint)


@pytest.mark.parametrize("optimizer", ["adam", None])
def test_running_averages_are_saved_with_the_weights(
    path: Path, optimizer: OptimizerName | None
) -> None:
    """After them, with or without a run; they are no parameters."""
    checkpoint = make(optimizer=optimizer, norm="batch")
    save(path, checkpoint)
    found = load(path)

    assert_same(found, checkpoint)
    assert list(found.statistics) == [
        f"layer{k}.running_{s}" for k in (0, 1) for s in ("mean", "var")
    ]
    assert {"layer1.gain", "layer1.shift"} <= found.parameters.keys()
    with CheckpointFile(path) as file:
        count = len(found.parameters)
        assert list(file.tensors)[count : count + 4] == list(found.statistics)


def test_a_file_without_running_averages_is_refused(path: Path) -> None:
    def forget(table: dict[str, Any]) -> None:
        kept = [t for t in table["tensors"] if t["name"] != "layer1.running_var"]
        table["tensors"] = kept

    sound = to_bytes(make(optimizer=None, norm="batch"))

    assert "layer1.running_var is missing" in fault(path, forge(forget, sound))


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_normalised_model_never_passes_for_another(path: Path, norm: Any) -> None:
    """A reader that skips the field stumbles over the tensors."""
    sound = to_bytes(make(optimizer=None, norm=norm))
    without = forge(lambda table: table["model"].pop("norm"), sound)

    assert "unexpected tensor" in fault(path, without)


def test_round_trip_keeps_special_values(path: Path) -> None:
    """Negative zero, denormals and the largest float32 survive."""
    checkpoint = make(optimizer=None)
    values = checkpoint.parameters["head.by"]
    values[:4] = [-0.0, 1e-45, 3.4028235e38, -1.1754944e-38]

    save(path, checkpoint)

    assert_same(load(path), checkpoint)


def test_arrays_that_are_not_contiguous_are_saved_by_value(path: Path) -> None:
    checkpoint = make(optimizer=None)
    Wy = checkpoint.parameters["head.Wy"]
    checkpoint.parameters["head.Wy"] = np.asfortranarray(Wy)

    save(path, checkpoint)

    np.testing.assert_array_equal(load(path).parameters["head.Wy"], Wy)


def test_loaded_arrays_can_be_written_to(path: Path) -> None:
    save(path, make())

    load(path).parameters["layer0.Wh"] += 1


def test_numpy_opens_it(path: Path) -> None:
    """A user with NumPy alone gets the arrays and the manifest."""
    checkpoint = make()
    save(path, checkpoint)

    with np.load(path, allow_pickle=False) as arrays:
        assert list(arrays) == ["charrnn.json", *checkpoint.tensors()]
        for name, values in checkpoint.tensors().items():
            np.testing.assert_array_equal(arrays[name], values)
        table = json.loads(arrays["charrnn.json"].tobytes())
    assert table["format"] == "charrnn"
    assert table["model"]["cell"] == "lstm"


def test_zip_tools_find_nothing_odd(path: Path) -> None:
    save(path, make())

    with zipfile.ZipFile(path) as zipped:
        assert zipped.testzip() is None
        for info in zipped.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert (info.extra, info.comment, info.flag_bits) == (b"", b"", 0)


def test_headers_are_those_of_numpy() -> None:
    """Our .npy header is one that NumPy reads as the same shape and type."""
    for shape in [(3,), (128, 512), (2, 1, 64, 256)]:
        stream = io.BytesIO(Member("x", "<f4", shape).npy_header)
        assert np.lib.format.read_magic(stream) == (1, 0)
        read = np.lib.format.read_array_header_1_0(stream)
        assert read == (shape, False, np.dtype("<f4"))
        assert stream.tell() == len(stream.getvalue()) == 128


def test_same_content_gives_same_bytes(path: Path) -> None:
    """Saved twice, streamed, or loaded and saved again: one sequence of bytes."""
    save(path, make())
    first = path.read_bytes()
    save(path, make())

    assert path.read_bytes() == first == to_bytes(make())
    assert to_bytes(load(path)) == first
    with CheckpointFile(path) as file:
        path.unlink()  # what was opened is what is hashed
        assert file.sha256() == hashlib.sha256(first).hexdigest()


def test_history_may_have_gaps_and_overflowed_norms(path: Path) -> None:
    """None, missing and not finite all come back as missing."""
    checkpoint = make()
    checkpoint.history = [
        {"step": 1, "loss": 2.0, "grad_norm": math.inf},
        {"step": 2, "loss": None, "val_loss": 1.0},
    ]

    save(path, checkpoint)

    assert load(path).history == [
        {"step": 1, "loss": 2.0},
        {"step": 2, "val_loss": 1.0},
    ]


def test_long_history_is_thinned_but_keeps_evaluations() -> None:
    history: list[Row] = [
        {"step": n} | ({"val_loss": 1.0} if n % 100 == 0 else {}) for n in range(40_000)
    ]

    kept = contents.thinned(history)

    assert contents.MAX_ROWS / 2 < len(kept) <= contents.MAX_ROWS
    assert sum("val_loss" in row for row in kept) == 400
    assert kept[-1] == history[-1]
    assert kept == sorted(kept, key=lambda row: row["step"] or 0)


def test_numpy_scalars_are_plain_numbers(path: Path) -> None:
    """Training may hand over its own number types."""
    checkpoint = make()
    row: Any = {"step": np.int64(3), "loss": np.float32(0.5)}
    checkpoint.history = [row]

    save(path, checkpoint)

    assert load(path).history == [{"step": 3, "loss": 0.5}]


def test_a_manifest_too_large_to_read_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(manifest, "MAX_MEMORY", 5000)

    with pytest.raises(OutputError, match="too large"):
        to_bytes(make())


def test_inspecting_reads_no_tensor(path: Path) -> None:
    """The manifest is served although a tensor's values are damaged."""
    checkpoint = make()
    save(path, checkpoint)
    data = bytearray(path.read_bytes())
    data[data.index(checkpoint.parameters["layer1.Wh"].tobytes())] ^= 1
    path.write_bytes(data)

    with CheckpointFile(path) as file:
        assert file.model == checkpoint.model
        assert file.vocab == checkpoint.vocab
        assert file.training == checkpoint.training
        assert file.corpus == checkpoint.corpus
        assert file.history == checkpoint.history
        assert file.size == len(data)
        assert file.tensors["layer1.Wh"].shape == (12, 3)
        np.testing.assert_array_equal(
            file.read("layer0.Wh"), checkpoint.parameters["layer0.Wh"]
        )
        with pytest.raises(CheckpointError, match=r"checksum mismatch in layer1\.Wh"):
            file.read("layer1.Wh")
        with pytest.raises(CheckpointError, match=r"checksum mismatch in layer1\.Wh"):
            file.verify()


@pytest.mark.promise(name="frugal")
def test_loading_takes_little_more_memory_than_the_file(path: Path) -> None:
    save(path, make(hidden=128))
    size = path.stat().st_size
    assert size > 2**21

    tracemalloc.start()
    load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < size + 2**20


def test_importing_checkpoints_imports_no_compiler() -> None:
    code = "import sys, charrnn.checkpoint; print('numba' in sys.modules)"

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )

    assert answer.stdout == "False\n", answer.stderr


# Damage is noticed.


@pytest.fixture(scope="module")
def tiny() -> bytes:
    """Return a checkpoint of a few kilobytes."""
    return to_bytes(make("rnn", None, hidden=1, layers=1, symbols="a"))


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
    assert fault(path, tiny + extra) == f"{len(extra)} bytes too long"


def test_leading_data_is_refused(path: Path, tiny: bytes) -> None:
    """What zip tools accept, as in a program that unpacks itself."""
    assert fault(path, b"#!/bin/sh\n" + tiny) == manifest.NOT_OURS


def test_one_wrong_value_is_named(path: Path) -> None:
    checkpoint = make()
    data = bytearray(to_bytes(checkpoint))
    data[data.index(checkpoint.moments["adam.v"].tobytes()) + 5] ^= 16

    assert fault(path, bytes(data)) == "checksum mismatch in adam.v"


@pytest.mark.promise(name="noticed")
def test_a_matching_crc_does_not_replace_the_hash(path: Path) -> None:
    """Exchanged values with a right CRC are caught by SHA-256."""
    data = to_bytes(make())
    table, tensors = split(data)
    tensors["head.by"] = bytes(len(tensors["head.by"]))
    parts = members(table, tensors)

    forged = join(json.dumps(table).encode("ascii"), parts)

    assert fault(path, forged) == "checksum mismatch in head.by"


def test_a_matching_hash_does_not_replace_the_crc(path: Path) -> None:
    """Other zip tools would refuse the member, so we do."""
    data = to_bytes(make())
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        crc = struct.pack("<I", zipped.getinfo("head.by.npy").CRC)
    assert data.count(crc) == 2

    what = fault(path, data.replace(crc, b"\0\0\0\0"))

    assert what == "checksum mismatch in head.by"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(path: Path, value: float) -> None:
    checkpoint = make()
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


def archive_of(**arrays: Any) -> bytes:
    """Save arrays as NumPy does."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


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
            set_field("version", value="2.0"),
            "written by a newer charrnn (format 2.0); this version reads 1.x",
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
    assert message in fault(path, forge(change, to_bytes(make())))


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

    path.write_bytes(forge(age, to_bytes(make())))

    assert load(path).training == make().training
    assert_same(load(path), make())


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


# Writing is all or nothing.


def test_wrong_arrays_are_a_mistake_of_the_caller(path: Path) -> None:
    missing, surplus, wide, long = (make() for _ in range(4))
    del missing.moments["adam.v"]
    surplus.training = None
    wide.parameters["head.by"] = wide.parameters["head.by"].astype(np.float64)
    long.state = np.zeros((2, 2, 5, 3), np.float32)

    for checkpoint in (missing, surplus, wide, long):
        with pytest.raises(ValueError, match=r"wrong arrays|must be float32"):
            save(path, checkpoint)
    assert list(path.parent.iterdir()) == []


def test_a_vocabulary_of_another_size_is_a_mistake_of_the_caller(path: Path) -> None:
    checkpoint = replace(make(), vocab=Vocab("ab", (1, 1)))

    with pytest.raises(ValueError, match="vocabulary's size"):
        save(path, checkpoint)
    assert list(path.parent.iterdir()) == []


@pytest.mark.promise(name="whole")
@pytest.mark.parametrize("function", ["fsync", "replace", "write"])
@pytest.mark.parametrize("old", [b"the old checkpoint", None])
def test_a_failed_save_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, function: str, old: bytes | None
) -> None:
    """Disk full at the last moment: the old file stays, nothing else does."""
    if old is not None:
        path.write_bytes(old)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if function == "write":
        monkeypatch.setattr("charrnn.checkpoint.writer.write_to", fail)
    else:
        monkeypatch.setattr(os, function, fail)
    with pytest.raises(OutputError) as caught:
        save(path, make())

    assert str(caught.value) == f"no space left on device ({path})"
    assert (path.read_bytes() if path.exists() else None) == old
    assert list(path.parent.iterdir()) == ([path] if old is not None else [])


def test_a_full_disk_changes_nothing(path: Path) -> None:
    """The same with a real failure: a limit on the size of files."""
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputError, match="file too large"):
            save(path, make())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.promise(name="whole")
def test_an_interrupted_save_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while syncing leaves no temporary file."""
    path.write_bytes(b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(path, make())

    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.promise(name="whole")
@pytest.mark.parametrize("fault", ["truncated", "checksum mismatch in state"])
def test_what_cannot_be_read_back_does_not_replace(
    path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A disk that loses or changes bytes is found out before the old file goes."""
    path.write_bytes(b"old")

    def lose(stream: io.BufferedIOBase, checkpoint: Checkpoint) -> None:
        data = to_bytes(checkpoint)
        state = checkpoint.tensors()["state"].tobytes()
        lost = data[:-100] if fault == "truncated" else data.replace(state, state[::-1])
        stream.write(lost)

    monkeypatch.setattr("charrnn.checkpoint.writer.write_to", lose)
    with pytest.raises(OutputError, match=f"cannot be read back.* {fault}"):
        save(path, make())

    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.promise(name="whole")
def test_diverged_values_do_not_replace_good_ones(path: Path) -> None:
    save(path, make())
    good = path.read_bytes()
    checkpoint = make()
    checkpoint.moments["adam.m"][-1] = np.nan

    with pytest.raises(DivergedError, match=r"adam\.m has values"):
        save(path, checkpoint)

    assert path.read_bytes() == good
    assert list(path.parent.iterdir()) == [path]


def test_more_than_four_gigabytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILE", 10_000)

    with pytest.raises(OutputError, match="larger than 4 GiB"):
        to_bytes(make(hidden=30))


def test_a_new_file_respects_the_umask(path: Path) -> None:
    before = os.umask(0o027)
    try:
        save(path, make())
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_an_existing_file_keeps_its_mode(path: Path, mode: int) -> None:
    path.write_bytes(b"old")
    path.chmod(mode)

    save(path, make())

    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert_same(load(path), make())


@pytest.mark.parametrize("old", [b"old", None])
def test_a_symbolic_link_stays_a_link(
    path: Path, tmp_path: Path, old: bytes | None
) -> None:
    """What it points to is replaced, or made."""
    target = tmp_path / "elsewhere" / "real.npz"
    target.parent.mkdir()
    if old:
        target.write_bytes(old)
    path.symlink_to("elsewhere/real.npz")

    save(path, make())

    assert path.is_symlink()
    assert_same(load(target), make())
    assert list(target.parent.iterdir()) == [target]


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(OutputError, match="is not a regular file"):
        save(pipe, make())
    with pytest.raises(OutputError, match="is a directory"):
        save(tmp_path, make())
    with pytest.raises(OutputError, match="no such file or directory"):
        save(tmp_path / "missing" / "model.npz", make())
    with pytest.raises(OutputError, match="not a directory"):
        save(pipe / "model.npz", make())
    assert list(tmp_path.iterdir()) == [pipe]


# One run, one output.


def test_a_second_run_is_locked_out_until_the_first_ends(path: Path) -> None:
    """Locked under both of its names; afterwards nothing is left behind."""
    alias = path.with_name("alias.npz")
    alias.symlink_to(path.name)
    with OutputLock(path):
        for name in (path, alias):
            with pytest.raises(OutputError, match="locked by another run"):
                OutputLock(name).__enter__()
        with OutputLock(path.with_name("other.npz")):
            pass
        save(path, make())

    with OutputLock(path):
        pass
    assert sorted(path.parent.iterdir()) == [alias, path]


def test_the_lock_ends_with_an_error(path: Path) -> None:
    with pytest.raises(RuntimeError), OutputLock(path):
        raise RuntimeError
    with OutputLock(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_lock_that_cannot_be_removed_hides_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happened while it was held is what is told; and it is let go."""

    def refuse(*arguments: object, **more: object) -> None:
        raise PermissionError

    def hold() -> None:
        with monkeypatch.context() as patch, OutputLock(path):
            patch.setattr(os, "unlink", refuse)
            patch.setattr(Path, "unlink", refuse)
            raise KeyError

    with pytest.raises(KeyError):
        hold()
    with OutputLock(path):
        pass


def test_nobody_removes_the_lock_of_another(path: Path) -> None:
    """Whose own was removed by somebody who tidied up."""
    lock = path.with_name(".model.npz.lock")
    with OutputLock(path):
        lock.unlink()
        other = OutputLock(path)
        other.__enter__()
    with pytest.raises(OutputError, match="locked"):
        OutputLock(path).__enter__()
    other.__exit__(None, None, None)
    assert list(path.parent.iterdir()) == []


def test_a_lock_follows_no_link(path: Path) -> None:
    path.with_name(".model.npz.lock").symlink_to(path.with_name("elsewhere"))

    with pytest.raises(OutputError, match="symbolic links"):
        OutputLock(path).__enter__()
    assert not path.with_name("elsewhere").exists()


@pytest.mark.parametrize("name", ["x" * 245 + ".npz", "é" * 120 + ".npz"])
def test_long_names(path: Path, name: str) -> None:
    """Hidden files beside them have shorter ones."""
    path = path.with_name(name)
    with OutputLock(path):
        save(path, make())
        with pytest.raises(OutputError, match="locked"):
            OutputLock(path).__enter__()
    assert_same(load(path), make())
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_leaves_a_file_to_its_owner(path: Path) -> None:
    save(path, make())
    path.chmod(0o600)
    os.chown(path, 1234, 1235)
    save(path, make("gru"))

    found = path.stat()
    assert (found.st_uid, found.st_gid) == (1234, 1235)
    assert stat.S_IMODE(found.st_mode) == 0o600


def test_a_lock_file_left_by_a_killed_run_locks_nobody_out(path: Path) -> None:
    path.with_name(".model.npz.lock").touch()

    with OutputLock(path):
        pass

    assert list(path.parent.iterdir()) == []


def test_the_lock_removes_what_a_killed_save_left(path: Path) -> None:
    """And nothing that only looks similar."""
    names = {".model.npz.0123abcd.tmp", ".model.npz.tmp", ".my.npz.0123abcd.tmp"}
    for name in names:
        path.with_name(name).touch()

    with OutputLock(path):
        pass

    left = {found.name for found in path.parent.iterdir()}
    assert left == names - {".model.npz.0123abcd.tmp"}


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such file or directory"):
        OutputLock(tmp_path / "missing" / "model.npz").__enter__()


def test_training_goes_on_where_there_are_no_locks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems know none."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)

    with OutputLock(path):
        save(path, make())


def test_a_directory_entry_is_parsed_where_it_stands() -> None:
    """The CRC's place in a central header, worked out from its fields."""
    member = Member("x", "<f4", (3,))
    data = archive.directory([member, member], [0xDEADBEEF, 7])

    assert archive.directory_crcs(data, [member, member]) == [0xDEADBEEF, 7]
    assert struct.unpack_from("<I", data, 16) == (0xDEADBEEF,)
