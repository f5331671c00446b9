"""The command `sample`: write text as a trained model would.

Options become configurations that check themselves; then the checkpoint is
opened, then the prompt is read, and only when nothing is wrong with either is
Numba imported. Generated text goes to the writers and to no other place.
"""

import math
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.blending import UNFINISHED, check_blending, share_in
from charrnn.cli.notes import PREPARING, Meter, Notes
from charrnn.cli.options import COMMON, Common, takes
from charrnn.cli.output import ReaderGone, TextSink
from charrnn.cli.prompts import WAITING, Prompt, PromptText, as_inputs, to_symbols
from charrnn.cli.sample_form import Form, adopt
from charrnn.cli.writers import (
    JsonWriter,
    Layout,
    PairsJsonWriter,
    TextWriter,
    Writer,
    open_output,
)
from charrnn.config import (
    CHOICE,
    LENGTH,
    OUTPUT,
    PROMPT,
    Blending,
    SampleConfig,
    SampleInputs,
    UnknownPolicy,
    check_search,
    settle,
)
from charrnn.counting import plural
from charrnn.errors import CharRNNError, OptionError
from charrnn.escapes import readable
from charrnn.options import OptionTable, check_file_name, configure, entries_of, read

if TYPE_CHECKING:
    from charrnn.arrays import Ids
    from charrnn.checkpoint import CheckpointFile
    from charrnn.generation import Generating
    from charrnn.textmodel import TextModel
    from charrnn.vocab import Vocab

#: Said when a prompt is so long that reading it through the network takes time.
READING = "reading a long prompt through the network"

#: Random seeds are below this: any JSON reader keeps such an integer exact.
SEEDS = 2**53

#: Settings that --json tells as they are; biases have a form of their own.
SAMPLER = tuple(e.name for e in entries_of(SampleConfig) if e.record.recorded)

#: What the command is about, for its help. No docstring: Python may leave those out.
ABOUT = """Write text as a trained model would.

The text goes to standard output while it is made. It ends in a newline,
unless --raw is given or a model of bytes writes to a pipe or a file.
"""

EXAMPLES = "\n".join(
    [
        "Examples:",
        "charrnn sample lovecraft.npz",
        "charrnn sample -t 0.7 -p 'The old house' -n 400 lovecraft.npz",
        "echo 'The old house' | charrnn sample lovecraft.npz | fold -s -w 72",
        r"charrnn sample names.npz -p '' -e --stop '\n' -N 20",
        "charrnn sample dates.npz -p 'the 3rd of March 1987'",
        "charrnn sample dates.npz --prompt-lines --beam 4 < column.txt",
        "charrnn sample lovecraft.npz -n -1 < /dev/null | head -c 100000",
        "charrnn sample lovecraft.npz -N 50 --json | jq -r .text",
    ]
)


OPTIONS = OptionTable(
    kinds=(SampleConfig, Blending, Form, SampleInputs, Common),
    groups=(PROMPT, LENGTH, CHOICE, OUTPUT, COMMON),
)

CheckpointPath = Annotated[
    str,
    typer.Argument(metavar="CHECKPOINT", help="A model, as charrnn train saves it."),
]


@takes(OPTIONS)
def sample(checkpoint: CheckpointPath, **options: Any) -> None:
    """Carry out what `ABOUT` says."""
    common = configure(Common, options)
    form = configure(Form, options, echo_given=options["echo"] is not None)
    check_file_name("the name of the checkpoint", checkpoint)
    inputs = configure(SampleInputs, options)
    source = Prompt(text=form.prompt, file=form.prompt_file, escape=form.escape)
    if form.prompt_lines and not source.is_given:
        msg = "--prompt-lines needs prompts"
        raise OptionError(msg, hint="give --prompt or --prompt-file, or pipe them in")
    if "-" in inputs.corpus and source.reads_stdin:
        msg = "--corpus - and the prompt both want standard input"
        raise OptionError(msg, hint="give one of them in a file, or --prompt ''")
    given = read(SampleConfig, options)
    given.setdefault("seed", secrets.randbelow(SEEDS))
    blending, config = configure(Blending, options), settle(given)
    check_search(config, blending)
    form.check(config)
    with suppress(ReaderGone):  # as whoever ran `head` wanted
        run = _Run(Path(checkpoint), form, common, blending)
        run.run(source, inputs, given)


