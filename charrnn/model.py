"""What happens to a batch: characters -> layers -> logits -> loss -> gradient.

    ids (T, B) --> z = x Wx^T + b --> cell --> y (T, B, H) --> next layer
                                                   |
              loss <-- softmax cross-entropy <-- logits (T, B, V)

The model owns one flat buffer of parameters and the packed copies that the
products read. Windows of any T and B run through the same kernels: training,
evaluation, and generation, whose window is one step. Threads work on blocks of
batch rows while time passes, and on blocks of weight rows when the gradients
of the weights are formed from the stacked results; neither depends on how many
threads there are, so results do not either.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from charrnn import parameters
from charrnn.arrays import Flags, Floats, Ids
from charrnn.config import ActivationName, CellName, ModelConfig
from charrnn.kernels import activations, dropout, gru, head, inputs, lstm, rnn
from charrnn.kernels.head import HeadTape
from charrnn.kernels.matmul import (
    Packed,
    add_affine_gradient,
    new_packed,
    pack,
)
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.threads import row_cuts, use_threads

CELLS: dict[CellName, ModuleType] = {"rnn": rnn, "gru": gru, "lstm": lstm}

ACTIVATIONS: dict[ActivationName, int] = {
    "tanh": activations.TANH,
    "sigmoid": activations.SIGMOID,
    "relu": activations.RELU,
    "leaky-relu": activations.LEAKY_RELU,
}


class Noise(NamedTuple):
    """Random bytes for dropout, drawn anew for every window."""

    bytes: Flags  # (L, T * B, H) uint8
    threshold: int  # 256 times the rate, rounded


class Layer(NamedTuple):
    """One layer's weights, ready for the kernels."""

    Wx: Packed | None  # (GH, H); None for layer 0, which gathers rows of (V, GH)
    b: Floats  # (GH,)
    recurrent: Recurrent


@dataclass
class Workspace:
    """Room for one window of T steps and B rows, used again and again."""

    T: int
    B: int
    cuts: Ids  # blocks of rows for the threads
    tapes: list[Any]  # one of the cell's `Tape` a layer
    head: HeadTape | None = None  # made when a gradient is first wanted

    @property
    def nbytes(self) -> int:
        """Memory that the arrays take, in bytes."""
        arrays = [a for tape in self.tapes for a in tape if isinstance(a, np.ndarray)]
        arrays += list(self.head or ())
        return sum({id(a): a.nbytes for a in arrays}.values())


