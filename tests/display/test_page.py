"""A page as people use it: in a real browser, by pointer and by keys."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.cells import cell_of
from charrnn.checkpoint import CheckpointFile
from charrnn.display.html_page import page
from charrnn.display.svg import document
from charrnn.display.svg_figures import figures
from charrnn.display.svg_style import DARK, LIGHT, backgrounds
from charrnn.display.symbols import Look
from charrnn.inspection.asked import ViewOptions
from charrnn.inspection.inspected import InspectedCheckpoint
from charrnn.inspection.neurons import Neurons, Wanted, measure_neurons, unit_values
from charrnn.inspection.records import as_json
from charrnn.inspection.registry import view_named
from charrnn.inspection.text import InspectedText
from tests.browser import Tab, browser
from tests.display.support import blocks, chapter_of, every_view
from tests.factories import PAIRS_TEXT, write_checkpoint

#: Long lines and short ones, wide, combining and control characters, markup.
READ = (
    "the sea, the sea! and old houses by the sea, the sea, the sea, the houses\n"
    "e\u0301 漢字 \U0001f44d\t\x1b[31m <b>&amp; אב\n\nold houses\n"
) * 3


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield Tab(driver)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Iterator[InspectedCheckpoint]:
    path = write_checkpoint(tmp_path_factory.mktemp("model") / "m.npz", READ)
    with CheckpointFile(path) as file:
        checkpoint = InspectedCheckpoint(file, ViewOptions(text=InspectedText(READ)))
        checkpoint.count()
        yield checkpoint


def read_neurons(checkpoint: InspectedCheckpoint, **wanted: Any) -> Neurons:
    ids = checkpoint.head(None)
    return measure_neurons(checkpoint.model, ids, Wanted(**wanted))


@pytest.fixture(scope="module")
def views(checkpoint) -> dict[str, Any]:
    names = ("summary", "history", "weights", "vocab", "surprise", "next")
    found = {name: view_named(name).compute(checkpoint) for name in names}
    return found | {"neurons": read_neurons(checkpoint)}


@pytest.fixture(scope="module")
def file(checkpoint, views, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "m.html"
    path.write_text(page([chapter_of(checkpoint, views)]))
    return path


@pytest.fixture
def opened(tab: Tab, file: Path) -> Iterator["Page"]:
    """Open the page; at the end nobody has complained and nothing was loaded."""
    tab.scheme("light")
    tab.width(1400)
    tab.open(file)
    yield Page(tab)
    assert tab.complaints() == []
    assert [url for url in tab.requests() if url != "data:,"] == [file.as_uri()]


class Page:
    """What people do with a page and see of it."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    def find(self, part: str) -> Any:
        return self.tab.driver.find_element("css selector", f'[data-part="{part}"]')

    def read(self, part: str) -> str:
        return self.find(part).text

    def keys(self, part: str, *keys: str) -> None:
        self.find(part).send_keys(*keys)

    def position(self) -> int:
        """Tell which character is looked at, from 0."""
        found = re.search("character ([0-9]+)", self.read("place"))
        assert found
        return int(found[1]) - 1

    def levels(self) -> list[str]:
        """List the classes that color the characters."""
        script = (
            'return [...document.querySelectorAll(".text .c")].map(c => c.className)'
        )
        return [name.split()[1] for name in self.tab.run(script)]

    def choose(self, part: str, value: str) -> None:
        from selenium.webdriver.support.ui import Select

        Select(self.find(part)).select_by_value(value)

    def color(self, selector: str, name: str = "backgroundColor") -> str:
        script = """const element = document.querySelector(arguments[0]);
            return getComputedStyle(element)[arguments[1]]"""
        red, green, blue = map(
            int, re.findall("[0-9]+", self.tab.run(script, selector, name))[:3]
        )
        return f"#{red:02x}{green:02x}{blue:02x}"


def test_every_character_is_there_and_has_its_bits(opened, views):
    from selenium.webdriver.common.keys import Keys

    bits = json.loads(json.dumps(as_json(views["surprise"])))["char_bits"]
    assert opened.levels() == [f"h{min(7, int(b))}" for b in bits]
    assert len(bits) == len(READ)
    opened.find("text").click()
    opened.keys("text", Keys.CONTROL, Keys.HOME, Keys.NULL)
    for n in range(8):
        assert opened.position() == n
        assert opened.read("bits") == f"{bits[n]:.4f}"
        opened.keys("text", Keys.ARROW_RIGHT)


