"""Read texts into one array of character ids, and cut off its tail.

Texts may be large, so they come in slices (see `charrnn.reading`). Each slice's
characters get provisional ids in the order of first sight; what stays is one
byte a character (two or four for large vocabularies) in a buffer that grows in
place. When all is read, the provisional ids are replaced by sorted ones, again
slice by slice.
"""

import contextlib
import hashlib
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import PackedIds
from charrnn.counting import plural
from charrnn.errors import CorpusError, OptionError, field
from charrnn.escapes import one_line
from charrnn.pairs import note_blank
from charrnn.reading import (
    SLICE,
    Reader,
    ReadOptions,
    Source,
    Text,
    read_slices,
    shown_name,
)
from charrnn.vocab import (
    REPLACEMENT,
    CodePoints,
    Vocab,
    code_points,
    from_code_points,
)

__all__ = ["Corpus", "ReadOptions", "read_corpus", "split"]

#: More distinct characters than this are a mistake more likely than a text.
MAX_SYMBOLS = 20_000

#: Code points of which line ends are made.
LINE_ENDS = frozenset(map(ord, "\r\n"))

#: A file's size is only believed up to here before anything was read of it.
MAX_RESERVED = 1 << 30


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as ids, with its vocabulary and where it came from."""

    ids: PackedIds  # one per character, in the smallest type that fits
    vocab: Vocab
    files: tuple[str, ...]  # printable names, "-" for standard input
    bytes: int  # of all inputs together
    sha256: str  # of the raw bytes of all inputs in order
    notes: tuple[str, ...]  # what the user should know about the text

    @property
    def characters(self) -> int:
        """Length of the text."""
        return len(self.ids)


def read_corpus(
    sources: Sequence[Source], options: ReadOptions, stdin: BinaryIO | None = None
) -> Corpus:
    """Read and join texts in one pass.

    Parameters
    ----------
    sources : sequence of str or Text
        Paths of files, FIFOs included; ``-`` is standard input. A text in memory
        has no encoding.
    options : ReadOptions
        How bytes become characters.
    stdin : BinaryIO, optional
        What ``-`` reads instead of the process's own.

    Raises
    ------
    OptionError
        No source, or standard input twice.
    InputError
        A source cannot be opened or read.
    CorpusError
        A text is not valid in its encoding, or all is shorter than two
        characters, or there are too many distinct ones.
    VocabError
        A given vocabulary lacks a character.
    """
    if not sources or sources.count("-") > 1:
        msg = "standard input is named twice" if sources else "no text is named"
        hint = "it can be read once: name a file instead" if sources else "name one"
        raise OptionError(msg, hint=hint)
    packer = _Packer(_reserve(sources), options.vocab)
    digest = hashlib.sha256()
    readers = []
    for source in sources:
        reader = Reader(shown_name(source), options.of(source), digest.update)
        for points in reader.read(read_slices(source, stdin)):
            packer.append(points)
        readers.append(reader)
    names = _listed([reader.name for reader in readers])
    if packer.used < 2:
        short = "the text is too short: only one character"
        msg = short if packer.used else "the text is empty"
        hint = "at least 2 characters are needed"
        if options.pairs:
            msg, hint = "there is no pair", "give a line: an input, a tab, an output"
        raise CorpusError(msg, where=names, hint=hint)
    notes = _notes(readers)
    vocab, final_ids = _settle(packer, options, names, notes)
    return Corpus(
        ids=packer.finish(final_ids, vocab.size),
        vocab=vocab,
        files=tuple(map(_file_name, sources)),
        bytes=sum(reader.bytes for reader in readers),
        sha256=digest.hexdigest(),
        notes=tuple(notes),
    )


def split(
    ids: PackedIds, val_fraction: float, *, lines_newline_id: int | None = None
) -> tuple[PackedIds, PackedIds]:
    """Cut the tail off a text, as views: what is trained on, what validates.

    Parameters
    ----------
    val_fraction : float
        The tail's share, in [0, 1).
    lines_newline_id : int, optional
        Given, the cut is moved to the line border nearest to it; when that is
        the text's end, the tail is empty.
    """
    cut = len(ids) - int(len(ids) * val_fraction)
    if lines_newline_id is not None and cut < len(ids):
        cut = _line_border(ids, cut, lines_newline_id)
    return ids[:cut], ids[cut:]


def _line_border(ids: PackedIds, cut: int, newline: int) -> int:
    """Find the line border nearest to a place, the text's end being one."""
    after = len(ids)
    for start in range(cut, len(ids), SLICE):
        found = np.flatnonzero(ids[start : start + SLICE] == newline)
        if found.size:
            after = start + int(found[0]) + 1
            break
    for stop in range(cut, 0, -SLICE):
        start = max(0, stop - SLICE)
        found = np.flatnonzero(ids[start:stop] == newline)
        if found.size:
            before = start + int(found[-1]) + 1
            return before if cut - before <= after - cut else after
    return after


