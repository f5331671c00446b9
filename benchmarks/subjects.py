"""Our side: networks to be timed, checked against float64 first.

The checks compare float32 kernels with the same ones in float64, which the
test suite compares with the equations. The texts are random: what a step costs
does not depend on what it reads.
"""

from dataclasses import replace
from itertools import islice

import numpy as np
from timing import Side

import charrnn
from charrnn import parameters
from charrnn.arrays import PackedIds
from charrnn.checkpoint import TrainingState
from charrnn.config import ModelConfig, PrecisionName, SampleConfig, TrainConfig
from charrnn.generation import Generation
from charrnn.kernels.products import PLAIN
from charrnn.network import Network, products_of
from charrnn.streams import Streams
from charrnn.textmodel import TextModel
from charrnn.training.noise import random_stream
from charrnn.training.trainer import Trainer
from charrnn.vocab import Vocab
from charrnn.windows import Window

#: Characters of every sample that one call of `sampling` generates.
DRAWN = 32

#: Windows in an epoch. All are whole ones: every step counts B T characters.
WINDOWS = 4

#: Characters that `check_sampling` generates.
CHECKED = 100


def new_network(
    config: ModelConfig, threads: int, precision: PrecisionName = "float32"
) -> Network:
    """Make a network with first values, ready to run.

    Raises
    ------
    MissingComponentError
        This machine does not have the precision.
    """
    network = Network(config, threads=threads, products=products_of(precision))
    parameters.initialize(network.theta, config, "auto", 1.0, random_stream(0))
    network.pack()
    return network


def _exact(network: Network) -> Network:
    """Make the same network in float64."""
    exact = Network(network.config, dtype=np.float64, threads=network.threads)
    exact.theta[...] = network.theta
    exact.pack()
    return exact


def _streams(config: ModelConfig, T: int, B: int) -> Streams:
    """Make B streams of random characters, each WINDOWS windows of T."""
    size, kind = config.vocab_size, np.uint8 if config.vocab_size <= 256 else np.uint16
    text: PackedIds = np.random.default_rng(0).integers(0, size, WINDOWS * T * B, kind)
    return Streams(text, B, T, 0)


def check_training(network: Network) -> None:
    """Compare loss and gradient of one small window with float64.

    Raises
    ------
    RuntimeError
        They differ by more than rounding.
    """
    T, B = 8, 5
    window = _streams(network.config, T, B).window(0, 0)
    found = []
    for m in (network, _exact(network)):
        gradient = np.zeros_like(m.theta)
        loss = m.loss_and_gradient(window, m.new_state(B), gradient)
        found.append((loss, gradient))
    (loss, gradient), (exact_loss, exact_gradient) = found
    scale = np.abs(exact_gradient).max()
    worst = np.abs(gradient - exact_gradient).max() / scale
    off, most = (1e-5, 1e-4) if network.products is PLAIN else (1e-2, 5e-2)
    if abs(loss - exact_loss) > off * exact_loss or worst > most:
        msg = f"arithmetic is off: loss {loss - exact_loss:.1e}, gradient {worst:.1e}"
        raise RuntimeError(msg)


def check_sampling(network: Network, vocab: Vocab) -> None:
    """Compare what generating says of its own text with float64 on that text.

    Generating goes one character at a time; float64 reads the text as one
    window. Besides, the text must be the same when nothing is scored, as it is
    when it is timed.

    Raises
    ------
    RuntimeError
        They differ by more than rounding, or the texts differ.
    """
    config, prompt = SampleConfig(length=CHECKED), vocab.encode("")
    texts, nats = [], []
    for scored in (True, False):
        model = TextModel.of(network, vocab)
        generation = Generation(model, [prompt], config, scored=scored)
        pieces = list(generation.pieces())
        texts.append("".join(piece.text for piece in pieces))
        nats.append(sum(piece.nats for piece in pieces))
    if texts[0] != texts[1] or len(texts[0]) != CHECKED:
        msg = f"scored or not, the text must be the same, of {CHECKED} characters"
        raise RuntimeError(msg)
    targets = vocab.encode(texts[0])
    inputs = np.concatenate([vocab.encode("\n"), targets[:-1]])  # a line begins
    window = Window.of_inputs(inputs[:, None])._replace(targets=targets[:, None])
    exact = _exact(network)
    expected = exact.losses(window, exact.new_state(1)).sum()
    off = np.abs(
        network.logits(window, network.new_state(1))
        - exact.logits(window, exact.new_state(1))
    ).max()
    if abs(nats[0] - expected) > 1e-4 * expected or off > 1e-3:
        msg = f"float32 is off: {nats[0] - expected:.1e} nats, logits {off:.1e}"
        raise RuntimeError(msg)


def new_trainer(network: Network, T: int, B: int) -> Trainer:
    """Make a trainer on random characters that has taken its first step."""
    run = TrainConfig(batch_size=B, seq_length=T, steps=10**9, lr=1e-3)
    trainer = Trainer(
        network,
        _streams(network.config, T, B),
        TrainingState(config=run),
    )
    trainer.step(0.0)
    return trainer


def training(network: Network, shape: tuple[int, int]) -> Side:
    """Make a training step: forward, loss, backward, clipping, Adam.

    Parameters
    ----------
    shape : (T, B)

    Returns
    -------
    Side
        Its work is in characters.
    """
    T, B = shape
    trainer = new_trainer(network, T, B)

    def step() -> float:
        trainer.step(0.0)
        return T * B

    return step


def new_vocab(size: int) -> Vocab:
    """Make a vocabulary of a newline and the characters from the space on."""
    symbols = "\n" + "".join(map(chr, range(ord(" "), ord(" ") + size - 1)))
    return Vocab(symbols, (1,) * size)


def sampling(
    config: ModelConfig, sample: SampleConfig, threads: int, mixed: int = 0
) -> Side:
    """Make the loop behind ``charrnn sample``, which never ends.

    Parameters
    ----------
    mixed : int
        Of how many such models a mixture writes; 0 for a model alone.

    Returns
    -------
    Side
        Its work is in characters of all samples together.
    """
    samples = sample.num_samples
    vocab, endless = new_vocab(config.vocab_size), replace(sample, length=-1)
    networks = [new_network(config, threads) for _ in range(max(1, mixed))]
    models = [TextModel.of(network, vocab) for network in networks]
    model = charrnn.mix(models) if mixed else models[0]
    generation = Generation(model, [vocab.encode("")], endless, scored=False)
    pieces = generation.pieces()

    def draw() -> float:
        count = 0
        while count < DRAWN * samples:
            # A piece of every sample: nothing computed is left for later.
            count += sum(len(piece.text) for piece in islice(pieces, samples))
        return count

    draw()
    return draw


def first_piece(network: Network, vocab: Vocab, prompt: str) -> Side:
    """Make a start: read a prompt and wait for the first piece.

    Returns
    -------
    Side
        Its work is 1.
    """
    ids, config = vocab.encode(prompt), SampleConfig(temperature=0.8)

    def start() -> float:
        model = TextModel.of(network, vocab)
        next(Generation(model, [ids], config, scored=False).pieces())
        return 1

    start()
    return start
