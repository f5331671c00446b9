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

from charrnn.arrays import IGNORED, Flags, Ids, Mask, PackedIds
from charrnn.vocab import Vocab

#: Characters of a text that are handed to the network at a time.
STEPS = 256

#: A long text is cut into pieces that are read side by side, since one row is read
#: at a twentieth of the speed of many. A piece is at least this long, and there are
#: at most so many, in windows of so many steps: enough to fill the processor, few
#: enough to stay in its cache.
MIN_PIECE, MAX_PIECES, PIECE_STEPS = 2048, 64, 32

#: Characters that a piece reads before it counts. By then the state is what one
#: unbroken pass would have had, to within a few ten-thousandths of a nat.
WARM_UP = 512

#: Characters that are looked at at a time, to tell which are scored: bounds the memory.
SLICE = 1 << 20

#: What parts an input from its output, in a text of pairs as it is read.
SEPARATOR = "\t"


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
        """Cut the steps from `first` to before `last` out, as views."""
        inputs, targets, resets = self
        return Window(inputs[first:last], targets[first:last], resets[first:last])

    def rows(self, first: int, last: int) -> "Window":
        """Cut the rows from `first` to before `last` out, as copies."""
        cut = (np.ascontiguousarray(array[:, first:last]) for array in self)
        return Window(*cut)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Documents:
    """The rule by which a model's texts and documents begin.

    A newline is read before a text, as if a line had just ended. Without one in
    the vocabulary nothing is read: the first character follows the counts of
    the corpus, and the second is the first one that the network predicts.

    A model of lines was trained with every line as a document: its state is
    cleared wherever a newline is read.

    A model of pairs is one of lines in which what stands before the separator is
    only read: scored is what stands behind it, up to and with the newline.
    """

    before: int | None  # the id that is read before a text, if any is
    stand_in: int  # what a window holds before a text, read or not
    start: int | None = None  # the id before which the state is cleared, if any
    separator: int | None = None  # the id behind which a line is scored, of pairs

    @classmethod
    def of(cls, vocab: Vocab, *, lines: bool, pairs: bool = False) -> "Documents":
        """Make the rule of a model with this vocabulary.

        Parameters
        ----------
        lines : bool
            Whether every line is a document.
        pairs : bool
            Whether every line is one, and a pair: see `charrnn.pairs`.
        """
        newline = vocab.newline_id
        stand_in = vocab.most_frequent_id if newline is None else newline
        separator = vocab.id_of(SEPARATOR) if pairs else None
        return cls(newline, stand_in, newline if lines or pairs else None, separator)

    def begins(self, inputs: Ids) -> Flags:
        """Flag the inputs (any shape) before which the state is cleared."""
        if self.start is None:
            return np.zeros(inputs.shape, np.uint8)
        return (inputs == self.start).view(np.uint8)

    @property
    def first(self) -> int:
        """The place of the first character that the network predicts: 0 or 1."""
        return 0 if self.before is not None else 1

    def scored(self, ids: PackedIds | Ids, *, inside: bool = False) -> Mask:
        """Tell which characters of a text are scored, (N,).

        Of running text and of lines all are that the network predicts: those from
        `first` on. Of pairs, those behind the separator of their line.

        Parameters
        ----------
        ids : (N,) int array
            A text, or a part of one.
        inside : bool
            Of a part: whether a separator stands before it in its first line; see
            `ends_inside`. Of a model of pairs only.
        """
        if self.separator is None:
            found: Mask = np.ones(len(ids), bool)
            found[: self.first] = False
            return found
        found = np.empty(len(ids) + 1, bool)
        found[0] = inside
        for start in range(0, len(ids), SLICE):
            part = ids[start : start + SLICE]
            behind = self._behind(part, inside=bool(found[start]))
            found[start + 1 : start + 1 + len(part)] = behind
        return found[:-1]

    def ends_inside(self, ids: PackedIds | Ids, *, inside: bool = False) -> bool:
        """Tell whether what follows a part of a text is behind a separator."""
        if self.separator is None or not len(ids):
            return inside
        return bool(self._behind(ids, inside=inside)[-1])

    def _behind(self, ids: PackedIds | Ids, *, inside: bool) -> Mask:
        """Tell of each character whether what follows it is behind a separator."""
        marks = (ids == self.separator) | (ids == self.start)
        last = np.maximum.accumulate(np.where(marks, np.arange(len(ids)), -1))
        found: Mask = np.where(last < 0, inside, ids[last] == self.separator)
        return found

    def window(
        self,
        ids: PackedIds | Ids,
        places: NDArray[np.int64],
        scored: Mask | None = None,
    ) -> Window:
        """Read the characters of a text at some places, each after the one before.

        Parameters
        ----------
        ids : (N,) int array
            The text, N >= 1.
        places : (T, B) int array
            Successive places in each column; those outside the text are not
            scored, and the state is cleared where the text begins.
        scored : (N,) bool array, optional
            What `scored` says of the text, where that is known already.
        """
        if scored is None:
            scored = self.scored(ids)
        inputs = ids.take(places - 1, mode="clip").astype(np.int32)
        inputs[places <= 0] = self.stand_in
        targets = ids.take(places, mode="clip").astype(np.int32)
        targets[(places < 0) | (places >= len(ids))] = IGNORED
        targets[~scored.take(places, mode="clip")] = IGNORED
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
            once, also what is read of pairs: `scored` tells what counts.
        """
        known = np.array([] if self.before is None else [self.before], np.int32)
        for part in regular(slices, STEPS):
            row = np.concatenate([known, part]).astype(np.int32)
            known = row[-1:]
            if len(row) > 1:
                yield self._column(row[:-1], row[1:])
        if ahead and known.size:
            yield self._column(known, np.array([IGNORED], np.int32))

    def pieces(self, ids: PackedIds | Ids) -> Iterator[Window]:
        """Read a text in pieces side by side, as it is scored in training.

        Each piece begins `WARM_UP` characters early, and these are not scored. Of
        pairs, each begins with a pair, before which there is nothing to be read.

        Parameters
        ----------
        ids : (N,) int array
            The text, N >= 1.

        Yields
        ------
        Window
            (T, B), T at most `PIECE_STEPS`; all have the same B. Every character
            that is scored is a target once.
        """
        for window, _ in self.placed_pieces(ids):
            yield window

    def placed_pieces(
        self, ids: PackedIds | Ids
    ) -> Iterator[tuple[Window, NDArray[np.int64]]]:
        """Read a text as `pieces` does, and say where its targets stand, (T, B)."""
        scored = self.scored(ids)
        starts, ends, warm_up = self._cuts(ids)
        length = int((ends - starts).max())
        for begin in range(-warm_up, length, PIECE_STEPS):
            t = np.arange(begin, min(begin + PIECE_STEPS, length))[:, None]
            places = starts + t
            window = self.window(ids, places, scored)
            window.targets[(t < 0) | (places >= ends)] = IGNORED
            yield window, places

    def _cuts(
        self, ids: PackedIds | Ids
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Cut a text into pieces that are read side by side.

        Returns
        -------
        starts, ends : (B,) int arrays
            What each piece scores.
        warm_up : int
            Characters that each reads before.
        """
        N = len(ids)
        B = max(1, min(MAX_PIECES, N // MIN_PIECE))
        length = -(-N // B)
        starts = np.arange(B) * length
        if self.separator is None:
            return starts, starts + length, WARM_UP if B > 1 else 0
        # However long a pair is, its output is scored behind all of its input.
        begins = np.concatenate([[0], np.flatnonzero(ids[:-1] == self.start) + 1])
        starts = np.unique(begins[np.searchsorted(begins, starts, "right") - 1])
        return starts, np.append(starts[1:], N), 0

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
