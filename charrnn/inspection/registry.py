"""Every view by its name: those that come with charrnn, and any other.

A view of charrnn is the object ``VIEW`` of a module of this package, imported
when somebody asks for it. Here stands only what the command line has to know
before, without NumPy: to add a view, write its module and its line below. A
view from outside the package is made known by `register`, before the command
line is built.
"""

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from charrnn.inspection import TextNeed

if TYPE_CHECKING:
    from charrnn.inspection.view import AnyView, OptionName


class _BuiltIn(NamedTuple):
    """What is known of a view before it is imported."""

    module: str
    text: TextNeed = "no"


#: The views that come with charrnn, in the order in which help lists them.
BUILT_IN = {
    "summary": _BuiltIn("summary"),
    "vocab": _BuiltIn("vocabulary"),
    "history": _BuiltIn("history"),
    "weights": _BuiltIn("weights"),
    "next": _BuiltIn("predictions", "required"),
    "surprise": _BuiltIn("surprise", "required"),
    "neurons": _BuiltIn("neurons", "required"),
    "gates": _BuiltIn("gates", "required"),
    "memory": _BuiltIn("memory", "required"),
    "diversity": _BuiltIn("diversity", "optional"),
    "errors": _BuiltIn("errors", "required"),
    "compare": _BuiltIn("compare", "optional"),
    "system": _BuiltIn("system"),
}

#: What is shown of a checkpoint when nothing else is asked for.
DEFAULT = "summary"

_registered: dict[str, "AnyView"] = {}


def register(view: "AnyView") -> None:
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


def text_need(name: str) -> TextNeed:
    """Tell whether a view reads a text, without importing it."""
    known = BUILT_IN.get(name)
    return _registered[name].text if known is None else known.text


def readers() -> list[str]:
    """Name the views that can read a text."""
    return [name for name in names() if text_need(name) != "no"]


def view_named(name: str) -> "AnyView":
    """Find a view; a `KeyError` says that there is none."""
    known = BUILT_IN.get(name)
    if known is None:
        return _registered[name]
    view: AnyView = import_module(f"charrnn.inspection.{known.module}").VIEW
    return view


def users(option: "OptionName") -> list[str]:
    """Name the views that an option of `inspect` is about."""
    return [name for name in names() if option in view_named(name).options]


def page_views(*, text: bool, several: bool) -> tuple[str, ...]:
    """Name the views of a page for which none are named.

    Parameters
    ----------
    text : bool
        Whether there is a text to read.
    several : bool
        Whether there is more than one checkpoint to compare.
    """
    from charrnn.inspection.view import JointView

    wanted = [
        view
        for view in map(view_named, names())
        if view.page
        and (text or view.text != "required")
        and (several or not isinstance(view, JointView))
    ]
    return tuple(view.name for view in sorted(wanted, key=lambda view: view.page))
