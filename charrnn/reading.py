"""Bring a text from its bytes to code points, slice by slice.

A source is a file, a FIFO or standard input. What can go wrong on the way, from
a missing file to a byte that the encoding does not know, ends in an error
that says where.

With ``unit="byte"`` the bytes are decoded as Latin-1, which maps each to the
code point of the same number.
"""

import codecs
import contextlib
import errno
import io
import itertools
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from charrnn.advice import HEAD, Advisor
from charrnn.arrays import Ids
from charrnn.config import TextConfig
from charrnn.counting import plural
from charrnn.errors import (
    CharRNNError,
    CorpusError,
    InputError,
    OptionError,
    field,
    reading_hint,
)
from charrnn.escapes import one_line, shortened
from charrnn.filenames import read_path
from charrnn.lineends import LineEnds
from charrnn.pairs import END, PairFormat, PairReader
from charrnn.recognition import SAMPLE
from charrnn.vocab import CodePoints, Vocab, code_points
from charrnn.waiting import readable
from charrnn.windows import SEPARATOR

#: Bytes read at a time: small enough for its arrays to stay in the cache.
SLICE = 1 << 18

#: The byte-order mark of UTF-8 as the symbols of its bytes.
BYTE_MARK = codecs.BOM_UTF8.decode("latin-1")

#: Characters of a text that a message shows.
SHOWN = 40

#: Characters of the longest name that a file has on common systems.
LONGEST_NAME = 255

#: Names of a directory that are compared with one that does not exist.
MOST_NAMES = 10_000

#: Python calls them text encodings, but no text file is written in them.
NOT_FOR_FILES = ("idna", "punycode", "unicode-escape", "raw-unicode-escape")


@dataclass(frozen=True)
class Text:
    """A text in memory, where otherwise the path of a file is named.

    Parameters
    ----------
    text : str
    name : str
        What messages and checkpoints call it.

    Raises
    ------
    OptionError
        One of them is no text.
    """

    text: str
    name: str = "text"

    def __post_init__(self) -> None:
        """Check that both are texts."""
        for name in ("text", "name"):
            check_text(getattr(self, name), field(name))

    def __repr__(self) -> str:
        """Show how the text begins and how long it is."""
        begin = shortened(repr(self.text[: SHOWN + 1]), SHOWN)
        name = "" if self.name == "text" else f", name={self.name!r}"
        return f"<Text {begin}{name}, {plural(len(self.text), 'character')}>"


def check_text(given: Any, name: str) -> None:
    """Raise `OptionError` unless something is a text.

    Parameters
    ----------
    name : str
        What a message calls it: a field marked by `errors.field`, or words.
    """
    if not isinstance(given, str):
        msg = f"{name} must be a str, not {shortened(repr(given))}"
        hint = "write a text, such as 'the sea'"
        if isinstance(given, bytes | bytearray):
            hint = "decode the bytes first: they do not say in which encoding they are"
        raise OptionError(msg, hint=hint)


#: Where a text comes from: a path, ``-`` for standard input, or memory.
Source: TypeAlias = str | Text


def named_source(given: Any, name: str) -> Source:
    """Take a text to read as a caller in Python names it.

    Parameters
    ----------
    given : str, path or Text
    name : str
        The option that it is given for.

    Raises
    ------
    OptionError
        It is something else.
    InputError
        It is no file, and looks like a text itself.
    """
    if isinstance(given, Text):
        return given
    try:
        path = read_path(given, field(name))
    except OptionError as error:
        error.hint = "every text is a path of its own, or a charrnn.Text"
        raise
    if ("\n" in path or len(path) > LONGEST_NAME) and not os.path.lexists(path):
        begin = shortened(one_line(path[: SHOWN + 1]), SHOWN)
        msg = f"there is no file called {begin}: {plural(len(path), 'character')}"
        hint = "is it a text itself? charrnn.Text(...) stands for one"
        raise InputError(msg, hint=hint)
    return path


