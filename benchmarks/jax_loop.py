"""JAX's side: the same networks, as one compiled loop that draws.

It is written as one would for speed: `lax.scan` over characters, and layer 0's
product with a one-hot vector as a look-up. JAX is optional (the extra "bench").
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
    i, f, o, g = jnp.split(z + zh, 4)
    c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return h, (h, c)


def _gru(z: Any, zh: Any, state: Any) -> tuple[Any, Any]:
    (z_r, z_u, z_n), (h_r, h_u, h_n) = jnp.split(z, 3), jnp.split(zh, 3)
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
    cell, layers, hidden, vocab_size = network
    rows, scale = GATES[cell] * hidden, hidden**-0.5
    keys = iter(jax.random.split(jax.random.key(0), 4 * layers + 3))

    def weights(*shape: int) -> Any:
        return jax.random.uniform(next(keys), shape, minval=-scale, maxval=scale)

    first = weights(vocab_size, rows), weights(hidden, rows), weights(rows)
    others = [
        (weights(hidden, rows), weights(hidden, rows), weights(rows))
        for _ in range(layers - 1)
    ]
    output = weights(hidden, vocab_size)
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

    parameters = [first, *others]

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
