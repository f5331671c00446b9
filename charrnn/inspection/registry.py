"""Every view by its name: those that come with charrnn, and any other.

A built-in view is the object ``VIEW`` of the module in `charrnn.inspection.views`
that has its name, imported when somebody asks for it. To add one, write that
module and list its name here. A view from outside the package is made known
by `register`, before the command line is built.
"""

from functools import cache
from importlib import import_module

from charrnn.inspection.view import AnyView, JointView, OptionName

#: The views that come with charrnn, in the order in which help lists them.
BUILT_IN = (
    "summary",
    "vocab",
    "history",
    "weights",
    "next",
    "surprise",
    "neurons",
    "gates",
    "memory",
    "diversity",
    "compare",
    "system",
)

#: What is shown of a checkpoint when nothing else is asked for.
DEFAULT = "summary"

_registered: dict[str, AnyView] = {}


def register(view: AnyView) -> None:
    """Make a view known under its name.

    Raises
    ------
    ValueError
        Another view has that name.
    """
    if view.name in names():
        msg = f"there is a view {view.name!r} already"
        raise ValueError(msg)
    _registered[view.name] = view


def names() -> tuple[str, ...]:
    """Name all views in the order in which help lists them."""
    return (*BUILT_IN, *_registered)


def view_named(name: str) -> AnyView:
    """Find a view; a `KeyError` says that there is none."""
    return _built_in(name) if name in BUILT_IN else _registered[name]


def views() -> list[AnyView]:
    """List all views."""
    return [view_named(name) for name in names()]


def readers() -> list[str]:
    """Name the views that can read a text."""
    return [view.name for view in views() if view.text != "no"]


def users(option: OptionName) -> list[str]:
    """Name the views that an option of `inspect` is about."""
    return [view.name for view in views() if option in view.options]


def page_views(*, text: bool, several: bool) -> tuple[str, ...]:
    """Name the views of a page for which none are named.

    Parameters
    ----------
    text : bool
        Whether there is a text to read.
    several : bool
        Whether there is more than one checkpoint to compare.
    """
    wanted = [
        view
        for view in views()
        if view.page
        and (text or view.text != "required")
        and (several or not isinstance(view, JointView))
    ]
    return tuple(view.name for view in sorted(wanted, key=lambda view: view.page))


@cache
def _built_in(name: str) -> AnyView:
    """Import a view."""
    view: AnyView = import_module(f"charrnn.inspection.views.{name}").VIEW
    return view
