"""Reading texts: the same ids however they come, and errors that say where."""

import codecs
import gzip
import hashlib
import io
import os
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from charrnn.config import UnitName
from charrnn.corpus import Corpus, ReadOptions, read_corpus, split
from charrnn.errors import (
    CharRNNError,
    CorpusError,
    InputError,
    OptionError,
    VocabError,
    spell,
)
from charrnn.reading import SLICE, Text, read_known
from charrnn.vocab import Vocab, code_points

texts = st.text(st.characters(codec="utf-8"), min_size=2).filter(
    lambda text: len(text.removeprefix("\ufeff")) >= 2
)


class Trickle(io.RawIOBase):
    """Standard input that brings a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self.rest, self.step = data, step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part, self.rest = self.rest[: self.step], self.rest[self.step :]
        buffer[: len(part)] = part
        return len(part)


def read_bytes(data: bytes, step: int = 0, **options: Any) -> Corpus:
    """Read standard input, whole or in steps of a few bytes."""
    stdin: Any = Trickle(data, step) if step else io.BytesIO(data)
    return read_corpus(["-"], ReadOptions(**options), stdin)


def text_of(corpus: Corpus) -> str:
    return corpus.vocab.decode(corpus.ids)


def failure(data: bytes, step: int = 0, **options: Any) -> CharRNNError:
    """Read a text that cannot be read, and return why."""
    with pytest.raises(CharRNNError) as caught:
        read_bytes(data, step, **options)
    assert "\n" not in str(caught.value)
    return caught.value


@given(
    texts, st.integers(1, 7), st.sampled_from(["utf-8", "utf-16", "utf-7", "utf-8-sig"])
)
def test_text_comes_back_whatever_its_slices(
    text: str, step: int, encoding: str
) -> None:
    data = text.encode(encoding)

    corpus = read_bytes(data, step, encoding=encoding)

    assert text_of(corpus) == text.removeprefix("\ufeff")
    assert corpus.bytes == len(data)
    assert corpus.sha256 == hashlib.sha256(data).hexdigest()
    assert corpus.characters == len(corpus.ids) == sum(corpus.vocab.counts)
    counts = np.bincount(corpus.ids, minlength=corpus.vocab.size)
    assert tuple(counts.tolist()) == corpus.vocab.counts


@given(st.binary(min_size=2), st.integers(1, 7))
def test_any_bytes_come_back_in_byte_mode(data: bytes, step: int) -> None:
    corpus = read_bytes(data, step, unit="byte")

    assert corpus.vocab.to_bytes(corpus.ids) == data
    assert corpus.ids.dtype == np.uint8


@given(
    st.lists(st.sampled_from(["a", "\n", "\r", "\r\n"]), min_size=2),
    st.integers(1, 3),
)
def test_all_line_ends_become_newlines(parts: list[str], step: int) -> None:
    text = "".join(parts) + "ab"

    corpus = read_bytes(text.encode(), step, newlines="lf")

    assert text_of(corpus) == text.replace("\r\n", "\n").replace("\r", "\n")
    assert corpus.notes == ()


def test_kept_carriage_returns_are_noted() -> None:
    corpus = read_bytes(b"a\r\nb\r\n")

    assert text_of(corpus) == "a\r\nb\r\n"
    (note,) = corpus.notes
    assert note.startswith("2 carriage returns")
    assert "newlines='lf'" in spell(note)


def test_bytes_are_not_advised_to_lose_their_carriage_returns() -> None:
    assert read_bytes(b"a\r\nb\r\n", unit="byte").notes == ()


def test_byte_order_marks_inside_a_text_are_noted() -> None:
    (note,) = read_bytes("\ufeffa\ufeffb\ufeff".encode()).notes

    assert note.startswith("2 byte-order marks (U+FEFF) inside the text")
    assert read_bytes("\ufeffab".encode()).notes == ()
    assert read_bytes("ab\ufeff".encode(), unit="byte").notes == ()


def test_sources_are_joined_in_order(tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_bytes(codecs.BOM_UTF8 + b"one")
    two.write_bytes(codecs.BOM_UTF8 + b"two")
    sources = [str(two), "-", str(one), str(two)]

    corpus = read_corpus(sources, ReadOptions(), io.BytesIO(b" and \0"))

    assert text_of(corpus) == "two and \0onetwo"
    assert corpus.files == tuple(sources)
    data = two.read_bytes() + b" and \0" + one.read_bytes() + two.read_bytes()
    assert corpus.bytes == len(data)
    assert corpus.sha256 == hashlib.sha256(data).hexdigest()


def test_byte_order_mark_stays_in_byte_mode_and_inside_a_text() -> None:
    data = codecs.BOM_UTF8 + b"a" + codecs.BOM_UTF8

    assert text_of(read_bytes(data)) == "a\ufeff"
    assert text_of(read_bytes(data, unit="byte")) == data.decode()


@pytest.mark.parametrize(
    ("kinds", "dtype"), [(256, np.uint8), (257, np.uint16), (20_000, np.uint16)]
)
def test_ids_take_the_smallest_type(kinds: int, dtype: type) -> None:
    text = "".join(map(chr, range(0x1_0000, 0x1_0000 + kinds))) * 2

    corpus = read_bytes(text.encode(), 4001)

    assert corpus.ids.dtype == dtype
    assert text_of(corpus) == text


def test_ids_become_narrow_again_when_rare_characters_are_folded() -> None:
    text = "".join(map(chr, range(0x1_0000, 0x2_2000))) + "abab"

    corpus = read_bytes(text.encode(), min_count=2)

    assert corpus.ids.dtype == np.uint8
    assert text_of(corpus) == "\ufffd" * 0x1_2000 + "abab"
    assert "73,728 kinds" in corpus.notes[0]


@given(texts, st.integers(1, 4))
def test_rare_characters_become_the_replacement(text: str, min_count: int) -> None:
    text = text.removeprefix("\ufeff")
    assume(not text or any(text.count(c) >= min_count for c in text))

    corpus = read_bytes(text.encode(), min_count=min_count)

    folded = "".join(c if text.count(c) >= min_count else "\ufffd" for c in text)
    assert text_of(corpus) == folded
    assert sum(corpus.vocab.counts) == len(text)
    rare = {c for c in text if text.count(c) < min_count} - {"\ufffd"}
    assert len(corpus.notes) - any("\r" in note for note in corpus.notes) <= 2
    noun = "kind" if len(rare) == 1 else "kinds"
    counted = f"{len(rare):,} {noun} of characters met"
    assert any(counted in note for note in corpus.notes) == bool(rare)


@pytest.mark.parametrize("lines", [False, True])
def test_a_text_of_nothing_but_rare_characters_is_refused(lines: bool) -> None:
    """What stands for them, and ends lines, is nothing that could be learned."""
    text = b"one\ntwoo\n" * 3
    with pytest.raises(CorpusError, match="no character is met 10 times") as caught:
        read_bytes(text, min_count=10, lines=lines)
    assert "the most frequent one, 'o', is met 9 times" in str(caught.value.hint)
    assert "o" in read_bytes(text, min_count=9, lines=lines).vocab.symbols


def test_lines_end_in_a_newline_in_every_source(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("Ann\nBob")

    corpus = read_corpus(
        [str(names), "-"], ReadOptions(lines=True), io.BytesIO(b"Cy\nDee")
    )

    assert text_of(corpus) == "Ann\nBob\nCy\nDee\n"
    assert corpus.bytes == 13
    assert text_of(read_bytes(b"a\n", lines=True)) == "a\n"
    assert text_of(read_bytes(b"\xef\xbb\xbfaa\r", lines=True)) == "aa\r\n"


def test_newlines_are_never_rare_where_they_part_documents() -> None:
    corpus = read_bytes(b"aaab", lines=True, min_count=2)

    assert text_of(corpus) == "aaa\ufffd\n"


def test_given_vocabulary_is_kept() -> None:
    vocab = Vocab("abc\ufffd", (1, 2, 3, 0))

    corpus = read_bytes("cbéü".encode(), vocab=vocab)

    assert corpus.vocab is vocab
    assert corpus.ids.tolist() == [2, 1, 3, 3]
    assert corpus.notes == (
        "2 kinds of characters outside the vocabulary (2 characters in all) "
        "became U+FFFD",
    )
    assert "1 kind of characters" in read_bytes("aé".encode(), vocab=vocab).notes[0]
    assert read_bytes(b"ab", vocab=vocab).notes == ()


def test_characters_outside_a_given_vocabulary_are_named() -> None:
    error = failure("aéxéb".encode(), 1, vocab=Vocab("abe", (1, 1, 1)))

    assert isinstance(error, VocabError)
    assert str(error) == (
        "not in the vocabulary: 'é' U+00E9 2 times (nearest 'e'), "
        "'x' U+0078 once (standard input)"
    )


def test_other_line_ends_are_unknown_and_can_be_changed() -> None:
    vocab = Vocab("\nab", (1, 1, 1))
    error = failure(b"a\r\nb", vocab=vocab)
    other = failure(b"a\r\nbx", vocab=vocab)

    assert error.hint == "newlines='lf' makes all line ends LF"
    assert error.field == "newlines"
    assert "newlines='lf'" in str(other.hint)
    assert "min_count=2" in str(other.hint)
    assert text_of(read_bytes(b"a\r\nb", vocab=vocab, newlines="lf")) == "a\nb"


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ("abc\n", "a\nb\nc\n"),
        ("abc\r", "a\rb\rc\r"),
        ("abc\r\n", "a\r\nb\nc\r"),
        ("abc", "a.b.c."),
    ],
)
@pytest.mark.parametrize("size", [1, 3, SLICE])
def test_line_ends_of_a_model_are_read_everywhere(
    known: str, expected: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A string at once, and a text in slices."""
    monkeypatch.setattr("charrnn.reading.SLICE", size)
    vocab = Vocab("".join(sorted(known)), (1,) * len(known))
    text = "a\r\nb\nc\r"
    adapted = vocab.adapted(text)
    ids = read_known([Text(text)], vocab)[:-1]

    assert adapted.replace("\n", "." if "\n" not in known else "\n") == expected
    assert ids.tolist() == vocab.look_up(code_points(adapted)).tolist()


