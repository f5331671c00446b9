"""Arguments in a locale of ASCII mean what they mean in any other."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from charrnn.__main__ import run
from charrnn.cli.options import as_text
from tests.cli.training import Train
from tests.commands import command
from tests.factories import write_sampled

pytestmark = pytest.mark.usefixtures("beside_models")

#: A locale in which Python decodes nothing above ASCII.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_sampled(path / "m.npz", symbols="\naéü☃")
    return path


def undecoded(text: str) -> str:
    """Turn an argument into what Python makes of it in a locale of ASCII."""
    return text.encode().decode("ascii", "surrogateescape")


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("plain", "plain"),
        ("é ☃", "é ☃"),
        (undecoded("é ☃"), "é ☃"),
        ("", ""),
    ],
)
def test_text_is_utf8(argument: str, text: str) -> None:
    assert as_text(argument) == text


@pytest.mark.parametrize("codes", [[0xDCFF], [0xDCC3], [0xD83D], [0xD83D, 0xDCC3]])
def test_what_is_no_text_is_left_alone(codes: list[int]) -> None:
    """A byte that is no UTF-8, half a character, and what stands for no byte."""
    argument = "".join(map(chr, codes))

    assert as_text(argument) == argument


@pytest.mark.parametrize(
    "options",
    [
        ["--prompt", "é☃"],
        ["--stop", "é", "--stop", "☃ü"],
        ["--ban", "éü"],
        ["--allow", "é\n☃"],
        ["--logit-bias", "é=4", "--logit-bias", "☃=-inf"],
        ["--separator", "☃", "-N", "2"],
    ],
)
def test_every_text_of_sample(sample: Train, options: list[str]) -> None:
    """The answer is the same, letter by letter."""
    fixed = ["m.npz", "-n", "40", "--seed", "5"]
    json_too = [] if "--separator" in options else ["--json"]
    expected = sample(*fixed, *options, *json_too)
    found = sample(*fixed, *map(undecoded, options), *json_too)

    assert expected[0] == 0
    assert found == expected


def test_the_text_of_inspect(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for text in ("aé☃", undecoded("aé☃")):
        assert run(["inspect", "m.npz", "--view", "surprise", "--text", text]) == 0
        outputs.append(capsys.readouterr().out)

    assert outputs[0] == outputs[1]


def test_a_process_in_such_a_locale() -> None:
    """Texts are read as UTF-8, and names of files are the bytes that they are."""
    options = ["-n", "9", "--seed", "1", "--ban", "é", "-p", "☃", "--json"]
    write_sampled(Path("ü.npz"), symbols="\naéü☃")
    done = subprocess.run(
        command("sample", "ü.npz", *options, "-o", "é.txt"),
        env=os.environ | ASCII,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )

    assert (done.returncode, done.stdout) == (0, b"")
    record = json.loads(Path("é.txt").read_text(encoding="utf-8"))
    assert record["prompt"] == "☃"
    assert record["sampler"]["ban"] == "é"
    assert "é" not in record["text"]
