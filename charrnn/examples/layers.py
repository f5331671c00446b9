"""Layers, losses and steps of descent, for networks that fit on a page.

The articles multiply rows by matrices, ``h_t = tanh(x_t Wx + h_(t-1) Wh + b)``, and
so do these layers: a matrix has a row for every input. Underneath are the kernels
that train the text model; they store the same matrices turned over, and packed, so
each layer packs its weights anew whenever it runs. That is slow, and simple.

    x (T, B, D) --> RecurrentLayer --> h (T, B, H) --> DenseLayer --> (T, B, O)

T steps of B sequences side by side; all numbers are float64. `forward` keeps what
`backward` needs, and `backward` leaves the gradients in ``layer.gradients``, under
the names of ``layer.weights``. `Descent` and `Adam` then move the weights.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from charrnn.arrays import IGNORED, Floats, Ids
from charrnn.cells import cell_of
from charrnn.kernels import head, inputs
from charrnn.kernels.cells import kernels_of
from charrnn.kernels.few_rows import NOBODY
from charrnn.kernels.matmul import add_affine_gradient, affine, multiply
from charrnn.kernels.optimizers import ADAM, SGD, Formula, Update, apply
from charrnn.kernels.packing import Packed, new_packed, pack
from charrnn.kernels.recurrence import loops
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.threads import row_cuts


def packed(W: Floats) -> Packed:
    """Copy a matrix (n, K), a row for every output, as the products read it."""
    n, K = W.shape
    panels = new_packed(n, K, W.dtype)
    pack(np.ascontiguousarray(W), panels)
    return panels


class Layer:
    """Weights by name, and after `backward` their gradients by the same names."""

    def __init__(self, **weights: ArrayLike) -> None:
        self.weights = {
            name: np.array(W, float, order="C") for name, W in weights.items()
        }
        self.gradients: dict[str, Floats] = {}


class RecurrentLayer(Layer):
    """A cell with its weights, run over sequences from a state of zeros.

    Parameters
    ----------
    Wx : (D, GH) array
        From the inputs; G is 1 for "rnn", 3 for "gru" and 4 for "lstm", whose
        gates stand side by side in the order of `charrnn.cells`.
    Wh : (H, GH) array
        From the state before.
    b : (GH,) array
    cell : str
        The GRU's second bias, inside its reset gate, stays zero here.
    """

    def __init__(
        self, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike, cell: str = "rnn"
    ) -> None:
        super().__init__(Wx=Wx, Wh=Wh, b=b)
        self._kernels = kernels_of(cell_of(cell))
        self._own = np.zeros(len(cell_of(cell).own) * len(self.weights["Wh"]))

    def forward(self, x: ArrayLike) -> Floats:
        """Read sequences.

        Parameters
        ----------
        x : (T, B, D) float array, or (T, B) int array
            Integers are places of the one in one-hot vectors.

        Returns
        -------
        (T, B, H) array
            The state after every input.
        """
        Wx, Wh, b = self.weights.values()
        one_hot = np.ndim(x) == 2
        self.x = np.ascontiguousarray(x, np.int32 if one_hot else float)
        T, B = self.x.shape[:2]
        if one_hot:
            read = inputs.characters(self.x, Wx, b)
        else:
            read = inputs.outputs_below(self.x, packed(Wx.T), b)
        #: What the kernel leaves behind for the way back.
        self.tape = self._kernels.new_tape(T, B, len(Wh), np.float64)
        weights = Recurrent(packed(Wh.T).forward, self._own)
        loops(self._kernels).forward(
            weights, read, NOBODY, self.tape, np.zeros((0, B, len(Wh))),
            np.zeros((T, B), np.uint8), row_cuts(B, 1), 0,
        )  # fmt: skip
        states: Floats = self.tape.states[0, 1:]
        return states

    def backward(self, dh: Floats) -> Floats | None:
        """Go back through time.

        Parameters
        ----------
        dh : (T, B, H) array
            What the loss says of the state after every input, apart from what it
            says through later states.

        Returns
        -------
        (T, B, D) array or None
            Gradient of the inputs; None if they were integers.
        """
        Wx, Wh, b = self.weights.values()
        T, B, H = dh.shape
        weights = Recurrent(packed(Wh.T).backward, self._own)
        # The inputs count as projected: their gradient is formed below.
        loops(self._kernels).backward(
            weights, inputs.projected(np.float64), NOBODY, self.tape, dh.copy(),
            np.zeros((T, B), np.uint8), row_cuts(B, 1), 0, 0, T,
        )  # fmt: skip
        dWh, d_own = np.zeros_like(Wh.T, order="C"), np.zeros_like(self._own)
        h_prev = self.tape.states[0, :T].reshape(T * B, H)
        rows = slice(0, T * B)
        self._kernels.add_gradients(self.tape, rows, h_prev, dWh, d_own, 1)
        dz, db = self.tape.z.reshape(T * B, -1), np.zeros_like(b)
        if self.x.ndim == 2:
            dWx, dx = np.zeros_like(Wx), None
            inputs.scatter(self.x.reshape(-1), dz, dWx, db, 1)
        else:
            x = self.x.reshape(T * B, -1)
            turned, dx = np.zeros_like(Wx.T, order="C"), np.zeros_like(x)
            add_affine_gradient(dz, x, turned, db, 1)
            multiply(dz, packed(Wx.T).backward, dx, False)
            dWx, dx = turned.T, dx.reshape(T, B, -1)
        self.gradients = {"Wx": dWx, "Wh": dWh.T, "b": db}
        return dx


class DenseLayer(Layer):
    """Outputs of states: ``o = h W + b``.

    Parameters
    ----------
    W : (H, O) array
    b : (O,) array
    """

    def __init__(self, W: ArrayLike, b: ArrayLike) -> None:
        super().__init__(W=W, b=b)

    def forward(self, h: Floats) -> Floats:
        """Compute the outputs (..., O) of states (..., H)."""
        W, b = self.weights.values()
        self.h = np.ascontiguousarray(h.reshape(-1, len(W)))
        out = np.empty((len(self.h), b.size))
        affine(self.h, packed(W.T).forward, b, out)
        return out.reshape(*h.shape[:-1], -1)

    def backward(self, do: Floats) -> Floats:
        """Carry the gradient of the outputs (..., O) to the states (..., H)."""
        W, b = self.weights.values()
        rows, dh = do.reshape(-1, b.size), np.empty_like(self.h)
        multiply(np.ascontiguousarray(rows), packed(W.T).backward, dh, False)
        self._keep_gradients(rows)
        return dh.reshape(*do.shape[:-1], -1)

    def _keep_gradients(self, do: Floats) -> None:
        """Form the gradients of the weights from that of the outputs (N, O)."""
        W, b = self.weights.values()
        dW, db = np.zeros_like(W.T, order="C"), np.zeros_like(b)
        add_affine_gradient(np.ascontiguousarray(do), self.h, dW, db, 1)
        self.gradients = {"W": dW.T, "b": db}


class SoftmaxLayer(DenseLayer):
    """Logits of states, and how badly they foretell the right answers."""

    def loss_and_gradient(self, h: Floats, targets: Ids) -> tuple[float, Floats]:
        """Score the answers, and go back to the states.

        Parameters
        ----------
        h : (T, B, H) array
        targets : (T, B) int array
            The right answers; -1 where there is none.

        Returns
        -------
        loss : float
            -log p of the right answers, on average, in nats.
        dh : (T, B, H) array
            Its gradient.
        """
        W, b = self.weights.values()
        self.h = np.ascontiguousarray(h.reshape(-1, len(W)))
        answers = np.ascontiguousarray(targets, np.int32).reshape(-1)
        count = np.count_nonzero(answers != IGNORED)
        N = len(answers)
        tape = head.HeadTape(np.empty(N), np.empty((N, b.size)), np.empty_like(self.h))
        layer = head.Head(packed(W.T), b)
        head.loss_and_gradient(layer, self.h, answers, 1 / count, tape, 1)
        self._keep_gradients(tape.dlogits)
        return float(tape.losses.sum()) / count, tape.dy.reshape(h.shape)


class ManyToOne:
    """A recurrent layer that reads a sequence, and one answer from its last state."""

    def __init__(self, recurrent: RecurrentLayer, dense: DenseLayer) -> None:
        self.recurrent, self.dense = recurrent, dense
        self.layers = recurrent, dense

    @classmethod
    def random(cls, words: int, hidden: int, outputs: int, seed: int) -> "ManyToOne":
        """Make a vanilla network with random weights, the same for the same seed."""
        rng = np.random.default_rng(seed)
        W = rng.normal(0, 0.5, (words, hidden))
        U = rng.normal(0, 0.5, (hidden, hidden)).T
        V = rng.normal(0, 0.5, (outputs, hidden)).T
        recurrent = RecurrentLayer(W, U, np.zeros(hidden))
        return cls(recurrent, DenseLayer(V, np.zeros(outputs)))

    def forward(self, x: ArrayLike) -> Floats:
        """Answer B sequences: (T, B) ids or (T, B, D) numbers to (B, O) outputs."""
        return self.dense.forward(self.recurrent.forward(x)[-1])

    def backward(self, do: Floats) -> None:
        """Find all gradients from that of the outputs (B, O)."""
        dh = np.zeros_like(self.recurrent.tape.states[0, 1:])
        dh[-1] = self.dense.backward(do)  # the loss hears of the last state only
        self.recurrent.backward(dh)


def sigmoid(x: Floats) -> Floats:
    """Compute 1 / (1 + e^-x), in the form that cannot overflow."""
    y: Floats = 0.5 * (1 + np.tanh(0.5 * x))
    return y


def softmax(logits: Floats) -> Floats:
    """Turn logits into probabilities, along the last axis."""
    powers: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _pairs(layers: tuple[Layer, ...]) -> Iterator[tuple[Floats, Floats]]:
    """Yield every weight and its gradient, as flat vectors."""
    for layer in layers:
        for name, W in layer.weights.items():
            yield W.reshape(-1), np.ascontiguousarray(layer.gradients[name]).reshape(-1)


class Descent:
    """Plain gradient descent: W = W - lr dW."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def step(self, *layers: Layer) -> None:
        """Move all weights against their gradients."""
        none = np.zeros(0)
        rule, update = Formula(SGD, 0.0, 0.0, 0.0), Update(self.lr)
        for W, dW in _pairs(layers):
            apply(W, dW, none, none, rule, update)


