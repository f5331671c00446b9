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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from charrnn.checkpoint import CheckpointFile
from charrnn.config import (
    CellName,
    Mixing,
    MixMode,
    ModelConfig,
    RunConfig,
    TextConfig,
    TrainConfig,
)
from charrnn.errors import OptionError, field
from charrnn.filenames import STREAM, read_output, read_path
from charrnn.keywords import TrainOptions
from charrnn.launcher import launched
from charrnn.mixture import Mixture
from charrnn.options import Option, OptionTable, configure, option
from charrnn.processors import THREADS_DEFAULT, resolve_threads
from charrnn.reading import Text, named_source
from charrnn.textmodel import TextModel
from charrnn.training.company import meet
from charrnn.training.output import Elsewhere, FileOutput, NoOutput
from charrnn.training.prepare import prepare
from charrnn.training.probe import get_ready, measure_speed, new_trial
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
    OptionError
        ``path`` is no path, or ``threads`` no number of threads.
    InputError
        The file cannot be opened.
    CheckpointError
        It is no checkpoint, or damaged in its structure or in the model. What only a
        run needs that goes on, such as the optimizer's moments, is not read: damage
        there is found when the run is resumed.
    """
    name = read_path(path, field("path"))
    wanted = configure(Machine, {"threads": threads}).threads
    allowed, _ = resolve_threads(wanted)
    with CheckpointFile(Path(name)) as file:
        return TextModel.read_from(file, threads=allowed)


def mix(
    models: Iterable[TextModel],
    weights: Iterable[float] | str | None = None,
    mode: MixMode = "linear",
) -> Mixture:
    """Put models together that predict one text, and are used as one.

        both = charrnn.mix([charrnn.load("a.npz"), charrnn.load("b.npz")], [0.7, 0.3])
        both.sample("The old", length=200)
        both.loss("The old house")

    Parameters
    ----------
    models : iterable of TextModel
        Of any cells and sizes; characters are matched by what they are.
    weights : iterable of float or str, optional
        One for each; they are made to add up to 1, and 0 leaves a model out. Equal
        ones by default.
    mode : {"linear", "log"}
        "linear" is the weighted mean of their probabilities: what one of them does not
        know has probability 0 there. "log" is the weighted product, made to add up to
        1, over the characters that all of them know.

    Returns
    -------
    Mixture
        It writes and scores texts as a `TextModel` does.

    Raises
    ------
    OptionError
        A weight is below 0, none is above it, there is another number of weights, a
        model is one of pairs, or they differ in their units or documents.
    VocabError
        To be mixed by logarithms, they have no character in common.
    """
    given = {"mix": weights, "mix_mode": mode}
    return Mixture(tuple(models), configure(Mixing, given))


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a run uses of the machine."""

    threads: int | None = option(
        None, Option(f"Processors to use. {THREADS_DEFAULT}", "Common")
    )


#: What to do about options that say what a terminal is shown.
SILENT = "a run prints nothing: iterate over it for its records"

#: What `charrnn train` has beside them, and what to do instead.
ELSEWHERE = {
    "color": SILENT,
    "json": SILENT,
    "log_every": SILENT,
    "log_file": SILENT,
    "progress": SILENT,
    "quiet": SILENT,
    "verbose": SILENT,
    "preview_chars": "run.model.sample() writes a text at any time",
    "preview_every": "run.model.sample() writes a text at any time",
    "dry_run": "nothing is trained or written before the run is iterated over",
}

OPTIONS = OptionTable(
    (ModelConfig, TrainConfig, TextConfig, RunConfig, Machine), elsewhere=ELSEWHERE
)


def train(
    *sources: str | os.PathLike[str] | Text, **options: Unpack[TrainOptions]
) -> Run:
    """Begin to train a network on texts; iterating over the run trains it.

    Parameters
    ----------
    *sources
        Paths of text files, joined in order, or `Text` for a string. ``-`` is
        standard input.
    **options
        Those of ``charrnn train``, with ``_`` for ``-``, but for those that say what
        is shown or logged on the way: ``cell``, ``hidden``, ``time``, ``epochs``,
        ``lines``, ``pairs``, ``seed`` and so on; `TrainOptions` lists them. Values are
        Python's, or what a user of the command line would write (``time="60s"``).
        ``val_file`` may be a `Text`, too. With ``output`` checkpoints are written as
        the run goes, as the command line does; with ``resume`` the run in that file
        goes on.

    Returns
    -------
    Run
        It yields records: `Step`, `Evaluation`, `Saved`, `Warned` and, last,
        `Ended`. ``run.model`` is the model as it stands, ``run.save(path)`` writes
        what the command line would have written. ``run.job`` has what the command
        line tells at the start: ``notes`` on the texts and options, ``corpus``,
        ``vocab``, ``trainer.config``. ``run.baselines()`` measures what the command
        line compares the validation loss with at the end.

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
    OPTIONS.refuse_unknown(options)
    OPTIONS.refuse_alone(options)
    given: dict[str, Any] = dict(options)
    # A text in memory can stand for the file to validate on.
    val_file = given.pop("val_file", None)
    path = _output(given.pop("output", None))
    request = TrainingRequest.of(
        tuple(named_source(source, "sources") for source in sources),
        given,
        output=path,
        val_file=None if val_file is None else named_source(val_file, "val_file"),
    )
    run = request.run
    if run.resume and path is None:
        msg = f"{field('resume')} needs {field('output')}"
        raise OptionError(msg, hint="name the checkpoint that is to go on")
    wanted = configure(Machine, given).threads
    company = meet(run.distributed, wanted, launched())
    ranks, threads = company.ranks, company.threads[0]
    output: FileOutput | NoOutput = NoOutput()
    if path is not None:
        output = FileOutput(
            path, replace=run.force or run.resume, survives=company.killed_soon
        )
        if ranks.rank:
            output = Elsewhere(output)

    def speed(cell: CellName) -> float:
        trial = new_trial(cell, threads, request.precision)
        return sum(ranks.collect(lambda: measure_speed(trial)))

    # Nobody else has the files while texts are read, nor while the run is under way.
    with output.held():
        job = prepare(request, threads, None, speed, ranks)
        company.leaders_first(lambda: get_ready(job))
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
    if name == STREAM:
        msg = f"{field('output')} is the name of a file, not {name!r}"
        raise OptionError(msg, hint="run.save writes a file when it is asked to")
    return Path(read_output(name, field("output")))
