"""A character-level RNN text generator, compiled for plain processors.

    import charrnn

    run = charrnn.train("lovecraft.txt", time="60s")
    for record in run:
        print(record)
    print(run.model.sample("The old", length=200))
    run.save("lovecraft.npz")

`charrnn.api` says what `train` and `load` do, `charrnn.TextModel` what can be done
with a model. ``charrnn.Text("...")`` stands for a path where the text is a string.
Every mistake raises a `CharRNNError` that says what is wrong and what to do.

Importing the package costs neither numpy nor numba: names are looked up on use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from charrnn.version import __version__

#: Where the public names are defined.
_PLACES = {
    "CharRNNError": "charrnn.errors",
    "Ended": "charrnn.training.records",
    "Evaluation": "charrnn.training.records",
    "Saved": "charrnn.training.records",
    "Step": "charrnn.training.records",
    "Text": "charrnn.reading",
    "TextModel": "charrnn.textmodel",
    "Warned": "charrnn.training.records",
    "load": "charrnn.api",
    "train": "charrnn.api",
}

__all__ = [
    "CharRNNError",
    "Ended",
    "Evaluation",
    "Saved",
    "Step",
    "Text",
    "TextModel",
    "Warned",
    "__version__",
    "load",
    "train",
]

if TYPE_CHECKING:
    from charrnn.api import load, train
    from charrnn.errors import CharRNNError
    from charrnn.reading import Text
    from charrnn.textmodel import TextModel
    from charrnn.training.records import Ended, Evaluation, Saved, Step, Warned


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _PLACES:
        msg = f"module 'charrnn' has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        module = import_module(_PLACES[name])
    except Exception:
        # Numba reads them when it is imported, and fails without naming them.
        from charrnn.processors import check_variables

        check_variables()
        raise
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, those that were not used yet, too."""
    return sorted({*globals(), *__all__})
