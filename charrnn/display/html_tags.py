"""HTML, element by element: what is text stays text."""

import html

from charrnn.display.svg import ARROWS, FORBIDDEN
from charrnn.escapes import code_escape

#: Elements without content, which HTML does not close.
VOID = frozenset({"input", "link", "meta"})


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
