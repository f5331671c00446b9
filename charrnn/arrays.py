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

Large arrays that kernels read and write in vectors, weights' panels and tapes, begin
where a line of the processor's cache does (`aligned_zeros`). NumPy's begin at any
multiple of 16 bytes, so that most vectors of 64 lie in two lines: timed by hand, a core
of a Zen 5 multiplied a row by a megabyte of weights in its second-level cache at 128
GB/s, and at 143 GB/s where they are aligned.
"""

import math
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

#: Bytes in a line of the processor's cache, and in the largest of its vectors.
LINE = 64


def aligned_zeros(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Make a zeroed array whose first number stands at the beginning of a line.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : numpy.dtype or what makes one

    Returns
    -------
    array
        Of this shape, contiguous: a view of LINE bytes more.
    """
    shape = (shape,) if isinstance(shape, int) else shape
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + LINE, np.uint8)
    begin = -room.ctypes.data % LINE
    return room[begin : begin + size].view(dtype).reshape(shape)
