"""Presets: options in a file, which flags win over, and which can be had again."""

import tomllib
from collections.abc import Callable
from pathlib import Path

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
