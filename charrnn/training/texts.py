"""A run's text: what is held out, what is trained on, and how that is cut."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from charrnn.arrays import PackedIds
from charrnn.checkpoint import CorpusFingerprint
from charrnn.config import TrainConfig
from charrnn.corpus import Corpus, read_corpus, split
from charrnn.counting import plural
from charrnn.errors import field
from charrnn.pairs import split_pairs
from charrnn.streams import (
    AnyStreams,
    LineStreams,
    PairStreams,
    Streams,
    whole_window,
)
from charrnn.training.baselines import MAX_NGRAM
from charrnn.training.request import TrainingRequest
from charrnn.vocab import Vocab
from charrnn.windows import Documents

#: How often a stream begins anew; see `streams.Streams`.
RESET_RATE = 0.01


#: Of more empty lines than one in so many, each a document, the user is told.
EMPTY_LINES = 100


@dataclass(frozen=True, eq=False)
class Division:
    """A text, parted into what is trained on and what is held out."""

    train: PackedIds  # (N,)
    held_out: PackedIds | None = None  # (M,); None where nothing is
    reason: str | None = None  # why nothing is held out though that was wanted


def documents_of(vocab: Vocab, config: TrainConfig) -> Documents:
    """Say how a run's texts and documents begin, and what of them is scored."""
    return Documents.of(vocab, lines=config.lines, pairs=config.pairs)


def fingerprint(corpus: Corpus) -> CorpusFingerprint:
    """Note down by what this text will be known again."""
    names = tuple(Path(name).name for name in corpus.files)
    return CorpusFingerprint(names, corpus.bytes, corpus.characters, corpus.sha256)


def divide(
    request: TrainingRequest,
    config: TrainConfig,
    ids: PackedIds,
    vocab: Vocab,
    notes: list[str],
    stdin: BinaryIO | None,
) -> Division:
    """Split the text into what is trained on and what is held out.

    Parameters
    ----------
    config : TrainConfig
        Its window may be longer than the text.
    notes : list of str
        Added to.
    """
    notes += _note_empty_lines(config, ids, vocab)
    if request.val_file is not None:
        options = request.read_options(config, vocab)
        held = read_corpus((request.val_file,), options, stdin)
        notes += held.notes
        notes += _note_uncounted(request, len(ids) + len(held.ids))
        return Division(ids, held.ids)
    notes += _note_uncounted(request, len(ids))
    if config.val_fraction == 0:
        return Division(ids)
    documents = documents_of(vocab, config)
    if config.pairs:
        share = config.val_fraction
        train, held_out = split_pairs(ids, documents, vocab, share)
    else:
        newline = documents.start
        train, held_out = split(ids, config.val_fraction, lines_newline_id=newline)
    reason = None
    if config.pairs and not len(held_out):
        reason = "no input has a hash that would have it held out"
    elif config.lines and not len(held_out):
        reason = "what would be held out is less than a line"
    elif not config.by_line and len(held_out) < min(config.seq_length, 64):
        reason = "what would be held out is less than a window"
    elif len(train) < 2:
        reason = "too little would be left to train on"
    return Division(train, held_out) if reason is None else Division(ids, None, reason)


def count_lines(config: TrainConfig, ids: PackedIds, vocab: Vocab) -> int | None:
    """Count the lines, where each is a document."""
    return int(np.count_nonzero(ids == vocab.newline_id)) if config.by_line else None


def window_of_pairs(config: TrainConfig, ids: PackedIds, vocab: Vocab) -> int | None:
    """Choose the steps of a window where lines are pairs; see `streams`."""
    if not config.pairs:
        return None
    ends = np.flatnonzero(ids == vocab.newline_id)
    return whole_window(np.diff(ends, prepend=-1))


def _note_uncounted(request: TrainingRequest, characters: int) -> list[str]:
    """Say so where a text is too long for its n-grams to be counted at the end."""
    if characters <= MAX_NGRAM or not request.run.memory:
        return []
    return [
        f"n-grams are counted of texts of up to {MAX_NGRAM:,} characters only: "
        "the network will predict alone"
    ]


def _note_empty_lines(config: TrainConfig, ids: PackedIds, vocab: Vocab) -> list[str]:
    """Say so where many lines are empty and each is a document."""
    if not config.lines:
        return []
    ends = np.flatnonzero(ids == vocab.newline_id)
    lengths = np.diff(ends, prepend=-1) - 1
    empty = lengths == 0
    returns = vocab.id_of("\r")
    if returns is not None:  # of lines that end in CR LF
        empty |= (lengths == 1) & (ids[ends - 1] == returns)
    count = int(np.count_nonzero(empty))
    if count * EMPTY_LINES <= len(ends):
        return []
    return [
        f"{count:,} of {len(ends):,} lines are empty, and as many samples will be: "
        "take them out of the text unless that is wanted"
    ]


def note_long_pairs(ids: PackedIds, vocab: Vocab, config: TrainConfig) -> list[str]:
    """Say so where pairs do not fit into a window of the run."""
    if not config.pairs:
        return []
    lengths = np.diff(np.flatnonzero(ids == vocab.newline_id), prepend=-1)
    count = int(np.count_nonzero(lengths > config.seq_length))
    if not count:
        return []
    verb, them = ("is", "it") if count == 1 else ("are", "those")
    return [
        f"{count:,} of {plural(len(lengths), 'pair')} {verb} longer than a window of "
        f"{config.seq_length:,} characters: of {them} only the last part teaches "
        f"({field('seq_length')} makes windows longer)"
    ]


def streams_of(ids: PackedIds, vocab: Vocab, config: TrainConfig) -> AnyStreams:
    """Cut the training text as the configuration says."""
    B, T = config.batch_size, config.seq_length
    documents = documents_of(vocab, config)
    if documents.separator is not None:
        return PairStreams(ids, B, T, documents, config.seed)
    if documents.start is not None:
        return LineStreams(ids, B, T, documents.start, config.seed)
    return Streams(
        ids, B, T, documents.stand_in, reset_rate=RESET_RATE, seed=config.seed
    )
