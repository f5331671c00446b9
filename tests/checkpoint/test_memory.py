"""The text that a model counts is one member more, read as carefully as the rest."""

import hashlib
import json
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint import CheckpointFile, Remembered, load, save
from charrnn.checkpoint.contents import MAX_ORDER, MAX_REMEMBERED
from charrnn.errors import CheckpointError
from tests.checkpoint.support import (
    assert_same,
    fault,
    forge,
    join,
    members,
    split,
    to_bytes,
)
from tests.factories import any_checkpoint

#: Of the five symbols that `any_checkpoint` has.
IDS = np.array([1, 2, 0, 3, 4, 4, 1, 0], np.uint8)

#: As many symbols as take two bytes each.
MANY = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))


def remembering(optimizer: Any = None, **changes: Any) -> Any:
    """Make a small checkpoint with a memory."""
    checkpoint = any_checkpoint("gru", optimizer, hidden=1, layers=1)
    memory = Remembered(ids=IDS, order=6, share=0.625)
    return replace(checkpoint, memory=replace(memory, **changes))


SOUND = to_bytes(remembering())


@pytest.mark.parametrize("optimizer", ["adam", None])
def test_a_memory_is_saved_with_a_run_or_without(path: Path, optimizer: Any) -> None:
    checkpoint = remembering(optimizer)

    save(path, checkpoint)

    assert_same(load(path), checkpoint)
    assert to_bytes(load(path)) == path.read_bytes()


def test_a_memory_takes_the_smallest_type_of_the_vocabulary(path: Path) -> None:
    """One byte a character, two where there are more than 256 symbols."""
    checkpoint = any_checkpoint("rnn", None, hidden=1, layers=1, symbols=MANY)
    ids = np.arange(300, dtype=np.uint64)
    save(path, replace(checkpoint, memory=Remembered(ids=ids, order=3, share=1.0)))

    found = load(path).memory

    assert found is not None
    assert found.ids.dtype == np.uint16
    np.testing.assert_array_equal(found.ids, ids)


def test_numpy_opens_it(path: Path) -> None:
    path.write_bytes(SOUND)

    with np.load(path, allow_pickle=False) as arrays:
        assert list(arrays)[-1] == "memory"
        np.testing.assert_array_equal(arrays["memory"], IDS)


def test_only_files_with_a_memory_are_of_the_new_format(path: Path) -> None:
    """What older programs can read is written as they read it."""
    save(path, replace(remembering(), memory=None))
    with CheckpointFile(path) as file:
        assert file.format_version == "1.0"
        assert file.memory is None
        assert file.read_memory() is None
    assert "memory" not in split(path.read_bytes())[0]

    path.write_bytes(SOUND)
    with CheckpointFile(path) as file:
        assert file.format_version == "2.0"


def test_a_file_says_that_its_run_will_give_it_a_memory(path: Path) -> None:
    """Where that is so, and it has none yet; older programs pass over it."""
    plain = replace(remembering("adam"), memory=None)
    save(path, replace(plain, remembers=True))

    with CheckpointFile(path) as file:
        assert (file.format_version, file.remembers) == ("1.2", True)
    assert load(path).remembers
    assert split(to_bytes(plain))[0].get("remembers") is None
    assert not load_bytes(path, to_bytes(replace(remembering(), remembers=True)))


def load_bytes(path: Path, data: bytes) -> bool:
    """Tell whether a file says so."""
    path.write_bytes(data)
    return load(path).remembers


def test_what_is_said_of_a_memory_is_known_without_reading_it(path: Path) -> None:
    """A damaged one does not keep anybody from the network."""
    damaged = bytearray(SOUND)
    damaged[SOUND.index(IDS.tobytes())] ^= 1
    path.write_bytes(damaged)

    with CheckpointFile(path) as file:
        assert file.memory is not None
        assert (file.memory.order, file.memory.share) == (6, 0.625)
        assert file.memory.characters == len(IDS)
        for name in file.tensors:
            file.read(name)
        with pytest.raises(CheckpointError, match="checksum mismatch in memory"):
            file.read_memory()
        with pytest.raises(CheckpointError, match="checksum mismatch in memory"):
            file.verify()


