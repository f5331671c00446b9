"""Names for array types, and the letters of their axes.

====== ==========================================================
letter axis
====== ==========================================================
T      time: characters in a window
B      batch: streams read side by side, one row each
D      width of a layer's input
H      width of a layer's state: its hidden units
V      vocabulary: distinct characters
L      layers
G      gates of a cell (RNN 1, GRU 3, LSTM 4); GH means G * H
====== ==========================================================

A stack over time of T + 1 entries holds states: entry t is the state *before*
input t, entry t + 1 the state after it.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: float32 in training and sampling; float64 in gradient checks.
Floats: TypeAlias = NDArray[np.floating[Any]]

#: Character ids as kernels read them. A target of -1 is not scored.
Ids: TypeAlias = NDArray[np.int32]

#: What identifies longer things: positions, fingerprints.
Longs: TypeAlias = NDArray[np.int64]

#: Character ids as a corpus stores them: the smallest unsigned type that fits.
PackedIds: TypeAlias = NDArray[np.unsignedinteger[Any]]

#: 0 or 1, one byte each.
Flags: TypeAlias = NDArray[np.uint8]

#: Which of many are meant.
Mask: TypeAlias = NDArray[np.bool_]

#: The target that stands for "nothing to predict here".
IGNORED = -1
