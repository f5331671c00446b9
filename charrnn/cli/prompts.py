r"""The prompt: where it comes from, and how it becomes a model's symbols.

It is given as an option, in a file, or through a pipe, and is read as bytes,
because ``sys.stdin`` would decode it by the locale. Standard input is only
read unasked when it is a pipe, a file or a socket: never a terminal, and never
/dev/null, which is what a job in the background gets.

Symbols are characters or, for a model of bytes, the characters of Latin-1 that
stand for bytes. Stop texts and separators become symbols in the same way.
"""

import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from charrnn import escapes
from charrnn.config import UnitName
from charrnn.errors import CorpusError, InputError, OptionError, unreadable
from charrnn.lineends import LINE_END, final_line_end
from charrnn.waiting import readable

if TYPE_CHECKING:
    from charrnn.reading import ReadOptions

#: Seconds without an end of file before the user is told what we wait for.
PATIENCE = 2.0

WAITING = "waiting for a prompt on standard input; -p '' or < /dev/null skips it"

#: Bytes asked for at a time, and bytes that may wait in memory.
SLICE = 1 << 16
IN_MEMORY = 1 << 22

#: Longer prompts are decoded in slices of so many bytes.
READ = 1 << 18

#: The longest prompt that can be held as a whole, where it must be; and of all.
#: Without a limit, an endless pipe would fill the disk.
LONGEST = 1 << 26
ENDLESS = 1 << 30

STDIN = "standard input"


