"""Cut a text into streams, and an epoch into windows (T, B) of them.

A model reads B streams side by side, T characters at a time, and carries its
state from window to window. Every character of the text that is scored is a
target exactly once per epoch. Its input is the character before it; what stands
before the first one is `windows.Documents`' to say.

`Streams` reads running text: stream b is the b-th of B contiguous pieces.
`LineStreams` reads lines, each a document of its own, in a new order every
epoch. `PairStreams` reads pairs likewise, as many whole ones in a window as fit;
of these the characters of inputs are no targets. All are random access: a window
depends on (epoch, k) and nothing else, so that a run can be resumed anywhere. So
does a part of its columns: processes that share out the streams of a batch each cut
their own, and need nobody's leave.
"""

import heapq
from bisect import bisect_left, insort
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import IGNORED, Floats, Ids, Mask, PackedIds
from charrnn.errors import CorpusError, field
from charrnn.windows import Documents, Window

#: Characters moved at a time when lines are put in order; bounds the memory.
SLICE = 1 << 20

#: All streams, where a window of some of them could be asked for.
ALL = slice(None)

#: A window of pairs holds this share of them whole, as one that is cut teaches an
#: output without its input: with 15 of 100 numbers in words cut (64 steps), 1,465
#: steps left a network at 1.92 nats that came to 0.01 with none cut (96 steps of as
#: many characters). It is as short as can be filled so far with pairs, where nearly
#: so many characters more are learned from: after 750 steps of about 2,000 characters
#: 0.041 nats with 96 steps that were filled to 0.77, and 0.023 with 160 filled to 0.94.
WHOLE, FILLED = 0.99, 0.94

#: It has a multiple of so many steps, from the fewest to the most, and at most so many
#: times those of the usual pair. Of more pairs than so many, a part is looked at.
EVEN_STEPS, SHORTEST, MOST_STEPS, WIDER, MEASURED = 8, 32, 512, 2.5, 10_000


