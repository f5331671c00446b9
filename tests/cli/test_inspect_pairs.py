"""`charrnn inspect` of models of pairs: what is read, scored, and comes out wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charrnn.__main__ import run
from charrnn.api import load
from charrnn.config import UnitName
from charrnn.pairs import Pairs
from charrnn.training.records import EVALUATED
from tests.cli.training import SHORT
from tests.factories import HISTORY, PAIRS_TEXT, TEXT, write_checkpoint
from tests.training.support import PAIRS
from tests.views import OF_PAIRS

Call = Callable[..., tuple[int, str, str]]

READING = [name for name in OF_PAIRS if name not in ("summary", "vocab", "history")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model of pairs, with what an evaluation has found."""
    path = tmp_path_factory.mktemp("pairs") / "p.npz"
    found = {"step": 20, "epoch": 1.0, "val_loss": 2.5, "exact": 0.5, "error_rate": 0.2}
    return write_checkpoint(path, PAIRS_TEXT, pairs=True, history=[*HISTORY, found])


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Call:
    """Run `inspect` beside files of pairs; give exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    Path("p.tsv").write_text(PAIRS_TEXT)

    def inspect(*arguments: str | Path) -> tuple[int, str, str]:
        code = run(["inspect", *map(str, arguments)])
        return code, *capsys.readouterr()

    return inspect


def data(call: Call, model: Path, view: str, *arguments: str) -> Any:
    """Give the data of a view."""
    code, out, _ = call(model, "--view", view, "--json", *arguments)
    assert code == 0
    return json.loads(out)["views"][view]


@pytest.mark.parametrize("text", [PAIRS_TEXT.replace("\n", "\r\n")[:-2], "\n\n"])
def test_a_file_is_read_as_training_reads_it(call: Call, model: Path, text: str):
    """CR LF, blank lines, a last line without an end."""
    wanted = data(call, model, "surprise", "--text-file", "p.tsv")
    odd = text if text.strip() else "\n" + PAIRS_TEXT.replace("old\t", text + "old\t")
    Path("odd.tsv").write_text(odd, newline="")

    assert data(call, model, "surprise", "--text-file", "odd.tsv") == wanted
    assert data(call, model, "surprise", "--text", odd) == wanted
    assert wanted["text"] == PAIRS_TEXT
    err = call(model, "--view", "surprise", "--text-file", "odd.tsv")[2]
    assert ("note: 5 empty lines left out" in err) == ("\n\n" in odd)


@pytest.mark.parametrize("separator", [";", " => ", r"\t\t"])
def test_any_separator_will_do(call: Call, model: Path, separator: str):
    text = PAIRS_TEXT.replace("\t", separator.replace("\\t", "\t"))
    Path("s.txt").write_text(text)
    wanted = data(call, model, "errors", "--text-file", "p.tsv")
    given = ["--pair-separator", separator]

    assert data(call, model, "errors", "--text-file", "s.txt", *given) == wanted
    assert data(call, model, "errors", "--text", text, *given) == wanted


UNUSABLE = {
    "sea\tsea\nsea": ("no tab in this line: sea ({}, line 2)", "an input, a tab"),
    "sea,sea": ("no tab in this line: sea,sea ({}, line 1)", "--pair-separator ,"),
    "\n\nsea\ta\ta": ("more than one tab in this line ({}, line 3)", "take the others"),
    "\tsea": ("an empty input ({}, line 1)", "--allow-empty"),
    "sea\t": ("an empty output ({}, line 1)", "--allow-empty"),
}


@pytest.mark.parametrize("view", ["surprise", "errors", "neurons", "compare"])
@pytest.mark.parametrize("text", UNUSABLE)
def test_a_line_that_is_no_pair_is_4(call: Call, model: Path, text: str, view: str):
    what, hint = UNUSABLE[text]
    Path("x.tsv").write_text(text)
    for given, name in (("--text", text), ("--text-file", "x.tsv")):
        code, out, err = call(model, "--view", view, given, name)
        where = "--text" if given == "--text" else "x.tsv"

        assert (code, out) == (4, "")
        assert f"charrnn: error: {what.format(where)}\n" in err
        assert hint in err


@pytest.mark.parametrize("view", ["next", "surprise"])
def test_bytes_that_are_no_text_are_unknown(call: Call, model: Path, view: str):
    code, out, err = call(model, "--view", view, "--text", "sea\udcff\tsea")

    assert (code, out) == (4, "")
    assert "not in the vocabulary" in err


@pytest.mark.parametrize("view", ["surprise", "compare"])
def test_a_vocabulary_that_is_too_small_is_named(
    call: Call, model: Path, tmp_path: Path, view: str
):
    """Where there are several; one alone needs no name."""
    other = write_checkpoint(tmp_path / "x.npz", PAIRS_TEXT + "x\tx\n", pairs=True)
    given = ["--view", view, "--text", "xx\tsea"]

    code, _, err = call(other, model, *given)
    assert code == 4
    assert f"'x' U+0078 at 1 ({model})" in err
    code, _, err = call(model, *given)
    assert code == 4
    assert str(model) not in err


def test_what_is_empty_can_be_allowed(call: Call, model: Path):
    given = ["--text", "\tsea\nsea\t", "--allow-empty"]

    assert data(call, model, "surprise", *given)["characters"] == len("sea\n\n")


USAGE = {
    "--view errors": "--view errors needs a text",
    "--view diversity": "--view diversity is not about models of pairs",
    "--view diversity --text a": "--view diversity is not about models of pairs",
    "--view next --held-out --text a": "--held-out is given, but no view",
    "--view errors --held-out": "--view errors needs a text",
    "--pair-separator ;": "--pair-separator does nothing without --text",
}


@pytest.mark.parametrize("arguments", USAGE)
def test_what_does_not_suit_pairs_is_2(call: Call, model: Path, arguments: str):
    code, out, err = call(model, *arguments.split())

    assert (code, out) == (2, "")
    assert USAGE[arguments] in err
    assert "hint: " in err


def test_what_is_about_pairs_does_not_suit_running_text(call: Call, tmp_path: Path):
    other = write_checkpoint(tmp_path / "m.npz")
    code, out, err = call(other, "--view", "errors", "--text-file", "p.tsv")

    assert (code, out) == (2, "")
    assert "--view errors is about models of pairs, which this one is not" in err
    separated = ["--text", TEXT, "--pair-separator", ";"]
    code, _, err = call(other, "--view", "surprise", *separated)
    assert code == 2
    assert "--pair-separator is about models of pairs" in err


def test_inputs_cost_nothing_and_are_shown(call: Call, model: Path):
    text = ["--view", "surprise", "--text", "the sea\tsea", "--color", "never"]
    _, out, _ = call(model, *text)

    assert "4 characters of outputs, 1 pair\n" in out
    row = next(line for line in out.splitlines() if "the sea" in line)
    bars = out.splitlines()[out.splitlines().index(row) + 1]
    assert row.endswith("  the sea␉│sea␊")
    assert len(bars.split()) == 1
    assert len(bars) - len(bars.lstrip()) == row.index("│") + 1
    assert "the sea\\t|sea\\n" in call(model, *text, "--ascii")[1]


def test_next_looks_inside_an_output(call: Call, model: Path):
    alone = data(call, model, "next", "--text", "the sea")
    begun = data(call, model, "next", "--text", "the sea\tse")
    whole = data(call, model, "surprise", "--text", "the sea\tsea")

    assert alone["characters"] == 8
    assert alone == data(call, model, "next", "--text", "the sea\t\n")
    assert begun["input_ends"] == [8]
    (first, _, third) = [b for b in whole["char_bits"] if b is not None][:3]
    choices = {choice["char"]: choice["bits"] for choice in alone["after"]}
    assert begun["positions"][8]["bits"] == pytest.approx(first)
    assert choices.get("s", first) == pytest.approx(first)
    choices = {choice["char"]: choice["bits"] for choice in begun["after"]}
    assert choices.get("a", third) == pytest.approx(third)


def test_next_goes_back_into_the_last_output_of_whole_pairs(call: Call, model: Path):
    """As the other views read them: what follows a pair is nobody's guess."""
    both = [model, "--view", "next", "--view", "surprise", "--json"]
    _, out, _ = call(*both, "--text-file", "p.tsv")
    found = json.loads(out)["views"]["next"]

    assert found == data(call, model, "next", "--text-file", "p.tsv")
    assert found["characters"] == len(PAIRS_TEXT) - 1
    code, _, err = call(*both, "--text", "the sea")
    assert code == 4  # `surprise` reads whole pairs only
    assert "no tab in this line" in err


