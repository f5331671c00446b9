"""A batch of samples, from the prompts to the last piece."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Floats, Ids
from charrnn.config import RECENT, SampleConfig
from charrnn.generation.following import Walk
from charrnn.generation.sampler import AnyModel, Rows
from charrnn.generation.samples import (
    Candidates,
    FinishReason,
    Piece,
    Request,
    Sample,
    Score,
)
from charrnn.kernels.filters import new_scratch
from charrnn.kernels.generator import choose_first
from charrnn.kernels.threads import row_cuts
from charrnn.sampling import nothing_to_choose
from charrnn.vocab import from_code_points

#: Seconds that a slice of few samples takes at most, about: text shows promptly, and a
#: Ctrl-C waits for one slice.
SLICE_SECONDS = 0.01

#: With more samples than this, a slice may take longer, in proportion, and so many
#: times as long at most: between slices one thread hands pieces out while the others
#: wait. 256 samples write half as much again as in slices as short as those of one.
SLICED_SAMPLES, LONGEST_SLICE = 20, 10

#: Numbers that may be kept of a slice: characters, or the logits to score them.
KEPT = 2**22


def surprise(logits: Floats, ids: Ids) -> NDArray[np.float64]:
    """Compute -log p of one character a row, (N,), in nats."""
    z: NDArray[np.float64] = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    taken = z[np.arange(len(ids)), ids]
    return np.log(np.exp(z, out=z).sum(axis=1)) - taken


class Generation:
    """A batch of samples under way.

    A prompt stands at the beginning of a line: a virtual newline is read before
    it where the vocabulary has one. Without a newline in the vocabulary, and
    without a prompt, the first character follows the counts of the corpus.

    Parameters
    ----------
    model : TextModel or Mixture
        Its threads share the samples among them.
    prompts : sequence of (N,) int arrays
        Character ids; may be empty. Each is continued ``config.num_samples``
        times ``config.best_of`` times: these samples follow one another.
    config : SampleConfig
        Its texts are made of the vocabulary's symbols.
    lead : iterable of (N,) int arrays
        The beginning of a long prompt, in slices, when there is one prompt: it
        is read once and not kept.
    scored : bool
        Whether pieces say how likely they are, which costs some time.
    corpus : (N,) int array, optional
        The text that ``config.no_copy`` speaks of; below 0 what is no
        character of the vocabulary. The text of the model's memory, if not given.
    learns : bool
        Whether a model that adapts counts in what it writes, too.
    requests : sequence of Request, optional
        What each prompt is asked for, where they differ, or are not the first of
        their seed; else every one is as `config` says.
    sampler : Sampler or MixedSampler, optional
        That of the model and the configuration, if it has been made already.
    slice_seconds : float, optional
        What a slice takes at most, about. If it is not given, `SLICE_SECONDS`, and
        more with many samples.

    Raises
    ------
    VocabError
        The settings leave no character to choose from.
    """

    def __init__(
        self,
        model: AnyModel,
        prompts: Sequence[Ids],
        config: SampleConfig,
        *,
        lead: Iterable[Ids] = (),
        scored: bool = True,
        corpus: Ids | None = None,
        learns: bool = False,
        requests: Sequence[Request] | None = None,
        sampler: Any = None,
        slice_seconds: float | None = None,
    ) -> None:
        self._slice_seconds = slice_seconds
        self._vocab, self._config = model.vocab, config
        self._scored = scored or config.best_of > 1 or config.logprobs > 0
        self._sampler = sampler or model.sampler(config, corpus)
        self._threads: int = self._sampler.threads
        before = model.documents.before
        begin = np.array([] if before is None else [before], np.int32)
        self._lead = chain([begin], lead)
        self._prompts = list(prompts)
        if len(prompts) > 1:
            self._prompts = [np.concatenate([begin, prompt]) for prompt in prompts]
        self._each = each = config.num_samples * config.best_of
        if requests is None:
            requests = [Request(config, n * each) for n in range(len(prompts))]
        self._samples = [
            Sample(n * each + i, request.config, request.first + i, self._walk(request))
            for n, request in enumerate(requests)
            for i in range(each)
        ]

        self._state = self._sampler.new_state()
        self._readings = [model.reading() for _ in prompts]
        self._adapts, self._learns = self._readings[0].learns, learns
        self._before = np.zeros(0, np.int32)  # what has been read, as far as needed
        self._candidates = Candidates(config.best_of) if config.best_of > 1 else None

    def pieces(self) -> Iterator[Piece]:
        """Generate until every sample has ended, or for ever.

        Yields
        ------
        Piece
            Of all samples in turn; the last one of each says why it ended. The
            best of several candidates comes in one piece.

        Raises
        ------
        VocabError
            There is nothing to choose from.
        """
        yield from self._select(self._all_pieces())

    def interrupt(self) -> Iterator[Piece]:
        """Yield the last pieces of all samples that have not ended."""
        yield from self._select(self._end("interrupted"))

    def _select(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Pass on the pieces of all samples, or the best of each's candidates."""
        for piece in pieces:
            shown = piece if self._candidates is None else self._candidates.take(piece)
            if shown is not None:
                yield shown

    def _all_pieces(self) -> Iterator[Piece]:
        """Yield the pieces of all candidates."""
        for sample in self._samples:
            if sample.complete is not None:
                yield sample.end(sample.complete)
        if all(sample.ended for sample in self._samples):
            return
        given = []
        if len(self._prompts) == 1:
            self._read_lead()
        for sample in self._samples:
            prompt = self._prompts[sample.number // self._each]
            if sample.ended:
                prompt = np.zeros(1, np.int32)  # never read
            elif not prompt.size:
                prompt, piece = self._first(sample)
                if piece is not None:
                    yield piece
            given.append(prompt)
        yield from self._advance(self._shards(given))

    def _walk(self, request: Request) -> Walk | None:
        """Set a sample on its way along the pattern, if there is one."""
        course = self._sampler.course
        return None if course is None else Walk(course, request.config.length)

    def _read_lead(self) -> None:
        """Read the only prompt, but for its last character."""
        kept = self._prompts[0][:0]
        for part in chain(self._lead, self._prompts):
            ids = np.concatenate([kept, part])
            self._readings[0].read(part)
            self._sampler.read(ids[:-1], self._state)
            self._before = np.concatenate([self._before, ids[:-1]])[-RECENT:]
            kept = ids[-1:]
        self._prompts = [kept]

    def _first(self, sample: Sample) -> tuple[Ids, Piece | None]:
        """Choose the first character where nothing has been read.

        Returns
        -------
        ids : (1,) int array
            What is then read.
        piece : Piece, optional
        """
        ids = np.empty(1, np.int32)
        logits = self._sampler.opening(self._state)
        u = sample.uniform(1)
        filters, scratch = self._sampler.filters_of([sample]), new_scratch(logits.size)
        # Counts of 0 may leave nothing that is allowed: then all is equally likely.
        if not choose_first(logits, filters, scratch, u, ids):
            logits[:] = 0
            if not choose_first(logits, filters, scratch, u, ids):
                raise nothing_to_choose()
        return ids, self._grow(sample, ids, logits[None])

    def _shards(self, given: list[Ids]) -> list[Rows[Sample]]:
        """Share the samples among the threads, each with what it reads next."""
        shards = []
        for a, b in pairwise(self._cuts(given)):
            reading = self._readings[a // self._each]
            if self._adapts:
                reading = reading.continued(learns=self._learns)
            shard = self._samples[a:b], self._state, self._before, given[a:b], reading
            shards.append(self._sampler.shard(*shard))
        return shards

    def _cuts(self, given: list[Ids]) -> list[int]:
        """Cut the samples into shards: one a thread, if all may share their counts."""
        if not self._adapts or (len(self._prompts) == 1 and not self._learns):
            return row_cuts(len(given), self._threads).tolist()
        if len(self._prompts) > 1:
            for reading, prompt in zip(self._readings, self._prompts, strict=True):
                reading.read(prompt)
        return list(range(0, len(given) + 1, 1 if self._learns else self._each))

    def _advance(self, shards: list[Rows[Sample]]) -> Iterator[Piece]:
        """Take all shards on, slice after slice."""
        limit = math.inf if self._config.time is None else self._config.time
        deadline, steps = time.monotonic() + limit, 1
        helpers = self._sampler.helpers()
        with ThreadPoolExecutor(self._threads) as pool:
            while shards := [shard for shard in shards if shard.drop_ended()]:
                if time.monotonic() >= deadline:
                    yield from self._end("time")
                    return
                steps = min(steps, self._most_steps(shards))
                kept = steps if self._scored else 1
                began = time.perf_counter()
                if len(shards) == 1:  # another thread can only help with products
                    with helpers.at_work(pool, steps):
                        found = [shards[0].run(steps, kept)]
                else:
                    work = [pool.submit(shard.run, steps, kept) for shard in shards]
                    found = [shard.result() for shard in work]
                taken = time.perf_counter() - began
                for shard, (chosen, logits) in zip(shards, found, strict=True):
                    yield from self._grow_all(shard.samples, chosen, logits)
                most = self._seconds_of(shards)
                if taken < most / 2:
                    steps *= 2
                elif taken > most:
                    steps = max(1, steps // 2)

    def _seconds_of(self, shards: list[Rows[Sample]]) -> float:
        """Say what a slice may take."""
        if self._slice_seconds is not None:
            return self._slice_seconds
        rows = sum(len(shard.samples) for shard in shards)
        return SLICE_SECONDS * min(LONGEST_SLICE, max(1, rows / SLICED_SAMPLES))

    def _most_steps(self, shards: list[Rows[Sample]]) -> int:
        """Bound a slice by what is still wanted, and by what may be kept."""
        rows = sum(len(shard.samples) for shard in shards)
        kept = self._vocab.size * rows if self._scored else rows
        left = max(shard.steps_left for shard in shards)
        return int(min(left, max(1, KEPT // kept)))

    def _grow_all(
        self, samples: list[Sample], chosen: list[Ids], logits: Floats
    ) -> Iterator[Piece]:
        """Add to every sample what was chosen for it."""
        for n, (sample, ids) in enumerate(zip(samples, chosen, strict=True)):
            if ids.size:
                piece = self._grow(sample, ids, logits[-ids.size :, n])
                if piece is not None:
                    yield piece

    def _grow(self, sample: Sample, ids: Ids, logits: Floats) -> Piece | None:
        """Add characters (n,) to a sample; their logits (n, V) if it is scored."""
        if sample.walk is not None:
            count = sample.walk.take(ids)
            ids, logits = ids[:count], logits[:count]
        text = from_code_points(self._vocab.points[ids])
        if not self._scored:
            return sample.add(text, np.zeros(0), ())
        nats = surprise(logits, ids)
        scores = self._scores(text, nats, logits) if self._config.logprobs else ()
        return sample.add(text, nats, scores)

    def _scores(
        self, text: str, nats: NDArray[np.float64], logits: Floats
    ) -> list[Score]:
        """List the likeliest characters beside each that was chosen."""
        order = np.argsort(-logits, axis=1, kind="stable")[:, : self._config.logprobs]
        symbols, scores = self._vocab.symbols, []
        taken = np.take_along_axis(logits, order, axis=1).astype(np.float64)
        # What the best one costs is the logarithm of the sum.
        best = order[:, 0].astype(np.int32)
        cost = surprise(logits, best)[:, None] - (taken - taken[:, :1])
        for n, (symbol, own) in enumerate(zip(text, nats.tolist(), strict=True)):
            top = zip(order[n].tolist(), cost[n].tolist(), strict=True)
            likeliest = tuple((symbols[index], nats) for index, nats in top)
            scores.append(Score(symbol, own, likeliest))
        return scores

    def _end(self, reason: FinishReason) -> Iterator[Piece]:
        """End every sample that has not ended."""
        for sample in self._samples:
            if not sample.ended:
                yield sample.end(reason)
