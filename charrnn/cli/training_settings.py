"""The options of ``train``, checked and put in order before anything is read."""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from charrnn.config import REPORTS, RunConfig
from charrnn.durations import MAX_COUNT
from charrnn.errors import OptionError, field
from charrnn.filenames import STREAM, default_output, files_of, read_output
from charrnn.options import Option, check, configure, option
from charrnn.training.request import TrainingRequest, would_overwrite


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What is told, and how often."""

    log_every: int = option(
        50,
        Option(
            f"Steps between step records of {field('json')} and {field('log_file')}.",
            REPORTS,
            low=0,
            high=MAX_COUNT,
        ),
    )
    preview_every: int | None = option(
        None,
        Option(
            "Steps between previews; 0 is never.",
            REPORTS,
            low=0,
            high=MAX_COUNT,
            usual="at validations, on a terminal",
        ),
    )
    preview_chars: int = option(
        160, Option("Length of a preview.", REPORTS, low=0, high=MAX_COUNT)
    )
    json: bool = option(False, Option("JSON Lines of metrics on stdout.", REPORTS))
    log_file: str | None = option(
        None,
        Option(
            "Append the same lines to a file.",
            REPORTS,
            metavar="PATH",
            parse=read_output,
        ),
    )
    dry_run: bool = option(
        False,
        Option(
            f"Show size, memory and time; write nothing. With {field('json')} one "
            "object that also has the fields of a run's first.",
            REPORTS,
        ),
    )

    def __post_init__(self) -> None:
        """Check the limits, and that a log has a name."""
        check(self)
        if self.log_file == STREAM:
            msg = f"{field('log_file')} {STREAM} is no file"
            hint = f"{field('json')} writes the same lines to standard output"
            raise OptionError(msg, hint=hint)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that ``train`` was asked for."""

    request: TrainingRequest
    reports: ReportOptions

    @property
    def output(self) -> Path | None:
        """The checkpoint that is written; None is standard output."""
        return self.request.output


def _place(output: str | None, source: str) -> Path | None:
    """Settle where the checkpoint goes; None is standard output.

    Raises
    ------
    OptionError
        No place is named, and the text has the name that the checkpoint would get.
    """
    if output is not None:
        return None if output == STREAM else Path(output)
    place = default_output(source)
    if os.path.realpath(place) == os.path.realpath(source):
        msg = f"{place} would be the text and the checkpoint"
        resume = f"{field('output', place)} {field('resume')}"
        hint = f"name a text; a checkpoint goes on with {resume} behind its text"
        raise OptionError(msg, hint=hint)
    return place


def _refuse_conflicts(settings: Settings) -> None:
    """Raise `OptionError` for options that contradict each other."""
    run = settings.request.run
    if settings.output is None:
        uses = {
            "resume": (run.resume, "name the checkpoint to continue with --output"),
            "json": (
                settings.reports.json,
                "standard output has one use: --log-file takes the records",
            ),
        }
        for name, (used, hint) in uses.items():
            if used:
                msg = f"{field(name)} cannot be combined with --output -"
                raise OptionError(msg, hint=hint)
    if _names(settings).count("-") > 1:
        msg = "standard input is named twice"
        raise OptionError(msg, hint="it can be read once: name a file instead")


def _names(settings: Settings) -> list[object]:
    """List what names the texts to read."""
    return [*settings.request.sources, settings.request.val_file]


def _spare_texts(settings: Settings) -> None:
    """Refuse to write where a text is read from, also by a redirection.

    Raises
    ------
    OptionError
        A text would be overwritten.
    """
    log_file = settings.reports.log_file
    if log_file is not None:
        settings.request.spare_texts("log_file", Path(log_file))
    piped = _status(sys.stdin) if "-" in _names(settings) else None
    if piped is not None and not stat.S_ISREG(piped.st_mode):
        return  # a terminal can be read from and written to
    for name, path in _written(settings):
        if _is_file(path, piped):
            raise would_overwrite(name, path)


def _spare_checkpoints(settings: Settings) -> None:
    """Refuse to append a log to what else this run writes.

    Raises
    ------
    OptionError
        The log would damage a checkpoint.
    """
    log_file = settings.reports.log_file
    if log_file is None:
        return
    files = {os.path.realpath(p) for o, p in _written(settings) if o == "output"}
    piped = None if settings.output else _status(sys.stdout)
    # /dev/null and the like take anything from anybody.
    device = piped is not None and stat.S_ISCHR(piped.st_mode)
    if os.path.realpath(log_file) in files or (
        not device and _is_file(Path(log_file), piped)
    ):
        msg = f"--log-file {Path(log_file)} is where a checkpoint goes"
        raise OptionError(msg, hint="name another file with --log-file")


def _written(settings: Settings) -> Iterator[tuple[str, Path]]:
    """List the files that a run writes, and the options that name them."""
    if settings.output is not None:
        for path in files_of(settings.output):
            yield "output", path
    if settings.reports.log_file is not None:
        yield "log_file", Path(settings.reports.log_file)


def _status(stream: TextIO | None) -> os.stat_result | None:
    """Look at what a standard stream is, if it is a descriptor's."""
    with contextlib.suppress(OSError, ValueError):
        return os.fstat(stream.fileno()) if stream else None
    return None


def _is_file(path: Path, status: os.stat_result | None) -> bool:
    """Whether a path leads to the file that a status is of."""
    with contextlib.suppress(OSError, ValueError):
        return status is not None and os.path.samestat(path.stat(), status)
    return False


def settings_of(sources: tuple[str, ...], options: Mapping[str, Any]) -> Settings:
    """Check the options of the command line, and sort them.

    Parameters
    ----------
    sources : tuple of str
        Texts to train on, at least one.
    options : mapping
        Values by the names of options; None where an option was not given.

    Raises
    ------
    OptionError
        A value is out of range, or options contradict each other.
    OutputError
        Nothing can be written where the checkpoint is to go.
    """
    # Read on its own: the file's name has to be known before all else is checked.
    output = _place(configure(RunConfig, options).output, sources[0])
    settings = Settings(
        request=TrainingRequest.of(sources, options, output=output),
        reports=configure(ReportOptions, options),
    )
    _refuse_conflicts(settings)
    _spare_texts(settings)
    _spare_checkpoints(settings)
    return settings
