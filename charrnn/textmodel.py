"""A text model: a network, the vocabulary it speaks, and where its texts begin.

This is what training scores, what views are handed, and what a user of the library
holds. It reads texts in one way (`TextModel.read`), so that what is said of a
character is the same wherever it is said.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids, PackedIds
from charrnn.cells import cell_of
from charrnn.checkpoint import CheckpointFile
from charrnn.network import Network
from charrnn.stack import Passed
from charrnn.vocab import Vocab
from charrnn.windows import Documents, Window

#: Characters whose signals are handed on at a time.
SLICE = 256


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """Nobody waits for a loss any more."""


class Costs(NamedTuple):
    """Some characters in a row, and what each of them costs."""

    ids: Ids  # (n,)
    nats: Floats  # (n,) float64: -log p


@dataclass(frozen=True)
class TextModel:
    """A network that predicts the next character of a text."""

    network: Network
    vocab: Vocab
    documents: Documents

    @classmethod
    def of(cls, network: Network, vocab: Vocab, *, lines: bool = False) -> "TextModel":
        """Put a network and its vocabulary together.

        Parameters
        ----------
        lines : bool
            Whether it was trained with every line as a document.
        """
        return cls(network, vocab, Documents.of(vocab, lines=lines))

    @classmethod
    def read_from(cls, file: CheckpointFile, *, threads: int = 1) -> "TextModel":
        """Read the model of an open checkpoint, and no more of it.

        Raises
        ------
        CheckpointError
            A tensor is damaged.
        """
        network = Network(file.model, threads=threads)
        network.load({name: file.read(name) for name in network.tensors})
        return cls.of(network, file.vocab, lines=file.lines)

    def read(self, slices: Iterable[Ids], *, ahead: bool = False) -> Iterator[Window]:
        """Read a text from its beginning to its end; see `Documents.read`."""
        return self.documents.read(slices, ahead=ahead)

    def opening(self) -> NDArray[np.float64] | None:
        """Give the distribution (V,) of a text's first character, if counts make it.

        Returns
        -------
        (V,) float64 array or None
            The shares of the characters in the corpus, or None where a newline is
            read before a text and the network predicts its first character, too.
        """
        if self.documents.before is not None:
            return None
        counts = np.array(self.vocab.counts, np.float64)
        counts += not counts.any()
        return counts / counts.sum()

    def opening_cost(self, id_: int) -> float:
        """Compute -log p of a text's first character where counts make it; else 0."""
        shares = self.opening()
        if shares is None:
            return 0.0
        with np.errstate(divide="ignore"):  # a character never seen costs infinity
            return -float(np.log(shares[id_]))

    def costs(self, slices: Iterable[Ids]) -> Iterator[Costs]:
        """Read a text and yield what every character costs, in order.

        Parameters
        ----------
        slices : iterable of (n,) int arrays
            The text, cut anyhow.
        """
        parts: Iterator[Ids] = (part for part in slices if len(part))
        if self.documents.before is None and (part := next(parts, None)) is not None:
            yield Costs(part[:1], np.array([self.opening_cost(int(part[0]))]))
            parts = chain([part], parts)
        state = self.network.new_state(1)
        for window in self.read(parts):
            nats = self.network.losses(window, state)
            yield Costs(window.targets[:, 0], nats[:, 0])

    def signals(self, ids: Ids, names: Sequence[str]) -> Iterator[Floats]:
        """Read a text and yield, slice by slice, what all units did.

        What belongs to a character is what the units held once they had read it.

        Parameters
        ----------
        ids : (N,) int array
            The text.
        names : sequence of str
            Some of the signals that the cell's record has, S of them.

        Yields
        ------
        (L, S, T, H) float array
            The signals of the next T characters; the caller's to keep.
        """
        state = self.network.new_state(1)
        # What the network did with the newline before the text belongs to no character.
        skipped, rest = int(self.documents.before is not None), None
        windows = self.read([ids], ahead=True)
        for part in chain.from_iterable(map(_documents, windows)):
            passed = self.network.forward(part, state)
            found = self._signals(passed, names)[:, :, skipped:]
            skipped = 0
            rest = found if rest is None else np.concatenate([rest, found], axis=2)
            while rest.shape[2] >= SLICE:
                yield rest[:, :, :SLICE]
                rest = rest[:, :, SLICE:]
        if rest is not None and rest.shape[2]:
            yield rest

    def _signals(self, passed: Passed, names: Sequence[str]) -> Floats:
        """Copy the signals of a window of one row out of its tapes, (L, S, T, H)."""
        config = self.network.config
        cell, hidden = cell_of(config.cell), config.hidden
        fields = {signal.name: signal.field for signal in cell.shown}
        layers = []
        for tape in passed.tapes:
            found = []
            for name in names:
                if name == "h":
                    found.append(tape.states[0, 1:, 0])
                elif name in fields:
                    found.append(getattr(tape, fields[name])[:, 0])
                else:
                    first = cell.gates.index(name) * hidden
                    found.append(tape.z[:, 0, first : first + hidden])
            layers.append(np.stack(found))
        return np.stack(layers)

    def mean_loss(
        self, ids: PackedIds | Ids, stopped: Callable[[], bool] | None = None
    ) -> float:
        """Compute the mean loss of what the network predicts of a text.

        A long text is read in pieces, side by side: see `Documents.pieces`. The first
        character of a text before which nothing is read is not the network's to
        predict, and does not count.

        Parameters
        ----------
        ids : (N,) int array
            The text, N >= 1.
        stopped : callable, optional
            Asked after every window, a few hundredths of a second apart.

        Returns
        -------
        float
            Nats per character; 0 where there is none to predict.

        Raises
        ------
        Stopped
            When `stopped` says so.
        """
        total, state = 0.0, None
        for window in self.documents.pieces(ids):
            if stopped is not None and stopped():
                raise Stopped
            if state is None:
                state = self.network.new_state(window.inputs.shape[1])
            total += float(self.network.losses(window, state).sum())
        return total / max(1, len(ids) - self.documents.first)


def _documents(window: Window) -> Iterator[Window]:
    """Cut a window where documents begin.

    A state that is cleared is cleared in its place on the tape, where it was that of
    the character before: within one window, that character would seem to hold zeros.
    """
    begins = [0, *(np.flatnonzero(window.resets[1:, 0]) + 1), len(window.inputs)]
    for first, last in pairwise(begins):
        yield window.steps(first, last)