@dataclass(frozen=True, kw_only=True)
class ReadOptions(TextConfig):
    """How texts become characters, and what they are read for."""

    lines: bool = False  # every line a document: each source ends in a newline
    pairs: bool = False  # every line an input and an output, brought into one form
    vocab: Vocab | None = None  # given: what it lacks becomes its U+FFFD, or an error
    line_end: str | None = None  # given: what every line ends in, whatever `newlines`
    to_train: bool = True  # whether the user chooses how the text is read
    in_memory: bool = False  # whether it was characters before it was bytes

    def __post_init__(self) -> None:
        """Check each option and what cannot go together."""
        super().__post_init__()
        name = _codec_name(self.encoding)
        if self.unit == "byte" and name != "utf-8":
            msg = (
                f"{field('unit', 'byte')} cannot be combined with "
                f"{field('encoding', self.encoding)}"
            )
            raise OptionError(msg, hint="bytes are taken as they are")
        if self.unit == "byte" and self.min_count > 1:
            msg = (
                f"{field('unit', 'byte')} cannot be combined with {field('min_count')}"
            )
            raise OptionError(msg, hint="there are never more than 256 bytes")
        if self.vocab is not None and self.vocab.unit != self.unit:
            msg = f"a vocabulary of {self.vocab.unit}s cannot read {self.unit}s"
            raise ValueError(msg)

    @property
    def structure(self) -> str:
        """The characters that stay, however rare: they say where things end."""
        if self.pairs:
            return SEPARATOR + END
        return "\n" if self.lines else ""

    @property
    def pair_format(self) -> PairFormat:
        """How pairs stand in the texts, in the symbols that these are read as."""
        separator = self.pair_separator
        if self.unit == "byte":
            separator = separator.encode().decode("latin-1")
        return PairFormat(separator, self.allow_empty, self.unit)

    def of(self, source: Source) -> "ReadOptions":
        """Say how one source is read: a text in memory has no encoding."""
        if not isinstance(source, Text):
            return self
        return replace(self, encoding="utf-8", in_memory=True)


def _codec_name(encoding: str) -> str:
    """Find a text encoding's own name, or raise `OptionError`."""
    hint = "examples: utf-8, latin-1, cp1252, utf-16, shift_jis"
    try:
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError):
        msg = f"{field('encoding')} {encoding!r} is unknown"
        raise OptionError(msg, hint=hint) from None
    try:
        "".encode(encoding)  # refuses what maps bytes to bytes, such as base64
    except (LookupError, ValueError):
        name = NOT_FOR_FILES[0]
    if name in NOT_FOR_FILES:
        msg = f"{field('encoding', encoding)} is not an encoding of text files"
        raise OptionError(msg, hint=hint)
    return name


def shown_name(source: Source) -> str:
    """Name a source in a message."""
    if isinstance(source, Text):
        return one_line(source.name)
    return "standard input" if source == "-" else one_line(source)


def read_slices(source: Source, stdin: BinaryIO | None) -> Iterator[bytes]:
    """Read a source slice by slice; whatever prevents it is an `InputError`.

    A text in memory comes as UTF-8.
    """
    if isinstance(source, Text):
        data = source.text.encode("utf-8", "surrogatepass")
        yield from (data[a : a + SLICE] for a in range(0, len(data), SLICE))
        return
    try:
        with _open(source, stdin) as stream:
            while (data := stream.read(SLICE)) != b"":
                if data is None:  # somebody who shares the pipe made it so
                    readable(stream.fileno())
                else:
                    yield data
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error


def options_for(vocab: Vocab) -> ReadOptions:
    """Say how texts are read for a model that is there: prompts, texts to inspect.

    They are UTF-8, or any bytes for a model of bytes, and their line ends are read as
    the vocabulary has them.
    """
    return ReadOptions(unit=vocab.unit, line_end=vocab.line_end, to_train=False)


def read_known(sources: Iterable[Source], vocab: Vocab) -> Ids:
    """Read texts, one behind the other, as the ids of a vocabulary.

    Line ends are read as the vocabulary has them.

    Returns
    -------
    (N,) int array
        -1 for what is not in the vocabulary, and between two texts.

    Raises
    ------
    InputError
        A text cannot be opened or read.
    CorpusError
        It is not UTF-8, for a vocabulary of characters.
    """
    options = options_for(vocab)
    border = np.full(1, -1, np.int32)
    parts = [np.zeros(0, np.int32)]
    for source in sources:
        reader = Reader(shown_name(source), options.of(source), lambda _: None)
        parts += map(vocab.look_up, reader.read(read_slices(source, None)))
        parts.append(border)
    return np.concatenate(parts)


