"""The vocabulary: a bijection, and errors that a person can use."""

import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import UnitName
from charrnn.errors import OptionError, VocabError
from charrnn.vocab import Vocab, code_points, name_symbol

#: Any text of characters; Hypothesis leaves surrogates out of "UTF-8" texts.
texts = st.text(st.characters(codec="utf-8"), min_size=1)

#: Also what os.fsdecode and broken decoders make.
any_texts = st.text(st.characters())


def vocab_of(text: str, unit: UnitName = "char") -> Vocab:
    symbols = "".join(sorted(set(text)))
    return Vocab(symbols, tuple(text.count(s) for s in symbols), unit)


@given(texts)
def test_decoding_undoes_encoding(text: str) -> None:
    vocab = vocab_of(text)

    ids = vocab.encode(text)

    assert ids.dtype == np.int32
    assert vocab.decode(ids) == text
    assert vocab.to_bytes(ids) == text.encode()
    assert [vocab.symbols[i] for i in ids] == list(text)


@given(st.binary(min_size=1))
def test_bytes_round_trip(data: bytes) -> None:
    vocab = vocab_of(data.decode("latin-1"), "byte")

    ids = vocab.encode_bytes(data)

    assert vocab.to_bytes(ids) == data
    assert vocab.decode(ids) == data.decode("utf-8", "replace")


@given(texts, any_texts)
def test_policies_agree_about_what_is_unknown(known: str, text: str) -> None:
    vocab = vocab_of(known)
    kept = [c for c in text if c in known]

    skipped = vocab.encode(text, "skip")
    replaced = vocab.encode(text, "replace")

    assert vocab.decode(skipped) == "".join(kept)
    expected = [vocab.id_of(c) if c in known else vocab.replacement_id for c in text]
    assert replaced.tolist() == expected
    if len(kept) == len(text):
        assert vocab.encode(text).tolist() == expected
    else:
        with pytest.raises(VocabError):
            vocab.encode(text)


@given(texts, any_texts)
def test_looking_up_finds_what_is_known(known: str, text: str) -> None:
    vocab = vocab_of(known)

    ids = vocab.look_up(code_points(text))

    assert ids.dtype == np.int32
    expected = [vocab.id_of(c) for c in text]
    assert ids.tolist() == [-1 if i is None else i for i in expected]


@given(texts, any_texts)
def test_unknown_symbols_have_their_first_places(known: str, text: str) -> None:
    """Each once, in the order of places; all are counted."""
    strangers = [c for c in text if c not in known]

    places, count = vocab_of(known).unknown_places(text)

    assert count == len(strangers)
    assert list(places.items()) == [
        (c, text.index(c)) for c in dict.fromkeys(strangers)
    ]


def test_unknown_bytes_have_places_too() -> None:
    vocab = vocab_of("ab", "byte")

    assert vocab.unknown_places("a\xffb\x00\xff") == ({"\xff": 1, "\x00": 3}, 3)
    assert vocab.unknown_places("") == ({}, 0)


def test_error_can_be_built_from_places_of_several_slices() -> None:
    """The same one that encoding the whole text at once would raise."""
    vocab = vocab_of("hello")
    with pytest.raises(VocabError) as caught:
        vocab.encode("he?lo!?")

    places = {"?": 2, "!": 5}
    error = vocab.not_encodable(places)

    assert str(error) == str(caught.value)
    assert error.hint == caught.value.hint


def test_letters_with_marks_are_named_in_the_form_that_is_known() -> None:
    """An NFD text for an NFC vocabulary, and the other way round."""
    composed, apart = vocab_of("café à"), vocab_of("cafe\u0301")

    with pytest.raises(VocabError) as caught:
        composed.encode("cafe\u0301 a\u0300")
    assert "'e\u0301' U+0065 U+0301 at 4 (known in the form NFC: 'é' U+00E9)" in str(
        caught.value
    )
    assert "'à' U+00E0" in str(caught.value)
    assert str(caught.value.hint).startswith("write letters with their marks as one")
    with pytest.raises(
        VocabError, match="known in the form NFD: 'e' U\\+0065"
    ) as caught:
        apart.encode("café")
    assert str(caught.value.hint).startswith("write letters and marks apart")


@pytest.mark.parametrize("text", ["ế", "한국", "がぎ", "é"])
def test_all_parts_of_a_letter_are_named_together(text: str) -> None:
    """Vietnamese has two marks on a letter, Korean three letters in one."""
    apart = unicodedata.normalize("NFD", text)

    places, count = vocab_of(text).unknown_places(f"{apart}{apart}")

    assert list(places) == [unicodedata.normalize("NFD", c) for c in text]
    assert count == 2 * len(apart)
    assert next(iter(places.values())) == 0


def test_a_letter_is_named_where_it_stands_without_the_mark() -> None:
    places, _ = vocab_of("é").unknown_places("e\u0301e\u0302")

    assert places == {"e\u0301": 0, "e": 2, "\u0302": 3}


def test_a_mark_alone_is_offered_letters_with_it() -> None:
    assert vocab_of("aéíz").nearest("\u0301") == "éí"
    assert vocab_of("az").nearest("\u0301") == ""


