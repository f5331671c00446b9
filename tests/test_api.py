"""The way in from Python: the same models, texts and files as the command line."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.__main__ import run as command
from charrnn.checkpoint import CheckpointFile
from charrnn.errors import CorpusError, InputError, OptionError, OutputError, VocabError
from charrnn.textmodel import TextModel

TEXT = "the sea, the sea!\nold houses by the sea.\n" * 30

#: A run of a moment: what it learns does not matter.
QUICK: dict[str, Any] = {"hidden": 8, "steps": 12, "batch_size": 4, "seq_length": 8}
AS_OPTIONS = [
    word
    for name, value in QUICK.items()
    for word in (f"--{name.replace('_', '-')}", str(value))
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty directory, beside one text."""
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text(TEXT)


@pytest.fixture(scope="module")
def model() -> TextModel:
    """Train a model once for those that only look at it."""
    run = charrnn.train(charrnn.Text(TEXT), **QUICK, seed=3)
    list(run)
    return run.model


def test_strings_are_read_with_the_line_ends_of_the_model(model: TextModel) -> None:
    windows, unix = "the sea!\r\nold\r\n", "the sea!\nold\n"

    assert model.loss(windows) == model.loss(unix)
    assert model.surprise(windows).tolist() == model.surprise(unix).tolist()
    assert model.states(windows).tolist() == model.states(unix).tolist()
    sampled = [model.sample(text, length=9, seed=1) for text in (windows, unix)]
    assert sampled[0] == sampled[1]


def test_importing_it_costs_neither_numpy_nor_numba() -> None:
    """Names are there all the same, and looked up on use."""
    program = (
        "import sys, charrnn; print('numpy' in sys.modules, 'numba' in sys.modules);"
        "print(sorted(set(charrnn.__all__) - set(dir(charrnn)))); charrnn.Text('a')"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert result.stdout.split("\n")[:2] == ["False False", "[]"]


def test_every_public_name_is_there() -> None:
    assert all(hasattr(charrnn, name) for name in charrnn.__all__)
    with pytest.raises(AttributeError, match="train_all"):
        charrnn.train_all  # noqa: B018


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": "gru", "norm": "batch", "layers": 2, "dropout": 0.2},
        {"cell": "rnn", "lines": True, "ema": 0.0, "optimizer": "sgd"},
        {"unit": "byte", "val_fraction": 0.3, "weight_dropout": 0.2},
    ],
    ids=["plain", "batch norm", "lines", "bytes"],
)
def test_the_file_is_that_of_the_command_line(options: dict[str, Any]) -> None:
    """Saved by the run or written on its way, the bytes are the same."""
    words = []
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}"] + (
            [] if value is True else [str(value)]
        )
    assert command(["train", "t.txt", "-o", "cli.npz", "-q", *AS_OPTIONS, *words]) == 0
    run = charrnn.train("t.txt", output="api.npz", **QUICK, **options)
    records = list(run)
    run.save("saved.npz")

    assert records[-1].event == "end"
    assert Path("api.npz").read_bytes() == Path("cli.npz").read_bytes()
    assert Path("saved.npz").read_bytes() == Path("cli.npz").read_bytes()
    best = Path("cli.best.npz").read_bytes()
    assert Path("api.best.npz").read_bytes() == best


def test_records_have_the_fields_of_the_json(capfd: pytest.CaptureFixture[str]) -> None:
    words = ["train", "t.txt", "--json", "-q", "--log-every", "1", *AS_OPTIONS]
    assert command(words) == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    records = list(charrnn.train(Path("t.txt"), output=Path("api.npz"), **QUICK))
    told = [event for event in events if event["event"] != "start"]

    assert [record.event for record in records] == [event["event"] for event in told]
    for record, event in zip(records, told, strict=True):
        for name in event.keys() - {"schema", "elapsed", "chars_per_second"}:
            value = getattr(record, name)
            if name == "path":
                assert str(value).startswith("api")
            elif name != "yardsticks":  # measured for the command line only
                assert value == event[name], name


