"""A view from outside the package is a view like any other, once it is registered."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from charrnn.__main__ import run
from charrnn.inspection import registry
from tests.factories import TEXT, write_checkpoint
from tests.toy_view import VIEW, make_known

VOWELS = ["--view", "vowels", "--text", TEXT]


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run `inspect` with the view registered; give exit code, stdout and stderr."""
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.chdir(tmp_path)
    make_known()
    model = write_checkpoint(tmp_path / "m.npz")

    def inspect(*arguments: str) -> tuple[int, str, str]:
        code = run(["inspect", str(model), *arguments])
        return code, *capsys.readouterr()

    return inspect


def test_help_lists_it():
    script = (
        "from tests.toy_view import make_known; make_known()\n"
        "from charrnn.__main__ import run; run(['inspect', '-h'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    words = done.stdout.replace("│", " ").split()

    assert "vowels." in words  # the last one of --view's
    assert words.count("vowels.") == 2  # and of those that read --text


def test_a_name_can_be_taken_once(call):
    with pytest.raises(ValueError, match="already"):
        make_known()


def test_a_terminal_shows_every_kind_of_block(call):
    code, out, err = call(*VOWELS, "--width", "60")

    assert code == 0
    lines = out.splitlines()
    assert lines[1] == "every <kind>  of block"
    assert lines[3] == "  file    ␛[31m\\u202e<b>"
    assert "  e     ████  █▁" in lines
    assert "  vowels & others" in lines
    assert any(line.startswith("  how often") for line in lines)
    assert "1 the sea, the sea!␊ol" in lines
    assert max(map(len, lines[1:])) <= 60
    assert out.replace("\n", "").isprintable()
    assert "vowels shows the first 20 of 41 characters" in err
    assert call(*VOWELS, "--width", "60", "--ascii")[1].isascii()


def test_programs_get_its_data_and_its_rows(call):
    _, out, _ = call(*VOWELS, "--json", "--max-chars", "3")
    assert json.loads(out)["views"]["vowels"] == {"text": "the", "vowels": [0, 0, 1]}
    _, out, _ = call(*VOWELS, "--plain", "--max-chars", "3")
    assert out == "position\tvowel\n1\t0\n2\t0\n3\t1\n"


def test_it_is_drawn_into_files(call):
    assert call(*VOWELS, "--svg", "a.svg", "--html", "a.html")[0] == 0

    root = Xml.fromstring(Path("a.svg").read_text())  # noqa: S314 - our own
    words = "".join(root.itertext()).replace(" ", "")
    for shown in ("every<kind>", "isavowel", "howoften", "where", "\\u202e<b>"):
        assert shown in words
    page = Path("a.html").read_text()
    for shown in ("which characters are vowels", "every &lt;kind&gt;", "vowels &amp;"):
        assert shown in page
    assert "<b>" not in page


def test_a_page_without_views_has_it_if_there_is_a_text(call):
    call("--html", "a.html")
    assert 'id="vowels-0"' not in Path("a.html").read_text()
    call("--html", "a.html", "--text", TEXT)
    assert 'id="vowels-0"' in Path("a.html").read_text()


def test_what_it_needs_is_checked(call):
    assert "--view vowels needs a text" in call("--view", "vowels")[2]
    assert call(*VOWELS, "--max-lag", "3")[0] == 0  # it says that it is about it
    code, _, err = call(*VOWELS, "--unit", "3")
    assert code == 2
    assert "--unit is given, but no view that it is about" in err
    _, _, err = call("--max-lag", "3")
    assert "add --view memory or --view vowels" in err


def test_it_needs_no_numba(tmp_path):
    model = write_checkpoint(tmp_path / "m.npz")
    script = (
        "import sys; from tests.toy_view import make_known; make_known()\n"
        "from charrnn.__main__ import run\n"
        f"assert run(['inspect', {str(model)!r}, *{VOWELS}]) == 0\n"
        "sys.exit('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, text=True)

    assert VIEW.runs == ""
    assert done.returncode == 0
