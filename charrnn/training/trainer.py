"""One step of training, and everything that a resumed run must bring back.

A step is a function of the parameters, the optimizer's moments, the carried
state and the position (step, epoch, window). Random numbers are too: dropout's
noise for step n comes from a stream of its own, keyed by (seed, n), so there
is no generator whose state would have to be kept.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from charrnn import parameters
from charrnn.arrays import Floats
from charrnn.checkpoint import (
    Checkpoint,
    CorpusFingerprint,
    Row,
    TrainingState,
    expected_moments,
)
from charrnn.config import OptimizerName, TrainConfig
from charrnn.kernels import optimizers
from charrnn.model import Model, Noise
from charrnn.schedules import learning_rate
from charrnn.streams import AnyStreams
from charrnn.vocab import Vocab

#: Children of the run's SeedSequence, by purpose. The order of `lines` has its
#: own, in `streams`.
INIT_STREAM, DROPOUT_STREAM, WEIGHT_DROPOUT_STREAM = 0, 1, 2


#: Averaged weights remember an n-th of the steps so far until `ema` takes over.
AVERAGING_START = 9


class Rule(NamedTuple):
    """An optimizer's kernel code and constants."""

    code: int
    beta1: float = 0.0
    beta2: float = 0.0
    eps: float = 1e-8


RULES: dict[OptimizerName, Rule] = {
    "adam": Rule(optimizers.ADAM, 0.9, 0.99),
    "rmsprop": Rule(optimizers.RMSPROP, 0.0, 0.95),
    "adagrad": Rule(optimizers.ADAGRAD, eps=1e-10),
    "sgd": Rule(optimizers.SGD),
}


