"""Names of a run's files. Nothing here imports numpy: options need it."""

from pathlib import Path

from charrnn.errors import OptionError, OutputError, field


def best_path(path: Path) -> Path:
    """Name the file of the best evaluation beside a checkpoint."""
    return path.with_name(f"{path.stem}.best{path.suffix or '.npz'}")


def files_of(path: Path) -> tuple[Path, Path]:
    """Name the files that a run writes: of the last state, and of the best."""
    return path, best_path(path)


def output_path(name: str) -> Path:
    """Read the name of a checkpoint that is to be written.

    Raises
    ------
    OptionError
        The name is empty.
    OutputError
        It can only be a directory's, such as ``.`` or ``/``.
    """
    if not name:
        msg = f"{field('output')} is empty"
        raise OptionError(msg, hint="name a file, or leave it away")
    path = Path(name)
    if not path.name:
        msg = "is a directory"
        hint = f"name a file in it with {field('output')}"
        raise OutputError(msg, where=name, hint=hint)
    return path
