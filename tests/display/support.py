"""Every view of a checkpoint, for tests of what is drawn."""

from charrnn.inspection import VIEWS
from charrnn.inspection.compare import Comparison
from charrnn.inspection.records import View
from charrnn.inspection.subject import Subject


def every_view(subject: Subject) -> dict[str, View]:
    """Make all views, compared with nothing but itself."""
    subject.check(VIEWS)
    return {
        name: Comparison((subject.compared(),))
        if name == "compare"
        else subject.view(name)
        for name in VIEWS
    }
