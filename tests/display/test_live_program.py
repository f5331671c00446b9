"""The program of a living page: its form, which is checked without running it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from charrnn.display.html_style import asset
from charrnn.display.live_program import ENGINE, PAGE, engine, program

MODULES = (*ENGINE, *PAGE)

#: What would make markup or programs of texts, or ask a network.
FORBIDDEN = (
    r"(inner|outer)HTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|"
    r"\bFunction\(|fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\b"
)

#: A documentation comment and what follows it, a function or method at most twice
#: indented: its name and its parameters.
FUNCTION = re.compile(
    r"(?P<doc>/\*\*(?:(?!\*/).)*\*/)?\s*\n(?: {2})?(?:function |static )?\*? ?"
    r"(?!if|for|while|switch|catch)(?P<name>\w+)\((?P<given>[^()]*)\) \{\n",
    re.DOTALL,
)


def module(name: str) -> str:
    return asset(f"live/{name}.js")


def test_all_modules_are_joined():
    beside = Path(__file__).parents[2] / "charrnn" / "display" / "live"

    assert {path.stem for path in beside.glob("*.js")} == set(MODULES)
    assert engine() in program()


def test_every_name_stands_once():
    names = re.findall(
        r"^(?:class|const|let|function\*?) (\w+)", program(), re.MULTILINE
    )

    assert len(names) > 50
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("name", MODULES)
def test_texts_stay_texts_and_nothing_is_loaded(name):
    code = re.sub(r"^\s*(//|/?\*).*$", "", module(name), flags=re.MULTILINE)

    assert re.findall(FORBIDDEN, code) == []


@pytest.mark.parametrize("name", ENGINE)
def test_what_computes_knows_no_page(name):
    assert re.findall(r"\b(document|window|localStorage)\.", module(name)) == []


@pytest.mark.parametrize("name", MODULES)
def test_no_old_forms_are_used(name):
    text = module(name)

    assert re.findall(r"^\s*var |[^=!]==[^=]|!=[^=]", text, re.MULTILINE) == []


@pytest.mark.parametrize("name", MODULES)
def test_parameters_have_types(name):
    for found in FUNCTION.finditer(module(name)):
        given = [one.partition("=")[0].strip() for one in found["given"].split(",")]
        if given == [""]:
            continue
        typed = re.findall(r"@param \{", found["doc"] or "")
        assert len(typed) == count_of(found["given"]), found["name"]


def count_of(given: str) -> int:
    """Count parameters; one that is taken apart in braces is one."""
    return len(re.sub(r"\{[^}]*\}", "one", given).split(","))


def test_types_are_right(tmp_path):
    compiler = shutil.which("tsc")
    if compiler is None:
        pytest.skip("tsc is not installed: npm install --global typescript")
    joined = tmp_path / "program.js"
    joined.write_text(program(), "utf-8")
    options = ("--allowJs", "--checkJs", "--noEmit", "--strict", "--target", "es2022")

    done = subprocess.run(
        [compiler, *options, "--lib", "es2022,dom,dom.iterable", joined],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == ""
    assert done.returncode == 0
