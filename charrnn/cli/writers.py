"""Samples on their way out, in order: as text while they grow, or as JSON.

Samples of a batch are made side by side but shown one after another. The
first that has not ended is shown as it grows; what the others have come to so
far waits for its turn.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from charrnn.cli.output import TextSink, open_stdout
from charrnn.cli.records import Record, pair_fields, score_fields, text_fields
from charrnn.config import UnitName
from charrnn.errors import ELSEWHERE, OutputError, writing_hint

if TYPE_CHECKING:
    from charrnn.cli.prompts import PromptText
    from charrnn.generation import Piece


class Writer(Protocol):
    """What shows the pieces of a generation."""

    def start(self) -> None:
        """Show what stands before everything else."""

    def take(self, piece: "Piece") -> None:
        """Take the next piece, and show what can be shown."""

    def interrupt(self, rest: Iterable["Piece"]) -> None:
        """Show what there is, since nothing more will come."""

    def expect(self, prompts: Sequence["PromptText"]) -> None:
        """Be ready for the samples of some more prompts, behind all others."""

    def end(self) -> None:
        """Show what stands behind everything else."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What stands around samples that are written as text."""

    unit: UnitName
    prompts: Sequence[Iterable[str]] = ("",)  # symbols before samples, in slices
    each: int = 1  # samples of each prompt; they follow one another
    separator: str = "\n"  # symbols between two samples
    null: bool = False  # a NUL after every sample instead
    newline: bool = True  # a newline at the very end, where there is none
    of_lines: bool = False  # each sample is a line: an empty one has a newline, too
    stream: bool = True  # show a sample while it grows
    echo: bool = True  # whether prompts that are expected later are shown
    #: Whether more may be expected, so that nobody knows which sample is the last.
    open_end: bool = False


