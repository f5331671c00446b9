"""Hear 1, 3, 5, then say 5, 3, 1: one step of learning, by the numbers.

Sakryukin, "Under the Hood of Neural Networks. Part 2: Recurrent". A vanilla network
of two units hears three numbers, in binary, and then three silences, in which it
should say them backwards. The article computes one forward pass, the loss, every
gradient by backpropagation through time, and one step of descent, on paper.

Read the article from its first figure; the letters below are its own:

    s_t = tanh(I_t Ws + s_(t-1) U + Bs)        o_t = sigmoid(s_t Wo + Bo)
"""

import numpy as np
from numpy.typing import ArrayLike

from charrnn.arrays import Floats
from charrnn.examples.figures import Figures, run_program
from charrnn.examples.layers import DenseLayer, Descent, RecurrentLayer, sigmoid

Ws = np.array([[-0.75, 0.50], [-0.25, 0.00], [0.25, 0.25]])
Bs = np.array([0.50, 0.35])
U = np.array([[0.10, -0.25], [0.50, 0.50]])
Wo = np.array([[-0.90, 0.45, 0.00], [0.15, 0.25, 0.10]])
Bo = np.array([0.80, 0.60, -0.25])

#: What is heard: 1, 3, 5, then silence; (6, 3).
HEARD = np.array(
    [[0, 0, 1], [0, 1, 1], [1, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]], float
)
#: What should be said: nothing counts before step 4; (6, 3).
SAID = np.array(
    [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0, 1], [0, 1, 1], [0, 0, 1]], float
)
COUNTS = np.array([0, 0, 0, 1, 1, 1.0])[:, None]

LEARNING_RATE = 0.5

STATES = [
    [0.6351, 0.5370], [0.6816, 0.6105], [0.3570, 0.8440],
    [0.7432, 0.5933], [0.7019, 0.4308], [0.6559, 0.3713],
]  # fmt: skip
OUTPUTS = [
    [0.5548, 0.7470, 0.4525], [0.5580, 0.7357, 0.4485], [0.5660, 0.7287, 0.4470],
]  # fmt: skip
GRADIENTS: dict[str, ArrayLike] = {
    "Wo": [[-0.331, -0.186, -1.157], [-0.264, -0.114, -0.768]],
    "Bo": [-0.445, -0.264, -1.652],
    "Ws": [[0.046, 0.008], [0.001, 0.017], [0.045, 0.031]],
    "Bs": [0.181, -0.269],
    "U": [[0.060, -0.153], [0.157, -0.190]],
}


class Reverser:
    """The article's network.

    Parameters
    ----------
    only_ones : bool
        Whether the loss counts only the ones of the target, as the article's does,
        or is the whole binary cross-entropy.
    """

    def __init__(self, *, only_ones: bool = True) -> None:
        self.hear, self.say = RecurrentLayer(Ws, U, Bs), DenseLayer(Wo, Bo)
        self.only_ones = only_ones

    @property
    def weights(self) -> dict[str, Floats]:
        """The weights under the article's names."""
        return _by_letter(self.hear.weights, self.say.weights)

    def forward(self) -> tuple[Floats, Floats]:
        """Run all six steps: states (6, 2) and outputs (6, 3)."""
        s = self.hear.forward(HEARD[:, None])
        o = sigmoid(self.say.forward(s))
        return s[:, 0], o[:, 0]

    def loss(self) -> float:
        """Sum -y log o over steps 4 to 6; with -(1 - y) log(1 - o) if all counts."""
        y, (_, o) = SAID, self.forward()
        zeros = 0 if self.only_ones else (1 - y) * np.log(1 - o)
        return float(-(COUNTS * (y * np.log(o) + zeros)).sum())

    def backward(self) -> dict[str, Floats]:
        """Go back through time; the gradients under the article's names."""
        y, (_, o) = SAID, self.forward()
        # Behind a sigmoid, -y log o has the gradient y (o - 1), and with the zeros
        # it becomes o - y.
        delta = COUNTS * (y * (o - 1) if self.only_ones else o - y)
        self.hear.backward(self.say.backward(delta[:, None]))
        return _by_letter(self.hear.gradients, self.say.gradients)

    def learn(self) -> None:
        """Take one step of gradient descent."""
        self.backward()
        Descent(LEARNING_RATE).step(self.hear, self.say)


def _by_letter(hear: dict[str, Floats], say: dict[str, Floats]) -> dict[str, Floats]:
    """Give what belongs to the weights the article's names."""
    return {
        "Wo": say["W"], "Bo": say["b"], "Ws": hear["Wx"], "Bs": hear["b"],
        "U": hear["Wh"],
    }  # fmt: skip


def main() -> int:
    """Print the article's figures beside ours."""
    figures, network = Figures("reversing"), Reverser()
    figures.say(
        "The article rounds as it goes. Its states, outputs and gradients stand here "
        "as computed from its own numbers in float64; its losses as it prints them."
    )
    figures.step("1. Forward: six states, and the outputs that count")
    figures.columns()
    s, o = network.forward()
    for t, state in enumerate(s):
        figures.compare(f"s{t + 1}", STATES[t], state, 4)
    for t in (3, 4, 5):
        figures.compare(f"o{t + 1}", OUTPUTS[t - 3], o[t], 4)

    figures.step("2. The loss: -log o wherever a one should be said")
    figures.compare("L", 3.30, network.loss(), 2)

    figures.step("3. Backward through time: gradients summed over the outputs")
    for letter, gradient in network.backward().items():
        figures.compare(f"d{letter}", GRADIENTS[letter], gradient, 3)
    figures.say(
        "An error in the article: the vector that it prints in the line of Delta_4, "
        "[0.22, 1.08, -0.19] - 1, has the outputs' inputs. The outputs belong there, "
        "and its totals were computed from them, as ours are."
    )
    figures.step(f"4. One step of descent, learning rate {LEARNING_RATE}")
    network.learn()
    figures.compare("L afterwards", 1.36, network.loss(), 2)

    figures.step("5. Not in the article: the whole cross-entropy, zeros and ones")
    whole = Reverser(only_ones=False)
    figures.compare("L", 7.6263, whole.loss(), 4)
    whole.learn()
    figures.compare("L afterwards", 4.9142, whole.loss(), 4)
    return figures.end()


if __name__ == "__main__":
    run_program(main)
