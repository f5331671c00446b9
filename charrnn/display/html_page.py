"""A page that holds everything: one file, which loads nothing and may nothing else.

Its policy (Content-Security-Policy) allows the one script and the one style
sheet that are in it, by their hashes, and no connection at all.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from charrnn.display.html_blocks import sections
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
    script, style = asset("html_page.js"), page_style()
    policy = (
        f"default-src 'none'; script-src {_source(script)}; "
        f"style-src {_source(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    names = ", ".join(shown_text(chapter.path, Look()) for chapter in chapters)
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", text(f"{names} - charrnn inspect")),
        tag("link", rel="icon", href="data:,"),
        tag("style", style),
    ]
    body = [_chapter(chapter, n) for n, chapter in enumerate(chapters)]
    main = tag("main", *body)
    content = tag("head", *head) + tag("body", main, tag("script", script))
    return spell(f"<!doctype html>\n{tag('html', content, lang='en')}\n", speller)


def _source(content: str) -> str:
    """Name an inline script or style sheet by its hash."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


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
