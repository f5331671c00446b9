"""The command `inspect`: show what is in a checkpoint, and what it makes of a text.

Views are made by `charrnn.inspection` and drawn by `charrnn.display`; here
options are checked, files opened, and what was made is sent to standard
output, as a drawing, as JSON or as tab-separated lines.
"""

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import schemas
from charrnn.cli.inspect_checks import check_views, summed_up
from charrnn.cli.inspect_files import (
    FileWriter,
    LiveWriter,
    OutputFile,
    PageWriter,
    SvgWriter,
)
from charrnn.cli.inspect_forms import (
    DrawingWriter,
    JsonWriter,
    LineWriter,
    PlainWriter,
    SeveralWriters,
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
from charrnn.cli.options import COMMON, Common, takes
from charrnn.cli.output import ReaderGone, TextSink, open_stdout
from charrnn.config import Mixing
from charrnn.errors import (
    CharRNNError,
    CheckpointError,
    InputError,
    OptionError,
)
from charrnn.inspection.registry import DEFAULT, page_views, view_named
from charrnn.options import OptionTable, check_file_name, configure
from charrnn.processors import available_processors

if TYPE_CHECKING:
    from charrnn.inspection.asked import ViewOptions
    from charrnn.inspection.inspected import InspectedCheckpoint, InspectedMixture
    from charrnn.inspection.records import ViewData
    from charrnn.inspection.view import AnyView


#: What the command is about, for its help. No docstring: Python may leave those out.
ABOUT = "Show what is in a checkpoint, and what its model makes of a text."

EXAMPLES = "\n".join(
    [
        "Examples:",
        "charrnn inspect lovecraft.npz",
        "charrnn inspect lovecraft.npz --view history --view weights",
        "charrnn inspect lovecraft.npz --view surprise --text-file story.txt",
        "charrnn inspect lovecraft.npz --view neurons --view memory "
        "--text-file story.txt",
        "charrnn inspect lovecraft.npz --live lovecraft.html --text-file story.txt",
        "charrnn inspect lovecraft.npz --view diversity --corpus lovecraft.txt",
        "charrnn inspect a.npz b.npz --view compare --text-file story.txt",
        "charrnn inspect a.npz b.npz --view surprise --mix 0.7,0.3 "
        "--text-file story.txt",
        "charrnn inspect words.npz --view errors --text-file words.tsv --held-out",
        "charrnn sample a.npz | charrnn inspect b.npz --view surprise --text-file -",
        "charrnn inspect --verify *.npz",
        "charrnn inspect --schema sample",
    ]
)


OPTIONS = OptionTable(
    kinds=(InspectOptions, Common), groups=(VIEW, TEXT, FORM, FILE, COMMON)
)

Checkpoints = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CHECKPOINT",
        help="Models, as charrnn train saves them.",
    ),
]


@takes(OPTIONS)
def inspect(checkpoint: Checkpoints = None, **options: Any) -> None:
    """Carry out what `ABOUT` says."""
    common = configure(Common, options)
    if options["schema"] is not None:
        with suppress(ReaderGone):
            _print_schema(options["schema"])
        return
    if not checkpoint:
        msg = "CHECKPOINT is missing"
        hint = "write charrnn inspect CHECKPOINT; charrnn inspect --help lists the "
        raise OptionError(msg, hint=f"{hint}options")
    for path in checkpoint:
        check_file_name("the name of a checkpoint", path)
    asked = tuple(dict.fromkeys(options["view"] or ()))
    if not asked and options["html"] is not None:
        reads = options["text"] is not None or options["text_file"] is not None
        asked = page_views(text=reads, several=len(checkpoint) > 1)
    other = options["verify"] or options["warmup"] or options["live"] is not None
    if not asked and not other:
        asked = (DEFAULT,)
    request = configure(Request, options, views=asked)
    if request.live is not None and len(checkpoint) > 1:
        msg = f"--live makes a page of one model, not of {len(checkpoint)}"
        raise OptionError(msg, hint="name one checkpoint at a time")
    with suppress(ReaderGone):  # as whoever ran `head` wanted
        Inspector(common, request, named=bool(options["view"])).run(
            [Path(path) for path in checkpoint]
        )


def _print_schema(name: str) -> None:
    """Print what a JSON output looks like, or which outputs there are.

    Raises
    ------
    OptionError
        There is no such output.
    """
    if name == schemas.LIST:
        text = "".join(f"{each}\n" for each in schemas.MAKERS)
    else:
        text = json.dumps(schemas.schema_named(name), indent=2) + "\n"
    with open_stdout() as sink:
        sink.write(text)


