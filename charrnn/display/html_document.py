"""A page that holds everything: one file, which loads nothing and may nothing else.

Its policy (Content-Security-Policy) allows the one script and the one style
sheet that are in it, by their hashes, and no connection at all.
"""

import base64
import hashlib

from charrnn.display.html_tags import tag, text


def document(
    title: str, body: str, script: str, style: str, *, worker: bool = False
) -> str:
    """Write a whole page.

    Parameters
    ----------
    title : str
        Text.
    body : str
        HTML.
    script, style : str
        The program, and the rules by which all is drawn.
    worker : bool
        Whether the program may run a part of itself beside the page.
    """
    policy = (
        f"default-src 'none'; script-src {_source(script)}; "
        f"style-src {_source(style)}; img-src data:; "
        f"{'worker-src blob:; ' if worker else ''}"
        "base-uri 'none'; form-action 'none'"
    )
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", text(title)),
        tag("link", rel="icon", href="data:,"),
        tag("style", style),
    ]
    content = tag("head", *head) + tag("body", body, tag("script", script))
    return f"<!doctype html>\n{tag('html', content, lang='en')}\n"


def _source(content: str) -> str:
    """Name an inline script or style sheet by its hash."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
