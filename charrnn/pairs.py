r"""Pairs: an input and the output that belongs to it, one pair a line.

A file of pairs has lines ``input<TAB>output``, or another separator. It is read into
one form, whatever the file's own was: every line is ``input \t output \n``, with one
tab, and no line is empty. So all that has to be known of a model of pairs is that it
is one. What is scored of such a text, `charrnn.windows.Documents` says.

Which pairs are held out of training depends on a hash of their inputs alone: the same
input is never on both sides, and adding a pair to a file moves no other one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from charrnn.arrays import Ids, Longs, Mask, PackedIds
from charrnn.config import UnitName, UnknownPolicy
from charrnn.counting import plural
from charrnn.errors import CorpusError, field
from charrnn.escapes import one_line, readable, shortened
from charrnn.vocab import Vocab, code_points, from_code_points
from charrnn.windows import SEPARATOR, Documents

#: What ends an output.
END = "\n"

#: What parts the columns of many files. Where the separator is missing in a line and
#: one of these stands there once, an error asks whether that one is meant.
USUAL_SEPARATORS = ("\t", ";", ",", "|", " => ", "=", ":")

#: The offset of every character of an input whose separator has not come yet, as it
#: stands at the end of a text that is cut: lower than that of any other character.
NOWHERE = -(1 << 40)

#: Characters that an output may be longer than twice the longest right one.
SPARE = 8

#: What stands for a character of an output that a vocabulary does not have: half a
#: surrogate pair, which no vocabulary has either.
STRANGER = 0xDFFF

#: Bytes of the hash that decides what is held out.
HASH_BYTES = 8

#: Characters that are taken apart at a time, about: bounds the memory.
SLICE = 1 << 20


@dataclass(frozen=True)
class PairFormat:
    """How pairs stand in a file."""

    separator: str = SEPARATOR  # in the symbols that the text is read as
    allow_empty: bool = False  # whether inputs and outputs may be empty
    unit: UnitName = "char"  # of bytes, symbols are the characters of Latin-1

    @property
    def called(self) -> str:
        """What a message calls the separator."""
        if self.separator == SEPARATOR:
            return "tab"
        return repr(readable(self.separator, self.unit))

    def shown(self, line: str) -> str:
        """Write the beginning of a line into a message."""
        # As many characters as a message has room for may be several bytes each.
        return shortened(one_line(readable(line[:244], self.unit)))


#: How pairs stand in a file of which nothing else is said: parted by tabs, none empty.
USUAL = PairFormat()


#: A text in either type of ids.
AnyIds = TypeVar("AnyIds", PackedIds, Ids)


class PairReader:
    """Bring a text of pairs, which comes in slices, into the one form.

    Parameters
    ----------
    name : str
        What messages call the text.
    form : PairFormat
        Its separator is written in the symbols of the text.

    Attributes
    ----------
    blank : int
        Lines so far that were empty, and are left out.
    """

    def __init__(self, name: str, form: PairFormat) -> None:
        self.blank = 0
        self._name = name
        self._form = form
        self._line = 0  # lines that have been read
        # The beginning of a line whose end has not been read, in the slices that it
        # came in: joined at every slice, a long line would take its square in time.
        self._rest: list[str] = []

    def convert(self, text: str, *, final: bool = False) -> str:
        """Read a slice, whose lines end in LF; the last line waits for its end.

        Raises
        ------
        CorpusError
            A line is no pair.
        """
        if END not in text and not final:
            self._rest.append(text)
            return ""
        *lines, rest = "".join([*self._rest, text]).split(END)
        self._rest = [] if final else [rest]
        if final and rest:
            lines.append(rest)
        return "".join(self._pairs(lines))

    def begun(self, text: str) -> str:
        """Read all of a text whose last pair has only begun.

        Its last line that is not empty may be an input alone, or lack some of its
        output: what it reads as ends inside an output.

        Raises
        ------
        CorpusError
            A line before is no pair, or there is nothing in the last one.
        """
        whole, newline, last = text.removesuffix(END).rpartition(END)
        blank = 0
        while newline and not last.strip() and self._form.separator not in last:
            whole, newline, last = whole.rpartition(END)
            blank += 1
        pairs = self.convert(whole + newline, final=True)
        self.blank += blank
        self._line += 1
        before, found, after = last.partition(self._form.separator)
        if not found:
            last += self._form.separator
        self._check(last, before, after, begun=True)
        return pairs + before + SEPARATOR + after

    def _pairs(self, lines: Sequence[str]) -> Iterator[str]:
        """Read whole lines, without their ends."""
        separator = self._form.separator
        for line in lines:
            self._line += 1
            before, found, after = line.partition(separator)
            if not found and not line.strip():
                self.blank += 1
                continue
            self._check(line, before, after)
            yield before + SEPARATOR + after + END

    def _check(
        self, line: str, before: str, after: str, *, begun: bool = False
    ) -> None:
        """Raise `CorpusError` for a line that is no pair, or none that has begun."""
        separator, called = self._form.separator, self._form.called
        wanted = f"every line is an input, a {called} and an output"
        if separator not in line:
            msg = f"no {called} in this line: {self._form.shown(line)}"
            raise self._wrong(msg, self._meant(line) or wanted)
        if separator in after:
            msg = f"more than one {called} in this line"
            hint = f"{wanted}: take the others out, or part them by something else"
            raise self._wrong(msg, f"{hint} ({field('pair_separator')})")
        if separator != SEPARATOR and SEPARATOR in before + after:
            msg = "a tab inside an input or an output"
            raise self._wrong(msg, "write a space in its place: tabs part pairs here")
        if self._form.allow_empty or (before and (after or begun)):
            return
        msg = f"an empty {'output' if before else 'input'}"
        hint = f"{wanted}; {field('allow_empty', True)} lets them be empty"
        raise self._wrong(msg, hint)

    def _meant(self, line: str) -> str | None:
        """Guess which separator was meant by a line that has not the right one."""
        for other in USUAL_SEPARATORS:
            if line.count(other) != 1:
                continue
            if other == SEPARATOR:
                return f"a tab stands there: leave {field('pair_separator')} away"
            return f"is {field('pair_separator', other)} meant?"
        return None

    def _wrong(self, what: str, hint: str) -> CorpusError:
        """Say what is wrong with the line that was read last."""
        return CorpusError(what, where=f"{self._name}, line {self._line:,}", hint=hint)


class Accuracy(NamedTuple):
    """How many outputs are right."""

    exact: float  # share of the inputs whose output is exactly right
    error_rate: float  # edits that it takes for all to be right, per character


@dataclass(frozen=True, eq=False)
class Pairs:
    """Inputs, each once, with all the outputs that are right for it."""

    inputs: tuple[Ids, ...]  # without the separator
    outputs: tuple[tuple[Ids, ...], ...]  # without newlines, at least one an input

    def __len__(self) -> int:
        return len(self.inputs)

    @classmethod
    def of(cls, ids: PackedIds | Ids, vocab: Vocab) -> "Pairs":
        """Take a text of pairs apart, in the order of the hashes of its inputs.

        So the first ones are a sample of all, and the same one whenever.

        Parameters
        ----------
        ids : (N,) int array
            As `PairReader` has read it. In an output, -1 is a character that no model
            writes: it is never right.
        """
        outputs: dict[str, dict[str, None]] = {}
        for given, wanted in _texts(ids, vocab):
            outputs.setdefault(given, {})[wanted] = None
        inputs = sorted(outputs, key=lambda given: _hash(given, vocab))
        return cls(
            tuple(_ids(each, vocab) for each in inputs),
            tuple(tuple(_ids(out, vocab) for out in outputs[each]) for each in inputs),
        )

    def first(self, count: int) -> "Pairs":
        """Give the first so many inputs, with their outputs."""
        return Pairs(self.inputs[:count], self.outputs[:count])

    @cached_property
    def limits(self) -> tuple[int, ...]:
        """How long an output may be that is compared: twice its longest right one."""
        longest = (max(map(len, right)) for right in self.outputs)
        return tuple(2 * length + SPARE for length in longest)

    def accuracy(self, given: Iterable[Ids]) -> Accuracy | None:
        """Score an output for every input, each against the nearest right one.

        Returns
        -------
        Accuracy or None
            None where there is no pair.
        """
        if not self.inputs:
            return None
        right = edits = characters = 0
        for output, wanted in zip(given, self.outputs, strict=True):
            distance, length = nearest(output, wanted)
            right += distance == 0
            edits += distance
            characters += length
        return Accuracy(right / len(self.inputs), edits / max(1, characters))


def input_ends(text: str) -> tuple[int, ...]:
    """Find where the inputs of a text of pairs end.

    Returns
    -------
    tuple of int
        The positions of the separators, from 1: the first characters of outputs
        stand at these places, from 0.
    """
    return tuple(n for n, symbol in enumerate(text, 1) if symbol == SEPARATOR)


def offsets(ids: PackedIds | Ids, documents: Documents) -> Longs:
    """Tell how far each character of a text of pairs is from its input's end.

    Returns
    -------
    (N,) int array
        0 for the separators, negative in inputs, positive in outputs and at their
        newlines. `NOWHERE` in a last pair that is cut before its separator.
    """
    line = np.cumsum(np.concatenate([[0], ids[:-1] == documents.start]))
    ends = np.append(np.flatnonzero(ids == documents.separator), len(ids) - NOWHERE)
    found: Longs = np.arange(len(ids)) - ends[np.minimum(line, len(ends) - 1)]
    found[line >= len(ends) - 1] = NOWHERE
    return found


def encode_input(
    text: str,
    vocab: Vocab,
    unknown: UnknownPolicy = "error",
    *,
    allow_empty: bool = False,
) -> Ids:
    """Turn an input into ids.

    Raises
    ------
    CorpusError
        It has a tab or a line end, which no input has, or it is empty, be it that
        all of its characters are unknown and left out.
    VocabError
        A character is unknown, and `unknown` is "error".
    """
    check_input(text, allow_empty=allow_empty)
    ids = vocab.encode(text, unknown)
    if not (ids.size or allow_empty):
        raise empty_input()
    return ids


def empty_input() -> CorpusError:
    """Make the error of an input that has nothing to write an output of."""
    allowed = field("allow_empty", True)
    hint = f"{allowed} is for a model that has learned such pairs"
    return CorpusError("an empty input", hint=hint)


def check_input(
    text: str, *, allow_empty: bool = False, unit: UnitName = "char"
) -> None:
    """Raise `CorpusError` for symbols that have a tab or a line end, or for none."""
    if not text and not allow_empty:
        raise empty_input()
    for symbol, called in ((SEPARATOR, "tab"), (END, "line end"), ("\r", "line end")):
        if symbol in text:
            msg = f"a {called} in an input: {PairFormat(unit=unit).shown(text)}"
            raise CorpusError(msg, hint="an input alone is wanted, without its output")


def nearest(output: Ids, wanted: Sequence[Ids]) -> tuple[int, int]:
    """Find the right output that is nearest to one that was given.

    Returns
    -------
    distance : int
        Edits: characters to be put in, taken out or replaced.
    length : int
        Characters of the right one.
    """
    given = output.tolist()
    found = ((edit_distance(given, one.tolist()), len(one)) for one in wanted)
    return min(found)


def edit_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the edits from one sequence to another: the distance of Levenshtein.

    Myers' method: a column of the table of distances is kept as two integers, whose
    bits say where the next number is one more, and where one less.
    """
    if one == other:
        return 0
    if not one or not other:
        return len(one) + len(other)
    places: dict[int, int] = {}
    for n, symbol in enumerate(one):
        places[symbol] = places.get(symbol, 0) | 1 << n
    all_, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    more, less, distance = all_, 0, len(one)
    for symbol in other:
        equal = places.get(symbol, 0)
        across = (((equal & more) + more) ^ more) | equal
        rises, falls = less | ~(across | more) & all_, more & across
        distance += bool(rises & last) - bool(falls & last)
        rises, down = rises << 1 | 1, equal | less
        more = (falls << 1 | ~(down | rises)) & all_
        less = rises & down & all_
    return distance


