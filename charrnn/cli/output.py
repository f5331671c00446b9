"""Generated text on its way to standard output, while it is being made.

Text goes out as UTF-8 bytes, whatever the locale says, and never through
rich, which would wrap it and read markup into it. At a terminal it must
appear smoothly and do no harm: what could steer it is shown, not sent. To a
pipe it goes in lines or larger pieces, and the reader may leave at any time.
"""

import codecs
import errno
import io
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import BinaryIO, Self

from charrnn.errors import OutputError
from charrnn.escapes import several_lines
from charrnn.stdio import silence
from charrnn.waiting import writable

#: Longest time in seconds that text waits while more is being written. It is
#: looked at when text comes, which takes up to 10 ms (`generation.batch`):
#: a terminal is written to every 33 ms, a pipe every 100 ms.
TERMINAL_DELAY = 0.02
PIPE_DELAY = 0.09

#: Bytes that wait for a pipe at most.
PIPE_BYTES = 8192

#: Bytes handed to a stream at once. They fit into an empty buffer of any stream (a
#: terminal's has 1,024 bytes), so that taking them is never interrupted halfway.
SLICE_BYTES = 512


class ReaderGone(Exception):  # noqa: N818 - an event, not an error
    """Whoever read our output has closed it, as ``head`` does.

    Not a `CharRNNError`: the command ends quietly and with success.
    """


class TextSink:
    """Write text and bytes to a stream, at the pace of who reads it.

    Use it as a context manager, or call `close`: only then is everything
    written. Time is looked at in `write`; call `flush` before a pause.

    Parameters
    ----------
    stream : BinaryIO
        Usually ``sys.stdout.buffer``. Has a buffer, and is not closed.
    raw : bool
        Send a terminal what a pipe would get.
    clock : callable
        Gives the time in seconds.

    Attributes
    ----------
    terminal : bool
        Whether the stream is a terminal.
    closed : bool
        No longer written to: closed, or given up after an error. What is
        written afterwards is dropped.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        raw: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.terminal = stream.isatty()
        self.closed = False
        self._stream = stream
        self._shown = self.terminal and not raw
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._clock = clock
        self._waiting = bytearray()
        self._flushed_at = clock()

    def __enter__(self) -> Self:
        """Hand out the sink; leaving the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the sink, and let an error that ends the block go on."""
        if kind is None:
            self.close()
        else:
            # Something else went wrong first, and that is what is reported.
            with suppress(ReaderGone, OutputError):
                self.close()

    def write(self, text: str | bytes) -> None:
        r"""Take some text, and pass it on when it is time.

        Parameters
        ----------
        text : str or bytes
            A str goes out as UTF-8. Bytes go out as they are; a terminal gets
            them decoded, whole characters only, invalid bytes as ``\xHH``.

        Raises
        ------
        ReaderGone
            Nobody reads any more.
        OutputError
            The text cannot be written, for instance on a full disk.
        """
        if self.closed:
            return
        piece = self._encode(text)
        self._waiting += piece
        if self._is_due(piece):
            self.flush()

    def flush(self) -> None:
        """Pass on everything but a half-received character; raises as `write`."""
        if self.closed:
            return
        with self._giving_up():
            _empty(self._stream)
            while self._waiting:
                data = bytes(self._waiting[:SLICE_BYTES])
                # Struck out first: Python looks for Ctrl-C when a call is over, and
                # by then the stream's empty buffer has the slice. What interrupts
                # the emptying leaves the rest in the buffer, for the next flush, so
                # that nothing is lost and nothing sent twice.
                del self._waiting[:SLICE_BYTES]
                self._stream.write(data)
                _empty(self._stream)
        self._flushed_at = self._clock()

    def close(self) -> None:
        """Pass on the rest, and take no more; raises as `write`."""
        if self._shown:
            self.write("")  # a str ends whatever bytes came before it
        self.flush()
        self.closed = True

    def _encode(self, text: str | bytes) -> bytes:
        """Turn text into the bytes that this stream is to get."""
        if not self._shown:
            return text if isinstance(text, bytes) else _utf8(text)
        if isinstance(text, bytes):
            decoded = self._decoder.decode(text)
        else:
            decoded = self._decoder.decode(b"", final=True) + text
        return _utf8(several_lines(decoded))

    def _is_due(self, piece: bytes) -> bool:
        """Decide whether what waits is passed on, now that `piece` was added."""
        waited = self._clock() - self._flushed_at
        if self.terminal:
            return waited >= TERMINAL_DELAY
        full = len(self._waiting) >= PIPE_BYTES
        return full or b"\n" in piece or waited >= PIPE_DELAY

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Close for good when the stream fails, and say it in our own errors."""
        try:
            yield
        except OSError as error:
            self.closed = True
            gone = _has_left(error, self._stream)  # before it is another one
            silence(self._stream)
            if gone:
                raise ReaderGone from None
            msg = f"cannot write the text: {error.strerror or error}"
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            hint = "free some space, or write somewhere else" if full else None
            raise OutputError(msg, hint=hint) from error


def require_stdout() -> None:
    """See whether there is a standard output.

    Raises
    ------
    OutputError
        The process was started with standard output closed, or opened for reading.
    """
    if sys.stdout is None:
        msg = "standard output is closed"
        raise OutputError(msg, hint="send it to a file, a pipe or /dev/null")


def open_stdout(*, raw: bool = False) -> TextSink:
    """Make the sink for standard output.

    Raises
    ------
    OutputError
        There is none; see `require_stdout`.
    """
    require_stdout()
    stream: BinaryIO = sys.stdout.buffer
    if isinstance(stream, io.RawIOBase):  # as PYTHONUNBUFFERED has it
        # How much was written before a signal came, only a buffer knows.
        stream = open(stream.fileno(), "wb", closefd=False)  # noqa: SIM115 - stays open
    return TextSink(stream, raw=raw)


def _has_left(error: OSError, stream: BinaryIO) -> bool:
    """Tell whether an error means that nobody reads any more.

    A pipe and a socket say so. A terminal that was closed answers with an error of
    input and output, and does not pass for a terminal any more: it is a device,
    where a bad disk is a file.
    """
    if isinstance(error, ConnectionError):
        return True
    with suppress(OSError):
        device = stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
        return device and error.errno == errno.EIO
    return False


def _utf8(text: str) -> bytes:
    """Encode text, giving back bytes that the command line had to escape.

    A surrogate that stands for no byte becomes ``?``.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _empty(stream: BinaryIO) -> None:
    """Flush a stream, also into a pipe that does not block.

    Whoever shares the pipe may have made it non-blocking; a full one then
    raises an error, and the stream keeps what was not taken.
    """
    while True:
        try:
            stream.flush()
        except BlockingIOError:
            _wait_writable(stream)
        else:
            return


def _wait_writable(stream: BinaryIO) -> None:
    """Sleep until the reader has made room."""
    writable(stream.fileno())
