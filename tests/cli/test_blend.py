"""Predicting with a memory, without one, and by the network alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.__main__ import run
from charrnn.checkpoint import CheckpointFile
from tests.factories import write_sampled

pytestmark = pytest.mark.usefixtures("beside_models")

Sample = Callable[..., tuple[int, bytes, str]]

#: What the model has read: a network of random weights knows nothing of it.
READ = "the cat ate the toad and the bee. then the bee sent one bean\n"

PREDICTING = ("next", "surprise", "compare", "diversity")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save one model three times: with a memory, without, and in mid-run."""
    path = tmp_path_factory.mktemp("models")
    write_sampled(path / "with.npz", remembered=READ)
    write_sampled(path / "without.npz")
    write_sampled(path / "running.npz", remembers=True)
    return path


@pytest.fixture
def call(capsysbinary: pytest.CaptureFixture[bytes]) -> Sample:
    """Run the command, and return exit code, stdout and stderr."""

    def called(*arguments: str) -> tuple[int, bytes, str]:
        code = run(list(arguments))
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return called


@pytest.fixture
def text(call: Sample) -> Callable[..., str]:
    """Sample in silence."""

    def sampled(*arguments: str) -> str:
        options = ("-p", "the ", "-n", "200", "--seed", "3", "--raw", "--no-echo")
        code, out, err = call("sample", *arguments, *options)
        assert (code, err) == (0, "")
        return out.decode()

    return sampled


# Samples.


def test_a_sample_is_blended_unless_it_is_told_otherwise(text: Any) -> None:
    blended = text("with.npz")

    assert text("with.npz", "--blend", "auto") == blended
    assert text("with.npz", "--blend", "0.25") == blended  # what the file says
    assert text("with.npz", "--blend", "0") != blended
    assert text("with.npz", "--blend", "1") != blended
    # Words that a network of random weights does not write.
    assert "the cat" in text("with.npz", "--blend", "0")


def test_the_network_alone_is_what_it_was(text: Any) -> None:
    alone = text("without.npz")

    assert text("without.npz", "--blend", "1") == alone
    assert text("without.npz", "--blend", "auto") == alone
    assert text("with.npz", "--blend", "1") == alone


@pytest.mark.promise(name="same")
@pytest.mark.parametrize("blend", ["auto", 1, 0.5, 0])
def test_python_writes_the_same(text: Any, blend: Any) -> None:
    model = charrnn.load("with.npz")

    sample = model.sample("the ", length=200, seed=3, blend=blend)

    assert sample == text("with.npz", "--blend", str(blend))


@pytest.mark.promise(name="frugal")
def test_a_memory_of_no_use_is_not_read(text: Any, call: Sample) -> None:
    """A damaged one keeps nobody from the network alone."""
    data = bytearray(Path("with.npz").read_bytes())
    with CheckpointFile(Path("with.npz")) as file:
        memory = file.read_memory()
    assert memory is not None
    data[data.index(memory.ids.tobytes())] ^= 1
    Path("damaged.npz").write_bytes(data)

    assert text("damaged.npz", "--blend", "1") == text("without.npz")
    for view in ("summary", "weights"):
        assert call("inspect", "damaged.npz", "--view", view)[0] == 0
    for arguments in (
        ("sample", "damaged.npz", "-n", "5"),
        ("inspect", "damaged.npz", "--view", "surprise", "--text", "cat"),
        ("inspect", "damaged.npz", "--verify"),
    ):
        code, _, err = call(*arguments)
        assert code == 5
        assert "checksum mismatch in memory" in err
    code, _, _ = call(
        "inspect", "damaged.npz", "--view", "neurons", "--text", "the cat ate"
    )
    assert code == 0


@pytest.mark.parametrize(("blend", "share"), [("auto", 0.25), ("1", 1), ("0.5", 0.5)])
def test_json_tells_the_share(call: Sample, blend: str, share: float) -> None:
    _, out, _ = call("sample", "with.npz", "-n", "5", "--json", "--blend", blend)

    assert json.loads(out)["sampler"]["blend"] == share


def test_json_of_a_network_alone_tells_its_share(call: Sample) -> None:
    _, out, _ = call("sample", "without.npz", "-n", "5", "--json")

    assert json.loads(out)["sampler"]["blend"] == 1


def test_a_blend_without_a_memory_is_4(call: Sample) -> None:
    """Before anything is written; it says what to do."""
    code, out, err = call("sample", "without.npz", "--blend", "0.5")

    assert (code, out) == (4, b"")
    assert err.startswith("charrnn: error: --blend 0.5 needs a model with a memory")
    assert "\nhint: leave --blend away for the network alone" in err
    assert "--no-memory" in err


