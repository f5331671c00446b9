"""The layers of a network: forward through a window, and back.

    ids (T, B) --> z = x Wx^T + b --> cell --> norm --> dropout --> y (T, B, H)
                        ^                                               |
                        +--------- the next layer's x -----------------+

This is the only place where layers follow one another, but for the step that
generating fuses into one kernel (`kernels.generator`), which is made of the
same parts. Windows of any T and B run through it, in training and elsewhere.

The way back can be taken in parts, from the window's end to its beginning, and
whoever wants to see the gradients on their way (`on_layer`) is shown them at
every layer of every part.
"""

import inspect
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from charrnn.arrays import Flags, Floats, Ids, aligned_zeros
from charrnn.cells import cell_of
from charrnn.config import ModelConfig, WeightsName
from charrnn.errors import OptionError, field
from charrnn.kernels import dropout, inputs, lagged, team
from charrnn.kernels.cells import (
    can_be_narrow,
    can_have_lags,
    has_lags,
    kernels_of,
)
from charrnn.kernels.few_rows import NOBODY, Alone
from charrnn.kernels.lagged import new_links
from charrnn.kernels.matmul import FullPanels
from charrnn.kernels.narrow_tape import gradient_of_z
from charrnn.kernels.normalization import NormTape
from charrnn.kernels.packing import Packed, layer_of
from charrnn.kernels.products import PLAIN, Products
from charrnn.kernels.recurrence import loops
from charrnn.kernels.recurrent import Recurrent
from charrnn.kernels.team import Room
from charrnn.kernels.threads import limited, row_cuts
from charrnn.normalization import Normalization
from charrnn.parameters import LayerParameters, Parameters, state_shape
from charrnn.windows import Window

#: Gradients of z that are carried back before they are used: what fits into the
#: second-level caches of two cores, but not so few rows that the weight
#: gradients, which are read and written once a chunk, come to dominate. Where those of
#: Wh and Wx of all layers (but for layer 0's Wx) are larger, a chunk of z, and the
#: logits of its rows, may be as large as they are: with 4 MB, a network of 1,024 units,
#: whose dWh has 16 MB, took in a tenth less.
CHUNK_BYTES, CHUNK_ROWS = 2**22, 256


class Noise(NamedTuple):
    """Random bytes for dropout, drawn anew for every window."""

    bytes: Flags  # uint8: of outputs (L, T * B, H), of recurrent weights (L, GH, KH)
    threshold: int  # 256 times the rate, rounded


class Layer(NamedTuple):
    """One layer's weights, ready for the kernels."""

    Wx: Packed | None  # (GH, H); None for layer 0, which looks rows up in its Wx
    Wh: Packed  # (GH, KH)
    weights: LayerParameters

    @property
    def ahead(self) -> Recurrent:
        """What the cell reads on the way forward."""
        return Recurrent(self.Wh.forward, self.weights.own)

    @property
    def back(self) -> Recurrent:
        """What the cell reads on the way back."""
        return Recurrent(self.Wh.backward, self.weights.own)


class Crew(NamedTuple):
    """Which threads go through the rows of a window, and how."""

    cuts: Ids  # blocks of rows, each for a thread
    helpers: int = 0  # threads that help with the products of the only block
    room: Room | Alone = NOBODY  # for what they share


