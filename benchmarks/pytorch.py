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
    network: tuple[str, int, int, int],
    temperature: float,
    threads: int,
    *,
    onednn: bool,
) -> Side:
    """Make the loop that feeds one character and draws the next.

    Parameters
    ----------
    network : (cell, layers, hidden, vocab_size)
    onednn : bool
        Whether PyTorch may use the kernels of oneDNN.

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
        torch.backends.mkldnn.enabled = onednn
        with torch.inference_mode():
            for _ in range(DRAWN):
                outputs, state = recurrent(embedding(ids), state)
                logits = output(outputs[0])
                shares = torch.softmax(logits / temperature, dim=-1)
                ids = torch.multinomial(shares, 1)
        return DRAWN

    draw()
    return draw


def trained(
    texts: tuple[Any, Any],
    vocab_size: int,
    before: int,
    seconds: float,
    threads: int,
    shape: dict[str, int],
) -> tuple[float, float]:
    """Train an LSTM for some seconds, as charrnn does, and score the held-out text.

    Adam's constants, the peak rate, the warm-up and the cosine are those of
    `charrnn train`; so are the streams and the state that is carried along.

    Parameters
    ----------
    texts : pair of (N,) unsigned arrays
        To train on, and held out.
    before : int
        What stands before both.
    seconds : float
        Of training steps.
    shape : dict
        hidden, layers, batch_size, seq_length.

    Returns
    -------
    loss, epochs : float
        Nats per character of one pass over the held-out text, and passes over
        the other.
    """
    import time

    from charrnn.config import ModelConfig, TrainConfig
    from charrnn.schedules import learning_rate
    from charrnn.streams import Streams
    from charrnn.training.plan import peak_rate

    torch.set_num_threads(threads)
    H, L, V = shape["hidden"], shape["layers"], vocab_size
    B, T = shape["batch_size"], shape["seq_length"]
    embedding, recurrent, output = parts = _network("lstm", L, H, V)
    weights = [w for part in parts for w in part.parameters()]
    peak = peak_rate(ModelConfig(vocab_size=V, cell="lstm", hidden=H, layers=L))
    config = TrainConfig(batch_size=B, seq_length=T, time=seconds, lr=peak)
    optimizer = torch.optim.AdamW(
        weights, lr=peak, betas=(0.9, 0.99), weight_decay=0.0, fused=True
    )
    streams = Streams(texts[0], B, T, before)
    state: Any = None
    steps, elapsed = 0, 0.0
    while elapsed < seconds:
        began = time.perf_counter()
        epoch, k = divmod(steps, streams.windows)
        window = streams.window(epoch, k)
        ids, targets = (
            torch.from_numpy(a).long() for a in (window.inputs, window.targets)
        )
        rate = learning_rate(config, steps, elapsed / seconds, None)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        outputs, after = recurrent(embedding(ids), state)
        logits = output(outputs).reshape(-1, V)
        loss = torch.nn.functional.cross_entropy(
            logits, targets.reshape(-1), ignore_index=-1
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, config.grad_clip)
        optimizer.step()
        state = tuple(a.detach() for a in after)
        if k == streams.windows - 1:
            # Each stream goes on where the one before it has ended.
            state = tuple(a.roll(1, dims=1) for a in state)
            for a in state:
                a[:, 0] = 0
        steps += 1
        elapsed += time.perf_counter() - began
    held = torch.from_numpy(texts[1].astype("int64"))
    total, state, last = 0.0, None, torch.tensor([before])
    with torch.inference_mode():
        for a in range(0, len(held), 4096):
            piece = held[a : a + 4096]
            ids = torch.cat([last, piece[:-1]])[:, None]
            outputs, state = recurrent(embedding(ids), state)
            logits = output(outputs[:, 0])
            total += float(
                torch.nn.functional.cross_entropy(logits, piece, reduction="sum")
            )
            last = piece[-1:]
    return total / len(held), steps / streams.windows
