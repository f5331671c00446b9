"""The program of a page that runs its network: modules, joined when it is written.

The modules share one scope, in which every name stands once. Each part uses what
stands above it: the engine knows nothing of a page, and runs in a worker.
"""

from functools import cache

from charrnn.display.html_style import asset

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

#: What is seen, and `start`, which begins.
PAGE = ("link", "editor", "strips", "lesson", "steering", "page", "start")


@cache
def program() -> str:
    """Join the whole program."""
    return "\n".join([asset("html_parts.js"), engine(), *map(_module, PAGE)])


@cache
def engine() -> str:
    """Join what computes, which needs no page."""
    return "\n".join(map(_module, ENGINE))


def _module(name: str) -> str:
    """Read a module."""
    return asset(f"live/{name}.js")