def test_next_and_surprise_leave_out_the_same_lines(call: Call, model: Path):
    Path("end.tsv").write_text("the sea\tsea\n\n")
    for view in ("next", "surprise"):
        code, _, err = call(model, "--view", view, "--text-file", "end.tsv")
        assert code == 0
        assert "1 empty line left out" in err


@pytest.mark.parametrize("text", ["", "\n", "\tsea", "sea\ta\ta", "sea\nsea"])
def test_a_line_that_cannot_have_begun_is_4(call: Call, model: Path, text: str):
    code, out, err = call(model, "--view", "next", "--text", text)

    assert (code, out) == (4, "")
    assert "(--text, line " in err


#: The field of a view's data in which it is told where inputs end.
ENDS = {
    "surprise": "input_ends",
    "next": "input_ends",
    "neurons": "input_ends",
    "gates": "offsets",
    "memory": "in_input",
}


@pytest.mark.parametrize("view", ENDS)
def test_it_is_told_where_inputs_end(call: Call, model: Path, view: str):
    other = write_checkpoint(Path("m.npz"))

    assert data(call, model, view, "--text-file", "p.tsv")[ENDS[view]]
    assert data(call, other, view, "--text", TEXT)[ENDS[view]] is None
    drawn = call(model, "--view", view, "--text-file", "p.tsv")[1]
    words = {"gates": "where the input ends", "memory": "in the input"}
    assert words.get(view, "the sea␉") in drawn


