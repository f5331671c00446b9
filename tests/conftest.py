"""What all tests share: a plain terminal, a tiny network, a seeded generator."""

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings

from charrnn.config import ModelConfig

if TYPE_CHECKING:
    from charrnn.network import Network

# The first example of a property may have to compile a kernel.
settings.register_profile("charrnn", deadline=None)
settings.load_profile("charrnn")

#: A text with few characters, a newline and something that repeats.
TINY_TEXT = "the sea, the sea!\nold houses by the sea.\n" * 5


def pytest_configure() -> None:
    """Make rich write the same plain text wherever the tests run.

    A shell lets a job in the background ignore Ctrl-C. So would every command that
    the tests start, and those that are sent SIGINT would never end.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(NO_COLOR="1", TERM="dumb", COLUMNS="80")
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "LINES"):
        os.environ.pop(name, None)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20_240_229)


@pytest.fixture
def tiny_text() -> str:
    """About 200 characters."""
    return TINY_TEXT


@pytest.fixture
def tiny_config() -> ModelConfig:
    """Two layers whose sizes are all different: V 6, H 5."""
    return ModelConfig(vocab_size=6, cell="lstm", hidden=5, layers=2)


@pytest.fixture
def new_network(rng: np.random.Generator) -> Callable[..., "Network"]:
    """Build a network with random parameters, biases too, ready to run."""
    # Importing the network imports Numba, which most tests do without.
    from charrnn.network import Network

    def build(
        config: ModelConfig, dtype: Any = np.float32, threads: int = 1
    ) -> "Network":
        network = Network(config, dtype=dtype, threads=threads)
        network.theta[:] = rng.normal(0, 0.5, network.theta.size)
        network.pack()
        return network

    return build


@pytest.fixture
def network32(
    new_network: Callable[..., "Network"], tiny_config: ModelConfig
) -> "Network":
    """Build the tiny network as it is trained."""
    return new_network(tiny_config)


@pytest.fixture
def network64(
    new_network: Callable[..., "Network"], tiny_config: ModelConfig
) -> "Network":
    """Build the tiny network as its gradients are checked."""
    return new_network(tiny_config, np.float64)