@pytest.mark.parametrize("step", [0, 1, 2, 5])
@pytest.mark.parametrize(
    ("data", "encoding", "what", "where"),
    [
        (b"ab\ncd\nnaive\xe9!", "utf-8", "byte 0xE9", "byte offset 11, line 3"),
        (b"\xef\xbb\xbfa\n\xff", "utf-8", "byte 0xFF", "byte offset 5, line 2"),
        (b"ab\n\xe2\x82", "utf-8", "bytes 0xE2 0x82", "byte offset 3, line 2"),
        (b"\xe2\x82\n", "utf-8", "bytes 0xE2 0x82", "byte offset 0, line 1"),
        (b"a\n\x81b", "cp1252", "byte 0x81", "byte offset 2, line 2"),
        (b"a\n\x82\xa0\xff!", "shift_jis", "byte 0xFF", "byte offset 4, line 2"),
        (b"\xfe\xff\0a\0\n\0b\0", "utf-16", "byte 0x00", "byte offset 8, line 2"),
        (b"\xfe\xff\0\n\xdc\0\0a", "utf-16", "0xDC 0x00", "byte offset 4, line 2"),
    ],
)
def test_undecodable_bytes_are_found_in_the_file(
    data: bytes, encoding: str, what: str, where: str, step: int
) -> None:
    error = failure(data, step, encoding=encoding)

    assert isinstance(error, CorpusError)
    assert f"not valid {encoding}" in error.what
    assert what in error.what
    assert error.where == f"standard input, {where}"


