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
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from charrnn.arrays import Ids
from charrnn.config import UnitName, UnknownPolicy
from charrnn.errors import VocabError, field
from charrnn.lineends import LineEnds
from charrnn.options import check_choice

CodePoints: TypeAlias = NDArray[np.uint32]

#: What stands for characters that the vocabulary leaves out.
REPLACEMENT = "\ufffd"

#: Symbols that end something: a line, or an input.
ENDING = frozenset("\n\r\t")

#: Unknown characters that an error names before it only counts the rest.
NAMED = 10

#: Unicode's forms of letters with marks, as one character and as several, and what
#: to do about a text that is not in the form of the vocabulary.
FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
TO_FORM = {
    "NFC": "write letters with their marks as one (Unicode's form NFC)",
    "NFD": "write letters and marks apart (Unicode's form NFD)",
}

#: Unknown marks whose letters are looked at.
MOST_MARKS = 100_000

#: Known look-alikes that an error offers for each of them.
OFFERED = 3

#: Typographic characters that Unicode does not decompose to plain ones.
LOOKALIKES = str.maketrans("‘’‚‛“”„‟«»‹›‐‑‒–—―−", "''''\"\"\"\"\"\"''-------")  # noqa: RUF001


def code_points(text: str) -> CodePoints:
    """Turn a text into an array of code points, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def from_code_points(points: CodePoints) -> str:
    """Turn an array of code points into a text, halves of surrogate pairs included."""
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


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


def _decomposed(symbol: str) -> str:
    """Part a character into a letter and its marks."""
    return unicodedata.normalize("NFD", symbol)


def _is_mark(symbol: str) -> bool:
    """Tell whether a character belongs to the letter before it.

    Marks do, and the vowels and final consonants of Korean syllables.
    """
    return unicodedata.combining(symbol) > 0 or "\u1160" <= symbol <= "\u11ff"


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

    @property
    def line_end(self) -> str | None:
        r"""The one line end that it knows, CR or LF; None where it knows both.

        A vocabulary of bytes takes every byte as it is: None as well.
        """
        returns = "\r" in self.symbols
        if self.unit == "byte" or (returns and "\n" in self.symbols):
            return None
        return "\r" if returns else "\n"

    def adapted(self, text: str) -> str:
        """Give a text the line ends of this vocabulary."""
        return LineEnds(self.line_end).convert(text, final=True)

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
        """What stands for an unknown symbol: U+FFFD, a space or the commonest.

        A tab or a line end only where there is nothing else: it may end more than a
        word.
        """
        for symbol in (REPLACEMENT, " "):
            index = self.id_of(symbol)
            if index is not None:
                return index
        others = [n for n, symbol in enumerate(self.symbols) if symbol not in ENDING]
        if not others:
            return self.most_frequent_id
        return max(others, key=lambda n: (self.counts[n], -n))

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
            raise self.not_encodable(self._places(points, ids))
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
            Marks are named with the letter before them, where the vocabulary has
            all as one character.
        count : int
            How many unknown symbols there are in all.
        """
        points = code_points(symbols)
        ids = self.look_up(points)
        return self._places(points, ids), int(np.count_nonzero(ids < 0))

    def _places(self, points: CodePoints, ids: Ids) -> dict[str, int]:
        """Find the first place of each unknown code point, or letter with its marks."""
        places = np.flatnonzero(ids < 0)
        if not places.size:
            return {}
        found, covered = self._letters_with_marks(points, places)
        places = places[~np.isin(places, covered)]
        kinds, first = np.unique(points[places], return_index=True)
        pairs = zip(kinds.tolist(), places[first].tolist(), strict=True)
        found |= {chr(point): place for point, place in pairs}
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def _letters_with_marks(
        self, points: CodePoints, places: NDArray[np.intp]
    ) -> tuple[dict[str, int], list[int]]:
        """Find letters with their marks that the vocabulary has as one character.

        Parameters
        ----------
        points : (N,) code points
            A text.
        places : (M,) int array
            Where it is unknown.

        Returns
        -------
        found : dict
            Of each such letter the first place.
        covered : list of int
            All places of such letters and their marks.
        """
        found: dict[str, int] = {}
        covered: list[int] = []
        kinds = [n for n in np.unique(points[places]).tolist() if _is_mark(chr(n))]
        if self.unit == "byte" or not kinds:
            return found, covered
        for place in places[np.isin(points[places], kinds)][:MOST_MARKS].tolist():
            begin, end = place, place + 1
            while begin and _is_mark(chr(points[begin])):
                begin -= 1
            while end < len(points) and _is_mark(chr(points[end])):
                end += 1
            letter = "".join(map(chr, points[begin:end]))
            if self._other_form(letter):
                found.setdefault(letter, begin)
                covered += range(begin, end)
        return found, covered

    def _other_form(self, text: str) -> tuple[str, str] | None:
        """Find the Unicode form of a text that the vocabulary has, if not this one.

        Returns
        -------
        form : {"NFC", "NFD"}
        text : str
            The text in that form.
        """
        for form in FORMS:
            other = unicodedata.normalize(form, text)
            if other != text and set(other) <= set(self.symbols):
                return form, other
        return None

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
        about: str | None = None,
    ) -> VocabError:
        """Build the error that names symbols this vocabulary does not have.

        Parameters
        ----------
        symbols : sequence of str
            The unknown symbols, each once.
        details : sequence of str
            What to say of each: where it stands, or how often.
        about : str, optional
            The option that the error is about.
        """
        items, forms = [], []
        for symbol, detail in zip(symbols[:NAMED], details, strict=False):
            other = None if self.unit == "byte" else self._other_form(symbol)
            if other is None:
                near = " ".join(map(repr, self.nearest(symbol)))
                known = f" (nearest {near})" if near else ""
                forms += ["NFC"] if near and _is_mark(symbol) else []
            else:
                form, text = other
                names = " ".join(map(name_symbol, text))
                known = f" (known in the form {form}: {names})"
                forms.append(form)
            name = name_symbol(symbol[0], self.unit)
            if len(symbol) > 1:
                name = f"{symbol!r} " + " ".join(f"U+{ord(s):04X}" for s in symbol)
            items.append(f"{name} {detail}{known}")
        if forms:
            hint = f"{TO_FORM[forms[0]]}; {hint}"
        more = len(symbols) - NAMED
        rest = f" and {more:,} more" if more > 0 else ""
        msg = f"not in the vocabulary: {', '.join(items)}{rest}"
        return VocabError(msg, where=where, hint=hint, field=about)

    def nearest(self, symbol: str) -> str:
        """Offer known symbols for an unknown one: the same letter, plain or cased.

        For a combining mark these are letters with it. Bytes have no neighbors: empty
        in byte mode.
        """
        if self.unit == "byte":
            return ""
        if _is_mark(symbol):
            with_it = [s for s in self.symbols if symbol in _decomposed(s)]
            return "".join(with_it[:OFFERED])
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
