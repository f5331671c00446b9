"""What happens to a batch: characters -> layers -> logits -> loss -> gradient.

    ids (T, B) --> z = x Wx^T + b --> cell --> norm --> y (T, B, H) --> next layer
                                                            |
                       loss <-- softmax cross-entropy <-- logits (T, B, V)

The model owns one flat buffer of parameters and the packed copies that the
products read. Windows of any T and B run through the same kernels, in training
and in evaluation; generating (`kernels.generator`) takes the same steps of the
same cells. Threads work on blocks of batch rows while time passes, and on
blocks of weight rows when the gradients of the weights are formed from the
stacked results; neither depends on how many threads there are, so results do
not either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from charrnn import parameters
from charrnn.arrays import Flags, Floats, Ids
from charrnn.config import ActivationName, CellName, ModelConfig
from charrnn.kernels import activations, dropout, gru, head, inputs, lstm, rnn
from charrnn.kernels.generator import Network
from charrnn.kernels.head import HeadTape
from charrnn.kernels.matmul import (
    Packed,
    add_affine_gradient,
    layer_of,
    new_packed,
    pack,
    stack_packed,
)
from charrnn.kernels.normalisation import Tape as NormTape
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.threads import row_cuts, use_threads
from charrnn.normalisation import Normalisation

CELLS: dict[CellName, ModuleType] = {"rnn": rnn, "gru": gru, "lstm": lstm}

ACTIVATIONS: dict[ActivationName, int] = {
    "tanh": activations.TANH,
    "sigmoid": activations.SIGMOID,
    "relu": activations.RELU,
    "leaky-relu": activations.LEAKY_RELU,
}


#: Gradients of z that are carried back before they are used: what fits into the
#: second-level caches of two cores, but not so few rows that the weight
#: gradients, which are read and written once a chunk, come to dominate.
CHUNK_BYTES, CHUNK_ROWS = 2**22, 256


class Noise(NamedTuple):
    """Random bytes for dropout, drawn anew for every window."""

    bytes: Flags  # uint8: of outputs (L, T * B, H), of recurrent weights (L, GH, H)
    threshold: int  # 256 times the rate, rounded


class Layer(NamedTuple):
    """One layer's weights, ready for the kernels."""

    Wx: Packed | None  # (GH, H); None for layer 0, which gathers rows of (V, GH)
    b: Floats  # (GH,)
    recurrent: Recurrent


class Part(NamedTuple):
    """Some steps of a window, on the way back."""

    first: int
    last: int
    rows: slice  # the same steps in arrays (T * B, ...)
    ids: Ids  # (T, B), of the whole window, as the others
    resets: Flags  # (T, B)
    noise: Noise | None


