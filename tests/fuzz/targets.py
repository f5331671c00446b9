"""What is fuzzed: functions of bytes that raise when a promise is broken.

Each reads any bytes at all. The first one chooses how the rest is meant, so
that a fuzzer which knows nothing gets past checksums and into the depths.
"""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

from charrnn import reading
from charrnn.checkpoint import load, write_to
from charrnn.checkpoint.archive import Member
from charrnn.checkpoint.manifest import MEMORY
from charrnn.corpus import ReadOptions, read_corpus
from charrnn.errors import CharRNNError, CheckpointError, CorpusError
from charrnn.recognition import BYTE_ORDER_MARKS
from tests.checkpoint.support import join

#: Text encodings of every kind: fixed and variable width, with states, marks,
#: shifts and escapes.
ENCODINGS = (
    *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"),
    *("utf-7", "ascii", "latin-1", "cp1252", "koi8-r", "cp037", "mac-roman"),
    *("shift_jis", "euc_jp", "iso2022_jp", "iso2022_kr", "gb18030", "gbk", "hz"),
    *("big5", "big5hkscs", "euc_kr", "johab", "cp950"),
)

#: No tensor of a fuzzed manifest is longer than this, in bytes.
LONGEST = 2**16


def promised(text: bytes) -> list[tuple[Member, bytes]]:
    """Make zeros for the tensors that a manifest lists, as far as it makes sense."""
    try:
        table: Any = json.loads(text)
        members = [
            Member(str(e["name"]), "<f4", tuple(map(int, e["shape"])))
            for e in table["tensors"]
        ]
        if "memory" in table:
            characters = int(table["memory"]["characters"])
            members.append(Member(MEMORY, "|u1", (characters,)))
        members = [m for m in members if m.name.isascii() and len(m.name) < 100]
        sizes = [member.nbytes for member in members]
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return []
    if any(not 0 <= size <= LONGEST for size in sizes):
        return []
    return [(m, bytes(size)) for m, size in zip(members, sizes, strict=True)]


def check_message(error: CharRNNError) -> None:
    """Expect one line."""
    assert "\n" not in f"{error}{error.hint}"


def has_surrogates(text: str) -> bool:
    """Tell whether half a pair is in the text, which no file may hold."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def read_checkpoint(data: bytes) -> None:
    """Load any file: one clear error, or a checkpoint that can be saved again.

    An odd first byte is followed by a manifest, an even one by a whole file.
    """
    kind, rest = data[:1], data[1:]
    if kind and kind[0] % 2:
        rest = join(rest, promised(rest))
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        file.write(rest)
        file.flush()
        try:
            loaded = load(Path(file.name))
        except CheckpointError as error:
            check_message(error)
            return
        again = io.BytesIO()
        write_to(again, loaded)
        file.seek(0)
        file.truncate()
        file.write(again.getvalue())
        file.flush()
        twice = io.BytesIO()
        write_to(twice, load(Path(file.name)))
    assert again.getvalue() == twice.getvalue()


def read_text(data: bytes) -> None:
    """Read any bytes as a text: what Python's decoder makes of them, or an error.

    Three bytes choose the encoding, the options and the length of a slice.
    """
    first, second, third, text = *(data + bytes(3))[:3], data[3:]
    encoding = ENCODINGS[first % len(ENCODINGS)]
    options = ReadOptions(
        encoding="utf-8" if second & 1 else encoding,
        unit="byte" if second & 1 else "char",
        newlines="lf" if second & 2 else "keep",
        lines=bool(second & 4),
    )
    try:
        whole: str | None = expected(text, options)
    except UnicodeError:
        whole = None
    former, reading.SLICE = reading.SLICE, 1 + third % 16
    try:
        corpus = read_corpus(["-"], options, io.BytesIO(text))
    except CorpusError as error:
        check_message(error)
        other = ("not a text: ", f"not {options.encoding}: ")  # what it is instead
        usable = whole is not None and len(whole) >= 2 and not has_surrogates(whole)
        if usable and not error.what.startswith(other):
            msg = f"{error!r}, but it is {whole!r}"
            raise AssertionError(msg) from error
    except CharRNNError as error:
        msg = f"{error!r} of {options}"
        raise AssertionError(msg) from error
    else:
        assert "".join(corpus.vocab.symbols[n] for n in corpus.ids) == whole
        assert corpus.bytes == len(text)
    finally:
        reading.SLICE = former


def expected(text: bytes, options: ReadOptions) -> str:
    """Decode a text the plain way."""
    if options.unit == "byte":
        whole = text.decode("latin-1")
    else:
        marks = [m for m, e in BYTE_ORDER_MARKS.items() if e == options.encoding]
        if marks and text and not text.startswith(tuple(marks)):
            msg = "a decoder of slices does not guess the byte order"
            raise UnicodeError(msg)
        whole = text.decode(options.encoding).removeprefix("\ufeff")
    if options.newlines == "lf":
        whole = whole.replace("\r\n", "\n").replace("\r", "\n")
    if options.lines and not whole.endswith("\n") and whole:
        whole += "\n"
    return whole


TARGETS = {"checkpoint": read_checkpoint, "text": read_text}
