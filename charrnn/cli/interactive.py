"""Lines that are completed while somebody writes them at a terminal.

    keys --> line editor (prompt_toolkit) --> Companion --> Completer
    grey text behind the cursor <-------------------- continuations

Imported when it is wanted only: NumPy and Numba come with it.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from charrnn.cli.arriving import Arriving
from charrnn.cli.companion import Companion
from charrnn.cli.output import TextSink, open_stdout
from charrnn.cli.prompts import lines_of, too_long
from charrnn.cli.sample_prompts import Prompts
from charrnn.cli.signals import Killed, signal_number
from charrnn.display.color import is_terminal, wants_color
from charrnn.errors import MissingComponentError, field
from charrnn.generation.completion import END_OF_LINE, Offers

if TYPE_CHECKING:
    from charrnn.generation.completion import Completer
    from charrnn.reading import ReadOptions

#: Said to whoever begins to write.
KEYS = (
    "Tab takes a word, right takes all, up and down choose, Enter ends the line, "
    "Ctrl-D leaves"
)

#: What stands behind the cursor where the line is likely to end.
END_SIGN = "\u21b5"

#: What continuations look like, in color and without.
GREY, WITHOUT_COLOR = "#808080", "dim"

#: Lines that are continued between two looks at whether more have come.
AT_ONCE = 64

#: Signals that the terminal must not be left to.
DEADLY = ("SIGTERM", "SIGHUP")


def screen() -> IO[str] | None:
    """Find the terminal that somebody writes at: where lines are shown.

    Returns
    -------
    text file or None
        Standard output; or standard error, where lines go to a file. None where keys
        do not come from a terminal, or no line can be edited there.
    """
    if not is_terminal(sys.stdin) or os.environ.get("TERM") in ("dumb", "unknown"):
        return None
    return next((s for s in (sys.stdout, sys.stderr) if is_terminal(s)), None)


def check_editor() -> None:
    """Raise `MissingComponentError` where lines cannot be edited."""
    try:
        import prompt_toolkit  # noqa: F401 - imported when it is needed
    except ImportError:
        msg = f"{field('interactive')} needs prompt_toolkit, which is not installed"
        hint = "pip install 'charrnn-numba[interactive]'"
        raise MissingComponentError(msg, hint=hint) from None


def continue_lines(
    completer: "Completer",
    lines: Arriving,
    sink: TextSink,
    prompts: Prompts,
    options: "ReadOptions",
) -> None:
    """Write every line that comes with its likeliest continuation, each by itself.

    Raises
    ------
    CorpusError
        A line is not UTF-8, or too long.
    VocabError
        A line has a character that the model does not know.
    ReaderGone
        Nobody reads any more.
    """
    first, of_bytes = 0, options.unit == "byte"
    while block := lines.lines(AT_ONCE):
        whole = [line for line in block if line is not None]
        if len(whole) < len(block):
            raise too_long(first + block.index(None) + 1)
        texts = lines_of(whole, options, first=first, escape=False)
        prompts.check(texts, first=first)
        for prompt in texts:
            line, raw = prompt.text, prompt.text.encode("latin-1") if of_bytes else b""
            if of_bytes:
                line = raw.decode("utf-8", "surrogateescape")
            found = [*completer.complete(line, 1), END_OF_LINE][0]
            sink.write(raw if of_bytes else line)
            sink.write(found.removesuffix(END_OF_LINE) + END_OF_LINE)
        sink.flush()
        first += len(texts)


class Editor:
    """A line editor whose lines are completed in grey.

    Parameters
    ----------
    completer : Completer
    stream : text file
        The terminal that it draws on.
    color : str
        As ``--color`` says.
    """

    def __init__(self, completer: "Completer", stream: IO[str], color: str) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.layout.processors import TabsProcessor
        from prompt_toolkit.output import ColorDepth, create_output

        self._offers = Offers()
        self._leaving = False
        output = create_output(stream)
        depth, without = output.get_default_color_depth(), ColorDepth.MONOCHROME
        self._style = GREY
        if not wants_color(stream, color):
            self._style, depth = WITHOUT_COLOR, without
        elif depth == without:  # which NO_COLOR has made it
            depth = ColorDepth.ANSI_COLORS_ONLY
        # Nothing is drawn that depends on where the line stands on the screen, and a
        # terminal that is asked may answer into the next program's input.
        output.enable_cpr = False
        self._session: Any = PromptSession(
            output=output,
            color_depth=depth,
            key_bindings=self._keys(),
            input_processors=[_Continuation(self._grey), TabsProcessor(8, " ", " ")],
            enable_suspend=True,
            reserve_space_for_menu=0,
        )
        self._buffer, self._app = self._session.default_buffer, self._session.app
        self._buffer.on_text_changed += lambda _: self._follow()
        self._app.before_render += lambda _: self._look()
        self._companion = Companion(completer, self._app.invalidate)

    def lines(self) -> Iterator[str]:
        """Have somebody write lines, until there are no more.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C was pressed in an empty line.
        Killed
            A signal has come.
        CharRNNError
            The model has nothing to choose from.
        """
        try:
            self._companion.want("")
            while not self._leaving:
                self._offers = Offers()
                line = self._session.prompt(pre_run=self._catch_signals)
                self._companion.finish(line)
                if line or not self._leaving:
                    yield line
        finally:
            self._companion.end()

    def _catch_signals(self) -> None:
        """Have signals end the editor, so that the terminal is left as it was."""
        loop = asyncio.get_running_loop()
        for number in filter(None, map(signal_number, DEADLY)):
            with suppress(NotImplementedError):  # on Windows
                loop.add_signal_handler(number, self._fail, Killed(number))

    def _fail(self, error: BaseException) -> None:
        """End the line that is being written, and all."""
        if not self._app.is_done:
            self._app.exit(exception=error)

    def _follow(self) -> None:
        """Take note of what the line has become, and ask for more."""
        line = self._buffer.text
        self._offers.follow(line)
        self._companion.want(line)

    def _look(self) -> None:
        """Take what the companion has found."""
        if self._companion.error is not None:
            self._fail(self._companion.error)
        self._companion.offer(self._offers)

    def _at_end(self) -> bool:
        """Tell whether the cursor is where a continuation would stand."""
        return bool(self._buffer.document.is_cursor_at_the_end)

    def _grey(self) -> list[tuple[str, str]]:
        """Give what stands behind the line, and in which style."""
        if self._app.is_done or not self._at_end():
            return []
        shown = self._offers.shown
        sign = END_SIGN if shown == END_OF_LINE else shown
        return [(self._style, sign)] if sign else []

    def _keys(self) -> Any:
        """Say what keys do, where it is not what they do in any line."""
        from prompt_toolkit.filters import Condition
        from prompt_toolkit.key_binding import KeyBindings

        keys, at_end = KeyBindings(), Condition(self._at_end)
        for key in ("right", "end", "c-e", "c-f"):
            keys.add(key, filter=at_end)(lambda _: self._take(self._offers.rest()))
        keys.add("tab")(lambda _: self._take(self._offers.word()))
        keys.add("down")(lambda _: self._offers.turn(1))
        keys.add("up")(lambda _: self._offers.turn(-1))
        keys.add("c-c")(lambda _: self._clear())
        keys.add("c-d", filter=at_end)(lambda _: self._leave())
        return keys

    def _take(self, text: str) -> None:
        """Write some of a continuation into the line, if the cursor is there."""
        if self._at_end():
            self._buffer.insert_text(text)

    def _clear(self) -> None:
        """Take the line back; of an empty one, leave."""
        if not self._buffer.text:
            self._fail(KeyboardInterrupt())
        self._buffer.reset()
        self._follow()

    def _leave(self) -> None:
        """Leave, with what there is of the line."""
        self._leaving = True
        self._buffer.validate_and_handle()


def write_lines(editor: Editor) -> None:
    """Have somebody write lines; where standard output is elsewhere, send them there.

    Raises
    ------
    ReaderGone
        Nobody reads them any more.
    """
    if is_terminal(sys.stdout):
        for _ in editor.lines():
            pass
        return
    with open_stdout() as sink:
        for line in editor.lines():
            sink.write(f"{line}\n")
            sink.flush()


class _Continuation:
    """Put a continuation behind the line, as prompt_toolkit's processors do.

    Parameters
    ----------
    grey : callable
        Gives it, with its style.
    """

    def __init__(self, grey: Callable[[], list[tuple[str, str]]]) -> None:
        self._grey = grey

    def apply_transformation(self, line: Any) -> Any:
        """Change a line of the text on its way to the screen."""
        from prompt_toolkit.layout.processors import Transformation

        last = line.lineno == line.document.line_count - 1
        return Transformation(line.fragments + (self._grey() if last else []))