@dataclass
class Workspace:
    """Room for one window of T steps and B rows, used again and again.

    On the way back `chunk` steps are taken at a time, down through all layers:
    of a small network, what the recurrence leaves is still in the cache when the
    weight gradients are formed. Batch normalization has no gradient before all rows
    of the window have one, and takes all steps at a time.

    A layer's outputs are its states h, and stand there, unless they are to be kept
    apart: because they are changed, or because a document that begins inside the window
    clears the state before it. Every array that is not needed lets more of the others
    stay in the caches until the way back. With outputs and tanh(c) on the tapes, a step
    of LSTM 2 x 128 took 4 to 7 % longer.
    """

    crew: Crew
    trainers: Crew  # in training, where kernels for helpers are compiled if need be
    tapes: list[Any]  # one of the cell's `Tape` a layer
    norms: list[NormTape]  # likewise
    chunk: int
    apart: list[Floats]  # room for outputs (T, B, H) of every layer, once it is wanted

    def hidden(self, k: int) -> Floats:
        """View the states h of layer k after each input, (T, B, H)."""
        h: Floats = self.tapes[k].states[0, 1:]
        return h

    def keep_apart(self) -> None:
        """Make room for outputs that do not stand among the states."""
        if not self.apart:
            shapes = (self.hidden(k) for k in range(len(self.tapes)))
            self.apart.extend(aligned_zeros(h.shape, h.dtype) for h in shapes)

    @property
    def nbytes(self) -> int:
        """Memory that the arrays take, in bytes."""
        tapes = *self.tapes, *self.norms, self.apart, self.trainers.room
        found = [a for tape in tapes for a in tape]
        sizes: dict[int, int] = {}
        for a in found:
            if isinstance(a, np.ndarray):
                # A part of another array takes no memory of its own.
                memory = id(a if a.base is None else a.base)
                sizes[memory] = max(sizes.get(memory, 0), a.nbytes)
        return sum(sizes.values())


class _Workspaces(threading.local):
    """The room that windows take, of every thread its own.

    So several threads can read texts with one network.
    """

    def __init__(self) -> None:
        self.by_shape: dict[tuple[int, int], Workspace] = {}


@dataclass(frozen=True)
class Passed:
    """A window that has gone forward through all layers, ready for the way back.

    It is good until the same thread takes another window of its size through the
    same layers.
    """

    window: Window
    space: Workspace
    outputs: list[Floats]  # (T, B, H) of every layer, normalized and dropped
    noise: Noise | None  # that outputs were dropped by
    training: bool  # how outputs were normalized

    @property
    def tapes(self) -> list[Any]:
        """What each layer left behind: its cell's `Tape`."""
        return self.space.tapes

    @property
    def on_their_way(self) -> list[Floats]:
        """Gradients that are on their way to earlier steps, each (..., B, H)."""
        linked = [tape.pending for tape in self.tapes if has_lags(tape)]
        return [*(tape.dstates for tape in self.tapes), *linked]

    @property
    def y(self) -> Floats:
        """The outputs of the last layer, (T * B, H)."""
        y = self.outputs[-1]
        return y.reshape(-1, y.shape[2])


#: Told of a layer k and of the gradient (steps, B, H) of what its cell put out,
#: before that goes back through the cell.
OnLayer: TypeAlias = Callable[[int, Floats], None]


