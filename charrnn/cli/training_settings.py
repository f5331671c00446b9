"""The options of ``train``, checked and put in order before anything is read."""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TextIO, cast

from charrnn.config import (
    MAX_COUNT,
    Every,
    ModelConfig,
    NewlineMode,
    TrainConfig,
    UnitName,
    check_choice,
    check_number,
    parse_duration,
    parse_every,
)
from charrnn.errors import OptionError, OutputError, field
from charrnn.training.filenames import best_path

DivergencePolicy = Literal["stop", "rollback"]

#: Options that are passed on under the names of the configurations' fields.
MODEL_OPTIONS = ("cell", "activation", "hidden", "layers", "norm")
TRAIN_OPTIONS = tuple(f.name for f in fields(TrainConfig))


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """How texts are read."""

    encoding: str
    newlines: NewlineMode
    unit: UnitName
    min_count: int
    lines: bool


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What is told, and how often."""

    log_every: int
    preview_every: int | None  # steps; None is at validations, on a terminal
    preview_chars: int
    json: bool
    log_file: Path | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that ``train`` was asked for."""

    sources: tuple[str, ...]
    output: Path | None  # None is standard output
    force: bool
    resume: bool
    new_corpus: bool
    init_from: Path | None
    save_every: Every
    keep_best: bool
    text: TextOptions
    val_file: str | None
    model: Mapping[str, Any]  # given fields of ModelConfig
    train: Mapping[str, Any]  # given fields of TrainConfig
    on_divergence: DivergencePolicy
    reports: ReportOptions
    dry_run: bool


def default_output(source: str) -> Path:
    """Name the checkpoint after the first text, in the working directory."""
    if source == "-":
        return Path("charrnn.npz")
    return Path(Path(source).stem + ".npz")


def _output(options: Mapping[str, Any]) -> Path | None:
    """Settle where the checkpoint goes; None is standard output.

    Raises
    ------
    OptionError
        The name is empty.
    OutputError
        It can only be a directory's, such as ``.`` or ``/``.
    """
    output = options["output"]
    if output == "-":
        return None
    if output is None:
        return default_output(options["paths"][0])
    if not output:
        msg = "--output is empty"
        raise OptionError(msg, hint="name a file, or leave it away")
    path = Path(output)
    if not path.name:
        msg = "is a directory"
        raise OutputError(msg, where=output, hint="name a file in it with --output")
    return path


