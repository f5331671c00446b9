"""The command `inspect`, in process and as a process with real pipes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from charrnn.__main__ import run
from charrnn.inspection.registry import BUILT_IN, view_named
from tests.commands import Command, command
from tests.commands import run as run_command
from tests.factories import TEXT, write_checkpoint
from tests.views import OF_TEXT

#: The views that need a text.
TEXT_VIEWS = {n for n in OF_TEXT if view_named(n).text == "required"}

NEURONS = ["--view", "neurons", "--text", "the sea"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("inspect") / "m.npz")


@pytest.fixture
def call(capsys):
    """Run `inspect` and return exit code, stdout and stderr."""

    def inspect(*arguments: str | Path) -> tuple[int, str, str]:
        code = run(["inspect", *map(str, arguments)])
        return code, *capsys.readouterr()

    return inspect


def process(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return run_command(
        command("inspect", *arguments),
        capture_output=True,
        text=True,
        **options,
    )


def test_without_options_the_summary_is_drawn(call, model):
    code, out, err = call(model)

    assert (code, err) == (0, "")
    assert out.startswith(f"summary  {model}\n")
    assert "lstm, 2 layers of 5 units" in out


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_a_text_are_those_of_the_model(call, model, tmp_path, end):
    """As of a corpus that it is compared with."""
    view = [model, "--view", "surprise", "--view", "diversity", "--json"]
    path = tmp_path / "t.txt"
    path.write_bytes(TEXT.encode())
    expected = call(*view, "--text-file", path, "--corpus", path)
    path.write_bytes(TEXT.replace("\n", end).encode())

    assert expected[0] == 0
    assert call(*view, "--text-file", path, "--corpus", path) == expected


def test_views_come_in_the_order_they_are_asked_for(call, model):
    _, out, _ = call(
        model, "--view", "history", "--view", "summary", "--view", "history"
    )

    titles = [line.split()[0] for line in out.splitlines() if str(model) in line]
    assert titles == ["history", "summary"]


def test_every_view_of_every_checkpoint_is_in_its_json_object(call, model, tmp_path):
    other = write_checkpoint(tmp_path / "o.npz", cell="gru", optimizer=None, history=[])
    views = [word for name in OF_TEXT for word in ("--view", name)]
    code, out, _ = call(model, other, *views, "--text", "the sea", "--json")

    assert code == 0
    objects = [json.loads(line) for line in out.splitlines()]
    assert [(o["schema"], o["checkpoint"]) for o in objects[:2]] == [
        (1, str(model)),
        (1, str(other)),
    ]
    *objects, joint = objects
    own = [name for name in OF_TEXT if name != "compare"]
    assert all(list(o["views"]) == own for o in objects)
    compared = joint["views"]["compare"]["checkpoints"]
    assert joint["checkpoints"] == [item["checkpoint"] for item in compared]
    assert [item["cell"] for item in compared] == ["lstm", "gru"]
    summary = objects[1]["views"]["summary"]
    assert (summary["model"]["cell"], summary["training"]) == ("gru", None)
    assert objects[0]["views"]["next"]["characters"] == 7


def test_plain_lines_have_the_numbers_of_the_json(call, model):
    text = ["--view", "surprise", "--text", TEXT]
    _, plain, _ = call(model, *text, "--plain")
    _, out, _ = call(model, *text, "--json")

    header, *rows = [line.split("\t") for line in plain.splitlines()]
    assert header == ["line", "column", "bits", "char"]
    bits = json.loads(out)["views"]["surprise"]["char_bits"]
    assert [float(row[2]) for row in rows] == bits


def test_several_plain_tables_stand_below_their_names(call, model):
    _, out, _ = call(model, "--view", "vocab", "--view", "weights", "--plain")

    tables = out.split("\n\n")
    assert [table.split("\n")[0] for table in tables] == [
        f"# vocab\t{model}",
        f"# weights\t{model}",
    ]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--view", "foo"], "there is no view 'foo'", "inspect --help names all"),
        (["--view", "neuron"], "there is no view 'neuron'", "is --view neurons meant?"),
        (["--top", "9"], "--top is given, but no view", "--view surprise"),
        (["--max-chars", "9"], "--max-chars does nothing without", "--text-file"),
        (["--unknown", "skip"], "--unknown does nothing without", "--text-file"),
        (["--view", "next"], "--view next needs a text", "--text TEXT"),
        (["--text", "a"], "no view that reads a text", "--view surprise"),
        (["--json", "--plain"], "--json cannot be combined", ""),
        (["--view", "next", "--text", "a", "--text-file", "-"], "--text cannot", ""),
        (["--top", "0"], "--top must be at least 1", ""),
        (["--text", "a", "--max-chars", "-1"], "--max-chars must be at least 0", ""),
        (["--width", "5"], "--width must be at least 20", ""),
        (
            ["--text", "a", "--unknown", "maybe"],
            "not one of error, skip, replace",
            "--unknown",
        ),
        (["--max-lag", "0"], "--max-lag must be at least 1", ""),
        (["--view", "gates"], "--view gates needs a text", "--text-file PATH"),
        (["--unit", "1"], "--unit is given, but no view", "--view neurons"),
        (["--corpus", "a"], "--corpus is given, but no view", "--view diversity"),
        (["--signal", "q", "--view", "neurons"], "--signal is 'q', not one of h, ", ""),
        ([*NEURONS, "--signal", "r"], "--signal r: a cell of type lstm", "h, c, i"),
        ([*NEURONS, "--unit", "5"], "--unit must be at least 0 and at most 4", ""),
        ([*NEURONS, "--layer", "2"], "--layer must be at least 0 and at most 1", ""),
        (["--view", "memory", "--text", "a", "--layer", "-1"], "--layer must be", ""),
        (["--color", "maybe"], "--color is 'maybe'", ""),
    ],
)
def test_wrong_options_end_in_2(call, model, arguments, message, hint):
    code, out, err = call(model, *arguments)

    assert (code, out) == (2, "")
    assert message in err
    assert hint in err


def test_without_a_checkpoint_nothing_is_read(call):
    code, _, err = call()

    assert code == 2
    assert "CHECKPOINT" in err


def test_unusable_texts_end_in_4(call, model, tmp_path):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"the \xff")
    cases = {
        "nothing to remember": ["--view", "memory", "--text", ""],
        "no gate has": ["--view", "gates", "--text", ""],
        "no unit has": ["--view", "neurons", "--text", ""],
        "nothing to compare": ["--view", "diversity", "--text", ""],
        "nothing to predict": ["--view", "compare", "--text", ""],
        "not in the vocabulary": ["--view", "next", "--text", "thé"],
        "the text is empty": ["--view", "surprise", "--text", ""],
        "not valid utf-8": ["--view", "surprise", "--text-file", str(bad)],
    }
    for message, arguments in cases.items():
        code, _, err = call(model, *arguments)

        assert code == 4
        assert message in err


def test_an_unknown_character_does_not_wait_for_numba(model):
    script = (
        "import sys\n"
        "from charrnn.__main__ import run\n"
        f"code = run(['inspect', {str(model)!r}, '--view', 'next', '--text', 'é'])\n"
        "sys.exit(9 if 'numba' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)

    assert done.returncode == 4


def test_missing_texts_and_checkpoints_end_in_3_and_damaged_ones_in_5(
    call, model, tmp_path
):
    text = tmp_path / "a.txt"
    text.write_text(TEXT)

    assert call(model, "--view", "next", "--text-file", tmp_path / "none")[0] == 3
    assert call(tmp_path / "none.npz")[0] == 3
    code, _, err = call(text)
    assert code == 5
    assert "not a charrnn checkpoint" in err


def test_what_is_left_out_is_noted_on_stderr(call, model):
    arguments = ["--view", "surprise", "--view", "next", "--text", TEXT + "é"]
    cut = [*arguments, "--unknown", "skip", "--max-chars", "5"]
    code, out, err = call(model, *cut, "--json")

    assert code == 0
    assert "surprise shows the first 5 of 41 characters" in err
    assert "next shows the last 5 of 41 characters" in err
    assert err.count("skipped what the model does not know: 1 ") == 1
    views = json.loads(out)["views"]
    assert views["surprise"]["text"] == TEXT[:5]
    assert "".join(p["char"] for p in views["next"]["positions"]) == TEXT[-5:]
    assert call(model, *cut, "-q")[2] == ""
    assert "shows" not in call(model, *arguments[:4], "--text", "a" * 9)[2]


def test_zero_is_no_limit(call, model):
    text = TEXT * 60
    arguments = ["--view", "next", "--text", text, "--json"]

    for extra, count in ([], 2000), (["--max-chars", "0"], len(text)):
        views = json.loads(call(model, *arguments, *extra)[1])["views"]
        assert len(views["next"]["positions"]) == count


def test_text_is_shown_literally_and_harmlessly(call, tmp_path):
    odd = "[red]漢\x1b[31m\x00e\u0301"
    path = write_checkpoint(tmp_path / "[b]m.npz", odd + "\n")
    code, out, _ = call(path, "--view", "surprise", "--view", "next", "--text", odd)

    assert code == 0
    assert "[red]漢␛[31m␀e\u25cc\u0301" in out
    assert "[b]m.npz" in out
    assert out.replace("\n", "").isprintable()


def test_color_is_used_when_asked_for(call, model, monkeypatch):
    arguments = [model, "--view", "surprise", "--text", "the sea"]

    assert "\x1b[" not in call(*arguments)[1]
    monkeypatch.setenv("TERM", "xterm-256color")
    colored = call(*arguments, "--color", "always")[1]
    assert "\x1b[38;5;16;48;5;" in colored
    assert "\x1b[" not in call(*arguments, "--color", "always", "--json")[1]


def test_width_comes_from_the_option_or_the_environment(call, model, monkeypatch):
    arguments = [model, "--view", "weights"]
    monkeypatch.setenv("COLUMNS", "60")

    assert max(map(len, call(*arguments)[1].splitlines()[1:])) <= 60
    assert "shape" in call(*arguments, "--width", "120")[1].splitlines()[1]
    assert call(*arguments, "--width", "120", "--ascii")[1].isascii()


@pytest.mark.parametrize("name", OF_TEXT)
def test_no_line_is_wider_than_the_narrowest_width(call, model, name):
    """Below the title, which has the path in full, what has no room is cut."""
    text = ["--text", "the sea"] if name in TEXT_VIEWS else []
    out = call(model, "--view", name, *text, "--width", "20")[1]

    assert max(map(len, out.splitlines()[1:])) <= 20


def test_verify_says_ok_for_sound_files(call, model):
    assert call(model, model, "--verify") == (0, f"{model}: ok\n" * 2, "")


def test_verify_reports_every_file_and_ends_in_5(call, model, tmp_path):
    data = bytearray(model.read_bytes())
    data[-3000] ^= 1
    flipped, short = tmp_path / "flipped.npz", tmp_path / "short.npz"
    flipped.write_bytes(data)
    short.write_bytes(model.read_bytes()[:999])
    code, out, err = call(flipped, model, short, tmp_path / "none", "--verify")

    assert code == 5
    lines = out.splitlines()
    assert lines[0].startswith(f"{flipped}: checksum mismatch in ")
    assert lines[1] == f"{model}: ok"
    assert lines[2].startswith(f"{short}: truncated")
    assert "none: no such file" in lines[3]
    assert "3 of 4 checkpoints failed the check" in err
    assert call(flipped, "--verify")[:2] == (5, "")
    assert call(tmp_path / "none", "--verify")[0] == 3


def test_verify_goes_into_the_json_and_before_a_view(call, model, tmp_path):
    (tmp_path / "bad").write_text("x")
    code, out, _ = call(model, tmp_path / "bad", "--verify", "--json")
    good, bad = [json.loads(line) for line in out.splitlines()]

    assert code == 5
    assert (good["verified"], good["views"]) == (True, {})
    assert bad["verified"] is False
    assert bad["fault"] == "not a charrnn checkpoint"
    _, out, _ = call(model, "--verify", "--view", "vocab")
    assert out.startswith(f"{model}: ok\n\nvocab  {model}\n")


def test_warm_up_says_what_it_made_ready_and_shows_nothing(call, model):
    code, out, err = call(model, "--warmup")

    assert (code, out) == (0, "")
    assert "kernels of lstm ready in " in err


def test_views_without_a_text_do_not_import_numba(model):
    names = [name for name in OF_TEXT if name not in TEXT_VIEWS | {"diversity"}]
    views = [word for name in names for word in ("--view", name)]
    script = (
        "import sys\n"
        "from charrnn.__main__ import run\n"
        f"assert run(['inspect', {str(model)!r}, *{views}]) == 0\n"
        "assert 'numba' not in sys.modules and 'llvmlite' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL
    )


def test_views_read_only_what_they_show(call, model, monkeypatch):
    from charrnn.checkpoint import CheckpointFile

    read = CheckpointFile.read
    names: list[str] = []

    def spy(file: CheckpointFile, name: str) -> object:
        names.append(name)
        return read(file, name)

    monkeypatch.setattr(CheckpointFile, "read", spy)
    for name in ("summary", "vocab", "history", "system"):
        call(model, "--view", name)
    assert names == []
    call(model, "--view", "weights")
    assert "layer1.Wh" in names
    assert not {"adam.m", "adam.v", "state"} & set(names)


def test_help_lists_views_and_groups(call):
    code, out, _ = call("-h")

    assert code == 0
    for word in (
        *BUILT_IN,
        "--view",
        "--text-file",
        "--max-chars",
        "--verify",
        "Common",
    ):
        assert word in out


def test_a_pipe_of_text_becomes_lines_to_sort(model):
    """As in: sample | inspect --view surprise --text-file - --plain | sort -k3 -nr."""
    arguments = ["--view", "surprise", "--text-file", "-", "--plain"]
    done = process(model, *arguments, input=TEXT)
    bits = [float(line.split("\t")[2]) for line in done.stdout.splitlines()[1:]]
    ranked = subprocess.run(
        ["sort", "-k3", "-nr"],
        input=done.stdout,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout.splitlines()

    assert done.returncode == 0
    assert [float(line.split("\t")[2]) for line in ranked[:-1]] == sorted(
        bits, reverse=True
    )


def test_standard_input_is_not_read_unless_it_is_named(model):
    read, write = os.pipe()  # nobody writes, nobody closes: reading would hang
    try:
        done = process(model, "--view", "vocab", stdin=read, timeout=20)
    finally:
        os.close(read)
        os.close(write)

    assert done.returncode == 0


def test_a_reader_who_leaves_is_no_error(tmp_path):
    path = write_checkpoint(tmp_path / "m.npz", "".join(map(chr, range(32, 9000))))
    with Command(
        command("inspect", path, "--view", "vocab"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        assert started.stdout.readline()
        started.stdout.close()
        err = started.stderr.read()

    assert (started.returncode, err) == (0, b"")


def test_after_warming_up_nothing_is_left_to_compile(model, tmp_path):
    """Training and sampling meet the types that were compiled, and no others."""
    text = tmp_path / "t.txt"
    text.write_text(TEXT * 40)
    size = "'--hidden', '5', '--batch-size', '4', '--seq-length', '8'"
    script = f"""
