"""JAX's side: the same networks, a compiled training step, a compiled loop that draws.

Both are written as one would for speed: `lax.scan` over characters, layer 0's product
with a one-hot vector as a look-up, and in training one product for what enters a layer
in a whole window. JAX is optional (the extra "bench").
"""

from collections.abc import Callable
from typing import Any

from timing import Side

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None

#: Characters that one call of the compiled loop draws.
DRAWN = 256

#: Blocks of columns in the weights of each kind of cell.
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def installed() -> bool:
    """Tell whether there is a JAX to compare with."""
    return jax is not None


def _lstm(z: Any, zh: Any, state: Any) -> tuple[Any, Any]:
    i, f, o, g = jnp.split(z + zh, 4, axis=-1)
    c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return h, (h, c)


def _gru(z: Any, zh: Any, state: Any) -> tuple[Any, Any]:
    (z_r, z_u, z_n), (h_r, h_u, h_n) = (jnp.split(x, 3, axis=-1) for x in (z, zh))
    n = jnp.tanh(z_n + jax.nn.sigmoid(z_r + h_r) * h_n)
    h = n + jax.nn.sigmoid(z_u + h_u) * (state[0] - n)
    return h, (h,)


def _rnn(z: Any, zh: Any, state: Any) -> tuple[Any, Any]:
    h = jnp.tanh(z + zh)
    return h, (h,)


CELLS: dict[str, Callable[..., tuple[Any, Any]]] = {
    "lstm": _lstm,
    "gru": _gru,
    "rnn": _rnn,
}


def _first_weights(network: tuple[str, int, int, int]) -> tuple[list[Any], Any]:
    """Draw Wx, Wh and b of every layer, and the output's matrix."""
    cell, layers, hidden, vocab_size = network
    rows, scale = GATES[cell] * hidden, hidden**-0.5
    keys = iter(jax.random.split(jax.random.key(0), 3 * layers + 1))

    def weights(*shape: int) -> Any:
        return jax.random.uniform(next(keys), shape, minval=-scale, maxval=scale)

    read = [vocab_size] + [hidden] * (layers - 1)
    each = [(weights(n, rows), weights(hidden, rows), weights(rows)) for n in read]
    return each, weights(hidden, vocab_size)


def training(network: tuple[str, int, int, int], shape: tuple[int, int]) -> Side:
    """Make a training step: forward, loss, backward, clipping, Adam.

    Parameters
    ----------
    network : (cell, layers, hidden, vocab_size)
    shape : (T, B)

    Returns
    -------
    Side
        Its work is in characters.
    """
    cell, layers, hidden, vocab_size = network
    (T, B), advance = shape, CELLS[cell]
    ids = jax.random.randint(jax.random.key(1), (T + 1, B), 0, vocab_size)
    zeros = (jnp.zeros((B, hidden)),) * (2 if cell == "lstm" else 1)

    def loss_of(weights: Any, states: Any) -> Any:
        y, after = None, []
        for (Wx, Wh, b), state in zip(weights[0], states, strict=True):
            z = (Wx[ids[:-1]] if y is None else y @ Wx) + b

            def one(carried: Any, z_t: Any, Wh: Any = Wh) -> Any:
                h, carried = advance(z_t, carried[0] @ Wh, carried)
                return carried, h

            state, y = jax.lax.scan(one, state, z)
            after.append(state)
        likely = jax.nn.log_softmax(y @ weights[1])
        return -jnp.take_along_axis(likely, ids[1:, :, None], 2).mean(), after

    def step(weights: Any, moments: Any, states: Any, count: Any) -> Any:
        (loss, states), found = jax.value_and_grad(loss_of, has_aux=True)(
            weights, states
        )
        leaves = jax.tree.leaves(found)
        norm = jnp.sqrt(sum((g * g).sum() for g in leaves))
        found = jax.tree.map(lambda g: g * jnp.minimum(1, 1 / norm), found)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], found)
        second = jax.tree.map(lambda m, g: 0.999 * m + 0.001 * g * g, moments[1], found)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        weights = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-8), weights, first, second
        )
        return weights, (first, second), states, count + 1, loss

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    weights = _first_weights(network)
    moments = tuple(jax.tree.map(jnp.zeros_like, weights) for _ in range(2))
    states = [tuple(jnp.zeros_like(zero) for zero in zeros) for _ in range(layers)]
    kept: Any = weights, moments, states, jnp.float32(1)

    def take() -> float:
        nonlocal kept
        *kept, loss = compiled(*kept)
        loss.block_until_ready()
        return T * B

    take()
    return take


def sampling(network: tuple[str, int, int, int], temperature: float) -> Side:
    """Make the loop that feeds one character and draws the next.

    Parameters
    ----------
    network : (cell, layers, hidden, vocab_size)

    Returns
    -------
    Side
        Its work is in characters.
    """
    cell, layers, hidden, _ = network
    parameters, output = _first_weights(network)
    zeros = (jnp.zeros(hidden),) * (2 if cell == "lstm" else 1)
    step = CELLS[cell]

    def read(carried: Any, key: Any) -> tuple[Any, Any]:
        states, index = carried
        y, after = None, []
        for k, (Wx, Wh, b) in enumerate(parameters):
            z = (Wx[index] if y is None else y @ Wx) + b
            y, state = step(z, states[k][0] @ Wh, states[k])
            after.append(state)
        index = jax.random.categorical(key, y @ output / temperature)
        return (tuple(after), index), index

    def some(carried: Any, key: Any) -> Any:
        return jax.lax.scan(read, carried, jax.random.split(key, DRAWN))

    compiled = jax.jit(some)
    carried: Any = ((zeros,) * layers, jnp.int32(0))
    key = jax.random.key(1)

    def draw() -> float:
        nonlocal carried, key
        key, used = jax.random.split(key)
        carried, ids = compiled(carried, used)
        ids.block_until_ready()
        return DRAWN

    draw()
    return draw
