"""Samples on their way out, in order: as text while they grow, or as JSON.

Samples of a batch are made side by side but shown one after another. The
first that has not ended is shown as it grows; what the others have come to so
far waits for its turn.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from charrnn.cli.output import TextSink, open_stdout
from charrnn.config import UnitName
from charrnn.errors import ELSEWHERE, OutputError, writing_hint
from charrnn.escapes import readable

if TYPE_CHECKING:
    from charrnn.generation import FinishReason, Piece, Score


class Writer(Protocol):
    """What shows the pieces of a generation."""

    def start(self) -> None:
        """Show what stands before everything else."""

    def take(self, piece: "Piece") -> None:
        """Take the next piece, and show what can be shown."""

    def interrupt(self, rest: Iterable["Piece"]) -> None:
        """Show what there is, since nothing more will come."""


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
        self._waiting: list[list[str]] = [[] for _ in range(count)]
        self._ended: set[int] = set()
        self._last = ""  # the symbol written last

    def start(self) -> None:
        """Write the first prompt, before a character has been made."""
        if self._layout.stream and self._waiting:
            self._write_prompt()
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
            self._write("".join(self._waiting[self._current]))
        self._write("".join(texts))
        self._sink.flush()

    def _finish_current(self) -> None:
        """Complete the sample that is being shown, and turn to the next."""
        layout = self._layout
        if not layout.stream:
            self._write_prompt()
            self._write_waiting()
        self._current += 1
        more = self._current < len(self._waiting)
        if layout.null:
            self._write("\0")
        elif more:
            self._write(layout.separator)
        elif layout.newline and (layout.of_lines or self._last not in ("", "\n")):
            self._write("\n")
        if more and layout.stream:
            self._write_prompt()
            self._write_waiting()

    def _write_prompt(self) -> None:
        """Write the prompt of the sample that is being shown."""
        for symbols in self._layout.prompts[self._current // self._layout.each]:
            self._write(symbols)

    def _write_waiting(self) -> None:
        """Write what the sample has come to so far, and forget it."""
        pieces = self._waiting[self._current]
        self._write("".join(pieces))
        pieces.clear()

    def _write(self, symbols: str) -> None:
        """Send symbols to the sink, as what they stand for."""
        if symbols:
            byte = self._layout.unit == "byte"
            self._sink.write(symbols.encode("latin-1") if byte else symbols)
            self._last = symbols[-1]


@dataclass
class _Record:
    """What a sample has come to."""

    pieces: list[str] = field(default_factory=list)
    scores: "list[Score]" = field(default_factory=list)
    nats: float = 0.0
    finish: "FinishReason | None" = None
    beams: tuple[tuple[str, float], ...] = ()


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
        self._prompts = prompts
        self._before = before
        self._after = after
        self._current = 0
        self._records = [_Record() for _ in range(count)]

    def start(self) -> None:
        """Write nothing: records come when samples end."""

    def take(self, piece: "Piece") -> None:
        """Keep a piece, and write the records that are complete."""
        record = self._records[piece.sample]
        record.pieces.append(piece.text)
        record.scores += piece.scores
        record.nats = piece.total
        record.finish, record.beams = piece.finish, piece.beams
        while (
            self._current < len(self._records) and self._records[self._current].finish
        ):
            self._write_current()

    def interrupt(self, rest: Iterable["Piece"]) -> None:
        """Write the records of all samples as they are."""
        for piece in rest:
            self.take(piece)
        self._sink.flush()

    def _write_current(self) -> None:
        """Write one record, and forget its text."""
        record = self._records[self._current]
        self._records[self._current] = _Record()
        prompt = self._prompts[self._current * len(self._prompts) // len(self._records)]
        line = {
            "index": self._current,
            **self._before,
            **self._own(prompt, "".join(record.pieces), record),
            **self._after,
        }
        if record.scores:
            line["logprobs"] = [self._score(score) for score in record.scores]
        self._sink.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._current += 1

    def _own(self, prompt: str, symbols: str, record: _Record) -> dict[str, Any]:
        """Say what is a sample's own."""
        bits = record.nats / math.log(2) / len(symbols) if symbols else None
        return {
            "prompt": readable(prompt, self._unit),
            "text": readable(symbols, self._unit),
            "chars": len(symbols),
            "finish_reason": record.finish,
            "nats": record.nats,
            "bits_per_char": bits,
        }

    def _score(self, score: "Score") -> dict[str, Any]:
        """Write what the model said of one character."""
        # JSON has no infinity: what cannot be is no alternative.
        top = [self._likely(s, nats) for s, nats in score.top if math.isfinite(nats)]
        return {**self._likely(score.symbol, score.nats), "top": top}

    def _likely(self, symbol: str, nats: float) -> dict[str, Any]:
        """Write one character and the logarithm of its probability."""
        alone = self._unit == "char" or symbol.isascii()
        char = symbol if alone else f"\\x{ord(symbol):02x}"
        return {"char": char, "logprob": -nats if nats else 0.0}


class PairsJsonWriter(JsonWriter):
    """Write outputs of pairs as JSON Lines, each with its input."""

    def _own(self, prompt: str, symbols: str, record: _Record) -> dict[str, Any]:
        """Say what is an output's own; what its newline costs belongs to it."""
        bits = record.nats / math.log(2)
        scored = len(symbols) + (record.finish == "lines")
        found = {
            "input": readable(prompt.removesuffix("\t"), self._unit),
            "output": readable(symbols, self._unit),
            "chars": len(symbols),
            "finish_reason": record.finish,
            "nats": record.nats,
            "bits": bits,
            "bits_per_char": bits / scored if scored else None,
        }
        if record.beams:
            found["beams"] = [
                {"output": readable(text, self._unit), "nats": nats}
                for text, nats in record.beams
            ]
        return found


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