class TextWriter:
    """Write samples as text.

    Parameters
    ----------
    sink : TextSink
    count : int
        Number of samples.
    layout : Layout
    """

    def __init__(self, sink: TextSink, count: int, layout: Layout) -> None:
        self._sink = sink
        self._layout = layout
        self._current = 0
        # Of the sample that is being shown and of those that are to follow.
        prompts = layout.prompts
        self._prompts = deque(prompts[n // layout.each] for n in range(count))
        self._waiting: defaultdict[int, list[str]] = defaultdict(list)
        self._ended: set[int] = set()
        self._last = ""  # the symbol written last
        #: What has to stand before the next sample, if one comes.
        self._owed: str | None = None

    def start(self) -> None:
        """Write the first prompt, before a character has been made."""
        self._begin_current()
        self._sink.flush()

    def expect(self, prompts: Sequence["PromptText"]) -> None:
        """Be ready for the samples of some more prompts, behind all others."""
        idle = not self._prompts
        for prompt in prompts:
            shown: Iterable[str] = prompt if self._layout.echo else ()
            self._prompts.extend([shown] * self._layout.each)
        if idle:
            self._begin_current()
            self._sink.flush()

    def take(self, piece: "Piece") -> None:
        """Write a piece of the sample that is being shown, or keep it."""
        if self._layout.stream and piece.sample == self._current:
            self._write(piece.text)
        else:
            self._waiting[piece.sample].append(piece.text)
        if piece.finish is not None:
            self._ended.add(piece.sample)
            while self._current in self._ended:
                self._finish_current()

    def interrupt(self, rest: Iterable["Piece"]) -> None:
        """Write the sample that is being shown as far as it is; no other."""
        texts = [piece.text for piece in rest if piece.sample == self._current]
        if texts and not self._layout.stream:
            self._write_prompt()
            self._write_waiting()
        self._write("".join(texts))
        self._sink.flush()

    def _finish_current(self) -> None:
        """Complete the sample that is being shown, and turn to the next."""
        layout = self._layout
        if not layout.stream:
            self._write_prompt()
            self._write_waiting()
        self._ended.discard(self._current)
        self._current += 1
        self._prompts.popleft()
        if layout.null:
            self._write("\0")
        elif self._prompts:
            self._write(layout.separator)
        elif not layout.open_end:
            self._write_last_newline()
        elif layout.separator == "\n" and layout.newline and self._lacks_newline:
            self._write("\n")  # whatever follows, and the reader has a whole line
        else:
            self._owed = layout.separator
        self._begin_current()

    def end(self) -> None:
        """Write the last newline, if more might have come until now."""
        if self._owed is not None:
            self._owed = None
            self._write_last_newline()

    def _begin_current(self) -> None:
        """Write what there is of the sample whose turn it is, if there is one."""
        if self._prompts:
            owed, self._owed = self._owed, None
            self._write(owed or "")
            if self._layout.stream:
                self._write_prompt()
                self._write_waiting()

    @property
    def _lacks_newline(self) -> bool:
        """Whether a sample that has been written does not end its line itself."""
        return self._layout.of_lines or self._last not in ("", "\n")

    def _write_last_newline(self) -> None:
        """Write the newline behind everything, where there is one and it is wanted."""
        if self._layout.newline and not self._layout.null and self._lacks_newline:
            self._write("\n")

    def _write_prompt(self) -> None:
        """Write the prompt of the sample that is being shown."""
        for symbols in self._prompts[0]:
            self._write(symbols)

    def _write_waiting(self) -> None:
        """Write what the sample has come to so far, and forget it."""
        self._write("".join(self._waiting.pop(self._current, ())))

    def _write(self, symbols: str) -> None:
        """Send symbols to the sink, as what they stand for."""
        if symbols:
            byte = self._layout.unit == "byte"
            self._sink.write(symbols.encode("latin-1") if byte else symbols)
            self._last = symbols[-1]


class JsonWriter:
    """Write samples as JSON Lines, each when it and all before it have ended.

    Parameters
    ----------
    sink : TextSink
    count : int
        Number of samples.
    unit : {"char", "byte"}
    prompts : sequence of str
        Symbols; the samples of each prompt follow one another.
    before, after : dict
        What is the same in all records, and stands in front of a sample's own
        values or behind them.
    """

    fields = staticmethod(text_fields)

    def __init__(
        self,
        sink: TextSink,
        count: int,
        unit: UnitName,
        prompts: Sequence[str],
        before: dict[str, Any],
        after: dict[str, Any],
    ) -> None:
        self._sink = sink
        self._unit = unit
        self._each = count // len(prompts) if prompts else 1
        self._prompts = deque(p for p in prompts for _ in range(self._each))
        self._before = before
        self._after = after
        self._current = 0
        self._records: defaultdict[int, Record] = defaultdict(Record)

    def start(self) -> None:
        """Write nothing: records come when samples end."""

    def expect(self, prompts: Sequence["PromptText"]) -> None:
        """Be ready for the samples of some more prompts, behind all others."""
        self._prompts.extend(p.text for p in prompts for _ in range(self._each))

    def end(self) -> None:
        """Write nothing: every record is a line of its own."""

    def take(self, piece: "Piece") -> None:
        """Keep a piece, and write the records that are complete."""
        self._records[piece.sample].take(piece)
        while self._current in self._records and self._records[self._current].finish:
            self._write_current()

    def interrupt(self, rest: Iterable["Piece"]) -> None:
        """Write the records of all samples as they are."""
        for piece in rest:
            self.take(piece)
        self._sink.flush()

    def _write_current(self) -> None:
        """Write one record, and forget it."""
        record = self._records.pop(self._current)
        line = {
            "index": self._current,
            **self._before,
            **self.fields(self._prompts.popleft(), record, self._unit),
            **self._after,
        }
        if record.scores:
            line["logprobs"] = [score_fields(one, self._unit) for one in record.scores]
        self._sink.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._current += 1


class PairsJsonWriter(JsonWriter):
    """Write outputs of pairs as JSON Lines, each with its input."""

    fields = staticmethod(pair_fields)


@contextmanager
def open_output(
    path: str | None, *, keep: Iterable[Path], raw: bool = False
) -> Iterator[TextSink]:
    """Open what samples are written to, and close it.

    A file is written in place, as a shell's ``>`` does: it can be watched
    while it grows, and keeps what was made when the command is interrupted.

    Parameters
    ----------
    path : str, optional
        A file; standard output if not given, or ``-``.
    keep : iterable of Path
        Files that must not be overwritten: what the command reads.

    Raises
    ------
    OutputError
        It cannot be opened or written.
    """
    if path is None or path == "-":
        with open_stdout(raw=raw) as sink:
            yield sink
        return
    target = Path(path)
    try:
        if any(_same(target, path) for path in keep):
            msg = "the output is a file that is read: the checkpoint, prompt or corpus"
            raise OutputError(msg, where=path, hint="choose another --output")
        file = target.open("wb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason, hint = str(error), ELSEWHERE
        if isinstance(error, OSError):
            reason, hint = error.strerror or reason, writing_hint(error)
        msg = f"cannot write the output: {reason}"
        raise OutputError(msg, where=path, hint=hint) from None
    try:
        with file, TextSink(file, raw=raw) as sink:
            yield sink
    except OutputError as error:
        error.where = error.where or path
        raise


def _same(path: Path, other: Path) -> bool:
    """Tell whether two paths lead to one existing file."""
    return path.exists() and other.exists() and path.samefile(other)
