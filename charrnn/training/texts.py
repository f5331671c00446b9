"""A run's text: what is held out, what is trained on, and how that is cut."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from charrnn.arrays import PackedIds
from charrnn.checkpoint import CorpusFingerprint
from charrnn.config import TrainConfig
from charrnn.corpus import Corpus, read_corpus, split
from charrnn.streams import AnyStreams, LineStreams, Streams
from charrnn.training.request import TrainingRequest
from charrnn.vocab import Vocab
from charrnn.windows import Documents

#: How often a stream begins anew; see `streams.Streams`.
RESET_RATE = 0.01


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
) -> tuple[PackedIds, PackedIds | None]:
    """Split the text into what is trained on and what is held out.

    Parameters
    ----------
    config : TrainConfig
        Its window may be longer than the text.
    notes : list of str
        Added to.

    Returns
    -------
    train : (N,) unsigned array
    held_out : (M,) unsigned array or None
        None where nothing is wanted, or where it would be less than a window.
    """
    if request.val_file is not None:
        options = request.read_options(lines=config.lines, vocab=vocab)
        held = read_corpus((request.val_file,), options, stdin)
        notes += held.notes
        return ids, held.ids
    if config.val_fraction == 0:
        return ids, None
    newline = Documents.of(vocab, lines=config.lines).start
    train, held_out = split(ids, config.val_fraction, lines_newline_id=newline)
    enough = 1 if config.lines else min(config.seq_length, 64)
    if len(held_out) < enough or len(train) < 2:
        return ids, None
    return train, held_out


def count_lines(config: TrainConfig, ids: PackedIds, vocab: Vocab) -> int | None:
    """Count the lines, where each is a document."""
    return int(np.count_nonzero(ids == vocab.newline_id)) if config.lines else None


def streams_of(ids: PackedIds, vocab: Vocab, config: TrainConfig) -> AnyStreams:
    """Cut the training text as the configuration says."""
    B, T = config.batch_size, config.seq_length
    documents = Documents.of(vocab, lines=config.lines)
    if documents.start is not None:
        return LineStreams(ids, B, T, documents.start, config.seed)
    return Streams(
        ids, B, T, documents.stand_in, reset_rate=RESET_RATE, seed=config.seed
    )
