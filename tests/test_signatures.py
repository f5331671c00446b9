"""Files that are no texts are known by their first bytes, and texts are not taken."""

import bz2
import gzip
import io
import lzma
import sqlite3
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from charrnn.signatures import SIGNATURES, recognize_file

TEXT = b"the old gate kept a cold lamp\n" * 20


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, TEXT)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("t.txt")
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT))
    return file.getvalue()


def arrays() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (bz2.compress(TEXT), "bzip2"),
        (lzma.compress(TEXT), "xz"),
        (zipped("a.txt"), "zip archive"),
        (zipped("word/document.xml"), "office"),
        (arrays(), "arrays"),
        (tarred(), "tar archive"),  # valid UTF-8
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj", "PDF"),
        (b"MZ\x90\0\3", "Windows program"),
        (b"\0\0\0\x18ftypmp42", "MP4"),
    ],
    # The bytes of a gzip file hold the time at which it was made.
    ids=lambda given: given if isinstance(given, str) else "data",
)
def test_a_file_is_called_by_its_name(data: bytes, name: str) -> None:
    kind = recognize_file(data[:4096])

    assert kind is not None
    assert name in str(kind)
    assert kind.remedy


def test_a_database_is_recognized(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("create table t (x)")
    database.close()

    assert "SQLite" in str(recognize_file(path.read_bytes()[:4096]))


@pytest.mark.skipif(sys.platform != "linux", reason="other programs look otherwise")
def test_this_program_is_recognized() -> None:
    with Path(sys.executable).open("rb") as file:
        assert "ELF" in str(recognize_file(file.read(4096)))


@pytest.mark.parametrize(
    "text",
    [
        "MZ is how it begins, and café is in it",
        "RIFFs and ID3 tags",
        "GIF89a is a format",
        "%PDF-1.4 is written at the top",
        "PAR1",
        "BZh, she said",
        "",
        "the ftyp",
    ],
)
def test_a_text_may_begin_like_another_file(text: str) -> None:
    assert recognize_file(text.encode("latin-1")) is None


def test_no_signature_hides_another() -> None:
    """The first that fits is taken: none may begin like one before it."""
    seen: list[tuple[int, bytes]] = []
    for place, signature, _ in SIGNATURES:
        assert not any(p == place and signature.startswith(s) for p, s in seen)
        seen.append((place, signature))
