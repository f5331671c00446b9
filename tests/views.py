"""The views that come with charrnn, by the models that they are about."""

from charrnn.inspection.registry import BUILT_IN, view_named

#: Of models of running text, and of models of pairs.
OF_TEXT = [name for name in BUILT_IN if view_named(name).models != "pairs"]
OF_PAIRS = [name for name in BUILT_IN if view_named(name).models != "running text"]
