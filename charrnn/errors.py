"""What can go wrong, and the exit code each mistake ends in.

Every mistake that a user can make is a :class:`CharRNNError`: one sentence
about what happened, optionally where, optionally a hint at what to do. Only
``__main__`` turns them into text and an exit code. Mistakes of a programmer
(wrong shapes, wrong types) are ``ValueError`` or ``TypeError`` and end as
internal errors.

A message that names a field of a configuration marks it with :func:`field`.
Whoever shows the message decides how a field is written: in Python it is
``batch_size=4``, and the command line makes an option of it.
"""

import errno
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple, Self

TOO_MANY = "too many files are open: close some, or raise ulimit -n"

#: What to do about a text without a character.
SOME_TEXT = "give a text of one character or more"

#: What to do when nothing better can be said.
ELSEWHERE = "write to another place"


#: What a socket in the place of a file, or a disk of a network, fails with.
CONNECTION = {
    errno.ECONNABORTED,
    errno.ECONNRESET,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETRESET,
    errno.ENETUNREACH,
    errno.ENOTCONN,
    errno.EPIPE,
    errno.ESTALE,
    errno.ETIMEDOUT,
}


def reading_hint(error: OSError) -> str:
    """Advise what to do about a file that cannot be read."""
    if error.errno in CONNECTION:
        return "the connection is broken: see what has ended it, and try again"
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


#: Stands around what `field` marks. It is drawn anew in every process, so that
#: no text of a user, which a message may quote, can contain it.
_MARK = os.urandom(8).hex()
_MARKED = re.compile(f"{_MARK}:([0-9a-f]+):{_MARK}")


class NamedField(NamedTuple):
    """A field of a configuration, as a message names it.

    Parameters
    ----------
    name : str
        The field's name in Python.
    value : object, optional
        What the message says the field is set to; None if it only names the
        field.
    brief : bool
        Whether a short spelling will do, where there is one.
    """

    name: str
    value: Any = None
    brief: bool = False


#: Writes a field as one front end's users know it.
Speller = Callable[[NamedField], str]


def field(name: str, value: object = None, *, brief: bool = False) -> str:
    """Mark a field, or a field with a value, inside a message.

    Parameters
    ----------
    name, value, brief
        See `NamedField`; a value is a string, a number, a path or True.

    Returns
    -------
    str
        Text for an f-string. It means nothing until `spell` has written it.
    """
    import json  # of use in an error only

    # Hexadecimal digits, because whoever makes a message printable, or puts it
    # into a page, leaves them alone.
    packed = json.dumps([name, value, brief], default=str).encode().hex()
    return f"{_MARK}:{packed}:{_MARK}"


def in_python(named: NamedField) -> str:
    """Write a field as a keyword argument: ``batch_size`` or ``batch_size=4``."""
    return named.name if named.value is None else f"{named.name}={named.value!r}"


