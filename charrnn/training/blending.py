"""The n-grams of a run's text, and how much of a blend the network is to be.

A network knows what follows in general; counts know what stood there, and err at
other characters. So a model predicts better with both, each with a constant share:

    p = share * p of the network + (1 - share) * p of the n-grams

The share is the one that the held-out text is likeliest by, and the order of the
n-grams the one that suits this text best, not alone but with the network: where the
network says what is likely in general, longer contexts have more to add. A loss that
is told has been found with a share that does not know the text: each half is scored
by the share of the other one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.checkpoint import Remembered
from charrnn.corpus import split
from charrnn.generation import Stopped
from charrnn.textmodel import TextModel
from charrnn.training.job import Job
from charrnn.training.kneser_ney import (
    Counted,
    NGram,
    Probabilities,
    Texts,
    orders,
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

#: Characters of training that make a network as good as the n-grams of its text: of
#: running text, and of separate lines, whose n-grams are short. And what a share is
#: taken to be at least and at most. benchmarks/shares.py shows fitted shares beside
#: these guesses.
EVEN, LINES_EVEN = 5e6, 2e6
LEAST_USUAL, MOST_USUAL = 0.05, 0.75

#: Nats that an order must make a blend better by to be counted instead of a shorter
#: one: the longer n-grams are, the more of the text do samples copy. Blends with
#: networks of a minute lose 0.0049 nats (tinyshakespeare), 0.0070 (Lovecraft) and
#: 0.0012 (its first 55 KB) on the way from the order that is best alone to order 10,
#: and less than 0.001 from there to 16 (one network each, in trials that no script
#: repeats).
WORTH = 0.0005

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
    #: The n-grams that do best alone on the whole held-out text, for whoever compares.
    ngram: NGram | None = None
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
        self._counted: list[Counted] = []  # by order, from the one best alone on
        train = job.trainer.streams.ids
        if job.held_out is not None:
            self._counted = count(job.texts(train, job.held_out), stopped)
            self._order = self._counted[0].ngram.order
            return
        # The end of the text shows the order, and is counted like the rest of it.
        head, tail = split(train, PROBED, lines_newline_id=job.documents.start)
        self._order = 1
        if len(head) and len(tail):
            self._order = count(job.texts(head, tail), stopped)[0].ngram.order

    def blend(self, model: TextModel) -> Blend:
        """Find order and share for a network of the run.

        Raises
        ------
        Stopped
            `stopped` said yes.
        """
        held_out = self._job.held_out
        usual = self._usual()
        if held_out is None:
            return Blend(1.0 if self._job.of_pairs else usual, self._order)
        ngram = self._counted[0].ngram
        scored = self._job.documents.scored(held_out)
        if not scored.any():  # nothing that the network predicts
            return Blend(usual, self._order, ngram)
        p = np.exp(-model.network_costs(held_out, self._stopped)[scored])
        found, losses = [], []
        for counted in self._counted:
            if self._stopped():
                raise Stopped
            q = counted.probabilities
            # The counts predict a first character, too.
            found.append(q[scored] if len(q) > len(p) else q)
            losses.append(cross_validated(p, found[-1], usual))
        enough = min(losses) + WORTH
        n = next(n for n, loss in enumerate(losses) if loss <= enough)
        q = found[n]
        return Blend(
            fit_share(p, q, usual),
            self._counted[n].ngram.order,
            ngram,
            loss=losses[n],
            network_loss=cost(p, q, 1) / len(p),
            ngram_loss=cost(p, q, 0) / len(p),
        )

    def _usual(self) -> float:
        """Guess the network's share, as far as the run has come."""
        job = self._job
        if job.of_pairs:
            return USUAL_OF_PAIRS
        characters, epochs = len(job.trainer.streams.ids), job.trainer.epochs
        return usual_share(characters, epochs, lines=job.documents.start is not None)

    def memory(self, blend: Blend) -> Remembered:
        """Give what a checkpoint keeps of the text for such a blend."""
        ids = self._job.trainer.streams.ids
        return Remembered(ids=ids, order=blend.order, share=blend.share)


def usual_share(characters: int, epochs: float, *, lines: bool) -> float:
    """Guess the network's share from how many characters it has been trained on.

    Parameters
    ----------
    characters : int
        Of the text.
    epochs : float
        Passes over it.
    lines : bool
        Whether every line is a document.
    """
    trained = characters * epochs
    share = trained / (trained + (LINES_EVEN if lines else EVEN))
    return round(min(max(share, LEAST_USUAL), MOST_USUAL), DIGITS)


def count(texts: Texts, stopped: Callable[[], bool]) -> list[Counted]:
    """Count a text by the order that suits the held-out one best, and by longer ones.

    Raises
    ------
    Stopped
        `stopped` said yes.
    """
    found = []
    for counted in orders(texts):
        if stopped():
            raise Stopped
        found.append(counted)
    best = min(found, key=lambda counted: counted.ngram.loss)
    return found[best.ngram.order - 1 :]


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