@pytest.mark.promise(name="noticed")
def test_any_flipped_bit_is_noticed(path: Path) -> None:
    """Each bit of the memory, and of all that stands behind the first tensor."""
    path.write_bytes(SOUND)
    begin = SOUND.rindex(b"PK\x03\x04")
    with path.open("r+b", buffering=0) as file:
        for place in range(begin, len(SOUND)):
            for bit in range(8):
                changed = bytes([SOUND[place] ^ 1 << bit])
                os.pwrite(file.fileno(), changed, place)
                with pytest.raises(CheckpointError):
                    load(path)
            os.pwrite(file.fileno(), SOUND[place : place + 1], place)
    load(path)


@pytest.mark.promise(name="noticed")
def test_truncation_is_noticed(path: Path) -> None:
    path.write_bytes(SOUND)
    for size in reversed(range(SOUND.rindex(b"PK\x03\x04"), len(SOUND))):
        os.truncate(path, size)
        with pytest.raises(CheckpointError, match=r"truncated \("):
            load(path)


def entry(key: str, value: object) -> bytes:
    """Forge what the manifest says of the memory, all checksums right."""
    return forge(lambda table: table["memory"].update({key: value}), SOUND)


def rewritten(ids: Any, **said: Any) -> bytes:
    """Put other ids into a file, and all that is said of them, checksums included."""
    changed = to_bytes(remembering(ids=np.minimum(ids, 4)))
    table, parts = split(changed)
    parts["memory"] = ids.tobytes()
    table["memory"]["sha256"] = hashlib.sha256(ids.tobytes()).hexdigest()
    table["memory"].update(said)
    return join(json.dumps(table).encode("ascii"), members(table, parts))


def without_member() -> bytes:
    """Speak of a memory that is not in the archive."""
    table, parts = split(SOUND)
    return join(json.dumps(table).encode("ascii"), members(table, parts)[:-1])


def member_twice() -> bytes:
    """Have the ids in the archive two times."""
    table, parts = split(SOUND)
    laid = members(table, parts)
    return join(json.dumps(table).encode("ascii"), [*laid, laid[-1]])


def unspoken() -> bytes:
    """Have a member more than the manifest says."""
    table, parts = split(SOUND)
    laid = members(table, parts)
    del table["memory"]
    return join(json.dumps(table).encode("ascii"), laid)


def of_an_older_format() -> bytes:
    """Have a memory, and say that one has none."""
    return forge(lambda table: table.update(version="1.1"), SOUND)


