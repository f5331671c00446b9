"""The text that a view reads, from the command line or from a file of any size.

It is read in slices, anew for every checkpoint and view, and encoded by that
checkpoint's vocabulary, whose line ends it gets. Files are UTF-8, less a byte-order
mark, or plain bytes for a model of bytes. A model of pairs reads pairs, as its
training has read them. What can be read only once, such as standard input, is first
put aside: in memory as long as it is short, then in a temporary file.
"""

import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np

from charrnn.arrays import Ids
from charrnn.config import UnknownPolicy
from charrnn.errors import InputError, VocabError, field
from charrnn.lineends import LineEnds
from charrnn.pairs import PairFormat, PairReader
from charrnn.reading import (
    BYTE_MARK,
    SLICE,
    Reader,
    ReadOptions,
    options_for,
    read_slices,
    shown_name,
)
from charrnn.vocab import CodePoints, Vocab, code_points, from_code_points
from charrnn.windows import Documents

#: Bytes of standard input that are kept in memory.
IN_MEMORY = 1 << 24


@dataclass(frozen=True)
class TextForm:
    """How a checkpoint reads a text, and what becomes of strangers in it.

    Attributes
    ----------
    pairs : PairFormat, optional
        How pairs stand in it, for a model of pairs.
    begun : bool
        Of pairs: whether the last one has only begun, see `PairReader.begun`.
    """

    vocab: Vocab
    unknown: UnknownPolicy = "error"
    pairs: PairFormat | None = None
    begun: bool = False

    @property
    def options(self) -> ReadOptions:
        """How bytes become characters."""
        options = options_for(self.vocab)
        if self.pairs is None:
            return options
        separator, allow_empty = self.pairs.separator, self.pairs.allow_empty
        return replace(
            options, pairs=True, pair_separator=separator, allow_empty=allow_empty
        )

    @property
    def pair_format(self) -> PairFormat | None:
        """How pairs stand in a text, in the symbols that it is read as."""
        return None if self.pairs is None else self.options.pair_format


