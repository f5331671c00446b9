"""What several models write together: each expects, one mixture chooses, all read it.

    id --> its id to model 1 --> network, counts --> logits --+
     ^                                                        |
     |---> its id to model 2 --> network, counts --> logits --+--> mix --> filters
     |                                                                        |
     +------------------------------------------------------------------------+

Models may be of any cell and size, so a step of each is a call of its own kernel, the
one that it writes with when it is alone: nothing is compiled for a combination. A
character that a model does not know might never have been there for it: it goes on
expecting what it did before.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids
from charrnn.config import SampleConfig
from charrnn.errors import OptionError, field
from charrnn.generation.choosing import Chooser
from charrnn.generation.helpers import Helpers
from charrnn.generation.sampler import Model, R, Rows, Sampler
from charrnn.kernels.filters import Filters, new_scratch
from charrnn.kernels.mixing import Predicted, choose_mixed, mix_rows
from charrnn.memory import Reading
from charrnn.sampling import nothing_to_choose
from charrnn.vocab import Vocab
from charrnn.windows import Documents

#: What says how characters are chosen, as nothing is asked for: a model of a mixture
#: is taken a step further by itself, and what it would choose is of no use.
NOTHING_ASKED: dict[str, Any] = {
    "temperature": 0.0,
    "top_k": None,
    "top_p": None,
    "min_p": None,
    "typical": None,
    "no_repeat": None,
    "no_copy": None,
    "logit_bias": (),
    "allow": None,
    "ban": "",
    "pattern": None,
}

#: Steps for which there is room behind what is kept of a model's ids.
ROOM = 256


class Mixed(Protocol):
    """What writing needs of a `Mixture`."""

    @property
    def members(self) -> Sequence[Model]:
        """The models, whose weights are above 0."""

    @property
    def weights(self) -> NDArray[np.float64]:
        """Their weights, which add up to 1."""

    @property
    def linear(self) -> bool:
        """Whether probabilities are added up, and not multiplied."""

    @property
    def vocab(self) -> Vocab:
        """The characters of the mixture."""

    @property
    def documents(self) -> Documents:
        """What is read before a text."""

    @property
    def ids_of(self) -> Sequence[Ids]:
        """For each model (V,) its ids of the mixture's characters; -1 if unknown."""

    def remembered(self) -> Ids | None:
        """Give the texts that the models remember, in ids of the mixture, if any."""


class MixedReading:
    """A text on its way past all models of a mixture; see `Reading`.

    Parameters
    ----------
    readings : sequence of Reading
    ids_of : sequence of (V,) int arrays
        Each model's ids of the mixture's characters; -1 if unknown.
    """

    def __init__(self, readings: Sequence[Reading], ids_of: Sequence[Ids]) -> None:
        self.readings, self._ids_of = readings, ids_of

    @property
    def learns(self) -> bool:
        """Whether a model counts what is read."""
        return any(reading.learns for reading in self.readings)

    def read(self, ids: Ids) -> None:
        """Read some characters, of which only the counts are told."""
        for reading, own in zip(self.readings, self._ids_of, strict=True):
            if reading.learns:
                reading.read(known(own, ids))

    def continued(self, *, learns: bool) -> "MixedReading":
        """Give a reading of its own to a text that goes on from here."""
        own = [reading.continued(learns=learns) for reading in self.readings]
        return MixedReading(own, self._ids_of)


def known(ids_of: Ids, ids: Ids) -> Ids:
    """Give a model's ids of what it knows of some characters."""
    found = ids_of[ids]
    return found[found >= 0]


