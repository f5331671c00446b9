"""Commands and parts of commands that messages print, to be pasted into a shell.

Whatever a file is called: every command that names one is put together here.
"""

import os
import shlex
from typing import NamedTuple

#: Bytes that stand for themselves inside ``$'...'``. An interactive shell may take
#: an exclamation mark for a part of its history.
_PLAIN = set(range(0x20, 0x7F)) - set(b"'\\!")


class FilesIn(NamedTuple):
    """A word of a command that a shell is to replace by the files of a directory.

    Parameters
    ----------
    directory : str
        Whatever it is called, it is taken literally.
    pattern : str
        What the names of the files are like, such as ``*.txt``.
    """

    directory: str
    pattern: str


def shell_command(*words: str | FilesIn) -> str:
    """Write a command of these words; a shell that is given it reads them again.

    Those that are paths have to be made arguments first, by `as_argument`.
    """
    return " ".join(map(shell_word, words))


def shell_word(word: str | FilesIn) -> str:
    r"""Write a word as a shell reads it.

    What would not survive that, bytes that are no text included, is written as
    bash, ksh and zsh read it: $'\xff'.
    """
    if isinstance(word, FilesIn):
        directory = as_argument(word.directory).rstrip("/")
        # The root directory has nothing but its slash for a name.
        return f"{shell_word(directory) if directory else ''}/{word.pattern}"
    if word.isprintable():
        return shlex.quote(word)
    escaped = (
        chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(word)
    )
    return f"$'{''.join(escaped)}'"


def as_argument(path: str) -> str:
    """Write a path so that no command takes it for an option."""
    return f"./{path}" if path.startswith("-") and path != "-" else path
