"""The prompt: who is read, how much of it, and what an escape stands for."""

import os
import pty
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli import prompts
from charrnn.cli.prompts import Prompt, expand, piped_stdin, read_all, to_symbols
from charrnn.errors import CharRNNError, CorpusError, InputError, OptionError

Pipe = Callable[[bytes], None]


def never() -> None:
    """Fail: nothing was to be waited for."""
    pytest.fail("said that it waits")


def become_stdin(monkeypatch: pytest.MonkeyPatch, stream: IO[str]) -> IO[str]:
    monkeypatch.setattr("sys.stdin", stream)
    return stream


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    """Make standard input a pipe; the function fills and ends it."""
    reader, writer = os.pipe()

    def fill(data: bytes) -> None:
        os.write(writer, data)
        os.close(writer)

    with become_stdin(monkeypatch, os.fdopen(reader)):
        yield fill


def test_pipe_is_the_prompt(pipe: Pipe) -> None:
    pipe("Aé\n☃".encode())

    assert Prompt().read("char", never) == "Aé\n☃"


def test_file_is_the_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(b"from a file\n")

    with become_stdin(monkeypatch, path.open()):
        assert Prompt().read("char", never) == "from a file"


def test_socket_is_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"from afar")
    with theirs, become_stdin(monkeypatch, os.fdopen(os.dup(theirs.fileno()))):
        assert Prompt().read("char", never) == "from afar"


def test_terminal_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    with become_stdin(monkeypatch, os.fdopen(slave)), os.fdopen(master):
        assert Prompt().read("char", never) == ""


def test_dev_null_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with become_stdin(monkeypatch, Path(os.devnull).open()):
        assert piped_stdin() is None
        assert Prompt().read("char", never) == ""


def test_closed_standard_input_is_no_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)

    assert Prompt().read("char", never) == ""
    with pytest.raises(InputError, match="closed"):
        Prompt(file="-").read("char", never)


@pytest.mark.parametrize("text", ["", "given"])
def test_option_leaves_the_pipe_alone(pipe: Pipe, text: str, tmp_path: Path) -> None:
    """A ``while read`` loop around the command keeps its lines."""
    path = tmp_path / "p.txt"
    path.write_text(text)
    pipe(b"for somebody else")

    assert Prompt(text=text).read("char", never) == text
    assert Prompt(file=str(path)).read("char", never) == text
    assert Prompt().read("char", never) == "for somebody else"


@pytest.mark.parametrize(
    ("data", "prompt"),
    [(b"a\n", "a"), (b"a\n\n", "a\n"), (b"\n", ""), (b"", ""), (b"a\r\n", "a\r")],
)
def test_exactly_one_final_newline_is_removed(
    pipe: Pipe, tmp_path: Path, data: bytes, prompt: str
) -> None:
    """From a pipe and from a file, but not from the text of an option."""
    path = tmp_path / "p.txt"
    path.write_bytes(data)
    pipe(data)

    assert Prompt(file="-").read("char", never) == prompt
    assert Prompt(file=str(path)).read("char", never) == prompt
    assert Prompt(text=data.decode()).read("char", never) == data.decode()


def test_undecodable_prompt_says_where(pipe: Pipe) -> None:
    pipe(b"good\nbad \xff")

    with pytest.raises(CorpusError, match="0xFF") as caught:
        Prompt().read("char", never)
    assert caught.value.where == "standard input, byte offset 9, line 2"


def test_undecodable_argument_says_where() -> None:
    """The shell hands over any bytes; Python escapes those that are not UTF-8."""
    with pytest.raises(CorpusError, match="0xE9") as caught:
        Prompt(text="caf\udce9").read("char", never)
    assert caught.value.where == "--prompt, byte offset 3, line 1"


def test_any_bytes_are_a_prompt_for_bytes(tmp_path: Path) -> None:
    path = tmp_path / "p.bin"
    path.write_bytes(bytes(range(256)))

    assert Prompt(file=str(path)).read("byte", never) == bytes(range(256)).decode(
        "latin-1"
    )
    assert Prompt(text="é\udce9").read("byte", never) == "\xc3\xa9\xe9"


