"""The way in and out: run the command line, turn mistakes into exit codes.

This is the only place where an error becomes text and a number. Signals that
end a command are passed on to the process itself, so that a shell sees it die
by the signal and a ``for`` loop around it stops.
"""

import contextlib
import errno
import gc
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn

from charrnn.cli.signals import SAVE, SIGNALED, Killed, die_by
from charrnn.cli.spelling import as_option, color_option
from charrnn.display.color import wants_color
from charrnn.errors import TOO_MANY, CharRNNError, OutputError, spell, writing_hint
from charrnn.escapes import one_line
from charrnn.launcher import leave
from charrnn.stdio import settle, silence
from charrnn.surroundings import explained

#: What only a write fails with.
WRITING = {
    errno.EAGAIN,
    errno.EBADF,
    errno.ECONNRESET,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ENOSPC,
    errno.EPIPE,
    errno.EROFS,
}


#: After so many new objects garbage is looked for, and less often among older ones.
SELDOM = 50_000, 20, 100


def report(what: str, hint: str | None) -> None:
    """Print an error and a hint as the last lines of stderr, if it is there."""
    if sys.stderr is None:
        return
    colored = wants_color(sys.stderr, color_option(sys.argv[1:]))
    red, off = ("\x1b[1;31m", "\x1b[0m") if colored else ("", "")
    lines = [f"charrnn: {red}error:{off} {one_line(what)}"]
    if hint:
        lines.append(f"hint: {one_line(hint)}")
    _print_lines(lines)


def _print_lines(lines: Sequence[str]) -> None:
    """Print to stderr; if nobody listens, the exit code still tells."""
    with contextlib.suppress(OSError, ValueError):
        print(*lines, sep="\n", file=sys.stderr, flush=True)  # noqa: T201


def _system_hint(error: OSError) -> str:
    """Advise what to do when the system refuses what any program needs."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return TOO_MANY
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        return "the working directory is gone: cd to another one"
    return "run again with CHARRNN_DEBUG=1 to see what it was about"


def _report_refusal(error: OSError) -> int:
    """Report what the system has refused, and return an exit code.

    Commands translate their own errors; this is help or version on a full disk,
    or a system in which nothing works.
    """
    reason = error.strerror or str(error)
    if error.errno in WRITING:
        report(f"cannot write: {reason}", writing_hint(error))
        return OutputError.exit_code
    where = "" if error.filename is None else f" ({error.filename})"
    report(reason.lower() + where, _system_hint(error))
    return 1


def _call(arguments: Sequence[str] | None) -> int:
    """Run one command through typer, and return the exit code it ends with.

    Typer's completion, whose codes a shell asks for, ends by `SystemExit`; so does
    the help when nobody reads it any more, and that is no failure.
    """
    import typer  # not needed to import this module

    from charrnn.cli.app import app
    from charrnn.cli.usage import Escaped

    command = typer.main.get_command(app)
    try:
        result = command.main(arguments, prog_name="charrnn", standalone_mode=False)
    except Escaped as escaped:
        raise escaped.error from None
    except typer.TyperException as error:
        message = error.format_message()
        if not message:
            return 0  # no command at all: the help has been printed
        report(message, None)
        return int(error.exit_code)
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):
            return 0
        result = ended.code
    if result is None or isinstance(result, int):
        return result or 0
    # As Python has it: what is no number is a message, and a failure.
    report(str(result), None)
    return 1


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process if not given.
    """
    try:
        return _call(arguments)
    except Exception as error:
        if os.environ.get("CHARRNN_DEBUG"):
            traceback.print_exc()
        ours = error if isinstance(error, CharRNNError) else explained(error)
        if ours is not None:
            hint = None if ours.hint is None else spell(ours.hint, as_option)
            report(ours.spelled(as_option), hint)
            return ours.exit_code
        if isinstance(error, OSError):
            return _report_refusal(error)
        what = f"internal error: {type(error).__name__}: {error}"
        report(what, "run again with CHARRNN_DEBUG=1 and report it")
        return 1


def _flush_streams() -> None:
    """Flush what is left; of a reader who has gone, Python must not complain.

    It would try once more at exit, print an error and change the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                silence(stream.buffer)


def _prepare_process() -> None:
    """Set what has to be set before anything heavy is imported."""
    # Our kernels have threads of their own. NumPy's would only help with first
    # weights, and on a busy machine they wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Compiling makes millions of objects that refer to each other and stay: to look
    # through them as often as Python does took a seventh of its time.
    gc.set_threshold(*SELDOM)
    # Asks a training to save. While there is nothing to save yet, it must not
    # kill; SIG_IGN would be taken for the parent's wish and stay.
    deadly = SAVE is not None and signal.getsignal(SAVE) == signal.SIG_DFL
    if SAVE is not None and deadly and sys.argv[1:2] == ["train"]:
        signal.signal(SAVE, lambda number, frame: None)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Show a library's warning as one of ours, without the lines of its program."""
    _print_lines([f"charrnn: warning: {one_line(str(message).partition(chr(10))[0])}"])


def main() -> NoReturn:
    """Run the command line of this process and end it."""
    settle()
    warnings.showwarning = _warn
    _prepare_process()
    try:
        code = run()
    except Killed as killed:
        # Launchers take the death of one process for a failure of all.
        if not leave(code := SIGNALED + killed.number):
            die_by(killed.number)
    except KeyboardInterrupt:  # while modules were still being imported
        die_by(signal.SIGINT)
    else:
        leave(code)
        if code == SIGNALED + signal.SIGINT:
            # Typer makes an exit code of a Ctrl-C.
            die_by(signal.SIGINT)
    _flush_streams()
    sys.exit(code)


if __name__ == "__main__":
    main()
