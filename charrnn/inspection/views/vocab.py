"""The view ``vocab``: the symbols that a model knows, in the order of their ids."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from charrnn.inspection.blocks import Bars, Block, Column, Table
from charrnn.inspection.view import View

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.vocabulary import Vocabulary


class VocabView(View["Vocabulary"]):
    """Every symbol with its share of the corpus."""

    name = "vocab"
    about = "the symbols that the model knows, with their counts in the corpus"
    page = 4

    def compute(self, checkpoint: "InspectedCheckpoint") -> "Vocabulary":
        """Name and number every symbol."""
        from charrnn.inspection.vocabulary import list_symbols

        return list_symbols(checkpoint.file.vocab)

    def blocks(self, data: "Vocabulary") -> Iterator[Block]:
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
