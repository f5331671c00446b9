"""Several checkpoints as one model: sampled, served, inspected, and refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from charrnn.__main__ import run
from tests.cli.training import Train as Call
from tests.factories import write_checkpoint, write_sampled

pytestmark = pytest.mark.usefixtures("beside_models")

#: What the first model has read.
READ = "the cat ate the toad and the bee. then the bee sent one bean\n"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save models that can be mixed, and some that cannot."""
    path = tmp_path_factory.mktemp("models")
    write_sampled(path / "a.npz", remembered=READ)
    text = "xyz the\n"
    write_checkpoint(path / "b.npz", text, cell="gru", hidden=7, layers=1, seed=4)
    write_checkpoint(path / "lines.npz", text, lines=True)
    write_checkpoint(path / "bytes.npz", text, unit="byte")
    write_checkpoint(path / "pairs.npz", "xy\tz\n", pairs=True)
    return path


@pytest.fixture
def call(capsysbinary: pytest.CaptureFixture[bytes]) -> Call:
    """Run a command: its exit code, stdout and stderr."""

    def called(*arguments: str) -> tuple[int, bytes, str]:
        code = run(list(arguments))
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return called


@pytest.fixture
def text(call: Call) -> Any:
    """Sample in silence."""

    def sampled(*arguments: str) -> str:
        code, out, err = call("sample", "-n", "60", "--seed", "3", *arguments)
        assert (code, err) == (0, "")
        return out.decode()

    return sampled


def test_one_model_writes_what_it_writes_alone(text: Any) -> None:
    alone = text("a.npz", "-p", "the ")

    assert text("a.npz", "b.npz", "--mix", "1,0", "-p", "the ") == alone
    assert text("a.npz", "a.npz", "--mix", "0.5,0.5", "-p", "the ") == alone
    assert text("a.npz", "a.npz", "-p", "the ") == alone


def test_weights_and_mode_decide(text: Any) -> None:
    """Equal weights by default; a prompt may have what any of them knows."""
    even = text("a.npz", "b.npz", "-p", "the x")

    assert text("a.npz", "b.npz", "--mix", "2,2", "-p", "the x") == even
    assert text("a.npz", "b.npz", "--mix", ".9,.1", "-p", "the x") != even
    log = text("a.npz", "b.npz", "--mix-mode", "log", "-p", "", "-N", "9")
    assert set(log) <= set("the \n")


def test_a_record_says_what_was_mixed(text: Any) -> None:
    options = "--mix", "3,1", "-p", "the", "--json"
    found = json.loads(text("a.npz", "b.npz", *options, "--logprobs", "2"))

    assert found["sampler"]["mix"] == [0.75, 0.25]
    assert found["sampler"]["mix_mode"] == "linear"
    assert found["sampler"]["blend"] == [0.25, 1.0]
    assert len(set(found["checkpoint_sha256"])) == 2
    cost = -math.fsum(one["logprob"] for one in found["logprobs"])
    assert found["nats"] == pytest.approx(cost)
    alone = json.loads(text("a.npz", "-p", "the", "--json"))
    assert "mix" not in alone["sampler"]
    assert isinstance(alone["checkpoint_sha256"], str)


