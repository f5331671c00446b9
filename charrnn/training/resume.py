"""How a run goes on where its checkpoint left it.

Limits and the learning rate may be changed, which is put into notes; shapes
may not. The text must be the one that was trained on, unless a new one is
asked for.
"""

from dataclasses import replace
from typing import BinaryIO

from charrnn.arrays import PackedIds
from charrnn.checkpoint import Checkpoint, TrainingState
from charrnn.config import TrainConfig
from charrnn.corpus import Corpus, read_corpus
from charrnn.counting import plural
from charrnn.durations import Every, exact_duration
from charrnn.errors import CheckpointError, CorpusError, OptionError, VocabError, field
from charrnn.network import Network, products_of
from charrnn.options import entries_of
from charrnn.streams import fit
from charrnn.training.history import History
from charrnn.training.job import Job
from charrnn.training.ranks import ALONE, Ranks
from charrnn.training.request import (
    TrainingRequest,
    shape_conflicts,
)
from charrnn.training.texts import (
    count_lines,
    divide,
    fingerprint,
    note_long_pairs,
    streams_of,
)
from charrnn.training.trainer import Trainer
from charrnn.vocab import Vocab

#: What `resume` may change: the limits and how the optimizer goes on.
CHANGEABLE = tuple(e.name for e in entries_of(TrainConfig) if e.record.changeable)
LIMITS = ("epochs", "steps", "time")

#: What a short text may have reduced; see `streams.fit`.
WINDOW = ("batch_size", "seq_length")


def resume(
    request: TrainingRequest,
    checkpoint: Checkpoint,
    threads: int,
    stdin: BinaryIO | None,
    ranks: Ranks = ALONE,
) -> Job:
    """Continue a run exactly where its checkpoint left it, with any number of ranks.

    Raises
    ------
    OptionError
        Options conflict with the checkpoint.
    CorpusError
        The text is another one, and `new_corpus` was not given; or it is too
        short for the batch.
    CheckpointError
        The checkpoint has no run to continue.
    MissingComponentError
        This machine does not have the run's precision.
    """
    position, vocab = checkpoint.training, checkpoint.vocab
    if position is None:
        msg = f"{request.resume} holds weights only and cannot be resumed"
        hint = f"{field('init_from')} starts a new run from it"
        raise CheckpointError(msg, hint=hint)
    _refuse(request, checkpoint, _conflicts(request, checkpoint, position.config))
    config, notes = _changed(position.config, request)
    _check_ranks(config.batch_size, request, ranks)
    products = products_of(config.precision)
    if all(getattr(config, name) is None for name in LIMITS):
        msg = f"the run in {request.resume} has no limit"
        hint = f"name one: {field('epochs')}, {field('steps')} or {field('time')}"
        raise OptionError(msg, hint=hint)
    corpus, same = _read_again(request, checkpoint, config, stdin)
    notes += corpus.notes
    divided = divide(request, config, corpus.ids, vocab, notes, stdin)
    train = divided.train
    if divided.held_out is None:
        notes += _validated_before(checkpoint)
    _refuse(request, checkpoint, _other_windows(request, config, train, vocab))
    if not same:
        notes.append("a new text: training goes on from its beginning")
    try:
        streams = streams_of(train, vocab, config)
    except CorpusError as error:
        # The batch stays as it is, whatever is asked for.
        error.hint = f"give a longer text, or {_begin_anew(request)}"
        raise
    position = _position(position, config, same=same)
    if position.window >= streams.windows:
        msg = "the position in the text lies behind its end"
        hint = _begin_anew(request)
        raise CheckpointError(msg, where=str(request.resume), hint=hint)
    notes += note_long_pairs(train, vocab, config)
    network = Network(checkpoint.model, threads=threads, products=products)
    trainer = Trainer(network, streams, position, ranks)
    trainer.load(checkpoint, same_text=same)
    return Job(
        trainer=trainer,
        vocab=vocab,
        corpus=corpus,
        fingerprint=fingerprint(corpus),
        held_out=divided.held_out,
        not_validated=divided.reason,
        history=History(list(checkpoint.history)),
        notes=notes,
    )


def _check_ranks(batch_size: int, request: TrainingRequest, ranks: Ranks) -> None:
    """Raise `OptionError` if the ranks cannot share the batch of a run out.

    It is the run's, and stays as it is.
    """
    if batch_size % ranks.size:
        fitting = [n for n in range(1, batch_size + 1) if batch_size % n == 0]
        near = sorted(fitting, key=lambda n: abs(n - ranks.size))[:2]
        msg = (
            f"{field('batch_size')} {batch_size:,} of {request.resume} cannot be "
            f"divided by {ranks.size:,} ranks"
        )
        numbers = " or ".join(f"{n:,}" for n in sorted(near))
        raise OptionError(msg, hint=f"go on with {numbers} of them")


def _validated_before(checkpoint: Checkpoint) -> list[str]:
    """Say so where a run that is not validated any more was."""
    if not any("val_loss" in row for row in checkpoint.history):
        return []
    return [f"this run was validated before: name its {field('val_file')} again"]


def _begin_anew(request: TrainingRequest) -> str:
    """Advise to begin another run with the weights of this one."""
    weights = field("init_from", request.resume)
    output = field("output", "OTHER.npz", brief=True)
    return f"begin a new run: {weights} {output}"


