"""`charrnn train`: its payload, its reports, and how runs go on."""

import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.kernels.cells import CellKernels
from charrnn.kernels.generator import Inference, generator_of
from charrnn.training import run as run_module
from charrnn.training.baselines import measure as real_measure
from tests.cli.training import (
    SHORT,
    SMALL,
    Train,
    names,
    objects,
    position,
    trained,
)
from tests.training.support import TEXT

pytestmark = pytest.mark.usefixtures("train_directory")

#: Losses below each other, to be compared at a glance.
LOSS = r" +\d\.\d{4} nats   \d\.\d{3} bits\n"
YARDSTICKS = re.compile(
    r"charrnn: the validation text without a network:\n"
    rf"(charrnn:   (\d-gram \(Kneser-Ney\)|single characters){LOSS}){{2}}"
    r"charrnn:   xz skipped: fewer than 1,000 characters are held out\n"
)
SUMMARY = re.compile(
    rf"charrnn: training loss{LOSS}charrnn: validation loss{LOSS}"
    rf"charrnn:   \d-grams alone{LOSS}charrnn:   both \(\d+% network\){LOSS}"
    rf"charrnn: the checkpoint contains the text \(--no-memory leaves it out\)\n"
    rf"{YARDSTICKS.pattern}"
)


def test_path_is_the_payload(train: Train) -> None:
    """One line on stdout; everything else on stderr; no locks left behind."""
    code, out, err = train("t.txt", *SHORT)

    assert (code, out) == (0, b"t.npz\n")
    assert position().step == 12
    assert names() == {"t.txt", "t.npz", "t.best.npz"}
    assert err.startswith("charrnn: reading t.txt\n")
    assert err.rstrip().endswith("charrnn sample --temperature 0.8 t.npz")
    assert "validation loss" in err
    summary = SUMMARY.search(err)
    assert summary is not None
    assert len({len(line) for line in re.findall(r".*bits$", summary[0], re.M)}) == 1


def test_lags_are_trained_and_begun_with(train: Train) -> None:
    """They are told, kept in the file, and refused where no network has them."""
    lags = [*SMALL, "--cell", "rnn", "--lags"]
    code, _, err = train("t.txt", *lags, "5,1,2", "--steps", "12", "-o", "whole.npz")
    assert code == 0
    assert "network: rnn (tanh) 1 x 8, lags 1,2,5, " in err
    assert trained("whole.npz").model.lags == (1, 2, 5)
    assert trained("whole.npz").parameters["layer0.Wh"].shape == (8, 24)

    train("t.txt", *lags, "1,2,5", "--steps", "12", "--dry-run", "-o", "no.npz")
    assert "no.npz" not in names()

    again = ["--init-from", "whole.npz", "--steps", "1", "-f"]
    assert train("t.txt", *again, "-o", "b.npz", "--lags", "1,2,5")[0] == 0
    code, _, err = train("t.txt", *again, "-o", "b.npz", "--lags", "1,2")
    assert code == 2
    assert "conflicts with whole.npz: --lags 1,2 (it has 1,2,5)" in err

    for wrong, what in {
        "2,3": "1 among them",
        "1,65": "at most 64",
        "x": "'x'",
    }.items():
        code, out, err = train("t.txt", *lags, wrong, "-o", "c.npz")
        assert (code, out) == (2, b"")
        assert "error: --lags " in err
        assert what in err
        assert "hint: --lags 1,2,3 " in err


