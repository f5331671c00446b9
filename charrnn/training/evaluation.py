"""Scoring the held-out text, each rank a part of it, with one result for all."""

import numpy as np

from charrnn.arrays import PackedIds
from charrnn.pairs import Accuracy, Pairs
from charrnn.textmodel import TextModel
from charrnn.training.ranks import Asked, Ranks


def mean_loss(
    model: TextModel, held_out: PackedIds, ranks: Ranks, asked: Asked
) -> float:
    """Compute the mean loss of a text, of whose pieces every rank reads some.

    Parameters
    ----------
    held_out : (N,) int array
        The text, N >= 1.
    asked : callable
        Whether the run is to end, asked equally often, and answered in the same way,
        on all ranks.

    Raises
    ------
    Stopped
        `asked` said yes.

    Returns
    -------
    float
        As from `TextModel.mean_loss`, to within the order of a sum in float64.
    """
    if ranks.size == 1:
        return model.mean_loss(held_out, asked)
    sums = np.array(model.loss_sum(held_out, asked, (ranks.rank, ranks.size)))
    ranks.reduce(sums)
    total, count = sums.tolist()
    return total / max(1.0, count)


def accuracy(
    model: TextModel, pairs: Pairs, ranks: Ranks, asked: Asked
) -> Accuracy | None:
    """Score the outputs of pairs, of which every rank writes some.

    Parameters
    ----------
    asked : callable
        Whether this rank is asked for an end, which others need not know; must stay
        with a yes.

    Raises
    ------
    Stopped
        Some rank was asked for an end.

    Returns
    -------
    Accuracy or None
        As from `TextModel.accuracy`, exactly.
    """
    if ranks.size == 1:
        return model.accuracy(pairs, asked)
    some = slice(ranks.rank, None, ranks.size)
    own = Pairs(pairs.inputs[some], pairs.outputs[some])
    parts = ranks.collect(lambda: model.outputs(own, asked) if len(own) else [])
    return pairs.accuracy(
        parts[n % ranks.size][n // ranks.size] for n in range(len(pairs))
    )
