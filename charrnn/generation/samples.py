"""Samples on their way from characters to pieces that can be shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.config import SampleConfig
from charrnn.generation.following import Walk
from charrnn.sampling import Randomness, is_greedy
from charrnn.stopping import StopScanner

FinishReason = Literal["length", "stop", "lines", "pattern", "time", "interrupted"]


class Score(NamedTuple):
    """What the model itself said of one character, before any filter."""

    symbol: str
    nats: float  # -log p
    top: tuple[tuple[str, float], ...]  # the likeliest, and -log p of each


@dataclass(frozen=True)
class Piece:
    """Some characters of one sample, ready to be shown."""

    sample: int
    text: str  # symbols of the vocabulary
    nats: float = 0.0  # -log p of these characters, before any filter
    finish: FinishReason | None = None  # set on a sample's last piece
    scores: tuple[Score, ...] = ()  # of every character, if they are wanted
    total: float = 0.0  # nats of all the sample's characters so far, in order
    #: The likeliest texts, and the nats of each, where they were searched for.
    beams: tuple[tuple[str, float], ...] = ()


class Request(NamedTuple):
    """How one prompt is continued, as far as those of a batch may differ in it.

    That is the seed, and what ends a text: length, lines and stop texts.
    """

    config: SampleConfig
    first: int = 0  # number of its first sample among all that its seed makes


class Sample:
    """One sample on its way from characters to pieces.

    What could be the beginning of a stop text is held back until that is
    decided, and what is known of these characters with it.

    Parameters
    ----------
    number : int
        Its number in the batch.
    config : SampleConfig
        What it is asked for.
    child : int
        Its number among the samples of its seed, which its random numbers follow.
    walk : Walk, optional
        How far it has come along a pattern, if it is to match one.
    """

    def __init__(
        self,
        number: int,
        config: SampleConfig,
        child: int,
        walk: Walk | None = None,
    ) -> None:
        self.walk = walk
        self.number = number
        self._child = child
        self._random = None if is_greedy(config) else Randomness(config.seed)
        self.left = config.length  # below 0: it never gets to 0
        self.ended = False
        self._scanner = StopScanner(config.stop, config.include_stop, config.lines)
        self._nats = np.zeros(0)  # of the characters held back
        self._total = 0.0  # of those let through
        self._scores: list[Score] = []  # likewise

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Take the sample's next random numbers, (count,); zeros if it needs none."""
        if self._random is None:
            return np.zeros(count)
        return self._random.take(self._child, count)

    @property
    def complete(self) -> FinishReason | None:
        """Why nothing follows, if its length or its pattern says so."""
        if self.walk is not None and self.walk.ended:
            return "pattern" if self.walk.complete else "length"
        return "length" if self.left == 0 else None

    def add(
        self, text: str, nats: NDArray[np.float64], scores: Sequence[Score]
    ) -> Piece | None:
        """Take some more characters; return what may be shown now."""
        if self.left >= 0:
            text = text[: self.left]
            nats, scores = nats[: self.left], scores[: self.left]
            self.left -= len(text)
        if nats.size:
            self._nats = np.concatenate([self._nats, nats])
        self._scores += scores
        shown = self._scanner.feed(text)
        if self._scanner.reason is not None:
            return self._piece(shown, self._scanner.reason)
        reason = self.complete
        if reason is not None:
            return self._piece(shown + self._scanner.finish(), reason)
        return self._piece(shown) if shown else None

    def end(self, reason: FinishReason) -> Piece:
        """Let go of what was held back: nothing follows it."""
        return self._piece(self._scanner.finish(), reason)

    def _piece(self, text: str, finish: FinishReason | None = None) -> Piece:
        size = len(text)
        nats, self._nats = self._nats[:size], self._nats[size:]
        scores, self._scores = self._scores[:size], self._scores[size:]
        self.ended = finish is not None
        for one in nats.tolist():  # one by one: slices must not show in the sum
            self._total += one
        return Piece(
            self.number, text, float(nats.sum()), finish, tuple(scores), self._total
        )


class Candidates:
    """Picks, of several candidates for a sample, the one the model finds likeliest.

    Parameters
    ----------
    count : int
        Candidates of each sample; they follow one another.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._texts: dict[int, Piece] = {}  # of candidates, as far as they are
        self._ended: dict[int, int] = {}  # how many of a sample's candidates have

    def take(self, piece: Piece) -> Piece | None:
        """Take a candidate's piece; return a sample when all its candidates ended."""
        so_far = self._texts.get(piece.sample, Piece(piece.sample, ""))
        self._texts[piece.sample] = replace(
            piece,
            text=so_far.text + piece.text,
            nats=so_far.nats + piece.nats,
            scores=so_far.scores + piece.scores,
        )
        if piece.finish is None:
            return None
        sample = piece.sample // self._count
        self._ended[sample] = self._ended.get(sample, 0) + 1
        if self._ended[sample] < self._count:
            return None
        numbers = range(sample * self._count, (sample + 1) * self._count)
        candidates = [self._texts.pop(number) for number in numbers]
        return replace(min(candidates, key=_nats_per_character), sample=sample)


def _nats_per_character(piece: Piece) -> float:
    """Rate a text; an empty one comes last."""
    return piece.total / len(piece.text) if piece.text else math.inf
