"""`charrnn sample` at a terminal, a real one: what is shown, and Ctrl-C."""

import signal
from pathlib import Path

import pytest

from charrnn.__main__ import run
from tests.cli.terminal import CTRL_C, at_terminal
from tests.factories import SYMBOLS, write_sampled


@pytest.fixture(autouse=True)
def _in_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(*arguments: str) -> bytes:
    """Write exactly the text to a file, in this process."""
    assert run(["sample", *arguments, "-p", "", "--raw", "-o", "out.txt"]) == 0
    return Path("out.txt").read_bytes()


@pytest.mark.parametrize("color", [[], ["--color", "always"]])
def test_text_has_no_color(color: list[str]) -> None:
    """Neither it nor the prompt, whatever may be colored otherwise."""
    write_sampled(Path("m.npz"))
    options = ["m.npz", "-n", "300", "--seed", "1"]

    with at_terminal(*options, "-p", "T [b]a[/b]", "--unknown", "skip", *color) as it:
        code, err = it.end()
    with at_terminal(*options, *color) as nothing_given:
        bare_code, _ = nothing_given.end()

    assert code == bare_code == 0
    assert it.sent.startswith(b"T [b]a[/b]")
    assert b"\x1b" not in it.sent + nothing_given.sent
    assert b"unknown characters" in err
    # A terminal is not read: no prompt, and no wait for one.
    assert nothing_given.sent == written(*options) + b"\n"


@pytest.mark.parametrize(
    ("options", "escaped"), [([], True), (["--raw"], False)], ids=["spared", "raw"]
)
def test_control_characters_are_escaped(options: list[str], escaped: bool) -> None:
    """Those of the text and those of the prompt; newlines and tabs are not."""
    symbols = "\x00\t\n\r\x1b[m\x9b"
    write_sampled(Path("esc.npz"), symbols="".join(sorted(symbols)))
    arguments = ["esc.npz", "-n", "400", "--seed", "1"]
    prompt = "\x1b[m\r\n"
    expected = prompt + written(*arguments).decode()

    with at_terminal(
        *("esc.npz", "-n", "0", "-e", "-p", r"\x1b[m\x0d\n"), *options
    ) as echoed:
        assert echoed.end() == (0, b"")
    with at_terminal(*arguments, *options) as it:
        assert it.end() == (0, b"")
    sent = (echoed.sent + it.sent).decode()

    assert len(set(expected)) > 5
    if not escaped:
        assert sent == expected
        return
    assert not set(sent) & (set(symbols) - set("\t\n[m"))
    for control in "\x00\r\x1b\x9b":
        expected = expected.replace(control, f"\\x{ord(control):02x}")
    assert sent.removesuffix("\n") == expected.removesuffix("\n")


def test_bytes_are_shown_as_whole_characters() -> None:
    """What arrives is always text; bytes that are none are spelled out."""
    write_sampled(Path("b.npz"), unit="byte")
    options = ["b.npz", "-n", "500", "--seed", "1"]
    text = written(*options)

    with at_terminal(*options) as it:
        assert it.end() == (0, b"")

    shown = it.sent.decode().removesuffix("\n")
    assert all(c in "\n\t" or c.isprintable() or ord(c) >= 0xA0 for c in shown)
    for control in (*range(32), *range(127, 160)):
        if chr(control) not in "\n\t":
            assert chr(control) not in shown
    decoded = text.decode("utf-8", "backslashreplace")
    assert len(shown) >= len(decoded.removesuffix("\n"))
    assert shown.count("\\x") > 10


@pytest.mark.parametrize("more", [[], ["-q"], ["-v"], ["--best-of", "1"]])
def test_ctrl_c_ends_by_its_signal_after_flushing(more: list[str]) -> None:
    """All that arrived is the text that the seed gives, from its beginning."""
    write_sampled(Path("m.npz"))
    options = ["m.npz", "--seed", "3"]

    with at_terminal(*options, "-n", "-1", *more) as it:
        it.read(2000)
        it.press(CTRL_C)
        code, err = it.end()

    assert code == -signal.SIGINT
    assert b"Traceback" not in err
    assert b"error" not in err
    shown = it.sent.decode().removesuffix("\n")
    assert len(shown) > 1000
    assert set(shown) <= set(SYMBOLS)
    assert written(*options, "-n", str(len(shown))).decode() == shown