class Inspector:
    """One run of the command, its options known to be good.

    Parameters
    ----------
    named : bool
        Whether somebody named the views: then each has to suit every model.
    """

    def __init__(self, common: Common, request: Request, *, named: bool) -> None:
        from charrnn.inspection.view import JointView

        self.named = named
        self.common = common
        self.request = request
        self.tell = Notes(common)
        self.limits = Limits(self.tell)
        views = [view_named(name) for name in request.views]
        self.joint_views = [v for v in views if isinstance(v, JointView)]
        single = [v for v in views if not isinstance(v, JointView)]
        mixes = bool(request.mix)
        self.mixed_views = [v for v in single if mixes and "mix" in v.options]
        self.views = [v for v in single if v not in self.mixed_views]
        self.files = [self._file_writer(output) for output in request.outputs]
        self._several = False  # whether there is more than one checkpoint
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
        self._several = len(paths) > 1
        if self.request.mixing is not None:
            self.request.mixing.weights(len(paths))  # as many as there are models
        for output in self.request.outputs:
            read = [self.request.text_file] if self.request.text_file else []
            output.check([*paths, *read, *self.request.corpus])
        options = self._options()
        try:
            with open_stdout(raw=True) as sink:
                first = self._writer(sink, several=len(paths) > 1)
                writer = SeveralWriters([first, *self.files])
                faults = self._each(paths, options, writer, sink)
                if (self.joint_views or self.mixed_views) and not faults:
                    self._join(paths, options, writer)
                    sink.flush()
                    self.limits.tell()
                for file in self.files:
                    self._save(file, sink)
        finally:
            self.tell.warn_of_cache()
            if options.text is not None:
                options.text.close()
        if faults:
            raise summed_up(faults, len(paths))

    def _each(
        self,
        paths: Sequence[Path],
        options: "ViewOptions",
        writer: Writer,
        sink: TextSink,
    ) -> list[CharRNNError]:
        """Inspect checkpoints one by one; return what a check of several found."""
        request = self.request
        faults: list[CharRNNError] = []
        wanted = self.views or request.verify or request.warmup or request.live
        if not wanted:
            return []
        for path in paths:
            try:
                self._inspect(path, options, writer)
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
            return LineWriter(sink)
        width = request.width or shutil.get_terminal_size().columns
        look = max(MIN_WIDTH, width), request.ascii
        return DrawingWriter(sink, *look, self.common.color)

    def _file_writer(self, output: OutputFile) -> FileWriter:
        """Choose what becomes of views in a file."""
        if output.option == "--svg":
            return SvgWriter(output, self.request.width)
        if output.option == "--live":
            return LiveWriter(output, self.request.live_precision)
        return PageWriter(output)

    def _save(self, file: FileWriter, sink: TextSink) -> None:
        """Write a file, and its name where nothing else is written."""
        file.output.write(file.content(), sink)
        if file.output.name != "-" and not (self.request.json or self.request.plain):
            sink.write(f"{file.output.name}\n")
        name = "the page" if file.output.name == "-" else file.output.name
        for remark in file.remarks():
            self.tell.say(f"{name}: {remark}")

    def _options(self) -> "ViewOptions":
        """Read the text, and put together what the views depend on."""
        from charrnn.inspection.asked import ViewOptions
        from charrnn.inspection.text import InspectedText  # imports NumPy
        from charrnn.pairs import PairFormat

        request = self.request
        readers = [v for v in (*self.views, *self.joint_views) if v.text != "no"]
        text = None
        if request.text is not None:
            text = InspectedText(request.text)
        elif request.text_file is not None:
            text = InspectedText.from_file(request.text_file)
        return ViewOptions(
            text=text,
            unknown=request.unknown,
            pairs=PairFormat(request.pair_separator, request.allow_empty),
            begun=all(view.begun for view in readers),
            max_chars=request.max_chars,
            drawn=request.drawn,
            rows_only=request.plain and not request.outputs,
            top=request.top,
            layer=request.layer,
            units=request.units,
            signal=request.signal,
            max_lag=request.max_lag,
            corpus=request.corpus,
            held_out=request.held_out,
            blend=request.blend,
            adapt=request.adapt,
            processors=available_processors(),
            threads=self.threads,
        )

    def _inspect(self, path: Path, options: "ViewOptions", writer: Writer) -> None:
        """Do with one checkpoint what was asked for."""
        from charrnn.checkpoint import CheckpointFile
        from charrnn.inspection.inspected import InspectedCheckpoint

        with CheckpointFile(path) as file:
            if self.request.verify:
                file.verify()
                writer.verdict(path, None)
            checkpoint = InspectedCheckpoint(file, options)
            if self.request.warmup:
                self._warm_up(checkpoint)
            views = self.views
            if not self.named:
                views = [view for view in views if view.suits(checkpoint)]
            check_views(checkpoint, views, several=self._several)
            self._note_memory(checkpoint, views)
            writer.start(path)
            for view in views:
                self._show(view, checkpoint, writer)
            writer.end()
            for file_writer in self.files:
                with self._patience():
                    shown = file_writer.explore(checkpoint)
                self.limits.note_page(shown, checkpoint)
            if self.views or self.request.live:
                decodes = any(view.decodes for view in views)
                self.limits.note_unread(checkpoint, decodes=decodes)

    def _show(
        self, view: "AnyView", checkpoint: "InspectedCheckpoint", writer: Writer
    ) -> None:
        """Make a view and write it."""
        with self._patience():
            view.compile(checkpoint)
        self._write(view, view.compute(checkpoint), checkpoint.characters, writer)

    def _show_mixed(
        self, view: "AnyView", mixture: "InspectedMixture", writer: Writer
    ) -> None:
        """Make a view of what several checkpoints predict together, and write it."""
        with self._patience():
            for checkpoint in mixture.checkpoints:
                view.compile(checkpoint)
        self._write(view, view.compute_mixed(mixture), mixture.characters, writer)

    def _write(
        self, view: "AnyView", data: "ViewData", total: int, writer: Writer
    ) -> None:
        """Write a view's data, and note what of a text they leave out.

        Parameters
        ----------
        total : int
            The text's characters.
        """
        writer.view(view, data)
        extent, listed = view.extent(data, total), self.request.listed
        self.limits.note_view(view.name, extent, total, listed=listed)

    def _join(
        self, paths: Sequence[Path], options: "ViewOptions", writer: Writer
    ) -> None:
        """Make and write the views that are about all checkpoints."""
        with ExitStack() as stack:
            mixture, mixing = None, self.request.mixing
            if mixing is not None:
                mixture = self._mixture(paths, options, mixing, stack)
            described = paths if self.joint_views else []
            parts = [self._described(path, options) for path in described]
            writer.start_joint(paths, mixing)
            for n, view in enumerate(self.joint_views):
                data = view.join([found[n] for found in parts])
                if mixture is not None:
                    data = view.with_mixture(data, mixture)
                writer.view(view, data)
            if mixture is not None:
                for mixed in self.mixed_views:
                    self._show_mixed(mixed, mixture, writer)
            writer.end()

    def _mixture(
        self,
        paths: Sequence[Path],
        options: "ViewOptions",
        mixing: Mixing,
        stack: ExitStack,
    ) -> "InspectedMixture":
        """Open all checkpoints as one model, until the stack is closed."""
        from charrnn.checkpoint import CheckpointFile
        from charrnn.inspection.inspected import InspectedCheckpoint, InspectedMixture

        files = [stack.enter_context(CheckpointFile(path)) for path in paths]
        parts = [InspectedCheckpoint(file, options) for file in files]
        mixture = InspectedMixture(parts, options, mixing)
        mixture.count()
        for part in parts:
            self._note_memory(part, self.mixed_views)
        self.limits.note_unread(mixture)
        return mixture

    def _described(self, path: Path, options: "ViewOptions") -> list[Any]:
        """Compute what each joint view needs of one of several checkpoints."""
        from charrnn.checkpoint import CheckpointFile
        from charrnn.inspection.inspected import InspectedCheckpoint

        with CheckpointFile(path) as file:
            checkpoint = InspectedCheckpoint(file, options)
            check_views(checkpoint, self.joint_views, several=self._several)
            self._note_memory(checkpoint, self.joint_views)
            with self._patience():
                for view in self.joint_views:
                    view.compile(checkpoint)
            decodes = any(view.decodes for view in self.joint_views)
            self.limits.note_unread(checkpoint, decodes=decodes)
            return [view.describe(checkpoint) for view in self.joint_views]

    def _note_memory(
        self, checkpoint: "InspectedCheckpoint", views: Sequence["AnyView"]
    ) -> None:
        """Say so where a view predicts without the memory that there will be."""
        predicts = any("blend" in view.options for view in views)
        if predicts and checkpoint.file.remembers and self.request.blend == "auto":
            self.limits.note_unfinished()

    def _warm_up(self, checkpoint: "InspectedCheckpoint") -> None:
        """Compile what training and sampling such a model need."""
        from charrnn.training.probe import compile_kernels

        config, start = checkpoint.file.model, time.monotonic()
        with self._patience():
            compile_kernels(config, self.threads)
        seconds = time.monotonic() - start
        self.tell.say(f"kernels of {config.cell} ready in {seconds:.1f} s")
        self.tell.warn_of_cache()

    def _patience(self) -> Meter:
        """Say why nothing happens if what is done inside takes long."""
        return Meter(lambda: self.tell.say(PREPARING))