def test_the_slider_shows_what_the_json_says(opened, checkpoint):
    """Move it by keys, one unit at a time, and read every character's value."""
    from selenium.webdriver.common.keys import Keys

    opened.keys("slider", Keys.HOME)
    opened.choose("layer", "0")
    for unit in range(1, 4):
        opened.keys("slider", Keys.ARROW_RIGHT)
        assert opened.find("unit").get_attribute("value") == str(unit)
        assert opened.find("by").get_attribute("value") == "unit"
        data = as_json(read_neurons(checkpoint, units=(unit,), layer=0))
        values = json.loads(json.dumps(data))["neurons"][0]["values"]
        opened.find("text").click()
        opened.keys("text", Keys.CONTROL, Keys.HOME, Keys.NULL)
        for n in range(5):
            assert opened.read("value-name") == f"h of unit {unit}"
            assert float(opened.read("value")) == round(values[n], 2)
            opened.keys("text", Keys.ARROW_RIGHT)
        rounded = np.array([round(value, 2) for value in values])
        most = np.abs(rounded).max() or 1.0
        shown = [
            f"{'n' if level < 0 else 'p'}{abs(int(level))}"
            for level in np.floor(rounded / most * 7 + 0.5)
        ]
        assert opened.levels() == shown


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("signal", cell_of("lstm").signals)
def test_layers_and_signals_can_be_chosen(opened, checkpoint, layer, signal):
    opened.choose("layer", str(layer))
    opened.choose("signal", signal)
    opened.find("unit").clear()
    opened.keys("unit", "4")

    ((value, *_),) = unit_values(
        checkpoint.model, checkpoint.head(None), signal, [(layer, 4)]
    )
    assert opened.read("value-name") == f"{signal} of unit 4"
    assert float(opened.read("value")) == round(float(value), 2)


def test_numbers_that_name_no_unit_change_nothing(opened):
    opened.find("unit").clear()
    opened.keys("unit", "3")
    for wrong in ("9", "-1", "x"):
        opened.keys("unit", wrong)
        assert opened.read("value-name") == "h of unit 3"


def test_buttons_show_the_units_that_stand_out(opened, views):
    buttons = opened.tab.driver.find_elements("css selector", "[data-best]")
    best = views["neurons"].best

    assert [b.text.split()[0].rstrip(":") for b in buttons] == [b.feature for b in best]
    for button, one in zip(buttons, best, strict=True):
        button.click()
        assert opened.read("value-name") == f"h of unit {one.unit}"
        assert opened.find("layer").get_attribute("value") == str(one.layer)


def test_guesses_are_those_of_the_json(opened, views):
    from selenium.webdriver import ActionChains

    data = json.loads(json.dumps(as_json(views["next"])))
    cells = opened.tab.driver.find_elements("css selector", ".text .c")
    for n in (0, 5, 20):
        ActionChains(opened.tab.driver).move_to_element(cells[n]).perform()
        assert opened.position() == n
        rows = opened.find("guesses").find_elements("css selector", "tr")
        wanted = data["positions"][n]["top"]
        shown = [row.text.replace("←", "").split() for row in rows]
        for (char, share, _), choice in zip(shown, wanted, strict=True):
            assert len(char) >= 1
            assert float(share.lstrip("<")) == pytest.approx(
                100 * choice["probability"], abs=0.0051
            )
        rank, probability = opened.read("rank").split(" ", 1)
        assert int(rank) == data["positions"][n]["rank"]
        assert probability == f"({100 * data['positions'][n]['probability']:.2f} %)"


def test_the_text_is_walked_by_keys(opened):
    from selenium.webdriver.common.keys import Keys

    text = opened.find("text")
    opened.tab.run("arguments[0].focus()", text)
    seen = []
    for keys in ([Keys.END], [Keys.ARROW_RIGHT], [Keys.ARROW_UP], [Keys.HOME],
                 [Keys.ARROW_LEFT], [Keys.CONTROL, Keys.END, Keys.NULL],
                 [Keys.ARROW_RIGHT], [Keys.ARROW_DOWN]):  # fmt: skip
        text.send_keys(*keys)
        seen.append(opened.position())
    end = READ.index("\n")
    assert seen == [end, end + 1, 0, 0, 0, *[len(READ) - 1] * 3]
    chosen = opened.tab.driver.find_elements("css selector", "[aria-selected=true]")
    assert [c.get_attribute("id") for c in chosen] == [
        text.get_attribute("aria-activedescendant")
    ]


