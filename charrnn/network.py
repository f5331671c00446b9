"""A network: characters -> layers -> logits -> loss -> gradient.

    ids (T, B) --> layers (`stack`) --> y (T, B, H) --> logits (T, B, V)
                                                              |
                          loss <-- softmax cross-entropy <----+

The network owns one flat buffer of parameters and the packed copies that the
products read. Windows of any T and B run through the same kernels, in training
and in evaluation; generating (`kernels.generator`) takes the same steps of the
same cells. Threads work on blocks of batch rows while time passes (or on columns
of weights, where there are fewer rows than threads), and on blocks of weight rows
when the gradients of the weights are formed from the stacked results; no number
depends on how many threads there are.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from charrnn import parameters
from charrnn.arrays import Floats, Ids, aligned_zeros
from charrnn.config import ModelConfig, PrecisionName, WeightsName
from charrnn.errors import CharRNNError, MissingComponentError
from charrnn.kernels import dropout, head
from charrnn.kernels.generator import Inference
from charrnn.kernels.head import HeadTape
from charrnn.kernels.products import PLAIN, Products, bfloat16_products
from charrnn.kernels.threads import limited, lost_by_fork, missing_layer, usable
from charrnn.parameters import LayerParameters, Parameters
from charrnn.processors import bfloat16_form
from charrnn.stack import Noise, OnLayer, Passed, Stack, Workspace
from charrnn.windows import Window


def products_of(precision: PrecisionName) -> Products:
    """Say what products are made of in a precision, on this machine.

    Raises
    ------
    MissingComponentError
        The machine does not have it.
    """
    if precision == "float32":
        return PLAIN
    return bfloat16_products(bfloat16_form())


class Network:
    """A stack of recurrent layers with a softmax on top.

    Parameters
    ----------
    config : ModelConfig
    dtype : numpy dtype
        float32; float64 for gradient checks.
    threads : int
        At most; see ``threads`` for the number in force while it computes.
    products : Products
        What its layers' products are made of; the head's are of its own type. With
        others than `PLAIN` it can be trained, but not generate.

    Attributes
    ----------
    parameters : Parameters
        Views of all parameters, by layer.
    theta : (P,) float array
        All parameters. Call `pack` after changing them.
    weights : dict of arrays
        Named views into theta, as `parameters.table` lists them.
    products, head_products : Products
        The layers', and the head's.
    stack : Stack
        The layers.
    norm : Normalization
        What is done to the layers' outputs, with running averages of its own.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        dtype: Any = np.float32,
        threads: int = 1,
        products: Products = PLAIN,
    ) -> None:
        if why := missing_layer():
            msg = f"NUMBA_THREADING_LAYER cannot be had: {why}"
            raise MissingComponentError(msg, hint="unset it, or set it to another one")
        self.config = config
        self.dtype = np.dtype(dtype)
        self.threads = usable(threads)
        self.theta = aligned_zeros(parameters.size(config), self.dtype)
        self.parameters = Parameters(self.theta, config)
        self.weights = self.parameters.by_name
        self.products = products
        self.stack = Stack(config, self.parameters, self.threads, products)
        self.norm = self.stack.norm
        self.head_products = PLAIN
        Wy = self.head_products.new_packed(config.vocab_size, config.hidden, self.dtype)
        self.head = head.Head(Wy, self.parameters.by)
        #: Panels of the layers in fewer bits, made when first wanted.
        self._reduced: dict[WeightsName, tuple[Any, Any]] = {}
        #: Room for the gradients of logits and outputs, made when first wanted.
        self._dlogits = np.zeros((0, config.vocab_size), self.dtype)
        self._dy = np.zeros((0, config.hidden), self.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle the tensors; the rest is made anew of them."""
        return _of_tensors, (self.config, self.tensors, self.dtype.name, self.threads)

    def at_work(self) -> AbstractContextManager[None]:
        """Let the kernels that are called inside use this network's threads.

        Raises
        ------
        CharRNNError
            The process was forked when the kernels' threads were under way.
        """
        if lost_by_fork():
            msg = "this process was forked from one that had used a network already"
            hint = (
                'start processes by "spawn" instead: '
                'multiprocessing.get_context("spawn"), or fork before the first use'
            )
            raise CharRNNError(msg, hint=hint)
        return limited(self.threads)

    @property
    def tensors(self) -> dict[str, Floats]:
        """All that makes up the network, by name: parameters, running averages."""
        return self.weights | self.norm.running

    @property
    def nbytes(self) -> int:
        """Memory that the weights and their packed copies take, in bytes."""
        packed = sum(panels.nbytes for panels in self.head.Wy)
        return self.theta.nbytes + packed + self.stack.nbytes

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
        self._reduced.clear()
        self.stack.pack()
        self.head_products.pack(self.parameters.Wy, self.head.Wy)

    def inference(
        self, precision: WeightsName = "float32", *, shared: bool = False
    ) -> Inference:
        """Lay the weights out as generating reads them; vectors are copied.

        Parameters
        ----------
        precision : {"float32", "bfloat16", "int8"}
            Of the matrices of layers, but for that of layer 0 which is looked up. They
            are rounded once, until the next `pack`.
        shared : bool
            Whether several threads may share their products: see `kernels.team`.
        """
        Wx, recurrent = self.stack.packed()
        if precision != "float32":
            if precision not in self._reduced:
                self._reduced[precision] = self.stack.reduced(precision)
            Wh, Wx = self._reduced[precision]
            room = self.stack.new_room(shared=shared)
            recurrent = recurrent._replace(Wh=Wh._replace(room=room))
            Wx = Wx._replace(room=room)
        code, gain, shift = self.norm.inference()
        return Inference(
            table=self.parameters.layers[0].Wx,
            b=np.stack([layer.b for layer in self.parameters.layers]),
            Wx=Wx,
            recurrent=recurrent,
            norm=code,
            gain=gain,
            shift=shift,
            Wy=self.head.Wy.forward,
            by=self.parameters.by,
        )

    def new_state(self, B: int) -> Floats:
        """Make a zero state of B rows; see `parameters.state_shape`."""
        return self.stack.new_state(B)

    def workspace(self, T: int, B: int) -> Workspace:
        """Find the room that windows (T, B) take."""
        return self.stack.workspace(T, B)

    def forward(
        self, window: Window, state: Floats, *, training: bool = False
    ) -> Passed:
        """Run a window through all layers, without dropout.

        Parameters
        ----------
        window : Window
        state : (L, S + M - 1, B, H) float array
            On entry the state before the window, on exit the one after it.
        training : bool
            Whether batch normalization goes by the window itself, or by the
            averages that training has kept.
        """
        with self.at_work():
            return self.stack.forward(window, state, training=training)

    def logits(self, window: Window, state: Floats) -> Floats:
        """Compute the logits after every input, (T, B, V); see `forward`."""
        T, B = window.inputs.shape
        with self.at_work():
            passed = self.stack.forward(window, state)
            out = np.empty((T * B, self.config.vocab_size), self.dtype)
            head.logits(self.head, passed.y, out, self.threads)
        return out.reshape(T, B, -1)

    def losses(self, window: Window, state: Floats) -> Floats:
        """Compute the loss of every target in nats, (T, B) float64; 0 where ignored."""
        T, B = window.inputs.shape
        with self.at_work():
            passed = self.stack.forward(window, state)
            out = np.empty(T * B)
            targets = window.targets.reshape(-1)
            head.losses(self.head, passed.y, targets, out, self.threads)
        return out.reshape(T, B)

    def loss_and_gradient(
        self,
        window: Window,
        state: Floats,
        dtheta: Floats,
        noise: Noise | None = None,
        weight_noise: Noise | None = None,
        count: int | None = None,
    ) -> float:
        """Compute a window's mean loss, and its gradient by backpropagation.

        Parameters
        ----------
        window : Window
        state : (L, S + M - 1, B, H) float array
            On entry the state before the window, on exit the one after it.
        dtheta : (P,) float array
            Accumulated into.
        noise : Noise, optional
            For dropout of outputs.
        weight_noise : Noise, optional
            For dropout of recurrent weights: one mask for all steps and rows of
            the window. Call `pack` before the network is used for anything else.
        count : int, optional
            What loss and gradient are divided by, where that is not the number of the
            window's targets: 1 gives sums over them.

        Returns
        -------
        float
            Nats per target, or divided by `count`.
        """
        T, B = window.inputs.shape
        gradients = Parameters(dtheta, self.config)
        layers: list[LayerParameters] = list(gradients.layers)
        with self.at_work():
            if weight_noise is not None:
                self.stack.pack_dropped(weight_noise)
                layers = [g._replace(Wh=np.zeros_like(g.Wh)) for g in layers]
            passed = self.stack.forward(window, state, noise, training=True)
            losses = np.empty(T * B)
            if count is None:
                count = max(1, int(np.count_nonzero(window.targets >= 0)))
            chunk = passed.space.chunk
            for first in reversed(range(0, T, chunk)):
                steps = range(first, min(T, first + chunk))
                rows = slice(steps.start * B, steps.stop * B)
                tape = self._head_tape(losses[rows])
                self._head_backward(passed, rows, 1 / count, tape, gradients)
                self.stack.backward(passed, steps, tape.dy, layers)
            if weight_noise is not None:
                self._add_kept(weight_noise, layers, gradients)
        return float(losses.sum()) / count

    def backward(
        self,
        passed: Passed,
        steps: range,
        dy: Floats,
        on_layer: OnLayer,
    ) -> None:
        """Carry a gradient back through some steps, for whoever watches it.

        Parameters
        ----------
        passed : Passed
            A window, whose later steps have been gone back through.
        steps : range
            Which steps, one after another.
        dy : (len(steps) * B, H) float array
            Gradient of the last layer's outputs; changed on the way.
        on_layer : callable
            Is shown the gradients; see `stack.OnLayer`.
        """
        with self.at_work():
            self.stack.backward(passed, steps, dy, on_layer=on_layer)

    def loss_gradient(self, y: Floats, targets: Ids) -> Floats:
        """Compute the gradient of each row's loss with respect to its outputs.

        Parameters
        ----------
        y : (N, H) float array
            Outputs of the last layer.
        targets : (N,) int array

        Returns
        -------
        (N, H) float array
        """
        tape = HeadTape(
            np.empty(len(y)),
            np.zeros((len(y), self.config.vocab_size), self.dtype),
            np.zeros_like(y),
        )
        with self.at_work():
            head.loss_and_gradient(self.head, y, targets, 1.0, tape, self.threads)
        return tape.dy

    def _head_tape(self, losses: Floats) -> HeadTape:
        """Find room for the head's gradients of as many rows as there are losses."""
        rows = len(losses)
        if rows > len(self._dlogits):
            self._dlogits = aligned_zeros((rows, self.config.vocab_size), self.dtype)
            self._dy = aligned_zeros((rows, self.config.hidden), self.dtype)
        return HeadTape(losses, self._dlogits[:rows], self._dy[:rows])

    def _head_backward(
        self,
        passed: Passed,
        rows: slice,
        scale: float,
        tape: HeadTape,
        gradients: Parameters,
    ) -> None:
        """Score some rows, and take the gradient down to the outputs y."""
        y, targets = passed.y[rows], passed.window.targets.reshape(-1)[rows]
        head.loss_and_gradient(self.head, y, targets, scale, tape, self.threads)
        # logits = y Wy^T + by
        self.head_products.add_gradient(
            tape.dlogits, y, gradients.Wy, gradients.by, self.threads
        )

    def _add_kept(
        self,
        weight_noise: Noise,
        dropped: list[LayerParameters],
        gradients: Parameters,
    ) -> None:
        """Add the gradients of the recurrent weights that were not dropped."""
        for k, layer in enumerate(gradients.layers):
            # dropped = mask * Wh
            dWh = dropped[k].Wh
            dropout.drop(
                dWh, weight_noise.bytes[k], weight_noise.threshold, self.threads
            )
            layer.Wh[...] += dWh


def _of_tensors(
    config: ModelConfig, tensors: Mapping[str, Floats], dtype: str, threads: int
) -> Network:
    """Make a network of its tensors again."""
    network = Network(config, dtype=dtype, threads=threads)
    network.load(tensors)
    return network
