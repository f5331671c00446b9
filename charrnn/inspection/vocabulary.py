"""The view ``vocab``: the symbols that a model knows, in the order of their ids."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.config import UnitName
from charrnn.escapes import table_cell
from charrnn.inspection.blocks import Bars, Block, Column, Table
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.view import View
from charrnn.vocab import Vocab

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint

#: Control characters have no name in Unicode's table; these are the common ones.
CONTROL_NAMES = {
    "\0": "NULL",
    "\a": "BELL",
    "\b": "BACKSPACE",
    "\t": "TAB",
    "\n": "LINE FEED",
    "\v": "VERTICAL TAB",
    "\f": "FORM FEED",
    "\r": "CARRIAGE RETURN",
    "\x1b": "ESCAPE",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
}


@dataclass(frozen=True, slots=True)
class Symbol:
    """One character, or one byte as the Latin-1 character of its number."""

    index: int
    char: str
    code_point: str  # U+0041; of a byte 0x41
    name: str
    count: int  # in the corpus


@dataclass(frozen=True)
class Vocabulary(ViewData):
    """All symbols, and how many characters the corpus had."""

    columns = ("index", "char", "code_point", "name", "count")

    unit: UnitName
    characters: int
    symbols: tuple[Symbol, ...]

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a symbol."""
        for s in self.symbols:
            char = table_cell(s.char, self.unit)
            yield s.index, char, s.code_point, s.name, s.count


def list_symbols(vocab: Vocab) -> Vocabulary:
    """Name and number every symbol of a vocabulary."""
    symbols = tuple(
        Symbol(
            index=index,
            char=char,
            code_point=_code_point(char, vocab.unit),
            name=name_of(char, vocab.unit),
            count=count,
        )
        for index, (char, count) in enumerate(
            zip(vocab.symbols, vocab.counts, strict=True)
        )
    )
    return Vocabulary(vocab.unit, sum(vocab.counts), symbols)


def name_of(char: str, unit: UnitName) -> str:
    """Find a character's name in Unicode; bytes above ASCII have none."""
    if unit == "byte" and not char.isascii():
        return ""
    fallback = "CONTROL" if unicodedata.category(char) == "Cc" else ""
    return unicodedata.name(char, "") or CONTROL_NAMES.get(char, fallback)


def _code_point(char: str, unit: UnitName) -> str:
    """Write a symbol's number the way its unit is usually written."""
    return f"0x{ord(char):02X}" if unit == "byte" else f"U+{ord(char):04X}"


class VocabView(View[Vocabulary]):
    """Every symbol with its share of the corpus."""

    name = "vocab"
    about = "the symbols that the model knows, with their counts in the corpus"
    page = 4

    def compute(self, checkpoint: "InspectedCheckpoint") -> Vocabulary:
        """Name and number every symbol."""
        return list_symbols(checkpoint.file.vocab)

    def blocks(self, data: Vocabulary) -> Iterator[Block]:
        """Show a row a symbol."""
        symbols, total = data.symbols, max(1, data.characters)
        most = max(1, max(symbol.count for symbol in symbols))
        columns: list[Column | Bars] = [
            Column("id", [f"{s.index}" for s in symbols], "right", faint=True),
            Column("char", [s.char for s in symbols], symbols=True),
            Column("code", [s.code_point for s in symbols]),
            Column("count", [f"{s.count:,}" for s in symbols], "right"),
            Column("share", [f"{s.count / total:.2%}" for s in symbols], "right", 2),
            Bars([s.count / most for s in symbols], rank=3),
            Column("name", [s.name for s in symbols], rank=1, shrinks=True, faint=True),
        ]
        yield Table(columns, "symbols", data.unit)


VIEW = VocabView()
