import io
import os
import threading
from pathlib import Path

import pytest

from charrnn.config import UnitName, UnknownPolicy
from charrnn.errors import CorpusError, InputError, VocabError
from charrnn.inspection import text as module
from charrnn.inspection.text import InspectedText, TextForm
from charrnn.pairs import USUAL, PairFormat
from charrnn.vocab import Vocab
from tests.factories import make_vocab

VOCAB = make_vocab("abé ")


def encoded(
    text: InspectedText, vocab: Vocab = VOCAB, unknown: UnknownPolicy = "error"
) -> bytes | str:
    ids = text.head(TextForm(vocab, unknown), None)
    return vocab.to_bytes(ids) if vocab.unit == "byte" else vocab.decode(ids)


def test_strangers_are_counted_when_they_are_skipped_or_replaced():
    assert InspectedText("aXbYY").count(TextForm(VOCAB, "skip")) == (2, 3)
    assert encoded(InspectedText("aXbYY"), unknown="skip") == "ab"
    assert InspectedText("aXbYY").count(TextForm(VOCAB, "replace")) == (5, 3)
    assert encoded(InspectedText("aXbYY"), unknown="replace") == "a b  "
    for read in (InspectedText.count, lambda *a: list(InspectedText.ids(*a))):
        with pytest.raises(VocabError, match=r"'X' U\+0058 at 2, 'Y' U\+0059 at 4"):
            read(InspectedText("aXbYY"), TextForm(VOCAB))


def test_only_the_beginning_is_read_where_no_more_is_wanted():
    ids = InspectedText("ab" * 9).head(TextForm(VOCAB), 3)

    assert VOCAB.decode(ids) == "aba"


def test_files_are_utf_8_without_their_byte_order_mark(tmp_path: Path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "aé".encode())

    assert encoded(InspectedText.from_file(str(path))) == "aé"


def test_line_ends_are_those_of_the_model(tmp_path: Path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"a\r\nb\na\r")
    for known, expected in (
        ("ab\n", "a\nb\na\n"),
        ("ab\r", "a\rb\ra\r"),
        ("ab\r\n", "a\r\nb\na\r"),
    ):
        vocab = make_vocab(known)
        assert encoded(InspectedText.from_file(str(path)), vocab) == expected
        assert encoded(InspectedText("a\r\nb\na\r"), vocab) == expected


def test_what_is_no_utf8_is_named_with_a_way_to_convert_it(tmp_path: Path):
    path = tmp_path / "t.txt"
    path.write_bytes("人人生而自由".encode("gbk"))

    with pytest.raises(CorpusError) as caught:
        InspectedText.from_file(str(path)).count(TextForm(VOCAB, "skip"))
    assert "GBK" in str(caught.value.hint)
    assert "from gbk to utf-8" in str(caught.value.hint)


def test_a_model_of_bytes_reads_any_bytes(tmp_path: Path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"a\xc3\xa9")
    vocab = make_vocab("aé", "byte")

    assert encoded(InspectedText.from_file(str(path)), vocab) == b"a\xc3\xa9"
    assert encoded(InspectedText("aé"), vocab) == b"a\xc3\xa9"
    assert encoded(InspectedText("a\udcc3\udca9"), vocab) == b"a\xc3\xa9"


def test_undecodable_bytes_are_located(tmp_path: Path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"ab\na\xff")

    with pytest.raises(CorpusError, match="byte 0xFF") as caught:
        InspectedText.from_file(str(path)).count(TextForm(VOCAB, "skip"))
    assert "byte offset 4, line 2" in str(caught.value)
    assert "encoding" not in str(caught.value.hint)


def test_large_files_come_in_slices(tmp_path: Path):
    """Places of unknown characters are counted through all of them."""
    path = tmp_path / "t.txt"
    path.write_text("é" * 300_000 + "X")
    text = InspectedText.from_file(str(path))
    slices = list(text.ids(TextForm(VOCAB, "skip")))

    assert len(slices) > 1
    assert sum(part.size for part in slices) == 300_000
    with pytest.raises(VocabError, match="at 300,001"):
        text.count(TextForm(VOCAB, "error"))


