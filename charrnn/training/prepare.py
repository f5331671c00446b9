"""How a run begins: new, resumed, or from another model's weights.

Texts, options and perhaps a checkpoint go in; a `Prepared` run comes out,
whose arrays are ready and whose configuration says what is really used. What
was changed on the way (a smaller batch for a short text, new characters) is
put into notes for the user.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from charrnn import parameters
from charrnn.arrays import PackedIds
from charrnn.checkpoint import Checkpoint, CorpusFingerprint, TrainingState, load
from charrnn.config import ModelConfig, TrainConfig
from charrnn.corpus import Corpus, ReadOptions, read_corpus, split
from charrnn.errors import CheckpointError, CorpusError, OptionError
from charrnn.model import Model
from charrnn.streams import AnyStreams, LineStreams, Streams, fit, initial_id
from charrnn.training import defaults
from charrnn.training.adopt import adopt, union
from charrnn.training.history import History
from charrnn.training.run import HeldOut, Subject
from charrnn.training.trainer import (
    INIT_STREAM,
    Trainer,
    new_moments,
    random_stream,
)
from charrnn.vocab import Vocab

#: What `--resume` may change: the limits and how the optimiser goes on.
CHANGEABLE = (
    "epochs",
    "steps",
    "time",
    "lr",
    "schedule",
    "warmup",
    "weight_decay",
    "grad_clip",
    "clip_mode",
    "dropout",
)
LIMITS = ("epochs", "steps", "time")

#: How often a stream begins anew; see `streams.Streams`.
RESET_RATE = 0.01


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for. Options that were not given are not in the dicts."""

    sources: tuple[str, ...]
    read: ReadOptions
    model: Mapping[str, Any] = field(default_factory=dict)  # fields of ModelConfig
    train: Mapping[str, Any] = field(default_factory=dict)  # fields of TrainConfig
    val_file: str | None = None
    resume: Path | None = None
    new_corpus: bool = False
    init_from: Path | None = None


@dataclass
class Prepared:
    """A run that is ready to begin."""

    trainer: Trainer
    subject: Subject
    corpus: Corpus
    held_out: HeldOut | None
    history: History
    notes: list[str]


def option_name(field_name: str) -> str:
    """Write a configuration's field as the option that sets it."""
    return "--" + field_name.replace("_", "-")


def prepare(request: Request, threads: int, stdin: BinaryIO | None = None) -> Prepared:
    """Read the texts and make the model.

    Raises
    ------
    OptionError
        Options conflict with each other or with the checkpoint.
    CorpusError, InputError, VocabError, CheckpointError
        From reading.
    """
    if request.resume is not None:
        return _resume(request, load(request.resume), threads, stdin)
    source = None if request.init_from is None else load(request.init_from)
    if source is not None:
        _refuse_conflicts(request.model, source.model, request.init_from)
    corpus = read_corpus(request.sources, request.read, stdin)
    notes = list(corpus.notes)
    vocab, ids = corpus.vocab, corpus.ids
    if source is not None:
        vocab, ids = union(source.vocab, corpus)
    if source is None:
        model_config = ModelConfig(vocab_size=len(vocab), **request.model)
    else:
        model_config = replace(source.model, vocab_size=len(vocab))
    if "lr" not in request.train:
        rate = defaults.peak_rate(model_config)
        request = replace(request, train={**request.train, "lr": rate})
    train, held_out = _divide(request, ids, vocab, notes, stdin)
    config = _fitted(request, train, vocab, notes)
    model = Model(model_config, threads=threads)
    rng = random_stream(config.seed, INIT_STREAM)
    parameters.initialise(
        model.theta, model_config, config.init, config.forget_bias, rng
    )
    if source is not None:
        notes += adopt(model, vocab, source)
    model.pack()
    trainer = Trainer(
        model,
        _streams(train, vocab, config),
        TrainingState(config=config),
        new_moments(config.optimizer, model.theta.size),
        model.new_state(config.batch_size),
    )
    subject = Subject(vocab, _fingerprint(corpus))
    return Prepared(trainer, subject, corpus, held_out, History([]), notes)