def _position(
    stored: TrainingState, config: TrainConfig, *, same: bool
) -> TrainingState:
    """Say where the run goes on: with other limits, perhaps in another text."""
    position = replace(stored, config=config, recent=dict(stored.recent))
    before = stored.config
    if config.lr != before.lr:
        position.lr_scale = 1.0  # the rate that was asked for, not a share of it
    if config.time is not None and config.time != before.time:
        # ``progress`` is the share of the limit that is used. Of another limit, the
        # same seconds are another share.
        position.progress *= (before.time or 0.0) / config.time
    if any(getattr(config, name) != getattr(before, name) for name in LIMITS):
        # Whoever asks for more of a run that patience has ended gets more.
        position.bad_evaluations = 0
    if not same:
        position.epoch = position.window = position.bad_evaluations = 0
        position.best_val_loss = position.best_step = None
    return position


def _read_again(
    request: TrainingRequest,
    checkpoint: Checkpoint,
    config: TrainConfig,
    stdin: BinaryIO | None,
) -> tuple[Corpus, bool]:
    """Read the text of a run that is resumed, and tell whether it is the same.

    Raises
    ------
    CorpusError
        It is another one, and `new_corpus` was not given.
    """
    hint = (
        f"give the same files in the same order, with the same {field('newlines')} "
        f"and {field('encoding')}; or {field('new_corpus', True)} continues with these"
    )
    msg = f"not the text that {request.resume} was trained on"
    options = request.read_options(config, checkpoint.vocab)
    try:
        corpus = read_corpus(request.sources, options, stdin)
    except VocabError as error:
        if request.run.new_corpus:
            if error.field != "newlines":
                error.hint = f"for new characters {_begin_anew(request)}"
            raise
        raise CorpusError(msg, hint=hint) from None
    read, known = fingerprint(corpus), checkpoint.corpus
    same = (read.sha256, read.characters) == (known.sha256, known.characters)
    if not same and not request.run.new_corpus:
        raise CorpusError(msg, hint=hint)
    return corpus, same


def _refuse(
    request: TrainingRequest, checkpoint: Checkpoint, conflicts: list[str]
) -> None:
    """Raise `OptionError` if options conflict with the checkpoint, naming all."""
    if conflicts:
        msg = f"conflicts with {request.resume}: {', '.join(conflicts)}"
        hint = f"leave these options away, or {_begin_anew(request)}"
        if shape_conflicts(request.model, checkpoint.model):
            # Nor can its weights begin another one.
            other = field("output", "OTHER.npz", brief=True)
            hint = f"leave these options away, or train a network from anew: {other}"
        raise OptionError(msg, hint=hint)


def _conflicts(
    request: TrainingRequest, checkpoint: Checkpoint, stored: TrainConfig
) -> list[str]:
    """List the options that a resumed run cannot change."""
    found = shape_conflicts(request.model, checkpoint.model)
    found += [
        f"{field(name)} {value} (it has {getattr(stored, name)})"
        for name, value in request.train.items()
        if name not in CHANGEABLE + WINDOW and getattr(stored, name) != value
    ]
    if request.val_file is not None and stored.val_fraction:
        share = f"{field('val_fraction')} {stored.val_fraction:g}"
        found.append(f"{field('val_file')} (it has {share})")
    if request.text.unit == "byte" and checkpoint.vocab.unit == "char":
        found.append(f"{field('unit', 'byte')} (it has char)")
    return found


def _other_windows(
    request: TrainingRequest, config: TrainConfig, train: PackedIds, vocab: Vocab
) -> list[str]:
    """List batch size and window length if the run was started with others.

    What was given then may have been reduced for a short text; given again,
    it means the same.
    """
    asked = {name: request.train.get(name, getattr(config, name)) for name in WINDOW}
    lines = count_lines(config, train, vocab)
    batch_size, seq_length = asked.values()
    fitted = fit(len(train), batch_size, seq_length, lines)
    return [
        f"{field(name)} {asked[name]} (it has {getattr(config, name)})"
        for name, value in zip(WINDOW, fitted, strict=True)
        if getattr(config, name) not in (asked[name], value)
    ]


def _changed(
    stored: TrainConfig, request: TrainingRequest
) -> tuple[TrainConfig, list[str]]:
    """Put what was given for a resume into the stored configuration."""
    given = {name: v for name, v in request.train.items() if name not in WINDOW}
    if any(
        given.get(name, getattr(stored, name)) != getattr(stored, name)
        for name in LIMITS
    ):
        # Another limit replaces all; the same ones again change nothing, not
        # even a limit that was planned beside them.
        given = dict.fromkeys(LIMITS) | given
    config = replace(stored, **given)
    notes = [
        f"{field(name)}: {_shown(name, getattr(stored, name))} before, "
        f"{_shown(name, value)} now"
        for name, value in given.items()
        if getattr(stored, name) != value
    ]
    return config, notes


def _shown(name: str, value: object) -> str:
    """Write an option's value for a note."""
    if value is None:
        return "none"
    if isinstance(value, Every):
        if value.steps:
            return plural(value.steps, "step")
        return str(value) if value else "never"
    if name == "time" and isinstance(value, float):
        return exact_duration(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