def of_other_bytes() -> bytes:
    """Store the ids under a type that is not the one that is spoken of."""
    table, parts = split(SOUND)
    laid = members(table, parts, memory="|i1")
    return join(json.dumps(table).encode("ascii"), laid)


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "ids out of range": (
        lambda: rewritten(np.array([1, 2, 5], np.uint8)),
        "memory has values that are not in the vocabulary",
    ),
    "largest id": (
        lambda: rewritten(np.array([255], np.uint8)),
        "memory has values that are not in the vocabulary",
    ),
    "wider type": (
        lambda: rewritten(np.array([1, 2], np.uint16), dtype="uint16"),
        "the memory is uint16, not uint8",
    ),
    "no type of ids": (lambda: entry("dtype", "float32"), "dtype is 'float32'"),
    "object type": (lambda: entry("dtype", "object"), "dtype is 'object'"),
    "signed type in the archive": (of_other_bytes, "damaged header of memory"),
    "wrong length": (lambda: entry("characters", 7), "byte too long"),
    "longer than the file": (lambda: entry("characters", 9_999), "truncated ("),
    "huge length": (
        lambda: entry("characters", 2**40),
        f"the memory does not have 1 to {MAX_REMEMBERED:,} characters",
    ),
    "length beyond 64 bits": (lambda: entry("characters", 2**64), "characters is"),
    "no length": (lambda: entry("characters", 0), "does not have 1 to"),
    "negative length": (lambda: entry("characters", -8), "does not have 1 to"),
    "shape for a length": (lambda: entry("characters", [8]), "characters is list"),
    "order 0": (
        lambda: entry("order", 0),
        f"the order of the memory is not one of 1 to {MAX_ORDER}",
    ),
    "huge order": (lambda: entry("order", 10**9), "the order of the memory is not"),
    "broken order": (lambda: entry("order", 6.5), "order is 6.5"),
    "truth for an order": (lambda: entry("order", True), "order is True"),
    "negative share": (
        lambda: entry("share", -0.001),
        "the share of the network in the blend is not one of 0 to 1",
    ),
    "share above 1": (lambda: entry("share", 1.001), "the share of the network"),
    "share that is no number": (lambda: entry("share", float("nan")), "NaN is not a"),
    "infinite share": (lambda: entry("share", float("inf")), "Infinity is not a"),
    "share in quotes": (lambda: entry("share", "0.5"), "share is '0.5'"),
    "share beyond floats": (lambda: entry("share", 10**400), "share is 1000"),
    "no entry": (lambda: entry("sha256", None), "sha256 is None"),
    "not an object": (
        lambda: forge(lambda table: table.update(memory=[1]), SOUND),
        "memory is list",
    ),
    "missing field": (
        lambda: forge(lambda table: table["memory"].pop("order"), SOUND),
        "order is missing",
    ),
    "missing member": (without_member, "truncated ("),
    "member twice": (member_twice, "bytes too long"),
    "member that nobody speaks of": (unspoken, "bytes too long"),
    "older format, spelt anew": (
        lambda: forge(lambda table: table.update(version="01.1"), SOUND),
        "unknown format version '01.1'",
    ),
    "older format": (of_an_older_format, "files of format 1.1 have no memory"),
    "tensor of that name": (
        lambda: forge(
            lambda table: table["tensors"].append(
                {"name": "memory", "dtype": "float32", "shape": [2], "sha256": ""}
            ),
            SOUND,
        ),
        "unexpected tensor 'memory'",
    ),
}


@pytest.mark.promise(name="inert")
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(path: Path, name: str) -> None:
    make, message = ATTACKS[name]

    assert message in fault(path, make())


@pytest.mark.promise(name="frugal")
def test_a_claim_takes_no_memory(path: Path) -> None:
    """A length that a file only claims to have is not made room for."""
    path.write_bytes(entry("characters", MAX_REMEMBERED))

    tracemalloc.start()
    with pytest.raises(CheckpointError, match="truncated"):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2**20


@pytest.mark.promise(name="frugal")
def test_loading_a_memory_takes_little_more_than_the_file(path: Path) -> None:
    ids = np.tile(IDS, 2**18)
    save(path, remembering(ids=ids))
    size = path.stat().st_size
    assert size > 2**21

    tracemalloc.start()
    load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < size + 2**20


@pytest.mark.parametrize(
    "changes",
    [
        {"ids": np.zeros(0, np.uint8)},
        {"order": 0},
        {"order": MAX_ORDER + 1},
        {"share": -0.1},
        {"share": float("nan")},
    ],
)
def test_what_no_reader_accepts_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"memory|share"):
        remembering(**changes)


@pytest.mark.parametrize("ids", [[1, 5], [1, -1], [[1, 2]]])
def test_ids_of_another_vocabulary_are_not_written(ids: Any) -> None:
    checkpoint = remembering(ids=np.array(ids))

    with pytest.raises(ValueError, match="does not have"):
        to_bytes(checkpoint)


def test_no_bytes_are_written_of_what_cannot_be(path: Path) -> None:
    """The file that was there stays."""
    save(path, remembering())

    with pytest.raises(ValueError, match="does not have"):
        save(path, remembering(ids=np.array([9])))

    assert path.read_bytes() == SOUND
