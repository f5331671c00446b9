"""The options of ``train``, checked and put in order before anything is read."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast

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
from charrnn.errors import OptionError

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

    eval_every: Every | None
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
        ("resume", "force"),
        ("resume", "init_from"),
        ("val_file", "val_fraction"),
    ]
    for a, b in pairs:
        if options[a] and options[b]:
            first, second = (f"--{name.replace('_', '-')}" for name in (a, b))
            msg = f"{first} and {second} exclude each other"
            raise OptionError(msg)
    if options["new_corpus"] and not options["resume"]:
        msg = "--new-corpus goes with --resume"
        raise OptionError(msg)
    if options["output"] == "-":
        for name in ("resume", "json"):
            if options[name]:
                msg = f"--{name} cannot be combined with --output -"
                raise OptionError(msg)
    if [*options["paths"], options["val_file"]].count("-") > 1:
        msg = "standard input is named twice"
        raise OptionError(msg)


def _spare_texts(settings: "Settings") -> None:
    """Refuse to write where a text is read from.

    Raises
    ------
    OptionError
        A text would be overwritten.
    """
    names = {*settings.sources, settings.val_file} - {"-", None}
    texts = {os.path.realpath(name) for name in names if name}
    written = {"--output": settings.output, "--log-file": settings.reports.log_file}
    for option, path in written.items():
        if path is not None and os.path.realpath(path) in texts:
            msg = f"{path} is a text to read and cannot be written to"
            raise OptionError(msg, hint=f"name another file with {option}")


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
    # Both check themselves; a vocabulary of 1 stands in for the text's.
    ModelConfig(vocab_size=1, **model)
    TrainConfig(**train)
    check_choice("--newlines", options["newlines"], NewlineMode)
    check_choice("--unit", options["unit"], UnitName)
    check_choice("--on-divergence", options["on_divergence"], DivergencePolicy)
    check_number("--min-count", options["min_count"], low=1, high=MAX_COUNT)
    output = options["output"]
    settings = Settings(
        sources=tuple(options["paths"]),
        output=None
        if output == "-"
        else default_output(options["paths"][0])
        if output is None
        else Path(output),
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
    return settings


def _reports(options: Mapping[str, Any]) -> ReportOptions:
    """Check and sort the options about reports."""
    for name in ("log_every", "preview_every", "preview_chars"):
        if options[name] is not None:
            option = f"--{name.replace('_', '-')}"
            check_number(option, options[name], low=0, high=MAX_COUNT)
    every = options["eval_every"]
    return ReportOptions(
        eval_every=None if every is None else parse_every(every, "--eval-every"),
        log_every=options["log_every"],
        preview_every=options["preview_every"],
        preview_chars=options["preview_chars"],
        json=options["json"],
        log_file=options["log_file"],
    )
