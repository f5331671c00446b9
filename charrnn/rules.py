"""The optimizers by name: the constants of each, and the moments it carries.

The formulas are those of `kernels.optimizers`. What a checkpoint calls the moments
stands here as well, because whoever reads one needs no kernels for it.
"""

from dataclasses import dataclass

from charrnn.config import OptimizerName


@dataclass(frozen=True)
class Rule:
    """What sets one optimizer apart from the others."""

    beta1: float = 0.0  # decay of the first moment
    beta2: float = 0.0  # decay of the second moment
    eps: float = 1e-8  # added to the root of the second moment
    first: str | None = None  # name of the first moment, if the rule has one
    second: str | None = None  # name of the second moment, likewise
    corrected: bool = False  # whether young moments are scaled up to full weight

    @property
    def moments(self) -> tuple[str, ...]:
        """Names of the arrays (P,) that are carried from step to step."""
        return tuple(name for name in (self.first, self.second) if name is not None)


RULES: dict[OptimizerName, Rule] = {
    "adam": Rule(0.9, 0.99, first="adam.m", second="adam.v", corrected=True),
    "rmsprop": Rule(beta2=0.95, second="rmsprop.v"),
    "adagrad": Rule(eps=1e-10, second="adagrad.v"),
    "sgd": Rule(),
}
