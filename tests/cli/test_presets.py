"""Presets: options in a file, which flags win over, and which can be had again."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.presets import as_preset, read_preset
from charrnn.cli.sample import OPTIONS
from tests.factories import write_sampled

pytestmark = pytest.mark.usefixtures("beside_models")

Run = Callable[..., tuple[int, bytes, str]]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_sampled(path / "m.npz")
    (path / "p.toml").write_text(
        'temperature = 0.7\nlength = 30\nprompt = "a\\nT"\nstop = ["☃☃", "bb"]\n'
        "seed = 4\necho = false\nraw = true\n"
        'logit_bias = {a = -1.5, "T" = 2}\n'
    )
    return path


FLAGS = ["-t", "0.7", "-n", "30", "-p", "a\nT", "--stop", "☃☃", "--stop", "bb"]
MORE = ["--seed", "4", "--no-echo", "--raw"]
BIASES = ["--logit-bias", "a=-1.5", "--logit-bias", "T=2"]


def test_preset_is_as_good_as_flags(sample: Run) -> None:
    flags = sample("m.npz", *FLAGS, *MORE, *BIASES)

    assert flags[::2] == (0, "")
    assert sample("m.npz", "--preset", "p.toml") == flags


def test_flags_win(sample: Run) -> None:
    flags = sample("m.npz", *FLAGS, *MORE, *BIASES, "-n", "9", "--stop", "x")
    found = sample("m.npz", "--preset", "p.toml", "-n", "9")
    echoed = sample("m.npz", "--preset", "p.toml", "--echo", "-n", "9", "-p", "b")

    assert found[1] == flags[1]
    assert echoed[1].startswith(b"b")


def test_environment_names_a_preset(
    sample: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_PRESET", "p.toml")
    named = sample("m.npz")
    (Path("other.toml")).write_text('length = 5\nprompt = "a"\n')

    assert named == sample("m.npz", "--preset", "p.toml")
    code, out, _ = sample("m.npz", "--preset", "other.toml", "--no-echo", "--raw")
    assert (code, len(out.decode())) == (0, 5)


def test_run_can_be_had_again_from_its_record(sample: Run) -> None:
    options = ["-n", "40", "--top-p", "0.9", "--stop", 'x"\\', "-e", "--ban", r"\x62"]
    options[4:6] = ["--stop", r"\x5c\x22"]
    more = ["--logit-bias", "a=-1.5", "--set-unit", "0:1=0.5", "-p", r"a\n"]
    code, out, err = sample("m.npz", *options, *more, "--show-options")
    Path("again.toml").write_bytes(out)
    seed = tomllib.loads(out.decode())["seed"]

    assert (code, err) == (0, "")
    again = sample("m.npz", "--preset", "again.toml")
    assert again == sample("m.npz", *options, *more, "--seed", str(seed))
    shown = sample("m.npz", "--preset", "again.toml", "--show-options")
    assert shown[1] == out


@pytest.mark.parametrize(
    ("preset", "code", "words"),
    [
        ("temprature = 1", 2, "there is no option --temprature"),
        ("temperature = -1", 2, "--temperature"),
        ("temperature = 1979-05-27", 2, "in a preset must be"),
        ("echo = 'yes'", 2, "--echo must be True or False"),
        ("temperature", 2, "no TOML"),
        ("preset = 'p.toml'", 2, "no place in a preset"),
        ("include_stop = true", 2, "does nothing without --stop"),
        ("temperature = [0.5]", 2, "--temperature must be a number, not [0.5] (wrong"),
        ("top_p = 2", 2, "--top-p must be above 0 and at most 1, not 2"),
        ("top-k = 3\ntop_k = 4", 2, "--top-k stands there twice"),
        (None, 3, "cannot read the preset"),
    ],
)
def test_what_is_wrong_with_a_preset(
    sample: Run, preset: str | None, code: int, words: str
) -> None:
    path = Path("wrong.toml")
    path.unlink(missing_ok=True)
    if preset is not None:
        path.write_text(preset)
    found, out, err = sample("m.npz", "--preset", str(path))

    assert (found, out) == (code, b"")
    assert words in err
    if "without" not in words:  # what does not go together may be the flags' doing
        assert str(path) in err


def test_preset_without_a_name_is_2(
    sample: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of an empty variable of a shell; but an empty CHARRNN_PRESET is none."""
    assert "--preset is empty" in sample("m.npz", "--preset", "")[2]
    monkeypatch.setenv("CHARRNN_PRESET", "")
    assert sample("m.npz", "--show-options")[0] == 0


