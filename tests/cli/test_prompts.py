"""The prompt: who is read, how much of it, and what an escape stands for."""

import codecs
import os
import pty
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli import prompts
from charrnn.cli.prompts import (
    Prompt,
    PromptText,
    expand,
    piped_stdin,
    read_all,
    to_symbols,
)
from charrnn.config import UnitName
from charrnn.errors import CharRNNError, CorpusError, InputError, OptionError
from charrnn.lineends import final_line_end
from charrnn.reading import ReadOptions

Pipe = Callable[[bytes], None]


def never() -> None:
    """Fail: nothing was to be waited for."""
    pytest.fail("said that it waits")


def read_as(unit: UnitName, line_end: str | None = None) -> ReadOptions:
    """Read for a model, which knows all line ends or one."""
    return ReadOptions(unit=unit, line_end=line_end, to_train=False)


def content(
    prompt: Prompt,
    unit: UnitName = "char",
    on_wait: Callable[[], None] = never,
    line_end: str | None = None,
) -> str:
    """Read a prompt, and put its slices together."""
    found = prompt.read(read_as(unit, line_end), on_wait)
    try:
        return "".join(found)
    finally:
        if found.file is not None:
            found.file.close()


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

    assert content(Prompt()) == "Aé\n☃"


def test_file_is_the_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(b"from a file\n")

    with become_stdin(monkeypatch, path.open()):
        assert content(Prompt()) == "from a file"


def test_socket_is_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"from afar")
    with theirs, become_stdin(monkeypatch, os.fdopen(os.dup(theirs.fileno()))):
        assert content(Prompt()) == "from afar"


def test_terminal_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    with become_stdin(monkeypatch, os.fdopen(slave)), os.fdopen(master):
        assert content(Prompt()) == ""


def test_dev_null_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with become_stdin(monkeypatch, Path(os.devnull).open()):
        assert piped_stdin() is None
        assert content(Prompt()) == ""


def test_closed_standard_input_is_no_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)

    assert content(Prompt()) == ""
    with pytest.raises(InputError, match="closed"):
        content(Prompt(file="-"))


@pytest.mark.parametrize("text", ["", "given"])
def test_option_leaves_the_pipe_alone(pipe: Pipe, text: str, tmp_path: Path) -> None:
    """A ``while read`` loop around the command keeps its lines."""
    path = tmp_path / "p.txt"
    path.write_text(text)
    pipe(b"for somebody else")

    assert content(Prompt(text=text)) == text
    assert content(Prompt(file=str(path))) == text
    assert content(Prompt()) == "for somebody else"


@pytest.mark.parametrize(
    ("data", "prompt"),
    [
        (b"a\n", "a"),
        (b"a\n\n", "a\n"),
        (b"\n", ""),
        (b"", ""),
        (b"a\r\n", "a"),
        (b"a\r", "a"),
        (b"a\r\n\r\n", "a\r\n"),
        (b"a\n\r", "a\n"),
        (b"\r\n", ""),
    ],
)
def test_exactly_one_final_line_end_is_removed(
    pipe: Pipe, tmp_path: Path, data: bytes, prompt: str
) -> None:
    """From a pipe and from a file, but not from the text of an option."""
    path = tmp_path / "p.txt"
    path.write_bytes(data)
    pipe(data)

    assert content(Prompt(file="-")) == prompt
    assert content(Prompt(file=str(path))) == prompt
    assert content(Prompt(text=data.decode())) == data.decode()


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_line_ends_of_a_prompt_become_those_of_the_model(
    pipe: Pipe, tmp_path: Path, end: str
) -> None:
    """However it is given; what an escape stands for is left alone."""
    text, expected = "a\r\nb\nc\rd", f"a{end}b{end}c{end}d"
    path = tmp_path / "p.txt"
    path.write_bytes(text.encode() + b"\r\n")
    pipe(text.encode())

    assert content(Prompt(), line_end=end) == expected
    assert content(Prompt(file=str(path)), line_end=end) == expected
    assert content(Prompt(text=text), line_end=end) == expected
    escaped = Prompt(text="\r\n" + r"\x0d\n", escape=True)
    assert content(escaped, line_end=end) == f"{end}\r\n"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_line_ends_of_a_long_prompt_may_be_cut(tmp_path: Path, size: int) -> None:
    data = b"a\r\nb\r\rc\r\n"
    with read(data, "char", tmp_path / "p.txt", size, line_end="\n") as prompt:
        assert "".join(prompt) == "a\nb\n\nc"


