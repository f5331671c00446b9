"""`charrnn sample --interactive`: at a terminal, a real one, and without one."""

import builtins
import signal
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.cli.companion import Companion
from charrnn.config import SampleConfig
from charrnn.errors import VocabError
from charrnn.generation.completion import Completer, Offers, first_word
from tests.cli.terminal import (
    CTRL_C,
    CTRL_D,
    DOWN,
    LEFT,
    PATIENCE,
    RIGHT,
    UP,
    Terminal,
)
from tests.cli.terminal import at_terminal as started
from tests.factories import write_sampled

pytestmark = pytest.mark.usefixtures("beside_models")

Run = Callable[..., tuple[int, bytes, str]]

#: No three characters of it have two that come next.
TEXT = "old house by night\nthe wide sea\nfar away\n" * 4
SYMBOLS = "".join(sorted(set(TEXT)))

RUN = ["m.npz", "--interactive", "-q"]

ENTER, TAB, BACKSPACE = b"\r", b"\t", b"\x7f"

#: What stands where the line is likely to end.
SIGN = "\u21b5"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_sampled(path / "m.npz", symbols=SYMBOLS, remembered=TEXT, share=0.02)
    write_sampled(path / "tab.npz", symbols="\t\n\x1babc", spread=2.0)
    write_sampled(path / "b.npz", unit="byte")
    write_sampled(path / "p.npz", symbols="\t\nabc", pairs=True)
    return path


@pytest.fixture
def offered(directory: Path) -> Callable[..., list[str]]:
    """Tell what is offered behind a text, as far as it can be seen."""
    model = charrnn.load(directory / "m.npz")

    def complete(text: str) -> list[str]:
        found = model.complete(text, unknown="skip")
        return [SIGN if each == "\n" else each.rstrip() for each in found]

    return complete


def begun(terminal: Terminal, offered: Callable[..., list[str]]) -> None:
    """Wait until somebody can write."""
    terminal.shows("", offered("")[0])


def test_what_may_follow_stands_in_grey(offered: Callable[..., list[str]]) -> None:
    with started("m.npz", "--interactive") as it:
        begun(it, offered)
        assert not it.is_as_before
        for n, key in enumerate("farther", 1):
            it.press(key.encode())
            it.shows("farther"[:n], offered("farther"[:n])[0])
        it.press(BACKSPACE * 4)
        it.shows("far", " away")
        it.press(CTRL_D)
        code, err = it.end()

    assert code == 0
    assert b"Tab takes a word" in err
    assert it.screen == ("far", "")


def test_tab_takes_a_word_and_right_all(offered: Callable[..., list[str]]) -> None:
    with started(*RUN) as it:
        begun(it, offered)
        it.press(b"o")
        it.shows("o", "ld house by night")
        it.press(TAB)
        it.shows("old", " house by night")
        it.press(TAB)
        it.shows("old house", " by night")
        it.press(RIGHT)
        it.shows("old house by night", SIGN)
        it.press(TAB + RIGHT)  # nothing to take
        it.press(BACKSPACE * 3)
        it.shows("old house by ni", "ght")
        it.press(CTRL_D)
        assert it.end()[0] == 0

    assert it.screen == ("old house by ni", "")


def test_up_and_down_choose(offered: Callable[..., list[str]]) -> None:
    first, second, third = offered("the")
    with started(*RUN) as it:
        begun(it, offered)
        it.press(b"the")
        it.shows("the", first)
        for key, shown in (
            (DOWN, second),
            (DOWN, third),
            (DOWN, first),
            (UP, third),
            (UP, second),
        ):
            it.press(key)
            it.shows("the", shown)
        it.press(TAB)
        it.wait(lambda: it.screen[0] == "the" + first_word(second))
        it.press(CTRL_D)
        assert it.end()[0] == 0


def test_enter_ends_the_line_which_stands_before_the_next(
    offered: Callable[..., list[str]],
) -> None:
    with started(*RUN) as it:
        begun(it, offered)
        it.press(b"the wide sea" + ENTER)
        it.shows("the wide sea", "far away")
        it.press(b"far" + ENTER)
        it.shows("the wide sea\nfar", offered("the wide sea\nfar\n")[0])
        it.press(CTRL_D)
        assert it.end() == (0, b"")
        assert it.is_as_before

    assert it.screen == ("the wide sea\nfar", "")


