"""The sampler: rows of a batch go through the network, a slice of steps at a time.

A `Sampler` is a model with the way it is asked to write. The samples of a batch
are cut into shards, one for each thread, which share the sampler and nothing else.
What several models write together is in `generation.mixed`.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from charrnn.arrays import Floats, Ids
from charrnn.cells import cell_of
from charrnn.config import SampleConfig
from charrnn.generation.choosing import Chooser, Row
from charrnn.generation.helpers import Helpers
from charrnn.kernels.blending import ALONE
from charrnn.kernels.filters import Filters
from charrnn.kernels.generator import (
    Held,
    StepRoom,
    generator_of,
    new_step_room,
)
from charrnn.memory import Memory, Reading
from charrnn.network import Network
from charrnn.parameters import chosen_precision
from charrnn.sampling import nothing_to_choose
from charrnn.vocab import Vocab
from charrnn.windows import Documents

#: Characters of a prompt read at a time: some milliseconds' worth.
PROMPT_SLICE = 256


class Model(Protocol):
    """What generating needs of a `TextModel`."""

    @property
    def network(self) -> Network:
        """What predicts the next character."""

    @property
    def vocab(self) -> Vocab:
        """The characters that its ids stand for."""

    @property
    def documents(self) -> Documents:
        """What is read before a text, and where documents begin."""

    @property
    def memory(self) -> Memory | None:
        """What is known by counting, if anything is."""

    def reading(self) -> Reading:
        """Begin to read a text, for blending what the network says of it."""


class AnyModel(Protocol):
    """What writing running text needs of a `TextModel`, or of several, mixed.

    What is read, and as far as what, is the sampler's own matter: it is made by the
    model and the sampler, and handed back to the sampler.
    """

    @property
    def vocab(self) -> Vocab:
        """The characters that its ids stand for."""

    @property
    def documents(self) -> Documents:
        """What is read before a text, and where documents begin."""

    def reading(self) -> Any:
        """Begin to read a text, for what is counted of it; see `Reading`."""

    def sampler(self, config: SampleConfig, corpus: Ids | None = None) -> Any:
        """Make ready to write; see `Sampler`."""


def opening_logits(vocab: Vocab, memory: Memory | None) -> Floats:
    """Compute logits (V,) of characters as frequent as in the corpus.

    A memory knows, beside, how its text begins.
    """
    shares = vocab.known_counts
    if memory is not None and memory.share < 1:
        shares = memory.opening(shares / shares.sum())
    with np.errstate(divide="ignore"):  # a character never seen: never drawn
        return np.log(shares).astype(np.float32)


R = TypeVar("R", bound=Row)


class Sampler(Chooser):
    """A model and the way it is asked to write, which all shards share.

    Parameters
    ----------
    model : Model
    config : SampleConfig
        Its texts are made of the vocabulary's symbols.
    corpus : (N,) int array, optional
        The text that ``config.no_copy`` speaks of; below 0 what is no
        character of the vocabulary. The text of the model's memory, if not given.
    """

    def __init__(
        self, model: Model, config: SampleConfig, corpus: Ids | None = None
    ) -> None:
        network, memory = model.network, model.memory
        if corpus is None and memory is not None and config.no_copy:
            corpus = memory.ids.astype(np.int32)
        super().__init__(config, model.vocab, model.documents, corpus)
        self.stack, self.dtype = network.stack, network.dtype
        self.threads = network.threads
        held = held_units(config, network)
        self.precision = chosen_precision(network.config, config.precision)
        reduced = self.precision != "float32"
        weights = network.inference(self.precision, shared=reduced)
        self.weights = weights._replace(held=held)
        self.generate = generator_of(network.stack.kernels)
        self.past = max(self.past, model.reading().blend.order)
        start = model.documents.start
        self.start = -1 if start is None else start
        self._vocab, self._memory = model.vocab, memory

    def helpers(self) -> Helpers:
        """Make those that help with a single text of a large network."""
        return Helpers(self.weights, self.threads)

    def new_state(self) -> Floats:
        """Make what nothing has been read into: a zero state of one row."""
        return self.stack.new_state(1)

    def new_step_room(self, B: int) -> StepRoom:
        """Make room for steps of B rows."""
        return new_step_room(self.stack.new_tape(1, B), self.weights.by.size)

    def opening(self, state: Floats) -> Floats:
        """Give the logits (V,) of a text's first character where none is read."""
        return opening_logits(self._vocab, self._memory)

    def shard(
        self,
        samples: list[R],
        state: Floats,
        before: Ids,
        given: list[Ids],
        reading: Reading,
    ) -> "Shard[R]":
        """Begin with some samples that have all read the same; see `Shard`.

        Parameters
        ----------
        state : (L, S + M - 1, 1, H) float array
        """
        states = np.repeat(state, len(samples), axis=2)
        return Shard(self, samples, states, before, given, reading)

    def read(self, ids: Ids, state: Floats) -> None:
        """Read a text, in slices of bounded size.

        Parameters
        ----------
        ids : (N,) int array
        state : (L, S, 1, H) float array
            Moved on.
        """
        room = self.new_step_room(1)
        unused = np.empty((1, 1, self.weights.by.size), self.dtype)
        # Of a pattern that no row follows: so one kernel reads and writes.
        filters = self.filters
        if self.course is not None:
            filters = filters._replace(pattern=self.course.of_rows([None]))
        for a in range(0, ids.size, PROMPT_SLICE):
            part = ids[a : a + PROMPT_SLICE]
            column = np.append(part, 0).astype(np.int32)[:, None]
            known, u = np.array([part.size + 1], np.int32), np.zeros((part.size, 1))
            self.generate(
                self.weights, room, state, column, known, u,
                ALONE, filters, self.start, unused,
            )  # fmt: skip


