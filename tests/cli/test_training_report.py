r"""What is said of a training: commands that can be pasted, and only what is true."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.cli.training_report import attempts, description, suggestion, summary
from charrnn.durations import parse_duration
from charrnn.errors import field
from charrnn.escapes import shortened
from charrnn.training.blending import Blend
from charrnn.training.job import SHOWN
from charrnn.training.records import Ended
from tests.cli.training import SHORT, SMALL, Train, position
from tests.commands import command
from tests.training.support import PAIRS, prepared

#: Little text, read often: what comes later is worse.
OVERFITTING = [
    *("--hidden", "24", "--batch-size", "1", "--seq-length", "32", "--lr", "0.05"),
    *("--dropout", "0", "--weight-dropout", "0", "--ema", "0", "--val-fraction", "0.3"),
    *("--schedule", "constant", "--eval-every", "20", "--patience", "0"),
]


def test_a_long_command_is_one_line(train: Train, tmp_path: Path) -> None:
    """A terminal wraps it, and gives it back whole."""
    directory = Path("a rather long name of a directory", "x" * 100)
    directory.mkdir(parents=True)
    output = str(directory / "my model.npz")
    for columns in ("80", "20", "0"):
        done = subprocess.run(
            command("train", "t.txt", *SHORT, "-f", "-o", output),
            env=os.environ | {"COLUMNS": columns, "FORCE_COLOR": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"charrnn sample --temperature 0.8 '{output}'\n" in done.stderr


@pytest.mark.parametrize("kept", [True, False])
def test_a_best_that_was_not_kept_is_not_recommended(
    train: Train, kept: bool, tmp_path: Path
) -> None:
    Path("t.txt").write_text("the old house by the sea whispered again " * 4)
    options = [] if kept else ["--no-keep-best"]
    code, _, err = train("t.txt", *OVERFITTING, "--steps", "200", *options)

    assert code == 0
    assert ("best, kept apart" in err, "use the best" in err) == (kept, kept)
    assert ("best, not kept" in err) != kept
    assert ("0.8 t.best.npz" in err) == kept == Path("t.best.npz").exists()


def test_a_best_that_is_gone_is_not_recommended(train: Train) -> None:
    Path("t.txt").write_text("the old house by the sea whispered again " * 4)
    assert train("t.txt", *OVERFITTING, "--steps", "200", "-q")[0] == 0
    Path("t.best.npz").unlink()
    code, _, err = train("t.txt", "--resume", "--steps", "200")

    assert (code, "best, not kept" in err, "t.best.npz" in err) == (0, True, False)


@pytest.mark.parametrize(
    ("blend", "by"),
    [(None, ""), (Blend(1.0, 3), ""), (Blend(0.6, 3), " (both)")],
)
def test_what_is_exact_says_by_what(
    blend: Blend | None, by: str, tmp_path: Path
) -> None:
    """Of a blend it is more than the network's loss above it would tell."""
    job = prepared(tmp_path / "p.tsv", PAIRS, pairs=True, steps=2)
    ended = Ended(
        "steps", 2, 0.1, 2.0, 2.0, 2.0, None, 1.0, 0.5, 0.125, blend=blend
    )  # fmt: skip
    lines = list(summary(ended, job, 0, kept=False))

    assert f"outputs exactly right   50.00%{by}" in lines
    assert f"errors per character    12.50%{by}" in lines


def test_one_pair_is_told_of_in_the_singular(tmp_path: Path) -> None:
    held_out = charrnn.Text("sea\taes\n")
    options: dict[str, Any] = {"pairs": True, "val_fraction": None, "steps": 2}
    options["val_file"] = held_out
    one, *_ = description(prepared(tmp_path / "p.tsv", PAIRS, **options))
    held_out = charrnn.Text("sea\taes\n" * 2)
    options["val_file"] = held_out
    two, *_ = description(prepared(tmp_path / "p.tsv", PAIRS, **options))

    assert one.endswith(", 1 pair held out")
    assert two.endswith(", 2 pairs held out")


def test_long_pairs_are_not_shown_as_a_whole(tmp_path: Path) -> None:
    """Neither in the command that is suggested, nor in a preview."""
    text = "".join(f"{word * 30}\t{word * 25}\n" for word in ("sea", "tide", "moon"))
    options: dict[str, Any] = {"pairs": True, "steps": 2, "val_fraction": 0.0}
    job = prepared(tmp_path / "p.tsv", text, batch_size=1, **options)
    lines = attempts(job, 3, 20).split("\n")
    halves = [half for line in lines for half in line.split(" -> ")]

    assert suggestion("p.npz", job) == "try: charrnn sample p.npz"
    assert len(halves) == 6
    assert max(map(len, halves)) <= len(shortened("x" * 100, 20))
    short = prepared(tmp_path / "p.tsv", PAIRS, **options)
    assert "sample --prompt=" in suggestion("p.npz", short)