@pytest.mark.parametrize(
    ("data", "encoding", "hint"),
    [
        (b"caf\xe9", "utf-8", "encoding='latin-1'"),
        (b"caf\xe9", "utf-8", "unit='byte'"),
        ("ab".encode("utf-16"), "utf-8", "encoding='utf-16'"),
        ("ab".encode("utf-32"), "utf-8", "encoding='utf-32'"),
        (b"abcd", "utf-16", "encoding='utf-16-le'"),
        (b"\0a\0b", "utf-16", "mark: encoding='utf-16-be'"),
        ("a\0\0".encode("utf-16") + b"\0", "utf16", "take its last byte away"),
    ],
)
def test_hints_name_an_encoding_that_may_work(
    data: bytes, encoding: str, hint: str
) -> None:
    assert hint in str(failure(data, encoding=encoding).hint)
    assert hint in str(failure(data, 4, encoding=encoding).hint)


@pytest.mark.parametrize("step", [0, 7])
@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ("“the gate”\n".encode("cp1252"), "encoding='cp1252'"),
        ("人人生而自由\n".encode("gbk") * 9, "encoding='gbk'"),
        ("すべての人間は\n".encode("shift_jis") * 9, "encoding='shift_jis'"),
        ("все люди\n".encode("cp1251") * 9, "encoding='cp1251'"),
        (b"a" * 9999 + b"\n\x93quoted\x94", "encoding='cp1252'"),
        ("l'été ".encode() * 9 + b"\x93", "the text around it is UTF-8"),
        (b"ab\xed\xa0\xbd\xed\xb8\x80", "CESU-8"),
        (bytes(range(256)) * 9, "it looks like no text"),
        (b"x" * 300_000 + "人人生而自由\n".encode("gbk") * 9, "encoding='gbk'"),
    ],
)
def test_what_is_not_utf8_is_called_what_it_looks_like(
    data: bytes, hint: str, step: int
) -> None:
    """The same, however the text comes."""
    error = failure(data, step)

    assert error.exit_code == 4
    assert hint in str(error.hint)


