"""Continue a prompt, one character at a time, many samples side by side.

The prompt is read through the network once and its state handed to every
sample. Sample i then depends on the prompt, on the settings and on its own
random numbers, and on nothing else: rows of a batch never meet, in the kernels
or in the filters.

Text is made of the vocabulary's symbols: characters, or for a model of bytes
the 256 characters of Latin-1 that stand for them. Whoever shows it turns them
back.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from charrnn import parameters
from charrnn.arrays import Floats, Ids
from charrnn.config import GATES, ModelConfig, SampleConfig
from charrnn.model import Model
from charrnn.sampling import Randomness, choose
from charrnn.stopping import StopScanner
from charrnn.streams import document_starts
from charrnn.vocab import Vocab

#: Characters of a prompt read at a time: a Ctrl-C waits for one slice.
PROMPT_SLICE = 256

#: Multiply-adds of one step that are worth waking another thread for: most of
#: a millisecond. With other processes on the same processors, waking takes as
#: long as that.
WORK_PER_THREAD = 32_000_000

#: Rows that are not shared between threads, as `kernels.threads.row_cuts` cuts.
ROWS_PER_THREAD = 4

FinishReason = Literal["length", "stop", "interrupted"]


@dataclass(frozen=True)
class Piece:
    """Some characters of one sample, ready to be shown."""

    sample: int
    text: str  # symbols of the vocabulary
    nats: float = 0.0  # -log p of these characters, before any filter
    finish: FinishReason | None = None  # set on a sample's last piece


def useful_threads(config: ModelConfig, num_samples: int, threads: int) -> int:
    """Limit the threads to those that make generating faster.

    A step of a few samples takes less time than a second thread takes to wake
    up, or much less when another process holds its processor. What comes out
    is the same with any number.
    """
    gathered = config.vocab_size * len(GATES[config.cell]) * config.hidden
    work = num_samples * (parameters.size(config) - gathered)
    most = min(work // WORK_PER_THREAD, num_samples // ROWS_PER_THREAD)
    return max(1, min(threads, most))


def read_prompt(
    model: Model, vocab: Vocab, prompt: Ids, *, documents: bool = False
) -> tuple[Floats, Floats]:
    """Read a prompt through the network, in slices of bounded size.

    It stands at the beginning of a line: a virtual newline is read before it
    where the vocabulary has one. Without a newline in the vocabulary, and
    without a prompt, the first character follows the counts of the corpus.

    Parameters
    ----------
    prompt : (N,) int array
    documents : bool
        Whether every line is a document, as the model was trained.

    Returns
    -------
    state : (L, S, 1, H) float array
    logits : (1, V) float array
        What the model says about the next character.
    """
    state = model.new_state(1)
    newline = vocab.newline_id
    lead = [] if newline is None else [newline]
    ids = np.concatenate([np.array(lead, np.int32), prompt])
    if not ids.size:
        return state, _logits_of_counts(vocab)
    last, starts = ids.size - 1, newline if documents else None
    for a in range(0, last, PROMPT_SLICE):
        part = ids[a : min(last, a + PROMPT_SLICE), None]
        model.forward(part, document_starts(part, starts), state)
    end = ids[last:, None]
    return state, model.logits(end, state, document_starts(end, starts))[-1]


def _logits_of_counts(vocab: Vocab) -> Floats:
    """Logits, (1, V), of characters as frequent as in the corpus."""
    counts = np.array(vocab.counts, np.float64)
    if not counts.any():
        counts += 1
    with np.errstate(divide="ignore"):  # a character never seen: never drawn
        return np.log(counts)[None].astype(np.float32)


def surprise(logits: Floats, ids: Ids) -> NDArray[np.float64]:
    """Compute -log p of one character a row, (N,), in nats."""
    z: NDArray[np.float64] = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    taken = z[np.arange(len(ids)), ids]
    return np.log(np.exp(z, out=z).sum(axis=1)) - taken


class _Sample:
    """One sample on its way from characters to pieces.

    What could be the beginning of a stop text is held back until that is
    decided, and the nats of these characters with it.
    """

    def __init__(self, number: int, config: SampleConfig) -> None:
        self.number = number
        self._scanner = StopScanner(config.stop, config.include_stop)
        self._nats: deque[float] = deque()  # of the characters held back

    @property
    def stopped(self) -> bool:
        """Whether a stop text is complete."""
        return self._scanner.stopped

    def add(self, symbol: str, nats: float) -> Piece | None:
        """Take one more character; return what may be shown now."""
        self._nats.append(nats)
        text = self._scanner.feed(symbol)
        if self.stopped:
            return self._piece(text, "stop")
        return self._piece(text) if text else None

    def end(self, reason: FinishReason) -> Piece:
        """Let go of what was held back: nothing follows it."""
        return self._piece(self._scanner.finish(), reason)

    def _piece(self, text: str, finish: FinishReason | None = None) -> Piece:
        nats = sum(self._nats.popleft() for _ in text)
        return Piece(self.number, text, nats, finish)


class Generation:
    """A batch of samples under way.

    Parameters
    ----------
    model : Model
    vocab : Vocab
    prompt : (N,) int array
        Character ids; may be empty.
    config : SampleConfig
        Its stop texts are made of the vocabulary's symbols.
    documents : bool
        Whether every line is a document, as the model was trained: its state
        is then cleared where a newline is read.
    scored : bool
        Whether pieces say how likely they are, which costs some time.
    """

    def __init__(
        self,
        model: Model,
        vocab: Vocab,
        prompt: Ids,
        config: SampleConfig,
        *,
        documents: bool = False,
        scored: bool = True,
    ) -> None:
        self.model = model
        self.vocab = vocab
        self.config = config
        self.documents = documents
        self.scored = scored
        self._prompt = prompt
        self._random = Randomness(config.seed)
        self._running = [_Sample(i, config) for i in range(config.num_samples)]

    def pieces(self) -> Iterator[Piece]:
        """Generate until every sample has ended, or for ever.

        A character is yielded before the network reads it.

        Yields
        ------
        Piece
            Of all samples in turn; the last one of each says why it ended.
        """
        rows = len(self._running)
        state, logits = read_prompt(
            self.model, self.vocab, self._prompt, documents=self.documents
        )
        starts = self.vocab.newline_id if self.documents else None
        state = np.repeat(state, rows, axis=2)
        logits = np.repeat(logits, rows, axis=0)
        left = self.config.length  # below 0: it never gets to 0
        while self._running and left:
            ids = self._choose(logits)
            yield from self._grow(ids, logits)
            left -= 1
            going = [n for n, s in enumerate(self._running) if not s.stopped]
            if len(going) < len(self._running):
                self._running = [self._running[n] for n in going]
                state, ids = np.ascontiguousarray(state[:, :, going]), ids[going]
            if self._running and left:
                inputs = ids[None]
                resets = document_starts(inputs, starts)
                logits = self.model.logits(inputs, state, resets)[0]
        yield from self._end("length")

    def interrupt(self) -> Iterator[Piece]:
        """Yield the last pieces of all samples that have not ended."""
        yield from self._end("interrupted")

    def _choose(self, logits: Floats) -> Ids:
        """Choose the next character of every running sample."""
        who = [sample.number for sample in self._running]
        return choose(logits, self.config, self._random, who)

    def _grow(self, ids: Ids, logits: Floats) -> Iterator[Piece]:
        """Add a character to every running sample."""
        nats = surprise(logits, ids).tolist() if self.scored else [0.0] * len(ids)
        symbols = self.vocab.symbols
        for sample, index, value in zip(self._running, ids.tolist(), nats, strict=True):
            piece = sample.add(symbols[index], value)
            if piece is not None:
                yield piece

    def _end(self, reason: FinishReason) -> Iterator[Piece]:
        """End every running sample that no stop text has ended."""
        running, self._running = self._running, []
        for sample in running:
            if not sample.stopped:
                yield sample.end(reason)
