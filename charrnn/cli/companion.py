"""What completes a line while somebody goes on writing it: a thread of its own.

A key never waits for the model. What the model finds of a line that has changed
meanwhile is of no use, and it gives up as soon as it notices.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charrnn.generation.completion import Completer, Offers


class Companion:
    """A thread that completes the line that somebody writes, always the last one.

    Parameters
    ----------
    completer : Completer
        Nobody else uses it as long as the companion is there.
    on_found : callable
        Called by the thread when there is something new.

    Attributes
    ----------
    found : tuple
        The number of a line, the line as it was, and its continuations.
    error : BaseException or None
        What has ended the thread.
    """

    def __init__(self, completer: "Completer", on_found: Callable[[], None]) -> None:
        self._completer, self._on_found = completer, on_found
        self._changed = threading.Condition()
        self._finished: deque[str] = deque()
        self._wanted: str | None = None
        self._number = 0  # of the line that is being written
        self._ended = False
        self.found: tuple[int, str, list[str]] = (-1, "", [])
        self._offered = self.found
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def want(self, line: str) -> None:
        """Ask for continuations of the line as it is now."""
        with self._changed:
            self._wanted = line
            self._changed.notify()

    def finish(self, line: str) -> None:
        """End the line, and ask for continuations of an empty one."""
        with self._changed:
            self._finished.append(line)
            self._number += 1
            self._wanted = ""
            self._changed.notify()

    def offer(self, offers: "Offers") -> None:
        """Hand over what was found, if it is about the line as it is now."""
        found = self.found
        number, line, texts = found
        # The thread may put something new in its place at any time.
        if number == self._number and self._offered is not found:
            offers.add(line, texts)
        self._offered = found

    def end(self) -> None:
        """Have the thread give up what it does, and wait for its end."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()

    def _is_outdated(self) -> bool:
        """Tell whether something else is wanted by now."""
        return self._ended or self._wanted is not None or bool(self._finished)

    def _run(self) -> None:
        """Complete lines until the end."""
        try:
            while not self._ended:
                self._step()
        except BaseException as error:
            self.error = error
            self._on_found()

    def _step(self) -> None:
        """Wait for something to do, and do it."""
        from charrnn.generation import Stopped

        with self._changed:
            self._changed.wait_for(self._is_outdated)
            finished, line = list(self._finished), self._wanted
            self._finished.clear()
            self._wanted, number = None, self._number
        for each in finished:
            self._completer.finish(each)
        if line is not None:
            with suppress(Stopped):
                texts = self._completer.complete(line, stopped=self._is_outdated)
                self.found = number, line, texts
                self._on_found()