def fit(
    characters: int, batch_size: int, seq_length: int, lines: int | None = None
) -> tuple[int, int]:
    """Reduce batch size and window length to what a short text can fill.

    Every stream gets one full window at least, where that is possible; the
    window is only shortened for a text that is shorter itself.

    Parameters
    ----------
    characters : int
        Length of the text, at least 1.
    lines : int, optional
        Number of lines, when each is a document.

    Returns
    -------
    batch_size, seq_length : int
        Never larger than what came in.
    """
    seq_length = min(seq_length, characters)
    batch_size = min(batch_size, max(1, characters // seq_length))
    return (batch_size if lines is None else min(batch_size, lines)), seq_length


class _Cut:
    """What all kinds of streams share: B pieces, read T steps at a time.

    Parameters
    ----------
    pieces : int
        What there is to share out among the streams.
    noun : str
        What the pieces are called.
    """

    #: Whether a stream goes on, in the next epoch, where another one has ended.
    hands_over = False

    def __init__(
        self, ids: PackedIds, batch_size: int, seq_length: int, pieces: int, noun: str
    ) -> None:
        if batch_size < 1 or seq_length < 1:
            msg = (
                f"batch_size {batch_size} and seq_length {seq_length} must be positive"
            )
            raise ValueError(msg)
        if batch_size > pieces:
            msg = f"more streams ({batch_size:,}) than the text has {noun} ({pieces:,})"
            hint = "give a longer text"
            if pieces:
                hint = f"{field('batch_size', pieces)} or less"
            raise CorpusError(msg, hint=hint)
        self.ids = ids
        self.batch_size = batch_size
        self.seq_length = seq_length
        self.characters = len(ids)

    def carry_over(self, state: Floats, before: Floats | None = None) -> None:
        """Clear the state: no line and no pair goes on in the next epoch.

        Parameters
        ----------
        state : (..., B, H) float array
            Changed in place.
        before : (..., H) float array, optional
            Not read.
        """
        state[...] = 0

    def _lay_out(self, first: NDArray[np.int64], steps: int) -> None:
        """Remember where streams start, and how many steps the longest has."""
        self.steps = steps
        self.windows = -(-steps // self.seq_length)
        # One step earlier, too: the inputs are the targets of the step before.
        longest = min(self.seq_length, steps)
        self._places = np.arange(-1, longest)[:, None] + first

    def _gather(self, text: PackedIds, k: int, rows: slice) -> tuple[Ids, Ids]:
        """Read inputs and targets of window k at their places in a text.

        Parameters
        ----------
        rows : slice
            The streams that are read.
        """
        if not 0 <= k < self.windows:
            msg = f"window {k} is outside 0 to {self.windows - 1}"
            raise IndexError(msg)
        done = k * self.seq_length
        T = min(self.seq_length, self.steps - done)
        # Only the padding of lines and pairs, where a stream has run out, reaches
        # beyond the text, and is overwritten.
        places = self._places[: T + 1, rows] + done
        block: Ids = text.take(places, mode="wrap").astype(np.int32)
        return block[:-1], block[1:].copy()


class Streams(_Cut):
    """Running text as B contiguous pieces of nearly equal length.

    All streams have S = ceil(N / B) steps and end where their piece ends. A
    piece of S - 1 characters has a first step without a target, whose input
    is context only.

    Parameters
    ----------
    ids : (N,) unsigned array
        The text.
    before : int
        What stands before its first character.
    reset_rate : float
        Probability that a stream's state is cleared at a window's beginning.
        Otherwise a network hardly ever meets a state of zeros, from which
        every sample starts: on Lovecraft a rate of 0.01 brings the loss of the
        first four characters after a cold start from 2.70 to 2.30 nats, and
        the validation loss from 1.671 to 1.670.
    seed : int
        Not negative. Which states are cleared is a function of (seed, epoch,
        window).

    Raises
    ------
    CorpusError
        There are more streams than characters.
    """

    hands_over = True

    def __init__(
        self,
        ids: PackedIds,
        batch_size: int,
        seq_length: int,
        before: int,
        *,
        reset_rate: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(ids, batch_size, seq_length, len(ids), "characters")
        self.before = before
        self.reset_rate = reset_rate
        self.seed = seed
        N, B = len(ids), batch_size
        S = -(-N // B)
        self._long = N - B * (S - 1)  # streams 0 to here have S characters
        ends = np.arange(1, B + 1) * S
        ends[self._long :] -= np.arange(1, B - self._long + 1)
        self._lay_out(ends - S, S)

    def window(self, epoch: int, k: int, rows: slice = ALL) -> Window:
        """Cut out window k, whose text is the same in every epoch.

        Parameters
        ----------
        rows : slice
            The streams, one after another, whose columns are wanted.
        """
        inputs, targets = self._gather(self.ids, k, rows)
        resets = np.zeros(inputs.shape, np.uint8)
        if self.reset_rate:
            seeds = np.random.SeedSequence([self.seed, epoch, k])
            rng = np.random.Generator(np.random.Philox(seeds))
            resets[0] = (rng.random(self.batch_size) < self.reset_rate)[rows]
        if k == 0:
            streams = np.arange(self.batch_size)[rows]
            inputs[0, streams == 0] = self.before
            resets[0, streams == 0] = 1  # the text begins anew
            targets[0, streams >= self._long] = IGNORED
        return Window(inputs, targets, resets)

    def carry_over(self, state: Floats, before: Floats | None = None) -> None:
        """Hand each stream's state, at an epoch's end, to the one that goes on there.

        Stream b continues the piece that stream b - 1 has just finished;
        stream 0 starts from nothing.

        Parameters
        ----------
        state : (..., B, H) float array
            Of all streams, or of some one after another; changed in place.
        before : (..., H) float array, optional
            State of the stream before the first of these; none before stream 0.
        """
        state[..., 1:, :] = state[..., :-1, :].copy()
        state[..., 0, :] = 0 if before is None else before


class LineStreams(_Cut):
    """Lines as documents, shuffled anew each epoch and shared out among B streams.

    Line lengths are shared out once, the longest first, each to the stream
    that is shortest so far. An epoch then draws which line of a length
    goes where, and the order within each stream. So every epoch has the
    same number of windows, hardly any padding, and in each window at least
    one target.

    As every line ends in a newline, the input before a line's first character
    is a newline by itself, and the state is cleared wherever the input is one.
    A stream that has run out reads newlines without targets.

    Parameters
    ----------
    ids : (N,) unsigned array
        The text, ending in a newline.
    newline : int
        The newline's id.
    seed : int
        Not negative. The order is a function of (seed, epoch).

    Raises
    ------
    CorpusError
        There are more streams than lines.
    """

    def __init__(
        self, ids: PackedIds, batch_size: int, seq_length: int, newline: int, seed: int
    ) -> None:
        ends = np.flatnonzero(ids == newline) + 1
        super().__init__(ids, batch_size, seq_length, len(ends), "lines")
        if ends[-1] != len(ids):
            msg = "the last line has no newline"
            raise ValueError(msg)
        self.newline = newline
        self.seed = seed
        self.lines = len(ends)
        self._starts = np.concatenate([[0], ends[:-1]])
        self._lengths = ends - self._starts
        self._stream = _share_out(-np.sort(-self._lengths), batch_size)
        loads = np.zeros(batch_size, np.int64)
        np.add.at(loads, self._stream, -np.sort(-self._lengths))
        self._loads = loads
        self._epoch = -1
        self._arranged: PackedIds = ids[:0]
        self._lay_out(np.cumsum(loads) - loads, int(loads.max()))

    def window(self, epoch: int, k: int, rows: slice = ALL) -> Window:
        """Cut window k out of an epoch; going on in the same epoch is cheap.

        Parameters
        ----------
        rows : slice
            The streams, one after another, whose columns are wanted.
        """
        inputs, targets = self._gather(self._text(epoch), k, rows)
        done, loads = k * self.seq_length, self._loads[rows]
        if done + len(inputs) > loads.min():
            padding = np.arange(done, done + len(inputs))[:, None] >= loads
            inputs[padding] = self.newline
            targets[padding] = IGNORED
        return Window(inputs, targets, (inputs == self.newline).view(np.uint8))

    def _text(self, epoch: int) -> PackedIds:
        """Arrange an epoch's lines stream after stream, or take the last one's."""
        if epoch != self._epoch:
            order = self._order(epoch)
            lengths, arranged = self._lengths[order], np.empty_like(self.ids)
            ends = np.cumsum(lengths)
            _move(self.ids, self._starts[order], lengths, arranged, ends - lengths)
            self._arranged, self._epoch = arranged, epoch
        return self._arranged

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Draw an epoch's order of lines, stream after stream."""
        seeds = np.random.SeedSequence([self.seed, epoch])
        rng = np.random.Generator(np.random.Philox(seeds))
        order = rng.permutation(self.lines)
        # Falling lengths, as they were shared out, equal ones at random.
        order = order[np.argsort(-self._lengths[order], kind="stable")]
        return order[np.lexsort((rng.permutation(self.lines), self._stream))]


class PairStreams(_Cut):
    """Pairs as documents, whole ones in every window, of which outputs are scored.

    A pair that is cut by a window's end learns nothing of its beginning. So as many
    pairs as fit are packed into the T steps of a row, and what is left over is
    padding: newlines without targets. A pair that is longer than T goes on in the
    row's next windows, whose rest is filled likewise.

    What lengths are packed together is settled once. An epoch draws which pair of a
    length goes where, and the order within each stream.

    Parameters
    ----------
    ids : (N,) unsigned array
        The text, as `charrnn.pairs` has it.
    documents : Documents
        Of a model of pairs.
    seed : int
        Not negative. The order is a function of (seed, epoch).

    Raises
    ------
    CorpusError
        There are more streams than pairs.
    """

    def __init__(
        self,
        ids: PackedIds,
        batch_size: int,
        seq_length: int,
        documents: Documents,
        seed: int,
    ) -> None:
        self._newline = -1 if documents.start is None else documents.start
        ends = np.flatnonzero(ids == self._newline) + 1
        super().__init__(ids, batch_size, seq_length, len(ends), "pairs")
        self._documents, self.seed = documents, seed
        self._starts = np.concatenate([[0], ends[:-1]])
        self._lengths = ends - self._starts
        self._packing = _pack(-np.sort(-self._lengths), seq_length)
        blocks = self._packing.blocks
        self._stream = _share_out(blocks, batch_size)
        loads = np.zeros(batch_size, np.int64)
        np.add.at(loads, self._stream, blocks * seq_length)
        self._loads = loads
        self._epoch = -1
        self._arranged: PackedIds = ids[:0]
        self._scored: Mask = np.zeros(0, bool)
        self._lay_out(np.cumsum(loads) - loads, int(loads.max()))

    def window(self, epoch: int, k: int, rows: slice = ALL) -> Window:
        """Cut window k out of an epoch; going on in the same epoch is cheap.

        Parameters
        ----------
        rows : slice
            The streams, one after another, whose columns are wanted.
        """
        self._arrange(epoch)
        inputs, targets = self._gather(self._arranged, k, rows)
        done, loads = k * self.seq_length, self._loads[rows]
        places = self._places[1 : len(inputs) + 1, rows] + done
        targets[~self._scored.take(places, mode="wrap")] = IGNORED
        if done >= loads.min():
            over = loads <= done
            inputs[:, over] = self._newline
            targets[:, over] = IGNORED
        return Window(inputs, targets, self._documents.begins(inputs))

    def _arrange(self, epoch: int) -> None:
        """Arrange an epoch's pairs stream after stream, unless that is done."""
        if epoch == self._epoch:
            return
        seeds = np.random.SeedSequence([self.seed, epoch])
        rng = np.random.Generator(np.random.Philox(seeds))
        order = rng.permutation(len(self._lengths))
        # Falling lengths, as they were packed, equal ones at random.
        order = order[np.argsort(-self._lengths[order], kind="stable")]
        packing, T = self._packing, self.seq_length
        bins = np.lexsort((rng.permutation(len(packing.blocks)), self._stream))
        places = np.empty(len(bins), np.int64)
        places[bins] = np.cumsum(packing.blocks[bins]) - packing.blocks[bins]
        text = np.full(int(packing.blocks.sum()) * T, self._newline, self.ids.dtype)
        to = places[packing.bins] * T + packing.offsets
        _move(self.ids, self._starts[order], self._lengths[order], text, to)
        self._arranged, self._scored = text, self._documents.scored(text)
        self._epoch = epoch


def whole_window(lengths: NDArray[np.int64]) -> int:
    """Choose the steps of a window that holds whole pairs and little padding.

    Parameters
    ----------
    lengths : (n,) int array
        Of the pairs, n >= 1.
    """
    # A part of many pairs tells as much as all of them, and takes no time.
    some = lengths[:: -(-len(lengths) // MEASURED)]
    usual = int(np.quantile(some, WHOLE, method="lower"))
    least = min(-(-usual // EVEN_STEPS) * EVEN_STEPS, MOST_STEPS)
    most = min(max(int(WIDER * usual), SHORTEST), MOST_STEPS)
    least = min(max(least, SHORTEST), most)
    falling, best = -np.sort(-some), (0.0, least)
    for steps in range(least, most + 1, EVEN_STEPS):
        blocks = _pack(falling, steps).blocks
        filled = float(some.sum() / (blocks.sum() * steps))
        if filled > best[0]:
            best = filled, steps
        if filled >= FILLED:
            break
    return best[1]


class _Packing(NamedTuple):
    """Where pieces of falling lengths lie, in bins of one block or more each."""

    blocks: NDArray[np.int64]  # of each bin, falling
    bins: NDArray[np.int64]  # of each piece
    offsets: NDArray[np.int64]  # of each piece, in its bin


def _pack(lengths: NDArray[np.int64], size: int) -> _Packing:
    """Pack each of the falling lengths where it leaves the least room.

    Parameters
    ----------
    lengths : (n,) int array
    size : int
        Of a block. A longer piece has a bin of several.
    """
    bins, offsets = np.empty_like(lengths), np.empty_like(lengths)
    blocks: list[int] = []
    rooms: dict[int, list[int]] = {}  # the bins that have so much room
    sizes: list[int] = []  # for which there is a bin, rising
    for i, length in enumerate(lengths.tolist()):
        at = bisect_left(sizes, length)
        if at < len(sizes):
            room = sizes[at]
            b = rooms[room].pop()
            if not rooms[room]:
                del sizes[at]
        else:
            b = len(blocks)
            blocks.append(-(-length // size))
            room = blocks[b] * size
        bins[i], offsets[i] = b, blocks[b] * size - room
        if room := room - length:
            others = rooms.setdefault(room, [])
            if not others:
                insort(sizes, room)
            others.append(b)
    return _Packing(np.array(blocks, np.int64), bins, offsets)


def _move(
    ids: PackedIds,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    out: PackedIds,
    to: NDArray[np.int64],
) -> None:
    """Copy pieces of a text, about `SLICE` characters at a time.

    Parameters
    ----------
    ids : (N,) unsigned array
    starts, lengths, to : (n,) int array
        Where each piece begins, how long it is, and where it goes.
    out : (M,) unsigned array
        Written.
    """
    ends = np.cumsum(lengths)
    stops = np.searchsorted(ends, np.arange(SLICE, ends[-1], SLICE)) + 1
    first = 0
    for stop in [*stops.tolist(), len(ends)]:
        some = slice(first, max(first, stop))
        count = lengths[some]
        begins = np.cumsum(count) - count
        within = np.arange(int(count.sum())) - np.repeat(begins, count)
        source = within + np.repeat(starts[some], count)
        out[within + np.repeat(to[some], count)] = ids[source]
        first = some.stop


def _share_out(lengths: NDArray[np.int64], batch_size: int) -> NDArray[np.int64]:
    """Give each of the falling lengths to the stream that is shortest so far."""
    loads = [(0, b) for b in range(batch_size)]
    streams = np.empty(len(lengths), np.int64)
    for i, length in enumerate(lengths.tolist()):
        load, b = loads[0]
        streams[i] = b
        heapq.heapreplace(loads, (load + length, b))
    return streams


#: Any kind, for those who only read windows.
AnyStreams: TypeAlias = Streams | LineStreams | PairStreams
