"""Outputs of many inputs at once, always by the likeliest character.

Rows of a batch never meet, and no random number is used: an output depends on the
model and on its input, and on nothing else.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Ids
from charrnn.config import SampleConfig, SamplePrecision
from charrnn.generation.following import Walk
from charrnn.generation.sampler import Model, Sampler, Shard
from charrnn.kernels.threads import row_cuts

#: Characters of an output, at most, where nothing else is said: some model never
#: ends one.
LONGEST = 2000

#: Inputs that one thread reads side by side, at most, and steps between two looks at
#: which outputs have ended.
ROWS, STEPS = 128, 8


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """Nobody waits any more for what was to be computed."""


class Answer:
    """One output on its way.

    Parameters
    ----------
    number : int
        The input's.
    end : int
        The character that ends an output.
    longest : int
        Characters, at most.
    """

    def __init__(self, number: int, end: int, longest: int) -> None:
        self.number = number
        self.left = longest
        self.ended = longest == 0
        self._end = end
        self._parts: list[Ids] = []

    walk: Walk | None = None  # an output of pairs follows no pattern here

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Give zeros, (count,): the likeliest character needs no random number."""
        return np.zeros(count)

    def add(self, ids: Ids) -> None:
        """Take some more characters in, up to the end."""
        ids = ids[: self.left]
        ends = np.flatnonzero(ids == self._end)
        if ends.size:
            ids = ids[: ends[0]]
        self._parts.append(ids)
        self.left -= ids.size
        self.ended = bool(ends.size) or self.left == 0

    @property
    def ids(self) -> Ids:
        """The output so far, without its end."""
        return np.concatenate([np.zeros(0, np.int32), *self._parts])


def given_to(model: Model, given: Ids) -> Ids:
    """Say what a model of pairs reads before it writes an output.

    Parameters
    ----------
    given : (N,) int array
        The input.

    Returns
    -------
    (N + 2,) int array
        A newline, as if a pair had just ended; the input; the separator.
    """
    documents = model.documents
    return np.array([documents.before, *given, documents.separator], np.int32)


def decode(
    model: Model,
    inputs: Sequence[Ids],
    longest: int | Sequence[int] = LONGEST,
    stopped: Callable[[], bool] = lambda: False,
    *,
    precision: SamplePrecision = "float32",
) -> list[Ids]:
    """Write the output of every input, character by character the likeliest one.

    Where the model has a memory that blends in, the likeliest one by both.

    Parameters
    ----------
    model : Model
        Of pairs.
    inputs : sequence of (N,) int arrays
        Without separators.
    longest : int or sequence of int
        Characters of an output, at most: of all, or of each. One that is as long has
        not ended.
    stopped : callable
        Asked by every thread, before each `STEPS` steps, whether to give up; must
        stay with a yes.
    precision : str
        See `config.SampleConfig`; not rounded unless that is asked for, so that what
        is right is counted of the model itself.

    Returns
    -------
    list of (n,) int arrays
        Without newlines, in the order of the inputs.

    Raises
    ------
    Stopped
        `stopped` said yes.
    ValueError
        The model is not one of pairs.
    """
    end = model.documents.start
    if model.documents.separator is None or end is None:
        msg = "not a model of pairs"
        raise ValueError(msg)
    limits = [longest] * len(inputs) if isinstance(longest, int) else longest
    answers = [Answer(n, end, most) for n, most in enumerate(limits)]
    given = [given_to(model, each) for each in inputs]
    # Inputs of one length are read to their ends at the same time.
    order = sorted(range(len(inputs)), key=lambda n: (len(inputs[n]), n))
    sampler = Sampler(model, SampleConfig(temperature=0.0, precision=precision))
    shards = []
    for part in _parts(order, model.network.threads):
        state = model.network.new_state(len(part))
        rows = [answers[n] for n in part], state, given[0][:0]
        reading = model.reading().continued(learns=False)
        shards.append(Shard(sampler, *rows, [given[n] for n in part], reading))
    with ThreadPoolExecutor(model.network.threads) as pool:
        list(pool.map(partial(_finish, stopped=stopped), shards))
    return [answer.ids for answer in answers]


def _parts(order: list[int], threads: int) -> list[list[int]]:
    """Share inputs out: at most `ROWS` to a part, and a part to each thread."""
    most = ROWS * threads
    found = []
    for first in range(0, len(order), most):
        some = order[first : first + most]
        cuts = row_cuts(len(some), threads).tolist()
        found += [some[a:b] for a, b in pairwise(cuts) if a < b]
    return found


def _finish(shard: Shard[Answer], stopped: Callable[[], bool]) -> None:
    """Take the rows of a shard to their ends, or raise `Stopped`."""
    while shard.drop_ended():
        if stopped():
            raise Stopped
        chosen, _ = shard.run(STEPS, 1)
        for answer, ids in zip(shard.samples, chosen, strict=True):
            answer.add(ids)