def _resume(
    request: Request, checkpoint: Checkpoint, threads: int, stdin: BinaryIO | None
) -> Prepared:
    """Continue a run exactly where its checkpoint left it."""
    position = checkpoint.training
    if position is None:
        msg = f"{request.resume} holds weights only and cannot be resumed"
        raise CheckpointError(msg, hint="--init-from starts a new run from it")
    _refuse_conflicts(request.model, checkpoint.model, request.resume)
    config, notes = _changed(position.config, request)
    vocab = checkpoint.vocab
    options = replace(request.read, vocab=vocab, unit=vocab.unit, lines=config.lines)
    corpus = read_corpus(request.sources, options, stdin)
    fingerprint = _fingerprint(corpus)
    same = _same_text(fingerprint, checkpoint.corpus)
    if not same and not request.new_corpus:
        hint = "--new-corpus continues with it; the same --newlines and --encoding?"
        msg = f"not the text that {request.resume} was trained on"
        raise CorpusError(msg, hint=hint)
    request = replace(request, read=options)
    notes += corpus.notes
    train, held_out = _divide(request, corpus.ids, vocab, notes, stdin, config)
    position = replace(position, config=config)
    if not same:
        notes.append("a new text: training goes on from its beginning")
        position = replace(position, epoch=0, window=0)
    if config.time is not None:
        # The limit may have changed; the seconds that were used have not.
        used = position.progress * (_config_of(checkpoint).time or 0.0)
        position = replace(position, progress=used / config.time)
    model = Model(checkpoint.model, threads=threads)
    model.load(checkpoint.parameters)
    state = checkpoint.state
    if state is None:
        state = model.new_state(config.batch_size)
    trainer = Trainer(
        model,
        _streams(train, vocab, config),
        position,
        {name: a.copy() for name, a in checkpoint.moments.items()},
        state.copy(),
    )
    if position.window >= trainer.streams.windows:
        msg = "the position in the text lies behind its end"
        raise CheckpointError(msg, where=str(request.resume))
    subject = Subject(vocab, fingerprint)
    history = History(list(checkpoint.history))
    return Prepared(trainer, subject, corpus, held_out, history, notes)


def _config_of(checkpoint: Checkpoint) -> TrainConfig:
    """Take the configuration of a checkpoint's run."""
    if checkpoint.training is None:
        raise ValueError
    return checkpoint.training.config


def _same_text(a: CorpusFingerprint, b: CorpusFingerprint) -> bool:
    """Whether two texts are the same, and were read the same way."""
    return (a.sha256, a.characters) == (b.sha256, b.characters)


def _refuse_conflicts(
    given: Mapping[str, Any], model: ModelConfig, path: Path | None
) -> None:
    """Refuse options that contradict the shape of a model that is loaded."""
    wrong = [
        f"{option_name(name)} {value} (it has {getattr(model, name)})"
        for name, value in given.items()
        if getattr(model, name) != value
    ]
    if wrong:
        msg = f"conflicts with {path}: {', '.join(wrong)}"
        raise OptionError(msg, hint="leave these options away; the file decides")


def _changed(stored: TrainConfig, request: Request) -> tuple[TrainConfig, list[str]]:
    """Put what was given for a resume into the stored configuration."""
    given = dict(request.train)
    fixed = [
        f"{option_name(name)} {value} (it has {getattr(stored, name)})"
        for name, value in given.items()
        if name not in CHANGEABLE and getattr(stored, name) != value
    ]
    if fixed:
        msg = f"cannot be changed by --resume: {', '.join(fixed)}"
        raise OptionError(msg, hint="--init-from starts a new run from these weights")
    if any(name in given for name in LIMITS):
        given = dict.fromkeys(LIMITS) | given
    config = replace(stored, **given)
    notes = [
        f"{option_name(name)}: {_shown(getattr(stored, name))} before, "
        f"{_shown(value)} now"
        for name, value in given.items()
        if getattr(stored, name) != value
    ]
    return config, notes