def test_errors_are_what_an_evaluation_counts(call: Call, model: Path):
    found = data(call, model, "errors", "--text-file", "p.tsv")
    loaded = load(model)
    pairs = Pairs.of(loaded.vocab.encode(PAIRS_TEXT), loaded.vocab)
    figures = loaded.accuracy(pairs)

    assert figures is not None
    exact, error_rate = figures
    assert (found["exact"], found["error_rate"]) == (exact, error_rate)
    assert found["inputs"] == 5
    for item in found["errors"]:
        assert loaded.sample(item["input"], length=len(item["got"])) == item["got"]
    compared = data(call, model, "compare", "--text-file", "p.tsv")["checkpoints"][0]
    assert compared["text"]["exact"] == exact
    assert compared["text"]["error_rate"] == error_rate


def test_held_out_pairs_are_those_that_training_told_of(
    call: Call, capsys: pytest.CaptureFixture[str]
):
    Path("t.tsv").write_text(PAIRS)
    run(["train", "t.tsv", "--pairs", *SHORT, "--val-fraction", "0.3", "--json"])
    *_, end = map(json.loads, capsys.readouterr().out.splitlines())
    text = ["--text-file", "t.tsv"]
    found = data(call, Path("t.npz"), "errors", *text, "--held-out")
    whole = data(call, Path("t.npz"), "errors", *text)

    assert end["event"] == "end"
    assert (found["exact"], found["error_rate"]) == (end["exact"], end["error_rate"])
    assert 0 < found["inputs"] < whole["inputs"]
    inputs = {line.partition("\t")[0] for line in PAIRS.splitlines()}
    assert whole["inputs"] == len(inputs)


def test_what_was_held_out_is_known_of_a_run_alone(call: Call, tmp_path: Path):
    weights = write_checkpoint(
        tmp_path / "w.npz", PAIRS_TEXT, optimizer=None, pairs=True
    )
    given = ["--view", "errors", "--text-file", "p.tsv", "--held-out"]
    code, out, err = call(weights, *given)

    assert (code, out) == (2, "")
    assert "does not know which pairs were held out" in err


def test_nothing_is_held_out_of_a_run_that_never_evaluated(
    call: Call, capsys: pytest.CaptureFixture[str]
):
    """A text was too short, or the run ended before: a share was only wanted."""
    Path("t.tsv").write_text(PAIRS)
    few = "".join(PAIRS.splitlines(keepends=True)[:3])
    Path("few.tsv").write_text(few)
    run(["train", "few.tsv", "--pairs", "--steps", "2", "--hidden", "4", "-q"])
    run(["train", "t.tsv", "--pairs", *SHORT, "--val-fraction", "0.3", "-q"])
    capsys.readouterr()
    held = ["--view", "errors", "--held-out", "--text-file"]
    code, out, err = call("few.npz", *held, "few.tsv")

    assert (code, out) == (2, "")
    assert "does not know which pairs were held out" in err
    inputs = data(call, Path("t.npz"), "errors", "--text-file", "t.tsv")["inputs"]
    codes = set()
    for n in range(inputs):
        Path("one.tsv").write_text(PAIRS.splitlines(keepends=True)[n])
        code, out, err = call("t.npz", *held, "one.tsv")
        codes.add(code)
        if code:
            assert (code, out) == (4, "")
            assert "no pair of the text was held out of training (one.tsv)" in err
            assert "leave --held-out away" in err
    assert codes == {0, 4}


