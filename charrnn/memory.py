"""What a model knows by counting: the n-grams of the text that it was trained on.

A memory holds the text itself, as ids, and counts it when it is first asked: see
`charrnn.training.kneser_ney` for the model that is made of the counts. A network
knows what follows in general, and counts know what stood there: blended, they
predict better than either.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Ids, PackedIds
from charrnn.training.kneser_ney import Texts, probabilities


@dataclass(frozen=True, eq=False, kw_only=True)
class Memory:
    """A text, to be counted, and how much of a blend the counts are.

    Its probabilities are those of interpolated modified Kneser-Ney smoothing.
    Where a document begins, a context begins with what stands before it, and
    no n-gram reaches back further.
    """

    ids: PackedIds  # (N,) the text that is counted
    order: int  # the longest n-grams; at least 1
    share: float  # the network's, in [0, 1], in a blend of both
    vocab_size: int  # V; every id is below
    before: int  # the id that stands before a document
    newline: int | None = None  # given where every line is a document

    @cached_property
    def tables(self) -> None:
        """The counts, as kernels read them."""
        return

    def with_share(self, share: float) -> "Memory":
        """Give the same memory, counted already, with another share of the network."""
        return replace(self, share=share)

    def probabilities(self, ids: PackedIds | Ids) -> NDArray[np.float64]:
        """Compute the probability of every character of a text, (M,).

        Parameters
        ----------
        ids : (M,) int array
            A text, read from its beginning.
        """
        found = np.zeros(0)
        if len(ids):
            packed = np.asarray(ids).astype(np.min_scalar_type(self.vocab_size))
            texts = Texts(
                train=self.ids,
                held_out=packed,
                vocab_size=self.vocab_size,
                before=self.before,
                newline=self.newline,
            )
            for found in probabilities(texts, self.order):  # noqa: B007 - the last
                pass
        return found

    def distributions(self, ids: PackedIds | Ids) -> NDArray[np.float64]:
        """Compute the probability of every symbol at every place of a text, (M, V).

        Parameters
        ----------
        ids : (M,) int array
            A text, read from its beginning: row i is what may stand at its place i.
        """
        rows = np.empty((len(ids), self.vocab_size))
        for place in range(len(ids)):
            for symbol in range(self.vocab_size):
                text = np.append(np.asarray(ids)[:place], symbol)
                rows[place, symbol] = self.probabilities(text)[-1]
        return rows
