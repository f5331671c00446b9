r"""Characters as a terminal can show them, one symbol a place.

Texts and vocabularies may hold anything: control characters, marks that
combine with their neighbor, wide characters, or what has no picture at all.
Here every symbol becomes a short printable text of known width, so that
tables keep their columns and a terminal is never sent a command.
"""

import unicodedata
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len

from charrnn.config import UnitName
from charrnn.escapes import code_escape

#: The pictures of control characters: U+2400 and up, in the order of C0.
PICTURES = 0x2400
DELETE = "\u2421"
SPACE = "\u2423"

#: Carries a combining mark that stands alone.
CIRCLE = "\u25cc"

#: Short names for what ASCII has no picture of.
ASCII_NAMES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}


class Look(NamedTuple):
    """How wide, and with which characters, something is drawn."""

    width: int = 80
    ascii: bool = False
    unit: UnitName = "char"


@lru_cache(maxsize=4096)
def visible(symbol: str, look: Look) -> str:
    r"""Show one symbol: itself where that can be seen, else a stand-in.

    Control characters become their pictures (``␊``), a lone combining mark
    sits on a dotted circle, and everything without a picture, or above ASCII
    in a model of bytes, is written by its number (``\x9b``, ``\u200d``). With
    ``look.ascii`` only ASCII comes out.
    """
    plain = look.ascii or (look.unit == "byte" and not symbol.isascii())
    if plain:
        shown = symbol.isascii() and symbol.isprintable() and symbol != "\\"
        return symbol if shown else ASCII_NAMES.get(symbol, code_escape(symbol))
    if symbol < " ":
        return chr(PICTURES + ord(symbol))
    if symbol == "\x7f":
        return DELETE
    if not symbol.isprintable():
        return code_escape(symbol)
    if cell_len(symbol) > 0 and not _joins(symbol):
        return symbol
    # Terminals disagree about the width of other marks.
    selector = unicodedata.name(symbol, "").startswith("VARIATION SELECTOR")
    if unicodedata.category(symbol) == "Mn" and not selector:
        return CIRCLE + symbol
    return code_escape(symbol)


def _joins(symbol: str) -> bool:
    """Tell whether a symbol changes the one next to it, though it has a width."""
    flag_letter = "\U0001f1e6" <= symbol <= "\U0001f1ff"
    return flag_letter or unicodedata.category(symbol).startswith("M")


def named(symbol: str, look: Look) -> str:
    """Show one symbol where white space around it could be taken for nothing."""
    if symbol == " ":
        return "' '" if look.ascii else SPACE
    return visible(symbol, look)


def shown_text(text: str, look: Look) -> str:
    """Show every symbol of a text on one line."""
    return "".join(visible(symbol, look) for symbol in text)


def fit(text: str, width: int) -> str:
    """Cut a text to so many cells, and fill it up with spaces."""
    if text.isascii():
        return text[:width].ljust(width)
    kept = text
    while cell_len(kept) > width:
        kept = kept[:-1]
    return kept + " " * (width - cell_len(kept))
