"""Names of the files that are written.

Nothing here imports numpy: the options of the command line need it.
"""

import os
import re
from pathlib import Path
from typing import Any

from charrnn.errors import OptionError, OutputError
from charrnn.escapes import shortened
from charrnn.options import check_file_name

#: Stands for standard input or output.
STREAM = "-"

#: What ends a name where a system reads it, so that no name has it.
NUL = "\0"
NUL_IN_NAME = "no file has a name with a NUL"

#: The checkpoint of a text that has no name.
UNNAMED = "charrnn.npz"

#: Paths of open files, such as a shell's ``<(command)`` hands over: their numbers
#: are no names.
_DESCRIPTOR = re.compile(r"/dev/(fd/\d+|std(in|out|err))|/proc/[^/]+/fd/\d+", re.ASCII)

#: A name of blanks and of signs that mean something to a shell, and nothing else.
_NO_NAME = re.compile(r"[\s!-/:-@\[-`{-~]*", re.ASCII)


def read_path(given: Any, name: str) -> str:
    """Take the name of a file as a caller in Python gives it: a text, or a path.

    Parameters
    ----------
    name : str
        What a message calls it: a field marked by `errors.field`, or words.

    Raises
    ------
    OptionError
        It is neither, or has a NUL, which no path has.
    """
    path = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(path, str):
        msg = f"{name} must be a path, not {shortened(repr(given))}"
        raise OptionError(msg, hint="name a file, as a text or as a pathlib.Path")
    if NUL in path:
        msg = f"{name} is {shortened(repr(path))}: {NUL_IN_NAME}"
        raise OptionError(msg, hint="choose another name")
    return path


def read_output(given: Any, name: str) -> str:
    """Take the name of a file to write; it must not be one that only directories have.

    Parameters
    ----------
    given : str or path
        A path as its user wrote it: a `Path` forgets the slash at its end. ``-``
        stands for a stream.
    name : str
        What a message calls it: a field marked by `errors.field`, or words.

    Raises
    ------
    OptionError
        It is no path, or empty, or has a NUL.
    OutputError
        It ends in a slash, or is ``.`` or ``..``, at the end of a longer path, too.
    """
    given = read_path(given, name)
    check_file_name(name, given)
    if os.path.basename(given) not in ("", ".", ".."):  # noqa: PTH119 - see above
        return given
    if Path(given).is_dir():
        msg, hint = "is a directory", f"name a file in it with {name}"
    elif Path(given).exists():
        msg, hint = "is not a directory", f"{name} without the slash names the file"
    else:
        msg, hint = "no such directory", f"make it, and name a file in it with {name}"
    raise OutputError(msg, where=given, hint=hint)


def default_output(source: str) -> Path:
    """Name the checkpoint after the first text, in the working directory."""
    stem = Path(source).stem
    if source == STREAM or _DESCRIPTOR.fullmatch(source) or _NO_NAME.fullmatch(stem):
        return Path(UNNAMED)
    return Path(stem + ".npz")


def best_path(path: Path) -> Path:
    """Name the file of the best evaluation beside a checkpoint."""
    return path.with_name(f"{path.stem}.best{path.suffix or '.npz'}")


def files_of(path: Path) -> tuple[Path, Path]:
    """Name the files that a run writes: of the last state, and of the best."""
    return path, best_path(path)
