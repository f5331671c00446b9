"""HTML, element by element: what is text stays text."""

import html
from collections.abc import Sequence

from charrnn.display.svg import ARROWS, FORBIDDEN, Figure, inline
from charrnn.display.tables import Column
from charrnn.escapes import code_escape

#: Elements without content, which HTML does not close.
VOID = frozenset({"input", "link", "meta"})

#: Rows of a table that is shown at once; a longer one unfolds.
UNFOLDED = 40


def tag(
    name: str, /, *content: str, style: str = "", **attributes: str | int | bool
) -> str:
    """Write an element; `content` is HTML already, attributes are not.

    True makes an attribute without a value, False none. Trailing underscores
    are dropped from attributes' names, others become dashes.
    """
    parts = [name]
    if style:
        parts.append(f'class="{text(style)}"')
    for key, value in attributes.items():
        shown = key.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(shown)
        elif value is not False:
            parts.append(f'{shown}="{text(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    return opening if name in VOID else f"{opening}{''.join(content)}</{name}>"


def text(content: str) -> str:
    """Write a text into HTML, what it cannot hold as an escape."""
    content = content.translate(ARROWS)
    content = FORBIDDEN.sub(lambda found: code_escape(found[0]), content)
    return html.escape(content)


def facts_list(pairs: Sequence[tuple[str, str]]) -> str:
    """Write labels and what they say; a label left empty goes on with the last."""
    rows = [
        tag("tr", tag("th", text(label), scope="row"), tag("td", text(value)))
        for label, value in pairs
    ]
    return tag("table", *rows, style="wrap")


def table(columns: Sequence[Column], name: str) -> str:
    """Write a table that scrolls in its own frame, folded away if it is long.

    Parameters
    ----------
    name : str
        What it lists.
    """
    styles = ["number" if column.align == "right" else "" for column in columns]
    heads = [
        tag("th", text(column.title), style=style, scope="col")
        for column, style in zip(columns, styles, strict=True)
    ]
    rows = [
        tag(
            "tr",
            *(
                tag("td", text(cell), style=style)
                for cell, style in zip(cells, styles, strict=True)
            ),
        )
        for cells in zip(*(column.cells for column in columns), strict=True)
    ]
    whole = tag("table", tag("tr", *heads), *rows)
    frame = tag(
        "div", whole, style="scroll", tabindex=0, role="region", aria_label=name
    )
    if len(rows) <= UNFOLDED:
        return frame
    summary = tag("summary", text(f"{name} ({len(rows):,} rows)"))
    return tag("details", summary, frame)


def charts(wide: Sequence[Figure], narrow: Sequence[Figure], name: str) -> str:
    """Write charts twice, for wide windows and for narrow ones."""
    return "".join(
        tag("div", *(inline(one, name) for one in figures), style=style)
        for style, figures in (("wide", wide), ("narrow", narrow))
    )