def test_yardsticks_are_those_of_the_held_out_text(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the last record, too, where lines are documents and where they are not."""
    monkeypatch.setattr("charrnn.training.baselines.MIN_XZ", 0)
    for options in ([], ["--lines"], ["--unit", "byte"], ["--val-file", "t.txt"]):
        code, out, err = train("t.txt", *SHORT, "-f", "--json", *options)
        end = objects(out)[-1]["yardsticks"]
        ngram = end["ngram"]
        line = f"  {ngram['order']}-gram (Kneser-Ney)"

        assert code == 0
        assert f"{line} {ngram['loss']:8.4f} nats" in err
        assert f"{end['order0']['bits_per_char']:8.3f} bits" in err
        # The text says the same again and again.
        assert 0 < ngram["loss"] < end["order0"]["loss"] / 2 < 2
        assert (end["xz"]["loss"], end["notes"]) == (pytest.approx(1, abs=1), [])


def test_network_ngrams_and_both_stand_side_by_side(train: Train) -> None:
    """As in the last record, and in both files."""
    code, out, err = train("t.txt", *SHORT, "-f", "--json")
    end = objects(out)[-1]
    blend, ngram = end["blend"], end["yardsticks"]["ngram"]

    assert code == 0
    assert f"validation loss       {end['val_loss']:8.4f} nats" in err
    counts = f"  {ngram['order']}-grams alone"
    assert f"{counts:<21} {ngram['loss']:8.4f} nats" in err
    assert f"  both ({blend['share']:.0%} network) " in err
    assert f"{blend['loss']:.4f} nats {blend['bits_per_char']:7.3f} bits" in err
    assert blend["order"] == ngram["order"]
    assert blend["loss"] < end["val_loss"]
    assert blend["network_loss"] == pytest.approx(end["val_loss"])
    assert blend["ngram_loss"] == pytest.approx(ngram["loss"])
    last, best = (trained(name).memory for name in ("t.npz", "t.best.npz"))
    assert last is not None
    assert best is not None
    assert (last.order, last.share) == (blend["order"], blend["share"])
    assert best.order == blend["order"]


def test_the_text_may_be_left_out(train: Train) -> None:
    """Neither file has it, and nobody is told that they do."""
    _, out, err = train("t.txt", *SHORT, "-f", "--json", "--no-memory")

    assert objects(out)[-1]["blend"] is None
    assert "contains the text" not in err
    assert "alone" not in err
    for name in ("t.npz", "t.best.npz"):
        found = trained(name)
        assert (found.memory, found.remembers) == (None, False)


def test_without_a_held_out_text_the_share_is_the_usual_one(train: Train) -> None:
    _, out, err = train("t.txt", *SHORT, "-f", "--json", "--val-fraction", "0")
    blend = objects(out)[-1]["blend"]

    assert (blend["loss"], blend["bits_per_char"]) == (None, None)
    assert (blend["network_loss"], blend["ngram_loss"]) == (None, None)
    grams = f"{1 - blend['share']:.0%} {blend['order']}-grams of the text"
    assert f"samples will be of {blend['share']:.0%} network, {grams}\n" in err
    assert "contains the text" in err


def test_a_memory_comes_by_a_stream_too(train: Train) -> None:
    """The bytes are those of the file."""
    _, out, _ = train("t.txt", *SHORT, "-o", "-")
    train("t.txt", *SHORT)

    assert out == Path("t.npz").read_bytes()
    assert trained().memory is not None


def test_a_long_text_is_not_counted(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is said before the run."""
    for module in ("texts", "job", "baselines"):
        monkeypatch.setattr(f"charrnn.training.{module}.MAX_NGRAM", 100)
    said = "charrnn: n-grams are counted of texts of up to 100 characters only: "

    _, out, err = train("t.txt", *SHORT, "-f", "--json")

    assert said in err
    assert objects(out)[-1]["blend"] is None
    assert trained().memory is None
    assert said not in train("t.txt", *SHORT, "-f", "--no-memory")[2]


def test_what_is_left_out_is_said(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.training.baselines.MAX_NGRAM", 100)
    err = train("t.txt", *SHORT, "--no-memory")[2]

    assert "-gram (" not in err
    assert "charrnn:   n-gram skipped: the text is longer than 100 characters" in err


@pytest.mark.parametrize(
    ("options", "times"),
    [
        (["-q"], 0),
        (["-q", "--dry-run"], 0),
        (["--val-fraction", "0"], 0),
        (["-q", "--json"], 1),
        (["-q", "--log-file", "log"], 1),
        (["--json", "--log-file", "log"], 1),
        (["--dry-run"], 1),
        ([], 1),
    ],
)
def test_yardsticks_are_measured_for_a_reader(
    train: Train, monkeypatch: pytest.MonkeyPatch, options: list[str], times: int
) -> None:
    """Once, however many there are."""
    measured = []

    def measure(*arguments: Any) -> Any:
        measured.append(arguments)
        return real_measure(*arguments)

    monkeypatch.setattr("charrnn.training.job.measure", measure)
    code, _, err = train("t.txt", *SHORT, *options)

    assert code == 0
    assert len(measured) == times
    assert ("without a network" in err) == (times == 1 and "-q" not in options)


def test_quiet_prints_the_path_only(train: Train) -> None:
    assert train("t.txt", *SHORT, "-q") == (0, b"t.npz\n", "")
    assert train("t.txt", *SHORT, "-q", "--resume") == (0, b"t.npz\n", "")


def test_no_keep_best(train: Train) -> None:
    assert train("t.txt", *SHORT, "--no-keep-best", "-q")[0] == 0
    assert names() == {"t.txt", "t.npz"}


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        (["sub/b.c.txt", "t.txt"], "b.c.npz"),
        (["-"], "charrnn.npz"),
        (["é y"], "é y.npz"),
    ],
)
def test_default_output_stands_in_the_working_directory(
    train: Train, monkeypatch: pytest.MonkeyPatch, sources: list[str], name: str
) -> None:
    Path("sub").mkdir()
    for path in ("sub/b.c.txt", "é y"):
        Path(path).write_text(TEXT)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    code, out, _ = train(*sources, *SHORT, "-q")

    assert (code, out.decode()) == (0, f"{name}\n")
    assert position(name).step == 12


