"""The way in from Python: train on texts, load what was trained.

    run = charrnn.train("lovecraft.txt", time="60s", cell="gru")
    for record in run:
        ...
    run.model.sample("The old", length=200, temperature=0.8, seed=1)
    run.save("lovecraft.npz")
    charrnn.load("lovecraft.npz").loss("The old house")

Nothing is printed, nothing is written unless ``output`` or ``save`` asks for it, and
no signal handler is set: Ctrl-C raises `KeyboardInterrupt` and leaves a usable run,
which goes on when it is iterated over again. The same texts, options and seed give
the same model and the same file as the command line.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.checkpoint import CheckpointFile
from charrnn.config import ModelConfig, RunConfig, TextConfig, TrainConfig
from charrnn.errors import OptionError, field
from charrnn.options import Option, OptionTable, configure, option
from charrnn.processors import resolve_threads
from charrnn.reading import Text
from charrnn.textmodel import TextModel
from charrnn.training.filenames import output_path
from charrnn.training.output import FileOutput, NoOutput
from charrnn.training.prepare import prepare
from charrnn.training.probe import get_ready, measure_speed
from charrnn.training.request import TrainingRequest
from charrnn.training.run import Policy, Run


def load(path: str | os.PathLike[str], *, threads: int | None = None) -> TextModel:
    """Load the model of a checkpoint, with its memory if it has one.

    Parameters
    ----------
    path : str or path
    threads : int, optional
        Processors to use; all that are allowed by default.

    Raises
    ------
    InputError
        The file cannot be opened.
    CheckpointError
        It is anything but a sound checkpoint.
    """
    with CheckpointFile(Path(path)) as file:
        return TextModel.read_from(file, threads=resolve_threads(threads)[0])


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a run uses of the machine."""

    threads: int | None = option(
        None, Option("Processors to use; all that are allowed by default.", "Common")
    )


OPTIONS = OptionTable((ModelConfig, TrainConfig, TextConfig, RunConfig, Machine))


def train(*sources: str | os.PathLike[str] | Text, **options: Any) -> Run:
    """Begin to train a network on texts; iterating over the run trains it.

    Parameters
    ----------
    *sources
        Paths of text files, joined in order, or `Text` for a string.
    **options
        Those of ``charrnn train``, with ``_`` for ``-``: ``cell``, ``hidden``,
        ``time``, ``epochs``, ``lines``, ``seed`` and so on. Values are Python's, or
        what a user of the command line would write (``time="60s"``). ``val_file``
        may be a `Text`, too. With ``output`` checkpoints are written as the run
        goes, as the command line does; with ``resume`` the run in that file goes on.

    Returns
    -------
    Run
        It yields records: `Step`, `Evaluation`, `Saved`, `Warned` and, last,
        `Ended`. ``run.model`` is the model as it stands, ``run.save(path)`` writes
        what the command line would have written, ``run.job.notes`` says what was
        noticed in the texts and options.

    Raises
    ------
    OptionError
        An option is unknown, out of range, or contradicts another.
    CorpusError, InputError, VocabError
        A text cannot be used.
    CheckpointError
        A file to resume or to begin with is damaged.
    OutputError
        The output exists and neither ``force`` nor ``resume`` is given, or another
        run holds it.
    """
    # Reports on the way and what is shown at a terminal are the command line's.
    OPTIONS.refuse_unknown(options)
    options = {name: _plain(value) for name, value in options.items()}
    # A text in memory can stand for the file to validate on.
    val_file = options.pop("val_file", None)
    path = _output(options.pop("output", None))
    request = TrainingRequest.of(
        tuple(s if isinstance(s, Text) else os.fspath(s) for s in sources),
        options,
        output=path,
        val_file=val_file,
    )
    run = request.run
    if run.resume and path is None:
        msg = f"{field('resume')} needs {field('output')}"
        raise OptionError(msg, hint="name the checkpoint that is to go on")
    threads = resolve_threads(configure(Machine, options).threads)[0]
    output: FileOutput | NoOutput = NoOutput()
    if path is not None:
        output = FileOutput(path, replace=run.force or run.resume)
    # Nobody else has the files while texts are read, nor while the run is under way.
    with output.held():
        job = prepare(request, threads, speed=lambda cell: measure_speed(cell, threads))
        get_ready(job)
    return Run(job, Policy.of(run), output)


def _output(name: object) -> Path | None:
    """Read where checkpoints go: to a file or, as it is here, to none.

    Raises
    ------
    OptionError
        It is no name of a file.
    OutputError
        It is a directory.
    """
    if name is None:
        return None
    if not isinstance(name, str) or name == "-":
        msg = f"{field('output')} is the name of a file, not {name!r}"
        raise OptionError(msg, hint="run.save writes a file when it is asked to")
    return output_path(name)


def _plain(value: object) -> object:
    """Write a path as a text; options that take one take both."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value
