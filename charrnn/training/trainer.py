"""One step of training, and everything that a resumed run must bring back.

A step is a function of the parameters, the optimizer's moments, the carried
state and the position (step, epoch, window). Random numbers are too: dropout's
noise for step n comes from a stream of its own, keyed by (seed, n), so there
is no generator whose state would have to be kept.

Several ranks may take the same step together: each reads a block of the batch's rows,
with the noise that these rows have, and their gradients are added up (`exchange`).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from charrnn import parameters
from charrnn.arrays import IGNORED, Floats
from charrnn.checkpoint import Checkpoint, CorpusFingerprint, Row, TrainingState
from charrnn.config import ModelConfig, TrainConfig
from charrnn.kernels.products import PLAIN
from charrnn.network import Network, products_of
from charrnn.schedules import learning_rate
from charrnn.stack import Noise
from charrnn.streams import AnyStreams
from charrnn.training.average import STATISTICS_WINDOWS, Average
from charrnn.training.exchange import Found, exchange_of
from charrnn.training.noise import random_stream, rows_of_noise
from charrnn.training.optimizer import Optimizer
from charrnn.training.ranks import ALONE, Ranks
from charrnn.vocab import Vocab
from charrnn.windows import Window

#: Children of the run's SeedSequence, by purpose. The order of `lines` has its
#: own, in `streams`.
INIT_STREAM, DROPOUT_STREAM, WEIGHT_DROPOUT_STREAM = 0, 1, 2


class Result(NamedTuple):
    """What came out of one step."""

    loss: float | None  # nats per target; None where the window has none
    grad_norm: float  # before clipping
    lr: float
    sound: bool = True  # whether what it led to is finite
    seconds: float | None = None  # of training so far, as several ranks agree on it

    @property
    def finite(self) -> bool:
        """Whether training can go on from here."""
        numbers = 0.0 if self.loss is None else self.loss, self.grad_norm
        return all(map(math.isfinite, numbers)) and self.sound


@dataclass(frozen=True)
class Snapshot:
    """A copy of everything that a step changes."""

    arrays: tuple[Floats, ...]
    position: TrainingState


def new_network(shape: ModelConfig, config: TrainConfig, threads: int) -> Network:
    """Make the network that a new run begins with: its first weights, not packed."""
    products = products_of(config.precision)
    network = Network(shape, threads=threads, products=products)
    rng = random_stream(config.seed, INIT_STREAM)
    parameters.initialize(network.theta, shape, config.init, config.forget_bias, rng)
    return network


class Trainer:
    """A network on its way through a text.

    Parameters
    ----------
    network : Network
        With the weights that the run begins with; changed by every step.
    streams : Streams, LineStreams or PairStreams
        Its batch size and window length are the run's.
    position : TrainingState
        Where the run stands, with the run's configuration; kept up to date.
    ranks : Ranks, optional
        Those that train the network together.

    Raises
    ------
    OptionError
        The batch cannot be shared out among the ranks.

    Attributes
    ----------
    rows : slice
        The streams of the batch that this rank reads.
    exchange : Exchange
        What it tells the others.
    optimizer : Optimizer
    average : Average or None
        None if the run does not average its weights.
    exact : Network or None
        A copy in float32 of a network that is trained in bfloat16; None if there is no
        need of one.
    state : (L, S + M - 1, B, H) float array
        Carried from window to window; of this rank's rows.
    whole : bool
        False while a step has been taken in part only; see `step`.
    """

    def __init__(
        self,
        network: Network,
        streams: AnyStreams,
        position: TrainingState,
        ranks: Ranks = ALONE,
    ) -> None:
        config = position.config
        self.ranks = ranks
        self.rows = ranks.rows(config.batch_size)
        self.network = network
        self.streams = streams
        self.position = position
        self.optimizer = Optimizer(config, network)
        self.average = Average(network, config.ema) if config.ema else None
        # What has been trained in bfloat16 is evaluated as it will be used.
        self.exact: Network | None = None
        if network.products is not PLAIN and self.average is None:
            self.exact = Network(network.config, threads=network.threads)
        self.state = network.new_state(self.rows.stop - self.rows.start)
        self.whole = True
        self.exchange = exchange_of(network.theta, ranks)
        self._gradient = self.exchange.gradient
        if ranks.size > 1:
            network.norm.reduce = ranks.reduce
        network.pack()

    def load(self, checkpoint: Checkpoint, *, same_text: bool) -> None:
        """Take everything over that a checkpoint of the same run has, but its position.

        Parameters
        ----------
        checkpoint : Checkpoint
            Its arrays are copied.
        same_text : bool
            Whether the run goes on in the text that it was interrupted in; if not,
            it begins with a state of zeros.
        """
        self.network.load(checkpoint.parameters | checkpoint.statistics)
        if self.average is not None:
            self.average.load(checkpoint.parameters | checkpoint.statistics)
            if checkpoint.latest is not None:
                # The parameters of the file are the average; the run has its own.
                self.network.theta[...] = checkpoint.latest
                self.network.pack()
        for name, moment in self.optimizer.moments.items():
            moment[...] = checkpoint.moments[name]
        if same_text and checkpoint.state is not None:
            self.state[...] = checkpoint.state[..., self.rows, :]

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

    @property
    def averaged(self) -> Network:
        """The network that is evaluated, sampled from and saved.

        It has the averaged weights if the run averages them, else the latest. Its
        products are of float32, in whatever precision the run is trained.
        """
        if self.exact is not None:
            self.exact.load(self.network.tensors)
            return self.exact
        if self.average is None:
            return self.network
        return self.average.network(self._last_windows())

    def _last_windows(self) -> Iterator[Window]:
        """Read the windows of this epoch again that the run has come by last.

        At the beginning of an epoch they are its first ones. So they depend on the
        position alone, and on nothing that a resumed run would not have. They are
        whole, also where ranks share them out in training: what follows from them is
        wanted at moments that not all ranks know of.
        """
        count = STATISTICS_WINDOWS + 1
        first = max(0, self.position.window - count)
        for k in range(first, min(first + count, self.streams.windows)):
            yield self.streams.window(self.position.epoch, k)

    def window(self, epoch: int, k: int) -> Window:
        """Cut out this rank's part of a window of the training text."""
        return self.streams.window(epoch, k, self.rows)

    def step(self, progress: float) -> Result:
        """Read one window, and move the parameters against its gradient.

        A window without targets, the inside of a long input of a pair, only moves
        the state.

        Parameters
        ----------
        progress : float
            Share of the run that is done, for the schedule.

        Returns
        -------
        Result
            If it is not finite, the run stands where it stood, and `restore` has
            to bring weights and moments back: a loss or gradient that is not finite
            moves no weight, but finite ones may move some too far.

        Notes
        -----
        An exception, such as Ctrl-C raises, leaves everything as it was as long as
        ``whole`` is true. Otherwise `restore` has to bring it back. In both cases
        the network has to be packed again.
        """
        position = self.position
        rate = learning_rate(self.config, position.step, progress, self.total_steps)
        rate *= position.lr_scale
        self.exchange.begin()
        window = self.window(position.epoch, position.window)
        state = self.state.copy()
        loss = self._loss_and_gradient(window, state)
        targets = int(np.count_nonzero(window.targets != IGNORED))
        found = self.exchange.reduce(loss, targets, state)
        result = self._follow_gradient(found, state, rate)
        self.exchange.end()
        return result._replace(seconds=found.seconds)

    def _follow_gradient(self, found: Found, state: Floats, rate: float) -> Result:
        """Move the parameters against the gradient, unless there is nothing in it.

        Parameters
        ----------
        state : (L, S + M - 1, B, H) float array
            Behind the window.
        """
        if not found.targets and found.sound:
            return self._pass(state, rate)
        if not (math.isfinite(found.loss) and found.sound):
            return Result(found.loss, math.nan, rate)
        self.whole = False
        number = self.position.step + 1
        theta = self.network.theta
        moved = self.optimizer.step(theta, self._gradient, rate, number)
        result = Result(found.loss, moved.grad_norm, rate, moved.finite)
        if result.finite:
            result = result._replace(sound=self._follow(state, number))
        if result.finite:
            self._advance(state)
        self.whole = result.finite
        return result

    def _pass(self, state: Floats, rate: float) -> Result:
        """Go on behind a window that teaches nothing: no weight moves, by no rule.

        Parameters
        ----------
        state : (L, S + M - 1, B, H) float array
            Behind the window.
        """
        self.network.pack()  # dropout of weights has packed them without some
        result = Result(None, 0.0, rate, bool(np.isfinite(state).all()))
        if result.finite:
            self.whole = False
            self._advance(state)
            self.whole = True
        return result

    def _loss_and_gradient(self, window: Window, state: Floats) -> float:
        """Read a window with dropout; the gradient is in ``_gradient`` then."""
        self._gradient.fill(0)
        return self.network.loss_and_gradient(
            window,
            state,
            self._gradient,
            self._noise(len(window.inputs)),
            self._weight_noise(),
            self.exchange.divisor,
        )

    def _noise(self, steps: int) -> Noise | None:
        """Draw the noise that outputs are dropped by in the next step.

        That of a row is the same whoever reads it.
        """
        config, batch_size = self.network.config, self.config.batch_size
        shape = config.layers * steps, batch_size, config.hidden
        noise = self._draw(DROPOUT_STREAM, self.config.dropout, shape, self.rows)
        if noise is None:
            return None
        return noise._replace(
            bytes=noise.bytes.reshape(config.layers, -1, config.hidden)
        )

    def _weight_noise(self) -> Noise | None:
        """Draw the noise that recurrent weights are dropped by in the next step."""
        config = self.network.config
        gates, units = parameters.recurrent_shape(config)
        shape, rate = (config.layers, gates, units), self.config.weight_dropout
        return self._draw(WEIGHT_DROPOUT_STREAM, rate, shape, slice(0, gates))

    def _draw(
        self, stream: int, rate: float, shape: tuple[int, int, int], rows: slice
    ) -> Noise | None:
        """Draw the noise of one kind of dropout for the next step, if it is on.

        Parameters
        ----------
        shape : (n, B, H)
        rows : slice
            Those of each B that are wanted.
        """
        threshold = min(round(rate * 256), 255)
        if threshold == 0:
            return None
        rng = random_stream(self.config.seed, stream, self.position.step)
        return Noise(rows_of_noise(rng, shape, rows), threshold)

    def _follow(self, state: Floats, number: int) -> bool:
        """Bring up to date what follows from new weights, and tell if it is finite.

        An infinite weight of a gate need not show in any loss: it saturates.
        """
        norm = self.network.norm
        if self.average is not None:
            self.average.update(self.network.theta, number)
        else:
            norm.update_running(number)
        self.network.pack()
        small = state, *norm.running.values()
        return all(bool(np.isfinite(array).all()) for array in small)

    def _advance(self, state: Floats) -> None:
        """Move on to the next window, or to the next epoch."""
        self.state = state
        self.position.step += 1
        self.position.window += 1
        if self.position.window == self.streams.windows:
            self.position.window = 0
            self.position.epoch += 1
            self.streams.carry_over(self.state, self._handed_over())

    def _handed_over(self) -> Floats | None:
        """Fetch the state of the stream before this rank's first one, if it has one."""
        if self.ranks.size == 1 or not self.streams.hands_over:
            return None
        last = self.ranks.gather(self.state[..., -1, :].copy())
        return last[self.ranks.rank - 1] if self.ranks.rank else None

    def warm_up(self) -> None:
        """Compile, or load, every kernel that a step needs; change nothing.

        No other rank is waited for.
        """
        window = self.window(self.position.epoch, self.position.window)
        with self._by_itself():
            self._loss_and_gradient(window, self.state.copy())
        self.network.pack()
        self.optimizer.warm_up(self._gradient)
        if self.average is not None:
            self.average.warm_up(self._gradient)

    @contextmanager
    def _by_itself(self) -> Iterator[None]:
        """Go by this rank's rows alone, for a step that is not taken."""
        norm = self.network.norm
        shared = norm.reduce
        norm.reduce = None if shared is None else ALONE.reduce
        try:
            yield
        finally:
            norm.reduce = shared

    def _changing(self) -> Iterator[Floats]:
        """List all arrays that a step changes, always in the same order."""
        yield self.network.theta
        yield from self.network.norm.running.values()
        yield from self.optimizer.moments.values()
        if self.average is not None:
            yield self.average.theta
        yield self.state

    def snapshot(self) -> Snapshot:
        """Copy everything that a step changes."""
        arrays = tuple(array.copy() for array in self._changing())
        return Snapshot(arrays, _copied(self.position))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, which stays usable."""
        for array, values in zip(self._changing(), snapshot.arrays, strict=True):
            array[...] = values
        self.position = _copied(snapshot.position)
        self.network.pack()
        if self.average is not None:
            self.average.touch()
        self.whole = True

    def whole_state(self) -> Floats:
        """Collect the state of all ranks' rows."""
        parts = self.ranks.gather(self.state)
        whole: Floats = np.concatenate(parts, axis=-2) if parts[1:] else parts[0]
        return whole

    def checkpoint(
        self, vocab: Vocab, corpus: CorpusFingerprint, history: list[Row]
    ) -> Checkpoint:
        """Gather everything, ready to be written; arrays are shared, not copied.

        All ranks have to ask for it, since each has the state of its own rows.
        """
        averaged = self.averaged
        return Checkpoint(
            model=averaged.config,
            vocab=vocab,
            parameters=dict(averaged.weights),
            latest=None if self.average is None else self.network.theta,
            corpus=corpus,
            training=self.position,
            statistics=averaged.norm.running,
            moments=self.optimizer.moments,
            state=self.whole_state(),
            history=history,
        )


def _copied(position: TrainingState) -> TrainingState:
    """Copy a position, with what it keeps in a dictionary."""
    return replace(position, recent=dict(position.recent))
