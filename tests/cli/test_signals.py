"""Signals: noted once, obeyed at once the second time, and left as they were."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from charrnn.__main__ import _prepare_process
from charrnn.cli import signals
from charrnn.cli.signals import REASONS, SHOW_CURSOR, caught_signals, ending_at_once

INT, TERM, HUP, USR1 = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1
XCPU = signal.SIGXCPU


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note by which signals the process would have died, instead of dying."""
    numbers: list[int] = []
    monkeypatch.setattr(signals, "die_by", numbers.append)
    return numbers


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Begin with nothing ignored, as under nohup; put every handler back."""
    before = {n: signal.getsignal(n) for n in (*REASONS, USR1)}
    for deadly in (TERM, HUP, XCPU, USR1):
        signal.signal(deadly, signal.SIG_DFL)
    signal.signal(INT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (INT, "interrupted"),
        (TERM, "terminated"),
        (HUP, "hangup"),
        (XCPU, "cpu_limit"),
    ],
)
def test_first_signal_is_noted(number: int, reason: str, deaths: list[int]) -> None:
    with caught_signals() as caught:
        before = caught.number, caught.reason
        send(number)
        after = caught.number, caught.reason

    assert (before, after) == ((None, None), (number, reason))
    assert deaths == []


@pytest.mark.parametrize(
    ("numbers", "died"),
    [
        ([INT, INT], [INT]),
        ([TERM, TERM], [TERM]),
        ([TERM, INT], [INT]),
        ([INT, TERM], [TERM]),
        ([HUP, TERM], [TERM]),
        ([HUP, HUP], []),
        ([XCPU, XCPU], []),
        ([XCPU, TERM], [TERM]),
        ([TERM, XCPU], []),
        ([TERM, HUP], []),
        ([INT, USR1], []),
    ],
)
def test_second_signal_ends_at_once(
    numbers: list[int], died: list[int], deaths: list[int]
) -> None:
    """But for those that come again without being sent again."""
    with caught_signals() as caught:
        send(*numbers)
        assert caught.number == numbers[0]

    assert deaths == died


def test_save_on_request(deaths: list[int]) -> None:
    with caught_signals() as caught:
        assert not caught.save_now
        send(USR1)
        assert caught.save_now
        assert caught.reason is None


@pytest.mark.parametrize("warned", [False, True])
def test_what_may_announce_an_end_asks_for_a_save(warned: bool) -> None:
    with caught_signals(warned=warned) as caught:
        send(signal.SIGCONT)
        assert caught.save_now == warned
        assert caught.reason is None


def test_a_request_to_save_comes_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is imported there is nothing to save, and nothing to die of."""
    for arguments, harmless in ((["train", "t.txt"], True), (["sample"], False)):
        signal.signal(USR1, signal.SIG_DFL)
        monkeypatch.setattr(sys, "argv", ["charrnn", *arguments])
        _prepare_process()
        assert (signal.getsignal(USR1) not in (signal.SIG_DFL, signal.SIG_IGN)) == (
            harmless
        )
    signal.signal(USR1, signal.SIG_IGN)
    monkeypatch.setattr(sys, "argv", ["charrnn", "train"])
    _prepare_process()
    assert signal.getsignal(USR1) == signal.SIG_IGN


def test_what_is_ignored_stays_ignored() -> None:
    """As nohup, and shells for jobs in the background, ask for."""
    signal.signal(HUP, signal.SIG_IGN)
    signal.signal(INT, signal.SIG_IGN)
    with caught_signals() as caught:
        send(HUP, INT)
        assert caught.reason is None
        send(TERM)
        assert caught.reason == "terminated"

    assert signal.getsignal(HUP) is signal.SIG_IGN


def test_handlers_are_put_back(deaths: list[int]) -> None:
    """Also after an error."""
    seen: list[int] = []

    def mine(number: int, frame: Any) -> None:
        seen.append(number)

    def fail() -> None:
        with caught_signals():
            raise KeyError

    signal.signal(INT, mine)
    with pytest.raises(KeyError):
        fail()
    send(INT)

    assert seen == [INT]
    assert signal.getsignal(USR1) is signal.SIG_DFL


def test_cursor_is_shown_before_leaving(
    deaths: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """On a terminal, and only there."""
    for terminal, shown in ((True, f"{SHOW_CURSOR}\n"), (False, "")):
        monkeypatch.setattr(signals, "is_terminal", lambda _, answer=terminal: answer)
        with caught_signals():
            send(INT, INT)
        assert capfd.readouterr().err == shown


def test_stopping_gives_the_cursor_back(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-Z: the process stops, is let go on, and can be stopped again."""
    monkeypatch.setattr(signals, "is_terminal", lambda _: True)
    stopped = list[int]()
    monkeypatch.setattr(os, "kill", lambda _, number: stopped.append(number))
    before = signal.getsignal(signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    try:
        with caught_signals() as caught:
            signal.raise_signal(signal.SIGTSTP)
            signal.raise_signal(signal.SIGTSTP)
            assert caught.number is None
        assert signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTSTP, before)

    assert stopped == [signal.SIGTSTP] * 2
    assert capfd.readouterr().err == SHOW_CURSOR * 2


#: A process that is busy for long in one instruction, as with a compiler.
BUSY = """
import hashlib, signal, sys
from charrnn.cli.signals import caught_signals, ending_at_once

if "ignored" in sys.argv:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
rounds = 2 * 10**6 if "ignored" in sys.argv else 10**9
with caught_signals() as caught:
    with ending_at_once(lambda: print("tidy", flush=True)):
        print("busy", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", rounds)
    print(caught.reason, caught.save_now)
"""


def busy(*arguments: str) -> "subprocess.Popen[str]":
    """Start it, and wait until it is busy."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    return process


@pytest.mark.parametrize("number", [INT, TERM, HUP, XCPU])
def test_before_training_a_signal_ends_it_at_once(number: int) -> None:
    """Whatever the main thread is busy with, and by that very signal."""
    process = busy()
    sent = time.monotonic()
    process.send_signal(USR1)  # asks for a save, when there is something to save
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)

    assert time.monotonic() - sent < 1
    assert (process.returncode, out) == (-number, "tidy\n")


def test_before_training_what_is_ignored_stays_so() -> None:
    process = busy("ignored")
    process.send_signal(INT)
    process.send_signal(USR1)
    out, _ = process.communicate(timeout=60)

    assert (process.returncode, out) == (0, "None True\n")


def test_threads_and_pipes_are_gone_afterwards(deaths: list[int]) -> None:
    """And signals are noted again."""
    before = os.listdir("/dev/fd")  # noqa: PTH208
    with caught_signals() as caught:
        with ending_at_once(lambda: None):
            pass
        send(TERM)
        assert caught.reason == "terminated"
    assert os.listdir("/dev/fd") == before  # noqa: PTH208
    assert signal.set_wakeup_fd(-1) == -1


def test_second_signal_in_the_middle_of_a_write(
    deaths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python forbids to enter a buffer twice; it is not entered."""

    class Busy:
        def write(self, text: str) -> int:
            raise RuntimeError

        def fileno(self) -> int:
            return writing

    reading, writing = os.pipe()
    monkeypatch.setattr(signals, "is_terminal", lambda _: True)
    monkeypatch.setattr(sys, "stderr", Busy())
    with caught_signals():
        send(INT, INT)
    os.close(writing)

    assert deaths == [INT]
    assert os.read(reading, 100).decode() == f"{SHOW_CURSOR}\n"
    os.close(reading)
