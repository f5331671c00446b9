"""Files made to do harm: each is refused with its message, in little memory."""

import gzip
import hashlib
import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint import archive, load, manifest
from charrnn.checkpoint.archive import Member
from charrnn.errors import CheckpointError
from tests.checkpoint.support import (
    SOUND,
    archive_of,
    forge,
    join,
    members,
    split,
    to_bytes,
)
from tests.factories import any_checkpoint

MB = 2**20

#: What loading may take beside the file's size.
PROMISED = 64 * MB

#: Loads a file in a process that has imported all it needs, and says by how
#: much its memory grew at most, and what came of it.
LOADER = """
import sys
from pathlib import Path
from charrnn.checkpoint import load
from charrnn.errors import CheckpointError

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(l.split()[1]) for l in lines if l.startswith("VmHWM"))

for path in sys.argv[1:]:
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    try:
        load(Path(path))
        what = "loaded"
    except CheckpointError as error:
        what = error.what
    print(peak() - before, what)
"""


def zip_of(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Make an archive as zip tools do."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as zipped:
        for name, data in entries:
            zipped.writestr(name, data)
    return stream.getvalue()


def in_manifest(*keys: str | int, value: object) -> bytes:
    """Forge a manifest with one other value, all checksums right."""

    def change(table: Any) -> None:
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value

    return forge(change, SOUND)


#: Lags of a model that have none, or that no model can have.
LAGS: list[tuple[object, str]] = [
    ([1, 3], "not ("),
    ("1,3", "invalid manifest: lags is '1,3'"),
    ([3, 1], "must have 1 among them"),
    ([], "must have 1 among them"),
    ([1, 1], "must be different"),
    ([0, 1], "must be at least 1"),
    ([1, 65], "must be at most 64"),
    ([1, 2**62], "must be at most 64"),
    ([1, 2.0], "invalid manifest: lags is 2.0"),
    ([1, True], "invalid manifest: lags is True"),
    ([*range(1, 10)], "at most 8 are allowed"),
    ([1] * 1000, "at most 8 are allowed"),
]
#: A checkpoint whose first tensor has room for a program.
POLYGLOT = to_bytes(any_checkpoint("gru", "rmsprop", hidden=4, layers=1, symbols="ab"))


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("pwned",)


def zip_bomb() -> bytes:
    """Compress 400 MB of zeros into 400 kB, under the manifest's name."""
    zeros = bytes(400 * MB)
    return zip_of(("charrnn.json.npy", zeros), method=zipfile.ZIP_DEFLATED)


def bomb_behind_a_manifest() -> bytes:
    """Put a compressed tensor behind a sound manifest."""
    with zipfile.ZipFile(io.BytesIO(SOUND)) as zipped:
        first = zipped.infolist()[0].filename
        data = zipped.read(first)
        names = [info.filename for info in zipped.infolist()[1:]]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        zipped.writestr(zipfile.ZipInfo(first), data)
        for name in names:
            zipped.writestr(name, bytes(4 * MB), zipfile.ZIP_DEFLATED)
    # Its manifest's local header as we write it, so that it is read at all.
    whole = bytearray(stream.getvalue())
    whole[: archive.LOCAL.size] = SOUND[: archive.LOCAL.size]
    return bytes(whole)


def lying_zip64(size: int) -> bytes:
    """Let a local header leave its sizes to the 64-bit extension."""
    data = bytearray(SOUND)
    extra = struct.pack("<HHQQ", 1, 16, size, size)
    struct.pack_into("<II", data, 18, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", data, 28, len(extra))
    name_end = archive.LOCAL.size + len("charrnn.json.npy")
    data[name_end:name_end] = extra
    return bytes(data)


def overlapping() -> bytes:
    """Let two members share their bytes in the directory."""
    table, tensors = split(SOUND)
    parts = members(table, tensors)
    start = SOUND.index(b"PK\x01\x02")
    data = bytearray(SOUND)
    places = [start]
    while (place := data.find(b"PK\x01\x02", places[-1] + 1)) >= 0:
        places.append(place)
    assert len(places) == len(parts) + 1
    data[places[2] + 42 : places[2] + 46] = data[places[1] + 42 : places[1] + 46]
    return bytes(data)


def renamed(name: str) -> bytes:
    """Call a tensor after a file elsewhere, in manifest and archive."""
    table, tensors = split(SOUND)
    old = table["tensors"][0]["name"]
    table["tensors"][0]["name"] = name
    tensors[name] = tensors.pop(old)
    parts = members(table, tensors)
    return join(json.dumps(table).encode("ascii"), parts)


def renamed_in_the_archive() -> bytes:
    """Do so in the archive alone."""
    name = split(SOUND)[0]["tensors"][0]["name"].encode()
    evil = b"../" * 9 + b"etc/x"
    return SOUND.replace(name + b".npy", (evil + b"x" * 99)[: len(name)] + b".npy")


def pickled_member() -> bytes:
    """Save an object array that does a thing for whoever unpickles it."""
    return archive_of(**{manifest.NAME: np.array([Evil()], dtype=object)})


def tar_of(data: bytes) -> bytes:
    """Put a file into a tar archive, which holds it as it is."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        info = tarfile.TarInfo("model.npz")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def with_a_pickle_as_member() -> bytes:
    """Add to the archive what loaders of other programs unpickle by its name."""
    stream = io.BytesIO(SOUND)
    with zipfile.ZipFile(stream, "a") as zipped:
        zipped.writestr("archive/data.pkl", pickle.dumps(Evil()))
    return stream.getvalue()


def with_checksum(text: bytes, wanted: int, letters: slice) -> bytes:
    """Choose letters of a manifest so that its member has a certain CRC.

    A change of one bit changes a CRC by what depends on the bit's place alone: which
    bits are to change is a system of 32 equations.

    Parameters
    ----------
    text : bytes
    wanted : int
    letters : slice
        Where any letter may take the place of the one that it differs from by its
        last bit.
    """

    def crc(data: bytes) -> int:
        return zlib.crc32(Member(manifest.NAME, "|u1", (len(data),)).npy_header + data)

    def changed(places: Iterable[int]) -> bytes:
        new = bytearray(text)
        for place in places:
            new[place] ^= 1
        return bytes(new)

    # By its highest bit: a change of the CRC, and the places that make it.
    solved: dict[int, tuple[int, set[int]]] = {}

    def reduced(change: int, places: set[int]) -> tuple[int, set[int]]:
        while change and change.bit_length() in solved:
            other, more = solved[change.bit_length()]
            change, places = change ^ other, places ^ more
        return change, places

    for place in range(len(text))[letters]:
        change, places = reduced(crc(changed([place])) ^ crc(text), {place})
        if change:
            solved[change.bit_length()] = change, places
    rest, places = reduced(crc(text) ^ wanted, set())
    assert not rest
    return changed(places)


def pickle_in_a_checkpoint() -> bytes:
    """Make a sound checkpoint that is, from its first byte on, a pickle that acts.

    ``P`` names an object that the loader knows, as those of PyTorch do, up to the end
    of a line: the first byte of the manifest's checksum. The last one, ``B``, is a
    string as long as the size that follows it, which skips most of the manifest. From
    there ``V``, a string up to the end of a line, leads to the first tensor.
    """
    program = b"cos\nmkdir\n(X\5\0\0\0pwnedtR.".ljust(32, b".")
    table, tensors = split(POLYGLOT)
    first = table["tensors"][0]
    tensors[first["name"]] = program + tensors[first["name"]][len(program) :]
    first["sha256"] = hashlib.sha256(tensors[first["name"]]).hexdigest()
    parts = members(table, tensors)
    text = json.dumps({**table, "x": "a" * 64 + "V" * 64}).encode("ascii")
    wanted = int.from_bytes(b"\nNNB", "little")
    letters = slice(len(text) - 130, len(text) - 66)
    return join(with_checksum(text, wanted, letters), parts)


class KnowsObjects(pickle.Unpickler):
    """Loads a pickle some of whose objects are kept elsewhere."""

    def persistent_load(self, pid: Any) -> Any:
        """Say that an object is its name."""
        return pid


#: Sound checkpoints that are something else as well, by what comes first.
POLYGLOTS: dict[str, Callable[[], bytes]] = {
    "pickle": lambda: pickle.dumps(Evil()) + SOUND,
    "gzip": lambda: gzip.compress(b"x") + SOUND,
    "tar": lambda: tar_of(SOUND),
    "HTML": lambda: b"<script>alert(1)</script>" + SOUND,
    "PDF": lambda: b"%PDF-1.4\n" + SOUND,
    "zip": lambda: zip_of(("x", b"y")) + SOUND,
}

ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "zip bomb": (zip_bomb, "damaged header of charrnn.json"),
    "zip bomb in a tensor": (bomb_behind_a_manifest, "bytes too long"),
    "huge shape": (
        lambda: in_manifest("tensors", 0, "shape", value=[2**31, 2**31]),
        "is (2147483648, 2147483648), not",
    ),
    "shape beyond 64 bits": (
        lambda: in_manifest("tensors", 0, "shape", value=[2**64]),
        "invalid manifest: shape is",
    ),
    **{
        f"lags, {number}": (partial(in_manifest, "model", "lags", value=lags), what)
        for number, (lags, what) in enumerate(LAGS)
    },
    "huge model": (lambda: in_manifest("model", "hidden", value=8192), "not ("),
    "huge vocabulary": (
        lambda: in_manifest("model", "vocab_size", value=2**40),
        "invalid manifest",
    ),
    "negative shape": (
        lambda: in_manifest("tensors", 0, "shape", value=[-1, 3]),
        "is (-1, 3), not",
    ),
    "duplicate name": (
        lambda: in_manifest(
            "tensors", 1, "name", value=split(SOUND)[0]["tensors"][0]["name"]
        ),
        "listed twice",
    ),
    "duplicate member": (
        lambda: SOUND + zip_of(("head.by.npy", b"x")),
        "bytes too long",
    ),
    "lying zip64, huge": (lambda: lying_zip64(2**62), "damaged header of charrnn.json"),
    "lying zip64, small": (lambda: lying_zip64(1), "damaged header of charrnn.json"),
    "pickle for a file": (lambda: pickle.dumps(Evil()), manifest.NOT_OURS),
    "pickle member": (pickled_member, "damaged header of charrnn.json"),
    "path traversal": (lambda: renamed("../../etc/passwd"), "unexpected tensor"),
    "absolute path": (lambda: renamed("/etc/passwd"), "unexpected tensor"),
    "traversal in the archive": (renamed_in_the_archive, "damaged directory"),
    "overlapping members": (overlapping, "damaged directory"),
    "trailing data": (lambda: SOUND + b"#!/bin/sh\n", "10 bytes too long"),
    "leading data": (lambda: b"#!/bin/sh\n" + SOUND, manifest.NOT_OURS),
    "encrypted": (
        lambda: SOUND[:6] + b"\1" + SOUND[7:],
        "damaged header of charrnn.json",
    ),
    "manifest of 2 GB": (
        lambda: Member(manifest.NAME, "|u1", (2**31,)).prefix(0),
        "damaged header of charrnn.json",
    ),
    "zip with a pickle": (with_a_pickle_as_member, "bytes too long"),
    **{
        f"{name} and checkpoint": (make, manifest.NOT_OURS)
        for name, make in POLYGLOTS.items()
    },
}


@pytest.mark.promise(name="inert")
def test_attacks(tmp_path: Path) -> None:
    """Each has its message; none takes memory, runs a thing or writes a file."""
    files = []
    for n, (make, _) in enumerate(ATTACKS.values()):
        files.append(tmp_path / f"{n}.npz")
        files[-1].write_bytes(make())
    before = sorted(tmp_path.rglob("*"))

    for (name, (_, message)), file in zip(ATTACKS.items(), files, strict=True):
        with pytest.raises(CheckpointError) as caught:
            load(file)
        assert message in caught.value.what, name
        assert "\n" not in str(caught.value)
        assert len(caught.value.what) < 300
    for name, (grown, what) in zip(ATTACKS, loaded(files, tmp_path), strict=True):
        assert what != "loaded"
        assert grown < MB, name
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.promise(name="inert")
def test_what_looks_like_another_file_inside_is_text(tmp_path: Path) -> None:
    """A canonical checkpoint whose manifest and values spell other formats loads."""
    table, tensors = split(SOUND)
    spelled = "%PDF-1.4 <script>alert(1)</script> #!/bin/sh cos system"
    text = json.dumps({"x": spelled, **table}).encode("ascii")
    file = tmp_path / "model.npz"
    file.write_bytes(join(text, members(table, tensors)))
    assert b"%PDF-" in file.read_bytes()[:1024]  # where viewers look for it
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(file.read_bytes())  # noqa: S301 - it holds no opcode that acts

    load(file)

    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.promise(name="inert")
def test_a_checkpoint_that_is_a_pickle_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It acts when it is unpickled, and loads here like any other."""
    monkeypatch.chdir(tmp_path)
    file = Path("model.npz")
    file.write_bytes(pickle_in_a_checkpoint())
    KnowsObjects(io.BytesIO(file.read_bytes())).load()
    Path("pwned").rmdir()

    load(file)

    assert list(Path().iterdir()) == [file]


def loaded(files: list[Path], directory: Path) -> list[tuple[int, str]]:
    """Load files in another process: how much memory each took, and what came."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory is measured on Linux only")
    done = subprocess.run(
        [sys.executable, "-c", LOADER, *files],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    return [(int(kilobytes) * 1024, what) for kilobytes, what in lines]


def greedy() -> dict[str, bytes]:
    """Make manifests that take memory to parse: refused ones, and the worst others."""
    table = json.dumps(split(SOUND)[0]).encode("ascii")
    narrow = table.replace(b"\\udce9", b"")

    def with_key(text: bytes, table: bytes = table) -> bytes:
        return b"{" + text + b"," + table[1:]

    def several(value: bytes, count: int) -> bytes:
        return with_key(b'"x":[' + b",".join([value] * count) + b"]")

    def of_symbols(size: int) -> bytes:
        return table.replace(b'"ab"', b'"\\ud83d\\ude00' + b"a" * size + b'"')

    columns = json.loads(table)
    columns["history"] = {f"k{n}": [n] for n in range(60_000)}
    rows = json.loads(table)
    rows["history"] = {name: list(range(45_000)) for name in "abcd"}
    column = json.loads(table)
    column["history"] = {"step": [1] * 400_000}
    string = b'"x":"' + b"a" * (15 * MB) + b'"'
    return {
        "the longest wide string": of_symbols(manifest.MAX_BYTES - 4000),
        "most keys": with_key(b",".join(b'"%018d":0' % n for n in range(590_000))),
        "a long string": with_key(string, narrow),
        "wide symbols": of_symbols(4_300_000),
        "numbers": several(b"1000000007", 220_000),
        "objects": several(b'{"a":1}', 65_000),
        "keys": with_key(b",".join(b'"%018d":0' % n for n in range(62_000))),
        "columns": json.dumps(columns, separators=(",", ":")).encode("ascii"),
        "rows": json.dumps(rows, separators=(",", ":")).encode("ascii"),
        "a column": json.dumps(column, separators=(",", ":")).encode("ascii"),
    }


@pytest.mark.promise(name="frugal")
def test_greedy_manifests(tmp_path: Path) -> None:
    """Whatever a manifest says, reading it takes what is promised at most."""
    table, tensors = split(SOUND)
    parts = members(table, tensors)
    refused, grown = set(), {}
    for name, text in greedy().items():
        file = tmp_path / "m.npz"
        file.write_bytes(join(text, parts))
        # In a new process each, which has no memory at hand from before.
        ((grown[name], what),) = loaded([file], tmp_path)
        assert grown[name] < file.stat().st_size + PROMISED, name
        if "too large to be one" in what:
            refused.add(name)

    assert refused == {"the longest wide string", "most keys"}
    # The others come near the limit; or the bound would prove little.
    assert max(grown.values()) > PROMISED / 2


def test_an_attack_takes_no_time(path: Path) -> None:
    """Nothing is computed from the sizes that a file claims."""
    path.write_bytes(in_manifest("tensors", 0, "shape", value=[2**62] * 60))
    began = time.process_time()

    with pytest.raises(CheckpointError):
        load(path)

    assert time.process_time() - began < 1


@pytest.mark.promise(name="inert")
def test_loading_opens_nothing_else(path: Path) -> None:
    """No other file, no descriptor left behind."""
    path.write_bytes(SOUND)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = (
        len(list(Path("/proc/self/fd").iterdir())) if Path("/proc").exists() else 32
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 8, limits[1]))
    try:
        for data in [SOUND, SOUND[:-1], b"", SOUND[:100]] * 10:
            path.write_bytes(data)
            try:
                load(path)
            except CheckpointError:
                continue
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
