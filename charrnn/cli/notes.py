"""What `sample` and `inspect` say on stderr beside their payload: few plain lines."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import typer

from charrnn.cli.options import Common

if TYPE_CHECKING:
    from charrnn.generation import Piece

#: Seconds of silence before we say why nothing is seen yet.
PATIENCE = 1.5

#: The reason, nearly always.
PREPARING = "getting ready; the first run compiles the kernels, which takes a while"


class Notes:
    """Lines on stderr, as far as the user wants them."""

    def __init__(self, common: Common) -> None:
        self._common = common

    def say(self, message: str) -> None:
        """Print a line, unless told to be quiet."""
        if not self._common.quiet:
            with suppress(OSError, ValueError):  # nobody listens
                typer.echo(f"charrnn: {message}", err=True)

    def warn(self, message: str) -> None:
        """Print a warning, unless told to be quiet."""
        self.say(f"warning: {message}")

    def detail(self, message: str) -> None:
        """Print a line if told to be verbose."""
        if self._common.verbose:
            self.say(message)


class Meter:
    """Watch pieces go by: say so when none comes at first, then count.

    A context manager; entering it starts the wait.
    """

    def __init__(self, on_wait: Callable[[], None]) -> None:
        self.chars = 0
        self._began = self._ended = time.perf_counter()
        self._timer = threading.Timer(PATIENCE, on_wait)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        with suppress(RuntimeError):  # no more threads: then nothing is said
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def watch(self, pieces: Iterable["Piece"]) -> Iterator["Piece"]:
        """Pass the pieces through; the first one starts the clock."""
        for piece in pieces:
            if self.chars == 0:
                self._timer.cancel()
                self._began = time.perf_counter()
            self.chars += len(piece.text)
            yield piece
        self._ended = time.perf_counter()

    def __str__(self) -> str:
        seconds = self._ended - self._began
        rate = f", {self.chars / seconds:,.0f} characters/s" if seconds > 0 else ""
        return f"{self.chars:,} characters in {seconds:.2f} s{rate}"
