"""Predict the letter after "he", wrongly; then learn to spell "hello".

Didwania, "Step 6: Understanding Recurrent Neural Networks". A network of three
units and four letters reads h, then e, with weights from the article's pictures,
and names its most probable next letter. It says h, and l is right: the article
promises that training repairs it. Here it does.

    h_t = tanh(Wx x_t + Wh h_(t-1) + b)        p = softmax(Wy h_t)

The article multiplies matrices by columns, so its matrices are turned over where
they become layers.
"""

import sys
from collections.abc import Sequence

import numpy as np

from charrnn.arrays import Floats, Ids
from charrnn.examples.figures import Figures, run_program
from charrnn.examples.layers import Adam, RecurrentLayer, SoftmaxLayer, softmax
from charrnn.examples.saving import saved_as, say_saved, text_model

LETTERS = "helo"

#: State by letter.
Wx = np.array([
    [0.287027, 0.846060, 0.572392, 0.486813],
    [0.902874, 0.871522, 0.691079, 0.189980],
    [0.537524, 0.092240, 0.558159, 0.491528],
])  # fmt: skip
Wh = 0.427043 * np.eye(3)
b = np.full(3, 0.567001)
#: Letter by state.
Wy = np.array([
    [0.371680, 0.974829459, 0.830034886],
    [0.391410, 0.282585823, 0.659835709],
    [0.649850, 0.098215570, 0.334287084],
    [0.912660, 0.325816420, 0.144630018],
])  # fmt: skip

STATES = [[0.693168, 0.899554, 0.802119], [0.936534, 0.949104, 0.762341]]
LOGITS = [1.906075, 1.137792, 0.956664, 1.274228]
PROBABILITIES = [0.4197, 0.1947, 0.1624, 0.2231]

STEPS, LEARNING_RATE = 200, 0.05


class Speller:
    """The article's network, with the weights of its pictures."""

    def __init__(self) -> None:
        self.read = RecurrentLayer(Wx.T, Wh.T, b)
        self.predict = SoftmaxLayer(Wy.T, np.zeros(4))

    def forward(self, text: str) -> tuple[Floats, Floats]:
        """Read a text of T letters: states (T, 3) and logits (T, 4)."""
        h = self.read.forward(spell(text))
        return h[:, 0], self.predict.forward(h)[:, 0]

    def train(self) -> list[float]:
        """Learn what follows each letter of "hell"; the losses, before each step."""
        adam, losses = Adam(LEARNING_RATE), []
        for _ in range(STEPS):
            h = self.read.forward(spell("hell"))
            loss, dh = self.predict.loss_and_gradient(h, spell("ello"))
            self.read.backward(dh)
            adam.step(self.read, self.predict)
            losses.append(loss)
        return losses


def spell(text: str) -> Ids:
    """Turn a text into the places of its letters, (T, 1): the one-hot vectors."""
    return np.array([[LETTERS.index(letter)] for letter in text], np.int32)


def main(arguments: Sequence[str] = ()) -> int:
    """Print the article's figures beside ours, then train."""
    path = saved_as("hello", arguments)
    figures, network = Figures("hello"), Speller()
    h, logits = network.forward("he")
    p = softmax(logits[1])

    figures.step('1. The states after "h" and after "e"')
    figures.columns()
    for letter, expected, state in zip("he", STATES, h, strict=True):
        figures.compare(f'after "{letter}"', expected, state, 6)

    figures.step("2. What each letter scores, and its probability")
    for k, letter in enumerate(LETTERS):
        figures.compare(f'logit of "{letter}"', LOGITS[k], logits[1, k], 6)
    for k, letter in enumerate(LETTERS):
        figures.compare(f'p("{letter}")', PROBABILITIES[k], p[k], 4)
    said = LETTERS[int(p.argmax())]
    figures.check("it says", "h", said, said == "h")
    figures.say("The right answer is l. Not yet.")

    figures.step(f'3. Train on "hello", {STEPS} steps of Adam')
    losses = network.train()
    for step in sorted({0, 9, 49, len(losses) - 1} & set(range(len(losses)))):
        print(f"step {step + 1:>4}   loss {losses[step]:.4f} nats a letter")
    p = softmax(network.forward("hell")[1])
    for k, right in enumerate("ello"):
        said, sure = LETTERS[int(p[k].argmax())], float(p[k].max())
        ours = f"{said} (p = {sure:.2f})"
        figures.check(f'after "{"hell"[: k + 1]}"', right, ours, said == right)
    if path is not None:
        text_model(network.read, network.predict, LETTERS, "hello").save(path)
        say_saved(path, "hell")
    return figures.end()


if __name__ == "__main__":
    run_program(lambda: main(sys.argv[1:]))
