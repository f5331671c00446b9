"""Names of a run's files. Nothing here imports numpy: options need it."""

from pathlib import Path


def best_path(path: Path) -> Path:
    """Name the file of the best evaluation beside a checkpoint."""
    return path.with_name(f"{path.stem}.best{path.suffix or '.npz'}")