@dataclass(frozen=True)
class PromptText:
    """A prompt as the symbols of a model, to be gone through again and again.

    A long one stays in a temporary file until `close`: iterating gives it in
    slices.

    Parameters
    ----------
    options : ReadOptions
        How the model's texts are read.
    text : str
        The whole prompt; or empty, and the prompt is in `file`.
    file : binary file, optional
        Bytes of a long prompt.
    name : str
        Where it came from, for errors.
    is_line : bool
        Whether it is a line even if it is empty: its line end has been taken off, or
        it was given as an option.
    """

    options: "ReadOptions"
    text: str = ""
    file: BinaryIO | None = None
    name: str = STDIN
    is_line: bool = False

    def __iter__(self) -> Iterator[str]:
        """Yield symbols, slice by slice; one empty slice of an empty prompt.

        Raises
        ------
        CorpusError
            The file is not UTF-8.
        """
        if self.file is None:
            yield self.text
            return
        self.file.seek(0)
        slices = iter(partial(self.file.read, READ), b"")
        yield from _decoded(slices, self.options, self.name)

    def close(self) -> None:
        """Let go of the temporary file, if there is one."""
        if self.file is not None:
            self.file.close()

    def whole(self) -> "PromptText":
        """Give the prompt in one piece, which needs no file.

        Raises
        ------
        CorpusError
            It is too long for that, or not UTF-8.
        """
        if self.file is None:
            return self
        if self.file.seek(0, os.SEEK_END) > LONGEST:
            msg = f"the prompt is longer than {LONGEST >> 20} MiB"
            hint = "only a single sample, as plain text, takes a longer one"
            raise CorpusError(msg, where=self.name, hint=hint)
        return PromptText(self.options, "".join(self), name=self.name)

    def lines(self) -> "list[PromptText]":
        """Part the prompt at its line ends into prompts, which need no file.

        There is none in an empty file, or where nothing comes through a pipe.
        """
        text = self.whole().text
        lines = LINE_END.split(text) if text or self.is_line else []
        return [PromptText(self.options, line) for line in lines]


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
            raise OptionError(msg, hint="give one of them")
        if self.escape and self.text is not None:
            expand(self.text, "char")

    @property
    def is_given(self) -> bool:
        """Whether there is one: an option, or something piped in."""
        return self.text is not None or self.file is not None or self.reads_stdin

    @property
    def reads_stdin(self) -> bool:
        """Whether it comes from standard input."""
        if self.text is None and self.file is None:
            return piped_stdin() is not None
        return self.file == "-"

    @property
    def stream(self) -> int | None:
        """The descriptor that it comes from bit by bit; None for a file or an option.

        That is a pipe, a socket or a terminal, whose end may be far away.
        """
        if not self.reads_stdin:
            return None
        descriptor = standard_input()
        if descriptor is None or stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return descriptor

    def read(self, options: "ReadOptions", on_wait: Callable[[], None]) -> PromptText:
        """Read the prompt and turn it into symbols.

        Parameters
        ----------
        options : ReadOptions
            How the model's texts are read. Any bytes are a prompt for the unit
            "byte"; for "char" they must be UTF-8, of which a byte-order mark is
            dropped, and their line ends become those of the model. What a backslash
            escape stands for stays as it is.
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
        prompt = self._fetch(options, on_wait)
        if not self.escape:
            return prompt
        with closing(prompt):
            text = expand(prompt.whole().text, options.unit)
            return PromptText(options, text, is_line=prompt.is_line)

    def _fetch(self, options: "ReadOptions", on_wait: Callable[[], None]) -> PromptText:
        """Get the prompt as it was given."""
        if self.text is not None:
            data = self.text.encode("utf-8", "surrogateescape")
            return replace(_as_text(data, options, "--prompt"), is_line=True)
        if self.file is not None:
            name = STDIN if self.file == "-" else self.file
            return _kept(read_file(self.file), options, name)
        descriptor = piped_stdin()
        if descriptor is None:
            return PromptText(options)
        return _kept(read_all(descriptor, STDIN, on_wait), options, STDIN)


def decoded(data: bytes, options: "ReadOptions", name: str) -> str:
    """Turn bytes that are a whole prompt into symbols.

    Raises
    ------
    CorpusError
        They are not UTF-8.
    """
    return "".join(_decoded([data], options, name))


def _as_text(data: bytes, options: "ReadOptions", name: str) -> PromptText:
    """Turn bytes that are a whole prompt into symbols."""
    return PromptText(options, decoded(data, options, name), name=name)


def _decoded(
    slices: Iterable[bytes], options: "ReadOptions", name: str
) -> Iterator[str]:
    """Turn bytes into symbols, slice by slice, or say why they are no prompt."""
    from charrnn.reading import Reader  # imports NumPy
    from charrnn.vocab import from_code_points

    try:
        for points in Reader(name, options, lambda _: None).read(slices):
            yield from_code_points(points)
    except CorpusError as error:
        error.what = f"the prompt is {error.what}"
        raise


def _kept(file: BinaryIO, options: "ReadOptions", name: str) -> PromptText:
    """Keep what was read, less one final line end, where there is room for it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2))
    # Which echo and editors put at the end.
    end = final_line_end(file.read(2))
    size -= end
    file.truncate(size)
    if size > READ:
        return PromptText(options, file=file, name=name)
    with file:
        file.seek(0)
        text = _as_text(file.read(), options, name)
        return replace(text, is_line=end > 0)


def too_long(number: int) -> CorpusError:
    """Make the error of a line that is longer than any prompt."""
    where = f"{STDIN}, line {number:,}"
    msg = f"the prompt is longer than {LONGEST >> 20} MiB"
    return CorpusError(msg, where=where, hint="give its end only")


def lines_of(
    block: Sequence[bytes], options: "ReadOptions", *, first: int, escape: bool
) -> list[PromptText]:
    """Make a prompt of every line of a part of a text.

    Parameters
    ----------
    block : sequence of bytes
        Lines, less what ends them.
    first : int
        How many prompts have been made of the text before.
    escape : bool
        Whether there are backslash escapes.

    Raises
    ------
    CorpusError
        They are not UTF-8.
    OptionError
        There is a backslash that begins no escape.
    """
    # A byte-order mark is one at the beginning of the whole text only.
    given = [b"", *block] if first else list(block)
    data = b"".join(line + b"\n" for line in given)[:-1]
    data = data[: len(data) - (data.endswith(b"\r"))]  # the last line's, of CR LF
    try:
        text = decoded(data, options, STDIN)
    except CorpusError as error:
        if first:
            error.where = f"{STDIN}, behind line {first:,}"
        raise
    if escape:
        text = expand(text, options.unit)
    found = LINE_END.split(text)
    return [PromptText(options, line) for line in (found[1:] if first else found)]