@pytest.mark.parametrize("blend", ["-0.1", "1.1", "nan", "inf", "half", ""])
def test_shares_out_of_range_are_2(call: Sample, blend: str) -> None:
    for arguments in (
        ("sample", "with.npz"),
        ("inspect", "with.npz", "--view", "next", "--text", "cat"),
    ):
        code, out, err = call(*arguments, "--blend", blend)
        assert (code, out) == (2, b"")
        assert err.startswith("charrnn: error: --blend ")
        assert "\nhint: " in err


def test_a_run_that_has_not_ended_is_told_of(call: Sample) -> None:
    """A note, and never a failure; not to whoever wants the network alone."""
    code, out, err = call("sample", "running.npz", "-n", "9", "--seed", "1")
    assert code == 0
    assert err == (
        "charrnn: the network predicts alone: its training has not ended, and the "
        "text is stored with the model at the end\n"
    )
    assert call("sample", "without.npz", "-n", "9", "--seed", "1") == (0, out, "")
    alone = ("--seed", "1", "--blend", "1")
    assert call("sample", "running.npz", "-n", "9", *alone) == (0, out, "")
    assert call("sample", "running.npz", "-n", "9", "--seed", "1", "-q")[2] == ""


# What was read is not copied.


def grams(text: str, n: int) -> set[str]:
    """Find all runs of n characters."""
    return {text[i : i + n] for i in range(len(text) - n + 1)}


@pytest.mark.parametrize("blend", ["auto", "0", "1"])
def test_nothing_is_copied_from_the_memory(text: Any, blend: str) -> None:
    copied = text("with.npz", "--blend", "0")
    assert grams(copied, 5) & grams(READ, 5)

    own = text("with.npz", "--blend", blend, "--no-copy", "5")

    assert not grams("the " + own, 5) & grams(READ, 5)


def test_a_corpus_goes_before_the_memory(text: Any) -> None:
    Path("other.txt").write_text("abab")

    free = text("with.npz", "--no-copy", "5", "--corpus", "other.txt")

    assert free == text("with.npz")


def test_no_copy_needs_a_text(call: Sample) -> None:
    code, out, err = call("sample", "without.npz", "--no-copy", "5")
    assert (code, out) == (2, b"")
    assert "--no-copy needs --corpus: the checkpoint has no memory" in err
    code, out, err = call("sample", "with.npz", "--corpus", "x.txt")
    assert (code, out) == (2, b"")
    assert "--corpus does nothing without --no-copy" in err


# Views.


def seen(call: Sample, file: str, view: str, *options: str) -> Any:
    """Take the data of a view that needs no kernels of its own."""
    text = () if view == "diversity" else ("--text", "the cat ate a toad")
    code, out, err = call("inspect", file, "--view", view, "--json", *text, *options)
    assert (code, err) == (0, "")
    data = json.loads(out)["views"][view]
    for item in data.get("checkpoints", []):
        del item["checkpoint"]
    return data


@pytest.mark.parametrize("view", PREDICTING)
def test_views_predict_with_the_memory(call: Sample, view: str) -> None:
    """By what the file says, by what is asked for, or by the network alone."""
    blended = seen(call, "with.npz", view)

    assert seen(call, "with.npz", view, "--blend", "0.25") == blended
    assert seen(call, "with.npz", view, "--blend", "0") != blended
    alone = seen(call, "with.npz", view, "--blend", "1")
    assert alone == seen(call, "without.npz", view) != blended


def test_a_text_that_was_read_surprises_less(call: Sample) -> None:
    bits = [
        seen(call, "with.npz", "surprise", "--blend", blend)["bits_per_char"]
        for blend in ("0", "0.25", "1")
    ]

    assert bits == sorted(bits)
    assert bits[2] > 2 * bits[0]


def test_python_is_surprised_alike(call: Sample) -> None:
    nats = charrnn.load("with.npz").surprise("the cat ate a toad").sum()

    assert seen(call, "with.npz", "surprise")["nats"] == pytest.approx(nats)


@pytest.mark.parametrize("view", PREDICTING)
def test_views_without_a_memory_are_4(call: Sample, view: str) -> None:
    text = () if view == "diversity" else ("--text", "cat")
    code, out, err = call(
        "inspect", "without.npz", "--view", view, *text, "--blend", "0.5"
    )

    assert (code, out) == (4, b"")
    assert "--blend 0.5 needs a model with a memory" in err
    assert "without.npz" in err


def test_a_blend_of_nothing_that_predicts_is_2(call: Sample) -> None:
    code, out, err = call("inspect", "with.npz", "--blend", "0.5")

    assert (code, out) == (2, b"")
    assert "--blend is given, but no view that it is about" in err


