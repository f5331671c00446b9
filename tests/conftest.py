"""What all tests share: a plain terminal, a tiny model, a seeded generator."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings

from charrnn.config import ModelConfig

if TYPE_CHECKING:
    from charrnn.model import Model

# The first example of a property may have to compile a kernel.
settings.register_profile("charrnn", deadline=None)
settings.load_profile("charrnn")

#: A text with few characters, a newline and something that repeats.
TINY_TEXT = "the sea, the sea!\nold houses by the sea.\n" * 5


def pytest_configure() -> None:
    """Make rich write the same plain text wherever the tests run."""
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
def new_model(rng: np.random.Generator) -> Callable[..., "Model"]:
    """Build a model with random parameters, biases too, ready to run."""
    # Importing the model imports Numba, which most tests do without.
    from charrnn.model import Model

    def build(
        config: ModelConfig, dtype: Any = np.float32, threads: int = 1
    ) -> "Model":
        model = Model(config, dtype=dtype, threads=threads)
        model.theta[:] = rng.normal(0, 0.5, model.theta.size)
        model.pack()
        return model

    return build


@pytest.fixture
def model32(new_model: Callable[..., "Model"], tiny_config: ModelConfig) -> "Model":
    """Build the tiny model as it is trained."""
    return new_model(tiny_config)


@pytest.fixture
def model64(new_model: Callable[..., "Model"], tiny_config: ModelConfig) -> "Model":
    """Build the tiny model as its gradients are checked."""
    return new_model(tiny_config, np.float64)
