"""The model behind a checkpoint, for the views that run it.

Importing this module costs nothing; its functions import Numba.
"""

from typing import TYPE_CHECKING

import numpy as np

from charrnn.checkpoint import CheckpointFile
from charrnn.config import SampleConfig
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