import importlib, pkgutil
import charrnn.kernels.libraries
from charrnn.__main__ import run
def compiled():
    return {{
        (f.__module__, f.__name__, str(s))
        for m in pkgutil.iter_modules(charrnn.kernels.__path__)
        for f in vars(importlib.import_module("charrnn.kernels." + m.name)).values()
        if isinstance(f, charrnn.kernels.libraries.Kernel)
        for s in f.signatures
    }}
assert run(["inspect", {str(model)!r}, "--warmup", "-q"]) == 0
warm = compiled()
out = {str(tmp_path / "new.npz")!r}
options = ["--steps", "2", "--dropout", "0.5", "--weight-dropout", "0.5"]
options += ["--cell", "lstm", "--norm", "none", "--layers", "2", {size}]
assert run(["train", {str(text)!r}, "-o", out, "-q", *options]) == 0
assert run(["sample", out, "-p", "the", "-n", "3", "-q"]) == 0
assert compiled() <= warm, compiled() - warm
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


def test_plain_surprise_gives_every_character_however_long(call, model):
    arguments = ["--view", "surprise", "--text", TEXT * 60, "--plain"]
    code, out, err = call(model, *arguments)
    _, cut, note = call(model, *arguments, "--max-chars", "5")

    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1 + len(TEXT * 60)
    assert cut.splitlines() == out.splitlines()[:6]
    assert "surprise shows the first 5 of 2,460 characters" in note


