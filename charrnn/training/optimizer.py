"""The optimizer of a run: its rule, its moments, and the step that it takes."""

import math
from typing import NamedTuple

import numpy as np

from charrnn import parameters
from charrnn.arrays import Floats, aligned_zeros
from charrnn.config import OptimizerName, TrainConfig
from charrnn.kernels import optimizers
from charrnn.kernels.threads import limited
from charrnn.network import Network
from charrnn.rules import RULES

#: The kernel's code for every rule.
CODES: dict[OptimizerName, int] = {
    "adam": optimizers.ADAM,
    "rmsprop": optimizers.RMSPROP,
    "adagrad": optimizers.ADAGRAD,
    "sgd": optimizers.SGD,
}


class Moved(NamedTuple):
    """What came of a step of the optimizer."""

    grad_norm: float  # before clipping
    finite: bool  # whether gradient, parameters and second moments are finite


class Optimizer:
    """A rule that moves parameters against their gradient, and its moments.

    Parameters
    ----------
    config : TrainConfig
        Names the rule, the clipping and the weight decay.
    network : Network
        Says how many parameters there are, of which type, and which of them decay.
    """

    def __init__(self, config: TrainConfig, network: Network) -> None:
        theta = network.theta
        self.config = config
        self.rule = RULES[config.optimizer]
        self._kernel_rule = optimizers.Formula(
            CODES[config.optimizer], self.rule.beta1, self.rule.beta2, self.rule.eps
        )
        #: The moments, each (P,), by the names that a checkpoint has for them.
        self.moments = {
            name: aligned_zeros(theta.shape, theta.dtype) for name in self.rule.moments
        }
        none = np.zeros(0, theta.dtype)
        self._first = self.moments.get(self.rule.first or "", none)
        self._second = self.moments.get(self.rule.second or "", none)
        self._decayed = parameters.matrix_size(network.config)
        self._threads = network.threads
        self._partial_norms = np.zeros(-(-theta.size // optimizers.CHUNK))

    def step(self, theta: Floats, gradient: Floats, rate: float, number: int) -> Moved:
        """Move the parameters by one step.

        A gradient that is not finite moves nothing.

        Parameters
        ----------
        theta : (P,) float array
            Parameters; changed.
        gradient : (P,) float array
            Gradient of the loss; read.
        rate : float
            The learning rate.
        number : int
            Number of the step, from 1, for Adam's correction of its young moments.
        """
        with limited(self._threads):
            optimizers.squared_norm(gradient, self._partial_norms)
            norm = math.sqrt(self._partial_norms.sum())
            if not math.isfinite(norm):
                return Moved(norm, finite=False)
            finite = optimizers.apply(
                theta,
                gradient,
                self._first,
                self._second,
                self._kernel_rule,
                self._update(rate, norm, number),
            )
        return Moved(norm, finite)

    def _update(self, rate: float, norm: float, number: int) -> optimizers.Update:
        """Work out the numbers of a step from the norm of its gradient."""
        clip, by_norm = self.config.grad_clip, self.config.clip_mode == "norm"
        scale, limit = 1.0, math.inf
        if clip and by_norm and norm > clip:
            scale = clip / norm
        elif clip and not by_norm:
            limit = float(clip)
        correction1 = correction2 = 1.0
        if self.rule.corrected:
            correction1 = 1 / (1 - self.rule.beta1**number)
            correction2 = 1 / (1 - self.rule.beta2**number)
        return optimizers.Update(
            lr=rate,
            correction1=correction1,
            correction2=correction2,
            decay=rate * self.config.weight_decay,
            decayed=self._decayed,
            scale=scale,
            limit=limit,
        )

    def warm_up(self, scratch: Floats) -> None:
        """Compile, or load, the kernels of a step; change no parameter or moment.

        Parameters
        ----------
        scratch : (P,) float array
            Stands for parameters and gradient; overwritten.
        """
        plain = optimizers.Formula(optimizers.SGD, 0.0, 0.0, 0.0)
        none, still = np.zeros(0, scratch.dtype), optimizers.Update(0.0)
        with limited(self._threads):
            optimizers.squared_norm(scratch, self._partial_norms)
            optimizers.apply(scratch, scratch, none, none, plain, still)
