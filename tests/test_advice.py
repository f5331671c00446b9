"""Advice on strange texts: for those who choose an encoding, and those who do not."""

import pytest

from charrnn.advice import HEAD, Advisor
from charrnn.errors import spell


def advisor(head: bytes, encoding: str = "utf-8", *, to_train: bool = True) -> Advisor:
    made = Advisor(encoding, to_train=to_train)
    made.see(head)
    return made


@pytest.mark.parametrize(
    ("to_train", "hint"),
    [
        (True, "it looks like Latin-1 (Western European): encoding='latin-1'"),
        (
            False,
            "it looks like Latin-1 (Western European): "
            "convert it from latin1 to utf-8 first, for instance with iconv",
        ),
    ],
)
def test_an_encoding_is_advised_to_whoever_can_choose_it(
    to_train: bool, hint: str
) -> None:
    text = b"a caf\xe9 or two"

    assert spell(advisor(text, to_train=to_train).on_wrong(text, 5)) == hint
    unknown = spell(advisor(bytes(99), to_train=to_train).on_unknown())
    assert ("unit='byte'" in unknown) == to_train


def test_no_more_is_looked_at_than_the_beginning() -> None:
    made = Advisor("utf-8", to_train=True)

    assert made.see(b"a" * (HEAD - 1))
    assert not made.has_seen_enough
    assert made.see(b"bc")
    assert made.has_seen_enough
    assert made.head == b"a" * (HEAD - 1) + b"b"
    assert not made.see(b"d")


def test_what_was_named_is_not_doubted() -> None:
    """UTF-16 has zeros, and may begin like a compressed file."""
    data = "the old gate".encode("utf-16-le")

    assert advisor(data).refuse() is not None
    assert advisor(data, "utf-16-le").refuse() is None
    assert advisor(b"\x1f\x8b\x08\0", "utf-16-le").refuse() is None
    assert advisor(b"the old gate").refuse() is None


def test_a_line_begins_with_a_whole_character() -> None:
    """Of a code page whose pairs are cut, or are UTF-8 by chance, behind it."""
    line = "人人生而自由,在尊严和权利上".encode("gbk")
    read = line[1:] + b"\n" + line

    hint = advisor(b"").on_wrong(read, len(read) - 3)

    assert spell(hint) == "it looks like GBK (Chinese): encoding='gbk'"