@pytest.mark.parametrize("step", [0, 5])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "shift_jis"])
@pytest.mark.parametrize(
    ("data", "what", "hint"),
    [
        (
            gzip.compress(b"the old gate", mtime=0),
            "not a text: it is a gzip file",
            "gunzip",
        ),
        (b"PK\3\4" + bytes(400), "not a text: it is a zip archive", "unpack"),
        ("the old".encode("utf-16-le") * 9, "zeros of UTF-16", "'utf-16-le'"),
        ("the old".encode("utf-16-be") * 9, "zeros of UTF-16", "'utf-16-be'"),
        ("the old".encode("utf-32-be") * 9, "zeros of UTF-32", "'utf-32-be'"),
        (codecs.BOM_UTF16_BE + b"\0a\0b", "mark of UTF-16", "encoding='utf-16'"),
    ],
)
def test_what_is_no_text_is_refused_though_it_may_decode(
    data: bytes, encoding: str, what: str, hint: str, step: int
) -> None:
    error = failure(data, step, encoding=encoding)

    assert error.exit_code == 4
    assert what in error.what
    assert hint in str(error.hint)
    assert read_bytes(data, step, unit="byte").bytes == len(data)


def test_utf8_that_is_read_as_something_else_is_named() -> None:
    error = failure("déjà vu, là-bas".encode(), encoding="ascii")

    assert error.hint == "it looks like UTF-8: encoding='utf-8'"


def test_a_text_in_memory_may_hold_any_zeros() -> None:
    text = "t\0h\0e\0 \0" * 9

    corpus = read_corpus([Text(text)], ReadOptions())

    assert text_of(corpus) == text


def test_wide_characters_are_read_when_they_are_named() -> None:
    data = "the old gate".encode("utf-16-le")

    assert text_of(read_bytes(data, encoding="utf-16-le")) == "the old gate"


@pytest.mark.parametrize("step", [0, 3])
def test_a_text_that_is_cut_ends_inside_a_character(step: int) -> None:
    error = failure("the old café".encode()[:-1], step)
    surely = failure("déjà ☃".encode()[:-1], step)

    assert "ends inside a character at byte 11" in error.what
    assert "encoding='latin-1'" in str(error.hint)
    assert "ends inside a character at byte 7" in surely.what
    assert surely.hint == "is it whole? Else take its last 2 bytes away"


def test_undecodable_behind_a_missing_byte_order_mark() -> None:
    """Found by fuzzing: what stands before the bad bytes is no text either."""
    error = failure(b"a\0\0\0" + b"\xff" * 4, encoding="utf-32")

    assert isinstance(error, CorpusError)
    assert error.where == "standard input, byte offset 4"
    assert "utf-32-le" in str(error.hint)