def split_pairs(
    ids: AnyIds, documents: Documents, vocab: Vocab, share: float
) -> tuple[AnyIds, AnyIds]:
    """Part a text of pairs into what is trained on and what is held out.

    Parameters
    ----------
    share : float
        Of the inputs that are held out, about: those whose hash is low enough.

    Returns
    -------
    train, held_out : int arrays
        In the order of the text.
    """
    held = np.array(
        [_hash(given, vocab) < share for given, _ in _texts(ids, vocab)], bool
    )
    ends = np.flatnonzero(ids == documents.start)
    chosen: Mask = np.repeat(held, np.diff(ends, prepend=-1))
    return ids[~chosen], ids[chosen]


def _texts(ids: PackedIds | Ids, vocab: Vocab) -> Iterator[tuple[str, str]]:
    """Take a text of pairs apart: inputs and outputs, in symbols."""
    points = np.append(vocab.points, np.uint32(STRANGER))  # which -1 is to give
    ends = np.flatnonzero(ids == vocab.newline_id) + 1
    stops = ends[np.searchsorted(ends, np.arange(SLICE, len(ids), SLICE))]
    for start, stop in pairwise([0, *stops.tolist(), len(ids)]):
        for line in from_code_points(points[ids[start:stop]]).split(END)[:-1]:
            given, _, wanted = line.partition(SEPARATOR)
            yield given, wanted


def _ids(symbols: str, vocab: Vocab) -> Ids:
    """Turn symbols of the vocabulary into ids."""
    return vocab.look_up(code_points(symbols))


def _hash(given: str, vocab: Vocab) -> float:
    """Hash an input to a number in [0, 1), the same for characters and for bytes."""
    data = given.encode("latin-1" if vocab.unit == "byte" else "utf-8")
    return int.from_bytes(blake2b(data, digest_size=HASH_BYTES).digest()) / 2**64


def note_blank(blank: int) -> list[str]:
    """Say so where lines of a text of pairs are empty."""
    return [f"{plural(blank, 'empty line')} left out"] if blank else []