def _open(
    source: str, stdin: BinaryIO | None
) -> contextlib.AbstractContextManager[io.FileIO | BinaryIO]:
    """Open a source; standard input stays open afterwards."""
    if source != "-":
        file = io.FileIO(source)
        if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
            file.close()
            msg = "it is a device"  # /dev/zero would fill the memory
            raise ValueError(msg)
        return file
    if stdin is None and sys.stdin is None:
        msg = "it is closed"
        raise ValueError(msg)
    if stdin is None and not hasattr(sys.stdin, "buffer"):
        msg = "it has characters in place of bytes"  # what a notebook puts there
        raise ValueError(msg)
    stream = stdin or sys.stdin.buffer
    if _is_endless(stream):
        msg = "it is a device"
        raise ValueError(msg)
    return contextlib.nullcontext(stream)


def _is_endless(stream: BinaryIO) -> bool:
    """Tell whether a stream is a device such as /dev/zero.

    A terminal is none, where somebody may write a text, and /dev/null is empty.
    """
    with contextlib.suppress(OSError, ValueError):  # in memory: no device
        status = os.fstat(stream.fileno())
        empty = os.path.samestat(status, os.stat(os.devnull))  # noqa: PTH116
        return stat.S_ISCHR(status.st_mode) and not (empty or stream.isatty())
    return False


def _unreadable(source: str, error: Exception) -> InputError:
    """Say why a source cannot be read."""
    name = shown_name(source)
    if isinstance(error, FileNotFoundError):
        hint = _near(source)
        return InputError(f"{name or repr(name)} does not exist", hint=hint)
    if isinstance(error, IsADirectoryError):
        return InputError(f"{name} is a directory", hint="name a file in it")
    if isinstance(error, OSError):
        reason, hint = error.strerror, reading_hint(error)
        if error.errno == errno.ENAMETOOLONG:
            name = shortened(name)
    else:
        reason, hint = str(error), "name a file, or pipe the text in"
    return InputError(f"{name} cannot be read: {reason}", hint=hint)


def _near(source: str) -> str:
    """Look for a file with nearly the name of one that does not exist."""
    from difflib import get_close_matches  # of use in an error only

    directory, wanted = os.path.split(source)
    with contextlib.suppress(OSError, ValueError), os.scandir(directory or ".") as all_:
        names = [entry.name for entry in itertools.islice(all_, MOST_NAMES)]
        if near := get_close_matches(wanted, names, n=1):
            return f"is {one_line(str(Path(directory, near[0])))} meant?"
    return "check the path"


