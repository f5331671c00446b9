"""A color for a phrase: two words in, three numbers out.

Oreshko, "Mild Introduction to Modern Sequence Processing. Part 2". "The Forest" is
green, "The Sea" blue and "The Fire" orange. A vanilla network reads the two words
and gives red, green and blue from its last state alone (many-to-one). The loss is
the mean squared error, and learning is W = W - lr dW and nothing else.

    h_t = tanh(x_t W + h_(t-1) U + b)        color = h_2 V + c
"""

import numpy as np

from charrnn.arrays import Floats
from charrnn.examples.figures import Figures, run_program
from charrnn.examples.layers import Descent, ManyToOne, central_differences

NAMES = ["The Forest", "The Sea", "The Fire"]
#: The words of the phrases, (2, 3): a column each; 0 is "The".
PHRASES = np.array([[0, 0, 0], [1, 2, 3]], np.int32)
COLORS = np.array([[0, 128, 0], [0, 0, 255], [255, 165, 0]], float)

LEARNING_RATE, MOST_STEPS = 0.003, 10_000


def new_network(seed: int = 0) -> ManyToOne:
    """Make a network of four words, six units and three outputs."""
    return ManyToOne.random(words=4, hidden=6, outputs=3, seed=seed)


def loss(network: ManyToOne) -> float:
    """Compute the mean squared error of the three colors."""
    return float(((network.forward(PHRASES) - COLORS) ** 2).mean())


def backward(network: ManyToOne) -> None:
    """Find the gradients of the mean squared error."""
    out = network.forward(PHRASES)
    network.backward(2 * (out - COLORS) / COLORS.size)


def train(network: ManyToOne) -> int:
    """Descend until rounding gives the very colors; the steps that it took."""
    descent = Descent(LEARNING_RATE)
    for step in range(MOST_STEPS):
        if step % 100 == 0 and right(network).all():
            return step
        backward(network)
        descent.step(*network.layers)
    return MOST_STEPS


def right(network: ManyToOne) -> Floats:
    """Tell of every number (3, 3) whether it is right when rounded."""
    return network.forward(PHRASES).round() == COLORS


def main() -> int:
    """Train, and print the article's colors beside ours."""
    figures, network = Figures("colors"), new_network()
    figures.step("1. Before training: is the gradient right? Nudge every weight")
    backward(network)
    recurrent, dense = network.layers
    letters = {"W": (recurrent, "Wx"), "U": (recurrent, "Wh"), "V": (dense, "W")}
    found = {k: layer.gradients[name] for k, (layer, name) in letters.items()}
    for letter, (layer, name) in letters.items():
        nudged = central_differences(lambda: loss(network), layer.weights[name])
        error = np.abs(found[letter] - nudged).max() / np.abs(nudged).max()
        ours = f"off by {error:.0e} of it"
        figures.check(f"d{letter}", "central differences", ours, error < 1e-6)

    figures.step(f"2. Plain gradient descent, learning rate {LEARNING_RATE}")
    print(f"step {0:>6}   mean squared error {loss(network):12.4f}")
    print(f"step {train(network):>6}   mean squared error {loss(network):12.4f}")

    figures.step("3. Red, green and blue")
    figures.columns()
    for name, color, ours in zip(NAMES, COLORS, network.forward(PHRASES), strict=True):
        figures.compare(name, color, ours, 0)
    return figures.end()


if __name__ == "__main__":
    run_program(main)
