"""Texts made with weights in fewer bits: one seed, one text, whatever makes it.

bfloat16 has a whole oracle: a network whose weights are rounded says the same in
float32, bit for bit. int8 has one in Python, which quantizes every row anew.
"""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numba import config as numba_config
from numpy.typing import NDArray

from charrnn.arrays import Ids
from charrnn.config import LARGE, ModelConfig, SampleConfig
from charrnn.generation import Generation, helpers
from charrnn.generation.helpers import AFTER, JUDGED, RETRIED, Helpers
from charrnn.generation.sampler import Sampler
from charrnn.kernels import team
from charrnn.kernels.bfloat16 import round_all
from charrnn.kernels.blending import ALONE
from charrnn.kernels.team import SHARED_BYTES
from charrnn.kernels.threads import usable
from charrnn.network import Network
from charrnn.parameters import chosen_precision
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab

NewNetwork = Callable[..., Network]
Array = NDArray[Any]

VOCAB = Vocab("\nabcde", (1, 2, 3, 4, 5, 6))
NOTHING = np.zeros(0, np.int32)

#: Units of an LSTM whose products are large enough to be shared.
SHARED_UNITS = 192


def write(network: Network, config: SampleConfig, prompt: Ids = NOTHING) -> list[str]:
    """Generate all samples to their end."""
    model = TextModel.of(network, VOCAB)
    found = [""] * config.num_samples
    for piece in Generation(model, [prompt], config, scored=False).pieces():
        found[piece.sample] += piece.text
    return found


def read(network: Network, precision: Any, text: Ids) -> Array:
    """Find the logits behind every character of a text, (T, B, V)."""
    B = text.shape[1]
    sampler = Sampler(TextModel.of(network, VOCAB), SampleConfig(precision=precision))
    logits = np.zeros((1, B, 6), np.float32)
    state, found = network.new_state(B), []
    for row in text:
        ids = np.stack([row, row])
        assert sampler.generate(
            sampler.weights, sampler.new_step_room(B), state, ids,
            np.ones(B, np.int32), np.zeros((1, B)), ALONE, sampler.filters, -1, logits,
        )  # fmt: skip
        found.append(logits[0].copy())
    return np.array(found)


def test_large_networks_are_rounded_by_default_and_others_are_not() -> None:
    """Half a million weights in the layers, whatever the vocabulary."""
    small = ModelConfig(vocab_size=5000, hidden=256)
    large = ModelConfig(vocab_size=65, hidden=384)

    assert 4 * 256 * 256 < LARGE < 4 * 384 * 384
    assert chosen_precision(small, "auto") == "float32"
    assert chosen_precision(large, "auto") == "int8"
    assert chosen_precision(large, "float32") == "float32"
    assert chosen_precision(small, "bfloat16") == "bfloat16"


@pytest.mark.skipif(numba_config.DISABLE_JIT, reason="NumPy rounds by shape")
def test_bfloat16_is_float32_with_rounded_weights(
    new_network: NewNetwork, rng: np.random.Generator
) -> None:
    """Of the layers but for the look-up of the first; the head keeps its own."""
    network = new_network(ModelConfig(vocab_size=6, cell="gru", hidden=21, layers=3))
    text = rng.integers(0, 6, (9, 3)).astype(np.int32)
    found = read(network, "bfloat16", text)
    for k, layer in enumerate(network.parameters.layers):
        round_all(layer.Wh, layer.Wh)
        if k > 0:
            round_all(layer.Wx, layer.Wx)
    before = read(network, "float32", text)
    network.pack()

    assert before.tobytes() != found.tobytes()
    assert read(network, "float32", text).tobytes() == found.tobytes()


def quantized(x: Array) -> Array:
    """Round each row to whole 127ths of its largest number."""
    scale = np.abs(x).max(axis=1, keepdims=True) / 127
    return np.rint(x / np.where(scale > 0, scale, 1)) * scale


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def test_int8_is_what_its_definition_says(
    new_network: NewNetwork, rng: np.random.Generator
) -> None:
    """An LSTM in float64 that quantizes weights once and states every time."""
    H = 40
    network = new_network(ModelConfig(vocab_size=6, hidden=H, layers=2))
    text = rng.integers(0, 6, (12, 3)).astype(np.int32)
    found = read(network, "int8", text)
    W, zeros = network.parameters, np.zeros((2, 3, H))
    h, c = zeros.copy(), zeros.copy()
    exact = []
    for row in text:
        y = np.zeros((3, H))
        for k, layer in enumerate(W.layers):
            z = layer.Wx[row] if k == 0 else quantized(y) @ quantized(layer.Wx).T
            z = z + layer.b + quantized(h[k]) @ quantized(layer.Wh).T
            i, f, o, g = np.split(z, 4, axis=1)
            c[k] = sigmoid(f) * c[k] + sigmoid(i) * np.tanh(g)
            h[k] = y = sigmoid(o) * np.tanh(c[k])
        exact.append(y @ W.Wy.T + W.by)
    rounded = np.abs(read(network, "float32", text) - np.array(exact)).max()

    # A number in the middle between two may be rounded either way, now and then.
    assert np.abs(found - exact).max() < 0.02
    assert np.median(np.abs(found - exact)) < 1e-5
    assert rounded > 0.02


