"""How a run begins: new, resumed, or from another model's weights.

Texts, options and perhaps a checkpoint go in; a `Prepared` run comes out,
whose arrays are ready and whose configuration says what is really used. What
was changed on the way (a smaller batch for a short text, new characters) is
put into notes for the user.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from charrnn import parameters
from charrnn.checkpoint import Checkpoint, TrainingState, expected_tensors, load
from charrnn.checkpoint.archive import MAX_FILE
from charrnn.config import ModelConfig, TrainConfig
from charrnn.corpus import read_corpus
from charrnn.errors import CorpusError, InputError, OptionError, field
from charrnn.model import Model
from charrnn.streams import fit
from charrnn.training.adopt import adopt, union
from charrnn.training.history import History
from charrnn.training.plan import Material, Speed, make_plan, nominal_speed
from charrnn.training.request import Prepared, Request, shape_conflicts
from charrnn.training.resume import resume
from charrnn.training.run import Subject
from charrnn.training.texts import count_lines, divide, fingerprint, streams_of
from charrnn.training.trainer import (
    INIT_STREAM,
    Trainer,
    new_moments,
    random_stream,
)


def prepare(
    request: Request,
    threads: int,
    stdin: BinaryIO | None = None,
    speed: Speed = nominal_speed,
) -> Prepared:
    """Read the texts, plan the run and make the model.

    Parameters
    ----------
    speed : callable
        Asked if the run has a limit in time; see `plan.make_plan`.

    Raises
    ------
    OptionError
        Options conflict with each other or with the checkpoint.
    CorpusError, InputError, VocabError, CheckpointError
        From reading.
    """
    if request.resume is not None:
        return resume(request, _stored(request.resume), threads, stdin)
    source = None if request.init_from is None else load(request.init_from)
    if source is not None:
        _refuse_other_shape(request, source)
    corpus = read_corpus(request.sources, request.read, stdin)
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
    train, held_out = divide(request, config, ids, vocab, notes, stdin)
    material = Material(len(train), len(vocab), count_lines(config, train, vocab))
    model_config, config = make_plan(material, shape, request.train, speed)
    config = _fitted(request, config, material, notes)
    _check_size(model_config, config)
    model = Model(model_config, threads=threads)
    rng = random_stream(config.seed, INIT_STREAM)
    parameters.initialize(
        model.theta, model_config, config.init, config.forget_bias, rng
    )
    if source is not None:
        notes += adopt(model, vocab, source)
    model.pack()
    trainer = Trainer(
        model,
        streams_of(train, vocab, config),
        TrainingState(config=config),
        new_moments(config.optimizer, model.theta.size),
        model.new_state(config.batch_size),
    )
    subject = Subject(vocab, fingerprint(corpus))
    return Prepared(trainer, subject, corpus, held_out, History([]), notes)


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


def _refuse_other_shape(request: Request, source: Checkpoint) -> None:
    """Raise `OptionError` if options contradict the model of `init_from`."""
    if wrong := shape_conflicts(request.model, source.model):
        msg = f"conflicts with {request.init_from}: {', '.join(wrong)}"
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
        msg = f"a network of {size:,} parameters does not fit into a checkpoint"
        hint = f"use fewer {field('hidden')} units or {field('layers')}"
        raise OptionError(msg, hint=hint)


def _fitted(
    request: Request, config: TrainConfig, material: Material, notes: list[str]
) -> TrainConfig:
    """Reduce the batch of a new run to what the text can fill.

    Raises
    ------
    CorpusError
        A batch size or window length that was asked for does not fit.
    """
    lines, count = material.lines, material.characters
    if "seq_length" in request.train and config.seq_length > count:
        msg = f"the text ({count:,} characters) is shorter than one window"
        raise CorpusError(msg, hint=f"{field('seq_length', count)} or less")
    streams, noun = (count, "characters") if lines is None else (lines, "lines")
    if "batch_size" in request.train and config.batch_size > streams:
        msg = (
            f"more streams ({config.batch_size:,}) than the text has {noun} "
            f"({streams:,})"
        )
        raise CorpusError(msg, hint=f"{field('batch_size', streams)} or less")
    batch_size, seq_length = fit(count, config.batch_size, config.seq_length, lines)
    reduced = []
    if batch_size < config.batch_size:
        reduced.append(field("batch_size", batch_size))
    if seq_length < config.seq_length:
        reduced.append(field("seq_length", seq_length))
    config = replace(config, batch_size=batch_size, seq_length=seq_length)
    if reduced:
        notes.append(f"the text is short: using {' and '.join(reduced)}")
    return config


def memory_estimate(trainer: Trainer) -> int:
    """Estimate the bytes that training takes beside the text.

    Arrays of the size of the parameters, packed weights, the tape of a window.
    """
    model, config = trainer.model, trainer.config
    size = model.theta.size
    arrays = 2 + len(trainer.moments)  # parameters, gradient, moments
    packed = 2 * parameters.matrix_size(model.config)
    snapshot = 1 + len(trainer.moments)
    space = model.workspace(config.seq_length, config.batch_size)
    # Made with the first gradient, for a chunk of the window.
    rows = 0 if space.dlogits.size else space.chunk * config.batch_size
    head = rows * (model.config.vocab_size + model.config.hidden) * model.dtype.itemsize
    floats = (arrays + snapshot) * size + packed
    return math.ceil(floats * model.dtype.itemsize + space.nbytes + head)