class Result(NamedTuple):
    """What came out of one step."""

    loss: float  # nats per character
    grad_norm: float  # before clipping
    lr: float
    sound: bool = True  # whether what it led to is finite

    @property
    def finite(self) -> bool:
        """Whether training can go on from here."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm) and self.sound


@dataclass(frozen=True)
class Snapshot:
    """A copy of everything that a step changes."""

    theta: Floats
    average: Floats | None
    statistics: dict[str, Floats]
    moments: dict[str, Floats]
    state: Floats
    position: TrainingState


def random_stream(seed: int, *key: int) -> np.random.Generator:
    """Random numbers for one purpose of a run, independent of all others."""
    seeds = np.random.SeedSequence(seed, spawn_key=key)
    return np.random.Generator(np.random.Philox(seeds))


class Trainer:
    """A model on its way through a text.

    Parameters
    ----------
    model : Model
        With its first weights; changed by every step.
    streams : Streams or LineStreams
        Its batch size and window length are the run's.
    position : TrainingState
        Where the run stands, with the run's configuration; kept up to date.
    moments : dict of (P,) arrays
        The optimizer's, as `checkpoint.expected_moments` names them.
    state : (L, S, B, H) float array
        Carried from window to window.
    latest : (P,) float array, optional
        Of a run that averages and goes on: its own weights, where the model
        comes with the averaged ones.
    """

    def __init__(
        self,
        model: Model,
        streams: AnyStreams,
        position: TrainingState,
        moments: dict[str, Floats],
        state: Floats,
        latest: Floats | None = None,
    ) -> None:
        self.model = model
        self.streams = streams
        self.position = position
        self.moments = moments
        self.state = state
        #: Averaged weights (P,), if the run averages. A model comes with them.
        self.average = model.theta.copy() if position.config.ema else None
        if latest is not None:
            model.theta[...] = latest
            model.pack()
        self._dtheta = np.zeros_like(model.theta)
        chunks = -(-model.theta.size // optimizers.CHUNK)
        self._partial_norms = np.zeros(chunks)
        self._no_moment = np.zeros(0, model.dtype)

    @property
    def config(self) -> TrainConfig:
        """The run's configuration."""
        return self.position.config

    @property
    def epochs(self) -> float:
        """Passes over the text so far, with fraction."""
        return self.position.epoch + self.position.window / self.streams.windows

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole run, as far as `steps` and `epochs` fix them."""
        limits = []
        if self.config.steps is not None:
            limits.append(self.config.steps)
        if self.config.epochs is not None:
            position, windows = self.position, self.streams.windows
            # Steps on a text that a resumed run has left behind; else none.
            earlier = position.step - position.epoch * windows - position.window
            limits.append(earlier + max(1, round(self.config.epochs * windows)))
        return min(limits, default=None)

    def step(self, progress: float) -> Result:
        """Read one window, and move the parameters against its gradient.

        Parameters
        ----------
        progress : float
            Share of the run that is done, for the schedule.

        Returns
        -------
        Result
            If it is not finite, the run stands where it stood, and `restore` has
            to bring weights, moments and state back: a loss or gradient that is
            not finite moves no weight, but finite ones may move some too far.
        """
        position, model = self.position, self.model
        window = self.streams.window(position.epoch, position.window)
        self._dtheta.fill(0)
        loss = model.loss_and_gradient(
            *window,
            self.state,
            self._dtheta,
            self._noise(window.inputs.size),
            self._weight_noise(),
        )
        optimizers.squared_norm(self._dtheta, self._partial_norms)
        norm = math.sqrt(self._partial_norms.sum())
        rate = learning_rate(self.config, position.step, progress, self.total_steps)
        result = Result(loss, norm, rate * position.lr_scale)
        if result.finite:
            result = result._replace(sound=self._apply(result))
        if result.finite:
            self._advance()
        return result

    def _noise(self, characters: int) -> Noise | None:
        """Draw the noise that outputs are dropped by in the next step."""
        config = self.model.config
        shape = config.layers, characters, config.hidden
        return self._draw(DROPOUT_STREAM, self.config.dropout, shape)

    def _weight_noise(self) -> Noise | None:
        """Draw the noise that recurrent weights are dropped by in the next step."""
        shape = self.model.config.layers, *self.model.weights["layer0.Wh"].shape
        return self._draw(WEIGHT_DROPOUT_STREAM, self.config.weight_dropout, shape)

    def _draw(self, stream: int, rate: float, shape: tuple[int, ...]) -> Noise | None:
        """Draw the noise of one kind of dropout for the next step, if it is on."""
        threshold = min(round(rate * 256), 255)
        if threshold == 0:
            return None
        rng = random_stream(self.config.seed, stream, self.position.step)
        noise = np.frombuffer(rng.bytes(math.prod(shape)), np.uint8)
        return Noise(noise.reshape(shape), threshold)

    def _apply(self, result: Result) -> bool:
        """Clip the gradient, take the optimizer's step, and tell if all is finite.

        An infinite weight of a gate need not show in any loss: it saturates.
        """
        config, rule = self.config, RULES[self.config.optimizer]
        clip, by_norm = config.grad_clip, config.clip_mode == "norm"
        scale = 1.0
        if clip and by_norm and result.grad_norm > clip:
            scale = clip / result.grad_norm
        n = self.position.step + 1
        adam = rule.code == optimizers.ADAM
        update = optimizers.Update(
            rule=rule.code,
            lr=result.lr,
            beta1=rule.beta1,
            beta2=rule.beta2,
            eps=rule.eps,
            correction1=1 / (1 - rule.beta1**n) if adam else 1.0,
            correction2=1 / (1 - rule.beta2**n) if adam else 1.0,
            decay=result.lr * config.weight_decay,
            decayed=parameters.matrix_size(self.model.config),
            scale=scale,
            limit=clip if clip and not by_norm else math.inf,
        )
        m, v = (
            next((a for name, a in self.moments.items() if name.endswith(suffix)), None)
            for suffix in (".m", ".v")
        )
        none = self._no_moment
        sound = optimizers.apply(
            self.model.theta,
            self._dtheta,
            none if m is None else m,
            none if v is None else v,
            update,
        )
        if self.average is not None:
            # A short memory at first: the first weights are not worth keeping.
            decay = min(config.ema, n / (n + AVERAGING_START))
            optimizers.follow(self.average, self.model.theta, 1 - decay)
        self.model.norm.follow(n)
        self.model.pack()
        small = self.state, *self.model.norm.running.values()
        return sound and all(bool(np.isfinite(array).all()) for array in small)

    @contextmanager
    def averaged(self) -> Iterator[Model]:
        """Let the model have its averaged weights for a while.

        They are what is evaluated, sampled from and saved: the latest weights
        go on jumping about with every window (Polyak & Juditsky 1992). Where
        nothing is averaged they are the latest.
        """
        model = self.model
        if self.average is None:
            yield model
            return
        latest = model.theta.copy()
        model.theta[...] = self.average
        model.pack()
        try:
            yield model
        finally:
            model.theta[...] = latest
            model.pack()

    def _advance(self) -> None:
        """Move on to the next window, or to the next epoch."""
        self.position.step += 1
        self.position.window += 1
        if self.position.window == self.streams.windows:
            self.position.window = 0
            self.position.epoch += 1
            self.streams.carry_over(self.state)

    def warm_up(self) -> None:
        """Compile, or load, every kernel that a step needs; change nothing."""
        window = self.streams.window(self.position.epoch, self.position.window)
        scratch, state = np.zeros_like(self._dtheta), self.state.copy()
        noise = self._noise(window.inputs.size)
        self.model.loss_and_gradient(
            *window, state, scratch, noise, self._weight_noise()
        )
        self.model.pack()
        optimizers.squared_norm(scratch, self._partial_norms)
        none = self._no_moment
        nothing = optimizers.Update(
            optimizers.SGD, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0, 1.0, math.inf
        )
        optimizers.apply(scratch, scratch, none, none, nothing)
        if self.average is not None:
            optimizers.follow(scratch, scratch, 0.0)

    def snapshot(self) -> Snapshot:
        """Copy everything that a step changes."""
        position = replace(self.position, recent=dict(self.position.recent))
        model = self.model
        statistics = {name: a.copy() for name, a in model.norm.running.items()}
        moments = {name: a.copy() for name, a in self.moments.items()}
        average = None if self.average is None else self.average.copy()
        return Snapshot(
            model.theta.copy(), average, statistics, moments, self.state.copy(),
            position,
        )  # fmt: skip

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, which stays usable."""
        self.model.theta[...] = snapshot.theta
        if self.average is not None and snapshot.average is not None:
            self.average[...] = snapshot.average
        for name, array in self.model.norm.running.items():
            array[...] = snapshot.statistics[name]
        for name, array in self.moments.items():
            array[...] = snapshot.moments[name]
        self.state[...] = snapshot.state
        position = snapshot.position
        self.position = replace(position, recent=dict(position.recent))
        self.model.pack()

    def checkpoint(
        self, vocab: Vocab, corpus: CorpusFingerprint, history: list[Row]
    ) -> Checkpoint:
        """Everything, ready to be written; arrays are shared, not copied."""
        model, latest = self.model, None
        weights = model.weights
        if self.average is not None:
            weights = parameters.views(self.average, model.config)
            latest = model.theta
        return Checkpoint(
            model=model.config,
            vocab=vocab,
            parameters=dict(weights),
            latest=latest,
            corpus=corpus,
            training=self.position,
            statistics=self.model.norm.running,
            moments=self.moments,
            state=self.state,
            history=history,
        )


def new_moments(optimizer: OptimizerName, size: int) -> dict[str, Floats]:
    """Zero moments of an optimizer, each (P,) float32."""
    names = expected_moments(optimizer)
    return {name: np.zeros(size, np.float32) for name in names}
