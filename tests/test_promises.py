"""Every promise that the README makes about checkpoints is held by tests."""

import re
from pathlib import Path

TESTS = Path(__file__).parent


def test_promises_have_tests_and_tests_their_promise() -> None:
    readme = (TESTS.parent / "README.md").read_text()
    promises = re.findall(r"^- \*([a-z]+)\*: ", readme, re.MULTILINE)
    marks = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r'promise\(name="([a-z]+)"\)', path.read_text())
    }

    assert len(promises) == 6
    assert set(promises) == marks