def test_undecodable_prompt_says_where(pipe: Pipe) -> None:
    pipe(b"good\nbad \xff")

    with pytest.raises(CorpusError, match="0xFF") as caught:
        content(Prompt())
    assert caught.value.where == "standard input, byte offset 9, line 2"


def test_undecodable_argument_says_where() -> None:
    """The shell hands over any bytes; Python escapes those that are not UTF-8."""
    with pytest.raises(CorpusError, match="0xE9") as caught:
        content(Prompt(text="caf\udce9"))
    assert caught.value.where == "--prompt, byte offset 3, line 1"


def test_any_bytes_are_a_prompt_for_bytes(tmp_path: Path) -> None:
    path = tmp_path / "p.bin"
    path.write_bytes(bytes(range(256)))

    assert content(Prompt(file=str(path)), "byte") == bytes(range(256)).decode(
        "latin-1"
    )
    assert content(Prompt(text="é\udce9"), "byte") == "\xc3\xa9\xe9"


def test_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("The", encoding="utf-8-sig")

    assert content(Prompt(file=str(path))) == "The"


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
    prompt = content(Prompt(), on_wait=lambda: said.append(time.monotonic()))
    thread.join()

    assert prompt == "at last"
    assert len(said) == 1


def test_explicit_standard_input_waits_in_silence(
    monkeypatch: pytest.MonkeyPatch, pipe: Pipe
) -> None:
    monkeypatch.setattr(prompts, "PATIENCE", 0.0)
    thread = threading.Timer(0.1, pipe, [b"x"])
    thread.start()

    assert content(Prompt(file="-")) == "x"
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
        with read_all(stream.fileno(), "it") as kept:
            kept.seek(0)
            assert kept.read() == b"first second"
        thread.join()


def test_endless_prompt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "ENDLESS", 1 << 20)
    monkeypatch.setattr(prompts, "IN_MEMORY", 1 << 16)

    with pytest.raises(CorpusError, match="longer than 1 MiB") as caught:
        content(Prompt(file="/dev/zero"))
    assert caught.value.where == "/dev/zero"


@contextmanager
def read(
    data: bytes,
    unit: UnitName,
    path: Path,
    limit: int = prompts.READ,
    line_end: str | None = None,
) -> Iterator[PromptText]:
    """Read a prompt from a file; what is longer than `limit` in slices of it."""
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts, "READ", limit)
        prompt = Prompt(file=str(path)).read(read_as(unit, line_end), never)
        try:
            yield prompt
        finally:
            if prompt.file is not None:
                prompt.file.close()


def outcome(
    data: bytes, unit: UnitName, path: Path, limit: int = prompts.READ
) -> tuple[str, str | None]:
    """Read a prompt and put it together, or say where it is not UTF-8."""
    try:
        with read(data, unit, path, limit) as prompt:
            kept = len(data) - final_line_end(data)
            assert (prompt.file is None) == (kept <= limit)
            return "".join(prompt), None
    except CorpusError as error:
        return f"{error.what[:35]} {error.hint}", error.where


utf8 = st.text(st.characters(codec="utf-8")).map(str.encode)
marked = st.sampled_from([b"", codecs.BOM_UTF8])
ends = st.sampled_from(
    [b"", b"\n", b"\n\n", b"\r\n", b"\r", b"\xff", b"\xe2\x98", b"\xf0x"]
)