def test_checkpoint_on_stdout(train: Train) -> None:
    """The very bytes that a file would have, and no file."""
    assert train("t.txt", *SHORT, "-q")[0] == 0
    data = Path("t.npz").read_bytes()
    for path in ("t.npz", "t.best.npz"):
        Path(path).unlink()
    code, out, err = train("t.txt", *SHORT, "-q", "-o", "-")

    assert (code, err) == (0, "")
    assert out == data
    assert names() == {"t.txt"}


def test_checkpoint_is_not_shown_to_a_person(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.cli.training_session.is_terminal", lambda stream: True)
    code, out, err = train("t.txt", *SHORT, "-o", "-")

    assert (code, out) == (2, b"")
    assert "terminal" in err


VARIATIONS = {
    "log": ["--log-every", "1", "--log-file", "x.jsonl", "--json"],
    "previews": ["--preview-every", "3", "--preview-chars", "20"],
    "saves": ["--save-every", "5"],
    "threads": ["--threads", "2"],
    "plain": ["--progress", "plain", "--color", "always"],
}


@pytest.mark.parametrize("more", VARIATIONS.values(), ids=VARIATIONS)
def test_what_is_told_and_saved_changes_nothing(train: Train, more: list[str]) -> None:
    plan = [*SHORT, "--dropout", "0.2", "--threads", "1", "--seed", "4"]
    assert train("t.txt", *plan)[0] == 0
    assert train("t.txt", *plan, "-o", "again.npz", *more)[0] == 0

    assert Path("t.npz").read_bytes() == Path("again.npz").read_bytes()
    assert Path("t.best.npz").read_bytes() == Path("again.best.npz").read_bytes()


def test_texts_are_joined_in_order(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("b.txt").write_text("zz" * 20)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"the end\n" * 9)))
    assert train("t.txt", "-", "b.txt", *SHORT, "-q")[0] == 0
    whole = TEXT.encode() + b"the end\n" * 9 + b"zz" * 20

    assert trained().corpus.sha256 == hashlib.sha256(whole).hexdigest()


