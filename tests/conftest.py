"""What all tests share: a plain terminal, a tiny network, a seeded generator."""

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings

from charrnn.config import ModelConfig
from tests import commands
from tests.compiling import collect_seldom, compile_common_kernels

if TYPE_CHECKING:
    from charrnn.network import Network

# The first example of a property may have to compile a kernel.
settings.register_profile("charrnn", deadline=None)
settings.load_profile("charrnn")

#: A text with few characters, a newline and something that repeats.
TINY_TEXT = "the sea, the sea!\nold houses by the sea.\n" * 5


#: What a process that is started in the background of a shell may ignore.
SIGNALS: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}


def pytest_configure() -> None:
    """Make rich write the same plain text, and signals do the same, everywhere."""
    os.environ.update(NO_COLOR="1", TERM="dumb", COLUMNS="80")
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "LINES"):
        os.environ.pop(name, None)
    for number, handler in SIGNALS.items():
        # The processes that tests start would ignore it as well.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile common kernels once, before tests are given to several processes."""
    collect_seldom()  # tests compile the others
    config = session.config
    option = config.option
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    in_part = option.keyword or option.markexpr or option.collectonly
    compiles = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    distributed = bool(getattr(option, "numprocesses", None)) and not is_worker
    if distributed and everything and compiles and not in_part:
        compile_common_kernels()


def pytest_unconfigure() -> None:
    """End the process that commands are forked from."""
    commands.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the benchmarks, which take longest, behind the first quarter.

    None is left to the end. Nor do they begin, when another process compiles kernels
    for tests in float64, which some of them would compile at the same time.
    """
    slow = [item for item in items if "test_benchmarks.py" in item.nodeid]
    others = [item for item in items if "test_benchmarks.py" not in item.nodeid]
    quarter = len(others) // 4
    items[:] = [*others[:quarter], *slow, *others[quarter:]]


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