def test_nothing_is_offered_inside_the_line(offered: Callable[..., list[str]]) -> None:
    """Keys do there what they do in any line."""
    with started(*RUN) as it:
        begun(it, offered)
        it.press(b"the old")
        it.shows("the old", " house by night")
        it.press(LEFT * 4)
        it.shows("the old", "")
        it.press(TAB + b"n")
        it.shows("then old", "")
        it.press(CTRL_D)  # takes a character away
        it.shows("thenold", "")
        it.press(RIGHT * 3)
        it.shows("thenold", " house by night")
        it.press(CTRL_D)
        assert it.end()[0] == 0


def test_ctrl_c_clears_the_line_or_ends(offered: Callable[..., list[str]]) -> None:
    with started(*RUN) as it:
        begun(it, offered)
        it.press(b"the wide")
        it.shows("the wide", " sea")
        it.press(CTRL_C)
        begun(it, offered)
        it.press(CTRL_C)
        code, err = it.end()
        assert it.is_as_before

    assert code == -signal.SIGINT
    assert err == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(
    offered: Callable[..., list[str]], number: int
) -> None:
    with started(*RUN) as it:
        begun(it, offered)
        it.send(number)
        code, err = it.end()
        assert it.is_as_before

    assert (code, err) == (-number, b"")


def test_a_narrow_terminal(offered: Callable[..., list[str]]) -> None:
    with started(*RUN, columns=8, lines=6) as it:
        begun(it, offered)
        it.press(b"old house b")
        it.shows("old hous\ne b", "y night")
        it.press(RIGHT)
        it.shows("old hous\ne by nig\nht", SIGN)
        it.press(CTRL_D)
        assert it.end()[0] == 0


def test_lines_go_where_standard_output_goes(
    offered: Callable[..., list[str]], tmp_path: Path
) -> None:
    """What is drawn goes to standard error, if that is the terminal."""
    with (
        (tmp_path / "lines").open("wb") as file,
        started(*RUN, stdout=file, stderr=None) as it,
    ):
        begun(it, offered)
        it.press("the wideé".encode())
        it.shows("the wideé", " sea")
        it.press(RIGHT + ENTER)
        it.shows("the wideé sea", "far away")
        assert (tmp_path / "lines").read_text() == "the wideé sea\n"
        it.press(b"\x1b[200~old\nfar\x1b[201~")  # pasted
        it.shows("the wideé sea\nold\nfar", " away")
        it.press(CTRL_D)
        assert it.end()[0] == 0

    assert (tmp_path / "lines").read_text() == "the wideé sea\nold\nfar\n"


def test_control_characters_do_not_arrive() -> None:
    """Tabs are blanks; nothing that steers a terminal is offered."""
    with started("tab.npz", "--interactive", "-q") as it:
        it.wait(lambda: bool(it.screen[1]))
        for n in range(6):
            it.press(b"a")
            it.shows("a" * (n + 1))
        it.press(CTRL_D)
        assert it.end()[0] == 0

    assert b"\x1b" not in it.sent.replace(b"\x1b[", b"").replace(b"\x1b]", b"")
    assert b"\t" not in it.sent


def test_without_color_it_is_dim(offered: Callable[..., list[str]]) -> None:
    with started(*RUN, "--color", "never") as it:
        it.wait(lambda: it.screen[0] == offered("")[0])
        it.press(CTRL_D)
        assert it.end()[0] == 0

    assert b"\x1b[0;2m" in it.sent
    assert b"38;5" not in it.sent


@pytest.fixture
def piped(
    sample: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, bytes, str]]:
    """Run the command with lines on standard input."""

    def call(lines: bytes, *arguments: str) -> tuple[int, bytes, str]:
        (tmp_path / "given").write_bytes(lines)
        with (tmp_path / "given").open() as stream, monkeypatch.context() as patch:
            patch.setattr("sys.stdin", stream)
            return sample(*arguments, "--interactive")

    return call


def test_without_a_terminal_every_line_is_continued(
    piped: Run, offered: Callable[..., list[str]]
) -> None:
    """By itself, as the first text that is offered would."""
    found = piped(b"o\nthe wid\r\n\nfar away\nf", "m.npz")
    lines = ["old house by night", "the wide sea", offered("")[0], "far away"]
    lines += ["far away"]

    assert found == (0, "".join(f"{line}\n" for line in lines).encode(), "")
    assert piped(b"", "m.npz") == (0, b"", "")


