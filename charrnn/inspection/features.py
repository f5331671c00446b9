r"""What a reader keeps track of in a text: quotes, brackets, the place in a line.

Every feature is a number a character, as it stands once that character has been
read, so that it can be compared with what a network holds at that moment: after
an opening quotation mark one is inside, after the closing one outside.

=========== ===============================================================
line        characters since the line began, this one included
quotes      1 inside quotation marks; ``\"`` is none, a blank line ends all
brackets    1 inside ``()`` or ``[]``; a blank line ends all
depth       how many ``{`` are open
indentation blanks that the line begins with, as far as it is read
digits      1 for a digit
capitals    1 for a capital
word        letters and digits since the word began, 0 outside words
output      1 behind the line's first tab: where a pair's output is written
=========== ===============================================================

Symbols of a byte vocabulary are read as Latin-1: beyond ASCII, features of
such a text mean little.
"""

import numpy as np
from numpy.typing import NDArray

#: In the order of the columns.
FEATURES = (
    "line",
    "quotes",
    "brackets",
    "depth",
    "indentation",
    "digits",
    "capitals",
    "word",
    "output",
)

#: Quotation marks that open and close; the straight one does both in turn.
OPENING, CLOSING = "“«„", "”»"


class _Place:
    """Where a reader is in a text, character by character."""

    def __init__(self) -> None:
        self.column = self.indentation = self.word = 0
        self.brackets = self.depth = 0
        self.quoted = self.escaped = False
        self.output = False
        self.blank = True  # nothing but blanks in this line so far

    def read(self, char: str) -> tuple[float, ...]:
        """Move on by one character; the features in their order."""
        if char == "\n":
            self._end_line()
        else:
            self._go_on(char)
        self.word = self.word + 1 if char.isalnum() else 0
        self._open_and_close(char)
        self.escaped = char == "\\" and not self.escaped
        return (
            self.column,
            self.quoted,
            self.brackets > 0,
            self.depth,
            self.indentation,
            char.isdigit(),
            char.isupper(),
            self.word,
            self.output,
        )

    def _end_line(self) -> None:
        """Begin a new line; after a blank one nothing is open that runs in a text."""
        if self.blank:
            self.quoted, self.brackets = False, 0
        self.column = self.indentation = 0
        self.output = False
        self.blank = True

    def _go_on(self, char: str) -> None:
        """Take one more character of a line."""
        self.column += 1
        self.output = self.output or char == "\t"
        self.blank = self.blank and char.isspace()
        self.indentation += self.blank

    def _open_and_close(self, char: str) -> None:
        """Follow quotation marks and brackets."""
        if char == '"' and not self.escaped:
            self.quoted = not self.quoted
        elif char in OPENING:
            self.quoted = True
        elif char in CLOSING:
            self.quoted = False
        elif char in "([":
            self.brackets += 1
        elif char in ")]":
            self.brackets = max(0, self.brackets - 1)
        elif char in "{}":
            self.depth = max(0, self.depth + (1 if char == "{" else -1))


def features(text: str) -> NDArray[np.float64]:
    """Follow a text; the features of every character, (N, len(FEATURES))."""
    place = _Place()
    rows = [place.read(char) for char in text]
    return np.array(rows, np.float64).reshape(len(text), len(FEATURES))
