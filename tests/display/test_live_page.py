"""A page that runs its network, as people use it: in a real browser."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint import CheckpointFile
from charrnn.display.html_live import live_page
from charrnn.display.svg_style import DARK, LIGHT
from charrnn.inspection import LivePrecision
from charrnn.inspection.asked import ViewOptions
from charrnn.inspection.inspected import InspectedCheckpoint
from charrnn.inspection.living import bring_to_life
from charrnn.inspection.text import InspectedText
from charrnn.textmodel import TextModel
from tests.browser import Tab, browser
from tests.factories import PAIRS_TEXT, TEXT, write_checkpoint

#: Markup, what ends scripts and lines, letters from right to left, emoji.
HOSTILE = "a</script><b>&amp;\"'<!--\u2028\u2029 \u05d0\u05d1 \U0001f600 e\u0301\n"

#: A text with quotations, lines and words, which units can follow.
READ = 'the sea, "the old sea"\nold houses by the sea\n"see the houses"\n' * 12

#: The page that stands open beside another one.
BESIDE = "other.html"

#: Seconds that a page may take for anything, on a machine with much to do.
PATIENCE = 90


class Live:
    """An open page, and what people do with it."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    def find(self, part: str) -> Any:
        return self.tab.driver.find_element("css selector", f'[data-part="{part}"]')

    def read(self, part: str) -> str:
        return self.find(part).text

    def value(self, part: str) -> str:
        found: str = self.find(part).get_property("value")
        return found

    def put(self, part: str, value: str) -> None:
        """Choose a value as somebody who types it, or picks it out of a list."""
        script = """const [part, value] = arguments;
            const field = document.querySelector(`[data-part="${part}"]`);
            field.value = value;
            field.dispatchEvent(new Event("input", { bubbles: true }))"""
        self.tab.run(script, part, value)

    def press(self, part: str) -> None:
        self.tab.run(
            "document.querySelector(`[data-part='${arguments[0]}']`).click()", part
        )

    def until(self, done: Callable[[], Any]) -> Any:
        """Wait until something is so, and return what it is."""
        end = time.monotonic() + PATIENCE
        while not (found := done()):
            assert time.monotonic() < end, f"the page came to {self.read('status')}"
            time.sleep(0.02)
        return found

    def text_is_read(self) -> str:
        """Wait until all of the text is read, and tell what it costs."""

        def costs() -> str:
            said = self.read("status")
            return said if "bits per" in said and ";" not in said else ""

        found: str = self.until(costs)
        return found

    def write(self, characters: int) -> str:
        """Let it write at least so many characters, and return the whole text."""
        before = len(self.value("field"))
        self.press("write")
        self.until(lambda: self.shown() >= before + characters)
        self.press("write")
        self.until(lambda: self.read("write") == "Write")
        return self.value("field")

    def shown(self) -> int:
        """Count what stands in the colored text, which grows while it writes."""
        script = """return document.querySelector('[data-part="back"]').textContent"""
        return len(self.tab.run(script))

    def levels(self) -> set[str]:
        """Name the classes that color the characters."""
        script = """return [...new Set([...document.querySelectorAll(".editor .c")]
            .map(c => c.className.split(" ")[1]))]"""
        return set(self.tab.run(script))


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield Tab(driver)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model") / "m.npz", READ, hidden=8)


