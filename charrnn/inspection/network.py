"""The model behind a checkpoint, for the views that run it.

Importing this module costs nothing; its functions import Numba.
"""

from typing import TYPE_CHECKING

import numpy as np

from charrnn.config import ModelConfig, SampleConfig
from charrnn.vocab import Vocab
from charrnn.windows import Window

if TYPE_CHECKING:
    from charrnn.network import Network
    from charrnn.textmodel import TextModel


def kernels_are_kept() -> bool:
    """Tell whether there is a place for compiled kernels until the next command."""
    from charrnn.kernels.jit import cache_directory  # Numba, as above

    return cache_directory() is not None


def compile_forward(network: "Network") -> None:
    """Run one step of everything that reading a text needs."""
    one = Window.of_inputs(np.zeros((1, 1), np.int32))
    network.losses(one, network.new_state(1))
    network.logits(one, network.new_state(1))


def compile_backward(network: "Network") -> None:
    """Run one step of what following a gradient back needs."""
    one, state = Window.of_inputs(np.zeros((1, 1), np.int32)), network.new_state(1)
    network.loss_and_gradient(one, state, np.zeros_like(network.theta))


def compile_generation(model: "TextModel") -> None:
    """Draw one character."""
    from charrnn.generation import Generation  # Numba, as above

    wanted = SampleConfig(length=1)
    list(Generation(model, [model.vocab.encode("")], wanted).pieces())


def compile_kernels(config: ModelConfig, threads: int) -> None:
    """Run every kernel that training and sampling such a model need, once.

    Kernels are compiled for types, not for sizes: the smallest model that
    takes every path stands for all with its cell. What is compiled stays in
    the cache.
    """
    from charrnn.generation import Generation  # Numba, as above
    from charrnn.kernels import optimizers
    from charrnn.network import Network
    from charrnn.stack import Noise
    from charrnn.textmodel import TextModel

    tiny = ModelConfig(
        vocab_size=2,
        cell=config.cell,
        activation=config.activation,
        norm=config.norm,
        hidden=2,
        layers=2,  # the second one reads the first one's outputs
    )
    model = Network(tiny, threads=threads)
    model.pack()
    compile_forward(model)
    window = Window.of_inputs(np.zeros((2, 1), np.int32))
    # Random bytes cannot be written to: to Numba that is a type of its own.
    noise = Noise(np.frombuffer(bytes(8), np.uint8).reshape(2, 2, 2), 1)
    g, m, v = (np.zeros_like(model.theta) for _ in range(3))
    model.loss_and_gradient(window, model.new_state(1), g, noise)
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
        writer = TextModel.of(model, vocab)
        list(Generation(writer, [vocab.encode("")], wanted).pieces())