def test_json_records(train: Train) -> None:
    """A line each: start, steps, evaluations, saves, end; every field has its type."""
    more = ["--log-every", "4", "--eval-every", "5", "--save-every", "6", "--seed", "7"]
    code, out, _ = train("t.txt", *SHORT, "--json", "--threads", "1", *more)
    records = objects(out)
    by_event: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_event.setdefault(record["event"], []).append(record)

    assert code == 0
    assert {record["schema"] for record in records} == {1}
    assert [records[0]["event"], records[-1]["event"]] == ["start", "end"]
    assert set(by_event) == {"start", "step", "eval", "save", "end"}
    assert records[0] == {
        "event": "start",
        "schema": 1,
        "corpus": {
            "files": ["t.txt"],
            "bytes": len(TEXT),
            "characters": len(TEXT),
            "sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
        },
        "vocabulary": len(set(TEXT)),
        "parameters": sum(a.size for a in trained().parameters.values()),
        "cell": "lstm",
        "layers": 1,
        "hidden": 8,
        "batch_size": 4,
        "seq_length": 8,
        "threads": 1,
        "ranks": 1,
        "rank_batch_size": 4,
        "seed": 7,
        "output": "t.npz",
    }
    assert [record["step"] for record in by_event["step"]] == [4, 8, 12]
    assert [record["step"] for record in by_event["eval"]] == [5, 10, 12]
    saves = [(record["step"], record["path"]) for record in by_event["save"]]
    assert saves[0] == (0, "t.npz")
    assert (5, "t.best.npz") in saves
    assert (6, "t.npz") in saves
    assert saves[-1] == (12, "t.npz")
    for record in by_event["step"] + by_event["eval"]:
        others = ("event", "best")
        numbers = {k: v for k, v in record.items() if k not in others}
        assert all(isinstance(v, int | float) for v in numbers.values())
    end = records[-1]
    assert (end["reason"], end["steps"], end["path"]) == ("steps", 12, "t.npz")
    assert end["val_loss"] == by_event["eval"][-1]["val_loss"]
    assert end["best_val_loss"] == min(e["val_loss"] for e in by_event["eval"])


def test_log_file_is_appended_to(train: Train) -> None:
    Path("log.jsonl").write_text('{"event": "mine"}\n')
    for _ in range(2):
        assert train("t.txt", *SHORT, "-qf", "--log-file", "log.jsonl")[0] == 0
    events = [record["event"] for record in objects(Path("log.jsonl").read_text())]

    assert events[0] == "mine"
    assert events.count("start") == events.count("end") == 2
    assert events[-1] == "end"


def test_a_log_that_was_cut_swallows_no_record(train: Train) -> None:
    """Its last line is lost, as a loss of power leaves it, and no more."""
    Path("log.jsonl").write_text('{"event": "mine"}\n{"event": "st')
    assert train("t.txt", *SHORT, "-qf", "--log-file", "log.jsonl")[0] == 0
    mine, cut, *lines = Path("log.jsonl").read_text().splitlines()

    assert (mine, cut) == ('{"event": "mine"}', '{"event": "st')
    assert json.loads(lines[0])["event"] == "start"


