"""Windows of a text, and the rule by which texts and documents begin.

A network reads windows: T steps of B rows, each step with an input, a target
and a flag that clears the row's state first. The input of a character is the
one before it. What stands before the first one, and where a state is cleared,
is one value, `Documents`: everybody who runs a network over a text has it, so
that training, evaluating, sampling and looking on agree.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import IGNORED, Flags, Ids, PackedIds
from charrnn.vocab import Vocab

#: Characters of a text that are handed to the network at a time.
STEPS = 256


class Window(NamedTuple):
    """T steps of B rows."""

    inputs: Ids  # (T, B)
    targets: Ids  # (T, B); IGNORED where nothing is scored
    resets: Flags  # (T, B); 1 where the state is cleared before that input

    @classmethod
    def of_inputs(cls, inputs: Ids) -> "Window":
        """Make a window without targets and without resets."""
        targets = np.full(inputs.shape, IGNORED, np.int32)
        return cls(inputs, targets, np.zeros(inputs.shape, np.uint8))

    def steps(self, first: int, last: int) -> "Window":
        """Cut out the steps from `first` to before `last`, as views."""
        part = slice(first, last)
        return Window(self.inputs[part], self.targets[part], self.resets[part])


@dataclass(frozen=True)
class Documents:
    """The rule by which a model's texts and documents begin.

    A newline is read before a text, as if a line had just ended. Without one in
    the vocabulary nothing is read: the first character follows the counts of
    the corpus, and the second is the first one that the network predicts.

    A model of lines was trained with every line as a document: its state is
    cleared wherever a newline is read.
    """

    before: int | None  # the id that is read before a text, if any is
    stand_in: int  # what a window holds before a text, read or not
    start: int | None = None  # the id before which the state is cleared, if any

    @classmethod
    def of(cls, vocab: Vocab, *, lines: bool) -> "Documents":
        """Make the rule of a model with this vocabulary.

        Parameters
        ----------
        lines : bool
            Whether every line is a document.
        """
        newline = vocab.newline_id
        stand_in = vocab.most_frequent_id if newline is None else newline
        return cls(newline, stand_in, newline if lines else None)

    def begins(self, inputs: Ids) -> Flags:
        """Flag the inputs (any shape) before which the state is cleared."""
        if self.start is None:
            return np.zeros(inputs.shape, np.uint8)
        return (inputs == self.start).view(np.uint8)

    @property
    def first(self) -> int:
        """The place of the first character that the network predicts: 0 or 1."""
        return 0 if self.before is not None else 1

    def window(self, ids: PackedIds | Ids, places: NDArray[np.int64]) -> Window:
        """Read the characters of a text at some places, each after the one before.

        Parameters
        ----------
        ids : (N,) int array
            The text, N >= 1.
        places : (T, B) int array
            Successive places in each column; those outside the text are not
            scored, and the state is cleared where the text begins.
        """
        inputs = ids.take(places - 1, mode="clip").astype(np.int32)
        inputs[places <= 0] = self.stand_in
        targets = ids.take(places, mode="clip").astype(np.int32)
        targets[(places < self.first) | (places >= len(ids))] = IGNORED
        resets = self.begins(inputs) | (places == self.first)
        return Window(inputs, targets, resets.astype(np.uint8))

    def read(self, slices: Iterable[Ids], *, ahead: bool = False) -> Iterator[Window]:
        """Read a text from its beginning to its end, as one row.

        Parameters
        ----------
        slices : iterable of (n,) int arrays
            The text, cut anyhow: windows do not depend on it.
        ahead : bool
            Whether the last character is read, too, though no target follows it.

        Yields
        ------
        Window
            (T, 1), T at most `STEPS`. Every character from `first` on is a target
            once.
        """
        known = np.array([] if self.before is None else [self.before], np.int32)
        for part in regular(slices, STEPS):
            row = np.concatenate([known, part]).astype(np.int32)
            known = row[-1:]
            if len(row) > 1:
                yield self._column(row[:-1], row[1:])
        if ahead and known.size:
            yield self._column(known, np.array([IGNORED], np.int32))

    def _column(self, inputs: Ids, targets: Ids) -> Window:
        """Make a window of one row."""
        return Window(inputs[:, None], targets[:, None], self.begins(inputs)[:, None])


def regular(slices: Iterable[Ids], size: int) -> Iterator[Ids]:
    """Cut slices anew, all but the last to one size."""
    rest = np.zeros(0, np.int32)
    for part in slices:
        whole = np.concatenate([rest, part])
        full = len(whole) - len(whole) % size
        for a in range(0, full, size):
            yield whole[a : a + size]
        rest = whole[full:]
    if rest.size:
        yield rest
