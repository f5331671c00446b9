"""Search for what a model finds likeliest: several ways to go on, side by side.

Greedy choice takes the likeliest character at every step, and may so miss the
likeliest text: what is likely now can lead to what is not. A search keeps several
beginnings, the beams, and lets all that may follow each of them compete. Greedy
choice runs along in every race, so that nothing is found that is less likely than
the text that it comes to.

A text that is cut off at the greatest length is none that the model has brought to an
end, and each of its further characters would cost more. So what has ended comes before
all that is cut off, and within both kinds the likeliest comes first: what is found
first is at least as likely as the greedy choice if that ends, and as the greedy
choice's beginning if nothing has ended at all.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids
from charrnn.config import SampleConfig
from charrnn.generation.sampler import Model, Sampler
from charrnn.generation.samples import Piece
from charrnn.kernels.blending import Blend
from charrnn.sampling import nothing_to_choose
from charrnn.vocab import from_code_points

#: Beams of all prompts that are taken through the network side by side, about.
ROWS = 128


class Beam(NamedTuple):
    """What may stand behind a prompt, as far as it has come."""

    ids: tuple[int, ...]  # with the end, if it has come to that
    nats: float  # what they cost: -ln p, by the model alone, before any filter
    ended: bool = False
    #: Whether each character was the likeliest: what a greedy choice comes to.
    greedy: bool = False


class Search:
    """A search for the likeliest text behind each of many prompts.

    Parameters
    ----------
    model : Model
        Of pairs, or of lines: a text ends with its line. Its network's threads share
        the prompts among them.
    prompts : sequence of (n,) int arrays
        What is read before a text need not be part of them.
    config : SampleConfig
        ``beam`` says how many beams each prompt has, and how many texts are found: 1
        is the greedy choice. ``length`` is the most that is written behind a prompt, 0
        or more; ``allow`` and ``ban`` say what may be. What else chooses characters
        has no part here.
    listed : bool
        Whether as many texts are wanted as there are beams, and not the likeliest
        alone, which may be known earlier.
    """

    def __init__(
        self,
        model: Model,
        prompts: Sequence[Ids],
        config: SampleConfig,
        *,
        listed: bool = True,
    ) -> None:
        end = model.documents.start
        if end is None or config.beam is None:
            msg = "a search is for texts that end with a line, and has some beams"
            raise ValueError(msg)
        self._model, self._prompts = model, prompts
        self._sampler = Sampler(model, replace(config, temperature=0))
        self._forbidden = np.isneginf(self._sampler.filters.bias)
        self._width, self._length, self._end = config.beam, config.length, end
        self._wanted = config.beam if listed else 1
        self._adapts = model.reading().blend.learns
        self._shown = 0  # texts that have come as pieces

    def found(self) -> Iterator[list[Beam]]:
        """Search behind every prompt.

        Yields
        ------
        list of Beam
            The likeliest texts behind each prompt in turn, the likeliest first: as
            many as are wanted, where the model has so many. What is cut off at the
            greatest length stands behind what has ended.

        Raises
        ------
        VocabError
            There is nothing to choose from.
        """
        size = 1 if self._adapts else max(1, ROWS // (self._width + 1))
        prompts = self._prompts
        groups = [prompts[a : a + size] for a in range(0, len(prompts), size)]
        threads = self._model.network.threads
        with ThreadPoolExecutor(threads) as pool:
            # A few at a time: whoever leaves does not wait for all of them.
            for a in range(0, len(groups), threads):
                for found in pool.map(self._search, groups[a : a + threads]):
                    yield from found

    def pieces(self) -> Iterator[Piece]:
        """Search, and give the likeliest text behind every prompt in one piece."""
        for beams in self.found():
            best, shown = beams[0], self._shown
            self._shown += 1
            texts = [self._text(beam) for beam in beams]
            yield Piece(
                sample=shown,
                text=texts[0],
                nats=best.nats,
                finish="lines" if best.ended else "length",
                total=best.nats,
                beams=tuple(zip(texts, [beam.nats for beam in beams], strict=True)),
            )

    def interrupt(self) -> Iterator[Piece]:
        """Yield an empty piece for each prompt whose text has not been found."""
        for number in range(self._shown, len(self._prompts)):
            yield Piece(number, "", finish="interrupted")

    def _text(self, beam: Beam) -> str:
        """Write a text, without its end."""
        ids = np.array(beam.ids[: -1 if beam.ended else None], np.int32)
        return from_code_points(self._model.vocab.points[ids])

    def _search(self, prompts: Sequence[Ids]) -> list[list[Beam]]:
        """Search behind some prompts side by side."""
        races = [_Race(self._width, self._wanted, self._end) for _ in prompts]
        batch = _Batch(self._model, self._sampler, prompts)
        for _ in range(self._length):
            going = [race for race in races if not race.is_over]
            if not going:
                break
            chosen, logits = batch.step()
            costs, parents, first = self._costs(logits), [], 0
            for race in going:
                last = first + len(race.beams)
                rows = race.advance(costs[first:last], chosen[first:last])
                parents += [first + row for row in rows]
                first = last
            beams = [beam for race in going for beam in race.beams]
            batch.go_on(parents, [beam.ids[-1] for beam in beams])
        return [race.found() for race in races]

    def _costs(self, logits: Floats) -> NDArray[np.float64]:
        """Compute what each character costs, (B, V): infinity if it is forbidden."""
        z: NDArray[np.float64] = logits.astype(np.float64)
        z -= z.max(axis=1, keepdims=True)
        costs: NDArray[np.float64] = np.log(np.exp(z).sum(axis=1, keepdims=True)) - z
        costs[:, self._forbidden] = np.inf
        return costs


class _Race:
    """The beams of one prompt, and what has come to an end.

    Once a race is over it has no beams.
    """

    def __init__(self, width: int, wanted: int, end: int) -> None:
        self._width, self._wanted, self._end = width, wanted, end
        self.beams = [Beam((), 0.0, greedy=True)]
        self._ended: list[Beam] = []

    @property
    def is_over(self) -> bool:
        """Whether no beam is left that could be among the likeliest texts."""
        return not self.beams

    def advance(self, costs: NDArray[np.float64], chosen: Ids) -> list[int]:
        """Let all that may follow compete.

        Parameters
        ----------
        costs : (B, V) float64 array
            Of what may follow each of the beams.
        chosen : (B,) int array
            What is the likeliest for each.

        Returns
        -------
        list of int
            Which beam each of the new ones goes on from.
        """
        parents, kept = [], []
        for row, symbol in self._best(costs, chosen):
            before = self.beams[row]
            beam = Beam(
                ids=(*before.ids, symbol),
                nats=before.nats + float(costs[row, symbol]),
                ended=symbol == self._end,
                greedy=before.greedy and symbol == int(chosen[row]),
            )
            if beam.ended:
                self._ended.append(beam)
            else:
                kept.append(beam)
                parents.append(row)
        self._ended = _sorted(self._ended)[: self._wanted]
        if len(self._ended) == self._wanted:
            most = self._ended[-1].nats
            if all(beam.nats >= most for beam in kept):
                parents, kept = [], []
        self.beams = kept
        return parents

    def _best(self, costs: NDArray[np.float64], chosen: Ids) -> list[tuple[int, int]]:
        """Find the best ways to go on, as beam and character, and the greedy one."""
        totals = costs + np.array([[beam.nats] for beam in self.beams])
        flat = totals.ravel()
        many = min(self._width, flat.size)
        limit = np.partition(flat, many - 1)[many - 1]
        # Of equals, those of the earlier beam and character.
        places = np.flatnonzero((flat <= limit) & np.isfinite(flat))
        places = places[np.argsort(flat[places], kind="stable")][:many]
        best = [divmod(int(place), costs.shape[1]) for place in places]
        for row, beam in enumerate(self.beams):
            if beam.greedy and (row, int(chosen[row])) not in best:
                best.append((row, int(chosen[row])))
        return best

    def found(self) -> list[Beam]:
        """List the likeliest texts; what has not ended stands as far as it has come."""
        return _sorted([*self._ended, *self.beams])[: self._wanted]


def _sorted(beams: list[Beam]) -> list[Beam]:
    """Put what has ended first, and of that the likeliest; of equals, the earlier."""
    return sorted(beams, key=lambda beam: (not beam.ended, beam.nats))


class _Batch:
    """The beams of some prompts on their way through the network: a row for each.

    Parameters
    ----------
    model : Model
    sampler : Sampler
    prompts : sequence of (n,) int arrays
        A row for each to begin with. If the model counts what it reads, one.
    """

    def __init__(self, model: Model, sampler: Sampler, prompts: Sequence[Ids]) -> None:
        self._sampler, self._blend = sampler, _blend(model, prompts[0])
        rows = len(prompts)
        self._state = np.repeat(model.network.new_state(1), rows, axis=2)
        before = model.documents.stand_in
        longest = max(len(ids) for ids in prompts)
        # Shorter prompts begin later. Where a state is cleared at what stands before a
        # text, it does not matter how often that is read.
        self._ids = np.full((sampler.past + longest + 1, rows), before, np.int32)
        for n, ids in enumerate(prompts):
            self._ids[self._ids.shape[0] - len(ids) :, n] = ids
        self._read(longest)

    def _read(self, steps: int) -> None:
        """Read the prompts, but for their last characters."""
        rows = self._ids.shape[1]
        known = np.full(rows, steps + 1, np.int32)
        self._generate(self._ids, known, steps)
        self._ids = self._ids[steps:]

    def step(self) -> tuple[Ids, Floats]:
        """Read the last character of every row.

        Returns
        -------
        chosen : (B,) int array
            The likeliest of what may follow.
        logits : (B, V) float array

        Raises
        ------
        VocabError
            There is nothing to choose from.
        """
        rows = self._ids.shape[1]
        ids = np.concatenate([self._ids, np.zeros((1, rows), np.int32)])
        logits = self._generate(ids, np.ones(rows, np.int32), 1)
        return ids[-1], logits

    def _generate(self, ids: Ids, known: Ids, steps: int) -> Floats:
        """Take all rows some steps on; return the logits of the last step."""
        sampler, rows = self._sampler, ids.shape[1]
        logits = np.empty((1, rows, sampler.weights.by.size), sampler.dtype)
        if not sampler.generate(
            sampler.weights, sampler.new_step_room(rows), self._state, ids,
            known, np.zeros((steps, rows)), self._blend, sampler.filters,
            sampler.start, logits,
        ):  # fmt: skip
            raise nothing_to_choose()
        return logits[0]

    def go_on(self, parents: list[int], chosen: list[int]) -> None:
        """Go on from some rows, each with a character that is read next."""
        rows = self._ids[1:, parents]
        self._ids = np.concatenate([rows, np.array([chosen], np.int32)])
        self._state = np.ascontiguousarray(self._state[:, :, parents])


def _blend(model: Model, prompt: Ids) -> Blend:
    """Give what is blended with the network, which may have counted a prompt."""
    reading = model.reading()
    if not reading.blend.learns:
        return reading.blend
    before = model.documents.before
    begin = np.array([] if before is None else [before], np.int32)
    reading.read(np.concatenate([begin, prompt]))
    return reading.continued(learns=False).blend
