"""`inspect --svg` and `--html`: which files come about, and which do not."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from charrnn.__main__ import run
from tests.browser import Tab, browser
from tests.factories import TEXT, write_checkpoint
from tests.views import OF_TEXT


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("inspect") / "m.npz")


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Run `inspect` in an empty directory: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def inspect(*arguments: str | Path) -> tuple[int, str, str]:
        code = run(["inspect", *map(str, arguments)])
        return code, *capsys.readouterr()

    return inspect


def named(*names: str) -> list[str]:
    return [word for name in names for word in ("--view", name)]


def test_a_drawing_has_the_views_in_order_and_stdout_has_its_name(call, model):
    code, out, err = call(model, *named("history", "summary"), "--svg", "a.svg")

    assert (code, out, err) == (0, "a.svg\n", "")
    text = Path("a.svg").read_text()
    root = Xml.fromstring(text)  # noqa: S314 - our own
    assert root[0].text == "charrnn inspect: history, summary"
    words = ["".join(e.itertext()) for e in root.iter() if e.get("class") == "b"]
    assert words.index("history") < words.index("summary")


@pytest.mark.parametrize("option", ["--svg", "--html"])
def test_every_view_can_be_written(call, model, option):
    code, out, _ = call(model, model, *named(*OF_TEXT), "--text", TEXT, option, "f")

    assert (code, out) == (0, "f\n")
    assert Path("f").stat().st_size > 10_000


@pytest.mark.parametrize("option", ["--svg", "--html"])
def test_the_same_call_writes_the_same_bytes(call, model, option):
    views = named(*(name for name in OF_TEXT if name != "system"))
    for name in ("a", "b"):
        call(model, *views, "--text", TEXT, option, name)

    assert Path("a").read_bytes() == Path("b").read_bytes()


def test_json_stays_json_and_has_what_is_drawn(call, model):
    text = [*named("surprise"), "--text", TEXT, "--json"]
    _, alone, _ = call(model, *text)
    code, out, _ = call(model, *text, "--svg", "a.svg", "--html", "a.html")

    assert code == 0
    assert json.loads(out) == json.loads(alone)
    assert Path("a.svg").exists()
    bits = json.loads(out)["views"]["surprise"]["char_bits"]
    drawing = Path("a.svg").read_text()
    assert all(f" {value:.4f} bits</title>" in drawing for value in bits)


def test_plain_lines_stay_plain_lines(call, model):
    text = [*named("surprise"), "--text", TEXT, "--plain"]

    assert call(model, *text, "--svg", "a.svg")[1] == call(model, *text)[1]


def test_a_page_without_views_has_all_there_is(call, model):
    call(model, "--html", "a.html")
    assert sections("a.html") == ["summary", "history", "weights", "vocab"]
    call(model, "--html", "a.html", "--text", TEXT)
    assert sections("a.html") == [
        "text",
        *("summary", "history", "weights", "vocab"),
        *("surprise", "next", "neurons", "gates", "memory"),
    ]
    call(model, "--html", "a.html", *named("summary"))
    assert sections("a.html") == ["summary"]
    call(model, model, "--html", "a.html")
    assert sections("a.html")[-1] == "compare"


def sections(name: str) -> list[str]:
    page = Path(name).read_text()
    return [part.split("-", 1)[0] for part in page.split('<section id="')[1:]]


def test_minus_is_standard_output(call, model):
    code, out, _ = call(model, "--svg", "-", "--width", "40")

    assert code == 0
    assert Xml.fromstring(out).get("width") == "352"  # noqa: S314 - our own
    assert list(Path().iterdir()) == []


def test_what_was_there_is_replaced_and_keeps_its_permissions(call, model):
    Path("a.svg").write_text("old")
    Path("a.svg").chmod(0o640)
    Path("link.svg").symlink_to("a.svg")

    assert call(model, "--svg", "link.svg")[0] == 0
    assert Path("link.svg").is_symlink()
    assert Path("a.svg").read_text().startswith("<svg")
    assert stat.S_IMODE(Path("a.svg").stat().st_mode) == 0o640
    assert sorted(p.name for p in Path().iterdir()) == ["a.svg", "link.svg"]


@pytest.mark.parametrize("option", ["--svg", "--html"])
def test_what_is_read_is_never_replaced(call, model, option):
    Path("t.txt").write_text(TEXT)
    Path("link").symlink_to(model)
    before = model.read_bytes()
    text = [*named("surprise"), "--text-file", "t.txt"]
    corpus = [*named("diversity"), "--text", TEXT, "--corpus", "t.txt"]
    for path, arguments in (
        (model, []),
        ("link", []),
        ("./t.txt", text),
        ("t.txt", corpus),
    ):
        code, out, err = call(model, *arguments, option, path)
        assert (code, out) == (2, "")
        assert f"{option} {path} is also read" in err
    assert model.read_bytes() == before
    assert Path("t.txt").read_text() == TEXT


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--svg", "none/a.svg"], 6, "no such directory (none/a.svg)"),
        (["--html", "."], 6, "is a directory (.)"),
        (["--svg", "/dev/null"], 6, "is not a regular file (/dev/null)"),
        (["--svg", "a", "--html", "./a"], 2, "--svg and --html name the same file"),
        (["--svg", "-", "--html", "-"], 2, "--svg - cannot be combined with --html"),
        (["--svg", "-", "--json"], 2, "--svg - cannot be combined with --json"),
        (["--html", "-", "--plain"], 2, "--html - cannot be combined with --plain"),
        (["--html", "-", "--verify"], 2, "--html - cannot be combined with --verify"),
    ],
)
def test_mistakes(call, model, arguments, code, message):
    found, out, err = call(model, *arguments)

    assert (found, out) == (code, "")
    assert err.startswith(f"charrnn: error: {message}")
    assert list(Path().iterdir()) == []


def test_a_directory_that_may_not_be_written_is_seen_at_once(call, model, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    code, _, err = call(model, "--svg", "a.svg")

    assert code == 6
    assert "permission denied (a.svg)" in err


def test_a_full_disk_leaves_the_old_file(call, model, monkeypatch):
    Path("a.svg").write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = call(model, "--svg", "a.svg")

    assert code == 6
    assert "no space left on device (a.svg)" in err
    assert Path("a.svg").read_text() == "old"
    assert [p.name for p in Path().iterdir()] == ["a.svg"]


def test_a_fault_leaves_no_file(call, model):
    code, _, _ = call(model, *named("surprise"), "--text", "?", "--html", "a.html")

    assert code == 4
    assert list(Path().iterdir()) == []


def test_verdicts_are_told_beside_a_file(call, model):
    _, out, _ = call(model, "--verify", *named("vocab"), "--svg", "a.svg")

    assert out == f"{model}: ok\na.svg\n"


def test_a_long_text_is_cut_and_that_is_said(call, model, monkeypatch):
    monkeypatch.setattr("charrnn.inspection.exploration.MOST_VALUES", 500)
    call(model, "--html", "a.html", "--text", TEXT * 3)
    code, _, err = call(model, "--html", "a.html", "--text", TEXT * 3)

    total = len(TEXT * 3)
    assert code == 0
    assert f"shows the first 10 of {total:,} characters; --max-chars 0" in err
    _, _, err = call(
        model,
        "--html",
        "a.html",
        "--text",
        TEXT * 3,
        "--layer",
        "1",
        "--max-chars",
        "0",
    )
    assert f"shows the first 20 of {total:,} characters; --layer" in err


def test_a_drawing_without_text_needs_no_numba(model, tmp_path):
    program = (
        "import sys; from charrnn.__main__ import run; "
        f"run(['inspect', {str(model)!r}, '--html', 'a.html', '--svg', 'a.svg']); "
        "sys.exit('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, cwd=tmp_path)

    assert done.returncode == 0


def test_what_is_read_in_the_page_is_what_the_json_says(call, model, tmp_path):
    """The whole way: two calls of the command, and a browser."""
    text = ["--text", TEXT, "--layer", "1", "--signal", "f"]
    assert call(model, *text, *named("neurons", "surprise"), "--html", "a.html")[0] == 0
    numbers = {}
    for unit in (0, 4):
        _, out, _ = call(model, *text, *named("neurons"), "--unit", str(unit), "--json")
        (numbers[unit],) = json.loads(out)["views"]["neurons"]["neurons"]
    profile = tmp_path / "profile"
    with browser(profile) as driver:
        tab = Tab(driver)
        tab.open(tmp_path / "a.html")
        for unit, neuron in numbers.items():
            field = driver.find_element("css selector", '[data-part="slider"]')
            tab.run(
                "arguments[0].value = arguments[1];"
                "arguments[0].dispatchEvent(new Event('input'))",
                field,
                unit,
            )
            name = driver.find_element("css selector", '[data-part="value-name"]').text
            assert name == f"f of unit {unit}"
            cells = driver.find_elements("css selector", ".text .c")
            for n in (0, 3, len(TEXT) - 1):
                cells[n].click()
                value = driver.find_element("css selector", '[data-part="value"]').text
                assert float(value) == round(neuron["values"][n], 2)
        assert tab.complaints() == []
