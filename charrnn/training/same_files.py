"""Whether all ranks find the same texts and checkpoints under the same names."""

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

from charrnn.errors import InputError, OptionError
from charrnn.filenames import STREAM
from charrnn.training.ranks import Ranks, agreed
from charrnn.training.request import TrainingRequest

#: What is found of a file that cannot be opened.
NOT_THERE = "cannot be opened"


def check_same_files(request: TrainingRequest, ranks: Ranks) -> None:
    """See whether every rank reads the same.

    Raises
    ------
    OptionError
        A text is none that several processes can read.
    InputError
        A rank finds another file than the first one, or none.
    """
    names = list(_files(request))
    found = ranks.collect(lambda: [_digest(name) for name in names])
    for rank, digests in enumerate(found):
        for name, digest, first in zip(names, digests, found[0], strict=True):
            if digest == first:
                continue
            what = "is another file than on rank 0"
            if NOT_THERE in (digest, first):
                what = "can be opened on some ranks only"
            msg = f"{name} {what}"
            which = f"rank {rank} of {ranks.size}"
            hint = "put it where every machine finds the same, or copy it anew"
            raise agreed(InputError(msg, where=which, hint=hint))


def _files(request: TrainingRequest) -> Iterator[str]:
    """List the files that a run reads, but for texts in memory.

    Raises
    ------
    OptionError
        One is a stream, which is read once.
    """
    for source in (*request.sources, request.val_file):
        if isinstance(source, str):
            if source == STREAM or _is_stream(source):
                what = "standard input" if source == STREAM else source
                msg = f"several ranks cannot read {what}"
                hint = (
                    "write the text to a file first, and name that: launchers hand on "
                    "standard input to one process, or cut it"
                )
                raise OptionError(msg, hint=hint)
            yield source
    for path in (request.resume, request.run.init_from):
        if path is not None:
            yield str(path)


def _is_stream(name: str) -> bool:
    """Tell whether a file is a pipe or the like, which can be read only once."""
    try:
        mode = Path(name).stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def _digest(name: str) -> str:
    """Fingerprint a file; a directory or a missing one is told when it is read."""
    try:
        with Path(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return NOT_THERE