def _listed(names: list[str], most: int = 3) -> str:
    """Name the sources of a text, but not hundreds of them."""
    more = len(names) - most
    rest = f" and {more:,} more" if more > 0 else ""
    return ", ".join(names[:most]) + rest


def _file_name(source: Source) -> str:
    """Name a source as checkpoints do."""
    return one_line(source.name if isinstance(source, Text) else source)


def _reserve(sources: Sequence[Source]) -> int:
    """Add up the sizes of regular files; what the others hold cannot be known."""
    total = 0
    for source in sources:
        if isinstance(source, Text):
            total += len(source.text)
            continue
        with contextlib.suppress(OSError, ValueError):
            status = Path(source).stat()
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return min(total, MAX_RESERVED)


class _Packer:
    """All characters so far, as provisional ids in the order of first sight."""

    def __init__(self, capacity: int, vocab: Vocab | None) -> None:
        self.used = 0
        self.buffer: PackedIds = np.empty(capacity, np.uint8)
        self.points: CodePoints = np.empty(0, np.uint32)  # by provisional id
        self.counts: NDArray[np.int64] = np.empty(0, np.int64)
        # Provisional id + 1 by code point, 0 where none was met: zeros take
        # no memory until they are written to.
        self.table = np.zeros(sys.maxunicode + 1, np.uint32)
        if vocab is not None:
            self._admit(vocab.points)

    def append(self, points: CodePoints) -> None:
        """Take in a slice."""
        ids = self.table[points]
        if not ids.all():
            self._admit(np.unique(points[ids == 0]))
            ids = self.table[points]
        ids -= 1
        self.counts += np.bincount(ids, minlength=len(self.counts))
        end = self.used + len(ids)
        if end > len(self.buffer):
            # In place: the system moves pages, and nothing is held twice.
            self.buffer.resize(max(end, len(self.buffer) * 3 // 2), refcheck=False)
        self.buffer[self.used : end] = ids
        self.used = end

    def _admit(self, fresh: CodePoints) -> None:
        """Give the next ids to new characters, in a wider type if need be."""
        known = len(self.points)
        self.points = np.concatenate([self.points, fresh])
        self.counts = np.concatenate([self.counts, np.zeros(len(fresh), np.int64)])
        self.table[fresh] = np.arange(known, len(self.points)) + 1
        dtype = np.min_scalar_type(len(self.points) - 1)
        if dtype != self.buffer.dtype:
            wider = np.empty(len(self.buffer), dtype)
            wider[: self.used] = self.buffer[: self.used]
            self.buffer = wider

    def finish(self, final_ids: NDArray[np.int64], size: int) -> PackedIds:
        """Replace provisional ids by final ones, and let go of the buffer.

        Parameters
        ----------
        final_ids : (kinds,) int64 array
            By provisional id.
        size : int
            The vocabulary's size, which decides the type.
        """
        ids, self.buffer = self.buffer, np.empty(0, np.uint8)
        ids.resize(self.used, refcheck=False)
        final = final_ids.astype(np.min_scalar_type(size - 1))
        result = ids if final.dtype == ids.dtype else np.empty(len(ids), final.dtype)
        for start in range(0, len(ids), SLICE):
            part = slice(start, start + SLICE)
            result[part] = final[ids[part]]
        return result


def _settle(
    packer: _Packer, options: ReadOptions, names: str, notes: list[str]
) -> tuple[Vocab, NDArray[np.int64]]:
    """Decide the vocabulary: its symbols, and the final id by provisional id."""
    if options.vocab is not None:
        return options.vocab, _within(options.vocab, packer, names, notes)
    points, counts = packer.points, packer.counts
    rare = (counts < options.min_count) & (points != ord(REPLACEMENT))
    rare &= ~np.isin(points, code_points(options.structure))
    if rare.any() and not _keeps_characters(points[~rare], options):
        most = counts[rare].max()
        name = one_line(chr(points[rare][counts[rare].argmax()]))
        msg = f"no character is met {options.min_count:,} times: nothing is left"
        hint = (
            f"{field('min_count')} must be lower: the most frequent one, '{name}', is "
            f"met {plural(most, 'time')}"
        )
        raise CorpusError(msg, where=names, hint=hint)
    if rare.any():
        notes.append(
            f"{plural(rare.sum(), 'kind')} of characters met fewer than "
            f"{plural(options.min_count, 'time')} "
            f"({plural(counts[rare].sum(), 'character')} in all) became U+FFFD"
        )
    folded = np.where(rare, np.uint32(ord(REPLACEMENT)), points)
    kept, final_ids = np.unique(folded, return_inverse=True)
    if len(kept) > MAX_SYMBOLS:
        msg = f"{len(kept):,} distinct characters, more than {MAX_SYMBOLS:,}"
        hint = (
            f"is {field('encoding')} right? {field('min_count')} N folds rare ones; "
            f"or use {field('unit', 'byte')}"
        )
        raise CorpusError(msg, where=names, hint=hint)
    totals = np.zeros(len(kept), np.int64)
    np.add.at(totals, final_ids, counts)
    vocab = Vocab(from_code_points(kept), tuple(totals.tolist()), options.unit)
    return vocab, final_ids


def _keeps_characters(kept: NDArray[np.uint32], options: ReadOptions) -> bool:
    """Whether more is kept than what stands for the rest and what ends a line."""
    nothing = set(map(ord, REPLACEMENT + options.structure))
    return not nothing.issuperset(kept.tolist())


def _within(
    vocab: Vocab, packer: _Packer, names: str, notes: list[str]
) -> NDArray[np.int64]:
    """Keep to a given vocabulary, whose symbols have the first provisional ids."""
    strange = len(packer.points) - vocab.size
    final_ids = np.arange(len(packer.points))
    if not strange:
        return final_ids
    counts = packer.counts[vocab.size :]
    replacement = vocab.id_of(REPLACEMENT)
    if replacement is None:
        order = np.argsort(-counts, kind="stable")
        points = packer.points[vocab.size :][order].tolist()
        hint, about = _advice(set(points))
        raise vocab.unknown_symbols(
            list(map(chr, points)),
            [f"{count:,} times" if count > 1 else "once" for count in counts[order]],
            where=names,
            hint=hint,
            about=about,
        )
    final_ids[vocab.size :] = replacement
    notes.append(
        f"{plural(strange, 'kind')} of characters outside the vocabulary "
        f"({plural(counts.sum(), 'character')} in all) became U+FFFD"
    )
    return final_ids


def _advice(strange: set[int]) -> tuple[str, str | None]:
    """Advise what to do about characters outside a vocabulary.

    Returns
    -------
    hint : str
    about : str or None
        The one option that makes all of them disappear.
    """
    line_ends = f"{field('newlines', 'lf')} makes all line ends LF"
    if strange <= LINE_ENDS:
        return line_ends, "newlines"
    rest = "take them out of the text"
    if strange & LINE_ENDS:
        rest = f"{line_ends}; take the rest out of the text"
    min_count = field("min_count", 2)
    return f"{rest}, or train with {min_count}, after which U+FFFD stands for it", None


def _notes(readers: Sequence[Reader]) -> list[str]:
    """Say what was odd about the texts."""
    notes = [f"{r.name} is empty" for r in readers if not r.characters]
    notes += note_blank(sum(r.pairs.blank for r in readers if r.pairs is not None))
    readers = [r for r in readers if r.options.unit == "char"]  # bytes stay as they are
    if returns := sum(reader.carriage_returns for reader in readers):
        found = plural(returns, "carriage return")
        advice = f"{field('newlines', 'lf')} turns CR LF and CR into LF"
        notes.append(f"{found} (CR) found and kept; {advice}")
    if marks := sum(reader.marks for reader in readers):
        found = plural(marks, "byte-order mark")
        notes.append(
            f"{found} (U+FEFF) inside the text kept as invisible characters; "
            "take them out unless they are wanted"
        )
    return notes
