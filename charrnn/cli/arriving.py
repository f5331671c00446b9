"""Lines that arrive on a descriptor: those that are there by now, and no later ones.

Whoever writes them may wait for what is said to the first before writing the second.
So nothing is read ahead of what is at hand, and never more than is soon used: a writer
who is faster than we are waits for us, and memory stays as it is.
"""

from collections.abc import Callable

from charrnn.cli.prompts import LONGEST, PATIENCE, read_some
from charrnn.waiting import readable

#: Bytes of lines that are given out at once, about.
MOST_BYTES = 1 << 20


class Arriving:
    """Lines of a descriptor, as they arrive.

    Parameters
    ----------
    descriptor : int
    name : str
        For errors.
    on_wait : callable, optional
        Called once if no first byte comes in `PATIENCE` seconds.
    """

    def __init__(
        self, descriptor: int, name: str, on_wait: Callable[[], None] | None = None
    ) -> None:
        self._descriptor, self._name, self._on_wait = descriptor, name, on_wait
        self._waiting = bytearray()
        self._searched = 0  # bytes of it in which there is no line end
        self._too_long = False  # the line that has begun is, and is not kept
        self._ended = False

    def lines(self, most: int, grace: float = 0.0) -> list[bytes | None]:
        """Wait for a line, and give it out with those that are there by now.

        Parameters
        ----------
        most : int
            How many lines, at most.
        grace : float
            Seconds in which a further line may come.

        Returns
        -------
        list of bytes or None
            Without their newlines; the last one need not have had any. None stands
            for a line of more than `LONGEST` bytes. Empty at the end.

        Raises
        ------
        InputError
            The descriptor cannot be read.
        """
        found: list[bytes | None] = []
        size = 0
        while len(found) < most and size < MOST_BYTES:
            if self._take(found):
                size += len(found[-1] or b"")
            elif self._ended or (found and not readable(self._descriptor, grace)):
                break
            else:
                self._read()
        return found

    def _take(self, found: list[bytes | None]) -> bool:
        """Add the next line to those that were found, if all of it is there."""
        waiting = self._waiting
        end = waiting.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(waiting)
            if not self._ended or not (waiting or self._too_long):
                return False
            end = len(waiting)
        found.append(None if self._too_long else bytes(waiting[:end]))
        del waiting[: end + 1]
        self._searched, self._too_long = 0, False
        return True

    def _read(self) -> None:
        """Read what is there, or wait for it."""
        if self._on_wait is not None:
            if not readable(self._descriptor, PATIENCE):
                self._on_wait()
            self._on_wait = None
        data = read_some(self._descriptor, self._name)
        self._ended = not data
        if len(self._waiting) + len(data) > LONGEST:  # and no line end in it so far
            self._too_long = True
            self._waiting.clear()
            self._searched = 0
        if self._too_long:  # what ends it, and what follows, is kept
            data = data[data.find(b"\n") :] if b"\n" in data else b""
        self._waiting += data
