"""Every view as a drawing: well-formed, within the width, loading nothing."""

import re
from xml.etree import ElementTree as Xml

import pytest

from charrnn.display.svg import CELL, document
from charrnn.display.svg_figures import COLUMNS, figures, heading
from charrnn.display.symbols import Look
from tests.display.support import CASE_VIEWS, blocks

SPACE = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("case", "name"), CASE_VIEWS)
def test_every_view_is_a_drawing(views, case: str, name: str):
    for width in (60, COLUMNS):
        drawn = list(figures(blocks(name, views[case, name]), Look(width)))
        text = document(drawn, name)
        root = Xml.fromstring(text)  # noqa: S314 - our own

        assert drawn
        assert max(figure.width for figure in drawn) <= width * CELL
        words = ["".join(e.itertext()) for e in root.iter() if e.tag != f"{SPACE}style"]
        assert all(word.isprintable() for word in words)
        assert re.findall('https?://[^"]*', text) == ["http://www.w3.org/2000/svg"]
        assert not re.search("url\\(|<image|<script|href|@import", text)
        assert text == document(
            list(figures(blocks(name, views[case, name]), Look(width))), name
        )


def test_a_heading_has_the_names_and_fits():
    figure = heading("history", "\x1b" + "m" * 200 + ".npz", Look(40))

    assert figure.width == 40 * CELL
    words = re.sub("<[^>]*>", "", figure.body)
    assert words.startswith("history␛mmm"[:7])
    assert len(words) < 40


def test_numbers_of_surprise_are_in_the_drawing(views):
    view = views["plain", "surprise"]
    text = document(list(figures(blocks("surprise", view), Look())), "surprise")

    notes = re.findall("<title>(?:[^<]*) ([0-9.]+) bits</title>", text)
    assert notes == [f"{bits:.4f}" for bits in view.char_bits]
