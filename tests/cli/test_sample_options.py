"""The options of `charrnn sample`: each does what it says, or is refused."""

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.__main__ import run
from charrnn.cli import prompts
from charrnn.config import usual_length
from tests.commands import command
from tests.factories import SYMBOLS, write_sampled

pytestmark = pytest.mark.usefixtures("beside_models")

Run = Callable[..., tuple[int, bytes, str]]
Text = Callable[..., str]
Records = Callable[..., list[dict[str, Any]]]

#: Symbols of a model whose texts repeat themselves soon.
FEW = "\nab"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_sampled(path / "m.npz")
    write_sampled(path / "b.npz", unit="byte")
    write_sampled(path / "few.npz", symbols=FEW)
    write_sampled(path / "one-line.npz", symbols="abc")
    write_sampled(path / "dos.npz", symbols="\n\rab")
    write_sampled(path / "mac.npz", symbols="\rab")
    write_sampled(path / "equals.npz", symbols="\n=\\ab")
    return path


@pytest.fixture
def text(sample: Run) -> Text:
    """Run the command, expect silent success, and return exactly the new text."""

    def call(*arguments: str) -> str:
        code, out, err = sample(*arguments, "--raw", "--no-echo")
        assert (code, err) == (0, "")
        return out.decode()

    return call


@pytest.fixture
def records(sample: Run) -> Records:
    """Run the command with --json, and expect it to succeed in silence."""

    def call(*arguments: str) -> list[dict[str, Any]]:
        code, out, err = sample(*arguments, "--json")
        assert (code, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]

    return call


def texts_of(records: list[dict[str, Any]]) -> list[str]:
    return [record["text"] for record in records]


def grams(text: str, n: int) -> list[str]:
    """List all runs of n characters."""
    return [text[i : i + n] for i in range(len(text) - n + 1)]


# Prompts, one a line.