def _given(options: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Pick the options that were set on the command line."""
    return {n: options[n] for n in names if options.get(n) is not None}


def _conflicts(options: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other.

    Raises
    ------
    OptionError
        They do.
    """
    pairs = [
        ("resume", "force", "--resume continues the file, --force begins it anew"),
        ("resume", "init_from", "--resume continues a run, --init-from begins one"),
        ("val_file", "val_fraction", "the file is used as a whole"),
    ]
    for a, b, hint in pairs:
        if options[a] and options[b]:
            first, second = (f"--{name.replace('_', '-')}" for name in (a, b))
            msg = f"{first} and {second} exclude each other"
            raise OptionError(msg, hint=hint)
    if options["new_corpus"] and not options["resume"]:
        msg = "--new-corpus goes with --resume"
        raise OptionError(msg, hint="a new run reads any text: leave it away")
    if options["output"] == "-":
        uses = {
            "resume": "name the checkpoint to continue with --output",
            "json": "standard output has one use: --log-file takes the records",
        }
        for name, hint in uses.items():
            if options[name]:
                msg = f"--{name} cannot be combined with --output -"
                raise OptionError(msg, hint=hint)
    if [*options["paths"], options["val_file"]].count("-") > 1:
        msg = "standard input is named twice"
        raise OptionError(msg, hint="it can be read once: name a file instead")


def _spare_texts(settings: "Settings") -> None:
    """Refuse to write where a text is read from.

    Raises
    ------
    OptionError
        A text would be overwritten.
    """
    names = [*settings.sources, settings.val_file]
    texts = {os.path.realpath(name) for name in names if name and name != "-"}
    piped = _status(sys.stdin) if "-" in names else None
    if piped is not None and not stat.S_ISREG(piped.st_mode):
        piped = None  # a terminal can be read from and written to
    for option, path in _written(settings):
        if os.path.realpath(path) in texts or _is_file(path, piped):
            msg = f"{path} is a text to read and cannot be written to"
            raise OptionError(msg, hint=f"name another file with {option}")


def _spare_checkpoints(settings: "Settings") -> None:
    """Refuse to append a log to what else this run writes.

    Raises
    ------
    OptionError
        The log would damage a checkpoint.
    """
    log_file = settings.reports.log_file
    if log_file is None:
        return
    files = {os.path.realpath(p) for o, p in _written(settings) if o == "--output"}
    piped = None if settings.output else _status(sys.stdout)
    # /dev/null and the like take anything from anybody.
    device = piped is not None and stat.S_ISCHR(piped.st_mode)
    if os.path.realpath(log_file) in files or (
        not device and _is_file(log_file, piped)
    ):
        msg = f"--log-file {log_file} is where a checkpoint goes"
        raise OptionError(msg, hint="name another file with --log-file")


def _written(settings: "Settings") -> Iterator[tuple[str, Path]]:
    """List the files that a run writes, and the options that name them."""
    if settings.output is not None:
        yield "--output", settings.output
        yield "--output", best_path(settings.output)
    if settings.reports.log_file is not None:
        yield "--log-file", settings.reports.log_file


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


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Check the options of the command line, and sort them.

    Parameters
    ----------
    options : mapping
        Values by the names of the command's parameters; None where an option
        was not given.

    Raises
    ------
    OptionError
        A value is out of range, or options contradict each other.
    """
    _conflicts(options)
    model = _given(options, MODEL_OPTIONS)
    train = _given(options, TRAIN_OPTIONS)
    if not options["lines"]:
        train.pop("lines", None)  # a flag that was not given says nothing
    if options["time"] is not None:
        train["time"] = parse_duration(options["time"], "--time")
    if options["eval_every"] is not None:
        train["eval_every"] = parse_every(options["eval_every"], "--eval-every")
    # Both check themselves; a vocabulary of 1 stands in for the text's.
    ModelConfig(vocab_size=1, **model)
    TrainConfig(**train)
    check_choice(field("newlines"), options["newlines"], NewlineMode)
    check_choice(field("unit"), options["unit"], UnitName)
    check_choice(field("on_divergence"), options["on_divergence"], DivergencePolicy)
    check_number(field("min_count"), options["min_count"], low=1, high=MAX_COUNT)
    settings = Settings(
        sources=tuple(options["paths"]),
        output=_output(options),
        force=options["force"],
        resume=options["resume"],
        new_corpus=options["new_corpus"],
        init_from=options["init_from"],
        save_every=parse_every(options["save_every"], "--save-every"),
        keep_best=options["keep_best"],
        text=TextOptions(
            encoding=options["encoding"],
            newlines=cast("NewlineMode", options["newlines"]),
            unit=cast("UnitName", options["unit"]),
            min_count=options["min_count"],
            lines=options["lines"],
        ),
        val_file=options["val_file"],
        model=model,
        train=train,
        on_divergence=cast("DivergencePolicy", options["on_divergence"]),
        reports=_reports(options),
        dry_run=options["dry_run"],
    )
    _spare_texts(settings)
    _spare_checkpoints(settings)
    return settings


def _reports(options: Mapping[str, Any]) -> ReportOptions:
    """Check and sort the options about reports."""
    for name in ("log_every", "preview_every", "preview_chars"):
        if options[name] is not None:
            check_number(field(name), options[name], low=0, high=MAX_COUNT)
    return ReportOptions(
        log_every=options["log_every"],
        preview_every=options["preview_every"],
        preview_chars=options["preview_chars"],
        json=options["json"],
        log_file=options["log_file"],
    )
