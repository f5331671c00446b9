"""Checkpoints return what was saved."""

import hashlib
import io
import json
import math
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint import (
    Checkpoint,
    CheckpointFile,
    contents,
    load,
    manifest,
    save,
)
from charrnn.checkpoint.archive import Member
from charrnn.checkpoint.contents import Row
from charrnn.config import (
    CellName,
    OptimizerName,
)
from charrnn.errors import (
    CheckpointError,
    OutputError,
)
from tests.checkpoint.support import (
    assert_same,
    fault,
    forge,
    split,
    to_bytes,
)
from tests.factories import any_checkpoint


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad", "sgd", None])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_round_trip(
    path: Path, cell: CellName, optimizer: OptimizerName | None
) -> None:
    """Load returns every field and every bit that was saved."""
    checkpoint = any_checkpoint(cell, optimizer)

    save(path, checkpoint)

    assert_same(load(path), checkpoint)


@pytest.mark.parametrize("optimizer", ["adam", None])
def test_lags_are_saved_and_what_has_none_is_the_file_that_it_was(
    path: Path, optimizer: OptimizerName | None
) -> None:
    """A model of lags says so, and its state has the past that these need."""
    checkpoint = any_checkpoint("gru", optimizer, lags=(1, 2, 5))
    save(path, checkpoint)
    table, _ = split(path.read_bytes())

    assert_same(load(path), checkpoint)
    assert table["version"] == "2.0"
    assert table["model"]["lags"] == [1, 2, 5]
    shapes = {entry["name"]: entry["shape"] for entry in table["tensors"]}
    assert shapes["layer1.Wh"] == [9, 9]
    assert shapes.get("state") == ([2, 1 + 4, 2, 3] if optimizer else None)

    table, _ = split(to_bytes(any_checkpoint("gru", optimizer)))
    assert table["version"] == "1.0"
    assert "lags" not in table["model"]


def of_pairs(optimizer: OptimizerName | None) -> Checkpoint:
    """Make a checkpoint of a model of pairs, with its run or without."""
    checkpoint = any_checkpoint("gru", optimizer, symbols="\t\nab")
    run = checkpoint.training
    if run is None:
        return replace(checkpoint, pairs=True)
    run = replace(run, config=replace(run.config, pairs=True))
    return replace(checkpoint, training=run)


@pytest.mark.parametrize("optimizer", ["adam", None])
def test_pairs_are_said_once_and_other_files_are_what_they_were(
    path: Path, optimizer: OptimizerName | None
) -> None:
    checkpoint = of_pairs(optimizer)
    save(path, checkpoint)
    table, _ = split(path.read_bytes())

    assert_same(load(path), checkpoint)
    assert load(path).pairs == checkpoint.pairs
    with CheckpointFile(path) as file:
        assert (file.pairs, file.lines) == (True, False)
    assert table["version"] == "2.1"
    assert ("pairs" in table) == (optimizer is None)
    assert optimizer is None or table["training"]["config"]["pairs"] is True

    table, _ = split(to_bytes(any_checkpoint("gru", optimizer)))
    assert table["version"] == "1.0"
    assert "pairs" not in table
    assert optimizer is None or "pairs" not in table["training"]["config"]


#: What no file of pairs says: a change to its manifest, and the error.
NO_PAIRS: list[tuple[OptimizerName | None, tuple[str, ...], object, str]] = [
    (None, ("version",), "2.0", "files of format 2.0 know no pairs"),
    ("adam", ("version",), "1.2", "files of format 1.2 know no pairs"),
    (None, ("lines",), True, "a model of pairs is of lines, too"),
    ("adam", ("pairs",), True, "or says so twice"),
    ("adam", ("training", "config", "lines"), True, "exclude each other"),
    ("adam", ("training", "config", "pairs"), 1, "pairs is 1"),
    (None, ("pairs",), "yes", "pairs is 'yes'"),
    (None, ("vocab", "symbols"), "\nabc", "without a tab or a newline"),
    ("adam", ("vocab", "symbols"), "\tabc", "without a tab or a newline"),
]


