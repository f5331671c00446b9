"""A mixture: several models that predict one text together.

    linear:  p = sum of w[m] p[m]
    log:     p in proportion to the product of p[m] ^ w[m]

Each model reads what it knows of the text, with its own network, blend and rule of
how texts begin. Models that were trained alike, from other seeds, make different
mistakes: their mean is better than any of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from itertools import tee
from operator import is_

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids
from charrnn.config import Mixing, SampleConfig
from charrnn.generation.mixed import MixedReading, MixedSampler, known
from charrnn.mixing import Ingredient, mixed_vocab
from charrnn.predictor import Costs, Predictor
from charrnn.textmodel import TextModel
from charrnn.windows import STEPS, Documents, regular


class Mixture(Predictor):
    """Models whose predictions are mixed, character by character.

    Characters are matched by what they are. Mixed linearly, a mixture knows what any
    of its models knows, and what one of them does not know has probability 0 there.
    By logarithms, it knows what all of them know. What a model does not know might
    never have been in the text for it.

    Parameters
    ----------
    models : sequence of TextModel
    mixing : Mixing
        Their weights, and how they are mixed. A weight of 0 leaves a model out.
    names : sequence of str, optional
        What messages call them.

    Raises
    ------
    OptionError
        There is another number of weights, a model is one of pairs, or they differ in
        their units or their documents.
    VocabError
        To be mixed by logarithms, they have no character in common.

    Attributes
    ----------
    members : tuple of TextModel
        The models that have a weight above 0.
    weights : (M,) float64 array
        Their weights, which add up to 1.
    linear : bool
    ids_of : list of (V,) int arrays
        For each of them, its ids of the mixture's characters; -1 if unknown.
    """

    def __init__(
        self,
        models: Sequence[TextModel],
        mixing: Mixing,
        names: Sequence[str] | None = None,
    ) -> None:
        if names is None:
            names = [f"model {n}" for n in range(1, len(models) + 1)]
        self.vocab = mixed_vocab(
            [
                Ingredient(name, model.vocab, model.of_lines, model.of_pairs)
                for name, model in zip(names, models, strict=True)
            ],
            mixing,
        )
        weights = mixing.weights(len(models))
        chosen = [n for n, weight in enumerate(weights) if weight > 0]
        self.members = tuple(models[n] for n in chosen)
        self.weights = np.array([weights[n] for n in chosen])
        self.mode = mixing.mix_mode
        self.documents = Documents.of(self.vocab, lines=self.members[0].of_lines)
        self.ids_of = [model.vocab.look_up(self.vocab.points) for model in self.members]

    def __repr__(self) -> str:
        """Show what it is made of."""
        pairs = zip(self.weights.tolist(), self.members, strict=True)
        parts = ", ".join(f"{weight:.3g} x {model!r}" for weight, model in pairs)
        return f"<Mixture, {self.mode}: {parts}>"

    @property
    def linear(self) -> bool:
        """Whether probabilities are added up, and not multiplied."""
        return self.mode == "linear"

    @property
    def remembers(self) -> bool:
        """Whether one of its models has a memory."""
        return any(model.remembers for model in self.members)

    def remembered(self) -> Ids | None:
        """Give the texts that its models remember, parted by -1, if there are any.

        Returns
        -------
        (N,) int array or None
            In ids of the mixture; -1 for what it does not know.
        """
        parts: list[Ids] = []
        for model in self.members:
            if model.memory is not None:
                places = self.vocab.look_up(model.vocab.points)
                parts += [places[model.memory.ids], np.array([-1], np.int32)]
        return np.concatenate(parts) if parts else None

    def blended(self, blend: float | str = "auto", *, adapt: bool = False) -> "Mixture":
        """Give the mixture with the network's share chosen in all of its models.

        Parameters
        ----------
        blend : float or "auto"
            "auto" is each model's own; see `TextModel.blended`.
        adapt : bool
            Whether the counts of each go on in what is read.

        Raises
        ------
        OptionError
            The share is out of range.
        CountsError
            A model has no memory to blend with.
        """
        members = tuple(model.blended(blend, adapt=adapt) for model in self.members)
        if all(map(is_, members, self.members)):
            return self
        other = copy(self)
        other.members = members
        return other

    def reading(self) -> MixedReading:
        """Begin to read a text, for blending what each network says of it."""
        return MixedReading([model.reading() for model in self.members], self.ids_of)

    def sampler(self, config: SampleConfig, corpus: Ids | None = None) -> MixedSampler:
        """Make ready to write; see `MixedSampler`."""
        return MixedSampler(self, config, corpus)

    def costs(self, slices: Iterable[Ids]) -> Iterator[Costs]:
        """Read a text and yield what every character costs, in order.

        It is read some characters at a time, whatever its size.

        Parameters
        ----------
        slices : iterable of (n,) int arrays
            The text, cut anyhow.
        """
        parts, *copies = tee(regular(slices, STEPS), len(self.members) + 1)
        listeners = [
            _Listener(model, own, copy)
            for model, own, copy in zip(self.members, self.ids_of, copies, strict=True)
        ]
        for ids in parts:
            p = [listener.expected(ids) for listener in listeners]
            yield Costs(ids, self._nats(p, ids))

    def _nats(self, expected: list[Floats], ids: Ids) -> NDArray[np.float64]:
        """Compute what characters (n,) cost by what models expect, (n, V[m]) each."""
        with np.errstate(divide="ignore"):  # what cannot be costs infinity
            if self.linear:
                total = np.zeros(len(ids))
                pairs = zip(self.weights, expected, self.ids_of, strict=True)
                for weight, p, own in pairs:
                    ours = own[ids]
                    found = p[np.arange(len(ids)), np.maximum(ours, 0)]
                    total += weight * np.where(ours >= 0, found, 0.0)
                return np.maximum(0.0, -np.log(total))
            logs = np.zeros((len(ids), self.vocab.size))
            for weight, p, own in zip(self.weights, expected, self.ids_of, strict=True):
                logs += weight * np.log(p[:, own])
            peaks = logs.max(axis=1)
            sums = np.log(np.exp(logs - peaks[:, None]).sum(axis=1)) + peaks
            nats: NDArray[np.float64] = sums - logs[np.arange(len(ids)), ids]
            return np.maximum(0.0, nats)

    def mean_cost(self, ids: Ids) -> float:
        """Compute what the characters of a text cost on average, read in one pass.

        Where the mixture has no newline, the first character does not count, as for a
        model alone.
        """
        costs = np.concatenate([part.nats for part in self.costs([ids])])
        return float(costs[self.documents.scored(ids)].mean())


class _Listener:
    """A model that reads what it knows of a text, and tells what it expects next.

    Parameters
    ----------
    model : TextModel
    ids_of : (V,) int array
        Its ids of the mixture's characters; -1 if unknown.
    slices : iterable of (n,) int arrays
        The text, in the mixture's ids.
    """

    def __init__(self, model: TextModel, ids_of: Ids, slices: Iterable[Ids]) -> None:
        self._ids_of = ids_of
        self._blocks = model.predicted(known(ids_of, ids) for ids in slices)
        # What it expects at the next of the places that it knows of, and behind.
        self._waiting: Floats = np.empty((0, model.vocab.size))

    def expected(self, ids: Ids) -> Floats:
        """Tell what it expects in the place of each of the next characters, (n, V)."""
        is_known = self._ids_of[ids] >= 0
        # A character that it does not know leaves it where it is.
        places: NDArray[np.int64] = np.cumsum(is_known) - is_known
        while len(self._waiting) <= places[-1]:
            self._waiting = np.concatenate([self._waiting, next(self._blocks)])
        found = self._waiting[places]
        self._waiting = self._waiting[int(is_known.sum()) :]
        return found