@pytest.mark.parametrize("in_memory", [1 << 24, 4])
def test_what_can_be_read_only_once_is_put_aside(tmp_path, monkeypatch, in_memory):
    monkeypatch.setattr(module, "IN_MEMORY", in_memory)
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("ab ba",))
    writer.start()
    text = InspectedText.from_file(str(path))
    writer.join()

    assert encoded(text) == encoded(text) == "ab ba"
    text.close()


def test_standard_input_can_be_read_again(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ab")))
    text = InspectedText.from_file("-")

    assert encoded(text) == encoded(text) == "ab"
    text.close()


def test_a_directory_is_no_text(tmp_path: Path):
    with pytest.raises(InputError, match="is a directory") as caught:
        InspectedText.from_file(str(tmp_path))
    assert caught.value.hint == "name a file in it"


def test_what_does_not_exist_is_no_text(tmp_path: Path):
    for name in (str(tmp_path / "none"), "a\0b"):
        with pytest.raises(InputError):
            InspectedText.from_file(name)


@pytest.mark.parametrize("unit", ["char", "byte"])
@pytest.mark.parametrize("separator", ["\t", "\u2603", "=>"])
def test_pairs_are_brought_into_one_form(
    tmp_path: Path, unit: UnitName, separator: str
):
    vocab = make_vocab("\t\nabé", unit)
    text, whole = "aé{0}b\r\n\nb{0}é\na{0}a", "aé\tb\nb\té\na\ta\n"
    text = text.replace("{0}", separator)
    path = tmp_path / "p.txt"
    path.write_bytes(text.encode())
    form = TextForm(vocab, "error", PairFormat(separator))
    expected = whole.encode() if unit == "byte" else whole

    for given in (InspectedText(text), InspectedText.from_file(str(path))):
        ids = given.head(form, None)
        found = vocab.to_bytes(ids) if unit == "byte" else vocab.decode(ids)
        assert found == expected
        assert given.count(form) == (ids.size, 0)


BEGUN = {
    "a": "a\t",
    "a\t": "a\t",
    "a\tb": "a\tb",
    "a\tb\n": "a\tb",
    "a\tb\r\n": "a\tb",
    "\na\tb\n\nb\ta\nab": "a\tb\nb\ta\nab\t",
    "a\tb\n\n": "a\tb",
    "b\ta\n\na\n \n\r\n": "b\ta\na\t",
}


@pytest.mark.parametrize("text", BEGUN)
def test_the_last_pair_may_have_begun(tmp_path: Path, text: str):
    vocab = make_vocab("\t\nab")
    path = tmp_path / "p.txt"
    path.write_bytes(text.encode())
    form = TextForm(vocab, "error", USUAL, begun=True)

    for given in (InspectedText(text), InspectedText.from_file(str(path))):
        assert vocab.decode(given.head(form, None)) == BEGUN[text]
        lines = text.removesuffix("\n").split("\n")
        assert given.blank == sum(not line.strip() for line in lines)


@pytest.mark.parametrize("unit", ["char", "byte"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_mark_of_the_byte_order_begins_no_input(
    tmp_path: Path, unit: UnitName, begun: bool
):
    vocab = make_vocab("\t\nab\ufeff", unit)
    path = tmp_path / "p.txt"
    path.write_bytes(b"\xef\xbb\xbfa\tb\n")
    form = TextForm(vocab, "error", USUAL, begun=begun)

    found = vocab.decode(InspectedText.from_file(str(path)).head(form, None))
    assert found.rstrip("\n") == "a\tb"


def test_what_stands_for_strangers_ends_no_input():
    vocab = make_vocab("\t\t\t\n\n\nab")
    form = TextForm(vocab, "replace", USUAL)

    assert vocab.decode(InspectedText("Xb\tY").head(form, None)) == "ab\ta\n"