def test_few_pairs_are_looked_at_to_show_some(tmp_path: Path) -> None:
    text = "".join(f"{n}\t{n}\n" for n in range(2000))
    job = prepared(tmp_path / "p.tsv", text, pairs=True, steps=2, val_fraction=0.0)

    assert len(job.pairs_to_show) == SHOWN
    assert len(suggestion("p.npz", job)) < 60


def test_more_after_patience(train: Train) -> None:
    """As the hint says: a larger limit goes on."""
    Path("t.txt").write_text("the old house by the sea whispered again " * 4)
    plan = [*OVERFITTING, "--patience", "1"]
    assert train("t.txt", *plan, "--steps", "2000", "-q")[0] == 0
    ended = position().step
    assert ended < 2000
    code, _, err = train("t.txt", "--resume")
    assert (code, "nothing left to do (patience); a larger limit" in err) == (0, True)
    code, _, err = train("t.txt", "--resume", "--steps", "3000", "-q")
    assert code == 0
    assert position().step > ended


@pytest.mark.parametrize("limit", [["--steps", "12"], ["--epochs", "1"]])
def test_a_run_that_has_ended_says_how_to_train_further(
    train: Train, limit: list[str]
) -> None:
    """With a command that can be pasted, and doubles the limit."""
    output = ["-o", "my model.npz"]
    _, _, err = train("t.txt", *SMALL, *limit, *output)
    before = position("my model.npz").step
    for _ in range(2):  # there is nothing to do without a larger limit
        (line,) = re.findall(r"train further: charrnn train (.*)", err)
        assert "--resume" in line
        _, _, err = train("t.txt", "--resume", *output)
    assert train(*shlex.split(line), "-q")[0] == 0
    assert position("my model.npz").step == 2 * before


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--hidden", "9"], "a network from anew: -o OTHER.npz"),
        (["--seed", "9"], "begin a new run: --init-from t.npz -o OTHER.npz"),
    ],
)
def test_what_to_do_where_options_are_in_conflict(
    train: Train, options: list[str], hint: str
) -> None:
    """What is advised works: weights of another shape begin no run."""
    assert train("t.txt", *SHORT, "-q")[0] == 0
    code, _, err = train("t.txt", "--resume", *options)
    assert (code, hint in err.splitlines()[-1]) == (2, True)
    advised = shlex.split(hint.partition(": ")[2])
    assert train("t.txt", *options, *advised, "--steps", "1", "-q")[0] == 0


def test_what_to_do_where_there_is_nothing_to_resume(train: Train) -> None:
    Path("t.npz").write_bytes(b"none" * 99)
    code, _, err = train("t.txt", "--resume")
    assert code == 5
    assert "--force in place of --resume" in err.splitlines()[-1]
    assert train("t.txt", *SHORT, "--force", "-q")[0] == 0
    Path("t.txt").write_text("the tide")
    code, _, err = train("t.txt", "--resume")
    assert (code, "--new-corpus continues with these" in err) == (4, True)


def test_length_of_a_resumed_run(train: Train) -> None:
    """Its time is told for the steps that it took."""
    assert train("t.txt", *SHORT, "-q")[0] == 0
    _, _, err = train("t.txt", "--resume", "--steps", "20")

    assert "20 steps, " in err
    told = re.search(r", 8 of them in (\S+)", err)
    assert told
    assert 0 < parse_duration(told[1], field("time")) < 3600


def test_changed_times_are_told_as_they_are_given(train: Train) -> None:
    assert train("t.txt", *SMALL, "--time", "0.1s", "-q")[0] == 0
    _, _, err = train("t.txt", "--resume", "--time", "150e-3s")

    assert "--time: 0.1s before, 0.15s now" in err
    assert "run: 0.15s" in err


def test_a_validation_text_that_is_missing(train: Train) -> None:
    """It is not in the checkpoint: a run without it goes on, but says so."""
    shutil.copy("t.txt", "v.txt")
    assert train("t.txt", *SHORT, "--val-file", "v.txt", "-q")[0] == 0
    for more, told in ((["--val-file", "v.txt"], False), ([], True)):
        code, _, err = train("t.txt", "--resume", *more)
        assert (code, "name its --val-file again" in err) == (0, told)


@pytest.mark.parametrize("activation", ["relu", "leaky-relu"])
def test_plans_for_rectified_cells_do_not_diverge(
    train: Train, activation: str
) -> None:
    """Read often, a text has its network's weights dropped: not this one's."""
    options = ["--cell", "rnn", "--activation", activation, "--hidden", "64"]
    code, _, err = train("t.txt", *options, "--steps", "60")

    assert (code, "not finite" in err) == (0, False)


def test_words_for_what_was_asked(train: Train) -> None:
    """The first line names a text without steering the terminal."""
    shutil.copy("t.txt", "\x1b[31m.txt")
    _, _, err = train("\x1b[31m.txt", *SMALL, "--steps", "1")

    assert "\x1b" not in err
    assert r"$'\x1b[31m.npz'" in err
