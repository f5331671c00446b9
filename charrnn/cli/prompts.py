r"""The prompt: where it comes from, and how it becomes a model's symbols.

It is given as an option, in a file, or through a pipe, and is read as bytes,
because ``sys.stdin`` would decode it by the locale. Standard input is only
read unasked when it is a pipe, a file or a socket: never a terminal, and never
/dev/null, which is what a job in the background gets.

Symbols are characters or, for a model of bytes, the characters of Latin-1 that
stand for bytes. Stop texts and separators become symbols in the same way.
"""

import os
import re
import select
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from charrnn.config import UnitName
from charrnn.errors import CorpusError, InputError, OptionError

#: Seconds without an end of file before the user is told what we wait for.
PATIENCE = 2.0

WAITING = "waiting for a prompt on standard input; -p '' or < /dev/null skips it"

#: Bytes asked for at a time, and the longest prompt. Without a limit, an
#: endless pipe would fill the memory.
SLICE = 1 << 16
LONGEST = 1 << 26

STDIN = "standard input"

#: A backslash with what it may begin; whatever else follows is an error.
ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.?)", re.DOTALL)
SHORT_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\"}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Where the prompt is to come from; by default from a pipe, if there is one."""

    text: str | None = None  # as on the command line
    file: str | None = None  # a path, or "-" for standard input
    escape: bool = False  # whether it has backslash escapes

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        if self.text is not None and self.file is not None:
            msg = "--prompt cannot be combined with --prompt-file"
            raise OptionError(msg)
        if self.escape and self.text is not None:
            expand(self.text, "char")

    def read(self, unit: UnitName, on_wait: Callable[[], None]) -> str:
        """Read the prompt and turn it into symbols.

        Parameters
        ----------
        unit : {"char", "byte"}
            What the model is made of. Any bytes are a prompt for "byte"; for
            "char" they must be UTF-8, of which a byte-order mark is dropped.
        on_wait : callable
            Called once if a pipe that nobody named does not end in time.

        Raises
        ------
        InputError
            It cannot be opened or read.
        CorpusError
            It is not UTF-8, or too long.
        OptionError
            It has a backslash that begins no escape.
        """
        data, name = self._fetch(on_wait)
        text = data.decode("latin-1") if unit == "byte" else _decode(data, name)
        return expand(text, unit) if self.escape else text

    def _fetch(self, on_wait: Callable[[], None]) -> tuple[bytes, str]:
        """Get the prompt's bytes, and a name for where they came from."""
        if self.text is not None:
            return self.text.encode("utf-8", "surrogateescape"), "--prompt"
        if self.file is not None:
            return read_file(self.file), STDIN if self.file == "-" else self.file
        descriptor = piped_stdin()
        if descriptor is None:
            return b"", STDIN
        return _without_newline(read_all(descriptor, STDIN, on_wait)), STDIN


def to_symbols(text: str, unit: UnitName, *, escape: bool = False) -> str:
    """Turn a text from the command line into symbols.

    Raises
    ------
    OptionError
        It has a backslash that begins no escape.
    """
    if unit == "byte":
        text = text.encode("utf-8", "surrogateescape").decode("latin-1")
    return expand(text, unit) if escape else text


def expand(text: str, unit: UnitName) -> str:
    r"""Put what they stand for in the place of backslash escapes.

    ``\n``, ``\t`` and ``\\``; ``\xHH`` is the character U+00HH, or the byte HH
    for a model of bytes; ``\uHHHH`` is the character U+HHHH.

    Parameters
    ----------
    text : str
        Symbols, escapes apart.

    Raises
    ------
    OptionError
        A backslash begins none of them.
    """

    def replacement(match: re.Match[str]) -> str:
        body = match[1]
        if len(body) < 2:
            if body not in SHORT_ESCAPES:
                msg = f"--escape: {match[0]} is not an escape"
                raise OptionError(msg, hint=r"known are \n \t \\ \xHH \uHHHH")
            return SHORT_ESCAPES[body]
        character = chr(int(body[1:], 16))
        if "\ud800" <= character <= "\udfff":
            msg = f"--escape: {match[0]} is half a character"
            raise OptionError(msg, hint="write the character itself")
        if unit == "byte" and body[0] == "u":
            return character.encode().decode("latin-1")
        return character

    return ESCAPE.sub(replacement, text)


def piped_stdin() -> int | None:
    """Find the descriptor of standard input, if it may be read unasked."""
    descriptor = _stdin()
    if descriptor is None:
        return None
    mode = os.fstat(descriptor).st_mode
    wanted = stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
    return descriptor if wanted else None


def _stdin() -> int | None:
    """Find the descriptor of standard input; None if it is closed."""
    if sys.stdin is None:
        return None
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError):  # closed, or something that only looks like it
        return None


def read_file(path: str) -> bytes:
    """Read a file, or standard input if it is ``-``, less one final newline.

    Raises
    ------
    InputError
        It cannot be opened or read.
    CorpusError
        It is too long.
    """
    if path == "-":
        descriptor = _stdin()
        if descriptor is None:
            msg = "standard input is closed"
            raise InputError(msg)
        return _without_newline(read_all(descriptor, STDIN))
    try:
        with Path(path).open("rb", buffering=0) as file:
            return _without_newline(read_all(file.fileno(), path))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        msg = f"cannot read the prompt: {reason}"
        raise InputError(msg, where=path) from None


def read_all(
    descriptor: int, name: str, on_wait: Callable[[], None] | None = None
) -> bytes:
    """Read a descriptor to its end.

    Parameters
    ----------
    name : str
        For errors.
    on_wait : callable, optional
        Called once when nothing comes any more after `PATIENCE` seconds.
    """
    data = bytearray()
    deadline = time.monotonic() + PATIENCE
    while True:
        if on_wait is not None:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([descriptor], [], [], left)[0]:
                on_wait()
                on_wait = None
        chunk = _read_some(descriptor, name)
        if not chunk:
            return bytes(data)
        data += chunk
        if len(data) > LONGEST:
            msg = f"the prompt is longer than {LONGEST >> 20} MiB"
            raise CorpusError(msg, where=name)


def _read_some(descriptor: int, name: str) -> bytes:
    """Wait for some bytes; none at the end of the file."""
    while True:
        try:
            return os.read(descriptor, SLICE)
        except BlockingIOError:  # somebody who shares the pipe made it so
            select.select([descriptor], [], [])
        except OSError as error:
            msg = f"cannot read the prompt: {error.strerror}"
            raise InputError(msg, where=name) from None


def _without_newline(data: bytes) -> bytes:
    """Remove the newline that ``echo`` and editors put at the end; only one."""
    return data.removesuffix(b"\n")


def _decode(data: bytes, name: str) -> str:
    """Decode UTF-8, or say where it is none."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = f"{name}, byte offset {error.start:,}, line {line:,}"
        bad = data[error.start]
        msg = f"the prompt is not valid utf-8: byte 0x{bad:02X}, {error.reason}"
        hint = "convert it first, for instance with iconv -f latin1 -t utf-8"
        raise CorpusError(msg, where=where, hint=hint) from None