def test_the_same_text_costs_the_same_from_a_file_and_from_standard_input(
    call, model, tmp_path
):
    path = tmp_path / "t.txt"
    path.write_text(TEXT * 9)
    view = ["--view", "surprise", "--json", "--text-file"]
    piped = process(model, *view, "-", input=TEXT * 9)

    assert json.loads(piped.stdout) == json.loads(call(model, *view, path)[1])


def test_one_unit_of_one_signal_can_be_asked_for(call, model):
    options = ["--layer", "0", "--unit", "3", "--unit", "1", "--signal", "f"]
    found = json.loads(call(model, *NEURONS, *options, "--json")[1])
    view = found["views"]["neurons"]

    assert view["signal"] == "f"
    assert [(n["layer"], n["unit"]) for n in view["neurons"]] == [(0, 3), (0, 1)]
    assert all(0 <= value <= 1 for n in view["neurons"] for value in n["values"])


def test_diversity_draws_samples_where_no_text_is_given(call, model, tmp_path):
    path = tmp_path / "t.txt"
    path.write_text(TEXT)
    arguments = ["--view", "diversity", "--corpus", path, "--json"]
    drawn = json.loads(call(model, *arguments)[1])["views"]["diversity"]
    given = call(model, *arguments, "--text", TEXT)[1]

    assert (drawn["source"], drawn["samples"]) == ("samples", 8)
    assert drawn["measures"]["characters"] == 16_000
    assert json.loads(given)["views"]["diversity"]["overlap"]["seen"] == 1.0
    assert call(model, *arguments[:3], tmp_path / "none")[0] == 3