@given(marked, utf8 | st.binary(), ends, st.integers(7, 12), st.booleans())
def test_long_prompt_is_read_as_a_short_one(
    tmp_path_factory: pytest.TempPathFactory,
    mark: bytes,
    data: bytes,
    end: bytes,
    size: int,
    as_bytes: bool,
) -> None:
    """In slices that part characters: the same text, or the same place of an error."""
    path = tmp_path_factory.getbasetemp() / "prompt.txt"
    data = mark + data + end
    unit: UnitName = "byte" if as_bytes else "char"

    assert outcome(data, unit, path, size) == outcome(data, unit, path)


def test_long_prompt_in_slices_of_its_real_size(tmp_path: Path) -> None:
    """Too long for the memory set aside; characters stand across every border."""
    text = "☃" * (prompts.IN_MEMORY // 3 + 1) + "é\n"
    data = codecs.BOM_UTF8 + text.encode() + b"\n"

    with read(data, "char", tmp_path / "p.txt") as prompt:
        slices = list(prompt)
        again = list(prompt)
        whole = prompt.whole()

    assert "".join(slices) == whole.text == text
    assert again == slices
    assert len(slices) > 10
    assert max(map(len, slices)) <= prompts.READ
    assert list(whole.whole()) == [text]


def test_invalid_byte_late_in_a_long_prompt_says_where(tmp_path: Path) -> None:
    line = "é☃😀 and more\n".encode()
    count = 3 * prompts.READ // len(line)
    data = line * count + b"bad \xff here\n" + line

    text, where = outcome(data, "char", tmp_path / "p.txt")

    assert text.startswith("the prompt is not valid utf-8: byte")
    assert "the text around it is UTF-8" in text
    name, *place = str(where).rsplit(", ", 2)
    assert name == str(tmp_path / "p.txt")
    assert place == [f"byte offset {count * len(line) + 4:,}", f"line {count + 1:,}"]


def test_prompt_can_be_too_long_to_be_held(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In slices it is still read; where it must be whole it is refused."""
    monkeypatch.setattr(prompts, "LONGEST", 1 << 20)
    size = (1 << 20) + 1

    with read(b"x" * size, "char", tmp_path / "p.txt") as prompt:
        assert sum(map(len, prompt)) == size
        for refused in (prompt.whole, prompt.lines):
            with pytest.raises(CorpusError, match="longer than 1 MiB") as caught:
                refused()
            assert caught.value.where == str(tmp_path / "p.txt")
            assert caught.value.hint
    with read(b"x" * (size - 1), "char", tmp_path / "p.txt") as prompt:
        assert len(prompt.whole().text) == size - 1


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a", ["a"]),
        ("a\n\nb", ["a", "", "b"]),
        ("\na\n", ["", "a", ""]),
        ("a\r\n\u2028b", ["a", "\u2028b"]),
        ("a\rb\r\n\r\n", ["a", "b", "", ""]),
    ],
)
def test_lines_are_parted_by_line_ends_only(text: str, lines: list[str]) -> None:
    prompt = PromptText(read_as("char"), text)

    assert [line.text for line in prompt.lines()] == lines


def test_whether_there_is_a_prompt(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking does not read; an empty one is one too."""
    pipe(b"piped")
    assert Prompt().is_given
    assert content(Prompt()) == "piped"
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        given = [Prompt(), Prompt(text=""), Prompt(file="-"), Prompt(file="p.txt")]
        assert [prompt.is_given for prompt in given] == [False, True, True, True]


@pytest.mark.parametrize("name", ["missing.txt", ".", "nul\0"])
def test_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match="cannot read the prompt") as caught:
        content(Prompt(file=name))
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

    assert content(Prompt(escape=True)) == "a\nb"


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
        lambda: content(Prompt(text="\udcff")),
    ):
        with pytest.raises(CharRNNError) as caught:
            broken()
        assert caught.value.hint
