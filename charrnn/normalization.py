"""Normalization of every layer's output, in training and outside of it.

Layer normalization is the same everywhere. Batch normalization is not: a
window in training is normalized by its own means and variances; evaluating and
generating, where a text must not depend on what is read beside it, take running
averages of them. These move when training says that a step was taken, so that
a step that is given up leaves no trace.

The average of step n weighs the newest window by the larger of 1 / n and
`MOMENTUM`: the first windows count alike, not more than the averages' arbitrary
first values, and later ones are forgotten as the weights change. The variance
is that which normalized the window, divided by the number of rows: successive
rows are too much alike for a correction that takes them to be independent.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charrnn import parameters
from charrnn.arrays import Floats, aligned_zeros
from charrnn.config import ModelConfig, NormName
from charrnn.kernels import normalization as kernels
from charrnn.kernels.normalization import NormTape
from charrnn.parameters import LayerParameters, Parameters, Role

CODES: dict[NormName, int] = {
    "none": kernels.NONE,
    "layer": kernels.LAYER,
    "batch": kernels.AFFINE,
}

#: Weight of the newest window in a running average: about the last ten count. A
#: window is hundreds of rows or thousands, so that few are enough, and a young
#: network soon disowns its past: after 90 steps (LSTM 2 x 64, windows of 32 x 64)
#: averages with 0.01 cost 0.4 nats in validation, with 0.05 0.04; after 2,500
#: steps on windows of 4 x 16, 0.01 and 0.1 come to the same, 0.3 is noisier.
MOMENTUM = 0.1


#: Adds up, in place, what several processes have of an array.
Reduce: TypeAlias = Callable[[NDArray[np.float64]], None]


class Normalizing(NamedTuple):
    """Normalization of all layers as generating applies it."""

    code: int
    gain: Floats  # (L, H); (L, 0) for none
    shift: Floats  # likewise


class Statistics(NamedTuple):
    """Mean and variance of a layer's outputs, unit by unit."""

    mean: Floats  # (H,)
    var: Floats  # (H,)