def test_json_of_a_run_that_diverged(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends in an end, too; the exit code is 7, and the file is the last good one."""
    monkeypatch.setattr(run_module, "MAX_ROLLBACKS", 2)
    wild = [
        "--cell",
        "rnn",
        "--activation",
        "relu",
        "--optimizer",
        "sgd",
        "--lr",
        "1e9",
    ]
    more = ["--grad-clip", "0", "--warmup", "0", "--json"]
    code, out, err = train("t.txt", *SMALL, *wild, *more)
    records = objects(out)

    assert code == 7
    assert records[-1]["event"] == "end"
    assert records[-1]["reason"] == "diverged"
    assert records[-1]["yardsticks"] is None
    assert [r["event"] for r in records].count("warning") == 2
    assert "not finite" in err.splitlines()[-2]
    assert "--lr" in err.splitlines()[-1]
    assert position().step < 100


def test_dry_run_writes_nothing(train: Train) -> None:
    Path("t.npz").write_text("mine")
    for limit in (["--steps", "100"], ["--steps", "0"], ["--time", "2h"], []):
        code, out, err = train("t.txt", *SMALL, *limit, "--dry-run")
        assert (code, out) == (0, b"")
        assert f"{len(TEXT)} characters, {len(set(TEXT))} distinct" in err
        assert "parameters" in err
        assert " MB beside the text" in err
        assert re.search(r"run: .*, about [0-9.]+(h|m|s)", err)
        assert "validation loss" not in err
        assert YARDSTICKS.search(err)
    assert Path("t.npz").read_text() == "mine"
    assert names() == {"t.txt", "t.npz"}


@pytest.mark.parametrize("more", [[], ["-q"]])
def test_dry_run_as_json(train: Train, more: list[str]) -> None:
    """One object: the fields of a run's first record, and what the run would take."""
    code, out, err = train("t.txt", *SHORT, "--dry-run", "--json", *more)
    (plan,) = objects(out)
    start = objects(train("t.txt", *SHORT, "--json", "-q")[1])[0]

    assert (code, bool(err)) == (0, not more)
    assert (plan["event"], plan["refused"]) == ("plan", None)
    assert plan.items() >= {k: v for k, v in start.items() if k != "event"}.items()
    assert min(plan["memory"], plan["seconds"], plan["chars_per_second"]) > 0
    assert plan["yardsticks"]["order0"]["loss"] > 0
    (plan,) = objects(train("t.txt", *SHORT, "--dry-run", "--json", "-q")[1])
    assert plan["refused"] == "t.npz exists already"


def test_dry_run_says_that_the_run_would_be_refused(train: Train) -> None:
    """And is no failure itself."""
    Path("t.npz").touch()
    for options, refused in (([], True), (["--force"], False), (["-o", "u"], False)):
        code, _, err = train("t.txt", *SHORT, "--dry-run", *options)
        told = "would be refused: t.npz exists already; --force replaces it" in err
        assert (code, told) == (0, refused)


def test_previews_go_to_stderr(train: Train) -> None:
    code, out, err = train("t.txt", *SHORT, "--preview-every", "5")

    assert (code, out) == (0, b"t.npz\n")
    assert "\n  | " in err
    assert "\n  | " not in train("t.txt", *SHORT, "-f")[2]


@pytest.mark.parametrize("of_pairs", [False, True])
def test_preview_of_a_diverging_network(
    train: Train, monkeypatch: pytest.MonkeyPatch, of_pairs: bool
) -> None:
    """Its output is not finite: there is nothing to show, and no reason to stop."""
    chosen = []

    def overflowing(kernels: CellKernels) -> Callable[..., bool]:
        def overflow(weights: Inference, *others: Any) -> bool:
            broken = weights._replace(by=np.full_like(weights.by, np.inf))
            chosen.append(generator_of(kernels)(broken, *others))
            return chosen[-1]

        return overflow

    monkeypatch.setattr("charrnn.generation.sampler.generator_of", overflowing)

    options = []
    if of_pairs:
        Path("t.txt").write_text("sea\taes\ntide\tedit\n" * 10)
        options = ["--pairs", "--val-fraction", "0"]
    assert train("t.txt", *SHORT, *options, "--preview-every", "5")[0] == 0
    assert position().step == 12
    assert False in chosen


def test_patience_without_validation_is_told(train: Train) -> None:
    plan = [*SHORT, "--patience", "3", "--val-fraction", "0"]
    assert "--patience does nothing" in train("t.txt", *plan)[2]


def test_resume_goes_on_and_tells_what_changed(train: Train) -> None:
    assert train("t.txt", *SHORT)[0] == 0
    code, out, err = train("t.txt", "--resume", "--steps", "20", "--lr", "0.001")

    assert (code, out) == (0, b"t.npz\n")
    assert "--steps: 12 before, 20 now" in err
    assert "--lr: 0.018 before, 0.001 now" in err
    assert "resuming after step 12" in err
    assert position().step == 20


def test_resume_refuses_other_shapes_and_texts(train: Train) -> None:
    assert train("t.txt", *SHORT, "-q")[0] == 0
    before = Path("t.npz").read_bytes()
    code, _, err = train("t.txt", "--resume", "--hidden", "9", "--batch-size", "5")
    assert code == 2
    assert "--hidden 9 (it has 8)" in err
    Path("t.txt").write_text(TEXT * 2)
    code, _, err = train("t.txt", "--resume", "--steps", "20")
    assert code == 4
    assert "--new-corpus" in err
    assert Path("t.npz").read_bytes() == before
    code, _, err = train("t.txt", "--resume", "--steps", "20", "--new-corpus")
    assert code == 0
    assert position().step == 20


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_normalization_is_part_of_the_model(train: Train, norm: str) -> None:
    """Told, saved, and neither to be changed nor to be given again."""
    code, _, err = train("t.txt", *SHORT, "--norm", norm)
    assert code == 0
    assert f"lstm 1 x 8, {norm} norm, " in err
    assert trained().model.norm == norm
    assert bool(trained().statistics) == (norm == "batch")
    for word in ("--resume", "--init-from"):
        more = [word] if word == "--resume" else [word, "t.npz", "-o", "new.npz"]
        code, _, err = train("t.txt", *more, "--norm", "none")
        assert code == 2
        assert f"--norm none (it has {norm})" in err
        assert train("t.txt", *more, "--norm", norm, "--steps", "13")[0] == 0
        assert trained().model.norm == norm


def test_finished_run_says_that_nothing_is_left(train: Train) -> None:
    assert train("t.txt", *SHORT, "-q")[0] == 0
    before = Path("t.npz").read_bytes()
    code, out, err = train("t.txt", "--resume")

    assert (code, out) == (0, b"t.npz\n")
    assert "nothing left to do (12 steps)" in err
    assert Path("t.npz").read_bytes() == before


def test_init_from_takes_the_weights(train: Train) -> None:
    assert train("t.txt", *SHORT, "-q")[0] == 0
    Path("new.txt").write_text(TEXT + "é" * 30)
    code, out, err = train("new.txt", "--init-from", "t.npz", "--steps", "3")

    assert (code, out) == (0, b"new.npz\n")
    assert "1 new character: 'é' U+00E9" in err
    assert trained("new.npz").model.hidden == 8
    code, _, err = train("new.txt", "-f", "--init-from", "t.npz", "--hidden", "9")
    assert code == 2
    assert "--hidden 9 (it has 8)" in err


def test_new_characters_in_a_run_that_goes_on(train: Train) -> None:
    """They need another run; other line ends need an option."""
    assert train("t.txt", *SHORT)[0] == 0
    again = ["--resume", "--steps", "20", "--new-corpus", "-o", "t.npz"]
    Path("new.txt").write_text(TEXT + "é" * 9)
    code, _, err = train("new.txt", *again)
    assert code == 4
    assert "--init-from t.npz -o OTHER.npz" in err.splitlines()[-1]

    Path("dos.txt").write_bytes(TEXT.replace("\n", "\r\n").encode())
    code, _, err = train("dos.txt", *again)
    assert code == 4
    assert "--newlines lf makes all line ends LF" in err.splitlines()[-1]
    assert train("dos.txt", *again, "--newlines", "lf")[0] == 0


def test_line_ends_of_a_validation_file(train: Train) -> None:
    Path("dos.txt").write_bytes(TEXT.replace("\n", "\r\n").encode())

    code, _, err = train("t.txt", *SHORT, "--val-file", "dos.txt")
    assert code == 4
    assert err.splitlines()[-1] == "hint: --newlines lf makes all line ends LF"
    arguments = ["t.txt", *SHORT, "--val-file", "dos.txt", "--newlines", "lf"]
    assert train(*arguments)[0] == 0


def test_a_tail_too_small_to_hold_out_is_warned_of(train: Train) -> None:
    _, _, err = train("t.txt", "--val-fraction", "0.001", "--steps", "2")

    assert "warning: validation is off: what would be held out is less" in err


def test_a_tail_that_leaves_nothing_to_train_on_is_warned_of(train: Train) -> None:
    _, _, err = train("t.txt", "--val-fraction", "0.9999", "--steps", "2")

    assert "warning: validation is off: too little would be left to train on" in err


def test_verbose_tells_how_long_the_kernels_took(train: Train) -> None:
    _, _, err = train("t.txt", "-v", "--steps", "2")

    assert "kernels ready in " in err
    assert "seed 0" in err