class Adam:
    """Adam (Kingma & Ba 2015): steps of about lr, whatever the gradient's size."""

    def __init__(self, lr: float, beta1: float = 0.9, beta2: float = 0.999) -> None:
        self.lr, self.beta1, self.beta2 = lr, beta1, beta2
        self.steps = 0
        self._moments: dict[int, NDArray[Any]] = {}

    def step(self, *layers: Layer) -> None:
        """Move all weights; give the same layers in the same order every time."""
        self.steps += 1
        corrections = 1 / (1 - self.beta1**self.steps), 1 / (1 - self.beta2**self.steps)
        rule = Formula(ADAM, self.beta1, self.beta2, 1e-8)
        update = Update(self.lr, *corrections)
        for place, (W, dW) in enumerate(_pairs(layers)):
            m, v = self._moments.setdefault(place, np.zeros((2, W.size)))
            apply(W, dW, m, v, rule, update)


def central_differences(loss: Callable[[], float], W: Floats) -> Floats:
    """Find a gradient without any calculus: nudge each weight both ways and look.

    Parameters
    ----------
    loss : callable
        Computes the loss from the weights as they are.
    W : float array
        Changed one number at a time, and put back.
    """
    gradient, nudge = np.zeros_like(W), 1e-6
    for place in np.ndindex(W.shape):
        kept = W[place]
        W[place] = kept + nudge
        above = loss()
        W[place] = kept - nudge
        below = loss()
        W[place] = kept
        gradient[place] = (above - below) / (2 * nudge)
    return gradient