def test_lines_and_requests_are_answered_as_a_prompt_alone(
    text: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models = ("a.npz", "b.npz", "--mix", "1,2", "--no-echo")
    alone = text(*models, "-p", "the x")
    (tmp_path / "lines.txt").write_text("the x\n")
    with (tmp_path / "lines.txt").open() as lines:
        monkeypatch.setattr("sys.stdin", lines)
        assert text(*models, "--prompt-lines") == alone
    with (tmp_path / "lines.txt").open() as lines:
        monkeypatch.setattr("sys.stdin", lines)
        (answer,) = text(*models, "--serve").splitlines()
        assert answer == alone.removesuffix("\n").replace("\n", "\\n")


def test_options_are_printed_as_a_preset(text: Any, tmp_path: Path) -> None:
    models = ("a.npz", "b.npz", "-p", "the ")
    preset = text(*models, "--mix", "1,3", "--mix-mode", "log", "--show-options")

    assert "mix = [1.0, 3.0]\n" in preset
    (tmp_path / "mine.toml").write_text(preset)
    again = text(*models, "--preset", str(tmp_path / "mine.toml"))
    assert again == text(*models, "--mix", "1,3", "--mix-mode", "log")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("a.npz b.npz --mix 1", 2, "--mix has 1 weight for 2 models"),
        ("a.npz b.npz --mix 1,2,3", 2, "--mix has 3 weights for 2 models"),
        ("a.npz --mix 1,2", 2, "--mix has 2 weights for 1 model\n"),
        ("a.npz b.npz --mix 1,-1", 2, "--mix must be finite numbers from 0 on"),
        ("a.npz b.npz --mix 0,0", 2, "--mix must have a weight above 0"),
        ("a.npz b.npz --mix nan,1", 2, "from 0 on, not nan"),
        ("a.npz b.npz --mix one,two", 2, "--mix must be numbers such as 0.7,0.3"),
        ("a.npz b.npz --mix-mode cubic", 2, "not one of linear, log"),
        ("b.npz lines.npz", 2, "document to lines.npz, and to b.npz"),
        ("b.npz bytes.npz", 2, "b.npz is a model of characters and bytes.npz one of"),
        ("b.npz pairs.npz", 2, "pairs.npz is a model of pairs"),
        ("pairs.npz --mix 1", 2, "pairs.npz is a model of pairs"),
        ("a.npz b.npz --set-unit 0:1=1", 2, "--set-unit cannot be combined"),
        ("a.npz b.npz --blend 0.5", 4, "one has none (b.npz)"),
        ("a.npz b.npz --adapt", 4, "one has none (b.npz)"),
        ("a.npz b.npz -p Q", 4, "not in the vocabulary: 'Q'"),
        ("a.npz b.npz --mix-mode log -p x", 4, "not in the vocabulary: 'x'"),
        ("a.npz b.npz --mix 1,1 --interactive", 2, "--interactive is for one model"),
        ("a.npz gone.npz", 3, "(gone.npz)"),
        ("a.npz old house", 2, "one word too many: 'old'"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(
    call: Call, arguments: str, code: int, words: str
) -> None:
    found, out, err = call("sample", "-p", "", *arguments.split())

    assert (found, out) == (code, b"")
    first, hint = err.splitlines()
    assert first.startswith("charrnn: error: ")
    assert words.strip() in first
    assert hint.startswith("hint: ")


def test_a_weight_of_0_leaves_a_model_out(text: Any) -> None:
    """Also what it would need, such as a memory."""
    models = ("a.npz", "b.npz", "--mix", "1,0", "-p", "the ")

    assert text(*models, "--blend", "0.5") == text("a.npz", *models[4:], "--blend=0.5")


# Inspecting.


def shown(call: Call, *arguments: str) -> dict[str, Any]:
    """Inspect in JSON."""
    code, out, err = call("inspect", *arguments, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_surprise_is_that_of_the_mixture(call: Call) -> None:
    reading = ("--view", "surprise", "--text", "the teeth")
    parts = [
        shown(call, name, *reading)["views"]["surprise"] for name in ("a.npz", "b.npz")
    ]
    both = shown(call, "a.npz", "b.npz", *reading, "--mix", "3,1")

    assert both["checkpoints"] == ["a.npz", "b.npz"]
    assert (both["mix"], both["mix_mode"]) == ([0.75, 0.25], "linear")
    bits = [part["char_bits"] for part in parts]
    wanted = [
        -math.log2(0.75 * 2**-a + 0.25 * 2**-b) for a, b in zip(*bits, strict=True)
    ]
    assert both["views"]["surprise"]["char_bits"] == pytest.approx(wanted, rel=1e-4)


def test_a_text_may_have_what_one_of_them_does_not_know(call: Call) -> None:
    options = ("--view", "surprise", "--text", "the x", "--mix", "1,1")
    found = shown(call, "a.npz", "b.npz", *options)

    assert found["views"]["surprise"]["characters"] == 5
    code, _, err = call("inspect", "a.npz", "b.npz", *options, "--mix-mode", "log")
    assert code == 4
    assert "'x'" in err


def test_comparison_has_a_row_for_the_mixture(call: Call) -> None:
    options = ("--view", "compare", "--text", "the teeth")
    plain = shown(call, "a.npz", "b.npz", *options)["views"]["compare"]
    mixed = shown(call, "a.npz", "b.npz", *options, "--mix", "1,1")["views"]["compare"]

    assert "mixture" not in plain
    assert mixed["checkpoints"] == plain["checkpoints"]
    bits = mixed["mixture"]["bits"]
    # The mean of probabilities is at most two times as bad as the better one.
    best = min(row["text"]["bits"] for row in plain["checkpoints"])
    assert bits <= best + 9
    _, out, _ = call("inspect", "a.npz", "b.npz", *options, "--mix", "1,1", "--plain")
    names, *rows = [line.split("\t") for line in out.decode().splitlines()]
    assert [row[0] for row in rows] == ["a.npz", "b.npz", "mixture"]
    assert float(rows[-1][names.index("bits")]) == pytest.approx(bits)
    _, out, _ = call("inspect", "a.npz", "b.npz", *options, "--mix", "1,1")
    assert "linear 0.5, 0.5" in out.decode()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--view next --mix 1,1 --text x", "no view that it is about"),
        ("--view surprise --mix 1 --text x", "1 weight for 2 models"),
        ("--view compare --mix 1,1", "--mix does nothing without --text"),
        ("--view surprise --mix-mode log --text x", "does nothing without --mix"),
        ("--view surprise --mix 1,1 --text x --html -", "--html cannot be combined"),
    ],
)
def test_what_cannot_be_inspected_is_told_in_a_line(
    call: Call, options: str, words: str
) -> None:
    code, out, err = call("inspect", "a.npz", "b.npz", *options.split())

    assert (code, out) == (2, b"")
    assert words in err.splitlines()[0]
