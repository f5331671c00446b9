"""A character-level RNN text generator, compiled for plain processors.

    import charrnn

    run = charrnn.train("lovecraft.txt", time="60s")
    for record in run:
        print(record)
    print(run.model.sample("The old", length=200))
    run.save("lovecraft.npz")

`charrnn.api` says what `train` and `load` do, `charrnn.TextModel` what can be done
with a model. ``charrnn.Text("...")`` stands for a path where the text is a string.
Every mistake raises a `CharRNNError` that says what is wrong and what to do; the
errors of this package are kinds of it.

Importing the package costs neither numpy nor numba: names are looked up on use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from charrnn.version import __version__

#: Where the public names are defined.
_PLACES = {
    "Baselines": "charrnn.training.baselines",
    "CharRNNError": "charrnn.errors",
    "CheckpointError": "charrnn.errors",
    "CorpusError": "charrnn.errors",
    "CountsError": "charrnn.errors",
    "DistributedError": "charrnn.errors",
    "DivergedError": "charrnn.errors",
    "Ended": "charrnn.training.records",
    "Evaluation": "charrnn.training.records",
    "InputError": "charrnn.errors",
    "MissingComponentError": "charrnn.errors",
    "Mixture": "charrnn.mixture",
    "OptionError": "charrnn.errors",
    "OutputError": "charrnn.errors",
    "Record": "charrnn.training.records",
    "Run": "charrnn.training.run",
    "SampleOptions": "charrnn.keywords",
    "Saved": "charrnn.training.records",
    "Step": "charrnn.training.records",
    "Text": "charrnn.reading",
    "TextModel": "charrnn.textmodel",
    "TrainOptions": "charrnn.keywords",
    "VocabError": "charrnn.errors",
    "Warned": "charrnn.training.records",
    "load": "charrnn.api",
    "mix": "charrnn.api",
    "train": "charrnn.api",
}

__all__ = [
    "Baselines",
    "CharRNNError",
    "CheckpointError",
    "CorpusError",
    "CountsError",
    "DistributedError",
    "DivergedError",
    "Ended",
    "Evaluation",
    "InputError",
    "MissingComponentError",
    "Mixture",
    "OptionError",
    "OutputError",
    "Record",
    "Run",
    "SampleOptions",
    "Saved",
    "Step",
    "Text",
    "TextModel",
    "TrainOptions",
    "VocabError",
    "Warned",
    "__version__",
    "load",
    "mix",
    "train",
]

if TYPE_CHECKING:
    from charrnn.api import load, mix, train
    from charrnn.errors import (
        CharRNNError,
        CheckpointError,
        CorpusError,
        CountsError,
        DistributedError,
        DivergedError,
        InputError,
        MissingComponentError,
        OptionError,
        OutputError,
        VocabError,
    )
    from charrnn.keywords import SampleOptions, TrainOptions
    from charrnn.mixture import Mixture
    from charrnn.reading import Text
    from charrnn.textmodel import TextModel
    from charrnn.training.baselines import Baselines
    from charrnn.training.records import Ended, Evaluation, Record, Saved, Step, Warned
    from charrnn.training.run import Run


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
    """List the public names, and not what Python keeps beside them."""
    return sorted(__all__)