class MixedSampler(Chooser):
    """A mixture and the way it is asked to write, which all shards share.

    Parameters
    ----------
    model : Mixture
    config, corpus
        See `Sampler`.

    Raises
    ------
    OptionError
        A unit is to be held: of which model is not said.
    """

    def __init__(
        self, model: Mixed, config: SampleConfig, corpus: Ids | None = None
    ) -> None:
        check_units(config)
        if corpus is None and config.no_copy:
            corpus = model.remembered()
        super().__init__(config, model.vocab, model.documents, corpus)
        step = replace(config, **NOTHING_ASKED)
        self.samplers = [Sampler(member, step) for member in model.members]
        self.threads = max(sampler.threads for sampler in self.samplers)
        self.ids_of = model.ids_of
        self.vocab_size = model.vocab.size
        reads = model.documents.before is not None
        self._befores = [
            None if reads else member.documents.before for member in model.members
        ]
        self._readings = [member.reading() for member in model.members]
        sizes = [member.vocab.size for member in model.members]
        places = []
        for own, size in zip(self.ids_of, sizes, strict=True):
            back = np.full(size, -1, np.int32)
            back[own[own >= 0]] = np.flatnonzero(own >= 0)
            places.append(back)
        self._predicted = Predicted(
            logits=np.zeros(0, np.float32),
            sizes=np.array(sizes, np.int32),
            places=np.concatenate(places),
            weights=np.array(model.weights, np.float64),
            linear=model.linear,
        )

    def predicted(self, logits: Floats) -> Predicted:
        """Say how logits of all models, one behind the other, are mixed."""
        return self._predicted._replace(logits=logits)

    def helpers(self) -> Helpers:
        """Make those that help with a single text: in a mixture nobody does."""
        return Helpers(self.samplers[0].weights, threads=1)

    def new_state(self) -> "list[Lead]":
        """Make what nothing has been read into, for each model.

        Where the mixture has no newline, a model that reads one before a text does.
        """
        pairs = zip(self.samplers, self._befores, strict=True)
        return [Lead(sampler, before) for sampler, before in pairs]

    def read(self, ids: Ids, state: "list[Lead]") -> None:
        """Read a text: each model what it knows of it."""
        for lead, own in zip(state, self.ids_of, strict=True):
            lead.read(known(own, ids))

    def opening(self, state: "list[Lead]") -> Floats:
        """Give the logits (V,) of a text's first character where none is read."""
        voices = Voices(self, state, 1, self._readings)
        out = np.empty((1, self.vocab_size))
        mix_rows(voices.predicted, out)
        return out[0].astype(np.float32)

    def shard(
        self,
        samples: list[R],
        state: "list[Lead]",
        before: Ids,
        given: list[Ids],
        reading: MixedReading,
    ) -> "MixedShard[R]":
        """Begin with some samples that have all read the same; see `MixedShard`."""
        return MixedShard(self, samples, state, before, given, reading)


def check_units(config: SampleConfig) -> None:
    """Raise `OptionError` if a unit is to be held."""
    if config.set_unit:
        msg = f"{field('set_unit')} cannot be combined with a mixture of models"
        raise OptionError(msg, hint="a unit is one network's: sample one model")


class Lead:
    """What one model of a mixture has read before samples part.

    The last character that it knows is left for the samples: what stands behind it is
    expected by counts, too, which may go on.

    Parameters
    ----------
    sampler : Sampler
    before : int, optional
        What it reads before a text, if that is no character of the mixture.
    """

    def __init__(self, sampler: Sampler, before: int | None) -> None:
        self._sampler, self.state = sampler, sampler.new_state()
        #: The end of what was read; the last of them is not part of the state yet.
        self.ids = np.array([] if before is None else [before], np.int32)

    def read(self, ids: Ids) -> None:
        """Read some characters, all of which it knows."""
        unread = np.concatenate([self.ids[-1:], ids])
        self._sampler.read(unread[:-1], self.state)
        self.ids = np.concatenate([self.ids, ids])[-self._sampler.past - 1 :]


class Voice:
    """Rows of a batch on their way through one model of a mixture.

    Parameters
    ----------
    sampler : Sampler
    lead : Lead
        What all rows have read.
    reading : Reading
        The same, as far as it was counted.
    logits : (1, B, V) float array
        Written: what is expected next in every row, network and counts blended.
    whole : bool
        Whether it knows all characters of the mixture.
    """

    def __init__(
        self,
        sampler: Sampler,
        lead: Lead,
        reading: Reading,
        logits: Floats,
        *,
        whole: bool,
    ) -> None:
        B, past = logits.shape[1], sampler.past
        self.logits, self.reading = logits, reading
        self._sampler, self._whole = sampler, whole
        self._state = np.repeat(lead.state, B, axis=2)
        self._step_room = sampler.new_step_room(B)
        # What was read last, and behind it room for what will be.
        self._ids = np.full((past + ROOM, B), -1, np.int32)
        self._at = 0  # where what was read last begins
        self._known, self._u = np.ones(B, np.int32), np.zeros((1, B))
        if not lead.ids.size:
            logits[0] = sampler.opening(lead.state)
            return
        read = lead.ids[:-1][-past:] if past else lead.ids[:0]
        self._ids[past - read.size : past] = read[:, None]
        self.read(np.full(B, lead.ids[-1], np.int32))

    def read(self, ids: Ids) -> None:
        """Read a character a row; a row stays as it is where that is below 0.

        Raises
        ------
        VocabError
            What comes next cannot be told: it is not finite.
        """
        strange = np.flatnonzero(ids < 0) if not self._whole else ()
        if len(strange) == ids.size:
            return
        if len(strange):
            kept = self._state[:, :, strange], self.logits[0, strange]
            ids = np.maximum(ids, 0)
        sampler, past = self._sampler, self._sampler.past
        window = self._ids[self._at : self._at + past + 2]
        window[past] = ids
        if not sampler.generate(
            sampler.weights, self._step_room, self._state, window, self._known,
            self._u, self.reading.blend._replace(learns=False), sampler.filters,
            sampler.start, self.logits,
        ):  # fmt: skip
            raise nothing_to_choose()
        if len(strange):
            self._state[:, :, strange], self.logits[0, strange] = kept
            window[1 : past + 1, strange] = window[:past, strange]
        self._at += 1
        if self._at + past + 2 > len(self._ids):
            self._ids[:past] = self._ids[self._at : self._at + past].copy()
            self._at = 0

    def keep(self, rows: list[int], logits: Floats) -> None:
        """Forget all but some rows.

        Parameters
        ----------
        logits : (1, len(rows), V) float array
            Where those that are kept go, and what is expected from now on.
        """
        logits[0] = self.logits[0, rows]
        self.logits = logits
        self._state = np.ascontiguousarray(self._state[:, :, rows])
        self._ids = np.ascontiguousarray(self._ids[:, rows])
        self._step_room = self._sampler.new_step_room(len(rows))
        self._known, self._u = self._known[: len(rows)], self._u[:, : len(rows)].copy()