@dataclass
class Workspace:
    """Room for one window of T steps and B rows, used again and again.

    On the way back `chunk` steps are taken at a time, down through all layers:
    what the recurrence leaves is still in the cache when the weight gradients
    are formed. Batch normalisation has no gradient before all rows of the
    window have one, and takes all steps at a time.
    """

    cuts: Ids  # blocks of rows for the threads
    tapes: list[Any]  # one of the cell's `Tape` a layer
    norms: list[NormTape]  # likewise
    chunk: int
    dlogits: Floats  # (chunk * B, V), with rows when a gradient is first wanted
    dy: Floats  # (chunk * B, H), likewise

    def head_tape(self, rows: int, losses: Floats) -> HeadTape:
        """Room for the head's gradients of some rows; losses as given."""
        if rows > len(self.dlogits):
            self.dlogits = np.zeros((rows, self.dlogits.shape[1]), self.dlogits.dtype)
            self.dy = np.zeros((rows, self.dy.shape[1]), self.dy.dtype)
        return HeadTape(losses, self.dlogits[:rows], self.dy[:rows])

    @property
    def nbytes(self) -> int:
        """Memory that the arrays take, in bytes."""
        tapes = [*self.tapes, *self.norms]
        arrays = [a for tape in tapes for a in tape if isinstance(a, np.ndarray)]
        arrays += [self.dlogits, self.dy]
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
    norm : Normalisation
        Of the layers' outputs, with running averages of its own.
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
        self.norm = Normalisation(config, self.weights, self.dtype, self.threads)
        GH, H = self.weights["layer0.Wh"].shape
        self._Wh = stack_packed(config.layers, GH, H, self.dtype)
        self._Wx = stack_packed(config.layers - 1, GH, H, self.dtype)
        self.layers = [self._new_layer(k) for k in range(config.layers)]
        Wy = new_packed(config.vocab_size, config.hidden, self.dtype)
        self.head = head.Head(Wy, self.weights["head.by"])
        self._workspaces: dict[tuple[int, int], Workspace] = {}

    def _new_layer(self, k: int) -> Layer:
        """Put views and empty panels of layer k together."""
        w, prefix = self.weights, f"layer{k}"
        bh = w.get(f"{prefix}.bhn", np.zeros(0, self.dtype))
        Wx = None if k == 0 else layer_of(self._Wx, k - 1)
        Wh = layer_of(self._Wh, k)
        return Layer(Wx, w[f"{prefix}.b"], Recurrent(Wh, bh))

    @property
    def tensors(self) -> dict[str, Floats]:
        """All that makes up the model, by name: parameters, running averages."""
        return self.weights | self.norm.running

    @property
    def nbytes(self) -> int:
        """Memory that the weights and their packed copies take, in bytes."""
        panels = [self._Wh, self._Wx, self.head.Wy]
        packed = sum(array.nbytes for panel in panels for array in panel)
        return self.theta.nbytes + packed

    def load(self, named: Mapping[str, Floats]) -> None:
        """Take `tensors` over by name, as a checkpoint stores them, and pack.

        Raises
        ------
        ValueError
            A name is missing, or a shape differs.
        """
        tensors = self.tensors
        if named.keys() != tensors.keys():
            msg = f"parameters differ: {sorted(named.keys() ^ tensors.keys())}"
            raise ValueError(msg)
        for name, view in tensors.items():
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

    def _pack_dropped(self, noise: Noise) -> dict[str, Floats]:
        """Copy the recurrent weights into their panels, some of them as zeros.

        Returns
        -------
        dict of (GH, H) arrays
            Zeros, for the gradients of what was packed, by the weights' names.
        """
        gradients = {}
        for k, layer in enumerate(self.layers):
            name = f"layer{k}.Wh"
            Wh = self.weights[name].copy()
            dropout.drop(Wh, noise.bytes[k], noise.threshold, self.threads)
            pack(Wh, layer.recurrent.Wh)
            gradients[name] = np.zeros_like(Wh)
        return gradients

    def network(self) -> Network:
        """Lay the weights out as generating reads them; biases are copied."""
        none = np.zeros(0, self.dtype)
        names = [f"layer{k}" for k in range(self.config.layers)]
        code, gain, shift = self.norm.inference()
        return Network(
            table=self.weights["layer0.Wx"],
            b=np.stack([self.weights[f"{name}.b"] for name in names]),
            Wx=self._Wx.forward,
            Wh=self._Wh.forward,
            bh=np.stack([self.weights.get(f"{name}.bhn", none) for name in names]),
            norm=code,
            gain=gain,
            shift=shift,
            Wy=self.head.Wy.forward,
            by=self.weights["head.by"],
        )

    def new_tape(self, T: int, B: int) -> Any:
        """Room for what one layer leaves behind in a window (T, B)."""
        code = ACTIVATIONS[self.config.activation]
        return self.cell.new_tape(T, B, self.config.hidden, self.dtype, code)

    def new_state(self, B: int) -> Floats:
        """Zero state of B rows, (L, S, B, H): S arrays a layer, h first."""
        shape = (self.config.layers, self.cell.STATES, B, self.config.hidden)
        return np.zeros(shape, self.dtype)

    def workspace(self, T: int, B: int) -> Workspace:
        """Room for windows (T, B); the few shapes in use are kept."""
        if (T, B) not in self._workspaces:
            if len(self._workspaces) >= 8:
                self._workspaces.pop(next(iter(self._workspaces)))
            tapes = [self.new_tape(T, B) for _ in self.layers]
            norms = [self.norm.new_tape(T * B, self.config.hidden) for _ in tapes]
            row_bytes = B * self.cell.GATES * self.config.hidden * self.dtype.itemsize
            chunk = max(CHUNK_BYTES // row_bytes, -(-CHUNK_ROWS // B))
            if self.config.norm == "batch":
                chunk = T
            self._workspaces[T, B] = Workspace(
                row_cuts(B, self.threads),
                tapes,
                norms,
                min(T, chunk),
                np.zeros((0, self.config.vocab_size), self.dtype),
                np.zeros((0, self.config.hidden), self.dtype),
            )
        return self._workspaces[T, B]

    def forward(
        self,
        ids: Ids,
        resets: Flags,
        state: Floats,
        noise: Noise | None = None,
        *,
        training: bool,
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
            For dropout after every layer, in training.
        training : bool
            Whether batch normalisation goes by the window itself, or by the
            averages that training has kept.

        Returns
        -------
        Workspace
            Outputs of layer k, normalised and dropout applied, in ``tapes[k].y``.
        """
        T, B = ids.shape
        space = self.workspace(T, B)
        for k, (layer, tape) in enumerate(zip(self.layers, space.tapes, strict=True)):
            tape.states[:, 0] = state[k]
            self.cell.forward(
                layer.recurrent, self._inputs(k, ids, space), tape, resets, space.cuts
            )
            state[k] = tape.states[:, T]
            y = tape.y.reshape(T * B, -1)
            self.norm.forward(k, y, space.norms[k], training=training)
            if noise is not None:
                dropout.drop(y, noise.bytes[k], noise.threshold, self.threads)
        return space

    def _inputs(self, k: int, ids: Ids, space: Workspace) -> inputs.Inputs:
        """Say what layer k reads in a window: characters, or the layer below."""
        layer = self.layers[k]
        if layer.Wx is None:
            return inputs.characters(ids, self.weights["layer0.Wx"], layer.b)
        return inputs.outputs_below(space.tapes[k - 1].y, layer.Wx, layer.b)

    def logits(self, ids: Ids, state: Floats, resets: Flags | None = None) -> Floats:
        """Logits after every input, (T, B, V); see `forward` for the rest."""
        T, B = ids.shape
        if resets is None:
            resets = np.zeros((T, B), np.uint8)
        space = self.forward(ids, resets, state, training=False)
        out = np.empty((T * B, self.config.vocab_size), self.dtype)
        y = space.tapes[-1].y.reshape(T * B, -1)
        head.logits(self.head, y, out, self.threads)
        return out.reshape(T, B, -1)

    def losses(self, ids: Ids, targets: Ids, resets: Flags, state: Floats) -> Floats:
        """Loss of every target in nats, (T, B) float64; 0 where it is -1."""
        T, B = ids.shape
        space = self.forward(ids, resets, state, training=False)
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
        weight_noise: Noise | None = None,
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
        weight_noise : Noise, optional
            For dropout of recurrent weights: one mask for all steps and rows of
            the window. Call `pack` before the model is used for anything else.

        Returns
        -------
        float
            Nats per target.
        """
        T, B = ids.shape
        gradients = parameters.views(dtheta, self.config)
        into = gradients
        if weight_noise is not None:
            into = gradients | self._pack_dropped(weight_noise)
        space = self.forward(ids, resets, state, noise, training=True)
        losses = np.empty(T * B)
        count = max(1, int(np.count_nonzero(targets >= 0)))
        for first in reversed(range(0, T, space.chunk)):
            last = min(T, first + space.chunk)
            rows = slice(first * B, last * B)
            tape = space.head_tape((last - first) * B, losses[rows])
            y = space.tapes[-1].y.reshape(T * B, -1)[rows]
            self._head_backward(y, targets.reshape(-1)[rows], 1 / count, tape, into)
            part = Part(first, last, rows, ids, resets, noise)
            self._layers_backward(part, space, tape.dy, into)
        if weight_noise is not None:
            for k, mask in enumerate(weight_noise.bytes):
                # Wh, dropped = mask * Wh
                dWh = into[f"layer{k}.Wh"]
                dropout.drop(dWh, mask, weight_noise.threshold, self.threads)
                gradients[f"layer{k}.Wh"] += dWh
        return float(losses.sum()) / count

    def _head_backward(
        self,
        y: Floats,
        targets: Ids,
        scale: float,
        tape: HeadTape,
        gradients: dict[str, Floats],
    ) -> None:
        """Score some rows, and take the gradient down to the outputs y."""
        head.loss_and_gradient(self.head, y, targets, scale, tape, self.threads)
        # logits = y Wy^T + by
        dWy, dby = gradients["head.Wy"], gradients["head.by"]
        add_affine_gradient(tape.dlogits, y, dWy, dby, self.threads)

    def _layers_backward(
        self, part: Part, space: Workspace, dy: Floats, gradients: dict[str, Floats]
    ) -> None:
        """Carry the gradient of the outputs down through all layers."""
        first, last, rows, ids, resets, noise = part
        (T, B), workers = ids.shape, self.threads
        none = np.zeros(0, self.dtype)
        for k in reversed(range(self.config.layers)):
            layer, tape, prefix = self.layers[k], space.tapes[k], f"layer{k}"
            if noise is not None:
                dropout.drop(dy, noise.bytes[k, rows], noise.threshold, workers)
            self.norm.backward(k, dy, rows, space.norms[k], gradients)
            self.cell.backward(
                layer.recurrent,
                self._inputs(k, ids, space),
                tape,
                dy.reshape(last - first, B, -1),
                resets,
                space.cuts,
                first,
                last,
            )
            # z += h_prev Wh^T (+ bhn)
            h_prev = tape.states[0, :T].reshape(T * B, -1)[rows]
            dzh = tape.dzh.reshape(T * B, -1)[rows]
            dWh, dbh = gradients[f"{prefix}.Wh"], gradients.get(f"{prefix}.bhn", none)
            add_affine_gradient(dzh, h_prev, dWh, dbh, workers)
            # z = x Wx^T + b
            dz = tape.z.reshape(T * B, -1)[rows]
            dWx, db = gradients[f"{prefix}.Wx"], gradients[f"{prefix}.b"]
            if layer.Wx is None:
                inputs.scatter(ids.reshape(-1)[rows], dz, dWx, db, workers)
            else:
                x = space.tapes[k - 1].y.reshape(T * B, -1)[rows]
                add_affine_gradient(dz, x, dWx, db, workers)