def test_the_text_depends_on_the_seed_and_the_precision_alone(
    new_network: NewNetwork,
) -> None:
    """Alone, in company, with a prompt, by one thread or two, again after `pack`."""
    config = ModelConfig(vocab_size=6, hidden=40, layers=2)
    network = new_network(config)
    several = new_network(config, threads=usable(2))
    several.theta[:] = network.theta
    several.pack()
    many = SampleConfig(length=80, num_samples=9, seed=3, precision="int8")
    alone = SampleConfig(length=80, seed=3, precision="int8")
    texts = write(network, many)

    assert write(several, many) == texts
    assert write(network, alone) == texts[:1]
    network.pack()
    assert write(network, alone) == texts[:1]
    prompt = VOCAB.encode(texts[0][:30])
    longer = SampleConfig(length=5, temperature=0, precision="int8")
    assert write(network, longer, prompt) == write(several, longer, prompt)


def test_weights_that_change_are_rounded_again(new_network: NewNetwork) -> None:
    """When they are packed: a run shows how it writes while it learns."""
    network = new_network(ModelConfig(vocab_size=6, hidden=40, layers=2))
    config = SampleConfig(length=60, temperature=0.5, seed=1, precision="int8")
    before = write(network, config)
    network.theta[:] *= -1.5
    network.pack()

    assert write(network, config) != before


class Company(Helpers):
    """Counts how often helpers were sent for."""

    called = 0

    def _call(self, pool: Executor) -> list[Future[None]]:
        Company.called += 1
        return super()._call(pool)


@pytest.mark.skipif(
    not team.POSSIBLE or usable(2) < 2, reason="threads cannot help here"
)
def test_helpers_leave_the_text_as_it_is(
    new_network: NewNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a network that is large enough for their help, from the first slice on."""
    config = ModelConfig(vocab_size=6, hidden=SHARED_UNITS)
    network = new_network(config, threads=2)
    sample = SampleConfig(length=1500, seed=4, precision="int8")
    monkeypatch.setattr("charrnn.generation.sampler.Helpers", Company)
    monkeypatch.setattr(helpers, "AFTER", 1e9)
    expected, called = write(network, sample), Company.called
    monkeypatch.setattr(helpers, "AFTER", 0.0)

    assert 4 * SHARED_UNITS**2 > SHARED_BYTES
    assert called == 0
    assert write(network, sample) == expected
    assert Company.called > 0


def test_helpers_go_on_where_they_make_it_faster(
    new_network: NewNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways are tried, then the faster one is taken, and the other tried again."""
    network = new_network(ModelConfig(vocab_size=6, hidden=8), threads=2)
    helping = Helpers(network.inference("int8", shared=True), 2)
    now, called, loaded = [0.0], list[bool](), Future[None]()
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "monotonic", lambda: now[0] + 1e9)
    monkeypatch.setattr(Helpers, "possible", True)
    monkeypatch.setattr(Helpers, "_dismiss", lambda self: None)

    def call(self: Helpers, pool: Executor) -> list[Future[None]]:
        called.append(True)
        return [loaded]

    monkeypatch.setattr(Helpers, "_call", call)

    def slices(*costs: dict[bool, float]) -> list[bool]:
        ways = []
        for cost in costs:
            called.clear()
            with helping.at_work(pool, 10):
                now[0] += cost[bool(called)]
            ways.append(bool(called))
        return ways

    quick, slow = {True: 1.0, False: 2.0}, {True: 9.0, False: 2.0}
    with ThreadPoolExecutor(1) as pool:
        # The first helpers load what they run: so long they are no measure.
        assert slices(slow, slow) == [True, False]
        loaded.set_result(None)
        tried = slices(*[quick] * (2 * JUDGED))
        assert tried == JUDGED * [True] + (JUDGED - 1) * [False] + [True]
        ways = slices(*[quick] * RETRIED)
        assert ways.count(False) == 1
        # One slow slice changes nothing, two do.
        assert all(slices(slow, quick, quick, slow, quick, quick))
        later = slices(*[slow] * RETRIED)
        assert later[:2] == [True, True]
        assert later.count(True) == 3
        # The way that has become faster again is taken after two good trials.
        again = slices(*[quick] * (3 * RETRIED))
        assert not any(again[: RETRIED // 2])
        assert again[-RETRIED:].count(False) == 1
    assert AFTER > 0
