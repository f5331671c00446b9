"""Compile what a view will run, before it is made, so that the wait can be told.

Importing this module costs nothing; its functions import Numba.
"""

from typing import TYPE_CHECKING

import numpy as np

from charrnn.config import SampleConfig
from charrnn.windows import Window

if TYPE_CHECKING:
    from charrnn.network import Network
    from charrnn.textmodel import TextModel


def compile_forward(network: "Network") -> None:
    """Run one step of everything that reading a text needs."""
    one = Window.of_inputs(np.zeros((1, 1), np.int32))
    network.losses(one, network.new_state(1))
    network.logits(one, network.new_state(1))


def compile_backward(network: "Network") -> None:
    """Run one step of what following a gradient back needs."""
    one, state = Window.of_inputs(np.zeros((1, 1), np.int32)), network.new_state(1)
    network.loss_and_gradient(one, state, np.zeros_like(network.theta))


def compile_blend(model: "TextModel") -> None:
    """Count the text of the memory, if there is one, and look characters up."""
    list(model.costs([np.zeros(2, np.int32)]))


def compile_decoding(model: "TextModel") -> None:
    """Write the first character of an output."""
    from charrnn.generation import decode  # Numba, as above

    decode(model, [np.zeros(1, np.int32)], longest=1)


def compile_generation(model: "TextModel") -> None:
    """Draw one character."""
    from charrnn.generation import Generation  # Numba, as above

    wanted = SampleConfig(length=1)
    list(Generation(model, [model.vocab.encode("")], wanted).pieces())
