"""How tests take checkpoints apart, forge them and compare them."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint import (
    Checkpoint,
    archive,
    load,
    manifest,
    write_to,
)
from charrnn.checkpoint.archive import Member
from charrnn.errors import (
    CheckpointError,
)
from tests.factories import any_checkpoint


def to_bytes(checkpoint: Checkpoint) -> bytes:
    stream = io.BytesIO()
    write_to(stream, checkpoint)
    return stream.getvalue()


SOUND = to_bytes(any_checkpoint("gru", "rmsprop", hidden=1, layers=1, symbols="ab"))


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
    """Lay out the members of a manifest, optionally under another type."""
    found = [
        (
            Member(name, descr.get(name, "<f4"), tuple(entry["shape"])),
            tensors[name],
        )
        for entry in table["tensors"]
        for name in [entry["name"]]
    ]
    if (memory := table.get("memory")) is not None:
        usual = np.dtype(memory["dtype"]).newbyteorder("<").str
        shape = (memory["characters"],)
        member = Member("memory", descr.get("memory", usual), shape)
        found.append((member, tensors["memory"]))
    return found


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
    assert (one.memory is None) == (two.memory is None)
    if one.memory is not None and two.memory is not None:
        assert one.memory.order == two.memory.order
        assert one.memory.share == two.memory.share
        np.testing.assert_array_equal(one.memory.ids, two.memory.ids)


def archive_of(**arrays: Any) -> bytes:
    """Save arrays as NumPy does."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()
