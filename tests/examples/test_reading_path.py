"""The page for students names what exists, and leads past every example."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from charrnn.examples import EXAMPLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "charrnn" / "examples" / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))

#: Where a bare name on the page is looked for, section by section of the path.
MODULES = (
    "arrays", "cells", "kernels.rnn", "kernels.recurrence", "kernels.inputs",
    "kernels.head", "windows", "network", "examples.layers", "examples.reversing",
    "examples.sentiment", "examples.generator", "kernels",
)  # fmt: skip

#: What is code on the page and no name of the package: mathematics and settings.
OTHER = {
    "z", "dz", "h_prev", "h_prev Wh^T", ".npz", "dropout", "numpy.load",
    'reach("rnn", 0.9, k)',
}  # fmt: skip


def found(name: str) -> bool:
    """Tell whether a dotted name is a module, or something inside one."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            if find_spec(".".join(parts[:cut])) is None:
                continue
        except ModuleNotFoundError:
            continue
        thing = import_module(".".join(parts[:cut]))
        for part in parts[cut:]:
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    return False


def exists(name: str) -> bool:
    """Tell whether a name on the page is to be found where a reader would look."""
    if name.endswith(".py"):
        return (ROOT / name).is_file()
    if name.startswith("charrnn."):
        return found(name)
    if name.startswith("test_"):
        return any(name in p.read_text() for p in (ROOT / "tests").rglob("test_*.py"))
    return name in EXAMPLES or any(found(f"charrnn.{m}.{name}") for m in MODULES)


@pytest.mark.parametrize("name", sorted(set(CODE) - OTHER))
def test_what_the_page_names_exists(name: str) -> None:
    """A module, a function, a test or an example."""
    assert exists(name)


def test_what_does_not_exist_is_noticed() -> None:
    """The check itself can fail, on every kind of name."""
    unwritten = "_".join(["test", "nobody", "wrote", "this"])  # not to be found here
    for name in ("charrnn.nothing", "charrnn.network.Net", unwritten, "steep"):
        assert not exists(name)
    assert not exists("tests/nothing.py")
    assert set(CODE) >= OTHER


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_belongs_to_a_stop(name: str) -> None:
    """Somewhere the page sends its readers to it."""
    assert re.search(rf"- Example:[^#]*`{name}`", PAGE)
