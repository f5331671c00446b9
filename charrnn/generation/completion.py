"""What may follow while somebody writes: a few likely continuations, at once.

The network reads every character of a line once. What it holds behind each beginning
of the line is kept, so that a further character costs one step, and one that is taken
back costs none. Continuations differ in their first characters, which are the
likeliest ones; each then goes on by itself, all of them side by side.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as member
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids
from charrnn.config import SampleConfig, UnknownPolicy
from charrnn.errors import OptionError, field
from charrnn.escapes import several_lines
from charrnn.generation.following import Walk
from charrnn.generation.greedy import Stopped
from charrnn.generation.sampler import Model, Sampler, Shard, opening_logits
from charrnn.kernels.filters import weigh_rows
from charrnn.sampling import Randomness, is_greedy, nothing_to_choose
from charrnn.vocab import Vocab, from_code_points

#: Characters of a continuation, at most.
LENGTH = 40

#: Continuations that are offered.
COUNT = 3

#: Characters that are read or written between two looks at whether to give up.
STEPS = 8

#: Bytes of what is kept of the beginnings of a line, at most, about.
KEPT_BYTES = 64 << 20

#: Characters that end a line.
LINE_ENDS = "\r\n"

#: What a line's end is offered as.
END_OF_LINE = "\n"

#: The blanks that a continuation begins with, and its first word or signs.
WORD = re.compile(r"\s*(?:\w+(?:['\u2019-]\w+)*|[^\w\s]+)|\s+")

#: A word that was cut, with the blanks before it.
CUT = re.compile(r"\s+\S*\Z")


class Place(NamedTuple):
    """A beginning of a text, as far as what follows depends on it."""

    state: Floats  # (L, S + M - 1, 1, H) what the network holds
    recent: Ids  # (past,) the last characters; below 0 where there was none
    logits: Floats  # (V,) of what comes next


class _Row:
    """A continuation on its way.

    Parameters
    ----------
    first : int
        The character that it begins with.
    length : int
        Characters, at most.
    ends : collection of int
        Characters that it ends before.
    draw : callable
        Gives so many random numbers.
    """

    walk: Walk | None = None  # what somebody writes follows no pattern

    def __init__(
        self,
        first: int,
        length: int,
        ends: frozenset[int],
        draw: Callable[[int], NDArray[np.float64]],
    ) -> None:
        self.ids = [first]
        self.left = length - 1
        self.ended = self.left == 0 or first in ends
        self._ends, self._draw = ends, draw

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Take the next random numbers, (count,)."""
        return self._draw(count)

    def add(self, ids: Ids) -> None:
        """Take some more characters in, up to the end of the line."""
        for each in ids[: self.left].tolist():
            if each in self._ends:
                self.ended = True
                return
            self.ids.append(each)
            self.left -= 1
        self.ended = self.left == 0


