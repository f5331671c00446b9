r"""Text made safe to show: what steers a terminal or breaks a line is spelled out.

Texts, vocabularies and names of files may hold anything: control characters,
overrides of the direction of writing such as U+202E, bytes that are no text.
Every such character is written by its number, always in the same spelling
(`code_escape`); the functions differ in what else they leave alone. What XML
and HTML take for markup is no concern of this module.
"""

from typing import Literal

#: Characters whose escapes have a letter of their own.
LETTERS = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}

#: Control characters (all of C0 and C1, and delete, except newline and tab) and
#: the surrogates that Python puts for bytes of an argument that are not text,
#: each with what a terminal is sent in its place: a table for `str.translate`.
FOR_TERMINALS = {
    code: f"\\x{code:02x}"
    for code in (*range(0x20), *range(0x7F, 0xA0))
    if chr(code) not in "\n\t"
} | {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}


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


def several_lines(text: str) -> str:
    """Escape what would steer a terminal, and keep the line breaks."""
    return "".join(c if c.isprintable() or c == "\n" else code_escape(c) for c in text)


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
