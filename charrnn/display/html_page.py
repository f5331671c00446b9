"""A page of views: one file, which holds everything and loads nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from charrnn.display.html_blocks import sections
from charrnn.display.html_document import document
from charrnn.display.html_explorer import explorer
from charrnn.display.html_style import asset, page_style
from charrnn.display.html_tags import tag, text
from charrnn.display.symbols import Look, shown_text
from charrnn.errors import Speller, in_python, spell
from charrnn.inspection.blocks import Block
from charrnn.inspection.exploration import Exploration


class Section(NamedTuple):
    """What a page shows of one view."""

    name: str
    about: str
    blocks: Sequence[Block]


@dataclass
class Chapter:
    """What a page shows of one checkpoint."""

    path: str
    sections: list[Section] = field(default_factory=list)
    exploration: Exploration | None = None


def page(chapters: Sequence[Chapter], speller: Speller = in_python) -> str:
    """Write the whole page.

    Parameters
    ----------
    speller : callable
        Writes the fields that the page names; see `charrnn.errors`.
    """
    names = ", ".join(shown_text(chapter.path, Look()) for chapter in chapters)
    body = [_chapter(chapter, n) for n, chapter in enumerate(chapters)]
    program = asset("html_parts.js") + asset("html_page.js")
    whole = document(
        f"{names} - charrnn inspect", tag("main", *body), program, page_style()
    )
    return spell(whole, speller)


def _chapter(chapter: Chapter, number: int) -> str:
    """Write what there is of one checkpoint."""
    parts = {
        section.name: tag("p", text(section.about), style="faint")
        + "".join(sections(section.blocks))
        for section in chapter.sections
    }
    if (found := chapter.exploration) is not None:
        parts = {"text": explorer(found, f"explorer-{number}"), **parts}
    links = [tag("a", text(name), href=f"#{name}-{number}") for name in parts]
    drawn = {
        name: tag("section", tag("h2", text(name)), content, id=f"{name}-{number}")
        for name, content in parts.items()
    }
    return tag(
        "article",
        tag("h1", text(shown_text(chapter.path, Look()))),
        tag("nav", *links, aria_label="Views") if len(parts) > 1 else "",
        drawn.pop("text", ""),
        tag("div", *drawn.values(), style="views"),
    )
