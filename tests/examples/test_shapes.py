"""The page of shapes: its commands do what it says, on networks of a few seconds."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from charrnn.__main__ import run
from charrnn.examples.pairs import lines, pairs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "charrnn" / "examples" / "SHAPES.md").read_text(encoding="utf-8")

#: The sections, each with the commands of its blocks.
SECTIONS = {
    title: "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    for title, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
}

#: What training is told in place of the page's times.
LITTLE = "--hidden 8 --batch-size 4 --seq-length 16 --steps 5 --no-memory --quiet"
#: The same where so little is to be learned that it can be.
ENOUGH = "--hidden 48 --steps 300 --no-memory --quiet"

Do = Callable[..., list[str]]


@pytest.fixture
def do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Iterator[Do]:
    """Run the commands of a section beside a few lines of the corpora.

    What it gives takes a title and what training is told, and returns what each
    command has printed.
    """
    monkeypatch.chdir(tmp_path)
    Path("corpora").mkdir()
    for name, count in (("saltmarsh.txt", 60), ("names.txt", 200), ("written.tsv", 99)):
        text = (ROOT / "corpora" / name).read_text().splitlines(keepends=True)
        Path("corpora", name).write_text("".join(text[:count]))
    Path("reviews.tsv").write_text(lines(pairs("reviews")))

    def call(title: str, training: str = LITTLE) -> list[str]:
        found = []
        for line in SECTIONS[title]:
            words = shlex.split(line)
            if words[0] == "charrnn":
                code = run(shortened(words[1:], training))
                out, err = capsysbinary.readouterr()
                assert code == 0, err.decode()
                found.append(out.decode())
            else:
                found.append(shell(line))
        return found

    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield call


def shortened(words: list[str], training: str) -> list[str]:
    """Replace the time of a training by other settings; another command stays."""
    if "--time" not in words:
        return [*words, "--quiet"] if words[0] == "train" else words
    at = words.index("--time")
    return [*words[:at], *training.split(), *words[at + 2 :]]


def shell(line: str) -> str:
    """Run a command of a shell, with this Python and few pairs."""
    line = line.replace(" > ", " -n 60 > ") if line.startswith("python ") else line
    python = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}; '
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", python + line],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_section_is_tried() -> None:
    """And each link of the table leads to one."""
    tried = {
        value
        for name, test in globals().items()
        if name.startswith("test_the_shape")
        for value in test.__code__.co_consts
    }
    links = re.findall(r"\(#(.*?)\)", PAGE)
    anchors = [re.sub("[^a-z -]", "", t.lower()).replace(" ", "-") for t in SECTIONS]

    assert set(SECTIONS) <= tried
    assert links == anchors


def test_the_shape_many_to_one(do: Do) -> None:
    """A review and a phrase are learned, and come out as the page says."""
    found = do("Many to one", ENOUGH)

    assert found == ["", "reviews.npz\n", "-\n", "", "colors.npz\n", "0 0 255\n"]
    for output in ("prints `-`", "prints `0 0 255`"):
        assert output in PAGE


def test_the_shape_one_to_many(do: Do) -> None:
    """Several texts for one class."""
    *_, texts = do("One to many", ENOUGH)

    reviews = pairs("reviews")
    assert Path("write.tsv").read_text() == lines([(o, i) for i, o in reviews])
    assert texts.count("\n") == 4
    assert set(texts) <= set(Path("reviews.tsv").read_text())
    assert len(set(texts.splitlines())) > 1


def test_the_shape_many_to_many_of_equal_lengths(do: Do) -> None:
    _, _, tags = do("Many to many, equal lengths")

    for line in Path("tags.tsv").read_text().splitlines():
        name, wanted = line.split("\t")
        expected = ["+" if letter in "aeiouy" else "-" for letter in name]
        assert wanted == "".join(expected)
    assert len(Path("tags.tsv").read_text().splitlines()) == 200
    assert tags.count("\n") == 1
    assert "-+---+---" in PAGE


def test_the_shape_many_to_many_of_other_lengths(do: Do) -> None:
    """One output, a column of them, and the likeliest of all."""
    _, one, _, column, searched = do("Many to many, other lengths")

    assert one.count("\n") == 1
    assert column.count("\n") == 99
    record = json.loads(searched)
    assert len(record["beams"]) == 4
    assert record["input"] == "four hundred and twelve thousand and six"


def test_the_shape_said_backwards(do: Do) -> None:
    _, _, output = do("Said backwards")

    assert output.count("\n") == 1
    assert "prints `nnrrahc`" in PAGE


def test_the_shape_what_comes_next(do: Do) -> None:
    _, expected, completed = do("What comes next")

    assert "after 3 characters" in expected
    assert completed.startswith("tre")
    assert completed.rstrip("\n").count("\n") == 0


def slope(shown: str) -> float:
    """Read by what a gradient is multiplied a character further back."""
    found = re.search(r"times ([\d.e-]+) a character", shown)
    assert found is not None
    return float(found[1])


def test_the_shape_gradients_that_vanish_or_explode(do: Do) -> None:
    """Whichever was trained vanishes; the one with large weights explodes."""
    _, vanilla, _, gated, _, wild = do("Gradients that vanish or explode")

    assert slope(vanilla) < 1
    assert slope(gated) < 1
    assert slope(wild) > 1


def test_the_shape_links_to_states_further_back(do: Do) -> None:
    trained, shown = do("Links to states further back")

    assert trained == "linked.npz\n"
    assert slope(shown) > 0
