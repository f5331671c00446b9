"""Trying a network out: to get its kernels, and to learn how fast this machine is."""

import time
from dataclasses import replace

import numpy as np

from charrnn import parameters
from charrnn.arrays import PackedIds
from charrnn.checkpoint import Remembered, TrainingState
from charrnn.config import (
    CellName,
    ModelConfig,
    PrecisionName,
    SampleConfig,
    TrainConfig,
)
from charrnn.generation import Generation, decode
from charrnn.streams import Streams
from charrnn.textmodel import TextModel
from charrnn.training.job import Job
from charrnn.training.noise import random_stream
from charrnn.training.trainer import INIT_STREAM, Trainer, new_network
from charrnn.vocab import Vocab
from charrnn.windows import Window

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


def get_ready(job: Job) -> None:
    """Compile, or load, what a run needs, so that its clock counts training only."""
    job.trainer.warm_up()
    if job.held_out is not None:
        # The first evaluation would look slow, and the next be put off.
        model = job.model(job.trainer.averaged)
        model.mean_loss(job.held_out[:1])
        if job.held_out_pairs is not None:
            decode(model, job.held_out_pairs.first(1).inputs, longest=1)


def new_trial(
    cell: CellName, threads: int, precision: PrecisionName = "float32"
) -> Trainer:
    """Make what is tried to learn how fast this machine is."""
    shape = ModelConfig(vocab_size=VOCABULARY, cell=cell, hidden=HIDDEN)
    config = TrainConfig(
        dropout=0.25, weight_dropout=0.25, ema=0.9, precision=precision
    )
    network = new_network(shape, config, threads)
    rng = random_stream(0, INIT_STREAM)
    text: PackedIds = rng.integers(0, VOCABULARY, CHARACTERS, np.uint8)
    streams = Streams(text, config.batch_size, config.seq_length, before=0)
    return Trainer(network, streams, TrainingState(config=config))


def measure_speed(trial: Trainer) -> float:
    """Measure the speed that plans are made with: weights multiplied a second."""
    trial.warm_up()
    config = trial.config
    characters = config.batch_size * config.seq_length
    work = parameters.multiplied(trial.network.config)
    return characters / step_seconds(trial) * work


def warm_up(trainer: Trainer) -> None:
    """Run every kernel that training takes once: steps, and evaluating on the way.

    What the network computes is of no use: its kernels may only be noted.
    """
    with np.errstate(all="ignore"):
        trainer.warm_up()
        one, network = _one_character(), trainer.network
        network.losses(one, network.new_state(1))


def compile_kernels(config: ModelConfig, threads: int) -> None:
    """Run every kernel that training and sampling such a network need, once.

    Those of a memory that it may have are among them. What is compiled stays in the
    cache.
    """
    plan = TrainConfig(dropout=0.5, weight_dropout=0.5, ema=0.5)
    trainer = tiny_trainer(config, plan, threads)
    warm_up(trainer)
    one, network = _one_character(), trainer.network
    network.logits(one, network.new_state(1))
    compile_sampling(config, threads)


def tiny_trainer(config: ModelConfig, plan: TrainConfig, threads: int) -> Trainer:
    """Make a training that takes the same kernels as a larger one.

    Kernels are compiled for types, not for sizes: the smallest network that takes
    every path stands for all with its cell.
    """
    plan = replace(plan, batch_size=1, seq_length=2)
    streams = Streams(_TEXT, plan.batch_size, plan.seq_length, before=0)
    network = new_network(_tiny(config), plan, threads)
    return Trainer(network, streams, TrainingState(config=plan))


def compile_sampling(config: ModelConfig, threads: int) -> None:
    """Run every kernel that sampling from such a network takes, with a memory, too."""
    network = new_network(_tiny(config), TrainConfig(), threads)
    network.pack()
    precision = parameters.chosen_precision(config, "auto")  # the tiny one has float32
    for symbols in ("\na", "ab"):  # without a newline the first one is drawn
        vocab = Vocab(symbols, (1, 1))
        wanted = SampleConfig(length=2, precision=precision)
        alone = TextModel.of(network, vocab)
        remembered = Remembered(ids=_TEXT, order=2, share=0.5)
        for model in (alone, alone.remembering(remembered)):
            list(Generation(model, [vocab.encode("")], wanted).pieces())
            list(model.costs([_TEXT.astype(np.int32)]))


#: What the tiniest network reads.
_TEXT = np.array([0, 1, 0, 1], np.uint8)


def _tiny(config: ModelConfig) -> ModelConfig:
    """Shrink a network to two layers, of which one reads the other."""
    return replace(config, vocab_size=2, hidden=2, layers=2)


def _one_character() -> Window:
    """Make the smallest window."""
    return Window.of_inputs(np.zeros((1, 1), np.int32))
