"""Normalisation of every layer's output, in training and outside of it.

Layer normalisation is the same everywhere. Batch normalisation is not: a
window in training is normalised by its own means and variances; evaluating and
generating, where a text must not depend on what is read beside it, take running
averages of them. These move when training says that a step was taken, so that
a step that is given up leaves no trace.

The average of step n weighs the newest window by the larger of 1 / n and
`MOMENTUM`: the first windows count alike, not more than the averages' arbitrary
first values, and later ones are forgotten as the weights change. The variance
is that which normalised the window, divided by the number of rows: successive
rows are too much alike for a correction that takes them to be independent.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from charrnn import parameters
from charrnn.arrays import Floats
from charrnn.config import ModelConfig, NormName
from charrnn.kernels import normalisation as kernels
from charrnn.kernels.normalisation import Tape

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


class Inference(NamedTuple):
    """Normalisation of all layers as generating applies it."""

    code: int
    gain: Floats  # (L, H); (L, 0) for none
    shift: Floats  # likewise


class Normalisation:
    """What a model's configuration says about its layers' outputs.

    Parameters
    ----------
    config : ModelConfig
    weights : mapping of arrays
        The model's parameters by name: views that follow its changes.
    dtype : numpy dtype
    threads : int

    Attributes
    ----------
    running : dict of (H,) arrays
        Running averages, as `parameters.statistics` lists them; saved with the
        parameters.
    window : dict of (H,) arrays
        Means and variances of the last window in training, by the same names.
    """

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, Floats],
        dtype: np.dtype[Any],
        threads: int,
    ) -> None:
        self.kind = config.norm
        self._threads = threads
        self._layers, self._dtype = range(config.layers), dtype
        none = np.zeros(0, dtype)
        self._gains = [weights.get(f"layer{k}.gain", none) for k in self._layers]
        self._shifts = [weights.get(f"layer{k}.shift", none) for k in self._layers]
        self.running: dict[str, Floats] = {
            name: np.full(shape, float(name.endswith("var")), dtype)
            for name, shape in parameters.statistics(config).items()
        }
        self.window = {name: np.zeros_like(a) for name, a in self.running.items()}

    def new_tape(self, rows: int, hidden: int) -> Tape:
        """Room for what a layer's output leaves for the way back, if anything."""
        count = 0 if self.kind == "none" else rows
        per = hidden if self.kind == "batch" else count
        xhat = np.zeros((count, hidden), self._dtype)
        return Tape(xhat, np.zeros(per, self._dtype))

    def forward(self, k: int, y: Floats, tape: Tape, *, training: bool) -> None:
        """Normalise the outputs of layer k, in place.

        Parameters
        ----------
        y : (N, H) float array
            Of a whole window.
        tape : Tape
            Of N rows; written where there is a way back.
        training : bool
            Whether the window's own means and variances are used, where that
            makes a difference.
        """
        gain, shift = self._gains[k], self._shifts[k]
        if self.kind == "layer":
            kernels.layer_forward(y, gain, shift, tape, self._threads)
        elif self.kind == "batch" and training:
            mean, var = (self.window[f"layer{k}.running_{s}"] for s in ("mean", "var"))
            kernels.batch_forward(y, gain, shift, tape, mean, var)
        elif self.kind == "batch":
            kernels.scale_and_shift(y, *self._folded(k), self._threads)

    def backward(
        self, k: int, dy: Floats, rows: slice, tape: Tape, gradients: dict[str, Floats]
    ) -> None:
        """Carry the gradient back through `forward` of a window in training.

        Parameters
        ----------
        dy : (n, H) float array
            Gradient of the normalised outputs of some rows (of all rows, for
            batch normalisation); on exit that of the layer's own.
        rows : slice
            Which rows of the tape these are.
        gradients : dict of arrays
            Accumulated into, by the parameters' names.
        """
        if self.kind == "none":
            return
        gain, prefix = self._gains[k], f"layer{k}"
        to_gain, to_shift = gradients[f"{prefix}.gain"], gradients[f"{prefix}.shift"]
        if self.kind == "layer":
            part = Tape(tape.xhat[rows], tape.inverse[rows])
            kernels.layer_backward(dy, gain, part, to_gain, to_shift)
        else:
            kernels.batch_backward(dy, gain, tape, to_gain, to_shift)

    def follow(self, step: int) -> None:
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

    def inference(self) -> Inference:
        """Lay gains and shifts out as generating reads them, copied."""
        pairs = [
            self._folded(k)
            if self.kind == "batch"
            else (self._gains[k], self._shifts[k])
            for k in self._layers
        ]
        gain, shift = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
        return Inference(CODES[self.kind], gain, shift)

    def _folded(self, k: int) -> tuple[Floats, Floats]:
        """Turn running averages, gain and shift into one scale and shift."""
        mean, var = (self.running[f"layer{k}.running_{s}"] for s in ("mean", "var"))
        # A file may hold any numbers; a NaN shows in what comes of it.
        with np.errstate(all="ignore"):
            # xhat * gain + shift, xhat = (x - mean) / sqrt(var + EPS)
            scale = self._gains[k] / np.sqrt(var + self._dtype.type(kernels.EPS))
            return scale, self._shifts[k] - mean * scale
