"""Every view of a checkpoint, for tests of what is drawn."""

import re
from typing import Any

from charrnn.display.html_page import Chapter, Section
from charrnn.inspection.blocks import Block
from charrnn.inspection.exploration import explore_views
from charrnn.inspection.inspected import InspectedCheckpoint
from charrnn.inspection.registry import view_named
from tests.factories import PAIRS_TEXT, TEXT
from tests.views import OF_PAIRS, OF_TEXT

ODD = "e\u0301漢字\U0001f44d\U0001f3fd\u200d\x1b[31m\x00\x9b\t\n\r [b]\\\u202eא"

#: The same without what ends an input.
ODD_INPUT = re.sub(r"\s", "", ODD)

CASES: dict[str, dict[str, Any]] = {
    "plain": {"text": TEXT},
    "weights": {"text": TEXT, "optimizer": None, "history": [], "cell": "rnn"},
    "sgd": {"text": TEXT, "optimizer": "sgd", "cell": "gru", "layers": 1},
    "odd": {"text": ODD, "files": ("\x1b[31m[b].txt", "漢" * 60), "sha256": "\x1b[31m"},
    "bytes": {"text": ODD, "unit": "byte"},
    "batch": {"text": TEXT, "cell": "gru", "norm": "batch"},
    "tiny": {"text": "a", "hidden": 1, "layers": 1},
    "void": {"text": TEXT, "history": [{"step": 1, "loss": None}]},
    "pairs": {"text": PAIRS_TEXT, "pairs": True},
    "odd pairs": {
        "text": f"{ODD_INPUT}\t<b>\u202e\x1b[31m\n{ODD_INPUT}\t漢e\u0301\n",
        "pairs": True,
    },
}

#: The views of every case.
VIEWS = {
    case: OF_PAIRS if "pairs" in model else OF_TEXT for case, model in CASES.items()
}

#: Every view of every case.
CASE_VIEWS = [(case, name) for case, names in VIEWS.items() for name in names]


def every_view(checkpoint: InspectedCheckpoint) -> dict[str, Any]:
    """Make the data of all views, compared with nothing but itself."""
    pairs = checkpoint.file.pairs
    views = [view_named(name) for name in (OF_PAIRS if pairs else OF_TEXT)]
    for view in views:
        view.check(checkpoint)
    checkpoint.count()
    return {view.name: view.compute(checkpoint) for view in views}


def blocks(name: str, data: Any) -> list[Block]:
    """List what a view shows of its data."""
    return list(view_named(name).blocks(data))


def chapter_of(checkpoint: InspectedCheckpoint, views: dict[str, Any]) -> Chapter:
    """Put views on a page, with the explorer if they have a text."""
    sections = [
        Section(name, view_named(name).about, blocks(name, data))
        for name, data in views.items()
    ]
    explored: dict[str, Any] = {
        view_named(name).explores: data
        for name, data in views.items()
        if view_named(name).explores
    }
    found = explore_views(checkpoint, explored)
    return Chapter(str(checkpoint.file.path), sections, found)
