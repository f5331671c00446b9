"""Heat text in files: nothing is lost, with and without color."""

import math
from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st

from charrnn.display.heat import Scale, signed_scale, style_of
from charrnn.display.svg import CELL, Figure
from charrnn.display.svg_heat import (
    ShadedLine,
    heat_figure,
    heat_legend,
    heat_shade,
    scale_shade,
    signed_legend,
    signed_shade,
    unit_legend,
)
from charrnn.display.symbols import Look, visible

TEXTS = st.text(
    st.sampled_from("ab c漢字\n\t\x1b\u0301\U0001f44d<&\ufffe") | st.characters(),
    max_size=60,
)


def parsed(figure: Figure) -> Xml.Element:
    return Xml.fromstring(f"<g>{figure.body}</g>")  # noqa: S314 - our own


def shaded(text: str) -> ShadedLine:
    glyphs = [visible(symbol, Look()) for symbol in text]
    return ShadedLine("", glyphs, [heat_shade(n % 9) for n in range(len(text))])


def test_bits_have_a_level_each():
    assert heat_shade(0.5)[:2] == ("h0", 1 / 8)
    assert heat_shade(3.25) == ("h3", 0.5, "3.2500 bits")
    assert heat_shade(99)[:2] == heat_shade(math.inf)[:2] == ("h7", 1.0)


def test_signs_have_sides():
    assert signed_shade(1.0) == ("p7", 1.0, "1.0000")
    assert signed_shade(-0.5) == ("n4", -0.5, "-0.5000")
    assert signed_shade(0.01)[0] == signed_shade(-0.01)[0] == "p0"
    assert signed_shade(3.0, most=4)[:2] == ("p5", 0.75)
    assert signed_shade(-9.0)[:2] == ("n7", -1.0)


def test_every_character_has_color_bar_and_number():
    root = parsed(heat_figure([shaded("ab")], 10))
    rects = [e for e in root.iter("rect") if len(e)]

    assert [r.get("class") for r in rects] == ["h0", "h1"]
    assert [r[0].text for r in rects] == ["a 0.0000 bits", "b 1.0000 bits"]
    assert [float(r.get("x", "")) for r in rects] == [0, CELL]
    (path,) = root.iter("path")
    assert [
        part.split("v")[1].split("h")[0] for part in path.get("d", "").split("M")[1:]
    ] == [
        "-1.25",
        "-2.5",
    ]


def test_bars_of_numbers_with_a_sign_rise_or_hang():
    glyphs, shades = ["a", "b"], [signed_shade(1), signed_shade(-1)]
    root = parsed(heat_figure([ShadedLine("", glyphs, shades)], 10, signed=True))
    (path,) = root.iter("path")

    up, down = path.get("d", "").split("M")[1:]
    assert up.split("h")[0].split()[1] == down.split("h")[0].split()[1]
    assert "v-5h" in up
    assert "v5h" in down


@given(TEXTS)
def test_any_text_can_be_drawn_within_the_width(text: str):
    figure = heat_figure([shaded(text)], 20)
    root = parsed(figure)

    notes = [e[0].text or "" for e in root.iter("rect") if len(e)]
    assert [note.rsplit(" ", 2)[0] for note in notes] == [
        visible(symbol, Look()) for symbol in text
    ]
    for e in root.iter("rect"):
        assert float(e.get("x", "")) + float(e.get("width", "")) <= 20 * CELL
    assert figure == heat_figure([shaded(text)], 20)


def test_labels_stand_before_the_first_row_only():
    line = shaded("abcdef")._replace(label="12 ")
    root = parsed(heat_figure([line], 6))

    rows = ["".join(e.itertext()) for e in root.iter("text") if e.get("class") == "d"]
    assert rows == ["12"]


def test_legends_name_the_ends():
    words = ["".join(e.itertext()) for e in parsed(heat_legend()).iter("text")]
    assert words == ["bits", "0", "1", "2", "3", "4", "5", "6", "7+"]
    words = ["".join(e.itertext()) for e in parsed(signed_legend(2.0)).iter("text")]
    assert words == ["-2", "-1", "0", "+1", "+2"]
    words = ["".join(e.itertext()) for e in parsed(unit_legend()).iter("text")]
    assert (words[:3], words[-1]) == (["0", "0.125", "0.25"], "0.875")


def test_a_terminals_scale_gives_the_levels():
    gate = Scale(0.0, 1.0, style_of)
    assert scale_shade(0.51, gate) == ("h4", 5 / 8, "0.5100")
    assert scale_shade(1.0, gate)[:2] == ("h7", 1.0)
    assert scale_shade(-0.25, signed_scale(0.5)) == ("n4", -0.5, "-0.2500")
