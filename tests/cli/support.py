"""How tests call the command."""

import sys
from pathlib import Path


def command(*arguments: str | Path) -> list[str]:
    """Spell out the command as a process of its own, by this very Python."""
    return [sys.executable, "-m", "charrnn", *map(str, arguments)]