def test_nothing_is_printed_written_or_caught(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run = charrnn.train("t.txt", **QUICK)
    list(run)
    run.model.sample("the", length=5, seed=1)

    assert capfd.readouterr() == ("", "")
    assert [path.name for path in Path().iterdir()] == ["t.txt"]
    assert before == [
        signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
    ]


def test_a_run_can_be_left_and_gone_on_with() -> None:
    """The model is usable in between; the end is that of an undisturbed run."""
    whole, parts = (charrnn.train("t.txt", **QUICK) for _ in range(2))
    list(whole)
    for record in parts:
        if isinstance(record, charrnn.Step) and record.step == 5:
            break
    early = parts.model
    first = early.loss("the old sea")
    list(parts)

    assert np.isfinite(first)
    assert early.loss("the old sea") == first
    assert parts.model.loss("the old sea") == whole.model.loss("the old sea")


def test_a_time_is_a_duration_or_seconds() -> None:
    texts = [charrnn.train("t.txt", hidden=8, time=time) for time in ("1m30s", 90)]

    assert {run.job.trainer.config.time for run in texts} == {90.0}


def test_options_that_are_none_are_not_given() -> None:
    given = charrnn.train("t.txt", **QUICK, cell=None, time=None)
    plain = charrnn.train("t.txt", **QUICK)

    assert given.job.trainer.config == plain.job.trainer.config
    assert given.job.trainer.network.config == plain.job.trainer.network.config


def test_output_is_kept_from_others_until_the_end() -> None:
    run = charrnn.train("t.txt", output="m.npz", **QUICK)
    records = iter(run)
    next(records)
    with pytest.raises(OutputError, match=r"m\.npz"):
        charrnn.train("t.txt", output="m.npz", force=True, **QUICK)
    list(records)
    with pytest.raises(OutputError, match="exists"):
        charrnn.train("t.txt", output="m.npz", **QUICK)
    more = charrnn.train("t.txt", output="m.npz", resume=True, steps=20)

    *_, end = more
    assert isinstance(end, charrnn.Ended)
    assert end.steps == 20


def test_a_cell_of_a_notebook_can_be_run_again() -> None:
    """Whoever has left off, or made a mistake, finds the file free."""
    run = charrnn.train("t.txt", output="m.npz", **QUICK)
    for _ in run:
        break
    wrong = {"unit": "byte", "min_count": 2}
    with pytest.raises(OptionError) as kept:
        charrnn.train("t.txt", output="m.npz", force=True, **QUICK, **wrong)
    again = charrnn.train("t.txt", output="m.npz", force=True, **QUICK)
    list(again)
    list(run)

    assert kept.value.__traceback__ is not None
    assert charrnn.load("m.npz").loss("the sea") == run.model.loss("the sea")


@pytest.mark.parametrize("named", ["sources", "val_file"])
@pytest.mark.parametrize("output", ["other.txt", "./other.txt", "link.txt"])
def test_texts_are_never_written_to(named: str, output: str) -> None:
    """Neither where the last state goes nor where the best one does."""
    Path("other.txt").write_text(TEXT)
    Path("link.txt").symlink_to("other.txt")
    texts = ["t.txt", "other.txt"] if named == "sources" else ["t.txt"]
    held_out = {} if named == "sources" else {"val_file": "other.txt"}
    with pytest.raises(OptionError, match="is a text to read") as caught:
        charrnn.train(*texts, **held_out, output=output, force=True, **QUICK)

    assert caught.value.hint == "name another file with output"
    assert Path("other.txt").read_text() == TEXT
    best = {"output": "m.npz", "val_file": "m.best.npz"}
    Path("m.best.npz").write_text(TEXT)
    with pytest.raises(OptionError, match="is a text to read"):
        charrnn.train("t.txt", **best, force=True, **QUICK)


@pytest.mark.parametrize(
    ("output", "kind", "words"),
    [
        ("", OptionError, "output is empty"),
        ("-", OptionError, "output is the name of a file, not '-'"),
        (3, OptionError, "output is the name of a file, not 3"),
        (".", OutputError, "is a directory"),
        (Path("/"), OutputError, "is a directory"),
    ],
)
def test_an_output_is_a_file(output: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=re.escape(words)):
        charrnn.train("t.txt", output=output, **QUICK)
    assert [path.name for path in Path().iterdir()] == ["t.txt"]


def test_held_out_share_is_understood_before_it_is_compared() -> None:
    """A share of nothing goes with a file, however it is written."""
    for nothing in (0, 0.0, "0"):
        charrnn.train("t.txt", val_file="t.txt", val_fraction=nothing, **QUICK)
    with pytest.raises(OptionError, match="exclude each other"):
        charrnn.train("t.txt", val_file="t.txt", val_fraction="0.2", **QUICK)


def test_a_resumed_run_is_the_undisturbed_one() -> None:
    longer = QUICK | {"steps": 24}
    whole = charrnn.train("t.txt", **longer, schedule="constant", warmup=0)
    list(whole)
    whole.save("whole.npz")
    list(charrnn.train("t.txt", output="m.npz", **QUICK, schedule="constant", warmup=0))
    list(charrnn.train("t.txt", output="m.npz", resume=True, steps=24))

    one, other = (charrnn.load(name).network.theta for name in ("whole.npz", "m.npz"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, []),
        ({"temperature": 0}, ["-t", "0"]),
        ({"top_k": 3, "min_p": 0.01}, ["--top-k", "3", "--min-p", "0.01"]),
        ({"typical": 0.9, "no_repeat": 4}, ["--typical", "0.9", "--no-repeat", "4"]),
        ({"ban": "e", "allow": None}, ["--ban", "e"]),
        ({"logit_bias": {"s": 2.0}}, ["--logit-bias", "s=2"]),
        ({"logit_bias": ["s=-inf"]}, ["--logit-bias", "s=-inf"]),
        ({"stop": "\n"}, ["--stop", "\n"]),
        ({"stop": ["x", "sea"], "include_stop": True},
         ["--stop", "x", "--stop", "sea", "--include-stop"]),
        ({"best_of": 3}, ["--best-of", "3"]),
        ({"no_copy": 5, "corpus": "t.txt"}, ["--no-copy", "5", "--corpus", "t.txt"]),
    ],
)  # fmt: skip
def test_samples_are_those_of_the_command_line(
    model: TextModel,
    capfdbinary: pytest.CaptureFixture[bytes],
    options: dict[str, Any],
    words: list[str],
) -> None:
    model.save("m.npz")
    fixed = ["-p", "the", "--no-echo", "-n", "60", "--seed", "7", "--raw"]
    assert command(["sample", "m.npz", *fixed, *words]) == 0
    expected = capfdbinary.readouterr().out.decode()

    assert model.sample("the", length=60, seed=7, **options) == expected
    assert "".join(model.stream("the", length=60, seed=7, **options)) == expected


