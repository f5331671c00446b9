"""Texts in every encoding are recognized as what they are, or as nothing."""

import numpy as np
import pytest

from charrnn.recognition import (
    is_binary,
    is_cesu8,
    is_mostly_utf8,
    is_utf8,
    marked,
    recognize_encoding,
    recognize_wide,
)

#: The first article of human rights, or something like it.
TEXTS = {
    "French": "Le vieux café était fermé; «là-bas», dit-il, où l'été s'achève. Noël! ",
    "German": "Über den Dächern hängt größere Kälte; die Straße lag öde da. Öfen. ",
    "Polish": "Zażółć gęślą jaźń. Ludzie rodzą się wolni i równi w swych prawach.",
    "Russian": "Все люди рождаются свободными и равными в своём достоинстве. ",  # noqa: RUF001
    "Greek": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια. ",  # noqa: RUF001
    "Hebrew": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. ",
    "Arabic": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. ",
    "Thai": "มนุษย์ทั้งหลาย เกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ",
    "Chinese": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心。\n",
    "Traditional": "人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心。\n",
    "Japanese": "すべての人間は、生まれながらにして自由であり、かつ、平等である。\n",
    "Korean": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.\n",
}

WRITTEN = [
    ("French", "latin-1"),
    ("German", "latin-1"),
    ("Polish", "cp1250"),
    ("Russian", "cp1251"),
    ("Russian", "koi8-r"),
    ("Russian", "cp866"),
    ("Greek", "cp1253"),
    ("Hebrew", "cp1255"),
    ("Arabic", "cp1256"),
    ("Thai", "cp874"),
    ("Chinese", "gbk"),
    ("Traditional", "big5"),
    ("Japanese", "shift_jis"),
    ("Japanese", "euc_jp"),
    ("Korean", "euc_kr"),
    *[(name, f"utf-16-{order}") for name in TEXTS for order in ("le", "be")],
    *[(name, f"utf-32-{order}") for name in TEXTS for order in ("le", "be")],
]


def recognized(data: bytes) -> str | None:
    found = recognize_encoding(data, data[:4096])
    return None if found is None else found.encoding


@pytest.mark.parametrize("times", [1, 30])
@pytest.mark.parametrize(("language", "encoding"), WRITTEN)
def test_an_encoding_is_recognized(language: str, encoding: str, times: int) -> None:
    """Of one sentence as of many, also where the last character is cut in two."""
    data = (TEXTS[language] * times).encode(encoding)

    assert recognized(data) == encoding
    assert recognized(data[:-1]) == encoding


def test_windows_differs_from_latin_1_by_its_quotes() -> None:
    assert recognized("said “the gate” again".encode("cp1252")) == "cp1252"
    assert recognized("caf\xe9".encode("latin-1")) == "latin-1"


def test_few_words_of_cyrillic_are_not_hebrew() -> None:
    assert recognized("Привет, мир".encode("cp1251")) == "cp1251"


def test_rare_characters_of_gbk_are_recognized_where_there_are_many() -> None:
    draw = np.random.default_rng(7)
    text = "".join(chr(0x4E00 + int(draw.integers(600))) for _ in range(900))

    assert recognized(text.encode("gbk")) == "gbk"


def test_noise_is_nothing() -> None:
    noise = np.random.default_rng(3).bytes(20_000)

    assert recognized(noise) is None
    assert is_binary(noise)
    assert not is_binary(b"a\tb\r\n\x1b[0m" * 50)


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("language", ["German", "Russian", "Hebrew", "Arabic", "Greek"])
def test_zeros_make_sure_of_wide_characters(
    language: str, bits: int, order: str
) -> None:
    found = recognize_wide((TEXTS[language] * 3).encode(f"utf-{bits}-{order}"))

    assert found is not None
    assert found.encoding == f"utf-{bits}-{order}"


@pytest.mark.parametrize(
    "data",
    [
        b"the old gate\0. kept a cold\0. lamp" * 40,  # zeros at even and odd places
        b"abcdefg\0" * 99,  # records, whose zeros are all at odd places
        b"abc\0" * 99,
        b"\0" * 999,
        b"a\0b\0 \0",  # too short to be sure
        b"a\0b\0" * 99,  # without a space
        bytes(range(256)) * 8,
    ],
)
def test_a_text_with_zeros_may_be_one(data: bytes) -> None:
    assert recognize_wide(data) is None


def test_marks_are_known() -> None:
    for encoding in ("utf-16", "utf-32"):
        assert marked("ab".encode(encoding)) == encoding
    assert marked(b"\xef\xbb\xbfab") is None


def test_surrogates_in_utf8_are_cesu8() -> None:
    assert is_cesu8(b"a\xed\xa0\xbd\xed\xb8\x80")
    assert not is_cesu8("a\ud83d".encode("utf-8", "surrogatepass"))
    assert not is_cesu8("😀".encode())


def test_utf8_with_a_wrong_byte_is_still_utf8() -> None:
    assert is_mostly_utf8("é☃é☃".encode(), b"a\xffb")
    assert is_mostly_utf8(b"", b"\xff" + "é☃é☃".encode())
    assert not is_mostly_utf8("é".encode(), b"a\xffb")
    assert not is_mostly_utf8("é☃é☃".encode(), "é".encode())


def test_utf8_is_known_from_ascii_and_from_others() -> None:
    assert is_utf8("a☃".encode())
    assert is_utf8("é☃".encode()[:-1])
    assert not is_utf8(b"a")
    assert not is_utf8(b"\xff")
