"""Answers to many questions, each as it would be alone, made side by side.

Rows of a batch never meet, and each has random numbers of its own. So questions
that differ in their prompts, their seeds and where they end share a batch, and each
gets the text that it would get alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from charrnn.arrays import Ids
from charrnn.config import Blending, SampleConfig
from charrnn.errors import CharRNNError
from charrnn.generation.outputs import begin
from charrnn.generation.sampler import AnyModel
from charrnn.generation.samples import Piece, Request

#: Texts, candidates included, that are written side by side, about.
AT_ONCE = 4096

#: Seconds that a slice takes at most, about. Nobody sees an answer that is half done,
#: and every slice costs every text some work in Python.
SLICE_SECONDS = 0.25

#: Settings whose samplers are kept: an index of what must not be copied takes a
#: while to make.
MOST_SAMPLERS = 8


@dataclass(frozen=True)
class Question:
    """A prompt, and how it is to be continued."""

    prompt: Ids  # of pairs, an input with its separator
    config: SampleConfig  # of one sample, its texts in symbols
    blending: Blending

    @property
    def shared(self) -> tuple[SampleConfig, Blending]:
        """What those that are written side by side have in common."""
        own: dict[str, Any] = {"seed": 0}
        if self.config.beam is None:
            own |= {"length": 1, "lines": None, "stop": (), "include_stop": False}
        return replace(self.config, **own), self.blending


class Answering:
    """A model that answers questions.

    Parameters
    ----------
    predicting : callable
        Gives the model as it is to blend.
    corpus : (N,) int array, optional
        The text that ``no_copy`` speaks of; see `Generation`.
    scored : bool
        Whether answers say how likely they are.
    """

    def __init__(
        self,
        predicting: Callable[[Blending], AnyModel],
        *,
        corpus: Ids | None = None,
        scored: bool = False,
    ) -> None:
        self._predicting = predicting
        self._corpus, self._scored = corpus, scored
        self._samplers: dict[tuple[SampleConfig, Blending], Any] = {}

    def answers(self, questions: Sequence[Question]) -> Iterator[Piece | CharRNNError]:
        """Answer questions in their order, each as soon as it is its turn.

        Yields
        ------
        Piece or CharRNNError
            The whole answer; or why there is none.
        """
        ready: dict[int, Piece | CharRNNError] = {}
        shown = 0
        for members in _alike(questions):
            for number, answer in self._answer(questions, members):
                ready[number] = answer
                while shown in ready:
                    yield ready.pop(shown)
                    shown += 1

    def _answer(
        self, questions: Sequence[Question], members: Sequence[int]
    ) -> Iterator[tuple[int, Piece | CharRNNError]]:
        """Answer those questions that have their settings in common."""
        begun: dict[int, list[Piece]] = {n: [] for n in members}
        try:
            for piece in self._pieces([questions[n] for n in members]):
                number = members[piece.sample]
                begun[number].append(piece)
                if piece.finish is not None:
                    pieces = begun.pop(number)
                    text = "".join(part.text for part in pieces)
                    scores = chain.from_iterable(part.scores for part in pieces)
                    yield number, replace(piece, text=text, scores=tuple(scores))
        except CharRNNError as error:
            yield from ((number, error) for number in begun)

    def _pieces(self, alike: Sequence[Question]) -> Iterator[Piece]:
        """Generate the answers of questions that have their settings in common."""
        first = alike[0]
        key = config, blending = first.shared
        model = self._predicting(blending)
        prompts = [question.prompt for question in alike]
        if config.beam is not None:
            return begin(model, prompts, config, scored=self._scored).pieces()
        sampler = self._samplers.pop(key, None) or model.sampler(config, self._corpus)
        self._samplers[key] = sampler  # used last, stands last
        if len(self._samplers) > MOST_SAMPLERS:
            del self._samplers[next(iter(self._samplers))]
        return begin(
            model,
            prompts,
            config,
            scored=self._scored,
            learns=blending.adapt_output,
            requests=[Request(question.config) for question in alike],
            sampler=sampler,
            slice_seconds=SLICE_SECONDS if config.time is None else None,
        ).pieces()


def _alike(questions: Sequence[Question]) -> list[list[int]]:
    """Put the numbers of questions together that can be answered side by side."""
    found: dict[tuple[SampleConfig, Blending, int], list[int]] = {}
    counts: dict[tuple[SampleConfig, Blending], int] = {}
    for number, question in enumerate(questions):
        config, _ = key = question.shared
        count = counts[key] = counts.get(key, -1) + 1
        batch = count * config.best_of // AT_ONCE
        found.setdefault((*key, batch), []).append(number)
    return list(found.values())
