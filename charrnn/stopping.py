"""Ending a text that arrives in pieces: at a stop text, or after some lines.

A stop text that is not to be printed must not have been printed in part when
it is found, so as much of the end of the text is held back as could be its
beginning. How the text was cut into pieces makes no difference to what comes
out. Limits of length and time are kept elsewhere: they need no look at the
text.
"""

from typing import Literal

#: Why a scanner ended the text.
StopReason = Literal["stop", "lines"]


class _Matcher:
    """How much of one stop text the last characters spell out.

    The automaton of Knuth, Morris and Pratt: a character costs constant time
    on average, however long the stop text is and however it overlaps itself.
    """

    def __init__(self, stop: str) -> None:
        self.stop = stop
        self.matched = 0
        # borders[n]: the longest shorter beginning of the stop text that its
        # first n characters end with; where to go on when the next one fails.
        self._borders = [0, 0]
        border = 0
        for character in stop[1:]:
            border = self._longer(border, character)
            self._borders.append(border)

    def _longer(self, matched: int, character: str) -> int:
        """Extend a partial match by one character, or fall back to a shorter."""
        while matched and self.stop[matched] != character:
            matched = self._borders[matched]
        return matched + (self.stop[matched] == character)

    def advance(self, character: str) -> bool:
        """Read one character; True when it completes the stop text."""
        self.matched = self._longer(self.matched, character)
        return self.matched == len(self.stop)


class StopScanner:
    """Pass a text through until a stop text or the last wanted line is complete.

    The stop text that is complete first ends the text; of several complete at
    the same character, the longest. A stop text and the last line complete at
    the same character count as the stop text.

    Parameters
    ----------
    stops : tuple of str
        None of them empty. No stop text at all is allowed.
    include : bool
        Whether the stop text itself is let through.
    lines : int, optional
        End after so many newlines; the last one is let through.

    Attributes
    ----------
    reason : "stop", "lines" or None
        Why the text has ended; None while it has not.
    """

    def __init__(
        self, stops: tuple[str, ...], include: bool = False, lines: int | None = None
    ) -> None:
        if "" in stops:
            msg = "a stop text must not be empty"
            raise ValueError(msg)
        if lines is not None and lines < 1:
            msg = f"lines must be at least 1, not {lines}"
            raise ValueError(msg)
        self.reason: StopReason | None = None
        self._matchers = [_Matcher(stop) for stop in dict.fromkeys(stops)]
        self._include = include
        self._lines_left = lines
        self._held = ""

    @property
    def stopped(self) -> bool:
        """Whether the text has ended; what is fed afterwards is dropped."""
        return self.reason is not None

    def feed(self, text: str) -> str:
        """Read on, and return what may be printed now."""
        if self.stopped:
            return ""
        if not self._matchers and self._lines_left is None:
            return text
        for end, character in enumerate(text, start=1):
            unwanted = self._advance(character)
            if unwanted is not None:
                pending, self._held = self._held + text[:end], ""
                return pending[: len(pending) - unwanted]
        pending = self._held + text
        keep = len(pending) - self._undecided()
        self._held = pending[keep:]
        return pending[:keep]

    def finish(self) -> str:
        """Return what was held back, now that nothing follows it."""
        held, self._held = self._held, ""
        return held

    def _advance(self, character: str) -> int | None:
        """Read one character; if it ends the text, say how much to cut off."""
        # A list, because every matcher must see the character.
        complete = [m for m in self._matchers if m.advance(character)]
        if complete:
            self.reason = "stop"
            return 0 if self._include else max(len(m.stop) for m in complete)
        if character == "\n" and self._lines_left is not None:
            self._lines_left -= 1
            if self._lines_left == 0:
                self.reason = "lines"
                return 0
        return None

    def _undecided(self) -> int:
        """Count the last characters that may yet turn out to be a stop text."""
        if self._include:
            return 0
        return max((m.matched for m in self._matchers), default=0)
