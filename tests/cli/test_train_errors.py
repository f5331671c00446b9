"""`charrnn train` on what is wrong, and on what is merely odd."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest

from tests.cli.training import (
    SHORT,
    Train,
    names,
    objects,
    position,
)
from tests.training.support import TEXT

pytestmark = pytest.mark.usefixtures("train_directory")


USAGE = {
    "t.txt --lr nan": "--lr must be a finite number",
    "t.txt --lr inf": "--lr must be a finite number",
    "t.txt --dropout nan": "--dropout must be a finite number",
    "t.txt --epochs nan": "--epochs",
    "t.txt --val-fraction inf": "--val-fraction",
    "t.txt --lr 0": "--lr must be above 0",
    "t.txt --dropout 1": "--dropout must be at least 0 and below 1",
    "t.txt --hidden 0": "--hidden must be at least 1 and at most 8192",
    "t.txt --hidden 8193": "--hidden",
    "t.txt --layers 17": "--layers must be at least 1 and at most 16",
    "t.txt --epochs 0": "--epochs must be above 0",
    "t.txt --steps -1": "--steps must be at least 0",
    "t.txt --steps 1.5": "--steps",
    "t.txt --time 5": "--time is '5', which is not a duration",
    "t.txt --time nan": "--time",
    "t.txt --time nans": "--time must be a finite number",
    "t.txt --time -5s": "--time must be above 0",
    "t.txt --save-every x": "--save-every",
    "t.txt --eval-every 5q": "--eval-every",
    "t.txt --cell transformer": "--cell is 'transformer', not one of rnn, gru, lstm",
    "t.txt --activation relu": "--activation relu needs --cell rnn",
    "t.txt --cell rnn --activation gelu": "--activation is 'gelu'",
    "t.txt --norm group": "--norm is 'group', not one of none, layer, batch",
    "t.txt --norm layer --hidden 1": "--norm layer compares the units of a layer",
    "t.txt --init zero": "--init is 'zero'",
    "t.txt --optimizer lion": "--optimizer is 'lion'",
    "t.txt --schedule never": "--schedule is 'never'",
    "t.txt --clip-mode max": "--clip-mode is 'max'",
    "t.txt --on-divergence cry": "--on-divergence is 'cry'",
    "t.txt --unit word": "--unit is 'word'",
    "t.txt --newlines crlf": "--newlines is 'crlf'",
    "t.txt --encoding klingon": "--encoding 'klingon' is unknown",
    "t.txt --unit byte --min-count 2": "--unit byte cannot be combined",
    "t.txt --min-count 0": "--min-count must be at least 1",
    "t.txt --patience -1": "--patience must be at least 0",
    "t.txt --log-every -1": "--log-every must be at least 0",
    "t.txt --preview-every -1": "--preview-every must be at least 0",
    "t.txt --seed -1": "--seed must be at least 0",
    "t.txt --threads 0": "--threads must be at least 1",
    "t.txt --progress dots": "--progress is 'dots'",
    "t.txt --resume --force": "--resume and --force exclude each other",
    "t.txt --resume --init-from m.npz": "--resume and --init-from exclude each other",
    "t.txt --val-file t.txt --val-fraction 0.2": "exclude each other",
    "t.txt --new-corpus": "--new-corpus does nothing without --resume",
    "t.txt -o - --json": "--json cannot be combined with --output -",
    "t.txt -o - --resume": "--resume cannot be combined with --output -",
    "m.npz": "m.npz would be the text and the checkpoint",
    "./m.npz --resume": "m.npz would be the text and the checkpoint",
    "t.txt -o t.txt --force": "t.txt is a text to read",
    "t.txt -o ./sub/../t.txt --force": "is a text to read",
    "t.txt --val-file v.txt -o v.txt --force": "v.txt is a text to read",
    "t.txt --log-file t.txt": "t.txt is a text to read",
    "k.best.npz -o k.npz --force": "k.best.npz is a text to read",
    "t.txt --val-file k.best.npz -o k.npz": "k.best.npz is a text to read",
    "t.txt --log-file t.npz": "--log-file t.npz is where a checkpoint goes",
    "t.txt --log-file ./t.best.npz": "--log-file t.best.npz is where a checkpoint goes",
    "t.txt -o m --log-file sub/../m": "m is where a checkpoint goes",
    "t.txt --log-file -": "--log-file - is no file",
    "t.txt --output=": "--output is empty",
    "- -": "standard input is named twice",
    "- --val-file -": "standard input is named twice",
    "t.txt --hidden 8192 --layers 16": "does not fit into a checkpoint",
    "t.txt --learning-rate 1": "--learning-rate",
    "t.txt --epochs 1e308": "--epochs must be above 0 and at most 1000000000",
    f"t.txt --steps {'9' * 400}": "not a number of 400 digits",
    f"t.txt --steps {2**63}": f"--steps must be at least 0 and at most {2**63 - 1}",
    f"t.txt --patience {2**63}": "--patience must be at least 0 and at most",
    "t.txt --forget-bias 1e39": "--forget-bias must be at least -1e+38",
    f"t.txt --save-every {'9' * 5000}": "--save-every is a number of 5,000 digits",
    f"t.txt --preview-chars {2**63}": "--preview-chars must be at least 0 and at most",
    "": "no text to train on",
}


@pytest.mark.parametrize(("arguments", "word"), USAGE.items())
def test_usage_errors_are_2(train: Train, arguments: str, word: str) -> None:
    """One line that says what, perhaps a hint; no file is touched."""
    Path("sub").mkdir()
    code, out, err = train(*arguments.split())
    last = [line for line in err.splitlines() if not line.startswith("hint: ")][-1]

    assert (code, out) == (2, b"")
    assert "\nhint: " in err
    assert last.startswith("charrnn: error: ")
    assert word in last
    assert names() == {"t.txt", "sub"}
    assert Path("t.txt").read_text() == TEXT


def write_unusable() -> None:
    """Write the texts that the cases below name."""
    Path("empty.txt").touch()
    Path("x.txt").write_text("x")
    Path("bad.txt").write_bytes(b"ok\nwell \xff here\n" * 3)
    Path("d").mkdir()
    Path("kept.npz").write_bytes(b"PK\x03\x04 and so on")
    np.savez("arrays.npz", weights=np.zeros(3))
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")


UNUSABLE = {
    "missing.txt": (3, "missing.txt does not exist", ""),
    "t.txt tt.txt": (3, "tt.txt does not exist", "is t.txt meant?"),
    "d": (3, "d is a directory", "charrnn train d/*.txt"),
    "t.txt --val-file missing.txt": (3, "missing.txt does not exist", ""),
    "t.txt --init-from missing.npz": (3, "missing.npz", ""),
    "t.txt --resume": (3, "t.npz", "leave --resume away"),
    "empty.txt": (4, "the text is empty", ""),
    "x.txt": (4, "only one character", ""),
    "bad.txt": (4, "byte offset 8, line 2", "--encoding"),
    "t.txt --min-count 5000": (4, "nothing is left", "is met "),
    "arrays.npz -o m.npz": (4, "as checkpoints are", "name a text; --init-from"),
    "t.txt --seq-length 5000": (4, "shorter than one window", "--seq-length"),
    "t.txt --batch-size 5000": (4, "more streams (5,000)", "--batch-size"),
    "t.txt --lines --batch-size 50 --seq-length 1": (4, "lines", "--batch-size"),
    "t.txt --val-file new.txt": (4, "U+00E9", ""),
    "t.txt --resume -o t.txt2": (5, "not a charrnn checkpoint", ""),
    "t.txt --init-from t.txt2": (5, "not a charrnn checkpoint", ""),
    "t.txt -o missing/m.npz": (6, "no such file or directory", "directory"),
    "t.txt -o d": (6, "is a directory", "name a file in it"),
    "t.txt -o .": (6, "is a directory (.)", "--output"),
    "t.txt -o ./": (6, "is a directory (./)", "--output"),
    "t.txt -o /": (6, "is a directory (/)", "--output"),
    "t.txt -o ..": (6, "is a directory (..)", "name a file in it"),
    "t.txt --log-file d": (6, "Is a directory", "--log-file"),
    "t.txt --log-file missing/log": (6, "No such file", "directory first"),
    "t.txt --log-file kept.npz": (6, "is a checkpoint", "--log-file"),
    "t.txt --log-file socket": (6, "is not a regular file", "--log-file"),
}


@pytest.mark.parametrize(("arguments", "expected"), UNUSABLE.items())
def test_unusable_files(
    train: Train, arguments: str, expected: tuple[int, str, str]
) -> None:
    """Each with its exit code; nothing is left behind."""
    write_unusable()
    Path("t.txt2").write_text("no checkpoint" * 9)
    Path("new.txt").write_text("é" * 90)
    before = names()
    code, out, err = train(*arguments.split())
    message, _, hint = err.partition("charrnn: error: ")[2].partition("\nhint: ")

    assert (code, out) == (expected[0], b"")
    assert expected[1] in message
    assert expected[2] in hint
    assert hint
    assert names() == before
    assert Path("kept.npz").read_bytes() == b"PK\x03\x04 and so on"


@pytest.mark.parametrize(
    "arguments",
    [
        "- -o a.txt --force",
        "t.txt --val-file - -o a.txt --force",
        "- -o m.npz --log-file a.txt",
        "- -o m.npz --log-file link",
    ],
)
def test_standard_input_is_not_written_to(
    train: Train, monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    """It is a file, too, whatever it is called."""
    Path("a.txt").write_text(TEXT)
    os.link("a.txt", "link")
    with Path("a.txt").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        code, _, err = train(*arguments.split(), *SHORT)

    assert (code, Path("a.txt").read_text()) == (2, TEXT)
    assert "is a text to read" in err
    assert names() == {"t.txt", "a.txt", "link"}


def test_log_beside_a_checkpoint_on_standard_output(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not go into the same file; /dev/null takes both."""
    with Path("m.npz").open("w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        code, _, err = train("t.txt", *SHORT, "-o", "-", "--log-file", "m.npz")
    assert (code, Path("m.npz").read_bytes()) == (2, b"")
    assert "is where a checkpoint goes" in err
    with Path(os.devnull).open("w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        assert train("t.txt", *SHORT, "-o", "-", "--log-file", os.devnull)[0] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do anything")
def test_permissions(train: Train) -> None:
    Path("secret.txt").write_text(TEXT)
    Path("secret.txt").chmod(0)
    Path("closed").mkdir(mode=0o500)

    assert train("secret.txt", *SHORT)[0] == 3
    assert train("t.txt", *SHORT, "-o", "closed/m.npz")[0] == 6
    assert train("t.txt", *SHORT, "--init-from", "secret.txt")[0] == 3


def test_output_that_exists(train: Train) -> None:
    """Neither it nor the best beside it is replaced unasked."""
    for name in ("t.npz", "t.best.npz"):
        Path(name).write_text("mine")
        code, _, err = train("t.txt", *SHORT)
        assert code == 6
        assert "--force" in err.splitlines()[-1]
        assert "--resume" in err.splitlines()[-1]
        assert Path(name).read_text() == "mine"
        Path(name).unlink()
    Path("t.npz").write_text("mine")
    assert train("t.txt", *SHORT, "--force")[0] == 0
    assert position().step == 12


def test_output_that_is_no_file(train: Train) -> None:
    os.mkfifo("fifo")

    assert train("t.txt", *SHORT, "-o", "fifo", "--force")[0] == 6


ODD: dict[str, tuple[bytes, str]] = {
    "NUL": (b"a\0b\0" * 60, "--steps 3"),
    "CRLF": (b"one\r\ntwo\r\n" * 30, "--steps 3"),
    "CRLF to LF": (b"one\r\ntwo\r\n" * 30, "--steps 3 --newlines lf"),
    "newlines only": (b"\n" * 100, "--steps 3"),
    "lines of nothing": (b"\n" * 100, "--steps 3 --lines"),
    "one line": (b"one line without an end", "--steps 3 --lines"),
    "one character, often": (b"a" * 100, "--steps 3"),
    "two characters": (b"ab", "--steps 3"),
    "random bytes": (bytes(range(256)) * 4, "--steps 3 --unit byte"),
    "no validation": (TEXT.encode(), "--steps 3 --val-fraction 0"),
    "rare characters": (TEXT.encode(), "--steps 3 --min-count 9"),
    "byte-order mark": (b"\xef\xbb\xbf" + TEXT.encode(), "--steps 3"),
    "Latin-1": (b"caf\xe9 " * 30, "--steps 3 --encoding latin-1"),
    "UTF-16": (("café " * 30).encode("utf-16"), "--steps 3 --encoding utf-16"),
    "3,000 characters": (
        "".join(map(chr, range(0x4E00, 0x4E00 + 3000))).encode(),
        "--steps 2",
    ),
    "smallest": (TEXT.encode(), "--steps 3 --batch-size 1 --seq-length 1 --hidden 1"),
    "deepest": (TEXT.encode(), "--steps 2 --layers 16"),
    "no steps": (TEXT.encode(), "--steps 0"),
    "a moment": (TEXT.encode(), "--time 0.05s"),
    "part of an epoch": (TEXT.encode(), "--epochs 0.01"),
}


@pytest.mark.parametrize(("content", "options"), ODD.values(), ids=ODD)
def test_odd_texts_and_sizes(train: Train, content: bytes, options: str) -> None:
    """They train, and so they do when they are resumed."""
    Path("odd.txt").write_bytes(content)
    given = (
        ["--hidden", "8", *options.split()]
        if "hidden" not in options
        else options.split()
    )
    code, out, err = train("odd.txt", *given)
    assert (code, out, "error" in err) == (0, b"odd.npz\n", False)
    before = Path("odd.npz").read_bytes()
    code, out, err = train("odd.txt", *given, "--resume")
    assert (code, out) == (0, b"odd.npz\n")
    assert position("odd.npz").step == 0 or "nothing left to do" in err
    assert Path("odd.npz").read_bytes() == before


@pytest.mark.parametrize("name", [b"with space", b"new\nline", b"caf\xe9", b"'quote'"])
def test_odd_names(train: Train, name: bytes) -> None:
    """They are written, and shown without harm."""
    path = Path(os.fsdecode(name + b".txt"))
    try:
        path.write_text(TEXT)
    except OSError:
        pytest.skip("this file system has no such names")
    code, out, err = train(str(path), *SHORT, "--log-file", "log.jsonl")

    assert (code, out) == (0, name + b".npz\n")
    assert position(os.fsdecode(name + b".npz")).step == 12
    records = objects(Path("log.jsonl").read_bytes())
    assert os.fsencode(records[0]["output"]) == name + b".npz"
    code, _, err = train(str(path), *SHORT)
    assert code == 6
    assert len(err.splitlines()) == 3
