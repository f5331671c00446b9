"""Heat text in files: nothing is lost, with and without color."""

import math
from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st

from charrnn.display.svg import CELL, Figure
from charrnn.display.svg_heat import heat_figure, legend, shade
from charrnn.display.symbols import Look, visible
from charrnn.inspection.blocks import BITS, Heat, HeatLine, Scale

SIGNED = Scale(-1.0, 1.0)

TEXTS = st.text(
    st.sampled_from("ab c漢字\n\t\x1b\u0301\U0001f44d<&\ufffe") | st.characters(),
    max_size=60,
)


def parsed(figure: Figure) -> Xml.Element:
    return Xml.fromstring(f"<g>{figure.body}</g>")  # noqa: S314 - our own


def heat(text: str, label: str = "") -> Heat:
    return Heat([HeatLine(label, text, [float(n % 9) for n in range(len(text))])])


def test_bits_have_a_level_each():
    assert shade(0.5, BITS)[:2] == ("h0", 1 / 8)
    assert shade(3.25, BITS) == ("h3", 0.5, "3.2500 bits")
    assert shade(99, BITS)[:2] == shade(math.inf, BITS)[:2] == ("h7", 1.0)


def test_signs_have_sides():
    assert shade(1.0, SIGNED) == ("p7", 1.0, "1.0000")
    assert shade(-0.5, SIGNED) == ("n4", -0.5, "-0.5000")
    assert shade(0.01, SIGNED)[0] == shade(-0.01, SIGNED)[0] == "p0"
    assert shade(3.0, Scale(-4, 4))[:2] == ("p5", 0.75)
    assert shade(-9.0, SIGNED)[:2] == ("n7", -1.0)


def test_every_character_has_color_bar_and_number():
    root = parsed(heat_figure(heat("ab"), Look(10)))
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
    block = Heat([HeatLine("", "ab", [1, -1])], SIGNED)
    root = parsed(heat_figure(block, Look(10)))
    (path,) = root.iter("path")

    up, down = path.get("d", "").split("M")[1:]
    assert up.split("h")[0].split()[1] == down.split("h")[0].split()[1]
    assert "v-5h" in up
    assert "v5h" in down


@given(TEXTS)
def test_any_text_can_be_drawn_within_the_width(text: str):
    figure = heat_figure(heat(text), Look(20))
    root = parsed(figure)

    notes = [e[0].text or "" for e in root.iter("rect") if len(e)]
    assert [note.rsplit(" ", 2)[0] for note in notes] == [
        visible(symbol, Look()) for symbol in text
    ]
    for e in root.iter("rect"):
        assert float(e.get("x", "")) + float(e.get("width", "")) <= 20 * CELL
    assert figure == heat_figure(heat(text), Look(20))


def test_labels_stand_before_the_first_row_only():
    root = parsed(heat_figure(heat("abcdef", "12 "), Look(6)))

    rows = ["".join(e.itertext()) for e in root.iter("text") if e.get("class") == "d"]
    assert rows == ["12"]


def test_legends_name_the_ends():
    words = ["".join(e.itertext()) for e in parsed(legend(BITS)).iter("text")]
    assert words == ["bits", "0", "1", "2", "3", "4", "5", "6", "7+"]
    words = ["".join(e.itertext()) for e in parsed(legend(Scale(-2, 2))).iter("text")]
    assert words == ["-2", "-1", "0", "+1", "+2"]
    words = ["".join(e.itertext()) for e in parsed(legend(Scale(0, 1))).iter("text")]
    assert (words[:3], words[-1]) == (["0", "0.125", "0.25"], "0.875")


def test_a_scale_without_a_sign_gives_the_levels():
    gate = Scale(0.0, 1.0)
    assert shade(0.51, gate) == ("h4", 5 / 8, "0.5100")
    assert shade(1.0, gate)[:2] == ("h7", 1.0)
    assert shade(-0.25, Scale(-0.5, 0.5)) == ("n4", -0.5, "-0.2500")


def test_what_has_no_number_has_no_color_and_no_bar():
    block = Heat([HeatLine("", "ab", [None, 3.0], parted=(1,))])
    root = parsed(heat_figure(block, Look(10)))

    (rect,) = (e for e in root.iter("rect") if len(e))
    assert (rect.get("class"), rect.get("x")) == ("h3", str(2 * CELL))
    words = [(e.get("class"), "".join(e.itertext())) for e in root.iter("text")]
    assert sorted(words) == [("d", "a"), ("d", "│"), ("h3", "b")]
