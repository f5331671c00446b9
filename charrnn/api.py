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
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.checkpoint import Checkpoint, CheckpointFile
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import OptionError, field
from charrnn.keywords import chosen, names, refuse_unknown
from charrnn.processors import resolve_threads
from charrnn.reading import ReadOptions, Source, Text
from charrnn.textmodel import TextModel
from charrnn.training.output import FileOutput
from charrnn.training.prepare import prepare
from charrnn.training.probe import get_ready, measure_speed
from charrnn.training.records import Saved
from charrnn.training.request import TrainingRequest
from charrnn.training.run import Policy, Run


def load(path: str | os.PathLike[str], *, threads: int | None = None) -> TextModel:
    """Load the model of a checkpoint.

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
class TrainInputs:
    """What `train` takes beside the fields of a network and of a run."""

    output: Path | None = None
    force: bool = False
    resume: bool = False
    new_corpus: bool = False
    init_from: Path | None = None
    threads: int | None = None


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
    kinds = ModelConfig, TrainConfig, ReadOptions, Policy, TrainInputs
    refuse_unknown(options, (*names(*kinds), "val_file"))
    inputs = TrainInputs(**chosen(TrainInputs, options))
    request = _request(sources, options, inputs)
    policy = chosen(Policy, options)
    threads = resolve_threads(inputs.threads)[0]
    output = None
    if inputs.output is not None:
        output = _Kept(inputs.output, replace=inputs.force or inputs.resume)
    job = prepare(request, threads, speed=lambda cell: measure_speed(cell, threads))
    get_ready(job)
    policy["eval_every"] = job.trainer.config.eval_every
    return Run(job, Policy(**policy), output)


def _request(
    sources: tuple[str | os.PathLike[str] | Text, ...],
    options: Mapping[str, Any],
    inputs: TrainInputs,
) -> TrainingRequest:
    """Sort what is asked of a run's text, network and training.

    Raises
    ------
    OptionError
        Options contradict each other.
    """
    excluding = [("resume", "force"), ("resume", "init_from")]
    for a, b in [*excluding, ("val_file", "val_fraction")]:
        if options.get(a) and options.get(b):
            msg = f"{field(a)} and {field(b)} exclude each other"
            raise OptionError(msg, hint="give one of them")
    if inputs.new_corpus and not inputs.resume:
        msg = f"{field('new_corpus')} goes with {field('resume')}"
        raise OptionError(msg, hint="a new run reads any text: leave it away")
    if inputs.resume and inputs.output is None:
        msg = f"{field('resume')} needs {field('output')}"
        raise OptionError(msg, hint="name the checkpoint that is to go on")
    shape, val_file = chosen(ModelConfig, options), options.get("val_file")
    if "vocab_size" in shape:
        msg = f"{field('vocab_size')} is the text's to say"
        raise OptionError(msg, hint=f"{field('min_count')} folds rare characters")
    run = chosen(TrainConfig, options)
    ModelConfig(**{"vocab_size": 1, **shape})  # both check themselves
    TrainConfig(**run)
    return TrainingRequest(
        sources=tuple(map(_source, sources)),
        read=ReadOptions(**chosen(ReadOptions, options)),
        model=shape,
        train=run,
        val_file=None if val_file is None else _source(val_file),
        resume=inputs.output if inputs.resume else None,
        new_corpus=inputs.new_corpus,
        init_from=inputs.init_from,
    )


def _source(source: str | os.PathLike[str] | Text) -> Source:
    """Take a path or a text."""
    return source if isinstance(source, Text) else os.fspath(source)


class _Kept:
    """Checkpoints in files that are locked until the run is over, or forgotten.

    Raises
    ------
    OutputError
        As `FileOutput`.
    """

    def __init__(self, path: Path, *, replace: bool) -> None:
        self._output = FileOutput(path, replace=replace).__enter__()
        self.path = path
        weakref.finalize(self, self._output.release)

    def save(self, checkpoint: Checkpoint, *, best: bool, last: bool) -> Saved | None:
        """Write a checkpoint; after the last one other runs may have the files."""
        saved = self._output.save(checkpoint, best=best, last=last)
        if last:
            self._output.release()
        return saved
