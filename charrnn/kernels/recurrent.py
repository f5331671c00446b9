"""What every cell is given: its recurrent weights.

Apart from the cells so that each of them can be read alone, and so that
whoever calls a cell need not know which one it is.
"""

from typing import NamedTuple

from charrnn.arrays import Floats
from charrnn.kernels.matmul import Packed


class Recurrent(NamedTuple):
    """Weights of one layer's recurrence."""

    Wh: Packed  # (GH, H), packed
    bh: Floats  # bias of the recurrent product: (H,) for the GRU, else (0,)
