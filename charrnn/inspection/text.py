"""The text that a view reads, from the command line or from a file.

It is read once and encoded for each checkpoint by that one's vocabulary. Files
are UTF-8, less a byte-order mark, or plain bytes for a model of bytes.
"""

from dataclasses import dataclass

from charrnn.arrays import Ids
from charrnn.config import UnknownPolicy
from charrnn.errors import CorpusError, InputError
from charrnn.reading import Reader, ReadOptions, read_slices, shown_name
from charrnn.vocab import Vocab, from_code_points


@dataclass(frozen=True)
class Text:
    """A text as it was given: characters from an option, bytes from a file."""

    content: str | bytes
    name: str = "--text"

    @classmethod
    def from_file(cls, source: str) -> "Text":
        """Read a whole file, or standard input for ``-``.

        Raises
        ------
        InputError
            It cannot be opened or read.
        """
        try:
            data = b"".join(read_slices(source, None))
        except InputError as error:
            error.hint = None  # it speaks of training
            raise
        return cls(data, shown_name(source))

    def encode(self, vocab: Vocab, unknown: UnknownPolicy) -> tuple[Ids, int]:
        """Turn the text into ids.

        Returns
        -------
        ids : (N,) int array
        strangers : int
            Characters outside the vocabulary that were skipped or replaced.

        Raises
        ------
        CorpusError
            The file is not UTF-8.
        VocabError
            A character is unknown, and `unknown` is "error".
        """
        ids = self._encode(vocab, unknown)
        if unknown == "error":
            return ids, 0
        known = self._encode(vocab, "skip")
        return ids, len(self._encode(vocab, "replace")) - len(known)

    def _encode(self, vocab: Vocab, unknown: UnknownPolicy) -> Ids:
        """Turn the text into ids, bytes without a detour."""
        if vocab.unit == "byte" and isinstance(self.content, bytes):
            return vocab.encode_bytes(self.content, unknown)
        return vocab.encode(self._decoded(), unknown)

    def _decoded(self) -> str:
        """Decode the bytes of a file."""
        if isinstance(self.content, str):
            return self.content
        reader = Reader(self.name, ReadOptions(), lambda _: None)
        try:
            return "".join(map(from_code_points, reader.read([self.content])))
        except CorpusError as error:
            error.hint = "texts to inspect are read as UTF-8"
            raise
