"""Names of outputs: which are refused, and what a checkpoint is called by itself."""

from pathlib import Path

import pytest

import charrnn
from charrnn.__main__ import run as command
from charrnn.cli.inspect import OPTIONS as INSPECT
from charrnn.cli.sample import OPTIONS as SAMPLE
from charrnn.cli.train import OPTIONS as TRAIN
from charrnn.errors import OptionError, OutputError, field
from charrnn.filenames import default_output, read_output
from charrnn.textmodel import TextModel
from tests.test_api import QUICK, TEXT


@pytest.fixture(scope="module")
def model() -> TextModel:
    """Train a model once, to be written or not."""
    run = charrnn.train(charrnn.Text(TEXT), **QUICK)
    list(run)
    return run.model


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a directory with one text and one empty directory."""
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text(TEXT)
    Path("there").mkdir()


def found() -> set[str]:
    return {path.name for path in Path().rglob("*")}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("new/", "no such directory"),
        ("new//", "no such directory"),
        ("new/.", "no such directory"),
        ("there/new/", "no such directory"),
        ("there/", "is a directory"),
        ("there/.", "is a directory"),
        (".", "is a directory"),
        ("..", "is a directory"),
        ("/", "is a directory"),
        ("there/..", "is a directory"),
        ("t.txt/", "is not a directory"),
    ],
)
def test_names_of_directories_are_no_outputs(name: str, what: str) -> None:
    with pytest.raises(OutputError) as caught:
        read_output(name, field("output"))

    assert str(caught.value) == f"{what} ({name})"
    assert "output" in str(caught.value.hint)


@pytest.mark.parametrize(
    "name", ["-", "new", "new.npz", "a/b", "...", ".x", "..x", "a/.b"]
)
def test_other_names_stay_as_they_are(name: str) -> None:
    assert read_output(name, "it") == name


@pytest.mark.parametrize("given", ["", 3, None, True])
def test_what_names_nothing_is_refused(given: object) -> None:
    with pytest.raises(OptionError, match="output"):
        read_output(given, field("output"))


def test_every_option_that_names_an_output_refuses_directories() -> None:
    """Those that name an input, or a directory, are listed here by hand."""
    inputs = {"init_from", "val_file", "prompt_file", "corpus", "text_file", "preset"}
    named = {
        entry.name: entry.record.parse
        for table in (TRAIN, SAMPLE, INSPECT)
        for entry in table.entries
        if entry.metavar in ("PATH", "FILE") and entry.name not in inputs
    }

    assert set(named) == {"output", "log_file", "svg", "html", "live"}
    assert set(named.values()) == {read_output}


@pytest.mark.parametrize("name", ["new/", "there/", "there"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "t.txt", "--hidden", "8", "--steps", "1", "--output"],
        ["train", "t.txt", "--hidden", "8", "--steps", "1", "--log-file"],
        ["sample", "m.npz", "-p", "", "-n", "1", "--output"],
        ["inspect", "m.npz", "--svg"],
        ["inspect", "m.npz", "--html"],
    ],
    ids=lambda arguments: f"{arguments[0]}{arguments[-1]}",
)
def test_commands_write_no_file_where_a_directory_is_named(
    model: TextModel,
    arguments: list[str],
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model.save("m.npz")
    before = found()

    assert command([*arguments, name]) == 6
    message, hint = capsys.readouterr().err.splitlines()[-2:]
    assert message.startswith("charrnn: error: ")
    assert message.lower().endswith(f"directory ({name})")
    assert hint.startswith("hint: ")
    assert found() == before


@pytest.mark.parametrize("name", ["new/", "there/", "there"])
def test_python_writes_no_file_where_a_directory_is_named(
    model: TextModel, name: str
) -> None:
    run = charrnn.train("t.txt", **QUICK)
    before = found()

    for write in (
        lambda: model.save(name),
        lambda: run.save(name),
        lambda: charrnn.train("t.txt", **QUICK, output=name),
    ):
        with pytest.raises(OutputError, match=f"directory \\({name}\\)"):
            write()
    assert found() == before


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("sub/b.c.txt", "b.c.npz"),
        ("é y", "é y.npz"),
        ("☃.txt", "☃.npz"),
        (".profile", ".profile.npz"),
        ("63", "63.npz"),
        ("?a?.txt", "?a?.npz"),
        # What a shell puts in the place of <(command).
        ("/dev/fd/63", "charrnn.npz"),
        ("/proc/self/fd/11", "charrnn.npz"),
        ("/dev/stdin", "charrnn.npz"),
        ("-", "charrnn.npz"),
        ("./-", "charrnn.npz"),
        ("???.txt", "charrnn.npz"),
        ("sub/--.txt", "charrnn.npz"),
        ("...txt", "charrnn.npz"),
        (" .txt", "charrnn.npz"),
    ],
)
def test_a_checkpoint_is_named_after_its_text(source: str, name: str) -> None:
    """Unless the text has no name, or one of signs that a shell would read."""
    assert default_output(source) == Path(name)
