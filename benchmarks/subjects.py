"""Our side: networks to be timed, checked against float64 first.

The checks compare float32 kernels with the same ones in float64, which the
test suite compares with the equations. The texts are random: what a step costs
does not depend on what it reads.
"""

from dataclasses import replace
from itertools import islice

import numpy as np
from timing import Side

from charrnn import parameters
from charrnn.arrays import PackedIds
from charrnn.checkpoint import TrainingState
from charrnn.config import ModelConfig, SampleConfig, TrainConfig
from charrnn.generation import Generation
from charrnn.kernels.threads import use_threads
from charrnn.model import Model
from charrnn.streams import Streams
from charrnn.training.trainer import Trainer, random_stream
from charrnn.vocab import Vocab

#: Characters of every sample that one call of `sampling` generates.
DRAWN = 32

#: Windows in an epoch. All are whole ones: every step counts B T characters.
WINDOWS = 4

#: Characters that `check_sampling` generates.
CHECKED = 100


def new_model(config: ModelConfig, threads: int) -> Model:
    """Make a model with first values, ready to run."""
    model = Model(config, threads=threads)
    parameters.initialize(model.theta, config, "auto", 1.0, random_stream(0))
    model.pack()
    return model


def _exact(model: Model) -> Model:
    """Make the same model in float64."""
    exact = Model(model.config, dtype=np.float64, threads=model.threads)
    exact.theta[...] = model.theta
    exact.pack()
    return exact


def _streams(config: ModelConfig, T: int, B: int) -> Streams:
    """Make B streams of random characters, each WINDOWS windows of T."""
    size, kind = config.vocab_size, np.uint8 if config.vocab_size <= 256 else np.uint16
    text: PackedIds = np.random.default_rng(0).integers(0, size, WINDOWS * T * B, kind)
    return Streams(text, B, T, 0)


def check_training(model: Model) -> None:
    """Compare loss and gradient of one small window with float64.

    Raises
    ------
    RuntimeError
        They differ by more than rounding.
    """
    T, B = 8, 5
    window = _streams(model.config, T, B).window(0, 0)
    found = []
    for m in (model, _exact(model)):
        gradient = np.zeros_like(m.theta)
        loss = m.loss_and_gradient(*window, m.new_state(B), gradient)
        found.append((loss, gradient))
    (loss, gradient), (exact_loss, exact_gradient) = found
    scale = np.abs(exact_gradient).max()
    worst = np.abs(gradient - exact_gradient).max() / scale
    if abs(loss - exact_loss) > 1e-5 * exact_loss or worst > 1e-4:
        msg = f"float32 is off: loss {loss - exact_loss:.1e}, gradient {worst:.1e}"
        raise RuntimeError(msg)


def check_sampling(model: Model, vocab: Vocab) -> None:
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
        generation = Generation(model, vocab, [prompt], config, scored=scored)
        pieces = list(generation.pieces())
        texts.append("".join(piece.text for piece in pieces))
        nats.append(sum(piece.nats for piece in pieces))
    if texts[0] != texts[1] or len(texts[0]) != CHECKED:
        msg = f"scored or not, the text must be the same, of {CHECKED} characters"
        raise RuntimeError(msg)
    targets = vocab.encode(texts[0])
    inputs = np.concatenate([vocab.encode("\n"), targets[:-1]])  # a line begins
    inputs, targets = inputs[:, None], targets[:, None]
    resets = np.zeros(inputs.shape, np.uint8)
    exact = _exact(model)
    expected = exact.losses(inputs, targets, resets, exact.new_state(1)).sum()
    off = np.abs(
        model.logits(inputs, model.new_state(1))
        - exact.logits(inputs, exact.new_state(1))
    ).max()
    if abs(nats[0] - expected) > 1e-4 * expected or off > 1e-3:
        msg = f"float32 is off: {nats[0] - expected:.1e} nats, logits {off:.1e}"
        raise RuntimeError(msg)


def new_trainer(model: Model, T: int, B: int) -> Trainer:
    """Make a trainer on random characters that has taken its first step."""
    run = TrainConfig(batch_size=B, seq_length=T, steps=10**9, lr=1e-3)
    streams = _streams(model.config, T, B)
    trainer = Trainer(model, streams, TrainingState(config=run))
    trainer.step(0.0)
    return trainer


def training(model: Model, shape: tuple[int, int]) -> Side:
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
    trainer = new_trainer(model, T, B)

    def step() -> float:
        trainer.step(0.0)
        return T * B

    return step


def new_vocab(size: int) -> Vocab:
    """Make a vocabulary of a newline and the characters from the space on."""
    symbols = "\n" + "".join(map(chr, range(ord(" "), ord(" ") + size - 1)))
    return Vocab(symbols, (1,) * size)


def sampling(config: ModelConfig, sample: SampleConfig, threads: int) -> Side:
    """Make the loop behind ``charrnn sample``, which never ends.

    Returns
    -------
    Side
        Its work is in characters of all samples together.
    """
    samples = sample.num_samples
    model = new_model(config, threads)
    vocab, endless = new_vocab(config.vocab_size), replace(sample, length=-1)
    generation = Generation(model, vocab, [vocab.encode("")], endless, scored=False)
    pieces = generation.pieces()

    def draw() -> float:
        use_threads(model.threads)  # the last model made has set its own
        count = 0
        while count < DRAWN * samples:
            # A piece of every sample: nothing computed is left for later.
            count += sum(len(piece.text) for piece in islice(pieces, samples))
        return count

    draw()
    return draw


def first_piece(model: Model, vocab: Vocab, prompt: str) -> Side:
    """Make a start: read a prompt and wait for the first piece.

    Returns
    -------
    Side
        Its work is 1.
    """
    ids, config = vocab.encode(prompt), SampleConfig(temperature=0.8)

    def start() -> float:
        use_threads(model.threads)
        next(Generation(model, vocab, [ids], config, scored=False).pieces())
        return 1

    start()
    return start
