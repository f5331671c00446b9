"""What every cell is given: the weights of its recurrence.

They stand apart from the cells so that each of those can be read alone, and so
that whoever calls a cell need not know which one it is.
"""

from typing import Any, NamedTuple

from charrnn.arrays import Floats
from charrnn.kernels.jit import jit
from charrnn.kernels.matmul import matrix_of


class Recurrent(NamedTuple):
    """Weights of one layer's recurrence, or of all layers with a leading axis L.

    They are for one direction: on the way forward the cell multiplies by Wh^T,
    on the way back by Wh, and each product reads panels of its own.
    """

    #: (P, KH, W) panels of Wh^T; on the way back (P, GH, W) of Wh. Generating has a
    #: kind in `matmul.FORMS`, of all layers until `layer_weights` takes those of one.
    Wh: Any
    own: Floats  # (O,): the cell's own parameters, one after another; O may be 0


@jit(inlined_early=True)
def layer_weights(stacked: Recurrent, k: int) -> Recurrent:
    """Take the weights of layer k out of those of all layers, as views."""
    return Recurrent(matrix_of(stacked.Wh, k), stacked.own[k])
