"""A tutorial's network as a checkpoint, which the commands read like any other.

    python -m charrnn.examples.hello --save hello.npz
    charrnn inspect hello.npz --live hello.html --text hell

Those that predict the next character of a text can be saved, `hello` and `generator`.
The others answer whole sequences with numbers, colors or bits, which no checkpoint of
a text model can say.
"""

import argparse
import shlex
from collections.abc import Sequence

import numpy as np

from charrnn.config import CellName, ModelConfig
from charrnn.examples.layers import DenseLayer, RecurrentLayer
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab


def new_parser(name: str) -> argparse.ArgumentParser:
    """Make a parser of the arguments of an example whose network can be saved."""
    parser = argparse.ArgumentParser(prog=f"python -m charrnn.examples.{name}")
    parser.add_argument(
        "--save", metavar="FILE", help="write the trained network as a checkpoint"
    )
    return parser


def text_model(
    read: RecurrentLayer,
    predict: DenseLayer,
    letters: str,
    text: str,
    cell: CellName = "rnn",
) -> TextModel:
    """Make the text model that two layers are.

    Parameters
    ----------
    read : RecurrentLayer
        Reads one-hot vectors of the letters.
    predict : DenseLayer
        The logits of what comes next.
    letters : str
        In the order of the inputs and the logits.
    text : str
        What they learned; how often it has each letter is what a text begins with.
    """
    order = np.argsort([ord(letter) for letter in letters])  # as vocabularies have them
    symbols = "".join(letters[k] for k in order)
    Wx, Wh, b = read.weights.values()
    W, by = predict.weights.values()
    config = ModelConfig(
        vocab_size=len(letters), cell=cell, hidden=len(Wh), layers=1, norm="none"
    )
    network = Network(config)
    given = {
        "layer0.Wx": Wx[order],
        "layer0.Wh": Wh.T,
        "layer0.b": b,
        "head.Wy": W.T[order],
        "head.by": by[order],
    }
    # What a cell has beside these stays zero, as it is in a `RecurrentLayer`.
    network.load({
        name: given.get(name, np.zeros_like(values)).astype(np.float32)
        for name, values in network.tensors.items()
    })  # fmt: skip
    return TextModel.of(network, Vocab(symbols, tuple(map(text.count, symbols))))


def say_saved(path: str, text: str) -> None:
    """Print where a network was saved, and what to do with it."""
    print(f"\nSaved as {path}. To see it read, write and compute in a browser:")
    command = ["charrnn", "inspect", path, "--live", "page.html", "--text", text]
    print(shlex.join(command))


def saved_as(name: str, arguments: Sequence[str]) -> str | None:
    """Read the arguments of an example that takes no others."""
    path: str | None = new_parser(name).parse_args(arguments).save
    return path
