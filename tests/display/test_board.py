import pytest

from charrnn.display.board import Board
from charrnn.display.tables import line


def test_without_color_only_the_text_is_left():
    assert Board("never").render(line("a [b] ", "bold")) == "a [b]\n"


@pytest.mark.parametrize("terminal", ["dumb", "xterm-256color"])
def test_with_color_styles_become_codes_on_any_terminal(terminal: str, monkeypatch):
    monkeypatch.setenv("TERM", terminal)

    assert Board("always").render(line("a [b]", "bold")) == "\x1b[1ma [b]\x1b[0m\n"


def test_lines_are_never_wrapped():
    assert Board("always").render(line("x" * 5000)).count("\n") == 1
