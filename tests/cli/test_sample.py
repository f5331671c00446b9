"""`charrnn sample`: text in a stream, in a file, as JSON; alone and in pipelines."""

import gzip
import hashlib
import io
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn.__main__ import run
from charrnn.cli.prompts import WAITING
from charrnn.generation import Generation, Piece
from tests.commands import Command, command
from tests.factories import SYMBOLS, write_sampled

pytestmark = pytest.mark.usefixtures("beside_models")

Run = Callable[..., tuple[int, bytes, str]]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_sampled(path / "m.npz")
    write_sampled(path / "b.npz", unit="byte")
    return path


@pytest.fixture
def text(sample: Run) -> Callable[..., str]:
    """Run the command, and expect it to succeed in silence."""

    def call(*arguments: str) -> str:
        code, out, err = sample(*arguments)
        assert (code, err) == (0, "")
        return out.decode()

    return call


def lines_of(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_text_has_the_length_asked_for(text: Callable[..., str]) -> None:
    """New characters, and one newline that completes the last line."""
    out = text("m.npz", "-n", "50", "--seed", "1")

    assert len(out.rstrip("\n")) <= 50 <= len(out) <= 51
    assert out.endswith("\n")
    assert set(out) <= set(SYMBOLS)
    assert text("m.npz", "-n", "0") == ""


def test_same_seed_same_text(text: Callable[..., str]) -> None:
    one, again, other = (
        text("-n", "80", "m.npz", "--seed", seed) for seed in ("1", "1", "2")
    )

    assert one == again != other
    assert text("m.npz", "-n", "80") != text("m.npz", "-n", "80")


def test_streaming_changes_nothing(text: Callable[..., str]) -> None:
    options = ["m.npz", "-N", "3", "-n", "60", "--seed", "4", "--stop", "bT"]

    assert text(*options, "--stream") == text(*options, "--no-stream")


def test_prompt_stands_before_every_sample(text: Callable[..., str]) -> None:
    options = ["m.npz", "-p", "The ", "-n", "30", "--seed", "3", "--separator", "|"]
    bare = text(*options, "-N", "2", "--no-echo").rstrip("\n").split("|")
    echoed = text(*options, "-N", "2").rstrip("\n").split("|")

    assert echoed == ["The " + sample for sample in bare]
    assert bare[0] != bare[1]


def test_prompt_matters(text: Callable[..., str]) -> None:
    one, other = (
        text("m.npz", "-p", prompt, "-n", "40", "--seed", "3", "--no-echo")
        for prompt in ("a", "☃")
    )

    assert one != other


def test_sample_is_the_same_alone_and_in_company(text: Callable[..., str]) -> None:
    options = ["m.npz", "-n", "50", "--seed", "8", "--separator", "|"]
    alone, many = (text(*options, "-N", n).rstrip("\n").split("|") for n in ("1", "6"))

    assert alone == many[:1]
    assert len(set(many)) == 6


def test_greedy_needs_no_seed(text: Callable[..., str]) -> None:
    assert text("m.npz", "-t", "0", "-n", "40") == text("m.npz", "-t", "0", "-n", "40")


def test_filters_narrow_the_choice(text: Callable[..., str]) -> None:
    """Each one, driven to its end, leaves the likeliest only."""
    greedy = text("m.npz", "-t", "0", "-n", "40")

    assert text("m.npz", "-n", "40", "--top-k", "1") == greedy
    assert text("m.npz", "-n", "40", "--top-p", "1e-9") == greedy
    assert text("m.npz", "-n", "40", "--min-p", "1") == greedy
    assert text("m.npz", "-n", "40", "--temperature", "1e-5") == greedy


def test_stop_text_ends_the_text(text: Callable[..., str]) -> None:
    whole = text("m.npz", "-n", "200", "--seed", "1")
    stop = whole[40:43]
    cut = whole[: whole.index(stop)]
    options = ["m.npz", "-n", "200", "--seed", "1", "--raw", "--stop", "☃☃☃"]

    assert text(*options, "--stop", stop) == cut
    assert text(*options, "--stop", stop, "--include-stop") == cut + stop


def test_escapes_in_prompt_stop_and_separator(text: Callable[..., str]) -> None:
    options = ["m.npz", "--seed", "1", "-N", "2", "-n", "99"]
    plain = text(*options, "-p", "a\né", "--stop", "b", "--separator", "\t")
    escaped = [r"a\n\xe9", r"\x62", r"\t"]
    prompt, stop, separator = escaped

    assert plain == text(
        *options, "-e", "-p", prompt, "--stop", stop, "--separator", separator
    )
    assert plain.count("\t") == 1


def test_null_ends_every_sample(text: Callable[..., str]) -> None:
    out = text("m.npz", "-0", "-N", "3", "-n", "20", "--seed", "2", "-p", "T")

    assert [part[:1] for part in out.split("\0")] == ["T", "T", "T", ""]


def test_unknown_characters(sample: Run) -> None:
    """An error that offers a way out; or left out, or replaced, with a warning."""
    options = ["m.npz", "-p", "Té zoë", "-n", "30", "--seed", "5"]
    code, out, err = sample(*options)
    assert (code, out) == (4, b"")
    assert "'z' U+007A at 4" in err
    assert "'ë' U+00EB at 6 (nearest 'e' 'é')" in err
    assert "(the prompt)" in err
    assert "--unknown skip" in err

    skipped = sample(*options, "--unknown", "skip")
    replaced = sample(*options, "--unknown", "replace")
    assert (skipped[0], replaced[0]) == (0, 0)
    assert "2 unknown characters of the prompt left out" in skipped[2]
    one = sample("m.npz", "-p", "z", "-n", "1", "--unknown", "skip")[2]
    assert "1 unknown character of the prompt left out" in one
    assert "2 unknown characters of the prompt replaced" in replaced[2]
    assert skipped[1].startswith("Té zoë".encode())
    _, expected, _ = sample("m.npz", "-p", "Té o", *options[3:], "--no-echo")
    assert skipped[1].removeprefix("Té zoë".encode()) == expected


def test_impossible_stop_text_is_named(sample: Run) -> None:
    code, _, err = sample("m.npz", "-n", "5", "--stop", "xyz")

    assert code == 0
    assert err.startswith("charrnn: warning: --stop 'xyz'")
    assert sample("m.npz", "-n", "5", "--stop", "xyz", "-q")[2] == ""


def test_json_says_all(sample: Run, directory: Path) -> None:
    arguments = [
        "m.npz",
        "-p",
        "☃",
        "-n",
        "40",
        "-N",
        "2",
        "--seed",
        "6",
        "--stop",
        "cc",
    ]
    code, out, err = sample(*arguments, "--json", "-t", "0.9", "--top-k", "15")
    records = lines_of(out)
    _, plain, _ = sample(
        *arguments,
        "-t",
        "0.9",
        "--top-k",
        "15",
        "--no-echo",
        "--separator",
        "|",
        "--raw",
    )

    assert (code, err) == (0, "")
    assert [record["text"] for record in records] == plain.decode().split("|")
    for index, record in enumerate(records):
        assert list(record) == [
            *("index", "seed", "prompt", "text", "chars", "finish_reason"),
            *("nats", "bits_per_char", "sampler", "checkpoint_sha256"),
        ]
        assert (record["index"], record["seed"], record["prompt"]) == (index, 6, "☃")
        assert record["chars"] == len(record["text"])
        assert record["finish_reason"] == (
            "length" if record["chars"] == 40 else "stop"
        )
        assert record["bits_per_char"] * record["chars"] * 0.6931471805599453 == (
            pytest.approx(record["nats"])
        )
        sampler = {"temperature": 0.9, "top_k": 15, "top_p": None, "min_p": None}
        assert sampler.items() <= record["sampler"].items()
        sha256 = hashlib.sha256((directory / "m.npz").read_bytes()).hexdigest()
        assert record["checkpoint_sha256"] == sha256


def test_random_seed_is_told_and_gives_the_text_again(sample: Run) -> None:
    """In JSON it is small enough for readers that keep numbers as doubles."""
    _, out, _ = sample("m.npz", "-n", "60", "--json")
    (record,) = lines_of(out)
    _, again, err = sample(
        "m.npz", "-n", "60", "-v", "--raw", "--seed", str(record["seed"])
    )

    assert again.decode() == record["text"]
    assert 0 <= record["seed"] < 2**53
    assert f"charrnn: seed {record['seed']}\n" in err
    assert re.search(r"charrnn: 60 characters in .* s, [\d,]+ characters/s\n$", err)


def test_output_file(sample: Run, tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    code, out, err = sample("m.npz", "-n", "30", "--seed", "1", "-o", str(path))
    _, printed, _ = sample("m.npz", "-n", "30", "--seed", "1", "-o", "-")

    assert (code, out, err) == (0, b"", "")
    assert path.read_bytes() == printed


@pytest.mark.parametrize("output", ["m.npz", ".", "missing/out.txt"])
def test_unwritable_output_is_6(sample: Run, output: str, directory: Path) -> None:
    before = (directory / "m.npz").read_bytes()
    code, out, err = sample("m.npz", "-n", "5", "-o", output)

    assert (code, out) == (6, b"")
    assert output in err
    assert (directory / "m.npz").read_bytes() == before


def test_byte_model_gives_raw_bytes(sample: Run, tmp_path: Path) -> None:
    """Exactly as many as asked for, and any are a prompt."""
    prompt = tmp_path / "p.bin"
    prompt.write_bytes(b"\xff\x00\xc3")
    options = ["b.npz", "--prompt-file", str(prompt), "-n", "100", "--seed", "1"]
    code, out, _ = sample(*options)
    _, again, _ = sample("b.npz", "-e", "-p", r"\xff\x00\xc3", *options[3:])

    assert code == 0
    assert out[:3] == b"\xff\x00\xc3"
    assert len(out) == 103
    assert again == out
    (record,) = lines_of(sample(*options, "--json")[1])
    assert record["chars"] == 100
    assert record["text"] == out[3:].decode("utf-8", "replace")


def test_byte_model_stops_at_bytes(sample: Run) -> None:
    _, whole, _ = sample("b.npz", "-n", "300", "--seed", "1")
    stop = whole[20:21]
    _, cut, _ = sample(
        "b.npz", "-n", "300", "--seed", "1", "-e", "--stop", f"\\x{stop[0]:02x}"
    )

    assert cut == whole[: whole.index(stop)]


def test_broken_inputs(sample: Run, directory: Path, tmp_path: Path) -> None:
    """A checkpoint or a prompt that cannot be used, each with its exit code."""
    whole = (directory / "m.npz").read_bytes()
    damaged = bytearray(whole)
    damaged[-2000] ^= 1
    files = {"cut.npz": whole[:-100], "flip.npz": bytes(damaged), "x.txt": b"\xff\n"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    target = tmp_path / "out.txt"
    target.write_text("old")

    def code(checkpoint: str | Path, *arguments: str) -> int:
        code, out, err = sample(str(checkpoint), "-o", str(target), *arguments)
        assert out == b""
        assert err.startswith("charrnn: error: ")
        assert "Traceback" not in err
        return code

    assert code("missing.npz") == 3
    assert code(tmp_path) == 3
    assert code(tmp_path / "cut.npz") == 5
    assert code(tmp_path / "flip.npz") == 5
    assert code(tmp_path / "x.txt") == 5
    assert code("m.npz", "--prompt-file", "missing.txt") == 3
    assert code("m.npz", "--prompt-file", ".") == 3
    assert code("m.npz", "--prompt-file", str(tmp_path / "x.txt")) == 4
    assert code("m.npz", "-p", "z") == 4
    assert target.read_text() == "old"


def test_prompt_that_is_no_text_is_named(sample: Run, tmp_path: Path) -> None:
    """With a way to make it one, since its encoding is no option."""
    path = tmp_path / "p.txt"
    for data, what, hint in (
        (
            gzip.compress(b"The"),
            "the prompt is not a text: it is a gzip file",
            "gunzip",
        ),
        ("The".encode("utf-16"), "the prompt is not utf-8", "from utf-16 to utf-8"),
        (
            "“The”".encode("cp1252"),
            "not valid utf-8: byte 0x93",
            "from cp1252 to utf-8",
        ),
        ("Thé".encode()[:-1], "it ends inside a character at byte 2", "whole?"),
    ):
        path.write_bytes(data)
        code, out, err = sample("m.npz", "-n", "5", "--prompt-file", str(path))
        assert (code, out) == (4, b"")
        assert what in err
        assert hint in err.splitlines()[-1]
        assert "--encoding" not in err


def test_checkpoint_is_not_read_from_a_pipe(sample: Run) -> None:
    code, out, err = sample("-")

    assert (code, out) == (3, b"")
    assert "save it to a file first" in err


def test_empty_prompt_file_is_no_prompt(
    text: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "empty.txt"
    path.touch()
    options = ["m.npz", "-n", "20", "--seed", "1"]

    assert text(*options, "--prompt-file", str(path)) == text(*options)


def test_more_threads_than_processors_are_too_many(sample: Run) -> None:
    code, _, err = sample("m.npz", "-n", "5", "--threads", "100000")

    assert code == 0
    assert err.startswith("charrnn: warning: 100000 threads asked for")


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_interrupted_sample_keeps_what_was_made(
    sample: Run, monkeypatch: pytest.MonkeyPatch, json_option: list[str]
) -> None:
    """All that had come before the interrupt, and no more."""
    pieces, shown = Generation.pieces, ""

    def cut_short(self: Generation) -> Iterator[Piece]:
        nonlocal shown
        for piece in pieces(self):
            if len(shown) >= 7:
                raise KeyboardInterrupt
            shown += piece.text
            yield piece

    monkeypatch.setattr("charrnn.generation.batch.SLICE_SECONDS", 0.0)
    _, whole, _ = sample("m.npz", "-n", "50", "--seed", "1")
    monkeypatch.setattr(Generation, "pieces", cut_short)
    code, out, _ = sample("m.npz", "-n", "50", "--seed", "1", *json_option)

    assert code == 130
    if json_option:
        (record,) = lines_of(out)
        assert record["finish_reason"] == "interrupted"
        assert record["text"] == shown
    else:
        assert out.decode() == shown
    assert shown == whole.decode()[:7]


def test_long_preparation_is_explained(
    sample: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first run compiles for a while: a line says so, unless told to be quiet."""
    monkeypatch.setattr("charrnn.cli.notes.PATIENCE", 0.05)
    pieces = Generation.pieces

    def slowly(self: Generation) -> Iterator[Piece]:
        time.sleep(0.2)
        yield from pieces(self)

    assert sample("m.npz", "-n", "5")[2] == ""
    monkeypatch.setattr(Generation, "pieces", slowly)
    assert "the first run compiles" in sample("m.npz", "-n", "5")[2]
    assert sample("m.npz", "-n", "5", "-q")[2] == ""


def test_terminal_is_spared_control_characters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    def shown(*arguments: str) -> bytes:
        stream = Terminal()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(stream))
        assert run(["sample", *arguments]) == 0
        return stream.getvalue()

    path = str(write_sampled(tmp_path / "esc.npz", symbols="\x1b[m"))
    spared, raw = (
        shown(path, "-n", "100", "--seed", "1", *more) for more in ([], ["--raw"])
    )

    assert raw.count(b"\x1b") > 10
    assert spared.replace(b"\\x1b", b"\x1b") == raw + b"\n"
    assert b"\x1b" not in spared


# From here on the command runs in processes of its own, with real pipes.


def shell(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which ``sample`` is the command."""
    words = " ".join(f"'{word}'" for word in command("sample"))
    return subprocess.run(
        ["bash", "-c", f'sample() {{ {words} "$@"; }}; set -o pipefail; {script}'],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_endless_text_ends_when_the_reader_leaves() -> None:
    """Quietly, and with 0 on both sides."""
    done = shell("sample m.npz -n -1 -q < /dev/null | head -c 30000 | wc -c")

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "30000", "")


def test_piped_prompt_and_loop_that_keeps_its_input() -> None:
    """A pipe is the prompt; with -p the lines of a loop are not eaten."""
    done = shell(
        r"echo 'The cat' | sample m.npz -n 0 -q &&"
        r"printf 'a\nTa\n' | while read -r p; do sample m.npz -p $p -n 0 -q; done"
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "The cat\na\nTa\n", "")


def test_silent_pipe_is_waited_for_with_a_word() -> None:
    done = shell(
        "touch said; { until grep -q waiting said; do sleep 0.1; done; } |"
        "sample m.npz -n 3 --raw 2> said; code=$?; cat said >&2; rm said; exit $code"
    )

    assert (done.returncode, len(done.stdout)) == (0, 3)
    assert done.stderr.count(f"charrnn: {WAITING}\n") == 1


def test_locale_does_not_matter() -> None:
    """Text in and out is UTF-8."""
    done = shell("echo 'Té ☃' | LC_ALL=C PYTHONUTF8=0 sample m.npz -n 0")

    assert (done.returncode, done.stdout) == (0, "Té ☃\n")


def test_ctrl_c_ends_the_process_by_its_signal() -> None:
    """What was made is written, and a loop around the command stops."""
    arguments = command("sample", "m.npz", "-n", "-1", "-q", "-p", "")
    with Command(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        early = process.stdout.read(1000)
        process.send_signal(signal.SIGINT)
        out = early + process.stdout.read()
        err = process.stderr.read()

    assert process.returncode == -signal.SIGINT
    assert err == b""
    assert out.decode()


def test_wrong_option_is_answered_without_numba() -> None:
    """Nor numpy: whoever mistypes need not wait for them."""
    program = (
        "import sys; from charrnn.__main__ import run;"
        "code = run(['sample', 'm.npz', '-t', 'nan']);"
        "print(code, sorted({'numba', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [command()[0], "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "2 []\n"