class Normalization:
    """What a network's configuration says about its layers' outputs.

    Parameters
    ----------
    config : ModelConfig
    weights : Parameters
        The network's: views that follow its changes.
    threads : int

    Attributes
    ----------
    running : dict of (H,) arrays
        Running averages, as `parameters.statistics` lists them; saved with the
        parameters.
    window : dict of (H,) arrays
        Means and variances of the last window in training, by the same names.
    reduce : callable or None
        Given where other processes have the other rows of every window in training:
        batch normalization then goes by the statistics of all of them.
    """

    def __init__(self, config: ModelConfig, weights: Parameters, threads: int) -> None:
        self.kind = config.norm
        self.reduce: Reduce | None = None
        self._threads = threads
        self._dtype = weights.flat.dtype
        self._weights = weights.layers
        self.running: dict[str, Floats] = {
            p.name: np.full(p.shape, p.initial, self._dtype)
            for p in parameters.statistics(config)
        }
        self._names = {(p.layer, p.role): p.name for p in parameters.statistics(config)}
        self.window = {name: np.zeros_like(a) for name, a in self.running.items()}

    def new_tape(self, rows: int, hidden: int) -> NormTape:
        """Make room for what a layer's output leaves for the way back, if anything."""
        count = 0 if self.kind == "none" else rows
        per = hidden if self.kind == "batch" else count
        xhat = aligned_zeros((count, hidden), self._dtype)
        return NormTape(xhat, np.zeros(per, self._dtype))

    def forward(self, k: int, y: Floats, tape: NormTape, *, training: bool) -> None:
        """Normalize the outputs of layer k, in place.

        Parameters
        ----------
        y : (N, H) float array
            Of a whole window.
        tape : NormTape
            Of N rows; written where there is a way back.
        training : bool
            Whether the window's own means and variances are used, where that
            makes a difference.
        """
        gain, shift = self._weights[k].gain, self._weights[k].shift
        if self.kind == "layer":
            kernels.layer_forward(y, gain, shift, tape, self._threads)
        elif self.kind == "batch" and training and self.reduce is not None:
            self._forward_shared(k, y, tape, self.reduce)
        elif self.kind == "batch" and training:
            kernels.batch_forward(y, gain, shift, tape, *self._of_layer(self.window, k))
        elif self.kind == "batch":
            kernels.scale_and_shift(y, *self._folded(k), self._threads)

    def backward(
        self,
        k: int,
        dy: Floats,
        rows: slice,
        tape: NormTape,
        gradients: LayerParameters | None,
        *,
        training: bool,
    ) -> None:
        """Carry the gradient back through `forward`.

        Parameters
        ----------
        dy : (n, H) float array
            Gradient of the normalized outputs of some rows (in training, of all
            rows for batch normalization); on exit that of the layer's own.
        rows : slice
            Which rows of the tape these are.
        gradients : LayerParameters, optional
            Accumulated into; None where nobody wants those of gain and shift.
        training : bool
            As `forward` was told. By its running averages batch normalization is a
            factor for each unit, and has no gradient of gain and shift here.
        """
        if self.kind == "none":
            return
        if self.kind == "batch" and not training:
            dy *= self._folded(k)[0]
            return
        gain = self._weights[k].gain
        if gradients is None:
            dgain, dshift = np.zeros((2, *gain.shape), gain.dtype)
        else:
            dgain, dshift = gradients.gain, gradients.shift
        if self.kind == "layer":
            part = NormTape(tape.xhat[rows], tape.inverse[rows])
            kernels.layer_backward(dy, gain, part, dgain, dshift)
        elif self.reduce is not None:
            sums = self._sums(*dy.shape)
            kernels.unit_gradient_sums(dy, tape, sums[1:])
            dgain += sums[1].astype(self._dtype)
            dshift += sums[2].astype(self._dtype)
            along, mean = self._means(sums, self.reduce).astype(self._dtype)
            kernels.standardize_backward(dy, gain, tape, along, mean, self._threads)
        else:
            kernels.batch_backward(dy, gain, tape, dgain, dshift)

    def _forward_shared(
        self, k: int, y: Floats, tape: NormTape, reduce: Reduce
    ) -> None:
        """Normalize by the statistics of rows some of which other processes have."""
        sums = self._sums(*y.shape)
        kernels.unit_sums(y, sums[1:])
        means, squares = self._means(sums, reduce)
        statistics = self._of_layer(self.window, k)
        statistics.mean[...] = means
        # In float64 the difference is exact enough: outputs are of the size of 1, and
        # variances that matter are not below `kernels.EPS`.
        statistics.var[...] = np.maximum(squares - means * means, 0)
        gain, shift = self._weights[k].gain, self._weights[k].shift
        kernels.standardize(y, gain, shift, tape, *statistics, self._threads)

    @staticmethod
    def _sums(rows: int, units: int) -> NDArray[np.float64]:
        """Make room for two sums a unit, and for the rows that they are over.

        Returns
        -------
        (3, H) float64 array
            The first row holds their number; the others are to be written.
        """
        sums = np.empty((3, units))
        sums[0] = rows
        return sums

    @staticmethod
    def _means(sums: NDArray[np.float64], reduce: Reduce) -> NDArray[np.float64]:
        """Turn the sums of some rows into the means over all, (2, H)."""
        whole = sums.copy()
        reduce(whole)
        # A network that is about to diverge overflows here; its loss tells.
        with np.errstate(all="ignore"):
            means: NDArray[np.float64] = whole[1:] / whole[0]
        return means

    def update_running(self, step: int) -> None:
        """Move the running averages towards the last window in training.

        Parameters
        ----------
        step : int
            Steps taken, this one included.
        """
        weight = self._dtype.type(max(MOMENTUM, 1 / step))
        for name, average in self.running.items():
            # The trainer notices what overflows.
            with np.errstate(all="ignore"):
                average += weight * (self.window[name] - average)

    def inference(self) -> Normalizing:
        """Lay gains and shifts out as generating reads them, copied."""
        pairs = [
            self._folded(k) if self.kind == "batch" else (weights.gain, weights.shift)
            for k, weights in enumerate(self._weights)
        ]
        gain, shift = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
        return Normalizing(CODES[self.kind], gain, shift)

    def _folded(self, k: int) -> tuple[Floats, Floats]:
        """Turn running averages, gain and shift into one scale and shift."""
        mean, var = self._of_layer(self.running, k)
        gain, shift = self._weights[k].gain, self._weights[k].shift
        # A file may hold any numbers; a NaN shows in what comes of it.
        with np.errstate(all="ignore"):
            # xhat * gain + shift, xhat = (x - mean) / sqrt(var + EPS)
            scale = gain / np.sqrt(var + self._dtype.type(kernels.EPS))
            return scale, shift - mean * scale

    def _of_layer(self, named: Mapping[str, Floats], k: int) -> Statistics:
        """Take the mean and the variance of layer k out of those of all layers."""
        mean, var = (named[self._names[k, r]] for r in (Role.MEAN, Role.VARIANCE))
        return Statistics(mean, var)
