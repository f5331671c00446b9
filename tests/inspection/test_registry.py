"""What is known of views before they are imported is what they say themselves."""

import subprocess
import sys

import pytest

from charrnn.inspection.registry import BUILT_IN, names, readers, users, view_named


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_view_has_the_name_and_the_needs_that_it_is_listed_with(name):
    view = view_named(name)

    assert view.name == name
    assert view.text == BUILT_IN[name].text
    assert view.about


def test_views_are_found_by_what_they_use():
    assert users("layer") == ["neurons", "gates", "memory"]
    assert readers()[:2] == ["next", "surprise"]
    with pytest.raises(KeyError):
        view_named("no such view")


def test_names_and_needs_are_known_without_numpy():
    script = (
        "import sys; from charrnn.inspection.registry import names, readers\n"
        "names(), readers(); sys.exit('numpy' in sys.modules)"
    )

    assert names() == tuple(BUILT_IN)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
