r"""Line ends: what they are, and how a text gets others.

Texts end their lines in LF (``\n``), in CR LF, or, from old machines, in CR. A model
knows the line ends that it was trained on and no others.
"""

import io
import re

#: Whatever ends a line, whoever wrote the text.
LINE_END = re.compile("\r\n|\r|\n")


class LineEnds:
    """Give a text that comes in slices one kind of line end.

    Parameters
    ----------
    end : str, optional
        What every line is to end in; None leaves a text as it is.
    """

    def __init__(self, end: str | None) -> None:
        self._end = end
        self._decoder = io.IncrementalNewlineDecoder(None, translate=True)

    def convert(self, text: str, *, final: bool = False) -> str:
        """Convert a slice; a CR at its end waits for the next, unless it is final."""
        if self._end is None:
            return text
        text = self._decoder.decode(text, final)
        return text if self._end == "\n" else text.replace("\n", self._end)


def final_line_end(end: bytes) -> int:
    """Count the bytes of the line end that a text ends in: 0, 1 or 2.

    Parameters
    ----------
    end : bytes
        The last two bytes of the text, or all of it.
    """
    if end.endswith(b"\r\n"):
        return 2
    return int(end.endswith((b"\n", b"\r")))
