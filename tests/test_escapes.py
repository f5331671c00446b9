"""What may steer a terminal or break a line is spelled out, and nothing else."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.escapes import (
    code_escape,
    one_line,
    several_lines,
    table_cell,
)

ANYTHING = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [("\x1b", "\\x1b"), ("\u202e", "\\u202e"), ("\U000e0001", "\\U000e0001")],
)
def test_a_character_is_written_by_its_number(symbol: str, shown: str):
    assert code_escape(symbol) == shown


@given(ANYTHING)
def test_a_message_stays_on_one_line_and_is_escaped_as_python_does(text: str):
    expected = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )

    assert one_line(text) == expected
    assert one_line(text).isprintable()


def test_only_what_cannot_be_shown_is_escaped():
    assert one_line("é.txt\\ \u202e") == "é.txt\\ \\u202e"


@given(ANYTHING)
def test_line_breaks_are_kept_where_several_lines_are_shown(text: str):
    shown = several_lines(text)

    assert shown.count("\n") == text.count("\n")
    assert shown.count("\t") == text.count("\t")


@given(ANYTHING)
def test_nothing_that_steers_is_sent_to_a_terminal(text: str):
    sent = several_lines(text)
    odd = {c for c in sent if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs")}

    assert odd <= set("\n\t\u200c\u200d\u200e\u200f\u061c")


def test_overrides_of_the_direction_are_written_in_full():
    assert several_lines("é☃\n\x9b\u202e\u2066") == "é☃\n\\x9b\\u202e\\u2066"


@pytest.mark.parametrize(
    "text",
    ["a\tb", "\u3000\u3000世界", "ah\xa0!", "می\u200cروم", "👨\u200d👩", "\u202f;"],
)
def test_tabs_spaces_and_joiners_reach_a_terminal(text: str):
    assert several_lines(text) == text


@given(st.text(max_size=20))
def test_a_cell_is_printable_and_reads_back(text: str):
    cell = table_cell(text)

    assert cell.isprintable()
    encoded = cell.encode("ascii", "backslashreplace").decode()
    assert encoded.encode("latin-1").decode("unicode_escape") == text


@pytest.mark.parametrize(
    ("symbol", "cell"),
    [("\n", "\\n"), ("\x1b", "\\x1b"), ("\u202e", "\\u202e"), ("\\", "\\\\")],
)
def test_control_characters_of_a_cell_are_escaped(symbol: str, cell: str):
    assert table_cell(symbol) == cell


def test_bytes_above_ascii_are_not_taken_for_latin_1():
    assert table_cell("\xe9a", "byte") == "\\xe9a"
    assert table_cell("\xe9a", "char") == "\xe9a"


def test_a_terminal_is_sent_newlines_tabs_and_text_and_no_other_controls():
    shown = several_lines("a\n\t\x1b\x9b\x7f\udcffé")

    assert shown == "a\n\t\\x1b\\x9b\\x7f\\xffé"
