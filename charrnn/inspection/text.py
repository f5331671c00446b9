"""The text that a view reads, from the command line or from a file of any size.

It is read in slices, anew for every checkpoint and view, and encoded by that
checkpoint's vocabulary, whose line ends it gets. Files are UTF-8, less a byte-order
mark, or plain bytes for a model of bytes. What can be read only once, such as
standard input, is first put aside: in memory as long as it is short, then in a
temporary file.
"""

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from charrnn.arrays import Ids
from charrnn.config import UnknownPolicy
from charrnn.errors import InputError, VocabError, field
from charrnn.reading import SLICE, Reader, options_for, read_slices, shown_name
from charrnn.vocab import CodePoints, Vocab, code_points

#: Bytes of standard input that are kept in memory.
IN_MEMORY = 1 << 24


class InspectedText:
    """A text as it was given: characters from an option, bytes from a file.

    Parameters
    ----------
    content : str
    name : str
        For errors.
    """

    def __init__(self, content: str, name: str = field("text")) -> None:
        self.name = name
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

    def slices(self, vocab: Vocab) -> Iterator[CodePoints]:
        """Read the text from its beginning, as symbols of a unit.

        Raises
        ------
        CorpusError
            The file is not UTF-8.
        InputError
            It cannot be read any more.
        """
        if self._path is None and self._spool is None:
            yield self._given(vocab)
            return
        reader = Reader(self.name, options_for(vocab), lambda _: None)
        yield from reader.read(self._bytes())

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

    def ids(self, vocab: Vocab, unknown: UnknownPolicy) -> Iterator[Ids]:
        """Encode the text, slice by slice.

        Raises
        ------
        VocabError
            A character is unknown, and `unknown` is "error".
        """
        for points in self.slices(vocab):
            ids = vocab.look_up(points)
            known = ids >= 0
            if known.all():
                yield ids
            elif unknown == "skip":
                yield ids[known]
            elif unknown == "replace":
                yield np.where(known, ids, np.int32(vocab.replacement_id))
            else:
                raise self._unknown(vocab)

    def _unknown(self, vocab: Vocab) -> VocabError:
        """Name what the vocabulary does not have, and its first places."""
        places: dict[str, int] = {}
        before = 0
        for points in self.slices(vocab):
            found, _ = vocab.unknown_places(_as_text(points))
            for symbol, place in found.items():
                places.setdefault(symbol, before + place)
            before += len(points)
        return vocab.not_encodable(places)

    def count(self, vocab: Vocab, unknown: UnknownPolicy) -> tuple[int, int]:
        """Count the characters as encoded, and those that were unknown.

        Raises
        ------
        CorpusError, InputError, VocabError
            As in `ids`: whoever counts first knows that nothing will go wrong.
        """
        total = unknown_count = 0
        for points in self.slices(vocab):
            lost = int(np.count_nonzero(vocab.look_up(points) < 0))
            if lost and unknown == "error":
                raise self._unknown(vocab)
            total += len(points) - (lost if unknown == "skip" else 0)
            unknown_count += lost
        return total, unknown_count

    def head(self, vocab: Vocab, unknown: UnknownPolicy, limit: int | None) -> Ids:
        """Encode the beginning of the text; all of it without a limit."""
        parts, left = [np.zeros(0, np.int32)], limit
        for ids in self.ids(vocab, unknown):
            parts.append(ids if left is None else ids[:left])
            if left is not None:
                left -= len(parts[-1])
                if left == 0:
                    break
        return np.concatenate(parts)


def _as_text(points: CodePoints) -> str:
    """Turn code points into a text, halves of surrogate pairs included."""
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


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
