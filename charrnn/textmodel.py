"""A text model: a network, the vocabulary it speaks, and where its texts begin.

This is what training scores, what views are handed, and what a user of the library
holds. It reads texts in one way (`TextModel.read`), so that what is said of a
character is the same wherever it is said.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import IGNORED, Floats, Ids, PackedIds
from charrnn.cells import cell_of
from charrnn.checkpoint import (
    Checkpoint,
    CheckpointFile,
    CorpusFingerprint,
    Remembered,
    resolve_output,
    save,
)
from charrnn.config import (
    SampleConfig,
    UnknownPolicy,
    needs_memory,
    no_memory,
    read_share,
)
from charrnn.errors import OutputError, field
from charrnn.escapes import shortened
from charrnn.filenames import read_output
from charrnn.generation import Stopped, decode
from charrnn.generation.completion import LENGTH, Completer
from charrnn.generation.sampler import Sampler
from charrnn.memory import Memory, Reading, blend_of, blended_costs
from charrnn.network import Network
from charrnn.options import check_number
from charrnn.pairs import Accuracy, Pairs
from charrnn.predictor import Costs, Predictor
from charrnn.reading import check_text
from charrnn.sampling import nothing_to_choose
from charrnn.stack import Passed
from charrnn.vocab import Vocab
from charrnn.windows import Documents, Window

#: Characters whose signals are handed on at a time.
SLICE = 256

#: Inputs whose outputs are written at a time, which bounds the memory.
DECODED = 512


#: Of a model that was made without a text.
UNKNOWN = CorpusFingerprint((), 0, 0, "")


@dataclass(frozen=True, eq=False)
class TextModel(Predictor):
    """A network that predicts the next character of a text.

    `sample`, `stream`, `loss`, `surprise` (see `Predictor`), `states` and `save` take
    and give texts, paths and plain arrays. The other methods are what these are made
    of; they speak ids.

    Several threads may use one model. It can be copied and pickled, to be sent to a
    process of ``multiprocessing`` that is started by "spawn"; one that is forked from
    a process that has used a network cannot compute. A file of another's should be a
    checkpoint and no pickle, which can run any code.
    """

    network: Network
    vocab: Vocab
    documents: Documents
    #: The text that it was trained on, as far as a checkpoint knows it.
    corpus: CorpusFingerprint = UNKNOWN
    #: What it knows by counting, and the network's share where both predict.
    memory: Memory | None = None
    #: Whether its counts go on in what it reads.
    adapts: bool = False

    def __post_init__(self) -> None:
        """Check that network and memory know the same symbols.

        Raises
        ------
        ValueError
            They do not.
        """
        if self.memory is not None and self.memory.vocab_size != self.vocab.size:
            msg = f"a memory of {self.memory.vocab_size} symbols, not {self.vocab.size}"
            raise ValueError(msg)

    @classmethod
    def of(
        cls,
        network: Network,
        vocab: Vocab,
        *,
        lines: bool = False,
        pairs: bool = False,
    ) -> "TextModel":
        """Put a network and its vocabulary together.

        Parameters
        ----------
        lines : bool
            Whether it was trained with every line as a document.
        pairs : bool
            Whether it was trained on pairs of an input and an output.
        """
        return cls(network, vocab, Documents.of(vocab, lines=lines, pairs=pairs))

    @classmethod
    def read_from(
        cls, file: CheckpointFile, *, threads: int = 1, predicts: bool = True
    ) -> "TextModel":
        """Read the model of an open checkpoint, and no more of it.

        Parameters
        ----------
        predicts : bool
            Whether its memory is read, too, which is good for nothing else.

        Raises
        ------
        CheckpointError
            A tensor or the memory is damaged.
        """
        network = Network(file.model, threads=threads)
        network.load({name: file.read(name) for name in network.tensors})
        documents = Documents.of(file.vocab, lines=file.lines, pairs=file.pairs)
        model = cls(network, file.vocab, documents, file.corpus)
        remembered = file.read_memory() if predicts else None
        return model if remembered is None else model.remembering(remembered)

    def __repr__(self) -> str:
        """Show what kind of network it is, and what it was trained on."""
        config, texts = self.network.config, ", ".join(self.corpus.files)
        layers = f"{config.layers} x " if config.layers > 1 else ""
        symbols = "bytes" if self.vocab.unit == "byte" else "characters"
        size = f"{self.network.theta.size:,} parameters"
        of = f", of {shortened(texts)}" if texts else ""
        network = f"{layers}{config.cell} {config.hidden}"
        return f"<TextModel {network}, {self.vocab.size:,} {symbols}, {size}{of}>"

    @property
    def remembers(self) -> bool:
        """Whether it has a memory."""
        return self.memory is not None

    def remembering(self, remembered: Remembered) -> "TextModel":
        """Give the model with a memory, as a checkpoint has it."""
        memory = Memory(
            ids=remembered.ids,
            order=remembered.order,
            share=remembered.share,
            vocab_size=len(self.vocab),
            before=self.documents.stand_in,
            newline=self.documents.start,
        )
        return replace(self, memory=memory)

    def blended(
        self, blend: float | str = "auto", *, adapt: bool = False
    ) -> "TextModel":
        """Give the model with the network's share in its predictions chosen.

        What predicts (`sample`, `surprise`, `costs` and so on) blends the network
        with the counts of the memory: p = share * network + (1 - share) * counts.

        Parameters
        ----------
        blend : float or "auto"
            The network's share, in [0, 1]: 1 is the network alone. "auto" is the
            memory's, or the network alone where there is no memory.
        adapt : bool
            Whether the counts go on in each text that it reads. What was counted is
            forgotten behind the text.

        Raises
        ------
        OptionError
            It is out of range.
        CountsError
            There is no memory to blend with.
        """
        share = read_share(blend, field("blend"))
        if self.memory is None:
            if needs_memory(share, adapt=adapt):
                raise no_memory(share, adapt=adapt)
            return self
        memory = self.memory if share == "auto" else self.memory.with_share(share)
        if (memory, adapt) == (self.memory, self.adapts):
            return self
        return replace(self, memory=memory, adapts=adapt)

    def complete(
        self,
        prefix: str = "",
        n: int = 3,
        *,
        length: int = LENGTH,
        blend: float | str = "auto",
        adapt: bool = False,
        unknown: UnknownPolicy = "error",
    ) -> list[str]:
        r"""Continue what there is of a line, in a few likely ways.

        Parameters
        ----------
        prefix : str
            A text, whose last line is being written.
        n : int
            Continuations, at most. They begin with the likeliest characters, and go
            on by the likeliest.
        length : int
            Characters of each, at most; one that is as long ends with a whole word.
        blend : float or "auto"
            The network's share beside the memory's; see `blended`.
        adapt : bool
            Whether the counts go on in the lines before the last one.
        unknown : {"error", "skip", "replace"}
            What to do with characters that the model does not know.

        Returns
        -------
        list of str
            The likeliest beginning first; ``"\n"`` says that the line may end there.

        Raises
        ------
        OptionError
            An option is out of range, or the model is one of pairs.
        CountsError
            There is no memory to blend with.
        VocabError
            A character is unknown, and `unknown` is "error".
        """
        check_number("n", n, low=0)
        check_number(field("length"), length, low=1)
        check_text(prefix, "prefix")
        model = self.blended(blend, adapt=adapt)
        config = SampleConfig(temperature=0.0)
        completer = Completer(model, config, unknown=unknown)
        before, newline, line = self.vocab.adapted(prefix).rpartition("\n")
        if newline:
            completer.finish(before)
        return completer.complete(line, n, length)

    def states(self, text: str, *, unknown: UnknownPolicy = "error") -> Floats:
        """Read a text and tell what every unit put out after each character.

        Parameters
        ----------
        text : str
        unknown : {"error", "skip", "replace"}

        Returns
        -------
        (N, L, H) float32 array
            h of every layer, before it is normalized.

        Raises
        ------
        VocabError
            A character is unknown, and `unknown` is "error".
        """
        config = self.network.config
        ids = self._encode(text, unknown)
        none = np.zeros((config.layers, 1, 0, config.hidden), self.network.dtype)
        found = np.concatenate([none, *self.signals(ids, ("h",))], axis=2)
        return np.ascontiguousarray(found[:, 0].transpose(1, 0, 2))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model alone as a checkpoint, in place of what is there.

        It can be sampled, inspected, and begun with; a run is saved by the run.

        Raises
        ------
        OutputError
            It cannot be written; what was there is as it was.
        """
        memory, remembered = self.memory, None
        if memory is not None:
            remembered = Remembered(
                ids=memory.ids, order=memory.order, share=memory.share
            )
        checkpoint = Checkpoint(
            model=self.network.config,
            vocab=self.vocab,
            parameters=dict(self.network.weights),
            corpus=self.corpus,
            statistics=self.network.norm.running,
            lines=self.of_lines,
            pairs=self.of_pairs,
            memory=remembered,
        )
        target = Path(read_output(path, field("path")))
        try:
            save(resolve_output(target), checkpoint)
        except OutputError as error:
            error.where = str(target)
            raise

    def read(self, slices: Iterable[Ids], *, ahead: bool = False) -> Iterator[Window]:
        """Read a text from its beginning to its end; see `Documents.read`."""
        return self.documents.read(slices, ahead=ahead)

    def opening(self) -> NDArray[np.float64] | None:
        """Give the distribution (V,) of a text's first character, if counts make it.

        Returns
        -------
        (V,) float64 array or None
            The shares of the characters in the corpus, blended with what the memory
            knows of them, or None where a newline is read before a text and the
            network predicts its first character, too.
        """
        if self.documents.before is not None:
            return None
        counts = self.vocab.known_counts
        shares: NDArray[np.float64] = counts / counts.sum()
        if self.memory is None or self.memory.share == 1:
            return shares
        return self.memory.opening(shares)

    def opening_cost(self, id_: int) -> float:
        """Compute -log p of a text's first character where counts make it; else 0."""
        shares = self.opening()
        if shares is None:
            return 0.0
        with np.errstate(divide="ignore"):  # a character never seen costs infinity
            return -float(np.log(shares[id_]))

    def costs(self, slices: Iterable[Ids]) -> Iterator[Costs]:
        """Read a text and yield what every character costs, in order.

        Parameters
        ----------
        slices : iterable of (n,) int arrays
            The text, cut anyhow.
        """
        parts: Iterator[Ids] = (part for part in slices if len(part))
        if self.documents.before is None and (part := next(parts, None)) is not None:
            yield Costs(part[:1], np.array([self.opening_cost(int(part[0]))]))
            parts = chain([part], parts)
        state, inside = self.network.new_state(1), False
        reading = self.reading()
        for window in self.read(parts):
            nats, targets = (
                self.network.losses(window, state)[:, 0],
                window.targets[:, 0],
            )
            costs, fixed = reading.costs(nats, window.inputs[:, 0], targets)
            found = Costs(targets, costs, fixed)
            if self.of_pairs:
                found = found.only(self.documents.scored(targets, inside=inside))
                inside = self.documents.ends_inside(targets, inside=inside)
            yield found

    def predicted(self, slices: Iterable[Ids], first: int = 0) -> Iterator[Floats]:
        """Read a text and yield what is expected at its places, from `first` on.

        Parameters
        ----------
        slices : iterable of (n,) int arrays
            The text, cut anyhow.

        Yields
        ------
        (n, V) float64 array
            Distributions of the next n places, which may be none. The very last one
            is that after the text.

        Raises
        ------
        VocabError
            The network's outputs are not finite.
        """
        opening = self.opening()
        if opening is not None and first == 0:
            yield opening[None]
        state, reading = self.network.new_state(1), self.reading()
        place = self.documents.first
        for window in self.read(slices, ahead=True):
            count = len(window.inputs)
            unwanted = min(max(0, first - place), count)
            place += count
            if unwanted == count:
                self.network.forward(window, state)
                p = np.empty((0, self.vocab.size))
            else:
                p = shares_of(self.network.logits(window, state)[unwanted:, 0])
            yield reading.distributions(p, window.inputs[:, 0])

    def sampler(self, config: SampleConfig, corpus: Ids | None = None) -> Sampler:
        """Make ready to write; see `Sampler`."""
        return Sampler(self, config, corpus)

    def reading(self) -> Reading:
        """Begin to read a text, for blending what the network says of it."""
        blend = blend_of(self.memory, self.documents, adapt=self.adapts)
        return Reading(blend)

    def signals(self, ids: Ids, names: Sequence[str]) -> Iterator[Floats]:
        """Read a text and yield, slice by slice, what all units did.

        What belongs to a character is what the units held once they had read it.

        Parameters
        ----------
        ids : (N,) int array
            The text.
        names : sequence of str
            Some of the signals that the cell's record has, S of them.

        Yields
        ------
        (L, S, T, H) float array
            The signals of the next T characters; the caller's to keep.
        """
        state = self.network.new_state(1)
        # What the network did with the newline before the text belongs to no character.
        skipped, rest = int(self.documents.before is not None), None
        windows = self.read([ids], ahead=True)
        for part in chain.from_iterable(map(_documents, windows)):
            passed = self.network.forward(part, state)
            found = self._signals(passed, names)[:, :, skipped:]
            skipped = 0
            rest = found if rest is None else np.concatenate([rest, found], axis=2)
            while rest.shape[2] >= SLICE:
                yield rest[:, :, :SLICE]
                rest = rest[:, :, SLICE:]
        if rest is not None and rest.shape[2]:
            yield rest

    def _signals(self, passed: Passed, names: Sequence[str]) -> Floats:
        """Copy the signals of a window of one row out of its tapes, (L, S, T, H)."""
        config = self.network.config
        cell, hidden = cell_of(config.cell), config.hidden
        shown = {signal.name: signal for signal in cell.shown}
        layers = []
        for tape in passed.tapes:
            found = []
            for name in names:
                if name == "h":
                    found.append(tape.states[0, 1:, 0])
                elif name in shown:
                    signal = shown[name]
                    if signal.field is None:
                        values = tape.states[cell.states.index(name), 1:, 0]
                    else:
                        values = getattr(tape, signal.field)[:, 0]
                    found.append(np.tanh(values) if signal.squashed else values)
                else:
                    first = cell.gates.index(name) * hidden
                    found.append(tape.z[:, 0, first : first + hidden])
            layers.append(np.stack(found))
        return np.stack(layers)

    def mean_loss(
        self, ids: PackedIds | Ids, stopped: Callable[[], bool] | None = None
    ) -> float:
        """Compute the mean loss of what the network predicts of a text.

        A long text is read in pieces, side by side: see `Documents.pieces`. The first
        character of a text before which nothing is read is not the network's to
        predict, and does not count; nor do the inputs of pairs.

        Parameters
        ----------
        ids : (N,) int array
            The text, N >= 1.
        stopped : callable, optional
            Asked after every window, a few hundredths of a second apart.

        Returns
        -------
        float
            Nats per character that is scored, see `Documents.scored`; 0 where there
            is none.

        Raises
        ------
        Stopped
            When `stopped` says so.
        """
        total, count = self.loss_sum(ids, stopped)
        return total / max(1, count)

    def loss_sum(
        self,
        ids: PackedIds | Ids,
        stopped: Callable[[], bool] | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> tuple[float, int]:
        """Add up the losses that `mean_loss` is the mean of, or some of them.

        Parameters
        ----------
        ids, stopped
            As for `mean_loss`.
        part : (which, of how many)
            Of the pieces that are read side by side: a text that is cut into fewer
            leaves some parts empty.

        Returns
        -------
        total : float
            Nats.
        count : int
            Characters that are scored.

        Raises
        ------
        Stopped
            When `stopped` says so.
        """
        (which, parts), total, count, state = part, 0.0, 0, None
        for window in self.documents.pieces(ids):
            if stopped is not None and stopped():
                raise Stopped
            B = window.inputs.shape[1]
            if parts > 1:
                window = window.rows(B * which // parts, B * (which + 1) // parts)
                B = window.inputs.shape[1]
            if B == 0:
                continue
            if state is None:
                state = self.network.new_state(B)
            total += float(self.network.losses(window, state).sum())
            count += int(np.count_nonzero(window.targets != IGNORED))
        return total, count

    def network_costs(
        self, ids: PackedIds | Ids, stopped: Callable[[], bool] | None = None
    ) -> NDArray[np.float64]:
        """Compute what each character of a text costs the network alone, (N,).

        A long text is read as `mean_loss` reads it: not from its beginning, but in
        pieces side by side.

        Parameters
        ----------
        ids : (N,) int array
            The text, N >= 1.
        stopped : callable, optional
            Asked after every window, a few hundredths of a second apart.

        Returns
        -------
        (N,) float64 array
            Nats; 0 for characters that are not scored, see `Documents.scored`.

        Raises
        ------
        Stopped
            When `stopped` says so.
        """
        found, state = np.zeros(len(ids)), None
        for window, places in self.documents.placed_pieces(ids):
            if stopped is not None and stopped():
                raise Stopped
            if state is None:
                state = self.network.new_state(window.inputs.shape[1])
            scored = window.targets != IGNORED
            found[places[scored]] = self.network.losses(window, state)[scored]
        return found

    def accuracy(
        self, pairs: Pairs, stopped: Callable[[], bool] = lambda: False
    ) -> Accuracy | None:
        """Write the likeliest output of every input, and compare it with the right one.

        Parameters
        ----------
        pairs : Pairs
            In ids; `Pairs.of` takes the ids of a text of pairs apart.
        stopped : callable
            Asked every few steps, some milliseconds apart; must stay with a yes.

        Returns
        -------
        Accuracy or None
            None where there is no pair.

        Raises
        ------
        Stopped
            When `stopped` says so.
        """
        return pairs.accuracy(self.outputs(pairs, stopped))

    def outputs(
        self, pairs: Pairs, stopped: Callable[[], bool] = lambda: False
    ) -> list[Ids]:
        """Write the likeliest output of every input, as `accuracy` compares them.

        Parameters
        ----------
        pairs : Pairs
            In ids; see `accuracy`. What is right bounds what is written: an output
            that is as long as `Pairs.limits` says is wrong however it would end, and
            is cut there.
        stopped : callable
            Asked every few steps, some milliseconds apart; must stay with a yes.

        Returns
        -------
        list of (n,) int arrays
            Without newlines, in the order of the inputs.

        Raises
        ------
        Stopped
            When `stopped` says so.
        """
        limits, outputs = pairs.limits, list[Ids]()
        for first in range(0, len(pairs), DECODED):
            some = slice(first, first + DECODED)
            outputs += decode(self, pairs.inputs[some], limits[some], stopped)
        return outputs

    def mean_cost(self, ids: Ids) -> float:
        """Compute the mean loss of a text, blended where there is a memory."""
        if self.memory is None or self.memory.share == 1:
            return self.mean_loss(ids)
        scored = self.documents.scored(ids)
        if self.adapts:
            costs = np.concatenate([part.nats for part in self.costs([ids])])
            return float(costs[scored].mean())
        nats, p = self.network_costs(ids), self.memory.probabilities(ids)
        found = blended_costs(self.memory.share, nats, p)
        return float(found[scored].mean())


def shares_of(logits: Floats) -> NDArray[np.float64]:
    """Turn logits (N, V) into probabilities, or raise `VocabError` as sampling does."""
    z: NDArray[np.float64] = logits.astype(np.float64)
    peaks = z.max(axis=1, keepdims=True)
    if not np.isfinite(peaks).all():
        raise nothing_to_choose()
    z -= peaks
    weights = np.exp(z, out=z)
    return weights / weights.sum(axis=1, keepdims=True)


def _documents(window: Window) -> Iterator[Window]:
    """Cut a window where documents begin.

    A state that is cleared is cleared in its place on the tape, where it was that of
    the character before: within one window, that character would seem to hold zeros.
    """
    begins = [0, *(np.flatnonzero(window.resets[1:, 0]) + 1), len(window.inputs)]
    for first, last in pairwise(begins):
        yield window.steps(first, last)