def test_half_a_surrogate_pair_is_an_error() -> None:
    error = failure(b"ab+2AA-c", encoding="utf-7")

    assert isinstance(error, CorpusError)
    assert "U+D800" in error.what
    assert error.where == "standard input, character 3"


@given(st.binary(), st.sampled_from(["utf-8", "utf-16", "utf-7", "shift_jis", "hz"]))
def test_any_bytes_are_a_text_or_an_error(data: bytes, encoding: str) -> None:
    try:
        corpus = read_bytes(data, 3, encoding=encoding)
    except CorpusError:
        return

    assert text_of(corpus) == data.decode(encoding).removeprefix("\ufeff")


@pytest.mark.parametrize(
    "encoding",
    [
        "no-such",
        "",
        "\0",
        "\udcff",
        "rot13",
        "hex",
        "base64",
        "zip",
        "undefined",
        "idna",
    ],
)
def test_only_encodings_of_text_files_are_accepted(encoding: str) -> None:
    with pytest.raises(OptionError, match="encoding") as caught:
        ReadOptions(encoding=encoding)
    assert str(caught.value).isprintable()


def test_options_that_cannot_go_together() -> None:
    with pytest.raises(OptionError, match="encoding='latin-1'"):
        ReadOptions(unit="byte", encoding="latin-1")
    with pytest.raises(OptionError, match="min_count"):
        ReadOptions(unit="byte", min_count=2)
    with pytest.raises(OptionError, match="min_count"):
        ReadOptions(min_count=0)
    with pytest.raises(ValueError, match="vocabulary of bytes"):
        ReadOptions(vocab=Vocab("a", (1,), "byte"))
    ReadOptions(unit="byte", encoding="UTF8")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the text is empty"),
        (codecs.BOM_UTF8, "the text is empty"),
        (b"a", "the text is too short: only one character"),
    ],
)
def test_texts_that_hold_nothing_to_learn(data: bytes, message: str) -> None:
    error = failure(data)

    assert isinstance(error, CorpusError)
    assert error.what == message


def test_errors_about_many_files_name_the_first(tmp_path: Path) -> None:
    files = [str(tmp_path / f"{i}.txt") for i in range(9)]
    for file in files:
        Path(file).touch()

    with pytest.raises(CorpusError) as caught:
        read_corpus(files, ReadOptions())

    assert caught.value.where == ", ".join(files[:3]) + " and 6 more"


def test_too_many_distinct_characters_are_an_error() -> None:
    text = "".join(map(chr, range(0x1_0000, 0x1_0000 + 20_001)))

    error = failure(text.encode())

    assert "20,001 distinct characters" in error.what
    assert "min_count" in str(error.hint)


def test_missing_files_and_directories(tmp_path: Path) -> None:
    options = ReadOptions()
    (tmp_path / "nine.txt").touch()
    with pytest.raises(InputError, match=r"none\.txt does not exist") as caught:
        read_corpus([str(tmp_path / "none.txt")], options)
    assert caught.value.hint == f"is {tmp_path / 'nine.txt'} meant?"
    with pytest.raises(InputError, match="does not exist") as caught:
        read_corpus([str(tmp_path / "nowhere" / "none.txt")], options)
    assert caught.value.hint == "check the path"
    with pytest.raises(InputError, match="is a directory") as caught:
        read_corpus([f"{tmp_path}/"], options)
    assert caught.value.hint == "name a file in it"
    with pytest.raises(InputError, match="'' does not exist"):
        read_corpus([""], options)
    with pytest.raises(InputError, match="null byte"):
        read_corpus(["a\0b"], options)
    with pytest.raises(InputError, match=r"does not exist|too long"):
        read_corpus(["x" * 5000], options)


