"""The n-grams of a run's text, and how much of a blend the network is to be.

A network knows what follows in general; counts know what stood there, and err at
other characters. So a model predicts better with both, each with a constant share:

    p = share * p of the network + (1 - share) * p of the n-grams

The order of the n-grams is the one that suits the held-out text best, and the share
the one that this text is likeliest by. A loss that is told has been found with a
share that does not know the text: each half is scored by the share of the other one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.checkpoint import Remembered
from charrnn.corpus import split
from charrnn.textmodel import Stopped, TextModel
from charrnn.training.job import Job
from charrnn.training.kneser_ney import (
    Counted,
    NGram,
    Probabilities,
    Texts,
    best_order,
)

#: Digits of a share. The loss is so flat at its lowest that more would tell nothing.
DIGITS = 3

#: Characters that the usual share is worth beside the held-out ones: where these are
#: few, chance would choose a share.
PRIOR = 10.0

#: Nats that a text must cost less by network or counts alone than by the fitted share,
#: for this one to be left out. The usual share pulls the fitted one away from 0 and 1:
#: beside a network that knew nothing, 1,500 held-out characters cost the blend 0.005
#: nats each more than the counts alone. With a limit of 1, 50 characters of prose
#: sometimes gave all to a network that all others did not confirm; with 2 never.
CERTAIN = 2.0

#: Characters of training that make a network as good as the n-grams of its text, and
#: what a share is taken to be at least and at most. Of 17 runs on prose and verse of
#: 20,000 to 2,600,000 characters, from 0.1 to 160 passes, with networks as they are
#: planned by default, the fitted shares (0.00 to 0.55) lay within 0.11 of this curve,
#: but for one (0.17). Names, line by line, got 0.2 to 0.3 more.
EVEN, LEAST_USUAL, MOST_USUAL = 5e6, 0.05, 0.75

#: What a share is taken to be of pairs. What an output says depends on an input that
#: is far longer than an n-gram, and few pairs say much: of a dozen reviews, a network
#: with a usual share beside counts called half of what it knew by heart wrongly.
USUAL_OF_PAIRS = 0.95

#: The part of the text that shows which order to count where nothing is held out.
PROBED = 0.1


@dataclass(frozen=True)
class Blend:
    """A network and the n-grams of its text, together."""

    share: float  # the network's
    order: int  # of the n-grams
    ngram: NGram | None = None  # of the whole held-out text, for whoever compares
    #: Nats per held-out character that the network predicts: of both together, and
    #: of each alone. None where there is no such character.
    loss: float | None = None
    network_loss: float | None = None
    ngram_loss: float | None = None


class Counting:
    """The n-grams of a run's text, to be blended with networks of the run.

    Parameters
    ----------
    job : Job
    stopped : callable
        Asked every few hundredths of a second whether to give up; must stay with
        a yes.

    Raises
    ------
    Stopped
        `stopped` said yes.
    MemoryError
        The text is too long for this machine.
    """

    def __init__(self, job: Job, stopped: Callable[[], bool] = lambda: False) -> None:
        self._job = job
        self._stopped = stopped
        self._counted: Counted | None = None
        train = job.trainer.streams.ids
        if job.held_out is not None:
            self._counted = count(job.texts(train, job.held_out), stopped)
            self._order = self._counted.ngram.order
            return
        # The end of the text shows the order, and is counted like the rest of it.
        head, tail = split(train, PROBED, lines_newline_id=job.documents.start)
        self._order = 1
        if len(head) and len(tail):
            self._order = count(job.texts(head, tail), stopped).ngram.order

    def blend(self, model: TextModel) -> Blend:
        """Find the share of a network of the run.

        Raises
        ------
        Stopped
            `stopped` said yes.
        """
        job, counted, held_out = self._job, self._counted, self._job.held_out
        usual = usual_share(len(job.trainer.streams.ids), job.trainer.epochs)
        if job.of_pairs:
            usual = USUAL_OF_PAIRS
        if counted is None or held_out is None:
            return Blend(1.0 if job.of_pairs else usual, self._order)
        scored = job.documents.scored(held_out)
        if not scored.any():  # nothing that the network predicts
            return Blend(usual, self._order, counted.ngram)
        p = np.exp(-model.network_costs(held_out, self._stopped)[scored])
        q = counted.probabilities
        if len(q) > len(p):  # the counts predict a first character, too
            q = q[scored]
        return Blend(
            fit_share(p, q, usual),
            self._order,
            counted.ngram,
            loss=cross_validated(p, q, usual),
            network_loss=cost(p, q, 1) / len(p),
            ngram_loss=cost(p, q, 0) / len(p),
        )

    def memory(self, blend: Blend) -> Remembered:
        """Give what a checkpoint keeps of the text for such a blend."""
        ids = self._job.trainer.streams.ids
        return Remembered(ids=ids, order=blend.order, share=blend.share)


def usual_share(characters: int, epochs: float) -> float:
    """Guess the network's share from how many characters it has been trained on.

    Parameters
    ----------
    characters : int
        Of the text.
    epochs : float
        Passes over it.
    """
    trained = characters * epochs
    share = trained / (trained + EVEN)
    return round(min(max(share, LEAST_USUAL), MOST_USUAL), DIGITS)


def count(texts: Texts, stopped: Callable[[], bool]) -> Counted:
    """Count a text, by the order that suits the held-out one best.

    Raises
    ------
    Stopped
        `stopped` said yes.
    """
    if (best := best_order(texts, stopped)) is None:
        raise Stopped
    return best


def fit_share(p: Probabilities, q: Probabilities, usual: float) -> float:
    """Find the share s that makes s p + (1 - s) q likeliest.

    The sum of the logarithms is concave in s, so its slope, which falls, shows at
    each s on which side of it the best one lies. Where `usual` keeps s away from 0 or
    1, and the text costs more by `CERTAIN` than it does with that, it is 0 or 1.

    Parameters
    ----------
    p, q : (M,) float array
        All of q is positive.
    usual : float
        The share in (0, 1) that counts as seen in `PRIOR` characters before.
    """
    low, high, gain = 0.0, 1.0, p - q
    while high - low > 0.1**DIGITS / 4:
        s = (low + high) / 2
        slope = PRIOR * (usual / s - (1 - usual) / (1 - s))
        slope += float((gain / (q + s * gain)).sum())
        low, high = (s, high) if slope > 0 else (low, s)
    fitted = round((low + high) / 2, DIGITS)
    alone = min((0.0, 1.0), key=lambda share: cost(p, q, share))
    dearer = cost(p, q, fitted) - cost(p, q, alone)
    return alone if dearer > CERTAIN else fitted


def cost(p: Probabilities, q: Probabilities, share: float) -> float:
    """Add up what a text costs a blend, in nats."""
    with np.errstate(divide="ignore"):  # what has no probability costs infinity
        nats = -float(np.log(share * p + (1 - share) * q).sum())
    # Where only one character is possible, rounding may exceed 1.
    return max(0.0, nats)


def cross_validated(p: Probabilities, q: Probabilities, usual: float) -> float:
    """Score each half of a text by the share of the other, in nats per character.

    Parameters
    ----------
    p, q : (M,) float array
        M >= 1.
    usual : float
        See `fit_share`.
    """
    middle = len(p) // 2
    halves = slice(middle), slice(middle, None)
    total = 0.0
    for fitted, scored in (halves, halves[::-1]):
        share = fit_share(p[fitted], q[fitted], usual)
        total += cost(p[scored], q[scored], share)
    return total / len(p)