class Voices:
    """Rows of a batch on their way through all models of a mixture.

    Parameters
    ----------
    sampler : MixedSampler
    state : list of Lead
        What all rows have read, by each model.
    rows : int
        B.
    readings : sequence of Reading
        The same, as far as it was counted.
    """

    def __init__(
        self,
        sampler: MixedSampler,
        state: Sequence[Lead],
        rows: int,
        readings: Sequence[Reading],
    ) -> None:
        self._sampler = sampler
        wholes = [bool((own >= 0).all()) for own in sampler.ids_of]
        self._voices = [
            Voice(own, lead, reading, logits, whole=whole)
            for own, lead, reading, logits, whole in zip(
                sampler.samplers,
                state,
                readings,
                self._new_logits(rows),
                wholes,
                strict=True,
            )
        ]

    def _new_logits(self, rows: int) -> list[Floats]:
        """Make room for what all models expect, (1, rows, V) of each of them."""
        sizes = [sampler.weights.by.size for sampler in self._sampler.samplers]
        flat = np.empty(rows * sum(sizes), np.float32)
        self.predicted = self._sampler.predicted(flat)
        ends = np.cumsum(sizes) * rows
        parts = zip(np.split(flat, ends[:-1]), sizes, strict=True)
        return [part.reshape(1, rows, size) for part, size in parts]

    def read(self, ids: Ids) -> None:
        """Read a character a row: each model if it knows it."""
        for voice, own in zip(self._voices, self._sampler.ids_of, strict=True):
            voice.read(own[ids])

    def learn(self, ids: Ids) -> None:
        """Count what was written in the only row, as far as models do that."""
        for voice, own in zip(self._voices, self._sampler.ids_of, strict=True):
            voice.reading.read(known(own, ids))

    def keep(self, rows: list[int]) -> None:
        """Forget all but some rows."""
        for voice, logits in zip(
            self._voices, self._new_logits(len(rows)), strict=True
        ):
            voice.keep(rows, logits)


class MixedShard(Rows[R]):
    """Some samples of a batch that several models write together.

    Parameters
    ----------
    sampler : MixedSampler
    samples, before, given
        See `Rows`.
    state : list of Lead
        What all samples have read, by each model.
    reading : MixedReading
        The same, as far as it was counted. If it goes on learning, there is one
        sample.
    """

    def __init__(
        self,
        sampler: MixedSampler,
        samples: list[R],
        state: Sequence[Lead],
        before: Ids,
        given: list[Ids],
        reading: MixedReading,
    ) -> None:
        super().__init__(sampler, samples, before, given)
        self._vocab_size, self._learns = sampler.vocab_size, reading.learns
        self._voices = Voices(sampler, state, len(samples), reading.readings)
        self._scratch = new_scratch(self._vocab_size)

    def _write(
        self, ids: Ids, known: Ids, u: Floats, filters: Filters, kept: int
    ) -> Floats:
        """Read and write, step by step."""
        (steps, B), past = u.shape, self._chooser.past
        logits, voices = np.empty((kept, B, self._vocab_size)), self._voices
        given = known.max()  # from there on, something is chosen in every row
        wanted = np.ones(B, np.uint8)
        for t in range(steps):
            now = past + t
            voices.read(ids[now])
            if t + 1 <= given:
                wanted = (known <= t + 1).view(np.uint8)
                if not wanted.any():
                    continue
            if not choose_mixed(
                voices.predicted, ids[t + 1 : now + 1], filters, self._scratch, wanted,
                u[t], logits[t % kept], ids[now + 1],
            ):  # fmt: skip
                raise nothing_to_choose()
            if self._learns:
                voices.learn(ids[now + 1])
        return logits

    def _keep(self, rows: list[int]) -> None:
        """Forget what all but some rows are about."""
        self._voices.keep(rows)