def test_unreadable_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser can read everything, so the refusal is put on."""

    def refuse(name: str) -> None:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("io.FileIO", refuse)

    with pytest.raises(InputError, match=r"^x\.txt cannot be read: Permission denied$"):
        read_corpus(["x.txt"], ReadOptions())


def test_standard_input_twice_or_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="twice"):
        read_corpus(["-", "-"], ReadOptions(), io.BytesIO(b"abc"))
    with pytest.raises(OptionError, match="no text"):
        read_corpus([], ReadOptions())
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input cannot be read: it is closed"):
        read_corpus(["-"], ReadOptions())


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/urandom"])
def test_a_device_that_never_ends_is_no_text(device: str) -> None:
    """It would fill the memory, under its own name as at standard input."""
    if not Path(device).exists():
        pytest.skip("no such device here")
    with Path(device).open("rb") as stdin:
        for source in (device, "-"):
            with pytest.raises(InputError, match="it is a device"):
                read_corpus([source], ReadOptions(), stdin)


def test_what_may_be_piped_in_is_no_such_device() -> None:
    """/dev/null is an empty text, and at a terminal somebody may write one."""
    with (
        Path(os.devnull).open("rb") as stdin,
        pytest.raises(CorpusError, match="empty"),
    ):
        read_corpus(["-"], ReadOptions(), stdin)
    master, slave = os.openpty()
    os.write(master, b"abc\n\x04\x04")  # Python reads on after the first end
    with open(slave, "rb", buffering=0) as stdin:  # noqa: PTH123
        assert read_corpus(["-"], ReadOptions(), stdin).characters == 4
    os.close(master)


def test_standard_input_is_left_open() -> None:
    stdin = io.BytesIO(b"abc")
    read_corpus(["-"], ReadOptions(), stdin)
    assert not stdin.closed


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_pipe_that_does_not_block_is_waited_for(buffering: int) -> None:
    """Whoever shares it may have made it so; the text comes when it comes."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for part in (b"late", b" and", b" later"):
                time.sleep(0.05)
                pipe.write(part)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb", buffering) as pipe:
        corpus = read_corpus(["-"], ReadOptions(), pipe)
    writer.join()

    assert corpus.vocab.decode(corpus.ids) == "late and later"


def test_fifos_are_read_to_their_end(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    text = "fifo\n" * 100_000
    writer = threading.Thread(target=fifo.write_text, args=(text,))

    writer.start()
    corpus = read_corpus([str(fifo)], ReadOptions())
    writer.join()

    assert text_of(corpus) == text


@pytest.mark.parametrize("believed", [0, 10, 10**15])
def test_sizes_of_files_are_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, believed: int
) -> None:
    """A file that grows or shrinks between `stat` and `read` is read as it is."""
    path = tmp_path / "text.txt"
    path.write_text("hello world\n" * 50_000)
    true = path.stat()
    fields = list(true)
    fields[6] = believed
    monkeypatch.setattr(Path, "stat", lambda _self: os.stat_result(fields))

    corpus = read_corpus([str(path)], ReadOptions())

    assert text_of(corpus) == "hello world\n" * 50_000