def test_a_corpus_may_be_a_text(model: TextModel) -> None:
    """What is not to be copied is where the caller has it."""
    options: dict[str, Any] = {"length": 60, "seed": 7, "no_copy": 5}

    assert model.sample(corpus=charrnn.Text(TEXT), **options) == model.sample(
        corpus="t.txt", **options
    )


def test_without_a_seed_every_sample_is_another(model: TextModel) -> None:
    assert model.sample(length=60) != model.sample(length=60)


def test_surprise_loss_and_states_say_the_same_of_a_text(
    model: TextModel, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are the numbers that `inspect` shows."""
    model.save("m.npz")
    words = ["inspect", "m.npz", "--view", "surprise", "--text", "old sea", "--json"]
    assert command(words) == 0
    view = json.loads(capfd.readouterr().out)["views"]["surprise"]
    nats, states = model.surprise("old sea"), model.states("old sea")

    assert nats.shape == (7,)
    assert nats.dtype == np.float64
    assert (nats / np.log(2)).tolist() == view["char_bits"]
    assert model.loss("old sea") == pytest.approx(nats.mean(), rel=1e-6)
    assert states.shape == (7, 1, 8)
    assert (states[:3] == model.states("old")).all()


def test_empty_texts(model: TextModel) -> None:
    assert model.surprise("").shape == (0,)
    assert model.states("").shape == (0, 1, 8)
    with pytest.raises(CorpusError, match="empty"):
        model.loss("")


def test_unknown_characters_are_refused_skipped_or_replaced(model: TextModel) -> None:
    for method in (model.loss, model.surprise, model.states, model.sample):
        with pytest.raises(VocabError, match="Q"):
            method("Q")
    assert (model.surprise("oQld", unknown="skip") == model.surprise("old")).all()
    assert model.surprise("oQld", unknown="replace").shape == (4,)
    assert model.sample("oQld", unknown="skip", length=5, seed=1) == model.sample(
        "old", length=5, seed=1
    )


@pytest.mark.parametrize(
    "options", [{"lines": True}, {"norm": "batch"}, {"unit": "byte"}]
)
def test_a_model_that_is_saved_alone_is_the_same_model(options: dict[str, Any]) -> None:
    """It has no run any more, and still knows what its documents are."""
    run = charrnn.train(charrnn.Text(TEXT), **QUICK, **options)
    list(run)
    run.model.save("m.npz")
    with CheckpointFile(Path("m.npz")) as file:
        assert file.training is None
        assert file.lines == options.get("lines", False)
    model = charrnn.load("m.npz", threads=1)

    assert (model.surprise(TEXT[:90]) == run.model.surprise(TEXT[:90])).all()
    assert model.sample(length=60, seed=2) == run.model.sample(length=60, seed=2)
    assert model.corpus == run.model.corpus


def test_texts_in_memory_and_in_files_are_the_same_text() -> None:
    odd = "Größe\r\nund\u2028mehr\n" * 20
    Path("odd.txt").write_bytes(odd.encode())
    found = []
    for source in ("odd.txt", charrnn.Text(odd, name="odd.txt")):
        run = charrnn.train(source, val_file=charrnn.Text(odd), **QUICK)
        list(run)
        run.save("m.npz")
        found.append(Path("m.npz").read_bytes())

    assert found[0] == found[1]


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    Path("raw").write_bytes(bytes(range(256)) * 4)
    run = charrnn.train("raw", unit="byte", **QUICK)
    list(run)
    text = run.model.sample(length=200, seed=1)

    assert "\ufffd" in text
    assert "".join(run.model.stream(length=200, seed=1)) == text


MISTAKES: list[tuple[Callable[[TextModel], object], str, str]] = [
    (lambda m: charrnn.train("t.txt", hiden=3), "hiden", "is hidden meant?"),
    (lambda m: charrnn.train("t.txt", hidden=0), "hidden", ""),
    (lambda m: charrnn.train("t.txt", hidden="big"), "hidden", ""),
    (lambda m: charrnn.train("t.txt", hidden=True), "hidden", ""),
    (lambda m: charrnn.train("t.txt", lines="yes"), "lines", ""),
    (lambda m: charrnn.train("t.txt", time="soon"), "time", "30m"),
    (lambda m: charrnn.train("t.txt", cell="lstn"), "cell", "is lstm meant?"),
    (lambda m: charrnn.train("t.txt", threads=0), "threads", ""),
    (lambda m: charrnn.train("t.txt", vocab_size=9), "vocab_size", ""),
    (lambda m: m.sample(temperatur=1), "temperatur", "is temperature meant?"),
    (lambda m: m.sample(temperature="hot"), "temperature", ""),
    (lambda m: m.sample(top_p=2), "top_p", ""),
    (lambda m: m.sample(stop=3), "stop", ""),
    (lambda m: m.sample(num_samples=2), "num_samples", ""),
    (lambda m: m.sample(length=-1), "length", "stream"),
    (lambda m: m.sample(logit_bias="e"), "logit_bias", ""),
]


@pytest.mark.parametrize(("mistake", "name", "hint"), MISTAKES)
def test_an_error_names_the_field_and_never_an_option(
    model: TextModel, mistake: Callable[[TextModel], object], name: str, hint: str
) -> None:
    with pytest.raises(OptionError) as caught:
        mistake(model)

    assert caught.value.field == name
    assert name in str(caught.value)
    assert hint in (caught.value.hint or "")
    assert not re.search(r"(^|\s)--?[a-z]", f"{caught.value} {caught.value.hint}")


@pytest.mark.parametrize(
    "options",
    [
        {"resume": True},
        {"new_corpus": True},
        {"resume": True, "force": True, "output": "m.npz"},
        {"resume": True, "init_from": "m.npz", "output": "m.npz"},
        {"val_file": "t.txt", "val_fraction": 0.2},
    ],
)
def test_options_that_contradict_one_another(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        charrnn.train("t.txt", **options)
    assert not Path("m.npz").exists()


def test_a_name_with_a_nul_is_a_mistake_of_its_own(model: TextModel) -> None:
    """As is any other name that no file can have."""
    words = "no file has a name with a NUL"
    with pytest.raises(InputError, match=words):
        charrnn.load("a\0b")
    with pytest.raises(OptionError, match=words):
        model.save("a\0b")
    with pytest.raises(OptionError, match=words):
        charrnn.train("t.txt", output="a\0b", **QUICK)