@pytest.mark.parametrize(("optimizer", "keys", "value", "what"), NO_PAIRS)
def test_pairs_that_cannot_be_are_refused(
    path: Path,
    optimizer: OptimizerName | None,
    keys: tuple[str, ...],
    value: object,
    what: str,
) -> None:
    def change(table: Any) -> None:
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value

    assert what in fault(path, forge(change, to_bytes(of_pairs(optimizer))))


@pytest.mark.parametrize("optimizer", ["adam", None])
def test_running_averages_are_saved_with_the_weights(
    path: Path, optimizer: OptimizerName | None
) -> None:
    """After them, with or without a run; they are no parameters."""
    checkpoint = any_checkpoint(optimizer=optimizer, norm="batch")
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

    sound = to_bytes(any_checkpoint(optimizer=None, norm="batch"))

    assert "layer1.running_var is missing" in fault(path, forge(forget, sound))


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_normalized_model_never_passes_for_another(path: Path, norm: Any) -> None:
    """A reader that skips the field stumbles over the tensors."""
    sound = to_bytes(any_checkpoint(optimizer=None, norm=norm))
    without = forge(lambda table: table["model"].pop("norm"), sound)

    assert "unexpected tensor" in fault(path, without)


def test_round_trip_keeps_special_values(path: Path) -> None:
    """Negative zero, denormals and the largest float32 survive."""
    checkpoint = any_checkpoint(optimizer=None)
    values = checkpoint.parameters["head.by"]
    values[:4] = [-0.0, 1e-45, 3.4028235e38, -1.1754944e-38]

    save(path, checkpoint)

    assert_same(load(path), checkpoint)


def test_arrays_that_are_not_contiguous_are_saved_by_value(path: Path) -> None:
    checkpoint = any_checkpoint(optimizer=None)
    Wy = checkpoint.parameters["head.Wy"]
    checkpoint.parameters["head.Wy"] = np.asfortranarray(Wy)

    save(path, checkpoint)

    np.testing.assert_array_equal(load(path).parameters["head.Wy"], Wy)


def test_loaded_arrays_can_be_written_to(path: Path) -> None:
    save(path, any_checkpoint())

    load(path).parameters["layer0.Wh"] += 1


def test_numpy_opens_it(path: Path) -> None:
    """A user with NumPy alone gets the arrays and the manifest."""
    checkpoint = any_checkpoint()
    save(path, checkpoint)

    with np.load(path, allow_pickle=False) as arrays:
        assert list(arrays) == ["charrnn.json", *checkpoint.tensors()]
        for name, values in checkpoint.tensors().items():
            np.testing.assert_array_equal(arrays[name], values)
        table = json.loads(arrays["charrnn.json"].tobytes())
    assert table["format"] == "charrnn"
    assert table["model"]["cell"] == "lstm"


def test_zip_tools_find_nothing_odd(path: Path) -> None:
    save(path, any_checkpoint())

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
    save(path, any_checkpoint())
    first = path.read_bytes()
    save(path, any_checkpoint())

    assert path.read_bytes() == first == to_bytes(any_checkpoint())
    assert to_bytes(load(path)) == first
    with CheckpointFile(path) as file:
        path.unlink()  # what was opened is what is hashed
        assert file.sha256() == hashlib.sha256(first).hexdigest()


def test_history_may_have_gaps_and_overflowed_norms(path: Path) -> None:
    """None, missing and not finite all come back as missing."""
    checkpoint = any_checkpoint()
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
    checkpoint = any_checkpoint()
    row: Any = {"step": np.int64(3), "loss": np.float32(0.5)}
    checkpoint.history = [row]

    save(path, checkpoint)

    assert load(path).history == [{"step": 3, "loss": 0.5}]


def test_a_manifest_too_large_to_read_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(manifest, "MAX_MEMORY", 5000)

    with pytest.raises(OutputError, match="too large"):
        to_bytes(any_checkpoint())


def test_inspecting_reads_no_tensor(path: Path) -> None:
    """The manifest is served although a tensor's values are damaged."""
    checkpoint = any_checkpoint()
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
    save(path, any_checkpoint(hidden=128))
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