@pytest.mark.parametrize("unknown", ["skip", "replace"])
@pytest.mark.parametrize("unit", ["char", "byte"])
def test_an_output_that_nobody_can_write_is_never_right(
    call: Call, tmp_path: Path, unknown: str, unit: UnitName
):
    """Though without its stranger it would be the one that is written."""
    path = tmp_path / "m.npz"
    for seed in range(100):  # random weights: some write what ends
        write_checkpoint(path, PAIRS_TEXT, unit=unit, pairs=True, seed=seed)
        model = load(path)
        symbol = model.vocab.symbols[model.vocab.replacement_id]
        got = model.sample("the se" + symbol * (unknown == "replace"), length=50)
        if len(got) < 50 and symbol in got:
            break
    wanted = got + "X" if unknown == "skip" else got.replace(symbol, "X", 1)
    Path("x.tsv").write_text(f"the seX\t{wanted}\n")
    given = ["--text-file", "x.tsv", "--unknown", unknown]

    found = data(call, path, "errors", *given)
    assert (found["exact"], found["wrong"]) == (0, 1)
    (item,) = found["errors"]
    assert item["wanted"] == [wanted.replace("X", "\ufffd")]
    assert "X" not in item["input"]
    compared = data(call, path, "compare", *given)["checkpoints"][0]
    assert compared["text"]["exact"] == 0
    _, _, err = call(path, "--view", "errors", *given)
    assert "a wanted output with one of them is never right" in err
    for form in ("--plain", "--ascii"):
        assert call(path, "--view", "errors", *given, form)[0] == 0


def test_errors_are_drawn_and_listed(call: Call, model: Path):
    view = ["--view", "errors", "--text-file", "p.tsv", "--color", "never"]
    found = data(call, model, "errors", "--text-file", "p.tsv")
    _, out, err = call(model, *view, "--max-chars", "1")
    _, plain, _ = call(model, *view, "--plain")

    assert f"{found['exact']:.2%}, {found['wrong']} wrong" in out
    assert "outputs written for others" in out
    wrong = f"the first 1 of {found['wrong']} pairs that come out wrong"
    assert f"{wrong}; --max-chars counts their characters, and 0 shows all" in err
    rows = [line.split("\t") for line in plain.splitlines()]
    assert rows[0] == ["input", "wanted", "got", "distance"]
    assert [row[0] for row in rows[1:]] == [item["input"] for item in found["errors"]]
    assert call(model, *view, "--max-chars", "0")[2] == ""


@pytest.mark.parametrize("view", ["summary", "history", "compare"])
def test_it_is_told_which_outputs_an_evaluation_writes(
    call: Call, model: Path, view: str
):
    _, out, _ = call(model, "--view", view, "--width", "120")

    assert f"of at most {EVALUATED:,} held out, by the network alone" in out
    if view == "compare":
        _, out, _ = call(model, "--view", view, "--text-file", "p.tsv")
        assert "exact, errors per character: of the text" in out
        assert "network alone" not in out


def test_compare_has_what_training_found(call: Call, model: Path):
    found = data(call, model, "compare")["checkpoints"][0]
    _, out, _ = call(model, "--view", "compare", "--width", "100")

    assert (found["exact"], found["error_rate"], found["text"]) == (0.5, 0.2, None)
    assert "50.00%" in out
    assert "20.00%" in out
    _, out, _ = call(model, "--width", "100")
    assert "50.00% exactly right, 20.00% errors per character" in out
    row = data(call, model, "history")["points"][-1]
    assert (row["exact"], row["error_rate"]) == (0.5, 0.2)
    assert "error rate" in call(model, "--view", "history")[1]


@pytest.mark.parametrize("form", ["--svg", "--html"])
def test_every_view_of_pairs_can_be_written(call: Call, model: Path, form: str):
    views = [word for name in OF_PAIRS for word in ("--view", name)]
    code, out, _ = call(model, *views, "--text-file", "p.tsv", form, "f")

    assert (code, out) == (0, "f\n")
    written = Path("f").read_text().replace(" ", "")
    for words in ("pairs that come out wrong", "where the input ends", "in the input"):
        assert words.replace(" ", "") in written


def test_a_page_has_errors_where_the_model_is_of_pairs(call: Call, model: Path):
    other = write_checkpoint(Path("m.npz"))
    for path, text, is_there in ((model, PAIRS_TEXT, True), (other, TEXT, False)):
        code, _, _ = call(path, "--html", "page.html", "--text", text)

        assert code == 0
        assert ('id="errors-0"' in Path("page.html").read_text()) == is_there


@pytest.mark.parametrize("name", OF_PAIRS)
def test_no_line_is_wider_than_the_narrowest_width(call: Call, model: Path, name: str):
    text = ["--text-file", "p.tsv"] if name in READING else []
    text = [] if name in ("weights", "system") else text
    out = call(model, "--view", name, *text, "--width", "20", "--ascii")[1]

    assert out.isascii()
    assert max(map(len, out.splitlines()[1:])) <= 20