class _Run:
    """One run of the command: open, read, generate, show.

    Parameters
    ----------
    path : Path
        The checkpoint.
    form : Form
    common : Common
    blending : Blending
        How much of a prediction is the network's.
    """

    def __init__(
        self, path: Path, form: Form, common: Common, blending: Blending
    ) -> None:
        self.path = path
        self.blending = blending
        self.form = form
        self.notes = Notes(common)
        self.threads, warning = common.resolve_threads()
        if warning:
            self.notes.warn(warning)

    def run(
        self, source: Prompt, inputs: SampleInputs, given: Mapping[str, Any]
    ) -> None:
        """Do it all; what can be wrong is looked at before Numba is imported.

        Parameters
        ----------
        source : Prompt
        inputs : SampleInputs
        given : mapping
            Fields of `SampleConfig` by name.
        """
        from charrnn.checkpoint import CheckpointFile  # imports NumPy

        with CheckpointFile(self.path) as file, ExitStack() as stack:
            inputs.check_model(pairs=file.pairs)
            vocab, config = file.vocab, settle(given, pairs=file.pairs)
            self._check_memory(file, inputs, config)
            prompts = self._prompts(source, file, config, inputs)
            for prompt in prompts:
                stack.callback(prompt.close)
            self._check(prompts, file, inputs)
            config = adopt(config, vocab, self.notes, escape=self.form.escape)
            self._warn_of_repeats(file, config)
            copies = self._read_corpus(inputs.corpus, vocab)
            self.notes.detail(f"seed {config.seed}")
            self.notes.detail(f"weights in {self._precision(file, config)}")
            if not prompts:  # a column without a line becomes one without a line
                with self._open_output(source, inputs):
                    return
            note = PREPARING
            if config.best_of > 1:
                note = f"making {config.best_of:,} candidates for each sample"
            if prompts[0].file is not None:
                note = READING
            with Meter(lambda: self.notes.say(note)) as meter:
                model = self._read_model(file, config)
                ids = [_encode(prompt, vocab, inputs.unknown) for prompt in prompts]
                generation = self._generation(model, ids, config, copies)
                with self._open_output(source, inputs) as sink:
                    writer = self._writer(sink, config, file, prompts)
                    _show(generation, writer, meter, self.notes.warn_of_cache)
        self.notes.warn_of_cache()  # some options have kernels that run later
        self.notes.detail(str(meter))

    def _open_output(
        self, source: Prompt, inputs: SampleInputs
    ) -> AbstractContextManager[TextSink]:
        """Open what samples are written to: none of the files that are read."""
        files = (*inputs.corpus, source.file or self.path)
        keep = [self.path, *map(Path, files)]
        return open_output(self.form.output, keep=keep, raw=self.form.raw)

    def _prompts(
        self,
        source: Prompt,
        file: "CheckpointFile",
        config: SampleConfig,
        inputs: SampleInputs,
    ) -> list[PromptText]:
        """Read the prompts; of pairs, inputs, which get their separator.

        Raises
        ------
        OptionError
            There is no input.
        CorpusError
            An input has a tab or a line end, or is empty.
        """
        from charrnn.reading import options_for

        if file.pairs and not source.is_given:
            msg = "a model of pairs needs an input"
            raise OptionError(
                msg, hint="give --prompt or --prompt-file, or pipe one in"
            )
        options = options_for(file.vocab)
        prompt = source.read(options, lambda: self.notes.say(WAITING))
        if file.pairs:
            with closing(prompt):
                lines = self.form.prompt_lines
                given = prompt.lines() if lines else [prompt.whole()]
                return as_inputs(given, of_lines=lines, allow_empty=inputs.allow_empty)
        if self.form.prompt_lines:
            with closing(prompt):
                return prompt.lines()
        if self.form.json or config.num_samples > 1:  # it is shown with every sample
            with closing(prompt):
                return [prompt.whole()]
        return [prompt]

    def _check(
        self,
        prompts: Sequence[PromptText],
        file: "CheckpointFile",
        inputs: SampleInputs,
    ) -> None:
        """See whether the model knows the characters of the prompts.

        Raises
        ------
        VocabError
            It does not, and an error is made of that.
        CorpusError
            Nothing is left of an input.
        """
        from charrnn.pairs import empty_input  # imports NumPy

        lost, skips = 0, inputs.unknown == "skip"
        refuses_empty = file.pairs and not inputs.allow_empty
        for number, text in enumerate(prompts, start=1):
            places, count = _unknown_places(text, file.vocab)
            lost += count
            error: CharRNNError | None = None
            if count and inputs.unknown == "error":
                error = file.vocab.not_encodable(places)
            elif count and skips and refuses_empty and count == len(text.text) - 1:
                error = empty_input()  # only its separator is known
            if error is not None:
                line = f", line {number:,}" if len(prompts) > 1 else ""
                error.where = f"the prompt{line}"
                raise error
        if lost:
            done = "left out" if skips else "replaced"
            self.notes.warn(f"{plural(lost, 'unknown character')} of the prompt {done}")

    def _warn_of_repeats(self, file: "CheckpointFile", config: SampleConfig) -> None:
        """Warn where several outputs of an input are asked for, and none is drawn."""
        if file.pairs and config.num_samples > 1 and config.temperature == 0:
            same = f"all {config.num_samples:,} outputs are the likeliest one"
            self.notes.warn(f"{same}: --temperature 1 draws different ones")

    def _read_corpus(self, paths: Sequence[str], vocab: "Vocab") -> "Ids | None":
        """Read the text that --no-copy speaks of, if any."""
        if not paths:
            return None
        from charrnn.reading import read_known

        return read_known(paths, vocab)

    def _check_memory(
        self, file: "CheckpointFile", inputs: SampleInputs, config: SampleConfig
    ) -> None:
        """See whether the checkpoint has the memory that the options speak of.

        Raises
        ------
        OptionError
            It has none.
        """
        check_blending(self.blending, file)
        if config.no_copy is not None and not inputs.corpus and file.memory is None:
            msg = "--no-copy needs --corpus: the checkpoint has no memory of its text"
            raise OptionError(msg, hint="--no-copy 20 --corpus lovecraft.txt")
        if self.blending.blend == "auto" and file.remembers:
            self.notes.say(UNFINISHED)

    def _read_model(self, file: "CheckpointFile", config: SampleConfig) -> "TextModel":
        """Read the model that a checkpoint holds, its memory only if it is of use."""
        from charrnn.textmodel import TextModel  # imports Numba

        wanted = self.blending.blend != 1 or config.no_copy is not None
        model = TextModel.read_from(file, threads=self.threads, predicts=wanted)
        return model.blended(self.blending.blend, adapt=self.blending.adapt)

    def _precision(self, file: "CheckpointFile", config: SampleConfig) -> str:
        """Name what the weights are rounded to, where that was left to be chosen."""
        from charrnn.parameters import chosen_precision  # imports NumPy

        return chosen_precision(file.model, config.precision)

    def _generation(
        self,
        model: "TextModel",
        prompts: "Sequence[Iterator[Ids]]",
        config: SampleConfig,
        corpus: "Ids | None",
    ) -> "Generating":
        """Put together what generates; a single prompt is read in slices."""
        import numpy as np

        from charrnn.generation import begin  # imports Numba

        nothing = np.zeros(0, np.int32)
        alone = len(prompts) == 1 and config.beam is None
        return begin(
            model,
            [nothing] if alone else [np.concatenate(list(ids)) for ids in prompts],
            config,
            lead=prompts[0] if alone else (),
            scored=self.form.json,
            corpus=corpus,
            learns=self.blending.adapt_output,
        )

    def _writer(
        self,
        sink: TextSink,
        config: SampleConfig,
        file: "CheckpointFile",
        prompts: Sequence[PromptText],
    ) -> Writer:
        """Choose what shows the samples."""
        form, count, vocab = self.form, len(prompts) * config.num_samples, file.vocab
        if form.json:
            before = {"seed": config.seed}
            sampler = {name: getattr(config, name) for name in SAMPLER}
            sampler["precision"] = self._precision(file, config)
            sampler["blend"] = share_in(self.blending.blend, file)
            sampler["adapt"] = self.blending.adapt
            sampler["adapt_output"] = self.blending.adapt_output
            for name in ("allow", "ban"):
                if sampler[name] is not None:
                    sampler[name] = readable(sampler[name], vocab.unit)
            biases: dict[str, float] = {}
            for symbol, bias in config.logit_bias:
                biases[symbol] = biases.get(symbol, 0.0) + bias
            sampler["logit_bias"] = {s: _finite(b) for s, b in biases.items()}
            if not file.pairs:  # which has no place for it
                del sampler["beam"]
            after = {"sampler": sampler, "checkpoint_sha256": file.sha256()}
            texts = [prompt.text for prompt in prompts]
            kind = PairsJsonWriter if file.pairs else JsonWriter
            return kind(sink, count, vocab.unit, texts, before, after)
        separator = "\n" if form.separator is None else form.separator
        piped_bytes = vocab.unit == "byte" and not sink.terminal
        layout = Layout(
            unit=vocab.unit,
            prompts=prompts if form.echoes(pairs=file.pairs) else [()] * len(prompts),
            each=config.num_samples,
            separator=to_symbols(separator, vocab.unit, escape=form.escape),
            null=form.null,
            newline=not (form.raw or piped_bytes),
            of_lines=file.pairs,
            stream=form.stream,
        )
        return TextWriter(sink, count, layout)


