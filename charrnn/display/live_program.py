"""The program of a page that runs its network: modules, joined when it is written.

The modules share one scope, in which every name stands once. Each part uses what
stands above it: the engine knows nothing of a page, and runs in a worker.
"""

from functools import cache
from importlib import resources

#: What computes.
ENGINE = (
    "weights",
    "network",
    "gradient",
    "random",
    "filters",
    "vocabulary",
    "features",
    "reader",
    "engine",
)


@cache
def engine() -> str:
    """Join what computes, which needs no page."""
    return "\n".join(map(_module, ENGINE))


def _module(name: str) -> str:
    """Read a module."""
    folder = resources.files(__package__).joinpath("live")
    return folder.joinpath(f"{name}.js").read_text("utf-8")
