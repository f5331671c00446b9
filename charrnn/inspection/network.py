"""The model behind a checkpoint, for the views that run it.

Importing this module costs nothing; its functions import Numba.
"""

from typing import TYPE_CHECKING

import numpy as np

from charrnn.checkpoint import CheckpointFile
from charrnn.config import ModelConfig, SampleConfig
from charrnn.vocab import Vocab

if TYPE_CHECKING:
    from charrnn.model import Model


def read_model(file: CheckpointFile, threads: int) -> "Model":
    """Build the model of a checkpoint and read its parameters.

    Raises
    ------
    CheckpointError
        A tensor is damaged.
    """
    from charrnn.model import Model  # Numba: a third of a second

    model = Model(file.model, threads=threads)
    model.load({name: file.read(name) for name in model.tensors})
    return model


def kernels_are_kept() -> bool:
    """Tell whether there is a place for compiled kernels until the next command."""
    from charrnn.kernels.jit import cache_directory  # Numba, as above

    return cache_directory() is not None


def compile_forward(model: "Model") -> None:
    """Run one step of everything that reading a text needs."""
    one = np.zeros((1, 1), np.int32)
    model.losses(one, one, np.zeros((1, 1), np.uint8), model.new_state(1))
    model.logits(one, model.new_state(1))


def compile_backward(model: "Model") -> None:
    """Run one step of what following a gradient back needs."""
    one, state = np.zeros((1, 1), np.int32), model.new_state(1)
    resets, gradient = np.zeros((1, 1), np.uint8), np.zeros_like(model.theta)
    model.loss_and_gradient(one, one, resets, state, gradient)


def compile_generation(model: "Model", vocab: Vocab) -> None:
    """Draw one character."""
    from charrnn.generation import Generation  # Numba, as above

    wanted = SampleConfig(length=1)
    list(Generation(model, vocab, [vocab.encode("")], wanted).pieces())


def compile_kernels(config: ModelConfig, threads: int) -> None:
    """Run every kernel that training and sampling such a model need, once.

    Kernels are compiled for types, not for sizes: the smallest model that
    takes every path stands for all with its cell. What is compiled stays in
    the cache.
    """
    from charrnn.generation import Generation  # Numba, as above
    from charrnn.kernels import optimizers
    from charrnn.model import Model, Noise

    tiny = ModelConfig(
        vocab_size=2,
        cell=config.cell,
        activation=config.activation,
        norm=config.norm,
        hidden=2,
        layers=2,  # the second one reads the first one's outputs
    )
    model = Model(tiny, threads=threads)
    model.pack()
    compile_forward(model)
    ids, resets = np.zeros((2, 1), np.int32), np.zeros((2, 1), np.uint8)
    # Random bytes cannot be written to: to Numba that is a type of its own.
    noise = Noise(np.frombuffer(bytes(8), np.uint8).reshape(2, 2, 2), 1)
    g, m, v = (np.zeros_like(model.theta) for _ in range(3))
    model.loss_and_gradient(ids, ids, resets, model.new_state(1), g, noise)
    optimizers.squared_norm(g, np.zeros(1))
    still = optimizers.Update(
        rule=optimizers.ADAM,
        lr=0.0,
        beta1=0.5,
        beta2=0.5,
        eps=1.0,
        correction1=1.0,
        correction2=1.0,
        decay=0.0,
        decayed=0,
        scale=1.0,
        limit=1.0,
    )
    optimizers.apply(model.theta, g, m, v, still)
    optimizers.follow(m, model.theta, 0.0)
    wanted = SampleConfig(length=2)
    for symbols in ("\na", "ab"):  # without a newline the first one is drawn
        vocab = Vocab(symbols, (1, 1))
        list(Generation(model, vocab, [vocab.encode("")], wanted).pieces())
