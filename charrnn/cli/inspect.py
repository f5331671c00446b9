"""The command `inspect`: show what is in a checkpoint, and what it makes of a text.

Views are made by `charrnn.inspection` and drawn by `charrnn.display`; here
options are checked, files opened, and what was made is sent to standard
output, as a drawing, as JSON or as tab-separated lines.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.cli import inspect_options as options
from charrnn.cli.inspect_files import (
    FileWriter,
    Output,
    PageWriter,
    SvgWriter,
    check_outputs,
)
from charrnn.cli.inspect_forms import (
    DrawingWriter,
    JsonWriter,
    PlainWriter,
    SeveralWriters,
    VerdictWriter,
    Writer,
)
from charrnn.cli.notes import PREPARING, Meter, Notes
from charrnn.cli.options import (
    Color,
    Common,
    Progress,
    Quiet,
    Threads,
    Verbose,
    available_processors,
)
from charrnn.cli.output import ReaderGone, TextSink, open_stdout
from charrnn.config import UnknownPolicy, check_choice, check_number
from charrnn.errors import CharRNNError, CheckpointError, InputError, OptionError
from charrnn.inspection import TEXT_VIEWS, VIEWS

if TYPE_CHECKING:
    from charrnn.inspection.subject import Settings, Subject


EXAMPLES = "\n".join(
    [
        "Examples:",
        "charrnn inspect lovecraft.npz",
        "charrnn inspect lovecraft.npz --view history --view weights",
        "charrnn inspect lovecraft.npz --view surprise --text-file story.txt",
        "charrnn sample a.npz | charrnn inspect b.npz --view surprise --text-file -",
        "charrnn inspect --verify *.npz",
    ]
)

#: What a page shows unless it is told, and what of a text.
PAGE_VIEWS = ("summary", "history", "weights", "vocab")
PAGE_TEXT_VIEWS = ("surprise", "next")

#: Narrower than this, nothing can be drawn.
MIN_WIDTH = 20


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be shown, and in which form."""

    views: tuple[str, ...]
    text: str | None
    text_file: str | None
    unknown: UnknownPolicy
    max_chars: int | None
    top: int
    json: bool
    plain: bool
    svg: str | None
    html: str | None
    width: int | None
    ascii: bool
    verify: bool
    warm_up: bool

    def __post_init__(self) -> None:
        """Check each option and what cannot go together."""
        for name in self.views:
            if name not in VIEWS:
                msg = f"--view {name} is unknown"
                raise OptionError(msg, hint=f"one of {', '.join(VIEWS)}")
        check_choice("--unknown", self.unknown, UnknownPolicy)
        check_number("--top", self.top, low=1)
        check_number("--max-chars", self.max_chars or 0, low=0)
        if self.width is not None:
            check_number("--width", self.width, low=MIN_WIDTH, high=10_000)
        if self.json and self.plain:
            msg = "--json cannot be combined with --plain"
            raise OptionError(msg)
        others = {
            "--json": self.json,
            "--plain": self.plain,
            "--verify": self.verify,
        }
        check_outputs(self.outputs, [name for name, used in others.items() if used])
        self._check_text()

    def _check_text(self) -> None:
        """Refuse a view without its text, and a text that nothing reads."""
        if self.text is not None and self.text_file is not None:
            msg = "--text cannot be combined with --text-file"
            raise OptionError(msg)
        given = self.text is not None or self.text_file is not None
        readers = [name for name in self.views if name in TEXT_VIEWS]
        if readers and not given:
            msg = f"--view {readers[0]} needs a text"
            hint = "give one with --text TEXT or --text-file PATH; - is standard input"
            raise OptionError(msg, hint=hint)
        if given and not readers:
            option = "--text" if self.text is not None else "--text-file"
            msg = f"{option} is given, but no view that reads a text"
            hint = f"add --view {' or --view '.join(sorted(TEXT_VIEWS))}"
            raise OptionError(msg, hint=hint)

    @property
    def drawn(self) -> bool:
        """Whether people are to read it."""
        return bool(self.outputs) or not (self.json or self.plain)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The files that are to be written."""
        named = {"--svg": self.svg, "--html": self.html}
        return tuple(Output(o, name) for o, name in named.items() if name is not None)


def inspect(
    checkpoint: options.Checkpoints,
    view: options.View = None,
    top: options.Top = 5,
    text: options.TextOption = None,
    text_file: options.TextFile = None,
    unknown: options.Unknown = "error",
    max_chars: options.MaxChars = None,
    json: options.Json = False,
    plain: options.Plain = False,
    svg: options.Svg = None,
    html: options.Html = None,
    width: options.Width = None,
    ascii: options.Ascii = False,
    verify: options.Verify = False,
    warmup: options.WarmUp = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: Color = "auto",
    progress: Progress = "auto",
    threads: Threads = None,
) -> None:
    """Show what is in a checkpoint, and what its model makes of a text."""
    common = Common(quiet, verbose, color, progress, threads)
    asked = tuple(dict.fromkeys(view or ()))
    if not asked and html is not None:
        reads = text is not None or text_file is not None
        asked = PAGE_VIEWS + (PAGE_TEXT_VIEWS if reads else ())
    request = Request(
        views=asked or (() if verify or warmup else ("summary",)),
        text=text,
        text_file=text_file,
        unknown=unknown,
        max_chars=max_chars,
        top=top,
        json=json,
        plain=plain,
        svg=svg,
        html=html,
        width=width,
        ascii=ascii,
        verify=verify,
        warm_up=warmup,
    )
    with suppress(ReaderGone):  # as whoever ran `head` wanted
        Inspector(common, request).run(checkpoint)


class Inspector:
    """One run of the command, its options known to be good."""

    def __init__(self, common: Common, request: Request) -> None:
        self.common = common
        self.request = request
        self.tell = Notes(common)
        self.limits: list[str] = []
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
        request, faults = self.request, []
        for output in request.outputs:
            read = [request.text_file] if request.text_file else []
            output.check([*paths, *read])
        settings = self._settings()
        with open_stdout(raw=True) as sink:
            first = self._writer(sink, several=len(paths) > 1)
            writer = SeveralWriters([first, *self.files])
            for path in paths:
                try:
                    self._inspect(path, settings, writer)
                except (CheckpointError, InputError) as error:
                    if not request.verify or len(paths) == 1:
                        raise
                    writer.verdict(path, error)
                    faults.append(error)
                sink.flush()
                self._tell_limits()
            for file in self.files:
                self._save(file, sink)
        if faults:
            raise _summed_up(faults, len(paths))

    def _writer(self, sink: TextSink, *, several: bool) -> Writer:
        """Choose the form in which views are written."""
        request = self.request
        if request.json:
            return JsonWriter(sink)
        if request.plain:
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

    def _explore(self, file: FileWriter, subject: "Subject") -> None:
        """Let a page read the text, and note how much of it has room there."""
        shown = file.explore(subject)
        if shown is not None and shown < subject.ids.size:
            self.limits.append(
                f"the page has the first {shown:,} of {subject.ids.size:,} characters"
            )

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
            top=request.top,
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
            if self.request.warm_up:
                self._warm_up(subject)
            writer.start(path)
            for name in self.request.views:
                self._show(name, subject, writer)
            writer.end()
            for file_writer in self.files:
                self._explore(file_writer, subject)

    def _show(self, name: str, subject: "Subject", writer: Writer) -> None:
        """Make a view and write it."""
        if name in TEXT_VIEWS:
            subject.ids  # noqa: B018 - a wrong character must not wait for Numba
            with self._patience():
                subject.compile()
        view = subject.view(name)
        writer.view(name, view)
        if name in TEXT_VIEWS:
            self._note_limits(name, subject, view)

    def _tell_limits(self) -> None:
        """Say once what was noted, below what it is about."""
        for note in dict.fromkeys(self.limits):
            self.tell.say(f"note: {note}")
        self.limits.clear()

    def _note_limits(self, name: str, subject: "Subject", view: Any) -> None:
        """Note what of the text is not shown as it is."""
        shown = len(view.text if name == "surprise" else view.positions)
        if shown < view.characters:
            end = "first" if name == "surprise" else "last"
            self.limits.append(
                f"{name} shows the {end} {shown:,} of {view.characters:,} "
                "characters; --max-chars 0 shows all"
            )
        if subject.strangers:
            done = "skipped" if self.request.unknown == "skip" else "replaced"
            self.limits.append(
                f"{done} what the model does not know: "
                f"{subject.strangers:,} of the text's characters"
            )

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
