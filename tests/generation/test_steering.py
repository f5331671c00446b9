"""Units that are held at a value: the network reads and writes as if they had it."""

from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.arrays import Floats
from charrnn.cells import cell_of
from charrnn.config import ModelConfig, SampleConfig
from charrnn.errors import OptionError
from charrnn.generation import Generation
from charrnn.network import Network
from charrnn.sampling import Randomness, distribution
from charrnn.steering import HeldUnit, read_units
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab

VOCAB = Vocab("\nabcde", (1,) * 6)


def made(**model: Any) -> Network:
    """Build a small network of random weights."""
    network = Network(ModelConfig(vocab_size=6, hidden=5, layers=2, **model))
    network.theta[:] = np.random.default_rng(3).normal(0, 1, network.theta.size)
    network.pack()
    return network


def written(network: Network, prompt: str, **options: Any) -> list[str]:
    """Write some samples of twenty characters."""
    config = SampleConfig(length=20, num_samples=3, seed=4, **options)
    generation = Generation(
        TextModel.of(network, VOCAB), [VOCAB.encode(prompt)], config
    )
    texts = [""] * 3
    for piece in generation.pieces():
        texts[piece.sample] += piece.text
    return texts


def stepped(
    network: Network, index: int, state: Floats, units: tuple[HeldUnit, ...]
) -> Floats:
    """Read a character in NumPy and float64, units held: the logits.

    A unit's h is its output, and what the next step sees of it; its c is what the next
    step begins with.
    """
    weights, config = network.weights, network.config
    names = cell_of(config.cell).states

    def sigmoid(z: Floats) -> Floats:
        return 1 / (1 + np.exp(-z))

    one_hot = np.eye(config.vocab_size)[index]
    x = one_hot
    for k in range(config.layers):
        own = [unit for unit in units if unit.layer == k]
        for unit in own:
            state[k, names.index(unit.state), unit.unit] = unit.value
        Wx, Wh, b = (
            weights[f"layer{k}.{name}"].astype(np.float64) for name in ("Wx", "Wh", "b")
        )
        z = (Wx.T if k == 0 else Wx) @ x + b + Wh @ state[k, 0]
        if config.cell == "lstm":
            i, f, o, g = np.split(z, 4)
            c = sigmoid(f) * state[k, 1] + sigmoid(i) * np.tanh(g)
            x = sigmoid(o) * np.tanh(c)
            state[k, 1] = c
        else:
            x = np.tanh(z)
        state[k, 0] = x
        for unit in own:
            if unit.state == "h":
                x[unit.unit] = unit.value
    by = weights["head.by"].astype(np.float64)
    return np.asarray(weights["head.Wy"].astype(np.float64) @ x + by)


@pytest.mark.parametrize(
    ("cell", "set_unit"),
    [
        ("rnn", ("0:1=0.9", "1:4=-1")),
        ("lstm", ("0:2=1.5", "1:0:c=3")),
    ],
)
def test_text_is_that_of_the_equations(cell: str, set_unit: tuple[str, ...]) -> None:
    network = made(cell=cell)
    units = read_units(set_unit, "units")
    found = written(network, "ab", set_unit=units)

    for sample in range(3):
        state = np.zeros((2, 2, 5))
        for index in [0, *VOCAB.encode("ab").tolist()]:
            logits = stepped(network, index, state, units)
        text = ""
        for u in Randomness(4).take(sample, 20):
            p = distribution(logits[None], SampleConfig())[0]
            chosen = int(np.argmax(p.cumsum() > u))
            text += VOCAB.symbols[chosen]
            logits = stepped(network, chosen, state, units)
        assert found[sample] == text


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_unit_held_at_what_it_has_changes_nothing(norm: Any) -> None:
    """A unit that nothing feeds has h = 0; held at 0 it writes the same text."""
    network = made(cell="lstm", norm=norm)
    unit = 3
    for name in ("layer1.Wx", "layer1.Wh", "layer1.b"):
        weights = network.weights[name].reshape(4, 5, -1)
        weights[3, unit] = 0  # the candidate: c stays 0
    network.pack()
    plain = written(network, "ab")

    assert written(network, "ab", set_unit=read_units("1:3=0", "u")) == plain
    assert written(network, "ab", set_unit=read_units("1:3:c=0", "u")) == plain
    assert written(network, "ab", set_unit=read_units("1:3=2", "u")) != plain


def test_trained_unit_that_follows_quotations_steers_them() -> None:
    """Held where it is inside, it keeps the text there; held outside, out of it."""
    rng = np.random.default_rng(0)
    lengths = [
        (int(rng.choice(range(2, 7))), int(rng.choice(range(2, 7)))) for _ in range(600)
    ]
    text = "".join(f'{"a" * outside}"{"b" * quoted}"' for outside, quoted in lengths)
    text += "\n"
    small: dict[str, Any] = {"cell": "rnn", "hidden": 6, "layers": 1, "norm": "none"}
    run = charrnn.train(
        charrnn.Text(text), **small, steps=300, batch_size=8, seq_length=16, lr=0.02,
        dropout=0, val_fraction=0, memory=False,
    )  # fmt: skip
    for _ in run:
        pass
    model = run.model
    inside = np.cumsum([symbol == '"' for symbol in text]) % 2
    units = model.states(text)[:, 0]
    unit = int(np.argmax([abs(np.corrcoef(h, inside)[0, 1]) for h in units.T]))
    shares = []
    for where in (1, 0):
        value = units[inside == where, unit].mean()
        held = model.sample("a", length=500, seed=1, set_unit=f"0:{unit}={value}")
        shares.append(held.count("b") / (held.count("a") + held.count("b")))

    assert shares[0] > 0.75
    assert shares[1] < 0.25


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("1=2", "is not LAYER:UNIT=VALUE"),
        ("0:1:h", "is not LAYER:UNIT=VALUE"),
        ("0:1=x", "has no number"),
        ("0:1=nan", "finite"),
        ("0:1=1e9", "at most"),
        (["0:1=1", "0:1:h=2"], "twice"),
        (5, "is not"),
    ],
)
def test_what_cannot_be_read_is_named(given: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        read_units(given, "set_unit")


@pytest.mark.parametrize(
    ("given", "words"),
    [("2:0=1", "layer"), ("0:5=1", "unit"), ("0:0:c=1", "no state c")],
)
def test_units_that_are_not_there_are_named(given: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        written(made(cell="rnn"), "", set_unit=read_units(given, "set_unit"))
