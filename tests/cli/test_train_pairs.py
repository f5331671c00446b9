"""`charrnn train --pairs`: what it tells, and what users get wrong."""

from pathlib import Path

import pytest

from charrnn.checkpoint.reader import CheckpointFile
from tests.cli.training import LOGGED, SHORT, Train, objects, position
from tests.training.support import PAIRS

pytestmark = pytest.mark.usefixtures("train_directory")

#: The words of a run on pairs.
RUN = ["p.tsv", "--pairs", *SHORT]


@pytest.fixture(autouse=True)
def _pairs(train_directory: Path) -> None:
    """Have a file of pairs."""
    (train_directory / "p.tsv").write_text(PAIRS)


USAGE = {
    "--lines": "--lines and --pairs exclude each other",
    "--pair-separator": "--pair-separator",
    "--pair-separator ": "--pair-separator is empty",
    r"--pair-separator \n": "--pair-separator has a line end",
    r"--pair-separator \q": r"--pair-separator: \q is not an escape",
}


@pytest.mark.parametrize("arguments", USAGE)
def test_usage_errors_are_2(train: Train, arguments: str) -> None:
    code, out, err = train(*RUN, *arguments.split(" "))

    assert (code, out) == (2, b"")
    assert USAGE[arguments] in err
    assert "hint: " in err


@pytest.mark.parametrize("option", ["--pair-separator ;", "--allow-empty"])
def test_options_of_pairs_do_nothing_without_them(train: Train, option: str) -> None:
    code, _, err = train("p.tsv", *SHORT, *option.split())

    assert code == 2
    assert f"{option.split()[0]} does nothing without --pairs" in err


UNUSABLE = {
    "a\tb\nab\n": ("no tab in this line: ab (x.tsv, line 2)", "an input, a tab"),
    "a,b\n": (
        "no tab in this line: a,b (x.tsv, line 1)",
        "is --pair-separator , meant?",
    ),
    "a\tb\tc\n": ("more than one tab in this line (x.tsv, line 1)", "--pair-separator"),
    "a\tb\n\n\n\tb\n": ("an empty input (x.tsv, line 4)", "--allow-empty"),
    "a\tb\r\na\t\r\n": ("an empty output (x.tsv, line 2)", "--allow-empty"),
    "": ("there is no pair (x.tsv)", "an input, a tab, an output"),
    "\n\n": ("there is no pair (x.tsv)", "an input, a tab, an output"),
}


@pytest.mark.parametrize("text", UNUSABLE)
def test_a_file_that_is_none_of_pairs(train: Train, text: str) -> None:
    what, hint = UNUSABLE[text]
    Path("x.tsv").write_text(text, newline="")
    code, out, err = train("x.tsv", "--pairs", *SHORT)

    assert (code, out) == (4, b"")
    assert f"charrnn: error: {what}\n" in err
    assert hint in err.split("hint: ")[1]
    assert not Path("x.npz").exists()


def test_a_line_is_counted_in_its_own_file(train: Train) -> None:
    Path("x.tsv").write_text("a\tb\nab\n")
    code, _, err = train("p.tsv", "x.tsv", "--pairs", *SHORT)

    assert code == 4
    assert "(x.tsv, line 2)" in err
    code, _, err = train("p.tsv", "--val-file", "x.tsv", "--pairs", *SHORT)
    assert code == 4
    assert "(x.tsv, line 2)" in err


def test_separators_of_any_kind(train: Train) -> None:
    """The model is the same whatever parted the pairs in the file."""
    Path("s.txt").write_text(PAIRS.replace("\t", " => "))
    Path("w.txt").write_text(PAIRS.replace("\n", "\r\n").rstrip(), newline="")

    assert train(*RUN, "--no-memory")[0] == 0
    code, _, err = train(
        "s.txt", "--pairs", "--pair-separator", " => ", *SHORT, "--no-memory"
    )
    assert code == 0
    assert train("w.txt", "--pairs", *SHORT, "--no-memory")[0] == 0
    with CheckpointFile(Path("p.npz")) as one:
        for name in ("s.npz", "w.npz"):
            with CheckpointFile(Path(name)) as other:
                assert other.tensors == one.tensors
    assert "train further: charrnn train s.txt" in err
    assert "--pair-separator ' => '" in err
    more = ["s.txt", "--resume", "--pair-separator", " => ", "--steps", "13"]
    assert train(*more)[0] == 0
    assert position("s.npz").step == 13


def test_blank_lines_are_told_of(train: Train) -> None:
    Path("x.tsv").write_text(PAIRS.replace("\n", "\n\n", 3))
    code, _, err = train("x.tsv", "--pairs", *SHORT)

    assert code == 0
    assert "3 empty lines left out" in err


def test_what_is_told(train: Train) -> None:
    code, out, err = train(*RUN, *LOGGED)
    events = objects(out)
    evaluation = next(event for event in events if event["event"] == "eval")

    assert code == 0
    assert "42 pairs, " in err
    assert ", 1 pair held out" in err
    assert "outputs exactly right" in err
    assert "errors per character" in err
    assert "xz" not in err
    assert 0 <= evaluation["exact"] <= 1
    assert evaluation["error_rate"] > 0
    assert 0 <= events[-1]["exact"] <= 1
    assert events[-1]["yardsticks"]["xz"] is None
    with CheckpointFile(Path("p.npz")) as file:
        assert file.pairs
        assert not file.lines
        assert file.format_version == "2.1"


def test_running_text_has_no_such_figures(train: Train) -> None:
    """And of pairs they are null where nothing is held out."""
    _, out, _ = train("t.txt", *SHORT, *LOGGED)
    assert not any(e.keys() & {"exact", "error_rate"} for e in objects(out))
    _, out, _ = train(*RUN, *LOGGED, "--val-fraction", "0")
    end = objects(out)[-1]
    assert (end["exact"], end["error_rate"]) == (None, None)


def test_a_run_of_pairs_goes_on_as_one(train: Train) -> None:
    """It need not be said again, and cannot be taken back."""
    assert train(*RUN)[0] == 0
    code, _, err = train("p.tsv", "--resume", "--lines", "--steps", "14")
    assert code == 2
    assert "--lines" in err
    code, _, err = train("p.tsv", "--resume", "--steps", "14")
    assert code == 0
    assert position("p.npz").config.pairs
    assert train("t.txt", *SHORT)[0] == 0
    code, _, err = train("t.txt", "--resume", "--pairs", "--steps", "14")
    assert code == 2
    assert "--pairs True (it has False)" in err or "--pairs (it has" in err


def test_a_file_to_validate_on_is_of_pairs(train: Train) -> None:
    Path("v.tsv").write_text("seas\tsaes\nolds\tx\n")
    code, out, _err = train(*RUN, *LOGGED, "--val-file", "v.tsv")

    assert code == 0
    assert objects(out)[-1]["exact"] in (0, 0.5, 1)


def test_bytes(train: Train) -> None:
    Path("x.tsv").write_text(PAIRS.replace("a", "é"))
    code, _, _err = train("x.tsv", "--pairs", "--unit", "byte", *SHORT)

    assert code == 0


def test_a_dry_run_writes_nothing(train: Train) -> None:
    code, _out, err = train("p.tsv", "--pairs", "--dry-run", "--time", "1s")

    assert code == 0
    assert "42 pairs" in err
    assert not Path("p.npz").exists()
