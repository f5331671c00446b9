"""How fast this machine trains, found out in a fraction of a second."""

import time

import numpy as np

from charrnn import parameters
from charrnn.arrays import PackedIds
from charrnn.checkpoint import TrainingState
from charrnn.config import CellName, ModelConfig, TrainConfig
from charrnn.network import Network
from charrnn.streams import Streams
from charrnn.training.trainer import (
    INIT_STREAM,
    Trainer,
    new_moments,
    random_stream,
)

#: Seconds of trying, once at least: the fastest try counts, since what disturbs a
#: step only makes it slower. A large network is not tried again and again.
SECONDS = 0.25

#: The network that is tried, and its text.
HIDDEN, VOCABULARY, CHARACTERS = 256, 64, 1 << 14


def step_seconds(trainer: Trainer) -> float:
    """Time a step of training, which changes nothing; all has run once before."""
    best, began = float("inf"), time.perf_counter()
    while (start := time.perf_counter()) - began < SECONDS:
        trainer.warm_up()
        best = min(best, time.perf_counter() - start)
    return best


def measure_speed(cell: CellName, threads: int) -> float:
    """Measure the speed that plans are made with: weights multiplied a second."""
    shape = ModelConfig(vocab_size=VOCABULARY, cell=cell, hidden=HIDDEN)
    config = TrainConfig(dropout=0.25, weight_dropout=0.25, ema=0.9)
    model = Network(shape, threads=threads)
    rng = random_stream(0, INIT_STREAM)
    parameters.initialize(model.theta, shape, "auto", 1.0, rng)
    model.pack()
    text: PackedIds = rng.integers(0, VOCABULARY, CHARACTERS, np.uint8)
    trainer = Trainer(
        model,
        Streams(text, config.batch_size, config.seq_length, before=0),
        TrainingState(config=config),
        new_moments(config.optimizer, model.theta.size),
        model.new_state(config.batch_size),
    )
    trainer.warm_up()
    characters = config.batch_size * config.seq_length
    return characters / step_seconds(trainer) * parameters.multiplied(shape)