def test_compare_has_an_object_and_a_table_of_its_own(call, model, tmp_path):
    other = write_checkpoint(tmp_path / "o.npz", cell="gru")
    arguments = [model, other, "--view", "compare"]
    text = ["--text", TEXT]
    (only,) = map(json.loads, call(*arguments, *text, "--json")[1].splitlines())
    surprise = call(other, "--view", "surprise", *text, "--json")[1]

    assert only["checkpoints"] == [str(model), str(other)]
    cost = only["views"]["compare"]["checkpoints"][1]["text"]
    assert cost["bits"] == json.loads(surprise)["views"]["surprise"]["bits"]
    header, *rows = call(*arguments, "--plain")[1].splitlines()
    assert header.startswith("checkpoint\tcell\t")
    assert [row.split("\t")[1] for row in rows] == ["lstm", "gru"]
    assert call(*arguments)[1].startswith(f"compare  {model}, {other}\n")
    assert call(model, tmp_path / "none", "--view", "compare")[0] == 3


def test_statistics_of_long_texts_say_what_they_are_about(call, model, monkeypatch):
    monkeypatch.setattr("charrnn.inspection.units.MEASURED", 20)
    monkeypatch.setattr("charrnn.inspection.gates.MEASURED", 20)
    err = call(model, "--view", "gates", "--text", TEXT)[2]

    assert "gates is about the first 20 of 41 characters" in err