class Stack:
    """The recurrent layers of a network, with the packed weights that they read.

    Parameters
    ----------
    config : ModelConfig
    weights : Parameters
        The network's. Call `pack` after changing them.
    threads : int
    products : Products
        What products with weights of matrices are made of.

    Raises
    ------
    OptionError
        The cell cannot have the lags.
    """

    def __init__(
        self,
        config: ModelConfig,
        weights: Parameters,
        threads: int,
        products: Products = PLAIN,
    ) -> None:
        self.config = config
        self.products = products
        self.cell = cell_of(config.cell)
        self.kernels = kernels_of(self.cell)
        if len(config.lags) > 1 and not can_have_lags(self.kernels):
            msg = f"a cell of kind {config.cell} sees no further state than the last"
            raise OptionError(msg, hint=f"leave {field('lags')} away")
        self.norm = Normalization(config, weights, threads)
        self.loops = loops(self.kernels)
        self._dtype = weights.flat.dtype
        self._threads = threads
        (GH, KH), H = weights.layers[0].Wh.shape, config.hidden
        matrices = config.layers * KH + (config.layers - 1) * H
        #: Of the gradients that are read and written once a chunk.
        self._matrix_bytes = GH * matrices * self._dtype.itemsize
        stacked = products.stack_packed
        self._Wh = stacked(config.layers, GH, KH, self._dtype)
        self._Wx = stacked(config.layers - 1, GH, H, self._dtype)
        #: What the first layer has in place of panels.
        self._nothing = Packed(*(panels[:0, 0] for panels in self._Wh))
        self.layers = [
            Layer(
                None if k == 0 else layer_of(self._Wx, k - 1),
                layer_of(self._Wh, k),
                of_layer,
            )
            for k, of_layer in enumerate(weights.layers)
        ]
        # A cell from elsewhere may add its gradients in its own way only.
        takes = inspect.signature(self.kernels.add_gradients).parameters
        self._rounds_recurrent = products is not PLAIN and "add" in takes
        self._kept = _Workspaces()

    @property
    def nbytes(self) -> int:
        """Memory that the packed weights take, in bytes."""
        return sum(panels.nbytes for panels in (*self._Wh, *self._Wx))

    def pack(self) -> None:
        """Copy the weights into the panels that the products read."""
        # Packing in float32 starts no threads: whoever has loaded a network may fork.
        alone = self.products is PLAIN
        with nullcontext() if alone else limited(self._threads):
            for layer in self.layers:
                self.products.pack(layer.weights.Wh, layer.Wh)
                if layer.Wx is not None:
                    self.products.pack(layer.weights.Wx, layer.Wx)

    def pack_dropped(self, noise: Noise) -> None:
        """Copy the recurrent weights into their panels, some of them as zeros."""
        for k, layer in enumerate(self.layers):
            Wh = layer.weights.Wh.copy()
            dropout.drop(Wh, noise.bytes[k], noise.threshold, self._threads)
            self.products.pack(Wh, layer.Wh)

    def packed(self) -> tuple[FullPanels, Recurrent]:
        """Lay out the weights of all layers as generating reads them.

        Returns
        -------
        Wx : FullPanels
            Of all layers but the first.
        recurrent : Recurrent
            Of all layers; its panels are shared, the cell's own are copied.
        """
        own = np.stack([layer.weights.own for layer in self.layers])
        Wh = FullPanels(self._Wh.forward)
        return FullPanels(self._Wx.forward), Recurrent(Wh, own)

    def reduced(self, precision: WeightsName) -> tuple[Any, Any]:
        """Round the weights of all layers, and lay them out as generating reads them.

        Returns
        -------
        Wh, Wx : Bfloat16Panels or Int8Panels
            Of all layers, and of all but the first, without room for a team.
        """
        from charrnn.kernels import reduced  # of use to nobody else

        (GH, _), H = self.layers[0].weights.Wh.shape, self.config.hidden
        Wh = np.stack([layer.weights.Wh for layer in self.layers])
        Wx = np.zeros((len(self.layers) - 1, GH, H), np.float32)
        for k, layer in enumerate(self.layers[1:]):
            Wx[k] = layer.weights.Wx
        room = self.new_room(shared=False)
        if precision == "bfloat16":
            make: Any = reduced.bfloat16_panels
        else:
            make = reduced.int8_panels
        return make(Wh, room, 0), make(Wx, room, len(Wh))

    def new_room(self, *, shared: bool) -> Any:
        """Make room for what several threads share of a product; see `kernels.team`."""
        GH, KH = self.layers[0].weights.Wh.shape
        return team.new_room(KH, GH, shared=shared)

    def new_tape(self, T: int, B: int) -> Any:
        """Make room for what one layer leaves behind in a window (T, B)."""
        settings = [getattr(self.config, name) for name in self.cell.settings]
        H, lags = self.config.hidden, self.config.lags
        tape = self.kernels.new_tape(T, B, H, self._dtype, *settings)
        if self._rounds_recurrent and can_be_narrow(self.kernels):
            _, _, GH = tape.z.shape
            tape = tape._replace(
                z=aligned_zeros((1, B, GH), self._dtype),
                z16=aligned_zeros((T, B, GH), np.uint16),
            )
        if len(lags) > 1:
            linked = new_links(lags, T, B, H, self._dtype)._asdict()
            tape = tape._replace(**linked)
        return tape

    def new_state(self, B: int) -> Floats:
        """Make a zero state of B rows; see `parameters.state_shape`."""
        return np.zeros(state_shape(self.config, B), self._dtype)

    def workspace(self, T: int, B: int) -> Workspace:
        """Find this thread's room for windows (T, B); a few shapes are kept."""
        kept = self._kept.by_shape
        if (T, B) not in kept:
            if len(kept) >= 8:
                kept.pop(next(iter(kept)))
            H = self.config.hidden
            tapes = [self.new_tape(T, B) for _ in self.layers]
            norms = [self.norm.new_tape(T * B, H) for _ in tapes]
            itemsize = self._dtype.itemsize
            row_bytes = B * len(self.cell.gates) * H * itemsize
            largest = B * max(row_bytes // B, self.config.vocab_size * itemsize)
            chunk = max(
                CHUNK_BYTES // row_bytes,
                self._matrix_bytes // largest,
                -(-CHUNK_ROWS // B),
            )
            if self.config.norm == "batch":
                chunk = T
            crew = Crew(row_cuts(B, self._threads))
            trainers = self._with_helpers(B) or crew
            kept[T, B] = Workspace(crew, trainers, tapes, norms, min(T, chunk), [])
        return kept[T, B]

    def forward(
        self,
        window: Window,
        state: Floats,
        noise: Noise | None = None,
        *,
        training: bool = False,
    ) -> Passed:
        """Run a window through all layers.

        Parameters
        ----------
        window : Window
        state : (L, S + M - 1, B, H) float array
            On entry the state before the window, on exit the one after it.
        noise : Noise, optional
            For dropout after every layer, in training.
        training : bool
            Whether batch normalization goes by the window itself, or by the
            averages that training has kept.
        """
        T, B = window.inputs.shape
        space = self.workspace(T, B)
        changed = noise is not None or self.norm.kind != "none"
        apart = changed or bool(window.resets[1:].any())
        if apart:
            space.keep_apart()
        outputs: list[Floats] = []
        crew = space.trainers if training else space.crew
        for k, (layer, tape) in enumerate(zip(self.layers, space.tapes, strict=True)):
            kinds, past = len(tape.states), state[k, len(tape.states) :]
            tape.states[:, 0] = state[k, :kinds]
            if past.size:
                tape.past[...] = past
            read = self._inputs(k, window.inputs, outputs)
            outputs.append(space.apart[k] if apart else space.hidden(k))
            into = outputs[k] if apart else outputs[k][:0]
            self.loops.forward(
                layer.ahead, read, crew.room, tape, into, window.resets, crew.cuts,
                crew.helpers,
            )  # fmt: skip
            state[k, :kinds] = tape.states[:, T]
            if past.size:
                lagged.carry(tape, past)
            y = outputs[k].reshape(T * B, -1)
            self.norm.forward(k, y, space.norms[k], training=training)
            if noise is not None:
                dropout.drop(y, noise.bytes[k], noise.threshold, self._threads)
        return Passed(window, space, outputs, noise, training)

    def backward(
        self,
        passed: Passed,
        steps: range,
        dy: Floats,
        gradients: Sequence[LayerParameters] | None = None,
        on_layer: OnLayer | None = None,
    ) -> None:
        """Carry the gradient of the outputs of some steps down through all layers.

        Parameters
        ----------
        passed : Passed
            A window, whose later steps have been gone back through. On exit each
            tape's ``dstates`` is the gradient of the states before these steps.
        steps : range
            Which steps, one after another.
        dy : (len(steps) * B, H) float array
            Gradient of the last layer's outputs; changed on the way.
        gradients : sequence of LayerParameters, optional
            One a layer, accumulated into; None where nobody wants them.
        on_layer : callable, optional
            Is shown the gradients; see `OnLayer`.
        """
        window, space = passed.window, passed.space
        (T, B), first, last = window.inputs.shape, steps.start, steps.stop
        rows = slice(first * B, last * B)
        crew = space.trainers if passed.training else space.crew
        for k in reversed(range(self.config.layers)):
            layer, tape = self.layers[k], space.tapes[k]
            into = None if gradients is None else gradients[k]
            if passed.noise is not None:
                noise, threshold = passed.noise.bytes[k, rows], passed.noise.threshold
                dropout.drop(dy, noise, threshold, self._threads)
            self.norm.backward(
                k, dy, rows, space.norms[k], into, training=passed.training
            )
            by_step = dy.reshape(last - first, B, -1)
            if on_layer is not None:
                on_layer(k, by_step)
            read = self._inputs(k, window.inputs, passed.outputs)
            if has_lags(tape):
                lagged.begin_back(tape, whole=last == T)
            self.loops.backward(
                layer.back, read, crew.room, tape, by_step, window.resets, crew.cuts,
                crew.helpers, first, last,
            )  # fmt: skip
            if into is not None:
                seen = tape.seen if has_lags(tape) else tape.states[0, :T]
                self._add_recurrent_gradients(
                    tape, rows, seen.reshape(T * B, -1)[rows], into
                )
                self._add_input_gradients(k, passed, rows, into)

    def _with_helpers(self, B: int) -> Crew | None:
        """Let threads without a row help, if B rows are too few for all of them.

        None where that is not worth it: see `kernels.few_rows`.
        """
        largest = max(panels[0].nbytes for panels in self._Wh)
        if self.products is not PLAIN or largest < team.SHARED_BYTES:
            return None
        threads = min(self._threads, team.MOST_WORKERS)
        if threads <= B or B > team.MOST_ROWS or not team.POSSIBLE:
            return None
        most = max(self.layers[0].weights.Wh.shape)
        room = team.new_room(most, most, shared=True, dtype=self._dtype)
        return Crew(row_cuts(B, 1), threads - 1, room)

    def _inputs(self, k: int, ids: Ids, outputs: Sequence[Floats]) -> inputs.Inputs:
        """Say what layer k reads in a window: characters, or the layer below."""
        layer = self.layers[k]
        if layer.Wx is None:
            of_layer = layer.weights
            return inputs.characters(ids, of_layer.Wx, of_layer.b, self._nothing)
        return inputs.outputs_below(outputs[k - 1], layer.Wx, layer.weights.b)

    def _add_recurrent_gradients(
        self, tape: Any, rows: slice, seen: Floats, into: LayerParameters
    ) -> None:
        """Add the gradients of the recurrence, of some rows of a tape."""
        operands = tape, rows, seen, into.Wh, into.own, self._threads
        if self._rounds_recurrent:
            self.kernels.add_gradients(*operands, add=self.products.add_gradient)
        else:
            self.kernels.add_gradients(*operands)

    def _add_input_gradients(
        self, k: int, passed: Passed, rows: slice, into: LayerParameters
    ) -> None:
        """Add the gradients of z = x Wx^T + b, some rows of layer k."""
        dz = gradient_of_z(passed.tapes[k])
        dz = dz.reshape(-1, dz.shape[2])[rows]
        if self.layers[k].Wx is None:
            ids = passed.window.inputs.reshape(-1)[rows]
            inputs.scatter(ids, dz, into.Wx, into.b, self._threads)
        else:
            x = passed.outputs[k - 1].reshape(-1, self.config.hidden)[rows]
            self.products.add_gradient(dz, x, into.Wx, into.b, self._threads)
