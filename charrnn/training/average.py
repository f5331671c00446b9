"""The averaged weights of a run, in a network of their own.

The latest weights go on jumping about with every window; their average does not
(Polyak & Juditsky 1992). So it is the average that is evaluated, sampled and
saved. Batch normalization's means and variances belong to the weights that they
were made with: those of the averaged weights come from running some windows of the
training text through them (Izmailov et al. 2018, section 3.2), without dropout,
as they will be used. benchmarks/README.md compares this with other ways.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from charrnn.arrays import Floats
from charrnn.kernels import optimizers
from charrnn.network import Network
from charrnn.windows import Window

#: Averaged weights remember an n-th of the steps so far until the decay takes over.
AVERAGING_START = 9

#: Windows that batch normalization's statistics are made from, after a first one
#: that only brings the state to where a longer text would have it.
STATISTICS_WINDOWS = 16


class Average:
    """An exponential average of a network's weights.

    Parameters
    ----------
    network : Network
        Its weights are the average's first values; it is not kept.
    decay : float
        Share that the average keeps of itself in a step, once it is old enough.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.decay = decay
        self._network = Network(
            network.config, dtype=network.dtype, threads=network.threads
        )
        self._stale = True  # what follows from the weights is behind them
        self.load(network.tensors)

    @property
    def theta(self) -> Floats:
        """The averaged weights, (P,). Call `touch` after changing them."""
        return self._network.theta

    @property
    def nbytes(self) -> int:
        """Memory that the averaged weights and their packed copies take, in bytes."""
        return self._network.nbytes

    def load(self, named: Mapping[str, Floats]) -> None:
        """Take averaged weights over by name, as a checkpoint stores them."""
        self._network.load(named)
        self.touch()

    def update(self, theta: Floats, number: int) -> None:
        """Take the weights in that a step has led to.

        Parameters
        ----------
        theta : (P,) float array
            Read.
        number : int
            Number of the step, from 1. The memory is short at first: the first
            weights are not worth keeping.
        """
        decay = min(self.decay, number / (number + AVERAGING_START))
        with self._network.at_work():
            optimizers.update_ema(self.theta, theta, 1 - decay)
        self.touch()

    def warm_up(self, scratch: Floats) -> None:
        """Compile, or load, the kernel of `update`; change nothing that is kept.

        Parameters
        ----------
        scratch : (P,) float array
            Stands for both kinds of weights; overwritten.
        """
        with self._network.at_work():
            optimizers.update_ema(scratch, scratch, 0.0)

    def touch(self) -> None:
        """Note that the weights have changed."""
        self._stale = True

    def network(self, windows: Iterable[Window]) -> Network:
        """Bring the network up to date with its weights, if it is not.

        Parameters
        ----------
        windows : iterable of Window
            Successive windows of the training text, at least one, for the
            statistics of batch normalization; read only if they are needed.
        """
        if self._stale:
            self._network.pack()
            if running := self._network.norm.running:
                for name, values in batch_statistics(self._network, windows).items():
                    running[name][...] = values
            self._stale = False
        return self._network


def batch_statistics(
    network: Network, windows: Iterable[Window]
) -> Mapping[str, Floats]:
    """Measure the means and variances of a network's outputs on a text.

    Parameters
    ----------
    network : Network
        It normalizes by batch; its weights are packed, and stay as they are.
    windows : iterable of Window
        Successive windows, read from a state of zeros. The first one counts only
        if there is no other.

    Returns
    -------
    dict of (H,) arrays
        By the names of `parameters.statistics`. Every row counts alike.
    """
    measured: list[Mapping[str, Floats]] = []
    rows: list[int] = []
    state = None
    # A network that is about to diverge overflows here; saving it tells.
    with np.errstate(all="ignore"):
        for window in windows:
            if state is None:
                state = network.new_state(window.inputs.shape[1])
            network.forward(window, state, training=True)
            measured.append({n: a.copy() for n, a in network.norm.window.items()})
            rows.append(window.inputs.size)
        first = min(1, len(measured) - 1)
        return {
            name: np.average(
                [values[name] for values in measured[first:]],
                axis=0,
                weights=rows[first:],
            )
            for name in network.norm.running
        }
