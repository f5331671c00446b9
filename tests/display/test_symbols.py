import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from charrnn.display.symbols import Look, fit, named, shown_text, visible

UNICODE, ASCII, BYTES = Look(), Look(ascii=True), Look(unit="byte")


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [
        ("a", "a"),
        (" ", " "),
        ("\n", "␊"),
        ("\x1b", "␛"),
        ("\x7f", "␡"),
        ("\x9b", "\\x9b"),
        ("漢", "漢"),
        ("\u0301", "\u25cc\u0301"),
        ("\u200d", "\\u200d"),
        ("\ufe0f", "\\ufe0f"),
        ("\U0001f3fd", "\\U0001f3fd"),
        ("\U0001f1e9", "\\U0001f1e9"),
        ("[", "["),
    ],
)
def test_a_symbol_is_shown_as_itself_or_by_a_stand_in(symbol: str, shown: str):
    assert visible(symbol, UNICODE) == shown


@given(st.characters(exclude_categories=["Cs"]), st.booleans())
def test_whatever_is_shown_is_printable_and_takes_room(symbol: str, plain: bool):
    shown = visible(symbol, Look(ascii=plain))

    assert shown.isprintable()
    assert cell_len(shown) > 0
    assert shown.isascii() or not plain


@given(st.characters(exclude_categories=["Cs"]), st.characters(categories=["M", "So"]))
def test_neighbors_do_not_change_each_others_width(a: str, b: str):
    shown = [visible(symbol, UNICODE) for symbol in (a, b, a)]

    assert cell_len("".join(shown)) == sum(map(cell_len, shown))


@given(st.characters(max_codepoint=0xFF))
def test_bytes_above_ascii_are_numbers(symbol: str):
    shown = visible(symbol, BYTES)

    assert shown.isascii() or unicodedata.category(symbol) == "Cc"
    if ord(symbol) >= 0x80:
        assert shown == f"\\x{ord(symbol):02x}"


def test_a_space_that_stands_alone_can_be_seen():
    assert named(" ", UNICODE) == "␣"
    assert named(" ", ASCII) == "' '"
    assert shown_text("a b\n", ASCII) == "a b\\n"


@given(st.text(st.sampled_from("ab漢字\u25cc"), max_size=20), st.integers(0, 12))
def test_a_fitted_text_has_the_width(text: str, width: int):
    fitted = fit(text, width)

    assert cell_len(fitted) == width
    assert text.startswith(fitted.rstrip())