def test_preset_may_come_from_windows_and_be_spelled_as_flags(sample: Run) -> None:
    Path("w.toml").write_bytes(b"\xef\xbb\xbftop-k = 3\r\nseed = 1\r\n")
    code, out, err = sample("m.npz", "--preset", "w.toml", "--show-options")

    assert (code, err) == (0, "")
    assert tomllib.loads(out.decode()) == {"top_k": 3, "seed": 1}


def test_what_is_not_utf_8_cannot_be_recorded(sample: Run) -> None:
    code, out, err = sample("m.npz", "-p", "a\udcff", "--show-options")

    assert (code, out) == (2, b"")
    assert "--prompt is not UTF-8" in err


#: Values of options whose type does not say what they may be.
VALUES: dict[str, Any] = {
    "time": "1m30s",
    "blend": "0.25",
    "logit_bias": ["a=-1.5", "☃=-inf"],
    "set_unit": ["0:1=0.5", "0:2:c=-1"],
    "pattern": r"[aT]{3,9}\"",
    "top_p": 0.5,
}
ENTRIES = {entry.name: entry for entry in OPTIONS.entries}


@pytest.mark.parametrize("name", sorted(ENTRIES.keys() - {"preset", "show_options"}))
def test_every_option_can_be_had_again(sample: Run, name: str) -> None:
    """By its name, and with the value that it had."""
    entry = ENTRIES[name]
    given = VALUES.get(
        name, {bool: not entry.default, int: 2, float: 0.5}.get(entry.type)
    )
    if given is None:
        given = entry.choices[-1] if entry.choices else 'a"\\é'
    given = [given] if entry.many and not isinstance(given, list) else given
    if entry.type is bool:
        words = [f"--{'' if given else 'no-'}{name.replace('_', '-')}"]
    else:
        listed = given if isinstance(given, list) else [given]
        words = [f"--{name.replace('_', '-')}={one}" for one in listed]
    needed = {"no_copy": ["--corpus", "c"], "corpus": ["--no-copy", "3"]}
    needed |= {"adapt_output": ["--adapt"], "logprobs": ["--json"]}
    needed |= {"include_stop": ["--stop", "a"], "prompt_lines": ["-p", "a"]}
    words += needed.get(name, [])
    code, out, err = sample("m.npz", *words, "--show-options")
    assert (code, err) == (0, "")
    Path("again.toml").write_bytes(out)
    found = read_preset("again.toml", OPTIONS)

    assert entry.read(found[name]) == entry.read(given)
    assert sample("m.npz", "--preset", "again.toml", "--show-options") == (0, out, "")


def test_preset_completes_a_flag(sample: Run) -> None:
    """What a flag needs may stand in the preset."""
    code, _, err = sample("m.npz", "--preset", "p.toml", "--include-stop")
    assert (code, err) == (0, "")


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts, st.lists(texts, min_size=1), st.floats(0, 5), st.booleans())
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    prompt: str,
    stop: list[str],
    temperature: float,
    echo: bool,
) -> None:
    options = {"prompt": prompt, "stop": stop, "temperature": temperature, "echo": echo}
    path = tmp_path_factory.getbasetemp() / "preset.toml"
    path.write_bytes(as_preset(options, OPTIONS.entries).encode())

    assert read_preset(str(path), OPTIONS) == options