def test_names_are_printable(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.txt")
    with pytest.raises(InputError) as caught:
        read_corpus([name], ReadOptions())
    assert "\\udcff\\n.txt does not exist" in str(caught.value)

    Path(name).write_text("ab")
    (shown,) = read_corpus([name], ReadOptions()).files
    assert shown.endswith("/\\udcff\\n.txt")


def test_memory_while_reading_stays_small(tmp_path: Path) -> None:
    """Under 3 bytes a character of ASCII while reading, 1 byte afterwards."""
    path = tmp_path / "long.txt"
    size = 24_000_000
    path.write_bytes(b"The old house by the sea.\n" * (size // 26))
    size = path.stat().st_size

    for stdin in (None, path.open("rb")):
        tracemalloc.start()
        source = str(path) if stdin is None else "-"
        corpus = read_corpus([source], ReadOptions(), stdin)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if stdin is not None:
            stdin.close()

        assert corpus.characters == size
        assert kept < 1.01 * size
        assert peak < 3 * size


@given(
    st.lists(st.sampled_from([0, 1, 2]), min_size=1),
    st.floats(0, 1, exclude_max=True),
    st.booleans(),
)
def test_split_cuts_the_text_in_two(ids: list[int], share: float, lines: bool) -> None:
    text = np.array(ids, np.uint8)

    train, val = split(text, share, lines_newline_id=0 if lines else None)

    assert np.concatenate([train, val]).tolist() == ids
    assert len(train) >= 1
    assert train.base is text
    assert val.base is text
    wanted = len(ids) - int(len(ids) * share)
    if not lines or wanted == len(ids):
        assert len(train) == wanted
        return
    borders = [i + 1 for i, id_ in enumerate(ids) if id_ == 0 and i + 1 < len(ids)]
    best = min([*borders, len(ids)], key=lambda border: abs(border - wanted))
    assert abs(len(train) - wanted) == abs(best - wanted)
    assert len(train) in [*borders, len(ids)]


def test_split_finds_borders_far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.corpus.SLICE", 4)
    text = np.ones(100, np.uint8)
    text[[10, 99]] = 0

    assert len(split(text, 0.7, lines_newline_id=0)[0]) == 11
    assert len(split(text, 0.2, lines_newline_id=0)[0]) == 100


def vocab_of(symbols: str, unit: UnitName = "char") -> Vocab:
    symbols = "".join(sorted(symbols))
    return Vocab(symbols, (1,) * len(symbols), unit)


def test_texts_are_read_as_far_as_they_are_known(tmp_path: Path) -> None:
    """What is not known, and the end of each text, is no character."""
    one, two = tmp_path / "1.txt", tmp_path / "2.txt"
    one.write_text("ab☃z\n", encoding="utf-8-sig")
    two.write_text("ba", encoding="utf-8")
    vocab = vocab_of("ab☃\n")

    ids = read_known([str(one), str(two)], vocab)

    assert ids.dtype == np.int32
    assert ids.tolist() == [1, 2, 3, -1, 0, -1, 2, 1, -1]
    assert read_known([], vocab).tolist() == []


@pytest.mark.parametrize(
    ("vocab", "expected"),
    [
        (vocab_of("\nab"), [1, 0, 2, 0, -1]),
        (vocab_of("\n\rab"), [2, 1, 0, 3, 1, -1]),
        (vocab_of("\n\rab", "byte"), [2, 1, 0, 3, 1, -1]),
        (vocab_of("\nab", "byte"), [1, -1, 0, 2, -1, -1]),
    ],
)
def test_line_ends_are_read_as_the_vocabulary_has_them(
    tmp_path: Path, vocab: Vocab, expected: list[int]
) -> None:
    """A carriage return is a newline unless the vocabulary has it, or bytes."""
    path = tmp_path / "t.txt"
    path.write_bytes(b"a\r\nb\r")

    assert read_known([str(path)], vocab).tolist() == expected


def test_any_bytes_are_read_for_a_vocabulary_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "t.bin"
    path.write_bytes(b"\xef\xbb\xbf\xff\x00")

    ids = read_known([str(path)], vocab_of("\x00\xbf\xef", "byte"))

    assert ids.tolist() == [2, -1, 1, -1, 0, -1]


def test_long_text_is_read_as_known_in_slices(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("a☃" * SLICE)

    ids = read_known([str(path)], vocab_of("☃a"))

    assert (ids[:-1] == np.tile([0, 1], SLICE)).all()


def test_texts_that_cannot_be_read_as_known(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"aa\na\xff")

    with pytest.raises(CorpusError, match="0xFF") as caught:
        read_known([str(path)], vocab_of("ab"))
    assert caught.value.where == f"{path}, byte offset 4, line 2"
    for name in ("missing.txt", ""):
        with pytest.raises(InputError, match="does not exist"):
            read_known([str(tmp_path / name) if name else ""], vocab_of("ab"))
    with pytest.raises(InputError, match="directory"):
        read_known([str(tmp_path)], vocab_of("ab"))


def test_a_mark_behind_a_carriage_return_is_a_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The return waits for what follows it; the text has begun all the same."""
    monkeypatch.setattr("charrnn.reading.SLICE", 4)
    options = ReadOptions(encoding="utf-32-le", newlines="lf")
    corpus = read_corpus(["-"], options, io.BytesIO("\r\ufeffa".encode("utf-32-le")))

    assert corpus.vocab.decode(corpus.ids) == "\n\ufeffa"