def test_lines_of_bytes(piped: Run) -> None:
    code, out, err = piped(b"a\xff\nb\n", "b.npz")

    assert (code, err) == (0, "")
    assert out.startswith(b"a\xff")
    assert out.splitlines()[-1].startswith(b"b")


def test_options_choose_what_is_written(piped: Run) -> None:
    drawn = [piped(b"the ", "m.npz", "-t", "3", "--seed", seed) for seed in "112"]
    allowed = piped(b"the ", "m.npz", "--allow", "os", "--blend", "1")

    assert drawn[0] == drawn[1] != drawn[2]
    assert set(allowed[1].decode()) <= set("the os\n")


def test_what_a_line_has_that_is_unknown(piped: Run) -> None:
    code, out, err = piped("the o\nthe ☃\n".encode(), "m.npz")
    assert (code, out) == (4, b"")
    assert "☃" in err
    assert "line 2" in err

    code, out, _ = piped("the ☃w\n".encode(), "m.npz", "--unknown", "skip")
    assert (code, out.decode()) == (0, "the ☃wide sea\n")


REFUSED = [
    ("--json", "--json"),
    ("-n 20", "--length"),
    ("-N 3 --best-of 2", "--num-samples and --best-of"),
    ("-p the", "--prompt"),
    ("--prompt-lines", "--prompt-lines"),
    ("--serve", "--serve"),
    ("--lines 2", "--lines"),
    ("--time 3s --stop x", "--time and --stop"),
    ("--pattern a+", "--pattern"),
    ("--adapt --adapt-output", "--adapt-output"),
    ("--no-echo", "--echo"),
    ("--raw -o x", "--output and --raw"),
]


@pytest.mark.parametrize(("words", "named"), REFUSED)
def test_what_means_nothing_is_2(piped: Run, words: str, named: str) -> None:
    code, out, err = piped(b"the\n", "m.npz", *words.split())

    assert (code, out) == (2, b"")
    assert f"--interactive cannot be combined with {named}\n" in err
    assert "hint: " in err


def test_a_model_of_pairs_is_2(piped: Run) -> None:
    code, out, err = piped(b"the\n", "p.npz")

    assert (code, out) == (2, b"")
    assert "a model of pairs completes no line" in err


def test_without_the_editor_it_is_8(
    sample: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    importing = builtins.__import__

    def refuse(name: str, *more: Any) -> Any:
        if name.startswith("prompt_toolkit"):
            raise ImportError(name)
        return importing(name, *more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr("charrnn.cli.interactive.screen", lambda: sys.stdout)
    code, out, err = sample("m.npz", "--interactive")

    assert (code, out) == (8, b"")
    assert "--interactive needs prompt_toolkit, which is not installed" in err
    assert "pip install 'charrnn-numba[interactive]'" in err


def test_options_of_it_can_be_kept(sample: Run) -> None:
    code, out, _ = sample(
        "m.npz", "--interactive", "--show-options", "--seed", "3", "--ban", "x"
    )

    assert code == 0
    assert tomllib.loads(out.decode()) == {"interactive": True, "seed": 3, "ban": "x"}


def test_the_companion_forgets_lines_that_have_gone(directory: Path) -> None:
    model = charrnn.load(directory / "m.npz")
    completer = Completer(model, SampleConfig(temperature=0.0))
    found, offers = threading.Event(), Offers()
    companion = Companion(completer, found.set)
    companion.want("the w")
    assert found.wait(PATIENCE)
    offers.follow("the w")
    companion.offer(offers)
    offers.turn(1)
    companion.offer(offers)  # once is enough
    assert offers.texts[0] == "ide sea"
    assert offers.chosen == 1

    companion.finish("the w")
    gone = Offers("the w")
    companion.offer(gone)
    companion.end()
    assert gone.texts == []


def test_the_companion_tells_what_has_ended_it(directory: Path) -> None:
    model = charrnn.load(directory / "m.npz")
    completer = Completer(model, SampleConfig(temperature=0.0), unknown="error")
    found = threading.Event()
    companion = Companion(completer, found.set)
    companion.want("☃")
    assert found.wait(PATIENCE)
    companion.end()

    assert isinstance(companion.error, VocabError)