def write_lines(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def test_every_line_is_a_prompt(records: Records, text: Text, tmp_path: Path) -> None:
    """Sample i is continued with its own random numbers, and no other's."""
    path = write_lines(tmp_path / "p.txt", "The cat", "", "☃", "The cat")
    options = ["m.npz", "-n", "40", "--seed", "3"]

    found = records(*options, "--prompt-file", path, "--prompt-lines")

    assert [record["prompt"] for record in found] == ["The cat", "", "☃", "The cat"]
    assert [record["index"] for record in found] == [0, 1, 2, 3]
    assert found[0]["text"] != found[3]["text"]
    for i, record in enumerate(found):
        alone = records(*options, "-p", record["prompt"], "-N", "4")
        assert record["text"] == alone[i]["text"]
    assert found[0]["text"] == text(*options, "-p", "The cat")


@pytest.mark.parametrize("model", ["m.npz", "dos.npz", "mac.npz", "b.npz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_prompts_are_no_part_of_them(
    records: Records, sample: Run, tmp_path: Path, model: str, end: str
) -> None:
    """Whichever they are, and whichever the model knows."""
    path = tmp_path / "p.txt"
    path.write_bytes(f"ab{end}ba{end}".encode())
    options = [model, "-n", "5", "--seed", "3", "--prompt-file", str(path)]

    lines = records(*options, "--prompt-lines")
    skipped = sample(*options, "--prompt-lines", "--unknown", "skip")

    assert [record["prompt"] for record in lines] == ["ab", "ba"]
    assert skipped[2] == ""
    assert skipped[1] == sample(*options, "--prompt-lines")[1]
    (whole,) = records(*options)
    between = {"m.npz": "\n", "mac.npz": "\r"}.get(model, end)
    assert whole["prompt"] == f"ab{between}ba"


def test_every_line_is_continued_several_times(
    records: Records, sample: Run, tmp_path: Path
) -> None:
    """The samples of a line follow one another; each is echoed with its prompt."""
    path = write_lines(tmp_path / "p.txt", "Ta", "be")
    options = ["m.npz", "-n", "25", "--seed", "3", "-N", "2"]
    lines = ["--prompt-file", path, "--prompt-lines"]

    found = records(*options, *lines)
    _, shown, _ = sample(*options, *lines, "--raw", "--separator", "|")

    assert [record["prompt"] for record in found] == ["Ta", "Ta", "be", "be"]
    first = records(*options[:-1], "4", "-p", "Ta")
    second = records(*options[:-1], "4", "-p", "be")
    assert texts_of(found) == texts_of(first)[:2] + texts_of(second)[2:]
    assert shown.decode().split("|") == [r["prompt"] + r["text"] for r in found]


@pytest.mark.parametrize("model", ["m.npz", "one-line.npz"])
def test_lines_do_not_depend_on_company_or_threads(
    records: Records, tmp_path: Path, model: str
) -> None:
    """Empty ones neither, be there a newline to begin with or not."""
    lines = ["ab", "", "a" * 700, "b", ""]
    options = [model, "-n", "30", "--seed", "9", "--prompt-lines", "--prompt-file"]
    many = records(*options, write_lines(tmp_path / "many.txt", *lines))

    for threads in ("1", "2"):
        again = records(*options, str(tmp_path / "many.txt"), "--threads", threads)
        assert texts_of(again) == texts_of(many)
    for count in range(1, len(lines)):
        few = records(*options, write_lines(tmp_path / "few.txt", *lines[:count]))
        assert texts_of(few) == texts_of(many)[:count]


def test_lines_of_a_prompt_given_as_an_option(records: Records) -> None:
    escaped = records("m.npz", "-e", "-p", r"a\nb", "--prompt-lines", "-n", "5")
    single = records("m.npz", "-p", "", "--prompt-lines", "-n", "5")

    assert [record["prompt"] for record in escaped] == ["a", "b"]
    assert [record["prompt"] for record in single] == [""]


def test_pattern_is_kept_to(records: Records, text: Text) -> None:
    pattern = r"[aT]{2,5}(?:é|\n)b"
    found = records("m.npz", "-N", "9", "--seed", "2", "--pattern", pattern)

    assert all(re.fullmatch(pattern, one["text"]) for one in found)
    assert {one["finish_reason"] for one in found} == {"pattern"}
    assert {one["sampler"]["pattern"] for one in found} == {pattern}
    assert text("m.npz", "--seed", "2", "--pattern", pattern) == found[0]["text"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--pattern", "a(?=b)"], 2, "--pattern cannot have lookaround"),
        (["--pattern", "(a|b)*a(a|b){20}"], 2, "--pattern has too many states"),
        (["--pattern", "aX"], 4, "nothing is possible at character 2"),
        (["--pattern", "a{9}", "-n", "5"], 4, "has 9 characters"),
    ],
)
def test_pattern_that_cannot_be_kept_to(
    sample: Run, arguments: list[str], code: int, words: str
) -> None:
    found, out, err = sample("m.npz", *arguments)

    assert (found, out) == (code, b"")
    assert words in err


def test_missing_pattern_library_is_8(
    sample: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "greenery", None)
    code, _, err = sample("m.npz", "--pattern", "a")

    assert code == 8
    assert "charrnn-numba[patterns]" in err


def test_units_are_held(records: Records, sample: Run) -> None:
    options = ["m.npz", "-n", "40", "--seed", "3"]
    (free,) = records(*options)
    (held,) = records(*options, "--set-unit", "1:2=5", "--set-unit", "0:0:c=-3")

    assert held["text"] != free["text"]
    assert held["sampler"]["set_unit"] == ["1:2:h=5.0", "0:0:c=-3.0"]
    assert "set_unit" not in free["sampler"]
    code, _, err = sample(*options, "--set-unit", "2:0=1")
    assert code == 2
    assert "--set-unit: there is no layer 2" in err


def test_prompt_lines_without_a_prompt_are_2(sample: Run) -> None:
    code, out, err = sample("m.npz", "--prompt-lines", "-n", "5")

    assert (code, out) == (2, b"")
    assert "--prompt-lines needs prompts" in err


def test_unknown_character_of_a_line(sample: Run, tmp_path: Path) -> None:
    """The error says in which line; a warning counts those of all lines."""
    path = write_lines(tmp_path / "p.txt", "a", "bzz", "z")
    options = ["m.npz", "--prompt-lines", "--prompt-file", path, "-n", "5"]

    code, out, err = sample(*options)
    assert (code, out) == (4, b"")
    assert "'z' U+007A at 2" in err
    assert "(the prompt, line 2)" in err
    code, out, err = sample(*options, "--unknown", "skip")
    assert code == 0
    assert "3 unknown characters of the prompt left out" in err


# A long prompt.


def test_long_prompt_is_read_as_a_short_one(
    text: Text, records: Records, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In slices with parted characters, or in one piece: the same sample follows."""
    path = tmp_path / "p.txt"
    given = "".join(np.random.default_rng(5).choice(list(SYMBOLS), 9000))
    path.write_text(given, encoding="utf-8")
    options = ["m.npz", "--prompt-file", str(path), "-n", "40", "--seed", "2"]
    options += ["--no-repeat", "3"]
    whole = text(*options)

    for size in (100, 4001):
        monkeypatch.setattr(prompts, "READ", size)
        assert text(*options) == whole
        (record,) = records(*options)
        assert record["text"] == whole
        assert record["prompt"] == given
        assert records(*options, "-N", "2")[0]["text"] == whole
        assert text("m.npz", "-p", given, *options[3:]) == whole


def test_long_prompt_is_echoed_and_its_unknown_characters_are_named(
    sample: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(prompts, "READ", 64)
    path = tmp_path / "p.txt"
    path.write_text("Té☃" * 100 + "z" + "a" * 100 + "zy\n")
    options = ["m.npz", "--prompt-file", str(path), "-n", "0"]

    code, out, err = sample(*options)
    assert (code, out) == (4, b"")
    assert "'z' U+007A at 301" in err
    assert "'y' U+0079 at 403" in err
    code, out, err = sample(*options, "--unknown", "replace")
    assert (code, out) == (0, path.read_bytes())
    assert "3 unknown characters of the prompt replaced" in err


PEAK = """
import resource, sys
from charrnn.__main__ import run
code = run(sys.argv[1:])
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def test_memory_for_a_long_prompt_is_bounded(tmp_path: Path) -> None:
    """Held as a whole, as text and as ids, it would take 60 MB."""
    arguments = ["sample", "few.npz", "-n", "3", "--unknown", "skip"]
    arguments += ["--no-echo", "--raw", "-q"]

    def peak(size: int) -> int:
        path = tmp_path / "p.txt"
        path.write_bytes(b"Tabc deh.\n" * (size // 10))
        with path.open() as stdin:
            done = subprocess.run(
                [command()[0], "-c", PEAK, *arguments],
                stdin=stdin,
                capture_output=True,
                text=True,
                check=True,
            )
        assert len(done.stdout) == 3
        code, kilobytes = done.stderr.split()
        assert code == "0"
        return int(kilobytes)

    assert peak(6_000_000) - peak(1000) < 24_000


# When a sample ends.


def test_lines_end_the_text(records: Records, text: Text) -> None:
    found = records("few.npz", "--lines", "3", "-N", "4", "--seed", "1")

    for record in found:
        assert record["finish_reason"] == "lines"
        assert record["text"].count("\n") == 3
        assert record["text"].endswith("\n")
    # Those of the prompt do not count, and a length may come first.
    assert text("few.npz", "-p", "a\nb\n", "--lines", "1").count("\n") == 1
    (short,) = records("few.npz", "--lines", "50", "-n", "20")
    assert (short["chars"], short["finish_reason"]) == (20, "length")


def test_lines_that_never_come(sample: Run, records: Records) -> None:
    """There are 2000 characters a line, and no more."""
    (record,) = records("few.npz", "-e", "--ban", r"\n", "--lines", "2")
    assert (record["chars"], record["finish_reason"]) == (4000, "length")
    code, out, err = sample("one-line.npz", "--lines", "1", "--raw")
    assert (code, len(out)) == (0, 2000)
    assert err == (
        "charrnn: warning: --lines is of no use: the model never writes a newline\n"
    )


def test_default_lengths() -> None:
    assert usual_length(None, None) == 2000
    assert usual_length(3, None) == 6000
    assert usual_length(None, 0.5) == -1
    assert usual_length(3, 0.5) == -1


@pytest.mark.parametrize("lines", ["0", "-1", str(2**63)])
def test_lines_out_of_range_are_called_lines(sample: Run, lines: str) -> None:
    """The usual length is made of them, but nobody asked for a length."""
    code, _, err = sample("m.npz", "--lines", lines)

    assert code == 2
    assert err.startswith("charrnn: error: --lines ")


def test_as_many_lines_as_can_be_asked_for(records: Records) -> None:
    (record,) = records(
        "m.npz", "--lines", str(2**63 - 1), "--stop", "a", "--seed", "1"
    )

    assert record["text"]


def test_time_ends_the_text(records: Records) -> None:
    found = records("m.npz", "--time", "0.2s", "-N", "3")

    assert [record["finish_reason"] for record in found] == ["time"] * 3
    for record in found:
        assert record["chars"] == len(record["text"])
    (short,) = records("m.npz", "--time", "1h", "-n", "20")
    assert (short["chars"], short["finish_reason"]) == (20, "length")
    (lined,) = records("few.npz", "--time", "1h", "--lines", "1")
    assert lined["finish_reason"] == "lines"


def cut_at_stop(text: str, stops: list[str], include: bool) -> str:
    """Cut a text where a stop text is first complete; the longest of several."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[:end] if include else text[: end - max(map(len, complete))]
    return text


@settings(max_examples=60)
@given(
    st.lists(st.text(FEW, min_size=1, max_size=5), max_size=4),
    st.integers(0, 40),
    st.integers(1, 3),
    st.text(FEW, max_size=4),
    st.booleans(),
    st.integers(0, 20),
)
def test_streamed_text_is_the_unstreamed_text(
    tmp_path_factory: pytest.TempPathFactory,
    stops: list[str],
    length: int,
    count: int,
    prompt: str,
    include: bool,
    seed: int,
) -> None:
    """And both are the text without stops, cut by hand."""
    path = tmp_path_factory.getbasetemp() / "out.txt"

    def texts(*options: str) -> list[str]:
        arguments = ["few.npz", "--seed", str(seed), "-n", str(length), "-p", prompt]
        arguments += ["-N", str(count), "--raw", "-0", "-o", str(path)]
        assert run(["sample", *arguments, *options]) == 0
        *found, rest = path.read_text().split("\0")
        assert rest == ""
        return found

    stopping = [f"--stop={stop}" for stop in stops]
    if include and stops:
        stopping.append("--include-stop")
    streamed = texts(*stopping, "--stream")
    whole = texts("--no-echo")

    assert streamed == texts(*stopping, "--no-stream")
    assert streamed == [prompt + cut_at_stop(text, stops, include) for text in whole]


def test_stop_text_in_the_prompt_does_not_stop(text: Text) -> None:
    """Nor does one that begins in the prompt and ends behind it."""
    options = ["m.npz", "-n", "60", "--seed", "4", "-p", "The cat"]
    whole = text(*options)
    straddling = "t" + whole[0]
    (stops,) = [["The", "cat", straddling]]

    expected = cut_at_stop(whole, stops, include=False)
    assert text(*options, *(f"--stop={stop}" for stop in stops)) == expected
    assert expected


def test_stop_text_at_the_length_limit(records: Records, text: Text) -> None:
    """Complete with the last character it counts; one short of it, it does not."""
    whole = text("m.npz", "-n", "60", "--seed", "1")
    stop = whole[30:40]
    end = whole.index(stop) + len(stop)
    options = ["m.npz", "--seed", "1", "--stop", stop]

    (complete,) = records(*options, "-n", str(end))
    (short,) = records(*options, "-n", str(end - 1))

    assert (complete["text"], complete["finish_reason"]) == (
        whole[: end - len(stop)],
        "stop",
    )
    assert (short["text"], short["finish_reason"]) == (whole[: end - 1], "length")


# Which characters are chosen.


def test_typical_keeps_what_surprises_as_expected(records: Records) -> None:
    """Driven to its end, the one character whose -ln p is nearest to the entropy."""
    (record,) = records("m.npz", "-n", "60", "--typical", "1e-9", "--logprobs", "99")

    for entry in record["logprobs"]:
        p = {top["char"]: math.exp(top["logprob"]) for top in entry["top"]}
        entropy = -sum(x * math.log(x) for x in p.values())
        distance = {char: abs(-math.log(x) - entropy) for char, x in p.items()}
        assert distance[entry["char"]] <= min(distance.values()) + 1e-9
    assert record["sampler"]["typical"] == 1e-9


@pytest.mark.parametrize("options", [[], ["-t", "0"], ["-t", "0.1"], ["-N", "3"]])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_no_run_of_characters_comes_again(
    records: Records, n: int, options: list[str]
) -> None:
    """Those of the prompt, or partly in it, included."""
    prompt = "cat cat the"
    found = records("m.npz", "-p", prompt, "-n", "150", "--no-repeat", str(n), *options)

    for record in found:
        runs = grams(prompt + record["text"], n)
        new = runs[len(prompt) - n + 1 :]
        seen = set(runs[: len(prompt) - n + 1])
        for gram in new:
            assert gram not in seen
            seen.add(gram)


def test_without_no_repeat_they_do_come_again(text: Text) -> None:
    """Otherwise the test above would say little."""
    runs = grams(text("m.npz", "-n", "150", "-t", "0.1", "--seed", "1"), 5)

    assert len(set(runs)) < len(runs)


@pytest.mark.parametrize("n", [2, 4, 7])
def test_nothing_is_copied_from_the_corpus(
    records: Records, text: Text, tmp_path: Path, n: int
) -> None:
    """Not even across the border of the prompt; two files do not make one text."""
    one, two = tmp_path / "1.txt", tmp_path / "2.txt"
    options = ["m.npz", "-p", "The cat", "-n", "200", "--seed", "7"]
    free = text(*options)
    one.write_text("zzz The cat" + free + "zz", encoding="utf-8-sig")
    two.write_bytes("Ta Tb\r\nTc☃\r\n".encode())

    (record,) = records(
        *options, "--no-copy", str(n), "--corpus", str(one), "--corpus", str(two)
    )

    stored = [one.read_text("utf-8-sig"), "Ta Tb\nTc☃\n"]
    forbidden = {gram for text in stored for gram in grams(text, n)}
    whole = "The cat" + record["text"]
    new = set(grams(whole[7 - n + 1 :], n))
    assert not new & forbidden
    assert record["chars"] == 200
    assert record["sampler"]["no_copy"] == n
    copied = set(grams(("The cat" + free)[7 - n + 1 :], n))
    assert copied <= forbidden


def test_longer_runs_than_the_corpus_are_free(text: Text, tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    options = ["m.npz", "-n", "50", "--seed", "7", "--no-copy", "4"]
    for corpus in ("", "cat"):
        path.write_text(corpus)
        free = text(*options[:-2])
        assert text(*options, "--corpus", str(path)) == free


def test_nothing_is_copied_from_bytes(sample: Run, tmp_path: Path) -> None:
    options = ["b.npz", "-n", "300", "--seed", "7"]
    _, free, _ = sample(*options)
    path = tmp_path / "c.bin"
    path.write_bytes(free)

    code, out, _ = sample(*options, "--no-copy", "2", "--corpus", str(path))

    assert (code, len(out)) == (0, 300)
    pairs = [{text[i : i + 2] for i in range(299)} for text in (free, out)]
    assert not pairs[0] & pairs[1]


def test_corpus_from_standard_input(
    text: Text, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "c.txt"
    path.write_text(FEW + "ab")
    options = ["few.npz", "-n", "50", "--seed", "7", "--no-copy", "2", "-p", ""]

    with path.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        out = text(*options, "--corpus", "-")

    assert out == text(*options, "--corpus", str(path))


@pytest.mark.parametrize("prompt", [[], ["--prompt-file", "-"]])
def test_standard_input_cannot_be_both_prompt_and_corpus(
    sample: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prompt: list[str]
) -> None:
    """The corpus would be found empty, and nothing would be forbidden."""
    path = tmp_path / "c.txt"
    path.write_text("abab")

    with path.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        code, out, err = sample(
            "few.npz", "-n", "50", "--no-copy", "2", "--corpus", "-", *prompt
        )

    assert (code, out) == (2, b"")
    assert "--corpus" in err


def test_unusable_corpus(sample: Run, tmp_path: Path) -> None:
    """Nothing is written, and no hint speaks of training."""
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"good\n\xff")
    options = ["m.npz", "-p", "a", "--no-copy", "4", "--corpus"]

    for name, code in (("missing.txt", 3), (".", 3), (str(bad), 4)):
        found, out, err = sample(*options, name)
        assert (found, out) == (code, b"")
        assert "train" not in err
        assert name in err
    assert "byte offset 5, line 2" in err


def test_bias_moves_the_choice(text: Text) -> None:
    options = ["m.npz", "-n", "200", "--seed", "5"]
    plain = text(*options)

    assert "b" in plain
    assert "b" not in text(*options, "--logit-bias", "b=-inf")
    assert text(*options, "--logit-bias", "☃=100") == "☃" * 200
    assert text(*options, "--logit-bias", "b=0", "--logit-bias", "a=-0.0") == plain
    # Those of one character add up.
    assert text(*options, "--logit-bias", "b=3", "--logit-bias", "b=-3") == plain
    assert text(*options, "--logit-bias", "b=1").count("b") > plain.count("b")


def test_bias_is_told(records: Records) -> None:
    (record,) = records(
        *("m.npz", "-n", "5", "-e", "--logit-bias", r"\n=-inf", "--logit-bias", "b=2"),
        *("--ban", "T", "--allow", "Tabc", "--no-repeat", "3", "--best-of", "2"),
    )

    assert record["sampler"] == {
        "temperature": 1.0,
        "top_k": None,
        "top_p": None,
        "min_p": None,
        "typical": None,
        "no_repeat": 3,
        "no_copy": None,
        "allow": "Tabc",
        "ban": "T",
        "best_of": 2,
        "precision": "float32",
        "logit_bias": {"\n": "-inf", "b": 2.0},
        "blend": 1.0,
        "adapt": False,
        "adapt_output": False,
    }


def test_biased_character_may_be_an_equals_sign_or_an_escape(text: Text) -> None:
    options = ["equals.npz", "-n", "30"]

    assert text(*options, "--logit-bias", "==50") == "=" * 30
    assert text(*options, "--logit-bias", r"\=50") == "\\" * 30
    assert text(*options, "-e", "--logit-bias", r"\\=50") == "\\" * 30
    assert text(*options, "-e", "--logit-bias", r"\n=50") == "\n" * 30
    assert text(*options, "-e", "--logit-bias", r"\x61=50") == "a" * 30
    assert text(*options, "-e", "--logit-bias", r"\u003d=50") == "=" * 30


def test_bias_of_bytes(sample: Run) -> None:
    code, out, _ = sample("b.npz", "-n", "30", "-e", "--logit-bias", r"\xff=100")
    assert (code, out) == (0, b"\xff" * 30)
    code, out, err = sample("b.npz", "-n", "30", "--logit-bias", "é=1")
    assert (code, out) == (2, b"")
    assert "2 bytes" in err


@pytest.mark.parametrize(
    "bias",
    [
        *("", "b", "=", "=1", "b=", "b=x", "ab=1", "b=1=", "b==1", r"\n=1"),
        *("b=nan", "b=-nan", "b=inf", "b=+inf", "b=infinity", "b=1e999", "b=-1e999"),
    ],
)
def test_bad_bias_is_2(sample: Run, bias: str) -> None:
    code, out, err = sample("m.npz", "-p", "a", "--logit-bias", bias)

    assert (code, out) == (2, b"")
    assert err.startswith("charrnn: error: --logit-bias")


def test_allow_and_ban(text: Text, sample: Run) -> None:
    options = ["m.npz", "-n", "200", "--seed", "5"]

    assert set(text(*options, "--allow", "ab☃")) == set("ab☃")
    assert set(text(*options[1:], "equals.npz", "-e", "--allow", r"\n\\")) == set(
        "\n\\"
    )
    assert not set(text(*options, "--ban", "beo")) & set("beo")
    assert set(text(*options, "--allow", "ab", "--ban", "a")) == {"b"}
    assert set(text(*options, "--allow", "ab", "--logit-bias", "a=-inf")) == {"b"}
    assert text(*options, "--allow", SYMBOLS, "--ban", "") == text(*options)
    code, out, _ = sample("b.npz", "-n", "300", "--allow", "aé")
    assert code == 0
    assert set(out) <= set("aé".encode())


def test_forbidden_characters_may_stand_in_the_prompt(sample: Run) -> None:
    code, out, _ = sample("m.npz", "-p", "Tab", "-n", "50", "--allow", "c", "--raw")

    assert (code, out) == (0, b"Tab" + b"c" * 50)


@pytest.mark.parametrize("model", ["few.npz", "one-line.npz"])
@pytest.mark.parametrize(
    "options",
    [
        ["--allow", ""],
        ["--allow", "☃"],
        ["-e", "--ban", r"\nabc"],
        ["--allow", "ab", "--ban", "ba"],
        ["--allow", "a", "--logit-bias", "a=-inf"],
    ],
)
def test_nothing_left_to_choose_from_is_4(
    sample: Run, options: list[str], model: str
) -> None:
    """Before the prompt is echoed, or a file is opened."""
    for more in ([], ["-t", "0"], ["-p", "ab"], ["--json"], ["-N", "2"]):
        code, out, err = sample(model, "-n", "5", "-o", "new.txt", *options, *more)
        assert (code, out) == (4, b"")
        assert "no character is left to choose from" in err
        assert "hint: --allow, --ban and --logit-bias" in err
    assert not Path("new.txt").exists()


@pytest.mark.parametrize(
    ("options", "strangers"),
    [
        (["--allow", "axyx"], "'xy'"),
        (["--ban", "ax"], "'x'"),
        (["--logit-bias", "==1"], "'='"),
        (["-e", "--ban", r"\x1b"], r"'\x1b'"),
    ],
)
def test_unknown_characters_are_warned_of(
    sample: Run, options: list[str], strangers: str
) -> None:
    code, _, err = sample("m.npz", "-n", "5", *options, "--raw")

    name = next(option for option in options if option.startswith("--"))
    message = f"{name} names what the model never writes: {strangers}"
    assert (code, err) == (0, f"charrnn: warning: {message}\n")
    assert sample("m.npz", "-n", "5", *options, "-q")[2] == ""


# Several samples, and the best of them.


def test_best_of_takes_the_likeliest(records: Records, sample: Run) -> None:
    """Candidates are samples of the same seed; those of one follow one another."""
    options = ["m.npz", "-p", "The", "-n", "30", "--seed", "2", "--stop", "b"]
    all_of_them = records(*options, "-N", "12")

    found = records(*options, "-N", "3", "--best-of", "4")

    assert len(found) == 3
    for index, record in enumerate(found):
        candidates = [
            candidate
            for candidate in all_of_them[4 * index : 4 * index + 4]
            if candidate["chars"]
        ]
        best = min(candidates, key=lambda candidate: candidate["bits_per_char"])
        expected = best | {"index": index, "sampler": record["sampler"]}
        assert record == expected
    _, out, _ = sample(
        *options, "-N", "3", "--best-of", "4", "--raw", "--separator", "|"
    )
    assert out.decode().split("|") == ["The" + text for text in texts_of(found)]


def test_best_of_for_every_line(records: Records, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.txt", "a", "")
    options = ["m.npz", "-n", "20", "--seed", "2"]
    lines = ["--prompt-lines", "--prompt-file", path]
    candidates = records(*options, *lines, "-N", "3")

    found = records(*options, *lines, "--best-of", "3")

    for index, record in enumerate(found):
        three = candidates[3 * index : 3 * index + 3]
        best = min(three, key=lambda candidate: candidate["bits_per_char"])
        assert (record["prompt"], record["text"]) == (best["prompt"], best["text"])
    assert (
        records(*options, "--best-of", "1")[0]["text"] == (records(*options)[0]["text"])
    )


# What the model said of each character.


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-t", "0.5", "--top-k", "3", "--ban", "b"],
        ["--stop", "bo", "--stop", "b☃", "-N", "5"],
        ["--best-of", "3", "-N", "2"],
        ["-p", "Té"],
    ],
)
def test_logprobs_of_every_character(records: Records, options: list[str]) -> None:
    arguments = ["m.npz", "-n", "50", "--seed", "3", *options]
    found = records(*arguments, "--logprobs", "3")

    assert texts_of(found) == texts_of(records(*arguments))
    for record in found:
        entries = record["logprobs"]
        assert "".join(entry["char"] for entry in entries) == record["text"]
        total = sum(entry["logprob"] for entry in entries)
        assert -total == pytest.approx(record["nats"])
        for entry in entries:
            top = entry["top"]
            likely = [alternative["logprob"] for alternative in top]
            assert len({alternative["char"] for alternative in top}) == 3
            assert likely == sorted(likely, reverse=True)
            assert sum(map(math.exp, likely)) < 1
            assert entry["logprob"] <= likely[0] <= 0
            told = {alternative["char"]: alternative["logprob"] for alternative in top}
            if entry["char"] in told:
                assert entry["logprob"] == told[entry["char"]]
            else:
                assert entry["logprob"] <= likely[-1]


def test_logprobs_of_the_whole_vocabulary(records: Records) -> None:
    """More than there are characters is all of them; greedy takes the first."""
    (record,) = records("m.npz", "-n", "30", "--logprobs", "100", "-t", "0")

    for entry in record["logprobs"]:
        assert {top["char"] for top in entry["top"]} == set(SYMBOLS)
        assert math.fsum(math.exp(top["logprob"]) for top in entry["top"]) == (
            pytest.approx(1)
        )
        assert entry["top"][0] == {k: entry[k] for k in ("char", "logprob")}


def test_logprobs_of_a_first_character_without_a_newline(records: Records) -> None:
    """It follows the counts of the corpus: 1, 2 and 3 of 6."""
    (record,) = records("one-line.npz", "-n", "1", "--logprobs", "3")

    (entry,) = record["logprobs"]
    told = {top["char"]: math.exp(top["logprob"]) for top in entry["top"]}
    assert told == pytest.approx({"a": 1 / 6, "b": 2 / 6, "c": 3 / 6})


def test_logprobs_of_bytes(records: Records) -> None:
    (record,) = records("b.npz", "-n", "40", "--logprobs", "2")

    symbols = [entry["char"] for entry in record["logprobs"]]
    assert len(symbols) == record["chars"] == 40
    for symbol in symbols:
        assert (len(symbol) == 1 and symbol.isascii()) or symbol[:2] == "\\x"


def test_no_logprobs_by_default(records: Records) -> None:
    (record,) = records("m.npz", "-n", "5")

    assert "logprobs" not in record


# What is refused.


@pytest.mark.parametrize(
    "arguments",
    [
        ["m.npz", "-p", "a", "--prompt-file", "m.npz"],
        ["m.npz", "-p", "\\q", "-e"],
        ["m.npz", "-e", "--stop", "\\q"],
        ["m.npz", "-e", "--separator", "\\q"],
        ["m.npz", "-e", "--allow", "\\q"],
        ["m.npz", "-e", "--ban", "\\x1"],
        ["m.npz", "-e", "--logit-bias", "\\q=1"],
        ["m.npz", "--unknown", "ignore"],
        ["m.npz", "-n", "-2"],
        ["m.npz", "-n", "1.5"],
        ["m.npz", "-n", "many"],
        ["m.npz", "--lines", "0"],
        ["m.npz", "--lines", "-1"],
        ["m.npz", "--stop", ""],
        *(["m.npz", "--time", t] for t in ("", "10", "0s", "-1s", "nans", "infs", "x")),
        *(["m.npz", "-t", t] for t in ("-0.1", "nan", "inf", "-inf", "hot")),
        *(["m.npz", "--top-k", k] for k in ("0", "-1", "1.5")),
        *(["m.npz", "--top-p", p] for p in ("0", "-0.1", "1.1", "nan", "inf")),
        *(["m.npz", "--min-p", m] for m in ("-0.1", "1.1", "nan", "inf")),
        *(["m.npz", "--typical", tau] for tau in ("0", "-0.1", "1.1", "nan", "inf")),
        *(["m.npz", "--no-repeat", n] for n in ("0", "-1", "2001", "x")),
        *(["m.npz", "--no-copy", n, "--corpus", "m.npz"] for n in ("1", "0", "2001")),
        ["m.npz", "--no-copy", "5"],
        ["m.npz", "--corpus", "m.npz"],
        *(
            ["m.npz", "-t", "0", option, value]
            for option, value in (
                ("--top-k", "3"),
                ("--typical", "0.5"),
                ("--top-p", "0.5"),
                ("--min-p", "0.5"),
            )
        ),
        *(["m.npz", "-N", n] for n in ("0", "-1", "65537")),
        *(["m.npz", "--best-of", n] for n in ("0", "-1", "65537")),
        *(["m.npz", "--seed", s] for s in ("-1", "1.5", "9223372036854775808")),
        ["m.npz", "--separator", "x", "-0"],
        ["m.npz", "--json", "-0"],
        ["m.npz", "--json", "--separator", "x"],
        ["m.npz", "--logprobs", "3"],
        ["m.npz", "--json", "--logprobs", "-1"],
        ["m.npz", "--threads", "0"],
        ["m.npz", "--color", "blue"],
        ["m.npz", "--frequency", "3"],
        ["m.npz", "house"],
        [],
    ],
    ids=" ".join,
)
def test_usage_errors_are_2(
    sample: Run, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, and the last words say what is wrong."""
    code, out, err = sample(*arguments)

    assert (code, out) == (2, b"")
    assert err.startswith("charrnn: error: ")
    assert len(err.splitlines()) <= 2
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "options",
    [
        ["--json"],
        ["--no-stream"],
        ["-N", "2"],
        ["--best-of", "2"],
        ["--prompt-lines", "-p", "a"],
    ],
)
def test_endless_text_that_nobody_would_see(sample: Run, options: list[str]) -> None:
    """Unless something else ends it."""
    code, out, err = sample("few.npz", "-n", "-1", *options)
    assert (code, out) == (2, b"")
    assert "--length -1 cannot be combined with --" in err
    assert "hint: a sample must end" in err

    for end in (["--lines", "2"], ["--stop", "b"], ["--time", "0.05s"]):
        assert sample("few.npz", "-n", "-1", *options, *end)[0] == 0


def test_error_rows_beyond_usage(sample: Run, tmp_path: Path) -> None:
    """Inputs, texts, checkpoints and outputs, each with its exit code."""
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "junk.npz").write_bytes(b"PK\x03\x04junk")
    shutil.copy("m.npz", tmp_path / "m.npz")
    rows = [
        (3, ["missing.npz"]),
        (3, [str(tmp_path)]),
        (3, ["m.npz", "--prompt-file", "missing.txt"]),
        (3, ["m.npz", "--prompt-file", str(tmp_path)]),
        (3, ["m.npz", "--no-copy", "5", "--corpus", "missing.txt"]),
        (4, ["m.npz", "--prompt-file", str(tmp_path / "latin.txt")]),
        (4, ["m.npz", "-p", "caf\udce9"]),
        (4, ["m.npz", "-p", "z"]),
        (4, ["m.npz", "--no-copy", "5", "--corpus", str(tmp_path / "latin.txt")]),
        (4, ["m.npz", "--allow", ""]),
        (5, [str(tmp_path / "junk.npz")]),
        (6, ["m.npz", "-o", "missing/out.txt"]),
        (6, [str(tmp_path / "m.npz"), "-o", str(tmp_path / "m.npz")]),
    ]

    for expected, arguments in rows:
        code, out, err = sample(*arguments)
        assert (code, out) == (expected, b""), arguments
        assert err.startswith("charrnn: error: ")
        assert "Traceback" not in err


def test_inputs_are_not_overwritten(sample: Run, tmp_path: Path) -> None:
    """Neither the corpus nor the prompt becomes the output."""
    path = tmp_path / "text.txt"
    path.write_text("abc\n")
    for options in (["--no-copy", "2", "--corpus"], ["--prompt-file"]):
        code, _, err = sample("m.npz", *options, str(path), "-o", str(path))
        assert code == 6
        assert "a file that is read" in err
        assert path.read_text() == "abc\n"


def test_numbers_beyond_all_bounds_are_usage_errors(sample: Run) -> None:
    huge = "9" * 400
    for options in (
        ["--top-k", "0" + huge, "--seed", huge],
        ["-N", huge],
        ["-N", "65536", "--best-of", "2"],
        ["--logit-bias", "a=1e308", "--logit-bias", "a=1e308"],
    ):
        code, _, err = sample("m.npz", "-n", "1", "-p", "", *options)
        assert code == 2, err


def test_precision_is_chosen_and_told(records: Records, sample: Run) -> None:
    """A small network is not rounded unless asked; Python writes the same text."""
    from charrnn import load

    chosen = ["m.npz", "-n", "300", "-p", "", "--seed", "1"]
    (usual,) = records(*chosen)
    (plain,) = records(*chosen, "--precision", "float32")
    (rounded,) = records(*chosen, "--precision", "int8")
    told = [r["sampler"]["precision"] for r in (usual, plain, rounded)]

    assert told == ["float32", "float32", "int8"]
    assert usual["text"] == plain["text"]
    assert rounded["nats"] != plain["nats"]
    assert load("m.npz").sample(length=300, seed=1, precision="int8") == rounded["text"]
    code, _, err = sample("m.npz", "--precision", "int4")
    assert code == 2
    assert err.startswith("charrnn: error: --precision is 'int4', not one of ")