class InspectedText:
    """A text as it was given: characters from an option, bytes from a file.

    Parameters
    ----------
    content : str
    name : str
        For errors.

    Attributes
    ----------
    blank : int
        Of pairs, the empty lines that were left out when all of it was read last.
    """

    def __init__(self, content: str, name: str = field("text")) -> None:
        self.name = name
        self.blank = 0
        self._content = content
        self._path: str | None = None
        self._spool: IO[bytes] | None = None

    @classmethod
    def from_file(cls, source: str) -> "InspectedText":
        """Open a file, or take all of standard input for ``-``.

        Raises
        ------
        InputError
            It cannot be opened or read.
        """
        text = cls("", shown_name(source))
        try:
            if source != "-" and stat.S_ISREG(Path(source).stat().st_mode):
                next(read_slices(source, None), b"")
                text._path = source
                return text
        except (OSError, ValueError):  # the reader knows how to say it
            pass
        text._spool = _put_aside(source)
        return text

    def close(self) -> None:
        """Throw away what was put aside."""
        if self._spool is not None:
            self._spool.close()

    def slices(self, form: TextForm) -> Iterator[CodePoints]:
        """Read the text from its beginning, as symbols of a unit.

        Raises
        ------
        CorpusError
            The file is not UTF-8, or is no text of pairs for a model of pairs.
        InputError
            It cannot be read any more.
        """
        given = self._path is None and self._spool is None
        if form.begun and form.pair_format is not None:
            whole = replace(form, pairs=None)
            text = "".join(map(from_code_points, self.slices(whole)))
            if form.vocab.unit == "byte":
                text = text.removeprefix(BYTE_MARK)
            reader = PairReader(self.name, form.pair_format)
            yield code_points(reader.begun(LineEnds("\n").convert(text, final=True)))
            self.blank = reader.blank
        elif given and form.pair_format is not None:
            text = from_code_points(self._given(form.vocab))
            text = LineEnds("\n").convert(text, final=True)
            reader = PairReader(self.name, form.pair_format)
            yield code_points(reader.convert(text, final=True))
            self.blank = reader.blank
        elif given:
            yield self._given(form.vocab)
        else:
            whole_reader = Reader(self.name, form.options, lambda _: None)
            yield from whole_reader.read(self._bytes())
            pairs = whole_reader.pairs
            self.blank = 0 if pairs is None else pairs.blank

    def _given(self, vocab: Vocab) -> CodePoints:
        """Turn what an option said into symbols."""
        if vocab.unit == "char":
            return code_points(vocab.adapted(self._content))
        every = Vocab("".join(map(chr, range(256))), (0,) * 256, "byte")
        return every.encode(self._content).astype(np.uint32)

    def _bytes(self) -> Iterator[bytes]:
        """Read the file, or what was put aside, from its beginning."""
        if self._spool is None:
            yield from read_slices(self._path or "", None)
            return
        self._spool.seek(0)
        while data := self._spool.read(SLICE):
            yield data

    def ids(self, form: TextForm) -> Iterator[Ids]:
        """Encode the text, slice by slice.

        Raises
        ------
        VocabError
            A character is unknown, and an error is made of that.
        """
        vocab = form.vocab
        for points in self.slices(form):
            ids = vocab.look_up(points)
            known = ids >= 0
            if known.all():
                yield ids
            elif form.unknown == "skip":
                yield ids[known]
            elif form.unknown == "replace":
                yield np.where(known, ids, np.int32(vocab.replacement_id))
            else:
                raise self._unknown(form)

    def pairs(self, form: TextForm) -> Ids:
        """Encode all of a text of pairs, for comparing what is written with it.

        What is done about strangers is done to inputs. A stranger in an output stays
        one, as -1, which no model writes: such an output never comes out right.

        Raises
        ------
        VocabError
            A character is unknown, and an error is made of that.
        """
        vocab = form.vocab
        parts = [vocab.look_up(points) for points in self.slices(form)]
        ids = np.concatenate([np.zeros(0, np.int32), *parts])
        strange = ids < 0
        if form.unknown == "error" and strange.any():
            raise self._unknown(form)
        strange &= ~Documents.of(vocab, lines=False, pairs=True).scored(ids)
        if form.unknown == "skip":
            return ids[~strange]
        ids[strange] = vocab.replacement_id
        return ids

    def _unknown(self, form: TextForm) -> VocabError:
        """Name what the vocabulary does not have, and its first places."""
        places: dict[str, int] = {}
        before = 0
        for points in self.slices(form):
            found, _ = form.vocab.unknown_places(from_code_points(points))
            for symbol, place in found.items():
                places.setdefault(symbol, before + place)
            before += len(points)
        return form.vocab.not_encodable(places)

    def count(self, form: TextForm) -> tuple[int, int]:
        """Count the characters as encoded, and those that were unknown.

        Raises
        ------
        CorpusError, InputError, VocabError
            As in `ids`: whoever counts first knows that nothing will go wrong.
        """
        total = unknown_count = 0
        for points in self.slices(form):
            lost = int(np.count_nonzero(form.vocab.look_up(points) < 0))
            if lost and form.unknown == "error":
                raise self._unknown(form)
            total += len(points) - (lost if form.unknown == "skip" else 0)
            unknown_count += lost
        return total, unknown_count

    def head(self, form: TextForm, limit: int | None) -> Ids:
        """Encode the beginning of the text; all of it without a limit."""
        parts, left = [np.zeros(0, np.int32)], limit
        for ids in self.ids(form):
            parts.append(ids if left is None else ids[:left])
            if left is not None:
                left -= len(parts[-1])
                if left == 0:
                    break
        return np.concatenate(parts)


def _put_aside(source: str) -> IO[bytes]:
    """Copy what can be read only once; whatever prevents it is an `InputError`."""
    spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
    try:
        for data in read_slices(source, None):
            spool.write(data)
    except InputError:
        spool.close()
        raise
    return spool