def test_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("The", encoding="utf-8-sig")

    assert Prompt(file=str(path)).read("char", never) == "The"


def test_waiting_is_said_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, pipe: Pipe
) -> None:
    monkeypatch.setattr(prompts, "PATIENCE", 0.03)
    said: list[float] = []

    def late() -> None:
        while not said:
            time.sleep(0.01)
        time.sleep(0.1)
        pipe(b"at last\n")

    thread = threading.Thread(target=late)
    thread.start()
    prompt = Prompt().read("char", lambda: said.append(time.monotonic()))
    thread.join()

    assert prompt == "at last"
    assert len(said) == 1


def test_explicit_standard_input_waits_in_silence(
    monkeypatch: pytest.MonkeyPatch, pipe: Pipe
) -> None:
    monkeypatch.setattr(prompts, "PATIENCE", 0.0)
    thread = threading.Timer(0.1, pipe, [b"x"])
    thread.start()

    assert Prompt(file="-").read("char", never) == "x"
    thread.join()


def test_pipe_that_does_not_block_is_read_to_its_end() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with os.fdopen(reader) as stream:
        os.write(writer, b"first ")

        def rest() -> None:
            os.write(writer, b"second")
            os.close(writer)

        thread = threading.Timer(0.1, rest)
        thread.start()
        assert read_all(stream.fileno(), "it") == b"first second"
        thread.join()


def test_endless_prompt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "LONGEST", 1 << 20)

    with pytest.raises(CorpusError, match="longer than 1 MiB"):
        Prompt(file="/dev/zero").read("char", never)


@pytest.mark.parametrize("name", ["missing.txt", ".", "nul\0"])
def test_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match="cannot read the prompt") as caught:
        Prompt(file=name).read("char", never)
    assert caught.value.where == name


def test_one_prompt_only() -> None:
    with pytest.raises(OptionError, match="--prompt-file"):
        Prompt(text="", file="p.txt")


def test_escapes_of_every_kind() -> None:
    assert expand(r"a\n\t\\n\x41\u2603\xe9", "char") == "a\n\t\\nA☃é"
    assert to_symbols(r"é\n\u00e9\xe9", "byte", escape=True) == "\xc3\xa9\n\xc3\xa9\xe9"
    assert to_symbols(r"é\n", "char") == r"é\n"


@pytest.mark.parametrize(
    "text", ["\\", "\\q", "\\x4", "\\xg0", "\\u12", "\\ud83d", "\\\n"]
)
def test_bad_escapes_are_usage_errors(text: str) -> None:
    with pytest.raises(OptionError, match="--escape"):
        Prompt(text=text, escape=True)
    with pytest.raises(OptionError, match="--escape"):
        to_symbols(text, "byte", escape=True)


def test_escapes_hold_for_piped_prompts_too(pipe: Pipe) -> None:
    pipe(b"a\\nb\n")

    assert Prompt(escape=True).read("char", never) == "a\nb"


@given(st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])))
def test_any_text_can_be_escaped(text: str) -> None:
    escaped = "".join(f"\\u{ord(c):04x}" for c in text)

    assert expand(escaped, "char") == text
    assert expand(escaped, "byte").encode("latin-1") == text.encode()
    assert expand(text.replace("\\", "\\\\"), "char") == text


@given(st.binary())
def test_any_bytes_can_be_escaped(data: bytes) -> None:
    escaped = "".join(f"\\x{byte:02X}" for byte in data)

    assert to_symbols(escaped, "byte", escape=True).encode("latin-1") == data


def test_errors_have_hints() -> None:
    for broken in (
        lambda: expand("\\q", "char"),
        lambda: prompts._decode(b"\xff", "x"),
    ):
        with pytest.raises(CharRNNError) as caught:
            broken()
        assert caught.value.hint
