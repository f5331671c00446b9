"""Little trainings, and how to look at what they leave."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charrnn.checkpoint import Checkpoint, load

#: Calls the command in process: its exit code, stdout and stderr.
Train = Callable[..., tuple[int, bytes, str]]

SMALL = ["--hidden", "8", "--batch-size", "4", "--seq-length", "8"]
SHORT = [*SMALL, "--steps", "12"]

#: Longer than any test waits: these runs are ended from outside.
ENDLESS = [*SMALL, "--steps", "100000000"]

LOGGED = ["--json", "--log-every", "1"]


def trained(path: str | Path = "t.npz") -> Checkpoint:
    """Load what a training has left."""
    return load(Path(path))


def position(path: str | Path = "t.npz") -> Any:
    """Load where a training stands."""
    found = trained(path).training
    assert found is not None
    return found


def names() -> set[str]:
    """List the working directory."""
    return {path.name for path in Path().iterdir()}


def objects(out: bytes | str) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in out.splitlines()]
