"""The characters of a text and their ids.

An id is a character's place in the vocabulary, which is sorted by code point.
With ``unit="byte"`` the symbols are the bytes of the text, written as the 256
characters of Latin-1, so that everything below serves both units.

A vocabulary is also built from checkpoints that nobody vouches for: it checks
itself and raises ``ValueError``. Reading texts is `charrnn.corpus`'s business.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from charrnn.arrays import Ids
from charrnn.config import UnitName, UnknownPolicy
from charrnn.errors import VocabError, field
from charrnn.options import check_choice

CodePoints: TypeAlias = NDArray[np.uint32]

#: What stands for characters that the vocabulary leaves out.
REPLACEMENT = "\ufffd"

#: Unknown characters that an error names before it only counts the rest.
NAMED = 10

#: Known look-alikes that an error offers for each of them.
OFFERED = 3

#: Typographic characters that Unicode does not decompose to plain ones.
LOOKALIKES = str.maketrans("‘’‚‛“”„‟«»‹›‐‑‒–—―−", "''''\"\"\"\"\"\"''-------")  # noqa: RUF001


def code_points(text: str) -> CodePoints:
    """Turn a text into an array of code points, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def from_code_points(points: CodePoints) -> str:
    """Turn an array of code points, none of them a surrogate, into a text."""
    return points.astype("<u4").tobytes().decode("utf-32-le")


def name_symbol(symbol: str, unit: UnitName = "char") -> str:
    r"""Write a symbol so that a person can tell it: ``'é' U+00E9``, ``'\n' U+000A``.

    A byte reads ``byte 0xE9``.
    """
    if unit == "byte":
        return f"byte 0x{ord(symbol):02X}"
    return f"{symbol!r} U+{ord(symbol):04X}"


def _plain(symbol: str) -> str:
    """Reduce a character to what stays without accents and typography."""
    if symbol.isspace():
        return " "
    base, *marks = list(unicodedata.normalize("NFKD", symbol))
    if not all(map(unicodedata.combining, marks)):
        return symbol  # several letters in one, such as a ligature
    return base.translate(LOOKALIKES)