@pytest.fixture
def opened(tab: Tab, tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """Open pages; at the end nobody has complained and nothing was loaded."""
    tab.scheme("light")
    tab.width(1280)
    path = tmp_path / "page.html"

    def open_page(
        checkpoint: Path, text: str = "", precision: LivePrecision = "float32"
    ) -> Live:
        path.write_text(page_of(checkpoint, text, precision))
        tab.open(path)
        live = Live(tab)
        live.until(lambda: tab.run("return document.body.dataset.ready === 'yes'"))
        return live

    yield open_page
    assert tab.complaints() == []
    loaded = {url for url in tab.requests() if url[:5] not in ("data:", "blob:")}
    assert path.as_uri() in loaded
    assert loaded <= {path.as_uri(), (tmp_path / BESIDE).as_uri()}


def page_of(checkpoint: Path, text: str, precision: LivePrecision) -> str:
    options = ViewOptions(text=InspectedText(text) if text else None)
    with CheckpointFile(checkpoint) as file:
        inspected = InspectedCheckpoint(file, options)
        inspected.count()
        return live_page(bring_to_life(inspected, precision), checkpoint.name)


def model_in(checkpoint: Path) -> TextModel:
    with CheckpointFile(checkpoint) as file:
        return TextModel.read_from(file, threads=1, predicts=False)


@pytest.mark.parametrize(
    "shape",
    [{"cell": "lstm", "norm": "layer"}, {"cell": "gru", "lags": (1, 3)}],
    ids=["lstm", "gru with lags"],
)
def test_it_writes_what_sample_writes(opened, tmp_path, shape):
    checkpoint = write_checkpoint(tmp_path / "m.npz", READ, **shape)
    wanted = model_in(checkpoint).sample(
        "the sea", length=500, temperature=0.8, top_p=0.9, seed=5
    )

    live = opened(checkpoint, "the sea")
    for part, value in (("temperature", "0.8"), ("top-p", "0.9"), ("seed", "5")):
        live.put(part, value)
    written = live.write(500)

    assert written.startswith("the sea" + wanted)


def test_it_says_what_a_text_costs_while_it_is_typed(opened, model):
    live = opened(model)
    live.find("field").send_keys("the sea")

    nats = model_in(model).surprise("the sea")
    wanted = f"{nats.mean() / 0.6931471805599453:.3f} bits per character of 7"
    live.until(lambda: live.read("status") == wanted)
    assert live.levels() <= {f"h{n}" for n in range(8)}


def test_a_likely_character_can_be_taken(opened, model):
    live = opened(model, "the se")
    live.text_is_read()
    first = live.until(
        lambda: live.find("next").find_elements("css selector", "button")
    )[0]
    likeliest = first.text.split()[0]
    first.click()

    live.until(lambda: len(live.value("field")) == 7)
    assert live.value("field")[-1] == {"\u2423": " ", "\u21b5": "\n"}.get(
        likeliest, likeliest
    )


def test_a_long_text_can_be_pasted(opened, model):
    text = (READ * 30)[:20_000]
    live = opened(model)
    live.put("field", text)

    said = live.text_is_read()

    assert said.endswith("bits per character of 20,000")
    assert live.value("field") == text


def test_hostile_texts_are_texts(opened, tmp_path):
    checkpoint = write_checkpoint(tmp_path / "<b>&.npz", HOSTILE * 3)
    live = opened(checkpoint, HOSTILE)
    live.text_is_read()

    assert live.value("field") == HOSTILE
    assert live.tab.run("return document.querySelectorAll('b').length") == 0
    live.find("field").send_keys("Z<i>")
    live.until(lambda: "left out: Z" in live.read("unknown"))
    assert live.write(30)[: len(HOSTILE)] == HOSTILE


def test_letters_stand_in_the_order_of_reading_in_which_the_caret_goes(
    opened, tmp_path
):
    text = "\u05d0\u05d1\u05d2\u05d3 sea"
    live = opened(write_checkpoint(tmp_path / "m.npz", text), text)
    live.text_is_read()
    script = """const run = document.createRange(), lefts = [];
        for (const part of document.querySelectorAll(".editor .c")) {
          for (let n = 0; n < part.textContent.length; n += 1) {
            run.setStart(part.firstChild, n);
            run.setEnd(part.firstChild, n + 1);
            lefts.push(run.getBoundingClientRect().left);
          }
        }
        return lefts;"""

    lefts = live.until(lambda: live.tab.run(script))

    assert len(lefts) == len(text)
    assert lefts == sorted(lefts)


def test_units_that_follow_something_are_found_proved_and_held(opened, model):
    live = opened(model, READ)
    live.text_is_read()
    live.press("follow")
    rows = live.until(
        lambda: live.find("followers").find_elements("css selector", "tr")
    )
    show, hold, prove = rows[0].find_elements("css selector", "button")
    prove.click()
    result = rows[0].find_element("css selector", ".result")
    live.until(lambda: "the commoner answer" in result.text)
    show.click()
    live.until(lambda: live.levels() & {"p7", "n7"})
    free = live.write(60)
    live.put("field", READ)
    live.text_is_read()
    hold.click()
    held = live.write(60)

    assert held[: len(READ)] == free[: len(READ)]
    assert held[len(READ) :][:60] != free[len(READ) :][:60]


def test_found_units_go_when_the_text_that_chose_them_is_shortened(opened, model):
    live = opened(model, READ)
    live.press("follow")  # at once: the answer waits until everything is read
    live.until(lambda: f"{len(READ) // 2} char" in live.read("followed"))
    live.put("field", READ + "the sea")
    live.text_is_read()
    kept = live.find("followers").find_elements("css selector", "tr")
    live.put("field", READ[:-40])

    assert kept
    assert not live.find("followers").find_elements("css selector", "tr")
    assert live.read("followed") == "The text has changed: find units anew."


def test_an_empty_text_costs_nothing(opened, model):
    live = opened(model, "the sea")
    live.text_is_read()
    live.press("clear")

    live.until(lambda: live.read("place") == "the beginning of the text")
    assert live.read("status") == ""


def test_a_step_is_walked_by_keys(opened, model):
    from selenium.webdriver.common.keys import Keys

    live = opened(model, "the sea")
    live.text_is_read()
    live.until(lambda: live.read("reads").endswith("as it reads a"))
    live.find("table").send_keys(Keys.ARROW_LEFT)

    live.until(lambda: live.read("reads").endswith("as it reads e"))
    assert "h = o tanh(c)" in live.read("lines")


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_step_has_the_numbers_of_the_model(opened, tmp_path, cell):
    checkpoint = write_checkpoint(tmp_path / "m.npz", READ, cell=cell, norm="layer")
    live = opened(checkpoint, "the sea")
    live.text_is_read()
    live.put("layer", "1")
    live.put("unit", "3")
    live.until(lambda: live.read("reads") == "Layer 1, unit 3, as it reads a")
    rows = live.find("lines").find_elements("css selector", "tr")
    shown = {row.text.split(" = ")[0]: row.text.split()[-1] for row in rows}

    held = model_in(checkpoint).states("the sea")[-1, 1, 3]
    assert shown["h"].replace("\u2212", "-") == f"{held:.3f}"
    assert {"zx", "zh", "h", "y"} <= shown.keys()


def test_the_keyboard_alone_writes_and_stops(opened, model):
    from selenium.webdriver.common.keys import Keys

    live = opened(model, "the sea")
    live.text_is_read()
    live.find("field").send_keys(Keys.CONTROL, Keys.ENTER)
    live.until(lambda: live.shown() > 20)
    live.find("field").send_keys(Keys.ESCAPE)

    live.until(lambda: live.read("write") == "Write")
    assert live.value("field").startswith("the sea")


def test_what_a_character_hung_on_is_shown(opened, model):
    live = opened(model, "the old sea")
    live.text_is_read()
    live.put("by", "hung")

    live.until(lambda: "h7" in live.levels())


@pytest.mark.parametrize("kind", ["lines", "pairs"])
def test_models_of_documents_write_documents(opened, tmp_path, kind):
    checkpoint = write_checkpoint(tmp_path / "m.npz", PAIRS_TEXT, **{kind: True})
    live = opened(checkpoint)
    live.find("field").send_keys("sea")
    written = live.write(1)

    assert written.startswith("sea\t" if kind == "pairs" else "sea")


def test_of_bytes_characters_are_whole(opened, tmp_path):
    text = "caf\u00e9 \u6f22\u5b57 \U0001f600\n" * 3
    checkpoint = write_checkpoint(tmp_path / "m.npz", text, unit="byte")
    live = opened(checkpoint, text)

    assert "bits per byte of" in live.text_is_read()
    assert live.value("field") == text


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_it_runs_with_fewer_bits(opened, model, precision):
    live = opened(model, "the sea", precision)
    live.text_is_read()

    assert len(live.write(40)) >= 47


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_readable_in_both_schemes_and_at_any_width(opened, model, scheme, width):
    live = opened(model, READ)
    live.tab.scheme(scheme)
    live.tab.width(width)
    live.text_is_read()
    live.press("follow")
    live.until(lambda: live.find("followers").find_elements("css selector", "tr"))

    assert live.tab.run("return document.documentElement.scrollWidth") <= width
    color = live.tab.run("return getComputedStyle(document.body).backgroundColor")
    theme = LIGHT if scheme == "light" else DARK
    red, green, blue = (int(theme.background[n : n + 2], 16) for n in (1, 3, 5))
    assert color == f"rgb({red}, {green}, {blue})"


def test_two_pages_run_side_by_side(opened, model, tmp_path):
    live = opened(model, "the sea")
    driver, first = live.tab.driver, live.tab.driver.current_window_handle
    other = tmp_path / BESIDE
    other.write_text(page_of(write_checkpoint(tmp_path / "o.npz"), TEXT, "float32"))
    driver.switch_to.new_window("tab")
    try:
        driver.get(other.as_uri())
        live.text_is_read()
        assert live.write(20).startswith(TEXT)
    finally:
        driver.close()
        driver.switch_to.window(first)
    assert live.write(20).startswith("the sea")


def test_a_full_page_is_not_written_on(opened, model):
    text = (READ * 70)[:50_000]
    live = opened(model)
    live.put("field", text)
    live.text_is_read()
    live.press("write")

    live.until(lambda: "no room for more than 50,000" in live.read("status"))
    assert live.value("field") == text