def test_text_in_byte_mode_is_its_utf8() -> None:
    vocab = vocab_of("né".encode().decode("latin-1"), "byte")

    assert vocab.to_bytes(vocab.encode("éné")) == "éné".encode()
    assert vocab.decode(vocab.encode("éné")) == "éné"
    assert vocab.decode(vocab.encode_bytes(b"n\xc3")) == "n\ufffd"


def test_undecodable_bytes_of_the_command_line_come_back_in_byte_mode() -> None:
    vocab = Vocab(bytes(range(256)).decode("latin-1"), (1,) * 256, "byte")

    assert vocab.to_bytes(vocab.encode("a\udcff")) == b"a\xff"
    assert vocab.to_bytes(vocab.encode("\ud800")) == b"\xed\xa0\x80"


def test_error_names_unknown_characters_once_with_place_and_nearest() -> None:
    vocab = vocab_of("hello E")

    with pytest.raises(VocabError) as caught:
        vocab.encode("hé\té!é")

    assert str(caught.value) == (
        "not in the vocabulary: 'é' U+00E9 at 2 (nearest 'e' 'E'), "
        r"'\t' U+0009 at 3 (nearest ' '), '!' U+0021 at 5"
    )
    assert "unknown='skip'" in str(caught.value.hint)
    assert "unknown='replace' puts ' '" in str(caught.value.hint)


def test_error_names_ten_and_counts_the_rest() -> None:
    with pytest.raises(VocabError) as caught:
        vocab_of("x").encode("0123456789abc")

    message = str(caught.value)
    assert "'9' U+0039 at 10 and 3 more" in message
    assert "'a'" not in message


def test_error_in_byte_mode_names_bytes() -> None:
    with pytest.raises(VocabError, match=r"byte 0xC3 at 2, byte 0xA9 at 3$"):
        vocab_of("h", "byte").encode("hé")


@pytest.mark.parametrize("symbol", ["\ud800", "\n", "\x1b", "\u202e", "\0"])
def test_named_symbols_are_printable(symbol: str) -> None:
    assert name_symbol(symbol).isprintable()


@pytest.mark.parametrize(
    ("known", "symbol", "nearest"),
    [
        ("eE", "é", "eE"),
        ("Ee", "É", "Ee"),
        ("ab", "A", "a"),
        ("éè", "e", "èé"),
        ("'\"", "\u2019", "'"),
        ("'\"”", '"', '"”'),
        ("-a", "—", "-"),
        ("a b", "\u00a0", " "),
        ("f", "ﬁ", ""),
        ("xyz", "q", ""),
    ],
)
def test_nearest_known_symbols(known: str, symbol: str, nearest: str) -> None:
    assert vocab_of(known).nearest(symbol) == nearest


@pytest.mark.parametrize(
    ("text", "replacement"), [("a \ufffd", "\ufffd"), ("aaa ", " "), ("abbc", "b")]
)
def test_replacement(text: str, replacement: str) -> None:
    vocab = vocab_of(text)

    assert vocab.symbols[vocab.replacement_id] == replacement


def test_places_of_newline_and_other_symbols() -> None:
    vocab = vocab_of("b\na")

    assert len(vocab) == vocab.size == 3
    assert vocab.newline_id == 0
    assert vocab.id_of("b") == 2
    assert vocab_of("ab").newline_id is None


@pytest.mark.parametrize(
    ("symbols", "counts", "unit", "reason"),
    [
        ("", (), "char", "at least one symbol"),
        (b"a", (1,), "char", "at least one symbol"),
        ("ba", (1, 1), "char", "distinct and sorted"),
        ("aa", (1, 1), "char", "distinct and sorted"),
        ("a", (1, 1), "char", "as many counts"),
        ("a", (), "char", "as many counts"),
        ("a", [1], "char", "as many counts"),
        ("a", (-1,), "char", "natural number"),
        ("a", (1.0,), "char", "natural number"),
        ("a", (True,), "char", "natural number"),
        ("a", (2**63,), "char", "natural number"),
        ("a\ud800", (1, 1), "char", "surrogates"),
        ("a\udfff", (1, 1), "byte", "surrogates"),
        ("a\u0100", (1, 1), "byte", "above U.00FF"),
        ("a", (1,), "word", "unknown unit"),
        ("a", (1,), ["char"], "unknown unit"),
    ],
)
def test_forged_vocabularies_are_refused(
    symbols: Any, counts: Any, unit: Any, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Vocab(symbols, counts, unit)


@pytest.mark.parametrize("ids", [[-1], [2], [0, 5]])
def test_ids_that_stand_for_nothing_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        vocab_of("ab").decode(ids)


def test_decoding_takes_packed_ids_and_nothing() -> None:
    vocab = vocab_of("ab")

    assert vocab.decode(np.array([1, 0], np.uint8)) == "ba"
    assert vocab.decode([]) == ""
    assert vocab.encode("").tolist() == []


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="byte vocabulary"):
        vocab_of("a").encode_bytes(b"a")
    with pytest.raises(OptionError, match="unknown"):
        vocab_of("a").encode("a", "ignore")  # type: ignore[arg-type]


@given(any_texts)
def test_code_points_are_those_of_ord(text: str) -> None:
    assert code_points(text).tolist() == list(map(ord, text))
