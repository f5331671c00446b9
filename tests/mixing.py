"""Small models to be mixed, and what a mixture of them expects, computed plainly."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.config import ModelConfig, SampleConfig
from charrnn.memory import Memory
from charrnn.network import Network
from charrnn.sampling import Randomness, distribution
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from charrnn.windows import Window

Shares = NDArray[np.float64]


def made(
    symbols: str,
    cell: str = "lstm",
    seed: int = 0,
    *,
    share: float | None = None,
    lines: bool = False,
    **model: Any,
) -> TextModel:
    """Make a model of random weights, with a memory if it is to have a share in it."""
    settings: dict[str, Any] = {"hidden": 5, "layers": 2} | model
    config = ModelConfig(vocab_size=len(symbols), cell=cell, **settings)
    network = Network(config)
    rng = np.random.default_rng(seed)
    network.theta[:] = rng.normal(0, 0.7, network.theta.size)
    network.pack()
    counts = tuple(range(1, len(symbols) + 1))
    alone = TextModel.of(network, Vocab(symbols, counts), lines=lines)
    if share is None:
        return alone
    phrases = rng.integers(0, len(symbols), (6, 7))
    memory = Memory(
        ids=phrases[rng.integers(0, 6, 40)].ravel().astype(np.uint8),
        order=4,
        share=share,
        vocab_size=len(symbols),
        before=alone.documents.stand_in,
        newline=alone.documents.start,
    )
    return replace(alone, memory=memory)


def expected_by(model: TextModel, text: str) -> Shares:
    """Compute what a model expects behind a text, which it reads anew, (V,).

    What it does not know might never have been there.
    """
    vocab, documents, memory = model.vocab, model.documents, model.memory
    ids = vocab.encode(text, "skip")
    begin = [] if documents.before is None else [documents.before]
    read = np.array([*begin, *ids], np.int32)[:, None]
    if not read.size:
        counts = np.array(vocab.counts, np.float64)
        p = counts / counts.sum()
    else:
        window = Window.of_inputs(read)._replace(resets=documents.begins(read))
        logits = model.network.logits(window, model.network.new_state(1))
        z = logits[-1, 0].astype(np.float64)
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    if memory is None:
        return p
    counted = memory.distributions(np.append(ids, 0).astype(np.int32))[-1]
    return np.asarray(memory.share * p + (1 - memory.share) * counted)


def mixed_by(
    models: Sequence[TextModel], weights: Sequence[float], mode: str, text: str
) -> dict[str, float]:
    """Compute what a mixture of models expects behind a text, by character."""
    found = [
        dict(zip(model.vocab.symbols, expected_by(model, text).tolist(), strict=True))
        for model in models
    ]
    symbols = sorted(set().union(*found))
    if mode == "linear":
        return {
            symbol: sum(
                w * p.get(symbol, 0.0) for w, p in zip(weights, found, strict=True)
            )
            for symbol in symbols
        }
    known = [symbol for symbol in symbols if all(symbol in p for p in found)]
    products = {
        symbol: float(
            np.prod([p[symbol] ** w for w, p in zip(weights, found, strict=True)])
        )
        for symbol in known
    }
    total = sum(products.values())
    return {symbol: product / total for symbol, product in products.items()}


def drawn(
    models: Sequence[TextModel],
    weights: Sequence[float],
    mode: str,
    config: SampleConfig,
    prompt: str = "",
    sample: int = 0,
) -> tuple[str, float]:
    """Write one sample in a plain loop: its text, and its nats."""
    text, nats = "", 0.0
    for u in Randomness(config.seed).take(sample, config.length):
        expected = mixed_by(models, weights, mode, prompt + text)
        symbols = "".join(expected)
        p = np.array(list(expected.values()))
        with np.errstate(divide="ignore"):
            logits = np.log(p)
        for symbol, bias in config.logit_bias:
            logits[symbols.index(symbol)] += bias
        for symbol in set(config.ban) & set(symbols):
            logits[symbols.index(symbol)] = -np.inf
        shown = distribution(logits[None], config)[0]
        chosen = int(np.argmax(shown.cumsum() > u))
        text += symbols[chosen]
        nats -= float(np.log(p[chosen]))
    return text, nats