class Reader:
    """One source on its way from bytes to code points, and what was met in it."""

    def __init__(
        self, name: str, options: ReadOptions, digest: Callable[[bytes], None]
    ) -> None:
        self.name = name
        self.digest = digest  # told of every slice as it was read
        self.options = options
        self.encoding = "latin-1" if options.unit == "byte" else options.encoding
        # A string may hold half a character, which is found among its code points.
        errors = "surrogatepass" if options.in_memory else "strict"
        self.decoder = codecs.getincrementaldecoder(self.encoding)(errors)
        lf = "\n" if options.newlines == "lf" else None
        self.line_ends = LineEnds("\n" if options.pairs else options.line_end or lf)
        self.pairs = PairReader(name, options.pair_format) if options.pairs else None
        self.begun = False  # whether anything has been decoded
        self.advisor = Advisor(self.encoding, to_train=options.to_train)
        self.tail = b""  # the last bytes that were read before this slice
        self.slices: Iterator[bytes] = iter(())  # what has not been read yet
        self.bytes = 0
        self.lines = 0
        self.characters = 0
        self.carriage_returns = 0
        self.marks = 0  # byte-order marks that stand inside the text

    def read(self, slices: Iterable[bytes]) -> Iterator[CodePoints]:
        """Decode slice after slice."""
        last = "\n"
        self.slices = iter(slices)
        for data in self.slices:
            self.digest(data)
            if text := self._text(data):
                last = text[-1]
                yield self._points(text)
        if text := self._text(b"", final=True):
            last = text[-1]
            yield self._points(text)
        if self.options.lines and last != "\n":
            yield self._points("\n")

    def _text(self, data: bytes, *, final: bool = False) -> str:
        """Decode a slice, less a byte-order mark and unwanted line ends."""
        is_new = self.advisor.see(data)
        text = self._decode(data, final)
        self.tail = (self.tail + data)[-HEAD:] if len(data) < HEAD else data[-HEAD:]
        if is_new and (final or self.advisor.has_seen_enough):
            self._refuse_no_text()
        self.lines += text.count("\n")
        if text and not self.begun:
            # Only at the very beginning; a CR may have been read and not passed on.
            self.begun = True
            if self.options.unit == "char":
                text = text.removeprefix("\ufeff")
            elif self.pairs is not None:  # the mark would begin the first input
                text = text.removeprefix(BYTE_MARK)
        text = self.line_ends.convert(text, final=final)
        if self.pairs is not None:
            text = self.pairs.convert(text, final=final)
        self.carriage_returns += text.count("\r")
        self.marks += 0 if text.isascii() else text.count("\ufeff")
        return text

    def _points(self, text: str) -> CodePoints:
        """Turn text into code points; half a pair of surrogates is an error."""
        points = code_points(text)
        # Most slices of most texts are ASCII and need no search.
        if not text.isascii():
            lone = np.flatnonzero((points >= 0xD800) & (points <= 0xDFFF))
            if lone.size:
                place = self.characters + int(lone[0]) + 1
                msg = f"half a surrogate pair, U+{points[lone[0]]:04X}, is no character"
                where = f"{self.name}, character {place:,}"
                hint = self.advisor.on_unknown()
                if self.options.in_memory:
                    hint = "bytes that were decoded wrongly leave it: take it out"
                raise CorpusError(msg, where=where, hint=hint)
        self.characters += len(points)
        return points

    def _decode(self, data: bytes, final: bool) -> str:
        """Decode a slice; on an error, find its place in the whole source."""
        state = self.decoder.getstate()
        self.bytes += len(data)
        try:
            return self.decoder.decode(data, final)
        except UnicodeDecodeError as error:
            # What the decoder had kept from the slice before stands at the
            # front of its object: places are counted from the end.
            rest = len(error.object) - error.start
            place = self.bytes - rest
            self.decoder.setstate(state)
            line = self._line_behind(data[: max(0, len(data) - rest)])
            where = f"{self.name}, byte offset {place:,}{line}"
            bad = error.object[error.start : error.end][:4]
            what = " ".join(f"0x{byte:02X}" for byte in bad)
            what = f"{'byte' if len(bad) == 1 else 'bytes'} {what}"
            if final:
                # Only what the slices before have left behind: a beginning.
                reason = f"it ends inside a character at byte {place:,}"
                hint = self.advisor.on_cut(self.tail[:-rest], rest)
            else:
                reason = error.reason
                read = self.tail + data + self._more(rest)
                self._refuse_no_text()
                before = len(self.tail) + len(data) - rest
                hint = self.advisor.on_wrong(read, before)
            msg = f"not valid {self.encoding}: {what}, {reason}"
            raise CorpusError(msg, where=where, hint=hint) from error
        except UnicodeError as error:  # a codec's own, which knows no place
            self._refuse_no_text()
            msg = f"not valid {self.encoding}: {error}"
            raise CorpusError(
                msg, where=self.name, hint=self.advisor.on_wrong()
            ) from error

    def _more(self, rest: int) -> bytes:
        """Read on behind a wrong byte, to know by what follows what it may be.

        Parameters
        ----------
        rest : int
            How many bytes from it on have been read.
        """
        more = b""
        with contextlib.suppress(CharRNNError):
            while rest + len(more) < SAMPLE and (data := next(self.slices, b"")):
                more += data
        self.advisor.see(more)
        return more

    def _line_behind(self, good: bytes) -> str:
        """Say in which line a slice's good bytes end, if there are lines."""
        try:
            text = self.decoder.decode(good)
        except UnicodeError:  # without a byte-order mark nothing is good
            return ""
        line = self.lines + text.count("\n") + 1
        return f", line {line:,}"

    def _refuse_no_text(self) -> None:
        """Raise `CorpusError` if the first bytes are not those of a text."""
        if self.options.unit == "byte" or self.options.in_memory:
            return
        if refusal := self.advisor.refuse():
            raise CorpusError(refusal.what, where=self.name, hint=refusal.hint)