def test_views_tell_of_a_run_that_has_not_ended(call: Sample) -> None:
    arguments = ("inspect", "running.npz", "--view", "surprise", "--text", "cat")
    code, _, err = call(*arguments)
    assert code == 0
    assert err.startswith("charrnn: note: the network predicts alone")
    assert call(*arguments, "--blend", "1")[2] == ""
    assert call("inspect", "running.npz")[2] == ""


def test_the_summary_says_that_the_text_is_there(call: Sample) -> None:
    _, out, _ = call("inspect", "with.npz", "--json")
    memory = {"characters": len(READ), "bytes": len(READ), "order": 4, "share": 0.25}
    assert json.loads(out)["views"]["summary"]["memory"] == memory

    shown = " ".join(call("inspect", "with.npz")[1].decode().split())
    said = f"contains the training text, in recoverable form: {len(READ)} characters"
    assert f"memory {said}" in shown
    assert "predicts by 25.0% network, 75.0% 4-grams of the text" in shown
    assert "memory" not in call("inspect", "without.npz")[1].decode()
    _, out, _ = call("inspect", "without.npz", "--json")
    assert json.loads(out)["views"]["summary"]["memory"] is None


def test_a_page_shows_what_the_views_say(call: Sample) -> None:
    """Its explorer has the same guesses as the view."""
    pages = []
    for blend in ("0", "1"):
        code, out, _ = call(
            *("inspect", "with.npz", "--view", "next", "--text", "the cat ate"),
            *("--html", "-", "--blend", blend),
        )
        assert code == 0
        pages.append(out)

    assert pages[0] != pages[1]


# Counts that go on.


def test_a_prompt_is_gone_on_with_in_its_own_words(call: Sample) -> None:
    """Its name is written again, unless the network predicts alone."""
    prompt = ("-p", "the bodot ate bodot and bodot and b", "-n", "9", "-t", "0")

    def go_on(file: str, *options: str) -> str:
        code, out, err = call("sample", file, *prompt, "--no-echo", "--raw", *options)
        assert (code, err) == (0, "")
        return out.decode()

    assert not go_on("with.npz", "--blend", "0").startswith("odot")
    assert go_on("with.npz", "--blend", "0", "--adapt").startswith("odot")
    assert go_on("with.npz", "--blend", "1", "--adapt") == go_on("without.npz")


def test_what_adapts_needs_a_memory(call: Sample) -> None:
    for arguments in (
        ("sample", "without.npz"),
        ("inspect", "without.npz", "--view", "surprise", "--text", "cat"),
    ):
        code, out, err = call(*arguments, "--adapt")
        assert (code, out) == (4, b"")
        assert "--adapt needs a model with a memory" in err
        assert "hint: leave --adapt away" in err
    code, out, err = call("sample", "with.npz", "--adapt-output")
    assert (code, out) == (2, b"")
    assert "--adapt-output does nothing without --adapt" in err


def test_samples_say_how_they_were_made(call: Sample) -> None:
    code, out, _ = call("sample", "with.npz", "--json", "-n", "3", "--adapt")

    assert code == 0
    sampler = json.loads(out)["sampler"]
    assert (sampler["adapt"], sampler["adapt_output"]) == (True, False)


def test_an_adapted_figure_stands_beside_the_static_one(call: Sample) -> None:
    """What others tell of a text is static."""
    text = ("--text", "the bodot ate bodot and bodot and bodot")

    def view(name: str, *options: str) -> Any:
        code, out, err = call(
            "inspect", "with.npz", "--view", name, "--json", *text, *options
        )
        assert (code, err) == (0, "")
        return json.loads(out)["views"][name]

    fixed, adapted = view("surprise"), view("surprise", "--adapt")
    cost, static = view("compare", "--adapt"), pytest.approx(fixed["bits_per_char"])
    (cost,) = (found["text"] for found in cost["checkpoints"])

    assert fixed["static_bits_per_char"] is None
    assert adapted["static_bits_per_char"] == static
    assert adapted["bits_per_char"] < fixed["bits_per_char"]
    assert cost["bits_per_char"] == pytest.approx(adapted["bits_per_char"])
    assert cost["static_bits_per_char"] == static
    code, out, _ = call("inspect", "with.npz", "--view", "compare", *text, "--adapt")
    assert code == 0
    assert b"unadapted" in out


@pytest.mark.parametrize(("blend", "share"), [("0.25", 0.25), ("1", 1.0)])
def test_compared_texts_say_what_predicted_them(
    call: Sample, blend: str, share: float
) -> None:
    """Beside a blended loss stands the validation loss of the network alone."""
    view = ("inspect", "with.npz", "--view", "compare", "--text", "a boat")
    found = json.loads(call(*view, "--blend", blend, "--json")[1])
    _, out, _ = call(*view, "--blend", blend)

    (compared,) = found["views"]["compare"]["checkpoints"]
    assert compared["text"]["network_share"] == share
    assert (b"by network and n-grams" in out) == (share < 1)