def held_units(config: SampleConfig, network: Network) -> Held | None:
    """Tell kernels which units of a network are held at a value, if any.

    Raises
    ------
    OptionError
        The network has no such unit.
    """
    units, model = config.set_unit, network.config
    if not units:
        return None
    for unit in units:
        unit.check(cell=model.cell, layers=model.layers, hidden=model.hidden)
    states = cell_of(model.cell).states
    return Held(
        layers=np.array([unit.layer for unit in units], np.int32),
        states=np.array([states.index(unit.state) for unit in units], np.int32),
        units=np.array([unit.unit for unit in units], np.int32),
        values=np.array([unit.value for unit in units], network.dtype),
    )


class Rows(ABC, Generic[R]):
    """Some samples of a batch, which one thread takes along, a slice after another.

    Parameters
    ----------
    chooser : Chooser
    samples : list of Sample or other rows
    before : (n,) int array
        What all samples have read already; its end, for filters of n-grams.
    given : list of arrays (n,) of int
        What each sample reads next: at least one character.
    """

    def __init__(
        self,
        chooser: Chooser,
        samples: list[R],
        before: Ids,
        given: list[Ids],
    ) -> None:
        self.samples = samples
        self._chooser, past = chooser, chooser.past
        self._given = [ids[1:] for ids in given]
        # The last characters in the order of time; the last row is read next.
        self._ids = np.full((past + 1, len(samples)), -1, np.int32)
        self._ids[-1] = [ids[0] for ids in given]
        if past:
            read = before[-past:]
            self._ids[past - read.size : past] = read[:, None]

    @property
    def steps_left(self) -> float:
        """Steps until the last sample has its length; inf for no limit."""
        pairs = zip(self.samples, self._given, strict=True)
        return max(ids.size + s.left if s.left >= 0 else math.inf for s, ids in pairs)

    def run(self, steps: int, kept: int) -> tuple[list[Ids], Floats]:
        """Read some characters, and choose what is not given.

        Parameters
        ----------
        steps : int
        kept : int
            Logits of how many steps are wanted: all or one.

        Returns
        -------
        ids : list of arrays (n,) of int
            What was chosen for each sample: as many as there were steps, less
            those that were given.
        logits : (kept, B, V) float array
            Of the last steps.

        Raises
        ------
        VocabError
            There is nothing to choose from.
        """
        B, past = len(self.samples), self._chooser.past
        ids = np.concatenate([self._ids, np.zeros((steps, B), np.int32)])
        u, known = np.zeros((steps, B)), np.ones(B, np.int32)
        for n, (sample, given) in enumerate(
            zip(self.samples, self._given, strict=True)
        ):
            size = min(steps, given.size)
            ids[past + 1 : past + 1 + size, n] = given[:size]
            u[size:, n] = sample.uniform(steps - size)
            self._given[n], known[n] = given[size:], size + 1
        logits = self._write(
            ids, known, u, self._chooser.filters_of(self.samples), kept
        )
        self._ids = ids[steps:]
        return [ids[past + known[n] :, n] for n in range(B)], logits

    def drop_ended(self) -> bool:
        """Go on with the samples that have not ended; False if all have."""
        going = [n for n, sample in enumerate(self.samples) if not sample.ended]
        if len(going) < len(self.samples):
            self.samples = [self.samples[n] for n in going]
            self._given = [self._given[n] for n in going]
            self._ids = np.ascontiguousarray(self._ids[:, going])
            self._keep(going)
        return bool(going)

    @abstractmethod
    def _write(
        self, ids: Ids, known: Ids, u: Floats, filters: Filters, kept: int
    ) -> Floats:
        """Read, and write what is not known, as `kernels.generator.generate` does.

        Returns
        -------
        (kept, B, V) float array
            Logits of the last steps.

        Raises
        ------
        VocabError
            There is nothing to choose from.
        """

    @abstractmethod
    def _keep(self, rows: list[int]) -> None:
        """Forget what belongs to all but some rows."""


class Shard(Rows[R]):
    """Some samples of a batch that one model writes.

    Parameters
    ----------
    sampler : Sampler
    samples : list of Sample or other rows
    state : (L, S + M - 1, B, H) float array
        A column a sample.
    before, given
        See `Rows`.
    reading : Reading
        What all samples have read, as far as it was counted. If it goes on learning,
        there is one sample.
    """

    def __init__(
        self,
        sampler: Sampler,
        samples: list[R],
        state: Floats,
        before: Ids,
        given: list[Ids],
        reading: Reading,
    ) -> None:
        super().__init__(sampler, samples, before, given)
        self._sampler, self._reading = sampler, reading
        self._state = np.ascontiguousarray(state)
        self._step_room = sampler.new_step_room(len(samples))

    def _write(
        self, ids: Ids, known: Ids, u: Floats, filters: Filters, kept: int
    ) -> Floats:
        """Read and write; all steps in one call."""
        sampler, (steps, B) = self._sampler, u.shape
        logits = np.empty((kept, B, sampler.weights.by.size), sampler.dtype)
        if not sampler.generate(
            sampler.weights, self._step_room, self._state, ids, known, u,
            self._reading.writing(steps), filters, sampler.start, logits,
        ):  # fmt: skip
            raise nothing_to_choose()
        return logits

    def _keep(self, rows: list[int]) -> None:
        """Forget the states of all but some rows."""
        self._state = np.ascontiguousarray(self._state[:, :, rows])
        self._step_room = self._sampler.new_step_room(len(rows))
