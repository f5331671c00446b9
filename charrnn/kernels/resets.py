"""Where a document begins: the state is cleared before its first input."""

from charrnn.arrays import Flags, Floats
from charrnn.kernels.jit import jit


@jit
def clear(flags: Flags, state: Floats) -> None:
    """Zero the rows of a state, or of its gradient, that are flagged.

    Parameters
    ----------
    flags : (B,) uint8 array
    state : (B, H) float array
        Rows whose flag is set are zeroed.
    """
    for n in range(flags.size):
        if flags[n]:
            for j in range(state.shape[1]):
                state[n, j] = 0
