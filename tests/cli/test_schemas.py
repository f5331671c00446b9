"""`charrnn inspect --schema`: every JSON output is as its schema says."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator as Validator

from charrnn.__main__ import run
from charrnn.cli.schemas import DRAFT, MAKERS, schema_named
from charrnn.cli.schemas.inspection import VIEWS
from charrnn.cli.serving import OPTIONS
from charrnn.inspection import registry
from tests.cli.training import LOGGED, SHORT, Train, objects
from tests.factories import PAIRS_TEXT, TEXT, write_checkpoint, write_sampled
from tests.toy_view import make_known
from tests.training.support import PAIRS
from tests.views import OF_PAIRS, OF_TEXT

Run = Callable[..., tuple[int, bytes, str]]


def check(name: str, out: bytes | str) -> list[dict[str, Any]]:
    """Hold every line of an output to a schema, and read them."""
    found = objects(out)
    validator = Validator(schema_named(name))
    wrong = [
        f"{error.json_path}: {error.message}"
        for line in found
        for error in validator.iter_errors(line)
    ]
    assert not wrong
    assert found
    return found


def parts(schema: Any, path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """List a schema and all that are inside of it, each with where it stands."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for key in ("properties", "$defs"):
        for name, each in schema.get(key, {}).items():
            yield from parts(each, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        yield from parts(schema.get(key), f"{path}.{key}")
    for key in ("oneOf", "anyOf"):
        for n, each in enumerate(schema.get(key, [])):
            yield from parts(each, f"{path}.{key}{n}")


@pytest.mark.parametrize("name", MAKERS)
def test_it_is_printed_without_a_checkpoint(name: str, capsys: Any) -> None:
    assert run(["inspect", "--schema", name]) == 0
    schema = json.loads(capsys.readouterr().out)

    Validator.check_schema(schema)
    assert schema == schema_named(name)
    assert schema["$schema"] == DRAFT
    assert schema["title"]


def test_names_are_listed(capsys: Any) -> None:
    assert run(["inspect", "--schema", "list"]) == 0
    assert capsys.readouterr().out.split() == list(MAKERS)


@pytest.mark.parametrize("given", [["trian"], [""], []])
def test_what_has_no_name_is_2(given: list[str], capsys: Any) -> None:
    assert run(["inspect", "--schema", *given]) == 2
    found = capsys.readouterr()

    assert found.out == ""
    assert all(name in found.err.partition("hint: ")[2] for name in MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_unnamed_is_allowed_and_all_is_explained(name: str) -> None:
    for path, part in parts(schema_named(name)):
        if "properties" in part:
            assert part["additionalProperties"] is False, path
        for member, each in part.get("properties", {}).items():
            assert "$ref" in each or each["description"].endswith("."), (path, member)


def test_every_view_has_a_schema() -> None:
    assert set(VIEWS) == set(registry.BUILT_IN)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("train", {"new": 1}),
        ("train", {"steps": "ten"}),
        ("train", {"blend": {"share": 0.5}}),
        ("train", {"event": "begin"}),
    ],
)
def test_another_form_is_refused(train: Train, name: str, change: Any) -> None:
    """Whatever these tests hold to a schema could fail."""
    end = objects(train("t.txt", *SHORT, "--json")[1])[-1]

    assert Validator(schema_named(name)).is_valid(end)
    assert not Validator(schema_named(name)).is_valid(end | change)


RUNS = {
    "text": ["t.txt", *SHORT, *LOGGED, "--eval-every", "4"],
    "pairs": ["p.tsv", "--pairs", *SHORT, *LOGGED, "--eval-every", "4"],
    "nothing held out": ["t.txt", *SHORT, *LOGGED, "--val-fraction", "0"],
    "without a memory": ["t.txt", *SHORT, *LOGGED, "--no-memory"],
    "a plan": ["t.txt", *SHORT, "--json", "--dry-run"],
}


@pytest.mark.parametrize("arguments", RUNS.values(), ids=RUNS)
def test_train(train: Train, arguments: list[str]) -> None:
    Path("p.tsv").write_text(PAIRS)
    code, out, _ = train(*arguments)

    assert code == 0
    events = [record["event"] for record in check("train", out)]
    if "--dry-run" in arguments:
        assert events == ["plan"]
        return
    assert set(events) == {"start", "step", "eval", "save", "end"} - (
        {"eval"} if "--val-fraction" in arguments else set()
    )


