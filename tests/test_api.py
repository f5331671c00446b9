"""The way in from Python: the same models, texts and files as the command line."""

import copy
import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import charrnn
from charrnn import api
from charrnn.__main__ import run as command
from charrnn.checkpoint import CheckpointFile
from charrnn.cli import sample as sample_command
from charrnn.cli import train as train_command
from charrnn.errors import CorpusError, OptionError, OutputError, VocabError
from charrnn.generation import asked
from charrnn.keywords import SampleOptions, TrainOptions
from charrnn.options import OptionTable
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
    """And `dir` lists nothing else."""
    assert all(hasattr(charrnn, name) for name in charrnn.__all__)
    assert dir(charrnn) == sorted(charrnn.__all__)
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
            elif name == "blend":
                for key in ("share", "order", "loss"):
                    assert getattr(value, key) == event[name][key]
            elif name != "yardsticks":  # measured for the command line only
                assert value == event[name], name


def test_what_the_loss_is_compared_with_is_measured_on_demand(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert command(["train", "t.txt", "--json", "-q", *AS_OPTIONS]) == 0
    told = json.loads(capfd.readouterr().out.splitlines()[-1])["yardsticks"]
    run = charrnn.train("t.txt", **QUICK)
    found = run.baselines()

    assert found is not None
    assert found.order0 == told["order0"]["loss"]
    assert charrnn.train("t.txt", **QUICK, val_fraction=0).baselines() is None


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
    wrong: dict[str, Any] = {"unit": "byte", "min_count": 2}
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
    held_out: Any = {} if named == "sources" else {"val_file": "other.txt"}
    with pytest.raises(OptionError, match="is a text to read") as caught:
        charrnn.train(*texts, **held_out, output=output, force=True, **QUICK)

    assert caught.value.hint == "name another file with output"
    assert Path("other.txt").read_text() == TEXT
    best: Any = {"output": "m.npz", "val_file": "m.best.npz"}
    Path("m.best.npz").write_text(TEXT)
    with pytest.raises(OptionError, match="is a text to read"):
        charrnn.train("t.txt", **best, force=True, **QUICK)


@pytest.mark.parametrize(
    ("output", "kind", "words"),
    [
        ("", OptionError, "output is empty"),
        ("-", OptionError, "output is the name of a file, not '-'"),
        (3, OptionError, "output must be a path, not 3"),
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
        ({"stop": ["ho", "sea"], "include_stop": True},
         ["--stop", "ho", "--stop", "sea", "--include-stop"]),
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


#: What is called here as no type checker would let it be called.
train: Any = charrnn.train
load: Any = charrnn.load
text: Any = charrnn.Text

MISTAKES: list[tuple[Callable[[Any], object], str, str]] = [
    (lambda m: train("t.txt", hiden=3), "hiden", "is hidden meant?"),
    (lambda m: train("t.txt", hidden=0), "hidden", ""),
    (lambda m: train("t.txt", hidden="big"), "hidden", ""),
    (lambda m: train("t.txt", hidden=True), "hidden", ""),
    (lambda m: train("t.txt", lines="yes"), "lines", ""),
    (lambda m: train("t.txt", time="soon"), "time", "30m"),
    (lambda m: train("t.txt", cell="lstn"), "cell", "is lstm meant?"),
    (lambda m: train("t.txt", threads=0), "threads", ""),
    (lambda m: train("t.txt", vocab_size=9), "vocab_size", ""),
    (lambda m: m.sample(temperatur=1), "temperatur", "is temperature meant?"),
    (lambda m: m.sample(temperature="hot"), "temperature", ""),
    (lambda m: m.sample(top_p=2), "top_p", ""),
    (lambda m: m.sample(stop=3), "stop", ""),
    (lambda m: m.sample(num_samples=2), "num_samples", ""),
    (lambda m: m.sample(length=-1), "length", "stream"),
    (lambda m: m.sample(logit_bias="e"), "logit_bias", ""),
    (lambda m: m.sample(logit_bias="ee=1"), "logit_bias", "each character"),
    (lambda m: train("t.txt", log_file="a"), "log_file", "records"),
    (lambda m: train("t.txt", log_every=1), "log_every", "records"),
    (lambda m: train("t.txt", dry_run=True), "dry_run", "iterated"),
    (lambda m: m.sample(stream=False), "stream", "model.stream"),
    (lambda m: m.sample(threads=1), "threads", "load"),
    (lambda m: m.sample(b"the"), "prompt", "decode"),
    (lambda m: m.stream(length=3, ban=b"e"), "ban", ""),
    (lambda m: m.loss(b"the"), "text", "decode"),
    (lambda m: m.loss(None), "text", ""),
    (lambda m: m.surprise(["the"]), "text", ""),
    (lambda m: m.states(3), "text", ""),
    (lambda m: m.save(None), "path", ""),
    (lambda m: m.save(b"m.npz"), "path", ""),
    (lambda m: m.save("m\0.npz"), "path", ""),
    (lambda m: m.sample(no_copy=4, corpus=3), "corpus", "charrnn.Text"),
    (lambda m: m.sample(no_copy=4, corpus=["t.txt", b"t"]), "corpus", "charrnn.Text"),
    (lambda m: train(b"t.txt"), "sources", "charrnn.Text"),
    (lambda m: train(["t.txt"]), "sources", "charrnn.Text"),
    (lambda m: train(None), "sources", "charrnn.Text"),
    (lambda m: train("t\0.txt"), "sources", ""),
    (lambda m: train("t.txt", val_file=3), "val_file", "charrnn.Text"),
    (lambda m: train("t.txt", init_from="m\0.npz"), "init_from", ""),
    (lambda m: train("t.txt", output="m\0.npz"), "output", ""),
    (lambda m: train("t.txt", output=b"m.npz"), "output", ""),
    (lambda m: load(None), "path", ""),
    (lambda m: load(b"m.npz"), "path", ""),
    (lambda m: load("m\0.npz"), "path", ""),
    (lambda m: load("m.npz", threads="two"), "threads", ""),
    (lambda m: load("m.npz", threads=0), "threads", ""),
    (lambda m: load("m.npz", threads=True), "threads", ""),
    (lambda m: text(b"the sea"), "text", "decode"),
    (lambda m: text(None), "text", ""),
    (lambda m: text("the sea", name=3), "name", ""),
]


@pytest.mark.parametrize(("mistake", "name", "hint"), MISTAKES)
def test_an_error_names_the_field_and_never_an_option(
    model: TextModel, mistake: Callable[[Any], object], name: str, hint: str
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
    with pytest.raises(OptionError, match=words):
        charrnn.load("a\0b")
    with pytest.raises(OptionError, match=words):
        model.save("a\0b")
    with pytest.raises(OptionError, match=words):
        charrnn.train("t.txt", output="a\0b", **QUICK)


def test_every_error_and_record_can_be_caught_and_named() -> None:
    """Whatever kind of error there is, it is in the package itself."""
    errors = {
        name
        for name, kind in vars(charrnn.errors).items()
        if isinstance(kind, type) and issubclass(kind, charrnn.CharRNNError)
    }

    assert errors <= {*charrnn.__all__}
    assert {kind.__name__ for kind in get_args(charrnn.Record)} <= {*charrnn.__all__}
    assert isinstance(charrnn.train("t.txt", **QUICK), charrnn.Run)


#: The options of a command of the same name, and what the method takes.
TABLES = [
    (train_command.OPTIONS, api.OPTIONS, TrainOptions),
    (sample_command.OPTIONS, asked.OPTIONS, SampleOptions),
]


@pytest.mark.parametrize(("of_command", "of_python", "typed"), TABLES)
def test_whatever_the_command_has_beside_python_is_explained(
    of_command: OptionTable, of_python: OptionTable, typed: Any
) -> None:
    names = [{e.name for e in table.entries} for table in (of_command, of_python)]
    switches = {"color", "progress", "quiet", "verbose"}

    # A prompt is what the method takes first.
    assert {*of_python.elsewhere} == (names[0] | switches) - names[1] - {"prompt"}


@pytest.mark.parametrize(("of_command", "of_python", "typed"), TABLES)
def test_type_checkers_know_every_option(
    of_command: OptionTable, of_python: OptionTable, typed: Any
) -> None:
    """Names, choices, and what a value may be."""
    hints = get_type_hints(typed)
    entries = {entry.name: entry for entry in of_python.entries}

    assert {*hints} == {*entries} - {"num_samples", "logprobs"}
    for name, hint in hints.items():
        entry = entries[name]
        kinds = get_args(hint)
        assert type(None) in kinds, name
        words = {word for kind in kinds for word in get_args(kind)}
        if get_origin(entry.annotation) is Literal:
            assert words == {*entry.choices}, name
        elif entry.type in (int, float, bool, str) and not entry.many:
            assert entry.type in kinds, name


def test_what_is_true_for_numpy_is_true() -> None:
    """NumPy's numbers and truth values are taken where Python's are."""
    given: Any = {"lines": np.True_, "hidden": np.int32(8), "lr": np.float32(0.25)}
    config = charrnn.train("t.txt", **(QUICK | given)).job.trainer.config

    assert config.lines is True
    assert config.lr == 0.25
    with pytest.raises(OptionError, match="hidden must be a whole number"):
        charrnn.train("t.txt", **(QUICK | {"hidden": np.True_}))


def test_a_number_of_threads_may_be_numpys_or_a_text(model: TextModel) -> None:
    model.save("m.npz")

    assert load("m.npz", threads="1").network.threads == 1
    assert load("m.npz", threads=np.int64(1)).network.threads == 1


@pytest.mark.parametrize("given", [TEXT, "the sea " * 40])
def test_a_text_in_place_of_a_path_is_not_told_whole(
    model: TextModel, given: str
) -> None:
    """What is meant is said instead."""
    options: dict[str, Any] = {"no_copy": 4, "corpus": given}
    for wrong in (
        lambda: charrnn.train(given, **QUICK),
        lambda: charrnn.train("t.txt", val_file=given, **QUICK),
        lambda: model.sample(length=3, **options),
    ):
        with pytest.raises(charrnn.InputError) as caught:
            wrong()
        assert len(str(caught.value)) < 120
        assert "\n" not in str(caught.value)
        assert "charrnn.Text" in (caught.value.hint or "")
    with pytest.raises(charrnn.InputError) as too_long:
        charrnn.load("the sea " * 40)
    assert len(str(too_long.value)) < 120


def test_a_path_that_is_too_long_is_not_told_whole(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """By the command line, which cannot know that a text is meant."""
    words = ["train", "t.txt", "-q", "--val-file", "the sea " * 40, *AS_OPTIONS]
    assert command(words) == 3
    assert len(capfd.readouterr().err) < 200


def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has bytes: a notebook's has none."""
    stdin = io.TextIOWrapper(io.BytesIO(TEXT.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert charrnn.train("-", **QUICK).job.corpus.characters == len(TEXT)
    monkeypatch.setattr(sys, "stdin", io.StringIO(TEXT))
    with pytest.raises(charrnn.InputError, match="standard input cannot be read"):
        charrnn.train("-", **QUICK)


def test_a_name_with_a_line_break_is_a_name() -> None:
    Path("a\nb.txt").write_text(TEXT)

    assert charrnn.train("a\nb.txt", **QUICK).job.corpus.characters == len(TEXT)


def test_what_is_shown_of_objects_is_short(model: TextModel) -> None:
    run = charrnn.train("t.txt", **QUICK, cell="gru", layers=2)
    before = repr(run)
    list(run)

    assert before == "<Run 2 x gru 8, step 0 of 12>"
    assert re.fullmatch(r"<Run .*, step 12 of 12, validation loss \d\.\d+>", repr(run))
    expected = (
        f"<TextModel lstm 8, 16 characters, {model.network.theta.size:,} parameters"
    )
    assert repr(model) == f"{expected}, of text>"
    assert repr(charrnn.Text("sea")) == "<Text 'sea', 3 characters>"
    long = charrnn.Text(TEXT, name="a.txt")
    assert len(repr(long)) < 90
    assert "name='a.txt', 1,230 characters" in repr(long)


def test_half_a_character_of_a_string_is_found() -> None:
    """A string has no encoding that could be wrong."""
    broken = charrnn.Text("the\ud800sea" * 100)
    with pytest.raises(CorpusError) as caught:
        charrnn.train(broken, **QUICK)

    assert "U+D800" in str(caught.value)
    assert "character 4" in str(caught.value)
    assert "cp1252" not in (caught.value.hint or "")
    charrnn.train(broken, **QUICK, unit="byte")


def test_what_does_nothing_is_warned_of(
    model: TextModel, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the words of the command line, with fields; where it is called."""
    model.save("m.npz")
    words = ["--ban", "Q", "--allow", "eZ", "--logit-bias", "X=1", "--stop", "Y"]
    assert command(["sample", "m.npz", "-n", "3", *words]) == 0
    told = re.findall("warning: (.*)", capfd.readouterr().err)
    options: dict[str, Any] = {"ban": "Q", "allow": "eZ", "logit_bias": "X=1"}
    with pytest.warns(UserWarning, match="never writes") as caught:
        model.sample(length=3, stop="Y", **options)
    found = [str(warning.message) for warning in caught]

    assert len(found) == 4
    assert [re.sub("--logit-bias", "logit_bias", t).lstrip("-") for t in told] == found
    assert {warning.filename for warning in caught} == {__file__}


def test_what_no_other_cell_has_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """By the command line as well."""
    for cell in ("rnn", "gru"):
        with pytest.raises(OptionError, match="forget_bias needs cell='lstm'"):
            charrnn.train("t.txt", **QUICK, cell=cell, forget_bias=2)
    words = ["--cell", "gru", "--forget-bias", "2"]
    assert command(["train", "t.txt", *words, *AS_OPTIONS]) == 2
    assert "--forget-bias needs --cell lstm, not gru" in capfd.readouterr().err


def test_a_second_thread_is_refused() -> None:
    """It may have the model, and save; and take over once the first has left off."""
    run = charrnn.train("t.txt", **QUICK)
    records = iter(run)
    next(records)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(charrnn.CharRNNError, match="already") as caught:
            pool.submit(list, run).result()
        pool.submit(run.save, "m.npz").result()
        expected = run.model.loss("the sea")
        assert pool.submit(lambda: run.model.loss("the sea")).result() == expected
        assert "run.model" in (caught.value.hint or "")
        # The records themselves may be asked for by any thread.
        assert pool.submit(next, records).result().event == "step"
        del records
        *_, end = pool.submit(list, run).result()
    whole = charrnn.train("t.txt", **QUICK)
    list(whole)

    assert end.event == "end"
    assert run.model.loss("the sea") == whole.model.loss("the sea")


def test_a_loop_that_an_error_has_left_can_be_begun_again() -> None:
    """Though the error keeps the loop alive."""
    run = charrnn.train("t.txt", output="m.npz", **QUICK)

    def fail() -> None:
        for _ in run:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as kept:
        fail()
    *_, end = run

    assert kept.value.__traceback__ is not None
    assert end.event == "end"


def test_a_run_is_not_copied() -> None:
    with pytest.raises(TypeError, match="model"):
        copy.deepcopy(charrnn.train("t.txt", **QUICK))


def test_a_model_is_loaded_though_the_rest_is_damaged() -> None:
    """As the documentation says: moments are read when the run is resumed."""
    list(charrnn.train("t.txt", output="m.npz", **QUICK))
    expected = charrnn.load("m.npz").loss("the sea")
    data = bytearray(Path("m.npz").read_bytes())
    data[data.index(b"adam.m.npy") + 400] ^= 1
    Path("m.npz").write_bytes(data)

    assert charrnn.load("m.npz").loss("the sea") == expected
    with pytest.raises(charrnn.CheckpointError, match=r"checksum mismatch in adam\.m"):
        charrnn.train("t.txt", output="m.npz", resume=True, steps=20)
