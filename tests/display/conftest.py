"""Every view of ordinary and of odd checkpoints, made once for all tests."""

from typing import Any, NamedTuple

import pytest

from charrnn.checkpoint import CheckpointFile
from charrnn.display.html_page import Chapter
from charrnn.inspection.asked import ViewOptions
from charrnn.inspection.inspected import InspectedCheckpoint
from charrnn.inspection.text import InspectedText
from tests.display.support import CASES, chapter_of, every_view
from tests.factories import write_checkpoint


class Made(NamedTuple):
    """The data of all views of a checkpoint, and its part of a page."""

    views: dict[str, Any]
    chapter: Chapter


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> dict[str, Made]:
    """Make every view of every case."""
    found = {}
    for case, model in CASES.items():
        path = write_checkpoint(tmp_path_factory.mktemp(case) / "m.npz", **model)
        with CheckpointFile(path) as file:
            options = ViewOptions(text=InspectedText(str(model["text"])))
            checkpoint = InspectedCheckpoint(file, options)
            views = every_view(checkpoint)
            found[case] = Made(views, chapter_of(checkpoint, views))
    return found


@pytest.fixture(scope="session")
def views(made) -> dict[tuple[str, str], Any]:
    """Give the data by case and view."""
    return {(case, name): m.views[name] for case, m in made.items() for name in m.views}


@pytest.fixture(scope="session")
def chapters(made) -> dict[str, Chapter]:
    """Give the parts of a page by case."""
    return {case: one.chapter for case, one in made.items()}