class Model:
    """A stack of recurrent layers with a softmax on top.

    Parameters
    ----------
    config : ModelConfig
    dtype : numpy dtype
        float32; float64 for gradient checks.
    threads : int
        At most; see ``threads`` for the number in force.

    Attributes
    ----------
    theta : (P,) float array
        All parameters. Call `pack` after changing them.
    weights : dict of arrays
        Named views into theta, as `parameters.shapes` lists them.
    """

    def __init__(
        self, config: ModelConfig, *, dtype: Any = np.float32, threads: int = 1
    ) -> None:
        self.config = config
        self.dtype = np.dtype(dtype)
        self.threads = use_threads(threads)
        self.cell = CELLS[config.cell]
        self.theta = np.zeros(parameters.size(config), self.dtype)
        self.weights = parameters.views(self.theta, config)
        self.layers = [self._new_layer(k) for k in range(config.layers)]
        self.head = head.Head(self._new_packed("head.Wy"), self.weights["head.by"])
        self._workspaces: dict[tuple[int, int], Workspace] = {}

    def _new_packed(self, name: str) -> Packed:
        """Make room for a weight matrix's panels."""
        n, K = self.weights[name].shape
        return new_packed(n, K, self.dtype)

    def _new_layer(self, k: int) -> Layer:
        """Put views and empty panels of layer k together."""
        w, prefix = self.weights, f"layer{k}"
        bh = w.get(f"{prefix}.bhn", np.zeros(0, self.dtype))
        Wx = None if k == 0 else self._new_packed(f"{prefix}.Wx")
        Wh = self._new_packed(f"{prefix}.Wh")
        return Layer(Wx, w[f"{prefix}.b"], Recurrent(Wh, bh))

    def load(self, named: Mapping[str, Floats]) -> None:
        """Take parameters over by name, as a checkpoint stores them, and pack.

        Raises
        ------
        ValueError
            A name is missing, or a shape differs.
        """
        if named.keys() != self.weights.keys():
            msg = f"parameters differ: {sorted(named.keys() ^ self.weights.keys())}"
            raise ValueError(msg)
        for name, view in self.weights.items():
            if named[name].shape != view.shape:
                msg = f"{name} is {named[name].shape}, not {view.shape}"
                raise ValueError(msg)
            view[...] = named[name]
        self.pack()

    def pack(self) -> None:
        """Copy the weights into the panels that the products read."""
        for k, layer in enumerate(self.layers):
            pack(self.weights[f"layer{k}.Wh"], layer.recurrent.Wh)
            if layer.Wx is not None:
                pack(self.weights[f"layer{k}.Wx"], layer.Wx)
        pack(self.weights["head.Wy"], self.head.Wy)

    @contextlib.contextmanager
    def limited_to(self, threads: int) -> Iterator[None]:
        """Use fewer threads for a while; results do not depend on it."""
        before = self.threads
        self.threads = use_threads(min(threads, before))
        try:
            yield
        finally:
            self.threads = use_threads(before)

    def new_state(self, B: int) -> Floats:
        """Zero state of B rows, (L, S, B, H): S arrays a layer, h first."""
        shape = (self.config.layers, self.cell.STATES, B, self.config.hidden)
        return np.zeros(shape, self.dtype)

    def workspace(self, T: int, B: int) -> Workspace:
        """Room for windows (T, B); the few shapes in use are kept."""
        if (T, B) not in self._workspaces:
            if len(self._workspaces) >= 8:
                self._workspaces.pop(next(iter(self._workspaces)))
            code = ACTIVATIONS[self.config.activation]
            tapes = [
                self.cell.new_tape(T, B, self.config.hidden, self.dtype, code)
                for _ in self.layers
            ]
            cuts = row_cuts(B, self.threads)
            self._workspaces[T, B] = Workspace(T, B, cuts, tapes)
        return self._workspaces[T, B]

    def forward(
        self, ids: Ids, resets: Flags, state: Floats, noise: Noise | None = None
    ) -> Workspace:
        """Run a window through all layers.

        Parameters
        ----------
        ids : (T, B) int array
        resets : (T, B) uint8 array
            Rows whose state is cleared before the step.
        state : (L, S, B, H) float array
            On entry the state before the window, on exit the one after it.
        noise : Noise, optional
            For dropout after every layer.

        Returns
        -------
        Workspace
            Outputs of layer k, dropout applied, in ``tapes[k].y``.
        """
        T, B = ids.shape
        space = self.workspace(T, B)
        for k, (layer, tape) in enumerate(zip(self.layers, space.tapes, strict=True)):
            z = tape.z.reshape(T * B, -1)
            if layer.Wx is None:
                Wx = self.weights["layer0.Wx"]
                inputs.gather(Wx, layer.b, ids.reshape(-1), z, self.threads)
            else:
                x = space.tapes[k - 1].y.reshape(T * B, -1)
                inputs.project(x, layer.Wx.forward, layer.b, z, self.threads)
            tape.states[:, 0] = state[k]
            self.cell.forward(layer.recurrent, tape, resets, space.cuts)
            state[k] = tape.states[:, T]
            if noise is not None:
                y = tape.y.reshape(T * B, -1)
                dropout.drop(y, noise.bytes[k], noise.threshold, self.threads)
        return space

    def logits(self, ids: Ids, state: Floats, resets: Flags | None = None) -> Floats:
        """Logits after every input, (T, B, V); see `forward` for the rest."""
        T, B = ids.shape
        if resets is None:
            resets = np.zeros((T, B), np.uint8)
        space = self.forward(ids, resets, state)
        out = np.empty((T * B, self.config.vocab_size), self.dtype)
        y = space.tapes[-1].y.reshape(T * B, -1)
        head.logits(self.head, y, out, self.threads)
        return out.reshape(T, B, -1)

    def losses(self, ids: Ids, targets: Ids, resets: Flags, state: Floats) -> Floats:
        """Loss of every target in nats, (T, B) float64; 0 where it is -1."""
        T, B = ids.shape
        space = self.forward(ids, resets, state)
        out = np.empty(T * B)
        y = space.tapes[-1].y.reshape(T * B, -1)
        head.losses(self.head, y, targets.reshape(-1), out, self.threads)
        return out.reshape(T, B)

    def loss_and_gradient(
        self,
        ids: Ids,
        targets: Ids,
        resets: Flags,
        state: Floats,
        dtheta: Floats,
        noise: Noise | None = None,
    ) -> float:
        """Mean loss of a window, and its gradient by backpropagation through time.

        Parameters
        ----------
        ids, resets, state, noise
            As in `forward`.
        targets : (T, B) int array
            -1 where nothing is scored.
        dtheta : (P,) float array
            Accumulated into.

        Returns
        -------
        float
            Nats per target.
        """
        T, B = ids.shape
        N, V, H = T * B, self.config.vocab_size, self.config.hidden
        space = self.forward(ids, resets, state, noise)
        if space.head is None:
            arrays = np.zeros(N), np.zeros((N, V)), np.zeros((N, H))
            space.head = HeadTape(
                arrays[0], *(a.astype(self.dtype) for a in arrays[1:])
            )
        count = max(1, int(np.count_nonzero(targets >= 0)))
        y = space.tapes[-1].y.reshape(N, H)
        head.loss_and_gradient(
            self.head, y, targets.reshape(-1), 1 / count, space.head, self.threads
        )
        self._backward(ids, resets, space, dtheta, noise)
        return float(space.head.losses.sum()) / count

    def _backward(
        self,
        ids: Ids,
        resets: Flags,
        space: Workspace,
        dtheta: Floats,
        noise: Noise | None,
    ) -> None:
        """Carry the head's gradient down through all layers."""
        N, H, workers = ids.size, self.config.hidden, self.threads
        gradients = parameters.views(dtheta, self.config)
        none = np.zeros(0, self.dtype)
        _, dlogits, dy = space.head  # type: ignore[misc]
        # logits = y Wy^T + by
        y = space.tapes[-1].y.reshape(N, H)
        dWy, dby = gradients["head.Wy"], gradients["head.by"]
        add_affine_gradient(dlogits, y, dWy, dby, workers)
        for k in reversed(range(self.config.layers)):
            layer, tape, prefix = self.layers[k], space.tapes[k], f"layer{k}"
            if noise is not None:
                dropout.drop(dy, noise.bytes[k], noise.threshold, workers)
            self.cell.backward(
                layer.recurrent, tape, dy.reshape(*ids.shape, H), resets, space.cuts
            )
            # z += h_prev Wh^T (+ bhn)
            h_prev = tape.states[0, : ids.shape[0]].reshape(N, H)
            dWh, dbh = gradients[f"{prefix}.Wh"], gradients.get(f"{prefix}.bhn", none)
            add_affine_gradient(tape.dzh.reshape(N, -1), h_prev, dWh, dbh, workers)
            # z = x Wx^T + b
            dz = tape.z.reshape(N, -1)
            dWx, db = gradients[f"{prefix}.Wx"], gradients[f"{prefix}.b"]
            if layer.Wx is None:
                inputs.scatter(ids.reshape(-1), dz, dWx, db, workers)
            else:
                x = space.tapes[k - 1].y.reshape(N, H)
                add_affine_gradient(dz, x, dWx, db, workers)
                inputs.project_backward(dz, layer.Wx.backward, dy, workers)