def _unknown_places(prompt: PromptText, vocab: "Vocab") -> tuple[dict[str, int], int]:
    """Find what a prompt has that the model does not know; see `Vocab`."""
    places: dict[str, int] = {}
    count = offset = 0
    for symbols in prompt:
        found, more = vocab.unknown_places(symbols)
        for symbol, place in found.items():
            places.setdefault(symbol, offset + place)
        count, offset = count + more, offset + len(symbols)
    return places, count


def _encode(
    prompt: PromptText, vocab: "Vocab", unknown: UnknownPolicy
) -> "Iterator[Ids]":
    """Turn a prompt's symbols into ids, slice by slice."""
    for symbols in prompt:
        if vocab.unit == "byte":
            yield vocab.encode_bytes(symbols.encode("latin-1"), unknown)
        else:
            yield vocab.encode(symbols, unknown)


def _finite(bias: float) -> float | str:
    """Write a bias as JSON can hold it."""
    return bias if math.isfinite(bias) else "-inf"


def _show(
    generation: "Generating",
    writer: Writer,
    meter: Meter,
    on_ready: Callable[[], None],
) -> None:
    """Generate and show; when interrupted, show what there is.

    Parameters
    ----------
    on_ready : callable
        Called when all kernels have run once, before anything is shown.
    """
    pieces, started = meter.watch(generation.pieces()), False
    try:
        # Made before the prompt is echoed: a note on stderr that kernels are
        # being compiled must not stand in the middle of the prompt's line.
        first = next(pieces, None)
        on_ready()
        started = True
        writer.start()
        if first is not None:
            writer.take(first)
        for piece in pieces:
            writer.take(piece)
    except KeyboardInterrupt:
        if not started:
            writer.start()
        writer.interrupt(generation.interrupt())
        raise
