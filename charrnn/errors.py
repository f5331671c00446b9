"""What can go wrong, and the exit code each mistake ends in.

Every mistake that a user can make is a :class:`CharRNNError`: one sentence
about what happened, optionally where, optionally a hint at what to do. Only
``__main__`` turns them into text and an exit code. Mistakes of a programmer
(wrong shapes, wrong types) are ``ValueError`` or ``TypeError`` and end as
internal errors.
"""

import errno

TOO_MANY = "too many files are open: close some, or raise ulimit -n"

#: What to do about a text without a character.
SOME_TEXT = "give a text of one character or more"

#: What to do when nothing better can be said.
ELSEWHERE = "write to another place"


def reading_hint(error: OSError) -> str:
    """Advise what to do about a file that cannot be read."""
    return {
        errno.EACCES: "ask for the permission to read it, or copy it",
        errno.EPERM: "ask for the permission to read it, or copy it",
        errno.EISDIR: "name a file in it",
        errno.EMFILE: TOO_MANY,
        errno.ENFILE: TOO_MANY,
        errno.EIO: "the disk or the connection to it may be broken",
    }.get(error.errno or 0, "check the path")


def writing_hint(error: OSError) -> str:
    """Advise what to do about a file that cannot be written."""
    return {
        errno.ENOSPC: f"free some space, or {ELSEWHERE}",
        errno.EDQUOT: f"free some space, or {ELSEWHERE}",
        errno.EFBIG: f"ulimit -f limits its size: raise it, or {ELSEWHERE}",
        errno.EROFS: f"the file system is read-only: {ELSEWHERE}",
        errno.EACCES: f"ask for the permission, or {ELSEWHERE}",
        errno.EPERM: f"ask for the permission, or {ELSEWHERE}",
        errno.ENOENT: f"make its directory first, or {ELSEWHERE}",
        errno.ENOTDIR: f"part of its path is a file: {ELSEWHERE}",
        errno.EISDIR: "name a file in it",
        errno.ENAMETOOLONG: "choose a shorter name",
        errno.EMFILE: TOO_MANY,
        errno.ENFILE: TOO_MANY,
    }.get(error.errno or 0, ELSEWHERE)


class CharRNNError(Exception):
    """A mistake with a message for its user.

    Parameters
    ----------
    what : str
        What is wrong, in one line, naming the file or the value.
    where : str, optional
        Where: a path, an offset, an option.
    hint : str, optional
        What to do about it.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} ({self.where})" if self.where else self.what


class OptionError(CharRNNError):
    """Unknown, invalid or conflicting options."""

    exit_code = 2


class InputError(CharRNNError):
    """An input cannot be opened: missing, a directory, no permission."""

    exit_code = 3


class CorpusError(CharRNNError):
    """A text is unusable: undecodable, empty, too small."""

    exit_code = 4


class VocabError(CharRNNError):
    """A character is not in the vocabulary, or nothing is left to choose from."""

    exit_code = 4


class CheckpointError(CharRNNError):
    """A checkpoint is not ours, truncated, corrupt or too new."""

    exit_code = 5


class OutputError(CharRNNError):
    """An output cannot be written: exists, no space, no permission, locked."""

    exit_code = 6


class DivergedError(CharRNNError):
    """Training met a loss, gradient or weight that is not finite."""

    exit_code = 7


class MissingComponentError(CharRNNError):
    """An optional component is not installed."""

    exit_code = 8
