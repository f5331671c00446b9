"""The command `inspect`: show what is in a checkpoint, and what it makes of a text.

Views are made by `charrnn.inspection` and drawn by `charrnn.display`; here
options are checked, files opened, and what was made is sent to standard
output, as a drawing, as JSON or as tab-separated lines.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.inspect_files import (
    FileWriter,
    Output,
    PageWriter,
    SvgWriter,
)
from charrnn.cli.inspect_forms import (
    DrawingWriter,
    JsonWriter,
    PlainWriter,
    SeveralWriters,
    VerdictWriter,
    Writer,
)
from charrnn.cli.inspect_limits import Limits
from charrnn.cli.inspect_options import (
    FILE,
    FORM,
    MIN_WIDTH,
    TEXT,
    VIEW,
    InspectOptions,
)
from charrnn.cli.inspect_request import Request
from charrnn.cli.notes import PREPARING, Meter, Notes
from charrnn.cli.options import COMMON, Common, available_processors, takes
from charrnn.cli.output import ReaderGone, TextSink, open_stdout
from charrnn.errors import CharRNNError, CheckpointError, InputError
from charrnn.inspection import JOINT_VIEWS, TEXT_VIEWS
from charrnn.options import OptionTable, configure

if TYPE_CHECKING:
    from charrnn.inspection.compare import Compared
    from charrnn.inspection.subject import Settings, Subject


EXAMPLES = "\n".join(
    [
        "Examples:",
        "charrnn inspect lovecraft.npz",
        "charrnn inspect lovecraft.npz --view history --view weights",
        "charrnn inspect lovecraft.npz --view surprise --text-file story.txt",
        "charrnn inspect lovecraft.npz --view neurons --view memory "
        "--text-file story.txt",
        "charrnn inspect lovecraft.npz --view diversity --corpus lovecraft.txt",
        "charrnn inspect a.npz b.npz --view compare --text-file story.txt",
        "charrnn sample a.npz | charrnn inspect b.npz --view surprise --text-file -",
        "charrnn inspect --verify *.npz",
    ]
)

#: What a page shows unless it is told, and what of a text.
PAGE_VIEWS = ("summary", "history", "weights", "vocab")
PAGE_TEXT_VIEWS = ("surprise", "next", "neurons", "gates", "memory")


OPTIONS = OptionTable(
    kinds=(InspectOptions, Common), groups=(VIEW, TEXT, FORM, FILE, COMMON)
)

Checkpoints = Annotated[
    list[Path],
    typer.Argument(
        readable=False,
        metavar="CHECKPOINT",
        help="Models, as charrnn train saves them.",
    ),
]


@takes(OPTIONS)
def inspect(checkpoint: Checkpoints, **options: Any) -> None:
    """Show what is in a checkpoint, and what its model makes of a text."""
    common = configure(Common, options)
    asked = tuple(dict.fromkeys(options["view"] or ()))
    if not asked and options["html"] is not None:
        reads = options["text"] is not None or options["text_file"] is not None
        asked = PAGE_VIEWS + (PAGE_TEXT_VIEWS if reads else ())
        asked += ("compare",) if len(checkpoint) > 1 else ()
    if not asked and not (options["verify"] or options["warmup"]):
        asked = ("summary",)
    request = configure(Request, options, views=asked)
    with suppress(ReaderGone):  # as whoever ran `head` wanted
        Inspector(common, request).run(checkpoint)


class Inspector:
    """One run of the command, its options known to be good."""

    def __init__(self, common: Common, request: Request) -> None:
        self.common = common
        self.request = request
        self.tell = Notes(common)
        self.limits = Limits(self.tell, request.unknown)
        self.views = tuple(n for n in request.views if n not in JOINT_VIEWS)
        self.files = [self._file_writer(output) for output in request.outputs]
        self.threads, warning = common.resolve_threads()
        if warning:
            self.tell.warn(warning)

    def run(self, paths: Sequence[Path]) -> None:
        """Inspect one checkpoint after the other.

        Raises
        ------
        CharRNNError
            The first thing that is wrong; with ``--verify`` and several
            files, at the end, how many are.
        """
        for output in self.request.outputs:
            read = [self.request.text_file] if self.request.text_file else []
            output.check([*paths, *read, *self.request.corpus])
        settings = self._settings()
        try:
            with open_stdout(raw=True) as sink:
                first = self._writer(sink, several=len(paths) > 1)
                writer = SeveralWriters([first, *self.files])
                faults = self._each(paths, settings, writer, sink)
                if JOINT_VIEWS & set(self.request.views) and not faults:
                    self._compare(paths, settings, writer)
                    sink.flush()
                    self.limits.tell()
                for file in self.files:
                    self._save(file, sink)
        finally:
            if settings.text is not None:
                settings.text.close()
        if faults:
            raise _summed_up(faults, len(paths))

    def _each(
        self,
        paths: Sequence[Path],
        settings: "Settings",
        writer: Writer,
        sink: TextSink,
    ) -> list[CharRNNError]:
        """Inspect checkpoints one by one; return what a check of several found."""
        request = self.request
        faults: list[CharRNNError] = []
        if not (self.views or request.verify or request.warmup):
            return []
        for path in paths:
            try:
                self._inspect(path, settings, writer)
            except (CheckpointError, InputError) as error:
                if not request.verify or len(paths) == 1:
                    raise
                writer.verdict(path, error)
                faults.append(error)
            sink.flush()
            self.limits.tell()
        return faults

    def _writer(self, sink: TextSink, *, several: bool) -> Writer:
        """Choose the form in which views are written."""
        request = self.request
        if request.json:
            return JsonWriter(sink)
        if request.plain:
            several = several and bool(self.views)
            return PlainWriter(sink, titled=several or len(request.views) > 1)
        if request.outputs:
            return VerdictWriter(sink)
        width = request.width or shutil.get_terminal_size().columns
        look = max(MIN_WIDTH, width), request.ascii
        return DrawingWriter(sink, *look, self.common.color)

    def _file_writer(self, output: Output) -> FileWriter:
        """Choose what becomes of views in a file."""
        if output.option == "--svg":
            return SvgWriter(output, self.request.width)
        return PageWriter(output)

    def _save(self, file: FileWriter, sink: TextSink) -> None:
        """Write a file, and its name where nothing else is written."""
        file.output.write(file.content(), sink)
        if file.output.name != "-" and not (self.request.json or self.request.plain):
            sink.write(f"{file.output.name}\n")

    def _settings(self) -> "Settings":
        """Read the text, and put together what the views depend on."""
        from charrnn.inspection.subject import Settings  # imports NumPy
        from charrnn.inspection.text import Text

        request = self.request
        text = None
        if request.text is not None:
            text = Text(request.text)
        elif request.text_file is not None:
            text = Text.from_file(request.text_file)
        return Settings(
            text=text,
            unknown=request.unknown,
            max_chars=request.max_chars,
            drawn=request.drawn,
            rows_only=request.plain and not request.outputs,
            top=request.top,
            layer=request.layer,
            units=request.units,
            signal=request.signal,
            max_lag=request.max_lag,
            corpus=request.corpus,
            processors=available_processors(),
            threads=self.threads,
        )

    def _inspect(self, path: Path, settings: "Settings", writer: Writer) -> None:
        """Do with one checkpoint what was asked for."""
        from charrnn.checkpoint import CheckpointFile
        from charrnn.inspection.subject import Subject

        with CheckpointFile(path) as file:
            if self.request.verify:
                file.verify()
                writer.verdict(path, None)
            subject = Subject(file, settings)
            if self.request.warmup:
                self._warm_up(subject)
            subject.check(self.views)
            writer.start(path)
            for name in self.views:
                self._show(name, subject, writer)
            writer.end()
            for file_writer in self.files:
                self.limits.note_page(file_writer.explore(subject), subject)
            if self.views:
                self.limits.note_strangers(subject)

    def _show(self, name: str, subject: "Subject", writer: Writer) -> None:
        """Make a view and write it."""
        if name in TEXT_VIEWS or name == "diversity":
            with self._patience():
                subject.compile(name)
        view = subject.view(name)
        writer.view(name, view)
        self.limits.note_view(name, subject, view, listed=self.request.listed)

    def _compare(
        self, paths: Sequence[Path], settings: "Settings", writer: Writer
    ) -> None:
        """Make and write the view that is about all checkpoints."""
        from charrnn.inspection.compare import Comparison

        found = tuple(self._compared(path, settings) for path in paths)
        writer.start_joint(paths)
        writer.view("compare", Comparison(found))
        writer.end()

    def _compared(self, path: Path, settings: "Settings") -> "Compared":
        """Describe one of several checkpoints."""
        from charrnn.checkpoint import CheckpointFile
        from charrnn.inspection.subject import Subject

        with CheckpointFile(path) as file:
            subject = Subject(file, settings)
            subject.check(("compare",))
            with self._patience():
                subject.compile("compare")
            self.limits.note_strangers(subject)
            return subject.compared()

    def _warm_up(self, subject: "Subject") -> None:
        """Compile what training and sampling such a model need."""
        from charrnn.inspection.network import compile_kernels, kernels_are_kept

        cell, start = subject.file.model.cell, time.monotonic()
        with self._patience():
            compile_kernels(subject.file.model, self.threads)
        self.tell.say(f"kernels of {cell} ready in {time.monotonic() - start:.1f} s")
        if not kernels_are_kept():
            self.tell.warn(
                "they cannot be kept, so every command compiles anew: "
                "CHARRNN_CACHE_DIR must name a directory that only you can write to"
            )

    def _patience(self) -> Meter:
        """Say why nothing happens if what is done inside takes long."""
        return Meter(lambda: self.tell.say(PREPARING))


def _summed_up(faults: Sequence[CharRNNError], files: int) -> CharRNNError:
    """Make one error of those that were reported one by one."""
    unreadable = all(isinstance(error, InputError) for error in faults)
    kind = InputError if unreadable else CheckpointError
    return kind(f"{len(faults):,} of {files:,} checkpoints failed the check")
