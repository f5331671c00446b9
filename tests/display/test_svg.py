"""SVG as text: well-formed whatever is in it, on a grid, the same every time."""

import re
from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st

from charrnn.display.svg import (
    CELL,
    FOOT,
    Figure,
    Glyph,
    document,
    element,
    escape,
    glyphs_of,
    num,
    stacked,
    text_row,
    tiled,
    title,
)

SPACE = "{http://www.w3.org/2000/svg}"

ANY = st.text(st.characters() | st.sampled_from("<&>\"'\x00\x1b\ud800\ufffe\U0001f44d"))


def parsed(*parts: str) -> Xml.Element:
    """Read elements back as an XML parser understands them."""
    return Xml.fromstring(f"<g>{''.join(parts)}</g>")  # noqa: S314 - our own


@given(ANY)
def test_any_text_can_be_written(text: str):
    read = parsed(element("text", escape(text)), title(text), element("a", id=text))

    known = re.sub(
        "[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]", "", text
    )
    shown = read[0].text or ""
    if known == text:
        assert shown == text.replace("\r\n", "\n").replace("\r", "\n")
    else:
        assert "\\x" in shown or "\\u" in shown
    assert len(read) == 3


def test_what_xml_cannot_hold_becomes_an_escape():
    assert escape('a\x00\x1b<&>"') == "a\\x00\\x1b&lt;&amp;&gt;&quot;"


def test_coordinates_are_short():
    assert [num(v) for v in (1.0, 0.125, -0.001, 100, 2.50)] == [
        "1",
        "0.12",
        "0",
        "100",
        "2.5",
    ]


def test_letters_stand_in_their_cells_and_spaces_nowhere():
    row = parsed(*text_row(glyphs_of("a bc"), 20, 4))

    assert row[0].text == "abc"
    assert row[0].get("x") == f"4 {4 + 2 * CELL} {4 + 3 * CELL}"
    assert row[0].get("y") == str(20 + FOOT)


def test_wide_and_combined_characters_keep_the_columns():
    glyphs = glyphs_of("漢e\u0301\U0001f44db")

    assert [(g.text, g.cell) for g in glyphs] == [
        ("漢", 0),
        ("e\u0301", 2),
        ("\U0001f44d", 3),
        ("b", 5),
    ]
    row = parsed(*text_row(glyphs, 0))
    spans = [(s.text, s.get("x")) for s in row[1]]
    assert (row[0].text, row[0].get("x")) == ("b", str(5 * CELL))
    assert spans == [("漢", "0"), ("e\u0301", "16"), ("\U0001f44d", "24")]


def test_styles_are_elements_of_their_own():
    row = parsed(
        *text_row([Glyph("a", 0, "h2"), Glyph("b", 1), Glyph("c", 2, "h2")], 0)
    )

    assert [(e.get("class"), e.text) for e in row] == [(None, "b"), ("h2", "ac")]


def test_figures_are_stacked_and_tiled():
    one, two = Figure(100, 50, element("a")), Figure(80, 20, element("b"))

    whole = stacked([one, two], gap=10)
    assert (whole.width, whole.height) == (100, 80)
    assert parsed(whole.body)[1].get("transform") == "translate(0,60)"
    assert tiled([one, two, one], 210, gap=10)[:2] == (210, 110)
    assert tiled([one, two, one], 90, gap=10)[:2] == (100, 140)
    assert stacked([]) == Figure(0, 0, "")


def test_a_file_stands_alone():
    text = document([Figure(100, 50, element("path", d="M0 0"))], "a <b>")
    root = Xml.fromstring(text)  # noqa: S314 - our own

    assert root.tag == f"{SPACE}svg"
    assert (root.get("width"), root.get("height")) == ("132", "82")
    assert root[0].text == "a <b>"
    assert root[1].tag == f"{SPACE}style"
    assert root[2].get("class") == "bg"
    assert re.findall('https?://[^"]*', text) == ["http://www.w3.org/2000/svg"]
    assert text == document([Figure(100, 50, element("path", d="M0 0"))], "a <b>")
