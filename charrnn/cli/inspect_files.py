"""What `inspect` writes into files: a drawing as SVG, pages as HTML.

Views are gathered while they are made. The file is written at the end, all at
once and in place of what was there, since it can be made again any time.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.cli.inspect_forms import Writer
from charrnn.cli.output import TextSink
from charrnn.cli.spelling import as_option
from charrnn.config import Mixing
from charrnn.errors import (
    ELSEWHERE,
    OptionError,
    OutputError,
    writing_hint,
)
from charrnn.filenames import STREAM
from charrnn.inspection import LivePrecision

if TYPE_CHECKING:
    from charrnn.display.html_page import Chapter
    from charrnn.display.svg import Figure
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.living import Living
    from charrnn.inspection.records import ViewData
    from charrnn.inspection.view import AnyView


#: The texts on which a page's weights are compared with the model's.
OF = {
    "text": "on the text",
    "memory": "on the text that the checkpoint has",
    "sample": "on a text that the model wrote",
}


@dataclass(frozen=True)
class OutputFile:
    """A file that is to be written, and the option that names it."""

    option: str
    name: str

    def check(self, inputs: Iterable[str | Path]) -> None:
        """Refuse a place that cannot be written, before anything is made for it.

        Parameters
        ----------
        inputs : iterable of str or Path
            Files that are read.

        Raises
        ------
        OptionError
            It is one of the inputs.
        OutputError
            It is no regular file, or its directory cannot be written to.
        """
        from charrnn.checkpoint import resolve_output  # imports NumPy

        if self.name == STREAM:
            return
        target = resolve_output(Path(self.name))
        for path in inputs:
            if os.path.realpath(path) == str(target):
                msg = f"{self.option} {self.name} is also read"
                raise OptionError(msg, hint="it would be replaced: name another file")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            exists = target.parent.exists()
            msg = "permission denied" if exists else "no such directory"
            hint = f"make the directory first, or {ELSEWHERE}"
            raise OutputError(msg, where=self.name, hint=ELSEWHERE if exists else hint)

    def write(self, text: str, sink: TextSink) -> None:
        """Write the file and tell its name, or write to standard output.

        Raises
        ------
        OutputError
            It cannot be written; what was there is as it was.
        """
        from charrnn.checkpoint import replacement, resolve_output

        if self.name == STREAM:
            sink.write(text)
            return
        try:
            target = resolve_output(Path(self.name))
            with replacement(target) as temporary, temporary.open("wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            msg = (error.strerror or str(error)).lower()
            hint = writing_hint(error)
            raise OutputError(msg, where=self.name, hint=hint) from None


def check_outputs(outputs: Sequence[OutputFile], others: Sequence[str]) -> None:
    """Raise `OptionError` where two things would be written to one place.

    Parameters
    ----------
    others : sequence of str
        Options in use that write to standard output.
    """
    places: dict[str, str] = {}  # of the files, and the options that name them
    for output in outputs:
        if output.name == STREAM:
            continue
        other = places.setdefault(os.path.realpath(output.name), output.option)
        if other != output.option:
            msg = f"{other} and {output.option} name the same file"
            raise OptionError(msg, hint="name two files")
    streams = [o.option for o in outputs if o.name == STREAM] + list(others)
    if len(streams) > 1 and len(streams) > len(others):
        msg = f"{streams[0]} - cannot be combined with {streams[1]}"
        raise OptionError(msg, hint="only one of them can have standard output")


class FileWriter(Writer):
    """A writer whose views end in one file.

    Parameters
    ----------
    output : OutputFile
        The file.
    """

    def __init__(self, output: OutputFile) -> None:
        self.output = output

    def explore(self, checkpoint: "InspectedCheckpoint") -> int | None:
        """Read the text that was asked about, if the form has a place for it.

        Returns
        -------
        int or None
            How many of its characters there is room for.
        """
        return None

    def content(self) -> str:
        """Put the file together."""
        raise NotImplementedError

    def remarks(self) -> Sequence[str]:
        """Tell what is to be known of the file that was written."""
        return ()


class SvgWriter(FileWriter):
    """Draw views below each other.

    Parameters
    ----------
    width : int, optional
        Cells of a row.
    """

    def __init__(self, output: OutputFile, width: int | None) -> None:
        super().__init__(output)
        self._width = width
        self._figures: list[Figure] = []
        self._names: dict[str, None] = {}

    def view(self, view: "AnyView", data: "ViewData") -> None:
        """Draw a view below its title."""
        from charrnn.display.svg_figures import COLUMNS, figures, heading
        from charrnn.display.symbols import Look

        look = Look(self._width or COLUMNS)
        self._figures.append(heading(view.name, self.title, look))
        self._figures.extend(figures(view.blocks(data), look))
        self._names[view.name] = None

    def content(self) -> str:
        """Write the drawing."""
        from charrnn.display.svg import document

        return document(self._figures, f"charrnn inspect: {', '.join(self._names)}")


class PageWriter(FileWriter):
    """Gather views, and the text if one is read, for a page."""

    def __init__(self, output: OutputFile) -> None:
        super().__init__(output)
        self.chapters: list[Chapter] = []
        self._explored: dict[str, ViewData] = {}

    def start(self, path: Path) -> None:
        """Begin a chapter about a checkpoint."""
        super().start(path)
        self._begin()

    def start_joint(self, paths: Sequence[Path], mixing: Mixing | None = None) -> None:
        """Begin a chapter about all checkpoints."""
        super().start_joint(paths, mixing)
        self._begin()

    def _begin(self) -> None:
        """Begin a chapter."""
        from charrnn.display.html_page import Chapter

        self.chapters.append(Chapter(self.title))
        self._explored = {}

    def view(self, view: "AnyView", data: "ViewData") -> None:
        """Take a view, and keep what the explorer of a text needs of it."""
        from charrnn.display.html_page import Section

        section = Section(view.name, view.about, list(view.blocks(data)))
        self.chapters[-1].sections.append(section)
        if view.explores:
            self._explored[view.explores] = data

    def explore(self, checkpoint: "InspectedCheckpoint") -> int | None:
        """Find out what the page tells of every character."""
        from charrnn.inspection.exploration import explore_views

        found = explore_views(checkpoint, self._explored)
        self.chapters[-1].exploration = found
        return None if found is None else len(found.text)

    def content(self) -> str:
        """Write the page."""
        from charrnn.display.html_page import page

        return page(self.chapters, as_option)


class LiveWriter(FileWriter):
    """Write a page that runs the network of the one checkpoint.

    Parameters
    ----------
    precision : {"float32", "float16", "int8"}
        How the page stores weights.
    """

    def __init__(self, output: OutputFile, precision: LivePrecision) -> None:
        super().__init__(output)
        self._precision = precision
        self._living: Living | None = None
        self._remarks: list[str] = []

    def explore(self, checkpoint: "InspectedCheckpoint") -> int | None:
        """Gather what the page holds of the model; it has room for a text's beginning.

        Returns
        -------
        None
            How much of the text that is, is among the remarks.

        Raises
        ------
        OptionError
            The page cannot run such a network.
        """
        from charrnn.inspection.living import bring_to_life  # imports NumPy

        self._living = living = bring_to_life(checkpoint, self._precision)
        if living.agreement is not None:
            found = living.agreement
            self._remarks.append(
                f"weights as {living.precision}: {found.rounded:.4f} bits per "
                f"character instead of {found.exact:.4f}, {OF[found.of]}, of which "
                f"{found.characters:,} characters were read"
            )
        if living.remembers:
            self._remarks.append("the page runs the network alone, without n-grams")
        shown, total = len(living.text), checkpoint.characters
        if shown < total:
            self._remarks.append(
                f"the page opens with the first {shown:,} of {total:,} characters"
            )
        return None

    def content(self) -> str:
        """Write the page."""
        from charrnn.display.html_live import live_page

        if self._living is None:
            msg = "no checkpoint has been looked at"
            raise RuntimeError(msg)
        # The page is given away: it tells no directories.
        page = live_page(self._living, Path(self.title).name)
        self._remarks.insert(0, f"{len(page.encode()) / 1e6:.2f} MB")
        return page

    def remarks(self) -> Sequence[str]:
        """Tell how large the page is, and what is not in it."""
        return self._remarks
