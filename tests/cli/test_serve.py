"""`charrnn sample --serve`: a request a line, an answer a line, each as if alone."""

import gc
import io
import json
import os
import shlex
import signal
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import escapes
from charrnn.cli import arriving
from charrnn.cli.arriving import Arriving
from charrnn.cli.serving import escaped
from tests.cli.training import objects
from tests.commands import Command, command, run
from tests.factories import write_sampled

pytestmark = pytest.mark.usefixtures("beside_models")

Run = Callable[..., tuple[int, bytes, str]]
Serve = Callable[..., tuple[int, list[bytes], str]]

TEXT = "bad\tdab\ncab\tbac\ndeed\tdeed\nb\tb\n" * 3


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_sampled(path / "m.npz")
    write_sampled(path / "b.npz", unit="byte")
    write_sampled(path / "one-line.npz", symbols="abc")
    write_sampled(path / "blend.npz", symbols="\t\n abcde", remembered=TEXT, share=0.5)
    drawn: dict[str, Any] = {"symbols": "\t\n abcdeé", "spread": 2.0, "hidden": 16}
    write_sampled(path / "p.npz", **drawn, pairs=True)
    return path


@pytest.fixture
def serve(sample: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Send lines in, all at once: the exit code, the lines that come back, stderr."""

    def call(requests: bytes, *arguments: str) -> tuple[int, list[bytes], str]:
        path = tmp_path / "requests"
        path.write_bytes(requests)
        with path.open() as stream, monkeypatch.context() as patch:
            patch.setattr("sys.stdin", stream)
            code, out, err = sample(*arguments, "--serve")
        return code, io.BytesIO(out).readlines(), err

    return call


@pytest.fixture
def alone(sample: Run) -> Callable[..., bytes]:
    """Continue one prompt by a command of its own: exactly the new text."""

    def call(*arguments: str) -> bytes:
        code, out, err = sample(*arguments, "--raw", "--no-echo")
        assert (code, err) == (0, "")
        return out

    return call


def read_back(line: bytes) -> bytes:
    """Read an answer in plain form."""
    assert line.endswith(b"\n")
    text = line[:-1].decode("latin-1")
    return escapes.expand(text, "byte").encode("latin-1")


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("m.npz", ["-t", "0.8", "-n", "30"]),
        ("m.npz", ["-n", "40", "--best-of", "3", "--stop", "T", "--no-repeat", "3"]),
        ("one-line.npz", ["-n", "30"]),
        ("blend.npz", ["-n", "30", "--adapt", "--adapt-output"]),
        ("blend.npz", ["-n", "30", "--no-copy", "4", "--adapt"]),
    ],
)
def test_answers_are_those_of_the_command_alone(
    serve: Serve, alone: Callable[..., bytes], model: str, options: list[str]
) -> None:
    prompts = ["a", "", "bab", "a" * 300, "cab\\nba", "b"]
    if model == "m.npz":
        prompts.append("T☃\\\\")
    options = [model, *options, "--seed", "5"]
    given = "\n".join(p.replace("\\\\", "\\x5c") for p in prompts)
    skip = ["--unknown", "skip"]
    code, lines, err = serve(given.encode() + b"\n", *options, *skip)

    assert (code, "error" in err) == (0, False)
    assert len(lines) == len(prompts)
    for prompt, line in zip(prompts, lines, strict=True):
        code_alone = alone(*options, *skip, "-q", "-e", "-p", prompt)
        assert read_back(line) == code_alone


def test_bytes_go_in_and_out(serve: Serve, alone: Callable[..., bytes]) -> None:
    options = ["b.npz", "-n", "60", "--seed", "3"]
    code, lines, err = serve("é\n\\xff\\xc3\n".encode() + b"\xff\xc3", *options)

    assert (code, err) == (0, "")
    assert read_back(lines[0]) == alone(*options, "-p", "é")
    assert read_back(lines[1]) == alone(*options, "-e", "-p", r"\xff\xc3")
    assert lines[1] == lines[2]


@pytest.mark.parametrize("more", [[], ["--beam", "3"], ["-t", "1"]])
def test_inputs_of_pairs_get_outputs(
    serve: Serve, alone: Callable[..., bytes], more: list[str]
) -> None:
    options = ["p.npz", "-n", "12", "--seed", "2", *more]
    inputs = ["bad", "cab", "deed", "b"]
    code, lines, err = serve("\n".join([*inputs, "", "x"]).encode(), *options)

    assert code == 0
    assert lines[:4] == [alone(*options, "-p", one) + b"\n" for one in inputs]
    assert len(set(lines)) > 2
    assert lines[4:] == [b"\n", b"\n"]
    assert err.count("\n") == 2
    assert "charrnn: error: an empty input (line 5)" in err
    assert "line 6" in err


def test_echo_shows_the_prompt_too(serve: Serve) -> None:
    options = ["m.npz", "-n", "9", "--seed", "1"]
    bare, echoed = (serve(b"a\\nb\n", *options, *more)[1] for more in ([], ["--echo"]))

    assert echoed == [b"a\\nb" + bare[0]]


def test_every_answer_has_a_seed_of_its_own(serve: Serve) -> None:
    _, lines, _ = serve(b"a\na\na\n", "m.npz", "-n", "40")
    assert len(set(lines)) == 3


@given(st.text(st.sampled_from("ab\\nrx\n\r\t0d☃")))
def test_plain_form_can_be_read_back(text: str) -> None:
    line = escaped(text)
    assert "\n" not in line
    assert "\r" not in line
    assert escapes.expand(line) == text


def test_refused_prompts_leave_an_empty_line(serve: Serve) -> None:
    """And a word on stderr, which even --quiet lets through."""
    requests = b"a\n\xffb\nz\\q\nQ\nb"
    code, lines, err = serve(requests, "m.npz", "-n", "5", "--seed", "1", "-q")

    assert code == 0
    assert [len(line) > 1 for line in lines] == [True, False, False, False, True]
    assert [line.rpartition(" (")[2] for line in err.splitlines()] == [
        "line 2)",
        "line 3)",
        "line 4)",
    ]


def test_objects_are_answered_as_the_command_answers(serve: Serve, sample: Run) -> None:
    asked: list[dict[str, Any]] = [
        {"prompt": "a", "length": 9, "seed": 3},
        {"id": "x", "prompt": "ab", "seed": 3, "temperature": 0.5, "top_k": 3},
        {"id": 7, "prompt": "b", "seed": 4, "stop": ["T", "☃"], "length": 80},
        {"prompt": "\nab", "seed": 5, "lines": 2, "include_stop": None},
        {"seed": 6, "logit_bias": {"a": -2.5}, "ban": "T", "length": 30, "logprobs": 2},
        {"prompt": "a", "seed": 8, "pattern": "[aT]{3,9}b?"},
        {"prompt": "a", "seed": 7, "best_of": 3, "length": 12, "unknown": "skip"},
    ]
    lines = "".join(json.dumps(one) + "\n" for one in asked)
    code, found, err = serve(lines.encode(), "m.npz", "--json", "-n", "20")

    assert (code, err) == (0, "")
    for question, line in zip(asked, found, strict=True):
        answer = json.loads(line)
        assert answer.pop("id") == question.get("id")
        words = ["--json", "-n", str(question.get("length", 20))]
        for name, value in question.items():
            values = value if isinstance(value, list) else [value]
            if name == "logit_bias":
                values = ["a=-2.5"]
            if name not in ("id", "length") and value is not None:
                words += [f"--{name.replace('_', '-')}={one}" for one in values]
        if "prompt" not in question:
            words += ["-p", ""]
        code, out, _ = sample("m.npz", *words)
        assert [answer] == objects(out)


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        ('{"length": "x"}', "length", "length must be a whole number"),
        ('{"lenght": 5}', "lenght", "there is no option lenght"),
        ('{"num_samples": 2}', "num_samples", "command line alone"),
        ('{"output": "f"}', "output", "command line alone"),
        ('{"corpus": "f"}', "corpus", "command line alone"),
        ('{"temperature": 0, "top_k": 3}', None, "cannot be combined"),
        ('{"temperature": 1e999}', "temperature", "finite"),
        ('{"length": -1}', "length", "never end"),
        ('{"no_copy": 5}', None, "memory"),
        ('{"blend": 0.5}', "blend", "memory"),
        ('{"include_stop": true}', "include_stop", "stop"),
        ('{"prompt": 5}', "prompt", "text"),
        ('{"prompt": "Q"}', None, "'Q'"),
        ('{"prompt": "\\ud800"}', None, "d800"),
        ('{"id": [1]}', "id", "text or a number"),
        ('{"id": true}', "id", "text or a number"),
        ('{"id": -1e400}', "id", "text or a number"),
        ('{"allow": ""}', None, "no character is left"),
        ('{"pattern": "(?=a)b"}', "pattern", "lookaround"),
        ('{"pattern": "[aT]{9}"}', "pattern", "has 9 characters"),
        ('{"a": 1, "a": 2}', None, "twice"),
        ("[1]", None, "no object"),
        ("{", None, "no JSON"),
        ("", None, "no JSON"),
        ("[" * 20_000, None, "no JSON"),
        ('{"length": NaN}', None, "NaN"),
    ],
)
def test_bad_request_is_told_and_the_next_one_works(
    serve: Serve, request_: str, field: str | None, words: str
) -> None:
    requests = f'{request_}\n{{"id": 2, "prompt": "a"}}\n'.encode()
    code, lines, err = serve(requests, "m.npz", "--json", "-n", "5")
    refused, answer = map(json.loads, lines)

    assert (code, err) == (0, "")
    assert refused["field"] == field
    assert words.lower() in refused["error"].lower()
    assert list(refused) == ["id", "error", "field", "hint"]
    assert (answer["id"], answer["chars"]) == (2, 5)


def test_refusal_hands_the_id_back(serve: Serve) -> None:
    requests = b'{"id": "one", "top_p": 2}\n{"id": 1.5, "prompt": "Q"}\n{"id": 3}'
    _, lines, _ = serve(requests, "m.npz", "--json", "-n", "5")

    assert [json.loads(line)["id"] for line in lines] == ["one", 1.5, 3]


@pytest.mark.parametrize(
    "arguments",
    [
        ["-p", "a"],
        ["--prompt-file", "f"],
        ["--prompt-lines"],
        ["-N", "2"],
        ["-0"],
        ["--separator", "|"],
        ["-n", "-1"],
    ],
)
def test_what_no_answer_can_have_is_2(serve: Serve, arguments: list[str]) -> None:
    code, lines, err = serve(b"a\n", "m.npz", *arguments)

    assert (code, lines) == (2, [])
    assert "--serve" in err


def test_closed_input_is_3(sample: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    code, _, err = sample("m.npz", "--serve")

    assert code == 3
    assert "standard input is closed" in err


def test_nothing_asked_nothing_said(serve: Serve) -> None:
    assert serve(b"", "m.npz") == (0, [], "")


def test_long_line_is_a_long_prompt(serve: Serve, alone: Callable[..., bytes]) -> None:
    long = b"ab" * 500_000
    options = ["one-line.npz", "-n", "8", "--seed", "1"]
    code, lines, err = serve(b"a\n" + long + b"\nb\n", *options)

    assert (code, err, len(lines)) == (0, "", 3)
    assert lines[2] == alone(*options, "-p", "b") + b"\n"


def test_too_long_a_line_is_refused(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "LONGEST", 1 << 17)
    requests = b"a\n" + b"a" * (1 << 19) + b"\nb\n"
    code, lines, err = serve(requests, "m.npz", "-n", "5")

    assert (code, len(lines)) == (0, 3)
    assert [len(line) > 1 for line in lines] == [True, False, True]
    assert "longer than" in err


def test_memory_does_not_grow(serve: Serve) -> None:
    """What remains of six hundred requests is what remains of fifty."""

    def kept(count: int) -> int:
        tracemalloc.start()
        code, lines, _ = serve(b"ab\n" * count, "m.npz", "-n", "3", "-o", "out")
        gc.collect()
        found = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert (code, lines) == (0, [])
        assert Path("out").read_bytes().count(b"\n") == count
        return found

    kept(50)
    assert kept(600) < kept(50) + 100_000


@given(
    st.lists(st.sampled_from([b"", b"a", b"bb\r", b"x" * 70_000]), max_size=6),
    st.booleans(),
    st.integers(1, 5),
)
def test_lines_arrive_whole(lines: list[bytes], half: bool, most: int) -> None:
    """However they are cut, and whether or not the last one has its end."""
    given = b"".join(line + b"\n" for line in lines) + b"half" * half
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:  # pragma: no cover - another process
        os.close(reader)
        with os.fdopen(writer, "wb") as stream:
            stream.write(given)
        os._exit(0)
    os.close(writer)
    found: list[bytes | None] = []
    arrived = Arriving(reader, "pipe")
    while block := arrived.lines(most):
        assert len(block) <= most
        found += block
    os.close(reader)
    os.waitpid(pid, 0)

    assert found == lines + [b"half"] * half


@pytest.fixture
def service() -> Iterator["subprocess.Popen[bytes]"]:
    """Start a coprocess, whose answers are ten characters of seed 1."""
    words = command("sample", "m.npz", "--serve", "-n", "10", "--seed", "1")
    pipe = subprocess.PIPE
    with Command(words, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        yield process
        process.kill()


def test_answers_come_one_by_one(service: "subprocess.Popen[bytes]") -> None:
    """Whoever waits for each answer gets it, and the last line needs no end."""
    assert service.stdin is not None
    assert service.stdout is not None
    answers = []
    for prompt in (b"a\n", b"b\n", b"a\n"):
        service.stdin.write(prompt)
        service.stdin.flush()
        answers.append(service.stdout.readline())
    service.stdin.write(b"a")
    service.stdin.close()
    answers.append(service.stdout.readline())

    assert answers[0] == answers[2] == answers[3] != answers[1]
    assert service.wait(60) == 0


def test_reader_that_leaves_ends_it_quietly(
    service: "subprocess.Popen[bytes]",
) -> None:
    assert service.stdin is not None
    assert service.stdout is not None
    assert service.stderr is not None
    service.stdout.close()
    service.stdin.write(b"a\n")
    service.stdin.flush()

    assert (service.wait(60), service.stderr.read()) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it(service: "subprocess.Popen[bytes]", number: int) -> None:
    assert service.stdin is not None
    assert service.stdout is not None
    service.stdin.write(b"a\n")
    service.stdin.flush()
    answer = service.stdout.readline()
    service.send_signal(number)

    assert answer.endswith(b"\n")
    assert service.wait(60) == -number


def test_bash_talks_to_a_coprocess() -> None:
    """As the README shows it."""
    words = shlex.join(command("sample", "m.npz", "--serve", "-n", "10", "--seed", "1"))
    script = (
        f"coproc model {{ {words}; }}; "
        'for p in a b; do echo "$p" >&"${model[1]}"; '
        'IFS= read -r answer <&"${model[0]}"; printf "%s\\n" "$answer"; done'
    )
    done = run(["bash", "-c", script], capture_output=True, timeout=120)

    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 2


@pytest.mark.parametrize("model", ["m.npz", "p.npz"])
@pytest.mark.parametrize("form", [[], ["--json"], ["-0"], ["--separator", "|"]])
def test_prompt_lines_are_answered_before_their_end(
    model: str, form: list[str]
) -> None:
    """And the answers are those that the same lines get all at once."""
    options = ["sample", model, "--prompt-lines", "-n", "12", "-t", "1", *form]
    words = command(*options, "--seed", "4", "-N", "2", "--echo")
    lines = [b"bad\n", b"cab\n", b"deed\n"]
    if model == "m.npz":
        lines = [b"a\n", b"b\n", b"ab\n"]
    pipe = subprocess.PIPE
    with Command(words, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(lines[0])
        process.stdin.flush()
        first = os.read(process.stdout.fileno(), 1 << 16)
        process.stdin.write(b"".join(lines[1:]))
        process.stdin.close()
        rest = process.stdout.read()
        assert process.wait(60) == 0
    whole = run(words, input=b"".join(lines), capture_output=True, timeout=60)

    assert first
    assert first + rest == whole.stdout
    Path("lines.txt").write_bytes(b"".join(lines))
    with Path("lines.txt").open("rb") as stream:
        kept = run(words, stdin=stream, capture_output=True, timeout=60)
    assert kept.stdout == whole.stdout


def test_wrong_line_is_numbered_behind_those_that_were_answered() -> None:
    words = command("sample", "m.npz", "--prompt-lines", "-n", "5", "--seed", "1")
    pipe = subprocess.PIPE
    with Command(words, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"a\n")
        process.stdin.flush()
        assert os.read(process.stdout.fileno(), 1 << 16)
        process.stdin.write(b"b\nQ\n")
        process.stdin.close()
        assert process.wait(60) == 4
        assert b"the prompt, line 3" in process.stderr.read()
