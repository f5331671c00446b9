"""Lines of a terminal as a figure."""

from xml.etree import ElementTree as Xml

import pytest
from rich.text import Text

from charrnn.display.heat import style_of
from charrnn.display.svg import CELL, ROW, Figure
from charrnn.display.svg_lines import lines_figure
from charrnn.display.tables import line


def parsed(figure: Figure) -> Xml.Element:
    return Xml.fromstring(f"<g>{figure.body}</g>")  # noqa: S314 - our own


def texts(figure: Figure) -> list[tuple[str | None, str]]:
    return [
        (e.get("class"), "".join(e.itertext())) for e in parsed(figure).iter("text")
    ]


def test_styles_become_classes():
    row = line("a", "bold").append("b", "not bold dim").append("c", "cyan")

    assert texts(lines_figure([row], 10)) == [("b", "a"), ("b a", "c"), ("d", "b")]


def test_the_base_style_can_be_taken_back():
    row = line("ab", "dim").append_text(Text("c", style="not dim"))

    assert texts(lines_figure([row], 10)) == [(None, "c"), ("d", "ab")]


def test_heat_becomes_a_level():
    row = line("x").append("y", style_of(5))
    root = parsed(lines_figure([line(), row], 10))

    (rect,) = root.iter("rect")
    assert rect.get("class") == "h5"
    assert (rect.get("x"), rect.get("y")) == (str(CELL), str(ROW))
    assert (("h5", "y")) in texts(lines_figure([row], 10))


@pytest.mark.parametrize(("block", "height"), [("▁", "2"), ("▄", "8"), ("█", "16")])
def test_bars_become_shapes(block: str, height: str):
    figure = lines_figure([line("a ").append(block * 2, "cyan")], 10)
    (path,) = parsed(figure).iter("path")

    assert path.get("class") == "a"
    assert path.get("d", "").count(f"v-{height}h") == 2
    assert path.get("d", "").startswith(f"M{2 * CELL} ")
    assert texts(figure) == [(None, "a")]


def test_the_size_is_that_of_the_lines():
    figure = lines_figure([line("a"), line("b")], 30)

    assert figure[:2] == (30 * CELL, 2 * ROW)