def _shown(value: object) -> str:
    """Write an option's value for a note."""
    return (
        "none"
        if value is None
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _fingerprint(corpus: Corpus) -> CorpusFingerprint:
    """By what this text will be known again."""
    names = tuple(Path(name).name for name in corpus.files)
    return CorpusFingerprint(names, corpus.bytes, corpus.characters, corpus.sha256)


def _divide(
    request: Request,
    ids: PackedIds,
    vocab: Vocab,
    notes: list[str],
    stdin: BinaryIO | None,
    config: TrainConfig | None = None,
) -> tuple[PackedIds, HeldOut | None]:
    """Split the text into what is trained on and what is held out."""
    settings = config or TrainConfig(**request.train)
    newline = vocab.newline_id if settings.lines else None
    before = initial_id(vocab)
    if request.val_file is not None:
        options = replace(request.read, vocab=vocab, unit=vocab.unit)
        held = read_corpus((request.val_file,), options, stdin)
        notes += held.notes
        return ids, HeldOut(ids=held.ids, before=before, newline=newline)
    if settings.val_fraction == 0:
        return ids, None
    train, held_ids = split(ids, settings.val_fraction, lines_newline_id=newline)
    enough = 1 if settings.lines else min(settings.seq_length, 64)
    if len(held_ids) < enough or len(train) < 2:
        notes.append(
            f"validation is off: {settings.val_fraction:g} of {len(ids):,} characters "
            "is less than a window"
        )
        return ids, None
    return train, HeldOut(ids=held_ids, before=before, newline=newline)


def _fitted(
    request: Request, train: PackedIds, vocab: Vocab, notes: list[str]
) -> TrainConfig:
    """Make the configuration of a new run, with a batch that the text can fill.

    Raises
    ------
    CorpusError
        A batch size or window length that was asked for does not fit.
    """
    config = TrainConfig(**request.train)
    if config.epochs is None and config.steps is None and config.time is None:
        config = replace(config, epochs=defaults.epochs(len(train)))
    lines = None
    if config.lines:
        lines = int(np.count_nonzero(train == vocab.newline_id))
    count = len(train)
    if "seq_length" in request.train and config.seq_length > count:
        msg = f"the text ({count:,} characters) is shorter than one window"
        raise CorpusError(msg, hint=f"--seq-length {count} or less")
    streams, noun = (count, "characters") if lines is None else (lines, "lines")
    if "batch_size" in request.train and config.batch_size > streams:
        msg = (
            f"more streams ({config.batch_size:,}) than the text has {noun} "
            f"({streams:,})"
        )
        raise CorpusError(msg, hint=f"--batch-size {streams} or less")
    batch_size, seq_length = fit(count, config.batch_size, config.seq_length, lines)
    reduced = []
    if batch_size < config.batch_size:
        reduced.append(f"--batch-size {batch_size}")
    if seq_length < config.seq_length:
        reduced.append(f"--seq-length {seq_length}")
    config = replace(config, batch_size=batch_size, seq_length=seq_length)
    if reduced:
        notes.append(f"the text is short: using {' and '.join(reduced)}")
    return config


def _streams(ids: PackedIds, vocab: Vocab, config: TrainConfig) -> AnyStreams:
    """Cut the training text as the configuration says."""
    B, T = config.batch_size, config.seq_length
    if config.lines and vocab.newline_id is not None:
        return LineStreams(ids, B, T, vocab.newline_id, config.seed)
    before = initial_id(vocab)
    return Streams(ids, B, T, before, reset_rate=RESET_RATE, seed=config.seed)


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
    N = config.batch_size * config.seq_length
    head = N * (model.config.vocab_size + model.config.hidden) * model.dtype.itemsize
    floats = (arrays + snapshot) * size + packed
    return math.ceil(floats * model.dtype.itemsize + space.nbytes + head)