class Message(str):
    """A text that names fields as Python does, and remembers where they stand.

    Parameters
    ----------
    text : str
        With fields marked by `field`, or another `Message`.

    Attributes
    ----------
    marked : str
        The text with its marks, for a longer message that quotes it.
    """

    __slots__ = ("marked",)
    marked: str

    def __new__(cls, text: str) -> Self:
        """Write the fields of a text, and keep where they stand."""
        marked = text.marked if isinstance(text, Message) else text
        message = super().__new__(cls, _written(marked, in_python))
        message.marked = marked
        return message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the fields themselves: marks mean nothing to another process."""
        texts = iter(_MARKED.split(self.marked))
        parts = [next(texts)]
        for packed, text in zip(texts, texts, strict=True):
            parts += [_unpacked(packed), text]
        return _joined, (parts,)

    @property
    def fields(self) -> list[NamedField]:
        """The fields that the message names, in its order."""
        return [_named(match) for match in _MARKED.finditer(self.marked)]


def spell(text: str, speller: Speller = in_python) -> str:
    """Write the fields that a message names, each as `speller` does."""
    return _written(text.marked if isinstance(text, Message) else text, speller)


def _written(marked: str, speller: Speller) -> str:
    """Put a spelling in the place of every mark."""
    return _MARKED.sub(lambda match: speller(_named(match)), marked)


def _named(match: re.Match[str]) -> NamedField:
    """Read what stands between two marks."""
    return _unpacked(match[1])


def _unpacked(packed: str) -> NamedField:
    """Read a field as `field` has packed it."""
    import json

    return NamedField(*json.loads(bytes.fromhex(packed)))


def _joined(parts: list[str | NamedField]) -> Message:
    """Make a message of its texts and of the fields between them."""
    marked = (
        field(*p[:2], brief=p[2]) if isinstance(p, NamedField) else p for p in parts
    )
    return Message("".join(marked))


class CharRNNError(Exception):
    """A mistake with a message for its user.

    Parameters
    ----------
    what : str
        What is wrong, in one line, naming the file or the value.
    where : str, optional
        Where: a path, an offset, a field.
    hint : str, optional
        What to do about it.
    field : str, optional
        The one field that is wrong. If it is not given, it is the field that
        `what` names, provided that it names a single one.

    Notes
    -----
    The three texts may name fields marked by `field`. As attributes, and in
    ``str(error)``, they are written as Python does.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        field: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.hint = hint
        self._field = field
        super().__init__(self.what)

    @property
    def what(self) -> str:
        """What is wrong."""
        return self._what

    @what.setter
    def what(self, text: str) -> None:
        self._what = Message(text)

    @property
    def where(self) -> str | None:
        """Where it is wrong, if that is known."""
        return self._where

    @where.setter
    def where(self, text: str | None) -> None:
        self._where = None if text is None else Message(text)

    @property
    def hint(self) -> str | None:
        """What to do about it, if anything."""
        return self._hint

    @hint.setter
    def hint(self, text: str | None) -> None:
        self._hint = None if text is None else Message(text)

    @property
    def field(self) -> str | None:
        """The name of the one field that is wrong; None if no single one is."""
        if self._field is not None:
            return self._field
        names = {named.name for named in self._what.fields}
        return names.pop() if len(names) == 1 else None

    @property
    def message(self) -> Message:
        """What is wrong, and where."""
        if not self._where:
            return self._what
        return Message(f"{self._what.marked} ({self._where.marked})")

    def spelled(self, speller: Speller) -> str:
        """Say what is wrong, and where, with fields as `speller` writes them."""
        return spell(self.message, speller)

    def __str__(self) -> str:
        return str(self.message)


class OptionError(CharRNNError):
    """Unknown, invalid or conflicting options."""

    exit_code = 2


class InputError(CharRNNError):
    """An input cannot be opened: missing, a directory, no permission."""

    exit_code = 3


def unreadable(error: OSError | ValueError, what: str, where: str) -> InputError:
    """Make the error of an input that cannot be opened or read.

    Parameters
    ----------
    error : OSError or ValueError
        Why; a ``ValueError`` is one of a path with a NUL.
    what : str
        What it is to be, such as ``the prompt``.
    where : str
        A path, or another name.
    """
    reason, hint = str(error), "check the path"
    if isinstance(error, OSError):
        reason, hint = error.strerror or reason, reading_hint(error)
    return InputError(f"cannot read {what}: {reason}", where=where, hint=hint)


class CorpusError(CharRNNError):
    """A text is unusable: undecodable, empty, too small."""

    exit_code = 4


class VocabError(CharRNNError):
    """A character is not in the vocabulary, or nothing is left to choose from."""

    exit_code = 4


class CountsError(CharRNNError):
    """A model has no counts of its text, which are to predict."""

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
    """A component is not installed, or cannot be used on this machine."""

    exit_code = 8


class DistributedError(CharRNNError):
    """Processes that train together do not fit together, or have drifted apart."""

    exit_code = 9
