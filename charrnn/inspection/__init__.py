"""What a checkpoint, its vocabulary and its predictions look like in numbers.

One module a view. Each has a frozen dataclass, the view's data, and a function
that makes it from a checkpoint and nothing else; terminal, JSON and TSV show
that one object. Nothing here draws: that is `charrnn.display`.

=========== ==============================================================
summary     configuration, parameters, training, losses, corpus, file
vocabulary  the view ``vocab``: every symbol with its count
history     loss, validation, learning rate, gradient norm by step
weights     the distribution of every tensor, spectral radii
predictions the view ``next``: the likeliest characters at every position
surprise    -log2 p of every character of a text
neurons     units that follow something in a text, and what they did
gates       how often every gate stood open or closed
memory      gradients by lag, losses by length of context
diversity   distinct n-grams, repetition, what was copied from a corpus
compare     several checkpoints side by side
system      versions, processor, threads, cache

records     what the data of all views have in common: JSON and rows
text        the text that some views read
features    what a reader keeps track of in a text: quotes, brackets, ...
activations what the units of a network did while it read a text
exploration what a page tells of every character of a text
grams       the n-grams of a text, and where another text has them
network     the model behind a checkpoint, for those that run it
subject     one checkpoint with everything that its views share
=========== ==============================================================

Numba is imported by the views that run the network, when they do, and by no
other; and no tensor is read that is not shown.
"""

from typing import TypeAlias

#: Every view, in the order in which help lists them.
VIEWS = (
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

#: Those that need a text.
TEXT_VIEWS = frozenset({"next", "surprise", "neurons", "gates", "memory"})

#: Those that can do with one and without.
OPTIONAL_TEXT_VIEWS = frozenset({"diversity", "compare"})

#: Those that are about all checkpoints together.
JOINT_VIEWS = frozenset({"compare"})

#: What can be seen of a unit: its output h, a gate, or what else its cell has; see
#: `charrnn.cells.signals`.
SignalName: TypeAlias = str

#: Characters that ``memory`` goes back unless it is told.
MAX_LAG = 100