def test_train_that_warns_or_would_be_refused(train: Train) -> None:
    """What is not finite is null."""
    diverging = ["--lr", "1e30", "--grad-clip", "0", "--optimizer", "sgd"]
    _, out, _ = train("t.txt", *SHORT, *LOGGED, *diverging)
    assert {record["event"] for record in check("train", out)} >= {"warning"}

    code, out, _ = train("t.txt", *SHORT, "--json", "--dry-run")
    assert code == 0
    assert check("train", out)[0]["refused"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_sampled(path / "m.npz")
    write_sampled(path / "b.npz", unit="byte")
    write_sampled(path / "blend.npz", symbols="\t\n abcde", remembered="bad cab\n" * 9)
    write_sampled(path / "p.npz", symbols="\t\n abcde", spread=2.0, pairs=True)
    return path


LINES = {
    "text": "m.npz -p a",
    "without a character": "m.npz -n 0",
    "several": "m.npz -p a -N 3 --stop a --lines 2",
    "alternatives": "m.npz -p a --logprobs 3",
    "filters": "m.npz --top-k 5 --top-p 0.9 --min-p 0.01 --typical 0.9 --no-repeat 5",
    "characters": "m.npz --logit-bias a=-inf --logit-bias b=2 --ban c --allow abc",
    "a unit": "m.npz --set-unit 0:1=0.5 --set-unit 1:2:c=-1",
    "a pattern": "m.npz --pattern [ab]{3,5}",
    "bytes": "b.npz --logprobs 2",
    "counts": "blend.npz -p a --adapt --adapt-output --no-copy 8",
    "an output": "p.npz -p bad --logprobs 2",
    "beams": "p.npz -p bad --beam 3",
    "a mixture": "m.npz m.npz --mix 1,3 --mix-mode log -p a --logprobs 2",
    "few bits": "m.npz -p a --precision int8",
}


@pytest.mark.usefixtures("beside_models")
@pytest.mark.parametrize("words", LINES.values(), ids=LINES)
def test_sample(sample: Run, words: str) -> None:
    length = [] if "-n" in words.split() else ["-n", "12"]
    code, out, err = sample(*words.split(), "--json", "--seed", "3", *length)

    assert (code, err) == (0, "")
    check("sample", out)


REQUESTS: list[dict[str, Any]] = [
    {},
    {"prompt": "a", "length": 9, "id": 7, "seed": 1},
    {"id": "x", "stop": ["a", "b"], "include_stop": True, "logprobs": 2, "lines": 1},
    {"temperature": 0.5, "top_k": 4, "logit_bias": {"a": -1.5}, "set_unit": "0:1=1"},
    {"logit_bias": ["a=2"], "time": "10s", "length": 5, "blend": 1, "top_p": None},
]

REFUSED = [
    b'{"length": "ten", "id": 1}',
    b'{"new": 1}',
    b'{"temperature": -1}',
    b'{"num_samples": 2}',
    b'{"prompt": 5}',
]


@pytest.fixture
def serve(
    sample: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., bytes]:
    """Send lines in: what comes back."""

    def call(name: str, *requests: bytes) -> bytes:
        path = tmp_path / "requests"
        path.write_bytes(b"\n".join(requests))
        with path.open() as stream, monkeypatch.context() as patch:
            patch.setattr("sys.stdin", stream)
            code, out, _ = sample(name, "--serve", "--json", "-n", "6")
        assert code == 0
        return out

    return call


def test_a_plan_in_bfloat16(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARRNN_EMULATE_BFLOAT16", "1")
    plan = ["--json", "--dry-run", "--precision", "bfloat16"]
    (found,) = check("train", train("t.txt", *SHORT, *plan)[1])

    assert found["precision"] == "bfloat16"


@pytest.mark.usefixtures("beside_models")
def test_serve(serve: Callable[..., bytes]) -> None:
    """Requests that are answered fit, and those that do not fit are refused."""
    given = [json.dumps(request).encode() for request in REQUESTS]
    check("request", b"\n".join(given))
    answers = check("serve", serve("m.npz", *given))

    assert not any("error" in answer for answer in answers)
    assert "beams" in check("serve", serve("p.npz", b'{"prompt": "ab", "beam": 2}'))[0]


@pytest.mark.usefixtures("beside_models")
def test_what_serve_refuses(serve: Callable[..., bytes]) -> None:
    fits = Validator(schema_named("request")).is_valid
    answers = check("serve", serve("m.npz", *REFUSED, b"{"))

    assert not any(fits(json.loads(line)) for line in REFUSED)
    assert all("error" in answer for answer in answers)


def test_a_request_can_have_every_option_that_is_taken() -> None:
    taken = {entry.name for entry in OPTIONS.entries} - set(OPTIONS.elsewhere)
    assert set(schema_named("request")["properties"]) == {"id", "prompt", *taken}


@pytest.fixture
def inspect(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Run the command: what it prints."""

    def call(*arguments: str | Path, code: int = 0) -> str:
        assert run(["inspect", *map(str, arguments), "--json"]) == code
        return capsys.readouterr().out

    return call


def views(*names: str) -> list[str]:
    """Ask for views."""
    return [word for name in names for word in ("--view", name)]


MODELS: dict[str, dict[str, Any]] = {
    "lstm": {"cell": "lstm", "norm": "layer"},
    "weights alone": {"cell": "gru", "optimizer": None, "history": []},
    "no gates": {"cell": "rnn", "lags": (1, 3)},
    "bytes": {"unit": "byte"},
}


@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_inspect(
    inspect: Callable[..., str], tmp_path: Path, options: dict[str, Any]
) -> None:
    """Every view of a model of text, with a text and with a corpus."""
    model = write_checkpoint(tmp_path / "m.npz", **options)
    (tmp_path / "t.txt").write_text(TEXT)
    found = check("inspect", inspect(model, *views(*OF_TEXT), "--text", TEXT))
    wanted = {name for line in found for name in line["views"]}
    corpus = [*views("diversity"), "--corpus", tmp_path / "t.txt"]

    assert wanted == set(OF_TEXT)
    assert check("inspect", inspect(model, *corpus, "--text", "the"))


def test_inspect_pairs(inspect: Callable[..., str], tmp_path: Path) -> None:
    found = {"step": 40, "epoch": 2.0, "val_loss": 2.5, "exact": 0.5, "error_rate": 0.2}
    model = write_checkpoint(
        tmp_path / "p.npz", PAIRS_TEXT, pairs=True, history=[found]
    )
    out = inspect(model, *views(*OF_PAIRS), "--text", PAIRS_TEXT)

    assert {n for line in check("inspect", out) for n in line["views"]} == set(OF_PAIRS)


def test_inspect_counts(inspect: Callable[..., str], directory: Path) -> None:
    """A memory, which goes on in the text."""
    readers = views("surprise", "next", "compare", "summary")
    out = inspect(directory / "blend.npz", *readers, "--text", "bad cab", "--adapt")

    assert check("inspect", out)[0]["views"]["surprise"]["static_bits_per_char"]


def test_inspect_mixtures(inspect: Callable[..., str], directory: Path) -> None:
    both = [directory / "blend.npz"] * 2
    wanted = views("surprise", "compare")
    out = inspect(*both, *wanted, "--text", "bad cab", "--mix", "3,1")

    (together,) = check("inspect", out)
    assert together["mix"] == [0.75, 0.25]
    assert together["views"]["compare"]["mixture"]["mode"] == "linear"


def test_inspect_verdicts(inspect: Callable[..., str], tmp_path: Path) -> None:
    good = write_checkpoint(tmp_path / "good.npz")
    (tmp_path / "bad.npz").write_bytes(good.read_bytes()[:-9])
    out = inspect(good, tmp_path / "bad.npz", "--verify", code=5)

    assert [line["verified"] for line in check("inspect", out)] == [True, False]


def test_a_registered_view_may_have_any_data(
    inspect: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    make_known()
    model = write_checkpoint(tmp_path / "m.npz")

    assert check("inspect", inspect(model, *views("vowels"), "--text", "the sea"))