def _utf8(text: str) -> bytes:
    """Encode a text, giving back bytes that the command line had to escape."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Vocab:
    """The symbols that a model knows, in the order of their ids.

    Raises
    ------
    ValueError
        The symbols are not distinct, sorted characters, or the counts are not
        one natural number for each.
    """

    symbols: str  # every symbol once, sorted by code point
    counts: tuple[int, ...]  # how often each stands in the corpus
    unit: UnitName = "char"

    def __post_init__(self) -> None:
        """Check what a damaged or forged checkpoint could hold."""
        if self.unit not in get_args(UnitName):
            msg = f"unknown unit {self.unit!r}"
            raise ValueError(msg)
        if type(self.symbols) is not str or not self.symbols:
            msg = "a vocabulary is a text of at least one symbol"
            raise ValueError(msg)
        points = self.points
        if np.any((points >= 0xD800) & (points <= 0xDFFF)):
            msg = "the vocabulary holds surrogates, which are no characters"
            raise ValueError(msg)
        if np.any(points[1:] <= points[:-1]):
            msg = "the symbols are not distinct and sorted by code point"
            raise ValueError(msg)
        if self.unit == "byte" and points[-1] > 0xFF:
            msg = "a symbol of a byte vocabulary is above U+00FF"
            raise ValueError(msg)
        self._check_counts()

    def _check_counts(self) -> None:
        """Raise `ValueError` unless every symbol has its count."""
        if type(self.counts) is not tuple or len(self.counts) != len(self.symbols):
            msg = f"{len(self.symbols)} symbols need as many counts, in a tuple"
            raise ValueError(msg)
        if not all(type(n) is int and 0 <= n < 2**63 for n in self.counts):
            msg = "a count is not a natural number below 2**63"
            raise ValueError(msg)

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def size(self) -> int:
        """Number of symbols: the model's V."""
        return len(self.symbols)

    @cached_property
    def points(self) -> CodePoints:
        """Code points of the symbols, rising."""
        return code_points(self.symbols)

    def id_of(self, symbol: str) -> int | None:
        """Look up one symbol; None when it is unknown."""
        index = self.symbols.find(symbol)
        return index if index >= 0 else None

    @property
    def newline_id(self) -> int | None:
        r"""The id of ``\n``, which parts lines and documents."""
        return self.id_of("\n")

    @cached_property
    def most_frequent_id(self) -> int:
        """The symbol that stands in the corpus most often, the first of equals."""
        return self.counts.index(max(self.counts))

    @cached_property
    def known_counts(self) -> NDArray[np.float64]:
        """How often each symbol stands in the corpus, (V,); all alike if none does.

        A text before which nothing is read begins with symbols in these shares.
        """
        counts = np.array(self.counts, np.float64)
        return counts if counts.any() else np.ones_like(counts)

    @cached_property
    def replacement_id(self) -> int:
        """What stands for an unknown symbol: U+FFFD, a space or the commonest."""
        for symbol in (REPLACEMENT, " "):
            index = self.id_of(symbol)
            if index is not None:
                return index
        return self.most_frequent_id

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> Ids:
        """Turn a text into ids; in byte mode its UTF-8 bytes.

        Parameters
        ----------
        text : str
            Any text, also one with lone surrogates.
        unknown : {"error", "skip", "replace"}
            What to do with symbols outside the vocabulary.

        Raises
        ------
        VocabError
            A symbol is unknown, and `unknown` is "error".
        """
        if self.unit == "byte":
            return self.encode_bytes(_utf8(text), unknown)
        return self._encode(code_points(text), unknown)

    def encode_bytes(self, data: bytes, unknown: UnknownPolicy = "error") -> Ids:
        """Turn raw bytes into ids; only a byte vocabulary can."""
        if self.unit != "byte":
            msg = "only a byte vocabulary encodes bytes"
            raise ValueError(msg)
        return self._encode(np.frombuffer(data, np.uint8).astype(np.uint32), unknown)

    def look_up(self, points: CodePoints) -> Ids:
        """Turn code points (N,) into ids (N,); -1 for unknown ones."""
        ids = np.searchsorted(self.points, points).astype(np.int32)
        np.minimum(ids, self.size - 1, out=ids)
        ids[self.points[ids] != points] = -1
        return ids

    def _encode(self, points: CodePoints, unknown: UnknownPolicy) -> Ids:
        """Look up every code point at once."""
        check_choice(field("unknown"), unknown, get_args(UnknownPolicy))
        ids = self.look_up(points)
        known = ids >= 0
        if known.all():
            return ids
        if unknown == "skip":
            return ids[known]
        if unknown == "error":
            raise self.not_encodable(self._places(points, known))
        ids[~known] = self.replacement_id
        return ids

    def unknown_places(self, symbols: str) -> tuple[dict[str, int], int]:
        """Find what a text has that is not in the vocabulary.

        Parameters
        ----------
        symbols : str
            Characters, or those of Latin-1 for a vocabulary of bytes.

        Returns
        -------
        places : dict
            Of each unknown symbol the first place, from 0, in the order of places.
        count : int
            How many unknown symbols there are in all.
        """
        points = code_points(symbols)
        known = self.look_up(points) >= 0
        return self._places(points, known), int(points.size - known.sum())

    @staticmethod
    def _places(points: CodePoints, known: NDArray[np.bool]) -> dict[str, int]:
        """Find the first place of each unknown code point."""
        places = np.flatnonzero(~known)
        kinds, first = np.unique(points[places], return_index=True)
        order = np.argsort(first)
        found = zip(kinds[order].tolist(), places[first[order]].tolist(), strict=True)
        return {chr(point): place for point, place in found}

    def not_encodable(self, places: Mapping[str, int]) -> VocabError:
        """Build the error that names each unknown symbol of a text and its place."""
        return self.unknown_symbols(
            list(places),
            [f"at {place + 1:,}" for place in places.values()],
            hint=f"{field('unknown', 'skip')} leaves them out, "
            f"{field('unknown', 'replace')} puts "
            f"{self.symbols[self.replacement_id]!r} in their place",
        )

    def unknown_symbols(
        self,
        symbols: Sequence[str],
        details: Sequence[str],
        *,
        where: str | None = None,
        hint: str,
    ) -> VocabError:
        """Build the error that names symbols this vocabulary does not have.

        Parameters
        ----------
        symbols : sequence of str
            The unknown symbols, each once.
        details : sequence of str
            What to say of each: where it stands, or how often.
        """
        items = []
        for symbol, detail in zip(symbols[:NAMED], details, strict=False):
            near = " ".join(map(repr, self.nearest(symbol)))
            nearest = f" (nearest {near})" if near else ""
            items.append(f"{name_symbol(symbol, self.unit)} {detail}{nearest}")
        more = len(symbols) - NAMED
        rest = f" and {more:,} more" if more > 0 else ""
        msg = f"not in the vocabulary: {', '.join(items)}{rest}"
        return VocabError(msg, where=where, hint=hint)

    def nearest(self, symbol: str) -> str:
        """Offer known symbols for an unknown one: the same letter, plain or cased.

        Bytes have no neighbors: empty in byte mode.
        """
        if self.unit == "byte":
            return ""
        plain = _plain(symbol)
        family = [s for s in self.symbols if _plain(s).casefold() == plain.casefold()]
        family.sort(key=lambda s: (s != plain, s != symbol.swapcase()))
        return "".join(family[:OFFERED])

    def _select(self, ids: ArrayLike) -> CodePoints:
        """Code points of ids, refusing those that stand for nothing."""
        index = np.asarray(ids, np.int64)
        if index.size and not 0 <= index.min() <= index.max() < self.size:
            msg = f"an id is outside 0 to {self.size - 1}"
            raise ValueError(msg)
        return self.points[index]

    def to_symbols(self, text: str) -> str:
        """Write a text in symbols: of a byte vocabulary those of its UTF-8."""
        return _utf8(text).decode("latin-1") if self.unit == "byte" else text

    def decode(self, ids: ArrayLike) -> str:
        """Turn ids into text; bytes that are not UTF-8 become U+FFFD."""
        if self.unit == "byte":
            return self.to_bytes(ids).decode("utf-8", "replace")
        return from_code_points(self._select(ids))

    def to_bytes(self, ids: ArrayLike) -> bytes:
        """Turn ids into what goes to a pipe: raw bytes, or the text's UTF-8."""
        if self.unit == "byte":
            return self._select(ids).astype(np.uint8).tobytes()
        return from_code_points(self._select(ids)).encode("utf-8")
