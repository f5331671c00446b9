"""Checkpoints: models, and the runs that train them, as files.

A checkpoint is a stored zip of ``.npy`` members that plain ``numpy.load``
opens: a manifest, ``charrnn.json``, and one array for each parameter, moment
of the optimizer and carried state. At every instant its path holds a complete
old or a complete new file; reading one executes nothing, notices any changed
byte, and takes at most 64 MiB more memory than the file is long.

=========== ==============================================================
contents    what a checkpoint holds, and which arrays that implies
manifest    all but the arrays, as JSON
archive     the container, byte for byte
reader      read defensively
writer      write atomically, under a lock
systems     what of that differs from one operating system to another
=========== ==============================================================
"""

from charrnn.checkpoint.contents import (
    Checkpoint,
    CorpusFingerprint,
    Remembered,
    Row,
    TrainingState,
    expected_moments,
    expected_tensors,
    thinned,
)
from charrnn.checkpoint.manifest import MemoryEntry, TensorEntry
from charrnn.checkpoint.reader import CheckpointFile, load
from charrnn.checkpoint.writer import (
    OutputLock,
    replacement,
    resolve_output,
    save,
    write_to,
)

__all__ = [
    "Checkpoint",
    "CheckpointFile",
    "CorpusFingerprint",
    "MemoryEntry",
    "OutputLock",
    "Remembered",
    "Row",
    "TensorEntry",
    "TrainingState",
    "expected_moments",
    "expected_tensors",
    "load",
    "replacement",
    "resolve_output",
    "save",
    "thinned",
    "write_to",
]
