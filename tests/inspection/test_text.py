from pathlib import Path

import pytest

from charrnn.errors import CorpusError, InputError, VocabError
from charrnn.inspection.text import Text
from tests.inspection.support import make_vocab

VOCAB = make_vocab("abé ")


def test_strangers_are_counted_when_they_are_skipped_or_replaced():
    ids, strangers = Text("aXbYY").encode(VOCAB, "skip")
    assert (VOCAB.decode(ids), strangers) == ("ab", 3)

    ids, strangers = Text("aXbYY").encode(VOCAB, "replace")
    assert (VOCAB.decode(ids), strangers) == ("a b  ", 3)

    with pytest.raises(VocabError):
        Text("aX").encode(VOCAB, "error")


def test_files_are_utf_8_without_their_byte_order_mark(tmp_path: Path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "aé".encode())

    assert VOCAB.decode(Text.from_file(str(path)).encode(VOCAB, "error")[0]) == "aé"


def test_a_model_of_bytes_reads_any_bytes(tmp_path: Path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"a\xc3\xa9")
    vocab = make_vocab("aé", "byte")

    ids, _ = Text.from_file(str(path)).encode(vocab, "error")
    assert vocab.to_bytes(ids) == b"a\xc3\xa9"
    assert vocab.to_bytes(Text("aé").encode(vocab, "error")[0]) == b"a\xc3\xa9"


def test_undecodable_bytes_are_located(tmp_path: Path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"ab\na\xff")

    with pytest.raises(CorpusError, match="byte 0xFF") as caught:
        Text.from_file(str(path)).encode(VOCAB, "error")
    assert "byte offset 4, line 2" in str(caught.value)
    assert "--encoding" not in str(caught.value.hint)


def test_a_directory_is_no_text(tmp_path: Path):
    with pytest.raises(InputError, match="is a directory") as caught:
        Text.from_file(str(tmp_path))
    assert caught.value.hint is None
