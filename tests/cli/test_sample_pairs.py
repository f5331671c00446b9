"""`charrnn sample` of a model of pairs: inputs in, outputs out, and nothing else."""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.generation import decode
from charrnn.pairs import encode_input
from charrnn.textmodel import TextModel
from tests.cli.training import objects
from tests.factories import write_sampled

pytestmark = pytest.mark.usefixtures("beside_models")

Run = Callable[..., tuple[int, bytes, str]]

#: All that the model knows, but for the tab and the newline.
KNOWN = " abcdeé"

INPUTS = ["a", "bad", "ée", "cab", "b e", "deed", "d"]

TEXT = "bad\tdab\ncab\tbac\ndeed\tdeed\nb\tb\n" * 3

#: Nobody waits for an output that does not end.
SHORT = ["-n", "20"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    symbols = "".join(sorted("\t\n" + KNOWN))
    # Weights by which outputs differ, and some of them end.
    drawn: dict[str, Any] = {"symbols": symbols, "spread": 2.0, "hidden": 16}
    write_sampled(path / "p.npz", **drawn, pairs=True)
    write_sampled(path / "blend.npz", **drawn, pairs=True, remembered=TEXT, share=0.75)
    write_sampled(path / "byte.npz", unit="byte", pairs=True)
    write_sampled(path / "text.npz", **drawn)
    (path / "column.txt").write_text("\r\n".join(INPUTS) + "\r\n")
    return path


@pytest.fixture(params=["p.npz", "blend.npz"])
def name(request: pytest.FixtureRequest) -> str:
    """Name a network alone, and one with n-grams."""
    found: str = request.param
    return found


@pytest.fixture
def text(sample: Run) -> Callable[..., str]:
    """Run the command, and expect it to succeed in silence."""

    def call(*arguments: str) -> str:
        code, out, err = sample(*arguments)
        assert (code, err) == (0, "")
        return out.decode()

    return call


@pytest.fixture
def column(text: Callable[..., str]) -> Callable[..., list[str]]:
    """Turn the column of inputs into one of outputs."""

    def call(*arguments: str) -> list[str]:
        lines = ["--prompt-lines", "--prompt-file", "column.txt"]
        *outputs, rest = text(*arguments, *lines, *SHORT).split("\n")
        assert rest == ""
        return outputs

    return call


def test_the_output_stands_alone(text: Callable[..., str], name: str) -> None:
    """A line, the same one every time: nothing is drawn."""
    outputs = {text(name, "-p", given, *SHORT) for given in INPUTS for _ in range(2)}

    assert len(outputs) > len(INPUTS) / 2
    for output in outputs:
        assert output.count("\n") == 1
        assert output.endswith("\n")
        assert set(output) <= {*KNOWN, "\n"}


def test_python_says_the_same(text: Callable[..., str], name: str) -> None:
    model = charrnn.load(name)
    for given in INPUTS:
        expected = text(name, "-p", given, *SHORT).removesuffix("\n")
        assert model.sample(given, length=20) == expected
        assert "".join(model.stream(given, length=20)) == expected


def test_a_batch_is_one_by_one(
    text: Callable[..., str], column: Callable[..., list[str]], name: str
) -> None:
    """In the order of the inputs, as training decodes them, too."""
    outputs = column(name)

    assert outputs == [text(name, "-p", g, *SHORT)[:-1] for g in INPUTS]
    model = charrnn.load(name)
    inputs = [encode_input(given, model.vocab) for given in INPUTS]
    assert outputs == [model.vocab.decode(ids) for ids in decode(model, inputs, 20)]


def test_one_beam_is_the_greedy_choice(
    column: Callable[..., list[str]], name: str
) -> None:
    assert column(name, "--beam", "1") == column(name)


def test_counts_go_on_in_each_input_alone(
    text: Callable[..., str], column: Callable[..., list[str]]
) -> None:
    """In a column as one by one, and with beams."""
    alone = [text("blend.npz", "-p", g, *SHORT, "--adapt")[:-1] for g in INPUTS]

    assert column("blend.npz", "--adapt") == alone
    assert column("blend.npz", "--adapt", "--beam", "1") == alone


def nats_of(model: TextModel, given: str, record: dict[str, Any]) -> float:
    """Score an output as `surprise` does."""
    end = "\n" if record["finish_reason"] == "lines" else ""
    return float(model.surprise(f"{given}\t{record['output']}{end}").sum())


def test_json_has_input_output_and_bits(text: Callable[..., str], name: str) -> None:
    """What the newline costs belongs to it, where one was written."""
    options = ["--prompt-lines", "--prompt-file", "column.txt", *SHORT, "--json"]
    records, model = objects(text(name, *options)), charrnn.load(name)

    assert [record["input"] for record in records] == INPUTS
    assert {record["finish_reason"] for record in records} == {"lines", "length"}
    for record in records:
        nats = nats_of(model, record["input"], record)
        assert record["output"] == model.sample(record["input"], length=20)
        assert record["nats"] == pytest.approx(nats, rel=1e-4)
        assert record["bits"] == record["nats"] / math.log(2)
        scored = len(record["output"]) + (record["finish_reason"] == "lines")
        assert record["bits_per_char"] == record["bits"] / scored
        assert not {"prompt", "text", "beams"} & record.keys()


def test_beams_are_listed_with_their_nats(text: Callable[..., str], name: str) -> None:
    """The likeliest first, which is what is printed; greed finds nothing likelier."""
    options = ["--prompt-lines", "--prompt-file", "column.txt", *SHORT, "--json"]
    greedy, model = objects(text(name, *options)), charrnn.load(name)
    records = objects(text(name, *options, "--beam", "6"))

    for record, alone in zip(records, greedy, strict=True):
        beams = record["beams"]
        assert len({beam["output"] for beam in beams}) > 3
        # Those that are cut off stand behind, in their own order.
        nats = [beam["nats"] for beam in beams]
        assert sum(one > other for one, other in pairwise(nats)) <= 1
        assert beams[0] == {"output": record["output"], "nats": record["nats"]}
        if record["finish_reason"] == alone["finish_reason"]:
            assert record["nats"] <= alone["nats"] + 1e-4
        assert record["nats"] == pytest.approx(nats_of(model, record["input"], record))
        assert record["sampler"]["beam"] == 6
        found = model.sample(record["input"], beam=6, length=20)
        assert found == record["output"]


def test_what_draws_gives_variety(text: Callable[..., str]) -> None:
    """A temperature, a filter, or candidates to choose the best of."""
    for options in (["-t", "1"], ["--top-k", "3"], ["--min-p", "0.01"]):
        drawn = text("p.npz", "-p", "cab", "-N", "8", *SHORT, *options).split("\n")
        assert len(set(drawn)) > 3
    best = {text("p.npz", "-p", "cab", "--best-of", "3", *SHORT) for _ in range(6)}
    assert len(best) > 1


def test_greedy_is_what_nothing_asks_otherwise(text: Callable[..., str]) -> None:
    """Neither a seed nor settings that ask for nothing draw."""
    alone = text("p.npz", "-p", "cab", *SHORT)

    assert text("p.npz", "-p", "cab", *SHORT, "--seed", "4") == alone
    assert text("p.npz", "-p", "cab", *SHORT, "-t", "0") == alone
    assert text("p.npz", "-p", "cab", *SHORT, "--best-of", "1") == alone


def test_an_input_is_shown_if_that_is_asked_for(text: Callable[..., str]) -> None:
    output = text("p.npz", "-p", "bad", *SHORT)

    assert text("p.npz", "-p", "bad", *SHORT, "--echo") == f"bad\t{output}"
    assert text("p.npz", "-p", "bad", *SHORT, "--no-echo") == output


def test_no_output_is_lost_and_none_becomes_two(
    column: Callable[..., list[str]],
) -> None:
    """Empty outputs have their lines, and a separator is never written."""
    assert column("p.npz", "-e", "--logit-bias", r"\n=200") == [""] * len(INPUTS)
    outputs = column("p.npz", "-e", "--logit-bias", r"\t=200")
    assert outputs == column("p.npz")


def test_what_is_banned_is_in_no_output(column: Callable[..., list[str]]) -> None:
    for beam in ("1", "5"):
        outputs = column("p.npz", "--ban", "abc", "--beam", beam)
        assert not set("abc") & set("".join(outputs))
        assert any(outputs)


def test_a_model_of_bytes(text: Callable[..., str]) -> None:
    """Its inputs may be any bytes, and its outputs are."""
    options = ["byte.npz", "-p", "é", "--json", "--ban", "\n", *SHORT]
    greedy, beams = text(*options), text(*options, "--beam", "3")

    for found in (greedy, beams):
        (record,) = objects(found)
        assert record["input"] == "é"
        assert record["chars"] == 20
    assert json.loads(beams)["nats"] <= json.loads(greedy)["nats"] + 1e-4


def test_an_input_through_a_pipe(
    text: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its final line end is no part of it."""
    Path("one.txt").write_text("bad\n")
    with Path("one.txt").open() as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        piped = text("p.npz", *SHORT)

    assert piped == text("p.npz", "-p", "bad", *SHORT)


@pytest.mark.parametrize(
    "options",
    [
        ["--beam", "2", "-t", "0.5"],
        ["--beam", "2", "-t", "1"],
        ["--beam", "2", "--best-of", "2"],
        ["--beam", "2", "--top-k", "2"],
        ["--beam", "2", "-N", "2"],
        ["--beam", "2", "--stop", "a"],
        ["--beam", "2", "--adapt", "--adapt-output"],
        ["--beam", "2", "-n", "-1"],
        ["--beam", "0"],
        ["--beam", "33"],
        ["--lines", "2"],
    ],
)
def test_what_does_not_go_together(sample: Run, options: list[str]) -> None:
    """Also where the value given is the default of running text."""
    code, out, err = sample("blend.npz", "-p", "a", *options)

    assert (code, out) == (2, b"")
    assert err.splitlines()[-2].startswith(f"charrnn: error: {options[0]} ")
    assert err.splitlines()[-1].startswith("hint: ")


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--top-k", "2"], "without chance"),
        (["--no-repeat", "5"], "only --allow and --ban go with a search"),
        (["--time", "5s"], "an output ends with its line; --length is"),
        (["--stop", "a"], "an output ends with its line; --length is"),
        (["--logprobs", "2", "--json"], "--json tells all beams"),
        (["-N", "2"], "--json tells all beams"),
        (["-n", "-1"], "a search must end: leave --length away"),
    ],
)
def test_it_is_told_why_a_search_has_no_room_for_it(
    sample: Run, options: list[str], hint: str
) -> None:
    code, out, err = sample("p.npz", "-p", "a", "--beam", "2", *options)

    assert (code, out) == (2, b"")
    assert hint in err.splitlines()[-1]


def test_a_search_without_an_end_is_refused_in_python_too() -> None:
    with pytest.raises(charrnn.OptionError, match="beam cannot be combined with"):
        charrnn.load("p.npz").sample("a", beam=2, length=-1)


def test_several_outputs_that_are_the_same_are_warned_of(sample: Run) -> None:
    code, out, err = sample("p.npz", "-p", "bad", "-N", "3", *SHORT)

    assert code == 0
    assert out.decode() == 3 * sample("p.npz", "-p", "bad", *SHORT)[1].decode()
    assert "all 3 outputs are the likeliest one: --temperature 1 draws" in err
    for drawn in (["-N", "3", "-t", "1"], ["-N", "1"]):
        assert sample("p.npz", "-p", "bad", *drawn, *SHORT)[2] == ""


@pytest.mark.parametrize("how", [[], ["-t", "1", "--seed", "1"], ["--beam", "3"]])
def test_an_output_may_end_whatever_else_is_allowed(
    text: Callable[..., str], how: list[str]
) -> None:
    """Unless its end is banned by name."""
    allowed = [*how, "-p", "bad", "--allow", "ab", "-n", "500"]
    found = text("p.npz", *allowed)
    endless = text("p.npz", *allowed, "-e", "--ban", r"\n")

    assert set(found) <= set("ab\n")
    assert len(found) < 501 == len(endless)


@pytest.mark.parametrize(
    ("given", "what", "line"),
    [
        ("bad", "no tab in this line: bad", 1),
        ("bad\tdab\r\ncab\r\n", "no tab in this line: cab", 2),
        ("bad\tdab\ncab\tb\tc\n", "more than one tab in this line", 2),
    ],
)
@pytest.mark.parametrize("method", ["loss", "surprise"])
def test_python_scores_pairs_alone(
    method: str, given: str, what: str, line: int
) -> None:
    score = getattr(charrnn.load("p.npz"), method)
    with pytest.raises(charrnn.CorpusError) as caught:
        score(given)

    assert str(caught.value) == f"{what} (text, line {line})"
    assert (
        str(caught.value.hint) == "write an input, a tab and its output, line by line"
    )


def test_pairs_that_python_scores_may_lack_something() -> None:
    """An end, a whole side, or all between two line ends."""
    model = charrnn.load("p.npz")
    whole = model.surprise("bad\tdab\ncab\tbac\n")

    assert model.surprise("bad\tdab\ncab\tbac").tolist() == whole[:-1].tolist()
    assert model.surprise("\nbad\tdab\n")[1:].tolist() == whole[:8].tolist()
    assert model.loss("bad\t\n") == model.surprise("bad\t\n")[-1]
    assert model.surprise("").tolist() == []


def test_an_option_that_python_refuses_is_not_proposed() -> None:
    with pytest.raises(charrnn.OptionError) as caught:
        charrnn.load("p.npz").sample("a", lines=2)

    assert "num_samples" not in str(caught.value.hint)


def test_beams_are_for_pairs(sample: Run) -> None:
    code, _, err = sample("text.npz", "-p", "a", "--beam", "2")

    assert code == 2
    assert "--beam is for models of pairs" in err
    with pytest.raises(charrnn.CharRNNError, match="beam is for models of pairs"):
        charrnn.load("text.npz").sample("a", beam=2)


def test_an_input_is_needed(sample: Run) -> None:
    code, out, err = sample("p.npz")

    assert (code, out) == (2, b"")
    assert "needs an input" in err


def test_an_empty_column_gives_an_empty_column(sample: Run, tmp_path: Path) -> None:
    empty, output = tmp_path / "empty.txt", tmp_path / "o.txt"
    empty.write_text("")
    column = ["--prompt-lines", "--prompt-file", str(empty)]
    for options in ([], ["--json"], ["--beam", "2"], ["--echo"]):
        assert sample("p.npz", *column, *options) == (0, b"", "")
    output.write_text("what was there")
    assert sample("p.npz", *column, "-o", str(output)) == (0, b"", "")
    assert output.read_text() == ""
    assert sample("text.npz", *column) == (0, b"", "")


@pytest.mark.parametrize(
    ("column", "where"),
    [
        (None, "the prompt"),
        ("-p", "the prompt, line 1"),
        ("\n", "the prompt, line 1"),
        ("\n\n", "the prompt, line 1"),
        ("bad\n\ncab\n", "the prompt, line 2"),
    ],
)
def test_an_empty_input_is_refused_unless_it_is_allowed(
    sample: Run, tmp_path: Path, column: str | None, where: str
) -> None:
    given = ["-p", ""]
    if column == "-p":
        given = ["-p", "", "--prompt-lines"]
    elif column is not None:
        (tmp_path / "column.txt").write_text(column)
        given = ["--prompt-lines", "--prompt-file", str(tmp_path / "column.txt")]
    code, out, err = sample("p.npz", *given)

    assert (code, out) == (4, b"")
    error, hint = err.splitlines()
    assert error == f"charrnn: error: an empty input ({where})"
    assert "--allow-empty" in hint
    code, out, err = sample("p.npz", *given, "--allow-empty", *SHORT)
    assert (code, err) == (0, "")
    assert out.count(b"\n") == len((column or "\n").splitlines())


def test_an_empty_input_is_refused_in_python(sample: Run) -> None:
    model, allowed = charrnn.load("p.npz"), sample("p.npz", "-p", "", "--allow-empty")

    with pytest.raises(charrnn.CorpusError, match="an empty input"):
        model.sample()
    assert model.sample(allow_empty=True) == allowed[1].decode().removesuffix("\n")
    with pytest.raises(charrnn.OptionError, match="allow_empty is about models of"):
        charrnn.load("text.npz").sample(allow_empty=True)
    code, _, err = sample("text.npz", "-p", "", "--allow-empty")
    assert code == 2
    assert "--allow-empty is about models of pairs" in err


def test_an_input_of_which_nothing_is_left_is_empty(
    sample: Run, tmp_path: Path
) -> None:
    (tmp_path / "column.txt").write_text("bxd\nxyz\n")
    column = ["--prompt-lines", "--prompt-file", str(tmp_path / "column.txt")]
    code, out, err = sample("p.npz", *column, "--unknown", "skip", *SHORT)

    assert (code, out) == (4, b"")
    assert "an empty input (the prompt, line 2)" in err
    with pytest.raises(charrnn.CorpusError, match="an empty input"):
        charrnn.load("p.npz").sample("xyz", unknown="skip")
    for options in (["skip", "--allow-empty"], ["replace"]):
        assert sample("p.npz", *column, *SHORT, "--unknown", *options)[0] == 0


@pytest.mark.parametrize("given", ["a\tb", "a\nb"])
def test_an_input_is_a_cell_of_a_column(sample: Run, given: str) -> None:
    """Neither a whole pair nor several inputs."""
    code, out, err = sample("p.npz", "-p", given)

    assert (code, out) == (4, b"")
    assert "in an input" in err
    with pytest.raises(charrnn.CharRNNError, match="in an input"):
        charrnn.load("p.npz").sample(given)


def test_what_is_wrong_with_bytes_is_shown_as_text(sample: Run) -> None:
    code, _, err = sample("byte.npz", "-p", "é\té")

    assert code == 4
    assert r"a tab in an input: é\té (the prompt)" in err


def test_the_line_of_a_wrong_input_is_told(sample: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.txt"
    for line, what in (("a\tb", "a tab in an input"), ("axb", "'x'")):
        wrong.write_text(f"bad\n{line}\ncab\n")
        code, _, err = sample("p.npz", "--prompt-lines", "--prompt-file", str(wrong))

        assert code == 4
        assert what in err
        assert "the prompt, line 2" in err
