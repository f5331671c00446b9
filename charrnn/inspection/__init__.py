"""What a checkpoint, its vocabulary and its predictions look like in numbers.

A view (`view`) is one object that says what it needs, how its data are computed
and what of them is shown, as `blocks`. Each has one module, which the
`registry` finds by the view's name. Its data are a frozen dataclass
(`records`); terminal, JSON, TSV, SVG and HTML show that one object. Nothing
here draws: that is `charrnn.display`, which knows blocks and no view.

=========== ==============================================================
view        what a view is
asked       what is asked of the views: the text, and the options
registry    every view by its name
blocks      what views show: facts, tables, charts, heat text
wording     numbers as people read them
inspected   one checkpoint with everything that its views share
records     what the data of all views have in common: JSON and rows

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
errors      pairs that come out wrong, and what is taken for what
compare     several checkpoints side by side
system      versions, processor, threads, cache

text        the text that some views read
features    what a reader keeps track of in a text: quotes, brackets, ...
units       which units can be looked at, and in how much of a text
exploration what a page tells of every character of a text
living      a network with its weights, for a page that runs it
grams       the n-grams of a text, and where another text has them
compiling   compile what a view will run, before it is made
=========== ==============================================================

Numba is imported by the views that run the network, when they do, and by no
other; and no tensor is read that is not shown.
"""

from typing import Literal, TypeAlias

#: What can be seen of a unit: its output h, a gate, or what else its cell has; see
#: `charrnn.cells.signals`.
SignalName: TypeAlias = str

#: How a page that runs a network stores the numbers of its matrices.
LivePrecision = Literal["float32", "float16", "int8"]

#: Whether a view reads a text.
TextNeed = Literal["no", "optional", "required"]

#: What each signal of the cells that come with charrnn is called; another cell's
#: goes by its name.
SIGNAL_NAMES: dict[SignalName, str] = {
    "h": "output h",
    "c": "tanh of the cell c",
    "i": "input gate i",
    "f": "forget gate f",
    "o": "output gate o",
    "r": "reset gate r",
    "u": "update gate u",
}

#: Characters that ``memory`` goes back unless it is told.
MAX_LAG = 100