class Completer:
    """A model that completes what somebody writes, line by line.

    Lines that are finished (`finish`) stand before all that follows. It is for one
    thread at a time.

    Parameters
    ----------
    model : Model
        Of running text. If it adapts, it counts in the lines that are finished.
    config : SampleConfig
        How continuations go on, its texts in symbols. The first characters are the
        likeliest that its filters leave.
    unknown : {"error", "skip", "replace"}
        What to do with characters that the model does not know.
    corpus : (N,) int array, optional
        The text that ``config.no_copy`` speaks of; see `Sampler`.

    Raises
    ------
    OptionError
        The model is one of pairs.
    VocabError
        The settings leave no character to choose from.
    """

    def __init__(
        self,
        model: Model,
        config: SampleConfig,
        *,
        unknown: UnknownPolicy = "skip",
        corpus: Ids | None = None,
    ) -> None:
        if model.documents.separator is not None:
            msg = (
                "a model of pairs completes no line: it writes outputs of whole inputs"
            )
            raise OptionError(msg, hint=f"give it inputs with {field('prompt')}")
        self._vocab, self._unknown = model.vocab, unknown
        self._sampler = Sampler(model, config, corpus)
        self._ranking = self._sampler.filters
        self._seed = None if is_greedy(config) else config.seed
        if self._seed is None:
            # By the likeliest character alone there would be one continuation.
            self._ranking = self._ranking._replace(temperature=1.0)
        self._ends = frozenset(_known(model.vocab, LINE_ENDS))
        self._reading = model.reading()
        self._step_room = self._sampler.new_step_room(1)
        self._opened = self._open(model)
        self._places: dict[bytes, Place] = {}
        size = sum(part.nbytes for part in self._opened)
        self._most = max(64, KEPT_BYTES // size)

    def complete(
        self,
        line: str,
        count: int = COUNT,
        length: int = LENGTH,
        stopped: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        r"""Continue a line that is being written.

        Parameters
        ----------
        line : str
            What there is of it.
        count : int
            How many continuations, at most; each begins with another character.
        length : int
            Characters of each, at most. One that is as long ends with a whole word,
            if there is one in it.
        stopped : callable
            Asked every few characters whether to give up; must stay with a yes.

        Returns
        -------
        list of str
            The one with the likeliest beginning first. None has a character that
            steers a terminal, and each ends where its line does: ``"\n"`` says that
            the line is likely to end at once, which is not said of an empty one.

        Raises
        ------
        VocabError
            A character is unknown, and is not to be left out; or there is nothing to
            choose from.
        Stopped
            `stopped` said yes.
        """
        ids = self._encoded(line)
        place = self._place(ids, stopped)
        rows = [
            _Row(first, length, self._ends, self._numbers(ids, first))
            for first in self._first(place, count, ends=ids.size > 0)
        ]
        self._write(rows, place, stopped)
        texts = [self._text(row) for row in rows]
        return [text for text in texts if text]

    def finish(self, line: str) -> None:
        """End a line: what follows comes behind it."""
        text = line + END_OF_LINE
        if not self._ends:  # the model has never seen two lines
            text = f"{line} " if line and " " in self._vocab.symbols else line
        ids = self._encoded(text)
        self._opened = self._place(ids, lambda: False)
        self._places.clear()
        self._reading.read(ids)

    def _encoded(self, text: str) -> Ids:
        """Turn a text into ids."""
        return self._vocab.encode(self._vocab.adapted(text), self._unknown)

    def _open(self, model: Model) -> Place:
        """Stand where a text begins."""
        sampler, before = self._sampler, model.documents.before
        recent = np.full(sampler.past, -1, np.int32)
        logits = opening_logits(model.vocab, model.memory)
        place = Place(model.network.new_state(1), recent, logits)
        if before is None:
            return place
        begin = np.array([before], np.int32)
        self._reading.read(begin)
        return self._behind(place, begin)

    def _place(self, ids: Ids, stopped: Callable[[], bool]) -> Place:
        """Find the place behind a line, reading what of it was not read before."""
        size = ids.size
        while size and ids[:size].tobytes() not in self._places:
            size -= 1
        place = self._opened if not size else self._places[ids[:size].tobytes()]
        for a in range(size, ids.size, STEPS):
            if stopped():
                raise Stopped
            part = ids[a : a + STEPS]
            place = self._behind(place, part)
            if len(self._places) >= self._most:  # the one that was kept first
                del self._places[next(iter(self._places))]
            self._places[ids[: a + part.size].tobytes()] = place
        return place

    def _behind(self, place: Place, ids: Ids) -> Place:
        """Read on from a place, at least one character."""
        sampler, n = self._sampler, ids.size
        state, known = place.state.copy(), np.array([n], np.int32)
        column = np.concatenate([place.recent, ids, [0]]).astype(np.int32)[:, None]
        logits = np.empty((1, 1, sampler.weights.by.size), sampler.dtype)
        blend = self._reading.continued(learns=False).blend
        # What it chooses behind the last character is of no use, but the logits are.
        if not sampler.generate(
            sampler.weights, self._step_room, state, column, known,
            np.zeros((n, 1)), blend, sampler.filters, sampler.start, logits,
        ):  # fmt: skip
            raise nothing_to_choose()
        recent = np.concatenate([place.recent, ids])[n:].astype(np.int32)
        return Place(state, recent, logits[0, 0])

    def _first(self, place: Place, count: int, *, ends: bool) -> Iterator[int]:
        """Name the likeliest characters, of equal ones the lowest ids first.

        Parameters
        ----------
        ends : bool
            Whether the end of the line may be among them.
        """
        weights = np.empty((1, place.logits.size))
        logits = place.logits[None]
        scratch = self._step_room.scratch
        if not weigh_rows(logits, place.recent, self._ranking, scratch, weights):
            raise nothing_to_choose()
        for each in np.argsort(-weights[0], kind="stable").tolist():
            if count == 0 or weights[0, each] == 0:
                return
            is_end = each in self._ends
            if ends if is_end else _is_harmless(self._vocab.symbols[each]):
                count -= 1
                yield each

    def _numbers(self, ids: Ids, first: int) -> Callable[[int], NDArray[np.float64]]:
        """Give a continuation random numbers that depend on what it continues."""
        if self._seed is None:
            return np.zeros
        random = Randomness(self._seed)
        child = crc32(ids.tobytes()) * self._vocab.size + first
        return lambda count: random.take(child, count)

    def _write(
        self, rows: Sequence[_Row], place: Place, stopped: Callable[[], bool]
    ) -> None:
        """Take continuations from their first characters to their ends."""
        going = [row for row in rows if not row.ended]
        if not going:
            return
        given = [np.array(row.ids, np.int32) for row in going]
        states = np.repeat(place.state, len(going), axis=2)
        reading = self._reading.continued(learns=False)
        before = place.recent[place.recent >= 0]
        shard = Shard(self._sampler, going, states, before, given, reading)
        while shard.drop_ended():
            if stopped():
                raise Stopped
            chosen, _ = shard.run(STEPS, 1)
            for row, ids in zip(shard.samples, chosen, strict=True):
                row.add(ids)

    def _text(self, row: _Row) -> str:
        """Write a continuation as it can be shown."""
        if row.ids[0] in self._ends:
            return END_OF_LINE
        symbols = from_code_points(self._vocab.points[np.array(row.ids)])
        text, whole = symbols, row.left > 0
        if self._vocab.unit == "byte":
            data = symbols.encode("latin-1")
            try:
                text = data.decode()
            except UnicodeDecodeError as error:
                text = data[: error.start].decode()
        for at, character in enumerate(text):
            if not _is_harmless(character):
                return text[:at]
        return text if whole else CUT.sub("", text) or text


def _known(vocab: Vocab, symbols: str) -> Iterator[int]:
    """Give the ids of those symbols that a vocabulary has."""
    for symbol in symbols:
        at = vocab.id_of(symbol)
        if at is not None:
            yield at


def _is_harmless(character: str) -> bool:
    """Tell whether a character steers no terminal and ends no line."""
    return character not in LINE_ENDS and several_lines(character) == character


def first_word(text: str) -> str:
    """Give the first word of a continuation, with the blanks before it."""
    found = WORD.match(text)
    return found[0] if found else ""


@dataclass
class Offers:
    """What is offered behind a line, and which of it is shown.

    What somebody types off the text that is shown leaves the rest of it standing, so
    that nothing flickers until further continuations are there.
    """

    line: str = ""
    texts: list[str] = member(default_factory=list)
    chosen: int = 0

    @property
    def shown(self) -> str:
        """The text that is shown; empty if there is none."""
        return self.texts[self.chosen] if self.texts else ""

    def follow(self, line: str) -> None:
        """Take note of what the line has become."""
        if line == self.line:
            return
        rest = ""
        if line.startswith(self.line) and self.shown != END_OF_LINE:
            typed = line[len(self.line) :]
            if self.shown.startswith(typed):
                rest = self.shown[len(typed) :]
        self.line, self.chosen = line, 0
        self.texts = [rest] if rest else []

    def add(self, line: str, texts: Sequence[str]) -> None:
        """Take continuations of a line, if it is still the one; keep what is shown."""
        if line != self.line:
            return
        rest, others = self.shown, list(texts)
        if rest:
            # Most often one of them is the same text, and longer.
            same = [text for text in others if text.startswith(rest)]
            others = [text for text in others if text[0] != rest[0]]
            others = [same[0] if same else rest, *others]
        self.texts, self.chosen = others[: max(len(texts), 1)], 0

    def turn(self, by: int) -> None:
        """Show the next of the continuations, or the one before."""
        if self.texts:
            self.chosen = (self.chosen + by) % len(self.texts)

    def word(self) -> str:
        """Give the next word of what is shown; nothing where the line ends."""
        return first_word(self.rest())

    def rest(self) -> str:
        """Give all of what is shown; nothing where the line ends."""
        return "" if self.shown == END_OF_LINE else self.shown
