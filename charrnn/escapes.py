r"""Text made safe to show: what steers a terminal or breaks a line is spelled out.

Texts, vocabularies and names of files may hold anything: control characters,
overrides of the direction of writing such as U+202E, bytes that are no text.
Every such character is written by its number, always in the same spelling
(`code_escape`); the functions differ in what else they leave alone. What XML
and HTML take for markup is no concern of this module.
"""

import re
import unicodedata
from typing import Literal

#: Characters whose escapes have a letter of their own.
LETTERS = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}

#: A backslash with what it may begin; whatever else follows is an error.
ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.?)", re.DOTALL)
SHORT_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\"}

#: What looks odd to Python and steers no terminal: joiners, without which words of
#: Persian and families of emoji fall apart, and marks of direction, which reorder
#: nothing but the signs beside them.
HARMLESS = "\n\t\u200c\u200d\u200e\u200f\u061c"

#: Categories of Unicode that may steer a terminal or break a line: control and
#: format characters, separators of lines and paragraphs, halves of pairs.
STEERING = ("Cc", "Cf", "Zl", "Zp", "Cs")


def code_escape(symbol: str) -> str:
    r"""Write a character by its number: ``\x1b``, ``\u202e``, ``\U000e0001``."""
    code = ord(symbol)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def one_line(text: str) -> str:
    """Escape what would break a line of a message or steer a terminal."""
    return "".join(
        c if c.isprintable() else LETTERS.get(c) or code_escape(c) for c in text
    )


def shortened(text: str, most: int = 60) -> str:
    """Cut a text that is too long for a message."""
    return text if len(text) <= most else f"{text[:most]}..."


def several_lines(text: str) -> str:
    r"""Escape what would steer a terminal, and keep line breaks, tabs and spaces.

    Bytes of an argument that are no text, for which Python puts surrogates, are
    written as bytes: ``\xe9``.
    """
    return text if text.isprintable() else text.translate(_FOR_TERMINALS)


def expand(text: str, unit: Literal["char", "byte"] = "char") -> str:
    r"""Put what they stand for in the place of backslash escapes.

    ``\n``, ``\t`` and ``\\``; ``\xHH`` is the character U+00HH, or the byte HH
    for a model of bytes; ``\uHHHH`` is the character U+HHHH.

    Parameters
    ----------
    text : str
        Symbols, escapes apart.

    Raises
    ------
    ValueError
        A backslash begins none of them. It has what is wrong, and what to do.
    """

    def replacement(match: re.Match[str]) -> str:
        body = match[1]
        if len(body) < 2:
            if body not in SHORT_ESCAPES:
                msg = f"{match[0]} is not an escape"
                raise ValueError(msg, r"known are \n \t \\ \xHH \uHHHH")
            return SHORT_ESCAPES[body]
        character = chr(int(body[1:], 16))
        if "\ud800" <= character <= "\udfff":
            msg = f"{match[0]} is half a character"
            raise ValueError(msg, "write the character itself")
        if unit == "byte" and body[0] == "u":
            return character.encode().decode("latin-1")
        return character

    return ESCAPE.sub(replacement, text)


class _ForTerminals(dict[int, str]):
    """What a terminal is sent for a character: found once, when it is met."""

    def __missing__(self, code: int) -> str:
        """Decide about a character that has not been met."""
        symbol = shown = chr(code)
        if 0xDC80 <= code <= 0xDCFF:
            shown = code_escape(chr(code - 0xDC00))
        elif symbol not in HARMLESS and unicodedata.category(symbol) in STEERING:
            shown = code_escape(symbol)
        self[code] = shown
        return shown


_FOR_TERMINALS = _ForTerminals()


def readable(symbols: str, unit: Literal["char", "byte"]) -> str:
    """Turn a model's symbols into text; bytes that are not UTF-8 become U+FFFD."""
    if unit == "byte":
        return symbols.encode("latin-1").decode("utf-8", "replace")
    return symbols


def table_cell(text: str, unit: Literal["char", "byte"] = "char") -> str:
    r"""Write a text so that it fits into a tab-separated cell and can be read back.

    Backslashes are doubled.

    Parameters
    ----------
    unit : str
        What a character stands for. Bytes above ASCII are written ``\xHH``:
        they are not Latin-1.
    """
    if text.isalnum() and (text.isascii() or unit == "char"):
        return text  # nearly all characters of nearly all texts
    return "".join(_cell_symbol(symbol, unit) for symbol in text)


def _cell_symbol(symbol: str, unit: str) -> str:
    """Escape one character of a cell if it must be."""
    if symbol == "\\":
        return "\\\\"
    if symbol.isprintable() and (symbol.isascii() or unit == "char"):
        return symbol
    return LETTERS.get(symbol) or code_escape(symbol)