def as_inputs(
    prompts: Sequence[PromptText],
    *,
    of_lines: bool,
    allow_empty: bool,
    first: int = 0,
) -> list[PromptText]:
    """Make prompts of inputs: each gets the separator behind it.

    Parameters
    ----------
    of_lines : bool
        Whether each of them is a line of a column, which an error numbers.
    allow_empty : bool
        Whether one may be empty.
    first : int
        How many lines stand before them.

    Raises
    ------
    CorpusError
        One has a tab or a line end, or is empty.
    """
    from charrnn.pairs import check_input  # imports NumPy
    from charrnn.windows import SEPARATOR

    found = []
    for number, prompt in enumerate(prompts, start=first + 1):
        try:
            unit = prompt.options.unit
            check_input(prompt.text, allow_empty=allow_empty, unit=unit)
        except CorpusError as error:
            line = f", line {number:,}" if of_lines else ""
            error.where = f"the prompt{line}"
            raise
        found.append(replace(prompt, text=prompt.text + SEPARATOR))
    return found


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
    """Put what they stand for in the place of backslash escapes.

    Raises
    ------
    OptionError
        A backslash begins none; see `charrnn.escapes.expand`.
    """
    try:
        return escapes.expand(text, unit)
    except ValueError as error:
        what, hint = error.args
        msg = f"--escape: {what}"
        raise OptionError(msg, hint=hint) from None


def piped_stdin() -> int | None:
    """Find the descriptor of standard input, if it may be read unasked."""
    descriptor = standard_input()
    if descriptor is None:
        return None
    mode = os.fstat(descriptor).st_mode
    wanted = stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
    return descriptor if wanted else None


def standard_input() -> int | None:
    """Find the descriptor of standard input; None if it is closed."""
    if sys.stdin is None:
        return None
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError):  # closed, or something that only looks like it
        return None


def read_file(path: str) -> BinaryIO:
    """Read a file, or standard input if it is ``-``.

    Returns
    -------
    binary file
        A temporary one with all of it.

    Raises
    ------
    InputError
        It cannot be opened or read.
    CorpusError
        It is too long.
    """
    if path == "-":
        descriptor = standard_input()
        if descriptor is None:
            msg = "standard input is closed"
            raise InputError(msg, hint="pipe the prompt in, or name a file")
        return read_all(descriptor, STDIN)
    try:
        with Path(path).open("rb", buffering=0) as file:
            return read_all(file.fileno(), path)
    except (OSError, ValueError) as error:
        raise unreadable(error, "the prompt", path) from None


def read_all(
    descriptor: int, name: str, on_wait: Callable[[], None] | None = None
) -> BinaryIO:
    """Read a descriptor to its end, into memory or, if it is long, a file.

    Parameters
    ----------
    name : str
        For errors.
    on_wait : callable, optional
        Called once when nothing comes any more after `PATIENCE` seconds.

    Returns
    -------
    binary file
        A temporary one; it goes when it is closed or collected.
    """
    spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
    try:
        _fill(spool, descriptor, name, on_wait)
    except BaseException:
        spool.close()
        raise
    return cast("BinaryIO", spool)


def _fill(
    spool: IO[bytes],
    descriptor: int,
    name: str,
    on_wait: Callable[[], None] | None,
) -> None:
    """Copy a descriptor to its end; see `read_all`."""
    deadline, size = time.monotonic() + PATIENCE, 0
    while True:
        if on_wait is not None:
            left = max(0.0, deadline - time.monotonic())
            if not readable(descriptor, left):
                on_wait()
                on_wait = None
        chunk = read_some(descriptor, name)
        if not chunk:
            return
        spool.write(chunk)
        size += len(chunk)
        if size > ENDLESS:
            msg = f"the prompt is longer than {ENDLESS >> 20:,} MiB"
            raise CorpusError(msg, where=name, hint="give its end only")


def read_some(descriptor: int, name: str) -> bytes:
    """Wait for some bytes; none at the end of the file."""
    while True:
        try:
            return os.read(descriptor, SLICE)
        except BlockingIOError:  # somebody who shares the pipe made it so
            readable(descriptor)
        except OSError as error:
            raise unreadable(error, "the prompt", name) from None
