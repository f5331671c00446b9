"""PyTorch's side: the same networks, a training step and a loop that draws.

PyTorch is optional (the extra "bench"). It must be imported before charrnn,
whose choice of a short wait between kernels would else be PyTorch's too: with
it, a step of an LSTM 1 x 128 was as fast in two trials and a tenth slower in a
third. With its own, PyTorch comes almost to a stop while another process spins
on the same processors: its spread tells.
"""

import sys
from typing import Any

from timing import Side

if "charrnn.kernels.threads" in sys.modules:
    msg = "import pytorch before charrnn, so that its threads wait as they like"
    raise RuntimeError(msg)
try:
    import torch
except ImportError:
    torch = None

#: Characters that one call of `sampling` draws.
DRAWN = 32


def installed() -> bool:
    """Tell whether there is a PyTorch to compare with."""
    return torch is not None


def _network(cell: str, layers: int, hidden: int, vocab_size: int) -> tuple[Any, ...]:
    """Make embedding, recurrent layers and output layer, with random weights."""
    torch.manual_seed(0)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
    return (
        torch.nn.Embedding(vocab_size, hidden),
        kind(hidden, hidden, layers),
        torch.nn.Linear(hidden, vocab_size),
    )


def training(
    network: tuple[str, int, int, int],
    shape: tuple[int, int],
    threads: int,
    *,
    bfloat16: bool,
) -> Side:
    """Make a training step: forward, loss, backward, clipping, fused AdamW.

    Parameters
    ----------
    network : (cell, layers, hidden, vocab_size)
    shape : (T, B)
    bfloat16 : bool
        Whether products run under autocast.

    Returns
    -------
    Side
        Its work is in characters.
    """
    T, B = shape
    V = network[-1]
    torch.set_num_threads(threads)
    embedding, recurrent, output = parts = _network(*network)
    weights = [w for part in parts for w in part.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, fused=True)
    ids = torch.randint(0, V, (T + 1, B))
    state: Any = None

    def step() -> float:
        nonlocal state
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            outputs, after = recurrent(embedding(ids[:-1]), state)
            logits = output(outputs)
        loss = torch.nn.functional.cross_entropy(
            logits.float().reshape(-1, V), ids[1:].reshape(-1)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if isinstance(after, tuple):
            state = tuple(a.detach() for a in after)
        else:
            state = after.detach()
        return T * B

    step()
    return step


def sampling(
    network: tuple[str, int, int, int], temperature: float, threads: int
) -> Side:
    """Make the loop that feeds one character and draws the next.

    Parameters
    ----------
    network : (cell, layers, hidden, vocab_size)

    Returns
    -------
    Side
        Its work is in characters.
    """
    embedding, recurrent, output = _network(*network)
    ids = torch.zeros((1, 1), dtype=torch.int64)
    state: Any = None

    def draw() -> float:
        nonlocal ids, state
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for _ in range(DRAWN):
                outputs, state = recurrent(embedding(ids), state)
                logits = output(outputs[0])
                shares = torch.softmax(logits / temperature, dim=-1)
                ids = torch.multinomial(shares, 1)
        return DRAWN

    draw()
    return draw
