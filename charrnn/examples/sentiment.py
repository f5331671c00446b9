"""Judge reviews of three words, and see how gradients vanish.

Sachinsoni, "Recurrent Neural Networks (RNN) from Basic to Advanced". A vanilla
network reads a review, a word a step, and one sigmoid says from its last state how
likely it was a good one. The article writes the gradient of the input weights as a
sum over the steps, a product of slopes for each, and says what becomes of such
products when there are a hundred factors. The reviews here are our own.

    o_t = tanh(x_t W + o_(t-1) U + b)        p = sigmoid(o_3 V + c)
"""

import numpy as np

from charrnn.arrays import Floats, Ids
from charrnn.cells import cell_of
from charrnn.examples.figures import Figures, run_program
from charrnn.examples.layers import Descent, ManyToOne, RecurrentLayer, sigmoid

#: Some turn on one word, some on a negation two words before it, some repeat one.
REVIEWS = {
    "truly lovely film": 1,
    "simply great fun": 1,
    "warm clever story": 1,
    "not bad really": 1,
    "never dull once": 1,
    "fun fun fun": 1,
    "truly awful film": 0,
    "simply no fun": 0,
    "cold clumsy story": 0,
    "not great really": 0,
    "never funny once": 0,
    "so so dull": 0,
}
WORDS = sorted({word for review in REVIEWS for word in review.split()})
LIKED = np.array(list(REVIEWS.values()), float)[:, None]

LEARNING_RATE, STEPS = 0.1, 500


def new_network(seed: int = 2) -> ManyToOne:
    """Make a network of four units and one output."""
    return ManyToOne.random(len(WORDS), 4, 1, seed)


def read(*reviews: str) -> Ids:
    """Turn reviews into the places of their words, (3, B)."""
    return np.array([[WORDS.index(w) for w in r.split()] for r in reviews], np.int32).T


def loss(network: ManyToOne, ids: Ids, liked: Floats) -> float:
    """Sum -y log p - (1 - y) log(1 - p) over the reviews."""
    p = sigmoid(network.forward(ids))
    return float(-(liked * np.log(p) + (1 - liked) * np.log(1 - p)).sum())


def backward(network: ManyToOne, ids: Ids, liked: Floats) -> None:
    """Find the gradients of the log loss; behind a sigmoid it is p - y."""
    network.backward(sigmoid(network.forward(ids)) - liked)


def train(network: ManyToOne) -> None:
    """Descend on all reviews at once."""
    ids, descent = read(*REVIEWS), Descent(LEARNING_RATE)
    for _ in range(STEPS):
        backward(network, ids, LIKED)
        descent.step(*network.layers)


def terms(network: ManyToOne, review: str) -> list[Floats]:
    """Write the gradient of W as the article does: a term for each step.

    dL/dp dp/do3 do3/dw,  dL/dp dp/do3 do3/do2 do2/dw,  ... do2/do1 do1/dw

    Returns
    -------
    list of (V, 4) arrays
        The path from the loss to W through step 3; through 3 and 2; through all.
    """
    ids = read(review)
    p = sigmoid(network.forward(ids))[0]
    o1, o2, o3 = network.recurrent.tape.states[0, 1:, 0]
    x1, x2, x3 = np.eye(len(WORDS))[ids[:, 0]]
    U = network.recurrent.weights["Wh"].T
    V = network.dense.weights["W"].T
    dL_do3 = (p - REVIEWS[review]) @ V
    # o = tanh(x W + o_prev U): the slopes, and what one state does to the next.
    f1, f2, f3 = (1 - o**2 for o in (o1, o2, o3))
    do3_do2, do2_do1 = f3[:, None] * U, f2[:, None] * U
    return [
        np.outer(x3, dL_do3 * f3),
        np.outer(x2, dL_do3 @ do3_do2 * f2),
        np.outer(x1, dL_do3 @ do3_do2 @ do2_do1 * f1),
    ]


def reach(cell: str, radius: float, steps: int) -> float:
    """Measure what is left of a gradient after some steps back, 1 being all of it.

    Inputs are so small that tanh is the identity. Every gate's recurrent matrix
    is `radius` times an orthogonal one, all of whose eigenvalues have that size.
    The LSTM has forget bias 1.
    """
    gates, H = cell_of(cell).gates, 16
    rng = np.random.default_rng(3)
    Wh = [radius * np.linalg.qr(rng.normal(size=(H, H)))[0].T for _ in gates]
    b = np.repeat([float(gate == cell_of(cell).forget_gate) for gate in gates], H)
    layer = RecurrentLayer(np.eye(len(b)), np.concatenate(Wh, axis=1), b, cell)
    layer.forward(1e-12 * rng.normal(size=(steps, 1, len(b))))
    dh = np.zeros((steps, 1, H))
    dh[-1] = rng.normal(size=H)
    layer.backward(dh)
    return float(np.linalg.norm(layer.tape.dstates[0]) / np.linalg.norm(dh))


def main() -> int:
    """Train, judge, and print what the article says beside what is measured."""
    figures, network = Figures("sentiment"), new_network()
    figures.step("1. The gradient of W is a sum over the steps, and backpropagation's")
    for review in ("never dull once", "fun fun fun"):
        backward(network, read(review), np.array([[REVIEWS[review]]], float))
        found, parts = network.recurrent.gradients["Wx"], terms(network, review)
        error = np.abs(found - sum(parts)).max() / np.abs(found).max()
        sizes = " + ".join(f"{np.linalg.norm(part):.3f}" for part in parts)
        figures.check(review, f"|{sizes}|", f"off by {error:.0e} of it", error < 1e-12)

    figures.step(f"2. Train: {STEPS} steps of descent on {len(REVIEWS)} reviews")
    print(f"log loss before  {loss(network, read(*REVIEWS), LIKED):8.4f}")
    train(network)
    print(f"log loss after   {loss(network, read(*REVIEWS), LIKED):8.4f}")

    figures.step("3. Every review is judged right")
    judged = sigmoid(network.forward(read(*REVIEWS)))[:, 0]
    for (review, liked), p in zip(REVIEWS.items(), judged, strict=True):
        verdict = "liked" if liked else "not liked"
        figures.check(review, verdict, f"p(liked) = {p:.3f}", (p > 0.5) == bool(liked))

    figures.step("4. What is left of a gradient after k steps back")
    figures.say("Recurrent weights of size 0.5, 1 and 1.5: the article's product.")
    for radius, word in ((0.5, "vanishes"), (1.0, "stays"), (1.5, "explodes")):
        left = reach("rnn", radius, 40)
        agrees = abs(left / radius**40 - 1) < 1e-3
        figures.check(f"{radius}, k = 40", word, f"{left:.3g}", agrees)
    gated, vanilla = reach("lstm", 0.5, 40), reach("rnn", 0.5, 40)
    ours = f"{gated:.3g}"
    figures.check(
        "LSTM 0.5, k = 40", "falls far more slowly", ours, gated > 1e7 * vanilla
    )
    return figures.end()


if __name__ == "__main__":
    run_program(main)
