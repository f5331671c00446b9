"""What commands say on stderr beside their payload: few plain lines."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import typer

from charrnn.caching import take_unkept
from charrnn.cli.options import Common
from charrnn.counting import plural
from charrnn.escapes import one_line

if TYPE_CHECKING:
    from charrnn.generation import Piece

#: Seconds of silence before we say why nothing is seen yet.
PATIENCE = 1.5

#: The reason, nearly always.
PREPARING = "getting ready; the first run compiles the kernels, which takes a while"


def compiled_in_vain() -> str | None:
    """Say why kernels that were compiled are not there for the next command.

    Returns
    -------
    str or None
        What to warn of; None if there is nothing, or if it has been asked for.
    """
    unkept = take_unkept()
    if unkept is None:
        return None
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    variable = "NUMBA_CACHE_DIR" if chosen else "CHARRNN_CACHE_DIR"
    where = "" if unkept.directory is None else f" ({one_line(str(unkept.directory))})"
    return (
        "compiled kernels cannot be kept, so every command compiles anew: "
        f"{unkept.reason}{where}; {variable} can name another directory, "
        "one that only you can write to"
    )


class Notes:
    """Lines on stderr, as far as the user wants them."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._told_of_cache = False

    def say(self, message: str) -> None:
        """Print a line, unless told to be quiet."""
        if not self._common.quiet:
            with suppress(OSError, ValueError):  # nobody listens
                typer.echo(f"charrnn: {message}", err=True)

    def warn(self, message: str) -> None:
        """Print a warning, unless told to be quiet."""
        self.say(f"warning: {message}")

    def warn_of_cache(self) -> None:
        """Warn, once, if what was compiled since the start could not be kept."""
        message = None if self._told_of_cache else compiled_in_vain()
        if message is not None:
            self._told_of_cache = True
            self.warn(message)

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
        return f"{plural(self.chars, 'character')} in {seconds:.2f} s{rate}"
