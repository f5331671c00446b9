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
system      versions, processor, threads, cache

records     what the data of all views have in common: JSON and rows
text        the text that some views read
network     the model behind a checkpoint, for those that run it
subject     one checkpoint with everything that its views share
=========== ==============================================================

Numba is imported by the views that read a text, when they run, and by no
other; and no tensor is read that is not shown.
"""

#: Every view, in the order in which help lists them.
VIEWS = ("summary", "vocab", "history", "weights", "next", "surprise", "system")

#: Those that run the network over a text.
TEXT_VIEWS = frozenset({"next", "surprise"})