def test_tab_reaches_every_control_and_each_has_a_name(opened):
    from selenium.webdriver.common.keys import Keys

    opened.tab.run("document.querySelector('nav a:last-child').focus()")
    parts: list[str | None] = []
    while "text" not in parts and len(parts) < 30:
        focused = opened.tab.driver.switch_to.active_element
        focused.send_keys(Keys.TAB)
        focused = opened.tab.driver.switch_to.active_element
        assert focused.accessible_name
        parts.append(focused.get_attribute("data-part"))
    assert [p for p in parts if p] == [
        "by",
        "layer",
        "signal",
        "slider",
        "unit",
        "text",
    ]
    assert opened.find("text").aria_role == "listbox"
    assert opened.find("slider").aria_role == "slider"


def test_odd_characters_are_seen_and_break_nothing(opened):
    script = 'return [...document.querySelectorAll(".text .c")].map(c => c.textContent)'
    shown = opened.tab.run(script)

    assert shown[READ.index("\x1b")] == "␛"
    assert shown[READ.index("\t")] == "⇥"
    assert shown[READ.index("\n")] == "↵"
    assert shown[READ.index("<")] == "<"
    assert shown[READ.index("\u0301")] == "◌\u0301"
    # Letters that are written from right to left stand in the order of the text.
    script = """const cells = [...document.querySelectorAll(".text .c")];
        return cells.map(c => [c.offsetTop, c.offsetLeft])"""
    places = opened.tab.run(script)
    start = READ.index("e\u0301")
    row = places[start : READ.index("\n", start)]
    assert row == sorted(row)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_it_is_readable_in_both_schemes_and_at_any_width(opened, scheme, width):
    theme = LIGHT if scheme == "light" else DARK
    opened.tab.scheme(scheme)
    opened.tab.width(width)

    assert opened.color("body") == theme.background
    assert opened.color("body", "color") == theme.ink
    assert opened.color("svg .s0", "stroke") == theme.series[0]
    assert opened.color(".text .h7", "color") in ("#000000", "#ffffff")
    assert opened.tab.run("return document.documentElement.scrollWidth") <= width
    script = """return [...document.querySelectorAll("svg")].filter(s => s.clientWidth)
        .map(s => s.clientWidth / s.viewBox.baseVal.width)"""
    scales = opened.tab.run(script)
    assert scales
    assert min(scales) >= 0.95  # what is written in charts keeps its size


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_drawing_has_both_schemes(tab, checkpoint, tmp_path, scheme):
    path = tmp_path / "s.svg"
    surprise = view_named("surprise").compute(checkpoint)
    drawn = list(figures(blocks("surprise", surprise), Look(96)))
    path.write_text(document(drawn, "surprise"))
    tab.scheme(scheme)
    tab.open(path)

    theme = LIGHT if scheme == "light" else DARK
    page = Page(tab)
    assert page.color(".bg", "fill") == theme.background
    assert page.color("rect.h7", "fill") == backgrounds(theme)["h7"]
    assert page.color("text.d", "fill") == theme.faint
    assert tab.complaints() == []
    assert tab.requests() == [path.as_uri()]


def test_of_pairs_inputs_are_only_read_and_end_visibly(tab, tmp_path):
    from selenium.webdriver.common.keys import Keys

    model, path = tmp_path / "p.npz", tmp_path / "p.html"
    write_checkpoint(model, PAIRS_TEXT, pairs=True)
    with CheckpointFile(model) as file:
        options = ViewOptions(text=InspectedText(PAIRS_TEXT))
        checkpoint = InspectedCheckpoint(file, options)
        found = every_view(checkpoint)
        path.write_text(page([chapter_of(checkpoint, found)]))
    tab.scheme("light")
    tab.width(1400)
    tab.open(path)
    opened = Page(tab)

    bits = found["surprise"].char_bits
    wanted = ["read" if cost is None else f"h{min(7, int(cost))}" for cost in bits]
    assert opened.levels() == wanted
    ends = """return [...document.querySelectorAll(".text .c")]
        .map((c, n) => c.classList.contains("ends") ? n + 1 : 0).filter(n => n)"""
    assert tuple(tab.run(ends)) == found["surprise"].input_ends
    opened.find("text").click()
    opened.keys("text", Keys.CONTROL, Keys.HOME, Keys.NULL)
    assert opened.read("bits") == opened.read("rank") == "only read"
    assert opened.find("guesses").find_elements("css selector", "tr") == []
    for _ in range(8):  # the sea, and the separator
        opened.keys("text", Keys.ARROW_RIGHT)
    assert opened.read("bits") == f"{bits[8]:.4f}"
    assert len(opened.find("guesses").find_elements("css selector", "tr")) == 5
    opened.choose("by", "unit")
    assert "read" not in opened.levels()
    assert tuple(tab.run(ends)) == found["surprise"].input_ends
    assert tab.complaints() == []
