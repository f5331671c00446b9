"""How a run begins: new, resumed, or from another model's weights.

Texts, options and perhaps a checkpoint go in; a `Job` comes out, whose arrays
are ready and whose configuration says what is really used. What
was changed on the way (a smaller batch for a short text, new characters) is
put into notes for the user.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from charrnn import parameters
from charrnn.checkpoint import Checkpoint, TrainingState, expected_tensors, load
from charrnn.checkpoint.archive import MAX_FILE
from charrnn.config import ModelConfig, TrainConfig
from charrnn.corpus import read_corpus
from charrnn.counting import plural
from charrnn.errors import CheckpointError, CorpusError, InputError, OptionError, field
from charrnn.network import Network, products_of
from charrnn.parameters import Shape
from charrnn.streams import fit
from charrnn.training.history import History
from charrnn.training.job import Job
from charrnn.training.plan import Material, Speed, make_plan, nominal_speed
from charrnn.training.ranks import ALONE, Ranks, check_batch, nearest_batches
from charrnn.training.request import TrainingRequest, shape_conflicts
from charrnn.training.resume import resume
from charrnn.training.same_files import check_same_files
from charrnn.training.texts import (
    Division,
    count_lines,
    divide,
    fingerprint,
    note_long_pairs,
    streams_of,
    window_of_pairs,
)
from charrnn.training.trainer import Trainer, new_network
from charrnn.training.transfer import transfer, union
from charrnn.vocab import Vocab


def prepare(
    request: TrainingRequest,
    threads: int,
    stdin: BinaryIO | None = None,
    speed: Speed = nominal_speed,
    ranks: Ranks = ALONE,
) -> Job:
    """Read the texts, plan the run and make the model.

    Parameters
    ----------
    speed : callable
        Asked if the run has a limit in time; see `plan.make_plan`. That of all ranks.
    ranks : Ranks, optional
        Those that train together. Every one of them reads the texts.

    Raises
    ------
    OptionError
        Options conflict with each other or with the checkpoint.
    CorpusError, InputError, VocabError, CheckpointError
        From reading.
    MissingComponentError
        This machine does not have the precision.
    """
    if ranks.size == 1:
        return _prepare(request, threads, stdin, speed, ranks)

    def prepare_part() -> Job:
        if request.resume is None:
            check_batch(request.train.get("batch_size", 0), ranks.size)
        check_same_files(request, ranks)
        return _prepare(request, threads, None, speed, ranks)

    return ranks.together(prepare_part)


def _prepare(
    request: TrainingRequest,
    threads: int,
    stdin: BinaryIO | None,
    speed: Speed,
    ranks: Ranks,
) -> Job:
    """Do what `prepare` says, once all ranks can."""
    if request.resume is not None:
        return resume(request, _stored(request.resume), threads, stdin, ranks)
    products_of(request.precision)  # or fail at once
    begin_with = request.run.init_from
    source = None if begin_with is None else load(begin_with)
    if source is not None:
        _refuse_other_shape(request, source)
    corpus = read_corpus(request.sources, request.read_options(), stdin)
    notes = list(corpus.notes)
    vocab, ids = corpus.vocab, corpus.ids
    if source is not None:
        vocab, ids = union(source.vocab, corpus)
    shape = dict(request.model)
    if source is not None:
        shape = dict(vars(source.model)) | {"vocab_size": len(vocab)}
    if request.val_file is not None:
        # What a run that is resumed without the file holds out, too: nothing.
        request = replace(request, train={**request.train, "val_fraction": 0.0})
    config = TrainConfig(**request.train)
    divided = divide(request, config, ids, vocab, notes, stdin)
    train = divided.train
    material = Material(
        len(train),
        len(vocab),
        count_lines(config, train, vocab),
        window_of_pairs(config, train, vocab),
    )
    model_config, config = make_plan(material, shape, request.train, speed)
    usual, config = config, _fitted(request, config, material, divided)
    if config != usual:
        cause = _shortage(config, material, vocab, divided)
        notes.append(f"{cause}: using {_reduced(usual, config)}")
    usual, config = config, _divided(config, ranks)
    if config != usual:
        notes.append(f"for {ranks.size:,} ranks: using {_reduced(usual, config)}")
    notes += note_long_pairs(train, vocab, config)
    _check_size(model_config, config)
    network = new_network(model_config, config, threads)
    if source is not None:
        notes += transfer(network, vocab, source)
        if source.of_pairs and not config.pairs:
            again = f"{field('pairs', True)} goes on with pairs"
            notes.append(f"{begin_with} is a model of pairs; {again}")
    position = TrainingState(config=config)
    return Job(
        trainer=Trainer(network, streams_of(train, vocab, config), position, ranks),
        vocab=vocab,
        corpus=corpus,
        fingerprint=fingerprint(corpus),
        held_out=divided.held_out,
        not_validated=divided.reason,
        history=History([]),
        notes=notes,
    )


def _stored(path: Path) -> Checkpoint:
    """Load the checkpoint to resume, which may not be there."""
    try:
        return load(path)
    except InputError as error:
        if not path.exists():
            error.hint = (
                f"leave {field('resume', True)} away to begin, or name the file "
                f"with {field('output')}"
            )
        raise
    except CheckpointError as error:
        anew = f"{field('force', True)} in place of {field('resume', True)}"
        name = f"name another {field('output')}"
        error.hint = f"{error.hint}; {name}, or {anew} to begin a new run"
        raise


def _refuse_other_shape(request: TrainingRequest, source: Checkpoint) -> None:
    """Raise `OptionError` if options contradict the model of `init_from`."""
    if wrong := shape_conflicts(request.model, source.model):
        msg = f"conflicts with {request.run.init_from}: {', '.join(wrong)}"
        raise OptionError(msg, hint="leave these options away; the file decides")


def _check_size(model: ModelConfig, config: TrainConfig) -> None:
    """Refuse a network that no checkpoint could hold, before it takes memory.

    Raises
    ------
    OptionError
        It is too large.
    """
    expected = expected_tensors(model, TrainingState(config=config))
    if sum(4 * math.prod(shape) for shape in expected.values()) > MAX_FILE:
        size = parameters.size(model)
        msg = f"a network of {plural(size, 'parameter')} does not fit into a checkpoint"
        hint = f"use fewer {field('hidden')} units or {field('layers')}"
        raise OptionError(msg, hint=hint)


def _shortage(
    config: TrainConfig, material: Material, vocab: Vocab, divided: Division
) -> str:
    """Say what there is too little of for the usual batch.

    Parameters
    ----------
    config : TrainConfig
        With the batch as it was reduced.
    """
    lines = material.lines
    if lines == config.batch_size:  # and not what the characters would fill
        noun = "pair" if config.pairs else "line"
        are = f"is only one {noun}" if lines == 1 else f"are only {lines:,} {noun}s"
        returns = vocab.id_of("\r")
        if returns is not None and vocab.counts[returns] > lines:
            lf = field("newlines", "lf")
            return f"there {are} to train on, as CR ends none ({lf} helps)"
        if config.pairs:
            return f"there {are} to train on"
        return f"every line is a document, and there {are} to train on"
    if divided.held_out is not None and len(divided.held_out) > len(divided.train):
        return f"only {plural(material.characters, 'character')} left to train on"
    return "the text is short"


def _fitted(
    request: TrainingRequest, config: TrainConfig, material: Material, divided: Division
) -> TrainConfig:
    """Reduce the batch of a new run to what the text can fill.

    Raises
    ------
    CorpusError
        A batch size or window length that was asked for does not fit.
    """
    lines, count = material.lines, material.characters
    text = "the text" if divided.held_out is None else "the text to train on"
    if "seq_length" in request.train and config.seq_length > count:
        msg = f"{text} ({plural(count, 'character')}) is shorter than one window"
        raise CorpusError(msg, hint=_fits("seq_length", count))
    streams, noun = (count, "characters") if lines is None else (lines, "lines")
    if config.pairs:
        noun = "pairs"
    if "batch_size" in request.train and config.batch_size > streams:
        msg = (
            f"more streams ({config.batch_size:,}) than {text} has {noun} ({streams:,})"
        )
        raise CorpusError(msg, hint=_fits("batch_size", streams))
    batch_size, seq_length = fit(count, config.batch_size, config.seq_length, lines)
    return replace(config, batch_size=batch_size, seq_length=seq_length)


def _divided(config: TrainConfig, ranks: Ranks) -> TrainConfig:
    """Reduce a batch that was not asked for to what the ranks can share out evenly.

    Raises
    ------
    CorpusError
        There are more ranks than rows.
    """
    if config.batch_size < ranks.size:
        msg = f"a batch of {config.batch_size:,} is less than a row a rank"
        raise CorpusError(msg, hint="use fewer ranks, or a longer text")
    return replace(config, batch_size=nearest_batches(config.batch_size, ranks.size)[0])


def _fits(name: str, most: int) -> str:
    """Say what to do about an option whose value is too much for the text."""
    return f"leave {field(name)} away to have it fit; the most is {field(name, most)}"


def _reduced(usual: TrainConfig, config: TrainConfig) -> str:
    """Name the options that were reduced, with their values."""
    names = ("batch_size", "seq_length")
    changed = [name for name in names if getattr(config, name) != getattr(usual, name)]
    return " and ".join(field(name, getattr(config, name)) for name in changed)


def memory_estimate(job: Job, *, adds_to_best: bool) -> int:
    """Estimate the bytes that training takes beside the texts.

    Weights and whatever has their size, what a window leaves on its way through the
    network, in training and in evaluation, and the noise that it is dropped by.

    Parameters
    ----------
    adds_to_best : bool
        Whether the network of the best evaluation is read and scored again at the
        end, beside all that, for its file to get a memory.
    """
    trainer, held_out = job.trainer, job.held_out
    network, average, config = trainer.network, trainer.average, trainer.config
    moments = len(trainer.optimizer.moments)
    # The gradient and the moments; a snapshot of all that a step changes; an array
    # of a checkpoint that is read back.
    arrays = (1 + moments) + (1 + moments + (average is not None)) + 1
    total = network.nbytes + arrays * network.theta.nbytes
    total += _noise_bytes(network.config, config)
    windows = trainer.streams.windows
    # The last window of an epoch may be shorter, and has room of its own.
    trained = {trainer.window(0, k).inputs.shape for k in (0, windows - 1)}
    evaluated = set()
    # Whether outputs are kept apart from the states, in evaluation and in training.
    apart = network.config.norm != "none" or job.documents.start is not None
    dropped = apart or config.dropout > 0
    if held_out is not None:
        pieces = job.documents.pieces(held_out)
        evaluated = {window.inputs.shape for window in pieces}
        if adds_to_best:
            # A checkpoint's arrays, and a network of its own to score them with.
            total += (1 + moments + (average is not None)) * network.theta.nbytes
            total += network.nbytes + _trained_bytes(network, evaluated, apart)
    if trainer.exact is not None:
        total += trainer.exact.nbytes
    total += _trained_bytes(network, trained, dropped)
    if average is None:
        evaluated -= trained
    else:
        total += average.nbytes
        if network.config.norm == "batch":
            evaluated |= trained  # windows of the text give it its statistics
    return total + sum(_workspace_bytes(network, T, B, apart) for T, B in evaluated)


def _workspace_bytes(network: Network, T: int, B: int, apart: bool) -> int:
    """Count the bytes of a window on its way, its outputs apart from the states or not.

    Room for outputs is made for it, as will be when they are wanted.
    """
    space = network.workspace(T, B)
    if apart:
        space.keep_apart()
    return space.nbytes


def _trained_bytes(network: Network, shapes: Iterable[Shape], apart: bool) -> int:
    """Count the bytes of windows (T, B) on their way, and back; see above."""
    total, rows = 0, 0
    for T, B in shapes:
        total += _workspace_bytes(network, T, B, apart)
        rows = max(rows, network.workspace(T, B).chunk * B)
    # The head has room for a chunk of the largest window.
    head = rows * (network.config.vocab_size + network.config.hidden)
    return total + head * network.dtype.itemsize


def _noise_bytes(shape: ModelConfig, config: TrainConfig) -> int:
    """Count the bytes that both kinds of dropout take for a window."""
    total = 0
    if config.dropout:
        total += shape.layers * config.seq_length * config.batch_size * shape.hidden
    if config.weight_dropout:
        # A byte a weight; dropped weights of one layer, and gradients of all.
        per_layer = parameters.recurrent_shape(shape)
        total += math.prod(per_layer) * (shape.layers * (1 + 4) + 4)
    return total
