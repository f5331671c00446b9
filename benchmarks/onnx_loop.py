"""ONNX Runtime's side: the same networks, a loop that draws, in float32 and int8.

The graph is what an export of PyTorch's modules comes to: an embedding, ONNX's own
LSTM, GRU or RNN, and a matrix product. For int8 its weights are quantized by ONNX
Runtime's `quantize_dynamic`. Probabilities are drawn from in NumPy. It is optional
(the extra "bench").
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from timing import Side

try:
    import onnx
    import onnxruntime
    from onnxruntime.quantization import quantize_dynamic
except ImportError:
    onnx = None

#: Characters that one call of `sampling` draws.
DRAWN = 32

#: Blocks of rows in the weights of each kind of cell.
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def installed() -> bool:
    """Tell whether there is an ONNX Runtime to compare with."""
    return onnx is not None


def _graph(cell: str, layers: int, hidden: int, vocab_size: int) -> Any:
    """Make a model of one step: a character and states in, logits and states out."""
    helper, rng = onnx.helper, np.random.default_rng(0)
    real, rows = onnx.TensorProto.FLOAT, GATES[cell] * hidden
    scale, kinds = hidden**-0.5, ["h", "c"] if cell == "lstm" else ["h"]
    constants, nodes = [], []

    def constant(name: str, *shape: int) -> str:
        values = rng.uniform(-scale, scale, shape).astype(np.float32)
        constants.append(onnx.numpy_helper.from_array(values, name))
        return name

    table = constant("embedding", vocab_size, hidden)
    nodes.append(helper.make_node("Gather", [table, "ids"], ["x"]))
    x, inputs, outputs = "x", [], []
    for k in range(layers):
        states = [f"{kind}{k}" for kind in kinds]
        weights = [
            constant(f"W{k}", 1, rows, hidden),
            constant(f"R{k}", 1, rows, hidden),
            constant(f"B{k}", 1, 2 * rows),
        ]
        after = [f"{state}_after" for state in states]
        options = {"linear_before_reset": 1} if cell == "gru" else {}
        nodes.append(
            helper.make_node(
                cell.upper(), [x, *weights, "", *states], [f"y{k}", *after],
                hidden_size=hidden, **options,
            )
        )  # fmt: skip
        # (T, directions, B, H) without directions
        axis = onnx.numpy_helper.from_array(np.array([1]), f"axis{k}")
        constants.append(axis)
        nodes.append(helper.make_node("Squeeze", [f"y{k}", f"axis{k}"], [f"x{k}"]))
        x = f"x{k}"
        shape = [1, 1, hidden]
        inputs += [helper.make_tensor_value_info(s, real, shape) for s in states]
        outputs += [helper.make_tensor_value_info(s, real, shape) for s in after]
    output = constant("output", hidden, vocab_size)
    nodes.append(helper.make_node("MatMul", [x, output], ["logits"]))
    ids = helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [1, 1])
    logits = helper.make_tensor_value_info("logits", real, [1, 1, vocab_size])
    graph = helper.make_graph(
        nodes, "network", [ids, *inputs], [logits, *outputs], constants
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def sampling(
    network: tuple[str, int, int, int], temperature: float, threads: int, *, int8: bool
) -> Side:
    """Make the loop that feeds one character and draws the next.

    Parameters
    ----------
    network : (cell, layers, hidden, vocab_size)
    int8 : bool
        Whether weights are quantized.

    Returns
    -------
    Side
        Its work is in characters.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "network.onnx"
        onnx.save(_graph(*network), path)
        if int8:
            quantize_dynamic(path, path.with_name("int8.onnx"))
            path = path.with_name("int8.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        session = onnxruntime.InferenceSession(path, options)
    states = [given.name for given in session.get_inputs()[1:]]
    ids = np.zeros((1, 1), np.int64)
    fed = {name: np.zeros((1, 1, network[2]), np.float32) for name in states}
    rng = np.random.default_rng(0)

    def draw() -> float:
        for _ in range(DRAWN):
            logits, *after = session.run(None, {"ids": ids, **fed})
            fed.update(zip(states, after, strict=True))
            z = logits[0, 0] / temperature
            sums = np.exp(z - z.max()).cumsum()
            ids[0, 0] = min(np.searchsorted(sums, rng.random() * sums[-1]), len(z) - 1)
        return DRAWN

    draw()
    return draw
