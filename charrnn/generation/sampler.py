"""The sampler: rows of a batch go through the network, a slice of steps at a time.

A `Sampler` is a model with the way it is asked to write. The samples of a batch
are cut into shards, one for each thread, which share the sampler and nothing else.
"""

import math
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn import sampling
from charrnn.arrays import Floats, Ids
from charrnn.cells import cell_of
from charrnn.config import RECENT, SampleConfig
from charrnn.generation.following import Course, Walk
from charrnn.kernels.blending import ALONE
from charrnn.kernels.filters import Filters
from charrnn.kernels.generator import Held, generator_of
from charrnn.memory import Memory, Reading
from charrnn.network import Network
from charrnn.parameters import chosen_precision
from charrnn.patterns import automaton_of
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


class Sampler:
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
        network, vocab = model.network, model.vocab
        self.stack, self.dtype = network.stack, network.dtype
        held = held_units(config, network)
        self.precision = chosen_precision(network.config, config.precision)
        reduced = self.precision != "float32"
        weights = network.inference(self.precision, shared=reduced)
        self.weights = weights._replace(held=held)
        self.generate = generator_of(network.stack.kernels)
        blend = model.reading().blend
        separator, start = model.documents.separator, model.documents.start
        end = None if separator is None else start
        bias = sampling.logit_bias(config, vocab, end)
        if separator is not None:
            # Written into a column, an output that has one would be two.
            bias[separator] = -np.inf
        if corpus is None and model.memory is not None and config.no_copy:
            corpus = model.memory.ids.astype(np.int32)
        self.filters = sampling.filters(config, vocab.size, bias, corpus)
        self.course: Course | None = None
        if config.pattern is not None:
            newline = vocab.newline_id
            if newline is not None and np.isneginf(bias[newline]):
                newline = None
            of_bytes = vocab.unit == "byte"
            automaton = automaton_of(config.pattern, vocab.symbols, of_bytes=of_bytes)
            self.course = Course(automaton, ~np.isneginf(bias), newline)
        self.past = blend.order
        if config.no_repeat or config.no_copy:
            self.past = RECENT
        self.start = -1 if start is None else start

    def filters_of(self, rows: "Sequence[Row]") -> Filters:
        """Give the filters of some rows, with how far each has come on its course."""
        if self.course is None:
            return self.filters
        walks = [row.walk for row in rows]
        return self.filters._replace(pattern=self.course.of_rows(walks))

    def read(self, ids: Ids, state: Floats) -> None:
        """Read a text, in slices of bounded size.

        Parameters
        ----------
        ids : (N,) int array
        state : (L, S, 1, H) float array
            Moved on.
        """
        tape = self.stack.new_tape(1, 1)
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
                self.weights, tape, state, column, known, u,
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


class Row(Protocol):
    """What a shard looks at of a text that is written in one of its rows."""

    left: int  # characters that are still to be written; below 0 for no limit
    ended: bool
    walk: Walk | None  # how far it has come along a pattern, if there is one

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Take the row's next random numbers, (count,); zeros if it needs none."""


R = TypeVar("R", bound=Row)


class Shard(Generic[R]):
    """Some samples of a batch, which one thread takes through the network.

    Parameters
    ----------
    sampler : Sampler
    samples : list of Sample or other rows
    state : (L, S + M - 1, B, H) float array
        A column a sample.
    before : (n,) int array
        What all samples have read already; its end, for filters of n-grams.
    given : list of arrays (n,) of int
        What each sample reads next: at least one character.
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
        self.samples = samples
        self._sampler, self._reading = sampler, reading
        self._state = np.ascontiguousarray(state)
        self._tape = sampler.stack.new_tape(1, len(samples))
        self._given = [ids[1:] for ids in given]
        # The last characters in the order of time; the last row is read next.
        self._ids = np.full((sampler.past + 1, len(samples)), -1, np.int32)
        self._ids[-1] = [ids[0] for ids in given]
        if sampler.past:
            read = before[-sampler.past :]
            self._ids[sampler.past - read.size : sampler.past] = read[:, None]

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
        sampler, B, past = self._sampler, len(self.samples), self._sampler.past
        ids = np.concatenate([self._ids, np.zeros((steps, B), np.int32)])
        u, known = np.zeros((steps, B)), np.ones(B, np.int32)
        for n, (sample, given) in enumerate(
            zip(self.samples, self._given, strict=True)
        ):
            size = min(steps, given.size)
            ids[past + 1 : past + 1 + size, n] = given[:size]
            u[size:, n] = sample.uniform(steps - size)
            self._given[n], known[n] = given[size:], size + 1
        logits = np.empty((kept, B, sampler.weights.by.size), sampler.dtype)
        filters = sampler.filters_of(self.samples)
        if not sampler.generate(
            sampler.weights, self._tape, self._state, ids, known, u,
            self._reading.writing(steps), filters, sampler.start, logits,
        ):  # fmt: skip
            raise nothing_to_choose()
        self._ids = ids[steps:]
        return [ids[past + known[n] :, n] for n in range(B)], logits

    def drop_ended(self) -> bool:
        """Go on with the samples that have not ended; False if all have."""
        going = [n for n, sample in enumerate(self.samples) if not sample.ended]
        if len(going) < len(self.samples):
            self.samples = [self.samples[n] for n in going]
            self._given = [self._given[n] for n in going]
            self._state = np.ascontiguousarray(self._state[:, :, going])
            self._ids = np.ascontiguousarray(self._ids[:, going])
            self._tape = self._sampler.stack.new_tape(1, len(going))
        return bool(going)
