"""Train a generator of text for some seconds, and let it write.

Oreshko, "Mild Introduction to Modern Sequence Processing. Part 1". The article's
generator reads Lovecraft's complete works a character at a time and is asked to go
on from "Cthulhu is"; the kind of cell, the number of layers and of units can be
chosen. This program does it in small, with the library that the `charrnn` command
runs on, on a short tale that comes with it or on a text of your own:

    python -m charrnn.examples.generator [FILE] [--save FILE]

There are no figures of the article's to hold ours against. What can be held against
it is that the loss falls: first below what guessing costs, ln V nats a character,
then below what knowing how frequent each character is would cost. The loss is that
of the text being learned, nothing is held out, and the tale is so short that the
network learns much of it by heart: it says nothing about other texts.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

import charrnn
from charrnn.examples.figures import WIDTH, Figures, run_program
from charrnn.examples.saving import new_parser, say_saved
from charrnn.textmodel import TextModel
from charrnn.training.records import Step
from charrnn.training.run import Run

#: The first of the ten tales that this project trains on.
TALE = Path(__file__).with_name("tale.txt")

#: The network, and how it is trained: all of it yours to change.
NETWORK: dict[str, Any] = {"cell": "gru", "layers": 1, "hidden": 128}
TRAINING: dict[str, Any] = {
    "batch_size": 16,
    "seq_length": 48,
    "dropout": 0.1,
    "weight_dropout": 0.0,
    "val_fraction": 0.0,
    "seed": 1,
}
STEPS = 1000

PROMPT = "Cthulhu is"
TEMPERATURES = (0.2, 0.6, 1.0)
LENGTH = 200


def begin(path: str) -> Run:
    """Begin to train a network on a text; iterating over the run trains it."""
    return charrnn.train(path, **NETWORK, **TRAINING, steps=STEPS)


def losses_of(run: Run) -> Iterator[float]:
    """Train; yield the loss of every step's window, before the step, in nats."""
    steps = (record for record in run if isinstance(record, Step))
    return (step.loss for step in steps if step.loss is not None)


def sample(model: TextModel, temperature: float) -> str:
    """Continue the prompt; letters of it that the text does not have are left out."""
    return model.sample(
        PROMPT, length=LENGTH, temperature=temperature, seed=1, unknown="skip"
    )


def costs_by_counts(model: TextModel) -> float:
    """Compute what a character costs on average if only its frequency is known."""
    counts = np.array(model.vocab.counts, float)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def main(arguments: Sequence[str] = ()) -> int:
    """Train, print how the loss falls, and let the model write."""
    parser = new_parser("generator")
    parser.add_argument("text", metavar="FILE", nargs="?", default=str(TALE))
    asked = parser.parse_args(arguments)
    figures = Figures("generator")
    run = begin(asked.text)
    model = run.model
    config = model.network.config
    figures.step("1. The network")
    print(
        f"{config.layers} x {config.hidden} {config.cell}, "
        f"{model.network.theta.size:,} parameters, {model.vocab.size} characters"
    )

    figures.step(f"2. Training: {STEPS} steps")
    done: list[float] = []
    for loss in losses_of(run):
        done.append(loss)
        if len(done) == 1 or len(done) % max(1, STEPS // 5) == 0:
            recent = done[-20:]
            mean = sum(recent) / len(recent)
            print(f"step {len(done):>5}   loss {mean:.3f} nats a character")
    last = sum(done[-20:]) / len(done[-20:])
    for what, cost in (
        ("guessing", math.log(model.vocab.size)),
        ("frequencies", costs_by_counts(model)),
    ):
        figures.check(what, f"below {cost:.3f}", f"{last:.3f}", last < cost)

    figures.say("This is the loss on the text itself; nothing was held out.")

    figures.step(f"3. What follows {PROMPT!r}")
    for temperature in TEMPERATURES:
        text = f"{PROMPT}{sample(run.model, temperature)}"
        print(f"temperature {temperature}:")
        for line in wrap(text, WIDTH - 4):
            print(f"    {line}")
    if asked.save is not None:
        run.model.save(asked.save)
        say_saved(asked.save, PROMPT)
    return figures.end()


if __name__ == "__main__":
    run_program(lambda: main(sys.argv[1:]))
