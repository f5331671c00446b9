"""Pages as text: one file that loads nothing and keeps text apart from markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint import CheckpointFile
from charrnn.display.html_blocks import table
from charrnn.display.html_explorer import data, embedded, explorer
from charrnn.display.html_page import page
from charrnn.display.html_style import asset
from charrnn.display.html_tags import VOID, tag, text
from charrnn.inspection.asked import ViewOptions
from charrnn.inspection.blocks import Column, Table
from charrnn.inspection.inspected import InspectedCheckpoint
from charrnn.inspection.registry import view_named
from charrnn.inspection.text import InspectedText
from tests.display.support import CASES, VIEWS, chapter_of, every_view
from tests.factories import TEXT, write_checkpoint

EVIL = "</script><script>alert(1)</script><!--\n&\"'"


class Reader(HTMLParser):
    """Gather a page's elements and texts; complain where they do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)
        self.close()
        assert not self.stack

    def handle_starttag(self, name: str, attributes: Any) -> None:
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.stack.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.stack.pop() == name

    def handle_data(self, content: str) -> None:
        if self.stack:
            self.texts.setdefault(self.stack[-1], []).append(content)


@pytest.mark.parametrize("case", CASES)
def test_a_page_is_whole_and_loads_nothing(chapters, case: str):
    reader = Reader(page([chapters[case]]))

    for name, attributes in reader.elements:
        assert not {"src", "srcset", "style", "data", "poster"} & set(attributes)
        assert not any(key.startswith("on") for key in attributes)
        link = attributes.get("href") or "#"
        assert link.startswith("#") or (name, link) == ("link", "data:,")
    sections = [a["id"] for name, a in reader.elements if name == "section"]
    assert sections == ["text-0", *(f"{name}-0" for name in VIEWS[case])]
    assert not re.search("url\\(|@import|https?://", page([chapters[case]]))


def test_the_policy_allows_what_is_in_the_page_and_nothing_else(chapters):
    reader = Reader(page([chapters["plain"]]))
    policy = next(
        a["content"] or ""
        for name, a in reader.elements
        if a.get("http-equiv") == "Content-Security-Policy"
    )

    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    script, style = reader.texts["script"][-1], "".join(reader.texts["style"])
    for kind, content in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"


def test_the_program_makes_no_markup_of_text():
    program = asset("html_page.js")

    assert not re.search(
        "innerHTML|outerHTML|insertAdjacent|document\\.write|eval|Function\\(|"
        "fetch|XMLHttp|import|setAttribute\\(.style",
        program,
    )


def test_the_same_views_give_the_same_page(chapters):
    assert page([chapters["plain"]]) == page([chapters["plain"]])


@pytest.mark.parametrize("case", ["odd", "bytes", "plain"])
def test_data_come_back_from_the_page(chapters, case: str):
    found = chapters[case].exploration
    assert found is not None
    reader = Reader(explorer(found, "e"))
    kept = json.loads("".join(reader.texts["script"]))

    assert kept == json.loads(json.dumps(data(found)))
    assert kept["text"] == found.text
    assert kept["bits"] == [float(f"{b:.4f}") for b in found.bits or ()]
    for position, (rank, share, symbols, shares) in zip(
        found.guesses, kept["guesses"], strict=True
    ):
        assert rank == position.rank
        assert share == float(f"{100 * position.probability:.2f}")
        assert symbols == "".join(choice.char for choice in position.top)
        assert shares == [float(f"{100 * c.probability:.2f}") for c in position.top]
    assert all(glyph.isprintable() for glyph in kept["glyphs"].values())


@given(st.text(st.characters() | st.sampled_from("<>/!-sc")))
def test_no_text_ends_the_element_of_data(content: str):
    kept = embedded({"a": content + EVIL})

    assert "<" not in kept
    assert ">" not in kept
    assert json.loads(kept) == {"a": content + EVIL}


@given(st.text())
def test_text_stays_text(content: str):
    reader = Reader(tag("p", text(content), title=content))

    assert [name for name, _ in reader.elements] == ["p"]
    assert "<" not in text(content)
    assert len(reader.elements[0][1]) == 1


def test_names_of_files_and_units_cannot_make_markup(tmp_path):
    path = write_checkpoint(tmp_path / "m.npz", EVIL, files=(EVIL,))
    with CheckpointFile(path) as file:
        checkpoint = InspectedCheckpoint(file, ViewOptions(text=InspectedText(EVIL)))
        chapter = chapter_of(checkpoint, every_view(checkpoint))
        chapter.path = EVIL
        whole = page([chapter])

    assert [name for name, _ in Reader(whole).elements].count("script") == 2


def test_long_tables_are_folded_away():
    short, long = (
        table(Table([Column("n", list(map(str, range(count))), "right")], "numbers"))
        for count in (40, 41)
    )

    assert "<details>" not in short
    assert long.startswith("<details><summary>numbers (41 rows)</summary>")
    assert long.count("<tr>") == 42
    assert 'class="number"' in short


def test_several_checkpoints_are_chapters_of_their_own(chapters):
    whole = page([chapters["plain"], chapters["tiny"]])
    names = [a.get("id") for _, a in Reader(whole).elements if a.get("id")]

    assert len(names) == len(set(names))
    assert {"explorer-0", "explorer-1", "summary-0", "summary-1"} <= set(names)


def test_a_page_without_text_has_no_explorer(tmp_path):
    path = write_checkpoint(tmp_path / "m.npz", TEXT)
    with CheckpointFile(path) as file:
        checkpoint = InspectedCheckpoint(file, ViewOptions())
        history = view_named("history").compute(checkpoint)
        chapter = chapter_of(checkpoint, {"history": history})

    assert 'class="explorer"' not in page([chapter])
