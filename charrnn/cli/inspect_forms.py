"""The forms in which `inspect` writes: drawings, tab-separated lines, JSON.

All three are made of the same objects, the data of the views; what goes into
files (`charrnn.cli.inspect_files`) is, too.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.cli.output import TextSink
from charrnn.config import Mixing
from charrnn.errors import CharRNNError
from charrnn.escapes import one_line, table_cell

if TYPE_CHECKING:
    from charrnn.display.board import Board
    from charrnn.display.symbols import Look
    from charrnn.inspection.records import ViewData
    from charrnn.inspection.view import AnyView

#: Of the JSON objects.
SCHEMA = 1


class Writer:
    """What takes verdicts and views, checkpoint by checkpoint.

    Attributes
    ----------
    title : str
        The name of the checkpoint, or of all, that views are about.
    """

    title = ""

    def verdict(self, path: Path, error: CharRNNError | None) -> None:
        """Write what a full check came to, if the form has a place for it."""

    def start(self, path: Path) -> None:
        """Turn to a checkpoint."""
        self.title = str(path)

    def start_joint(self, paths: Sequence[Path], mixing: Mixing | None = None) -> None:
        """Turn to views of all checkpoints together, or of a mixture of them."""
        names = list(map(str, paths))
        if mixing is not None:
            pairs = zip(mixing.weights(len(names)), names, strict=True)
            names = [f"{weight:.3g} x {name}" for weight, name in pairs]
        self.title = ", ".join(names)

    def view(self, view: "AnyView", data: "ViewData") -> None:
        """Take the data of a view, if the form has a place for it."""

    def end(self) -> None:
        """Finish the checkpoint."""


class LineWriter(Writer):
    """Write verdicts, each on a line: views go into files."""

    def __init__(self, sink: TextSink) -> None:
        self.sink = sink
        self.begun = False  # something stands above

    def verdict(self, path: Path, error: CharRNNError | None) -> None:
        """Write one line, as ``sha256sum -c`` does."""
        self.sink.write(f"{one_line(str(path))}: {error.what if error else 'ok'}\n")
        self.begun = True

    def part(self) -> None:
        """Leave a line between what stands above and what follows."""
        if self.begun:
            self.sink.write("\n")
        self.begun = True


class SeveralWriters(Writer):
    """Hand everything to several writers."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = writers

    def verdict(self, path: Path, error: CharRNNError | None) -> None:
        """Tell all of what a full check came to."""
        for writer in self._writers:
            writer.verdict(path, error)

    def start(self, path: Path) -> None:
        """Turn all to a checkpoint."""
        for writer in self._writers:
            writer.start(path)

    def start_joint(self, paths: Sequence[Path], mixing: Mixing | None = None) -> None:
        """Turn all to several checkpoints."""
        for writer in self._writers:
            writer.start_joint(paths, mixing)

    def view(self, view: "AnyView", data: "ViewData") -> None:
        """Give all a view."""
        for writer in self._writers:
            writer.view(view, data)

    def end(self) -> None:
        """Have all finish the checkpoint."""
        for writer in self._writers:
            writer.end()


class PlainWriter(LineWriter):
    """Write views as tab-separated lines.

    Parameters
    ----------
    titled : bool
        Several tables follow one another: each stands below a line with its
        name and the checkpoint's, which begins with ``#``.
    """

    def __init__(self, sink: TextSink, *, titled: bool) -> None:
        super().__init__(sink)
        self.titled = titled

    def view(self, view: "AnyView", data: "ViewData") -> None:
        """Write a view."""
        from charrnn.inspection.records import tsv

        if self.titled:
            self.part()
            self.sink.write(f"# {view.name}\t{table_cell(self.title)}\n")
        for row in tsv(data):
            self.sink.write(row + "\n")


class DrawingWriter(LineWriter):
    """Draw views for people, in color where that is wanted.

    Parameters
    ----------
    color : str
        As ``--color`` says.
    """

    def __init__(
        self, sink: TextSink, width: int, ascii_only: bool, color: str
    ) -> None:
        super().__init__(sink)
        self._width = width
        self._ascii = ascii_only
        self._color = color

    @cached_property
    def _look(self) -> "Look":
        """How to draw; made when something is drawn."""
        from charrnn.display.symbols import Look  # imports rich

        return Look(self._width, self._ascii)

    @cached_property
    def _board(self) -> "Board":
        """What turns styles into color codes."""
        from charrnn.display.board import Board  # imports rich

        return Board(self._color)

    def view(self, view: "AnyView", data: "ViewData") -> None:
        """Draw a view below its title."""
        from charrnn.display.symbols import shown_text
        from charrnn.display.tables import line
        from charrnn.display.terminal import draw

        self.part()
        path = shown_text(self.title, self._look)
        title = line(view.name, "bold").append(f"  {path}", "not bold dim")
        self.sink.write(self._board.render(title))
        for row in draw(view.blocks(data), self._look):
            # Where even the least has no room. Lines ignore overflow of their own.
            row.truncate(self._width, overflow="crop")
            self.sink.write(self._board.render(row))


class JsonWriter(Writer):
    """Write one JSON object a checkpoint, on a line of its own."""

    def __init__(self, sink: TextSink) -> None:
        self.sink = sink
        self._object: dict[str, Any] = {}

    def verdict(self, path: Path, error: CharRNNError | None) -> None:
        """Put a verdict into the object; after a failure no more will come."""
        self.start(path)
        self._object["verified"] = error is None
        if error is not None:
            self._object["fault"] = error.what
            self.end()

    def start(self, path: Path) -> None:
        """Begin an object, unless its verdict has."""
        if not self._object:
            self._object = {"schema": SCHEMA, "checkpoint": str(path)}

    def start_joint(self, paths: Sequence[Path], mixing: Mixing | None = None) -> None:
        """Begin an object about several."""
        self._object = {"schema": SCHEMA, "checkpoints": [str(path) for path in paths]}
        if mixing is not None:
            self._object["mix"] = list(mixing.weights(len(paths)))
            self._object["mix_mode"] = mixing.mix_mode

    def view(self, view: "AnyView", data: "ViewData") -> None:
        """Put a view into the object."""
        from charrnn.inspection.records import as_json

        self._object.setdefault("views", {})[view.name] = as_json(data)

    def end(self) -> None:
        """Write the object, in ASCII: no terminal takes it for a command."""
        self._object.setdefault("views", {})
        self.sink.write(json.dumps(self._object, allow_nan=False) + "\n")
        self._object = {}
