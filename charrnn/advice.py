"""What to say of a text that is none, or not in the encoding it is read in.

`charrnn.recognition` and `charrnn.signatures` know what bytes look like; here that
becomes advice: for a text to train on, whose encoding can be named, and for prompts
and other texts, which are always UTF-8.
"""

import codecs
from typing import NamedTuple

from charrnn.counting import plural
from charrnn.errors import field
from charrnn.recognition import (
    SAMPLE,
    is_binary,
    is_cesu8,
    is_mostly_utf8,
    is_utf8,
    marked,
    recognize_encoding,
    recognize_wide,
)
from charrnn.signatures import ARRAYS, recognize_file

#: Bytes of a text's beginning, and of what stands before a wrong byte, that are
#: looked at.
HEAD = 1 << 12

#: What to do about a checkpoint in the place of a text to train on.
TRAIN_ON = (
    f"name a text; {field('init_from')} begins with a checkpoint's weights, and "
    f"{field('resume', True)} {field('output', brief=True)} continues its run"
)


class Refusal(NamedTuple):
    """Why bytes are no text."""

    what: str  # what they are not, and are instead
    hint: str


class Advisor:
    """Say what a text is instead, by its beginning and by what is wrong in it.

    Parameters
    ----------
    encoding : str
        In which it is read.
    to_train : bool
        Whether the user can name another encoding, or a model of bytes.

    Attributes
    ----------
    head : bytes
        The text's beginning, as far as it has been read.
    """

    def __init__(self, encoding: str, *, to_train: bool) -> None:
        self.encoding = encoding
        self.head = b""
        self._codec = codecs.lookup(encoding).name
        self._to_train = to_train

    def see(self, data: bytes) -> bool:
        """Look at what is read next; tell whether any of it was looked at."""
        wanted = HEAD - len(self.head)
        self.head += data[:wanted]
        return wanted > 0

    @property
    def has_seen_enough(self) -> bool:
        """Whether no more of the text is looked at."""
        return len(self.head) == HEAD

    def refuse(self) -> Refusal | None:
        """Tell why the text cannot be one, whatever its bytes may stand for.

        They may well decode: Latin-1 has a character for every byte.
        """
        if self._codec.startswith(("utf-16", "utf-32")):
            return None
        if kind := recognize_file(self.head):
            remedy = TRAIN_ON if kind is ARRAYS and self._to_train else kind.remedy
            return Refusal(f"not a text: it is {kind}", remedy)
        mark = marked(self.head)
        if mark is not None and b"\0" in self.head:
            what = f"not {self.encoding}: it begins with the mark of {mark.upper()}"
            return Refusal(what, self._remedy(mark))
        if found := recognize_wide(self.head):
            what = f"not {self.encoding}: it has the zeros of {found.name}"
            hint = f"without a byte-order mark: {self._remedy(found.encoding)}"
            return Refusal(what, hint)
        return None

    def on_cut(self, good: bytes, length: int) -> str:
        """Advise what to do about a text whose last bytes begin a character.

        Parameters
        ----------
        good : bytes
            What stands before them.
        length : int
            How many bytes that is.
        """
        last = "byte" if length == 1 else plural(length, "byte")
        hint = f"is it whole? Else take its last {last} away"
        if self._codec == "utf-8" and good.isascii():
            # Nothing says that it is UTF-8 at all.
            hint += f"; or is it Latin-1: {self._remedy('latin-1')}"
            if self._to_train:
                hint += f", or use {field('unit', 'byte')}"
        return hint

    def on_wrong(self, read: bytes = b"", place: int = 0) -> str:
        """Guess the encoding that would have worked.

        Parameters
        ----------
        read : bytes
            Some of the text; none where nobody knows where it is wrong.
        place : int
            Where in it the wrong byte stands.
        """
        mark = marked(self.head)
        if mark not in (None, self._codec):
            return f"it starts like {mark.upper()}: {self._remedy(mark)}"
        if mark is None and self._codec in ("utf-16", "utf-32"):
            if found := recognize_wide(self.head, valid=False):
                return f"without a byte-order mark: {self._remedy(found.encoding)}"
            little = field("encoding", f"{self._codec}-le")
            return f"without a byte-order mark: {little} or {self._codec}-be"
        before, rest = read[max(0, place - HEAD) : place], read[place:][:SAMPLE]
        if is_cesu8(rest):
            return (
                "it looks like CESU-8, in which a character may be two surrogates: "
                "convert it to UTF-8 first, for instance with uconv"
            )
        if is_utf8(rest):
            return f"it looks like UTF-8: {self._remedy('utf-8')}"
        if self._codec == "utf-8" and is_mostly_utf8(before, rest):
            return (
                "the text around it is UTF-8: repair it, or let iconv leave out what "
                "is wrong"
            )
        found = recognize_encoding(_from_line(read, place), self.head)
        if found is not None and codecs.lookup(found.encoding).name != self._codec:
            return f"it looks like {found.name}: {self._remedy(found.encoding)}"
        return self.on_unknown()

    def on_unknown(self) -> str:
        """Advise what to do about bytes that look like nothing that is known."""
        looks = "it looks like no text; " if is_binary(self.head) else ""
        if self._to_train:
            return (
                f"{looks}name its encoding with {field('encoding')}, "
                f"or use {field('unit', 'byte')}"
            )
        return f"{looks}convert it to utf-8 first, for instance with iconv"

    def _remedy(self, encoding: str) -> str:
        """Say what to do about a text in another encoding."""
        if self._to_train:
            return str(field("encoding", encoding))
        name = encoding.replace("latin-1", "latin1").replace("_", "-")
        return f"convert it from {name} to utf-8 first, for instance with iconv"


def _from_line(read: bytes, place: int) -> bytes:
    """Give what was read from the beginning of a line, which no character parts.

    Where there is no line end in front of the place, that is the place itself, or the
    beginning, if it is not far.
    """
    first = max(0, place - HEAD)
    begin = read.rfind(b"\n", first, place) + 1
    if not begin and first:
        begin = place
    return read[begin:][:SAMPLE]
